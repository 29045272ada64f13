"""The experiment of notebook 01: what copies are made of a device's pages, and when they go."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from xiplab.course.experiments.copies import PAGES, WORDS, Disk, NewRamdisk, OldRamdisk
from xiplab.units import PAGE_SIZE

DEVICES = (Disk, NewRamdisk, OldRamdisk)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def loaded() -> OldRamdisk:
    ramdisk = OldRamdisk()
    ramdisk.load()
    return ramdisk


def words(experiment: Disk) -> list[tuple[str, str, str]]:
    return [(row.buffer, row.cache_word, row.device_word) for row in experiment.rows()]


def test_first_read_copies_twice_and_the_second_once(disk: Disk) -> None:
    disk.read(0)
    assert disk.bill == {"disk to memory": PAGE_SIZE, "page cache to user": PAGE_SIZE}
    disk.read(0)

    assert disk.bill == {"disk to memory": PAGE_SIZE, "page cache to user": 2 * PAGE_SIZE}


@pytest.mark.parametrize("device", [Disk, NewRamdisk])
def test_file_mappings_are_page_cache_pages(device: type[Disk]) -> None:
    """xip.txt: file mappings are performed by mapping page cache pages to userspace."""
    experiment = device()
    experiment.touch(0)
    page = experiment.cache_page(0)
    assert page is not None

    assert np.shares_memory(experiment.mapping().frame(0), page.frame)
    assert not np.shares_memory(page.frame, experiment.storage(0))


def test_store_makes_the_page_dirty_and_leaves_the_disk(disk: Disk) -> None:
    disk.store(1, "B")
    disk.read(1)

    assert words(disk)[1] == ("Bread", "Bread", "bread")
    assert [row.dirty for row in disk.rows()] == [False, True, False, False]


def test_sync_copies_dirty_pages_only(disk: Disk) -> None:
    disk.write(2, "cakes")
    disk.read(0)
    before = disk.copied
    disk.sync()

    assert disk.copied - before == PAGE_SIZE
    assert words(disk)[2] == ("", "cakes", "cakes")
    assert not any(row.dirty for row in disk.rows())


def test_change_from_outside_leaves_a_stale_page_until_it_is_dropped(disk: Disk) -> None:
    disk.read(3)
    disk.change(3, "plums")
    assert disk.rows()[3].stale
    disk.sync()
    disk.read(3)
    assert disk.rows()[3].buffer == "dates"
    disk.press()
    disk.read(3)

    assert words(disk)[3] == ("plums", "plums", "plums")


def test_mapped_pages_stay_when_memory_is_short(disk: Disk) -> None:
    disk.touch(0)
    disk.read(1)
    disk.press()
    assert [row.cached is not None for row in disk.rows()] == [True, False, False, False]
    assert "1 cannot be taken: they are mapped" in disk.sentence()
    disk.unmap()
    disk.press()

    assert disk.frames() == {"page cache": 0}


def test_brd_has_each_used_page_twice() -> None:
    """xip.txt: on memory-backed devices page cache pages are copies of the original storage."""
    ramdisk = NewRamdisk()
    assert ramdisk.frames() == {"ramdisk": PAGES, "page cache": 0}
    ramdisk.touch(0)
    page = ramdisk.cache_page(0)
    assert page is not None

    assert bytes(page.frame) == bytes(ramdisk.storage(0))
    assert not np.shares_memory(page.frame, ramdisk.storage(0))
    assert ramdisk.frames()["page cache"] == 1


def test_rd_copies_the_image_and_discards_the_original() -> None:
    """xip.txt: reads the data into the page cache, keeps a reference, and discards the original."""
    ramdisk = OldRamdisk()
    assert ramdisk.frames() == {"initrd": PAGES, "page cache": 0}
    ramdisk.load()

    assert ramdisk.frames() == {"initrd": 0, "page cache": PAGES}
    assert [row.cache_word for row in ramdisk.rows()] == list(WORDS)
    with pytest.raises(OSError, match="no storage of page 0 beside the page cache"):
        ramdisk.storage(0)


def test_rd_pages_never_become_clean_and_are_never_taken(loaded: OldRamdisk) -> None:
    loaded.sync()
    loaded.press()

    assert loaded.frames()["page cache"] == PAGES
    assert all(row.dirty for row in loaded.rows())
    assert "never become clean" in loaded.sentence()


def test_rd_is_read_and_mapped_without_a_copy_into_the_cache(loaded: OldRamdisk) -> None:
    before = loaded.copied
    loaded.touch(1)
    assert loaded.copied == before
    loaded.read(1)

    assert loaded.copied == before + PAGE_SIZE


def test_flush_turns_both_ramdisks_into_zeros(loaded: OldRamdisk) -> None:
    new = NewRamdisk()
    for ramdisk in (loaded, new):
        ramdisk.flush()
        assert ramdisk.frames().total() == 0
        ramdisk.read(0)

        assert ramdisk.rows()[0].buffer == "zeros"


@pytest.mark.parametrize(("call", "args", "number"), [
    ("read", (4,), errno.EINVAL), ("read", (-1,), errno.EINVAL), ("touch", ("0",), errno.EINVAL),
    ("write", (0, ""), errno.EINVAL), ("write", (0, "far too long a word"), errno.EINVAL),
    ("store", (0, "JJ"), errno.EINVAL), ("store", (0, "é"), errno.EINVAL), ("change", (9, "x"), errno.EINVAL),
    ("flush", (), errno.ENOTTY)])
def test_wrong_call_raises_and_changes_nothing(
        disk: Disk, call: str, args: tuple[object, ...], number: int) -> None:
    disk.read(1)
    before = words(disk), disk.copied
    with pytest.raises(OSError) as failure:  # noqa: PT011  the errno is asserted
        getattr(disk, call)(*args)

    assert failure.value.errno == number
    assert (words(disk), disk.copied) == before


def test_boot_image_is_loaded_once(loaded: OldRamdisk) -> None:
    with pytest.raises(OSError, match="discarded before") as failure:
        loaded.load()

    assert failure.value.errno == errno.EBUSY


def test_rd_cannot_be_changed_behind_the_page_cache(loaded: OldRamdisk) -> None:
    with pytest.raises(OSError, match="beside the page cache"):
        loaded.change(0, "plums")


@pytest.mark.parametrize("device", DEVICES)
def test_python_gives_the_same_state(device: type[Disk]) -> None:
    experiment = device()
    for name, *args in (("read", 0), ("store", 1, "B"), ("touch", 2), ("sync",), ("write", 3, "eggs"),
                        ("press",), ("select", 2)):
        getattr(experiment, name)(*args)
    names: dict[str, Disk] = {}
    exec(experiment.python(), names)
    again = names["experiment"]

    assert (str(again), again.bill, again.path) == (str(experiment), experiment.bill, experiment.path)
    assert again.selected == 2


def test_undo_brings_copies_and_bill_back(disk: Disk) -> None:
    disk.read(0)
    before = str(disk), disk.copied
    disk.write(0, "beans")
    disk.sync()
    disk.undo()
    disk.undo()

    assert (str(disk), disk.copied) == before
