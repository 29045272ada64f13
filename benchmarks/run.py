"""The command `xiplab bench`: measure everything, show it, write it down."""

from __future__ import annotations

import os
import platform
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import course, cpu, growth, picture, profiles, report
from benchmarks.goals import families
from benchmarks.sharing import memory_of_readers
from benchmarks.workload import FULL, QUICK, Scale, measure

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
NAMES = ("benchmarks.json", "benchmarks.png")


def machine() -> str:
    """What a reader needs to judge the times, and no more."""
    return (f"{platform.system()} {'.'.join(platform.release().split('.')[:2])} on {platform.machine()}, "
            f"{os.cpu_count()} processors, Python {platform.python_version()}, numpy {np.__version__}")


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def workloads(scale: Scale, only: str) -> Iterator[dict[str, Any]]:
    """The rows W1 to W9."""
    kinds = [side for side in report.SIDES if not side.missing()]
    for family in families(only):
        say(", ".join(family.rows))
        yield from report.of_rows(family.rows, measure(family, kinds, scale), scale)
    if "W9".startswith(only):
        say("W9")
        yield from report.of_rows(*memory_of_readers(kinds, scale), scale)


def figures(quick: bool) -> Iterator[dict[str, Any]]:
    say("processor, memory, course")
    found = [*cpu.figures(3 if quick else 9, 20 if quick else 100), *course.figures(3 if quick else 7, quick)]
    yield from (report.of_figure(figure) for figure in found)


def growths(quick: bool) -> Iterator[dict[str, Any]]:
    say("growth")
    for found in growth.all_of(growth.QUICK if quick else growth.FULL):
        yield report.of_growth(found)


def measured(quick: bool, only: str = "") -> dict[str, Any]:
    """All results as data. only: rows whose name begins like this, or "figures", or "growth"."""
    rest = not only
    return {
        "date": time.strftime("%Y-%m-%d"), "machine": machine(), "quick": quick, "sides": report.of_sides(),
        "figures": list(figures(quick)) if rest or "figures".startswith(only) else [],
        "rows": list(workloads(QUICK if quick else FULL, only)),
        "growth": list(growths(quick)) if rest or "growth".startswith(only) else []}


def write(data: dict[str, Any], folder: Path) -> None:
    """The JSON file and the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    report.write(folder / NAMES[0], data)
    picture.draw(data, folder / NAMES[1])


def main(arguments: Namespace) -> int:
    if arguments.profile:
        profiles.report()
        return 0
    data = measured(arguments.quick, arguments.only)
    report.print_tables(data)
    if not data["rows"]:
        return 0
    folder = DOCS if arguments.write_readme else arguments.out
    write(data, folder)
    print(f"written: {', '.join(str(folder / name) for name in NAMES)}\n{picture.words(data)}")
    if arguments.write_readme:
        report.write_section(ROOT / "README.md", data)
    return 0
