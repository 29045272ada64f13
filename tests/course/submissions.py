"""Submissions for the tests of the grader, made from the solved exercise 00."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOLVED = ROOT / "solutions" / "00_start.ipynb"
HIDDEN = ROOT / "solutions" / "hidden"
WRONG = "def direct_access(bdev, sector):\n    return 0, 0, 0\n"


def solved() -> dict[str, Any]:
    """The solved exercise as a notebook's data."""
    data: dict[str, Any] = json.loads(SOLVED.read_text())
    return data


def cell(notebook: dict[str, Any], id: str) -> dict[str, Any]:
    """The cell of that id."""
    return next(one for one in notebook["cells"] if one["id"] == id)


def answering(source: str, id: str = "00.2") -> dict[str, Any]:
    """The solved exercise, with this answer to one of its questions."""
    notebook = solved()
    cell(notebook, f"q{id.replace('.', '-')}")["source"] = f"# Your turn: {id}\n{source}"
    return notebook


def hand_in(folder: Path, learner: str, notebook: dict[str, Any]) -> Path:
    """Write a notebook as a learner's submission."""
    path = folder / learner / "00_start.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook))
    return path
