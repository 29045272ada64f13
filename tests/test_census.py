"""Every row of the conformance table is a test, or is left out for a reason that is written here.

A row is tested by a function whose name has its number, `test_k102_...`, or by a parameter whose id
begins with it, `id="k36_..."`. kernel_rows.txt has the rows, each with a title.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent

LEFT_OUT = {
    23: "another release than the model's, without a lesson of its own",
    24: "another release than the model's, without a lesson of its own",
    33: "another release than the model's, without a lesson of its own",
}


def titles() -> dict[int, str]:
    lines = (TESTS / "kernel_rows.txt").read_text(encoding="utf-8").splitlines()
    return {int(row[1:]): title for row, _, title in (line.partition(" ") for line in lines)}


def rows_in(name: str) -> set[int]:
    """The rows that a name is about: test_k118_k119_writes_stop has two."""
    return {int(row) for row in re.findall(r"(?<![a-z0-9])k(\d+)(?=_|$)", name)}


def names(tree: ast.Module) -> Iterator[str]:
    """Test functions, and the ids of parameters."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name
        elif isinstance(node, ast.keyword) and node.arg == "id" and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def covered_rows() -> set[int]:
    files = (path for path in TESTS.rglob("test_*.py"))
    return {row for path in files for name in names(ast.parse(path.read_text(encoding="utf-8")))
            for row in rows_in(name)}


def test_titles_are_the_rows_in_order() -> None:
    assert list(titles()) == list(range(1, 179))
    assert len(set(titles().values())) == 178


def test_every_row_is_tested_or_left_out_for_a_reason() -> None:
    rows = sorted(titles().keys() - covered_rows() - LEFT_OUT.keys())
    missing = [f"K{row} {titles()[row]}" for row in rows]

    assert missing == []


def test_no_test_names_a_row_that_is_not_there_or_left_out() -> None:
    assert covered_rows() - titles().keys() == set()
    assert covered_rows() & LEFT_OUT.keys() == set()
