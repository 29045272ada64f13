"""Buffers: blocks of a device in memory."""

from __future__ import annotations

import errno

import pytest

from xiplab import ZVM, Guest, Recording
from xiplab.linux.drivers.disk import Drive
from xiplab.linux.fs.block_dev import blkdev_get, blkdev_put, set_blocksize
from xiplab.linux.fs.buffer import (
    bforget,
    bread,
    getblk,
    mark_buffer_dirty,
    sync_dirty_buffer,
    sync_dirty_buffers,
    unmap_underlying_metadata,
)
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE, BlockDevice
from xiplab.units import MiB


@pytest.fixture
def guest() -> Guest:
    guest = ZVM().logon("LINUX1")
    guest.add_disk("sda", bytes(range(256)) * 4096)
    return guest


@pytest.fixture
def bdev(guest: Guest) -> BlockDevice:
    return guest.kernel.block_devices["sda"]


def drive_of(bdev: BlockDevice) -> Drive:
    drive: Drive = bdev.bd_disk.private_data
    return drive


@pytest.mark.parametrize("size", [512, 1024, 2048, 4096])
def test_bread_gives_the_block(bdev: BlockDevice, size: int) -> None:
    set_blocksize(bdev, size)
    drive_of(bdev).platter[3 * size:4 * size] = 7

    assert bytes(bread(bdev, 3).b_data) == bytes([7]) * size
    assert bytes(bread(bdev, 2).b_data) == bytes(range(256)) * (size // 256)


def test_bread_copies_once_and_then_not_again(bdev: BlockDevice) -> None:
    with Recording() as recording:
        bread(bdev, 5)
        bread(bdev, 5)

    assert (recording.copies, recording.bytes_copied) == (1, 4096)


def test_small_buffers_share_a_frame(guest: Guest, bdev: BlockDevice) -> None:
    set_blocksize(bdev, 1024)
    for block in range(8):
        bread(bdev, block)

    assert guest.frames["buffer cache"] == 2


@pytest.mark.parametrize("block", [256, 10**9, -1])
def test_block_past_the_end_is_eio_and_takes_no_frame(guest: Guest, bdev: BlockDevice, block: int) -> None:
    with pytest.raises(OSError, match=r"past the end \(256 blocks\)") as caught:
        bread(bdev, block)

    assert caught.value.errno == errno.EIO
    assert guest.frames["buffer cache"] == 0


def test_dirty_buffer_reaches_the_device_with_sync(bdev: BlockDevice) -> None:
    bh = bread(bdev, 9)
    bh.b_data[:4] = b"news"
    mark_buffer_dirty(bh)

    assert bytes(drive_of(bdev).platter[9 * 4096:9 * 4096 + 4]) == bytes(range(4))
    sync_dirty_buffers(bdev)
    assert bytes(drive_of(bdev).platter[9 * 4096:9 * 4096 + 4]) == b"news"
    assert not bh.b_dirty


def test_buffer_that_cannot_be_written_stays_dirty(bdev: BlockDevice) -> None:
    bh = bread(bdev, 9)
    mark_buffer_dirty(bh)
    drive_of(bdev).write_protected = True
    with pytest.raises(OSError, match="write of 4096 bytes") as caught:
        sync_dirty_buffer(bh)

    assert caught.value.errno == errno.EIO
    assert bh.b_dirty


def test_one_failure_does_not_keep_the_others_from_the_device(guest: Guest, bdev: BlockDevice) -> None:
    good, bad = bread(bdev, 1), getblk(bdev, 0)
    good.b_data[:4] = b"news"
    bad.b_uptodate = True
    for bh in (good, bad):
        mark_buffer_dirty(bh)
    bad.b_blocknr = type(bad.b_blocknr)(5000)
    with pytest.raises(OSError, match="sda"):
        sync_dirty_buffers(bdev)

    assert bytes(drive_of(bdev).platter[4096:4100]) == b"news"
    assert (good.b_dirty, bad.b_dirty) == (False, True)


def test_freed_or_reused_block_is_not_written(bdev: BlockDevice) -> None:
    for forget in (bforget, lambda bh: unmap_underlying_metadata(bdev, bh.b_blocknr)):
        bh = bread(bdev, 3)
        bh.b_data[:4] = b"old!"
        mark_buffer_dirty(bh)
        forget(bh)
        sync_dirty_buffers(bdev)

    assert bytes(drive_of(bdev).platter[3 * 4096:3 * 4096 + 4]) == bytes(range(4))


def test_last_close_writes_and_drops_all(guest: Guest, bdev: BlockDevice) -> None:
    mode = FMODE_READ | FMODE_WRITE
    blkdev_get(bdev, mode)
    blkdev_get(bdev, mode)
    bh = bread(bdev, 3)
    bh.b_data[:4] = b"news"
    mark_buffer_dirty(bh)
    blkdev_put(bdev, mode)
    assert guest.frames["buffer cache"] == 1
    blkdev_put(bdev, mode)

    assert guest.frames["buffer cache"] == 0
    assert bytes(drive_of(bdev).platter[3 * 4096:3 * 4096 + 4]) == b"news"


def test_metadata_that_is_lost_at_the_last_close_is_logged(guest: Guest, bdev: BlockDevice) -> None:
    blkdev_get(bdev, FMODE_READ)
    mark_buffer_dirty(bread(bdev, 3))
    drive_of(bdev).write_protected = True
    blkdev_put(bdev, FMODE_READ)

    assert "sda: lost metadata at close" in guest.dmesg[-1]


def test_change_of_the_block_size_writes_and_drops_buffers(guest: Guest, bdev: BlockDevice) -> None:
    bh = bread(bdev, 3)
    bh.b_data[:4] = b"news"
    mark_buffer_dirty(bh)
    set_blocksize(bdev, 1024)

    assert guest.frames["buffer cache"] == 0
    assert bytes(bread(bdev, 12).b_data[:4]) == b"news"


def test_no_frame_left_is_enomem() -> None:
    guest = ZVM().logon("LINUX1", storage=2 * MiB)
    guest.add_disk("sda", 8 * MiB)
    bdev = guest.kernel.block_devices["sda"]
    guest.kernel.zone.limit = len(guest.kernel.zone.kinds) + 3
    for block in range(3):
        bread(bdev, block)
    with pytest.raises(OSError, match="no frame for buffer cache") as caught:
        bread(bdev, 3)

    assert caught.value.errno == errno.ENOMEM
