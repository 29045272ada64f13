"""The experiment of notebook 05: what get_xip_mem answers, and what a hole costs."""

from __future__ import annotations

import errno

import pytest

from xiplab.course.experiments.block_map import FILE, BlockMap
from xiplab.errors import NoData
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.include.fs import AddressSpace
from xiplab.tools import debugfs
from xiplab.tools.image import shipped_image
from xiplab.units import PAGE_SIZE, Pfn, Pgoff


@pytest.fixture
def experiment() -> BlockMap:
    return BlockMap()


def test_block_map_is_what_debugfs_reads_from_the_bytes(experiment: BlockMap) -> None:
    assert experiment.blocks() == debugfs.blocks(shipped_image(), FILE)


def test_ask_names_the_frame_of_the_block(experiment: BlockMap) -> None:
    experiment.ask(15)
    block = experiment.blocks()[15]

    assert f"frame {experiment.frame_of(block):#x}" in experiment.sentence()
    assert [mile.text for mile in experiment.way] == [
        "get_xip_mem(page 15, create 0)", "i_block[12]", f"slot 3 of block {experiment.branch(15)[0]}",
        f"block {block} × 8", f"direct_access(sector {block * 8})"]


def test_ask_for_a_hole_says_enodata_and_changes_nothing(experiment: BlockMap) -> None:
    free = experiment.free_blocks
    experiment.ask(3)

    assert experiment.sentence() == "get_xip_mem answers ENODATA: page 3 is a hole."
    assert experiment.free_blocks == free


def test_ask_with_create_takes_one_block(experiment: BlockMap) -> None:
    free, units = experiment.free_blocks, experiment.inode.i_blocks
    experiment.ask(3, create=True)

    assert free - experiment.free_blocks == 1
    assert experiment.inode.i_blocks - units == PAGE_SIZE // 512
    assert experiment.marks("pgoff:3") == experiment.marks(f"block:{experiment.blocks()[3]}") == ["new"]


def test_read_of_a_hole_gives_zeros_and_copies_nothing(experiment: BlockMap) -> None:
    experiment.read(3)

    assert experiment.sentence() == "read() of page 3 gets 4,096 zeros."
    assert (experiment.copied, experiment.cached, experiment.blocks()[3]) == (0, 0, 0)


def test_read_of_a_stored_page_copies_it_once(experiment: BlockMap) -> None:
    experiment.read(5)

    assert experiment.copied == PAGE_SIZE
    assert "begin with 'page 5" in experiment.sentence()


def test_read_behind_the_end_gets_nothing(experiment: BlockMap) -> None:
    experiment.read(100)

    assert "the file ends before" in experiment.sentence()


def test_write_to_a_hole_lies_in_the_segment(experiment: BlockMap) -> None:
    experiment.write(3, "new")
    block = experiment.blocks()[3]

    assert bytes(experiment.segment[block * PAGE_SIZE:][:4]) == b"new\0"
    assert experiment.copied == 3


def test_full_file_system_is_told_by_its_errno(experiment: BlockMap) -> None:
    fd = experiment.linux1.open("/mnt/full", 0o102)
    experiment.linux1.pwrite(fd, b"x" * (512 * PAGE_SIZE), 0)
    experiment.ask(3, create=True)

    assert "ENOSPC" in experiment.sentence()


@pytest.mark.parametrize("page", [-1, 2048, "3"])
def test_page_that_cannot_be_drawn_is_einval(experiment: BlockMap, page: int) -> None:
    with pytest.raises(OSError, match="whole number") as failure:
        experiment.ask(page)

    assert failure.value.errno == errno.EINVAL
    assert experiment.actions == []


def test_undo_frees_the_block_again(experiment: BlockMap) -> None:
    free = experiment.free_blocks
    experiment.write(1040, "far")
    assert free - experiment.free_blocks == 3
    experiment.undo()

    assert experiment.free_blocks == free
    assert experiment.pages == 20


def own(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
    assert mapping.host is not None
    assert mapping.host.i_sb.s_bdev is not None
    block, _ = ext2_get_block(mapping.host, pgoff, create)
    if not block:
        raise NoData("a hole")
    answer: tuple[int, Pfn] = mapping.host.i_sb.s_bdev.bd_disk.fops.direct_access(
        mapping.host.i_sb.s_bdev, block * 8)
    return answer


def test_plugged_function_carries_the_file(experiment: BlockMap) -> None:
    asked: list[int] = []

    def counting(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
        asked.append(pgoff)
        return own(mapping, pgoff, create)

    experiment.plug(counting)
    experiment.write(3, "own")
    experiment.read(3)
    asked_by_recorded = len(asked)
    experiment.linux1.pread(experiment.fd, 10, 0)

    assert "begin with 'own'" in experiment.sentence()
    assert len(asked) > asked_by_recorded, "small reads ask it too"
    assert "experiment.plug(counting)" in experiment.python()


def test_compare_tells_right_from_not_yet(experiment: BlockMap) -> None:
    def unwritten(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
        raise NotImplementedError

    assert "not yet" not in experiment.compare(own)
    assert experiment.compare(unwritten).count("not yet") == 5
