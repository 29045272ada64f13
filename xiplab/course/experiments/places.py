"""A page of a file and its names: in each setting, the places where it can be seen.

    counted(different_frames)       what a function says of each setting, a line each

The function gets the places, and two functions: shares_memory(a, b) and same_bytes(a, b).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from xiplab.course.experiments.copies import Disk, NewRamdisk, OldRamdisk
from xiplab.course.questions.stage import FILE, SEGMENT, guest_in_place, guest_with_disk, image, machine
from xiplab.course.trial import trial
from xiplab.linux.include.mm import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SIZE

Places = list[tuple[str, Bytes]]


def on_a_disk() -> Places:
    """A disk: the mapping lies on the page cache; buffer and disk are copies."""
    experiment = Disk()
    experiment.read(0)
    experiment.touch(0)
    return [*of_mapping(experiment), ("the disk", experiment.storage(0)),
            ("the program's buffer", np.frombuffer(bytearray(experiment.buffers[0]), np.uint8))]


def of_mapping(experiment: Disk) -> Places:
    page = experiment.cache_page(0)
    assert page is not None
    return [("the program's mapping", experiment.mapping().frame(0)), ("the page cache", page.frame)]


def on_new_ramdisk() -> Places:
    """brd: a copy of memory in memory."""
    experiment = NewRamdisk()
    experiment.touch(0)
    return [*of_mapping(experiment), ("the ramdisk's own page", experiment.storage(0))]


def on_old_ramdisk() -> Places:
    """rd: the page cache is the storage."""
    experiment = OldRamdisk()
    experiment.load()
    experiment.touch(0)
    return of_mapping(experiment)


def in_place(stored: bool = False) -> Places:
    """Two guests in place, one through a page cache; LINUX2 may have stored into a private mapping."""
    vm = machine()
    guests = [guest_in_place(vm, "LINUX1"), guest_in_place(vm, "LINUX2"), guest_with_disk(vm, "LINUX3")]
    shared, private = (PROT_READ, MAP_SHARED), (PROT_READ | PROT_WRITE, MAP_PRIVATE)
    ways = [shared, private if stored else shared, shared]
    maps = [guest.mmap(guest.open(FILE), 0, *way) for guest, way in zip(guests, ways, strict=True)]
    content = maps[0][:PAGE_SIZE]
    if stored:
        maps[1][9] = ord("!")
    at = image().index(content)
    return [("the segment", vm.segments[SEGMENT].mem[at:at + PAGE_SIZE]),
            *((f"the mapping of LINUX{n}", text.frame(0)) for n, text in enumerate(maps, 1))]


SETTINGS: tuple[tuple[str, Callable[[], Places]], ...] = (
    ("a disk", on_a_disk), ("the ramdisk brd", on_new_ramdisk), ("the ramdisk rd", on_old_ramdisk),
    ("a segment, in place", in_place), ("a segment, and LINUX2 has a private mapping",
                                        partial(in_place, stored=True)))


@cache
def built() -> tuple[tuple[str, Places], ...]:
    """All settings with their places; nobody changes them."""
    return tuple((name, set_up()) for name, set_up in SETTINGS)


def same_bytes(a: Any, b: Any) -> bool:
    """Whether both hold the same bytes now."""
    return bytes(a) == bytes(b)


def shares_memory(a: Any, b: Any) -> bool:
    """Whether both are the same memory. Raises TypeError for anything but two places."""
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        raise TypeError("shares_memory takes two of the places")
    return bool(np.shares_memory(a, b))


def counted(different_frames: Callable[..., Any]) -> str:
    """What the function says of each setting, or why it says nothing."""
    function, lines = trial(different_frames), []
    for name, places in built():
        try:
            said = function([frame for _, frame in places], shares_memory, same_bytes)
        except OSError as failure:
            return str(failure.strerror)
        lines.append(f"{name}: {', '.join(place for place, _ in places)}: {said} different")
    return "\n".join(lines)
