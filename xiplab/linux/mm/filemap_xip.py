"""Execute-in-place: files are read, written and mapped where they lie.

    read()   ask get_xip_mem where the page is; copy from there to the user
    write()  the same, the other way; a hole gets a block first
    fault    map the very frame of the device

No page cache, no writeback, nothing to reclaim. One page of memory is used all the same: the sparse
page, full of zeros, which stands for the holes of every file that is only read.

For more than a page `xip_file_read` and `xip_file_write` ask for runs of frames and copy each run
once. `do_xip_mapping_read` and `_xip_file_write` are the kernel's page-by-page loops; they serve small
requests, recordings, and address spaces without get_xip_runs. Both ways give the same results.
(Requests inside one page usually do not come here at all: filemap_xip_bytes.py.)

Locks in Linux: i_mutex around a write; the global xip_sparse_mutex, with its sequence counter,
around the sparse page. A read takes none, which is its race with truncate. Here one thread runs.

Kernel: v3.6 mm/filemap_xip.c
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from xiplab.errors import SIGBUS, NoData, Signal, bug_on
from xiplab.linux.fs.inode import file_accessed, file_remove_suid, file_update_time, mark_inode_dirty
from xiplab.linux.include.fs import MS_RDONLY, AddressSpace, File, UserBuffer
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import (
    VM_CAN_NONLINEAR,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_MIXEDMAP,
    VM_SHARED,
    VM_WRITE,
    VmAreaStruct,
    VmFault,
    VmOperations,
)
from xiplab.linux.mm.filemap import generic_write_checks
from xiplab.linux.mm.memory import follow_pfn, pte_clear, sigbus, vm_insert_mixed
from xiplab.linux.mm.page_alloc import alloc_page
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Pfn, Pgoff, offset_in_page, page_count


def xip_sparse_page(kernel: Kernel) -> Pfn:
    """The frame of zeros that is mapped for holes; made on first use and never given back.

    Raises:
        OSError: ENOMEM.
    """
    if kernel.xip_sparse_page is None:
        kernel.xip_sparse_page = alloc_page(kernel, "sparse page")
    return kernel.xip_sparse_page


def do_xip_mapping_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """The kernel's loop: for each page, find it, then copy it, or clear for a hole.

    The loop tests its condition at the end, so even a read of nothing looks its page up: over a
    hole that gives ENODATA (a quirk of 2.6.26 to 3.19).
    """
    mapping = filp.f_mapping
    get_xip_mem = mapping.a_ops.get_xip_mem
    assert get_xip_mem is not None
    memory = mapping.kernel.memory
    isize = mapping.host.i_size if mapping.host else 0
    copied = 0
    error: OSError | None = None
    while pos < isize:
        offset = offset_in_page(pos)
        chunk = min(PAGE_SIZE - offset, isize - pos, count - copied)
        error = None
        try:
            kmem, _ = get_xip_mem(mapping, Pgoff(pos >> PAGE_SHIFT), False)
            arrived = buf.copy_to_user(memory.span(kmem + offset, chunk)) if chunk else 0
        except NoData as hole:
            error = hole
            arrived = buf.clear_user(chunk) if chunk else 0
        except OSError as failure:
            error = failure
            break
        if arrived < chunk:
            error = OSError(errno.EFAULT, f"{filp}: the user's buffer cannot be accessed")
            break
        if tp_copy.probes and chunk:
            tp_copy(what="storage to user", nbytes=chunk)
        copied += chunk
        pos += chunk
        if copied >= count:
            break
    if not copied and error is not None:
        raise error
    return copied


def xip_file_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Copy up to `count` bytes from `pos` on straight from the device to the user; returns how many.

    Raises:
        OSError: EFAULT, EIO, or what get_xip_mem answers, if not a single byte was moved before;
            ENODATA for a read of nothing over a hole. The access time is set all the same.
    """
    try:
        if count <= PAGE_SIZE or tp_copy.probes or filp.f_mapping.a_ops.get_xip_runs is None:
            return do_xip_mapping_read(filp, buf, count, pos)
        return _read_by_runs(filp, buf, count, pos)
    except OSError as failure:
        if failure.errno != errno.EOPNOTSUPP:
            raise
        return do_xip_mapping_read(filp, buf, count, pos)
    finally:
        file_accessed(filp)


def _read_by_runs(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    mapping = filp.f_mapping
    memory = mapping.kernel.memory
    assert mapping.a_ops.get_xip_runs is not None
    assert mapping.host is not None
    end = min(pos + count, mapping.host.i_size)
    start = pos
    while pos < end:
        first = Pgoff(pos >> PAGE_SHIFT)
        try:
            runs = mapping.a_ops.get_xip_runs(mapping, first, page_count(end) - first, False)
        except OSError:
            if pos > start:
                break
            raise
        for pgoff, pfn, npages in runs:
            offset = pos - (pgoff << PAGE_SHIFT)
            nbytes = min((npages << PAGE_SHIFT) - offset, end - pos)
            if pfn is None:
                arrived = buf.clear_user(nbytes)
            else:
                arrived = buf.copy_to_user(memory.span((pfn << PAGE_SHIFT) + offset, nbytes))
            if arrived < nbytes:
                return _whole_chunks(filp, start, pos, arrived)
            pos += nbytes
    return pos - start


def _whole_chunks(filp: File, start: int, pos: int, arrived: int) -> int:
    """A fault inside a page's chunk: that chunk counts nothing, those before it do."""
    copied = max((pos + arrived & ~(PAGE_SIZE - 1)) - start, 0)
    if not copied:
        raise OSError(errno.EFAULT, f"{filp}: the user's buffer cannot be accessed")
    return copied


def xip_unmap(mapping: AddressSpace, pgoff: Pgoff) -> None:
    """Take the sparse page away wherever it is mapped for page `pgoff`: there is a block now.

    Frames of the device and private copies stay. Nonlinear areas would be missed (Q9).
    """
    sparse = mapping.kernel.xip_sparse_page
    if sparse is None:
        return
    for vma in mapping.i_mmap:
        vaddr = vma.address_of(pgoff)
        if vma.vm_start <= vaddr < vma.vm_end and follow_pfn(vma.vm_mm, vaddr) == sparse:
            pte_clear(vma, vaddr)


def xip_file_fault(vma: VmAreaStruct, vmf: VmFault) -> None:
    """Map the frame of the device, or the sparse page for a hole.

    A hole that somebody may write through a shared mapping gets a block at once, even if the access
    is a load (Q10).
    Raises:
        Signal: SIGBUS beyond the end of the file, or if no block can be allocated.
        OSError: ENOMEM for every other failure of the look-up, EIO among them (Q27); the fault
            handler kills the task for it.
    """
    assert vma.vm_file is not None
    mapping = vma.vm_file.f_mapping
    inode = vma.vm_file.f_inode
    if vmf.pgoff >= page_count(inode.i_size):
        raise sigbus(vma, vmf, f"page {vmf.pgoff} is beyond the end ({inode.i_size} bytes)")
    get_xip_mem = mapping.a_ops.get_xip_mem
    assert get_xip_mem is not None
    try:
        _, pfn = get_xip_mem(mapping, vmf.pgoff, False)
    except NoData:
        may_write = vma.vm_flags & (VM_WRITE | VM_MAYWRITE) and vma.vm_flags & (VM_SHARED | VM_MAYSHARE)
        if may_write and not inode.i_sb.s_flags & MS_RDONLY:
            pfn = _allocate_for_fault(vma, vmf)
        else:
            pfn = xip_sparse_page(mapping.kernel)
    except OSError as failure:
        raise OSError(errno.ENOMEM, f"{vma.vm_file}: page {vmf.pgoff}: {failure}") from failure
    vm_insert_mixed(vma, vmf.virtual_address, pfn)


def _allocate_for_fault(vma: VmAreaStruct, vmf: VmFault) -> Pfn:
    assert vma.vm_file is not None
    mapping = vma.vm_file.f_mapping
    assert mapping.a_ops.get_xip_mem is not None
    try:
        _, pfn = mapping.a_ops.get_xip_mem(mapping, vmf.pgoff, True)
    except OSError as failure:
        raise Signal(SIGBUS, vmf.virtual_address, f"{vma.vm_file}: page {vmf.pgoff}: {failure}") from failure
    xip_unmap(mapping, vmf.pgoff)
    return pfn


xip_file_vm_ops = VmOperations(name="xip_file_vm_ops", fault=xip_file_fault)


def xip_file_mmap(filp: File, vma: VmAreaStruct) -> None:
    """Let faults of this area come to xip_file_fault. The size of the file does not matter yet."""
    bug_on(filp.f_mapping.a_ops.get_xip_mem is None, f"{filp}: no get_xip_mem")
    file_accessed(filp)
    vma.vm_ops = xip_file_vm_ops
    vma.vm_flags |= VM_CAN_NONLINEAR | VM_MIXEDMAP


def _xip_file_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """The kernel's loop: for each page, find it or allocate it, then copy from the user."""
    mapping = filp.f_mapping
    memory = mapping.kernel.memory
    written = 0
    error: OSError | None = None
    while written < count:
        offset = offset_in_page(pos)
        chunk = min(PAGE_SIZE - offset, count - written)
        try:
            kmem = find_or_allocate(mapping, Pgoff(pos >> PAGE_SHIFT))
        except OSError as failure:
            error = failure
            break
        came = buf.copy_from_user(memory.span(kmem + offset, chunk, "store"))
        if tp_copy.probes:
            tp_copy(what="user to storage", nbytes=came)
        written += came
        pos += came
        if came < chunk:
            error = OSError(errno.EFAULT, f"{filp}: the user's buffer cannot be accessed")
            break
    if pos > filp.f_inode.i_size and written:
        filp.f_inode.i_size = pos
        mark_inode_dirty(filp.f_inode)
    if not written and error is not None:
        raise error
    return written


def find_or_allocate(mapping: AddressSpace, pgoff: Pgoff) -> int:
    """The address of page `pgoff`; a hole gets a block, and the sparse page leaves every mapping."""
    get_xip_mem = mapping.a_ops.get_xip_mem
    assert get_xip_mem is not None
    try:
        return get_xip_mem(mapping, pgoff, False)[0]
    except NoData:
        kmem = get_xip_mem(mapping, pgoff, True)[0]
        xip_unmap(mapping, pgoff)
        return kmem


def xip_file_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Copy up to `count` bytes from the user straight to the device; returns how many.

    What was copied before an error counts; blocks that were allocated stay, even past the end of
    the file (Q11). O_SYNC makes no difference (Q30).
    Raises:
        OSError: those of generic_write_checks; ENOSPC, EIO, EFAULT, if nothing was written.
    """
    pos, count = generic_write_checks(filp, pos, count)
    if not count:
        return 0
    file_remove_suid(filp)
    file_update_time(filp)
    if count <= PAGE_SIZE or tp_copy.probes or filp.f_mapping.a_ops.get_xip_runs is None:
        return _xip_file_write(filp, buf, count, pos)
    try:
        return _write_by_runs(filp, buf, count, pos)
    except OSError as failure:
        if failure.errno != errno.EOPNOTSUPP:
            raise
        return _xip_file_write(filp, buf, count, pos)


def _write_by_runs(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """As _xip_file_write; only after a fault of the buffer more blocks may stay past the end."""
    mapping = filp.f_mapping
    memory = mapping.kernel.memory
    start, end = pos, pos + count
    error: OSError | None = None
    try:
        while pos < end:
            first = Pgoff(pos >> PAGE_SHIFT)
            for pgoff, pfn, npages in _runs_to_write(mapping, first, page_count(end) - first):
                offset = pos - (pgoff << PAGE_SHIFT)
                nbytes = min((npages << PAGE_SHIFT) - offset, end - pos)
                came = buf.copy_from_user(memory.span((pfn << PAGE_SHIFT) + offset, nbytes, "store"))
                pos += came
                if came < nbytes:
                    raise OSError(errno.EFAULT, f"{filp}: the user's buffer cannot be accessed")
    except OSError as failure:
        error = failure
    if pos > start and pos > filp.f_inode.i_size:
        filp.f_inode.i_size = pos
        mark_inode_dirty(filp.f_inode)
    if pos == start and error is not None:
        raise error
    return pos - start


def _runs_to_write(mapping: AddressSpace, pgoff: Pgoff, npages: int) -> Iterator[tuple[Pgoff, Pfn, int]]:
    """The frames of `npages` pages as runs; holes get blocks, run by run, when it is their turn."""
    assert mapping.a_ops.get_xip_runs is not None
    for first, pfn, n in mapping.a_ops.get_xip_runs(mapping, pgoff, npages, False):
        if pfn is None:
            yield from _allocated_runs(mapping, first, n)
        else:
            yield first, pfn, n


def _allocated_runs(mapping: AddressSpace, pgoff: Pgoff, npages: int) -> Iterator[tuple[Pgoff, Pfn, int]]:
    """The same for a run of holes."""
    assert mapping.a_ops.get_xip_runs is not None
    end = pgoff + npages
    while pgoff < end:
        for first, pfn, n in mapping.a_ops.get_xip_runs(mapping, pgoff, end - pgoff, True):
            assert pfn is not None
            for page in range(first, first + n):
                xip_unmap(mapping, Pgoff(page))
            yield first, pfn, n
            pgoff = Pgoff(first + n)


def xip_truncate_page(mapping: AddressSpace, from_: int) -> None:
    """Zero the file's last page from byte `from_` of the file to the end of the page, in place.

    Raises:
        OSError: what get_xip_mem answers, but for a hole, which needs nothing.
    """
    offset = offset_in_page(from_)
    if not offset:
        return
    assert mapping.a_ops.get_xip_mem is not None
    try:
        kmem, _ = mapping.a_ops.get_xip_mem(mapping, Pgoff(from_ >> PAGE_SHIFT), False)
    except NoData:
        return
    mapping.kernel.memory.span(kmem + offset, PAGE_SIZE - offset, "store")[:] = bytes(PAGE_SIZE - offset)
