"""The builder: sources into notebooks, solutions into exercises.

    notebooks/NN_topic.py -> notebooks/NN_topic.ipynb     run once, outputs committed; START.py last
    solutions/NN_topic.py -> solutions/NN_topic.ipynb     the same; also the source for nbgrader
                          -> exercises/NN_topic.ipynb     stubs, no outputs, no hidden tests
                          -> exercises/NN_topic.py        the same for people without a browser

`main(check=True)` builds in memory and compares: exercises byte for byte, executed notebooks
without their outputs, which must be those of one clean run (counts 1..n). `source.py` has the marks
of a source, `lint.py` what every notebook must be.

Building needs jupytext, nbformat and nbclient; nothing else of the package does.
"""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from xiplab.course.lint import complaints
from xiplab.course.source import (
    FORBIDDEN,
    SourceError,
    check_markers,
    cut_hidden_tests,
    cut_solutions,
    nbgrader_metadata,
    role_of,
)
from xiplab.units import KiB

REPOSITORY = Path(__file__).resolve().parents[2]
KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
CELL_TIMEOUT = 60
MAX_FILE = 300 * KiB
MAX_WIDGET_STATE = 64 * KiB
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


@dataclass(frozen=True)
class Product:
    """A file that the builder makes.

    Attributes:
        executed: a notebook that is run before it is written.
    """

    path: Path
    content: Any
    executed: bool = False


def read_source(path: Path) -> Any:
    """The notebook that a source stands for: ids, nbgrader records, no outputs.

    Raises:
        SourceError: for a marker or a role that is out of place, or code that is not plain Python.
    """
    notebook = jupytext.read(path)
    notebook.metadata = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"},
                         **({"xiplab": notebook.metadata.xiplab} if "xiplab" in notebook.metadata else {})}
    notebook.nbformat_minor = 5
    taken: set[str] = set()
    for cell in notebook.cells:
        cell.id = _cell_id(cell, taken)
        taken.add(cell.id)
        cell.metadata = _cell_metadata(cell)
        check_markers(f"{path.name} {cell.id}", cell.source, role_of(cell.metadata))
        if cell.cell_type == "code":
            _check_python(f"{path.name} {cell.id}", cell.source)
    return nbformat.from_dict(notebook)


def _cell_id(cell: Any, taken: set[str]) -> str:
    """The name in the cell's header; without one, its first words."""
    if "title" in cell.metadata:
        return str(cell.metadata["title"])
    words = re.findall(r"[a-z0-9]+", cell.source.lower())[:5]
    name = "-".join(words)[:40].strip("-") or "empty"
    return next(n for n in (name, *(f"{name}-{i}" for i in range(2, 1000))) if n not in taken)


def _check_python(name: str, source: str) -> None:
    """An answer runs without a notebook, so no cell may need one."""
    try:
        ast.parse(source)
    except SyntaxError as failure:
        raise SourceError(f"{name}: shell, magic or no Python: {(failure.text or '').strip()!r}") from failure


def _cell_metadata(cell: Any) -> dict[str, Any]:
    metadata = {key: value for key, value in cell.metadata.items()
                if key not in ("title", "role", "points", "lines_to_next_cell")}
    role = cell.metadata.get("role")
    if role is not None:
        metadata["nbgrader"] = nbgrader_metadata(cell.id, cell.cell_type, role, cell.metadata.get("points"))
        metadata["deletable"] = False
        if metadata["nbgrader"]["locked"]:
            metadata["editable"] = False
    return metadata


def exercise_of(solution: Any) -> Any:
    """The notebook that learners get.

    Raises:
        SourceError: if a marker is left.
    """
    exercise = copy.deepcopy(solution)
    for cell in exercise.cells:
        if role_of(cell.metadata) in ("answer", "manual"):
            cell.source = cut_solutions(cell.source)
        elif role_of(cell.metadata) == "tests":
            cell.source = cut_hidden_tests(cell.id, cell.source)
        if FORBIDDEN.search(cell.source):
            raise SourceError(f"{cell.id}: a marker is left")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return exercise


def plain_python(exercise: Any) -> str:
    """The exercise as a Python file: `python 00_start.py` prints what the notebook shows."""
    parts = []
    for cell in exercise.cells:
        if cell.cell_type == "markdown":
            text = "\n".join(f"# {line}".rstrip() for line in cell.source.splitlines())
            parts.append(f"# %% {cell.id} [markdown]\n{text}\n")
        else:
            parts.append(f"# %% {cell.id}\n{_printing(cell.source)}\n")
    return "\n".join(parts)


def _printing(source: str) -> str:
    """A cell whose last value is printed, and whose checks read this file."""
    source = re.sub(r"xiplab\.check\((\"[^\"]+\")\)", r"xiplab.check(\1, __file__)", source)
    last = ast.parse(source).body[-1:]
    if not last or not isinstance(last[0], ast.Expr):
        return source
    lines = source.encode().split(b"\n")
    start, end, column = last[0].lineno - 1, (last[0].end_lineno or 0) - 1, last[0].end_col_offset or 0
    lines[end] = lines[end][:column] + b")" + lines[end][column:]
    lines[start] = b"print(" + lines[start]
    return b"\n".join(lines).decode()


def execute(notebook: Any, folder: Path) -> Any:
    """A copy of the notebook after one clean run in `folder`, without traces of time and machine.

    Raises:
        CellExecutionError: if a cell fails.
    """
    executed = copy.deepcopy(notebook)
    client = NotebookClient(executed, timeout=CELL_TIMEOUT, kernel_name=KERNELSPEC["name"],
                            resources={"metadata": {"path": str(folder)}}, record_timing=False,
                            extra_arguments=["--log-level=ERROR"])
    with tempfile.TemporaryDirectory(prefix="xiplab-build-") as state:
        search_path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
        client.execute(env={**os.environ, "PYTHONPATH": search_path, "IPYTHONDIR": state,
                            "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", state)})
    executed.metadata.language_info = {"name": "python"}
    return nbformat.from_dict(_stable_widgets(executed))


def _stable_widgets(notebook: Any) -> Any:
    """Number the widgets in the order of their state, so that the next run gives the same file."""
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    largest = max((len(json.dumps(model)) for model in state.values()), default=0)
    if largest > MAX_WIDGET_STATE:
        raise SourceError(f"widget state of {largest // KiB} KiB; at most {MAX_WIDGET_STATE // KiB} KiB are "
                          "stored for each")
    text = json.dumps(notebook)
    for number, model_id in enumerate(state):
        text = text.replace(model_id, f"{number:032x}")
    return json.loads(text)


def products(root: Path) -> Iterator[Product]:
    """Everything that the sources of `root` give. Raises SourceError."""
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.py")):
        yield Product(path.with_suffix(".ipynb"), read_source(path), executed=True)
    for path in sorted((root / "solutions").glob("[0-9][0-9]_*.py")):
        solution = read_source(path)
        exercise = exercise_of(solution)
        target = root / "exercises" / path.name
        yield Product(path.with_suffix(".ipynb"), solution, executed=True)
        yield Product(target.with_suffix(".ipynb"), exercise)
        yield Product(target, plain_python(exercise))
    if (first := root / "notebooks" / "START.py").exists():  # it reads all others, so it is made last
        yield Product(first.with_suffix(".ipynb"), read_source(first), executed=True)


def as_text(content: Any) -> str:
    """A product as it is written: sorted keys, one final newline."""
    if isinstance(content, str):
        return content
    nbformat.validate(content)
    return json.dumps(nbformat.v4.rwbase.split_lines(copy.deepcopy(content)), sort_keys=True,
                      ensure_ascii=False, indent=1) + "\n"


def differences(product: Product) -> list[str]:
    """How the committed file differs from what the source gives."""
    if not product.path.exists():
        return [f"{product.path.name}: missing"]
    committed = product.path.read_text(encoding="utf-8")
    stale = [f"{product.path.name}: not what its source gives (xiplab build makes it)"]
    if not product.executed:
        return [] if committed == as_text(product.content) else stale
    notebook = nbformat.reads(committed, as_version=4)
    found = [] if _inputs(notebook) == _inputs(product.content) else stale
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append(f"{product.path.name}: its counts are not those of one clean run")
    if not any(cell.outputs for cell in code):
        found.append(f"{product.path.name}: it has no outputs")
    return found


def _inputs(notebook: Any) -> str:
    """A notebook without what running it adds."""
    bare = copy.deepcopy(notebook)
    bare.metadata.pop("widgets", None)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return as_text(bare)


def strays(root: Path, made: list[Product]) -> list[str]:
    """Files in exercises/ that no source gives."""
    known = {product.path for product in made}
    return [f"{path.name}: no source gives this file" for path in sorted((root / "exercises").glob("*.*"))
            if path not in known]


def write(product: Product) -> None:
    """Make one file, running it first if it is to be run. Raises CellExecutionError, SourceError."""
    product.path.parent.mkdir(exist_ok=True)
    content = execute(product.content, product.path.parent) if product.executed else product.content
    text = as_text(content)
    if len(text.encode()) > MAX_FILE:
        raise SourceError(f"{product.path.name}: larger than {MAX_FILE // KiB} KiB")
    product.path.write_text(text, encoding="utf-8")
    print(f"built {product.path.parent.name}/{product.path.name}")


def main(check: bool, root: Path = REPOSITORY) -> int:
    """Build everything, or with `check` compare only. Returns 0, or 1 after saying what is wrong."""
    try:
        made = list(products(root))
        found = [text for product in made if not isinstance(product.content, str)
                 for text in complaints(product.path.name, product.content, product.path.parent)]
        if check:
            found += [text for product in made for text in differences(product)] + strays(root, made)
        elif not found:
            for product in made:
                write(product)
    except (SourceError, CellExecutionError) as failure:
        found = [str(failure)]
    for text in found:
        print(text, file=sys.stderr)
    return 1 if found else 0
