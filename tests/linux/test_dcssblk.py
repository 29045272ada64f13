"""dcssblk: a segment as a block device."""

import numpy as np
import pytest

from xiplab.linux.block.blk_core import transfer
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.dcssblk import dcssblk_init
from xiplab.linux.fs.block_dev import bdev_direct_access, blkdev_get
from xiplab.linux.include.blkdev import FMODE_READ, READ
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.units import MiB, Pfn, Sector
from xiplab.zvm.cp import ControlProgram


@pytest.fixture
def vm() -> ControlProgram:
    vm = ControlProgram()
    vm.segment("MYDCSS", MiB, "SR", at=0x10000000)
    return vm


@pytest.fixture
def kernel(vm: ControlProgram) -> Kernel:
    machine = vm.virtual_machine("LINUX1")
    kernel = Kernel("LINUX1", machine.memory, Zone(Pfn(256), Pfn(16384)), machine.diagnose)
    dcssblk_init(kernel)
    return kernel


def store(kernel: Kernel, path: str, text: bytes) -> int:
    attribute = kernel.sysfs[f"devices/dcssblk/{path}"]
    assert attribute.store is not None
    return attribute.store(text)


def test_k01_add_lower_case_name_makes_a_device(kernel: Kernel) -> None:
    assert store(kernel, "add", b"mydcss\n") == 7
    disk = kernel.disks["dcssblk0"]
    assert (disk.capacity, disk.policy) == (2048, True)


def test_k54_direct_access_is_the_page_of_the_segment(vm: ControlProgram, kernel: Kernel) -> None:
    store(kernel, "add", b"mydcss\n")
    bdev = bdget(kernel, "dcssblk0")
    blkdev_get(bdev, FMODE_READ)
    vm.segments["MYDCSS"].mem[4096] = 5

    assert bdev_direct_access(bdev, Sector(8)) == (0x10001000, 0x10001)
    page = bytearray(4096)
    memory = np.frombuffer(page, np.uint8)
    transfer(READ, bdev, 8, memory)
    assert page[0] == 5
