"""Notebook 10 where the host cannot map such files."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xiplab.host import code, native

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "10_after.ipynb"


@pytest.fixture
def _large_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A computer with pages of 16 KiB."""
    monkeypatch.setattr(native.mmap, "ALLOCATIONGRANULARITY", 16384)
    code.unavailable.cache_clear()
    yield
    code.unavailable.cache_clear()


@pytest.mark.usefixtures("_large_pages")
def test_every_cell_runs_on_the_model_and_the_reason_is_said() -> None:
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)

    assert printed.getvalue().count("units of 16384 bytes") >= 3
    assert "....This is page 4." in printed.getvalue()
