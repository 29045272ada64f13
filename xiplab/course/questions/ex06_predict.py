"""Question 06.1: four calls on a file in place; what does each of them answer?

The calls are drawn from a number. What is expected is seen by making them in notebook 06's machine.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, TypeAlias

from xiplab.course.experiments.read_write import STORY, ReadWrite
from xiplab.course.problem import Answer, Wrong
from xiplab.units import PAGE_SIZE

SIZE = len(STORY)
HOLE = PAGE_SIZE
Said: TypeAlias = int | str


@dataclass(frozen=True)
class Call:
    """One call: its name, how many bytes, and where. free: 0 or 1 blocks are free; negative: enough."""

    how: str
    count: int
    offset: int
    free: int = -1

    def __str__(self) -> str:
        verb = {"write": "write", "aio_read": "start an aio read of"}.get(self.how, self.how)
        full = {0: ", when no block of the disk is free", 1: ", when one block of the disk is free"}
        return f"{verb} {self.count:,} bytes at {self.offset:,}{full.get(self.free, '')}"


@cache
def situation(variant: int) -> tuple[Call, ...]:
    """The four calls of the situation with this number; the same ones every time."""
    if variant == 0:
        return (Call("read", 2000, SIZE - 216), Call("read", 0, HOLE + 216),
                Call("write", 2 * PAGE_SIZE, SIZE, 1), Call("aio_read", 1000, 0))
    random = Random(f"06.1 situation {variant}")
    left = random.randrange(100, 900)
    end = random.choice((Call("read", 2000, SIZE - left), Call("read", 2000, SIZE),
                         Call("read", PAGE_SIZE, SIZE - left)))
    hole = random.choice((Call("read", 0, HOLE + left), Call("read", PAGE_SIZE + left, HOLE - left),
                          Call("read", left, HOLE)))
    full = random.choice((Call("write", PAGE_SIZE + left, SIZE, 1), Call("write", 2 * PAGE_SIZE, SIZE, 1),
                          Call("write", left, HOLE + left, 0), Call("write", 2 * left, HOLE - left, 0)))
    other = Call(random.choice(("aio_read", "readv", "sendfile")), 1000 + left, left)
    return end, hole, full, other


def situation_lines(variant: int) -> tuple[str, ...]:
    """The situation in words."""
    calls = (f"{number + 1}. {call}" for number, call in enumerate(situation(variant)))
    return (f"The file is mounted in place and has {SIZE:,} bytes, so 3 pages. Page 1 is a hole.",
            "Each of these calls finds the file as it was at first:", *calls)


@cache
def answers(variant: int) -> tuple[Said, ...]:
    """What the model answers: bytes moved, or the name of the errno."""
    return tuple(answer_to(call) for call in situation(variant))


def answer_to(call: Call) -> Said:
    machine = ReadWrite()
    if call.free >= 0:
        machine.fill(call.free)
    if call.how == "write":
        machine.put("write", "x" * call.count, call.offset)
    else:
        machine.get(call.how, call.count, call.offset)
    result = machine.outcomes["in place"].result
    return errno.errorcode[-result] if result < 0 else result


def belief_behind(call: Call, truth: Said, said: Said) -> str:
    """The misconception behind a wrong answer to one call; empty if none is known."""
    in_hole = HOLE <= call.offset < HOLE + PAGE_SIZE
    if call.how in ("readv", "sendfile", "aio_read"):
        return "document-is-the-code" if truth == "EINVAL" else "table-has-every-call"
    if call.how == "write":
        beliefs = {"ENOSPC": "all-or-nothing", call.count: "writes-always-fit", 0: "error-is-the-end"}
        return beliefs.get(said, "")
    if not call.count:
        return "nothing-costs-nothing" if said == 0 else ""
    if call.offset + call.count > SIZE:
        fails = "end-is-an-error" if type(said) is str else ""
        return "read-fills-the-buffer" if said == call.count else fails
    before = 0 if in_hole else HOLE - call.offset
    return "hole-ends-the-read" if said == before else "hole-is-an-error" if type(said) is str else ""


def check_answers(answer: Answer, random: Random) -> None:
    """The learner's four answers are the model's, for the situation the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    said: Any = answer.call("what_they_answer")
    calls = situation(variant)
    if not isinstance(said, list | tuple) or len(said) != len(calls) \
            or not all(type(each) in (int, str) for each in said):
        raise Wrong("Return a list of four answers: a number of bytes, or the name of an error as a text.",
                    expected='such as [100, "EINVAL", 0, 4096]', got=repr(said))
    for number, (call, truth, mine) in enumerate(zip(calls, answers(variant), said, strict=True)):
        if mine != truth:
            raise Wrong(f"Not yet. Look at call {number + 1}. Practise on another situation, too: "
                        f'xiplab.show("06.1", {variant + 1}).', given=f"{call}", got=repr(mine),
                        misconception=belief_behind(call, truth, mine))
