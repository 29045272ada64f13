"""Exercise 09: what the common test does not know; the learner's functions in the pictures."""

from __future__ import annotations

from typing import Any

import pytest
from answers_09 import RIGHT_COSTS, RIGHT_PAGES, RIGHT_READERS, WRONG_PAGES, WRONG_READERS, cost, page, reader

from xiplab.course.experiments.flash import Flash
from xiplab.course.experiments.highmem import PAGES, Highmem
from xiplab.course.questions.ex09_flash import BELIEFS, believed, left_behind, read_while_erasing
from xiplab.course.questions.ex09_measure import Meter
from xiplab.course.questions.ex09_predict import outcome, situation
from xiplab.course.trial import after, driven
from xiplab.hw import nor

STUB = "raise NotImplementedError()"


def function(source: str, name: str) -> Any:
    """What a cell defines, after the notebook's imports."""
    names: dict[str, Any] = dict(vars(nor))
    exec(source, names)
    return names[name]


def test_right_reader_serves_the_drivers_read_while_it_erases() -> None:
    for body in RIGHT_READERS:
        flash = driven(Flash(), plug=function(reader(body), "read_while_erasing"))
        after(flash, ("program", 0x10, 0x4A), ("erase", 9), ("read", 0x10))

        assert "gives 0x4a, which is right" in flash.sentence()
        assert [command for _, command in flash.cycles][:1] in (["suspend"], ["read status"])

        flash.wait(2_000)
        assert flash.chip.running is None
        assert set(flash.log_cells(0x8000)) == {0xFF}


def test_reader_that_does_not_suspend_shows_the_status_in_the_picture() -> None:
    flash = driven(Flash(), plug=function(reader(WRONG_READERS[0][1]), "read_while_erasing"))
    after(flash, ("program", 0x10, 0x4A), ("erase", 9), ("read", 0x10))

    assert "gives 0x00, which is wrong" in flash.sentence()


def test_reader_that_is_not_written_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    flash = driven(Flash(), plug=function(reader(STUB), "read_while_erasing"))
    after(flash, ("erase", 9), ("read", 0x10))

    assert capsys.readouterr().out == "read_while_erasing: not written yet\n"
    assert "not written yet" in flash.status()


def test_every_belief_of_a_reader_leaves_something_else() -> None:
    left = [str(believed(belief)) for belief in BELIEFS]

    assert len(set(left)) == len(BELIEFS)
    assert str(left_behind(read_while_erasing)) not in left


@pytest.mark.parametrize("body", RIGHT_PAGES)
def test_mended_ramdisk_gives_every_page_in_the_picture(body: str) -> None:
    ramdisk = driven(Highmem(), plug=function(page(body), "brd_page"))
    for number in range(PAGES):
        ramdisk.read(number)
        ramdisk.load(number)

    assert all(outcome.right for outcome in ramdisk.outcomes)


def test_ramdisk_of_2_6_25_gives_wrong_bytes_without_an_error() -> None:
    ramdisk = after(driven(Highmem(), plug=function(page(WRONG_PAGES[0][1]), "brd_page")), ("read", 3))

    assert not ramdisk.outcomes[0].right
    assert not ramdisk.outcomes[0].error


def test_ramdisk_that_lends_addresses_cannot_be_used_and_says_so() -> None:
    ramdisk = driven(Highmem(), plug=function(page(WRONG_PAGES[1][1]), "brd_page"))

    assert ramdisk.how == "highmem"
    assert "could not use the ramdisk" in ramdisk.status()


def test_ramdisk_boots_as_it_was_while_the_function_is_not_written() -> None:
    ramdisk = after(driven(Highmem(), plug=function(page(STUB), "brd_page")), ("read", 3))

    assert ramdisk.how == "highmem"
    assert "brd_page: not written yet" in ramdisk.status()


def test_meter_tells_what_a_function_finds_or_that_it_is_not_written() -> None:
    right = function(cost(RIGHT_COSTS[0]), "cost_of_loading")
    meter = Meter(0, "LINUX1", 2)

    assert meter.told(right).startswith(f"{meter.copied} bytes copied, {meter.frames} frames taken")
    assert Meter(0, "LINUX1", 1).told(function(cost(STUB), "cost_of_loading")) == (
        "cost_of_loading: not written yet")


def test_situations_end_in_all_kinds_of_ways_and_stay_the_same() -> None:
    seen = [outcome(situation(number)) for number in range(60)]

    assert {program for _, program, _ in seen} == {"code", "status"}
    assert {erase for _, _, erase in seen} == {"done", "under way", "waiting"}
    assert situation(5) == situation(5)
