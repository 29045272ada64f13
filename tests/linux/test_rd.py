"""The old ramdisk keeps its storage in the page cache of its own block device."""

import errno

import numpy as np
import pytest

from xiplab.linux.block.blk_core import transfer
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.brd import brd_init
from xiplab.linux.drivers.rd import (
    ramdisk_aops_2_6_23,
    rd_bd_op,
    rd_cleanup,
    rd_init,
    rd_load_image,
    reserve_initrd,
)
from xiplab.linux.fs.block_dev import bdev_direct_access, blkdev_get, blkdev_put, set_blocksize
from xiplab.linux.include.blkdev import BLKFLSBUF, BLKROGET, FMODE_READ, READ, WRITE, BlockDevice
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.mm.filemap import filemap_fdatawrite, read_cache_page, shrink_page_cache
from xiplab.linux.mm.page_alloc import frames_in_use
from xiplab.trace import Recording
from xiplab.units import Sector


@pytest.fixture
def bdev(kernel: Kernel) -> BlockDevice:
    """ram0 of 128 KiB, open."""
    rd_init(kernel, 2, 128)
    bdev = bdget(kernel, "ram0")
    blkdev_get(bdev, FMODE_READ)
    return bdev


def read_first_byte(bdev: BlockDevice) -> int:
    memory = np.zeros(1024, np.uint8)
    transfer(READ, bdev, 0, memory)
    return int(memory[0])


def flush(bdev: BlockDevice) -> int:
    assert rd_bd_op.ioctl is not None
    return rd_bd_op.ioctl(bdev, FMODE_READ, BLKFLSBUF, 0)


def test_storage_is_the_page_cache_of_the_device(kernel: Kernel, bdev: BlockDevice) -> None:
    """A read of the device node finds the storage page itself: no I/O and no copy on the way."""
    transfer(WRITE, bdev, 0, np.full(4096, 7, np.uint8))

    with Recording() as rec:
        page = read_cache_page(bdev.bd_mapping, 0)

    assert page.frame.min() == 7
    assert rec.bytes_copied == 0
    assert frames_in_use(kernel.zone) == 1


def test_unaligned_transfers_cross_pages(bdev: BlockDevice) -> None:
    written = np.arange(8192, dtype=np.uint64).astype(np.uint8)
    memory = np.zeros(8192, np.uint8)
    transfer(WRITE, bdev, 6, written)
    transfer(READ, bdev, 6, memory)

    assert (memory == written).all()


def test_pages_stay_dirty_and_survive_reclaim(kernel: Kernel, bdev: BlockDevice) -> None:
    transfer(WRITE, bdev, 0, np.full(4096, 7, np.uint8))
    filemap_fdatawrite(bdev.bd_mapping)

    assert shrink_page_cache(kernel, 8) == 0
    assert bdev.bd_mapping.pages[0].dirty
    assert read_first_byte(bdev) == 7


def test_k163_before_2_6_24_rc3_memory_pressure_brings_zeros(kernel: Kernel) -> None:
    """K163: rd before 2.6.24-rc3 under memory pressure: zeros may appear."""
    rd_init(kernel, 1, 128, aops=ramdisk_aops_2_6_23)
    bdev = bdget(kernel, "ram0")
    blkdev_get(bdev, FMODE_READ)
    transfer(WRITE, bdev, 0, np.full(4096, 7, np.uint8))

    assert shrink_page_cache(kernel, 8) == 1
    assert read_first_byte(bdev) == 0


def test_first_open_pins_the_device(bdev: BlockDevice) -> None:
    transfer(WRITE, bdev, 0, np.full(1024, 7, np.uint8))
    blkdev_put(bdev, FMODE_READ)

    assert bdev.bd_openers == 1
    assert read_first_byte(bdev) == 7


def test_k161_blkflsbuf_while_mounted_raises_ebusy(bdev: BlockDevice) -> None:
    """K161: openers > 2 (the ramdisk's own, the mount, the caller): EBUSY."""
    blkdev_get(bdev, FMODE_READ)

    with pytest.raises(OSError, match="open 3 times") as caught:
        flush(bdev)

    assert caught.value.errno == errno.EBUSY


def test_k162_blkflsbuf_by_the_only_opener_zeroes_the_disk(kernel: Kernel, bdev: BlockDevice) -> None:
    """K162: BLKFLSBUF by the only opener: the contents become zeros."""
    transfer(WRITE, bdev, 0, np.full(4096, 7, np.uint8))

    assert flush(bdev) == 0
    assert frames_in_use(kernel.zone) == 0
    assert read_first_byte(bdev) == 0


def test_other_ioctl_raises_enotty(bdev: BlockDevice) -> None:
    assert rd_bd_op.ioctl is not None

    with pytest.raises(OSError, match="ioctl") as caught:
        rd_bd_op.ioctl(bdev, FMODE_READ, BLKROGET, 0)

    assert caught.value.errno == errno.ENOTTY


def test_rd_has_no_direct_access(bdev: BlockDevice) -> None:
    with pytest.raises(OSError, match="no direct_access") as caught:
        bdev_direct_access(bdev, Sector(0))

    assert caught.value.errno == errno.EOPNOTSUPP


def test_logical_block_size_is_1024(bdev: BlockDevice) -> None:
    with pytest.raises(OSError, match="from 1024") as caught:
        set_blocksize(bdev, 512)

    assert caught.value.errno == errno.EINVAL


def test_wrong_blocksize_is_replaced(kernel: Kernel) -> None:
    disk, = rd_init(kernel, 1, 128, rd_blocksize=3000)

    assert disk.queue.logical_block_size == 1024
    assert kernel.dmesg[0] == "RAMDISK: wrong blocksize 3000, reverting to defaults"


def test_transfer_without_memory_completes_with_eio(kernel: Kernel, bdev: BlockDevice) -> None:
    kernel.zone.limit = 0

    with pytest.raises(OSError, match="write of 1024") as caught:
        transfer(WRITE, bdev, 0, np.zeros(1024, np.uint8))

    assert caught.value.errno == errno.EIO


def test_rd_load_image_keeps_the_cache_pages_and_discards_the_original(kernel: Kernel) -> None:
    """xip.txt: the ramdisk driver "does read the data into the page cache, keeps a reference, and
    discards the original data". In between, both copies are there."""
    rd_init(kernel, 1, 128)
    image = bytes(range(256)) * 40
    initrd = reserve_initrd(kernel, image)
    before = frames_in_use(kernel.zone)

    with Recording() as rec:
        rd_load_image(kernel, initrd, len(image))
    bdev = bdget(kernel, "ram0")
    content = b"".join(bytes(page.frame) for page in bdev.bd_mapping.pages.values())
    changes = [int(event.fields["change"] or 0) for event in rec.events if event.name == "frame"]

    assert content[:len(image)] == image
    assert (before, frames_in_use(kernel.zone)) == (3, 3)
    assert changes == [1, 1, 1, -1, -1, -1]
    assert kernel.zone.used["initrd"] == 0
    assert bdev.bd_openers == 1


def test_rd_load_image_too_large_raises_enospc(kernel: Kernel) -> None:
    rd_init(kernel, 1, 4)
    initrd = reserve_initrd(kernel, bytes(8192))

    with pytest.raises(OSError, match="4096 fit") as caught:
        rd_load_image(kernel, initrd, 8192)

    assert caught.value.errno == errno.ENOSPC


def test_rd_cleanup_gives_all_frames_back(kernel: Kernel, bdev: BlockDevice) -> None:
    transfer(WRITE, bdev, 0, np.ones(4096, np.uint8))
    blkdev_put(bdev, FMODE_READ)
    rd_cleanup(kernel)

    assert frames_in_use(kernel.zone) == 0
    assert bdev.bd_openers == 0
    assert not kernel.disks


def test_rd_and_brd_exclude_each_other(kernel: Kernel, bdev: BlockDevice) -> None:
    with pytest.raises(OSError, match="major 1 is taken") as caught:
        brd_init(kernel)

    assert caught.value.errno == errno.EIO
