"""Makes an ext2 image, with a tree of files in it: the same arguments give the same bytes.

    image = mke2fs(2 * MiB, tree={"etc": {"motd": "Welcome\\n"}, "hi": symlink("etc/motd")})
    image = mke2fs(2 * MiB, tree=Path("folder"))
    image = mke2fs(2 * MiB, tree=tree, layout={"/etc/motd": [300]})   # this block for that file
    image = mke2fs(2 * MiB, tree=tree, scatter=7)                     # blocks drawn at random, seed 7

In order: the numbers of the superblock, the places of each group's metadata, the files
(create_inode.py), and last the bitmaps and counts that sum it all up.

Kernel: none; e2fsprogs misc/mke2fs.c and lib/ext2fs/initialize.c
"""

from __future__ import annotations

import errno
import stat
import uuid as uuids
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import (
    BLOCK_SIZE,
    EXT2_ERRORS_CONTINUE,
    EXT2_FEATURE_INCOMPAT_FILETYPE,
    EXT2_FEATURE_RO_COMPAT_LARGE_FILE,
    EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER,
    EXT2_GOOD_OLD_FIRST_INO,
    EXT2_GOOD_OLD_INODE_SIZE,
    EXT2_SUPER_MAGIC,
    EXT2_VALID_FS,
    Ext2GroupDesc,
    Ext2SuperBlock,
    ext2_group_has_super,
    ext2_super_block_of,
)
from xiplab.ondisk import Bytes
from xiplab.tools.create_inode import Plan, populate_fs
from xiplab.tools.filsys import Bools, Filsys, Ints, group_count
from xiplab.tools.tree import Node, Tree, from_dict, from_folder

FEATURES = {
    "filetype": ("s_feature_incompat", EXT2_FEATURE_INCOMPAT_FILETYPE),
    "sparse_super": ("s_feature_ro_compat", EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER),
    "large_file": ("s_feature_ro_compat", EXT2_FEATURE_RO_COMPAT_LARGE_FILE),
}
UUID = uuids.UUID("6578742d-7869-4070-8c61-620000000001")
BYTES_PER_INODE = 4096
USEFUL_GROUP_BLOCKS = 50
NEVER = 0xFFFF


def mke2fs(size: int, *, tree: Tree | Path | None = None, blocksize: int = 4096, revision: int = 1,
           features: Collection[str] | None = None, inodes: int | None = None,
           inode_size: int = EXT2_GOOD_OLD_INODE_SIZE, blocks_per_group: int | None = None,
           reserved_percent: int = 5, label: str = "", uuid: uuids.UUID = UUID, now: int = 0,
           layout: Mapping[str, Sequence[int]] | None = None, scatter: int | None = None) -> Bytes:
    """Return an image of `size` bytes that holds the files of `tree`, and an empty lost+found.

    Args:
        tree: names and contents (see tree.py), or a folder of this computer.
        blocksize: 1024, 2048 or 4096 bytes.
        revision: 0 has no features and inodes of 128 bytes; 1 has all of FEATURES unless told.
        inodes: at least so many; None for one per 4096 bytes.
        reserved_percent: share of the blocks that is kept for root.
        now: seconds since 1970, for whatever has no time of its own.
        layout: for a path its blocks in file order, 0 for a hole, as debugfs.blocks() lists them.
        scatter: seed of a random order in which all other blocks are given out.
    Raises:
        OSError: ENOSPC the tree does not fit; EINVAL an argument out of range, a block of `layout`
            that is not free, or a hole where the file has bytes; ENOENT a path of `layout` that is
            not in the tree; EFBIG a file of 2 GiB or more without large_file.
    """
    if size < 2 * BLOCK_SIZE:
        raise OSError(errno.EINVAL, f"mke2fs: {size} bytes are too small for ext2")
    image: Bytes = np.zeros(size, np.uint8)
    sb = ext2_super_block_of(image)
    set_format(sb, blocksize, revision, inode_size, features)
    set_geometry(sb, size, blocks_per_group or 8 * blocksize, inodes or size // BYTES_PER_INODE)
    set_names(sb, label, uuid, now, reserved_percent)

    fs = Filsys(image)
    used = place_metadata(fs)
    plans = populate_fs(fs, used, plant(tree), layout or {}, scatter)
    sum_up(fs, used, plans)
    return image


def set_format(sb: Ext2SuperBlock, blocksize: int, revision: int, inode_size: int,
               features: Collection[str] | None) -> None:
    """What kind of ext2 it is. Raises OSError: EINVAL for what ext2 does not know."""
    if blocksize not in {1024, 2048, 4096}:
        raise OSError(errno.EINVAL, f"mke2fs: block size {blocksize}, not 1024, 2048 or 4096")
    if revision not in {0, 1} or (revision == 0 and (features or inode_size != EXT2_GOOD_OLD_INODE_SIZE)):
        raise OSError(errno.EINVAL, f"mke2fs: revision {revision} with features {features} and inodes of "
                                    f"{inode_size} bytes; 0 has no features and 128 bytes, 1 may have both")
    sb.s_magic = EXT2_SUPER_MAGIC
    sb.s_rev_level = revision
    sb.s_log_block_size = sb.s_log_frag_size = blocksize.bit_length() - BLOCK_SIZE.bit_length()
    sb.s_first_data_block = int(blocksize == BLOCK_SIZE)
    if revision == 0:
        return
    sb.s_first_ino = EXT2_GOOD_OLD_FIRST_INO
    sb.s_inode_size = inode_size
    for name in FEATURES if features is None else features:
        if name not in FEATURES:
            raise OSError(errno.EINVAL, f"mke2fs: feature {name!r}, not one of {', '.join(FEATURES)}")
        field, bit = FEATURES[name]
        setattr(sb, field, getattr(sb, field) | bit)


def set_geometry(sb: Ext2SuperBlock, size: int, blocks_per_group: int, inodes: int) -> None:
    """How many blocks, groups and inodes. A last group too short to be of use is left out.

    Raises:
        OSError: EINVAL if not even the metadata fits.
    """
    blocksize = BLOCK_SIZE << sb.s_log_block_size
    sb.s_blocks_count = min(size // blocksize, 0xFFFFFFFF)
    sb.s_blocks_per_group = sb.s_frags_per_group = blocks_per_group
    if not 256 <= blocks_per_group <= 8 * blocksize or blocks_per_group % 8:
        raise OSError(errno.EINVAL, f"mke2fs: {blocks_per_group} blocks per group, a multiple of 8 from 256 "
                                    f"to {8 * blocksize}")
    while True:
        groups = group_count(sb)
        set_inodes(sb, groups, inodes)
        last = (sb.s_blocks_count - sb.s_first_data_block - 1) % blocks_per_group + 1
        needed = overhead(sb, groups - 1, groups)
        if groups > 1 and last < needed + USEFUL_GROUP_BLOCKS:
            sb.s_blocks_count -= last
        elif last < needed + 2 or blocks_per_group < overhead(sb, 0, groups) + 2:
            raise OSError(errno.EINVAL, f"mke2fs: {size} bytes, {blocks_per_group} blocks per group: no room "
                                        f"for {sb.s_inodes_count} inodes and two directories")
        else:
            return


def set_inodes(sb: Ext2SuperBlock, groups: int, inodes: int) -> None:
    """Spread at least `inodes` over the groups, in whole blocks of inodes."""
    blocksize = BLOCK_SIZE << sb.s_log_block_size
    step = max(blocksize // (sb.s_inode_size or EXT2_GOOD_OLD_INODE_SIZE), 8)
    wanted = max(-(-inodes // groups), EXT2_GOOD_OLD_FIRST_INO + 1)
    sb.s_inodes_per_group = min(-(-wanted // step) * step, 8 * blocksize)
    sb.s_inodes_count = sb.s_inodes_per_group * groups


def overhead(sb: Ext2SuperBlock, group: int, groups: int) -> int:
    """Blocks of metadata in one of `groups` groups."""
    blocksize = BLOCK_SIZE << sb.s_log_block_size
    sparse = bool(sb.s_feature_ro_compat & EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER)
    inode_bytes = sb.s_inodes_per_group * (sb.s_inode_size or EXT2_GOOD_OLD_INODE_SIZE)
    copies = 1 - -groups * Ext2GroupDesc.dtype.itemsize // blocksize
    return 2 - -inode_bytes // blocksize + ext2_group_has_super(group, sparse) * copies


def set_names(sb: Ext2SuperBlock, label: str, uuid: uuids.UUID, now: int, reserved_percent: int) -> None:
    """Label, identity, times and what is kept for root. Raises OSError: EINVAL."""
    name = label.encode()
    if len(name) > sb.s_volume_name.size:
        raise OSError(errno.EINVAL, f"mke2fs: label of {len(name)} bytes, limit {sb.s_volume_name.size}")
    if not 0 <= reserved_percent <= 50:
        raise OSError(errno.EINVAL, f"mke2fs: {reserved_percent} % reserved, 0 to 50")
    sb.s_volume_name[:len(name)] = np.frombuffer(name, np.uint8)
    sb.s_uuid[:] = np.frombuffer(uuid.bytes, np.uint8)
    sb.s_wtime = sb.s_lastcheck = now
    sb.s_r_blocks_count = sb.s_blocks_count * reserved_percent // 100
    sb.s_max_mnt_count = NEVER
    sb.s_state = EXT2_VALID_FS
    sb.s_errors = EXT2_ERRORS_CONTINUE


def place_metadata(fs: Filsys) -> Bools:
    """Fill the group descriptors; return which blocks are taken by that.

    Kernel: none; mke2fs's ext2fs_allocate_group_table()
    """
    used = np.zeros(fs.blocks_count, np.bool_)
    used[:fs.first_data_block] = True
    for group in range(fs.groups):
        first = fs.group_first(group)
        bitmap = first + fs.has_super(group) * (1 + fs.desc_blocks)
        fs.desc[group] = (bitmap, bitmap + 1, bitmap + 2, 0, 0, 0, 0, 0)
        used[first:bitmap + 2 + fs.itable_blocks] = True
    return used


def plant(tree: Tree | Path | None) -> Node:
    """The root directory, with lost+found as its first name. Raises OSError: EEXIST, and of tree.py."""
    root = from_folder(tree) if isinstance(tree, Path) else from_dict(tree or {})
    lost = root.entries.pop(b"lost+found", Node(stat.S_IFDIR | 0o700))
    if not lost.is_dir:
        raise OSError(errno.EEXIST, "/lost+found of the tree is not a directory")
    root.entries = {b"lost+found": lost, **root.entries}
    return root


def sum_up(fs: Filsys, used: Bools, plans: Mapping[Node, Plan]) -> None:
    """Write the bitmaps, the counts, and the copies of superblock and descriptors."""
    inode_used = np.zeros(fs.inodes_count, np.bool_)
    inode_used[:fs.first_ino - 1] = True
    inode_used[[plan.ino - 1 for plan in plans.values()]] = True
    directories = np.array([plan.ino - 1 for node, plan in plans.items() if node.is_dir])
    free_blocks = write_bitmaps(fs, "bg_block_bitmap", used[fs.first_data_block:], fs.blocks_per_group)
    free_inodes = write_bitmaps(fs, "bg_inode_bitmap", inode_used, fs.inodes_per_group)
    fs.desc["bg_free_blocks_count"] = free_blocks
    fs.desc["bg_free_inodes_count"] = free_inodes
    fs.desc["bg_used_dirs_count"] = np.bincount(directories // fs.inodes_per_group, minlength=fs.groups)
    fs.sb.s_free_blocks_count = free_blocks.sum()
    fs.sb.s_free_inodes_count = free_inodes.sum()
    for group in filter(fs.has_super, range(1, fs.groups)):
        copy = Ext2SuperBlock(fs.mem, fs.group_first(group) * fs.blocksize)
        copy.raw[...] = fs.sb.raw
        copy.s_block_group_nr = group
        fs.descriptors(group)[:] = fs.desc


def write_bitmaps(fs: Filsys, field: str, used: Bools, per_group: int) -> Ints:
    """Write one bitmap of each group; bits past the group's end are set. Returns the free ones per group."""
    bits = np.ones((fs.groups, 8 * fs.blocksize), np.bool_)
    rows = np.ones((fs.groups, per_group), np.bool_)
    rows.reshape(-1)[:used.size] = used
    bits[:, :per_group] = rows
    fs.blocks[fs.desc[field]] = np.packbits(bits, axis=1, bitorder="little")
    return np.asarray(np.count_nonzero(~rows, axis=1), np.int64)
