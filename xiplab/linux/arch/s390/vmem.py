"""The kernel's 1:1 mapping and /proc/iomem: which addresses are in use, and by what.

Kernel: v3.6 arch/s390/mm/vmem.c, kernel/resource.c
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from xiplab.linux.include.kernel import Kernel
from xiplab.units import GiB, Paddr

IORESOURCE_MEM = 0x200
IORESOURCE_READONLY = 0x4000
IORESOURCE_BUSY = 0x80000000

VMEM_MAX_PHYS = 3914 * GiB
"""End of the 1:1 mapping with three levels of tables."""


@dataclass
class Resource:
    """A range of addresses in /proc/iomem, `end` inclusive."""

    name: str
    start: Paddr
    end: Paddr
    flags: int


@dataclass
class Vmem:
    """What this file keeps per kernel.

    Attributes:
        mem_segs: mapped ranges besides the guest's own storage, (first byte, last byte).
        iomem: the lines of /proc/iomem, in order of request.
        max_phys: addresses from here on cannot be mapped.
    """

    mem_segs: list[tuple[int, int]] = field(default_factory=list)
    iomem: list[Resource] = field(default_factory=list)
    max_phys: int = VMEM_MAX_PHYS


def vmem(kernel: Kernel) -> Vmem:
    """The statics of this file in `kernel`."""
    state: Vmem = kernel.statics.setdefault("vmem", Vmem())
    return state


def vmem_add_mapping(kernel: Kernel, start: int, end: int, what: str) -> None:
    """Map start..end (inclusive).

    Raises:
        OSError: ERANGE beyond the mapping; ENOSPC over storage or over what is mapped.
    """
    state = vmem(kernel)
    if end >= state.max_phys:
        raise OSError(errno.ERANGE, f"{what}: {start:#x}-{end:#x} exceeds the kernel mapping range "
                                    f"({state.max_phys:#x})")
    taken = kernel.memory.overlapping(start, end)
    if taken or any(first <= end and start <= last for first, last in state.mem_segs):
        owner = taken.name if taken else "a mapping"
        raise OSError(errno.ENOSPC, f"{what}: {start:#x}-{end:#x} overlaps storage in use ({owner})")
    state.mem_segs.append((start, end))


def vmem_remove_mapping(kernel: Kernel, start: int, end: int) -> None:
    """Unmap; a range that is not mapped is left alone."""
    mem_segs = vmem(kernel).mem_segs
    mem_segs[:] = [mapped for mapped in mem_segs if mapped != (start, end)]


def request_resource(kernel: Kernel, res: Resource) -> None:
    """List a range in /proc/iomem.

    Raises:
        OSError: EBUSY if it meets another one.
    """
    iomem = vmem(kernel).iomem
    for other in iomem:
        if other.start <= res.end and res.start <= other.end:
            raise OSError(errno.EBUSY, f"{res.name}: {res.start:#x}-{res.end:#x} is taken by {other.name}")
    iomem.append(res)


def release_resource(kernel: Kernel, res: Resource) -> None:
    """Take a range from the list, if it is there."""
    iomem = vmem(kernel).iomem
    iomem[:] = [other for other in iomem if other is not res]
