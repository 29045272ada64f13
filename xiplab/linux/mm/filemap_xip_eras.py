"""filemap_xip.c as other kernels had it, and with pauses where its races are.

Each function takes the place of one in a table (`dataclasses.replace`), so that an exercise can let
the whole stack run on an old bug, or on its fix.

    xip_file_read_2_6_13     a read of nothing over a hole gives 0 (before Q2)
    xip_file_read_2_6_26     reads past the user's buffer (Q5)
    xip_file_write_2_6_24rc4 an unaligned write lands at the start of its page (Q4)
    xip_file_fault_no_alloc  a load in a hole of a shared mapping allocates nothing (Q10 mended)
    xip_file_fault_sigbus    a failed look-up is SIGBUS, as up to 2.6.22 (before Q27)
    fault_steps              v3.6's fault with pauses: the race with truncate (Q7)
    fault_steps_2_6_26       without the second look-up: the race with a write (Q6)
    xip_file_aio_read, ..    what xip.txt names and no release had (Q1)

Kernel: mm/filemap_xip.c of the versions named
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence

from xiplab.errors import NoData
from xiplab.linux.fs.inode import file_accessed, file_remove_suid, file_update_time, mark_inode_dirty
from xiplab.linux.include.fs import File, UserBuffer
from xiplab.linux.include.mm import VmAreaStruct, VmFault
from xiplab.linux.mm.filemap import generic_write_checks
from xiplab.linux.mm.filemap_xip import (
    find_or_allocate,
    xip_file_fault,
    xip_file_read,
    xip_file_write,
    xip_sparse_page,
)
from xiplab.linux.mm.memory import sigbus, vm_insert_mixed
from xiplab.units import PAGE_SIZE, Pfn, Pgoff, offset_in_page, page_count, pos_to_pgoff


def xip_file_read_2_6_13(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """2.6.13 to 2.6.25: nothing asked, nothing looked up."""
    if not count:
        file_accessed(filp)
        return 0
    return xip_file_read(filp, buf, count, pos)


def xip_file_read_2_6_26(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """2.6.26 to 2.6.29 (Q5): each chunk is limited by the total length, not by what is left of it, so
    the last one runs past the end of the user's buffer."""
    mapping = filp.f_mapping
    assert mapping.a_ops.get_xip_mem is not None
    size = filp.f_inode.i_size
    copied = 0
    while pos < size and copied < count:
        offset = offset_in_page(pos)
        chunk = min(PAGE_SIZE - offset, size - pos, count)
        try:
            kmem, _ = mapping.a_ops.get_xip_mem(mapping, pos_to_pgoff(pos), False)
            arrived = buf.copy_to_user(mapping.kernel.memory.span(kmem + offset, chunk))
        except NoData:
            arrived = buf.clear_user(chunk)
        if arrived < chunk:
            raise OSError(errno.EFAULT, f"{filp}: the user's buffer cannot be accessed")
        copied += chunk
        pos += chunk
    file_accessed(filp)
    return copied


def xip_file_write_2_6_24rc4(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """2.6.24-rc1 to rc4 (Q4): the copy goes to the page, not to the page plus the offset."""
    pos, count = generic_write_checks(filp, pos, count)
    file_remove_suid(filp)
    file_update_time(filp)
    written = 0
    while written < count:
        chunk = min(PAGE_SIZE - offset_in_page(pos), count - written)
        page = find_or_allocate(filp.f_mapping, pos_to_pgoff(pos))
        written += buf.copy_from_user(filp.f_mapping.kernel.memory.span(page, chunk, "store"))
        pos += chunk
    if pos > filp.f_inode.i_size:
        filp.f_inode.i_size = pos
        mark_inode_dirty(filp.f_inode)
    return written


def xip_file_fault_no_alloc(vma: VmAreaStruct, vmf: VmFault) -> None:
    """Only a store allocates; a load in a hole sees the sparse page (Q10 mended)."""
    if vmf.write or not _is_hole(vma, vmf.pgoff):
        xip_file_fault(vma, vmf)
    else:
        vm_insert_mixed(vma, vmf.virtual_address, xip_sparse_page(vma.vm_mm.kernel))


def _is_hole(vma: VmAreaStruct, pgoff: Pgoff) -> bool:
    try:
        _lookup(vma, pgoff)
    except NoData:
        return True
    except OSError:
        return False
    return False


def xip_file_fault_sigbus(vma: VmAreaStruct, vmf: VmFault) -> None:
    """2.6.13 to 2.6.22: every failure of the look-up is SIGBUS, not the end of the task (Q27)."""
    try:
        xip_file_fault(vma, vmf)
    except OSError as failure:
        raise sigbus(vma, vmf, str(failure)) from failure


def _lookup(vma: VmAreaStruct, pgoff: Pgoff) -> Pfn:
    assert vma.vm_file is not None
    mapping = vma.vm_file.f_mapping
    assert mapping.a_ops.get_xip_mem is not None
    return mapping.a_ops.get_xip_mem(mapping, pgoff, False)[1]


def fault_steps(vma: VmAreaStruct, vmf: VmFault) -> Iterator[str]:
    """v3.6's fault on a page that only reads may reach, one step for each `next()`.

    Between "looked up" and "inserted" a truncate may free the block: nothing looks at the size again,
    so the mapping keeps a frame that is no longer the file's (Q7). A hole is looked up again before
    the sparse page goes in, so a write in between is noticed (Q6 mended).
    """
    pfn = _checked_lookup(vma, vmf)
    yield "looked up"
    if pfn is None:
        pfn = _checked_lookup(vma, vmf)
    _insert(vma, vmf, pfn)
    yield "inserted"


def fault_steps_2_6_26(vma: VmAreaStruct, vmf: VmFault) -> Iterator[str]:
    """Before 2.6.27-rc4 (Q6): a write between the steps allocates a block and finds no sparse page to
    unmap; then the sparse page is inserted over it, and stays."""
    pfn = _checked_lookup(vma, vmf)
    yield "looked up"
    _insert(vma, vmf, pfn)
    yield "inserted"


def fault_steps_dax(vma: VmAreaStruct, vmf: VmFault) -> Iterator[str]:
    """What DAX does about Q7: size and page are looked at again, under the lock that truncate takes."""
    _checked_lookup(vma, vmf)
    yield "looked up"
    _insert(vma, vmf, _checked_lookup(vma, vmf))
    yield "inserted"


def _checked_lookup(vma: VmAreaStruct, vmf: VmFault) -> Pfn | None:
    """The frame of the page, or None for a hole. Raises Signal SIGBUS beyond the end."""
    assert vma.vm_file is not None
    size = vma.vm_file.f_inode.i_size
    if vmf.pgoff >= page_count(size):
        raise sigbus(vma, vmf, f"page {vmf.pgoff} is beyond the end ({size} bytes)")
    try:
        return _lookup(vma, vmf.pgoff)
    except NoData:
        return None


def _insert(vma: VmAreaStruct, vmf: VmFault, pfn: Pfn | None) -> None:
    vm_insert_mixed(vma, vmf.virtual_address, xip_sparse_page(vma.vm_mm.kernel) if pfn is None else pfn)


def xip_file_aio_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """xip.txt's aio_read: in place, so it is complete when it returns. `do_sync_read` wraps it."""
    return xip_file_read(filp, buf, count, pos)


def xip_file_aio_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """xip.txt's aio_write."""
    return xip_file_write(filp, buf, count, pos)


def xip_file_readv(filp: File, segments: Sequence[tuple[UserBuffer, int]], pos: int) -> int:
    """xip.txt's readv: all segments in one call, until one comes short."""
    done = 0
    for buf, length in segments:
        n = xip_file_read(filp, buf, length, pos + done) if length else 0
        done += n
        if n < length:
            break
    return done


def xip_file_writev(filp: File, segments: Sequence[tuple[UserBuffer, int]], pos: int) -> int:
    """xip.txt's writev."""
    done = 0
    for buf, length in segments:
        n = xip_file_write(filp, buf, length, pos + done)
        done += n
        if n < length:
            break
    return done


def xip_file_sendfile(filp: File, pos: int, count: int) -> Iterator[memoryview]:
    """2.6.13 to 2.6.22: hand out the file's pages where they lie, one after the other, for somebody
    else to send. A hole is a page of zeros."""
    mapping = filp.f_mapping
    assert mapping.a_ops.get_xip_mem is not None
    end = min(pos + count, filp.f_inode.i_size)
    while pos < end:
        offset = offset_in_page(pos)
        chunk = min(PAGE_SIZE - offset, end - pos)
        try:
            kmem, _ = mapping.a_ops.get_xip_mem(mapping, pos_to_pgoff(pos), False)
            yield mapping.kernel.memory.span(kmem + offset, chunk)
        except NoData:
            yield memoryview(bytes(chunk))
        pos += chunk

