"""Plots for the notebooks: a picture, what it shows in words, and its numbers as a table.

    Plot([Panel("title", "x", "y", [Line("page cache", xs, ys), Line("in place", xs, ys)])], "in words")

The words are the picture's alternative text. Lines differ by colour (Okabe and Ito's, which people with
any colour vision tell apart), by dashes and by the shape of their points, and carry their names beside
them. The ground is always light, so the plot can be read on a dark page. No plot is a test: a cell
beside it asserts what it shows.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
"""The first plot on a computer makes a list of its fonts, and would say so in the notebook."""

STYLES = (("#D55E00", "-", "o"), ("#0072B2", "--", "s"), ("#009E73", ":", "^"), ("#CC79A7", "-.", "D"))
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


class Plot:
    """Some panels side by side.

    Attributes:
        words: what there is to see, for those who cannot.
    """

    def __init__(self, panels: Sequence[Panel], words: str) -> None:
        self.panels = panels
        self.words = words

    def __repr__(self) -> str:
        return f"Plot: {self.words}"

    def png(self) -> bytes:
        """The picture."""
        figure = Figure(figsize=(WIDTH * len(self.panels), HEIGHT), dpi=DPI, facecolor=GROUND,
                        layout="constrained")
        for number, panel in enumerate(self.panels):
            _draw(figure.add_subplot(1, len(self.panels), number + 1), panel)
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


def _draw(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, color=INK, fontsize=11, loc="left")
    axes.set_xlabel(panel.x, color=INK)
    axes.set_ylabel(panel.y, color=INK)
    axes.set_facecolor(GROUND)
    axes.tick_params(colors=INK)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
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


def _table(panel: Panel) -> str:
    names = [panel.x, *(line.name for line in panel.lines)]
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    rows = [[f"<td>{line.ys[i]:,g}</td>" for line in panel.lines] for i in range(len(panel.lines[0].xs))]
    body = "".join(f"<tr><th scope='row'>{x:g}</th>{''.join(row)}</tr>"
                   for x, row in zip(panel.lines[0].xs, rows, strict=True))
    caption = f"<caption>{escape(panel.title)}: {escape(panel.y)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
