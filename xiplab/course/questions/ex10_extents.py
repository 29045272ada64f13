"""Question 10.4: a read that asks once for each run of blocks, as DAX does.

The judge counts the questions: a read of pages that lie in a row may ask direct_access once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.ex06_bench import UNTOUCHED, Buffer, checked_number, page_of, said
from xiplab.units import PAGE_SECTORS, PAGE_SIZE

PRELUDE = "PAGE_SIZE = 4096"
FIRST = 0x1000
"""The address of the disk's first byte."""


@dataclass
class Disk:
    """A file on a disk that lies in memory.

    Attributes:
        runs: (block, pages) in file order; block 0 for a hole. file_size: bytes of the file.
        memory: the disk's. asked: what direct_access was asked for: (block, bytes).
    """

    runs: tuple[tuple[int, int], ...]
    file_size: int
    memory: bytes
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"runs of (block, pages) {list(self.runs)}; a file of {self.file_size:,} bytes"

    @property
    def i_size(self) -> int:
        return self.file_size

    def get_block(self, page: int) -> tuple[int, int]:
        """The block of a page, 0 for a hole; and how many pages of its run begin with this one."""
        first = 0
        for block, count in self.runs:
            if checked_number(page) < first + count:
                behind = page - first
                return (block + behind if block else 0), count - behind
            first += count
        return 0, 1

    def direct_access(self, sector: int, nbytes: int) -> tuple[int, int]:
        """The address of a sector, and how many of the bytes can be used from there."""
        if checked_number(sector) % PAGE_SECTORS:
            raise ValueError(f"sector {sector} is not the first one of a page")
        self.asked.append((sector // PAGE_SECTORS, checked_number(nbytes)))
        return FIRST + sector * 512, min(nbytes, len(self.memory) - sector * 512)

    def span(self, address: int, nbytes: int) -> memoryview:
        """n bytes of the disk's memory, to be copied."""
        at = checked_number(address) - FIRST
        if at < 0 or at + checked_number(nbytes) > len(self.memory):
            raise ValueError(f"{nbytes} bytes at {address:#x} are not in the disk's memory")
        return memoryview(self.memory)[at:at + nbytes]


SHOWS: dict[type, str] = {Disk: "i_size get_block direct_access span", Buffer: "copy_to_user clear_user",
                          memoryview: ""}


def disk(random: Random, *, holes: bool) -> Disk:
    """A file of four runs, scattered over a disk of 32 blocks, and its old bytes behind the end."""
    counts = [random.randrange(1, 5) for _ in range(4)]
    starts = random.sample((1, 7, 13, 19, 25), 4)
    if holes:
        starts[random.randrange(1, 3)] = 0
    pages = sum(counts)
    size = (pages - 1) * PAGE_SIZE + random.randrange(500, 3000)
    memory = b"".join(page_of(block) for block in range(32))
    return Disk(tuple(zip(starts, counts, strict=True)), size, memory)


def content(on: Disk) -> bytes:
    """The file's bytes."""
    parts = (on.memory[block * PAGE_SIZE:(block + count) * PAGE_SIZE] if block else bytes(count * PAGE_SIZE)
             for block, count in on.runs)
    return b"".join(parts)[:on.file_size]


def runs_between(on: Disk, pos: int, end: int) -> int:
    """How many runs with blocks the bytes pos..end lie in."""
    first, met = 0, 0
    for block, count in on.runs:
        start, stop = first * PAGE_SIZE, (first + count) * PAGE_SIZE
        met += bool(block) and start < end and stop > pos
        first += count
    return met


def check_reads(answer: Answer, random: Random, *, holes: bool = False) -> list[tuple[Disk, int, int]]:
    """Reads from everywhere give the file's bytes; returns what was read, for the count."""
    made = []
    for number in range(6):
        on = disk(random, holes=holes)
        places = (0, on.file_size - 100, on.file_size + 5)
        pos = places[number] if number < len(places) else random.randrange(on.file_size)
        count = random.randrange(1, 5 * PAGE_SIZE) if number else on.file_size
        expected = content(on)[pos:pos + count]
        buf = Buffer(bytes([UNTOUCHED]) * count)
        given = f"{on}; read {count:,} bytes at {pos:,}"
        result = ask(answer, on, buf, count, pos, given)
        if buf.behind:
            raise Wrong("Your function stored bytes behind the end of the buffer.", given=given,
                        expected="none", got=f"{buf.behind:,} bytes behind",
                        misconception="length-is-the-total")
        if result != len(expected):
            belief = "read-fills-the-buffer" if result == count else ""
            raise Wrong("Your function gave another answer than it should.", given=given,
                        expected=said(len(expected)), got=said(result), misconception=belief)
        if bytes(buf.memory[:result]) != expected:
            pairs = zip(buf.memory, expected, strict=False)
            at = next(place for place, (mine, right) in enumerate(pairs) if mine != right)
            raise Wrong(f"The buffer's byte {at:,} is wrong.", given=given, expected=f"{expected[at]:#04x}",
                        got=f"{buf.memory[at]:#04x}", misconception=belief_behind(on, pos, at, buf.memory))
        made.append((on, pos, pos + len(expected)))
    return made


def ask(answer: Answer, on: Disk, buf: Buffer, count: int, pos: int, given: str) -> int:
    """One read by the answer."""
    try:
        result: Any = answer.call("dax_read", on, buf, count, pos)
    except AnswerRaised as failure:
        if "not in the disk's memory" not in failure.text:
            raise
        raise Wrong(f"Your function left the disk: {failure.text}.", given=given,
                    misconception="run-is-as-long-from-anywhere") from failure
    if type(result) is not int:
        raise Wrong("Your function must return how many bytes it copied.", given=given, got=repr(result)[:80])
    return result


def belief_behind(on: Disk, pos: int, at: int, memory: bytearray) -> str:
    """The misconception behind a wrong byte at `at` of the buffer; empty if none is known."""
    page, offset = divmod(pos + at, PAGE_SIZE)
    block, _ = on.get_block(page)
    if not block:
        behind = next((after for hole, after in pairwise(on.runs) if not hole[0]), (0, 0))[0]
        skipped = memory[at] in (UNTOUCHED, on.memory[behind * PAGE_SIZE])
        return "hole-is-skipped" if skipped else "block-zero-is-a-block"
    if at == 0 and offset and memory[0] == on.memory[block * PAGE_SIZE]:
        return "copy-begins-with-the-page"
    before, _ = on.get_block(page - 1) if page else (0, 0)
    follows = before and memory[at] == on.memory[(before + 1) * PAGE_SIZE + offset]
    return "run-is-as-long-from-anywhere" if follows else ""


def check_data(answer: Answer, random: Random) -> None:
    """Files without holes."""
    check_reads(answer, random)


def check_holes(answer: Answer, random: Random) -> None:
    """Files with a hole."""
    check_reads(answer, random, holes=True)


def check_questions(answer: Answer, random: Random) -> None:
    """direct_access is asked once for each run."""
    for on, pos, end in check_reads(answer, random, holes=True):
        runs = runs_between(on, pos, end)
        if len(on.asked) > runs:
            raise Wrong("The bytes are right, but your function asked direct_access more often than there "
                        "are runs.",
                        given=f"runs of (block, pages) {list(on.runs)}; bytes {pos:,} to {end:,}",
                        expected=f"{runs} questions", got=f"{len(on.asked)}",
                        misconception="one-question-for-each-page")
