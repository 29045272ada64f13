"""What a family of workloads is, and how it is measured: by all sides in turn, checked, with medians.

    class Family:
        rows = {"W2": Row("random 4 KiB reads", goal=1.0, unit="us each")}
        fill(folder, scale)                  the files that are there before
        image_bytes(scale)                   the size of an image that has room for them and for new ones
        __init__(side, scale)                not timed
        turns() -> Iterator[Turn]            one round; what it does between two turns is not timed

    measure(family, sides, scale) -> {"W2": {"tmpfs": Sample, "XIP": Sample}}

A turn does n operations and returns something; its check makes a number of that, which must be the same
for all sides. In the first round n is small, and only this round is checked: it tells too how many operations
a side can do in its time. The second finds things as all later ones do. Neither counts, unless the side is so
slow that there is no time for another.
"""

from __future__ import annotations

import gc
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from benchmarks.sides import Side
from benchmarks.tree import tree
from xiplab.units import GiB, MiB


@dataclass(frozen=True)
class Scale:
    """How much. Sizes in bytes, times in seconds.

    Attributes:
        rounds: of each side, unless `seconds` have gone into a family.
        seconds: what a side may take for a family.
        first: operations of the first round.
    """

    big: int
    operations: int
    files: int
    directories: int
    walked: int
    image: int
    huge: int
    rounds: int
    seconds: float
    first: int = 20


FULL = Scale(64 * MiB, 20_000, 10_000, 100, 2_000, GiB, GiB, rounds=7, seconds=6.0)
QUICK = Scale(64 * MiB, 5_000, 2_000, 20, 2_000, GiB, 256 * MiB, rounds=3, seconds=0.7, first=5)
TINY = Scale(2 * MiB, 40, 20, 2, 12, 64 * MiB, 4 * MiB, rounds=1, seconds=0.0, first=4)


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: with {big}, {files} ... for the scale's.
        goal: of xiplab in place, as a ratio to the side `against`; 0: none.
        unit: how the time of `against` is shown: "ms", "us each" or "MiB".
        longest: a goal in seconds; 0: none.
    """

    what: str
    goal: float = 0.0
    unit: str = "ms"
    against: str = "tmpfs"
    longest: float = 0.0


class Turn(NamedTuple):
    """step(n) is timed; check() makes a number of what it returned.

    Attributes:
        operations: the most that n may be. The time of one is what counts.
        least: the least that n may be; where later turns need them, all.
    """

    row: str
    step: Callable[[int], Any]
    check: Callable[[Any], int]
    operations: int = 1
    least: int = 1


class Family(ABC):
    """See the module."""

    rows: ClassVar[Mapping[str, Row]]

    @staticmethod
    @abstractmethod
    def fill(folder: str, scale: Scale) -> None: ...

    @staticmethod
    @abstractmethod
    def image_bytes(scale: Scale) -> int: ...

    @abstractmethod
    def __init__(self, side: Any, scale: Scale) -> None: ...

    @abstractmethod
    def turns(self) -> Iterator[Turn]: ...


@dataclass
class Sample:
    """What one side took for one operation of a row, in seconds (or MiB), round by round."""

    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Half of what lies between the quartiles, as a part of the median."""
        if len(self.values) < 2 or not self.median:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return (high - low) / 2 / self.median


Samples = dict[str, dict[str, Sample]]
"""By row, by side."""


PATIENCE = 3
"""The first rounds may take so many times what all later ones together may."""


class OtherBytes(Exception):
    """Two sides were given the same work, and did not do the same."""


class Contender:
    """A side at work on a family."""

    def __init__(self, family: type[Family], side: Side, scale: Scale) -> None:
        self.side = side
        self.work = family(side, scale)
        self.scale = scale
        self.turn_seconds = scale.seconds / scale.rounds / len(family.rows)
        self.each: dict[str, float] = {}
        self.spent = 0.0
        self.samples: dict[str, Sample] = {}

    def first_round(self) -> dict[str, list[int]]:
        """What the checks say."""
        checks: dict[str, list[int]] = {}
        for turn in self.work.turns():
            n = max(turn.least, min(self.scale.first, turn.operations))
            checks.setdefault(turn.row, []).append(turn.check(self.timed(turn, n)))
        return checks

    def forget(self) -> None:
        """The times so far only tell how much fits, unless the side was too slow for another round."""
        self.each = {row: sample.values[-1] for row, sample in self.samples.items()}
        if self.spent < PATIENCE * self.scale.seconds:
            self.samples, self.spent = {}, 0.0

    def next_round(self) -> None:
        if self.spent >= self.scale.seconds:
            return
        no_garbage()
        for turn in self.work.turns():
            fitting = int(self.turn_seconds / max(self.each[turn.row], 1e-9))
            self.timed(turn, min(turn.operations, max(turn.least, fitting)))

    def timed(self, turn: Turn, n: int) -> Any:
        clock = self.side.clock
        start = clock()
        result = turn.step(n)
        taken = clock() - start
        self.spent += taken
        self.samples.setdefault(turn.row, Sample()).values.append(taken / n)
        return result


def measure(family: type[Family], kinds: Sequence[type[Side]], scale: Scale) -> Samples:
    """The times of all sides that can do it.

    Raises:
        OtherBytes: a side did not do what the others did.
    """
    contenders: list[Contender] = []
    with tree(lambda folder: family.fill(folder, scale), family.image_bytes(scale)) as planted:
        try:
            for kind in kinds:
                contenders.append(Contender(family, kind(planted), scale))
            compare({each.side.name: each.first_round() for each in contenders})
            for number in range(scale.rounds + 1):
                for contender in contenders:
                    if number < 2:
                        contender.forget()
                    contender.next_round()
        finally:
            gc.unfreeze()
            for contender in contenders:
                contender.side.end()
    return {row: {each.side.name: each.samples[row] for each in contenders if row in each.samples}
            for row in family.rows}


def no_garbage() -> None:
    """Nobody pays for looking through the objects that the others keep."""
    gc.collect()
    gc.freeze()


def compare(checks: Mapping[str, Mapping[str, list[int]]]) -> None:
    """Complain of a side whose checks differ from those of the first that did the row."""
    known: dict[str, tuple[str, list[int]]] = {}
    for side, rows in checks.items():
        for row, numbers in rows.items():
            other, expected = known.setdefault(row, (side, numbers))
            if numbers != expected:
                raise OtherBytes(f"{row}: {side} {numbers} not {expected}, as {other}")
