"""The bars: xiplab in place, on a resident segment, beside system calls on tmpfs and mmap.

    python -m benchmarks.bars [--rounds 7] [--only W2]

Each row is run by the sides in turn; the table gives the medians and their ratio (below 1: faster than
tmpfs, or than mmap where that is the measure), with the goal. "growth" is cost against size.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from benchmarks import growth
from benchmarks.goals import families, goal_of, named, shown
from benchmarks.sharing import memory_of_readers
from benchmarks.sides import Mapped, Tmpfs, Xip
from benchmarks.workload import FULL, Row, Samples, Scale, measure

SCALE = replace(FULL, files=2_000, directories=20, seconds=2.5)
SIDES = (Tmpfs, Mapped, Xip)


def print_rows(rows: dict[str, Row], samples: Samples, scale: Scale, only: str) -> None:
    for name, row in rows.items():
        if name.startswith(only):
            ours, theirs = samples[name][Xip.name], samples[name][row.against]
            print(f"{name:11}{named(row, scale):42}{shown(ours.median, row.unit):>12}"
                  f"{shown(theirs.median, row.unit):>12}{ours.median / theirs.median:7.2f} "
                  f"±{ours.spread:4.0%}  {goal_of(row)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=SCALE.rounds)
    parser.add_argument("--only", default="", help="rows whose name begins like this")
    options = parser.parse_args()
    scale = replace(SCALE, rounds=options.rounds)
    print(f"{'row':11}{'what':42}{'xiplab':>12}{'tmpfs':>12}{'ratio':>7}        goal")
    for family in families(options.only):
        print_rows(dict(family.rows), measure(family, SIDES, scale), scale, options.only)
    if "W9".startswith(options.only):
        print_rows(*memory_of_readers(SIDES, scale), scale, options.only)
    if "growth".startswith(options.only):
        growth.report()


if __name__ == "__main__":
    main()
