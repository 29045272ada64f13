"""The bench of exercise 06: a file in place, a buffer that notes what is done to it, and one call.

    outcome = run(function, bench(Layout("DHD", 100)), count, pos)

The function is the learner's, over the pipe, or the package's own, or a wrong one: a belief is a wrong
function, and if it does all that the answer did, it is named.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeAlias

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.errors import ProgramInterruption
from xiplab.guest import ZVM, Guest
from xiplab.hw.memory import AbsoluteStorage
from xiplab.linux.fs.open import fget
from xiplab.linux.include.fs import (
    O_APPEND,
    O_CREAT,
    O_RDWR,
    O_WRONLY,
    AddressSpace,
    AddressSpaceOperations,
    File,
    Inode,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.mm.iov import FreshBytes, HostBuffer
from xiplab.ondisk import Bytes
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, KiB, MiB, Pfn, Pgoff

Transfer: TypeAlias = Callable[[Any, Any, int, int], Any]
"""read and write of a table of file operations: (filp, buf, count, pos) -> bytes moved."""

PRELUDE = "import errno\nPAGE_SIZE = 4096"
FILE = "/mnt/story"
UNTOUCHED = 0xAA


class Buffer:
    """A program's buffer. What a call moves behind its end is moved, as it would be, and counted.

    Attributes:
        memory: its bytes. behind: how many bytes were moved past its end.
    """

    def __init__(self, memory: bytes) -> None:
        self.memory = bytearray(memory)
        self.behind = 0
        self._at = 0

    def copy_to_user(self, src: memoryview) -> int:
        return self._fill(bytes(checked(src)))

    def clear_user(self, nbytes: int) -> int:
        return self._fill(bytes(min(nbytes, MiB)))

    def copy_from_user(self, dst: memoryview) -> int:
        nbytes = min(len(checked(dst)), len(self.memory) - self._at)
        dst[:] = bytes(self.memory[self._at:self._at + nbytes]).ljust(len(dst), b"?")
        self.behind += len(dst) - nbytes
        self._at += nbytes
        return len(dst)

    def _fill(self, data: bytes) -> int:
        room = len(self.memory) - self._at
        self.memory[self._at:self._at + len(data)] = data[:room]
        self.behind += max(len(data) - room, 0)
        self._at = min(self._at + len(data), len(self.memory))
        return len(data)


def checked(span: memoryview) -> memoryview:
    """A piece of storage. Raises TypeError for anything else that an answer may have handed over."""
    if not isinstance(span, memoryview):
        raise TypeError(f"copies need what memory.span() returns, not {type(span).__name__}")
    return span


SHOWS = {File: "f_mapping f_inode", AddressSpace: "host a_ops kernel", AddressSpaceOperations: "get_xip_mem",
         Inode: "i_size=", Kernel: "memory", AbsoluteStorage: "span", memoryview: "",
         Buffer: "copy_to_user clear_user copy_from_user", FreshBytes: "copy_to_user clear_user",
         HostBuffer: "copy_to_user clear_user copy_from_user"}
"""What an answer may see of the kernel."""


@dataclass(frozen=True)
class Layout:
    """A file and its disk.

    Attributes:
        pages: "D" for a page of data, "H" for a hole. tail: bytes of the last page that are in the file.
        free: so many blocks are free; None: enough. broken: a page that cannot be read; None: none.
    """

    pages: str
    tail: int = PAGE_SIZE
    free: int | None = None
    broken: int | None = None

    @property
    def size(self) -> int:
        return (len(self.pages) - 1) * PAGE_SIZE + self.tail

    def __str__(self) -> str:
        kinds = {"D": "data", "H": "hole"}
        pages = ", ".join(f"{number} {kinds[kind]}" for number, kind in enumerate(self.pages))
        more = "" if self.free is None else f"; free blocks: {self.free}"
        more += "" if self.broken is None else f"; page {self.broken} cannot be read: EIO"
        return f"a file of {self.size:,} bytes; pages {pages}{more}"


@dataclass
class Bench:
    """A guest with the file open.

    Attributes:
        asked: the calls of get_xip_mem, as (page, create).
    """

    guest: Guest
    fd: int
    asked: list[tuple[int, bool]] = field(default_factory=list)

    @property
    def filp(self) -> File:
        return fget(self.guest.task, self.fd)


@cache
def image(pages: str, size: int) -> Bytes:
    """A disk with the file. Its blocks lie in no order, and behind the file's end there are old bytes."""
    content = b"".join(page_of(number) if kind == "D" else bytes(PAGE_SIZE)
                       for number, kind in enumerate(pages))
    return mke2fs(96 * KiB, tree={"story": content}, inodes=16, reserved_percent=0, scatter=size)


@cache
def page_of(number: int) -> bytes:
    """A page of a file in which every place has a byte of its own."""
    return bytes(1 + (number * 89 + place * 7 + place // 251) % 251 for place in range(PAGE_SIZE))


@cache
def machine() -> tuple[ZVM, Guest]:
    """One machine for all calls: it takes longer to make one than to mount."""
    vm = ZVM()
    vm.segment("SHLIB", size=1 * MiB, type="SW", at=0x10000000)
    vm.load("SHLIB", b"")
    return vm, vm.logon("LINUX1", 4 * MiB, clock=lambda: 0)


def bench(layout: Layout) -> Bench:
    """The machine with a fresh disk; what was on it before is gone."""
    vm, guest = machine()
    clear(guest)
    content = image(layout.pages, layout.size)
    vm.segments["SHLIB"].mem[:len(content)] = content
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
    if layout.free is not None:
        fill(guest, layout.free)
    made = Bench(guest, guest.open(FILE, O_RDWR))
    made.filp.f_inode.i_size = layout.size
    watch(made, layout.broken)
    return made


def clear(guest: Guest) -> None:
    """Close the file, take the disk away. An answer may have left any size in the inode."""
    for fd, filp in enumerate(guest.task.files):
        if filp is not None:
            filp.f_inode.i_size = 0
            guest.close(fd)
    if "dcssblk0" in guest.kernel.disks:
        guest.umount("/mnt")
        guest.echo("shlib", "/sys/devices/dcssblk/remove")


def fill(guest: Guest, free: int) -> None:
    """Leave so many free blocks."""
    fd = guest.open("/mnt/filler", O_CREAT | O_WRONLY | O_APPEND)
    while guest.statfs("/mnt").f_bfree > free:
        guest.write(fd, b"x" * PAGE_SIZE)
    guest.close(fd)


def watch(made: Bench, broken: int | None) -> None:
    """Note what get_xip_mem is asked; for one page it may fail."""
    mapping = made.filp.f_mapping
    original = mapping.a_ops.get_xip_mem
    assert original is not None

    def get_xip_mem(space: AddressSpace, pgoff: Any, create: Any) -> tuple[int, Pfn]:
        if space is not mapping or type(pgoff) is not int:
            raise TypeError("get_xip_mem takes a mapping, the number of a page, and whether to create")
        made.asked.append((pgoff, bool(create)))
        if pgoff == broken:
            raise OSError(errno.EIO, f"page {pgoff} cannot be read")
        kmem, pfn = original(mapping, Pgoff(pgoff), bool(create))
        return int(kmem), Pfn(int(pfn))

    mapping.a_ops = replace(mapping.a_ops, name="watched", get_xip_mem=get_xip_mem, get_xip_runs=None,
                            get_xip_next=None)


@dataclass(frozen=True)
class Outcome:
    """What a call did.

    Attributes:
        result: bytes moved, or the name of an errno. data: what is in the buffer afterwards.
        behind: bytes stored past its end. size: of the file. content: the file's pages, as they are stored.
        created: pages that were to be given a block.
    """

    result: Any
    data: bytes
    behind: int
    size: int
    content: tuple[bytes, ...]
    created: frozenset[int]


def run(function: Transfer, made: Bench, data: bytes, pos: int) -> Outcome:
    """One read or write of len(data) bytes; `data` is what is in the buffer before."""
    buf = Buffer(data)
    try:
        result = function(made.filp, buf, len(data), pos)
    except (OSError, AnswerRaised) as failure:
        if failure.errno is None and not isinstance(getattr(failure, "passed", None), ProgramInterruption):
            raise
        result = errno.errorcode.get(failure.errno or 0, "a program interruption")
    except ProgramInterruption:
        result = "a program interruption"
    created = frozenset(page for page, create in made.asked if create)
    return Outcome(result, bytes(buf.memory), buf.behind, made.filp.f_inode.i_size, stored(made), created)


def stored(made: Bench) -> tuple[bytes, ...]:
    """The bytes of the file's pages in the segment; none for a hole."""
    mapping = made.filp.f_mapping
    memory = made.guest.kernel.memory
    get_xip_mem = mapping.a_ops.get_xip_mem
    assert get_xip_mem is not None
    pages, asked = [], len(made.asked)
    for page in range(8):
        try:
            pages.append(bytes(memory.span(get_xip_mem(mapping, Pgoff(page), False)[0], PAGE_SIZE)))
        except OSError:
            pages.append(b"")
    del made.asked[asked:]
    return tuple(pages)


def over_the_pipe(answer: Answer, name: str) -> Transfer:
    """The learner's function, as one that can be called here."""
    def transfer(filp: Any, buf: Any, count: int, pos: int) -> Any:
        moved = answer.call(name, filp, buf, count, pos)
        if type(moved) is not int:
            raise Wrong("Your function must return how many bytes it moved.", got=repr(moved)[:80],
                        given=f"{count:,} bytes at {pos:,}",
                        misconception="a-read-returns-bytes" if isinstance(moved, bytes | list) else "")
        return moved

    return transfer


def belief_behind(beliefs: dict[str, Transfer], calls: Iterable[tuple[Layout, bytes, int, Outcome]]) -> str:
    """The misconception that does the same in every call; empty if none does."""
    said = list(calls)
    for misconception, wrong in beliefs.items():
        if all(run(wrong, bench(layout), data, pos) == got for layout, data, pos, got in said):
            return misconception
    return ""


def shown(layout: Layout, call: str, nbytes: int, pos: int) -> str:
    return f"{layout}; {call} {nbytes:,} bytes at {pos:,}"


def checked_number(value: object) -> int:
    """A whole number that is not negative. Raises TypeError, ValueError for anything else."""
    if type(value) is not int:
        raise TypeError(f"a length or a position is a whole number, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"a length or a position is not negative: {value}")
    return value


def said(result: object) -> str:
    """A number of bytes, or an errno."""
    return f"{result:,} bytes" if isinstance(result, int) else str(result)
