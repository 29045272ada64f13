"""A program that is about to be executed, and the formats that programs have.

Kernel: v3.6 include/linux/binfmts.h
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xiplab.trace import OperationsTable
from xiplab.units import Vaddr

if TYPE_CHECKING:
    from xiplab.linux.include.fs import File
    from xiplab.linux.include.mm import MmStruct, VmAreaStruct
    from xiplab.linux.include.sched import Cred, Task

BINPRM_BUF_SIZE = 128
MAX_ARG_STRLEN = 32 * 4096


@dataclass(eq=False)
class LinuxBinprm:
    """What exec() knows of the program while it loads it.

    Attributes:
        file: the program. buf: its first bytes.
        mm: the address space to be; None once the task has it.
        vma: the stack. p: its lowest byte in use.
        argv, envp: the strings. filename: what was asked for.
        exec: where the stack holds the file's name.
        cred: who the task will be. secureexec: it becomes somebody else (AT_SECURE).
    """

    task: Task
    file: File
    filename: bytes
    argv: Sequence[bytes]
    envp: Sequence[bytes]
    cred: Cred
    mm: MmStruct | None = None
    vma: VmAreaStruct = field(init=False)
    p: Vaddr = Vaddr(0)
    exec: Vaddr = Vaddr(0)
    buf: bytes = b""
    secureexec: bool = False


@dataclass(eq=False, kw_only=True)
class LinuxBinfmt(OperationsTable):
    """A format of programs.

    load_binary(bprm): make the task run the program; raises OSError ENOEXEC for another format.
    """

    load_binary: Callable[[LinuxBinprm], None] | None = None
