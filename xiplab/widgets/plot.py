"""Plots for the notebooks: a picture, what it shows in words, and its numbers as a table.

    Plot([Panel("title", "x", "y", [Line("page cache", xs, ys), Line("in place", xs, ys)])], "in words")
    Plot([Stack("title", "x", ["1 guest", "2 guests"], {"text": [8, 4], "data": [7, 7]})], "in words")

The words are the picture's alternative text. Lines differ by colour (Okabe and Ito's, which people with
any colour vision tell apart), by dashes and by the shape of their points, and carry their names beside
them. The ground is always light, so the plot can be read on a dark page. No plot is a test: a cell
beside it asserts what it shows.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
"""The first plot on a computer makes a list of its fonts, and would say so in the notebook."""

STYLES = (("#D55E00", "-", "o"), ("#0072B2", "--", "s"), ("#009E73", ":", "^"), ("#CC79A7", "-.", "D"))
FILLS = (("#0072B2", ""), ("#56B4E9", "//"), ("#009E73", ""), ("#F0E442", "\\\\"), ("#D55E00", ""),
         ("#E69F00", "xx"), ("#CC79A7", ""), ("#777777", ".."))
"""Of the parts of a bar: colours that differ in brightness too, and hatches for every other one."""
INK, GROUND = "#222222", "#FFFFFF"
WIDTH, HEIGHT, DPI = 4.9, 3.3, 96


@dataclass(frozen=True, slots=True)
class Line:
    """A name, and points from left to right."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. log: both axes are logarithmic."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """Bars that lie one below the other, each made of parts. parts: for each kind its length in each bar."""

    title: str
    x: str
    bars: Sequence[str]
    parts: Mapping[str, Sequence[float]]


class Plot:
    """Some panels side by side.

    Attributes:
        words: what there is to see, for those who cannot.
    """

    def __init__(self, panels: Sequence[Panel | Stack], words: str) -> None:
        self.panels = panels
        self.words = words

    def __repr__(self) -> str:
        return f"Plot: {self.words}"

    def png(self) -> bytes:
        """The picture."""
        figure = Figure(figsize=(WIDTH * len(self.panels), HEIGHT), dpi=DPI, facecolor=GROUND,
                        layout="constrained")
        for number, panel in enumerate(self.panels):
            axes = figure.add_subplot(1, len(self.panels), number + 1)
            _draw(axes, panel) if isinstance(panel, Panel) else _draw_stack(axes, panel)
        picture = BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
        return picture.getvalue()

    def _repr_html_(self) -> str:
        width = round(WIDTH * DPI * len(self.panels))
        tables = "".join(map(_table, self.panels))
        return (f'<figure><img alt="{escape(self.words)}" width="{width}" '
                f'src="data:image/png;base64,{b64encode(self.png()).decode()}">'
                f"<figcaption>{escape(self.words)}</figcaption></figure>"
                f"<details><summary>The numbers</summary>{tables}</details>")


def _frame(axes: Axes, panel: Panel | Stack) -> None:
    axes.set_title(panel.title, color=INK, fontsize=11, loc="left")
    axes.set_xlabel(panel.x, color=INK)
    axes.set_facecolor(GROUND)
    axes.tick_params(colors=INK)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_stack(axes: Axes, panel: Stack) -> None:
    _frame(axes, panel)
    ends = [0.0] * len(panel.bars)
    for (name, lengths), (color, hatch) in zip(panel.parts.items(), FILLS, strict=False):
        axes.barh(panel.bars, lengths, left=ends, color=color, hatch=hatch, edgecolor=GROUND, linewidth=0.6,
                  label=name)
        ends = [end + length for end, length in zip(ends, lengths, strict=True)]
    axes.invert_yaxis()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9, frameon=False, labelcolor=INK)


def _draw(axes: Axes, panel: Panel) -> None:
    _frame(axes, panel)
    axes.set_ylabel(panel.y, color=INK)
    if panel.log:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=10)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    for line, (color, dashes, shape) in zip(panel.lines, STYLES, strict=False):
        axes.plot(line.xs, line.ys, color=color, linestyle=dashes, marker=shape, linewidth=2, clip_on=False)
        axes.annotate(line.name.replace(", ", ",\n"), (line.xs[-1], line.ys[-1]), xytext=(9, 0),
                      textcoords="offset points", va="center", color=color, fontweight="bold")
    if not panel.log:
        axes.set_ylim(bottom=0)


def _table(panel: Panel | Stack) -> str:
    if isinstance(panel, Stack):
        rows = [(bar, [lengths[i] for lengths in panel.parts.values()]) for i, bar in enumerate(panel.bars)]
        return _rows(f"{panel.title}: {panel.x}", ["", *panel.parts], rows)
    points = [(f"{x:g}", [line.ys[i] for line in panel.lines]) for i, x in enumerate(panel.lines[0].xs)]
    return _rows(f"{panel.title}: {panel.y}", [panel.x, *(line.name for line in panel.lines)], points)


def _rows(caption: str, names: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]]) -> str:
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr><th scope='row'>{escape(name)}</th>"
                   + "".join(f"<td>{number:,g}</td>" for number in numbers) + "</tr>"
                   for name, numbers in rows)
    caption = f"<caption>{escape(caption)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
