"""Notebook 01: what copies cost, against the size of a file and the number of guests.

A file lies in a segment that some guests share. Each guest mounts it, maps the file and touches every
page once. The guests do the same in place and through the page cache; the mount option is all the
difference.

    measure(pages=16, guests=4, in_place=False)     Cost(frames, copied): one run, from its recording
    by_size(), by_guests()                          runs for the two plots
    frames_of_a_page()                              one page of a file: its frames, on each kind of device
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from xiplab.guest import ZVM, Guest
from xiplab.linux.drivers.brd import brd_init
from xiplab.linux.drivers.rd import rd_init
from xiplab.linux.include.fs import O_RDWR
from xiplab.linux.mm.filemap import shrink_page_cache
from xiplab.tools.mke2fs import mke2fs
from xiplab.trace import Recording
from xiplab.units import PAGE_SIZE, KiB, MiB

SIZES = (1, 4, 16, 64)
GUESTS = (1, 2, 4, 8)
SEGMENT = 2 * MiB
RAMDISK = 256 * KiB


@dataclass(frozen=True, slots=True)
class Cost:
    """What it took until all guests had touched all pages of the file.

    Attributes:
        frames: of the guests' own, for pages of the file. copied: bytes of the file.
    """

    pages: int
    guests: int
    in_place: bool
    frames: int
    copied: int

    def __str__(self) -> str:
        way = "in place" if self.in_place else "page cache"
        return (f"{way:10}  file of {self.pages:2} pages, {self.guests} guests: {self.frames:3} frames, "
                f"{self.copied // KiB:4} KiB copied")


@cache
def image_with_file(pages: int, size: int) -> bytes:
    """An ext2 image with one file, /file, of so many pages."""
    content = b"".join(f"page {number} ".encode().ljust(PAGE_SIZE, b".") for number in range(pages))
    return mke2fs(size, tree={"file": content}).tobytes()


def measure(pages: int, guests: int, *, in_place: bool) -> Cost:
    """Let so many guests map the file and touch each page once."""
    vm = ZVM()
    vm.segment("SHLIB", size=SEGMENT, type="SR", at=0x10000000)
    vm.load("SHLIB", image_with_file(pages, SEGMENT))
    frames = copied = 0
    for number in range(1, guests + 1):
        guest = vm.logon(f"LINUX{number}")
        guest.echo("shlib", "/sys/devices/dcssblk/add")
        guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip" if in_place else "ro")
        recording = _touch_all(guest)
        frames += recording.frames_by_kind["page cache"]
        copied += recording.bytes_copied
    return Cost(pages, guests, in_place, frames, copied)


def _touch_all(guest: Guest) -> Recording:
    """Map /mnt/file and load one byte of each page."""
    text = guest.mmap(guest.open("/mnt/file"))
    with Recording() as recording:
        for start in range(0, len(text), PAGE_SIZE):
            text[start]
    return recording


def by_size(guests: int = 4) -> list[tuple[Cost, Cost]]:
    """For files of 1 to 64 pages: through the page cache, and in place."""
    return [_both(pages, guests) for pages in SIZES]


def by_guests(pages: int = 16) -> list[tuple[Cost, Cost]]:
    """For 1 to 8 guests: through the page cache, and in place."""
    return [_both(pages, guests) for guests in GUESTS]


def _both(pages: int, guests: int) -> tuple[Cost, Cost]:
    return measure(pages, guests, in_place=False), measure(pages, guests, in_place=True)


def frames_of_a_page() -> dict[str, int]:
    """One page of a file in an ext2 file system, mapped: in how many frames of its guest it lies."""
    return {"on a disk, page cache": _on_disk(),
            "on the ramdisk brd, page cache": _on_brd("ro"),
            "on the ramdisk rd, page cache": _on_rd(),
            "on the ramdisk brd, in place": _on_brd("ro,xip")}


def _on_disk() -> int:
    guest = ZVM().logon("LINUX1")
    guest.add_disk("sda", image_with_file(1, RAMDISK))
    guest.mount("/dev/sda", "/mnt", "ext2", "ro")
    return _touch_all(guest).frames_by_kind["page cache"]


def _on_brd(options: str) -> int:
    guest = ZVM().logon("LINUX1")
    brd_init(guest.kernel, 1, RAMDISK // KiB)
    _fill(guest)
    guest.mount("/dev/ram0", "/mnt", "ext2", options)
    return 1 + _touch_all(guest).frames_by_kind["page cache"]


def _on_rd() -> int:
    guest = ZVM().logon("LINUX1")
    rd_init(guest.kernel, 1, RAMDISK // KiB, PAGE_SIZE)
    _fill(guest)
    guest.mount("/dev/ram0", "/mnt", "ext2", "ro")
    return 1 + _touch_all(guest).frames_by_kind["page cache"]


def _fill(guest: Guest) -> None:
    """Put the image on /dev/ram0; brd's copy of it in the page cache goes again."""
    fd = guest.open("/dev/ram0", O_RDWR)
    guest.pwrite(fd, image_with_file(1, RAMDISK), 0)
    guest.close(fd)
    shrink_page_cache(guest.kernel, RAMDISK // PAGE_SIZE)
