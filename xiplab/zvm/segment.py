"""A saved segment (DCSS): page ranges under a name, kept by CP and loaded by guests.

    name     1 to 8 characters
    ranges   first page - last page, each with a type; page numbers are guest addresses / 4096
    frames   the host frames that all sharing guests have loaded: one run, lowest page first
    spool    the saved contents, once they may differ from the frames
    class    S skeleton: defined, not saved    A available    R restricted    P pending purge

The type's first letter says who has the page, the second what a guest may do with it:

             W read and write   R read only   N read and write, never saved   C read; CP writes
    S shared        SW               SR                   SN                        SC
    E exclusive     EW               ER                   EN

What guests store in shared pages is seen by all at once and lasts until the last of them lets go:
then the segment is as it was saved, and N pages are zero.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from itertools import pairwise

from xiplab.hw.memory import Storage
from xiplab.ondisk import Bytes
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SHIFT, MiB, Paddr, Pfn, pfn_to_paddr


@dataclass(frozen=True, slots=True)
class SegmentType:
    """What a page descriptor code lets a guest do.

    Attributes:
        code: the number in DIAGNOSE X'64' answers; its lowest bit is set for exclusive types.
        exclusive: each guest has its own copy, also when it loads the segment shared.
        guest_writes: stores by a guest that loaded it shared are allowed.
        saved: the contents are kept by SAVESEG; else they read as zero when first touched.
        cp_writes: CP may store into the shared copy.
    """

    name: str
    code: int
    exclusive: bool
    guest_writes: bool
    saved: bool
    cp_writes: bool = False

    def __str__(self) -> str:
        return self.name


SEGMENT_TYPES = {t.name: t for t in (
    SegmentType("SW", 0, exclusive=False, guest_writes=True, saved=True),
    SegmentType("EW", 1, exclusive=True, guest_writes=True, saved=True),
    SegmentType("SR", 2, exclusive=False, guest_writes=False, saved=True),
    SegmentType("ER", 3, exclusive=True, guest_writes=False, saved=True),
    SegmentType("SN", 4, exclusive=False, guest_writes=True, saved=False),
    SegmentType("EN", 5, exclusive=True, guest_writes=True, saved=False),
    SegmentType("SC", 6, exclusive=False, guest_writes=False, saved=True, cp_writes=True),
)}


@dataclass(frozen=True, slots=True)
class PageRange:
    """Pages first..last (inclusive) of one type."""

    first: Pfn
    last: Pfn
    type: SegmentType

    @property
    def npages(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first:X}-{self.last:X} {self.type}"


MAX_PAGE = 0x7FFFFFF
"""The highest page of a segment: addresses below 512 GiB."""
MAX_SEGMENT_PAGES = 2047 * MiB >> PAGE_SHIFT
MAX_RANGES = 64


def is_name(name: str) -> bool:
    """Whether `name` is 1 to 8 of the letters, digits and signs that names in CP have."""
    return 0 < len(name) <= 8 and all(c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$#@_-+" for c in name)


def check_ranges(ranges: tuple[PageRange, ...]) -> str:
    """What is wrong with the ranges of a segment, naming the range; "" if nothing.

    They must be in order and apart, span at most 2047 MiB, and a megabyte with pages of two ranges
    must be all shared or all exclusive.
    """
    if len(ranges) > MAX_RANGES:
        return f"{len(ranges)} ranges"
    for pages in ranges:
        if not 0 <= pages.first <= pages.last <= MAX_PAGE:
            return str(pages)
    for before, after in pairwise(ranges):
        same_megabyte = before.last >> 8 == after.first >> 8
        if after.first <= before.last or (same_megabyte and before.type.exclusive != after.type.exclusive):
            return str(after)
    if ranges[-1].last - ranges[0].first + 1 > MAX_SEGMENT_PAGES:
        return f"{ranges[0].first:X}-{ranges[-1].last:X}"
    return ""


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """Pages that a guest gets in one piece.

    Attributes:
        private: on frames of its own; else on the segment's frames. writable: it may store there.
    """

    first: Pfn
    npages: int
    private: bool
    writable: bool


def data_extents(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a sparse file's bytes start..end (exclusive) that hold data, as (start, end).

    On a host that cannot tell, or for memory that is no file (fd -1), all of it counts as data.
    """
    if fd < 0 or not hasattr(os, "SEEK_DATA"):
        yield start, end
        return
    while start < end:
        try:
            data = os.lseek(fd, start, os.SEEK_DATA)
        except OSError as failure:
            if failure.errno == errno.ENXIO:
                return
            raise
        if data >= end:
            return
        start = min(os.lseek(fd, data, os.SEEK_HOLE), end)
        yield data, start


def read_sparse(image: FileIO, start: int, target: memoryview) -> None:
    """Fill `target`, which is all zero, from byte `start` of a file; holes are skipped."""
    for first, end in data_extents(image.fileno(), start, start + len(target)):
        image.seek(first)
        done = first - start
        while done < end - start and (count := image.readinto(target[done:end - start])):
            done += count


def copy_frames(storage: Storage, source: int, target: int, npages: int) -> None:
    """Copy host frames onto frames that read as zero; pages never touched are left alone."""
    frames = memoryview(storage.map)
    shift = (target - source) << PAGE_SHIFT
    for start, end in data_extents(storage.fd, source << PAGE_SHIFT, (source + npages) << PAGE_SHIFT):
        frames[start + shift:end + shift] = frames[start:end]
    if tp_copy.probes:
        tp_copy(what="segment pages", nbytes=npages << PAGE_SHIFT)


@dataclass(eq=False)
class SavedSegment:
    """One system data file of CP's spool: a segment as defined and, unless a skeleton, as saved.

    Attributes:
        spoolid: its number in QUERY NSS. originid: who defined or saved it last.
        created: when, in ns since 1970.
        restricted: RSTD; only guests with NAMESAVE may load it.
        loadnshr: any guest may load it exclusive, whatever its maximum storage.
        users: the guests that have it loaded.
    """

    spoolid: int
    name: str
    ranges: tuple[PageRange, ...]
    storage: Storage
    restricted: bool = False
    loadnshr: bool = False
    originid: str = ""
    created: int = 0
    class_: str = "S"
    frames: range = range(0)
    spool: range = range(0)
    users: set[str] = field(default_factory=set)

    @property
    def first(self) -> Pfn:
        return self.ranges[0].first

    @property
    def last(self) -> Pfn:
        return self.ranges[-1].last

    @property
    def npages(self) -> int:
        return self.last - self.first + 1

    @property
    def start(self) -> Paddr:
        """Address of the first byte."""
        return pfn_to_paddr(self.first)

    @property
    def end(self) -> Paddr:
        """Address of the last byte."""
        return Paddr(pfn_to_paddr(Pfn(self.last + 1)) - 1)

    @property
    def size(self) -> int:
        """Bytes from start to end."""
        return self.npages << PAGE_SHIFT

    @property
    def mem(self) -> Bytes:
        """All its bytes: the frames themselves, shape (size,). A skeleton has none."""
        return self.storage.array[self.frames.start << PAGE_SHIFT:self.frames.stop << PAGE_SHIFT]

    def take_frames(self) -> None:
        """Give a skeleton its frames, all zero."""
        first = self.storage.allocate(self.npages)
        self.frames = range(first, first + self.npages)

    def free_frames(self) -> None:
        for run in (self.frames, self.spool):
            if run:
                self.storage.free(run.start, len(run))
        self.frames = self.spool = range(0)

    def copy_saved(self, source: int, target: int) -> None:
        """Copy those pages that are kept by a save, from one run of frames to another."""
        for pages in self.ranges:
            if pages.type.saved:
                offset = pages.first - self.first
                copy_frames(self.storage, source + offset, target + offset, pages.npages)

    def preserve(self) -> None:
        """Keep the saved contents aside: from now on somebody can store into the frames."""
        if not self.spool:
            first = self.storage.allocate(self.npages)
            self.spool = range(first, first + self.npages)
            self.copy_saved(self.frames.start, first)

    def discard_changes(self) -> None:
        """Make the frames what was saved; N pages become zero."""
        if self.spool:
            self.storage.erase(self.frames.start, self.npages)
            self.copy_saved(self.spool.start, self.frames.start)

    def commit(self) -> None:
        """What is in the frames counts as saved."""
        if self.spool:
            self.storage.erase(self.spool.start, self.npages)
            self.copy_saved(self.frames.start, self.spool.start)

    def copy_private(self, target: int) -> None:
        """Fill a guest's own frames with the saved contents."""
        self.copy_saved((self.spool or self.frames).start, target)

    def runs(self, exclusive: bool) -> list[LoadedRun]:
        """What a guest gets that loads the segment: neighbours with equal rights in one piece."""
        runs: list[LoadedRun] = []
        for pages in self.ranges:
            private = exclusive or pages.type.exclusive
            writable = exclusive or pages.type.guest_writes
            before = runs[-1] if runs else None
            if before and (before.first + before.npages, before.private, before.writable) == (
                    pages.first, private, writable):
                runs[-1] = LoadedRun(before.first, before.npages + pages.npages, private, writable)
            else:
                runs.append(LoadedRun(pages.first, pages.npages, private, writable))
        return runs

    def __str__(self) -> str:
        return self.name
