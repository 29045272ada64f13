"""Notebook 06: one file, used by the same calls in place and through the page cache, step by step.

    program      read, readv, sendfile, aio_read          write, writev, append, aio_write
                       │                                         │
    in place     xip_file_read ── get_xip_mem ── direct_access   the copy goes to the storage
    page cache   do_sync_read ── readpage ── copy, copy          the storage follows later
                       │                                         │
    storage      segment XIP                               segment CACHE      the same image in both

LINUX1 has mounted both segments, one of them with the option xip. The file /story has three pages; the
one in the middle is a hole.

    experiment = ReadWrite()
    experiment.get("read", 8192, 0)             the same call on both mounts, traced
    experiment.put("write", "Hello", 4100)
    experiment.fsync(), .fill(1), .limit(8192)  write back; leave free blocks; RLIMIT_FSIZE
    experiment.as_described()                   the operations of xip.txt instead of v3.6's
    experiment.plug_read(f), .plug_write(f)     a function of one's own in place of xip_file_read, _write
    experiment.outcomes["in place"]             result, data, and the steps of the call
    experiment.play(3)                          look at the traces as they were after step 3
    experiment.places(4100)                     what lies there: in storage, in the page cache
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from xiplab.course.experiments.plugged import Operation, checked_write, traced
from xiplab.course.experiments.stage import Stage, action, looking
from xiplab.guest import ZVM
from xiplab.linux.fs.aio import IOCB_CMD_PREAD, IOCB_CMD_PWRITE, io_getevents, io_setup
from xiplab.linux.fs.ext2.file import ext2_xip_file_operations
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.fs.open import fget
from xiplab.linux.fs.read_write import do_sync_read, do_sync_write, vfs_read, vfs_write
from xiplab.linux.include.fs import O_APPEND, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY, File
from xiplab.linux.include.sched import RLIM_INFINITY
from xiplab.linux.mm.filemap import find_get_page
from xiplab.linux.mm.filemap_xip_eras import xip_file_aio_read, xip_file_aio_write
from xiplab.linux.mm.iov import HostBuffer
from xiplab.tools.mke2fs import mke2fs
from xiplab.trace import Recording
from xiplab.trace_views import Event, bytes_copied, frames_changed, label
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, KiB, MiB, offset_in_page

SIDES = ("in place", "page cache")
MOUNTS = {"in place": "/xip", "page cache": "/cache"}
SEGMENTS = {"in place": "XIP", "page cache": "CACHE"}
STORY = b"page 0.".ljust(PAGE_SIZE, b".") + bytes(PAGE_SIZE) + b"page 2.".ljust(PAGE_SIZE, b".")
PAGES = 4
"""So many pages are shown: one more than the file has at first."""
SHOWN = 12
MOST = 1 * MiB
"""A call of the experiment reads so many bytes at most."""
Getter: TypeAlias = Callable[[int, int, int], tuple[int, bytes]]
Putter: TypeAlias = Callable[[int, bytes, int], int]
SHORTCUTS = ("read_bytes", "write_bytes")
"""The model's own; they do nothing while somebody records."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened during a call.

    Attributes:
        name: the function, or what was done. asked: its arguments that matter. answer: what it answered.
        table: the operation's full name. level: how deep in the calls.
        copied, frames: bytes copied and frames taken until here.
    """

    name: str
    asked: str
    answer: str
    table: str
    level: int
    copied: int
    frames: int

    @property
    def call(self) -> str:
        """The function with its arguments; a copy or a frame as it is."""
        return f"{self.name}({self.asked})" if self.asked else self.name

    def __str__(self) -> str:
        return " " * 3 * self.level + self.call + (f" → {self.answer}" if self.answer else "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one side answered.

    Attributes:
        result: bytes moved, or minus an errno. data: what the program got. steps: how it went.
    """

    result: int
    data: bytes
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return errno.errorcode[-self.result] if self.result < 0 else _bytes(self.result)

    @property
    def copied(self) -> int:
        """Bytes copied by the call."""
        return self.steps[-1].copied if self.steps else 0

    @property
    def frames(self) -> int:
        """Frames that the call took."""
        return self.steps[-1].frames if self.steps else 0


@dataclass(frozen=True, slots=True)
class Place:
    """What lies at a byte of the file, on one side. Texts are "" where nothing is.

    Attributes:
        block: of the device, 0 for a hole. stored, cached: what storage and page cache hold.
        dirty: the cached page is newer than the storage.
    """

    block: int
    stored: str
    cached: str
    dirty: bool


def _bytes(count: int) -> str:
    return f"{count:,} byte{'' if count == 1 else 's'}"


def text_of(data: bytes) -> str:
    """Bytes as text: a dot for what is no letter, digit or sign; zeros by name."""
    if data and not any(data):
        return "zeros"
    return "".join(chr(value) if 0x20 <= value < 0x7F else "·" for value in data)


class ReadWrite(Stage):
    """LINUX1 with the same file on two mounts.

    Attributes:
        guest: LINUX1. vm: its z/VM. fds: descriptors of the file, open for reading and writing.
        outcomes: what the last call answered, by side. said: that call, and its results.
        why: what a function that was plugged in says of its failure.
        offset: where the last call began. position: the step that is looked at; None for the last.
    """

    def build(self) -> None:
        image = mke2fs(128 * KiB, tree={"story": STORY}, inodes=16, reserved_percent=0)
        self.vm = ZVM()
        self.guest = self.vm.logon("LINUX1")
        for number, side in enumerate(SIDES):
            name, mount = SEGMENTS[side], MOUNTS[side]
            self.vm.segment(name, size=1 * MiB, type="SW", at=0x10000000 + number * 0x10000000)
            self.vm.load(name, image)
            self.guest.echo(name.lower(), "/sys/devices/dcssblk/add")
            self.guest.mkdir(mount)
            self.guest.mount(f"/dev/dcssblk{number}", mount, "ext2", "xip" if side == "in place" else "")
        self.fds = {side: self.guest.open(f"{MOUNTS[side]}/story", O_RDWR) for side in SIDES}
        self.outcomes: dict[str, Outcome] = {}
        self.why = ""
        self.offset = 0
        self.position: int | None = None
        self.said = "The file has three pages. The middle one is a hole: no block lies behind it."

    # ---- what a program does, on both sides ----

    @action
    def get(self, how: str, count: int, offset: int) -> None:
        """Read `count` bytes from `offset` on. how: read, readv (two halves), sendfile or aio_read."""
        calls: dict[str, Getter] = {"read": self._read, "readv": self._readv, "sendfile": self._sendfile,
                                    "aio_read": self._aio_read}
        self._check(how, calls)
        if not 0 <= count <= MOST:
            raise OSError(errno.EINVAL, f"get: {count} bytes (0 to {MOST:,})")
        self.offset = offset
        self._both(f"{how} of {_bytes(count)} at {offset:,}", lambda fd: calls[how](fd, count, offset))

    @action
    def put(self, how: str, text: str, offset: int) -> None:
        """Write `text` to `offset`. how: write, writev (two halves), append (wherever the end is) or
        aio_write."""
        calls: dict[str, Putter] = {"write": self._write, "writev": self._writev, "append": self._append,
                                    "aio_write": self._aio_write}
        self._check(how, calls)
        self.offset = self.guest.fstat(self.fds["in place"]).st_size if how == "append" else offset
        self._both(f"{how} of {_bytes(len(text))} at {self.offset:,}",
                   lambda fd: (calls[how](fd, text.encode(), offset), b""))
        for side, place in (("in place", "stored"), ("page cache", "cached")):
            if self.outcomes[side].result > 0:
                self.mark(f"{side} {place} {self.offset // PAGE_SIZE}")

    @action
    def fsync(self) -> None:
        """Write back what is dirty: the file's pages, its list of blocks, its inode."""
        dirty = [page for page in range(PAGES) if self.place("page cache", page * PAGE_SIZE).dirty]
        self._both("fsync", self._fsync)
        for page in dirty:
            self.mark(f"page cache stored {page}")

    # ---- what changes the conditions ----

    @action
    def fill(self, free: int) -> None:
        """Fill both devices until so many blocks are free."""
        for mount in MOUNTS.values():
            fd = self.guest.open(f"{mount}/filler", O_CREAT | O_WRONLY | O_APPEND)
            while self.guest.statfs(mount).f_bfree > free:
                self.guest.write(fd, b"x" * PAGE_SIZE)
        self.said = f"Both devices are full, but for {free} block{'' if free == 1 else 's'}."

    @action
    def limit(self, nbytes: int) -> None:
        """RLIMIT_FSIZE: no write of the program may reach behind so many bytes. Negative: no limit."""
        self.guest.task.rlimit_fsize = RLIM_INFINITY if nbytes < 0 else nbytes
        self.said = "No limit." if nbytes < 0 else f"RLIMIT_FSIZE: files of {nbytes:,} bytes at most."

    @action
    def as_described(self) -> None:
        """Give the open file in place the operations that xip.txt describes: aio_read and aio_write, and
        around them do_sync_read and do_sync_write."""
        self.filp("in place").f_op = replace(
            ext2_xip_file_operations, name="as described", read=do_sync_read, write=do_sync_write,
            aio_read=xip_file_aio_read, aio_write=xip_file_aio_write, read_bytes=None, write_bytes=None)
        self.said = "The file in place has aio_read and aio_write now, and read() goes through do_sync_read."

    @action
    def plug_read(self, function: Operation) -> None:
        """Let this function be the read of the file in place."""
        self._plug(read=traced(function), read_bytes=None)

    @action
    def plug_write(self, function: Operation) -> None:
        """Let this function be the write of the file in place; Linux's checks come first, as ever."""
        self._plug(write=checked_write(function), write_bytes=None)

    def _plug(self, **operations: Any) -> None:
        filp = self.filp("in place")
        filp.f_op = replace(filp.f_op, name="yours", **operations)

    def broken_buffer(self, count: int, usable: int) -> dict[str, tuple[int, int]]:
        """Read `count` bytes at 0 into a buffer of which `usable` bytes can be used, and write from it: the
        answers of both sides. What is written are the file's own bytes."""
        answers = {}
        for side in SIDES:
            filp, memory = self.filp(side), bytearray(self.guest.pread(self.fds[side], count, 0))
            answers[side] = (vfs_read(filp, HostBuffer(bytearray(count), usable), count, 0),
                             vfs_write(filp, HostBuffer(memory, usable), count, 0))
        return answers

    # ---- what there is to see ----

    @looking
    def play(self, position: int) -> None:
        """Look at both traces as they were after step `position`."""
        self.position = max(0, position)

    def filp(self, side: str) -> File:
        """The open file."""
        return fget(self.guest.task, self.fds[side])

    def place(self, side: str, offset: int) -> Place:
        """What lies at a byte of the file."""
        inode = self.filp(side).f_inode
        block = int(ext2_get_block(inode, offset >> PAGE_SHIFT, False)[0])
        at = (block << PAGE_SHIFT) + offset_in_page(offset)
        stored = bytes(self.vm.segments[SEGMENTS[side]].mem[at:at + SHOWN]) if block else b""
        page = find_get_page(self.filp(side).f_mapping, offset >> PAGE_SHIFT)
        cached = b"" if page is None else bytes(page.frame[offset_in_page(offset):][:SHOWN])
        return Place(block, text_of(stored), text_of(cached), page is not None and page.dirty)

    def size(self, side: str) -> int:
        """i_size of the file."""
        return self.filp(side).f_inode.i_size

    def free(self, side: str) -> int:
        """Free blocks of the device."""
        return self.guest.statfs(MOUNTS[side]).f_bfree

    def results(self) -> dict[str, str]:
        """What the last call answered on each side."""
        return {side: str(outcome) for side, outcome in self.outcomes.items()}

    def step_of(self, side: str) -> int:
        """The step of a side's trace that is looked at."""
        last = max(len(self.outcomes[side].steps) - 1, 0)
        return last if self.position is None else min(self.position, last)

    def sentence(self) -> str:
        return self.said

    def __str__(self) -> str:
        lines = [f"{side:10}  {outcome!s:12} copied {outcome.copied:6,}  frames {outcome.frames}  "
                 f"{text_of(outcome.data[:SHOWN])}".rstrip() for side, outcome in self.outcomes.items()]
        return "\n".join([self.said, *lines])

    # ---- how it works ----

    def _check(self, how: str, calls: Mapping[str, object]) -> None:
        if how not in calls:
            raise OSError(errno.EINVAL, f"{how!r} is not one of {', '.join(calls)}")

    def _both(self, title: str, call: Callable[[int], tuple[int, bytes]]) -> None:
        """The same call on both sides, each with a recording."""
        self.why = ""
        self.outcomes = {side: self._traced(call, self.fds[side]) for side in SIDES}
        self.looks.pop("play", None)
        self.position = None
        answers = self.results()
        same = len(set(answers.values())) == 1
        each = "; ".join(f"{side}: {answer}" for side, answer in answers.items())
        self.said = f"{title}. " + (f"On both sides: {answers['in place']}." if same else f"{each}.")
        self.said += f" {self.why}." if self.why else ""
        if same and len({outcome.data for outcome in self.outcomes.values()}) > 1:
            self.said += " But the bytes are not the same."

    def _table(self, fd: int) -> str:
        """The name of the open file's table of operations."""
        return fget(self.guest.task, fd).f_op.name

    def _traced(self, call: Callable[[int], tuple[int, bytes]], fd: int) -> Outcome:
        with Recording() as recording:
            try:
                result, data = call(fd)
            except OSError as failure:
                result, data = -(failure.errno or errno.EIO), b""
                self.why = str(failure.strerror) if self._table(fd) == "yours" else self.why
        return Outcome(result, data, steps_of(recording.events))

    def _read(self, fd: int, count: int, offset: int) -> tuple[int, bytes]:
        data = self.guest.pread(fd, count, offset)
        return len(data), data

    def _readv(self, fd: int, count: int, offset: int) -> tuple[int, bytes]:
        halves = bytearray(count // 2), bytearray(count - count // 2)
        n = self.guest.preadv(fd, halves, offset)
        return n, b"".join(halves)[:n]

    def _sendfile(self, fd: int, count: int, offset: int) -> tuple[int, bytes]:
        out = self.guest.open("/tmp/out", O_CREAT | O_RDWR | O_TRUNC)
        n = self.guest.sendfile(out, fd, offset, count)
        self.guest.close(out)
        return n, b""

    def _aio_read(self, fd: int, count: int, offset: int) -> tuple[int, bytes]:
        ctx, buffer = io_setup(1), bytearray(count)
        self.guest.io_submit(ctx, IOCB_CMD_PREAD, fd, buffer, offset)
        n = io_getevents(ctx, 1, 1)[0].res
        return n, bytes(buffer[:max(n, 0)])

    def _write(self, fd: int, data: bytes, offset: int) -> int:
        return self.guest.pwrite(fd, data, offset)

    def _writev(self, fd: int, data: bytes, offset: int) -> int:
        return self.guest.pwritev(fd, (data[:len(data) // 2], data[len(data) // 2:]), offset)

    def _append(self, fd: int, data: bytes, offset: int) -> int:
        side = next(side for side in SIDES if self.fds[side] == fd)
        end = self.guest.open(f"{MOUNTS[side]}/story", O_WRONLY | O_APPEND)
        try:
            return self.guest.write(end, data)
        finally:
            self.guest.close(end)

    def _aio_write(self, fd: int, data: bytes, offset: int) -> int:
        ctx = io_setup(1)
        self.guest.io_submit(ctx, IOCB_CMD_PWRITE, fd, data, offset)
        return io_getevents(ctx, 1, 1)[0].res

    def _fsync(self, fd: int) -> tuple[int, bytes]:
        self.guest.fsync(fd)
        return 0, b""


def steps_of(events: list[Event]) -> tuple[Step, ...]:
    """A recording as steps: functions by their names, sums so far."""
    steps = []
    copied = frames = 0
    for event in events:
        copied += bytes_copied(event)
        frames += frames_changed(event)
        if event.name.rpartition(".")[2] in SHORTCUTS:
            continue
        name = (event.function or event.name) if event.is_call else label(event)
        asked, answer = (_asked(event), _answer(event)) if event.is_call else ("", "")
        steps.append(Step(name, asked, answer, event.name, event.depth, copied, frames))
    return tuple(steps)


def _asked(event: Event) -> str:
    """The arguments of a call that matter, in a few words."""
    get = event.fields.get
    words = [f"page {get('pgoff')}"] if "pgoff" in event.fields else []
    words += ["create"] if get("create") else []
    words += [f"sector {get('secnum')}"] if "secnum" in event.fields else []
    if "pos" in event.fields:
        words.append(f"{get('count', get('nbytes', get('copied')))} at {get('pos')}")
    return ", ".join(words)


def _answer(event: Event) -> str:
    """What a call answered: the error's name; a frame for an address and its frame number."""
    result = event.result
    if event.error:
        return event.error.partition(":")[0]
    if isinstance(result, str) and ", " in result and result.replace(", ", "").isdigit():
        return f"frame {int(result.split(', ')[1]):#x}"
    return "" if result is None else str(result)
