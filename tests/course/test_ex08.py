"""Exercise 08: what the common test does not know; the learner's functions in the pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from answers_08 import RIGHT_BILLS, RIGHT_LENGTHS, RIGHT_PADS, WRONG_PADS, bill, pad, text

from xiplab.course.questions.ex08_code import Yours
from xiplab.course.questions.ex08_measure import told_of
from xiplab.course.questions.ex08_padzero import BELIEFS, Padded, believed
from xiplab.course.questions.ex08_predict import SITUATIONS, shared_areas, situation
from xiplab.course.trial import after, driven

STUB = "raise NotImplementedError()"


def function(source: str, name: str) -> Any:
    """What a cell defines, after the notebook's imports."""
    names: dict[str, Any] = {"PAGE_SIZE": 4096}
    exec(source, names)
    return names[name]


@pytest.mark.parametrize("body", RIGHT_LENGTHS)
def test_learners_instructions_run_in_both_guests_from_the_segment(body: str) -> None:
    yours = driven(Yours(), use=function(text(body), "length_of_text"))
    after(yours, ("run", "LINUX1"), ("run", "LINUX2"))
    segment = yours.vm.segments["PROGRAMS"].mem

    for name, guest in yours.guests.items():
        assert yours.registers(name)[2] == len("Hello")
        page = next(page for page in yours.pages(name) if page.kind == "text")
        assert np.shares_memory(guest.kernel.memory.frame(page.pfn), segment)


def test_instructions_that_are_not_written_or_none_are_told() -> None:
    stub = driven(Yours(), use=function(f"def length_of_text():\n    {STUB}", "length_of_text"))
    wrong = driven(Yours(), use=function(text("        nonsense %r2"), "length_of_text"))

    assert "length_of_text: not written yet" in stub.status()
    assert "nonsense" in wrong.status()


def test_page_of_bss_is_the_tasks_own_after_the_mended_function() -> None:
    padded = after(driven(Padded(), use=function(pad(RIGHT_PADS[0]), "padzero")), ("load", "writer", 0),
                   ("clear", 3))

    assert [padded.entries(task)[0].owner for task in ("writer", "private")] == ["storage", "private"]
    assert padded.entries("writer")[0].shows == "apple"
    assert padded.pages("private")[:4] == b"app\0"


def test_function_with_the_bug_clears_the_file_for_all() -> None:
    padded = after(driven(Padded(), use=function(pad(WRONG_PADS[0][1]), "padzero")), ("load", "writer", 0),
                   ("clear", 3))

    assert padded.pages("writer")[:4] == b"app\0"


def test_every_belief_about_bss_leaves_something_else() -> None:
    assert len({str(believed(belief)) for belief in BELIEFS}) == len(BELIEFS)


def test_bill_is_told_or_that_nobody_has_taken_it_apart() -> None:
    right = function(bill(RIGHT_BILLS[0]), "once_and_each")

    assert "for each guest" in told_of(right, in_place=True)
    assert told_of(function(bill(STUB), "once_and_each"), in_place=True) == "once_and_each: not written yet"


def test_situations_stay_the_same_and_end_in_several_ways() -> None:
    assert situation(20) == situation(20)
    assert {shared_areas(case) for case in SITUATIONS} == {
        frozenset(), frozenset({"text"}), frozenset({"text", "data"}), frozenset({"text", "rodata"})}
