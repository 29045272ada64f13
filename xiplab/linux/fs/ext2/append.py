"""Files that grow block by block: the next block without a search.

The block behind the last new one of a file usually goes behind it on the device as well, and its
pointer into the slot behind the last pointer. A window keeps what is known of that place:

    file      | ...  | iblock |             its pointer: in slot `iblock - base` of `bh`, or of the inode
    device    | ...  | block  | ... last |  its bit: in the bitmap of `group`

The first block of a file needs no window: most files have no second one. Nothing is taken before it is
asked for, so nothing has to be given back, and the block is always the one that the long way would take.

Interface: ext2_find_first(), ext2_take_first(); ext2_window(), ext2_take_next(); task_goal(). Any other
allocation or truncation of the file ends the window (remember_allocation in indirect.py).

Kernel: none (ext2_get_blocks and ext2_new_blocks, for one block)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from xiplab.linux.fs.buffer import BufferHead, mark_buffer_dirty_inode
from xiplab.linux.fs.ext2.balloc import find_next_usable_block, group_end, in_system_zone
from xiplab.linux.fs.ext2.ext2 import COUNTS_AT, FREE_BLOCKS, Ext2InodeInfo, Ext2SbInfo, Ext2Window
from xiplab.linux.fs.ext2.ext2_fs import EXT2_NDIR_BLOCKS, POINTER
from xiplab.linux.include.fs import MS_SYNCHRONOUS, Inode
from xiplab.units import SECTOR_SHIFT, Block

ClearTarget: TypeAlias = Callable[[Inode, int, int], None]

_store_free_blocks = FREE_BLOCKS.pack_into
COLOURS = 16
"""Tasks start at different places of a group: pid modulo this."""


def task_goal(inode: Inode) -> int:
    """Where a file without blocks begins best: a place in the inode's group that depends on the task.

    Kernel: end of ext2_find_near()
    """
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    ei: Ext2InodeInfo = inode.i_private
    colour = sb.s_kernel.current.pid % COLOURS * (info.s_blocks_per_group // COLOURS)
    return info.s_groups[ei.i_block_group].first_block + colour


def ext2_find_first(inode: Inode) -> int:
    """The block that a file without blocks gets for its first one, if there is one in the inode's group
    behind the place it wants; else 0. Nothing is taken."""
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    ei: Ext2InodeInfo = inode.i_private
    group = info.s_groups[ei.i_block_group]
    bits = group.block_bits
    if bits is None or ei.i_data[0] or ei.last_alloc_physical_block or not group.free_blocks \
            or sb.s_flags & MS_SYNCHRONOUS or info.s_freeblocks_counter <= info.s_r_blocks_count:
        return 0
    first = group.first_block
    bit = sb.s_kernel.current.pid % COLOURS * (info.s_blocks_per_group // COLOURS)
    end = min(info.s_blocks_per_group, info.s_blocks_count - first)
    if bit >= end:
        return 0
    if bits.b_data[bit >> 3] >> (bit & 7) & 1:
        bit = find_next_usable_block(bits.b_data, bit, end)
    block = first + bit
    if bit < 0 or block in (0, group.block_bitmap, group.inode_bitmap) \
            or group.inode_table <= block < group.inode_table + info.s_itb_per_group:
        return 0
    return block


def ext2_take_first(inode: Inode, block: int, clear_target: ClearTarget | None = None) -> None:
    """Take what ext2_find_first() found, clear it in place, and make it the file's first block.

    Raises:
        OSError: as ext2_take_next.
    """
    ei: Ext2InodeInfo = inode.i_private
    info: Ext2SbInfo = inode.i_sb.s_fs_info
    group = info.s_groups[ei.i_block_group]
    bits = group.block_bits
    assert bits is not None
    bit = block - group.first_block
    bits.b_data[bit >> 3] |= 1 << (bit & 7)
    bits.b_dirty = True
    group.free_blocks -= 1
    _store_free_blocks(group.desc.b_data, group.offset + COUNTS_AT, group.free_blocks & 0xFFFF)
    group.desc.b_dirty = True
    info.s_freeblocks_counter -= 1
    inode.i_blocks += inode.i_sb.s_blocksize >> SECTOR_SHIFT
    inode.i_dirty = True
    if clear_target is not None:
        clear_target(inode, block, 1)
    ei.i_data[0] = block
    ei.last_alloc_logical_block, ei.last_alloc_physical_block, ei.last_alloc_slot = 0, block, 0
    ei.last_alloc_bh = ei.i_window = None


def ext2_window(inode: Inode, iblock: int) -> Ext2Window | None:
    """The window with the next block of the device for block `iblock` of the file; None if there is
    none, or if that block is taken."""
    ei: Ext2InodeInfo = inode.i_private
    window = ei.i_window
    if window is None:
        window = _open_window(inode, iblock)
        if window is None:
            return None
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    block, group = window.block, window.group
    bit = block - group.first_block
    if (iblock != window.iblock or block > window.last or window.bits.b_data[bit >> 3] >> (bit & 7) & 1
            or sb.s_flags & MS_SYNCHRONOUS or info.s_freeblocks_counter <= info.s_r_blocks_count
            or not group.free_blocks):
        ei.i_window = None
        return None
    return window


def _open_window(inode: Inode, iblock: int) -> Ext2Window | None:
    """A window behind the last new block, or for the first block of a file; None if its group ends there.

    It ends where the group, its free space or the array of pointers does.
    """
    ei: Ext2InodeInfo = inode.i_private
    info: Ext2SbInfo = inode.i_sb.s_fs_info
    if ei.last_alloc_physical_block:
        goal = ei.last_alloc_physical_block + 1
        iblock, bh, slot = ei.last_alloc_logical_block + 1, ei.last_alloc_bh, ei.last_alloc_slot + 1
    elif not iblock:
        goal, bh, slot = task_goal(inode), None, 0
    else:
        return None
    number, bit = divmod(goal - info.s_first_data_block, info.s_blocks_per_group)
    if goal >= info.s_blocks_count or (bits := info.s_groups[number].block_bits) is None:
        return None
    group = info.s_groups[number]
    end = group_end(info, group)
    if bits.b_data[bit >> 3] >> (bit & 7) & 1:
        bit = find_next_usable_block(bits.b_data, bit, end)
    block = group.first_block + bit
    if bit < 0 or in_system_zone(info.s_itb_per_group, group, block, 1):
        return None
    last = min(group.first_block + end, block + _free_slots(ei, bh, slot)) - 1
    for barrier in (group.block_bitmap, group.inode_bitmap, group.inode_table):
        if block < barrier <= last:
            last = barrier - 1
    window = ei.i_window = Ext2Window(iblock, block, last, group, bits, bh, iblock - slot)
    return window


def _free_slots(ei: Ext2InodeInfo, bh: BufferHead | None, slot: int) -> int:
    """How many pointers follow from `slot` on in an indirect block or (None) in the inode; none if one of
    them is used."""
    if bh is None:
        return 0 if any(ei.i_data[slot:EXT2_NDIR_BLOCKS]) else EXT2_NDIR_BLOCKS - slot
    at = slot * POINTER.size
    return 0 if bh.b_page[at:].any() else (len(bh.b_data) - at) // POINTER.size


def ext2_take_next(inode: Inode, window: Ext2Window, clear_target: ClearTarget | None = None) -> Block:
    """Take the window's block, clear it in place, make it part of the file, and move the window behind it.

    Raises:
        OSError: what clearing answers; the block stays marked as used then and belongs to no file (Q12).
    """
    ei: Ext2InodeInfo = inode.i_private
    info: Ext2SbInfo = inode.i_sb.s_fs_info
    iblock, block, group, bits, bh = window.iblock, window.block, window.group, window.bits, window.bh
    bit, slot = block - group.first_block, iblock - window.base
    bits.b_data[bit >> 3] |= 1 << (bit & 7)
    bits.b_dirty = True
    group.take_block()
    info.s_freeblocks_counter -= 1
    inode.i_blocks += inode.i_sb.s_blocksize >> SECTOR_SHIFT
    inode.i_dirty = True
    if clear_target is not None:
        clear_target(inode, block, 1)
    if bh is None:
        ei.i_data[slot] = block
    else:
        POINTER.pack_into(bh.b_data, slot * 4, block)
        mark_buffer_dirty_inode(bh, inode)
    ei.last_alloc_logical_block, ei.last_alloc_physical_block, ei.last_alloc_slot = iblock, block, slot
    window.iblock = iblock + 1
    window.block = block + 1
    return Block(block)
