"""The machine with its guests: where all floors are wired together.

    vm = ZVM()
    vm.segment("SHLIB", size=16 * MiB, type="SR", at=0x10000000)
    vm.load("SHLIB", image)
    linux1 = vm.logon("LINUX1")
    linux1.echo("shlib", "/sys/devices/dcssblk/add")
    linux1.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    linux1.cat("/mnt/etc/motd")                  # system calls and a shell's commands: process.py
    linux1.exec("hello xip").output              # an s390x program, run to its end: program.py
    linux1.start("greet Ann").run(budget=1000)   # one that is about to run
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from xiplab import program
from xiplab.hw.nor import NorChip
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.dcssblk import dcssblk_init
from xiplab.linux.drivers.disk import disk_add
from xiplab.linux.drivers.mtd.mtdblock_ro import mtdblock_add_mtd, mtdblock_ro_devops
from xiplab.linux.drivers.mtd.mtdcore import mtd_table
from xiplab.linux.drivers.mtd.physmap import physmap_flash_probe
from xiplab.linux.drivers.tty import tty_init
from xiplab.linux.fs.binfmt_elf import elf_format
from xiplab.linux.fs.devtmpfs import devtmpfs_fs_type
from xiplab.linux.fs.exec import register_binfmt
from xiplab.linux.fs.ext2.super import ext2_fs_type
from xiplab.linux.fs.open import set_fs_pwd
from xiplab.linux.fs.ramfs import ramfs_fs_type
from xiplab.linux.fs.super import attach_mount, do_mount, mount_nodev, register_filesystem
from xiplab.linux.fs.sysfs import sysfs_fs_type
from xiplab.linux.include.blkdev import BlockDeviceOperations, GenDisk
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.linux.include.mtd import MtdPartition
from xiplab.linux.kernel.sched import BUDGET
from xiplab.linux.kernel.syscalls import sys_call_table
from xiplab.linux.kernel.task import kernel_power_off, new_task
from xiplab.linux.mm.filemap import shrink_page_cache
from xiplab.process import Process
from xiplab.program import Command, Ended
from xiplab.units import GiB, KiB, MiB, Paddr, Pfn, page_count
from xiplab.zvm.cp import ControlProgram
from xiplab.zvm.machine import VirtualMachine

KERNEL_SIZE = 1 * MiB
"""The lowest part of storage, kept for the kernel itself: lowcore and the blocks of DIAGNOSE."""

FLASH = Paddr(1 * GiB)
"""Where a flash chip answers, unless it is told otherwise: behind any guest's own storage."""


class ZVM(ControlProgram):
    """A z/VM system whose virtual machines run Linux."""

    def logon(self, userid: str, storage: int = 64 * MiB, *, segments: str = "",
              clock: Callable[[], int] | None = None, **attributes: Any) -> Guest:
        """Create a virtual machine with `storage` bytes of RAM and boot Linux in it.

        Args:
            segments: dcssblk's module parameter: devices to add at boot.
            clock: the guest's time in ns since 1970; None for the host's.
            attributes: of the VirtualMachine, as its directory entry would have them.
        Raises:
            OSError: what virtual_machine() answers; ENOMEM too little storage for a kernel; ENOSPC a
                `segments` of 400 characters or more. The user is not logged on then.
        """
        machine = self.virtual_machine(userid, storage, **attributes)
        try:
            kernel = start_kernel(machine, storage, clock)
            dcssblk_init(kernel, segments)
        except OSError:
            self.logoff(userid)
            raise
        return Guest(self, machine, kernel)


def start_kernel(machine: VirtualMachine, storage: int, clock: Callable[[], int] | None) -> Kernel:
    """Boot: memory, the first task, the file system types, and /, /dev and /sys. Kernel: init/main.c"""
    zone = Zone(first=Pfn(page_count(KERNEL_SIZE)), end=Pfn(page_count(storage)))
    zone.next = zone.first
    kernel = Kernel(machine.userid, machine.memory, zone, machine.diagnose)
    machine.ended = partial(kernel_power_off, kernel)
    if clock is not None:
        kernel.clock = clock
    zone.reclaim = lambda wanted: shrink_page_cache(kernel, wanted)
    kernel.current = init = new_task(kernel, "init")
    for fstype in (ramfs_fs_type, sysfs_fs_type, devtmpfs_fs_type, ext2_fs_type):
        register_filesystem(kernel, fstype)
    register_binfmt(kernel, elf_format)
    kernel.sys_call_table.update(sys_call_table)
    tty_init(kernel)
    root = attach_mount(kernel, mount_nodev(kernel, ramfs_fs_type, 0, ""), None, "rootfs", "/")
    init.root = (root, root.mnt_root)
    set_fs_pwd(init, init.root)
    process = Process(init)
    for directory in ("/dev", "/sys", "/mnt", "/tmp"):
        process.mkdir(directory)
    do_mount(init, "devtmpfs", "/dev", "devtmpfs", 0)
    do_mount(init, "sysfs", "/sys", "sysfs", 0)
    return kernel


class Guest(Process):
    """A running Linux in a virtual machine; as a Process it is the guest's first task.

    Attributes:
        vm: the z/VM system. machine: the virtual machine. kernel: the guest's kernel.
    """

    def __init__(self, vm: ZVM, machine: VirtualMachine, kernel: Kernel) -> None:
        super().__init__(kernel.current)
        self.vm = vm
        self.machine = machine

    def __repr__(self) -> str:
        return f"<Guest {self.machine.userid}>"

    @property
    def name(self) -> str:
        return self.machine.userid

    @property
    def dmesg(self) -> list[str]:
        """The kernel log."""
        return self.kernel.dmesg

    @property
    def frames(self) -> Counter[str]:
        """The guest's own page frames in use, by kind."""
        return +self.kernel.zone.used

    def process(self, comm: str) -> Process:
        """Another task, with an address space and files of its own."""
        return Process(new_task(self.kernel, comm))

    def start(self, command: Command, environment: Mapping[str, str] | None = None,
              typed: str | bytes = b"") -> Process:
        """A process that is about to run a program: `run()` lets it. Raises OSError: as execve."""
        process = self.process("exec")
        program.start(process, command, environment, typed)
        return process

    def exec(self, command: Command, environment: Mapping[str, str] | None = None,
             typed: str | bytes = b"", budget: int = BUDGET) -> Ended:
        """Run a program to its end: a command line, or its words.

            linux1.exec("crc /mnt/lib/greeting").output

        Args:
            environment: strings by name. typed: what it can read from its terminal.
            budget: instructions that it may use; then it ends with SIGXCPU.
        Raises:
            OSError: as execve: ENOENT, EACCES, ENOEXEC, ETXTBSY, ...
        """
        return program.execute(self.process("exec"), command, environment, typed, budget)

    def add_disk(self, name: str, image: bytes | Path | int) -> GenDisk:
        """Give the guest an ordinary disk, /dev/<name>, with a copy of `image` (or that many zeros)."""
        return disk_add(self.kernel, name, image)

    def add_flash(self, image: bytes, size: int, block_size: int = 64 * KiB, *, at: Paddr = FLASH,
                  fops: BlockDeviceOperations = mtdblock_ro_devops) -> NorChip:
        """Wire a NOR flash chip of `size` bytes to the guest, with `image` burned into it.

        The image is the partition mtd0 and the disk /dev/mtdblock0; the rest of the same chip is mtd1.
        Args:
            block_size: of an erase block, in bytes. at: where the chip answers.
            fops: the disk's table; mtdblock_ro.py has others.
        Raises:
            OSError: EINVAL sizes that no chip has, or an image that ends within an erase block; ENOSPC
                the image leaves no block over; EBUSY storage is there already.
        """
        if len(image) % block_size:
            raise OSError(errno.EINVAL, f"flash: {len(image)} bytes, not a multiple of {block_size}")
        if len(image) >= size:
            raise OSError(errno.ENOSPC, f"flash: {len(image)} bytes in a chip of {size}: nothing is left")
        chip = NorChip(self.kernel.memory.storage, size, block_size)
        chip.burn(0, image)
        physmap_flash_probe(self.kernel, "flash", at, [chip],
                            [MtdPartition("root", len(image)), MtdPartition("log")])
        mtdblock_add_mtd(mtd_table(self.kernel)[0], fops=fops)
        return chip

    def plug(self, disk_name: str, **operations: Callable[..., Any] | None) -> BlockDeviceOperations:
        """Put other operations into a disk's table; returns the table that was there.

            before = linux1.plug("dcssblk0", direct_access=mine)

        A new direct_access takes direct_access_run away, which answers the same question.
        Raises:
            OSError: ENXIO no such disk; EINVAL no such operation.
        """
        disk = bdget(self.kernel, disk_name).bd_disk
        known = {field.name for field in fields(disk.fops)}
        if unknown := operations.keys() - known:
            raise OSError(errno.EINVAL, f"{disk}: no operation called {', '.join(sorted(unknown))}")
        if "direct_access" in operations:
            operations.setdefault("direct_access_run", None)
        before = disk.fops
        changed: dict[str, Any] = {"name": f"{before.name} (plugged)", **operations}
        disk.fops = replace(before, **changed)
        return before

    def logoff(self) -> None:
        """End the virtual machine; its storage is gone. System calls answer ESRCH or EBADF from then on.

        Raises:
            OSError: ENOENT if it has ended already.
        """
        if self.vm.machines.get(self.name) is not self.machine:
            raise OSError(errno.ENOENT, f"{self.name} is not logged on")
        self.vm.logoff(self.name)
