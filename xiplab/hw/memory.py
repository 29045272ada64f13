"""The machine's storage: every frame there is, in one array on real, shareable memory.

`Storage` owns all bytes. `AbsoluteStorage` is what one virtual machine calls its storage: a few
ranges of absolute addresses, each lying on frames of `Storage`. Two virtual machines share a
segment when their ranges lie on the same frames; nothing is copied, and `np.shares_memory` says so.

    storage = Storage()
    ram = AbsoluteStorage(storage)
    ram.attach(Paddr(0), storage.allocate(256), 256, writable=True, name="LINUX1")
    ram.view(Paddr(0x1000), 16)[:] = 7

Nothing but this module maps host memory. A frame number here is a *host* frame (an index into
`Storage`); a guest's own frame numbers (Pfn) are turned into it by its AbsoluteStorage.
"""

from __future__ import annotations

import errno
import gc
import mmap
import os
import sys
import tempfile
import weakref
from bisect import bisect_right, insort
from dataclasses import dataclass
from itertools import count

import numpy as np

from xiplab.errors import ADDRESSING, PROTECTION, KernelBug, ProgramInterruption, bug_on
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, GiB, Paddr, Pfn

if sys.platform not in ("win32", "emscripten"):
    import fcntl

REFERENCE = 0x04
"""In a storage key: the frame was used since the bit was cleared."""
CHANGE = 0x02
"""In a storage key: something was stored into the frame."""

DEFAULT_SIZE, SMALLEST_SIZE = 64 * GiB, GiB // 4
COLLECT_AFTER = 64
"""Machines refer to themselves, so an unused one keeps its descriptor and its addresses until the collector
comes by, which counts objects and not what they hold. After so many storages it is called."""

_made = count(1)


class Lease(int):
    """An absolute address that may be used for a time only; whoever gave it out says how long."""

    def check(self) -> None:
        """Raises OSError once the time is over."""
        raise NotImplementedError


def _shareable_file(size: int) -> int:
    """A descriptor of `size` bytes that other processes can map: a memfd where there is one.

    A memfd keeps its size for good, so no page of a mapping can lose its memory.
    """
    if not hasattr(os, "memfd_create"):
        fd, path = tempfile.mkstemp(prefix="xiplab-storage-")
        os.unlink(path)
        os.ftruncate(fd, size)
        return fd
    fd = os.memfd_create("xiplab-storage", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd


def host_memory(size: int) -> tuple[int, mmap.mmap]:
    """Sparse memory of `size` bytes, and its descriptor.

    Where files cannot be mapped: -1, and as much memory of this process alone as the host promises.
    """
    fd = -1
    try:
        fd = _shareable_file(size)
        return fd, mmap.mmap(fd, size)
    except OSError:
        if fd >= 0:
            os.close(fd)
    while size > SMALLEST_SIZE:
        try:
            return -1, mmap.mmap(-1, size)
        except OSError:
            size //= 2
    return -1, mmap.mmap(-1, size)


class Storage:
    """All frames of the machine, sparse: a frame takes host memory when it is first written.

    Attributes:
        fd: descriptor of the memory, closed with this object; another process that maps it sees
            the same frames. -1 where this computer maps no files: nobody else can have them.
        map: the host's mapping of it; its slices copy.
        memory: memoryview of all frames; its slices do not copy.
        array: uint8 view of all frames. readonly: the same, refusing stores.
        npages: capacity in frames. used: frames given out.
    """

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        if next(_made) % COLLECT_AFTER == 0:
            gc.collect()
        self.fd, self.map = host_memory(size)
        if self.fd >= 0:
            weakref.finalize(self, os.close, self.fd)
        self.memory = memoryview(self.map)
        self.array: Bytes = np.frombuffer(self.map, np.uint8)
        self.readonly: Bytes = np.frombuffer(self.memory.toreadonly(), np.uint8)
        self.npages = len(self.map) >> PAGE_SHIFT
        self.used = 0
        self._free: list[tuple[int, int]] = [(0, self.npages)]

    def allocate(self, npages: int) -> int:
        """Take `npages` frames in a row, all zero; returns the first host frame.

        Raises:
            OSError: EINVAL for less than one frame; ENOMEM if there is no such run.
        """
        if npages < 1:
            raise OSError(errno.EINVAL, f"storage: cannot take {npages} frames")
        for index, (first, length) in enumerate(self._free):
            if length >= npages:
                rest = (first + npages, length - npages)
                self._free[index:index + 1] = [rest] if rest[1] else []
                self.used += npages
                return first
        raise OSError(errno.ENOMEM, f"storage: no {npages} frames in a row ({self.used} of "
                                    f"{self.npages} in use)")

    def free(self, first: int, npages: int) -> None:
        """Give frames back; their contents are gone (the next owner reads zeros)."""
        self.erase(first, npages)
        self.used -= npages
        insort(self._free, (first, npages))
        index = self._free.index((first, npages))
        for left in (index, index - 1):
            if 0 <= left < len(self._free) - 1:
                (a, na), (b, nb) = self._free[left:left + 2]
                bug_on(a + na > b, f"storage: frame {b} given back twice")
                if a + na == b:
                    self._free[left:left + 2] = [(a, na + nb)]

    def erase(self, first: int, npages: int) -> None:
        """Make frames read as zero; their host memory goes back, where the host can do that."""
        start, nbytes = first << PAGE_SHIFT, npages << PAGE_SHIFT
        try:
            self.map.madvise(mmap.MADV_REMOVE, start, nbytes)
        except (AttributeError, OSError):
            self.array[start:start + nbytes] = 0


@dataclass(frozen=True, order=True, slots=True)
class StorageRange:
    """A run of a guest's absolute addresses and the host frames that it lies on."""

    start: Paddr
    npages: int
    first: int
    writable: bool
    name: str

    @property
    def end(self) -> Paddr:
        """The last byte's address."""
        return Paddr(self.start + (self.npages << PAGE_SHIFT) - 1)


class AbsoluteStorage:
    """What one virtual machine calls its storage: ranges of absolute addresses on host frames.

    Attributes:
        storage: the frames themselves.
        ranges: sorted by address, never overlapping.
        keys: the storage key of each frame that was used by translation: REFERENCE and CHANGE bits.
        layout: counts the changes of `ranges`. purges: counts the page-table entries that were valid and
            no longer are what they were (IPTE). A processor compares them with what it has kept.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.ranges: list[StorageRange] = []
        self.keys: dict[Pfn, int] = {}
        self.layout = 0
        self.purges = 0
        self._starts: list[int] = []

    def attach(self, start: Paddr, first: int, npages: int, *, writable: bool, name: str) -> None:
        """Let `npages` pages from `start` lie on the host frames from `first`.

        Raises:
            OSError: EINVAL for a start that is no page boundary; EBUSY for an overlap.
        """
        if start % PAGE_SIZE:
            raise OSError(errno.EINVAL, f"{name}: {start:#x} is not the start of a page")
        new = StorageRange(start, npages, first, writable, name)
        if (taken := self.overlapping(start, new.end)) is not None:
            raise OSError(errno.EBUSY, f"{name}: {start:#x}-{new.end:#x} overlaps {taken.name}")
        insort(self.ranges, new)
        insort(self._starts, start)
        self.layout += 1

    def detach(self, start: Paddr) -> StorageRange:
        """Take the range that begins at `start` away; its addresses are invalid from now on."""
        for index, r in enumerate(self.ranges):
            if r.start == start:
                self.layout += 1
                del self._starts[index]
                return self.ranges.pop(index)
        raise KernelBug(f"no storage range begins at {start:#x}")

    def overlapping(self, start: int, end: int) -> StorageRange | None:
        """The first range that has a byte in start..end (inclusive), if any."""
        return next((r for r in self.ranges if r.start <= end and start <= r.end), None)

    def range_of(self, paddr: int, nbytes: int = 1, access: str = "load") -> StorageRange:
        """The range that holds all of paddr..paddr+nbytes.

        Raises:
            ProgramInterruption: ADDRESSING if there is none.
            OSError: what a Lease answers whose time is over.
        """
        if isinstance(paddr, Lease):
            paddr.check()
        index = bisect_right(self._starts, paddr) - 1
        if index >= 0:
            r = self.ranges[index]
            if paddr + nbytes <= r.start + (r.npages << PAGE_SHIFT):
                return r
        raise ProgramInterruption(ADDRESSING, paddr, access)

    def host_offset(self, paddr: int, nbytes: int = 1) -> int:
        """Where `paddr` lies in `Storage.array` and `Storage.map`, in bytes."""
        r = self.range_of(paddr, nbytes)
        return (r.first << PAGE_SHIFT) + paddr - r.start

    def view(self, paddr: int, nbytes: int) -> Bytes:
        """The bytes themselves, shape (nbytes,); read-only where the range is."""
        r = self.range_of(paddr, nbytes)
        offset = (r.first << PAGE_SHIFT) + paddr - r.start
        array = self.storage.array if r.writable else self.storage.readonly
        return array[offset:offset + nbytes]

    def span(self, paddr: int, nbytes: int, access: str = "load") -> memoryview:
        """The bytes themselves as a memoryview, for copies.

        Raises:
            ProgramInterruption: ADDRESSING outside every range; PROTECTION to "store" where the range
                is read-only.
        """
        r = self.range_of(paddr, nbytes, access)
        if access == "store" and not r.writable:
            raise ProgramInterruption(PROTECTION, paddr, access, f"{r.name} is read-only")
        offset = (r.first << PAGE_SHIFT) + paddr - r.start
        return self.storage.memory[offset:offset + nbytes]

    def reset_reference_bit(self, pfn: Pfn) -> int:
        """Clear the REFERENCE bit of the frame's key; returns what the two bits were.

        It is the instruction RRBE. Whoever keeps translations drops them, or the next access is missed.
        """
        key = self.keys.get(pfn, 0)
        self.keys[pfn] = key & ~REFERENCE
        return key

    def frame(self, pfn: Pfn) -> Bytes:
        """The page frame `pfn`, shape (4096,); read-only where the range is."""
        paddr = pfn << PAGE_SHIFT
        r = self.range_of(paddr, PAGE_SIZE)
        offset = (r.first << PAGE_SHIFT) + paddr - r.start
        array = self.storage.array if r.writable else self.storage.readonly
        return array[offset:offset + PAGE_SIZE]
