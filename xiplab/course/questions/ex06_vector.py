"""Question 06.2: readv() out of read(), as Linux makes it for every file that has no readv of its own."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.ex06_bench import UNTOUCHED, Bench, Buffer, Layout, bench, checked_number, said
from xiplab.linux.fs.ext2.file import ext2_xip_file_operations
from xiplab.linux.fs.read_write import do_loop_readv_writev
from xiplab.linux.include.fs import File
from xiplab.linux.mm.filemap_xip import do_xip_mapping_read
from xiplab.units import PAGE_SIZE

Read = Callable[[Buffer, int, int], int]


def limited(made: Bench, most: int) -> Read:
    """A read of the file that moves at most so many bytes at a time; it refuses a wrong position."""
    def read(buf: Buffer, length: int, pos: int) -> int:
        if not isinstance(buf, Buffer):
            raise TypeError("read takes a buffer, its length and a position")
        return do_xip_mapping_read(made.filp, buf, min(checked_number(length), most), checked_number(pos))

    return read


def by_linux(made: Bench, read: Read, buffers: list[tuple[Buffer, int]], pos: int) -> int:
    """What Linux's own loop answers."""
    def operation(filp: File, buf: Any, count: int, at: int) -> int:
        return read(buf, count, at)

    made.filp.f_op = replace(ext2_xip_file_operations, name="limited", read=operation, read_bytes=None)
    return do_loop_readv_writev(made.filp, buffers, pos, write=False)


def outcome(layout: Layout, most: int, lengths: list[int], pos: int,
            readv: Callable[[Bench, Read, list[tuple[Buffer, int]], int], Any]) -> tuple[Any, bytes]:
    """The answer, or the name of its errno; and what is in the buffers, one behind the other."""
    made = bench(layout)
    buffers = [(Buffer(bytes([UNTOUCHED]) * length), length) for length in lengths]
    try:
        result = readv(made, limited(made, most), buffers, pos)
    except (OSError, AnswerRaised) as failure:
        if failure.errno is None:
            raise
        result = errno.errorcode[failure.errno]
    return result, b"".join(bytes(buf.memory) for buf, _ in buffers)


def check_readv(answer: Answer, random: Random) -> None:
    """Whole, short in the middle, at the end of the file, an error at once and after a part."""
    size = 3 * PAGE_SIZE + random.randrange(500, 3000)
    file, broken = Layout("DDHD", size % PAGE_SIZE), Layout("DDDD", broken=2)
    lengths = [random.randrange(100, 5000) for _ in range(3)]
    at = random.randrange(1, 2000)
    for layout, most, sizes, pos in (
            (file, size, lengths, at), (file, size, [PAGE_SIZE, 0, 50], at), (file, size, lengths, size - 90),
            (file, 700, [300, 900, 900], at), (broken, size, [PAGE_SIZE, 2 * PAGE_SIZE, 10], 0),
            (broken, size, [2 * PAGE_SIZE, 100], 0), (broken, size, [100, 100], 2 * PAGE_SIZE),
            (file, size, [], at)):
        got = outcome(layout, most, sizes, pos, lambda made, read, buffers, pos: answer.call(
            "readv", read, buffers, pos))
        expected = outcome(layout, most, sizes, pos, by_linux)
        if got != expected:
            limit = f"; read moves at most {most} bytes at a time" if most < size else ""
            parts = [(got[1], expected[1], "The bytes in the buffers are wrong."),
                     (got[0], expected[0], "Your function gave another answer than Linux.")]
            text = next(words for mine, linux, words in reversed(parts) if mine != linux)
            raise Wrong(text, given=f"{layout}{limit}; readv at {pos:,} into buffers of {sizes} bytes",
                        expected=said(expected[0]), got=said(got[0]))
