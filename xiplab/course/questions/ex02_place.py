"""Question 02.4: where a segment may not lie, and a limit that let one page too many pass (Q25)."""

from __future__ import annotations

import errno
from functools import partial
from random import Random
from typing import TypeAlias

from xiplab.course.problem import Answer
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Step, judge_play, outcome
from xiplab.course.worker import Record
from xiplab.guest import ZVM
from xiplab.linux.arch.s390.extmem import SEGMENT_SHARED, segment_load
from xiplab.linux.arch.s390.vmem import vmem
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, MiB

Range: TypeAlias = tuple[int, int]
Trial: TypeAlias = tuple[Range, tuple[Range, Range], int]
"""The segment's first and last page, those of two that are loaded, and max_pfn."""

MEGABYTE = 256
"""Pages."""
STORAGE = 512 * MiB >> PAGE_SHIFT


def trials(random: Random) -> list[Trial]:
    """Each can be refused for one reason at most."""
    at = random.randrange(1024, 2048) * MEGABYTE
    last = at + random.randrange(1, 4) * MEGABYTE - 1
    far = (at + 64 * MEGABYTE, at + 65 * MEGABYTE - 1)
    near, away, inside = (at, last), (at - 8 * MEGABYTE, at - 7 * MEGABYTE - 1), (at, at + 15)
    others, end = (away, near), far[1] + 1
    return [(near, (away, far), end), (far, others, end), (far, others, end - 1), (far, others, end + 1),
            (far, others, far[0]), (far, others, far[0] + 1), (far, others, at + 32),
            (near, (away, inside), end), ((at + 16, at + 31), (inside, away), end),
            ((last + 1, last + MEGABYTE), others, end), ((at - 16, at - 1), others, end),
            ((STORAGE - MEGABYTE, STORAGE - 1), others, end), ((STORAGE, STORAGE + 255), others, end),
            ((16, 31), others, end)]


def place(pages: Range) -> Record:
    return Record(first=pages[0], last=pages[1])


def play(trial: Trial, check_place: Function) -> list[Step]:
    """What the function says of a segment at this place."""
    (first, last), loaded, max_pfn = trial
    used = ", ".join(f"{a:X}-{b:X}" for a, b in loaded)
    return [(f"in hex: pages {first:X}-{last:X}, max_pfn {max_pfn:X}, "
             f"storage {STORAGE:X} pages, loaded {used}",
             outcome(check_place, first, last, max_pfn, STORAGE, [place(pages) for pages in loaded]))]


def right(first: int, last: int, max_pfn: int, storage: int, loaded: list[Record]) -> None:
    """Load a segment that lies there in a guest whose kernel can address so many pages."""
    vm = ZVM()
    places = {f"OTHER{number}": (other.first, other.last) for number, other in enumerate(loaded)}
    for name, pages in {**places, "DATA": (first, last)}.items():
        vm.cp(f"DEFSEG {name} {pages[0]:X}-{pages[1]:X} SW")
        vm.cp(f"SAVESEG {name}")
    kernel = vm.logon("LINUX1", storage=storage * PAGE_SIZE).kernel
    for name in places:
        segment_load(kernel, name, SEGMENT_SHARED)
    vmem(kernel).max_phys = max_pfn * PAGE_SIZE
    segment_load(kernel, "DATA", SEGMENT_SHARED)


def checking(*, behind: Function, unit: int = MEGABYTE, no_storage: int = errno.ENOSPC,
             busy: int = errno.EBUSY) -> Function:
    """A function with this test for the limit, and these errnos."""
    def check_place(first: int, last: int, max_pfn: int, storage: int, loaded: list[Record]) -> None:
        if behind(first, last, max_pfn):
            raise OSError(errno.ERANGE, "behind the limit")
        if first < storage:
            raise OSError(no_storage, "storage")
        if any(other.first // unit <= last // unit and first // unit <= other.last // unit
               for other in loaded):
            raise OSError(busy, "a segment")

    return check_place


def behind_the_end(first: int, last: int, max_pfn: int) -> bool:
    return last >= max_pfn


BELIEFS = (
    ("limit-is-the-last", checking(behind=lambda first, last, max_pfn: last > max_pfn)),
    ("start-is-enough", checking(behind=lambda first, last, max_pfn: first >= max_pfn)),
    ("one-page-to-be-safe", checking(behind=lambda first, last, max_pfn: last + 1 >= max_pfn)),
    ("megabytes-can-be-shared", checking(behind=behind_the_end, unit=1)),
    ("any-error-will-do", checking(behind=behind_the_end, no_storage=errno.EBUSY)),
    ("any-error-will-do", checking(behind=behind_the_end, busy=errno.ENOSPC)))


def check_places(answer: Answer, random: Random) -> None:
    """Segments at the limit, in storage, and beside loaded ones."""
    plays = [partial(play, trial) for trial in trials(random)]
    for game in plays:
        judge_play(game, seam(answer, "check_place"), right, BELIEFS,
                   "Linux answers otherwise for a segment at this place.", plays)
