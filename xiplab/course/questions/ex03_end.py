"""Question 03.3: direct_access with a size, as in Linux 4.0, where the device was a byte too short."""

from __future__ import annotations

import errno
from functools import partial
from random import Random
from typing import Any

import numpy as np

from xiplab.course.experiments.your_driver import plug_direct_access
from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.ex03_machine import DISK, NAMES, Machine, machine
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Step, judge_play, name_of, outcome
from xiplab.errors import ProgramInterruption, Signal
from xiplab.linux.drivers.dcssblk import dcssblk_direct_access
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SECTORS, PAGE_SHIFT, PAGE_SIZE, SECTOR_SIZE, MiB, Pfn, Sector

TEXT = b"This page is the last one of the disk.\n"


def right(bdev: BlockDevice, sector: Sector, size: int) -> tuple[int, Pfn, int]:
    """The driver's own answer, and how many bytes the disk still has there."""
    kaddr, pfn = dcssblk_direct_access(bdev, sector)
    return kaddr, pfn, min(size, (bdev.bd_disk.capacity - sector) * SECTOR_SIZE)


def place(bdev: BlockDevice, sector: int) -> tuple[int, int]:
    kaddr = bdev.bd_disk.private_data.start + sector * SECTOR_SIZE
    return kaddr, kaddr >> PAGE_SHIFT


def left(bdev: BlockDevice, sector: int) -> int:
    return (bdev.bd_disk.capacity - sector) * SECTOR_SIZE


def within(bdev: BlockDevice, sector: int, nbytes: int) -> None:
    """OSError ERANGE unless at least so many bytes are left from the sector on."""
    if left(bdev, sector) < nbytes:
        raise OSError(errno.ERANGE, "behind the end")


def a_byte_short(bdev: BlockDevice, sector: int, size: int) -> tuple[int, int, int]:
    within(bdev, sector, 2)
    return *place(bdev, sector), min(size, left(bdev, sector) - 1)


def as_asked(bdev: BlockDevice, sector: int, size: int) -> tuple[int, int, int]:
    within(bdev, sector, 1)
    return *place(bdev, sector), size


def whole_pages_only(bdev: BlockDevice, sector: int, size: int) -> tuple[int, int, int]:
    within(bdev, sector, 2)
    return *place(bdev, sector), min(size, (left(bdev, sector) - 1) // PAGE_SIZE * PAGE_SIZE)


def last_page_is_behind(bdev: BlockDevice, sector: int, size: int) -> tuple[int, int, int]:
    within(bdev, sector, PAGE_SIZE + 1)
    return *place(bdev, sector), min(size, left(bdev, sector) - 1)


def nothing_is_an_answer(bdev: BlockDevice, sector: int, size: int) -> tuple[int, int, int]:
    within(bdev, sector, 0)
    return *place(bdev, sector), min(size, left(bdev, sector))


def without_end(bdev: BlockDevice, sector: int, size: int) -> tuple[int, int, int]:
    return *place(bdev, sector), min(size, left(bdev, sector))


BELIEFS = (("end-minus-start", a_byte_short), ("size-is-granted", as_asked),
           ("whole-pages-mend-it", whole_pages_only), ("whole-pages-mend-it", last_page_is_behind),
           ("nothing-is-an-answer", nothing_is_an_answer), ("nobody-asks-behind-the-end", without_end))


def play(pages: tuple[int, int], start: int, asked: list[tuple[int, int]], direct_access: Function
         ) -> list[Step]:
    """Ask for pages of a disk; what comes back, as text."""
    made = machine(pages, start=start)
    end = made.info.end
    seen = []
    for page, npages in asked:
        given = (f"a disk from {start:#x} to {end:#x}, sector {page * PAGE_SECTORS}, "
                 f"size {npages * PAGE_SIZE:,}")
        seen.append((given, outcome(lambda page=page, npages=npages: readable(
            direct_access(made.bdev, page * PAGE_SECTORS, npages * PAGE_SIZE)))))
    return seen


class Words(str):
    """A text that is its own repr."""

    def __repr__(self) -> str:
        return str(self)


def readable(value: Any) -> Words:
    if isinstance(value, tuple | list) and [type(item) for item in value] == [int, int, int]:
        return Words(f"address {value[0]:#x}, frame {value[1]:#x}, {value[2]:,} bytes")
    return Words(repr(value))


def check_sizes(answer: Answer, random: Random) -> None:
    """Made-up disks: the first page, the last one, across both segments, and behind the end."""
    for _ in range(2):
        pages = random.randrange(1, 3) * 256, random.randrange(1, 3) * 256
        total, start = sum(pages), random.randrange(256, 1024) * MiB
        asked = [(0, 1), (total - 1, 1), (pages[0] - 1, 2), (total - 2, 2), (total - 3, 8), (0, total),
                 (random.randrange(1, total - 9), random.randrange(1, 9)), (total, 1), (total + 1, 1),
                 (total + 1 + random.randrange(total), 1)]
        judge_play(partial(play, pages, start, asked), seam(answer, "direct_access"), right, BELIEFS,
                   "The answer for this sector is not right.")


def with_last_page_in_use(made: Machine) -> None:
    """A file system on the disk, whose file /last lies in the very last page."""
    size = made.bdev.bd_disk.capacity * SECTOR_SIZE
    image = mke2fs(size, tree={"last": TEXT.decode()}, layout={"/last": [size // PAGE_SIZE - 1]})
    done = 0
    for name in NAMES:
        memory = made.vm.segments[name].mem
        memory[:] = np.frombuffer(image, np.uint8)[done:done + len(memory)]
        done += len(memory)


def check_mounted(answer: Answer, random: Random) -> None:
    """A guest mounts the disk in place with the answer as direct_access, and reads its last page."""
    made = machine()
    with_last_page_in_use(made)
    plug_direct_access(made.guest, DISK, seam(answer, "direct_access"))
    try:
        made.guest.mount(f"/dev/{DISK}", "/mnt", "ext2", "ro,xip")
        content = made.guest.cat("/mnt/last")
        shared = np.shares_memory(made.guest.mmap(made.guest.open("/mnt/last")).frame(0),
                                  made.vm.segments[NAMES[1]].mem)
    except (OSError, ProgramInterruption, Signal) as failure:
        raise Wrong("The guest could not read the file that lies in the last page of the disk.",
                    given="cat /mnt/last", expected=TEXT.decode().strip(),
                    got=name_of(failure.errno) if isinstance(failure, OSError) else str(failure)) from failure
    if content != TEXT or not shared:
        raise Wrong("The guest read another page than the last one.", given="cat /mnt/last",
                    expected=TEXT.decode().strip(), got=repr(content[:40]))
