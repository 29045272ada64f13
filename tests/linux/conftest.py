"""The z/VM system and the guest kernel of kernel.md section 12: its segments, and a hand on sysfs."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.dcssblk import DcssblkDevInfo, dcssblk_get_device_by_name, dcssblk_init
from xiplab.linux.fs.block_dev import blkdev_get, blkdev_put
from xiplab.linux.include.blkdev import FMODE_READ, BlockDevice
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.units import GiB, MiB, Paddr, Pfn
from xiplab.zvm.cp import ControlProgram
from xiplab.zvm.machine import VirtualMachine

SEGMENTS = {
    "MYDCSS": ("SR", 0x10000000), "NEXT": ("SR", 0x10100000),
    "RWSEG": ("SW", 0x20000000), "RWGAP": ("SW", 0x20200000),
    "EXW": ("EW", 0x30000000), "EXN": ("EN", 0x30100000), "EXR": ("ER", 0x30200000),
    "SCSEG": ("SC", 0x40000000),
}

ERRNO_NAMES = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP"}


@dataclass
class Guest:
    """A guest kernel with dcssblk, and what a user does to it."""

    vm: ControlProgram
    machine: VirtualMachine
    kernel: Kernel

    def echo(self, text: str, path: str) -> int:
        """Write to /sys/devices/dcssblk/<path>; what write(2) returns."""
        store = self.kernel.sysfs[f"devices/dcssblk/{path}"].store
        assert store is not None
        return store(text.encode())

    def echo_fails(self, text: str, path: str) -> str:
        """The name of the errno with which that write fails."""
        with pytest.raises(OSError, match=r"\w") as failure:
            self.echo(text, path)
        return ERRNO_NAMES[failure.value.errno or 0]

    def cat(self, path: str) -> str:
        show = self.kernel.sysfs[f"devices/dcssblk/{path}"].show
        assert show is not None
        return show().decode()

    def add(self, name: str) -> DcssblkDevInfo:
        self.echo(name, "add")
        dev_info = dcssblk_get_device_by_name(self.kernel, name.split(":", maxsplit=1)[0].upper())
        assert dev_info is not None
        return dev_info

    @contextmanager
    def opened(self, disk_name: str, mode: int = FMODE_READ) -> Iterator[BlockDevice]:
        bdev = bdget(self.kernel, disk_name)
        blkdev_get(bdev, mode)
        yield bdev
        blkdev_put(bdev, mode)

    @property
    def loaded(self) -> list[str]:
        """What CP has attached to this guest."""
        return sorted(self.machine.attached)

    @property
    def log(self) -> str:
        return "\n".join(self.kernel.dmesg)


def boot(vm: ControlProgram, userid: str, segments: str = "", **attributes: object) -> Guest:
    machine = vm.virtual_machine(userid, **attributes)
    kernel = Kernel(userid, machine.memory, Zone(Pfn(256), Pfn(16384)), machine.diagnose)
    dcssblk_init(kernel, segments)
    return Guest(vm, machine, kernel)


@pytest.fixture
def kernel() -> Kernel:
    """A kernel of 64 frames and nothing else, for drivers of other machines."""
    storage = Storage(8 * MiB)
    memory = AbsoluteStorage(storage)
    memory.attach(Paddr(0), storage.allocate(64), 64, writable=True, name="RAM")
    return Kernel("LINUX1", memory, Zone(Pfn(0), Pfn(64)))


@pytest.fixture
def zvm() -> ControlProgram:
    vm = ControlProgram(clock=lambda: 0)
    for name, (kind, address) in SEGMENTS.items():
        vm.segment(name, MiB, kind, at=address)
    return vm


@pytest.fixture
def linux1(zvm: ControlProgram) -> Guest:
    return boot(zvm, "LINUX1")


@pytest.fixture
def linux2(zvm: ControlProgram) -> Guest:
    return boot(zvm, "LINUX2")


@pytest.fixture
def old_linux(zvm: ControlProgram) -> Guest:
    """On a z/VM before 5.4: old subcodes of DIAGNOSE X'64' only."""
    return boot(zvm, "OLDLINUX", extended=False, maximum=2 * GiB)


@pytest.fixture
def booted(zvm: ControlProgram):
    """Boot another guest: booted("LINUX3", segments="...", ...)."""
    return lambda userid, **arguments: boot(zvm, userid, **arguments)
