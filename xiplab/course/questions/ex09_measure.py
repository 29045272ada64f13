"""Question 09.5: what does it cost to load a module whose file lies in place?

The answer gets a function that loads it, and two counters. Before it is called, other things were
copied and taken already; the file is longer in each machine.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from xiplab.course.experiments.modules import FILE, Loading
from xiplab.course.problem import Answer, Wrong
from xiplab.course.trial import trial
from xiplab.trace import Recording
from xiplab.units import PAGE_SIZE, page_count


class Meter:
    """A guest that loads a module, and its counters.

    Attributes:
        copied, frames: what the loading cost, once it is done.
    """

    def __init__(self, padding: int, name: str, cats: int) -> None:
        self.machine: Loading = type("Machine", (Loading,), {"padding": padding})()
        self.guest, self.name = self.machine.guests[name], name
        self.recording = Recording()
        self.copied, self.frames, self.loads = 0, 0, 0
        with self.recording:
            for _ in range(cats):
                self.guest.cat(FILE)

    def insmod(self) -> None:
        """The guest loads the module."""
        self.loads += 1
        if self.loads > 1:
            raise Wrong("Load the module once: a second one costs again.")
        before = self.bytes_copied(), self.frames_in_use()
        with self.recording:
            self.machine.insmod(self.name)
        self.copied, self.frames = self.bytes_copied() - before[0], self.frames_in_use() - before[1]

    def bytes_copied(self) -> int:
        """How many bytes the guest has copied since it was started."""
        return int(self.recording.bytes_copied)

    def frames_in_use(self) -> int:
        """How many frames of its own the guest has given out."""
        return int(self.guest.frames.total())

    def told(self, function: Callable[..., Any]) -> str:
        """What a learner's function finds out here, as a sentence."""
        try:
            copied, frames = trial(function)(self.insmod, self.bytes_copied, self.frames_in_use)
        except (OSError, TypeError, ValueError) as failure:
            return f"{failure.strerror if isinstance(failure, OSError) else failure}"
        return f"{copied} bytes copied, {frames} frames taken, for a file of {self.size:,} bytes"

    @property
    def size(self) -> int:
        return int(self.guest.stat(FILE).st_size)


def believing(belief: str, meter: Meter) -> tuple[int, int]:
    """The numbers of somebody with one belief."""
    return {"module-in-place": (0, 0),
            "counters-begin-at-zero": (meter.bytes_copied(), meter.frames_in_use()),
            "copies-keep-their-memory": (meter.copied, page_count(meter.copied))}[belief]


BELIEFS = ("module-in-place", "counters-begin-at-zero", "copies-keep-their-memory")


def check_cost(answer: Answer, random: Random) -> None:
    """Bytes copied and frames taken, on machines where both counters have moved before."""
    meters = [Meter(random.randrange(0, 3) * PAGE_SIZE + random.randrange(PAGE_SIZE),
                    random.choice(("LINUX1", "LINUX2")), random.randrange(1, 4)) for _ in range(3)]
    said = [answer.call("cost_of_loading", meter.insmod, meter.bytes_copied, meter.frames_in_use)
            for meter in meters]
    for meter in meters:
        if not meter.loads:
            meter.insmod()
    for meter, got in zip(meters, said, strict=True):
        judge_cost(meter, got, belief_behind(meters, said))


def judge_cost(meter: Meter, got: Any, belief: str) -> None:
    """The two numbers are those of this machine."""
    if not isinstance(got, tuple | list) or [type(item) for item in got] != [int, int]:
        raise Wrong("Return two whole numbers: bytes copied, frames taken.", got=repr(got))
    if tuple(got) != (meter.copied, meter.frames):
        raise Wrong("That is not what the loading cost.", given=f"a file of {meter.size:,} bytes",
                    expected=f"{meter.copied:,} bytes copied, {meter.frames} frames taken",
                    got=f"{got[0]:,} bytes, {got[1]} frames", misconception=belief)


def belief_behind(meters: list[Meter], said: list[Any]) -> str:
    """The misconception that gives the answer's numbers; empty if none does."""
    for belief in BELIEFS:
        if all(isinstance(got, tuple | list) and believing(belief, meter) == tuple(got)
               for meter, got in zip(meters, said, strict=True)):
            return belief
    return ""
