"""The package as answers see it: what is asked for is empty, all else is as it was."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from xiplab.course.masked import PACKAGE, imported_by, masked_of, masked_package
from xiplab.course.problem import EXERCISES, Question, questions
from xiplab.course.worker import mask_functions

ALL = [asked for exercise in EXERCISES for asked in questions(exercise)]
MASKED = masked_of(ALL)


@pytest.fixture(scope="module")
def copy() -> Path:
    return masked_package(MASKED)


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def file_of(package: Path, module: str) -> Path:
    return package.joinpath(*module.split(".")[1:]).with_suffix(".py")


def is_empty(function: ast.FunctionDef) -> bool:
    return [type(statement) for statement in function.body] == [ast.Raise]


def test_each_function_that_is_asked_for_is_named() -> None:
    """What a question masks, and what it is compared with."""
    for asked in ALL:
        module, _, name = asked.reference.partition(":")

        assert not name or name in MASKED[module]
        assert all(set(names) <= MASKED[module] for module, names in asked.masked.items())


@pytest.mark.parametrize("module", MASKED)
def test_module_has_empty_functions_and_is_else_the_same(copy: Path, module: str) -> None:
    """A function that is not masked is the same to the line."""
    before = {(node.name, node.lineno): node for node in functions(file_of(PACKAGE, module))}
    after = {(node.name, node.lineno): node for node in functions(file_of(copy, module))}
    asked_for = [node for (name, _), node in after.items() if name in MASKED[module]]

    assert {node.name for node in asked_for} == MASKED[module]
    assert all(is_empty(node) for node in asked_for)
    assert all(ast.dump(node, include_attributes=True) == ast.dump(before[key], include_attributes=True)
               for key, node in after.items() if key[0] not in MASKED[module])


def test_copy_has_no_course_and_nothing_compiled_of_what_is_masked(copy: Path) -> None:
    names = {path.relative_to(copy).as_posix() for path in copy.rglob("*")}
    sources = [file_of(copy, module) for module in MASKED]

    assert not {name for name in names if name.startswith(("course/", "share/", "widgets/"))}
    assert [path for source in sources for path in source.parent.glob(f"__pycache__/{source.stem}.*")] == []


def test_copy_is_made_once() -> None:
    assert masked_package(MASKED) == masked_package(dict(reversed(MASKED.items())))


@pytest.mark.parametrize(("source", "left"), [
    ("def f(a):\n    '''Doc.'''\n    return a\nx = 1\n", "def f(a):\n    {}\n\nx = 1\n"),
    ("class C:\n    def f(self): return 1\n    y = 2\n", "class C:\n    def f(self): {}\n    y = 2\n"),
    ("def g():\n    def f():\n        return 1\n    return f\n",
     "def g():\n    def f():\n        {}\n    return f\n"),
    ("def f():\n    def f():\n        return 1\n    return f\n", "def f():\n    {}\n\n\n"),
    ("@cache\ndef f(a: int = 3) -> int:\n    # ä\n    return a\n",
     "@cache\ndef f(a: int = 3) -> int:\n    # ä\n    {}\n"),
    ("def g(): return 1\n", "def g(): return 1\n"),
], ids=["docstring", "method on a line", "inner", "inner of the same name", "decorated", "other"])
def test_mask_functions_empties_bodies_and_keeps_lines(source: str, left: str) -> None:
    text = "raise NotImplementedError('f is what this question asks you to write')"

    assert mask_functions(source, {"f"}) == left.replace("{}", text)


def test_imported_by_finds_the_modules_of_preludes() -> None:
    def asking(prelude: str) -> Question:
        return Question("99.1", "", "build", "f", (), ALL[0].hints, prelude=prelude)

    assert imported_by([asking("import errno, numpy as np\nX = 1"), asking("from xiplab.units import MiB"),
                        asking("import errno\nfrom . import nothing")]) == ["errno", "numpy", "xiplab.units"]
