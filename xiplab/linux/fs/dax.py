"""DAX: what took the place of execute-in-place in Linux 4.0.

    read, write    dax_do_io     get_block ──► a run of blocks ──► bdev_direct_access with a size
    page fault     do_dax_fault  the same for one page; the size of the file is looked at a second time
    store          dax_pfn_mkwrite  the first one into a page is noticed, and sets the file's times

There is no get_xip_mem: the file system hands over its get_block, and does its own locking. A read
takes i_mutex and holds i_dio_count, so truncate waits for it; a fault looks at i_size again under the
lock that truncate takes afterwards (Q7).

Interface: bdev_direct_access(), dax_do_io(), do_dax_fault(), dax_fault_steps(), dax_pfn_mkwrite(),
dax_truncate_page(). get_block(inode, iblock, maxblocks, create) -> (block or 0, how many in a row).

Kernel: v4.0 fs/dax.c; dax_pfn_mkwrite v4.1
Differs: a hole shows the page of zeros that execute-in-place uses, not one of the file's own in the
    page cache. One thread: the locks are named, not taken.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import TypeAlias

from xiplab.errors import SIGBUS, Signal
from xiplab.linux.fs.block_dev import bdev_direct_access_run
from xiplab.linux.fs.inode import file_accessed, file_remove_suid, file_update_time, mark_inode_dirty
from xiplab.linux.include.blkdev import WRITE, BlockDevice
from xiplab.linux.include.fs import AddressSpace, File, Inode, UserBuffer
from xiplab.linux.include.mm import VmAreaStruct, VmFault
from xiplab.linux.mm.filemap import generic_write_checks
from xiplab.linux.mm.filemap_xip import xip_sparse_page, xip_unmap
from xiplab.linux.mm.memory import sigbus, vm_insert_mixed
from xiplab.trace import tp_copy
from xiplab.units import (
    PAGE_SECTORS,
    PAGE_SHIFT,
    PAGE_SIZE,
    Pfn,
    Pgoff,
    Sector,
    block_to_sector,
    bytes_to_sectors,
    offset_in_page,
    page_count,
)

GetBlock: TypeAlias = Callable[[Inode, int, int, bool], tuple[int, int]]


def bdev_direct_access(bdev: BlockDevice, sector: Sector, size: int) -> tuple[int, Pfn, int]:
    """The memory of `sector` and as many of the `size` bytes from there as lie in a row.

    Kernel: v4.0 fs/block_dev.c bdev_direct_access()
    Returns:
        address, frame, and how many bytes can be used from there.
    Raises:
        OSError: EOPNOTSUPP no direct_access; ERANGE past the end; EINVAL not the start of a page; what
            the driver answers.
    """
    if bdev.bd_disk.fops.direct_access is None:
        raise OSError(errno.EOPNOTSUPP, f"{bdev}: no direct_access")
    if sector + bytes_to_sectors(size) > bdev.bd_disk.capacity:
        raise OSError(errno.ERANGE, f"{bdev}: {size} bytes at sector {sector} end past the device "
                                    f"({bdev.bd_disk.capacity} sectors)")
    if sector % PAGE_SECTORS:
        raise OSError(errno.EINVAL, f"{bdev}: sector {sector} is not the start of a page")
    kaddr, pfn, npages = bdev_direct_access_run(bdev, sector, page_count(size))
    return kaddr, pfn, min(npages << PAGE_SHIFT, size)


def _dax_get_addr(inode: Inode, block: int, nbytes: int) -> tuple[int, Pfn, int]:
    bdev = inode.i_sb.s_bdev
    assert bdev is not None
    return bdev_direct_access(bdev, block_to_sector(block, PAGE_SIZE), nbytes)


def dax_io(rw: int, inode: Inode, buf: UserBuffer, start: int, end: int, get_block: GetBlock) -> int:
    """Move bytes start..end of the file, a run of blocks at a time; returns how many.

    Raises:
        OSError: EFAULT; what get_block and direct_access answer, if nothing was moved before.
    """
    memory = inode.i_sb.s_kernel.memory
    access = "store" if rw == WRITE else "load"
    pos = start
    try:
        while pos < end:
            first = pos >> PAGE_SHIFT
            block, count = get_block(inode, first, page_count(end) - first, rw == WRITE)
            nbytes = min((first + count << PAGE_SHIFT) - pos, end - pos)
            if not block:
                moved = buf.clear_user(nbytes)
            else:
                kaddr, _, usable = _dax_get_addr(inode, block, count << PAGE_SHIFT)
                offset = offset_in_page(pos)
                nbytes = min(nbytes, usable - offset)
                moved = _copy(rw, buf, memory.span(kaddr + offset, nbytes, access))
            pos += moved
            if moved < nbytes:
                raise OSError(errno.EFAULT, f"{inode}: the user's buffer cannot be accessed")
    except OSError:
        if pos == start:
            raise
    return pos - start


def _copy(rw: int, buf: UserBuffer, piece: memoryview) -> int:
    moved = buf.copy_from_user(piece) if rw == WRITE else buf.copy_to_user(piece)
    if tp_copy.probes:
        tp_copy(what="user to storage" if rw == WRITE else "storage to user", nbytes=moved)
    return moved


def dax_do_io(rw: int, filp: File, buf: UserBuffer, count: int, pos: int, get_block: GetBlock) -> int:
    """read() or write() of a DAX file; i_mutex is held, and for a read i_dio_count.

    Raises:
        OSError: those of dax_io; for a write those of generic_write_checks.
    """
    inode = filp.f_inode
    if rw != WRITE:
        file_accessed(filp)
        return dax_io(rw, inode, buf, pos, min(pos + count, inode.i_size), get_block)
    pos, count = generic_write_checks(filp, pos, count)
    if not count:
        return 0
    file_remove_suid(filp)
    file_update_time(filp)
    pgoff = Pgoff(pos >> PAGE_SHIFT)
    written = dax_io(rw, inode, buf, pos, pos + count, get_block)
    for page in range(pgoff, page_count(pos + written)):
        xip_unmap(filp.f_mapping, Pgoff(page))
    if pos + written > inode.i_size:
        inode.i_size = pos + written
        mark_inode_dirty(inode)
    return written


def _checked_block(vma: VmAreaStruct, vmf: VmFault, get_block: GetBlock) -> int:
    """The block of the page, 0 for a hole that is only read. Raises Signal SIGBUS beyond the end."""
    assert vma.vm_file is not None
    inode = vma.vm_file.f_inode
    if vmf.pgoff >= page_count(inode.i_size):
        raise sigbus(vma, vmf, f"page {vmf.pgoff} is beyond the end ({inode.i_size} bytes)")
    return get_block(inode, vmf.pgoff, 1, False)[0]


def dax_fault_steps(vma: VmAreaStruct, vmf: VmFault, get_block: GetBlock) -> Iterator[str]:
    """do_dax_fault with a pause where a truncate could come between.

    Raises:
        Signal: SIGBUS beyond the end of the file, at the second look as well as at the first.
        OSError: what direct_access answers.
    """
    assert vma.vm_file is not None
    inode = vma.vm_file.f_inode
    block = _checked_block(vma, vmf, get_block)
    if not block and vmf.write:
        block = _allocate(vma, vmf.pgoff, vmf.virtual_address, get_block)
    yield "looked up"
    _checked_block(vma, vmf, get_block)
    pfn = _dax_get_addr(inode, block, PAGE_SIZE)[1] if block else xip_sparse_page(vma.vm_mm.kernel)
    vm_insert_mixed(vma, vmf.virtual_address, pfn)
    yield "inserted"


def do_dax_fault(vma: VmAreaStruct, vmf: VmFault, get_block: GetBlock) -> None:
    """Map the frame of the device. Only a store allocates a block for a hole (unlike Q10).

    Raises:
        Signal, OSError: as dax_fault_steps.
    """
    for _ in dax_fault_steps(vma, vmf, get_block):
        pass


def _allocate(vma: VmAreaStruct, pgoff: Pgoff, vaddr: int, get_block: GetBlock) -> int:
    """A block for a hole; the page of zeros leaves every mapping. Raises Signal SIGBUS without one."""
    assert vma.vm_file is not None
    try:
        block, _ = get_block(vma.vm_file.f_inode, pgoff, 1, True)
    except OSError as failure:
        raise Signal(SIGBUS, vaddr, f"{vma.vm_file}: page {pgoff}: {failure}") from failure
    xip_unmap(vma.vm_file.f_mapping, pgoff)
    return block


def dax_pfn_mkwrite(vma: VmAreaStruct, pgoff: Pgoff, get_block: GetBlock) -> None:
    """The first store into a page of a shared mapping: set the times; a hole gets its block first, and
    leaves the page table, so that the store comes again.

    Raises:
        Signal: SIGBUS if no block can be allocated.
    """
    assert vma.vm_file is not None
    file_update_time(vma.vm_file)
    if not get_block(vma.vm_file.f_inode, pgoff, 1, False)[0]:
        _allocate(vma, pgoff, vma.address_of(pgoff), get_block)


def dax_truncate_page(mapping: AddressSpace, from_: int, get_block: GetBlock) -> None:
    """Zero the file's last page from byte `from_` of the file on, in place; a hole needs nothing.

    Raises:
        OSError: what get_block and direct_access answer.
    """
    offset = offset_in_page(from_)
    inode = mapping.host
    assert inode is not None
    if not offset or not (block := get_block(inode, from_ >> PAGE_SHIFT, 1, False)[0]):
        return
    kaddr, _, _ = _dax_get_addr(inode, block, PAGE_SIZE)
    mapping.kernel.memory.span(kaddr + offset, PAGE_SIZE - offset, "store")[:] = bytes(PAGE_SIZE - offset)
