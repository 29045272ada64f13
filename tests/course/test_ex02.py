"""Exercise 02: what its checks rest on."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from xiplab.course.experiments.segments import Segments
from xiplab.course.experiments.your_extmem import DcssLock, YourExtmem, placed
from xiplab.course.questions import ex02_place, ex02_save
from xiplab.course.questions.ex02_place import Trial
from xiplab.course.questions.ex02_store import BELIEFS, TYPES, Situation, seen_by, situation, truth_of
from xiplab.course.questions.twin import outcome
from xiplab.course.trial import driven
from xiplab.linux.arch.s390.extmem import DcssSegment

ALL = [Situation(*case) for case in product(TYPES, ("shared", "exclusive"), (False, True))]


@pytest.mark.parametrize("case", ALL, ids=str)
def test_rule_says_who_sees_the_letter_in_the_model(case: Situation) -> None:
    """So a belief differs from the model in the one thing that it says."""
    assert seen_by(case) == truth_of(case)


@pytest.mark.parametrize("belief", BELIEFS)
def test_each_belief_differs_somewhere(belief: str) -> None:
    assert any(seen_by(case, belief) != truth_of(case) for case in ALL)


def test_situations_are_fresh_and_cover_all() -> None:
    assert {situation(number) for number in range(400)} == set(ALL)


@pytest.mark.parametrize("trial", ex02_place.trials(Random(5)), ids=str)
def test_tests_of_the_old_release_answer_as_the_model(trial: Trial) -> None:
    """Each trial can be refused for one reason only, so the order of the tests does not matter."""
    old = ex02_place.checking(behind=ex02_place.behind_the_end)

    assert ex02_place.play(trial, old) == ex02_place.play(trial, ex02_place.right)


def test_lock_that_is_held_or_free_is_told() -> None:
    lock = DcssLock()
    lock.lock()

    assert "EDEADL" in outcome(lock.lock)
    lock.unlock()
    assert "EPERM" in outcome(lock.unlock)


def test_right_functions_do_what_extmem_does() -> None:
    def modify_shared(seg: DcssSegment, mode: int, purge, load, destroy) -> None:  # type: ignore[no-untyped-def]
        purge(seg)
        load(seg, mode)
        seg.do_nonshared = mode

    yours = driven(YourExtmem(), use_modify_shared=modify_shared, use_segment_save=ex02_save.right)
    for experiment in (yours, theirs := Segments()):
        experiment.load("LINUX1", "SHLIB")
        experiment.reload("LINUX1", "SHLIB", "exclusive")
        experiment.store("LINUX1", "SHLIB", "J")
        experiment.save("LINUX1", "SHLIB")

    assert yours.catalogue() == theirs.catalogue()
    assert yours.loaded("LINUX1") == theirs.loaded("LINUX1")


def test_save_after_a_lock_that_stays_held_waits_for_ever() -> None:
    yours = driven(YourExtmem(), use_segment_save=ex02_save.kept)
    yours.load("LINUX1", "SHLIB")
    yours.save_unknown("LINUX1", "NOSUCH")

    assert "waits for ever" in yours.save("LINUX1", "SHLIB")


def test_places_are_told_and_a_stub_is_named() -> None:
    def stub(*args: object) -> None:
        raise NotImplementedError

    good = placed(ex02_place.checking(behind=ex02_place.behind_the_end)).splitlines()

    assert [line.split(": ")[1].split(",")[0] for line in good[1:]] == [
        "fits", "fits", "ERANGE", "EBUSY", "ENOSPC"]
    assert "not written yet" in placed(stub)
