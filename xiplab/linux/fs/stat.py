"""What stat(2) says of an inode.

Kernel: v3.6 fs/stat.c
"""

from __future__ import annotations

from typing import NamedTuple

from xiplab.linux.include.fs import Inode


class Stat(NamedTuple):
    """stat(2). Times in ns since 1970; st_blocks counts 512-byte units."""

    st_mode: int
    st_ino: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_blocks: int
    st_blksize: int
    st_rdev: int
    st_atime_ns: int
    st_mtime_ns: int
    st_ctime_ns: int


def generic_fillattr(inode: Inode) -> Stat:
    """The inode's attributes as they are in memory."""
    return tuple.__new__(Stat, (
        inode.i_mode, inode.i_ino, inode.i_nlink, inode.i_uid, inode.i_gid, inode.i_size, inode.i_blocks,
        inode.i_sb.s_blocksize, inode.i_rdev, inode.i_atime, inode.i_mtime, inode.i_ctime))
