"""The areas of an address space: map, find, unmap, protect.

Kernel: v3.6 mm/mmap.c, mm/mprotect.c
"""

from __future__ import annotations

import errno
from bisect import insort
from dataclasses import replace

from xiplab.hw import dat
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE
from xiplab.linux.include.fs import File
from xiplab.linux.include.mm import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    VM_EXEC,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    MmStruct,
    VmAreaStruct,
)
from xiplab.linux.mm.memory import free_pgtables, zap_page_range
from xiplab.units import PAGE_SIZE, Pgoff, Vaddr, page_align

TASK_UNMAPPED_BASE = 0x2000_0000
TASK_SIZE = dat.ADDRESS_LIMIT

PROT_TO_VM = {PROT_READ: VM_READ, PROT_WRITE: VM_WRITE, PROT_EXEC: VM_EXEC}


def calc_vm_prot_bits(prot: int) -> int:
    return sum(flag for bit, flag in PROT_TO_VM.items() if prot & bit)


def do_mmap_pgoff(mm: MmStruct, filp: File | None, addr: int, length: int, prot: int, flags: int,
                  pgoff: int) -> VmAreaStruct:
    """Map `length` bytes of `filp` from page `pgoff` (or anonymous memory) and return the area.

    Raises:
        OSError: EINVAL no length, an address or offset off a page, neither or both of shared and
            private; EACCES the file is not open for what the mapping needs; ENODEV the file cannot
            be mapped; ENOMEM no room in the address space.
    """
    length = page_align(length)
    if length <= 0 or addr % PAGE_SIZE or pgoff < 0:
        raise OSError(errno.EINVAL, f"mmap: {length} bytes at {addr:#x}, page {pgoff} of the file")
    if flags & (MAP_SHARED | MAP_PRIVATE) not in (MAP_SHARED, MAP_PRIVATE):
        raise OSError(errno.EINVAL, "mmap: either MAP_SHARED or MAP_PRIVATE")
    if flags & MAP_ANONYMOUS:
        filp = None
    start = get_unmapped_area(mm, addr, length, flags)
    vm_flags = calc_vm_prot_bits(prot) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
    if flags & MAP_SHARED:
        vm_flags |= VM_SHARED | VM_MAYSHARE
    if filp is not None:
        vm_flags = _check_file(filp, prot, flags, vm_flags)
    vma = VmAreaStruct(mm, start, Vaddr(start + length), vm_flags, filp, Pgoff(pgoff))
    if flags & MAP_FIXED:
        do_munmap(mm, start, length)
    if filp is not None:
        assert filp.f_op.mmap is not None
        filp.f_op.mmap(filp, vma)
        filp.f_count += 1
    vma_link(vma)
    return vma


def _check_file(filp: File, prot: int, flags: int, vm_flags: int) -> int:
    """What the file's open mode allows. A shared mapping of a file that is not open for writing can
    never become writable, so it loses VM_MAYWRITE and VM_SHARED."""
    if not filp.f_mode & FMODE_READ:
        raise OSError(errno.EACCES, f"mmap: {filp} is not open for reading")
    if flags & MAP_SHARED and not filp.f_mode & FMODE_WRITE:
        if prot & PROT_WRITE:
            raise OSError(errno.EACCES, f"mmap: {filp} is not open for writing")
        vm_flags &= ~(VM_MAYWRITE | VM_SHARED)
    if filp.f_op.mmap is None:
        raise OSError(errno.ENODEV, f"mmap: {filp} cannot be mapped")
    return vm_flags


def get_unmapped_area(mm: MmStruct, addr: int, length: int, flags: int) -> Vaddr:
    """The address for a new area: `addr` if it is fixed or free, else the first gap that fits."""
    if flags & MAP_FIXED:
        if addr + length > TASK_SIZE:
            raise OSError(errno.ENOMEM, f"mmap: {addr:#x}+{length:#x} is past {TASK_SIZE:#x}")
        return Vaddr(addr)
    candidate = addr or TASK_UNMAPPED_BASE
    for vma in mm.mmap:
        if vma.vm_end <= candidate:
            continue
        if vma.vm_start >= candidate + length:
            break
        candidate = vma.vm_end
    if candidate + length > TASK_SIZE:
        raise OSError(errno.ENOMEM, f"mmap: no {length:#x} bytes free below {TASK_SIZE:#x}")
    return Vaddr(candidate)


def vma_link(vma: VmAreaStruct) -> None:
    """Put the area among those of its address space and of its file."""
    insort(vma.vm_mm.mmap, vma, key=lambda area: area.vm_start)
    if vma.vm_file is not None:
        vma.vm_file.f_mapping.i_mmap.append(vma)


def find_vma(mm: MmStruct, address: int) -> VmAreaStruct | None:
    """The area that holds `address`, or None. (Linux answers with the next one above.)"""
    return next((vma for vma in mm.mmap if vma.vm_start <= address < vma.vm_end), None)


def do_munmap(mm: MmStruct, start: int, length: int) -> list[File]:
    """Take start..start+length out of the address space, splitting areas at the ends.

    Returns:
        the files of the areas that are gone, for the caller to put.
    Raises:
        OSError: EINVAL for an odd address or no length.
    """
    if start % PAGE_SIZE or length <= 0 or start < 0 or start + length > TASK_SIZE:
        raise OSError(errno.EINVAL, f"munmap: {length:#x} bytes at {start:#x}")
    end = start + page_align(length)
    released = []
    for area in [vma for vma in mm.mmap if vma.vm_start < end and start < vma.vm_end]:
        vma = cut_vma(area, start, end)
        zap_page_range(vma, vma.vm_start, vma.vm_end)
        _unlink(vma)
        if vma.vm_file is not None:
            released.append(vma.vm_file)
    return released


def cut_vma(vma: VmAreaStruct, start: int, end: int) -> VmAreaStruct:
    """Split off what lies outside start..end; returns the area inside."""
    if vma.vm_start < start:
        vma = split_vma(vma, Vaddr(start), keep_low=False)
    if end < vma.vm_end:
        vma = split_vma(vma, Vaddr(end), keep_low=True)
    return vma


def split_vma(vma: VmAreaStruct, address: Vaddr, *, keep_low: bool) -> VmAreaStruct:
    """Cut an area in two at `address`; returns the lower part if `keep_low`, else the upper one."""
    low = replace(vma, vm_end=address, anon={})
    high = replace(vma, vm_start=address, vm_pgoff=vma.pgoff_at(address), anon={})
    for vaddr, pfn in vma.anon.items():
        (low if vaddr < address else high).anon[vaddr] = pfn
    _unlink(vma)
    vma_link(low)
    vma_link(high)
    if vma.vm_file is not None:
        vma.vm_file.f_count += 1
    return low if keep_low else high


def _unlink(vma: VmAreaStruct) -> None:
    vma.vm_mm.mmap.remove(vma)
    if vma.vm_file is not None:
        vma.vm_file.f_mapping.i_mmap.remove(vma)


def exit_mmap(mm: MmStruct) -> list[File]:
    """Unmap everything and free the tables."""
    released = do_munmap(mm, 0, TASK_SIZE)
    free_pgtables(mm)
    return released
