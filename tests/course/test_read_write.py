"""The experiment of notebook 06: the same call in place and through the page cache."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest

from xiplab.course.experiments.read_write import SIDES, STORY, ReadWrite
from xiplab.course.trial import driven
from xiplab.linux.mm.filemap_xip_eras import xip_file_sendfile
from xiplab.units import PAGE_SIZE


@pytest.fixture
def experiment() -> ReadWrite:
    return ReadWrite()


def names(experiment: ReadWrite, side: str) -> list[str]:
    return [step.name for step in experiment.outcomes[side].steps]


def test_read_in_place_copies_once_and_takes_no_frame(experiment: ReadWrite) -> None:
    """xip.txt: read&write type operations are performed directly from/to the storage device."""
    experiment.get("read", PAGE_SIZE, 0)
    directly, cached = (experiment.outcomes[side] for side in SIDES)

    assert (directly.copied, directly.frames) == (PAGE_SIZE, 0)
    assert (cached.copied, cached.frames) == (2 * PAGE_SIZE, 1)
    assert directly.data == cached.data == STORY[:PAGE_SIZE]


def test_trace_has_the_kernels_functions_in_order(experiment: ReadWrite) -> None:
    experiment.get("read", 100, 0)

    assert names(experiment, "in place") == [
        "xip_file_read", "ext2_get_xip_mem", "dcssblk_direct_access", "copy 100 bytes: storage to user"]
    assert names(experiment, "page cache")[:4] == [
        "do_sync_read", "generic_file_aio_read", "frame 0x109 taken: page cache", "ext2_readpage"]


def test_hole_is_read_as_zeros_and_stays_a_hole(experiment: ReadWrite) -> None:
    experiment.get("read", PAGE_SIZE, PAGE_SIZE)

    assert [experiment.outcomes[side].data for side in SIDES] == [bytes(PAGE_SIZE)] * 2
    assert [experiment.place(side, PAGE_SIZE).block for side in SIDES] == [0, 0]


def test_write_reaches_the_storage_in_place_only(experiment: ReadWrite) -> None:
    experiment.put("write", "Hello", 0)
    directly, cached = (experiment.place(side, 0) for side in SIDES)
    assert (directly.stored[:5], directly.cached) == ("Hello", "")
    assert (cached.stored[:5], cached.cached[:5], cached.dirty) == ("page ", "Hello", True)
    experiment.fsync()

    assert experiment.place("page cache", 0).stored[:5] == "Hello"


def test_write_into_the_hole_asks_twice(experiment: ReadWrite) -> None:
    experiment.put("write", "Hello", PAGE_SIZE + 4)
    asked = [step for step in experiment.outcomes["in place"].steps if step.name == "ext2_get_xip_mem"]

    assert [str(step).strip() for step in asked] == [
        "ext2_get_xip_mem(page 1) → ENODATA", "ext2_get_xip_mem(page 1, create) → frame 0x10009"]
    assert experiment.place("in place", PAGE_SIZE).block
    assert experiment.place("in place", PAGE_SIZE + 4).stored.startswith("Hello")


@pytest.mark.parametrize(("how", "in_place", "cached"), [
    ("read", 5000, 5000), ("readv", 5000, 5000), ("sendfile", 5000, 5000), ("aio_read", -errno.EINVAL, 5000)])
def test_calls_of_xip_txt_as_linux_3_6_answers_them(
        experiment: ReadWrite, how: str, in_place: int, cached: int) -> None:
    experiment.get(how, 5000, 0)

    assert [experiment.outcomes[side].result for side in SIDES] == [in_place, cached]


@pytest.mark.parametrize("how", ["write", "writev", "append"])
def test_writes_do_the_same_on_both_sides(experiment: ReadWrite, how: str) -> None:
    experiment.put(how, "Hello", 100)
    read = {side: experiment.guest.pread(experiment.fds[side], 20_000, 0) for side in SIDES}

    assert read["in place"] == read["page cache"] != STORY
    assert [experiment.outcomes[side].result for side in SIDES] == [5, 5]


def test_tables_as_described_make_aio_work(experiment: ReadWrite) -> None:
    """xip.txt: do_sync_read/do_sync_write can be used to implement classic synchronous calls."""
    experiment.as_described()
    experiment.get("aio_read", 5000, 0)
    assert experiment.outcomes["in place"].data == STORY[:5000]
    experiment.get("read", 5000, 0)
    assert names(experiment, "in place")[:2] == ["do_sync_read", "xip_file_aio_read"]
    experiment.put("aio_write", "Hello", 0)

    assert experiment.outcomes["in place"].result == 5
    assert experiment.place("in place", 0).stored.startswith("Hello")


def test_old_sendfile_hands_out_the_storage(experiment: ReadWrite) -> None:
    pages = list(xip_file_sendfile(experiment.filp("in place"), 0, 3 * PAGE_SIZE))

    assert b"".join(pages) == STORY
    assert np.shares_memory(np.frombuffer(pages[0], np.uint8), experiment.vm.segments["XIP"].mem)
    assert not np.shares_memory(np.frombuffer(pages[1], np.uint8), experiment.vm.segments["XIP"].mem)


def test_full_device_gives_a_short_answer_then_an_error(experiment: ReadWrite) -> None:
    experiment.fill(1)
    answers = []
    for nbytes, offset in ((5000, 12288), (1, 16384)):
        experiment.put("write", "x" * nbytes, offset)
        answers.append([experiment.outcomes[side].result for side in SIDES])

    assert answers == [[4096, 4096], [-errno.ENOSPC, -errno.ENOSPC]]
    assert experiment.size("in place") == 16384


def test_broken_buffer_counts_pieces_for_reads_and_bytes_for_writes(experiment: ReadWrite) -> None:
    assert experiment.broken_buffer(8192, 5000) == {"in place": (4096, 5000), "page cache": (5000, 5000)}


def test_read_of_nothing_over_the_hole_is_an_error_in_place(experiment: ReadWrite) -> None:
    experiment.get("read", 0, PAGE_SIZE)

    assert experiment.results() == {"in place": "ENODATA", "page cache": "0 bytes"}


def test_limit_cuts_and_then_refuses(experiment: ReadWrite) -> None:
    experiment.limit(100)
    experiment.put("write", "0123456789", 95)
    assert experiment.outcomes["in place"].result == 5
    experiment.put("write", "x", 100)

    assert experiment.outcomes["in place"].result == -errno.EFBIG


@pytest.mark.parametrize("call", ["get", "put"])
def test_unknown_call_raises(experiment: ReadWrite, call: str) -> None:
    with pytest.raises(OSError, match="not one of") as failure:
        getattr(experiment, call)("mmap", "1", 0)

    assert failure.value.errno == errno.EINVAL
    assert experiment.actions == []


@pytest.mark.parametrize("count", [-1, 1 << 40])
def test_count_out_of_range_raises(experiment: ReadWrite, count: int) -> None:
    with pytest.raises(OSError, match=f"get: {count} bytes") as failure:
        experiment.get("readv", count, 0)

    assert failure.value.errno == errno.EINVAL


def test_play_moves_both_traces_and_the_next_call_ends_it(experiment: ReadWrite) -> None:
    experiment.get("read", 100, 0)
    experiment.play(2)
    assert [experiment.step_of(side) for side in SIDES] == [2, 2]
    experiment.play(99)
    assert [experiment.step_of(side) for side in SIDES] == [
        len(experiment.outcomes[side].steps) - 1 for side in SIDES]
    experiment.play(1)
    experiment.get("read", 10, 0)

    assert experiment.position is None
    assert "play" not in experiment.python()


def test_python_gives_the_same_state(experiment: ReadWrite) -> None:
    experiment.put("write", "Hello", 4100)
    experiment.fill(2)
    experiment.get("readv", 9000, 10)
    experiment.play(3)
    names: dict[str, ReadWrite] = {}
    exec(experiment.python(), names)
    again = names["experiment"]

    assert str(again) == str(experiment)
    assert again.outcomes == experiment.outcomes
    assert again.position == 3


def own_read(filp: Any, buf: Any, count: int, pos: int) -> int:
    """A read of one page of data at most."""
    kmem, _ = filp.f_mapping.a_ops.get_xip_mem(filp.f_mapping, pos // PAGE_SIZE, False)
    return int(buf.copy_to_user(filp.f_mapping.kernel.memory.span(kmem + pos % PAGE_SIZE, count)))


def test_plugged_read_runs_and_its_copies_are_seen() -> None:
    experiment = ReadWrite()
    experiment.plug_read(own_read)
    experiment.get("read", 100, 50)
    here = experiment.outcomes["in place"]

    assert here.data == STORY[50:150]
    assert (here.steps[0].name, here.copied) == ("own_read", 100)
    assert "not the same" not in experiment.sentence()


def test_plugged_read_that_gives_other_bytes_is_told() -> None:
    experiment = ReadWrite()
    experiment.plug_read(lambda filp, buf, count, pos: own_read(filp, buf, count, pos + 1))
    experiment.get("read", 7, 0)

    assert experiment.sentence().endswith("But the bytes are not the same.")


@pytest.mark.parametrize("said", [None, b"bytes", -1, 101, True])
def test_plugged_read_that_returns_no_number_is_an_error_with_a_reason(said: Any) -> None:
    experiment = ReadWrite()
    experiment.plug_read(lambda filp, buf, count, pos: said)
    experiment.get("read", 100, 0)

    assert experiment.results()["in place"] == "EIO"
    assert "no number up to 100" in experiment.sentence()


def test_plugged_write_is_checked_by_linux_and_stays_after_undo() -> None:
    """RLIMIT_FSIZE cuts it; the inode is to be written afterwards."""
    asked: list[int] = []

    def own_write(filp: Any, buf: Any, count: int, pos: int) -> int:
        asked.append(count)
        kmem, _ = filp.f_mapping.a_ops.get_xip_mem(filp.f_mapping, 0, False)
        return int(buf.copy_from_user(filp.f_mapping.kernel.memory.span(kmem + pos, count, "store")))

    experiment = driven(ReadWrite(), plug_write=own_write)
    experiment.limit(3)
    experiment.put("write", "Hello", 0)
    results, dirty = experiment.results(), experiment.filp("in place").f_inode.i_dirty
    experiment.undo()
    experiment.put("write", "J", 0)

    assert (results["in place"], dirty, asked[-1]) == ("3 bytes", True, 1)
    assert experiment.outcomes["in place"].steps[0].name == "own_write"


def test_function_that_is_not_written_answers_enosys() -> None:
    def xip_file_read(filp: Any, buf: Any, count: int, pos: int) -> int:
        raise NotImplementedError()

    experiment = driven(ReadWrite(), plug_read=xip_file_read)
    experiment.get("read", 100, 0)

    assert experiment.results()["in place"] == "ENOSYS"
    assert "xip_file_read: not written yet" in experiment.status()
