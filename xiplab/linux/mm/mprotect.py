"""Changing what may be done in a part of an address space.

Kernel: v3.6 mm/mprotect.c
"""

from __future__ import annotations

import errno

from xiplab.linux.include.mm import (
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    VM_EXEC,
    VM_READ,
    VM_WRITE,
    MmStruct,
    VmAreaStruct,
)
from xiplab.linux.mm.memory import mapped_pages, pte_modify
from xiplab.linux.mm.mmap import calc_vm_prot_bits, cut_vma
from xiplab.units import PAGE_SIZE, page_align

MAY_SHIFT = 4
"""VM_MAYREAD is VM_READ << 4, and so on."""


def do_mprotect(mm: MmStruct, start: int, length: int, prot: int) -> None:
    """mprotect(2).

    Raises:
        OSError: EINVAL an odd start or unknown bits; ENOMEM nothing mapped in part of the range; EACCES
            more than the file's open mode allows.
    """
    if start % PAGE_SIZE or prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC) or length < 0:
        raise OSError(errno.EINVAL, f"mprotect: {length:#x} bytes at {start:#x}, protection {prot:#x}")
    end = start + page_align(length)
    areas = [vma for vma in mm.mmap if vma.vm_start < end and start < vma.vm_end]
    covered = sum(min(vma.vm_end, end) - max(vma.vm_start, start) for vma in areas)
    if covered != end - start:
        raise OSError(errno.ENOMEM, f"mprotect: {start:#x}-{end:#x} is not mapped as a whole")
    wanted = calc_vm_prot_bits(prot)
    for vma in areas:
        if wanted & ~(vma.vm_flags >> MAY_SHIFT):
            raise OSError(errno.EACCES, f"mprotect: {vma} may not become {prot:#x}")
    for area in areas:
        mprotect_fixup(cut_vma(area, start, end), wanted)


def mprotect_fixup(vma: VmAreaStruct, wanted: int) -> None:
    """Set the area's flags. Entries are protected, so that a store faults once and is judged anew; with
    PROT_NONE they keep their frames and allow nothing."""
    vma.vm_flags = vma.vm_flags & ~(VM_READ | VM_WRITE | VM_EXEC) | wanted
    for vaddr, _ in list(mapped_pages(vma.vm_mm, vma.vm_start, vma.vm_end)):
        pte_modify(vma, vaddr, allowed=wanted != 0)
