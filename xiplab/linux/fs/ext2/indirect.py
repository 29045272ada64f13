"""From a block of a file to a block of the device, and how new blocks get into that map.

    i_data  0..11   the first 12 blocks
            12      an indirect block: 1,024 pointers (with 4 KiB blocks) to the next blocks
            13      a double indirect block: 1,024 pointers to indirect blocks
            14      a triple indirect block

    ext2_block_to_path   1,036 -> (13, 0, 0): the slot at each level
    ext2_get_branch      walks those slots; it ends early where a pointer is 0
    ext2_find_goal       where a missing block is best put
    ext2_alloc_blocks    takes all that is missing, indirect blocks first
    ext2_alloc_branch    fills the new indirect blocks, which nothing names yet
    ext2_splice_branch   stores the one pointer that makes all of it part of the file

Interface: ext2_get_block(), ext2_get_blocks(), ext2_block_runs(). A pointer of 0 is a hole.

Lock in Linux: truncate_mutex of the inode, from the search for a goal on.
Kernel: v3.6 fs/ext2/inode.c, first half (ext4 has it in a file of this name)
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from xiplab.linux.fs.buffer import (
    BufferHead,
    bforget,
    mark_buffer_dirty_inode,
    sb_bread,
    sb_getblk,
    sync_dirty_buffer,
)
from xiplab.linux.fs.ext2.append import ext2_take_next, ext2_window, task_goal
from xiplab.linux.fs.ext2.balloc import ext2_free_blocks, ext2_new_blocks
from xiplab.linux.fs.ext2.ext2 import (
    EXT2_I,
    EXT2_SB,
    Ext2InodeInfo,
    ext2_msg,
)
from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_DIND_BLOCK,
    EXT2_IND_BLOCK,
    EXT2_NDIR_BLOCKS,
    EXT2_TIND_BLOCK,
    POINTER,
)
from xiplab.linux.fs.inode import current_fs_time, mark_inode_dirty
from xiplab.linux.include.fs import MS_SYNCHRONOUS, S_IFDIR, S_IFMT, Inode, SuperBlock
from xiplab.units import Block

POINTER_DTYPE = np.dtype("<u4")

Indirect: TypeAlias = tuple[BufferHead | None, int, int]
"""A pointer on the way: (buffer that holds it, or None for the inode; its slot there; the block it names)."""


Leaf: TypeAlias = tuple[int, NDArray[np.uint32] | None, int]
"""Pointers of one indirect block, or a hole (None): (the first one's block of the file, they, how many)."""

LEAVES = 256
"""So many indirect blocks are looked at together: a gibibyte of a file."""


def addr_per_block(sb: SuperBlock) -> int:
    """Pointers in an indirect block. Kernel: EXT2_ADDR_PER_BLOCK()"""
    return sb.s_blocksize // POINTER.size


def pointers_of(bh: BufferHead) -> NDArray[np.uint32]:
    """An indirect block's pointers, in place."""
    return bh.b_page.view(POINTER_DTYPE)


def ext2_block_to_path(inode: Inode, iblock: int) -> tuple[tuple[int, ...], int]:
    """The slot at each level for block `iblock`, and how many slots follow it in the last array.

    Raises:
        OSError: EIO below 0, or above what three levels hold.
    """
    if 0 <= iblock < EXT2_NDIR_BLOCKS:
        return (iblock,), EXT2_NDIR_BLOCKS - 1 - iblock
    ptrs = inode.i_sb.s_blocksize // POINTER.size
    rest = iblock - EXT2_NDIR_BLOCKS
    if 0 <= rest < ptrs:
        return (EXT2_IND_BLOCK, rest), ptrs - 1 - rest
    rest -= ptrs
    if 0 <= rest < ptrs**2:
        return (EXT2_DIND_BLOCK, rest // ptrs, rest % ptrs), ptrs - 1 - rest % ptrs
    rest -= ptrs**2
    if 0 <= rest < ptrs**3:
        return (EXT2_TIND_BLOCK, rest // ptrs**2, rest // ptrs % ptrs, rest % ptrs), ptrs - 1 - rest % ptrs
    why = "block < 0" if iblock < 0 else "block is too big"
    ext2_msg(inode.i_sb, f"warning: ext2_block_to_path: {why}")
    raise OSError(errno.EIO, f"{inode}: block {iblock} (limit {EXT2_NDIR_BLOCKS + ptrs + ptrs**2 + ptrs**3})")


def ext2_get_branch(inode: Inode, offsets: Sequence[int]) -> list[Indirect]:
    """The pointers along `offsets`, up to and with the first that is 0.

    Raises:
        OSError: EIO if an indirect block cannot be read.
    """
    info: Ext2InodeInfo = inode.i_private
    key = info.i_data[offsets[0]]
    chain: list[Indirect] = [(None, offsets[0], key)]
    for slot in offsets[1:]:
        if not key:
            break
        bh = sb_bread(inode.i_sb, key)
        key = POINTER.unpack_from(bh.b_data, slot * 4)[0]
        chain.append((bh, slot, key))
    return chain


def ext2_find_near(inode: Inode, place: Indirect) -> int:
    """The nearest block to the left of the pointer's place; else the indirect block that holds it; else
    a place in the inode's group that depends on the task."""
    bh, slot, _ = place
    ei: Ext2InodeInfo = inode.i_private
    if bh is not None:
        pointers = pointers_of(bh)[:slot]
        used = np.flatnonzero(pointers)
        return pointers.item(used.item(-1)) if used.size else bh.b_blocknr
    for block in reversed(ei.i_data[:slot]):
        if block:
            return block
    return task_goal(inode)


def ext2_find_goal(inode: Inode, iblock: int, place: Indirect) -> int:
    """Where block `iblock` is best put: behind the last new block if it follows it in the file."""
    info = EXT2_I(inode)
    if iblock == info.last_alloc_logical_block + 1 and info.last_alloc_physical_block:
        return info.last_alloc_physical_block + 1
    return ext2_find_near(inode, place)


def ext2_blks_to_allocate(inode: Inode, place: Indirect, missing: int, wanted: int, boundary: int) -> int:
    """How many blocks of the file can be linked in one step: no more than `wanted`, all of one array, up
    to the first that is there already."""
    limit = min(wanted, boundary + 1)
    if missing:
        return limit
    bh, slot, _ = place
    if limit == 1:
        return 1
    if bh is None:
        slots = EXT2_I(inode).i_data[slot:slot + limit]
    else:
        slots = pointers_of(bh)[slot:slot + limit].tolist()
    return next((i for i, block in enumerate(slots) if block), limit)


def ext2_alloc_blocks(inode: Inode, goal: int, indirect: int, count: int) -> tuple[list[Block], int]:
    """Take `indirect` blocks and up to `count` data blocks in a row: (blocks, number of data blocks).

    The last of `blocks` is the first data block. Nothing stays taken if not all is to be had.
    Raises:
        OSError: ENOSPC, EIO.
    """
    if not indirect:
        first, num = ext2_new_blocks(inode, goal, count)
        return [first], num
    blocks: list[Block] = []
    while True:
        try:
            first, num = ext2_new_blocks(inode, goal, indirect - len(blocks) + count)
        except OSError:
            for block in blocks:
                ext2_free_blocks(inode, block, 1)
            raise
        for_indirect = min(indirect - len(blocks), num)
        blocks += [Block(first + i) for i in range(for_indirect)]
        if num > for_indirect:
            return [*blocks, Block(first + for_indirect)], num - for_indirect
        goal = first + num


def ext2_alloc_branch(inode: Inode, offsets: Sequence[int], blocks: Sequence[Block],
                      count: int) -> BufferHead:
    """Fill the new indirect blocks, each zero but for the pointer to what follows; returns the last.

    Args:
        offsets: the slot in each of them. blocks: they, and the first of `count` data blocks.
    Raises:
        OSError: ENOMEM, EIO; all the blocks are given back then.
    """
    buffers: list[BufferHead] = []
    try:
        for n, slot in enumerate(offsets):
            bh = sb_getblk(inode.i_sb, blocks[n])
            buffers.append(bh)
            bh.b_page[:] = 0
            bh.b_uptodate = True
            _store_pointers(inode, bh, slot, blocks[n + 1], count if n == len(offsets) - 1 else 1)
    except OSError:
        for bh in buffers:
            bforget(bh)
        for block in blocks[:-1]:
            ext2_free_blocks(inode, block, 1)
        ext2_free_blocks(inode, blocks[-1], count)
        raise
    return buffers[-1]


def _store_pointers(inode: Inode, bh: BufferHead | None, slot: int, block: int, count: int) -> None:
    """Let `count` slots of `bh` (None: of the inode) point to the blocks from `block` on."""
    if bh is None:
        EXT2_I(inode).i_data[slot:slot + count] = range(block, block + count)
        return
    if count == 1:
        POINTER.pack_into(bh.b_data, slot * POINTER.size, block)
    else:
        pointers_of(bh)[slot:slot + count] = np.arange(block, block + count)
    mark_buffer_dirty_inode(bh, inode)
    if inode.i_mode & S_IFMT == S_IFDIR and inode.i_sb.s_flags & MS_SYNCHRONOUS:
        sync_dirty_buffer(bh)


def ext2_splice_branch(inode: Inode, place: Indirect, block: int, count: int) -> None:
    """Store the pointer that was missing, or `count` of them: the new blocks belong to the file now."""
    bh, slot, _ = place
    _store_pointers(inode, bh, slot, block, count)
    inode.i_ctime = current_fs_time(inode.i_sb)
    mark_inode_dirty(inode)


def remember_allocation(inode: Inode, iblock: int, block: int, bh: BufferHead | None, slot: int) -> None:
    """The last new block: number `iblock` of the file is `block`, and slot `slot` of `bh` says so."""
    info: Ext2InodeInfo = inode.i_private
    info.last_alloc_logical_block, info.last_alloc_physical_block = iblock, block
    info.last_alloc_bh, info.last_alloc_slot, info.i_window = bh, slot, None


def ext2_get_blocks(inode: Inode, iblock: int, maxblocks: int, create: bool) -> tuple[Block, int, bool]:
    """Where block `iblock` of the file is, or make it: (block, how many, whether they are new).

    A hole gives block 0 unless `create`. New blocks come in a row, up to `maxblocks`. On an xip mount
    new data blocks are zeroed in place before they are linked.
    Raises:
        OSError: EIO a number that is too large, or an indirect block that cannot be read; ENOSPC, with
            nothing left allocated; what zeroing answers: then the blocks stay marked as used and belong
            to no file (Q12).
    """
    clear_target = EXT2_SB(inode.i_sb).s_clear_xip_target
    if create and maxblocks == 1 and (window := ext2_window(inode, iblock)) is not None:
        block = ext2_take_next(inode, window, clear_target)
        inode.i_ctime = current_fs_time(inode.i_sb)
        return block, 1, True
    offsets, boundary = ext2_block_to_path(inode, iblock)
    chain = ext2_get_branch(inode, offsets)
    bh, slot, key = place = chain[-1]
    if key or not create:
        return Block(key), 1, False
    missing = len(offsets) - len(chain)
    goal = ext2_find_goal(inode, iblock, place)
    count = ext2_blks_to_allocate(inode, place, missing, maxblocks, boundary)
    blocks, count = ext2_alloc_blocks(inode, goal, missing, count)
    first = blocks[-1]
    if missing:
        bh = ext2_alloc_branch(inode, offsets[len(chain):], blocks, count)
        slot = offsets[-1]
    if clear_target is not None:
        clear_target(inode, first, count)
    ext2_splice_branch(inode, place, blocks[0], 1 if missing else count)
    remember_allocation(inode, iblock + count - 1, first + count - 1, bh, slot + count - 1)
    return first, count, True


def ext2_get_block(inode: Inode, iblock: int, create: bool) -> tuple[Block, bool]:
    """Block `iblock` of the file on the device (0 for a hole), and whether it is new.

    Raises:
        OSError: as ext2_get_blocks.
    """
    block, _, new = ext2_get_blocks(inode, iblock, 1, create)
    return block, new


def ext2_block_runs(inode: Inode, first: int, count: int) -> Iterable[tuple[int, int, int]]:
    """The map of `count` blocks of the file from `first` on, as runs (iblock, block or 0, how many).

    Kernel: none (ext2_get_block, asked once for each block)
    Raises:
        OSError: EIO, on the way, for an indirect block that cannot be read or a number too large.
    """
    data: list[int] = inode.i_private.i_data
    end = first + count
    if end <= EXT2_NDIR_BLOCKS:
        return _direct_runs(data[first:end], first)
    indirect = _indirect_runs(inode, max(first, EXT2_NDIR_BLOCKS), end)
    if first >= EXT2_NDIR_BLOCKS:
        return indirect
    return itertools.chain(_direct_runs(data[first:EXT2_NDIR_BLOCKS], first), indirect)


def _direct_runs(blocks: list[int], first: int) -> list[tuple[int, int, int]]:
    """Pointers to blocks in a row, and zeros in a row, each as one run."""
    runs: list[tuple[int, int, int]] = []
    start = length = wanted = 0
    for block in blocks:
        if length and block == wanted:
            length += 1
        else:
            if length:
                runs.append((first, start, length))
                first += length
            start, length = block, 1
        wanted = block + 1 if block else 0
    if length:
        runs.append((first, start, length))
    return runs


def _indirect_runs(inode: Inode, first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The same for the blocks first..end-1, which hang on indirect blocks: LEAVES of them at a time."""
    row: list[NDArray[np.uint32]] = []
    row_start = first
    try:
        for start, pointers, count in _leaves(inode, first, end):
            if pointers is None or len(row) == LEAVES:
                yield from _runs(row, row_start)
                row, row_start = [], start
            if pointers is None:
                yield start, 0, count
                row_start = start + count
            else:
                row.append(pointers)
    except OSError:
        yield from _runs(row, row_start)
        raise
    yield from _runs(row, row_start)


def _leaves(inode: Inode, first: int, end: int) -> Iterator[Leaf]:
    """The pointers to the blocks first..end-1, from indirect block to indirect block."""
    data: list[int] = inode.i_private.i_data
    ptrs = addr_per_block(inode.i_sb)
    base = EXT2_NDIR_BLOCKS
    for level in (1, 2, 3):
        beyond = base + ptrs ** level
        if first < beyond and end > base:
            yield from _subtree_leaves(inode.i_sb, data[EXT2_IND_BLOCK - 1 + level], level, base,
                                       range(max(first, base), min(end, beyond)))
        base = beyond
    if end > base:
        ext2_block_to_path(inode, end - 1)


def _subtree_leaves(sb: SuperBlock, block: int, level: int, base: int, wanted: range) -> Iterator[Leaf]:
    """Those of the `wanted` blocks of the file below an indirect block; `base` is its first."""
    if not block:
        yield wanted.start, None, len(wanted)
        return
    pointers = pointers_of(sb_bread(sb, block))
    span = len(pointers) ** (level - 1)
    slots = range((wanted.start - base) // span, (wanted.stop - 1 - base) // span + 1)
    if level == 1:
        yield wanted.start, pointers[slots.start:slots.stop], len(slots)
        return
    for slot in slots:
        start = base + slot * span
        yield from _subtree_leaves(sb, pointers.item(slot), level - 1, start,
                                   range(max(wanted.start, start), min(wanted.stop, start + span)))


def _runs(row: list[NDArray[np.uint32]], first: int) -> Iterator[tuple[int, int, int]]:
    """As _direct_runs, for many pointers; `first` is the block of the file that the first one is for."""
    if not row:
        return
    pointers = np.concatenate(row)
    breaks = (np.flatnonzero(np.diff(pointers) != (pointers[:-1] != 0)) + 1).tolist()
    starts = [0, *breaks]
    for start, stop, block in zip(starts, [*breaks, len(pointers)], pointers[starts].tolist(), strict=True):
        yield first + start, block, stop - start
