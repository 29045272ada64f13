"""Every notebook as a text to learn from: its time, its sentences, its cells, and its second run."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from xiplab.course.figures import numbers_of_all, without_a_cell
from xiplab.course.predictions import PREDICTIONS

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
EXERCISES = FOLDER.with_name("exercises")
NAMES = sorted(path.name for path in FOLDER.glob("[0-9][0-9]_*.ipynb"))

Cells = dict[str, str]


@pytest.fixture(params=NAMES, ids=[name[:2] for name in NAMES])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def notebook(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def sources(notebook: Any, cell_type: str) -> Cells:
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]
            if cell["cell_type"] == cell_type}


def run(notebook: Any, names: dict[str, Any]) -> str:
    """Run the code cells that tests compare, one after the other; what they print."""
    compared = {cell["id"] for cell in notebook["cells"]
                if "nbval-ignore-output" not in cell["metadata"].get("tags", ())}
    printed, elsewhere = io.StringIO(), io.StringIO()
    for id, source in sources(notebook, "code").items():
        with contextlib.redirect_stdout(printed if id in compared else elsewhere):
            exec(source, names)
    return printed.getvalue()


def test_minutes_are_the_sum_of_the_parts(notebook: Any) -> None:
    text = "\n".join(sources(notebook, "markdown").values())
    parts = [int(minutes) for minutes in re.findall(r"^## .*\((\d+) minutes?\)", text, re.M)]
    stated = notebook["metadata"]["xiplab"]["minutes"]

    assert sum(parts) == stated <= 45
    assert f"**Time:** {stated} minutes" in text


def test_minutes_are_enough_to_read_every_word(name: str, notebook: Any) -> None:
    """At 180 words a minute, the prose and the predictions take less than two thirds of the time."""
    words = sum(len(source.split()) for source in sources(notebook, "markdown").values())
    asked = [asked for id, asked in PREDICTIONS.items() if id.startswith(f"{name[:2]}.")]
    words += sum(len(f"{p.question} {' '.join(c.text for c in p.choices.values())}".split()) for p in asked)

    assert words / 180 < notebook["metadata"]["xiplab"]["minutes"] * 2 / 3


def test_sentences_are_short(notebook: Any) -> None:
    text = "\n".join(re.sub(r"```.*?```|^\|.*$|<[^>]+>|^#+ .*$", "", source, flags=re.S | re.M)
                     for source in sources(notebook, "markdown").values())
    lengths = [len(sentence.split()) for sentence in re.split(r"[.?!:]\s|\n\n", text)]
    sentences = [words for words in lengths if words > 2]

    assert sum(sentences) / len(sentences) < 18
    assert max(sentences) < 36


def test_cells_are_short(notebook: Any) -> None:
    assert max(len(source.splitlines()) for source in sources(notebook, "code").values()) <= 15


def test_every_prediction_is_made_before_its_answer_is_revealed(name: str, notebook: Any) -> None:
    code = "\n".join(sources(notebook, "code").values())
    order = re.findall(rf"(predict|reveal)\(\"({name[:2]}\.[\w-]+)\"", code)
    mine = [id for id in PREDICTIONS if id.startswith(f"{name[:2]}.")]

    assert order == [(step, id) for id in mine for step in ("predict", "reveal")]
    assert len(mine) >= 3


def test_recall_questions_stand_at_start_and_end(name: str, notebook: Any) -> None:
    """Three questions at the end, and from notebook 01 on three at the start."""
    text = "\n".join(sources(notebook, "markdown").values())

    assert text.count("<details>") >= (3 if name.startswith("00") else 6)


@pytest.mark.slow
def test_second_run_in_the_same_kernel_prints_the_same(
        notebook: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    assert run(notebook, names) == run(notebook, names)


def test_every_number_of_the_prose_comes_from_a_cell(notebook: Any) -> None:
    course = (json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in NAMES)

    assert list(without_a_cell(notebook, numbers_of_all(course))) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if (EXERCISES / name).exists()])
def test_notebook_and_its_exercise_lead_to_each_other(name: str) -> None:
    """The last cell of a notebook says: now do exercise NN."""
    notebook, exercise = (sources(json.loads((folder / name).read_text(encoding="utf-8")), "markdown")
                          for folder in (FOLDER, EXERCISES))
    *_, last = notebook.values()

    assert f"[exercise {name[:2]}](../exercises/{name})" in last, "the last cell leads to it"
    assert f"(../notebooks/{name})" in "".join(exercise.values()), "and the exercise leads back"
