"""The table of xip.txt's sentences: each has a place in the course, and the place exists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xiplab.course.sentences import SENTENCES, Sentence, markdown, where_each_sentence_is_shown

ROOT = Path(__file__).resolve().parents[2]


def cells(notebook: str) -> list[str]:
    content = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    return [cell["id"] for cell in content["cells"] if cell["cell_type"] == "code"]


def test_there_are_as_many_as_in_the_text() -> None:
    parts = [sentence.part for sentence in SENTENCES]

    assert [parts.count(part) for part in ("Motivation", "Implementation", "Shortcomings")] == [9, 15, 3]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.says[:30])
def test_cell_that_shows_a_sentence_exists(sentence: Sentence) -> None:
    """A sentence without a cell waits for its notebook."""
    assert not sentence.cell or sentence.cell in cells(sentence.notebook)


def test_readme_has_the_same_table() -> None:
    assert markdown() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_table_says_the_same_as_text_and_in_a_notebook() -> None:
    table = where_each_sentence_is_shown()

    assert all(sentence.says in repr(table) for sentence in SENTENCES)
    assert table._repr_html_().count("<tr>") == len(SENTENCES) + 1
