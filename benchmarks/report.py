"""Results as data (for JSON), as tables for a terminal, and as the section of the README.

A ratio is to what the side named in the row's second column took: below 1 is quicker than it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import Figure, Missing, number
from benchmarks.goals import goal_of, named, shown
from benchmarks.growth import Growth
from benchmarks.memories import MEMORIES
from benchmarks.picture import words
from benchmarks.readers import READERS
from benchmarks.sides import LIMITS, OURS, Kernel, Side, Xip
from benchmarks.workload import Row, Sample, Samples, Scale

HOUSE: tuple[type[Side], ...] = (*OURS, *LIMITS[1:], Kernel)
PEERS: tuple[type[Side], ...] = (*READERS, *MEMORIES)
SIDES: tuple[type[Side], ...] = (*LIMITS, *OURS, Kernel, *PEERS)
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"

OWN = "xiplab, and what the computer can do: below 1 is quicker, or less"

WIDTH = 132
"""Of the tables on a terminal, at least."""

Data = dict[str, Any]


# ---- results as data

def of_sample(sample: Sample) -> Data:
    return {"median": significant(sample.median), "spread": round(sample.spread, 3),
            "rounds": len(sample.values)}


def significant(value: float) -> float:
    """Four digits: more than a measurement has."""
    return float(f"{value:.4g}")


def of_rows(rows: Mapping[str, Row], samples: Samples, scale: Scale) -> list[Data]:
    return [{"row": name, "what": named(row, scale), "goal": goal_of(row), "longest": row.longest,
             "against": row.against, "unit": row.unit,
             "sides": {side: of_sample(each) for side, each in samples[name].items()}}
            for name, row in rows.items()]


def of_figure(figure: Figure | Missing) -> Data:
    if isinstance(figure, Missing):
        return {"what": figure.what, "missing": figure.why}
    found = {"what": figure.what, "unit": figure.unit, "bar": figure.bar, **of_sample(figure.ours)}
    if figure.beside:
        found |= {"beside": figure.beside, "other": of_sample(figure.other) if figure.other else None}
    return found


def of_growth(growth: Growth) -> Data:
    return {"what": growth.what, "unit": growth.unit, "exponent": round(growth.exponent, 2),
            "seconds": {size: significant(cost) for size, cost in growth.points().items()}}


def of_sides() -> list[Data]:
    return [{"side": side.name, "missing": side.missing(), "version": version_of(side)} for side in SIDES]


def version_of(side: type[Side]) -> str:
    try:
        return version(getattr(side, "distribution", ""))
    except (PackageNotFoundError, ValueError):
        return ""


# ---- cells

def ratio(value: float) -> str:
    """Two digits behind the point, none from 10 on."""
    if value < 0.005:
        return "<0.01"
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def cell(row: Data, side: str) -> str:
    """The ratio and its spread, if there was more than one round; "-" for what a side cannot do."""
    taken, measure = row["sides"].get(side), row["sides"][row["against"]]["median"]
    if not taken:
        return "-"
    return ratio(taken["median"] / measure) + spread(taken)


def spread(sample: Data) -> str:
    return f" ±{sample['spread']:.0%}" if sample["rounds"] > 1 else ""


def basis(row: Data) -> str:
    """What the ratios of a row are to."""
    taken = row["sides"][row["against"]]
    return f"{row['against']}: {shown(taken['median'], row['unit'])}{spread(taken)}"


def goal_cell(row: Data) -> str:
    """The goal; one in milliseconds with what xiplab took."""
    if not row["longest"] or Xip.name not in row["sides"]:
        return str(row["goal"])
    return f"{row['goal']} (is {1e3 * row['sides'][Xip.name]['median']:.2g} ms)"


def figure_cells(figure: Data) -> tuple[str, str, str, str]:
    """What, xiplab's, what is beside it, the bar."""
    if "missing" in figure:
        return figure["what"], figure["missing"], "", ""
    other = figure.get("beside", "")
    if figure.get("other"):
        other += f": {number(figure['other']['median'])} {figure['unit']}"
    ours = f"{number(figure['median'])} {figure['unit']}{spread(figure)}"
    return figure["what"], ours, other, figure["bar"]


class Table(NamedTuple):
    title: str
    heads: Sequence[str]
    lines: Sequence[Sequence[str]]


def tables(data: Data) -> list[Table]:
    """All that there is to show."""
    found = [own_table(data), peers_table(data)]
    if data["figures"]:
        found.append(Table("Processor, memory, course", ["", "xiplab", "beside it", "bar"],
                           [figure_cells(figure) for figure in data["figures"]]))
    if data["growth"]:
        found.append(Table("Cost against size", ["", "exponent", "ms by size"], [
            (f"{each['what']}, by {each['unit']}", f"{each['exponent']:.2f}", points(each))
            for each in data["growth"]]))
    return [table for table in found if table.lines]


def own_table(data: Data) -> Table:
    """With the figure that the ratios are to, and the goals."""
    lines = [[row["row"], row["what"], basis(row), goal_cell(row), *(cell(row, side.name) for side in HOUSE)]
             for row in data["rows"]]
    return Table(OWN, ["", "", "ratios are to", "goal", *heads(data, HOUSE)], lines)


def peers_table(data: Data) -> Table:
    """The rows that a package can do."""
    lines = [[row["row"], row["what"], *(cell(row, side.name) for side in PEERS)] for row in data["rows"]
             if any(side.name in row["sides"] for side in PEERS)]
    return Table("Packages that read ext2 images, and that keep files in memory",
                 ["", "", *heads(data, PEERS)], lines)


def heads(data: Data, sides: Sequence[type[Side]]) -> list[str]:
    """Names, and why there is nothing below one."""
    absent = {side["side"]: side["missing"] for side in data["sides"] if side["missing"]}
    return [f"{side.name} ({absent[side.name]})" if side.name in absent else side.name for side in sides]


def points(growth: Data) -> str:
    return ", ".join(f"{size}: {number(1e3 * seconds)}" for size, seconds in growth["seconds"].items())


def print_tables(data: Data) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    for table in tables(data):
        shown_table = RichTable(title=table.title, title_justify="left")
        for position, head in enumerate(table.heads):
            shown_table.add_column(escape(head), justify="right" if position > 1 else "left",
                                   no_wrap=not position)
        for line in table.lines:
            shown_table.add_row(*(escape(text) for text in line))
        console.print(shown_table)


# ---- the README

def markdown(table: Table) -> str:
    rule = ["---", "---", *("---:" for _ in table.heads[2:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (table.heads, rule, *table.lines))


def section(data: Data) -> str:
    """What stands between the marks in the README."""
    parts = [f"Measured on {data['date']}: {data['machine']}. Medians of interleaved runs; ± is half of what "
             "lies between the quartiles. The work of all sides was compared by checksum. <0.01: the package "
             "hands out the object that it keeps, without a copy.",
             f"![{words(data)}](docs/benchmarks.png)"]
    for table in tables(data):
        parts += [f"**{table.title}**", markdown(table)]
    versions = ", ".join(f"{side['side']} {side['version']}" for side in data["sides"] if side["version"])
    parts.append(f"Versions: {versions}." if versions else "No other package was installed.")
    return "\n\n".join([BEGIN, *parts, END])


def write_section(readme: Path, data: Data) -> None:
    """Replace what stands between the marks."""
    text = readme.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    readme.write_text(pattern.sub(lambda found: section(data), text), encoding="utf-8")


def read(path: Path) -> Data:
    data: Data = json.loads(path.read_text(encoding="utf-8"))
    return data


def write(path: Path, data: Data) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
