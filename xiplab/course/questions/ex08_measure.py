"""Question 08.5: the memory bill, taken apart: what is paid once, and what each guest pays.

The answer may have the same programs run in so many guests, and learns how many frames are in use then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from xiplab.course.experiments.bill import memory_bill
from xiplab.course.problem import Answer, Wrong
from xiplab.course.trial import trial

MOST = 4
WAYS: tuple[tuple[bool, tuple[str, ...]], ...] = ((True, ("hello",)), (False, ("hello",)),
                                                  (True, ("counter", "greet Ann")))
"""In place or not, and the programs that each guest runs."""


@cache
def frames(guests: int, in_place: bool, commands: tuple[str, ...]) -> int:
    return memory_bill(guests, in_place=in_place, commands=commands).total


def bill_of(in_place: bool, commands: tuple[str, ...]) -> Callable[[int], int]:
    """How many frames are in use with so many guests."""
    def frames_in_use(guests: int) -> int:
        if type(guests) is not int or not 1 <= guests <= MOST:
            raise Wrong(f"Ask for 1 to {MOST} guests: each one has to be booted.", got=repr(guests))
        return frames(guests, in_place, commands)

    return frames_in_use


def truth(in_place: bool, commands: tuple[str, ...]) -> tuple[int, int]:
    each = frames(2, in_place, commands) - frames(1, in_place, commands)
    return frames(1, in_place, commands) - each, each


def believing(belief: str, in_place: bool, commands: tuple[str, ...]) -> tuple[int, int]:
    """The two numbers of somebody with one belief."""
    one, two = frames(1, in_place, commands), frames(2, in_place, commands)
    return {"in-place-needs-no-memory": (one, 0), "the-first-pays-what-all-pay": (0, one),
            "all-divide-everything": (0, two // 2), "two-guests-are-one": (one, two - one)}[belief]


BELIEFS = ("in-place-needs-no-memory", "the-first-pays-what-all-pay", "all-divide-everything",
           "two-guests-are-one")


def told(pair: tuple[int, int]) -> str:
    return f"{pair[0]} frames once, {pair[1]} for each guest"


def told_of(function: Callable[..., Any], *, in_place: bool) -> str:
    """What a learner's function finds out of the programs of notebook 08, as a sentence."""
    try:
        once, each = trial(function)(bill_of(in_place, ("counter", "greet Ann")))
    except (OSError, TypeError, ValueError) as failure:
        return f"{failure.strerror if isinstance(failure, OSError) else failure}"
    return told((once, each))


def check_bill(answer: Answer, random: Random) -> None:
    """The two numbers, in place and through the page cache, of several programs."""
    said = [answer.call("once_and_each", bill_of(*way)) for way in WAYS]
    for (in_place, commands), got in zip(WAYS, said, strict=True):
        given = f"{', '.join(commands)}, {'in place' if in_place else 'through the page cache'}"
        if not isinstance(got, tuple | list) or [type(item) for item in got] != [int, int]:
            raise Wrong("Return two whole numbers: (once, each).", given=given, got=repr(got))
        if tuple(got) != truth(in_place, commands):
            raise Wrong("With these numbers the bills do not come out.", given=given,
                        expected=told(truth(in_place, commands)), got=told((got[0], got[1])),
                        misconception=belief_behind(said))


def belief_behind(said: list[Any]) -> str:
    """The misconception that gives the answer's numbers; empty if none does."""
    for belief in BELIEFS:
        if all(isinstance(got, tuple | list) and believing(belief, *way) == tuple(got)
               for way, got in zip(WAYS, said, strict=True)):
            return belief
    return ""
