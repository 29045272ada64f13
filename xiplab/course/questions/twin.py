"""One play, several functions: what is seen with the learner's is what is seen with the right one.

    play(function)  ->  [("add part1", "dcssblk0"), ("open", "1 opener"), ...]

A play builds a machine, puts a function into it and notes, step by step, what was done and what was
seen then. It is run with the reference and with the answer. Where the two differ first is what the
card shows; the wrong function whose whole play is that of the answer names the belief behind.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

from xiplab.course.problem import Wrong
from xiplab.errors import KernelBug, ProgramInterruption, Signal

Function: TypeAlias = Callable[..., Any]
Step: TypeAlias = tuple[str, str]
Play: TypeAlias = Callable[[Function], list[Step]]
Beliefs: TypeAlias = Sequence[tuple[str, Function]]
"""Wrong functions, each with the misconception that it stands for."""

NOTHING = ("the end", "nothing more")


def judge_play(play: Play, answer: Function, right: Function, beliefs: Beliefs, text: str,
               whole: Sequence[Play] = ()) -> None:
    """Raises Wrong with `text` at the first step where `answer` does not do what `right` does.

    Args:
        whole: what a belief must predict besides this play, where several beliefs would do the same in it.
    """
    for wanted, seen in zip_longest(play(right), play(answer), fillvalue=NOTHING):
        if wanted != seen:
            raise Wrong(text, given=wanted[0], expected=wanted[1], got=seen[1],
                        misconception=belief_behind([play, *whole], answer, beliefs))


def belief_behind(plays: Sequence[Play], answer: Function, beliefs: Beliefs) -> str:
    """The misconception whose function does what the answer does in all plays; empty if none does."""
    got = [play(answer) for play in plays]
    return next((belief for belief, wrong in beliefs
                 if all(play(wrong) == seen for play, seen in zip(plays, got, strict=True))), "")


def outcome(function: Function, *args: Any) -> str:
    """What a call comes to, in words: its value, the errno of its OSError, or what the machine says."""
    try:
        return repr(function(*args))
    except OSError as refusal:
        return name_of(refusal.errno)
    except (ProgramInterruption, Signal, KernelBug) as failure:
        return str(failure)


def name_of(code: int | None) -> str:
    return f"OSError {errno.errorcode.get(code or 0, str(code))}"
