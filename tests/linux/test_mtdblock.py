"""Flash as a disk: direct_access made of point."""

import errno
from dataclasses import replace

import numpy as np
import pytest

from xiplab.hw.nor import NorChip
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.mtd.kthread import pass_time
from xiplab.linux.drivers.mtd.mtdblock_ro import (
    mtdblock_add_mtd,
    mtdblock_remove_dev,
    mtdblock_ro_devops,
    mtdblock_ro_devops_unpointed,
)
from xiplab.linux.drivers.mtd.mtdcore import get_mtd_device, mtd_erase, mtd_erase_wait
from xiplab.linux.drivers.mtd.physmap import physmap_flash_probe
from xiplab.linux.fs.block_dev import bdev_direct_access, blkdev_get, blkdev_put
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE, READ, WRITE, BlockDevice
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mtd import MTD_ERASE_DONE, MTD_ERASING, EraseInfo, FlState, MtdInfo, MtdPartition
from xiplab.units import KiB, Paddr, Pfn, Sector

FLASH = Paddr(0x8000000)
BLOCK = 64 * KiB


@pytest.fixture
def mtd(kernel: Kernel) -> MtdInfo:
    """256 KiB; block 0 is full of 0x11, the rest is erased."""
    chip = NorChip(kernel.memory.storage, 256 * KiB)
    chip.burn(0, b"\x11" * BLOCK)
    return physmap_flash_probe(kernel, "flash", FLASH, [chip])


@pytest.fixture
def bdev(mtd: MtdInfo) -> BlockDevice:
    mtdblock_add_mtd(mtd)
    bdev = bdget(mtd.kernel, "mtdblock0")
    blkdev_get(bdev, FMODE_READ)
    return bdev


def test_direct_access_is_the_flash_itself(bdev: BlockDevice, mtd: MtdInfo) -> None:
    kaddr, pfn = bdev_direct_access(bdev, Sector(8))

    assert (kaddr, pfn) == (FLASH + 4096, Pfn((FLASH >> 12) + 1))
    assert np.shares_memory(mtd.kernel.memory.frame(pfn), mtd.priv.devices[0].window)


def test_direct_access_points_until_the_last_release(bdev: BlockDevice, mtd: MtdInfo) -> None:
    chip = mtd.priv.fldrv_priv.chips[0]
    blkdev_get(bdev, FMODE_READ)
    before = chip.state
    for sector in (0, 8, 16):
        bdev_direct_access(bdev, Sector(sector))
    counted = chip.ref_point_counter
    blkdev_put(bdev, FMODE_READ)
    still = chip.state
    blkdev_put(bdev, FMODE_READ)

    assert (before, counted, still) == (FlState.FL_READY, 1, FlState.FL_POINT)
    assert chip.state is FlState.FL_READY
    assert mtd.usecount == 0


def test_direct_access_order_of_checks(bdev: BlockDevice) -> None:
    with pytest.raises(OSError, match="start of a page") as unaligned:
        bdev_direct_access(bdev, Sector(bdev.bd_disk.capacity + 1))
    with pytest.raises(OSError, match="past the device") as past:
        bdev_direct_access(bdev, bdev.bd_disk.capacity)

    assert (unaligned.value.errno, past.value.errno) == (errno.EINVAL, errno.ERANGE)


def test_direct_access_run_reaches_to_the_end(bdev: BlockDevice) -> None:
    assert mtdblock_ro_devops.direct_access_run is not None

    assert mtdblock_ro_devops.direct_access_run(bdev, Sector(8 * 60), 100)[2] == 4


def test_shortcoming_nobody_can_erase_while_the_device_is_used_in_place(bdev: BlockDevice,
                                                                        mtd: MtdInfo) -> None:
    """Read+write mode, first trouble: writers wait until the mount is gone."""
    _, pfn = bdev_direct_access(bdev, Sector(0))
    instr = EraseInfo(BLOCK, BLOCK)
    mtd_erase(mtd, instr)
    pass_time(mtd.kernel, 60_000_000)
    waiting, data = instr.state, bytes(mtd.kernel.memory.frame(pfn)[:2])
    blkdev_put(bdev, FMODE_READ)
    mtd_erase_wait(mtd, instr)

    assert (waiting, data) == (MTD_ERASING, b"\x11\x11")
    assert instr.state == MTD_ERASE_DONE


def test_shortcoming_without_point_a_mapped_page_turns_into_status(mtd: MtdInfo) -> None:
    """Read+write mode, second trouble: a program that runs from the page would execute status bytes."""
    mtdblock_add_mtd(mtd, fops=mtdblock_ro_devops_unpointed)
    bdev = bdget(mtd.kernel, "mtdblock0")
    blkdev_get(bdev, FMODE_READ)
    _, pfn = bdev_direct_access(bdev, Sector(0))
    mapped = mtd.kernel.memory.frame(pfn)
    before = bytes(mapped[:4])
    mtd_erase(mtd, EraseInfo(BLOCK, BLOCK))

    assert before == b"\x11" * 4
    assert bytes(mapped[:4]) == b"\x00" * 4


def test_shortcoming_a_block_cannot_be_overwritten_in_place(mtd: MtdInfo) -> None:
    """Read+write mode, third trouble: what is written over old data is their AND."""
    mtdblock_add_mtd(mtd, readonly=False)
    bdev = bdget(mtd.kernel, "mtdblock0")
    memory = np.zeros(512, np.uint8)
    transfer(WRITE, bdev, 0, np.full(512, 0x33, np.uint8))
    transfer(WRITE, bdev, 0, np.full(512, 0x06, np.uint8))
    transfer(READ, bdev, 0, memory)

    assert set(memory) == {0x11 & 0x33 & 0x06} == {0}


def test_write_bio_on_a_pointed_chip_completes_with_eio(mtd: MtdInfo) -> None:
    mtdblock_add_mtd(mtd, readonly=False)
    bdev = bdget(mtd.kernel, "mtdblock0")
    blkdev_get(bdev, FMODE_WRITE)
    bdev_direct_access(bdev, Sector(0))

    with pytest.raises(OSError, match="write of 512") as caught:
        transfer(WRITE, bdev, 0, np.zeros(512, np.uint8))

    assert caught.value.errno == errno.EIO


def test_disk_is_read_only(mtd: MtdInfo) -> None:
    mtdblock_add_mtd(mtd)

    with pytest.raises(OSError, match="read-only") as caught:
        blkdev_get(bdget(mtd.kernel, "mtdblock0"), FMODE_WRITE)

    assert caught.value.errno == errno.EACCES


def test_mtd_without_point_has_no_direct_access(mtd: MtdInfo) -> None:
    mtd.ops = replace(mtd.ops, point=None)
    mtdblock_add_mtd(mtd)
    bdev = bdget(mtd.kernel, "mtdblock0")
    blkdev_get(bdev, FMODE_READ)

    with pytest.raises(OSError, match="no direct_access") as caught:
        bdev_direct_access(bdev, Sector(0))

    assert caught.value.errno == errno.EOPNOTSUPP


def test_partition_in_the_middle_of_a_page_cannot_be_accessed_directly(kernel: Kernel) -> None:
    physmap_flash_probe(kernel, "flash", FLASH, [NorChip(kernel.memory.storage, 256 * KiB)],
                        [MtdPartition("odd", 8192, 512)])
    mtdblock_add_mtd(get_mtd_device(kernel, 0))
    bdev = bdget(kernel, "mtdblock0")
    blkdev_get(bdev, FMODE_READ)

    with pytest.raises(OSError, match="middle of a page") as caught:
        bdev_direct_access(bdev, Sector(0))

    assert caught.value.errno == errno.EINVAL


def test_shut_down_chip_gives_eio(bdev: BlockDevice, mtd: MtdInfo) -> None:
    mtd.priv.fldrv_priv.chips[0].state = FlState.FL_SHUTDOWN

    with pytest.raises(OSError, match="only 0 of") as caught:
        bdev_direct_access(bdev, Sector(0))

    assert caught.value.errno == errno.EIO


def test_remove_while_open_raises_ebusy(bdev: BlockDevice) -> None:
    with pytest.raises(OSError, match="open 1 times") as caught:
        mtdblock_remove_dev(bdev.bd_disk)

    assert caught.value.errno == errno.EBUSY
