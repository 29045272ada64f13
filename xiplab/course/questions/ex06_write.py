"""Questions 06.4 and 06.5: a write that Linux had wrong (Q4), and the learner's own xip_file_write."""

from __future__ import annotations

import errno
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.ex06_bench import (
    Layout,
    Outcome,
    Transfer,
    belief_behind,
    bench,
    over_the_pipe,
    run,
    shown,
)
from xiplab.linux.fs.ext2.file import ext2_xip_file_operations
from xiplab.linux.fs.inode import file_update_time, mark_inode_dirty
from xiplab.linux.include.fs import File, UserBuffer
from xiplab.linux.mm.filemap import generic_write_checks
from xiplab.linux.mm.filemap_xip import _xip_file_write
from xiplab.units import PAGE_SIZE

Call = tuple[Layout, int, int]
MENDED = "write_in_place"
"""What the function of 06.4 is called."""


def write_as(belief: str, filp: Any, buf: Any, count: int, pos: int) -> int:
    """A write as somebody writes it who believes this."""
    mapping, inode, written = filp.f_mapping, filp.f_inode, 0
    get_xip_mem = mapping.a_ops.get_xip_mem
    if belief == "file-cannot-grow":
        count = min(count, max(inode.i_size - pos, 0))
    while written < count:
        page, offset = divmod(pos, PAGE_SIZE)
        room = PAGE_SIZE if belief == "file-is-contiguous" else PAGE_SIZE - offset
        chunk = count if belief == "file-is-contiguous" else min(room, count - written)
        try:
            try:
                kmem, _ = get_xip_mem(mapping, page, False)
            except OSError as failure:
                if failure.errno != errno.ENODATA or belief == "hole-cannot-be-written":
                    raise
                kmem, _ = get_xip_mem(mapping, page, True)
        except OSError:
            if (written and belief != "all-or-nothing") or belief == "error-is-the-end":
                break
            raise
        at = kmem + {"copy-begins-with-the-page": 0, "position-is-an-offset": pos}.get(belief, offset)
        buf.copy_from_user(mapping.kernel.memory.span(at, chunk, "store"))
        written += chunk
        pos += chunk
    if belief == "size-is-where-the-write-ends" or (pos > inode.i_size and belief != "size-follows"):
        inode.i_size = pos
    return written


BELIEFS: dict[str, Transfer] = {belief: partial(write_as, belief) for belief in (
    "copy-begins-with-the-page", "position-is-an-offset", "file-is-contiguous", "hole-cannot-be-written",
    "file-cannot-grow", "size-follows", "size-is-where-the-write-ends", "all-or-nothing", "error-is-the-end")}


def check_calls(answer: Answer, calls: list[Call], random: Random, name: str = "xip_file_write") -> None:
    """Each call does what Linux 3.6 does: the same result, the same bytes in storage, the same size."""
    said: list[tuple[Layout, bytes, int, Outcome]] = []
    for layout, count, pos in calls:
        data = random.randbytes(count)
        got = run(over_the_pipe(answer, name), bench(layout), data, pos)
        said.append((layout, data, pos, got))
    for layout, data, pos, got in said:
        expected = run(_xip_file_write, bench(layout), data, pos)
        if replace(got, created=expected.created) != expected:
            text, was, should = difference(got, expected)
            raise Wrong(text, given=shown(layout, "write", len(data), pos), expected=should, got=was,
                        misconception=belief_behind(BELIEFS, said))


def difference(got: Outcome, expected: Outcome) -> tuple[str, str, str]:
    """What is wrong, what came, and what should have come."""
    if got.result != expected.result:
        return "Your function gave another answer than Linux.", str(got.result), str(expected.result)
    if got.size != expected.size:
        return "The file's size is wrong after the write.", f"{got.size:,}", f"{expected.size:,}"
    page = next((at for at, pair in enumerate(zip(got.content, expected.content, strict=True))
                 if pair[0] != pair[1]), 0)
    if len(got.content[page]) != len(expected.content[page]):
        return (f"Page {page} is {'a hole' if not got.content[page] else 'no hole any more'}.",
                f"{len(got.content[page]):,} bytes of storage", f"{len(expected.content[page]):,}")
    pairs = zip(got.content[page], expected.content[page], strict=True)
    place = next((at for at, pair in enumerate(pairs) if pair[0] != pair[1]), 0)
    return (f"In storage, byte {place:,} of page {page} is wrong.", f"{got.content[page][place]:#04x}",
            f"{expected.content[page][place]:#04x}")


# ---- 06.4: data only

def check_aligned(answer: Answer, random: Random) -> None:
    """Writes that begin where a page begins; 2.6.24-rc did these right."""
    layout = Layout("DDDD")
    check_calls(answer, [(layout, 100, PAGE_SIZE), (layout, 2 * PAGE_SIZE + 50, 0)], random, MENDED)


def check_unaligned(answer: Answer, random: Random) -> None:
    """Writes that begin in the middle of a page."""
    layout = Layout("DDDD")
    inside = random.randrange(1, PAGE_SIZE - 100)
    check_calls(answer, [(layout, 100, inside), (layout, PAGE_SIZE, PAGE_SIZE + inside),
                         (layout, 2 * PAGE_SIZE, inside), (layout, 1, 2 * PAGE_SIZE - 1)], random, MENDED)


# ---- 06.5: the whole write

def check_data(answer: Answer, random: Random) -> None:
    """Writes to pages that are there, inside the file."""
    layout = Layout("DDDD")
    inside = random.randrange(1, PAGE_SIZE - 100)
    check_calls(answer, [(layout, 100, inside), (layout, 2 * PAGE_SIZE, PAGE_SIZE + inside),
                         (layout, PAGE_SIZE, 3 * PAGE_SIZE), (layout, 0, inside)], random)


def check_growing(answer: Answer, random: Random) -> None:
    """Holes, and the end of the file."""
    layout = Layout("DHDD", random.randrange(500, 3000))
    inside = random.randrange(1, PAGE_SIZE - 100)
    check_calls(answer, [(layout, 64, PAGE_SIZE + inside), (layout, 2 * PAGE_SIZE, inside),
                         (layout, 200, layout.size - 100), (layout, PAGE_SIZE, layout.size),
                         (layout, 10, 5 * PAGE_SIZE + inside), (layout, 10, 3 * PAGE_SIZE)], random)


def check_full(answer: Answer, random: Random) -> None:
    """A full disk, and a page that cannot be reached: at once, and after a part."""
    inside = random.randrange(1, PAGE_SIZE)
    check_calls(answer, [(Layout("DDD", free=1), 2 * PAGE_SIZE + 9, 3 * PAGE_SIZE),
                         (Layout("DDH", free=0), PAGE_SIZE + 5, PAGE_SIZE + inside),
                         (Layout("DHD", free=0), 100, PAGE_SIZE + inside % 3000),
                         (Layout("DDD", broken=1), 2 * PAGE_SIZE, inside),
                         (Layout("DDD", broken=1), 50, PAGE_SIZE)], random)


def check_mounted(answer: Answer, random: Random) -> None:
    """A program's pwrite() on a guest goes through the answer, straight into the segment."""
    layout = Layout("DHD", 1000)
    made = bench(layout)
    made.filp.f_op = replace(ext2_xip_file_operations, name="yours", write=in_the_kernel(answer),
                             write_bytes=None)
    data = random.randbytes(6000)
    given = shown(layout, "pwrite", len(data), 3000)
    try:
        moved = made.guest.pwrite(made.fd, data, 3000)
    except AnswerRaised as failure:
        if failure.errno is None:
            raise
        raise Wrong(f"The guest's pwrite() failed: {failure}.", given=given) from failure
    if moved != len(data) or made.guest.pread(made.fd, len(data), 3000) != data:
        raise Wrong("What the guest wrote with your function, it does not read back.", given=given,
                    expected=f"{len(data):,} bytes written", got=str(moved))


def in_the_kernel(answer: Answer) -> Transfer:
    """What Linux does before and after: the checks of every write, the times, the inode to be written."""
    write = over_the_pipe(answer, "xip_file_write")

    def xip_file_write(filp: File, buf: UserBuffer, count: int, pos: int) -> Any:
        pos, count = generic_write_checks(filp, pos, count)
        file_update_time(filp)
        moved = write(filp, buf, count, pos)
        mark_inode_dirty(filp.f_inode)
        return moved

    return xip_file_write
