"""A task: who runs, with which files and which address space.

Kernel: v3.6 include/linux/sched.h, include/linux/fdtable.h, include/linux/cred.h
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xiplab.errors import Signal
from xiplab.hw.registers import Registers

if TYPE_CHECKING:
    from xiplab.linux.include.fs import Dentry, File, VfsMount
    from xiplab.linux.include.kernel import Kernel
    from xiplab.linux.include.mm import MmStruct
    from xiplab.linux.include.tty import TtyStruct

RLIM_INFINITY = 1 << 64
CAP_DAC_OVERRIDE = 1
CAP_FOWNER = 3
CAP_FSETID = 4
CAP_CHOWN = 0
CAP_LINUX_IMMUTABLE = 9
CAP_SYS_MODULE = 16
CAP_SYS_ADMIN = 21
CAP_SYS_RESOURCE = 24
CAP_MKNOD = 27
ALL_CAPABILITIES = frozenset(range(37))


@dataclass
class Cred:
    """Who a task is. `capabilities` are all for root, none else."""

    fsuid: int = 0
    fsgid: int = 0
    groups: frozenset[int] = frozenset()
    capabilities: frozenset[int] = ALL_CAPABILITIES


@dataclass(eq=False, repr=False)
class Task:
    """A process with one thread.

    Attributes:
        files: open files by descriptor; None where a descriptor is free.
        close_on_exec: descriptors that exec() closes.
        rlimit_fsize: RLIMIT_FSIZE in bytes.
        pending: signal numbers sent to the task, oldest first.
        ended: it has exited, or its machine is gone. Kernel: exit_state
        exit_code: once it has: status << 8 if it called exit(), else the number of the signal.
        regs: its program's registers; without tables (asce) where Python code alone is the program.
            Kernel: task_pt_regs()
        fatal: the signal that ends it.
        tty: its terminal. Kernel: signal->tty
    """

    kernel: Kernel
    pid: int
    comm: str
    mm: MmStruct
    cred: Cred = field(default_factory=Cred)
    files: list[File | None] = field(default_factory=list)
    close_on_exec: set[int] = field(default_factory=set)
    root: tuple[VfsMount, Dentry] | None = None
    pwd: tuple[VfsMount, Dentry] | None = None
    umask: int = 0o022
    rlimit_fsize: int = RLIM_INFINITY
    rlimit_nofile: int = 1024
    pending: list[int] = field(default_factory=list)
    ended: bool = False
    exit_code: int = 0
    regs: Registers = field(default_factory=Registers)
    fatal: Signal | None = None
    tty: TtyStruct | None = None

    def __str__(self) -> str:
        return f"{self.comm}[{self.pid}]"

    def __repr__(self) -> str:
        return f"<Task {self}>"
