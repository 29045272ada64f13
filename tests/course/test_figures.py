"""Numbers of the prose: what counts as a claim, and which cells show it."""

from __future__ import annotations

from typing import Any

import pytest

from xiplab.course.figures import without_a_cell


def notebook(prose: str, printed: str = "") -> dict[str, Any]:
    """A section of prose, with a cell that has printed something."""
    return {"cells": [{"id": "words", "cell_type": "markdown", "source": f"## One\n\n{prose}"},
                      {"id": "run", "cell_type": "code", "source": "print(total)",
                       "outputs": [{"output_type": "stream", "name": "stdout", "text": printed}]}]}


def test_number_that_a_cell_prints_has_a_cell() -> None:
    assert list(without_a_cell(notebook("It copies 8,192 bytes.", "8192\n"), set())) == []


def test_number_that_nothing_prints_is_told_with_its_words() -> None:
    found = list(without_a_cell(notebook("It copies 8,192 bytes.", "4096\n"), {"8192"}))

    assert found == ["words: 8,192 in “It copies 8,192 bytes.”"]


def test_folded_answer_may_use_cells_of_other_notebooks() -> None:
    prose = "<details><summary>How many?</summary>\nIt is 8,192.\n</details>"

    assert list(without_a_cell(notebook(prose), {"8192"})) == []
    assert len(list(without_a_cell(notebook(prose), set()))) == 1


@pytest.mark.parametrize("prose", [
    "Linux 2.6.24 of 2008 had it.", "See notebooks 03 to 05.", "A page has 4,096 bytes.", "`x = 17`",
    "Pages 0 to 17 and slot 12.", "1. First\n2. Second", "[17](17.ipynb)", "LINUX17 and s390"])
def test_label_version_or_definition_needs_no_cell(prose: str) -> None:
    assert list(without_a_cell(notebook(prose), set())) == []
