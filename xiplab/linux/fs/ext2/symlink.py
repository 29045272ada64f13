"""Reading symbolic links.

Kernel: v3.6 fs/ext2/symlink.c, fs/namei.c
"""

from __future__ import annotations

from xiplab.linux.fs.ext2.ext2 import EXT2_I
from xiplab.linux.fs.ext2.ext2_fs import EXT2_FAST_SYMLINK_MAX
from xiplab.linux.fs.ext2.inode import ext2_setattr
from xiplab.linux.include.fs import Inode, InodeOperations
from xiplab.linux.mm.filemap import read_cache_page
from xiplab.units import PAGE_SIZE


def ext2_fast_readlink(inode: Inode) -> bytes:
    """The target of a short link, out of the inode. Kernel: ext2_follow_link()"""
    raw = b"".join(word.to_bytes(4, "little") for word in EXT2_I(inode).i_data)
    return raw[:min(inode.i_size, EXT2_FAST_SYMLINK_MAX)].split(b"\0", 1)[0]


def page_readlink(inode: Inode) -> bytes:
    """The target of a long link, out of its first page.

    Raises:
        OSError: EIO.
    """
    page = read_cache_page(inode.i_mapping, 0)
    return bytes(page.data[:min(inode.i_size, PAGE_SIZE - 1)]).split(b"\0", 1)[0]


ext2_symlink_inode_operations = InodeOperations(
    name="ext2_symlink_inode_operations", readlink=page_readlink, setattr=ext2_setattr)
ext2_fast_symlink_inode_operations = InodeOperations(
    name="ext2_fast_symlink_inode_operations", readlink=ext2_fast_readlink, setattr=ext2_setattr)
