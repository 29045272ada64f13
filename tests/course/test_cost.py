"""What copies cost: measured, against the size of a file and the number of guests."""

from __future__ import annotations

import pytest

from xiplab.course.experiments.cost import frames_of_a_page, measure
from xiplab.units import PAGE_SIZE


@pytest.mark.parametrize(("pages", "guests"), [(1, 1), (4, 3), (12, 2)])
def test_page_caches_cost_a_frame_and_a_copy_for_each_page_and_guest(pages: int, guests: int) -> None:
    cost = measure(pages, guests, in_place=False)

    assert (cost.frames, cost.copied) == (pages * guests, pages * guests * PAGE_SIZE)


@pytest.mark.parametrize(("pages", "guests"), [(1, 1), (4, 3), (12, 2)])
def test_in_place_costs_nothing(pages: int, guests: int) -> None:
    """xip.txt: the need to have a page cache copy is eliminated completely."""
    cost = measure(pages, guests, in_place=True)

    assert (cost.frames, cost.copied) == (0, 0)


def test_list_of_a_larger_files_blocks_is_copied_even_in_place() -> None:
    assert measure(13, 2, in_place=True).copied == 2 * PAGE_SIZE


def test_file_system_on_a_ramdisk_has_each_page_twice_but_for_xip() -> None:
    assert list(frames_of_a_page().values()) == [1, 2, 2, 1]
