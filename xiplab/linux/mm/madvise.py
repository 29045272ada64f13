"""Advice about memory and files, and read-ahead.

Kernel: v3.6 mm/madvise.c, mm/fadvise.c, mm/readahead.c
"""

from __future__ import annotations

import errno

from xiplab.linux.include.blkdev import FMODE_READ
from xiplab.linux.include.fs import S_IFIFO, S_IFMT, File
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import MADV_DONTNEED, MADV_NORMAL, MADV_WILLNEED, MmStruct
from xiplab.linux.mm.filemap import delete_from_page_cache, read_cache_page
from xiplab.linux.mm.memory import zap_page_range
from xiplab.linux.mm.page_alloc import frames_at_most, frames_in_use
from xiplab.units import PAGE_SIZE, page_align, page_count, pos_to_pgoff

POSIX_FADV_NORMAL, POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE = 0, 4, 5
POSIX_FADV_WILLNEED = 3


def do_madvise(mm: MmStruct, start: int, length: int, advice: int) -> None:
    """madvise(2). MADV_WILLNEED reads ahead what has a page cache, and nothing of a file in place;
    MADV_DONTNEED unmaps the pages: private copies are lost.

    Raises:
        OSError: EINVAL an odd start, a negative length or unknown advice; ENOMEM nothing mapped in
            part of the range.
    """
    if start % PAGE_SIZE or length < 0 or not MADV_NORMAL <= advice <= MADV_DONTNEED:
        raise OSError(errno.EINVAL, f"madvise: {start:#x}, advice {advice}")
    end = start + page_align(length)
    covered = 0
    for vma in mm.mmap:
        low, high = max(vma.vm_start, start), min(vma.vm_end, end)
        if low >= high:
            continue
        covered += high - low
        if advice == MADV_DONTNEED:
            zap_page_range(vma, low, high)
        elif advice == MADV_WILLNEED and vma.vm_file is not None:
            force_page_cache_readahead(vma.vm_file, vma.pgoff_at(low), (high - low) // PAGE_SIZE)
    if covered != end - start:
        raise OSError(errno.ENOMEM, f"madvise: {start:#x}-{end:#x} is not mapped as a whole")


def do_fadvise(filp: File, offset: int, length: int, advice: int) -> None:
    """posix_fadvise(2): ignored for a file in place, once the advice is known to be valid.

    Raises:
        OSError: ESPIPE a pipe; EINVAL unknown advice or a negative length.
    """
    if filp.f_inode.i_mode & S_IFMT == S_IFIFO:
        raise OSError(errno.ESPIPE, f"{filp}: is a pipe")
    if length < 0 or not POSIX_FADV_NORMAL <= advice <= POSIX_FADV_NOREUSE:
        raise OSError(errno.EINVAL, f"{filp}: advice {advice} for {length} bytes")
    mapping = filp.f_mapping
    if mapping.a_ops.get_xip_mem is not None:
        return
    end = offset + length if length else filp.f_inode.i_size
    if advice == POSIX_FADV_WILLNEED:
        force_page_cache_readahead(filp, pos_to_pgoff(offset), page_count(end) - pos_to_pgoff(offset))
    elif advice == POSIX_FADV_DONTNEED:
        for index, page in list(mapping.pages.items()):
            if page_count(offset) <= index < pos_to_pgoff(end) and not page.dirty and not page.mapcount:
                delete_from_page_cache(page)


def force_page_cache_readahead(filp: File, first: int, npages: int) -> None:
    """Read pages of the file into the page cache, up to its end; none if it has no readpage."""
    if filp.f_mapping.a_ops.readpage is None or first < 0:
        return
    npages = min(npages, max_sane_readahead(filp.f_mapping.kernel))
    for index in range(first, min(first + npages, page_count(filp.f_inode.i_size))):
        read_cache_page(filp.f_mapping, index)


def max_sane_readahead(kernel: Kernel) -> int:
    """How many pages may be read ahead: half of the frames that are free or hold pages of files."""
    zone = kernel.zone
    return (frames_at_most(zone) - frames_in_use(zone) + zone.used["page cache"]) // 2


def do_readahead(filp: File, offset: int, count: int) -> None:
    """readahead(2).

    Raises:
        OSError: EBADF not open for reading; EINVAL a file without readpage, such as one in place.
    """
    if not filp.f_mode & FMODE_READ:
        raise OSError(errno.EBADF, f"{filp}: not open for reading")
    if filp.f_mapping.a_ops.readpage is None:
        raise OSError(errno.EINVAL, f"{filp}: has no readpage")
    force_page_cache_readahead(filp, pos_to_pgoff(offset), page_count(offset + count) - pos_to_pgoff(offset))
