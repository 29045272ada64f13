"""Notebook 02: its gap can be filled, and its task be solved."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from xiplab.zvm.segment import SEGMENT_TYPES

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "02_segments.ipynb"


@pytest.fixture(scope="module")
def cells() -> dict[str, str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"}


def printed(*sources: str) -> list[str]:
    out, names = io.StringIO(), dict[str, Any]()
    with contextlib.redirect_stdout(out):
        for source in sources:
            exec(source, names)
    return out.getvalue().splitlines()


def test_gap_is_filled_by_the_types_that_are_shared_and_written(cells: dict[str, str]) -> None:
    good = [kind for kind in SEGMENT_TYPES if "sees it" in printed(
        cells["build"], cells["faded"].replace('kind = "SR"', f'kind = "{kind}"'))[-1]]

    assert good == ["SW", "SN"]


@pytest.mark.parametrize(("answer", "said"), [
    ('machine.load("LINUX1", "SHLIB", "exclusive"); machine.store("LINUX1", "SHLIB", letters)\n'
     '    machine.save("LINUX1", "SHLIB")', ["True", "True"]),
    ('machine.load("LINUX1", "SHLIB"); machine.store("LINUX1", "SHLIB", letters)\n'
     '    machine.save("LINUX1", "SHLIB")', ["True", "False"]),
    ("pass", ["True", "False"])])
def test_task_is_solved_by_an_exclusive_copy_alone(cells: dict[str, str], answer: str,
                                                   said: list[str]) -> None:
    lines = printed(cells["build"], cells["task"].replace("    pass\n", f"    {answer}\n"))[-2:]

    assert [line.split()[-1] for line in lines] == said
