"""The times of notebook 06: every path reads the same bytes; only the shape is asserted."""

from __future__ import annotations

from xiplab.course.experiments import latency


def test_every_path_has_a_time_for_every_size() -> None:
    times = latency.measure(repeats=1)

    assert tuple(times) == latency.PATHS
    assert all(len(taken) == len(latency.SIZES) and min(taken) > 0 for taken in times.values())


def test_first_read_of_a_mebibyte_takes_longest() -> None:
    """It is a thousand copies into the page cache more: no noise turns that round."""
    first, directly, again = (times[-1] for times in latency.measure().values())

    assert first > again
    assert first > 2 * directly
