"""Free inodes: one bitmap block per group, as for blocks, and the choice of a group.

    a directory    is spread (Orlov): below the root, or below a directory with the "top directory" flag,
                   into the group with the fewest directories; deeper, into the parent's group or the
                   next one that is not crowded ("debts": more directories than files were made there)
    anything else  goes to its directory's group, so that a directory's files are close to each other

Interface: ext2_new_inode(), ext2_free_inode().

Kernel: v3.6 fs/ext2/ialloc.c
Differs: the search below the root begins at the parent's group, not at a random one, so that a run
can be repeated.
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.buffer import BufferHead, mark_buffer_dirty, sb_bread, sync_dirty_buffer
from xiplab.linux.fs.ext2.balloc import ext2_get_group_desc, find_next_zero_bit
from xiplab.linux.fs.ext2.ext2 import (
    EXT2_I,
    EXT2_MOUNT_GRPID,
    EXT2_MOUNT_OLDALLOC,
    EXT2_SB,
    Ext2Group,
    Ext2InodeInfo,
    Ext2SbInfo,
    ext2_error,
)
from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_APPEND_FL,
    EXT2_FL_INHERITED,
    EXT2_IMMUTABLE_FL,
    EXT2_NOATIME_FL,
    EXT2_OTHER_FLMASK,
    EXT2_REG_FLMASK,
    EXT2_SYNC_FL,
    EXT2_TOPDIR_FL,
)
from xiplab.linux.fs.inode import current_fs_time, new_inode
from xiplab.linux.include.fs import (
    MS_SYNCHRONOUS,
    S_APPEND,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    S_IMMUTABLE,
    S_ISGID,
    S_NOATIME,
    S_SYNC,
    Inode,
    SuperBlock,
)
from xiplab.units import Ino

INODE_COST = 64
BLOCK_COST = 256


def is_directory(mode: int) -> bool:
    return mode & S_IFMT == S_IFDIR


def read_inode_bitmap(sb: SuperBlock, group: Ext2Group) -> BufferHead:
    """The buffer of the group's inode bitmap.

    Raises:
        OSError: EIO.
    """
    if group.inode_bits is None:
        try:
            group.inode_bits = sb_bread(sb, group.inode_bitmap)
        except OSError:
            ext2_error(sb, "read_inode_bitmap", "Cannot read inode bitmap - block_group = "
                       f"{EXT2_SB(sb).s_groups.index(group)}, inode_bitmap = {group.inode_bitmap}")
            raise
    return group.inode_bits


def _adjust_inodes(sb: SuperBlock, group: Ext2Group, free: int, directories: int) -> None:
    """`free` more inodes of the group are free, and `directories` more are directories."""
    info: Ext2SbInfo = sb.s_fs_info
    group.free_inodes += free
    group.used_dirs += directories
    group.store_counts()
    info.s_freeinodes_counter += free
    info.s_dirs_counter += directories


def ext2_free_inode(inode: Inode) -> None:
    """Give the number of a deleted inode back. What cannot be right is logged and left alone.

    Raises:
        OSError: EIO if the bitmap cannot be read.
    """
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    ino = inode.i_ino
    if ino < info.s_first_ino or ino > info.s_inodes_count:
        ext2_error(sb, "ext2_free_inode", f"reserved or nonexistent inode {ino}")
        return
    number, bit = divmod(ino - 1, info.s_inodes_per_group)
    group = ext2_get_group_desc(sb, number)
    bh = group.inode_bits or read_inode_bitmap(sb, group)
    byte, mask = bh.b_data[bit >> 3], 1 << (bit & 7)
    if not byte & mask:
        ext2_error(sb, "ext2_free_inode", f"bit already cleared for inode {ino}")
        return
    bh.b_data[bit >> 3] = byte & ~mask
    group.first_free_inode = min(group.first_free_inode, bit)
    mark_buffer_dirty(bh)
    _adjust_inodes(sb, group, 1, -1 if is_directory(inode.i_mode) else 0)
    if sb.s_flags & MS_SYNCHRONOUS:
        sync_dirty_buffer(bh)


def find_group_dir(sb: SuperBlock) -> int:
    """The old way (`oldalloc`): of the groups with at least the average of free inodes, the one with
    the most free blocks; -1 if all inodes are taken."""
    info = EXT2_SB(sb)
    average = info.s_freeinodes_counter // info.s_groups_count
    good = [n for n, group in enumerate(info.s_groups) if group.free_inodes >= max(average, 1)]
    return max(good, key=lambda n: info.s_groups[n].free_blocks, default=-1)


def find_group_orlov(sb: SuperBlock, parent: Inode) -> int:
    """The group for a new directory; -1 if all inodes are taken."""
    is_top = parent is sb.s_root.d_inode or EXT2_I(parent).i_flags & EXT2_TOPDIR_FL
    group = _group_with_fewest_directories(sb, parent) if is_top else _group_not_crowded(sb, parent)
    return group if group >= 0 else _group_with_free_inodes(sb, parent)


def _groups_from(sb: SuperBlock, parent: Inode) -> list[tuple[int, Ext2Group]]:
    """All groups and their numbers, the parent's first."""
    groups = list(enumerate(EXT2_SB(sb).s_groups))
    start = EXT2_I(parent).i_block_group
    return groups[start:] + groups[:start]


def _group_with_fewest_directories(sb: SuperBlock, parent: Inode) -> int:
    info = EXT2_SB(sb)
    average_inodes = info.s_freeinodes_counter // info.s_groups_count
    average_blocks = info.s_freeblocks_counter // info.s_groups_count
    best, fewest = -1, info.s_inodes_per_group
    for n, group in _groups_from(sb, parent):
        if (group.used_dirs < fewest and group.free_inodes and group.free_inodes >= average_inodes
                and group.free_blocks >= average_blocks):
            best, fewest = n, group.used_dirs
    return best


def _group_not_crowded(sb: SuperBlock, parent: Inode) -> int:
    info = EXT2_SB(sb)
    ngroups, inodes_per_group = info.s_groups_count, info.s_inodes_per_group
    directories = max(info.s_dirs_counter, 1)
    max_dirs = directories // ngroups + inodes_per_group // 16
    min_inodes = info.s_freeinodes_counter // ngroups - inodes_per_group // 4
    min_blocks = info.s_freeblocks_counter // ngroups - info.s_blocks_per_group // 4
    blocks_per_dir = (info.s_blocks_count - info.s_freeblocks_counter) // directories
    max_debt = info.s_blocks_per_group // max(blocks_per_dir, BLOCK_COST)
    max_debt = max(min(max_debt, inodes_per_group // INODE_COST, 255), 1)
    for n, group in _groups_from(sb, parent):
        if (group.free_inodes and group.debt < max_debt and group.used_dirs < max_dirs
                and group.free_inodes >= min_inodes and group.free_blocks >= min_blocks):
            return n
    return -1


def _group_with_free_inodes(sb: SuperBlock, parent: Inode) -> int:
    """The next group with at least the average of free inodes, else with any; -1 if there is none."""
    info = EXT2_SB(sb)
    for at_least in (info.s_freeinodes_counter // info.s_groups_count, 1):
        for n, group in _groups_from(sb, parent):
            if group.free_inodes >= max(at_least, 1):
                return n
    return -1


def find_group_other(sb: SuperBlock, parent: Inode) -> int:
    """The group for anything but a directory; -1 if all inodes are taken.

    The parent's group; else groups at distances that double, from a start that the directory's
    number chooses (so that full groups do not send all to one neighbour); else any with a free inode.
    """
    groups: list[Ext2Group] = sb.s_fs_info.s_groups
    n: int = parent.i_private.i_block_group
    if groups[n].free_inodes and groups[n].free_blocks:
        return n
    n = (n + parent.i_ino) % len(groups)
    step = 1
    while step < len(groups):
        n = (n + step) % len(groups)
        if groups[n].free_inodes and groups[n].free_blocks:
            return n
        step <<= 1
    return next((n for n, group in _groups_from(sb, parent) if group.free_inodes), -1)


def _choose_group(directory: Inode, mode: int) -> int:
    sb = directory.i_sb
    if not is_directory(mode):
        return find_group_other(sb, directory)
    if EXT2_SB(sb).s_mount_opt & EXT2_MOUNT_OLDALLOC:
        return find_group_dir(sb)
    return find_group_orlov(sb, directory)


def _take_inode(sb: SuperBlock, first: int) -> tuple[Ino, int]:
    """A free number of group `first` or of those behind it, now marked as taken, and its group.

    Raises:
        OSError: ENOSPC; EIO if the bitmap offers a number that cannot be.
    """
    info: Ext2SbInfo = sb.s_fs_info
    for n in range(first, first + info.s_groups_count):
        number = n % info.s_groups_count
        group = info.s_groups[number]
        bh = group.inode_bits or read_inode_bitmap(sb, group)
        bit = find_next_zero_bit(bh.b_data, info.s_inodes_per_group, group.first_free_inode)
        group.first_free_inode = bit
        if bit == info.s_inodes_per_group:
            continue
        bh.b_data[bit >> 3] |= 1 << (bit & 7)
        mark_buffer_dirty(bh)
        if sb.s_flags & MS_SYNCHRONOUS:
            sync_dirty_buffer(bh)
        ino = number * info.s_inodes_per_group + bit + 1
        if ino < info.s_first_ino or ino > info.s_inodes_count or ino in sb.s_inodes:
            ext2_error(sb, "ext2_new_inode", "reserved inode, inode in use or inode > inodes count - "
                                             f"block_group = {number}, inode={ino}")
            raise OSError(errno.EIO, f"{sb}: the bitmap of group {number} offers inode {ino}")
        return Ino(ino), number
    raise OSError(errno.ENOSPC, f"{sb}: all {info.s_inodes_count} inodes are taken")


def ext2_mask_flags(mode: int, flags: int) -> int:
    """What of the directory's flags suits a new inode of this kind."""
    if is_directory(mode):
        return flags
    return flags & (EXT2_REG_FLMASK if mode & S_IFMT == S_IFREG else EXT2_OTHER_FLMASK)


def ext2_set_inode_flags(inode: Inode) -> None:
    """The general flags from those of ext2. Kernel: fs/ext2/inode.c"""
    flags = EXT2_I(inode).i_flags
    table = ((EXT2_SYNC_FL, S_SYNC), (EXT2_APPEND_FL, S_APPEND), (EXT2_IMMUTABLE_FL, S_IMMUTABLE),
             (EXT2_NOATIME_FL, S_NOATIME))
    inode.i_flags &= ~(S_SYNC | S_APPEND | S_IMMUTABLE | S_NOATIME)
    for ext2_flag, flag in table if flags else ():
        if flags & ext2_flag:
            inode.i_flags |= flag


def inode_init_owner(inode: Inode, directory: Inode, mode: int, *, grpid: bool) -> None:
    """The running task owns it; below a setgid directory (or with grpid) its group is the directory's.

    Kernel: fs/inode.c
    """
    cred = inode.i_sb.s_kernel.current.cred
    inode.i_uid, inode.i_gid = cred.fsuid, cred.fsgid
    if grpid:
        inode.i_gid = directory.i_gid
    elif directory.i_mode & S_ISGID:
        inode.i_gid = directory.i_gid
        mode |= S_ISGID if is_directory(mode) else 0
    inode.i_mode = mode


def ext2_new_inode(directory: Inode, mode: int) -> Inode:
    """A fresh inode of the kind that `mode` says, for a name in `directory`; not linked yet.

    Raises:
        OSError: ENOSPC; EIO.
    """
    sb = directory.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    number = _choose_group(directory, mode)
    if number < 0:
        raise OSError(errno.ENOSPC, f"{sb}: all {info.s_inodes_count} inodes are taken")
    ino, number = _take_inode(sb, number)
    group = info.s_groups[number]
    is_dir = is_directory(mode)
    _adjust_inodes(sb, group, -1, int(is_dir))
    if is_dir:
        group.debt = min(group.debt + 1, 255)
    elif group.debt:
        group.debt -= 1
    inode = new_inode(sb, ino)
    inode_init_owner(inode, directory, mode, grpid=bool(info.s_mount_opt & EXT2_MOUNT_GRPID))
    inode.i_atime = inode.i_mtime = inode.i_ctime = current_fs_time(sb)
    ei = inode.i_private = Ext2InodeInfo(number, i_generation=info.s_next_generation, i_new=True)
    info.s_next_generation = (info.s_next_generation + 1) & 0xFFFFFFFF
    inherited = directory.i_private.i_flags & EXT2_FL_INHERITED
    if inherited:
        ei.i_flags = ext2_mask_flags(mode, inherited)
        ext2_set_inode_flags(inode)
    inode.i_dirty = True
    return inode
