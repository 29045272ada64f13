"""The machine of exercise 03: a disk over two neighbours, in a guest whose driver has other functions.

    PART1, PART2   type SW unless told otherwise; each page begins with the segment's name and its number
    dcssblk0       the disk over both, in LINUX1

A function of the learner is put where the driver's own is called. It gets the kernel's objects, and the
kernel's functions that it needs as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

from xiplab.course.experiments.devices import ROOT, contents_of
from xiplab.guest import ZVM, Guest
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.dcssblk_io import DcssblkDevInfo
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.units import PAGE_SIZE, MiB, Paddr

NAMES = ("PART1", "PART2")
DISK = "dcssblk0"
START = 256 * MiB


@dataclass
class Machine:
    """A z/VM, and a guest with the disk."""

    vm: ZVM
    guest: Guest

    @property
    def bdev(self) -> BlockDevice:
        return bdget(self.guest.kernel, DISK)

    @property
    def info(self) -> DcssblkDevInfo:
        info: DcssblkDevInfo = self.bdev.bd_disk.private_data
        return info

    def echo(self, text: str, file: str) -> None:
        self.guest.echo(text, f"{ROOT}/{file}")

    def spool(self) -> str:
        """Which files in CP's spool the names stand for: a save makes a new one."""
        return ", ".join(f"{name}: file {self.vm.segments[name].spoolid}" for name in NAMES
                         if name in self.vm.segments)


def machine(pages: tuple[int, int] = (256, 256), type: str = "SW", start: int = START) -> Machine:
    """A machine with the disk. `pages`: of each segment, whole MiB; `start`: where the first one lies."""
    vm = ZVM()
    at = start
    for name, npages in zip(NAMES, pages, strict=True):
        vm.segment(name, npages * PAGE_SIZE, type, at=Paddr(at))
        vm.load(name, contents_of(name)[:npages * PAGE_SIZE])
        at += npages * PAGE_SIZE
    guest = vm.logon("LINUX1")
    guest.echo(":".join(NAMES).lower(), f"{ROOT}/add")
    return Machine(vm, guest)

