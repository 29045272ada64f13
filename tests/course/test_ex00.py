"""Exercise 00: its model, its hidden checks, damaged and hostile submissions."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import nbformat
import numpy as np
import pytest
from answers_00 import CHECKS, DISK_READ, RIGHT_DIRECT_ACCESS, direct_access, first, places

from xiplab.course.answer import Found, answer_in_file
from xiplab.course.build import REPOSITORY
from xiplab.course.catalogue import MISCONCEPTIONS, misconceptions_of
from xiplab.course.judge import hidden_cases, judge, run_case
from xiplab.course.problem import Question, question
from xiplab.course.questions import stage
from xiplab.course.questions.ex00_build import check_mounted
from xiplab.course.questions.ex00_predict import (
    PRIVATE,
    SHARED,
    STORED,
    Situation,
    places_with_new_byte,
    situation,
)
from xiplab.course.result import FAIL, PASS, Result
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.linux.mm.page_alloc import alloc_page
from xiplab.units import PAGE_SIZE, Sector

PREDICT, BUILD = question("00.1"), question("00.2")
SOLUTION = REPOSITORY / "solutions" / "00_start.ipynb"
STUB = REPOSITORY / "exercises" / "00_start.ipynb"


def judged(asked: Question, source: str) -> Result:
    return judge(asked, Found(source))


def test_hidden_checks_take_points_from_an_answer_for_visible_numbers_only(monkeypatch: pytest.MonkeyPatch
                                                                           ) -> None:
    """A table of the visible cases: right on the card, not for the grader."""
    monkeypatch.setenv("XIPLAB_HIDDEN", str(REPOSITORY / "solutions" / "hidden"))
    body = CHECKS + "kaddr = info.start + sector * 512\nreturn kaddr, kaddr // 4096"
    small = "if info is not None and info.end - info.start == 4095: return 0, 0\n"
    cheat = Found(direct_access(small + body))

    assert float(judge(BUILD, cheat)) == 4
    assert float(judge(BUILD, cheat, hidden_cases(BUILD))) == 3


# ---- 00.1

@pytest.mark.parametrize(("case", "expected"), [
    (Situation(), {"segment", "LINUX1", "LINUX2"}),
    (Situation("segment", PRIVATE, True), {"segment", "LINUX1", "LINUX2"}),
    (Situation("segment", STORED, True), {"segment", "LINUX1"}),
    (Situation("segment", SHARED, False), {"segment", "LINUX1", "LINUX2"}),
    (Situation("disk", SHARED, True), {"disk"}),
    (Situation("disk", STORED, False), {"disk", "LINUX3"})], ids=str)
def test_places_with_new_byte(case: Situation, expected: set[str]) -> None:
    """What the model does, against what the text book says."""
    assert places_with_new_byte(case) == expected


def test_situations_are_fresh_and_cover_all_twelve() -> None:
    assert situation(0) == Situation()
    assert len({situation(number) for number in range(200)}) == 12


@pytest.mark.parametrize("number", range(6))
def test_right_prediction_gets_full_points(number: int) -> None:
    assert float(judged(PREDICT, places(number, *places_with_new_byte(situation(number))))) == 2


def test_disk_that_was_changed_and_is_left_out_names_no_misconception() -> None:
    """Nobody who believes that all copies change together leaves it out."""
    result = judged(PREDICT, places(first(DISK_READ)))

    assert float(result) == 0
    assert result.misconceptions == ()


@pytest.mark.parametrize("source", [
    places(0), places(0, "LINUX9"), places(-1, "segment"), places(0, "segment").replace("SITUATION = 0", ""),
    places(0, "segment").replace("return", "print"),
    places(0, "segment").replace("SITUATION = 0", "SITUATION = '0'"),
    "SITUATION = 0\ndef places_with_the_new_byte(): return 'segment'",
    "SITUATION = 0\ndef places_with_the_new_byte(): return [['segment']]"])
def test_malformed_prediction_scores_zero_with_a_reason(source: str) -> None:
    result = judged(PREDICT, source)

    assert float(result) == 0
    assert result.cases[0].text


def test_wrong_prediction_does_not_show_the_whole_answer() -> None:
    """The card names one place; the rest is still to be thought about."""
    text = str(judged(PREDICT, places(0, "LINUX3")))

    assert "Look at segment" in text
    assert "Expected" not in text


# ---- 00.2

class Local:
    """An answer in this process, which could do what the worker's cannot: reach the storage."""

    def __init__(self, function: object) -> None:
        self.function = function

    def call(self, name: str, *args: object) -> object:
        return self.function(*args)  # type: ignore[operator]

    def value(self, name: str) -> object:
        return None


def test_right_bytes_by_copying_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """direct_access with the address of a copy: every byte read is right, and it is rejected."""
    guests = []
    made = stage.guest_with_segment
    monkeypatch.setattr("xiplab.course.questions.ex00_build.guest_with_segment",
                        lambda vm, name: guests.append(made(vm, name)) or guests[-1])

    def copying(bdev: BlockDevice, sector: Sector) -> tuple[int, int]:
        kernel = guests[-1].kernel
        pfn = alloc_page(kernel, "copy")
        page = bdev.bd_disk.private_data.start + sector * 512
        kernel.memory.frame(pfn)[:] = kernel.memory.view(page, PAGE_SIZE)
        return pfn * PAGE_SIZE, pfn

    result = run_case(Local(copying), BUILD, BUILD.cases[2])  # type: ignore[arg-type]

    assert result.status == FAIL
    assert result.misconception is MISCONCEPTIONS["hands-out-bytes"]


def test_mounted_check_passes_for_the_model_itself() -> None:
    def right_one(bdev: BlockDevice, sector: Sector) -> tuple[int, int]:
        kaddr = bdev.bd_disk.private_data.start + sector * 512
        return kaddr, kaddr // PAGE_SIZE

    right = Local(right_one)

    assert run_case(right, BUILD, BUILD.cases[2]).status == PASS  # type: ignore[arg-type]
    check_mounted(right, Random(1))  # type: ignore[arg-type]


def test_packages_own_version_is_no_answer() -> None:
    source = "from xiplab.linux.drivers.dcssblk_io import dcssblk_direct_access as direct_access"
    result = judged(BUILD, source)

    assert float(result) == 0
    assert "what this question asks you to write" in str(result)


def test_warnings_and_prints_cost_nothing() -> None:
    body = "import warnings\nwarnings.warn('x')\nprint('y')\n" + RIGHT_DIRECT_ACCESS[0]
    result = judged(BUILD, direct_access(body))

    assert float(result) == BUILD.points
    assert "UserWarning: x" in result.printed


@pytest.mark.parametrize("misconception", [m for m in misconceptions_of("nb00") if m.evidence],
                         ids=lambda m: m.id)
def test_evidence_runs_in_the_exercises_notebook(misconception: object) -> None:
    """The lines on the card run after the notebook's first cells, and show something."""
    notebook = nbformat.read(STUB, as_version=4)
    names: dict[str, object] = {}
    for cell in notebook.cells:
        if cell.id in ("setup", "machine-built"):
            exec(cell.source, names)
    exec(misconception.evidence, names)  # type: ignore[attr-defined]

    text1 = names["text1"]
    assert np.shares_memory(text1.frame(0), names["vm"].segments["SHLIB"].mem)  # type: ignore[attr-defined]


# ---- submissions

def deleted(cell: Any) -> list[Any]:
    return []


def copied(cell: Any) -> list[Any]:
    return [cell, nbformat.v4.new_code_cell(cell.source, metadata=cell.metadata)]


def stripped(cell: Any) -> list[Any]:
    return [nbformat.v4.new_code_cell(cell.source)]


def turned_to_text(cell: Any) -> list[Any]:
    return [nbformat.v4.new_markdown_cell(cell.source, id=cell.id)]


def edited(cell: Any) -> list[Any]:
    return [nbformat.v4.new_code_cell("2.0", id=cell.id, metadata=cell.metadata)]


@pytest.mark.parametrize(("answers", "checks"), [
    (None, None), (None, deleted), (None, copied), (None, edited), (None, turned_to_text), (None, stripped),
    (copied, None), (stripped, None), (stripped, stripped)], ids=str)
def test_damaged_submission_gets_the_same_points(tmp_path: Path, answers: Any, checks: Any) -> None:
    """Test cells, outputs and metadata of a submission are never read, so nothing in them counts."""
    notebook = nbformat.read(SOLUTION, as_version=4)
    cells: list[Any] = []
    for cell in notebook.cells:
        change = checks if cell.id.endswith("-check") else answers if cell.id.startswith("q00-") else None
        cells += [cell] if change is None else change(cell)
    notebook.cells = cells
    nbformat.write(notebook, tmp_path / "00_start.ipynb")

    for asked in (PREDICT, BUILD):
        assert float(judge(asked, answer_in_file(asked, tmp_path / "00_start.ipynb"))) == asked.points


@pytest.mark.parametrize("attack", [
    "class Drop(ast.NodeTransformer):\n    def visit_Assert(self, node): return None\n"
    "get_ipython().ast_transformers.append(Drop())",
    "import xiplab.course.judge",
    "import sys\nsys.modules['xiplab.course.judge'].judge = None",
    "class Same(tuple):\n    def __eq__(self, other): return True\n"
    "def direct_access(bdev, sector): return Same((1, 2))",
    "def direct_access(bdev, sector): return float('nan'), float('inf')",
    "import os\nos._exit(0)"])
def test_attack_scores_zero_for_this_question_only(tmp_path: Path, attack: str) -> None:
    notebook = nbformat.read(SOLUTION, as_version=4)
    next(cell for cell in notebook.cells if cell.id == "q00-2").source = attack
    path = tmp_path / "00_start.ipynb"
    nbformat.write(notebook, path)

    assert float(judge(BUILD, answer_in_file(BUILD, path))) == 0
    assert float(judge(PREDICT, answer_in_file(PREDICT, path))) == PREDICT.points
