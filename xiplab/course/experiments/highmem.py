"""Notebook 09, first part: a ramdisk whose pages have no permanent kernel address.

    page table of a program ──► frame                works for any frame
    xip_file_read ──► kernel's address ──► frame     needs an address, for as long as the disk is open

`Highmem` boots a guest with a ramdisk and a file of twelve pages on it, mounted with xip. Three drivers
can stand behind the ramdisk:

    experiment = Highmem()
    experiment.driver("highmem")        pages in highmem, address as it comes: 2.6.25 (Q24)
    experiment.driver("kmap")           pages in highmem, and a slot taken for each address
    experiment.driver("lowmem")         pages that have an address for good
    experiment.plug(brd_page)           and one that takes its pages and addresses from brd_page
    experiment.read(3)                  read() of page 3: through the kernel's address
    experiment.load(3)                  the program loads from page 3 of its mapping
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from xiplab.course.experiments.stage import Stage, action
from xiplab.errors import ProgramInterruption
from xiplab.guest import ZVM, Guest
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.brd import brd_direct_access, brd_init
from xiplab.linux.fs.ext2.inode import ext2_bmap
from xiplab.linux.include.blkdev import WRITE, BlockDevice
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.linux.mm import highmem, page_alloc
from xiplab.linux.mm.highmem import Pkmap, alloc_highpage, highmem_init, kmap, page_address
from xiplab.linux.mm.page_alloc import alloc_page
from xiplab.ondisk import Bytes
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, GiB, KiB, Paddr, Pfn, Sector, paddr_to_pfn

Function: TypeAlias = Callable[..., Any]

PAGES, SLOTS = 12, 8
SIZE = 256 * KiB
SPARE = 16
"""Frames of highmem that the ramdisk leaves free."""
HIGHMEM = Paddr(1 * GiB)
FILE = "/mnt/text"
DRIVERS = ("highmem", "kmap", "lowmem")


def content(page: int) -> bytes:
    """What page `page` of the file holds."""
    return f"This is page {page:2}.".encode() * (PAGE_SIZE // 16)


@cache
def image() -> Bytes:
    return mke2fs(SIZE, tree={"text": b"".join(map(content, range(PAGES)))})


def direct_access_with_kmap(bdev: BlockDevice, sector: Sector) -> tuple[int, Pfn]:
    """brd's answer with an address that can be used: a slot, which nobody gives back."""
    _, pfn = brd_direct_access(bdev, sector)
    return kmap(bdev.bd_disk.kernel, pfn), pfn


def kernel_functions(kernel: Kernel) -> tuple[Function, ...]:
    """The functions of Linux that a learner's brd_page is given, in order."""
    def alloc_page() -> Pfn:
        return page_alloc.alloc_page(kernel, "ramdisk")

    def alloc_highpage() -> Pfn:
        return highmem.alloc_highpage(kernel, "ramdisk")

    def kmap(pfn: int) -> int:
        return highmem.kmap(kernel, Pfn(pfn))

    def page_address(pfn: int) -> int:
        return highmem.page_address(kernel, Pfn(pfn))

    return alloc_page, alloc_highpage, kmap, page_address


def pages_by(function: Function) -> Callable[[Kernel, str], Pfn]:
    """How the ramdisk gets a page that nobody has written yet."""
    def get_page(kernel: Kernel, kind: str) -> Pfn:
        pfn: Pfn = function(None, True, *kernel_functions(kernel))[1]
        return pfn

    return get_page


def direct_access_by(function: Function) -> Callable[[BlockDevice, Sector], tuple[int, Pfn]]:
    """direct_access of a page that is there: the function names its address."""
    def direct_access(bdev: BlockDevice, sector: Sector) -> tuple[int, Pfn]:
        _, pfn = brd_direct_access(bdev, sector)
        found: tuple[int, Pfn] = function(pfn, True, *kernel_functions(bdev.bd_disk.kernel))
        return found

    return direct_access


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an access: "read" or "load" of a page, the first bytes, or an errno's name."""

    how: str
    page: int
    data: bytes = b""
    error: str = ""

    @property
    def right(self) -> bool:
        return self.data == content(self.page)[:len(self.data)] and not self.error


class Highmem(Stage):
    """A guest with highmem, eight slots for kmap, and a ramdisk.

    Attributes:
        guest: LINUX1. how: the driver behind the ramdisk. outcomes: what came of each access, in order.
        trouble: why a learner's driver is not behind it.
    """

    guest: Guest
    how: str
    outcomes: list[Outcome]

    def build(self) -> None:
        self._boot("highmem")

    @action
    def driver(self, how: str) -> None:
        """Boot again, with another driver behind the ramdisk.

        Raises:
            OSError: EINVAL for a driver that is none of DRIVERS.
        """
        if how not in DRIVERS:
            raise OSError(errno.EINVAL, f"driver {how!r}: not one of {', '.join(DRIVERS)}")
        self._boot(how)

    @action
    def plug(self, function: Function) -> None:
        """Boot with a driver that takes its pages and their addresses from `function`; if that fails, with
        the one of 2.6.25."""
        try:
            function(None, True, *kernel_functions(self.guest.kernel))
            self._boot("plugged", function)
        except (OSError, ProgramInterruption) as failure:
            self._boot("highmem")
            self.trouble = f"The guest could not use the ramdisk: {failure}."

    @action
    def read(self, page: int) -> None:
        """read() of the first bytes of page `page`: the kernel copies them, through its own address.

        Raises:
            OSError: EINVAL for a page that the file does not have.
        """
        fd = self.guest.open(FILE)
        try:
            data = self.guest.pread(fd, 16, self._offset(page))
            self._note(Outcome("read", page, data))
        except OSError as failure:
            if failure.errno == errno.EINVAL:
                raise
            name = "EDEADLK" if failure.errno == errno.EDEADLK else errno.errorcode[failure.errno or 0]
            self._note(Outcome("read", page, error=name))
        finally:
            self.guest.close(fd)

    @action
    def load(self, page: int) -> None:
        """The program loads the first bytes of page `page` from its mapping, through its page table.

        Raises:
            OSError: EINVAL for a page that the file does not have.
        """
        offset = self._offset(page)
        self._note(Outcome("load", page, self.text[offset:offset + 16]))

    def _boot(self, how: str, function: Function | None = None) -> None:
        self.how, self.outcomes, self.trouble = how, [], ""
        self.guest = ZVM().logon("LINUX1")
        kernel, npages = self.guest.kernel, (SIZE >> PAGE_SHIFT) + SPARE
        kernel.memory.attach(HIGHMEM, kernel.memory.storage.allocate(npages), npages, writable=True,
                             name="highmem")
        first = paddr_to_pfn(HIGHMEM)
        highmem_init(kernel, Zone(first, Pfn(first + npages), first), SLOTS)
        get_page = alloc_page if how == "lowmem" else alloc_highpage
        brd_init(kernel, 1, SIZE // KiB, get_page=get_page if function is None else pages_by(function))
        transfer(WRITE, bdget(kernel, "ram0"), Sector(0), np.array(image()))
        if how == "kmap":
            self.guest.plug("ram0", direct_access=direct_access_with_kmap)
        elif function is not None:
            self.guest.plug("ram0", direct_access=direct_access_by(function))
        self.guest.mount("/dev/ram0", "/mnt", "ext2", "ro,xip")
        self.text = self.guest.mmap(self.guest.open(FILE))

    def _offset(self, page: int) -> int:
        if not 0 <= page < PAGES:
            raise OSError(errno.EINVAL, f"page {page}: the file has {PAGES}")
        return page * PAGE_SIZE

    def _note(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.mark(f"pgoff:{outcome.page}")

    # ---- what there is to see ----

    def slots(self) -> list[Pfn | None]:
        """The frame in each slot of kmap."""
        pkmap: Pkmap = self.guest.kernel.statics["highmem"]
        return [pkmap.slots.get(number) for number in range(pkmap.nslots)]

    def frame(self, page: int) -> Pfn:
        """The frame that holds page `page` of the file; nobody's page table changes."""
        filp = self.text.vma.vm_file
        assert filp is not None
        pages: dict[int, Pfn] = bdget(self.guest.kernel, "ram0").bd_disk.private_data.brd_pages
        return pages[ext2_bmap(filp.f_mapping, page)]

    def address(self, page: int) -> int:
        """The kernel's address of page `page` of the file; 0 if it has none."""
        return page_address(self.guest.kernel, self.frame(page))

    def sentence(self) -> str:
        if self.trouble:
            return self.trouble
        if not self.outcomes:
            return f"The ramdisk's driver is {self.how!r}. Nobody has read the file yet."
        last = self.outcomes[-1]
        name = {"read": "read()", "load": "The program's mapping"}[last.how]
        if last.error:
            return (f"{name} of page {last.page} fails with {last.error}: all {SLOTS} slots are in use. "
                    "Linux would sleep here until somebody gives one back. Nobody does.")
        verdict = "That is right." if last.right else "That is wrong, and there was no error."
        return f"{name} of page {last.page} gives {last.data!r}. {verdict}"
