"""Buffers: blocks of a device in memory, and pages of a file made of such blocks.

    buffer cache   metadata. A buffer is one block of a device in a frame of the guest: it is read once,
                   changed in memory, marked dirty, and written back by sync, fsync or the last close.
                   Also on an XIP mount: only the data of regular files is used in place.
    page buffers   the page-cache pages of a file, block by block: where each lies on the device, and
                   whether memory or device has the newer bytes.

Interface: sb_bread(), sb_getblk(), mark_buffer_dirty(), mark_buffer_dirty_inode(), bforget(),
sync_dirty_buffer(), sync_dirty_buffers(), sync_mapping_buffers(); block_read_full_page(),
block_write_full_page(), block_write_begin(), generic_write_end(), block_truncate_page().

Two guests that mount one device each have a buffer cache of their own. Neither notices what the
other one writes: that is what happens in Linux, too.

Kernel: v3.6 fs/buffer.c
Differs: a buffer stays in memory until its device is closed; reclaim does not take it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from xiplab.linux.block.blk_core import transfer
from xiplab.linux.fs.inode import mark_inode_dirty
from xiplab.linux.include.blkdev import READ, WRITE, BlockDevice
from xiplab.linux.include.fs import NO_BUFFERS, AddressSpace, Inode, SuperBlock
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import (
    delete_from_page_cache,
    grab_cache_page_write_begin,
    isolate_lru_page,
    truncate_inode_pages,
)
from xiplab.linux.mm.page_alloc import alloc_page
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Block, Pgoff, block_to_sector, offset_in_page

GetBlock: TypeAlias = Callable[[Inode, int, bool], tuple[Block, bool]]
"""get_block(inode, iblock, create) -> (block of the device, 0 for a hole; whether it is new)."""


@dataclass(eq=False, slots=True)
class BufferHead:
    """One block of a device in memory.

    Attributes:
        b_page: its bytes: a part of a frame, as an array. b_data: the same bytes as a memoryview.
        b_uptodate: memory has the block's bytes. b_dirty: they are newer than the device's.
        b_mapped: b_blocknr is known (a file's block may be a hole). b_new: just allocated.
        b_offset: where in its page it begins. Kernel: bh_offset()
    """

    b_bdev: BlockDevice
    b_blocknr: Block
    b_page: Bytes
    b_uptodate: bool = False
    b_dirty: bool = False
    b_mapped: bool = True
    b_new: bool = False
    b_offset: int = 0
    b_data: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self.b_data = self.b_page.data

    def __str__(self) -> str:
        return f"{self.b_bdev} block {self.b_blocknr}"


def submit_bh(rw: int, bh: BufferHead) -> None:
    """Read or write the block and wait.

    Raises:
        OSError: EIO.
    """
    transfer(rw, bh.b_bdev, block_to_sector(bh.b_blocknr, len(bh.b_page)), bh.b_page)
    bh.b_uptodate = True


# The buffer cache


def getblk(bdev: BlockDevice, block: int) -> BufferHead:
    """The buffer of `block`, perhaps not uptodate.

    Raises:
        OSError: EIO past the end of the device; ENOMEM.
    """
    bh: BufferHead | None = bdev.bd_buffers.get(block)
    return _grow_buffers(bdev, block) if bh is None else bh


def _grow_buffers(bdev: BlockDevice, block: int) -> BufferHead:
    size = bdev.bd_block_size
    if block < 0 or (block + 1) * size > bdev.bd_size:
        raise OSError(errno.EIO, f"{bdev}: block {block} is past the end ({bdev.bd_size // size} blocks)")
    page = _grow_dev_page(bdev, Pgoff(block * size >> PAGE_SHIFT))
    offset = offset_in_page(block * size)
    bh = BufferHead(bdev, Block(block), page.frame[offset:offset + size], b_uptodate=page.uptodate)
    bdev.bd_buffers[block] = bh
    return bh


def _grow_dev_page(bdev: BlockDevice, index: Pgoff) -> Page:
    """The frame of the device's own mapping that holds the buffers of page `index`."""
    mapping = bdev.bd_mapping
    page = mapping.pages.get(index)
    if page is None:
        pfn = alloc_page(mapping.kernel, "buffer cache")
        mapping.pages = mapping.pages or {}
        page = mapping.pages[index] = Page(pfn, mapping.kernel.memory.frame(pfn), mapping, index)
    isolate_lru_page(page)
    return page


def bread(bdev: BlockDevice, block: int) -> BufferHead:
    """The buffer of `block`, read from the device if it was not in memory.

    Raises:
        OSError: EIO; ENOMEM.
    """
    bh = getblk(bdev, block)
    if not bh.b_uptodate:
        submit_bh(READ, bh)
    return bh


def sb_getblk(sb: SuperBlock, block: int) -> BufferHead:
    assert sb.s_bdev is not None
    return getblk(sb.s_bdev, block)


def sb_bread(sb: SuperBlock, block: int) -> BufferHead:
    """The buffer of `block` of a mounted file system, with its bytes.

    Raises:
        OSError: EIO; ENOMEM.
    """
    assert sb.s_bdev is not None
    bh: BufferHead | None = sb.s_bdev.bd_buffers.get(block)
    if bh is None or not bh.b_uptodate:
        return bread(sb.s_bdev, block)
    return bh


def mark_buffer_dirty(bh: BufferHead) -> None:
    """The buffer was changed: sync writes it."""
    bh.b_dirty = True


def mark_buffer_dirty_inode(bh: BufferHead, inode: Inode) -> None:
    """The same for an indirect block: fsync of `inode` writes it."""
    bh.b_dirty = True
    mapping = inode.i_mapping
    mapping.private_list = mapping.private_list or set()
    mapping.private_list.add(bh)


def bforget(bh: BufferHead) -> None:
    """The block was freed: what memory holds need not be written any more."""
    bh.b_dirty = False


def unmap_underlying_metadata(bdev: BlockDevice, block: int) -> None:
    """`block` becomes file data: an old buffer of it must not overwrite that."""
    bh = bdev.bd_buffers.get(block)
    if bh is not None:
        bh.b_dirty = False


def sync_dirty_buffer(bh: BufferHead) -> None:
    """Write one buffer if it is dirty; it stays dirty if that fails.

    Raises:
        OSError: EIO.
    """
    if bh.b_dirty:
        submit_bh(WRITE, bh)
        bh.b_dirty = False


def sync_dirty_buffers(bdev: BlockDevice) -> None:
    """Write all dirty buffers of the device, in the order of their blocks. Kernel: sync_blockdev()

    Raises:
        OSError: EIO of the first that failed; the others were tried.
    """
    _sync_buffers([bh for bh in bdev.bd_buffers.values() if bh.b_dirty])


def sync_mapping_buffers(mapping: AddressSpace) -> None:
    """Write the indirect blocks that were changed for this file.

    Raises:
        OSError: EIO.
    """
    _sync_buffers(list(mapping.private_list))
    mapping.private_list = NO_BUFFERS


def _sync_buffers(buffers: list[BufferHead]) -> None:
    failure: OSError | None = None
    for bh in sorted(buffers, key=lambda bh: bh.b_blocknr):
        try:
            sync_dirty_buffer(bh)
        except OSError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def invalidate_bdev(bdev: BlockDevice) -> None:
    """Drop all buffers of the device, dirty ones too, and give their frames back. Kernel: kill_bdev()"""
    truncate_inode_pages(bdev.bd_mapping, 0)
    bdev.bd_buffers.clear()


# Page buffers


def page_buffers(page: Page) -> list[BufferHead]:
    """The page's blocks; made on first use. A page that is dirty by then is dirty as a whole."""
    buffers: list[BufferHead] | None = page.private
    if buffers is None:
        mapping = page.mapping
        assert mapping is not None
        assert mapping.host is not None
        sb = mapping.host.i_sb
        assert sb.s_bdev is not None
        buffers = page.private = [
            BufferHead(sb.s_bdev, Block(0), page.frame[start:start + sb.s_blocksize],
                       b_uptodate=page.uptodate, b_dirty=page.dirty, b_mapped=False, b_offset=start)
            for start in range(0, PAGE_SIZE, sb.s_blocksize)]
    return buffers


def _host(page: Page) -> Inode:
    assert page.mapping is not None
    assert page.mapping.host is not None
    return page.mapping.host


def _map(page: Page, bh: BufferHead, get_block: GetBlock, create: bool) -> None:
    """Ask the file system where the block is; a hole stays unmapped unless `create`."""
    inode = _host(page)
    iblock = (page.index * PAGE_SIZE + bh.b_offset) // inode.i_sb.s_blocksize
    bh.b_blocknr, bh.b_new = get_block(inode, iblock, create)
    bh.b_mapped = bh.b_blocknr != 0
    if bh.b_new:
        unmap_underlying_metadata(bh.b_bdev, bh.b_blocknr)


def block_read_full_page(page: Page, get_block: GetBlock) -> None:
    """Fill a page from the device; holes and blocks past the end become zeros.

    Raises:
        OSError: what get_block answers; EIO. The page is not uptodate then.
    """
    inode = _host(page)
    page.locked = True
    try:
        for bh in page_buffers(page):
            if bh.b_uptodate:
                continue
            if not bh.b_mapped and page.index * PAGE_SIZE + bh.b_offset < inode.i_size:
                _map(page, bh, get_block, create=False)
            if bh.b_mapped:
                submit_bh(READ, bh)
            else:
                bh.b_page[:] = 0
                bh.b_uptodate = True
        page.uptodate = True
    finally:
        page.locked = False


def _block_write_begin(page: Page, pos: int, count: int, get_block: GetBlock) -> None:
    """Prepare the blocks that bytes pos..pos+count of the file touch: allocate those that are missing,
    read those that will be changed in part only.

    Kernel: __block_write_begin()
    Raises:
        OSError: ENOSPC, EIO; new blocks are full of zeros then.
    """
    begin = offset_in_page(pos)
    end = begin + count
    for bh in page.private or page_buffers(page):
        if bh.b_uptodate and bh.b_mapped:
            continue
        start = bh.b_offset
        stop = start + len(bh.b_data)
        if stop <= begin or start >= end:
            continue
        if not bh.b_mapped:
            _map(page, bh, get_block, create=True)
        if bh.b_new:
            bh.b_new = False
            if not page.uptodate:
                bh.b_data[:] = bytes(len(bh.b_data))
            bh.b_uptodate = True
            mark_buffer_dirty(bh)
            page.dirty = True
        elif not bh.b_uptodate and (start < begin or stop > end):
            submit_bh(READ, bh)


def block_write_begin(mapping: AddressSpace, pos: int, count: int, get_block: GetBlock) -> Page:
    """The page for a write of `count` bytes at `pos`, locked and with its blocks prepared.

    Raises:
        OSError: ENOSPC, EIO, ENOMEM; the page is unlocked then.
    """
    page = grab_cache_page_write_begin(mapping, pos >> PAGE_SHIFT)
    page.locked = True
    try:
        _block_write_begin(page, pos, count, get_block)
    except OSError:
        page.locked = False
        raise
    return page


def block_write_end(page: Page, pos: int, copied: int) -> int:
    """Bytes pos..pos+copied are in the page: its blocks are dirty. Returns how many of them count.

    A block of the device that was to be overwritten whole was not read; if the copy ended inside it,
    that part does not count.
    """
    begin = offset_in_page(pos)
    end = begin + copied
    complete = True
    for bh in page.private or page_buffers(page):
        start = bh.b_offset
        stop = start + len(bh.b_data)
        if start < end and stop > begin and (bh.b_uptodate or stop <= end):
            bh.b_uptodate = bh.b_dirty = page.dirty = True
        elif not bh.b_uptodate:
            complete = False
            if start < end and stop > begin:
                copied = max(start - begin, 0)
    if complete:
        page.uptodate = True
    return copied


def generic_write_end(mapping: AddressSpace, pos: int, copied: int, page: Page) -> int:
    """End a write: mark what was written, let the file grow, unlock. Returns how many bytes count."""
    inode = _host(page)
    copied = block_write_end(page, pos, copied)
    page.locked = False
    if copied and pos + copied > inode.i_size:
        inode.i_size = pos + copied
        mark_inode_dirty(inode)
    return copied


def block_write_full_page(page: Page, get_block: GetBlock) -> None:
    """Write the dirty blocks of the page; a block that is still missing is allocated now.

    Nothing past the end of the file is written; the rest of the last page is zeroed first.
    Raises:
        OSError: ENOSPC, EIO; blocks not written stay dirty.
    """
    inode = _host(page)
    inside = inode.i_size - page.index * PAGE_SIZE
    page.locked = True
    try:
        if 0 < inside < PAGE_SIZE:
            page.frame[inside:] = 0
        for bh in page_buffers(page):
            if bh.b_dirty and bh.b_offset < inside:
                if not bh.b_mapped:
                    _map(page, bh, get_block, create=True)
                    bh.b_new = False
                submit_bh(WRITE, bh)
            bh.b_dirty = False
    finally:
        page.locked = False


def block_truncate_page(mapping: AddressSpace, from_: int, get_block: GetBlock) -> None:
    """Zero the cached block that holds byte `from_`, from there to its end, and mark it dirty.

    Raises:
        OSError: what get_block answers; EIO. A hole needs nothing.
    """
    inode = mapping.host
    assert inode is not None
    size = inode.i_sb.s_blocksize
    if not from_ % size:
        return
    page = grab_cache_page_write_begin(mapping, from_ >> PAGE_SHIFT)
    page.locked = True
    try:
        bh = page_buffers(page)[offset_in_page(from_) // size]
        if not bh.b_mapped:
            _map(page, bh, get_block, create=False)
        if bh.b_mapped:
            if not bh.b_uptodate:
                submit_bh(READ, bh)
            bh.b_page[offset_in_page(from_) - bh.b_offset:] = 0
            mark_buffer_dirty(bh)
            page.dirty = True
    finally:
        page.locked = False
        if not page.uptodate and not page.dirty and not page.mapcount:
            delete_from_page_cache(page)


def block_invalidatepage(page: Page, offset: int) -> None:
    """The page's blocks from `offset` on were taken away from the file: they lie nowhere now."""
    for bh in page_buffers(page):
        if bh.b_offset >= offset:
            bh.b_mapped = bh.b_dirty = False


def has_blocks_behind(page: Page, size: int) -> bool:
    """Whether a block of the page is allocated behind byte `size` of the file. Kernel: none"""
    inside = size - page.index * PAGE_SIZE
    return any(bh.b_mapped and bh.b_offset >= inside for bh in page_buffers(page))


def generic_block_bmap(mapping: AddressSpace, block: int, get_block: GetBlock) -> Block:
    """Where block `block` of the file lies on the device; 0 for a hole."""
    assert mapping.host is not None
    return get_block(mapping.host, block, False)[0]
