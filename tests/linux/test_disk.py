"""An ordinary disk copies every byte, and cannot say where its bytes are."""

import errno
from pathlib import Path

import numpy as np
import pytest

from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.disk import disk_add
from xiplab.linux.fs.block_dev import bdev_direct_access, blkdev_get
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE, READ, WRITE
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.trace import Recording
from xiplab.units import MiB, Pfn, Sector


@pytest.fixture
def kernel() -> Kernel:
    return Kernel("LINUX1", AbsoluteStorage(Storage(1 * MiB)), Zone(Pfn(0), Pfn(0)))


def test_disk_reads_are_copies_of_the_platter(kernel: Kernel) -> None:
    """A change of the medium is not seen by a copy that was read before."""
    disk = disk_add(kernel, "sda", bytes(range(256)) * 4)
    memory = np.zeros(512, np.uint8)

    with Recording() as rec:
        transfer(READ, bdget(kernel, "sda"), 1, memory)
    disk.private_data.platter[512] = 0xEE

    assert bytes(memory) == bytes(range(256)) * 2
    assert rec.bytes_copied == 512
    assert rec.events[-1].fields["what"] == "disk to memory"


def test_disk_write_reaches_the_platter(kernel: Kernel) -> None:
    disk = disk_add(kernel, "sda", 4096)

    transfer(WRITE, bdget(kernel, "sda"), 3, np.full(1024, 7, np.uint8))

    assert disk.private_data.platter[1536:2560].min() == 7
    assert disk.private_data.platter.sum() == 7 * 1024


def test_disk_has_no_direct_access(kernel: Kernel) -> None:
    disk_add(kernel, "sda", 4096)
    bdev = bdget(kernel, "sda")
    blkdev_get(bdev, FMODE_READ)

    with pytest.raises(OSError, match="no direct_access") as caught:
        bdev_direct_access(bdev, Sector(0))

    assert caught.value.errno == errno.EOPNOTSUPP


def test_disk_sequential_transfers_pay_one_seek(kernel: Kernel) -> None:
    disk = disk_add(kernel, "sda", 1 * MiB, seek_ms=8, transfer_mb_s=100)
    bdev, drive, memory = bdget(kernel, "sda"), disk.private_data, np.zeros(50_176, np.uint8)

    transfer(READ, bdev, 0, memory)
    without_seek = drive.busy_us
    transfer(READ, bdev, 98, memory)
    sequential = drive.busy_us
    transfer(READ, bdev, 0, memory)

    assert without_seek == pytest.approx(501.76)
    assert sequential == pytest.approx(2 * 501.76)
    assert drive.busy_us == pytest.approx(3 * 501.76 + 8000)


def test_disk_read_only_refuses_open_for_writing_and_writes(kernel: Kernel) -> None:
    disk_add(kernel, "sda", 4096, read_only=True)
    bdev = bdget(kernel, "sda")

    with pytest.raises(OSError, match="read-only") as opened:
        blkdev_get(bdev, FMODE_WRITE)
    with pytest.raises(OSError, match="write of 512 bytes") as written:
        transfer(WRITE, bdev, 0, np.zeros(512, np.uint8))

    assert opened.value.errno == errno.EACCES
    assert written.value.errno == errno.EIO


def test_disk_past_the_end_completes_with_eio(kernel: Kernel) -> None:
    disk_add(kernel, "sda", 4096)

    with pytest.raises(OSError, match="sector 7 failed") as caught:
        transfer(READ, bdget(kernel, "sda"), 7, np.zeros(1024, np.uint8))

    assert caught.value.errno == errno.EIO
    assert "beyond end of device: want 9, limit 8" in kernel.dmesg[-1]


def test_disk_add_from_a_file_leaves_the_file_alone(kernel: Kernel, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * 1024)

    disk = disk_add(kernel, "sda", image)
    disk.private_data.platter[:] = 0

    assert disk.capacity == 2
    assert image.read_bytes() == b"x" * 1024


@pytest.mark.parametrize("size", [-512, 0, 100, 513])
def test_disk_add_partial_sector_raises_einval(kernel: Kernel, size: int) -> None:
    with pytest.raises(OSError, match="whole number of sectors") as caught:
        disk_add(kernel, "sda", size)

    assert caught.value.errno == errno.EINVAL


def test_disk_add_twice_raises_eexist(kernel: Kernel) -> None:
    disk_add(kernel, "sda", 512)

    with pytest.raises(OSError, match="such a disk already") as caught:
        disk_add(kernel, "sda", 512)

    assert caught.value.errno == errno.EEXIST


@pytest.mark.parametrize("size", [1 << 62, 1 << 70])
def test_disk_add_larger_than_the_host_raises_enomem(kernel: Kernel, size: int) -> None:
    with pytest.raises(OSError, match="a disk of") as caught:
        disk_add(kernel, "sda", size)

    assert caught.value.errno == errno.ENOMEM


@pytest.mark.parametrize("name", ["", "sd/a"])
def test_disk_add_with_a_name_that_is_no_node_raises_einval(kernel: Kernel, name: str) -> None:
    with pytest.raises(OSError, match="no name of a disk") as caught:
        disk_add(kernel, name, 512)

    assert caught.value.errno == errno.EINVAL
