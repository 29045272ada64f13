"""From a path to an inode, and from an inode to its blocks and records, in an image that nobody mounted.

What lies on the way may be damaged: that raises OSError EUCLEAN, and never takes longer than the image
is large.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_DIR_ENTRY_FORMAT,
    EXT2_FAST_SYMLINK_MAX,
    EXT2_ROOT_INO,
    Ext2Inode,
    ext2_dir_rec_len,
)
from xiplab.tools.block_walk import Claims, walk_blocks
from xiplab.tools.filsys import Filsys
from xiplab.units import GiB

LONGEST_FILE = 1 * GiB


@dataclass(frozen=True)
class Dirent:
    """One record of a directory. offset: byte of the image where it starts."""

    offset: int
    inode: int
    rec_len: int
    file_type: int
    name: bytes


def file_size(inode: Ext2Inode) -> int:
    """i_size; only a regular file has high bits."""
    high = inode.i_dir_acl if stat.S_ISREG(inode.i_mode) else 0
    return high << 32 | inode.i_size


def has_blocks(inode: Ext2Inode) -> bool:
    """Whether i_block holds block numbers, not a device number or a short symbolic link's target."""
    is_file = stat.S_ISREG(inode.i_mode) or stat.S_ISDIR(inode.i_mode) or stat.S_ISLNK(inode.i_mode)
    return is_file and not is_fast_symlink(inode)


def is_fast_symlink(inode: Ext2Inode) -> bool:
    return stat.S_ISLNK(inode.i_mode) and inode.i_size <= EXT2_FAST_SYMLINK_MAX


def file_claims(fs: Filsys, ino: int) -> Claims:
    """Every block that an inode uses. Raises OSError: EINVAL no such inode; EUCLEAN not a block."""
    inode = fs.inode(ino)
    i_block = inode.i_block.astype(np.int64) * has_blocks(inode)
    claims = walk_blocks(fs, np.array([ino]), i_block[np.newaxis])
    outside = claims[~fs.holds(claims.block)]
    if outside.block.size:
        raise OSError(errno.EUCLEAN, f"inode {ino}: logical block {outside.logical[0]} leads to block "
                                     f"{outside.block[0]}, the image has {fs.blocks_count} blocks")
    return claims


def file_blocks(fs: Filsys, ino: int) -> list[int]:
    """The blocks of a file in file order, 0 for a hole. Raises OSError: as file_claims(); EFBIG."""
    claims = file_claims(fs, ino)
    inode = fs.inode(ino)
    if file_size(inode) > LONGEST_FILE:
        raise OSError(errno.EFBIG, f"inode {ino}: {file_size(inode)} bytes, limit {LONGEST_FILE}")
    blocks = np.zeros(-(-file_size(inode) // fs.blocksize) * has_blocks(inode), np.int64)
    data = claims[(claims.depth == 0) & (claims.logical < blocks.size)]
    blocks[data.logical] = data.block
    return [int(block) for block in blocks]


def directory(fs: Filsys, ino: int) -> Iterator[Dirent]:
    """The records of a directory, free ones too. Raises OSError: ENOTDIR; EUCLEAN a broken record."""
    if not stat.S_ISDIR(fs.inode(ino).i_mode):
        raise OSError(errno.ENOTDIR, f"inode {ino}: i_mode {fs.inode(ino).i_mode:#o} is no directory's")
    for block in filter(None, file_blocks(fs, ino)):
        yield from records(fs, block)


def records(fs: Filsys, block: int) -> Iterator[Dirent]:
    """The records of one block of a directory. Raises OSError: EUCLEAN at the first broken one."""
    offset, end = block * fs.blocksize, (block + 1) * fs.blocksize
    while offset < end:
        room = end - offset
        head = fs.mem[offset:offset + min(room, EXT2_DIR_ENTRY_FORMAT.size)].tobytes()
        ino, rec_len, name_len, file_type = EXT2_DIR_ENTRY_FORMAT.unpack(head.ljust(8, b"\0"))
        if rec_len < ext2_dir_rec_len(1) or rec_len % 4 or rec_len > room or name_len + 8 > rec_len:
            raise OSError(errno.EUCLEAN, f"block {block}, byte {fs.blocksize - room}: a record of {rec_len} "
                                         f"bytes with a name of {name_len}, {room} bytes left")
        name = fs.mem[offset + 8:offset + 8 + name_len].tobytes()
        yield Dirent(offset, ino, rec_len, file_type, name)
        offset += rec_len


def find_inode(fs: Filsys, path: str | int) -> int:
    """The inode of a path, or of an inode number. Raises OSError: ENOENT, ENOTDIR, EINVAL, EUCLEAN."""
    if isinstance(path, int):
        fs.inode_offset(path)
        return path
    ino = EXT2_ROOT_INO
    for name in filter(None, os.fsencode(path).split(b"/")):
        ino = lookup(fs, ino, name)
    return ino


def lookup(fs: Filsys, parent: int, name: bytes) -> int:
    for record in directory(fs, parent):
        if record.inode and record.name == name:
            return record.inode
    raise OSError(errno.ENOENT, f"{os.fsdecode(name)!r} is not in the directory with inode {parent}")
