"""Every .py source opens as cells in VS Code, Spyder and PyCharm: the percent format."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from xiplab.course.build import read_source

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("notebooks", "solutions", "exercises")
                 for path in (ROOT / folder).glob("*.py"))
VS_CODE = re.compile(r"^(# %%|#%%|# <codecell>|# In\[\d*?\]|# In\[ \])")
"""The setting jupyter.interactiveWindow.cellMarker.codeRegex as it is shipped."""


def cells_of(text: str) -> list[str]:
    """The cells as VS Code cuts them; what stands before the first mark is none."""
    cells: list[list[str]] = []
    for line in text.splitlines():
        if VS_CODE.match(line):
            cells.append([])
        elif cells:
            cells[-1].append(line)
    return ["\n".join(lines) for lines in cells]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_source_opens_as_cells_that_run_one_by_one(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    cells = cells_of(text)

    assert len(cells) == len(read_source(path).cells)
    assert all(line.startswith("#") or not line for line in text.split("# %%")[0].splitlines())
    for cell in cells:
        ast.parse(cell)
