"""The recorded answers to every exercise, and what is made of the sources.

answers_NN.py has
    WRONG      {"05.2": [("misconception", source), ...]}      rejected, and this one is named
    RIGHT      {"05.3": [source, ...]}                         other right answers
    NAMES      {"pgoff": "create"}                             names that mutants exchange, if any
    SURVIVORS  {"05.3": ["the changed line", ...]}             mutants that are right or do no harm, if any
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from xiplab.course.build import REPOSITORY, read_source
from xiplab.course.problem import EXERCISES, Question, questions

ALL = tuple(asked for exercise in EXERCISES for asked in questions(exercise))
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


def exercise_of(asked: Question) -> str:
    return asked.id.partition(".")[0]


def answers(exercise: str) -> Any:
    """The module of recorded answers."""
    return import_module(f"answers_{exercise}")


def source_file(exercise: str) -> Path:
    path, = (REPOSITORY / "solutions").glob(f"{exercise}_*.py")
    return path


def shipped(exercise: str, suffix: str) -> Path:
    return (REPOSITORY / "exercises" / source_file(exercise).name).with_suffix(suffix)


def solution(asked: Question) -> str:
    """The answer's cell as it is written, with its marks."""
    notebook = read_source(source_file(exercise_of(asked)))
    return next(str(cell.source) for cell in notebook.cells if cell.id == asked.cell_id)


def written(asked: Question) -> str:
    """The right answer alone: of a debug question without the lines that were wrong."""
    source = solution(asked)
    return source.partition(END)[0] if asked.kind == "debug" else source


def unmended(asked: Question) -> str:
    """A debug question whose stub line was deleted and nothing else done."""
    head, _, rest = solution(asked).partition(BEGIN)
    return head.rstrip() + rest.partition(END)[2]
