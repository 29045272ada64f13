"""Where the time goes: the five rows that are furthest from their goals, each under the profiler.

The profiler makes calls dearer than they are, and what numpy and the host do is one line: read the order,
not the sums.
"""

from __future__ import annotations

import cProfile
import io
import pstats
from dataclasses import replace

from benchmarks.goals import FAMILIES, named
from benchmarks.sides import Mapped, Tmpfs, Xip
from benchmarks.tree import tree
from benchmarks.workload import QUICK, Family, Row, Samples, Scale, measure

SCALE = replace(QUICK, seconds=1.5)
LINES = 10


def distance(row: Row, name: str, samples: Samples) -> float:
    """How many times its goal; without a goal, how many times the other side."""
    ours, theirs = samples[name][Xip.name].median, samples[name][row.against].median
    return ours / row.longest if row.longest else ours / theirs / (row.goal or 1.0)


def slowest(count: int = 5, scale: Scale = SCALE) -> list[tuple[float, str, type[Family]]]:
    """The rows furthest from their goals, the furthest first."""
    found = []
    for family in FAMILIES:
        samples = measure(family, (Tmpfs, Mapped, Xip), scale)
        found += [(distance(row, name, samples), name, family)
                  for name, row in family.rows.items() if row.goal or row.longest]
    return sorted(found, key=lambda each: each[0], reverse=True)[:count]


def profile(family: type[Family], name: str, scale: Scale = SCALE) -> str:
    """The functions that take the most time of a row, after a round without the profiler."""
    profiler = cProfile.Profile()
    with tree(lambda folder: family.fill(folder, scale), family.image_bytes(scale)) as planted:
        side = Xip(planted)
        work = family(side, scale)
        for turn in work.turns():
            turn.step(turn.operations)
        for turn in work.turns():
            if turn.row == name:
                profiler.runcall(turn.step, turn.operations)
            else:
                turn.step(turn.operations)
        side.end()
    return table(profiler)


def table(profiler: cProfile.Profile) -> str:
    """Calls, own time, time with what is called, name: the dearest by their own time."""
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime")
    stats.print_stats(LINES)
    lines = text.getvalue().splitlines()
    first = next(number for number, line in enumerate(lines) if "ncalls" in line)
    return "\n".join(line.rstrip() for line in lines[first:] if line.strip())


def report() -> None:
    for far, name, family in slowest():
        print(f"\n{name}: {named(family.rows[name], SCALE)}, {far:.1f} times its goal")
        print(profile(family, name), flush=True)
