"""xiplab: a file, mapped with no copy of it in memory.

The house, from the roof to the ground. A module imports only from floors below it.

    ZVM, Guest      guest.py         a machine with guests; system calls in process*.py, mapping.py;
                                     programs in program.py
    linux/          the guest's kernel, laid out as Linux v3.6 is
      fs/           paths, mounts, open files; fs/ext2/ the file system
      drivers/      dcssblk (segments as a disk), ordinary disks, ramdisks, flash
      mm/           page cache (filemap), execute-in-place (filemap_xip), faults, frames
      arch/s390/    loading segments (extmem), programs and the kernel (entry), page faults
      include/      structs and the tables of operations: the only seams
    zvm/            the hypervisor: saved segments, CP commands, DIAGNOSE
    hw/             the machine: storage on real memory, address translation, the processor
    units, errors, ondisk, trace

    from xiplab import ZVM, MiB
    vm = ZVM()
"""

from importlib import import_module
from typing import Any

from xiplab.guest import ZVM, Guest
from xiplab.linux.include.fs import (
    O_APPEND,
    O_CREAT,
    O_DIRECT,
    O_EXCL,
    O_RDONLY,
    O_RDWR,
    O_SYNC,
    O_TRUNC,
    O_WRONLY,
)
from xiplab.linux.include.mm import (
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
)
from xiplab.mapping import Mapping
from xiplab.process import Process
from xiplab.trace import Recording
from xiplab.units import PAGE_SIZE, SECTOR_SIZE, GiB, KiB, MiB

__all__ = [
    "MAP_ANONYMOUS",
    "MAP_PRIVATE",
    "MAP_SHARED",
    "O_APPEND",
    "O_CREAT",
    "O_DIRECT",
    "O_EXCL",
    "O_RDONLY",
    "O_RDWR",
    "O_SYNC",
    "O_TRUNC",
    "O_WRONLY",
    "PAGE_SIZE",
    "PROT_EXEC",
    "PROT_READ",
    "PROT_WRITE",
    "SECTOR_SIZE",
    "ZVM",
    "GiB",
    "Guest",
    "KiB",
    "Mapping",
    "MiB",
    "Process",
    "Recording",
    "assemble",
    "check",
    "disassemble",
    "hint",
    "show",
]

_LATER = {"assemble": "xiplab.hw.asm", "disassemble": "xiplab.hw.asm",
          "check": "xiplab.course.judge", "hint": "xiplab.course.ask", "show": "xiplab.course.ask"}


def __getattr__(name: str) -> Any:
    """Names that a machine alone does not need are looked up when they are first used."""
    if name not in _LATER:
        raise AttributeError(f"module 'xiplab' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
