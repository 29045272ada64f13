"""Exercise 07: what the common test does not know; the learner's handler in the picture, the model's own."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from answers_07 import FAULT, WRONG_RACES, fault, locked

from xiplab.course.experiments.fault_handler import VM_FAULT_NOPAGE, VM_FAULT_SIGBUS
from xiplab.course.experiments.mapping import MapInPlace
from xiplab.course.questions.ex07_measure import Counted, areas_of, in_segment, own_frames, used
from xiplab.course.questions.ex07_predict import FRAMES, frames_after, situation
from xiplab.course.questions.ex07_race import Raced, cut, filled
from xiplab.course.trial import after, driven
from xiplab.linux.include.mm import VM_SHARED


def function(source: str, name: str) -> Any:
    """What a cell defines, after the notebook's imports."""
    names: dict[str, Any] = {"PAGE_SIZE": 4096, "VM_SHARED": VM_SHARED, "VM_FAULT_SIGBUS": VM_FAULT_SIGBUS,
                             "VM_FAULT_NOPAGE": VM_FAULT_NOPAGE}
    exec(f"import errno\n{source}", names)
    return names[name]


def test_right_handler_drives_the_picture() -> None:
    experiment = driven(MapInPlace(), plug=function(fault(FAULT), "xip_file_fault"))
    for task, page in (("reader", 0), ("reader", 1), ("private", 2)):
        experiment.load(task, page)

    owners = [[entry.owner for entry in experiment.entries(task)] for task in ("reader", "private")]
    assert owners == [["storage", "sparse", "", ""], ["", "", "storage", ""]]


def test_handler_that_is_not_written_says_so_and_shows_no_frame() -> None:
    experiment = driven(MapInPlace(), plug=function(fault("raise NotImplementedError()"), "xip_file_fault"))
    with pytest.raises(OSError, match="not written yet"):
        experiment.load("reader", 0)

    assert "xip_file_fault: not written yet" in experiment.status()
    assert experiment.entries("reader")[0].pfn is None


def test_handler_that_breaks_down_is_no_sigbus() -> None:
    """A mistake of the function's is told as one, although Linux would make SIGBUS of an OSError."""
    experiment = driven(MapInPlace(), plug=function(fault("return missing"), "xip_file_fault"))

    with pytest.raises(OSError, match="NameError"):
        experiment.load("reader", 0)


@pytest.mark.parametrize(("act", "page", "shows"), [(filled, 1, "zeros"), (cut, 2, "secret")])
def test_handler_with_the_bugs_shows_a_wrong_page_in_the_picture(act: Any, page: int, shows: str) -> None:
    """As it was in Linux; another processor acts before the second call."""
    raced = driven(Raced(act, at=1), plug=function(locked(WRONG_RACES[0][1]), "fault_with_lock"))
    raced.load("reader", page)

    assert raced.entries("reader")[page].shows == shows


def test_counted_says_the_learners_number_beside_linuxs() -> None:
    counted = driven(Counted(), count=lambda *args: 7)
    counted.load("reader", 1)

    assert "own_frames says 7; LINUX1 has given 1." in counted.sentence()


def test_own_frames_are_those_of_the_page_tables() -> None:
    for number in range(20):
        machine = used(Random(number))
        inside = in_segment(machine)
        pfns = {entry.pfn for task in machine.tasks for entry in machine.entries(task)} - {None}

        assert own_frames(machine) == len([pfn for pfn in pfns if not inside(pfn)])
        assert len(areas_of(machine)) == 3


def test_situations_end_in_every_kind_of_frame_and_stay_the_same() -> None:
    seen = [word for number in range(60) for word in frames_after(situation(number))]

    assert set(seen) == set(FRAMES)
    assert situation(7) == situation(7)


def test_calls_on_a_stub_end_at_the_first_and_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    stub = function(fault("raise NotImplementedError()"), "xip_file_fault")
    experiment = after(driven(MapInPlace(), plug=stub), ("load", "reader", 0), ("load", "reader", 1))

    assert capsys.readouterr().out == "xip_file_fault: not written yet\n"
    assert experiment.actions == []
