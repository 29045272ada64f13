"""Question 09.1: somebody writes to the flash chip that a program runs from; what does everybody see?

A situation is drawn from its number; situation 0 is the simplest. What is expected is seen by running the
model, and the first of the three answers that differs from it names the belief behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeAlias

from xiplab.course.experiments.flash import MOUNTS, Flash
from xiplab.course.problem import Answer, Wrong

OFFSET = 0x10
BYTES = ((0xF0, 0x0F), (0xFC, 0x3F), (0xAA, 0x55), (0x7F, 0xF7), (0x3C, 0xFF), (0x00, 0xFF), (0xC3, 0x66))
PROGRAM, ERASE = ("code", "status"), ("done", "under way", "waiting")
Outcome: TypeAlias = tuple[int, str, str]


@dataclass(frozen=True)
class Situation:
    """How the file system is mounted, the two bytes that are programmed, and how long the erase goes on."""

    how: str = "in place"
    first: int = 0xF0
    second: int = 0x0F
    ms: int = 1


def situation(variant: int) -> Situation:
    """The situation with this number; the same one every time."""
    if variant == 0:
        return Situation()
    random = Random(f"09.1 situation {variant}")
    return Situation(random.choice(tuple(MOUNTS)), *random.choice(BYTES), random.choice((1, 2_000)))


def situation_lines(variant: int) -> tuple[str, ...]:
    """The situation in words."""
    case = situation(variant)
    mount = {"in place": "in place", "pointed": "in place, and the chip is pointed until the unmount",
             "page cache": "without xip, and the program touches its page"}[case.how]
    later = "At once" if case.ms == 1 else "Two seconds later, which is longer than an erase takes,"
    return (f"Byte {OFFSET:#x} of the log is erased: 0xff. write() programs it with {case.first:#04x}, then "
            f"with {case.second:#04x}.",
            f"Then the file system is mounted {mount}. A program runs from it.",
            "Then somebody asks for an erase of block 9. The byte is in block 8, the program in block 1.",
            f"{later} we look at three things.")


@cache
def outcome(case: Situation) -> Outcome:
    """Run the model: the byte's cell, what the program sees, and how the erase is."""
    flash = Flash()
    for value in (case.first, case.second):
        flash.program(OFFSET, value)
    flash.mount(case.how)
    flash.erase(9)
    flash.wait(case.ms)
    busy = flash.chip.running is not None
    erase = "under way" if busy else "waiting" if case.how == "pointed" else "done"
    return flash.log_cells(OFFSET)[0], "code" if flash.sees() == flash.cells() else "status", erase


def check_prediction(answer: Answer, random: Random) -> None:
    """The learner's three answers are those of the model, for the situation the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    said = answer.call("what_there_is_to_see")
    is_triple = isinstance(said, list | tuple) and [type(item) for item in said] == [int, str, str]
    if not is_triple or said[1] not in PROGRAM or said[2] not in ERASE:
        raise Wrong("Return a number and two words.", got=repr(said),
                    expected=f"the byte; {' or '.join(PROGRAM)}; {' or '.join(ERASE)}")
    case = situation(variant)
    names = "the byte", "what the program sees", "the erase"
    for name, right, got in zip(names, outcome(case), said, strict=True):
        if got != right:
            raise Wrong(f"Not yet. Look at {name}. Practise on another situation, too: "
                        f'xiplab.show("09.1", {variant + 1}).', given=f"situation {variant}",
                        got=f"{said[0]:#04x}, {said[1]}, {said[2]}",
                        misconception=belief_behind(case, name, got))


def belief_behind(case: Situation, name: str, got: int | str) -> str:
    """The misconception that says `got`; empty if none is known."""
    if name == "the byte":
        return {case.second: "program-replaces", case.first | case.second: "programming-sets-bits"
                }.get(int(got), "")
    if case.how == "pointed":
        return "point-is-only-an-address"
    if name == "what the program sees":
        if case.how == "page cache":
            return "cache-asks-again"
        return "blocks-are-apart" if case.ms == 1 else "chip-goes-back-by-itself"
    return "flash-makes-wait" if got == "waiting" else ""
