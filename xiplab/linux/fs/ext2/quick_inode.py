"""Inodes of small files, quickly: a new one, one that is read, the end of one.

Each function does in one go what several of the long form's do, if all that it needs is in memory and
nothing is special; else, before anything has changed, it answers None, or calls the long form:

    here                      long form
    ext2_new_inode_quick      ext2_new_inode: the number, the counts, the owner, the tables
    ext2_iget_quick           ext2_iget: the record, field by field
    ext2_evict_inode_quick    ext2_evict_inode: write_inode, ext2_truncate_blocks, ext2_free_inode

See quick.py for what is special, and for the test that both forms agree.

Kernel: none (v3.6 fs/ext2/ialloc.c and inode.c, as named above)
"""

from __future__ import annotations

import struct

from xiplab.linux.fs.buffer import BufferHead
from xiplab.linux.fs.ext2.balloc import LOWEST_ZERO, ext2_free_blocks, find_next_zero_bit
from xiplab.linux.fs.ext2.ext2 import (
    COUNTS,
    COUNTS_AT,
    EXT2_MOUNT_NO_UID32,
    NSEC_PER_SEC,
    Ext2Group,
    Ext2InodeInfo,
    Ext2SbInfo,
)
from xiplab.linux.fs.ext2.ext2_fs import EXT2_INODE_FORMAT, EXT2_N_BLOCKS
from xiplab.linux.fs.ext2.inode import ext2_evict_inode, ext2_get_inode, store_inode
from xiplab.linux.include.fs import (
    MS_SYNCHRONOUS,
    NO_BUFFERS,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    AddressSpace,
    Inode,
    SuperBlock,
)
from xiplab.linux.mm.filemap import truncate_inode_pages
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SIZE, SECTOR_SHIFT, Ino

SMALL = struct.Struct("<HHIIIIIHHIII I 56x I 24x")
"""EXT2_INODE_FORMAT of a file with no more than its first block: the other pointers, and what stands behind
the generation, are zero."""
_store_small = SMALL.pack_into
_unpack_inode = EXT2_INODE_FORMAT.unpack_from
_store_counts = COUNTS.pack_into


def ext2_new_inode_quick(directory: Inode, number: int, mode: int) -> Inode | None:
    """A fresh inode of group `number`, which inherits nothing; None: ask ext2_new_inode()."""
    sb = directory.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    group = info.s_groups[number]
    bh = group.inode_bits
    first = group.first_free_inode
    if bh is None or first >= info.s_inodes_per_group:
        return None
    bits = bh.b_data
    free = LOWEST_ZERO[bits[first >> 3] | (1 << (first & 7)) - 1]
    bit = (first & ~7) + free if free < 8 else find_next_zero_bit(bits, info.s_inodes_per_group, first)
    ino = Ino(number * info.s_inodes_per_group + bit + 1)
    if bit >= info.s_inodes_per_group or not info.s_first_ino <= ino <= info.s_inodes_count \
            or ino in sb.s_inodes:
        return None
    bits[bit >> 3] |= 1 << (bit & 7)
    bh.b_dirty = True
    group.first_free_inode = bit
    group.free_inodes -= 1
    info.s_freeinodes_counter -= 1
    kind = mode & S_IFMT
    if kind == S_IFDIR:
        group.used_dirs += 1
        info.s_dirs_counter += 1
        group.debt = min(group.debt + 1, 255)
    elif group.debt:
        group.debt -= 1
    _store_counts(group.desc.b_data, group.offset + COUNTS_AT, group.free_blocks & 0xFFFF,
                  group.free_inodes & 0xFFFF, group.used_dirs & 0xFFFF)
    group.desc.b_dirty = True
    kernel = sb.s_kernel
    cred = kernel.current.cred
    now = kernel.clock()
    now -= now % sb.s_time_gran
    i_op, i_fop, a_ops = info.s_inode_tables[kind]
    inode = sb.s_inodes[ino] = Inode(
        sb, ino, mode, 1, cred.fsuid, cred.fsgid, 0, 0, now, now, now, 0, 0, 1, 0, True, i_op, i_fop)
    inode.i_mapping = AddressSpace(inode, a_ops, kernel)
    inode.i_private = Ext2InodeInfo(number, [0] * EXT2_N_BLOCKS, i_generation=info.s_next_generation,
                                    i_new=True)
    info.s_next_generation = info.s_next_generation + 1 & 0xFFFFFFFF
    return inode


def ext2_iget_quick(sb: SuperBlock, ino: Ino) -> Inode | None:
    """An ordinary file or directory whose record is in memory: ext2_iget(). None: ask that."""
    info: Ext2SbInfo = sb.s_fs_info
    number, index = divmod(ino - 1, info.s_inodes_per_group)
    if not info.s_first_ino <= ino <= info.s_inodes_count or number >= info.s_groups_count or tp_copy.probes:
        return None
    block, offset = divmod(index * info.s_inode_size, PAGE_SIZE)
    assert sb.s_bdev is not None
    bh: BufferHead | None = sb.s_bdev.bd_buffers.get(info.s_groups[number].inode_table + block)
    if bh is None or not bh.b_uptodate or sb.s_blocksize != PAGE_SIZE:
        return None
    (mode, uid, size, atime, ctime, mtime, _, gid, links, blocks, flags, _, *i_block, generation, file_acl,
     dir_acl, faddr, frag, fsize, _, uid_high, gid_high, _) = _unpack_inode(bh.b_data, offset)
    kind = mode & S_IFMT
    tables = info.s_inode_tables.get(kind)
    if not links or flags or kind not in (S_IFREG, S_IFDIR) or tables is None \
            or (atime | ctime | mtime | dir_acl) >> 31 or info.s_mount_opt & EXT2_MOUNT_NO_UID32:
        return None
    if kind == S_IFREG:
        size |= dir_acl << 32
        dir_acl = 0
    i_op, i_fop, a_ops = tables
    inode = sb.s_inodes[ino] = Inode(
        sb, ino, mode, links, uid | uid_high << 16, gid | gid_high << 16, size, blocks, atime * NSEC_PER_SEC,
        mtime * NSEC_PER_SEC, ctime * NSEC_PER_SEC, 0, 0, 1, 0, False, i_op, i_fop)
    inode.i_mapping = AddressSpace(inode, a_ops, sb.s_kernel)
    inode.i_private = Ext2InodeInfo(number, i_block, 0, faddr, frag, fsize, file_acl, dir_acl, 0, generation)
    return inode


def _free_block(inode: Inode, group: Ext2Group, block: int) -> None:
    """Give one block back. One of another group, and whatever is wrong with it, is for ext2_free_blocks().

    The caller stores the group's counts.
    """
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    bit = block - group.first_block
    bits = group.block_bits
    if bits is None or not 0 <= bit < info.s_blocks_per_group or block >= info.s_blocks_count \
            or not bits.b_data[bit >> 3] >> (bit & 7) & 1 \
            or block in (0, group.block_bitmap, group.inode_bitmap) \
            or group.inode_table <= block < group.inode_table + info.s_itb_per_group:
        ext2_free_blocks(inode, block, 1)
        return
    bits.b_data[bit >> 3] ^= 1 << (bit & 7)
    bits.b_dirty = True
    inode.i_blocks = max(inode.i_blocks - (PAGE_SIZE >> SECTOR_SHIFT), 0)
    group.free_blocks += 1
    info.s_freeblocks_counter += 1


def _store_inode(inode: Inode, group: Ext2Group, index: int) -> None:
    """Put the record of inode number `index` of the group, which has one block or none, into its buffer:
    ext2_write_inode()."""
    sb = inode.i_sb
    block, offset = divmod(index * sb.s_fs_info.s_inode_size, PAGE_SIZE)
    assert sb.s_bdev is not None
    bh: BufferHead | None = sb.s_bdev.bd_buffers.get(group.inode_table + block)
    if bh is None or not bh.b_uptodate or sb.s_blocksize != PAGE_SIZE:
        bh, offset = ext2_get_inode(sb, inode.i_ino)
    ei: Ext2InodeInfo = inode.i_private
    if (inode.i_uid | inode.i_gid) >> 16 or inode.i_size >> 31 \
            or (ei.i_new and sb.s_fs_info.s_inode_size > SMALL.size) \
            or ei.i_dir_acl or ei.i_faddr or ei.i_frag_no or ei.i_frag_size:
        store_inode(inode, bh, offset)
        return
    _store_small(bh.b_data, offset, inode.i_mode, inode.i_uid, inode.i_size,
                 inode.i_atime // NSEC_PER_SEC & 0xFFFFFFFF, inode.i_ctime // NSEC_PER_SEC & 0xFFFFFFFF,
                 inode.i_mtime // NSEC_PER_SEC & 0xFFFFFFFF, ei.i_dtime, inode.i_gid, inode.i_nlink,
                 inode.i_blocks & 0xFFFFFFFF, ei.i_flags, 0, ei.i_data[0], ei.i_generation)
    bh.b_dirty = True
    ei.i_new = inode.i_dirty = False


def ext2_evict_inode_quick(inode: Inode) -> None:
    """The inode leaves the cache; without links its blocks and its number become free.

    What can go wrong is left to ext2_evict_inode(): it logs it.
    """
    sb = inode.i_sb
    ei: Ext2InodeInfo = inode.i_private
    if inode.i_nlink or inode.i_flags or ei.i_file_acl or any(ei.i_data[1:]) or tp_copy.probes \
            or sb.s_flags & MS_SYNCHRONOUS or inode.i_mode & S_IFMT not in (S_IFREG, S_IFDIR):
        ext2_evict_inode(inode)
        return
    info: Ext2SbInfo = sb.s_fs_info
    number, bit = divmod(inode.i_ino - 1, info.s_inodes_per_group)
    group = info.s_groups[number]
    bh = group.inode_bits
    if bh is None or inode.i_ino < info.s_first_ino or not bh.b_data[bit >> 3] >> (bit & 7) & 1:
        ext2_evict_inode(inode)
        return
    mapping = inode.i_mapping
    if mapping.pages:
        truncate_inode_pages(mapping, 0)
    ei.i_dtime = sb.s_kernel.clock() // NSEC_PER_SEC & 0xFFFFFFFF
    _store_inode(inode, group, bit)
    inode.i_size = 0
    block = ei.i_data[0]
    if block and inode.i_blocks:
        ei.i_data[0] = 0
        _free_block(inode, group, block)
    bh.b_data[bit >> 3] ^= 1 << (bit & 7)
    bh.b_dirty = True
    group.first_free_inode = min(group.first_free_inode, bit)
    group.free_inodes += 1
    info.s_freeinodes_counter += 1
    if inode.i_mode & S_IFMT == S_IFDIR:
        group.used_dirs -= 1
        info.s_dirs_counter -= 1
    group.store_counts()
    mapping.private_list = NO_BUFFERS
    inode.i_dirty = False
