"""Execute-in-place on ext2: from a page of a file to the frame of the device.

    page of the file --ext2_get_block--> block --x 8--> sector --direct_access--> address and frame

The device must have direct_access, and a block must be a page.

Interface: ext2_xip_verify_sb(), ext2_get_xip_mem(), ext2_get_xip_runs(), ext2_clear_xip_target().

Kernel: v3.6 fs/ext2/xip.c
Differs: asks the block map for one block; until 3.13 Linux asked for none, which the allocator took
for one (Q13).
"""

from __future__ import annotations

import errno

import numpy as np

from xiplab.errors import NoData, bug_on
from xiplab.linux.fs.block_dev import bdev_direct_access, bdev_direct_access_run
from xiplab.linux.fs.buffer import mark_buffer_dirty_inode
from xiplab.linux.fs.ext2.append import ext2_find_first, ext2_take_first, ext2_take_next, ext2_window
from xiplab.linux.fs.ext2.ext2 import (
    COUNTS_AT,
    EXT2_MOUNT_XIP,
    EXT2_SB,
    FREE_BLOCKS,
    Ext2InodeInfo,
    Ext2SbInfo,
    Ext2Window,
    Ext2XipRun,
    ext2_msg,
)
from xiplab.linux.fs.ext2.ext2_fs import EXT2_NDIR_BLOCKS, POINTER
from xiplab.linux.fs.ext2.indirect import ext2_block_runs, ext2_get_blocks
from xiplab.linux.include.fs import MS_SYNCHRONOUS, AddressSpace, Inode, SuperBlock, XipRun
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, SECTOR_SHIFT, Pfn, Pgoff, block_to_sector

ZERO_PAGE = bytes(PAGE_SIZE)
PAGE_SECTORS = PAGE_SIZE >> SECTOR_SHIFT
_store_free_blocks = FREE_BLOCKS.pack_into
_store_pointer = POINTER.pack_into


def ext2_use_xip(sb: SuperBlock) -> bool:
    return bool(EXT2_SB(sb).s_mount_opt & EXT2_MOUNT_XIP)


def ext2_xip_verify_sb(sb: SuperBlock) -> None:
    """Take the xip option back, with a warning, if the device has no direct_access."""
    assert sb.s_bdev is not None
    if ext2_use_xip(sb) and sb.s_bdev.bd_disk.fops.direct_access is None:
        EXT2_SB(sb).s_mount_opt &= ~EXT2_MOUNT_XIP
        ext2_msg(sb, "warning: ignoring xip option - not supported by bdev")


def _inode_direct_access(inode: Inode, block: int) -> tuple[int, Pfn]:
    """Address and frame of a block. Kernel: __inode_direct_access()"""
    bdev = inode.i_sb.s_bdev
    assert bdev is not None
    return bdev_direct_access(bdev, block_to_sector(block, PAGE_SIZE))


def _get_block(inode: Inode, pgoff: Pgoff, create: bool) -> int:
    """The block of page `pgoff`. Kernel: __ext2_get_block()"""
    block = ext2_get_blocks(inode, pgoff, 1, create)[0]
    if not block:
        bug_on(create, f"{inode}: no block for page {pgoff}")
        raise NoData(f"{inode}: page {pgoff} is a hole")
    return block


def ext2_clear_xip_target(inode: Inode, block: int, count: int = 1) -> None:
    """Zero new blocks where they lie, before the file gets them.

    Raises:
        OSError: what direct_access answers.
    """
    memory = inode.i_sb.s_kernel.memory
    while count:
        kaddr, _, n = _device_run(inode.i_sb, block, count)
        if n == 1:
            memory.span(kaddr, PAGE_SIZE, "store")[:] = ZERO_PAGE
            return
        np.asarray(memory.span(kaddr, n * PAGE_SIZE, "store"))[:] = 0
        block += n
        count -= n


def ext2_get_xip_mem(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
    """The page of storage behind page `pgoff`: its address and its frame.

    Raises:
        NoData: a hole, and not `create`.
        OSError: EIO, ENOSPC from the block map; ENODEV, EINVAL, ERANGE from direct_access.
    """
    inode = mapping.host
    assert inode is not None
    return _inode_direct_access(inode, _get_block(inode, pgoff, create))


def ext2_get_xip_next(mapping: AddressSpace, pgoff: int) -> int:
    """The address of a new block for page `pgoff`, which follows the last new one of the file; 0 if that
    is not as simple as it sounds: then ext2_get_xip_mem does it, and says what is wrong. Not zeroed.

    In the middle of a window it does what ext2_window() and ext2_take_next() do.

    Kernel: none (get_xip_mem)
    """
    inode = mapping.host
    assert inode is not None
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    ei: Ext2InodeInfo = inode.i_private
    window = ei.i_window
    if window is None or not window.kaddr:
        return _begin_window(inode, pgoff)
    group, bits, bh, block = window.group, window.bits, window.bh, window.block
    at, mask = block - group.first_block >> 3, 1 << (block - group.first_block & 7)
    if pgoff != window.iblock or block > window.last or bits.b_data[at] & mask or not group.free_blocks \
            or sb.s_flags & MS_SYNCHRONOUS or info.s_freeblocks_counter <= info.s_r_blocks_count:
        ei.i_window = None
        return _begin_window(inode, pgoff)
    bits.b_data[at] |= mask
    bits.b_dirty = True
    group.free_blocks -= 1
    _store_free_blocks(group.desc.b_data, group.offset + COUNTS_AT, group.free_blocks & 0xFFFF)
    group.desc.b_dirty = True
    info.s_freeblocks_counter -= 1
    inode.i_blocks += PAGE_SECTORS
    inode.i_dirty = True
    slot = pgoff - window.base
    if bh is None:
        ei.i_data[slot] = block
    else:
        _store_pointer(bh.b_data, slot * 4, block)
        bh.b_dirty = True
        if bh not in mapping.private_list:
            mark_buffer_dirty_inode(bh, inode)
    ei.last_alloc_logical_block, ei.last_alloc_physical_block, ei.last_alloc_slot = pgoff, block, slot
    window.iblock = pgoff + 1
    window.block = block + 1
    return window.kaddr + (block << PAGE_SHIFT)


def _begin_window(inode: Inode, pgoff: int) -> int:
    """The same for the first block of a file, and where a window begins."""
    if not pgoff and (block := ext2_find_first(inode)):
        try:
            kaddr, _, _ = _device_run(inode.i_sb, block, 1)
        except OSError:
            return 0
        ext2_take_first(inode, block)
        return kaddr
    window = ext2_window(inode, pgoff)
    if window is None or not _address_window(inode, window):
        return 0
    return window.kaddr + (ext2_take_next(inode, window) << PAGE_SHIFT)


def _address_window(inode: Inode, window: Ext2Window) -> bool:
    """Find the address of the window's blocks, as many as lie in a row; whether there is one."""
    block = window.block
    try:
        kaddr, _, n = _device_run(inode.i_sb, block, window.last + 1 - block)
    except OSError:
        return False
    window.kaddr, window.last = kaddr - (block << PAGE_SHIFT), block + n - 1
    return True


def ext2_get_xip_runs(mapping: AddressSpace, pgoff: Pgoff, npages: int, create: bool) -> list[XipRun]:
    """The frames behind `npages` pages from `pgoff` on, as runs: (page, first frame or None, how many).

    With `create`, `pgoff` is a hole, and gets blocks in a row with as many of the pages behind it as can
    be had in one step.

    Kernel: none (get_xip_mem, asked for each page)
    Raises:
        OSError: as ext2_get_xip_mem, if it is the first page that has the error; else the pages
            before it are returned. EOPNOTSUPP if the driver's address of a page is not its frame's, so
            that a run says too little.
    """
    inode = mapping.host
    assert inode is not None
    if create:
        return _new_runs(inode, pgoff, npages)
    if pgoff + npages <= EXT2_NDIR_BLOCKS and not tp_copy.probes and (run := _only_run(inode, pgoff, npages)):
        return [run]
    runs: list[XipRun] = []
    try:
        for first, block, count in ext2_block_runs(inode, pgoff, npages):
            if block:
                _add_frames(runs, inode, first, block, count)
            else:
                _add_run(runs, first, None, count)
    except OSError:
        if not runs:
            raise
    return runs


def _only_run(inode: Inode, pgoff: Pgoff, npages: int) -> XipRun | None:
    """The pages of a small file if they all lie in a row; else None."""
    blocks: list[int] = inode.i_private.i_data[pgoff:pgoff + npages]
    first = blocks[0] if blocks else 0
    if not first or (npages > 1 and blocks != list(range(first, first + npages))):
        return None
    try:
        kaddr, pfn, n = _device_run(inode.i_sb, first, npages)
    except OSError:
        return None
    return (pgoff, Pfn(pfn), npages) if n == npages and kaddr == pfn << PAGE_SHIFT else None


def _new_runs(inode: Inode, pgoff: int, npages: int) -> list[XipRun]:
    """Blocks for the hole at `pgoff` and, in a row, as many behind it as one step gives."""
    block, count, _ = ext2_get_blocks(inode, pgoff, npages, True)
    runs: list[XipRun] = []
    _add_frames(runs, inode, pgoff, block, count)
    return runs


def _add_frames(runs: list[XipRun], inode: Inode, pgoff: int, block: int, count: int) -> None:
    """Add the frames of `count` blocks in a row, which are the file's pages from `pgoff` on."""
    while count:
        kaddr, pfn, n = _device_run(inode.i_sb, block, count)
        if kaddr != pfn << PAGE_SHIFT:
            raise OSError(errno.EOPNOTSUPP, f"{inode}: page {pgoff} is at {kaddr:#x}, but its frame is "
                                            f"{pfn:#x}")
        _add_run(runs, pgoff, pfn, n)
        pgoff += n
        block += n
        count -= n


def _add_run(runs: list[XipRun], pgoff: int, pfn: int | None, count: int) -> None:
    """Add pages, which follow the last run, to it or as a run of their own."""
    if runs:
        first, frame, npages = runs[-1]
        if pfn is None if frame is None else pfn == frame + npages:
            runs[-1] = first, frame, npages + count
            return
    runs.append((Pgoff(pgoff), None if pfn is None else Pfn(pfn), count))


def _device_run(sb: SuperBlock, block: int, count: int) -> tuple[int, int, int]:
    """(address, frame, how many) for as many of `count` blocks from `block` on as lie in a row.

    What the driver answers is kept: it counts as long as the device is open. A driver's function that was
    put in since is asked, and while somebody records each question is asked.
    Raises:
        OSError: as bdev_direct_access.
    """
    info: Ext2SbInfo = sb.s_fs_info
    bdev = sb.s_bdev
    assert bdev is not None
    run = info.s_xip_run
    asked = bdev.bd_disk.fops.direct_access_run
    if run is None or run.asked is not asked or not run.first <= block < run.end:
        sector = block_to_sector(block, PAGE_SIZE)
        if asked is None or tp_copy.probes:
            return bdev_direct_access_run(bdev, sector, count) if count > 1 \
                else (*bdev_direct_access(bdev, sector), 1)
        kaddr, pfn, n = bdev_direct_access_run(bdev, sector, max(info.s_blocks_count - block, 1))
        run = info.s_xip_run = Ext2XipRun(asked, block, block + n, kaddr - (block << PAGE_SHIFT), pfn - block)
    left = run.end - block
    return run.kaddr + (block << PAGE_SHIFT), run.pfn + block, count if count < left else left
