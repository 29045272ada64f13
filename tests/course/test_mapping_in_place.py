"""The experiment of notebook 07: three mappings of one file, and what happens to them."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from xiplab.course.experiments.mapping import FAULTS, TASKS, MapInPlace, touch_through_page_cache


@pytest.fixture
def experiment() -> MapInPlace:
    return MapInPlace()


def owners(experiment: MapInPlace, page: int) -> list[str]:
    return [experiment.entries(task)[page].owner for task in TASKS]


def shown(experiment: MapInPlace, page: int) -> list[str]:
    return [experiment.entries(task)[page].shows for task in TASKS]


def test_mappings_are_the_storage_itself(experiment: MapInPlace) -> None:
    """xip.txt: the storage device itself is mapped directly into userspace."""
    for task in TASKS:
        experiment.load(task, 0)
    segment = experiment.vm.segments["DATA"].mem

    assert all(np.shares_memory(experiment.texts[task].frame(0), segment) for task in TASKS)
    assert owners(experiment, 0) == ["storage"] * 3
    assert (experiment.copied, experiment.faults) == (0, {"device frame": 3})
    assert experiment.guest.frames["page cache"] == 0


def test_hole_is_the_sparse_page_for_who_cannot_store_and_a_block_for_who_can(
        experiment: MapInPlace) -> None:
    experiment.load("reader", 1)
    experiment.load("private", 1)
    assert owners(experiment, 1) == ["", "sparse", "sparse"]
    assert experiment.frame_of(1) is None
    experiment.load("writer", 1)

    assert owners(experiment, 1) == ["storage", "", ""]
    assert experiment.frame_of(1) is not None


def test_hole_without_a_free_block_ends_the_writer_only(experiment: MapInPlace) -> None:
    experiment.fill(0)
    experiment.load("writer", 1)
    assert "SIGBUS. There is no block left" in experiment.sentence()
    experiment.load("reader", 1)

    assert shown(experiment, 1) == ["", "zeros", ""]


def test_write_into_the_hole_takes_the_sparse_page_out(experiment: MapInPlace) -> None:
    experiment.load("reader", 1)
    experiment.write(1, "Hello")
    assert experiment.mincore("reader") == [0, 0, 0, 0]
    experiment.load("reader", 1)

    assert (shown(experiment, 1)[1], owners(experiment, 1)[1]) == ("Hello", "storage")


def test_private_store_copies_and_leaves_the_file(experiment: MapInPlace) -> None:
    experiment.store("private", 0, "J")
    experiment.store("writer", 0, "B")
    experiment.load("reader", 0)

    assert shown(experiment, 0) == ["Bpple", "Bpple", "Jpple"]
    assert owners(experiment, 0) == ["storage", "storage", "private"]
    assert experiment.copied == 4096


def test_store_in_place_needs_no_copy_back(experiment: MapInPlace) -> None:
    """msync copies metadata only: the second one, with nothing changed, copies nothing."""
    experiment.store("writer", 0, "B")
    frame = experiment.frame_of(0)
    assert frame is not None
    assert experiment.shows(frame) == "Bpple"
    experiment.msync("writer")

    assert experiment.msync("writer") == 0


def test_cut_page_is_taken_from_every_task_and_ends_in_sigbus(experiment: MapInPlace) -> None:
    for task in TASKS:
        experiment.load(task, 2)
    experiment.truncate(2)
    assert owners(experiment, 2) == ["", "", ""]
    experiment.load("reader", 2)

    assert experiment.sentence() == ("reader loads from page 2: SIGBUS. The file has 2 pages, so there is no "
                                     "page 2.")


@pytest.mark.parametrize(("kernel", "owner", "shows"), [
    ("2.6.26", "lost", "secret"), ("3.6", "lost", "secret"), ("DAX", "", "")])
def test_race_of_fault_and_truncate(experiment: MapInPlace, kernel: str, owner: str, shows: str) -> None:
    """Q7: the freed block stays mapped, and shows what its next owner stores."""
    experiment.fill(0)
    experiment.begin("reader", 2, kernel)
    experiment.truncate(2)
    experiment.other("secret")
    experiment.finish()
    entry = experiment.entries("reader")[2]

    assert (entry.owner, entry.shows) == (owner, shows)


@pytest.mark.parametrize(("kernel", "shows"), [("2.6.26", "zeros"), ("3.6", "Hello"), ("DAX", "Hello")])
def test_race_of_fault_and_write(experiment: MapInPlace, kernel: str, shows: str) -> None:
    """Q6: before 2.6.27 the sparse page came in over the new block, and stayed."""
    experiment.begin("reader", 1, kernel)
    experiment.write(1, "Hello")
    experiment.finish()
    experiment.load("reader", 1)

    assert experiment.entries("reader")[1].shows == shows


@pytest.mark.parametrize("kernel", FAULTS)
def test_fault_without_a_race_enters_the_storage(experiment: MapInPlace, kernel: str) -> None:
    experiment.begin("private", 0, kernel)
    assert experiment.entries("private")[0].pfn is None
    experiment.finish()

    assert owners(experiment, 0)[2] == "storage"


def test_begin_behind_the_end_is_sigbus_at_once(experiment: MapInPlace) -> None:
    experiment.begin("reader", 3)

    assert "SIGBUS" in experiment.sentence()
    assert experiment.pending is None


def test_protection_is_asked_at_each_access(experiment: MapInPlace) -> None:
    experiment.store("writer", 0, "B")
    experiment.protect("writer", "none")
    experiment.load("writer", 0)
    assert "SIGSEGV" in experiment.sentence()
    experiment.protect("writer", "read")
    experiment.load("writer", 0)
    assert "Bpple" in experiment.sentence()
    experiment.store("writer", 0, "C")
    assert "SIGSEGV" in experiment.sentence()
    experiment.protect("writer", "write")
    experiment.store("writer", 0, "C")

    assert shown(experiment, 0)[0] == "Cpple"


@pytest.mark.parametrize(("call", "args", "number"), [
    ("load", ("nobody", 0), errno.EINVAL), ("load", ("reader", 4), errno.EINVAL),
    ("store", ("writer", 0, "JJ"), errno.EINVAL), ("protect", ("writer", "all"), errno.EINVAL),
    ("protect", ("reader", "write"), errno.EACCES), ("begin", ("writer", 0), errno.EINVAL),
    ("begin", ("reader", 0, "1.0"), errno.EINVAL), ("finish", (), errno.EINVAL)])
def test_wrong_call_raises_and_changes_nothing(
        experiment: MapInPlace, call: str, args: tuple[object, ...], number: int) -> None:
    with pytest.raises(OSError) as failure:  # noqa: PT011  the errno is asserted
        getattr(experiment, call)(*args)

    assert failure.value.errno == number
    assert experiment.actions == []


def test_second_fault_has_to_wait(experiment: MapInPlace) -> None:
    experiment.begin("reader", 0)
    with pytest.raises(OSError, match="under way") as failure:
        experiment.begin("private", 0)

    assert failure.value.errno == errno.EBUSY
    assert experiment.pending is not None


def test_python_gives_the_same_state_within_a_race(experiment: MapInPlace) -> None:
    experiment.load("writer", 0)
    experiment.begin("reader", 2, "2.6.26")
    experiment.truncate(2)
    names: dict[str, MapInPlace] = {}
    exec(experiment.python(), names)
    again = names["experiment"]
    assert str(again) == str(experiment)
    for each in (experiment, again):
        each.finish()

    assert str(again) == str(experiment)


def test_broken_device_kills_the_task(experiment: MapInPlace) -> None:
    """Q27: an error of the look-up counts as a lack of memory. What is mapped already stays."""
    experiment.load("reader", 0)
    experiment.spoil()
    experiment.load("reader", 2)
    assert "SIGKILL. The look-up failed" in experiment.sentence()
    experiment.load("reader", 0)

    assert "apple" in experiment.sentence()


def test_store_behind_the_end_within_the_last_page_comes_back(experiment: MapInPlace) -> None:
    """Q28: when the file grows, the byte is in it."""
    experiment.guest.ftruncate(experiment.fd, 8192 + 100)
    experiment.texts["writer"][8192 + 200] = ord("!")
    experiment.guest.ftruncate(experiment.fd, 8192 + 300)

    assert experiment.guest.pread(experiment.fd, 1, 8192 + 200) == b"!"


def test_touch_through_page_cache_of_a_broken_disk_ends_in_sigbus() -> None:
    assert touch_through_page_cache(broken=False) == "apple"
    assert touch_through_page_cache(broken=True) == "SIGBUS"
