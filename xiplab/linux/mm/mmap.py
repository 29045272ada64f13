"""The areas of an address space: map, find, unmap, protect.

Kernel: v3.6 mm/mmap.c, mm/mprotect.c
"""

from __future__ import annotations

import errno
from bisect import insort
from dataclasses import replace

from xiplab.hw import dat
from xiplab.linux.fs.file_table import fput
from xiplab.linux.fs.inode import allow_write_access, deny_write_access
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE
from xiplab.linux.include.fs import File
from xiplab.linux.include.mm import (
    MAP_ANONYMOUS,
    MAP_DENYWRITE,
    MAP_EXECUTABLE,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    VM_DENYWRITE,
    VM_EXEC,
    VM_GROWSDOWN,
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
from xiplab.units import PAGE_SIZE, MiB, Pgoff, Vaddr, page_align

TASK_SIZE = dat.ADDRESS_LIMIT

VM_MAY = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
VM_DATA_DEFAULT_FLAGS = VM_READ | VM_WRITE | VM_MAY
VM_STACK_FLAGS = VM_GROWSDOWN | VM_DATA_DEFAULT_FLAGS
STACK_LIMIT = 8 * MiB
"""RLIMIT_STACK, as it is for everybody."""

PROT_TO_VM = {PROT_READ: VM_READ, PROT_WRITE: VM_WRITE, PROT_EXEC: VM_EXEC}


def sys_brk(mm: MmStruct, brk: int) -> Vaddr:
    """brk(2): the heap ends at `brk` from now on, if that is possible. Returns where it ends.

    Differs: no RLIMIT_DATA.
    """
    new, old = page_align(brk), page_align(mm.brk)
    if brk < mm.start_brk:
        return mm.brk
    if new < old:
        do_munmap(mm, new, old - new)
    elif new > old:
        if any(vma.vm_start < new and old < vma.vm_end for vma in mm.mmap):
            return mm.brk
        try:
            do_brk(mm, old, new - old)
        except OSError:
            return mm.brk
    mm.brk = Vaddr(brk)
    return mm.brk


def do_brk(mm: MmStruct, addr: int, length: int) -> None:
    """Anonymous memory at `addr`, for variables. What is mapped there goes.

    Raises:
        OSError: ENOMEM past the end of the address space.
    """
    end = addr + page_align(length)
    if end == addr:
        return
    if end > TASK_SIZE:
        raise OSError(errno.ENOMEM, f"brk: {addr:#x}+{length:#x} is past {TASK_SIZE:#x}")
    do_munmap(mm, addr, end - addr)
    below = next((vma for vma in mm.mmap if vma.vm_end == addr), None)
    if below is not None and _is_heap(below):
        below.vm_end = Vaddr(end)
    else:
        vma_link(VmAreaStruct(mm, Vaddr(addr), Vaddr(end), VM_DATA_DEFAULT_FLAGS))


def _is_heap(vma: VmAreaStruct) -> bool:
    """Whether the area is memory for variables that nobody asked for by mmap()."""
    return vma.vm_file is None and vma.vm_flags == VM_DATA_DEFAULT_FLAGS and vma.vm_private_data is None


def calc_vm_prot_bits(prot: int) -> int:
    return sum(flag for bit, flag in PROT_TO_VM.items() if prot & bit)


def do_mmap_pgoff(mm: MmStruct, filp: File | None, addr: int, length: int, prot: int, flags: int,
                  pgoff: int) -> VmAreaStruct:
    """Map `length` bytes of `filp` from page `pgoff` (or anonymous memory) and return the area.

    Raises:
        OSError: EINVAL no length, an address or offset off a page, neither or both of shared and
            private; EACCES the file is not open for what the mapping needs; ENODEV the file cannot
            be mapped; ENOMEM no room in the address space; ETXTBSY MAP_DENYWRITE of a file that is
            open for writing.
    """
    length = page_align(length)
    if length <= 0 or addr % PAGE_SIZE or addr < 0 or pgoff < 0:
        raise OSError(errno.EINVAL, f"mmap: {length} bytes at {addr:#x}, page {pgoff} of the file")
    if flags & (MAP_SHARED | MAP_PRIVATE) not in (MAP_SHARED, MAP_PRIVATE):
        raise OSError(errno.EINVAL, "mmap: either MAP_SHARED or MAP_PRIVATE")
    if flags & MAP_ANONYMOUS:
        filp = None
    start = get_unmapped_area(mm, addr, length, flags)
    vm_flags = calc_vm_prot_bits(prot) | flags & (MAP_DENYWRITE | MAP_EXECUTABLE) | VM_MAY
    if flags & MAP_SHARED:
        vm_flags |= VM_SHARED | VM_MAYSHARE
    if filp is not None:
        vm_flags = _check_file(filp, prot, flags, vm_flags)
        if flags & MAP_DENYWRITE:
            deny_write_access(filp.f_inode)
            allow_write_access(filp.f_inode)
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
    candidate = addr or mm.mmap_base
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
    """Put the area among those of its address space and of its file, which may forbid writers."""
    insort(vma.vm_mm.mmap, vma, key=lambda area: area.vm_start)
    if vma.vm_file is not None:
        mapping = vma.vm_file.f_mapping
        mapping.i_mmap = mapping.i_mmap or []
        mapping.i_mmap.append(vma)
        if vma.vm_flags & VM_DENYWRITE:
            vma.vm_file.f_inode.i_writecount -= 1


def find_vma(mm: MmStruct, address: int) -> VmAreaStruct | None:
    """The area that holds `address`, or None. (Linux answers with the next one above.)"""
    return next((vma for vma in mm.mmap if vma.vm_start <= address < vma.vm_end), None)


def find_extend_vma(mm: MmStruct, address: int) -> VmAreaStruct | None:
    """The area that holds `address`; a stack above it grows down to it, as far as STACK_LIMIT."""
    vma = find_vma(mm, address)
    if vma is not None:
        return vma
    above = next((vma for vma in mm.mmap if vma.vm_start > address), None)
    if above is None or not above.vm_flags & VM_GROWSDOWN or above.vm_end - address > STACK_LIMIT:
        return None
    above.vm_start = Vaddr(address & ~(PAGE_SIZE - 1))
    return above


def do_munmap(mm: MmStruct, start: int, length: int) -> None:
    """Take start..start+length out of the address space, splitting areas at the ends.

    Raises:
        OSError: EINVAL for an odd address or no length.
    """
    if start % PAGE_SIZE or length <= 0 or start < 0 or start + length > TASK_SIZE:
        raise OSError(errno.EINVAL, f"munmap: {length:#x} bytes at {start:#x}")
    end = start + page_align(length)
    for area in [vma for vma in mm.mmap if vma.vm_start < end and start < vma.vm_end]:
        vma = cut_vma(area, start, end)
        zap_page_range(vma, vma.vm_start, vma.vm_end)
        _unlink(vma)
        if vma.vm_file is not None:
            fput(vma.vm_file)


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
        if vma.vm_flags & VM_DENYWRITE:
            allow_write_access(vma.vm_file.f_inode)


def exit_mmap(mm: MmStruct) -> None:
    """Unmap everything, free the tables and let go of the program's file."""
    do_munmap(mm, 0, TASK_SIZE)
    free_pgtables(mm)
    set_mm_exe_file(mm, None)


def set_mm_exe_file(mm: MmStruct, filp: File | None) -> None:
    """The program that the address space belongs to stays open as long as that. Kernel: kernel/fork.c"""
    if filp is not None:
        filp.f_count += 1
    if mm.exe_file is not None:
        fput(mm.exe_file)
    mm.exe_file = filp
