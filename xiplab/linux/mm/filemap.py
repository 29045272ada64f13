"""The page cache: files are read, written and mapped through copies.

    read()   find the page, or take a frame and let readpage copy the block into it; then copy to the user
    write()  copy from the user into the page, mark it dirty; writepage copies it to the device later
    fault    find or read the page, and map that frame

So each page of a file that is used takes one frame of the guest, and each byte is copied at least
twice on its way to the user. Compare filemap_xip.py, which has neither.

Interface: generic_file_aio_read(), generic_file_aio_write(), generic_file_mmap(), generic_write_checks(),
filemap_fdatawrite(), truncate_inode_pages(), find_get_page(), grab_cache_page_write_begin().

Kernel: v3.6 mm/filemap.c, mm/truncate.c, mm/vmscan.c
Differs: no read-ahead; writeback only on fsync, sync, msync and when frames are short.
"""

from __future__ import annotations

import errno
from collections import OrderedDict

from xiplab.errors import SIGXFSZ, KernelBug
from xiplab.linux.fs.inode import file_accessed, file_remove_suid, file_update_time
from xiplab.linux.include.fs import (
    O_APPEND,
    O_DSYNC,
    O_LARGEFILE,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    AddressSpace,
    File,
    UserBuffer,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Page, VmAreaStruct, VmFault, VmOperations
from xiplab.linux.include.sched import RLIM_INFINITY
from xiplab.linux.mm.memory import page_mkclean, sigbus, unmap_mapping_range
from xiplab.linux.mm.page_alloc import alloc_page, free_page
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SIZE, offset_in_page, page_count, pos_to_pgoff

MAX_NON_LFS = (1 << 31) - 1


def _lru(kernel: Kernel) -> OrderedDict[Page, None]:
    """All page-cache pages of the guest, the least recently added first."""
    lru: OrderedDict[Page, None] | None = kernel.statics.get("lru")
    if lru is None:
        lru = kernel.statics["lru"] = OrderedDict()
    return lru


def find_get_page(mapping: AddressSpace, index: int) -> Page | None:
    """The cached page `index` of the file, or None."""
    return mapping.pages.get(index)


def add_to_page_cache(mapping: AddressSpace, index: int) -> Page:
    """Take a frame for page `index`; it is zero and not uptodate.

    Raises:
        OSError: ENOMEM.
    """
    kernel = mapping.kernel
    pfn = alloc_page(kernel, _kind_of(mapping))
    page = Page(pfn, kernel.memory.frame(pfn), mapping, index)
    pages = mapping.pages = mapping.pages or {}
    pages[index] = page
    _lru(kernel)[page] = None
    return page


def _kind_of(mapping: AddressSpace) -> str:
    """What the frame is accounted as: copies of file data, or of directories and symbolic links."""
    is_name = mapping.host is not None and mapping.host.i_mode & S_IFMT in (S_IFDIR, S_IFLNK)
    return "directory cache" if is_name else "page cache"


def isolate_lru_page(page: Page) -> None:
    """Hide the page from reclaim, for one if buffers lie on it. Kernel: mm/vmscan.c"""
    assert page.mapping is not None
    _lru(page.mapping.kernel).pop(page, None)


def delete_from_page_cache(page: Page) -> None:
    """Forget the page and give its frame back."""
    mapping = page.mapping
    assert mapping is not None
    if page.mapcount:
        raise KernelBug(f"{page} is still mapped")
    del mapping.pages[page.index]
    isolate_lru_page(page)
    page.mapping = None
    free_page(mapping.kernel, page.pfn)


def read_cache_page(mapping: AddressSpace, index: int) -> Page:
    """Page `index`, uptodate: from the cache, else read from the device.

    Raises:
        OSError: EIO or what readpage answers (the page is not kept); ENOMEM.
    """
    page = mapping.pages.get(index) or add_to_page_cache(mapping, index)
    if not page.uptodate:
        _read_page(mapping, page)
    return page


def _read_page(mapping: AddressSpace, page: Page) -> None:
    readpage = mapping.a_ops.readpage
    assert readpage is not None
    try:
        readpage(page)
    finally:
        if not page.uptodate and not page.dirty and not page.mapcount:
            delete_from_page_cache(page)
    if not page.uptodate:
        raise OSError(errno.EIO, f"{mapping}: page {page.index} could not be read")


def grab_cache_page_write_begin(mapping: AddressSpace, index: int) -> Page:
    """The page `index` for a write, perhaps not uptodate yet."""
    return mapping.pages.get(index) or add_to_page_cache(mapping, index)


def set_page_dirty(page: Page) -> None:
    """All of the page is newer than the device. Kernel: __set_page_dirty_buffers()"""
    page.dirty = True
    for bh in page.private or ():
        bh.b_dirty = True


def generic_file_aio_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Copy up to `count` bytes from `pos` on to the user; returns how many.

    Raises:
        OSError: EFAULT, EIO, ENOMEM if not a single byte was moved before.
    """
    if not count:
        return 0
    try:
        return do_generic_file_read(filp, buf, count, pos)
    finally:
        file_accessed(filp)


def do_generic_file_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    mapping = filp.f_mapping
    inode = filp.f_inode
    copied = 0
    while copied < count and pos < inode.i_size:
        try:
            page = read_cache_page(mapping, pos // PAGE_SIZE)
        except OSError:
            if copied:
                return copied
            raise
        offset = offset_in_page(pos)
        chunk = min(PAGE_SIZE - offset, inode.i_size - pos, count - copied)
        page.referenced = True
        arrived = buf.copy_to_user(page.data[offset:offset + chunk])
        if tp_copy.probes:
            tp_copy(what="page cache to user", nbytes=arrived)
        copied += arrived
        pos += arrived
        if arrived < chunk:
            return _so_far_or_efault(filp, copied)
    return copied


def _so_far_or_efault(filp: File, copied: int) -> int:
    if not copied:
        raise OSError(errno.EFAULT, f"{filp}: the user's buffer cannot be accessed")
    return copied


def generic_write_checks(filp: File, pos: int, count: int) -> tuple[int, int]:
    """Where a write begins and how much of it may be done: (pos, count).

    Raises:
        OSError: EINVAL a negative position; EFBIG at or past RLIMIT_FSIZE (with SIGXFSZ), 2 GiB without
            O_LARGEFILE, or s_maxbytes.
    """
    inode = filp.f_inode
    task = inode.i_sb.s_kernel.current
    if pos < 0:
        raise OSError(errno.EINVAL, f"{filp}: position {pos}")
    if filp.f_flags & O_APPEND:
        pos = inode.i_size
    if task.rlimit_fsize != RLIM_INFINITY:
        if pos >= task.rlimit_fsize:
            task.pending.append(SIGXFSZ)
            raise OSError(errno.EFBIG, f"{filp}: position {pos} is at RLIMIT_FSIZE ({task.rlimit_fsize})")
        count = min(count, task.rlimit_fsize - pos)
    if not filp.f_flags & O_LARGEFILE:
        if pos >= MAX_NON_LFS:
            raise OSError(errno.EFBIG, f"{filp}: position {pos} needs O_LARGEFILE (limit {MAX_NON_LFS})")
        count = min(count, MAX_NON_LFS - pos)
    limit = inode.i_sb.s_maxbytes
    if pos >= limit and (count or pos > limit):
        raise OSError(errno.EFBIG, f"{filp}: position {pos} is at the largest file size ({limit})")
    return pos, min(count, limit - pos)


def generic_file_aio_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Copy up to `count` bytes from the user into the page cache; the device follows later.

    The caller adds the result to the position after generic_write_checks.
    Raises:
        OSError: those of generic_write_checks; ENOSPC, EIO, ENOMEM, EFAULT if nothing was written.
    """
    pos, count = generic_write_checks(filp, pos, count)
    if not count:
        return 0
    file_remove_suid(filp)
    file_update_time(filp)
    written = generic_perform_write(filp, buf, count, pos)
    if filp.f_flags & O_DSYNC and filp.f_op.fsync is not None:
        filp.f_op.fsync(filp, False)
    return written


def generic_perform_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    a_ops = filp.f_mapping.a_ops
    assert a_ops.write_begin is not None
    assert a_ops.write_end is not None
    written = 0
    while written < count:
        offset = offset_in_page(pos)
        chunk = min(PAGE_SIZE - offset, count - written)
        try:
            page = a_ops.write_begin(filp.f_mapping, pos, chunk)
        except OSError:
            if written:
                return written
            raise
        came = buf.copy_from_user(page.data[offset:offset + chunk])
        if tp_copy.probes:
            tp_copy(what="user to page cache", nbytes=came)
        came = a_ops.write_end(filp.f_mapping, pos, came, page)
        page.referenced = True
        written += came
        pos += came
        if came < chunk:
            return _so_far_or_efault(filp, written)
    return written


def filemap_fault(vma: VmAreaStruct, vmf: VmFault) -> None:
    """Hand out the page-cache page of vmf.pgoff.

    Raises:
        Signal: SIGBUS beyond the end of the file, or if the page cannot be read.
    """
    assert vma.vm_file is not None
    mapping = vma.vm_file.f_mapping
    size = vma.vm_file.f_inode.i_size
    if vmf.pgoff >= page_count(size):
        raise sigbus(vma, vmf, f"page {vmf.pgoff} is beyond the end ({size} bytes)")
    try:
        vmf.page = read_cache_page(mapping, vmf.pgoff)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        raise sigbus(vma, vmf, str(error)) from error


def filemap_page_mkwrite(vma: VmAreaStruct, page: Page) -> None:
    """A store through the mapping is about to dirty the page."""
    assert vma.vm_file is not None
    file_update_time(vma.vm_file)
    set_page_dirty(page)


generic_file_vm_ops = VmOperations(name="generic_file_vm_ops", fault=filemap_fault,
                                   page_mkwrite=filemap_page_mkwrite)


def generic_file_mmap(filp: File, vma: VmAreaStruct) -> None:
    """Let faults of this area come to the page cache.

    Raises:
        OSError: ENOEXEC if the file has no readpage.
    """
    if filp.f_mapping.a_ops.readpage is None:
        raise OSError(errno.ENOEXEC, f"{filp}: cannot be mapped, it has no readpage")
    file_accessed(filp)
    vma.vm_ops = generic_file_vm_ops


def filemap_fdatawrite(mapping: AddressSpace, start: int = 0, end: int | None = None) -> None:
    """Write the dirty pages that hold bytes start..end (exclusive; None: all) to the device. Pages of a
    file that lives in memory only (it has no writepage) stay as they are.

    Raises:
        OSError: EIO or ENOSPC of the first page that failed; the others were tried.
    """
    if mapping.a_ops.writepage is None:
        return
    first, last = pos_to_pgoff(start), None if end is None else page_count(end)
    failure: OSError | None = None
    for index in sorted(i for i, page in mapping.pages.items() if page.dirty):
        if index >= first and (last is None or index < last):
            try:
                write_one_page(mapping.pages[index])
            except OSError as error:
                failure = failure or error
    if failure is not None:
        raise failure


def write_one_page(page: Page) -> None:
    """Store one dirty page; it stays dirty if that fails."""
    assert page.mapping is not None
    writepage = page.mapping.a_ops.writepage
    assert writepage is not None
    page.dirty = False
    page_mkclean(page)
    try:
        writepage(page)
    except OSError:
        page.dirty = True
        raise


def truncate_inode_page(mapping: AddressSpace, page: Page) -> None:
    """Drop the page, and unmap it before wherever it is mapped."""
    if page.mapcount:
        unmap_mapping_range(mapping, page.index * PAGE_SIZE, PAGE_SIZE, even_cows=False)
    delete_from_page_cache(page)


def truncate_inode_pages(mapping: AddressSpace, new_size: int) -> None:
    """Drop the pages past `new_size`, and zero the rest of the last page. Nothing is written."""
    if not mapping.pages:
        return
    if tail := offset_in_page(new_size):
        page = mapping.pages.get(pos_to_pgoff(new_size))
        if page is not None:
            page.frame[tail:] = 0
    first = page_count(new_size)
    for index in [i for i in mapping.pages if i >= first]:
        truncate_inode_page(mapping, mapping.pages[index])


def shrink_page_cache(kernel: Kernel, wanted: int) -> int:
    """Give up to `wanted` frames back: pages not mapped or locked, the oldest first; dirty ones are
    written before. A page that was used since the last look gets a second chance. Returns how many.

    Kernel: mm/vmscan.c shrink_page_list()
    """
    lru = _lru(kernel)
    freed = 0
    for _ in range(2 * len(lru)):
        if freed == wanted or not lru:
            break
        page = next(iter(lru))
        lru.move_to_end(page)
        if page.referenced:
            page.referenced = False
        elif not page.mapcount and not page.locked:
            freed += _pageout(page)
    return freed


def _pageout(page: Page) -> int:
    """Write the page if need be and drop it; 1, or 0 if it cannot be dropped."""
    assert page.mapping is not None
    if page.dirty:
        if page.mapping.a_ops.writepage is None:
            return 0
        try:
            write_one_page(page)
        except OSError:
            return 0
        if page.dirty:
            return 0
    delete_from_page_cache(page)
    return 1
