"""axonram hands out addresses with hardly a check."""

import errno

import numpy as np
import pytest

from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.axonram import axon_ram_devops_2_6_26, axon_ram_probe
from xiplab.linux.fs.block_dev import bdev_direct_access, blkdev_get
from xiplab.linux.include.blkdev import FMODE_READ, READ, WRITE, BlockDevice
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.units import MiB, Paddr, Pfn, Sector

BANK = Paddr(0x400000)


@pytest.fixture
def kernel() -> Kernel:
    storage = Storage(4 * MiB)
    memory = AbsoluteStorage(storage)
    memory.attach(Paddr(0), storage.allocate(16), 16, writable=True, name="RAM")
    return Kernel("CELL", memory, Zone(Pfn(0), Pfn(16)))


@pytest.fixture
def bdev(kernel: Kernel) -> BlockDevice:
    """A bank of two and a half pages, open."""
    axon_ram_probe(kernel, BANK, 10_240)
    bdev = bdget(kernel, "axonram0")
    blkdev_get(bdev, FMODE_READ)
    return bdev


def test_transfers_and_direct_access_meet_in_one_place(kernel: Kernel, bdev: BlockDevice) -> None:
    transfer(WRITE, bdev, 8, np.full(4096, 7, np.uint8))
    memory = np.zeros(4096, np.uint8)
    transfer(READ, bdev, 8, memory)
    kaddr, pfn = bdev_direct_access(bdev, Sector(8))

    assert (kaddr, pfn) == (BANK + 4096, (BANK >> 12) + 1)
    assert kernel.memory.frame(pfn).min() == memory.min() == 7


def test_k167_direct_access_checks_no_alignment(bdev: BlockDevice) -> None:
    """K167: axonram, direct_access(1): 0."""
    assert bdev_direct_access(bdev, Sector(1)) == (BANK + 512, BANK >> 12)


def test_direct_access_hands_out_the_partial_last_page(bdev: BlockDevice) -> None:
    assert bdev_direct_access(bdev, Sector(16))[0] == BANK + 8192


def test_direct_access_past_the_end_raises_erange(bdev: BlockDevice) -> None:
    with pytest.raises(OSError, match="past the end") as caught:
        bdev_direct_access(bdev, Sector(20))

    assert caught.value.errno == errno.ERANGE


def test_q23_garbage_pfn_is_a_page_of_the_kernels_stack(kernel: Kernel) -> None:
    """Q23: reads through the address are right, a mapping shows the kernel's stack."""
    axon_ram_probe(kernel, BANK, 8192, fops=axon_ram_devops_2_6_26)
    bdev = bdget(kernel, "axonram0")
    blkdev_get(bdev, FMODE_READ)

    kaddr, pfn = bdev_direct_access(bdev, Sector(8))

    assert kaddr == BANK + 4096
    assert kernel.zone.kinds[pfn] == "kernel stack"


def test_banks_are_numbered(kernel: Kernel, bdev: BlockDevice) -> None:
    second = axon_ram_probe(kernel, Paddr(0x800000), 4096)

    assert (second.disk_name, second.first_minor) == ("axonram1", 16)


def test_probe_where_something_is_raises_ebusy(kernel: Kernel) -> None:
    used = kernel.memory.storage.used

    with pytest.raises(OSError, match="overlaps RAM") as caught:
        axon_ram_probe(kernel, Paddr(0xF000), 8192)

    assert caught.value.errno == errno.EBUSY
    assert kernel.memory.storage.used == used
