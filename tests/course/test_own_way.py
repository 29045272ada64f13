"""The experiment of exercise 04: the picture goes where the learner's functions lead."""

from __future__ import annotations

from typing import Any

import pytest

from xiplab.course.experiments.own_way import OwnWay
from xiplab.course.trial import driven
from xiplab.tools import debugfs
from xiplab.widgets.ext2_bytes import scene_of

GREETING = 20


def place(image: bytes, ino: int) -> int:
    return int(debugfs.stat(image, ino)["offset"])


def block(image: bytes, inode: int, page: int) -> int:
    return debugfs.blocks(image, GREETING)[page]


def unwritten(*_: Any) -> int:
    raise NotImplementedError()


def leads(experiment: OwnWay) -> list[str]:
    return [stop.leads for stop in experiment.stops()]


def test_right_functions_lead_to_the_byte_that_the_driver_reads() -> None:
    experiment = driven(OwnWay(), use_inode_place=place, use_block_of=block)

    assert "byte 904 is 0x62, 'b'" in experiment.sentence()
    assert experiment.block == debugfs.blocks(experiment.image, GREETING)[1]
    assert experiment.driver() == "it reads 'byte 4992 ..............'."


def test_wrong_place_leads_to_another_inode_or_to_none() -> None:
    """Counting from 0 gives the neighbour, a wrong size something that is no inode."""
    neighbour = driven(OwnWay(), use_inode_place=lambda image, ino: place(image, ino) + 128)
    nothing = driven(OwnWay(), use_inode_place=lambda image, ino: place(image, ino) + 64)

    assert leads(neighbour)[0] == "there is inode 21"
    assert leads(nothing)[0].startswith("no inode begins there")
    assert "no inode" in nothing.sentence()


def test_wrong_block_is_shown() -> None:
    experiment = driven(OwnWay(), use_block_of=lambda image, inode, page: page)

    assert experiment.block == 1
    assert "group descriptors" in leads(experiment)[-1]


def test_hole_reads_as_zeros() -> None:
    experiment = driven(OwnWay(), use_block_of=lambda image, inode, page: 0)

    assert leads(experiment)[-1] == "it reads as zeros"


@pytest.mark.parametrize("value", [-1, 10**9, "6", None])
def test_impossible_answers_end_the_way_with_a_sentence(value: Any) -> None:
    by_place = driven(OwnWay(), use_inode_place=lambda image, ino: value)
    by_block = driven(OwnWay(), use_block_of=lambda image, inode, page: value)

    assert f"says {value!r}" in by_place.sentence()
    assert f"says {value!r}" in by_block.sentence()


def test_function_that_is_not_written_is_said_to_be_so() -> None:
    experiment = driven(OwnWay(), use_inode_place=unwritten)

    assert "not written yet" in experiment.status()
    assert experiment.stops() == []
    assert scene_of(experiment)["panels"]


def test_follow_undo_and_reset_keep_the_functions() -> None:
    experiment = driven(OwnWay(), use_block_of=block)
    experiment.follow("/lib/greeting", 100)
    followed = experiment.sentence()
    experiment.undo()

    assert "page 0 is" in followed
    assert "page 1 is" in experiment.sentence()
    assert experiment.block_of is not None


def test_position_behind_the_end_is_told() -> None:
    experiment = OwnWay()
    experiment.follow("/etc/motd", 5000)

    assert "behind the end" in experiment.sentence()
