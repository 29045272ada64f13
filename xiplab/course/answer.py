"""Where a learner's answer is found: in the running notebook, or in a file.

The judge takes the source of the answer's cell and nothing else: no outputs, no test cells, no
metadata but ids. In a file, cells are matched in this order, and each step down is noted:

    1. the cell's id ("q00-2") or its nbgrader grade_id; several such cells run in document order
       (a copied cell keeps the grade_id, a split one loses the id)
    2. the marker in its first line ("# Your turn: 00.2")
    3. its place: the code cell before the one that calls xiplab.check("00.2")

Files are read as data; nothing of them is executed here.
"""

from __future__ import annotations

import inspect
import json
import linecache
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from xiplab.course.problem import Question, question
from xiplab.units import KiB, MiB

MAX_FILE = 2 * MiB
MAX_ANSWER = 60 * KiB
PERCENT_CELL = re.compile(r"^# %%[ ]?(?P<title>[^\[{=\n]*?)(?P<markdown>\[markdown\])?(?:\s+\w+=.*)?$")


class AnswerMissing(Exception):
    """There is no answer to judge; the text says what to do."""


@dataclass(frozen=True)
class Found:
    """The source of an answer and what is to be said about how it was found.

    Attributes:
        others: the sources of the answers that the question needs, those that are there.
    """

    source: str
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One code cell of a file."""

    id: str
    grade_id: str
    source: str


def answer_in_notebook(question: Question) -> Found:
    """The cell of the running notebook that defined the answer's function last.

    Raises:
        AnswerMissing: if there is no such function yet.
    """
    function = _running_shell().user_ns.get(question.answer)
    if function is None:
        raise AnswerMissing(f"There is no {question.answer} yet: run the cell that begins with "
                            f"{question.marker!r} first.")
    if not inspect.isfunction(function):
        raise AnswerMissing(f"{question.answer} is now of type {type(function).__name__}, not a function: "
                            "run the cell with your answer again.")
    source = "".join(linecache.getlines(function.__code__.co_filename))
    notes = () if question.marker in source else (
        f"{question.answer} was last defined outside its own cell. A grader reads the cell that begins "
        f"with {question.marker!r}.",)
    return _limited(Found(source, notes))


def _running_shell() -> Any:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def answer_anywhere(question: Question) -> Found:
    """The answer in the running notebook; without one, in the exercise's file that was saved last.

    Raises:
        AnswerMissing: if there is neither.
    """
    if _running_shell() is not None:
        return answer_in_notebook(question)
    exercise = question.id.partition(".")[0]
    files = exercise_files(exercise)
    if not files:
        raise AnswerMissing(f"No file {exercise}_*.ipynb or .py lies here: give the file that holds your "
                            "answer.")
    path = max(files, key=lambda file: file.stat().st_mtime)
    found = answer_in_file(question, path)
    return Found(found.source, (f"The answer was read from {path}.", *found.notes))


def exercise_files(exercise: str) -> list[Path]:
    """The files of an exercise in the current folder and in its exercises/."""
    return [path for folder in (Path(), Path("exercises")) for path in sorted(folder.glob(f"{exercise}_*"))
            if path.suffix in (".ipynb", ".py")]


def with_needs(asked: Question, find: Callable[[Question], Found]) -> Found:
    """The answer to a question, with the answers that it needs.

    Raises:
        AnswerMissing: if its own answer is not there.
    """
    found, others = find(asked), list[str]()
    for id in asked.needs:
        with suppress(AnswerMissing):
            others.append(find(question(id)).source)
    return replace(found, others=tuple(others))


def answer_in_file(question: Question, path: Path) -> Found:
    """The answer in a notebook (.ipynb) or a Python file in cells (.py).

    Raises:
        AnswerMissing: for a file that cannot be read as such, or that holds no answer cell.
    """
    found = answer_in_cells(question, read_cells(path))
    if found is None:
        raise AnswerMissing(f"{path.name}: no cell begins with {question.marker!r}. Put that line above your "
                            f"{question.answer}.")
    return found


def answer_in_cells(question: Question, cells: list[Cell]) -> Found | None:
    """The answer among these cells, None if it is not there. Raises AnswerMissing if it is too long."""
    for found in (_by_id(question, cells), _by_marker(question, cells), _by_place(question, cells)):
        if found is not None:
            return _limited(found)
    return None


def read_cells(path: Path) -> list[Cell]:
    """The code cells of a file, in order. Raises AnswerMissing if it is no such file."""
    try:
        with path.open("rb") as file:
            return parse_cells(path.name, file.read(MAX_FILE + 1))
    except OSError as failure:
        raise AnswerMissing(f"{path.name}: {failure.strerror}.") from failure


def parse_cells(name: str, content: bytes) -> list[Cell]:
    """The code cells in the content of file `name`. Raises AnswerMissing if it is no such file."""
    if len(content) > MAX_FILE:
        raise AnswerMissing(f"{name}: larger than {MAX_FILE // MiB} MiB, it was not read.")
    try:
        text = content.decode("utf-8-sig")
        return _notebook_cells(json.loads(text)) if name.endswith(".ipynb") else _percent_cells(text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as failure:
        raise AnswerMissing(f"{name}: this is not a notebook file.") from failure


def _notebook_cells(data: Any) -> list[Cell]:
    cells = []
    for cell in data["cells"]:
        if cell["cell_type"] == "code":
            source = cell["source"]
            source = source if isinstance(source, str) else "".join(source)
            cells.append(Cell(str(cell.get("id", "")), _grade_id(cell.get("metadata")), source))
    return cells


def _grade_id(metadata: object) -> str:
    """nbgrader's name of a cell; empty if its metadata, which may be anything, hold none."""
    record = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return str(record.get("grade_id", "")) if isinstance(record, dict) else ""


def _percent_cells(text: str) -> list[Cell]:
    cells, title, markdown, lines = [], "", False, list[str]()
    for line in [*text.splitlines(), "# %%"]:
        head = PERCENT_CELL.match(line)
        if head is None:
            lines.append(line)
            continue
        if not markdown:
            cells.append(Cell(title, "", "\n".join(lines).strip("\n")))
        title, markdown, lines = head["title"].strip(), head["markdown"] is not None, []
    return cells


def _by_id(question: Question, cells: list[Cell]) -> Found | None:
    mine = [cell for cell in cells if question.cell_id in (cell.id, cell.grade_id)]
    if not mine:
        return None
    notes = (f"{len(mine)} cells belong to {question.id} (copied or split); they ran in document order.",)
    return Found("\n\n".join(cell.source for cell in mine), notes if len(mine) > 1 else ())


def _by_marker(question: Question, cells: list[Cell]) -> Found | None:
    mine = [cell for cell in cells if cell.source.lstrip().startswith(question.marker)]
    if not mine:
        return None
    return Found("\n\n".join(cell.source for cell in mine),
                 (f"The cell of {question.id} had lost its id; it was found by its first line.",))


def _by_place(question: Question, cells: list[Cell]) -> Found | None:
    check = re.compile(rf"xiplab\.check\(\s*['\"]{re.escape(question.id)}['\"]")
    for previous, cell in pairwise(cells):
        if check.search(cell.source) and not re.search(r"xiplab\.check\(", previous.source):
            return Found(previous.source, (f"The cell of {question.id} had lost its id and its first "
                                           "line; it was found by its place.",))
    return None


def _limited(found: Found) -> Found:
    if len(found.source.encode(errors="surrogatepass")) > MAX_ANSWER:
        raise AnswerMissing(f"The answer is longer than {MAX_ANSWER // KiB} KiB; it was not read.")
    return found
