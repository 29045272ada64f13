"""Taking blocks away from a file: from its end, or all of them when it is deleted.

    ext2_truncate_blocks   every pointer from a block of the file on: direct ones, the part of an
                           indirect block that lies behind the cut, whole subtrees
    ext2_free_branches     a subtree, from its leaves up
    ext2_free_data         blocks of data, run by run

A pointer is cleared before what it points to is freed, so a corrupt file whose indirect blocks point
to each other ends, too: no pointer is followed twice.

Kernel: v3.6 fs/ext2/inode.c, second half
Differs: one recursion instead of ext2_find_shared() and its chain; the same blocks are freed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xiplab.linux.fs.buffer import BufferHead, bforget, mark_buffer_dirty_inode, sb_bread
from xiplab.linux.fs.ext2.balloc import ext2_free_blocks
from xiplab.linux.fs.ext2.ext2 import EXT2_SB, Ext2InodeInfo, ext2_error
from xiplab.linux.fs.ext2.ext2_fs import EXT2_IND_BLOCK, EXT2_NDIR_BLOCKS
from xiplab.linux.fs.ext2.indirect import addr_per_block, pointers_of, remember_allocation
from xiplab.linux.fs.inode import mark_inode_dirty
from xiplab.linux.include.fs import Inode


def ext2_free_data(inode: Inode, blocks: NDArray[np.uint32]) -> None:
    """Free blocks of data. Those that cannot be right are logged once and left alone."""
    used = blocks[blocks != 0]
    distinct = np.unique(used)
    if distinct.size < used.size:
        ext2_error(inode.i_sb, "ext2_free_data", f"{inode}: {used.size - distinct.size} pointers name "
                                                 "a block for the second time")
    info = EXT2_SB(inode.i_sb)
    valid = distinct[(distinct >= info.s_first_data_block) & (distinct < info.s_blocks_count)]
    if valid.size < distinct.size:
        ext2_error(inode.i_sb, "ext2_free_blocks", f"Freeing blocks not in datazone - {inode}, "
                                                   f"count = {distinct.size - valid.size}")
    for run in np.split(valid, np.flatnonzero(np.diff(valid) != 1) + 1):
        if run.size:
            ext2_free_blocks(inode, run.item(0), run.size)


def _free_direct(inode: Inode, first: int) -> None:
    """Free the direct blocks from `first` on. Most files are this small, so no arrays are made."""
    data: list[int] = inode.i_private.i_data
    used = [block for block in data[first:EXT2_NDIR_BLOCKS] if block]
    data[first:EXT2_NDIR_BLOCKS] = [0] * (EXT2_NDIR_BLOCKS - first)
    start = count = 0
    for block in used:
        if count and block == start + count:
            count += 1
            continue
        if count:
            ext2_free_blocks(inode, start, count)
        start, count = block, 1
    if count:
        ext2_free_blocks(inode, start, count)


def _read_indirect(inode: Inode, block: int) -> BufferHead | None:
    """The indirect block; None, and an error in the log, if it cannot be read: its blocks are lost."""
    try:
        return sb_bread(inode.i_sb, block)
    except OSError:
        ext2_error(inode.i_sb, "ext2_free_branches", f"Read failure, inode={inode.i_ino}, block={block}")
        return None


def ext2_free_branches(inode: Inode, block: int, level: int) -> None:
    """Free an indirect block of `level` (1 to 3) and all that it leads to."""
    bh = _read_indirect(inode, block)
    if bh is None:
        return
    _free_slots(inode, bh, level, 0)
    bforget(bh)
    ext2_free_blocks(inode, block, 1)


def _free_slots(inode: Inode, bh: BufferHead, level: int, first: int) -> None:
    """Free what the pointers from slot `first` on lead to."""
    pointers = pointers_of(bh)[first:]
    blocks = pointers[pointers != 0]
    if not blocks.size:
        return
    pointers[:] = 0
    mark_buffer_dirty_inode(bh, inode)
    if level == 1:
        ext2_free_data(inode, blocks)
    else:
        for block in blocks.tolist():
            ext2_free_branches(inode, block, level - 1)


def _truncate_subtree(inode: Inode, block: int, level: int, keep: int) -> bool:
    """Keep the first `keep` (> 0) blocks of the file below an indirect block.

    True if only holes are left: then the indirect block itself is freed, too.
    """
    bh = _read_indirect(inode, block)
    if bh is None:
        return False
    pointers = pointers_of(bh)
    whole, part = divmod(keep, len(pointers) ** (level - 1))
    if part:
        child = pointers.item(whole)
        if child and _truncate_subtree(inode, child, level - 1, part):
            pointers[whole] = 0
            mark_buffer_dirty_inode(bh, inode)
        whole += 1
    _free_slots(inode, bh, level, whole)
    if pointers.any():
        return False
    bforget(bh)
    ext2_free_blocks(inode, block, 1)
    return True


def ext2_truncate_blocks(inode: Inode, offset: int) -> None:
    """Free all blocks of the file that lie behind byte `offset`.

    What cannot be read or is no block is logged, and stays allocated.
    """
    sb = inode.i_sb
    ei: Ext2InodeInfo = inode.i_private
    data = ei.i_data
    first = -(-offset // sb.s_blocksize)
    if first < EXT2_NDIR_BLOCKS:
        _free_direct(inode, first)
    ptrs = addr_per_block(sb)
    base = EXT2_NDIR_BLOCKS
    for level in (1, 2, 3) if any(data[EXT2_IND_BLOCK:]) else ():
        slot = EXT2_IND_BLOCK - 1 + level
        block = data[slot]
        if block and first <= base:
            data[slot] = 0
            ext2_free_branches(inode, block, level)
        elif block and first < base + ptrs ** level and _truncate_subtree(inode, block, level, first - base):
            data[slot] = 0
        base += ptrs ** level
    inode.i_mapping.xip_cache = None
    remember_allocation(inode, 0, 0, None, 0)
    mark_inode_dirty(inode)
