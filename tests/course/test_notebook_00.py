"""Notebook 00 as a text to learn from: its time, its sentences, its cells, and its second run."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from xiplab.course.predictions import PREDICTIONS
from xiplab.host import native

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "00_start.ipynb"


@pytest.fixture(scope="module")
def notebook() -> Any:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


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


def test_minutes_are_the_sum_of_the_parts(notebook: Any) -> None:
    text = "\n".join(sources(notebook, "markdown").values())
    parts = [int(minutes) for minutes in re.findall(r"^## .*\((\d+) minutes\)", text, re.M)]
    stated = notebook["metadata"]["xiplab"]["minutes"]

    assert sum(parts) == stated <= 30
    assert f"**Time:** {stated} minutes" in text


def test_sentences_are_short(notebook: Any) -> None:
    text = "\n".join(re.sub(r"```.*?```|^\|.*$|<[^>]+>|^#+ .*$", "", source, flags=re.S | re.M)
                     for source in sources(notebook, "markdown").values())
    lengths = [len(sentence.split()) for sentence in re.split(r"[.?!:]\s|\n\n", text)]
    sentences = [words for words in lengths if words > 2]

    assert sum(sentences) / len(sentences) < 18
    assert max(sentences) < 35


def test_cells_are_short(notebook: Any) -> None:
    assert max(len(source.splitlines()) for source in sources(notebook, "code").values()) <= 15


def test_every_prediction_is_made_before_its_answer_is_revealed(notebook: Any) -> None:
    code = "\n".join(sources(notebook, "code").values())
    order = re.findall(r"(predict|reveal)\(\"(00\.\w+)\"", code)
    mine = [id for id in PREDICTIONS if id.startswith("00.")]

    assert order == [(step, id) for id in mine for step in ("predict", "reveal")]


def test_second_run_in_the_same_kernel_prints_the_same(notebook: Any) -> None:
    names: dict[str, Any] = {}
    cells = sources(notebook, "code")

    assert run(cells, names) == run(cells, names)


def test_where_nothing_can_be_mapped_natively_one_sentence_says_so(
        notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "unavailable", lambda: "no memory can be shared here")

    assert "Only the model runs here: no memory can be shared here" in run(sources(notebook, "code"), {})
