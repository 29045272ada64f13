"""Notebook 00 where the host has no memory to share."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

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


def test_where_nothing_can_be_mapped_natively_one_sentence_says_so(
        notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "unavailable", lambda: "no memory can be shared here")

    assert "Only the model runs here: no memory can be shared here" in run(sources(notebook, "code"), {})
