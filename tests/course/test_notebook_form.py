"""The notebooks from 01 on as texts to learn from: time, sentences, cells, questions, second run."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from xiplab.course.predictions import PREDICTIONS

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("[0-9]*.ipynb") if not path.stem.startswith("00"))
WORDS_A_MINUTE = 180
SUMMARY = re.compile(r"<details><summary>(.*?)</summary>", re.S)


@pytest.fixture(params=NAMES)
def notebook(request: pytest.FixtureRequest) -> Any:
    path = FOLDER / f"{request.param}.ipynb"
    return json.loads(path.read_text(encoding="utf-8")) | {"number": request.param[:2]}


def sources(notebook: Any, cell_type: str) -> dict[str, str]:
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]
            if cell["cell_type"] == cell_type}


def run(cells: dict[str, str], names: dict[str, Any]) -> str:
    """Run code cells one after the other; what they print."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for source in cells.values():
            exec(source, names)
    return printed.getvalue()


def sentences(notebook: Any) -> list[int]:
    """The lengths of the sentences, in words."""
    text = "\n".join(re.sub(r"```.*?```|^\|.*$|<[^>]+>|^#+ .*$", "", source, flags=re.S | re.M)
                     for source in sources(notebook, "markdown").values())
    lengths = (len(sentence.split()) for sentence in re.split(r"[.?!:]\s|\n\n", text))
    return [words for words in lengths if words > 2]


def test_minutes_are_the_sum_of_the_parts(notebook: Any) -> None:
    text = "\n".join(sources(notebook, "markdown").values())
    parts = [int(minutes) for minutes in re.findall(r"^## .*\((\d+) minutes?\)", text, re.M)]
    stated = notebook["metadata"]["xiplab"]["minutes"]

    assert sum(parts) == stated <= 45
    assert f"**Time:** {stated} minutes" in text


def test_minutes_are_enough_to_read_every_word(notebook: Any) -> None:
    """Prose, the questions with their answers, and half of the time is left to try things."""
    words = sum(len(source.split()) for source in sources(notebook, "markdown").values())
    asked = [PREDICTIONS[id] for id in PREDICTIONS if id.startswith(notebook["number"])]
    words += sum(len(f"{p.question} {' '.join(c.text for c in p.choices.values())}".split()) for p in asked)

    assert words / WORDS_A_MINUTE < 0.6 * notebook["metadata"]["xiplab"]["minutes"]


def test_sentences_are_short(notebook: Any) -> None:
    lengths = sentences(notebook)

    assert sum(lengths) / len(lengths) < 18
    assert max(lengths) < 40


def test_code_cells_are_short(notebook: Any) -> None:
    assert max(len(source.splitlines()) for source in sources(notebook, "code").values()) <= 20


def test_at_least_three_predictions_each_made_before_its_answer_is_revealed(notebook: Any) -> None:
    code = "\n".join(sources(notebook, "code").values())
    order = re.findall(r"(predict|reveal)\(\"(\d\d\.\w+)\"", code)
    mine = [id for id in PREDICTIONS if id.startswith(notebook["number"])]

    assert order == [(step, id) for id in mine for step in ("predict", "reveal")]
    assert len(mine) >= 3


def test_three_questions_open_and_three_close_the_notebook(notebook: Any) -> None:
    texts = list(sources(notebook, "markdown").values())
    first, last = texts[1], next(text for text in reversed(texts) if SUMMARY.search(text))

    assert len(SUMMARY.findall(first)) == len(SUMMARY.findall(last)) == 3


def test_second_run_in_the_same_kernel_prints_the_same(notebook: Any) -> None:
    names: dict[str, Any] = {}
    cells = sources(notebook, "code")

    assert run(cells, names) == run(cells, names)
