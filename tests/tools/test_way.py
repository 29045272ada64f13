"""The way from the superblock to one byte: against debugfs's blocks, and on damaged images."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from xiplab.ondisk import Bytes
from xiplab.tools import debugfs
from xiplab.tools.image import shipped_image
from xiplab.tools.mke2fs import mke2fs
from xiplab.tools.way import Stop, way
from xiplab.units import MiB

GREETING = 18816
"""Where inode 20 begins in the shipped image."""


@pytest.fixture
def image() -> Bytes:
    return np.frombuffer(bytearray(shipped_image()), np.uint8)


def taken(image: Bytes, path: str, position: int) -> tuple[list[Stop], int]:
    """The stops until the way ends, and the errno that ended it."""
    stops: list[Stop] = []
    try:
        for stop in way(image, path, position):
            stops.append(stop)
    except OSError as failure:
        return stops, failure.errno or 0
    return stops, 0


@pytest.mark.parametrize("path", ["/lib/greeting", "/lib/fragmented", "/holes", "/etc/motd", "/bin/hello"])
def test_way_ends_at_the_byte_that_debugfs_finds(image: Bytes, path: str) -> None:
    content, blocks = debugfs.cat(image, path), debugfs.blocks(image, path)
    for position in range(0, len(content), 1001):
        block = blocks[position // 4096]
        last = taken(image, path, position)[0][-1]

        if block:
            assert last.start == block * 4096 + position % 4096
            assert image[last.start] == content[position]
        else:
            assert "a hole" in last.leads


def test_each_stop_names_a_field_of_the_overlay(image: Bytes) -> None:
    for stop in taken(image, "/holes", 61443)[0]:
        block = stop.start // 4096
        pieces = debugfs.overlay(image, block)
        at = next(p for p in pieces if p.offset <= stop.start - block * 4096 < p.offset + p.length)

        assert stop.name in (at.name, "data")


@pytest.mark.parametrize("blocksize", [1024, 4096])
def test_way_goes_through_two_levels_of_pointers(blocksize: int) -> None:
    """A page behind 12 + 1,024 (or 256) others; the blocks on the way are all different."""
    content = bytes(12 * blocksize + blocksize // 4 * blocksize + 5 * blocksize) + b"x" * blocksize
    image = mke2fs(16 * MiB, tree={"far": content}, blocksize=blocksize)
    stops, _ = taken(image, "/far", len(content) - 1)

    assert [stop.text.split()[0] for stop in stops[-4:]] == ["slot", "indirect", "indirect", "byte"]
    assert "'x'" in stops[-1].leads


def test_short_link_is_read_from_the_slots(image: Bytes) -> None:
    last = taken(image, "/hello", 4)[0][-1]

    assert image[last.start] == ord("h")
    assert last.name == "inode 14: i_block[1]"


def test_position_behind_the_end_is_said(image: Bytes) -> None:
    assert "behind the end: there are 59" in taken(image, "/etc/motd", 59)[0][-1].leads


@pytest.mark.parametrize(("path", "position", "number"), [
    ("/lib/nope", 0, errno.ENOENT), ("/etc/motd/x", 0, errno.EUCLEAN), ("/etc/motd", -1, errno.EINVAL)])
def test_way_that_leads_nowhere_raises(image: Bytes, path: str, position: int, number: int) -> None:
    assert taken(image, path, position)[1] == number


@pytest.mark.parametrize(("place", "value", "stops", "number"), [
    (1024 + 56, 0, 0, errno.EINVAL), (GREETING + 41, 0xFF, 10, errno.EUCLEAN),
    (57388, 200, 8, errno.EUCLEAN), (57388 + 4, 0, 7, errno.EUCLEAN)])
def test_damage_ends_the_way_where_it_is_met(image: Bytes, place: int, value: int, stops: int,
                                             number: int) -> None:
    """The magic number; slot 0 of the file; the inode of a record; its length."""
    image[place] = value
    way_of = taken(image, "/lib/greeting", 0)

    assert (len(way_of[0]), way_of[1]) == (stops, number)


def test_any_damaged_byte_ends_in_a_stop_or_an_oserror(image: Bytes) -> None:
    """Each byte of the superblock, the descriptor, the directories and inode 20, flipped."""
    places = [*range(1024, 1124), *range(4096, 4128), *range(24576, 24700), *range(GREETING, GREETING + 100)]
    for place in places:
        image[place] ^= 0xFF
        stops, _ = taken(image, "/lib/greeting", 5000)
        image[place] ^= 0xFF

        assert len(stops) < 1500
