"""The three machines of notebook 09: what each one shows is what its sentence of xip.txt says."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from xiplab.course.experiments.flash import BLOCK, FIRST_LOG_BLOCK, LOG, Flash, commands
from xiplab.course.experiments.highmem import DRIVERS, PAGES, SLOTS, Highmem, content
from xiplab.course.experiments.modules import Loading, module_file


def refused(number: int, words: str) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, match=words, check=lambda failure: failure.errno == number)


# highmem

@pytest.fixture
def ramdisk() -> Highmem:
    return Highmem()


def test_mapping_in_highmem_is_right_and_read_is_wrong_without_an_error(ramdisk: Highmem) -> None:
    """Q24."""
    ramdisk.load(3)
    ramdisk.read(3)
    loaded, read = ramdisk.outcomes

    assert (loaded.data, loaded.right) == (content(3)[:16], True)
    assert (read.right, read.error) == (False, "")
    assert ramdisk.address(3) == 0


def test_driver_with_kmap_has_as_many_pages_as_slots(ramdisk: Highmem) -> None:
    ramdisk.driver("kmap")
    for page in range(PAGES):
        ramdisk.read(page)

    assert [outcome.error for outcome in ramdisk.outcomes] == [""] * SLOTS + ["EDEADLK"] * (PAGES - SLOTS)
    assert all(outcome.right for outcome in ramdisk.outcomes[:SLOTS])
    assert sorted(filter(None, ramdisk.slots())) == [ramdisk.frame(page) for page in range(SLOTS)]


def test_page_that_was_read_before_needs_no_other_slot(ramdisk: Highmem) -> None:
    ramdisk.driver("kmap")
    for _ in range(3):
        ramdisk.read(0)

    assert sum(pfn is not None for pfn in ramdisk.slots()) == 1


def test_lowmem_reads_all_pages(ramdisk: Highmem) -> None:
    ramdisk.driver("lowmem")
    for page in range(PAGES):
        ramdisk.read(page)

    assert all(outcome.right for outcome in ramdisk.outcomes)
    assert ramdisk.address(0) == ramdisk.frame(0) << 12


def test_undo_boots_the_driver_before(ramdisk: Highmem) -> None:
    ramdisk.driver("kmap")
    ramdisk.undo()

    assert ramdisk.how == "highmem"


@pytest.mark.parametrize("page", [-1, PAGES])
def test_page_outside_the_file_raises_einval(ramdisk: Highmem, page: int) -> None:
    for access in (ramdisk.read, ramdisk.load):
        with refused(errno.EINVAL, "the file has 12"):
            access(page)


def test_unknown_driver_raises_einval(ramdisk: Highmem) -> None:
    with refused(errno.EINVAL, ", ".join(DRIVERS)):
        ramdisk.driver("swap")


# flash

@pytest.fixture
def flash() -> Flash:
    return Flash()


def test_program_is_and(flash: Flash) -> None:
    """K171, K172."""
    seen = []
    for value in (0xF0, 0x0F, 0xFF):
        flash.program(5, value)
        seen.append(flash.log_cells()[5])

    assert seen == [0xF0, 0x00, 0x00]


def test_mapping_shows_status_while_the_chip_is_busy_and_after(flash: Flash) -> None:
    """K173: and nothing puts the chip back before the driver reads."""
    flash.erase(9)
    busy = flash.sees()
    flash.wait(600)

    assert busy == bytes(16)
    assert flash.sees() == b"\x00\x80" * 8
    assert flash.cells().startswith(b"A program")
    flash.read(0)
    assert flash.sees() == flash.cells()


def test_read_suspends_an_erase_that_goes_on(flash: Flash) -> None:
    """K174."""
    flash.program(0x10, 0x4A)
    flash.erase(9)
    flash.read(0x10)

    assert "0x4a, which is right" in flash.sentence()
    assert [command for _, command in flash.cycles] == ["suspend", "read status", "read array", "resume",
                                                        "read status"]
    assert flash.chip.running is not None


def test_pointed_chip_makes_writers_wait_until_the_unmount(flash: Flash) -> None:
    """K175."""
    flash.mount("pointed")
    flash.program(0, 0)
    flash.erase(9)
    flash.wait(60_000)
    waiting = flash.chip.running
    flash.mount("page cache")
    flash.wait(1)

    assert flash.log_cells()[0] == 0xFF
    assert waiting is None
    assert flash.chip.running is not None


def test_page_cache_keeps_a_copy_and_lets_writers_through(flash: Flash) -> None:
    flash.mount("page cache")
    flash.erase(9)

    assert flash.sees() == flash.cells()
    assert not np.shares_memory(flash.text.frame(), flash.chip.window)


def test_erase_fills_its_block_with_ones_and_no_other(flash: Flash) -> None:
    flash.program(0, 0)
    flash.program(BLOCK, 0)
    flash.erase(FIRST_LOG_BLOCK + 1)
    flash.wait(600)

    assert flash.log_cells()[0] == 0
    assert flash.log_cells(BLOCK)[0] == 0xFF


def test_bus_cycles_are_told_in_words() -> None:
    cycles = [(0, 0x70), (0, 0xE8), (0, 1), (2, 0xF0FF), (4, 0x70FF), (0, 0xD0), (LOG, 0x20), (LOG, 0xD0),
              (LOG, 0xD0)]

    assert [words for _, words in commands(cycles)] == [
        "read status", "program", "words - 1: 0x0001", "word 0xf0ff", "word 0x70ff", "confirm", "erase",
        "confirm", "resume"]


@pytest.mark.parametrize("block", [0, FIRST_LOG_BLOCK - 1, 16])
def test_erase_outside_the_log_raises_einval(flash: Flash, block: int) -> None:
    with refused(errno.EINVAL, "not one of the log's"):
        flash.erase(block)


def test_wrong_values_are_refused_and_change_nothing(flash: Flash) -> None:
    with refused(errno.EFAULT, "outside the log"):
        flash.program(LOG, 0)
    with refused(errno.EINVAL, "does not fit"):
        flash.program(0, 256)
    with refused(errno.EINVAL, "page cache"):
        flash.mount("copied")

    assert (flash.actions, flash.how) == ([], "in place")


# modules

@pytest.fixture
def loading() -> Loading:
    return Loading()


def test_mapping_copies_nothing_and_insmod_copies_three_times(loading: Loading) -> None:
    """K159."""
    loading.map("LINUX1")
    mapped = loading.copies["LINUX1"]
    loading.insmod("LINUX1")

    assert mapped == {}
    assert list(loading.copies["LINUX1"]) == ["storage to user", "module image", "module section"]
    assert loading.copies["LINUX1"]["module image"] == len(module_file())


def test_each_kernel_patches_the_code_for_its_own_address(loading: Loading) -> None:
    loading.insmod("LINUX1")
    loading.insmod("LINUX2")
    one, two = loading.code("LINUX1"), loading.code("LINUX2")

    assert loading.patched("LINUX1") == loading.patched("LINUX2") != []
    assert bytes(one[-4:]) != bytes(two[-4:])
    assert not np.shares_memory(one, loading.file_code())


def test_rmmod_gives_the_frame_back(loading: Loading) -> None:
    before = loading.guests["LINUX1"].frames["vmalloc"]
    loading.insmod("LINUX1")
    loading.rmmod("LINUX1")

    assert loading.guests["LINUX1"].frames["vmalloc"] == before
    with refused(errno.ENOENT, "has not loaded"):
        loading.code("LINUX1")


def test_second_insmod_raises_eexist_and_keeps_the_first(loading: Loading) -> None:
    loading.insmod("LINUX1")
    with refused(errno.EEXIST, "hello"):
        loading.insmod("LINUX1")

    assert list(loading.modules) == ["LINUX1"]


def test_unknown_guest_raises_esrch(loading: Loading) -> None:
    with refused(errno.ESRCH, "LINUX1, LINUX2"):
        loading.map("LINUX9")
