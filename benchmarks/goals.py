"""All families, and how a row's figures are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.bigfile import BigFile, Create, FirstTouch
from benchmarks.images import Map, Open, Walk
from benchmarks.smallfiles import SmallFiles
from benchmarks.workload import Family, Row, Scale
from xiplab.units import GiB, MiB

FAMILIES: tuple[type[Family], ...] = (BigFile, Create, FirstTouch, SmallFiles, Walk, Open, Map)
UNITS = {"ms": (1e3, "ms"), "us each": (1e6, "µs"), "MiB": (1.0, "MiB")}


def size(nbytes: int) -> str:
    return f"{nbytes // GiB} GiB" if nbytes >= GiB else f"{nbytes // MiB} MiB"


def named(row: Row, scale: Scale) -> str:
    """What the row does, in so many words and numbers."""
    values: dict[str, Any] = {name: size(getattr(scale, name)) for name in ("big", "image", "huge")}
    values |= {name: f"{getattr(scale, name):,}" for name in ("files", "directories", "walked")}
    return row.what.format(**values)


def shown(value: float, unit: str) -> str:
    """A figure with three digits."""
    factor, word = UNITS[unit]
    return f"{value * factor:,.3g} {word}" if value * factor < 1000 else f"{value * factor:,.0f} {word}"


def goal_of(row: Row) -> str:
    parts = [f"{row.goal:g}"] if row.goal else []
    parts += [f"{1e3 * row.longest:g} ms"] if row.longest else []
    return ", ".join(parts)


def families(only: str) -> Iterator[type[Family]]:
    """Those that have a row whose name begins like this."""
    return (family for family in FAMILIES if any(row.startswith(only) for row in family.rows))
