"""Question 06.3: the learner's own xip_file_read, on the bench and under a guest's pread()."""

from __future__ import annotations

import errno
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.ex06_bench import (
    UNTOUCHED,
    Layout,
    Outcome,
    Transfer,
    belief_behind,
    bench,
    over_the_pipe,
    run,
    said,
    shown,
)
from xiplab.linux.fs.ext2.file import ext2_xip_file_operations
from xiplab.linux.mm.filemap_xip import do_xip_mapping_read
from xiplab.units import PAGE_SIZE

Call = tuple[Layout, int, int]


def read_as(belief: str, filp: Any, buf: Any, count: int, pos: int) -> int:
    """A read as somebody writes it who believes this."""
    mapping, size, copied = filp.f_mapping, filp.f_inode.i_size, 0
    if belief == "read-fills-the-buffer":
        size = pos + count
    while pos < size and copied < count:
        page, offset = divmod(pos, PAGE_SIZE)
        room = size - pos if belief == "file-is-contiguous" else PAGE_SIZE - offset
        left = count if belief == "length-is-the-total" else count - copied
        chunk = min(room, size - pos, left)
        try:
            kmem, _ = mapping.a_ops.get_xip_mem(mapping, page, belief == "reading-allocates")
            at = kmem + {"copy-begins-with-the-page": 0, "position-is-an-offset": pos}.get(belief, offset)
            buf.copy_to_user(mapping.kernel.memory.span(at, chunk))
        except OSError as failure:
            is_hole = failure.errno == errno.ENODATA and belief != "hole-is-an-error"
            if (belief == "hole-ends-the-read" and is_hole) or (belief == "error-is-the-end" and not is_hole):
                break
            if not is_hole and belief != "every-failure-is-a-hole":
                if copied and belief != "all-or-nothing":
                    break
                raise
            if belief != "hole-is-skipped":
                buf.clear_user(chunk)
        copied += chunk
        pos += chunk
    return copied


BELIEFS: dict[str, Transfer] = {belief: partial(read_as, belief) for belief in (
    "read-fills-the-buffer", "length-is-the-total", "copy-begins-with-the-page", "position-is-an-offset",
    "file-is-contiguous",
    "hole-is-an-error", "hole-ends-the-read", "hole-is-skipped", "reading-allocates",
    "every-failure-is-a-hole", "all-or-nothing", "error-is-the-end")}


def check_calls(answer: Answer, calls: list[Call]) -> None:
    """Each call does what Linux 3.6 does: the same result, the same bytes, and nothing else."""
    calls_made: list[tuple[Layout, bytes, int, Outcome]] = []
    for layout, count, pos in calls:
        data = bytes([UNTOUCHED]) * count
        got = run(over_the_pipe(answer, "xip_file_read"), bench(layout), data, pos)
        calls_made.append((layout, data, pos, got))
    for layout, data, pos, got in calls_made:
        expected = run(do_xip_mapping_read, bench(layout), data, pos)
        if got != expected:
            text, was, should = difference(got, expected)
            raise Wrong(text, given=shown(layout, "read", len(data), pos), expected=should, got=was,
                        misconception=belief_behind(BELIEFS, calls_made))


def difference(got: Outcome, expected: Outcome) -> tuple[str, str, str]:
    """What is wrong, what came, and what should have come."""
    if got.behind:
        return ("Your function stored bytes behind the end of the buffer.", f"{got.behind:,} bytes behind",
                "none")
    if got.result != expected.result:
        return "Your function gave another answer than Linux.", said(got.result), said(expected.result)
    if got.created:
        return "A read gave a hole a block.", f"get_xip_mem({min(got.created)}, create)", "no create"
    pairs = zip(got.data, expected.data, strict=True)
    place = next(at for at, (mine, linux) in enumerate(pairs) if mine != linux)
    return (f"The buffer's byte {place:,} is wrong.", f"{got.data[place]:#04x}",
            f"{expected.data[place]:#04x}" + (", not touched" if expected.data[place] == UNTOUCHED else ""))


def check_data(answer: Answer, random: Random) -> None:
    """Pages of data: inside one, across several, short at the end of the file, at the end, behind it."""
    layout = Layout("DDDD", random.randrange(500, 3000))
    across = random.randrange(1, PAGE_SIZE)
    check_calls(answer, [
        (layout, 2 * PAGE_SIZE + 77, across), (layout, 100, 5000), (layout, PAGE_SIZE, PAGE_SIZE),
        (layout, 9000, layout.size - 50), (layout, 3 * PAGE_SIZE, layout.size - 5000),
        (layout, 10, layout.size), (layout, 10, layout.size + 9000)])


def check_holes(answer: Answer, random: Random) -> None:
    """Holes in the middle, at the start and at the end of what is read."""
    layout = Layout("DHDH", random.randrange(500, 3000))
    inside = random.randrange(1, 3000)
    check_calls(answer, [(layout, 3 * PAGE_SIZE - 100, inside), (layout, 64, PAGE_SIZE + inside),
                         (layout, 2 * PAGE_SIZE, 2 * PAGE_SIZE), (layout, PAGE_SIZE, PAGE_SIZE),
                         (layout, 500, layout.size - 20)])


def check_failures(answer: Answer, random: Random) -> None:
    """A page that cannot be read: at once, and after a part."""
    first = random.randrange(1, PAGE_SIZE)
    check_calls(answer, [(Layout("DDDD", broken=1), 100, PAGE_SIZE + first),
                         (Layout("DDDD", broken=2), 4 * PAGE_SIZE, first),
                         (Layout("DHDD", broken=2), 2 * PAGE_SIZE, 2 * PAGE_SIZE - 1),
                         (Layout("DDDD", broken=3), PAGE_SIZE, first)])


def check_mounted(answer: Answer, random: Random) -> None:
    """A program's pread() on a guest goes through the answer, which takes no frame and copies once."""
    layout = Layout("DHD", 1000)
    made = bench(layout)
    expected = made.guest.pread(made.fd, 9000, 300)
    read = over_the_pipe(answer, "xip_file_read")
    made.filp.f_op = replace(ext2_xip_file_operations, name="yours", read=read, read_bytes=None)
    cached = made.guest.frames["page cache"]
    try:
        got = made.guest.pread(made.fd, 9000, 300)
    except AnswerRaised as failure:
        if failure.errno is None:
            raise
        raise Wrong(f"The guest's pread() failed: {failure}.", given=shown(layout, "pread", 9000, 300)
                    ) from failure
    if got != expected or made.guest.frames["page cache"] != cached:
        raise Wrong("A guest's pread() does not give the file's bytes with your function.",
                    given=shown(layout, "pread", 9000, 300), expected=f"{len(expected):,} bytes",
                    got=f"{len(got):,} bytes")
