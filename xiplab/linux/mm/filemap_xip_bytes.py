"""Small reads and writes in place, the quick way: what get_xip_mem answered once is kept.

    read inside one page     a look into a dictionary, and one slice of storage
    read of a few pages      the same, if they lie in a row
    write inside one page    the same and one store; only a hole is still asked for

These are `read_bytes` and `write_bytes` of the xip file operations. They serve such requests to a file
whose address space knows runs, while nobody records; all others go through `read` and `write`
(filemap_xip.py), page by page as in Linux. Both ways give the same results, times and errors.

    mapping.xip_cache   XipPlaces, made here; not for the first read of a small file from end to end. Who
                        takes blocks away from the file, or puts others in their place, sets it to None
                        (ext2_truncate_blocks).

Kernel: none (xip_file_read and xip_file_write of v3.6 mm/filemap_xip.c, for one page)
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from typing import cast

from xiplab.errors import NoData
from xiplab.linux.fs.inode import DAY, file_accessed, file_remove_suid, file_update_time
from xiplab.linux.include.fs import (
    MS_RELATIME,
    O_APPEND,
    O_LARGEFILE,
    S_ISGID,
    S_ISUID,
    AddressSpace,
    AddressSpaceOperations,
    File,
)
from xiplab.linux.include.sched import RLIM_INFINITY
from xiplab.linux.mm.filemap_xip import xip_unmap
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Pgoff, page_count

HOLE = -1
ZERO_PAGE = bytes(PAGE_SIZE)
PAGE_SIZE_MASK = PAGE_SIZE - 1
SET_ID_BITS = S_ISUID | S_ISGID
GROUP_SHIFT = 10
"""Pages are asked for in groups of 1,024: what one indirect block holds."""
FEW_PAGES = 16
NO_GROUPS = cast("set[int]", frozenset())


@dataclass(eq=False, slots=True)
class XipPlaces:
    """Where pages of a file lie in Storage, as the file system said.

    A page keeps its place until blocks are taken away from the file, or the device is released; that
    cannot happen while the file is open.

    Attributes:
        a_ops: who was asked. map, memory: Storage; slices of the first copy.
        at: byte offset in Storage by page. A page that is missing was a hole, or was not asked for.
        groups: the groups of pages that were asked for as a whole.
        writable: all those pages may be stored to.
        start, end, delta: the range of the guest's storage looked at last, and what takes it to Storage.
    """

    a_ops: AddressSpaceOperations
    map: mmap.mmap
    memory: memoryview
    at: dict[int, int] = field(default_factory=dict)
    groups: set[int] = NO_GROUPS
    writable: bool = True
    start: int = 0
    end: int = 0
    delta: int = 0


class ReadOnce:
    """Stands for places that are not kept yet: most small files are read once, as a whole."""

    a_ops = None


READ_ONCE = ReadOnce()


def new_places(mapping: AddressSpace) -> XipPlaces | None:
    """Places for a mapping that has none, or whose operations were replaced; None if its pages must be
    asked for one by one, each time."""
    a_ops = mapping.a_ops
    if a_ops.get_xip_runs is None:
        return None
    storage = mapping.kernel.memory.storage
    assert mapping.host is not None
    seen: tuple[bool, int, int, int] = mapping.host.i_sb.s_xip_range or (True, 0, 0, 0)
    mapping.xip_cache = places = XipPlaces(a_ops, storage.map, storage.memory, {}, NO_GROUPS, *seen)
    return places


def _offset_in_storage(places: XipPlaces, mapping: AddressSpace, kmem: int, nbytes: int) -> int:
    """Where the bytes at an address of the guest lie in Storage."""
    if not places.start <= kmem <= kmem + nbytes <= places.end:
        writable, places.start, places.end, places.delta = _look_up_range(mapping, kmem, nbytes)
        places.writable = places.writable and writable
    return kmem + places.delta


def _look_up_range(mapping: AddressSpace, kmem: int, nbytes: int) -> tuple[bool, int, int, int]:
    """The range of the guest's storage that holds these bytes, as in XipPlaces; the super block keeps it."""
    r = mapping.kernel.memory.range_of(kmem, nbytes)
    seen = r.writable, int(r.start), r.start + (r.npages << PAGE_SHIFT), (r.first << PAGE_SHIFT) - r.start
    assert mapping.host is not None
    mapping.host.i_sb.s_xip_range = seen
    return seen


def _ask_for_group(mapping: AddressSpace, places: XipPlaces, pgoff: int) -> None:
    """Ask for all pages of the group of `pgoff` in one question. What cannot be answered stays unknown."""
    group = pgoff >> GROUP_SHIFT
    if group in places.groups:
        return
    places.groups = places.groups or set()
    places.groups.add(group)
    assert mapping.host is not None
    start = group << GROUP_SHIFT
    npages = min(page_count(mapping.host.i_size) - start, 1 << GROUP_SHIFT)
    assert mapping.a_ops.get_xip_runs is not None
    try:
        runs = mapping.a_ops.get_xip_runs(mapping, Pgoff(start), npages, False)
    except OSError:
        return
    for first, pfn, n in runs:
        if pfn is not None:
            offset = _offset_in_storage(places, mapping, pfn << PAGE_SHIFT, n << PAGE_SHIFT)
            for page in range(first, first + n):
                places.at[page] = offset
                offset += PAGE_SIZE


def _find(mapping: AddressSpace, places: XipPlaces, pgoff: int) -> int:
    """The place of a page, asked for with its group, else alone; HOLE for a hole.

    Raises:
        OSError: what get_xip_mem answers.
    """
    _ask_for_group(mapping, places, pgoff)
    if pgoff not in places.at:
        assert places.a_ops.get_xip_mem is not None
        try:
            kmem, _ = places.a_ops.get_xip_mem(mapping, Pgoff(pgoff), False)
        except NoData:
            return HOLE
        places.at[pgoff] = _offset_in_storage(places, mapping, kmem, PAGE_SIZE)
    return places.at[pgoff]


def _find_or_allocate(mapping: AddressSpace, places: XipPlaces, pgoff: int, count: int) -> int:
    """The place of a page of which `count` bytes are going to be written; a hole gets a block, and the
    sparse page leaves every mapping.

    A page behind the end of the file is most likely new, so the file system is asked to make it at once.
    Raises:
        OSError: what get_xip_mem answers.
    """
    assert mapping.host is not None
    get_xip_next = places.a_ops.get_xip_next
    if pgoff << PAGE_SHIFT < mapping.host.i_size:
        _ask_for_group(mapping, places, pgoff)
    elif get_xip_next is not None and (kmem := get_xip_next(mapping, pgoff)):
        at = kmem + places.delta if places.start <= kmem < places.end \
            else _offset_in_storage(places, mapping, kmem, PAGE_SIZE)
        places.at[pgoff] = at
        if count < PAGE_SIZE:
            places.map[at:at + PAGE_SIZE] = ZERO_PAGE
        return at
    if pgoff not in places.at:
        assert places.a_ops.get_xip_mem is not None
        kmem, _ = places.a_ops.get_xip_mem(mapping, Pgoff(pgoff), True)
        xip_unmap(mapping, Pgoff(pgoff))
        places.at[pgoff] = _offset_in_storage(places, mapping, kmem, PAGE_SIZE)
    return places.at[pgoff]


def _read_whole(filp: File, count: int, pos: int) -> bytes | None:
    """A small file from end to end, before its places are known: if they are in a row they need not be kept.
    None: not such a read, or not such a file."""
    inode = filp.f_inode
    mapping = filp.f_mapping
    size = inode.i_size
    get_xip_runs = mapping.a_ops.get_xip_runs
    if pos or not 0 < size <= min(count, FEW_PAGES * PAGE_SIZE) or get_xip_runs is None:
        return None
    npages = size + PAGE_SIZE_MASK >> PAGE_SHIFT
    try:
        _, pfn, n = get_xip_runs(mapping, Pgoff(0), npages, False)[0]
    except OSError:
        return None
    if pfn is None or n < npages:
        return None
    at = pfn << PAGE_SHIFT
    _, start, end, delta = inode.i_sb.s_xip_range or _look_up_range(mapping, at, size)
    if not start <= at <= at + size <= end:
        _, start, end, delta = _look_up_range(mapping, at, size)
    mapping.xip_cache = READ_ONCE
    file_accessed(filp)
    at += delta
    return mapping.kernel.memory.storage.map[at:at + size]


def _read_few(filp: File, count: int, pos: int) -> bytes | None:
    """As xip_read_bytes, for a few pages that lie in a row; the end of the file may cut the read short."""
    mapping = filp.f_mapping
    end = min(pos + count, filp.f_inode.i_size)
    if not 0 <= pos < end <= pos + FEW_PAGES * PAGE_SIZE or tp_copy.probes:
        return None
    places: XipPlaces | None = mapping.xip_cache
    if places is None or places.a_ops is not mapping.a_ops:
        if places is None and (data := _read_whole(filp, count, pos)) is not None:
            return data
        places = new_places(mapping)
        if places is None:
            return None
    first = pos >> PAGE_SHIFT
    at = _find(mapping, places, first)
    if at == HOLE:
        return None
    for page in range(first + 1, page_count(end)):
        if places.at.get(page) != at + (page - first << PAGE_SHIFT):
            return None
    file_accessed(filp)
    at += pos & PAGE_SIZE_MASK
    return places.map[at:at + end - pos]


def xip_read_bytes(filp: File, count: int, pos: int) -> bytes | None:
    """What a read gives, as fresh bytes; None if it must be made by `read`. The file is open for reading.

    Two cases in which file_accessed() would change nothing are seen here: the access time is that of this
    tick of the file system's clock; or relatime does not want it.
    Raises:
        OSError: what get_xip_mem answers.
    """
    inode = filp.f_inode
    offset = pos & PAGE_SIZE_MASK
    if count <= 0 or offset + count > PAGE_SIZE or pos + count > inode.i_size or pos < 0 or tp_copy.probes:
        return _read_few(filp, count, pos)
    mapping = filp.f_mapping
    places: XipPlaces | None = mapping.xip_cache
    if places is None or places.a_ops is not mapping.a_ops:
        if places is None and (data := _read_whole(filp, count, pos)) is not None:
            return data
        places = new_places(mapping)
        if places is None:
            return None
    sb = inode.i_sb
    atime = inode.i_atime
    age = sb.s_kernel.clock() - atime
    if not 0 <= age < sb.s_time_gran \
            and not (inode.i_mtime < atime > inode.i_ctime and age < DAY and sb.s_flags & MS_RELATIME):
        file_accessed(filp)
    try:
        at = places.at[pos >> PAGE_SHIFT] + offset
    except KeyError:
        at = _find(mapping, places, pos >> PAGE_SHIFT)
        if at == HOLE:
            return bytes(count)
        at += offset
    return places.map[at:at + count]


def _write_first(filp: File, data: bytes | memoryview) -> int:
    """The first bytes of an empty file: most small files are written once, so their place is not kept.

    Returns:
        how many; 0 if that is not simple.
    Raises:
        ProgramInterruption: PROTECTION if the new page must not be stored to.
    """
    inode, mapping = filp.f_inode, filp.f_mapping
    get_xip_next = mapping.a_ops.get_xip_next
    seen: tuple[bool, int, int, int] | None = inode.i_sb.s_xip_range
    if get_xip_next is None or seen is None or inode.i_mode & SET_ID_BITS:
        return 0
    kmem = get_xip_next(mapping, 0)
    if not kmem:
        return 0
    writable, start, end, delta = seen
    if not writable or not start <= kmem < end:
        mapping.kernel.memory.span(kmem, PAGE_SIZE, "store")[:] = ZERO_PAGE
        return 0
    file_update_time(filp)
    at, count = kmem + delta, len(data)
    storage = mapping.kernel.memory.storage.map
    if count < PAGE_SIZE:
        storage[at:at + PAGE_SIZE] = ZERO_PAGE
    storage[at:at + count] = data
    inode.i_size = count
    inode.i_dirty = True
    return count


def xip_write_bytes(filp: File, data: bytes | memoryview, pos: int) -> int | None:
    """What a write does; None if it must be made by `write`. The file is open for writing.

    file_update_time() is asked once for each tick of the file system's clock.
    Raises:
        OSError: ENOSPC, EIO and whatever else get_xip_mem answers.
    """
    inode = filp.f_inode
    sb = inode.i_sb
    kernel = sb.s_kernel
    flags = filp.f_flags
    if flags & O_APPEND and 0 <= pos <= sb.s_maxbytes:
        pos = inode.i_size
    count = len(data)
    offset = pos & PAGE_SIZE_MASK
    end = pos + count
    if not (0 < count <= PAGE_SIZE - offset and 0 <= pos <= sb.s_maxbytes - count and flags & O_LARGEFILE) \
            or tp_copy.probes or kernel.current.rlimit_fsize != RLIM_INFINITY:
        return None
    mapping = filp.f_mapping
    places: XipPlaces | None = mapping.xip_cache
    if places is None or places.a_ops is not mapping.a_ops:
        if places is None and not inode.i_size and not pos and (moved := _write_first(filp, data)):
            return moved
        places = new_places(mapping)
    if places is None or not places.writable:
        return None
    if inode.i_mode & SET_ID_BITS:
        file_remove_suid(filp)
    mtime = inode.i_mtime
    if not (0 <= kernel.clock() - mtime < sb.s_time_gran and inode.i_ctime == mtime):
        file_update_time(filp)
    page = pos >> PAGE_SHIFT
    at = places.at.get(page)
    if at is None:
        get_xip_next = places.a_ops.get_xip_next
        if count == PAGE_SIZE and pos >= inode.i_size and get_xip_next is not None \
                and (kmem := get_xip_next(mapping, page)):
            at = places.at[page] = kmem + places.delta if places.start <= kmem < places.end \
                else _offset_in_storage(places, mapping, kmem, PAGE_SIZE)
        else:
            at = _find_or_allocate(mapping, places, page, count)
        if not places.writable:
            return None
    at += offset
    places.map[at:at + count] = data
    if end > inode.i_size:
        inode.i_size = end
        inode.i_dirty = True
    return count
