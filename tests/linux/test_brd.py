"""brd keeps its storage in pages of its own and hands them out for execute in place."""

import errno
from dataclasses import replace

import numpy as np
import pytest

from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.brd import brd_exit, brd_fops, brd_fops_without_xip, brd_init
from xiplab.linux.fs.block_dev import bdev_direct_access, blkdev_get, blkdev_put
from xiplab.linux.include.blkdev import BLKFLSBUF, BLKROGET, FMODE_READ, READ, WRITE, BlockDevice
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.linux.mm.highmem import alloc_highpage, highmem_init, kmap, kunmap
from xiplab.trace import Recording
from xiplab.units import MiB, Paddr, Pfn, Sector


@pytest.fixture
def kernel() -> Kernel:
    """Frames 1 to 63; frame 0 does not exist."""
    storage = Storage(1 * MiB)
    memory = AbsoluteStorage(storage)
    memory.attach(Paddr(0x1000), storage.allocate(63), 63, writable=True, name="RAM")
    return Kernel("LINUX1", memory, Zone(Pfn(1), Pfn(48), Pfn(1)))


@pytest.fixture
def bdev(kernel: Kernel) -> BlockDevice:
    """ram0 of 1 MiB, open."""
    brd_init(kernel, 1, 1024)
    bdev = bdget(kernel, "ram0")
    blkdev_get(bdev, FMODE_READ)
    return bdev


def test_read_of_unwritten_page_takes_no_frame(kernel: Kernel, bdev: BlockDevice) -> None:
    memory = np.ones(8192, np.uint8)
    transfer(READ, bdev, 0, memory)

    assert not memory.any()
    assert kernel.zone.used["ramdisk"] == 0


def test_write_takes_a_frame_per_page_and_reads_back(kernel: Kernel, bdev: BlockDevice) -> None:
    written = np.arange(8192, dtype=np.uint64).astype(np.uint8)
    memory = np.zeros(8192, np.uint8)

    with Recording() as rec:
        transfer(WRITE, bdev, 3, written)
        transfer(READ, bdev, 3, memory)

    assert (memory == written).all()
    assert kernel.zone.used["ramdisk"] == 3
    assert rec.bytes_copied == 2 * 8192


def test_k164_direct_access_of_unwritten_page_takes_a_zero_page(kernel: Kernel, bdev: BlockDevice) -> None:
    """K164: direct_access(0), never written: a zero page is allocated."""
    kaddr, pfn = bdev_direct_access(bdev, Sector(0))

    assert kernel.zone.kinds[pfn] == "ramdisk"
    assert kaddr == pfn << 12
    assert not kernel.memory.frame(pfn).any()


def test_direct_access_and_transfers_meet_in_one_frame(kernel: Kernel, bdev: BlockDevice) -> None:
    _, pfn = bdev_direct_access(bdev, Sector(8))
    transfer(WRITE, bdev, 8, np.full(4096, 7, np.uint8))

    assert kernel.memory.frame(pfn).min() == 7


def test_k165_direct_access_checks_alignment_first(bdev: BlockDevice) -> None:
    """K165: capacity - 4 is aligned to 4 sectors but not to 8, and its page ends past the device."""
    with pytest.raises(OSError, match="not the start of a page") as caught:
        bdev_direct_access(bdev, Sector(bdev.bd_disk.capacity - 4))

    assert caught.value.errno == errno.EINVAL


def test_k166_direct_access_at_capacity_raises_erange(bdev: BlockDevice) -> None:
    with pytest.raises(OSError, match="past the device") as caught:
        bdev_direct_access(bdev, bdev.bd_disk.capacity)

    assert caught.value.errno == errno.ERANGE


def test_direct_access_of_removed_device_raises_enodev(bdev: BlockDevice) -> None:
    bdev.bd_disk.private_data = None

    with pytest.raises(OSError, match="gone") as caught:
        bdev_direct_access(bdev, Sector(1))

    assert caught.value.errno == errno.ENODEV


def test_direct_access_without_memory_raises_enomem(kernel: Kernel, bdev: BlockDevice) -> None:
    kernel.zone.limit = 1
    bdev_direct_access(bdev, Sector(0))

    with pytest.raises(OSError, match="no frame for ramdisk") as caught:
        bdev_direct_access(bdev, Sector(8))

    assert caught.value.errno == errno.ENOMEM


def test_write_without_memory_completes_with_eio(kernel: Kernel, bdev: BlockDevice) -> None:
    kernel.zone.limit = 0

    with pytest.raises(OSError, match="write of 512 bytes") as caught:
        transfer(WRITE, bdev, 0, np.zeros(512, np.uint8))

    assert caught.value.errno == errno.EIO


def test_direct_access_run_counts_pages_in_a_row(bdev: BlockDevice) -> None:
    transfer(WRITE, bdev, 0, np.ones(3 * 4096, np.uint8))
    assert brd_fops.direct_access_run is not None

    _, pfn, n = brd_fops.direct_access_run(bdev, Sector(0), 8)

    assert n == 3
    assert [bdev_direct_access(bdev, Sector(s))[1] - pfn for s in (0, 8, 16)] == [0, 1, 2]


def test_blkflsbuf_frees_every_page(kernel: Kernel, bdev: BlockDevice) -> None:
    transfer(WRITE, bdev, 0, np.ones(4096, np.uint8))
    assert brd_fops.ioctl is not None
    memory = np.ones(512, np.uint8)

    result = brd_fops.ioctl(bdev, FMODE_READ, BLKFLSBUF, 0)
    transfer(READ, bdev, 0, memory)

    assert result == 0
    assert kernel.zone.used["ramdisk"] == 0
    assert not memory.any()


def test_blkflsbuf_with_a_second_opener_raises_ebusy(bdev: BlockDevice) -> None:
    blkdev_get(bdev, FMODE_READ)
    assert brd_fops.ioctl is not None

    with pytest.raises(OSError, match="open 2 times") as caught:
        brd_fops.ioctl(bdev, FMODE_READ, BLKFLSBUF, 0)

    assert caught.value.errno == errno.EBUSY


def test_other_ioctl_raises_enotty(bdev: BlockDevice) -> None:
    assert brd_fops.ioctl is not None

    with pytest.raises(OSError, match="ioctl") as caught:
        brd_fops.ioctl(bdev, FMODE_READ, BLKROGET, 0)

    assert caught.value.errno == errno.ENOTTY


def test_without_xip_there_is_no_direct_access(kernel: Kernel) -> None:
    brd_init(kernel, 1, 1024, fops=brd_fops_without_xip, get_page=alloc_highpage)
    bdev = bdget(kernel, "ram0")
    blkdev_get(bdev, FMODE_READ)

    with pytest.raises(OSError, match="no direct_access") as caught:
        bdev_direct_access(bdev, Sector(0))

    assert caught.value.errno == errno.EOPNOTSUPP


def test_without_xip_copies_reach_highmem(kernel: Kernel) -> None:
    highmem_init(kernel, Zone(Pfn(48), Pfn(64), Pfn(48)))
    brd_init(kernel, 1, 1024, fops=brd_fops_without_xip, get_page=alloc_highpage)
    memory = np.zeros(4096, np.uint8)

    transfer(WRITE, bdget(kernel, "ram0"), 0, np.full(4096, 5, np.uint8))
    transfer(READ, bdget(kernel, "ram0"), 0, memory)

    assert kernel.memory.frame(Pfn(48)).min() == 5
    assert memory.min() == 5


def test_q24_direct_access_hands_out_highmem(kernel: Kernel) -> None:
    """Q24: 2.6.25 took highmem pages despite direct_access: the pfn is right, the address is NULL."""
    highmem_init(kernel, Zone(Pfn(48), Pfn(64), Pfn(48)))
    brd_init(kernel, 1, 1024, fops=brd_fops, get_page=alloc_highpage)
    bdev = bdget(kernel, "ram0")
    blkdev_get(bdev, FMODE_READ)

    kaddr, pfn = bdev_direct_access(bdev, Sector(0))

    assert pfn == 48
    assert kaddr == 0


def highmem_disk(kernel: Kernel, *, unmap: bool) -> BlockDevice:
    """ram0 in highmem, open, with a direct_access that gets its addresses from kmap (four slots)."""
    highmem_init(kernel, Zone(Pfn(48), Pfn(64), Pfn(48)), nslots=4)

    def direct_access_by_kmap(bdev: BlockDevice, sector: Sector) -> tuple[int, Pfn]:
        assert brd_fops.direct_access is not None
        _, pfn = brd_fops.direct_access(bdev, sector)
        address = kmap(kernel, pfn)
        if unmap:
            kunmap(kernel, pfn)
        return address, pfn

    fops = replace(brd_fops, direct_access=direct_access_by_kmap, direct_access_run=None)
    brd_init(kernel, 1, 64, fops=fops, get_page=alloc_highpage)
    bdev = bdget(kernel, "ram0")
    blkdev_get(bdev, FMODE_READ)
    return bdev


def test_direct_access_by_kmap_empties_the_pool(kernel: Kernel) -> None:
    """Nobody gives an address of direct_access back, so there is one for each slot and no more."""
    bdev = highmem_disk(kernel, unmap=False)
    for page in range(4):
        bdev_direct_access(bdev, Sector(8 * page))

    with pytest.raises(OSError, match="all 4 kmap slots") as caught:
        bdev_direct_access(bdev, Sector(32))

    assert caught.value.errno == errno.EDEADLK


def test_direct_access_by_kmap_and_kunmap_breaks_its_promise(kernel: Kernel) -> None:
    """The device is still open, so the address should be valid; it shows another page of the disk."""
    bdev = highmem_disk(kernel, unmap=True)
    for page in range(8):
        transfer(WRITE, bdev, 8 * page, np.full(4096, page, np.uint8))
    kaddr, _ = bdev_direct_access(bdev, Sector(0))
    right_after = int(kernel.memory.view(kaddr, 1)[0])
    for page in range(1, 5):
        bdev_direct_access(bdev, Sector(8 * page))
    kaddr.check()

    assert right_after == 0
    assert kernel.memory.view(kaddr, 1)[0] == 4


def test_address_is_refused_after_release(kernel: Kernel, bdev: BlockDevice) -> None:
    kaddr, _ = bdev_direct_access(bdev, Sector(0))
    blkdev_put(bdev, FMODE_READ)

    with pytest.raises(OSError, match="valid until release") as caught:
        kaddr.check()

    assert caught.value.errno == errno.ENXIO


def test_max_part_sets_minors(kernel: Kernel) -> None:
    disks = brd_init(kernel, 2, 1024, max_part=5)

    assert [(disk.minors, disk.first_minor) for disk in disks] == [(8, 0), (8, 8)]


def test_brd_exit_gives_all_frames_back(kernel: Kernel, bdev: BlockDevice) -> None:
    transfer(WRITE, bdev, 0, np.ones(4096, np.uint8))
    brd_exit(kernel)

    assert kernel.zone.used["ramdisk"] == 0
    assert "ram0" not in kernel.disks


def test_brd_init_twice_raises_eio(kernel: Kernel, bdev: BlockDevice) -> None:
    with pytest.raises(OSError, match="major 1 is taken") as caught:
        brd_init(kernel)

    assert caught.value.errno == errno.EIO
