"""The catalogue of misconceptions: each is met somewhere, and its evidence can be run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recorded import answers

from xiplab.course.catalogue import MISCONCEPTIONS, misconceptions_of
from xiplab.course.predictions import NOTEBOOKS, PREDICTIONS
from xiplab.course.problem import EXERCISES, Misconception

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


def of_later_notebooks() -> list[tuple[str, Misconception]]:
    """With the two digits of their notebook. Exercise 00's test knows those of notebook 00."""
    return [(name[2:], misconception) for name in NOTEBOOKS if name != "nb00"
            for misconception in misconceptions_of(name)]


def first_code_cell(number: str) -> str:
    path, = FOLDER.glob(f"{number}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_ids_are_unique() -> None:
    assert sum(len(misconceptions_of(name)) for name in NOTEBOOKS) == len(MISCONCEPTIONS)


def test_misconception_is_named_by_a_prediction_or_by_a_question() -> None:
    """The recorded wrong answers of the exercises prove that a question names it."""
    named = {option.misconception for asked in PREDICTIONS.values() for option in asked.choices.values()}
    named |= {misconception for exercise in EXERCISES for wrong in answers(exercise).WRONG.values()
              for misconception, _ in wrong}

    assert set(MISCONCEPTIONS) - named == set()


def test_evidence_runs_after_the_first_code_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """It shows something: the lines print."""
    for number, misconception in of_later_notebooks():
        if not misconception.evidence:
            continue
        names: dict[str, object] = {}
        exec(first_code_cell(number), names)
        capsys.readouterr()
        exec(misconception.evidence, names)

        assert capsys.readouterr().out, misconception.id
