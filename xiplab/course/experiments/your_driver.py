"""The devices of notebook 03 with functions of the learner's in the driver.

    experiment = driven(YourDriver(), use_direct_access=direct_access)      trial.py
    experiment.echo("part1", "add")                     every disk added from now on asks the function
    experiment.read_pages("dcssblk0", 0, 2)             one bio of two pieces
    experiment.another_user("PART1")                    something else in LINUX1 loads the segment, too

Each function gets the kernel's objects, and as arguments the kernel's functions that it needs; so the
same one works here, in a check and through a pipe.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from xiplab.course.experiments.devices import ROOT, SHOWN, Devices
from xiplab.course.experiments.stage import action
from xiplab.course.start import text_of
from xiplab.guest import Guest
from xiplab.linux.arch.s390.extmem import (
    SEGMENT_EXCLUSIVE,
    SEGMENT_SHARED,
    segment_load,
    segment_modify_shared,
    segment_save,
)
from xiplab.linux.block.blk_core import bio_endio, submit_bio
from xiplab.linux.block.genhd import bdget, set_disk_ro
from xiplab.linux.drivers.dcssblk_io import READ_ONLY_TYPES, DcssblkDevInfo, copy_pages
from xiplab.linux.include.blkdev import READ, Bio, BioVec, BlockDevice, GenDisk, RequestQueue
from xiplab.units import PAGE_SIZE, Sector

Function = Callable[..., Any]


def plug_release(guest: Guest, disk: str, release: Function) -> None:
    """The driver's release is `release(info, segment_save)` from now on."""
    def released(gendisk: GenDisk, mode: int) -> None:
        release(gendisk.private_data, partial(segment_save, guest.kernel))

    guest.plug(disk, release=released)


def plug_direct_access(guest: Guest, disk: str, direct_access: Function) -> None:
    """The driver's direct_access is `direct_access(bdev, sector, size)` from now on.

    Less than a page cannot be mapped: ENXIO, as later Linux answers.
    """
    def whole(bdev: BlockDevice, sector: Sector, npages: int) -> tuple[int, int, int]:
        value = direct_access(bdev, sector, npages * PAGE_SIZE)
        if not isinstance(value, tuple | list) or [type(item) for item in value] != [int, int, int]:
            raise OSError(errno.EIO, f"direct_access returned {value!r}, not three whole numbers")
        kaddr, pfn, nbytes = value
        if nbytes < PAGE_SIZE:
            raise OSError(errno.ENXIO, f"{bdev}: sector {sector} has {nbytes} bytes, less than a page")
        ends = [s.end for s in bdev.bd_disk.private_data.seg_list if s.start <= kaddr <= s.end]
        return kaddr, pfn, min([nbytes, *(end + 1 - kaddr for end in ends)]) // PAGE_SIZE

    def one(bdev: BlockDevice, sector: Sector) -> tuple[int, int]:
        return whole(bdev, sector, 1)[:2]

    guest.plug(disk, direct_access=one, direct_access_run=whole)


def plug_make_request(guest: Guest, disk: str, make_request: Function) -> None:
    """The driver's make_request is `make_request(bio, copy_pages, bio_endio)` from now on."""
    def made(queue: RequestQueue, bio: Bio) -> None:
        make_request(bio, copy_pages, bio_endio)

    bdget(guest.kernel, disk).bd_disk.queue.make_request_fn = made


def plug_shared_store(guest: Guest, disk: str, shared_store: Function) -> None:
    """The file `shared` is written by `shared_store(info, mode, segment_modify_shared)` from now on.

    What it says then decides whether the disk may be written.
    """
    gendisk = bdget(guest.kernel, disk).bd_disk
    info: DcssblkDevInfo = gendisk.private_data

    def store(inbuf: bytes) -> int:
        mode = SEGMENT_SHARED if inbuf[:1] == b"1" else SEGMENT_EXCLUSIVE
        shared_store(info, mode, partial(segment_modify_shared, guest.kernel))
        set_disk_ro(gendisk, info.is_shared and info.segment_type in READ_ONLY_TYPES)
        return len(inbuf)

    guest.kernel.sysfs[f"{ROOT.removeprefix('/sys/')}/{info.segment_name}/shared"].store = store


class YourDriver(Devices):
    """Devices whose driver calls the learner's functions.

    Attributes:
        plugs: what is put into the driver of each disk that is added, by what it replaces.
    """

    def build(self) -> None:
        self.plugs: dict[str, Callable[[Guest, str], None]] = {}
        super().build()

    def added(self, disk: str) -> None:
        for plug in self.plugs.values():
            plug(self.linux1, disk)
        super().added(disk)

    @action
    def use_direct_access(self, direct_access: Function) -> None:
        """Disks added from now on ask direct_access(bdev, sector, size)."""
        self.plugs["direct_access"] = partial(plug_direct_access, direct_access=direct_access)

    @action
    def use_make_request(self, make_request: Function) -> None:
        """Disks added from now on send their bios to make_request(bio, copy_pages, bio_endio)."""
        self.plugs["make_request"] = partial(plug_make_request, make_request=make_request)

    @action
    def use_shared_store(self, shared_store: Function) -> None:
        """The file `shared` of disks added from now on is shared_store(info, mode, segment_modify_shared)."""
        self.plugs["shared_store"] = partial(plug_shared_store, shared_store=shared_store)

    @action
    def read_pages(self, disk: str, sector: int, pages: int) -> str:
        """One bio with a piece of memory for each page, which must lie one behind the other on the disk."""
        def read() -> str:
            memory = [np.zeros(PAGE_SIZE, np.uint8) for _ in range(pages)]
            completed: list[int] = []
            submit_bio(READ, Bio(self._opened(disk), Sector(sector), READ,
                                 [BioVec(page, PAGE_SIZE) for page in memory],
                                 bi_end_io=lambda bio: completed.append(bio.bi_error)))
            words = ", ".join(repr(text_of(bytes(page[:SHOWN])).rstrip()) for page in memory)
            return f"A bio of {pages} pieces was completed {len(completed)} times. It brought {words}."

        return self._answered(read, f"read {pages} pages of {disk} from sector {sector} on")

    @action
    def another_user(self, segment: str) -> str:
        """Something else in LINUX1 loads the segment shared, and keeps it."""
        def load() -> str:
            segment_load(self.linux1.kernel, segment, SEGMENT_SHARED)
            return f"Something else in LINUX1 uses {segment} now."

        return self._answered(load, f"load {segment}")
