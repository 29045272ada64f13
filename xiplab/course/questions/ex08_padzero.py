"""Question 08.4: data and bss meet in one page, and the page lies in the segment.

The task `private` has mapped a file in place, as exec maps the data of a program: a private mapping, in
which stores are the task's own. Somewhere in a page its data ends and its bss begins, which must be zero.
The answer clears the rest of the page. Two other tasks have mapped the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, TypeAlias

from xiplab.course.experiments.mapping import MapInPlace
from xiplab.course.experiments.stage import action
from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.seam import seam
from xiplab.errors import ProgramInterruption, Signal
from xiplab.linux.arch.s390 import uaccess
from xiplab.linux.include.mm import MmStruct
from xiplab.linux.mm.memory import follow_pfn
from xiplab.units import PAGE_SIZE, Pfn, Vaddr

Function: TypeAlias = Callable[..., Any]


class Padded(MapInPlace):
    """Three tasks, and a page of `private` in which its bss begins.

    Attributes:
        function: who clears the rest of the page. trouble: how the task has ended over it.
    """

    story = b"".join(word.ljust(PAGE_SIZE, b".") for word in (b"apple", b"berry", b"cream"))

    def build(self) -> None:
        super().build()
        self.function: Function | None = None
        self.trouble = ""

    @action
    def use(self, function: Function) -> None:
        """Let `function` clear what is not data."""
        self.function = function
        self.said = "private begins. Its bss is not cleared yet."

    @action
    def clear(self, bss: int) -> None:
        """The bss of `private` begins at byte `bss` of its mapping: clear to the end of the page."""
        self.load("private", min(bss, 3 * PAGE_SIZE - 1) // PAGE_SIZE)
        mm, memory = self.texts["private"].mm, self.guest.kernel.memory

        def clear_frame(pfn: int, offset: int, n: int) -> None:
            memory.frame(Pfn(pfn))[offset:offset + n] = 0

        def clear_user(mm: MmStruct, address: int, n: int) -> None:
            uaccess.store(mm, Vaddr(address), bytes(n))

        assert self.function is not None
        try:
            self.function(mm, self.texts["private"].vaddr + bss, follow_pfn, clear_frame, clear_user)
            self.said = f"The bss of private begins at byte {bss % PAGE_SIZE} of page {bss // PAGE_SIZE}."
        except (Signal, ProgramInterruption) as failure:
            self.trouble = self.said = f"The task ends: {failure}."

    def pages(self, task: str) -> bytes:
        """What the task sees of the file's three pages."""
        return self.texts[task][0:3 * PAGE_SIZE]


def padzero(mm: MmStruct, bss: int, find: Function, clear_frame: Function, clear_user: Function) -> None:
    """The model of an answer."""
    offset = bss % PAGE_SIZE
    if offset:
        clear_user(mm, bss, PAGE_SIZE - offset)


def believing(belief: str) -> Function:
    """padzero of somebody with one belief."""
    def function(mm: MmStruct, bss: int, find: Function, clear_frame: Function, clear_user: Function) -> None:
        offset = bss % PAGE_SIZE
        if belief == "frame-of-a-task-is-its-own" and offset:
            clear_frame(find(mm, bss), offset, PAGE_SIZE - offset)
        elif belief == "bss-takes-whole-pages" and offset:
            clear_user(mm, bss - offset, PAGE_SIZE)
        elif belief == "a-page-is-always-begun":
            clear_user(mm, bss, PAGE_SIZE - offset)
        elif belief == "bytes-up-to-the-offset" and offset:
            clear_user(mm, bss, min(offset, PAGE_SIZE - offset))

    return function


BELIEFS = ("frame-of-a-task-is-its-own", "bss-takes-whole-pages", "a-page-is-always-begun",
           "bytes-up-to-the-offset", "file-ends-in-zeros")

PLACES = (100, PAGE_SIZE + 3000, 2 * PAGE_SIZE + 1, PAGE_SIZE, 3 * PAGE_SIZE - 1)
"""Where a bss begins; one of them at the start of a page."""


def seen_after(function: Function, bss: int) -> tuple[str, str]:
    """What is wrong with what the task sees, and with what the others see; empty if nothing is."""
    machine = Padded()
    machine.use(function)
    before = machine.pages("writer")
    machine.clear(bss)
    end = -(-bss // PAGE_SIZE) * PAGE_SIZE
    expected = before[:bss] + bytes(end - bss) + before[end:]
    got = machine.pages("private")
    wrong = next((f"byte {at} is {got[at]:#04x}, and not {expected[at]:#04x}"
                  for at in range(len(expected)) if got[at] != expected[at]), "")
    others = "the file has changed, and the others see it" if machine.pages("writer") != before else ""
    return machine.trouble or wrong, others


def check_cleared(answer: Answer, random: Random) -> None:
    """The task sees its data, then zeros up to the end of the page, then what was there."""
    judge(answer, 0)


def check_others(answer: Answer, random: Random) -> None:
    """The file and the other tasks keep their bytes."""
    judge(answer, 1)


def judge(answer: Answer, which: int) -> None:
    function = seam(answer, "padzero")
    for bss in PLACES:
        got = seen_after(function, bss)
        if got[which]:
            who = ("The task sees something else.", "Your function has changed the segment.")[which]
            raise Wrong(who, given=f"bss begins at byte {bss % PAGE_SIZE} of page {bss // PAGE_SIZE}",
                        expected=("its data, then zeros", "the file as it was")[which], got=got[which],
                        misconception=belief_behind(function))


def belief_behind(function: Function) -> str:
    """The misconception that leaves the same; empty if none does."""
    said = [seen_after(function, bss) for bss in PLACES]
    return next((belief for belief in BELIEFS if believed(belief) == said), "")


@cache
def believed(belief: str) -> list[tuple[str, str]]:
    return [seen_after(believing(belief), bss) for bss in PLACES]
