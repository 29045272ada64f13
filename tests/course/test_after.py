"""Notebook 10: DAX beside execute-in-place, and the experiment with real processes."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from xiplab.course.experiments import after
from xiplab.course.experiments.own_computer import MOST, PAGES, OwnComputer, file_in_place
from xiplab.host import native

native_only = pytest.mark.skipif(bool(native.unavailable()), reason=native.unavailable() or "works here")


def refused(number: int, words: str) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, match=words, check=lambda failure: failure.errno == number)


# two eras

def test_truncate_during_a_fault_shows_another_file_and_dax_sends_a_signal() -> None:
    """Q7."""
    assert [after.race(era) for era in after.ERAS] == [b"a secret.", b""]


def test_store_through_a_mapping_sets_the_time_with_dax_alone() -> None:
    assert [after.store(era) for era in after.ERAS] == [False, True]


def test_load_from_a_hole_allocates_a_block_without_dax() -> None:
    """Q10."""
    assert [after.load_hole(era) for era in after.ERAS] == [1, 0]


def test_read_asks_once_for_all_pages_with_dax() -> None:
    old, new = (after.read_file(era) for era in after.ERAS)

    assert old["dcssblk_devops.direct_access"] == after.PAGES
    assert new["dcssblk_devops.direct_access_run"] == 1


def test_unknown_era_raises_einval() -> None:
    with refused(errno.EINVAL, "xip, dax"):
        after.boot("2.4")


# processes of this computer

@pytest.fixture
def experiment() -> Iterator[OwnComputer]:
    made = OwnComputer()
    yield made
    made.close()


@native_only
def test_two_see_the_store_and_the_copy_does_not(experiment: OwnComputer) -> None:
    experiment.store(0, ord("J"))

    assert [row.sees[:1] for row in experiment.rows()] == [b"J", b"J", b"H"]
    assert "1, 2. Not: 3." in experiment.sentence()


@native_only
def test_store_of_a_process_reaches_the_segment(experiment: OwnComputer) -> None:
    experiment.write(2, 3, ord("J"))

    assert experiment.storage()[3] == ord("J")
    assert experiment.rows()[0].sees[3] == ord("J")


@native_only
def test_private_and_copied_stores_stay_where_they_are(experiment: OwnComputer) -> None:
    experiment.attach("private")
    for number in (3, 4):
        experiment.write(number, 0, ord("J"))
        assert "does not have it" in experiment.sentence()

    assert experiment.storage()[:1] == b"H"


@native_only
def test_pss_of_sharers_falls_with_each_of_them(experiment: OwnComputer) -> None:
    """This Python has the frames, too: two processes share by three, three by four."""
    before = [row.pss for row in experiment.rows()]
    experiment.attach("in place")

    assert (before, [row.pss for row in experiment.rows()]) == ([15, 15, 48], [12, 12, 48, 12])
    assert [row.rss for row in experiment.rows()] == [4 * PAGES] * 4


@native_only
def test_undo_ends_the_process_and_puts_the_bytes_back(experiment: OwnComputer) -> None:
    experiment.store(0, ord("J"))
    experiment.attach("copy")
    pids = [process.peer.pid for process in experiment.processes]
    experiment.undo()
    experiment.undo()

    assert len(experiment.processes) == 3
    assert experiment.storage()[:1] == b"H"
    assert not set(pids) & {process.peer.pid for process in experiment.processes}


@native_only
def test_wrong_requests_are_refused(experiment: OwnComputer) -> None:
    with refused(errno.EINVAL, "in place, private, copy"):
        experiment.attach("by magic")
    with refused(errno.ESRCH, "there are 3"):
        experiment.write(4, 0, 0)
    with refused(errno.EFAULT, "outside the file"):
        experiment.store(PAGES * 4096, 0)
    with refused(errno.EINVAL, "does not fit"):
        experiment.write(1, 0, 256)
    for _ in range(MOST - 3):
        experiment.attach("in place")
    with refused(errno.EAGAIN, f"there are {MOST}"):
        experiment.attach("in place")


def test_where_the_host_cannot_there_are_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native.mmap, "ALLOCATIONGRANULARITY", 16384)
    experiment = OwnComputer()
    experiment.store(0, ord("J"))

    assert experiment.rows() == []
    assert experiment.storage()[:1] == b"J"
    with refused(errno.EOPNOTSUPP, "units of 16384 bytes"):
        experiment.attach("in place")


def test_file_in_place_has_its_bytes() -> None:
    filp = file_in_place(1 << 20)

    assert native.gather(filp).tobytes() == b"in place" * (1 << 17)


@native_only
def test_own_function_counts_the_memory_of_each_process(experiment: OwnComputer) -> None:
    """The two in place have the segment's mapping; the copy has none of that name."""
    experiment.count_with(lambda text, name: (text.count(name), len(text.splitlines()) // 10**6))

    assert [(row.rss > 0, row.pss) for row in experiment.rows()] == [(True, 0), (True, 0), (False, 0)]


@native_only
@pytest.mark.parametrize("counting", [lambda text, name: None, lambda text, name: ("a", "b"),
                                      lambda text, name: 5])
def test_own_function_that_does_not_count_is_said_to_be_so(experiment: OwnComputer, counting: Any) -> None:
    experiment.count_with(counting)
    rows = experiment.rows()

    assert [(row.rss, row.pss) for row in rows] == [(0, 0)] * 3
    assert experiment.sentence().startswith("Your function did not count")


@native_only
def test_reset_takes_own_function_out(experiment: OwnComputer) -> None:
    experiment.count_with(lambda text, name: (1, 1))
    experiment.reset()

    assert experiment.counting is None
