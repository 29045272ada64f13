"""The package as the sandbox shows it: without the course, and without what the questions ask for.

    masked_of(questions)        the functions to be emptied, by module
    masked_package(masked)      a folder to be bound over the package

The worker's own masking (worker.py) keeps an answer from calling a reference; here its source is
not there either: a function that any of the questions asks for has no body, no compiled module of
before is left, and folders that only people need are not copied.
"""

from __future__ import annotations

import ast
import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from xiplab.course.problem import Question
from xiplab.course.worker import mask_functions

PACKAGE = Path(__file__).resolve().parents[1]
LEFT_OUT = ("course", "share", "widgets")


def masked_of(asked: Iterable[Question]) -> dict[str, frozenset[str]]:
    """All functions that these questions mask or compare with, by module."""
    masked = dict[str, frozenset[str]]()
    for question in asked:
        named = [(module, names) for module, names in question.masked.items()]
        if question.reference:
            module, _, name = question.reference.partition(":")
            named.append((module, (name,)))
        for module, names in named:
            masked[module] = masked.get(module, frozenset()) | frozenset(names)
    return masked


def imported_by(asked: Iterable[Question]) -> list[str]:
    """The modules that the questions' preludes import, each once."""
    found = dict[str, None]()
    for question in asked:
        for node in ast.walk(ast.parse(question.prelude)):
            if isinstance(node, ast.Import):
                found.update(dict.fromkeys(alias.name for alias in node.names))
            elif isinstance(node, ast.ImportFrom) and node.module:
                found[node.module] = None
    return list(found)


def masked_package(masked: dict[str, frozenset[str]]) -> Path:
    """A copy of the package with these functions emptied; it is made once and gone with this process."""
    return _copy(tuple(sorted(masked.items())))


@functools.cache
def _copy(masked: tuple[tuple[str, frozenset[str]], ...]) -> Path:
    folder = tempfile.mkdtemp(prefix="xiplab-masked-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = Path(folder) / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (copy / "course").mkdir()
    for module, names in masked:
        mask_file(copy.joinpath(*module.split(".")[1:]), names)
    return copy


def mask_file(module: Path, names: frozenset[str]) -> None:
    """Empty these functions in the file of a module, and forget what was compiled of it."""
    source = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    text = source.read_text(encoding="utf-8")
    source.write_text(mask_functions(text, names), encoding="utf-8")
    for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"):
        compiled.unlink()
