"""Notebook 03: its gap can be filled, and its task be solved."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "03_dcssblk.ipynb"


@pytest.fixture(scope="module")
def cells() -> dict[str, str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"}


def printed(*sources: str) -> str:
    out, names = io.StringIO(), dict[str, Any]()
    with contextlib.redirect_stdout(out):
        for source in sources:
            exec(source, names)
    return out.getvalue().splitlines()[-1]


def test_gap_is_filled_by_one_term(cells: dict[str, str]) -> None:
    begun = [cells[name] for name in ("build", "worked", "worked-guest")]
    filled = cells["faded"].replace("kaddr = info.start ", "kaddr = info.start + sector * 512")

    assert printed(*begun, cells["faded"]) == "Not yet: another page came."
    assert printed(*begun, filled) == "It works."


def test_worked_example_solves_the_task(cells: dict[str, str]) -> None:
    begun = [cells[name] for name in ("build", "worked")]

    assert printed(*begun, cells["task"], cells["task-check"]).startswith("0 of 5")
    assert printed(*begun, "direct_access = watched", cells["task-check"]).startswith("5 of 5")
