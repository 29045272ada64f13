"""The global variables of one booted kernel.

In Linux these are static variables of many files. Here one process runs many guests, so each guest
has its own set and functions that need a global take it as their first argument, or reach it
through `sb.s_kernel`, `disk.kernel`, `mm.kernel`.

Kernel: none (the sum of the statics of the files named below).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from xiplab.hw.cpu import Cpu
from xiplab.hw.memory import AbsoluteStorage
from xiplab.units import Pfn

if TYPE_CHECKING:
    from xiplab.linux.include.blkdev import BlockDevice, GenDisk
    from xiplab.linux.include.device import DeviceAttribute
    from xiplab.linux.include.fs import FileOperations, FileSystemType, SuperBlock, VfsMount
    from xiplab.linux.include.mm import Zone
    from xiplab.linux.include.sched import Task

Diagnose: TypeAlias = Callable[[int, int, int], tuple[int, int, int]]
"""DIAGNOSE as the guest issues it: (code, rx, ry) -> (condition code, rx, ry)."""


SystemCall: TypeAlias = Callable[..., int | None]
"""A system call as programs make it: (task, six registers) -> result. An OSError becomes -errno; None
says that the call has set the registers itself."""


@dataclass(eq=False, repr=False)
class Kernel:
    """One guest's kernel.

    Attributes:
        name: the guest's name ("LINUX1").
        memory: its absolute storage; the kernel's own addresses are these (1:1 mapping).
        diagnose: the way to CP; None if the machine is no z/VM guest.
        zone: the free page frames. Kernel: mm/page_alloc.c
        highmem: further frames, above those of `zone`, that have no permanent kernel address; None
            where every frame has one, as on s390. Kernel: ZONE_HIGHMEM
        clock: nanoseconds since 1970.
        dmesg: the kernel log, one line each.
        disks, block_devices: by name in /dev. Kernel: block/genhd.c, fs/block_dev.c
        chrdevs: drivers of character devices by major number. Kernel: fs/char_dev.c
        cdevs: their nodes by name in /dev: major << 8 | minor.
        sysfs: attributes by path below /sys ("devices/dcssblk/add"). Kernel: fs/sysfs/
        filesystems: registered types by name. Kernel: fs/filesystems.c
        mounts: in order of mounting; the first is the root. Kernel: fs/namespace.c
        tasks: those that have not ended. Kernel: init_task.tasks
        current: the running task.
        cpu: its processor, once a program has run.
        sys_call_table: what SVC calls, by number. Kernel: arch/s390/kernel/syscalls.S
        xip_sparse_page: the global zero frame of holes, or None. Kernel: mm/filemap_xip.c
        statics: what one driver alone keeps, by module name ("extmem", "dcssblk").
    """

    name: str
    memory: AbsoluteStorage
    zone: Zone
    diagnose: Diagnose | None = None
    highmem: Zone | None = None
    clock: Callable[[], int] = time.time_ns
    dmesg: list[str] = field(default_factory=list)
    disks: dict[str, GenDisk] = field(default_factory=dict)
    block_devices: dict[str, BlockDevice] = field(default_factory=dict)
    chrdevs: dict[int, FileOperations] = field(default_factory=dict)
    cdevs: dict[str, int] = field(default_factory=dict)
    sysfs: dict[str, DeviceAttribute] = field(default_factory=dict)
    filesystems: dict[str, FileSystemType] = field(default_factory=dict)
    super_blocks: list[SuperBlock] = field(default_factory=list)
    mounts: list[VfsMount] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    current: Task = field(init=False)
    cpu: Cpu | None = None
    sys_call_table: dict[int, SystemCall] = field(default_factory=dict)
    xip_sparse_page: Pfn | None = None
    statics: dict[str, Any] = field(default_factory=dict)

    def printk(self, text: str) -> None:
        """Append a line to the kernel log."""
        self.dmesg.append(text)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Kernel {self.name}>"
