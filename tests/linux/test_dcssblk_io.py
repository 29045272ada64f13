"""dcssblk: bios and direct access (kernel.md K48-K61, Q22)."""

import errno

import numpy as np
import pytest

from xiplab.guest import ZVM
from xiplab.linux.block.blk_core import submit_bio, transfer
from xiplab.linux.drivers.dcssblk_eras import dcssblk_direct_access_4_0
from xiplab.linux.drivers.dcssblk_io import (
    dcssblk_direct_access,
    dcssblk_direct_access_run,
    dcssblk_open,
    dcssblk_release,
)
from xiplab.linux.fs.block_dev import bdev_direct_access
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE, READ, WRITE, Bio, BioVec
from xiplab.linux.include.fs import O_RDWR
from xiplab.trace import Recording
from xiplab.units import MiB, Sector


@pytest.fixture
def disk(linux1):
    """The opened device MYDCSS, one byte of each page being its page number."""
    linux1.vm.segments["MYDCSS"].mem[::4096] = np.arange(256)
    linux1.add("MYDCSS")
    with linux1.opened("dcssblk0") as bdev:
        yield bdev


def bio_error(bdev, rw: int, sector: int, *vecs: BioVec) -> str:
    bio = Bio(bdev, Sector(sector), rw, list(vecs))
    submit_bio(rw, bio)
    return errno.errorcode.get(bio.bi_error, "0")


def pages(count: int) -> np.ndarray:
    return np.zeros(count * 4096, np.uint8)


def test_k48_read_bio_copies_the_page(disk):
    page = pages(1)
    with Recording() as rec:
        assert bio_error(disk, READ, 8, BioVec(page, 4096)) == "0"

    assert page[0] == 1
    assert (rec.copies, rec.bytes_copied) == (1, 4096)


def test_read_bio_with_several_pieces_continues(disk):
    one, two = pages(1), pages(3)

    assert bio_error(disk, READ, 16, BioVec(one, 4096), BioVec(two, 8192, 4096)) == "0"
    assert (one[0], two[0], two[4096], two[8192]) == (2, 0, 3, 4)


@pytest.mark.parametrize(("sector", "length"), [
    pytest.param(4, 4096, id="k49_sector"), pytest.param(0, 512, id="k49_length"),
    pytest.param(1, 4096, id="odd")])
def test_k49_unaligned_bio_ends_in_eio(disk, sector, length):
    assert bio_error(disk, READ, sector, BioVec(pages(1), length)) == "EIO"


@pytest.mark.parametrize("sector", [2048, 2040])
def test_k50_bio_past_the_capacity_ends_in_eio(disk, sector):
    assert bio_error(disk, READ, sector, BioVec(pages(2), 8192)) == "EIO"


def test_k50_driver_checks_the_capacity_itself(disk):
    bio = Bio(disk, Sector(2048), READ, [BioVec(pages(1), 4096)])
    disk.bd_disk.queue.make_request_fn(disk.bd_disk.queue, bio)

    assert bio.bi_error == errno.EIO


@pytest.mark.parametrize("name", ["MYDCSS", "EXR", "SCSEG"])
def test_k51_write_bio_to_shared_read_only_ends_in_eio(linux1, name):
    linux1.add(name)
    with linux1.opened("dcssblk0") as bdev:
        assert bio_error(bdev, WRITE, 0, BioVec(pages(1), 4096)) == "EIO"
    assert linux1.kernel.dmesg[-1] == f"dcssblk: Writing to {name} failed because it is a read-only device"


def test_k52_write_bio_to_the_private_copy_of_sr_succeeds(linux1, zvm):
    linux1.add("MYDCSS")
    linux1.echo("0", "MYDCSS/shared")
    with linux1.opened("dcssblk0", FMODE_WRITE) as bdev:
        assert bio_error(bdev, WRITE, 0, BioVec(pages(1) + 3, 4096)) == "0"
    assert linux1.machine.memory.view(0x10000000, 1)[0] == 3
    assert zvm.segments["MYDCSS"].mem[0] == 0


def test_k53_unaligned_memory_ends_in_eio_after_earlier_pieces(disk):
    one, two = pages(1), pages(2)

    assert bio_error(disk, READ, 8, BioVec(one, 4096), BioVec(two, 4096, 512)) == "EIO"
    assert (one[0], two.any()) == (1, False)


def test_write_bio_to_sw_reaches_the_other_guest_at_once(linux1, linux2):
    linux1.add("RWSEG")
    linux2.add("RWSEG")
    with linux1.opened("dcssblk0", FMODE_WRITE) as bdev:
        transfer(WRITE, bdev, 8, pages(1) + 7)

    assert linux2.machine.memory.view(0x20001000, 4096).all()


def test_bio_across_two_segments_is_one_transfer(linux1, zvm):
    zvm.segments["MYDCSS"].mem[-4096] = 1
    zvm.segments["NEXT"].mem[0] = 2
    linux1.add("MYDCSS:NEXT")
    memory = pages(2)
    with linux1.opened("dcssblk0") as bdev:
        transfer(READ, bdev, 2040, memory)

    assert (memory[0], memory[4096]) == (1, 2)


@pytest.mark.parametrize(("sector", "answer"), [
    pytest.param(8, (0x10001000, 0x10001), id="k54"),
    pytest.param(2040, (0x100FF000, 0x100FF), id="k55_last")])
def test_direct_access(disk, sector, answer):
    assert dcssblk_direct_access(disk, Sector(sector)) == answer


@pytest.mark.parametrize(("sector", "code"), [
    pytest.param(2048, errno.ERANGE, id="k56"), pytest.param(4, errno.EINVAL, id="k57"),
    pytest.param(2052, errno.EINVAL, id="k58_alignment_before_range"),
    pytest.param(1 << 60, errno.ERANGE, id="huge"), pytest.param(-8, errno.ERANGE, id="negative")])
def test_direct_access_refused(disk, sector, code):
    with pytest.raises(OSError, match="dcssblk0: sector") as failure:
        dcssblk_direct_access(disk, Sector(sector))
    assert failure.value.errno == code


def test_direct_access_address_is_the_segment_itself(disk, linux1, zvm):
    """A byte stored there is the segment's byte: nothing was copied."""
    with Recording() as rec:
        kaddr, pfn = bdev_direct_access(disk, Sector(8))
    page = linux1.kernel.memory.view(kaddr, 4096)

    assert np.shares_memory(page, zvm.segments["MYDCSS"].mem)
    assert np.shares_memory(page, linux1.kernel.memory.frame(pfn))
    assert rec.copies == 0


def test_k59_no_private_data_raises_enodev_everywhere(disk):
    dev_info, disk.bd_disk.private_data = disk.bd_disk.private_data, None
    calls = [lambda: dcssblk_direct_access(disk, Sector(4)), lambda: dcssblk_open(disk, FMODE_READ),
             lambda: dcssblk_release(disk.bd_disk, FMODE_READ)]
    codes = []
    for call in calls:
        with pytest.raises(OSError, match="no segment") as failure:
            call()
        codes.append(failure.value.errno)
    error = bio_error(disk, READ, 0, BioVec(pages(1), 4096))
    disk.bd_disk.private_data = dev_info

    assert (codes, error) == ([errno.ENODEV] * 3, "EIO")


def test_k60_q22_last_page_in_4_0_has_4095_bytes(disk):
    assert dcssblk_direct_access_4_0(disk, Sector(2040), 4096) == (0x100FF000, 0x100FF, 4095)
    assert dcssblk_direct_access_4_0(disk, Sector(8), 8192)[2] == 8192


def test_k61_write_to_the_node_of_a_shared_sr_segment_raises_eperm():
    """The node opens for writing; the write is refused."""
    vm = ZVM()
    vm.segment("MYDCSS", MiB)
    guest = vm.logon("LINUX1", segments="mydcss")
    fd = guest.open("/dev/dcssblk0", O_RDWR)

    with pytest.raises(OSError, match="read-only") as failure:
        guest.write(fd, bytes(512))
    assert failure.value.errno == errno.EPERM


@pytest.mark.parametrize(("sector", "npages", "answer"), [
    (0, 1, (0x10000000, 0x10000, 1)), (0, 256, (0x10000000, 0x10000, 256)),
    (0, 1 << 40, (0x10000000, 0x10000, 256)), (2040, 9, (0x100FF000, 0x100FF, 1)),
    (2048, 512, (0x10100000, 0x10100, 256)),
])
def test_direct_access_run_ends_with_the_segment(linux1, sector, npages, answer):
    linux1.add("NEXT:MYDCSS")
    with linux1.opened("dcssblk0") as bdev:
        assert dcssblk_direct_access_run(bdev, Sector(sector), npages) == answer


def test_direct_access_run_agrees_with_single_pages(linux1):
    linux1.add("MYDCSS:NEXT")
    with linux1.opened("dcssblk0") as bdev:
        for sector in range(0, 4096, 264):
            kaddr, pfn, count = dcssblk_direct_access_run(bdev, Sector(sector), 512)
            single = [dcssblk_direct_access(bdev, Sector(sector + 8 * i)) for i in range(count)]
            assert single == [(kaddr + 4096 * i, pfn + i) for i in range(count)]
            assert len(linux1.kernel.memory.view(kaddr, count * 4096)) == count * 4096


def test_address_after_release_is_caught(linux1):
    """The address holds until the last release; whoever uses it later is told so."""
    linux1.add("MYDCSS")
    with linux1.opened("dcssblk0") as bdev:
        kaddr, _ = bdev_direct_access(bdev, Sector(8))
        kaddr.check()

    with pytest.raises(OSError, match="valid until release") as failure:
        kaddr.check()
    assert failure.value.errno == errno.ENXIO


def test_address_survives_one_of_two_releases(linux1):
    linux1.add("MYDCSS")
    with linux1.opened("dcssblk0"):
        with linux1.opened("dcssblk0") as bdev:
            kaddr, _ = bdev_direct_access(bdev, Sector(8))
        kaddr.check()


def test_direct_access_of_a_large_device_is_exact_at_both_ends(linux1, zvm):
    segment = zvm.segment("BIG", 2047 * MiB, "SR", at=1 << 36)
    linux1.add("BIG")
    with linux1.opened("dcssblk0") as bdev:
        last = Sector(2047 * 2048 - 8)
        kaddr, _ = bdev_direct_access(bdev, last)
        segment.mem[-1] = 9

        assert kaddr == (1 << 36) + 2047 * MiB - 4096
        assert linux1.kernel.memory.view(kaddr, 4096)[-1] == 9
        with pytest.raises(OSError, match="past the end") as failure:
            bdev_direct_access(bdev, Sector(last + 8))
        assert failure.value.errno == errno.ERANGE
