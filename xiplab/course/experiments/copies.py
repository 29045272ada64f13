"""Notebook 01: a device of four pages, a program that uses it, and the copies in between.

    program     what it has read (buffer), and what its page table shows (mapping)
       │
    page cache  frames that hold copies of pages; dirty ones are newer than the device
       │
    device      sda: a disk            brd: a ramdisk of Linux 2.6.25 and later
                                       rd: the ramdisk before, whose storage IS its page cache

The device is used as one file, /dev/sda or /dev/ram0: its first byte is the device's first byte. So no
file system is needed to see what the page cache does.

    experiment = Disk()                       or NewRamdisk(), or OldRamdisk()
    experiment.read(0)                        the program reads page 0 into its buffer
    experiment.write(0, "beans")              and writes it
    experiment.touch(1), .store(1, "B")       the same through its mapping
    experiment.sync()                         msync: dirty pages go to the device
    experiment.press()                        other programs need frames: the page cache shrinks
    experiment.unmap()                        the program gives its mapping back
    experiment.change(2, "cakes")             somebody changes the device behind Linux's back
    experiment.flush()                        ioctl BLKFLSBUF
    experiment.rows(), .bill                  what each place holds, and what all this has cost
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xiplab.course.experiments.stage import Stage, action, looking
from xiplab.guest import ZVM
from xiplab.linux.drivers.brd import BrdDevice, brd_init
from xiplab.linux.drivers.rd import rd_init, rd_load_image, reserve_initrd
from xiplab.linux.include.blkdev import BLKFLSBUF, GenDisk
from xiplab.linux.include.fs import O_RDWR
from xiplab.linux.include.mm import MAP_SHARED, PROT_READ, PROT_WRITE, Page
from xiplab.linux.mm.filemap import find_get_page, shrink_page_cache
from xiplab.mapping import Mapping
from xiplab.ondisk import Bytes
from xiplab.trace import Recording
from xiplab.trace_views import label
from xiplab.units import PAGE_SIZE, KiB, Pfn, Pgoff, page_count

WORDS = ("apple", "bread", "cream", "dates")
PAGES = len(WORDS)
LONGEST = 12
IMAGE = b"".join(word.encode().ljust(PAGE_SIZE, b".") for word in WORDS)


def word_of(page: bytes | Bytes) -> str:
    """The word that a page begins with; "zeros" for an empty page."""
    start = bytes(page[:LONGEST + 1])
    return start.split(b".")[0].decode(errors="replace") if start.strip(b"\0") else "zeros"


@dataclass(frozen=True, slots=True)
class Row:
    """One page at all its places. Words are "" where the page is not.

    Attributes:
        mapped: the frame in the program's page table. cached: the frame in the page cache.
        stored: the frame that is the device's storage; None on a disk, or if there is none.
        dirty: the cached page is newer than the device. stale: it is older, and nobody knows.
    """

    number: int
    buffer: str
    mapped: Pfn | None
    cached: Pfn | None
    cache_word: str
    stored: Pfn | None
    device_word: str
    dirty: bool

    @property
    def stale(self) -> bool:
        return bool(self.cache_word and self.device_word and not self.dirty
                    and self.cache_word != self.device_word)


class Disk(Stage):
    """An ordinary disk, /dev/sda, in a guest of its own.

    Attributes:
        guest: LINUX1. disk: its device. fd: the device, open. text: the mapping, None after unmap().
        buffers: what the program has read, by page. selected: the page that the view's buttons mean.
        bill: bytes copied so far, by where from and to. path: what the last action did, step by step.
    """

    node = "/dev/sda"
    name = "disk sda"
    nothing = ""
    """What is shown of the device where it has no place for a page."""
    at_first = "The disk holds four pages. The page cache is empty."
    kinds: tuple[str, ...] = ("page cache",)
    """What frames are counted for: copies; brd's storage; a boot image before it is loaded."""

    def build(self) -> None:
        self.guest = ZVM().logon("LINUX1")
        self.disk = self.attach()
        self.fd = self.guest.open(self.node, O_RDWR)
        self.text: Mapping | None = None
        self.buffers: dict[int, bytes] = {}
        self.bill: Counter[str] = Counter()
        self.path: list[str] = []
        self.selected = 0
        self.said = self.at_first

    def attach(self) -> GenDisk:
        """Give the guest its device, with IMAGE on it."""
        return self.guest.add_disk("sda", IMAGE)

    # ---- what the program does ----

    @action
    def read(self, page: int) -> None:
        """The program reads a page into a buffer of its own."""
        at = self._position(page)
        with self._counting():
            self.buffers[page] = self.guest.pread(self.fd, PAGE_SIZE, at)
        self.mark(f"buffer:{page}")
        self.said = f"The program reads page {page} and gets “{word_of(self.buffers[page])}”."

    @action
    def write(self, page: int, word: str) -> None:
        """The program writes a page that begins with `word`."""
        at, data = self._position(page), self._page_of(word)
        with self._counting():
            self.guest.pwrite(self.fd, data, at)
        self.mark(f"pgoff:{page}")
        self.said = f"The program writes “{word}” to page {page}. {self._who_has(page)}"

    @action
    def touch(self, page: int) -> None:
        """The program loads the first byte of a page through its mapping."""
        at = self._position(page)
        with self._counting():
            value = self.mapping()[at]
        self.mark(f"page:{page}")
        self.said = f"The program loads “{chr(value)}” from page {page} of its mapping."

    @action
    def store(self, page: int, letter: str) -> None:
        """The program stores one letter into the first byte of a page, through its mapping."""
        at = self._position(page)
        if len(letter) != 1 or not letter.isascii():
            raise OSError(errno.EINVAL, f"store: {letter!r} is not one letter")
        with self._counting():
            self.mapping()[at] = ord(letter)
        self.mark(f"pgoff:{page}")
        self.said = f"The program stores “{letter}” into page {page}. {self._who_has(page)}"

    @action
    def sync(self) -> None:
        """msync: all dirty pages go to the device. Now and then Linux does that by itself."""
        dirty = [row.number for row in self.rows() if row.dirty]
        with self._counting():
            self.guest.fsync(self.fd)
        written = [page for page in dirty if not self._is_dirty(page)]
        for page in written:
            self.mark(f"block:{page}")
        self.said = f"Writeback: {_pages(written)} copied to the device." if written else (
            "Writeback: nothing was copied." + (" The pages stay dirty." if dirty else ""))

    @action
    def unmap(self) -> None:
        """The program gives its mapping back. Pages stay in the page cache."""
        if self.text is not None:
            with self._counting():
                self.text.close()
            self.text = None
        self.said = "The program has no mapping any more. The page cache keeps its pages."

    # ---- what others do ----

    @action
    def press(self) -> None:
        """Other programs need memory: Linux takes frames back from the page cache, dirty pages last to
        their device. Mapped pages stay."""
        before = self.frames()["page cache"]
        with self._counting():
            self.reclaim()
        left = [row for row in self.rows() if row.cached is not None]
        why = "they are mapped" if any(row.mapped is not None for row in left) else "they never become clean"
        self.said = (f"Memory is short: Linux takes {_frames(before - len(left))} from the page cache."
                     + (f" {len(left)} cannot be taken: {why}." if left else ""))

    def reclaim(self) -> None:
        """Linux takes back the frames that it can."""
        shrink_page_cache(self.guest.kernel, PAGES)

    @action
    def change(self, page: int, word: str) -> None:
        """Somebody changes the device without asking this Linux."""
        self._position(page)
        self.storage(page, to_change=True)[:] = memoryview(self._page_of(word))
        self.path = [f"{self.name}, page {page}: changed from outside"]
        self.mark(f"block:{page}")
        cached = self.cache_page(page)
        tail = "" if cached is None else f" The page cache keeps “{word_of(cached.frame)}”: nobody told it."
        self.said = f"Page {page} of the {self.name} is now “{word}”.{tail}"

    @action
    def flush(self) -> None:
        """ioctl BLKFLSBUF, which on most devices means: forget what is cached.

        Raises:
            OSError: ENOTTY, as our disk's driver does not know it.
        """
        with self._counting():
            self.guest.ioctl(self.fd, BLKFLSBUF)
        self.said = "BLKFLSBUF: all pages of the ramdisk are dropped. It holds zeros now."

    # ---- what there is to see ----

    @looking
    def select(self, page: int) -> None:
        """Choose the page that the buttons of the view mean."""
        self._position(page)
        self.selected = page

    def mapping(self) -> Mapping:
        """The program's mapping of all four pages; made when it is first used."""
        if self.text is None:
            self.text = self.guest.mmap(self.fd, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
        return self.text

    def cache_page(self, page: int) -> Page | None:
        """The page in the page cache, or None."""
        filp = self.guest.task.files[self.fd]
        return None if filp is None else find_get_page(filp.f_mapping, page)

    def storage(self, page: int, *, to_change: bool = False) -> Bytes:
        """The device's own bytes of a page.

        Raises:
            OSError: ENXIO if the device has no place for them beside the page cache.
        """
        platter: Bytes = self.disk.private_data.platter
        return platter[page * PAGE_SIZE:(page + 1) * PAGE_SIZE]

    def stored_in(self, page: int) -> Pfn | None:
        """The frame that is the device's storage of a page; a disk uses none."""
        return None

    def rows(self) -> list[Row]:
        """The four pages at all their places."""
        return [self._row(page) for page in range(PAGES)]

    def _row(self, page: int) -> Row:
        cached = self.cache_page(page)
        try:
            device_word = word_of(self.storage(page))
        except OSError:
            device_word = self.nothing
        return Row(number=page, buffer=word_of(self.buffers[page]) if page in self.buffers else "",
                   mapped=None if self.text is None else self.text.pfn(page),
                   cached=None if cached is None else cached.pfn,
                   cache_word="" if cached is None else word_of(cached.frame),
                   stored=self.stored_in(page), device_word=device_word, dirty=self._is_dirty(page))

    def frames(self) -> Counter[str]:
        """The guest's frames that hold pages of the device, by what they are used for."""
        return Counter({kind: self.guest.frames[kind] for kind in self.kinds})

    @property
    def copied(self) -> int:
        """Bytes copied since the experiment began."""
        return self.bill.total()

    def sentence(self) -> str:
        return self.said

    def __str__(self) -> str:
        lines = [f"page {row.number}: buffer {row.buffer or '–':7} page cache {row.cache_word or '–':7} "
                 f"device {row.device_word or '–':7}{_signs(row)}".rstrip() for row in self.rows()]
        return "\n".join([*lines, self.sentence()])

    # ---- how it works ----

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Add what the block copies to the bill, and note its way."""
        with Recording() as recording:
            yield
        self.bill += recording.bytes_by_what
        self.path = [label(event) for event in recording.events if event.name in ("copy", "fault")
                     or (event.name == "frame" and event.fields.get("kind") in self.kinds)]

    def _position(self, page: int) -> int:
        if not isinstance(page, int) or not 0 <= page < PAGES:
            raise OSError(errno.EINVAL, f"page {page!r}: the device has pages 0 to {PAGES - 1}")
        return page * PAGE_SIZE

    def _page_of(self, word: str) -> bytes:
        if not 0 < len(word) <= LONGEST or not word.isascii():
            raise OSError(errno.EINVAL, f"{word!r}: one word of 1 to {LONGEST} letters")
        return word.encode().ljust(PAGE_SIZE, b".")

    def _is_dirty(self, page: int) -> bool:
        cached = self.cache_page(page)
        return cached is not None and cached.dirty

    def _who_has(self, page: int) -> str:
        row = self._row(page)
        if row.device_word in ("", row.cache_word):
            return "The page cache is the storage." if not row.device_word else ""
        return f"The page cache has it, and is dirty; the device still holds “{row.device_word}”."


class NewRamdisk(Disk):
    """/dev/ram0 of brd: a device whose storage is memory, frames of its own."""

    node = "/dev/ram0"
    name = "ramdisk brd"
    nothing = "zeros"
    at_first = "The ramdisk holds four pages, in frames of its own. The page cache is empty."
    kinds = ("page cache", "ramdisk")

    def attach(self) -> GenDisk:
        disk = brd_init(self.guest.kernel, 1, PAGES * PAGE_SIZE // KiB)[0]
        fd = self.guest.open(self.node, O_RDWR)
        self.guest.pwrite(fd, IMAGE, 0)
        self.guest.close(fd)
        shrink_page_cache(self.guest.kernel, PAGES)
        return disk

    def storage(self, page: int, *, to_change: bool = False) -> Bytes:
        pfn = self.stored_in(page)
        if pfn is None:
            raise OSError(errno.ENXIO, f"{self.name}: page {page} was never written, it has no frame")
        return self.guest.kernel.memory.frame(pfn)

    def stored_in(self, page: int) -> Pfn | None:
        brd: BrdDevice = self.disk.private_data
        return brd.brd_pages.get(Pgoff(page))


class OldRamdisk(Disk):
    """/dev/ram0 of rd: its storage is its page cache, and `load` fills it from a boot image.

    Attributes:
        initrd: the first frame of the boot image; None after load().
    """

    node = "/dev/ram0"
    name = "ramdisk rd"
    at_first = "The ramdisk is empty. A boot image of four pages lies in memory."
    kinds = ("page cache", "initrd")

    def attach(self) -> GenDisk:
        disk = rd_init(self.guest.kernel, 1, PAGES * PAGE_SIZE // KiB)[0]
        self.initrd: Pfn | None = reserve_initrd(self.guest.kernel, IMAGE)
        return disk

    @action
    def load(self) -> None:
        """The ramdisk's trick: copy the boot image into the page cache, keep a reference to each page,
        discard the original.

        Raises:
            OSError: EBUSY if that was done before.
        """
        if self.initrd is None:
            raise OSError(errno.EBUSY, f"{self.name}: the boot image was loaded and discarded before")
        with self._counting():
            rd_load_image(self.guest.kernel, self.initrd, len(IMAGE))
        self.initrd = None
        for page in range(PAGES):
            self.mark(f"pgoff:{page}")
        self.said = (f"{_frames(page_count(len(IMAGE)))} of the page cache hold the boot image now; the "
                     "original is discarded. The copy is the only instance.")

    def storage(self, page: int, *, to_change: bool = False) -> Bytes:
        if to_change or self.initrd is None:
            raise OSError(errno.ENXIO, f"{self.name}: has no storage of page {page} beside the page cache")
        return self.guest.kernel.memory.frame(Pfn(self.initrd + page))

    def stored_in(self, page: int) -> Pfn | None:
        return None if self.initrd is None else Pfn(self.initrd + page)


def _signs(row: Row) -> str:
    return " dirty" if row.dirty else " ≠ stale" if row.stale else ""


def _pages(numbers: list[int]) -> str:
    return f"page {numbers[0]} is" if len(numbers) == 1 else f"pages {', '.join(map(str, numbers))} are"


def _frames(count: int) -> str:
    return f"{count or 'no'} frame{'' if count == 1 else 's'}"
