"""Exercise 00: stubs score nothing, right answers all, wrong ones are named, mutants are rejected."""

from __future__ import annotations

import ast
from pathlib import Path
from random import Random
from typing import Any

import nbformat
import numpy as np
import pytest
from answers_00 import CHECKS, RIGHT_DIRECT_ACCESS, WRONG_DIRECT_ACCESS, direct_access, places
from mutants import mutants

from xiplab.course.answer import Found, answer_in_file
from xiplab.course.build import REPOSITORY
from xiplab.course.catalogue import MISCONCEPTIONS, misconceptions_of
from xiplab.course.judge import hidden_cases, judge, run_case
from xiplab.course.problem import EXERCISES, Question, question, questions
from xiplab.course.questions import stage
from xiplab.course.questions.ex00_build import check_mounted
from xiplab.course.questions.ex00_predict import (
    PLACES,
    PRIVATE,
    SHARED,
    STORED,
    Situation,
    places_with_new_byte,
    situation,
)
from xiplab.course.result import FAIL, PASS, Result, explanation
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.linux.mm.page_alloc import alloc_page
from xiplab.units import PAGE_SIZE, Sector

PREDICT, BUILD = question("00.1"), question("00.2")
SOLUTION = REPOSITORY / "solutions" / "00_start.ipynb"
STUB = REPOSITORY / "exercises" / "00_start.ipynb"


def judged(asked: Question, source: str) -> Result:
    return judge(asked, Found(source))


@pytest.mark.parametrize("asked", [PREDICT, BUILD], ids=lambda asked: asked.id)
@pytest.mark.parametrize("suffix", [".ipynb", ".py"])
def test_stub_scores_zero_with_a_readable_message(asked: Question, suffix: str) -> None:
    result = judge(asked, answer_in_file(asked, STUB.with_suffix(suffix)))

    assert float(result) == 0
    assert "Not written yet" in str(result)
    assert result.notes == ()


@pytest.mark.parametrize("asked", [PREDICT, BUILD], ids=lambda asked: asked.id)
def test_solution_gets_full_points_hidden_checks_included(asked: Question, monkeypatch: pytest.MonkeyPatch
                                                          ) -> None:
    monkeypatch.setenv("XIPLAB_HIDDEN", str(REPOSITORY / "solutions" / "hidden"))
    result = judge(asked, answer_in_file(asked, SOLUTION), hidden_cases(asked))

    assert str(result)
    assert (float(result), result.solved) == (asked.points, True)


def test_hidden_checks_are_those_that_the_card_announces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIPLAB_HIDDEN", str(REPOSITORY / "solutions" / "hidden"))
    for asked in questions("00"):
        cases = hidden_cases(asked)

        assert tuple(case.name for case in cases) == asked.hidden
        assert {case.guards for case in cases} <= {case.name for case in asked.cases}


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


def first(case: Situation) -> int:
    """The number of a situation like this."""
    return next(number for number in range(500) if situation(number) == case)


@pytest.mark.parametrize(("misconception", "case", "said"), [
    ("mapping-is-a-copy", Situation(), ["segment"]),
    ("segment-per-guest", Situation(), ["segment", "LINUX1"]),
    ("cache-is-the-storage", Situation(), ["segment", "LINUX1", "LINUX2", "LINUX3"]),
    ("cache-is-the-storage", Situation(), list(PLACES)),
    ("disk-follows", Situation(), ["segment", "LINUX1", "LINUX2", "disk"]),
    ("private-copies-at-once", Situation("segment", PRIVATE, True), ["segment", "LINUX1"]),
    ("private-keeps-following", Situation("segment", STORED, True), ["segment", "LINUX1", "LINUX2"]),
    ("cache-asks-again", Situation("disk", SHARED, True), ["disk", "LINUX3"]),
    ("cache-fills-at-mount", Situation("disk", SHARED, False), ["disk"]),
    ("disk-follows", Situation("disk", SHARED, True), ["disk", "segment", "LINUX1", "LINUX2"])])
def test_wrong_prediction_names_its_misconception(misconception: str, case: Situation, said: list[str]
                                                  ) -> None:
    result = judged(PREDICT, places(first(case), *said))

    assert float(result) == 0
    assert result.misconceptions == (misconception,)


def test_disk_that_was_changed_and_is_left_out_names_no_misconception() -> None:
    """Nobody who believes that all copies change together leaves it out."""
    result = judged(PREDICT, places(first(Situation("disk", SHARED, True))))

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

@pytest.mark.parametrize(("misconception", "body"), WRONG_DIRECT_ACCESS)
def test_wrong_direct_access_is_rejected_and_named(misconception: str, body: str) -> None:
    result = judged(BUILD, direct_access(body))

    assert float(result) < BUILD.points
    assert misconception in result.misconceptions


@pytest.mark.parametrize("body", RIGHT_DIRECT_ACCESS)
def test_other_right_direct_access_is_accepted(body: str) -> None:
    result = judged(BUILD, direct_access(body))

    assert (float(result), str(result).count("wrong")) == (BUILD.points, 0)


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


def test_masked_functions_exist() -> None:
    """A renamed function would no longer be masked."""
    for asked in (q for exercise in EXERCISES for q in questions(exercise)):
        for module, names in asked.masked.items():
            tree = ast.parse((REPOSITORY / (module.replace(".", "/") + ".py")).read_text())
            defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

            assert set(names) <= defined


def test_warnings_and_prints_cost_nothing() -> None:
    body = "import warnings\nwarnings.warn('x')\nprint('y')\n" + RIGHT_DIRECT_ACCESS[0]
    result = judged(BUILD, direct_access(body))

    assert float(result) == BUILD.points
    assert "UserWarning: x" in result.printed


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "share"), [(PREDICT, 0.9), (BUILD, 0.9)], ids=["00.1", "00.2"])
def test_mutants_of_the_solution_are_rejected(asked: Question, share: float) -> None:
    source = answer_in_file(asked, SOLUTION).source
    tried = list(mutants(source))
    survivors = [mutant for mutant in tried if float(judged(asked, mutant)) == asked.points]

    assert len(tried) >= 5
    assert len(survivors) <= (1 - share) * len(tried), "\n\n".join(survivors)


# ---- the form

@pytest.mark.parametrize("misconception", MISCONCEPTIONS.values(), ids=lambda m: m.id)
def test_misconception_is_told_in_under_60_words(misconception: object) -> None:
    words = sum(len(text.split()) for _, text in explanation(misconception))  # type: ignore[arg-type]

    assert words < 60


def test_every_question_has_three_wrong_answers_and_every_misconception_one() -> None:
    named = [name for name, _ in WRONG_DIRECT_ACCESS]

    assert len(set(named)) >= 3
    assert {misconception.id for misconception in misconceptions_of("nb00")} - set(named) <= {
        "mapping-is-a-copy", "segment-per-guest", "private-copies-at-once", "private-keeps-following",
        "cache-is-the-storage", "disk-follows", "cache-asks-again", "cache-fills-at-mount"}


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


@pytest.mark.parametrize("asked", [PREDICT, BUILD], ids=lambda asked: asked.id)
def test_hints_never_take_more_than_half(asked: Question) -> None:
    assert sum(hint.cost for hint in asked.hints) <= 0.5


def test_learners_files_hold_no_solution_and_no_hidden_check() -> None:
    """Grepped in the built exercises and in the package that the wheel is made of."""
    hidden = (REPOSITORY / "solutions" / "hidden" / "ex00.py").read_text()
    secrets = [line for line in hidden.splitlines() if line.startswith(("SEED", "def "))]
    solved = [line.strip() for line in answer_in_file(BUILD, SOLUTION).source.splitlines()[4:-1]]
    exercises = [path.read_text() for path in (REPOSITORY / "exercises").iterdir()]
    package = [path.read_text() for path in (REPOSITORY / "xiplab").rglob("*.py")]

    assert len(secrets) >= 3
    assert len(solved) >= 5
    assert [line for line in solved for text in exercises if line in text] == []
    assert [line for line in secrets for text in exercises + package if line in text] == []


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
