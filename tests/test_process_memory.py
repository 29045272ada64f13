"""Mappings and advice about them, on a guest and the host."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator

import pytest
from twin_sides import GuestSide, Side

from xiplab import MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE, ZVM, Guest
from xiplab.errors import Signal
from xiplab.linux.include.mm import MAP_FIXED
from xiplab.linux.mm.mmap import do_mmap_pgoff
from xiplab.units import PAGE_SIZE

READ, WRITE, SHARED, PRIVATE = PROT_READ, PROT_WRITE, MAP_SHARED, MAP_PRIVATE
ASYNC, INVALIDATE, SYNC = 1, 2, 4
NORMAL, WILLNEED, DONTNEED = 0, 3, 4


class Memory:
    """mmap() and its relatives by address, on both sides; -1 and errno become an OSError."""

    def __init__(self, side: Side) -> None:
        self.guest: Guest | None = side.api if isinstance(side, GuestSide) else None
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mmap.restype = ctypes.c_void_p

    def _host(self, name: str, *arguments: int | bytes) -> int:
        ctypes.set_errno(0)
        given = [ctypes.c_size_t(a & (1 << 64) - 1) if isinstance(a, int) else a for a in arguments]
        result: int = getattr(self.libc, name)(*given)
        if ctypes.get_errno():
            raise OSError(ctypes.get_errno(), name)
        return result

    def mmap(self, fd: int, length: int, prot: int, flags: int, offset: int = 0) -> int:
        if self.guest is not None:
            return self.guest.mmap(fd, length, prot, flags, offset).vaddr
        return self._host("mmap", 0, length, prot, flags, fd, offset)

    def mincore(self, address: int, length: int) -> list[int]:
        if self.guest is not None:
            return self.guest.mincore(address, length)
        vector = ctypes.create_string_buffer(64)
        self._host("mincore", address, length, vector)  # type: ignore[arg-type]
        return [byte & 1 for byte in vector.raw[:-(-length // PAGE_SIZE)]]

    def call(self, name: str, *arguments: int) -> None:
        if self.guest is not None:
            getattr(self.guest, name)(*arguments)
        else:
            self._host(name, *arguments)

    def outcome(self, name: str, *arguments: int) -> str | None:
        try:
            if name == "mincore":
                self.mincore(*arguments)
            elif name == "mmap":
                self.mmap(*arguments)
            else:
                self.call(name, *arguments)
        except OSError as failure:
            return errno.errorcode[failure.errno or 0]
        return None


@pytest.fixture
def memory(side: Side) -> Memory:
    return Memory(side)


@pytest.fixture
def fds(side: Side) -> Iterator[dict[str, int]]:
    """A file of two and a half pages, open in three ways, and a directory."""
    side.put("file", b"a" * PAGE_SIZE * 2 + b"b" * 2048)
    side.mkdir("dir")
    opened = {"r": side.open("file", os.O_RDONLY), "w": side.open("file", os.O_WRONLY),
              "rw": side.open("file", os.O_RDWR), "dir": side.open("dir", os.O_RDONLY)}
    yield {**opened, "closed": 9999, "none": -1}
    for fd in opened.values():
        side.close(fd)


@pytest.mark.parametrize(("fd", "length", "prot", "flags", "offset", "expected"), [
    ("r", 1, READ, SHARED, 0, None), ("r", 1, READ | WRITE, SHARED, 0, "EACCES"),
    ("r", 1, READ | WRITE, PRIVATE, 0, None), ("w", 1, WRITE, SHARED, 0, "EACCES"),
    ("w", 1, READ, PRIVATE, 0, "EACCES"), ("rw", 1, WRITE, SHARED, 0, None), ("rw", 1, 0, SHARED, 0, None),
    ("r", 1, READ, 0, 0, "EINVAL"), ("r", 1, READ, SHARED, 100, "EINVAL"),
    ("r", 1, READ, SHARED, PAGE_SIZE, None),
    ("r", 1, READ, SHARED, 100 * PAGE_SIZE, None), ("closed", 1, READ, SHARED, 0, "EBADF"),
    ("dir", 1, READ, SHARED, 0, "ENODEV"), ("none", PAGE_SIZE, READ, PRIVATE | MAP_ANONYMOUS, 0, None),
    ("none", PAGE_SIZE, READ, SHARED | MAP_ANONYMOUS, 0, None), ("r", 1 << 62, READ, SHARED, 0, "ENOMEM"),
    ("r", 100 * PAGE_SIZE, READ, SHARED, 0, None),
])
def test_mmap(memory: Memory, fds: dict[str, int], fd: str, length: int, prot: int, flags: int, offset: int,
              expected: str | None) -> None:
    assert memory.outcome("mmap", fds[fd], length, prot, flags, offset) == expected


@pytest.fixture
def base(memory: Memory, fds: dict[str, int]) -> int:
    """Six pages: the file twice, shared for reading, with its second page taken out of the first copy."""
    address = memory.mmap(-1, 8 * PAGE_SIZE, READ, PRIVATE | MAP_ANONYMOUS)
    memory.call("munmap", address, 8 * PAGE_SIZE)
    memory_fixed(memory, address, fds["r"], READ, SHARED)
    memory_fixed(memory, address + 3 * PAGE_SIZE, fds["rw"], READ | WRITE, PRIVATE)
    memory.call("munmap", address + PAGE_SIZE, PAGE_SIZE)
    return address


def memory_fixed(memory: Memory, address: int, fd: int, prot: int, flags: int) -> None:
    if memory.guest is not None:
        task = memory.guest.task
        do_mmap_pgoff(task.mm, task.files[fd], address, 3 * PAGE_SIZE, prot, flags | MAP_FIXED, 0)
    else:
        memory._host("mmap", address, 3 * PAGE_SIZE, prot, flags | MAP_FIXED, fd, 0)


@pytest.mark.parametrize(("name", "start", "length", "argument", "expected"), [
    ("mprotect", 0, 1, READ, None), ("mprotect", 0, 1, READ | WRITE, "EACCES"), ("mprotect", 0, 1, 0, None),
    ("mprotect", 3, 1, READ | WRITE | PROT_EXEC, None), ("mprotect", 0.5, 1, READ, "EINVAL"),
    ("mprotect", 0, 2, READ, "ENOMEM"), ("mprotect", 1, 1, READ, "ENOMEM"), ("mprotect", 0, 0, READ, None),
    ("mprotect", 0, 1, 0x1000, "EINVAL"), ("mprotect", 2, 2, READ, None),
    ("mprotect", 2, 2, READ | WRITE, "EACCES"),
    ("msync", 0, 1, SYNC, None), ("msync", 0, 1, ASYNC, None), ("msync", 0, 1, 0, None),
    ("msync", 0, 1, SYNC | ASYNC, "EINVAL"), ("msync", 0, 1, 8, "EINVAL"), ("msync", 0.5, 1, SYNC, "EINVAL"),
    ("msync", 0, 3, SYNC, "ENOMEM"), ("msync", 1, 1, SYNC, "ENOMEM"), ("msync", 0, 0, SYNC, None),
    ("msync", 2, 4, SYNC | INVALIDATE, None),
    ("madvise", 0, 1, NORMAL, None), ("madvise", 0, 1, WILLNEED, None), ("madvise", 3, 1, DONTNEED, None),
    ("madvise", 0, 1, 999, "EINVAL"), ("madvise", 0.5, 1, NORMAL, "EINVAL"),
    ("madvise", 0, 3, NORMAL, "ENOMEM"),
    ("madvise", 0, 3, DONTNEED, "ENOMEM"), ("madvise", 0, 0, DONTNEED, None),
    ("madvise", 1, 1, NORMAL, "ENOMEM"),
    ("mincore", 0, 1, None, None), ("mincore", 0.5, 1, None, "EINVAL"), ("mincore", 0, 2, None, "ENOMEM"),
    ("mincore", 0, 0, None, None), ("mincore", 2, 4, None, None),
    ("munmap", 0, 1, None, None), ("munmap", 0.5, 1, None, "EINVAL"), ("munmap", 0, 0, None, "EINVAL"),
    ("munmap", 1, 1, None, None), ("munmap", 0, 6, None, None),
])
def test_areas(memory: Memory, base: int, name: str, start: float, length: int, argument: int | None,
               expected: str | None) -> None:
    """`start` and `length` are in pages; page 1 is not mapped."""
    arguments = [base + int(start * PAGE_SIZE), length * PAGE_SIZE, *([] if argument is None else [argument])]

    assert memory.outcome(name, *arguments) == expected


@pytest.mark.parametrize("name", ["read", "sync"])
def test_mincore_sees_the_page_cache(memory: Memory, side: Side, fds: dict[str, int], name: str) -> None:
    """The file's pages are there, for they were written; an anonymous page is not, until it is touched."""
    address = memory.mmap(fds["r"], 3 * PAGE_SIZE, READ, SHARED)
    anonymous = memory.mmap(-1, PAGE_SIZE, READ, PRIVATE | MAP_ANONYMOUS)

    assert memory.mincore(address, 2 * PAGE_SIZE + 1) == [1, 1, 1]
    assert memory.mincore(anonymous, PAGE_SIZE) == [0]


# what a guest's program sees

@pytest.fixture
def guest() -> Guest:
    guest = ZVM().logon("LINUX1")
    fd = guest.open("/tmp/file", os.O_RDWR | os.O_CREAT)
    guest.write(fd, b"a" * PAGE_SIZE + b"b" * 100)
    return guest


def test_mprotect_makes_stores_fault_and_lets_them_again(guest: Guest) -> None:
    mapping = guest.mmap(0, prot=READ | WRITE)
    mapping[0] = 1
    guest.mprotect(mapping.vaddr, PAGE_SIZE, READ)
    with pytest.raises(Signal, match="SIGSEGV"):
        mapping[0] = 2
    guest.mprotect(mapping.vaddr, PAGE_SIZE, READ | WRITE)
    mapping[0] = 3

    assert guest.pread(0, 1, 0) == b"\x03"


def test_mprotect_none_makes_loads_fault(guest: Guest) -> None:
    """Also of a page that is mapped already: its entry and its translation are gone."""
    mapping = guest.mmap(0)
    assert mapping[0] == ord("a")
    guest.mprotect(mapping.vaddr, PAGE_SIZE, 0)

    with pytest.raises(Signal, match="SIGSEGV"):
        mapping[0]
    guest.mprotect(mapping.vaddr, PAGE_SIZE, READ)
    assert mapping[0] == ord("a")


def test_mprotect_none_keeps_private_copies_and_gives_them_back(guest: Guest) -> None:
    mapping = guest.mmap(0, prot=READ | WRITE, flags=PRIVATE)
    mapping[0] = 7
    guest.mprotect(mapping.vaddr, PAGE_SIZE, 0)
    guest.mprotect(mapping.vaddr, PAGE_SIZE, READ | WRITE)
    kept = mapping[0]
    guest.mprotect(mapping.vaddr, PAGE_SIZE, 0)
    mapping.close()

    assert (kept, guest.frames["anonymous"]) == (7, 0)


def test_mprotect_splits_an_area(guest: Guest) -> None:
    mapping = guest.mmap(0, 3 * PAGE_SIZE, READ | WRITE, PRIVATE)
    guest.mprotect(mapping.vaddr + PAGE_SIZE, PAGE_SIZE, READ)
    mapping[0] = 1

    assert len(guest.task.mm.mmap) == 3
    with pytest.raises(Signal, match="SIGSEGV"):
        mapping[PAGE_SIZE] = 1


def test_madvise_dontneed_loses_private_copies(guest: Guest) -> None:
    mapping = guest.mmap(0, prot=READ | WRITE, flags=PRIVATE)
    mapping[0] = 1
    guest.madvise(mapping.vaddr, PAGE_SIZE, DONTNEED)

    assert (mapping[0], guest.frames["anonymous"]) == (ord("a"), 0)


def test_mapping_keeps_the_file_after_close_and_unlink(guest: Guest) -> None:
    mapping = guest.mmap(0)
    guest.close(0)
    guest.unlink("/tmp/file")

    assert mapping[PAGE_SIZE:] == b"b" * 100
    mapping.close()
    assert guest.frames["page cache"] == 0


def test_load_beyond_the_end_of_the_file_is_sigbus(guest: Guest) -> None:
    """The rest of the last page reads as zeros; the next page is not there."""
    mapping = guest.mmap(0, 3 * PAGE_SIZE)

    assert mapping[PAGE_SIZE + 100:PAGE_SIZE + 110] == bytes(10)
    with pytest.raises(Signal, match="SIGBUS"):
        mapping[2 * PAGE_SIZE]


def test_fadvise_dontneed_drops_clean_pages_only() -> None:
    """Those of a ramfs are dirty for ever; those of a disk are read again."""
    guest = ZVM().logon("LINUX1")
    guest.add_disk("vda", 8 * PAGE_SIZE)
    ram, disk = guest.open("/tmp/file", os.O_RDWR | os.O_CREAT), guest.open("/dev/vda", os.O_RDONLY)
    guest.write(ram, b"x" * 100)
    guest.posix_fadvise(disk, 0, 0, WILLNEED)
    before = guest.frames["page cache"]
    guest.posix_fadvise(disk, 0, 3 * PAGE_SIZE, DONTNEED)
    guest.posix_fadvise(ram, 0, 0, DONTNEED)

    assert (before, guest.frames["page cache"]) == (9, 6)


def test_readahead_fills_the_page_cache() -> None:
    guest = ZVM().logon("LINUX1")
    guest.add_disk("vda", 8 * PAGE_SIZE)
    fd = guest.open("/dev/vda", os.O_RDONLY)
    guest.readahead(fd, PAGE_SIZE, 2 * PAGE_SIZE)

    assert guest.frames["page cache"] == 2


@pytest.mark.parametrize(("flags", "number"), [(os.O_WRONLY, errno.EBADF), (os.O_RDONLY, None)])
def test_readahead_needs_a_file_open_for_reading(guest: Guest, flags: int, number: int | None) -> None:
    fd = guest.open("/tmp/file", flags)
    if number is None:
        guest.readahead(fd, 0, 100)
        return
    with pytest.raises(OSError, match="not open for reading") as info:
        guest.readahead(fd, 0, 100)

    assert info.value.errno == number
