"""Pass 1: every inode by itself.

Kernel: none; e2fsprogs e2fsck/pass1.c e2fsck_pass1()
"""

from __future__ import annotations

import stat

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_BAD_INO,
    EXT2_BOOT_LOADER_INO,
    EXT2_BTREE_FL,
    EXT2_FEATURE_COMPAT_DIR_INDEX,
    EXT2_FEATURE_COMPAT_RESIZE_INO,
    EXT2_FEATURE_RO_COMPAT_LARGE_FILE,
    EXT2_N_BLOCKS,
    EXT2_RESIZE_INO,
    EXT2_ROOT_INO,
    EXT3_FEATURE_COMPAT_HAS_JOURNAL,
)
from xiplab.tools.filsys import Bools, Ints
from xiplab.tools.passes.context import Context, an_inode
from xiplab.tools.passes.pass1_blocks import check_blocks
from xiplab.units import GiB

EXT3_JOURNAL_INO = 8
FILE_FORMATS = [stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO,
                stat.S_IFSOCK]
EXT4_ENCRYPT_FL, EXT4_EXTENTS_FL, EXT4_INLINE_DATA_FL = 0x800, 0x80000, 0x10000000
NOT_EXT2 = EXT4_ENCRYPT_FL | EXT4_EXTENTS_FL | EXT4_INLINE_DATA_FL


def pass1(context: Context) -> None:
    read_inodes(context)
    check_reserved(context)
    check_fields(context)
    check_special(context)
    slow_links = check_symlinks(context)
    check_blocks(context, files_with_blocks(context, slow_links), sizes(context))


def read_inodes(context: Context) -> None:
    """All inodes by number. One without links is free; those below first_ino are never free."""
    fs = context.fs
    context.inodes = fs.inodes()
    context.in_use = context.inodes["i_links_count"] > 0
    context.in_use[:fs.first_ino] = False
    context.in_use[EXT2_ROOT_INO] = True
    context.is_dir = context.in_use & (file_format(context) == stat.S_IFDIR)


def file_format(context: Context) -> Ints:
    """The type bits of i_mode."""
    return np.asarray(context.inodes["i_mode"] & 0o170000, np.int64)


def sizes(context: Context) -> Ints:
    """i_size of each inode; only regular files have high bits."""
    high = np.where(file_format(context) == stat.S_IFREG, context.inodes["i_dir_acl"], 0).astype(np.int64)
    return np.asarray(context.inodes["i_size"] + (np.minimum(high, 1 << 30) << 32), np.int64)


def check_reserved(context: Context) -> None:
    """The root is a directory; other reserved inodes have no mode, unless a feature gives them a use."""
    mode = context.inodes["i_mode"]
    context.report(1, np.array([EXT2_ROOT_INO])[~context.is_dir[EXT2_ROOT_INO:EXT2_ROOT_INO + 1]], an_inode,
                   lambda ino: f"i_mode {mode[ino]:#o}: the root is not a directory")
    features = context.fs.sb.s_feature_compat
    with_use = [EXT2_BOOT_LOADER_INO,
                EXT2_RESIZE_INO if features & EXT2_FEATURE_COMPAT_RESIZE_INO else 0,
                EXT3_JOURNAL_INO if features & EXT3_FEATURE_COMPAT_HAS_JOURNAL else 0]
    without_use = np.setdiff1d(np.arange(EXT2_ROOT_INO + 1, context.fs.first_ino), with_use)
    context.report(1, without_use[mode[without_use] != 0], an_inode,
                   lambda ino: f"i_mode {mode[ino]:#o} in a reserved inode")


def check_fields(context: Context) -> None:
    """Fields that do not depend on blocks."""
    inodes, used = context.inodes, context.in_use

    def check(field: str, faults: Bools, rule: str) -> None:
        context.report(1, faults, an_inode, lambda ino: f"{field} {inodes[field][ino]:#x}: {rule}")

    free = ~used
    free[:context.fs.first_ino] = False
    features = context.fs.sb.s_feature_compat, context.fs.sb.s_feature_ro_compat
    check("i_mode", used & ~np.isin(file_format(context), FILE_FORMATS), "no such type of file")
    check("i_mode", free & (inodes["i_mode"] != 0) & (inodes["i_dtime"] == 0),
          "it has no links, but no time of deletion")
    check("i_dtime", used & (inodes["i_dtime"] != 0), "it is in use, but has a time of deletion")
    for field in ("i_faddr", "l_i_frag", "l_i_fsize"):
        check(field, used & (inodes[field] != 0), "ext2 has no fragments")
    check("i_dir_acl", context.is_dir & (inodes["i_dir_acl"] != 0), "not zero in a directory")
    check("i_flags", used & (inodes["i_flags"] & NOT_EXT2 != 0), "a flag that ext2 lacks")
    indexed = context.is_dir if features[0] & EXT2_FEATURE_COMPAT_DIR_INDEX else np.False_
    check("i_flags", used & (inodes["i_flags"] & EXT2_BTREE_FL != 0) & ~indexed, "no indexed directory")
    check("i_dir_acl", used & (sizes(context) >= 2 * GiB) & (file_format(context) == stat.S_IFREG)
          & (features[1] & EXT2_FEATURE_RO_COMPAT_LARGE_FILE == 0), "large without the feature large_file")


def check_special(context: Context) -> None:
    """Devices, pipes and sockets have no bytes."""
    special = context.in_use & np.isin(file_format(context), FILE_FORMATS[3:])
    size = context.inodes["i_size"]
    context.report(1, special & (size != 0), an_inode, lambda ino: f"i_size {size[ino]} of a special file")


def check_symlinks(context: Context) -> Ints:
    """A target ends where i_size says, in i_block or in one block. Returns the links with a block."""
    fs, inodes = context.fs, context.inodes
    links = np.flatnonzero(context.in_use & (file_format(context) == stat.S_IFLNK))
    size, i_block = inodes["i_size"].astype(np.int64), inodes["i_block"].astype(np.int64)
    fast = links[size[links] < 4 * EXT2_N_BLOCKS]
    slow = links[size[links] >= 4 * EXT2_N_BLOCKS]
    block = i_block[slow, 0]
    one_block = fs.holds(block) & ~i_block[slow, 1:].any(axis=1) & (size[slow] < fs.blocksize)
    context.report(1, slow[~one_block], an_inode,
                   lambda ino: f"symbolic link: the target of {size[ino]} bytes is not in one block")
    slow = slow[one_block]
    targets = [*(inodes["i_block"][ino].tobytes() for ino in fast),
               *(fs.blocks[i_block[ino, 0]].tobytes() for ino in slow)]
    ends = np.array([target.find(b"\0") for target in targets], np.int64)
    links = np.concatenate([fast, slow])
    context.report(1, links[(ends != size[links]) | (ends == 0)], an_inode,
                   lambda ino: f"symbolic link: the target does not end after {size[ino]} bytes")
    return np.asarray(slow, np.int64)


def files_with_blocks(context: Context, slow_links: Ints) -> Ints:
    """The inodes whose i_block leads to blocks."""
    used = context.in_use.copy()
    used[[EXT2_RESIZE_INO, EXT3_JOURNAL_INO]] = True
    has_blocks = used & np.isin(file_format(context), [stat.S_IFREG, stat.S_IFDIR])
    has_blocks[EXT2_BAD_INO] = True
    has_blocks[slow_links] = True
    return np.flatnonzero(has_blocks)
