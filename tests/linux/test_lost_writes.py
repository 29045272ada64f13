"""What cannot be written any more at unmount or at the last close is lost, and the log says so."""

import errno

import pytest

from xiplab import O_RDWR, PAGE_SIZE, ZVM, Guest, MiB
from xiplab.linux.drivers.disk import Drive
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.tools.mke2fs import mke2fs


@pytest.fixture
def guest() -> Guest:
    guest = ZVM().logon("LINUX1")
    guest.add_disk("sda", mke2fs(MiB).tobytes())
    return guest


@pytest.fixture
def bdev(guest: Guest) -> BlockDevice:
    return guest.kernel.block_devices["sda"]


@pytest.fixture
def drive(bdev: BlockDevice) -> Drive:
    drive: Drive = bdev.bd_disk.private_data
    return drive


def test_unmount_goes_on_when_nothing_can_be_written(guest: Guest, bdev: BlockDevice, drive: Drive) -> None:
    """umount(2) has no error for it: the mount is gone, and the device is closed."""
    guest.mount("/dev/sda", "/mnt")
    guest.echo("text", "/mnt/file")
    drive.write_protected = True

    guest.umount("/mnt")

    assert (bdev.bd_openers, bdev.bd_buffers, guest.frames["page cache"]) == (0, {}, 0)
    assert any("lost at unmount" in line for line in guest.dmesg)
    assert all(sb.s_bdev is not bdev for sb in guest.kernel.super_blocks)


def test_device_can_be_mounted_again_after_that(guest: Guest, drive: Drive) -> None:
    guest.mount("/dev/sda", "/mnt")
    guest.echo("text", "/mnt/file")
    drive.write_protected = True
    guest.umount("/mnt")
    drive.write_protected = False

    guest.mount("/dev/sda", "/mnt")

    assert guest.ls("/mnt") == ["lost+found"]


def test_close_of_a_node_closes_the_device_anyway(guest: Guest, bdev: BlockDevice, drive: Drive) -> None:
    """Who wants to know calls fsync before."""
    fd = guest.open("/dev/sda", O_RDWR)
    guest.write(fd, bytes(PAGE_SIZE))
    drive.write_protected = True

    with pytest.raises(OSError, match="failed") as refused:
        guest.fsync(fd)
    guest.close(fd)

    assert refused.value.errno == errno.EIO
    assert (bdev.bd_openers, bdev.bd_mapping.pages) == (0, {})
    assert any("lost data at close" in line for line in guest.dmesg)
