"""Looks into an ext2 image without mounting it: names, inodes, blocks; it changes nothing.

    ls(image, "/lib")            the records of a directory
    stat(image, "/lib/greeting") what an inode says, as text and numbers
    blocks(image, "/etc/motd")   block numbers in file order, 0 for a hole
    cat(image, "/etc/motd")      the bytes
    stats(image), group(image, 0)  fields of the superblock and of a group, with places and meanings
    roles(image)                 what each block is (overlay.py)
    overlay(image, block)        the fields that lie in a block, for pictures of its bytes

A file is named by its path or by its inode number. Symbolic links are not followed. An image that is
damaged where it is looked at raises OSError EUCLEAN. The names are those of the real debugfs.

Kernel: none; e2fsprogs debugfs/
"""

from __future__ import annotations

import errno
import stat as modes
from dataclasses import dataclass
from typing import Any

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import BLOCK_SIZE, Ext2GroupDesc
from xiplab.ondisk import OnDisk
from xiplab.tools.descriptions import MEANINGS
from xiplab.tools.files import (
    Dirent,
    directory,
    file_blocks,
    file_claims,
    file_size,
    find_inode,
    is_fast_symlink,
)
from xiplab.tools.filsys import Filsys, Image
from xiplab.tools.overlay import Piece, Role, meaning, overlay, roles

__all__ = ["Dirent", "FieldOnDisk", "Piece", "Role", "blocks", "cat", "group", "indirect_blocks", "ls",
           "meaning", "namei", "overlay", "roles", "stat", "stats"]


@dataclass(frozen=True)
class FieldOnDisk:
    """A field of a record: where it is in the image, its length in bytes, its value and meaning."""

    offset: int
    length: int
    value: Any
    meaning: str


def namei(image: Image, path: str | int) -> int:
    """The inode number of a path.

    Raises:
        OSError: ENOENT no such name; ENOTDIR a name below something that is no directory; EINVAL no
            such inode, or not an image; EUCLEAN a broken directory.
    """
    return find_inode(Filsys(image), path)


def ls(image: Image, path: str | int = "/") -> list[Dirent]:
    """The records in use of a directory. Raises OSError: as namei()."""
    fs = Filsys(image)
    return [record for record in directory(fs, find_inode(fs, path)) if record.inode]


def blocks(image: Image, path: str | int) -> list[int]:
    """The block of each page, or rather block, of a file; 0 for a hole.

    Raises:
        OSError: as namei(); EFBIG above 1 GiB.
    """
    fs = Filsys(image)
    return file_blocks(fs, find_inode(fs, path))


def indirect_blocks(image: Image, path: str | int) -> list[int]:
    """The indirect blocks that lead to a file's blocks, in file order. Raises OSError: as namei()."""
    fs = Filsys(image)
    claims = file_claims(fs, find_inode(fs, path))
    indirect = claims[claims.depth > 0]
    return [int(block) for block in indirect.block[np.lexsort((-indirect.depth, indirect.logical))]]


def cat(image: Image, path: str | int) -> bytes:
    """The bytes of a file, or the target of a symbolic link. Raises OSError: as blocks()."""
    fs = Filsys(image)
    ino = find_inode(fs, path)
    inode = fs.inode(ino)
    if is_fast_symlink(inode):
        return inode.i_block.tobytes()[:inode.i_size]
    nothing = bytes(fs.blocksize)
    content = b"".join(fs.blocks[block].tobytes() if block else nothing for block in file_blocks(fs, ino))
    return content[:file_size(inode)]


def stat(image: Image, path: str | int) -> dict[str, Any]:
    """What an inode says of its file. Raises OSError: as namei()."""
    fs = Filsys(image)
    ino = find_inode(fs, path)
    inode = fs.inode(ino)
    return {
        "inode": ino, "mode": inode.i_mode, "permissions": modes.filemode(inode.i_mode),
        "uid": inode.i_uid | inode.l_i_uid_high << 16, "gid": inode.i_gid | inode.l_i_gid_high << 16,
        "size": file_size(inode), "links": inode.i_links_count, "blockcount": inode.i_blocks,
        "flags": inode.i_flags, "generation": inode.i_generation, "file_acl": inode.i_file_acl,
        "atime": inode.i_atime, "ctime": inode.i_ctime, "mtime": inode.i_mtime, "dtime": inode.i_dtime,
        "i_block": inode.i_block.tolist(), "offset": fs.inode_offset(ino),
    }


def stats(image: Image) -> dict[str, FieldOnDisk]:
    """The superblock's fields. Raises OSError: EINVAL not an image."""
    fs = Filsys(image)
    return fields(fs.sb, BLOCK_SIZE)


def group(image: Image, number: int) -> dict[str, FieldOnDisk]:
    """The fields of one group's descriptor. Raises OSError: EINVAL not an image, or no such group."""
    fs = Filsys(image)
    if not 0 <= number < fs.groups:
        raise OSError(errno.EINVAL, f"group {number}: the image has groups 0 to {fs.groups - 1}")
    offset = (fs.first_data_block + 1) * fs.blocksize + number * Ext2GroupDesc.dtype.itemsize
    return fields(Ext2GroupDesc(fs.mem, offset), offset)


def fields(record: OnDisk, start: int) -> dict[str, FieldOnDisk]:
    """The fields of a record that starts at byte `start` of the image."""
    table = {}
    for name, (form, offset, *_) in (record.dtype.fields or {}).items():
        value = getattr(record, name)
        readable = value.tolist() if isinstance(value, np.ndarray) else value
        table[name] = FieldOnDisk(start + offset, form.itemsize, readable, MEANINGS[name])
    return table
