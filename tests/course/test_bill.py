"""The memory bill of notebook 08: every frame is counted once, by three who count apart."""

from __future__ import annotations

import os

import pytest

from xiplab import Guest, Recording
from xiplab.course.experiments.bill import (
    COMMANDS,
    KINDS,
    MEANING,
    PRIVATE,
    Bill,
    bills,
    boot,
    frames_in_use,
    machine,
    memory_bill,
    run_to_exit,
)
from xiplab.units import PAGE_SIZE


@pytest.fixture(scope="module")
def all_bills() -> dict[tuple[int, bool], Bill]:
    return {(bill.guests, bill.in_place): bill for bill in bills((1, 2, 8))}


@pytest.mark.parametrize("in_place", [True, False])
def test_bill_counts_the_frames_that_the_kernels_have_given_out(in_place: bool) -> None:
    """The kinds add up to the guests' own frames and, in place, those of the segment; the recording of
    frames taken and given back says the same."""
    vm = machine()
    with Recording([]) as rec:
        guests = [boot(vm, name, in_place) for name in ("LINUX1", "LINUX2")]
        for guest in guests:
            for command in COMMANDS:
                run_to_exit(guest, command)
    frames = frames_in_use(guests)
    segment = vm.segments["PROGRAMS"]
    first = segment.mem.ctypes.data - vm.storage.array.ctypes.data
    in_segment = [frame for frame in frames if 0 <= frame * PAGE_SIZE - first < segment.mem.nbytes]

    assert len(frames) - len(in_segment) == sum(guest.frames.total() for guest in guests)
    assert len(frames) - len(in_segment) == rec.frames_by_kind.total()
    assert bool(in_segment) is in_place
    assert set(frames.values()) <= set(KINDS) == set(MEANING)


def host_frames(guests: list[Guest]) -> int:
    """Frames that the host's own kernel has given to the machine's storage."""
    return os.fstat(guests[0].vm.storage.fd).st_blocks * 512 // PAGE_SIZE


@pytest.mark.parametrize("in_place", [True, False])
def test_host_gives_as_much_memory_as_the_bill_says(in_place: bool) -> None:
    """The blocks of the file behind the machine's storage grow by the frames that the programs took, and
    by one: the lowcore, where the processor has left something."""
    vm = machine()
    first = boot(vm, "LINUX1", in_place)
    before, own = host_frames([first]), first.frames.total()
    for command in COMMANDS:
        run_to_exit(first, command)
    more, used = host_frames([first]) - before, first.frames.total() - own

    assert more == used + 1


def test_in_place_text_is_there_once_for_all_guests(all_bills: dict[tuple[int, bool], Bill]) -> None:
    one, eight = all_bills[1, True], all_bills[8, True]

    assert eight.shared == one.shared == sum(one.frames[kind] for kind in ("text", "rodata", "files"))
    for kind in ("text", "rodata", "files"):
        assert eight.frames[kind] == one.frames[kind]


def test_cached_text_is_there_once_for_each_guest(all_bills: dict[tuple[int, bool], Bill]) -> None:
    one, eight = all_bills[1, False], all_bills[8, False]

    assert eight.shared == one.shared == 0
    for kind in ("text", "rodata", "files", "cache"):
        assert eight.frames[kind] == 8 * one.frames[kind]


@pytest.mark.parametrize("guests", [1, 2, 8])
def test_private_memory_is_the_same_both_ways(all_bills: dict[tuple[int, bool], Bill], guests: int) -> None:
    """Variables, heap, stack and page tables cost what they cost, wherever the program lies."""
    in_place, cached = all_bills[guests, True].frames, all_bills[guests, False].frames

    assert [in_place[kind] for kind in PRIVATE] == [cached[kind] for kind in PRIVATE]


def test_private_memory_is_told_apart() -> None:
    """sieve's table of 10,000 bytes lies in three pages of .bss; counter has a page of each kind."""
    assert memory_bill(1, in_place=True, commands=["sieve 10000"]).frames["bss"] == 3
    bill = memory_bill(1, in_place=True, commands=["counter"])

    assert [bill.frames[kind] for kind in ("text", "rodata", "data", "bss", "stack")] == [1, 1, 1, 1, 1]


def test_program_that_ends_by_a_signal_is_no_bill() -> None:
    with pytest.raises(RuntimeError, match="SIGSEGV"):
        memory_bill(1, in_place=True, commands=["wild"])


def test_exit_works_again_after_the_bill() -> None:
    guest = boot(machine(), "LINUX1", in_place=True)
    run_to_exit(guest, "hello")

    assert guest.exec("hello").status == 0


@pytest.mark.slow
def test_sixty_four_guests_share_all_that_can_be_shared() -> None:
    in_place, cached = (memory_bill(64, in_place=way) for way in (True, False))
    shared = sum(in_place.frames[kind] for kind in ("text", "rodata", "files"))

    assert in_place.shared == shared
    assert sum(cached.frames[kind] for kind in ("text", "rodata", "files")) == 64 * shared
    assert cached.total - in_place.total > 63 * shared
