"""Every workload at a tiny size, by every side that is there: all do the same. Goals are not tested here."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import goals, sharing, workload
from benchmarks.bigfile import BigFile
from benchmarks.memories import MEMORIES
from benchmarks.readers import READERS
from benchmarks.sides import LIMITS, OURS, Kernel, Mapped, Tmpfs, Xip
from benchmarks.workload import TINY, Sample

SIDES = [side for side in (*LIMITS, *OURS, Kernel, *READERS, *MEMORIES) if not side.missing()]

pytestmark = pytest.mark.skipif(not shutil.which("mke2fs"), reason="no mke2fs")


@pytest.mark.parametrize("family", goals.FAMILIES, ids=lambda family: family.__name__)
def test_measure_tiny_all_sides_do_the_same(family: type[workload.Family]) -> None:
    """measure() compares what the sides did, and each row has xiplab and what it is compared with."""
    samples = workload.measure(family, SIDES, TINY)

    assert [row for row in family.rows if {Xip.name, family.rows[row].against} <= samples[row].keys()
            ] == list(family.rows)


def test_measure_side_that_does_less_raises() -> None:
    """A side that is quick because it leaves work out is found."""
    class Lazy(Tmpfs):
        name = "lazy"

        def take_calls(self) -> None:
            super().take_calls()
            self.pwrite: Any = lambda fd, data, offset: len(data)

    with pytest.raises(workload.OtherBytes, match=r"W3: lazy .* as tmpfs"):
        workload.measure(BigFile, (Tmpfs, Lazy), TINY)


def test_measure_slow_side_keeps_its_first_round() -> None:
    """A side that has used its time is not asked again, and still has a figure; a quick one goes on."""
    samples = workload.measure(BigFile, (Tmpfs, Mapped), replace(TINY, seconds=1e-9, rounds=2))

    assert len(samples["W1a"]["tmpfs"].values) == 1

    samples = workload.measure(BigFile, (Tmpfs, Mapped), replace(TINY, seconds=5.0, rounds=2))

    assert len(samples["W1a"]["tmpfs"].values) == 2


def test_memory_of_readers_mapped_in_place_is_shared() -> None:
    """Eight readers by system calls have eight copies; in place they have one, less this process's part."""
    rows, samples = sharing.memory_of_readers((Tmpfs, Xip), replace(TINY, big=8 * TINY.big))
    taken = {name: sample.median for name, sample in samples["W9"].items()}

    assert taken["tmpfs"] > 8 * 16 * 0.9
    assert taken["XIP"] < 16
    assert list(rows) == list(samples)


def test_sample_spread_is_half_the_middle_half() -> None:
    assert Sample([1.0, 2.0, 3.0, 4.0, 5.0]).spread == pytest.approx(1 / 3)
    assert Sample([1.0]).spread == 0.0


def test_named_says_the_scale() -> None:
    assert goals.named(BigFile.rows["W1a"], workload.FULL) == "read 64 MiB, fresh bytes"
    assert goals.shown(0.0123456, "ms") == "12.3 ms"
    assert goals.shown(0.0123456, "us each") == "12,346 µs"
