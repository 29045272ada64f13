"""The results as a picture, and the same in words.

Colours are Okabe and Ito's, shapes differ too, and the ground is always light, as in all plots of the course.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.memories import MEMORIES
from benchmarks.readers import READERS
from xiplab.widgets.plot import GROUND, INK

OURS = "xiplab in place"
GROUPS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "best package with files in memory": ("#CC79A7", "P", tuple(side.name for side in MEMORIES)),
    "best package that reads ext2 images": ("#E69F00", "^", tuple(side.name for side in READERS)),
    "kernel ext2 on a loop device": ("#009E73", "D", ("kernel ext2",)),
    "xiplab, page cache": ("#D55E00", "s", ("page cache",)),
    OURS: ("#0072B2", "o", ("XIP",)),
}
"""Colour, shape, and the sides whose best is shown. The last is drawn over the others."""

LEFT, RIGHT = 0.05, 1e3
"""What lies beyond is drawn on the edge."""


def best(row: dict[str, Any], sides: Iterable[str]) -> float | None:
    """The smallest ratio among these sides."""
    measure = row["sides"][row["against"]]["median"]
    ratios = [row["sides"][side]["median"] / measure for side in sides if side in row["sides"]]
    return min(ratios, default=None)


def words(data: dict[str, Any]) -> str:
    """What there is to see."""
    ratios = {row["row"]: best(row, ("XIP",)) for row in data["rows"]}
    known = {row: found for row, found in ratios.items() if found is not None}
    quicker = sum(found <= 1 for found in known.values())
    text = (f"For each of {len(known)} workloads, the time of xiplab in place as a ratio to system calls on "
            f"tmpfs or to mmap, with other sides beside it. xiplab in place takes no more in {quicker}; the "
            f"median of its ratios is {median(known.values()):.2f}.")
    for group, (_, _, sides) in list(GROUPS.items())[:-1]:
        pairs = [(known[row["row"]], found) for row in data["rows"]
                 if row["row"] in known and (found := best(row, sides)) is not None]
        if pairs:
            ahead = sum(ours < other for ours, other in pairs)
            text += f" It is ahead of {group} in {ahead} of {len(pairs)}."
    return text


def draw(data: dict[str, Any], path: Path) -> None:
    """Write the picture as PNG."""
    from matplotlib.figure import Figure

    rows = data["rows"]
    figure = Figure(figsize=(9, 1.6 + 0.27 * len(rows)), dpi=110, layout="constrained", facecolor=GROUND)
    axes = figure.add_subplot(facecolor=GROUND)
    axes.set_xscale("log")
    axes.set_xlim(LEFT, RIGHT)
    axes.axvline(1, color=INK, linewidth=1)
    for name, (colour, shape, sides) in GROUPS.items():
        found = [(best(row, sides), position) for position, row in enumerate(rows)]
        seen = [(min(max(times, LEFT), RIGHT), position) for times, position in found if times is not None]
        if seen:
            xs, ys = zip(*seen, strict=True)
            axes.scatter(xs, ys, marker=shape, s=46, label=name, color=colour,
                         edgecolors=INK, linewidths=0.6, zorder=3, clip_on=False)
    axes.set_yticks(range(len(rows)), [f"{row['what']}  {row['row']}" for row in rows], fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.grid(axis="both", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xticks([LEFT, 0.1, 1, 10, 100, RIGHT], ["less", "0.1", "1", "10", "100", "more"])
    axes.set_xlabel("times what system calls on tmpfs take (W2v, W7, W8: mmap); left is better",
                    color=INK)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9, reverse=True)
    figure.savefig(path, metadata={"Software": None})
