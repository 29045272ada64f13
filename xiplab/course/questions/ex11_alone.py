"""The capstone's read, write and fault, each alone: on the file of exercise 05, with a buffer that counts,
against the model's own function.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.seam import seam
from xiplab.course.questions.stage_05 import FileInPlace
from xiplab.course.questions.stage_11 import mapped_by
from xiplab.errors import SIGBUS, SIGSEGV, ProgramInterruption, Signal
from xiplab.linux.include.fs import File
from xiplab.linux.include.mm import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE
from xiplab.linux.mm.filemap_xip import _xip_file_write, do_xip_mapping_read
from xiplab.tools import debugfs
from xiplab.units import PAGE_SIZE, MiB

STORED = (0, 2, 3)
PAGES = 6
SIZE = PAGES * PAGE_SIZE + 100


@dataclass
class Room:
    """A user's buffer that counts: `content` to be written, or what was read."""

    content: bytearray = field(default_factory=bytearray)
    copied: int = 0
    taken: int = 0

    def copy_to_user(self, src: memoryview) -> int:
        self.content += src
        self.copied += len(src)
        return len(src)

    def clear_user(self, nbytes: int) -> int:
        if type(nbytes) is not int or not 0 <= nbytes <= MiB:
            raise ValueError(f"clear_user({nbytes!r}): a number of bytes of this request")
        self.content += bytes(nbytes)
        return nbytes

    def copy_from_user(self, dst: memoryview) -> int:
        piece = self.content[self.taken:self.taken + len(dst)]
        dst[:len(piece)] = piece
        self.taken += len(piece)
        self.copied += len(piece)
        return len(piece)


def file_to_use() -> tuple[FileInPlace, File]:
    """A file of six pages and a bit, of which three are holes; the bytes of the others tell their place."""
    machine = FileInPlace()
    for page in STORED:
        machine.write(page, bytes((page * 16 + n // 256 + n) % 251 for n in range(PAGE_SIZE)))
    machine.write(PAGES, bytes(range(1, SIZE % PAGE_SIZE + 1)))
    machine.guest.sync()
    machine.mapping.a_ops = replace(machine.mapping.a_ops, get_xip_runs=None, get_xip_next=None)
    filp = machine.guest.task.files[machine.fd]
    assert filp is not None
    return machine, filp


def told(failure: AnswerRaised) -> str:
    return errno.errorcode.get(failure.errno or 0, failure.kind)


def as_count(value: object, given: str) -> int:
    """The number of bytes that an answer says it moved. Raises Wrong for anything else."""
    if type(value) is not int:
        raise Wrong("Your function must return how many bytes it moved.", given=given, got=repr(value),
                    misconception="nobody-needs-the-count")
    return value


# ---- 11.3

def requests(random: Random) -> list[tuple[int, int]]:
    """(position, count): inside a page, over pages, over holes, over the end, behind it."""
    inside = random.randrange(1, 2000)
    return [(0, PAGE_SIZE), (2 * PAGE_SIZE + inside, 300), (2 * PAGE_SIZE + inside, PAGE_SIZE + 500),
            (PAGE_SIZE - 10, 20), (PAGE_SIZE + inside, 77), (0, SIZE), (SIZE - 30, 500), (SIZE + 5, 10)]


def check_read(answer: Answer, random: Random) -> None:
    """The bytes and the count are the model's, each stored byte is copied once, nothing is taken."""
    machine, filp = file_to_use()
    free = machine.free_blocks
    for pos, count in requests(random):
        given = f"read of {count} bytes from byte {pos} on; the file has {SIZE}; pages 1, 4 and 5 are holes"
        right, room = Room(), Room()
        expected = do_xip_mapping_read(filp, right, count, pos)
        try:
            got = as_count(answer.call("xip_file_read", filp, room, count, pos), given)
        except AnswerRaised as failure:
            if failure.errno is None and failure.passed is None:
                raise
            raise Wrong("Your function gave an error where there is something to read.", given=given,
                        expected=f"{expected} bytes", got=told(failure), trace=tuple(failure.trace),
                        misconception="hole-is-an-error" if failure.errno == errno.ENODATA else ""
                        ) from failure
        if machine.free_blocks != free:
            raise Wrong("Reading took a block.", given=given, expected="0 blocks",
                        got=f"{free - machine.free_blocks} blocks", misconception="reading-allocates")
        if room.content != right.content:
            raise Wrong("The program gets other bytes than the file has.", given=given,
                        expected=f"{len(right.content)} bytes, beginning {bytes(right.content[:8])!r}",
                        got=f"{len(room.content)} bytes, beginning {bytes(room.content[:8])!r}",
                        misconception=belief_about_read(filp, count, pos, bytes(room.content)))
        if got != expected:
            raise Wrong("The bytes are right, and the number returned is not.", given=given,
                        expected=str(expected), got=str(got), misconception="nobody-needs-the-count")


def belief_about_read(filp: File, count: int, pos: int, got: bytes) -> str:
    """The wrong way of reading that gives these bytes; empty if none is known."""
    offset, inode = pos % PAGE_SIZE, filp.f_inode
    whole = Room()
    do_xip_mapping_read(filp, whole, SIZE, 0)
    content = bytes(whole.content)
    if pos >= inode.i_size or len(got) > inode.i_size - pos:
        return "files-never-end" if len(got) <= count else "piece-is-the-request"
    if len(got) > count:
        return "piece-is-the-request"
    if offset and got[:16] == content[pos - offset:pos - offset + min(16, len(got))]:
        return "page-begins-at-the-position"
    if len(got) < min(count, inode.i_size - pos):
        return "one-page-is-enough"
    return "page-begins-at-the-position" if offset else ""


# ---- 11.4

def writes(random: Random) -> list[tuple[int, int, str]]:
    """(position, count, what is there)."""
    inside = random.randrange(100, 2000)
    return [(2 * PAGE_SIZE + inside, 50, "a stored page"),
            (2 * PAGE_SIZE + inside, PAGE_SIZE, "two stored pages"),
            (4 * PAGE_SIZE + inside, 40, "a hole"), (10, 30, "a stored page"),
            (SIZE - 10, 30, "over the end, in a stored page"),
            (SIZE + 3 * PAGE_SIZE, 20, "behind the end")]


def check_write(answer: Answer, random: Random) -> None:
    """File, size and count are as after the model's write; mappings of a hole see the new page."""
    for pos, count, where in writes(random):
        data = bytes(random.randrange(1, 256) for _ in range(count))
        given = f"write of {count} bytes from byte {pos} on ({where}); the file has {SIZE} bytes"
        model, filp = file_to_use()
        expected = _xip_file_write(filp, Room(bytearray(data)), count, pos)
        machine, filp = file_to_use()
        zeros = machine.guest.mmap(machine.fd, 0, PROT_READ, MAP_PRIVATE)
        assert zeros[4 * PAGE_SIZE] == 0
        room = Room(bytearray(data))
        try:
            got = as_count(answer.call("xip_file_write", filp, room, count, pos), given)
        except AnswerRaised as failure:
            if failure.errno is None and failure.passed is None:
                raise
            raise Wrong("Your function gave an error where it can write.", given=given,
                        expected=f"{expected} bytes", got=told(failure), trace=tuple(failure.trace),
                        misconception="asking-is-no-creating" if failure.errno == errno.ENODATA else ""
                        ) from failure
        judge_file(machine, model, given, pos)
        if got != expected:
            raise Wrong("The file is right, and the number returned is not.", given=given,
                        expected=str(expected), got=str(got), misconception="nobody-needs-the-count")
        if zeros[4 * PAGE_SIZE:5 * PAGE_SIZE] != machine.guest.pread(machine.fd, PAGE_SIZE, 4 * PAGE_SIZE):
            raise Wrong("A program that has mapped the hole still sees zeros.", given=given,
                        expected="the new page", got="the page of zeros", misconception="sparse-page-stays")


def judge_file(machine: FileInPlace, model: FileInPlace, given: str, pos: int) -> None:
    """Size and content of the learner's file are those of the model's."""
    size, right = machine.inode.i_size, model.inode.i_size
    if size != right:
        raise Wrong("The size of the file is not right afterwards.", given=given, expected=str(right),
                    got=str(size), misconception="write-sets-the-size" if size < right and right == SIZE
                    else "size-grows-by-itself")
    machine.guest.sync()
    stored = debugfs.stat(bytes(machine.segment), "/file")["size"]
    if stored != right:
        raise Wrong("The size in the inode on the device is the old one, also after a sync.", given=given,
                    expected=str(right), got=str(stored), misconception="size-grows-by-itself")
    mine, theirs = (each.guest.pread(each.fd, right, 0) for each in (machine, model))
    if mine != theirs:
        first = next(n for n, pair in enumerate(zip(mine, theirs, strict=True)) if pair[0] != pair[1])
        start = pos - pos % PAGE_SIZE
        raise Wrong("The file has other bytes afterwards.", given=given,
                    expected=f"byte {first}: {theirs[first]:#x}", got=f"byte {first}: {mine[first]:#x}",
                    misconception="page-begins-at-the-position" if start <= first < pos else "")


# ---- 11.5

def faulting(answer: Answer) -> FileInPlace:
    """A file whose mappings bring their page faults to the answer."""
    machine, filp = file_to_use()
    filp.f_op = replace(filp.f_op, mmap=mapped_by(seam(answer, "xip_file_fault")))
    return machine


def belief_about_fault(failure: Exception, otherwise: str = "") -> str:
    """What makes a load or store fail like this: nothing was mapped, or a frame that does not exist."""
    if isinstance(failure, ProgramInterruption):
        return "kernel-finds-the-frame"
    return "address-is-a-frame" if isinstance(failure, Signal) and failure.signo == SIGSEGV else otherwise


def check_stored_pages(answer: Answer, random: Random) -> None:
    """A load and a store of a stored page: the very frame of the segment, no copy."""
    machine = faulting(answer)
    text = machine.guest.mmap(machine.fd, 0, PROT_READ | PROT_WRITE, MAP_SHARED)
    for page in (3, 0, 2):
        given = f"page {page}, stored in block {machine.i_data[page]}"
        try:
            text[page * PAGE_SIZE]
        except (OSError, Signal, ProgramInterruption) as failure:
            raise Wrong("The program could not load from the page.", given=given, got=str(failure),
                        misconception=belief_about_fault(failure)) from failure
        if not shares(machine, text, page):
            raise Wrong("Another frame than that of the page is mapped.", given=given,
                        expected=f"frame {machine.first_frame + machine.i_data[page]:#x}",
                        got="another", misconception="page-is-block")


def shares(machine: FileInPlace, text: Any, page: int) -> bool:
    start = machine.i_data[page] * PAGE_SIZE
    return bool(np.shares_memory(text.frame(page), machine.segment[start:start + PAGE_SIZE]))


def check_other_pages(answer: Answer, random: Random) -> None:
    """Behind the end: SIGBUS. A hole: zeros for who only looks, a block for whose stores reach the file."""
    try:
        use_other_pages(answer)
    except (OSError, Signal, ProgramInterruption) as failure:
        raise Wrong(f"A program could not use its mapping: {failure}.",
                    misconception=belief_about_fault(failure)) from failure


def use_other_pages(answer: Answer) -> None:
    """What a program sees behind the end of the file, and in a hole."""
    machine = faulting(answer)
    machine.guest.ftruncate(machine.fd, PAGES * PAGE_SIZE)
    guest, free = machine.guest, machine.free_blocks
    private = guest.mmap(machine.fd, 8 * PAGE_SIZE, PROT_READ, MAP_PRIVATE)
    given = "a load from page 6; the file ends with page 5"
    try:
        private[PAGES * PAGE_SIZE]
    except Signal as signal:
        if signal.signo != SIGBUS:
            raise Wrong("That is another signal.", given=given, expected="SIGBUS", got=str(signal),
                        misconception="any-error-will-do") from signal
    except OSError as failure:
        raise Wrong("An access behind the end is no system call; it ends by a signal.", given=given,
                    expected="SIGBUS", got=str(failure), misconception="any-error-will-do") from failure
    else:
        raise Wrong("A page behind the end of the file was mapped.", given=given, expected="SIGBUS",
                    got="zeros", misconception="behind-the-end-is-zeros")
    given = "a load from page 4, a hole, in a private mapping"
    try:
        value = private[4 * PAGE_SIZE]
    except (OSError, Signal, ProgramInterruption) as failure:
        raise Wrong("The program could not read a hole.", given=given, expected="zeros", got=str(failure),
                    misconception=belief_about_fault(failure, "hole-is-an-error")) from failure
    if value or machine.free_blocks != free:
        raise Wrong("Looking at a hole took a block.", given=given, expected="zeros and no block",
                    got=f"{free - machine.free_blocks} blocks taken", misconception="reading-allocates")
    check_shared_hole(machine, private)


def check_shared_hole(machine: FileInPlace, private: Any) -> None:
    """A store to a hole, in a shared mapping, while another has mapped its zeros."""
    shared = machine.guest.mmap(machine.fd, 0, PROT_READ | PROT_WRITE, MAP_SHARED)
    given = "a store to page 4, a hole, in a shared mapping"
    try:
        shared[4 * PAGE_SIZE] = 7
    except (OSError, Signal, ProgramInterruption) as failure:
        raise Wrong("The store failed.", given=given, got=str(failure),
                    misconception="zeros-are-enough") from failure
    if not machine.i_data[4] or machine.bytes_of(machine.i_data[4])[0] != 7:
        raise Wrong("The store did not reach the file.", given=given, expected="a block with the new byte",
                    got="no block" if not machine.i_data[4] else "a block without it",
                    misconception="zeros-are-enough")
    if private[4 * PAGE_SIZE] != 7:
        raise Wrong("The other mapping still sees zeros.", given=given, expected="the new byte", got="zeros",
                    misconception="sparse-page-stays")
