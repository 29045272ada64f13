"""Free blocks: one bitmap block per group, one bit per block, 1 for taken.

    group 0              group 1              ...
    | b b i t t d d d |  | b b i t t d d d |          b  block bitmap   i  inode bitmap   t  inode table
      1 1 1 1 1 1 0 0      1 1 1 1 1 0 0 0            the group's bitmap, lowest bit of byte 0 first

A new block is searched from the goal (see ext2_find_goal) upward in its group, then in the groups
behind it, around the end: first within the 64 blocks of the goal, then a free byte (8 blocks in a
row), then any free bit. With several blocks asked for, those that follow in a row are taken, too.

Interface: ext2_new_blocks(), ext2_free_blocks(), ext2_get_group_desc(),
find_next_zero_bit().
A taken block belongs to nobody until the caller links it or gives it back.

Kernel: v3.6 fs/ext2/balloc.c, lib/find_next_bit.c
Differs: no reservation windows, so files written by turns get blocks by turns.
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.buffer import BufferHead, mark_buffer_dirty, sb_bread, sync_dirty_buffer
from xiplab.linux.fs.ext2.ext2 import EXT2_SB, Ext2Group, Ext2SbInfo, ext2_error
from xiplab.linux.fs.inode import mark_inode_dirty
from xiplab.linux.include.fs import MS_SYNCHRONOUS, Inode, SuperBlock
from xiplab.linux.include.sched import CAP_SYS_RESOURCE
from xiplab.units import SECTOR_SHIFT, Block

LOWEST_ZERO = bytes((~byte & byte + 1).bit_length() - 1 for byte in range(256))
"""The lowest bit of a byte that is zero; 8 if none is."""


def ext2_get_group_desc(sb: SuperBlock, group: int) -> Ext2Group:
    """The group number `group`.

    Raises:
        OSError: EIO if it does not exist.
    """
    groups = EXT2_SB(sb).s_groups
    if not 0 <= group < len(groups):
        ext2_error(sb, "ext2_get_group_desc", f"block_group >= groups_count - block_group = {group}, "
                                              f"groups_count = {len(groups)}")
        raise OSError(errno.EIO, f"{sb}: group {group} does not exist ({len(groups)} groups)")
    return groups[group]


def ext2_valid_block_bitmap(sb: SuperBlock, group: Ext2Group, bh: BufferHead) -> bool:
    """Whether the bitmap counts the group's own bitmaps and inode table as taken."""
    first = group.first_block
    table = group.inode_table - first
    taken = [group.block_bitmap - first, group.inode_bitmap - first,
             *range(table, table + EXT2_SB(sb).s_itb_per_group)]
    limit = len(bh.b_data) * 8
    valid = all(0 <= bit < limit and bh.b_data[bit >> 3] >> (bit & 7) & 1 for bit in taken)
    if not valid:
        ext2_error(sb, "ext2_valid_block_bitmap", "Invalid block bitmap - block_group = "
                   f"{EXT2_SB(sb).s_groups.index(group)}, block = {bh.b_blocknr}")
    return valid


def read_block_bitmap(sb: SuperBlock, group: Ext2Group) -> BufferHead:
    """The buffer of the group's block bitmap; what is wrong with it is logged when it is first read.

    Raises:
        OSError: EIO.
    """
    if group.block_bits is None:
        try:
            group.block_bits = sb_bread(sb, group.block_bitmap)
        except OSError:
            ext2_error(sb, "read_block_bitmap", "Cannot read block bitmap - block_group = "
                       f"{EXT2_SB(sb).s_groups.index(group)}, block_bitmap = {group.block_bitmap}")
            raise
        ext2_valid_block_bitmap(sb, group, group.block_bits)
    return group.block_bits


def group_end(info: Ext2SbInfo, group: Ext2Group) -> int:
    """How many blocks the group has: the last one may have fewer."""
    return min(info.s_blocks_per_group, info.s_blocks_count - group.first_block)


def group_adjust_blocks(sb: SuperBlock, group: Ext2Group, count: int) -> None:
    """`count` more blocks of the group are free (below 0: fewer)."""
    group.free_blocks += count
    group.store_counts()
    sb.s_fs_info.s_freeblocks_counter += count


def find_next_zero_bit(bitmap: memoryview, size: int, start: int) -> int:
    """The first zero bit among bits start..size-1, or `size`."""
    if start >= size:
        return size
    at = start >> 3
    byte = bitmap[at] | (1 << (start & 7)) - 1
    if byte == 0xFF:
        rest = bytes(bitmap[at + 1:(size + 7) >> 3])
        free = rest.lstrip(b"\xff")
        if not free:
            return size
        at += 1 + len(rest) - len(free)
        byte = free[0]
    return min(at * 8 + LOWEST_ZERO[byte], size)


def find_next_usable_block(bitmap: memoryview, start: int, end: int) -> int:
    """A free bit in start..end-1, or -1: close to `start`, else eight in a row, else any."""
    close = min((start + 63) & ~63, end)
    if close > start and (here := find_next_zero_bit(bitmap, close, start)) < close:
        return here
    free_byte = bytes(bitmap[start >> 3:(end + 7) >> 3]).find(b"\0")
    if free_byte >= 0:
        here = ((start >> 3) + free_byte) * 8
        if start <= here < end:
            return here
    here = find_next_zero_bit(bitmap, end, start)
    return here if here < end else -1


def _free_run(bitmap: memoryview, start: int, count: int) -> int:
    """How many of the `count` bits from `start` on are zero before the first that is not."""
    bits = _bits(bitmap, start, count)
    return min((bits & -bits).bit_length() - 1, count) if bits else count


def _bits(bitmap: memoryview, start: int, count: int) -> int:
    chunk = bitmap[start >> 3:(start + count + 7) >> 3]
    return int.from_bytes(chunk, "little") >> (start & 7) & (1 << count) - 1


def _flip_bits(bitmap: memoryview, start: int, bits: int, count: int) -> None:
    """Change the bits that are 1 in `bits`, which begins at bit `start`."""
    chunk = bitmap[start >> 3:(start + count + 7) >> 3]
    chunk[:] = (int.from_bytes(chunk, "little") ^ bits << (start & 7)).to_bytes(len(chunk), "little")


def _clear_bits(bitmap: memoryview, start: int, count: int) -> int:
    """Clear bits; returns how many were set."""
    if count == 1:
        at, mask = start >> 3, 1 << (start & 7)
        if not bitmap[at] & mask:
            return 0
        bitmap[at] ^= mask
        return 1
    taken = _bits(bitmap, start, count)
    _flip_bits(bitmap, start, taken, count)
    return taken.bit_count()


def ext2_try_to_allocate(bitmap: memoryview, goal: int, end: int, count: int) -> tuple[int, int]:
    """Take up to `count` bits in a row, from `goal` on (-1: anywhere): (first bit, how many).

    The first bit is -1 if the group has none before `end`.
    """
    if goal < 0 or bitmap[goal >> 3] >> (goal & 7) & 1:
        goal = find_next_usable_block(bitmap, max(goal, 0), end)
        if goal < 0:
            return -1, 0
    if count == 1:
        bitmap[goal >> 3] |= 1 << (goal & 7)
        return goal, 1
    num = _free_run(bitmap, goal, min(count, end - goal))
    _flip_bits(bitmap, goal, (1 << num) - 1, num)
    return goal, num


def ext2_has_free_blocks(sb: SuperBlock) -> bool:
    """Whether the running task may take a block: the last ones are reserved."""
    info = EXT2_SB(sb)
    if info.s_freeblocks_counter > info.s_r_blocks_count:
        return True
    cred = sb.s_kernel.current.cred
    privileged = (CAP_SYS_RESOURCE in cred.capabilities or cred.fsuid == info.s_resuid
                  or (info.s_resgid != 0 and info.s_resgid in cred.groups | {cred.fsgid}))
    return privileged and info.s_freeblocks_counter > 0


def ext2_new_blocks(inode: Inode, goal: int, count: int) -> tuple[Block, int]:
    """Take up to `count` blocks in a row, as close to `goal` as possible: (first block, how many).

    i_blocks grows by them.
    Raises:
        OSError: ENOSPC if none is free; EIO if a bitmap cannot be read, or lies.
    """
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    if info.s_freeblocks_counter <= info.s_r_blocks_count and not ext2_has_free_blocks(sb):
        raise no_space(sb)
    if not info.s_first_data_block <= goal < info.s_blocks_count:
        goal = info.s_first_data_block
    first, bit = divmod(goal - info.s_first_data_block, info.s_blocks_per_group)
    groups = info.s_groups
    for i in range(len(groups) + 1):
        group = groups[(first + i) % len(groups)]
        if group.free_blocks:
            block, num = _allocate_in_group(sb, group, -1 if i else bit, count)
            if num:
                inode.i_blocks += num * (sb.s_blocksize >> SECTOR_SHIFT)
                mark_inode_dirty(inode)
                return block, num
    raise no_space(sb)


def no_space(sb: SuperBlock) -> OSError:
    free = EXT2_SB(sb).s_freeblocks_counter
    return OSError(errno.ENOSPC, f"{sb}: no block is free ({free} left, some may be reserved)")


def _allocate_in_group(sb: SuperBlock, group: Ext2Group, bit: int, count: int) -> tuple[Block, int]:
    """Take blocks of one group; none (0, 0) if it is full."""
    info = EXT2_SB(sb)
    bh = read_block_bitmap(sb, group)
    end = group_end(info, group)
    while True:
        here, num = ext2_try_to_allocate(bh.b_data, bit, end, count)
        if here < 0:
            return Block(0), 0
        mark_buffer_dirty(bh)
        block = Block(group.first_block + here)
        if not in_system_zone(info.s_itb_per_group, group, block, num):
            break
        ext2_error(sb, "ext2_new_blocks",
                   f"Allocating block in system zone - blocks from {block}, length {num}")
    group_adjust_blocks(sb, group, -num)
    if sb.s_flags & MS_SYNCHRONOUS:
        sync_dirty_buffer(bh)
    return block, num


def in_system_zone(itb_per_group: int, group: Ext2Group, block: int, count: int) -> bool:
    """Whether one of the blocks is a bitmap or belongs to the inode table of that group, or is block 0,
    which stands for a hole."""
    last = block + count - 1
    return (not block or block <= group.block_bitmap <= last or block <= group.inode_bitmap <= last
            or (block < group.inode_table + itb_per_group and group.inode_table <= last))


def ext2_free_blocks(inode: Inode, block: int, count: int) -> None:
    """Give `count` blocks in a row back; i_blocks shrinks by those that were taken.

    A block outside the data area, or one that is free already, is logged as an error and skipped.
    Raises:
        OSError: EIO if a bitmap cannot be read.
    """
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    if block < info.s_first_data_block or block + count > info.s_blocks_count:
        ext2_error(sb, "ext2_free_blocks",
                   f"Freeing blocks not in datazone - block = {block}, count = {count}")
        return
    while count > 0:
        number, bit = divmod(block - info.s_first_data_block, info.s_blocks_per_group)
        here = min(count, info.s_blocks_per_group - bit)
        freed = _free_in_group(sb, info.s_groups[number], bit, here)
        inode.i_blocks = max(inode.i_blocks - freed * (sb.s_blocksize >> SECTOR_SHIFT), 0)
        block += here
        count -= here
    inode.i_dirty = True


def _free_in_group(sb: SuperBlock, group: Ext2Group, bit: int, count: int) -> int:
    """Clear bits of one group; returns how many were set."""
    block = group.first_block + bit
    bh = group.block_bits or read_block_bitmap(sb, group)
    if in_system_zone(sb.s_fs_info.s_itb_per_group, group, block, count):
        ext2_error(sb, "ext2_free_blocks",
                   f"Freeing blocks in system zones - Block = {block}, count = {count}")
        return 0
    freed = _clear_bits(bh.b_data, bit, count)
    if freed != count:
        ext2_error(sb, "ext2_free_blocks", f"bit already cleared for block {block}: {count - freed} of "
                                           f"{count} blocks")
    mark_buffer_dirty(bh)
    group_adjust_blocks(sb, group, freed)
    if sb.s_flags & MS_SYNCHRONOUS:
        sync_dirty_buffer(bh)
    return freed
