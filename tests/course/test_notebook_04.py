"""Notebook 04: its gap can be filled, and its task be solved."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "04_ext2.ipynb"


@pytest.fixture(scope="module")
def cells() -> dict[str, str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}


def printed(*sources: str) -> str:
    out, names = io.StringIO(), dict[str, Any]()
    with contextlib.redirect_stdout(out):
        for source in sources:
            exec(source, names)
    return out.getvalue().splitlines()[-1]


def test_gap_is_filled_by_counting_from_one(cells: dict[str, str]) -> None:
    begun = [cells["build"], cells["worked"]]

    assert printed(*begun, cells["faded"]).startswith("Not yet")
    assert printed(*begun, cells["faded"].replace("18 * 128", "(18 - 1) * 128")) == "It works."


def test_answer_that_is_given_solves_the_task(cells: dict[str, str]) -> None:
    begun = [cells["build"], cells["worked"]]
    answer = re.search(r"```python\n(.*?)```", cells["task-answer"], re.S)
    assert answer is not None
    body = "".join(f"    {line}\n" for line in answer[1].splitlines())

    assert printed(*begun, cells["task"]).startswith("2 of 13")
    assert printed(*begun, cells["task"].replace("    return 0\n", body)).startswith("13 of 13")
