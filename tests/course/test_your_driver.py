"""The devices of notebook 03 with functions of the learner's in the driver."""

from __future__ import annotations

from typing import Any

import pytest

from xiplab.course.experiments.devices import Devices
from xiplab.course.experiments.your_driver import YourDriver
from xiplab.course.questions import ex03_bio, ex03_end, ex03_shared
from xiplab.course.trial import driven


def done(experiment: Devices) -> tuple[object, ...]:
    """What comes of some calls."""
    experiment.echo("part1:part2", "add")
    experiment.open("dcssblk0")
    said = [experiment.read("dcssblk0", 8), experiment.write("dcssblk0", 4088, "Hi"),
            experiment.direct_access("dcssblk0", 4088), experiment.held_text(),
            experiment.direct_access("dcssblk0", 4096)]
    experiment.close("dcssblk0")
    return *said, experiment.echo("0", "PART1/shared"), experiment.file("PART1/shared")


def test_right_functions_do_what_the_driver_does() -> None:
    yours = driven(YourDriver(), use_make_request=ex03_bio.right, use_direct_access=ex03_end.right,
                   use_shared_store=ex03_shared.right)

    assert done(yours) == done(Devices())


def test_wrong_end_is_seen() -> None:
    yours = driven(YourDriver(), use_direct_access=ex03_end.a_byte_short)
    yours.echo("part1", "add")
    yours.open("dcssblk0")

    assert "4095 bytes" in yours.direct_access("dcssblk0", 2040)


def test_bio_of_two_pieces_brings_two_pages() -> None:
    """Or the same one twice, if the driver does not go on to the next."""
    for make_request, second in ((ex03_bio.right, "PART1 page 2"),
                                 (ex03_bio.all_to_the_first, "PART1 page 1")):
        yours = driven(YourDriver(), use_make_request=make_request)
        yours.echo("part1", "add")
        yours.open("dcssblk0")
        said = yours.read_pages("dcssblk0", 8, 2)

        assert "completed 1 times" in said
        assert said.endswith(f"'PART1 page 1', '{second}'.")


@pytest.mark.parametrize("value", [None, 7, (1, 2), (1, 2, "3")])
def test_value_of_no_use_is_told(value: Any) -> None:
    yours = driven(YourDriver(), use_direct_access=lambda bdev, sector, size: value)
    yours.echo("part1", "add")
    yours.open("dcssblk0")

    assert "not three whole numbers" in yours.direct_access("dcssblk0", 0)


def test_store_after_a_switch_that_did_not_happen_reaches_everybody() -> None:
    """The bug of 03.5, seen: LINUX1 believes to have a copy, and LINUX2's store is there."""
    yours = driven(YourDriver(), use_shared_store=ex03_shared.flips_always)
    yours.echo("part1", "add")
    yours.another_user("PART1")
    yours.echo("0", "PART1/shared")
    yours.other("PART1", "K")

    assert yours.file("PART1/shared") == "0"
    assert yours.stored("dcssblk0", 0).startswith("KART1")


def test_undo_keeps_the_functions() -> None:
    yours = driven(YourDriver(), use_direct_access=ex03_end.a_byte_short)
    yours.echo("part1", "add")
    yours.reset()
    yours.echo("part1", "add")
    yours.open("dcssblk0")

    assert "4095 bytes" in yours.direct_access("dcssblk0", 2040)
    assert "use_direct_access(a_byte_short)" in yours.python()
