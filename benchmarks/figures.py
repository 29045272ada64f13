"""What has no column of its own: a figure of xiplab, with a bar, and what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.workload import Sample


@dataclass(frozen=True)
class Figure:
    """A measurement.

    Attributes:
        unit: of the samples. bar: what xiplab's must be, in words.
        beside: what `other` is of.
    """

    what: str
    unit: str
    ours: Sample
    bar: str = ""
    beside: str = ""
    other: Sample | None = None


@dataclass(frozen=True)
class Missing:
    """A measurement that could not be made here."""

    what: str
    why: str


def number(value: float) -> str:
    """Three digits, and all digits of what is larger."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
