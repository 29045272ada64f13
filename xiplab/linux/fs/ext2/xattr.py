"""Extended attributes: only what deleting a file needs.

An inode's i_file_acl names a block with attributes that several inodes may share.

Kernel: v3.6 fs/ext2/xattr.c
Differs: attributes cannot be read or set here; those that an image has stay as they are.
"""

from __future__ import annotations

from xiplab.linux.fs.buffer import bforget, mark_buffer_dirty, sb_bread
from xiplab.linux.fs.ext2.balloc import ext2_free_blocks
from xiplab.linux.fs.ext2.ext2 import EXT2_I, ext2_error
from xiplab.linux.fs.ext2.ext2_fs import EXT2_XATTR_MAGIC, Ext2XattrHeader
from xiplab.linux.include.fs import Inode


def ext2_xattr_delete_inode(inode: Inode) -> None:
    """The inode lets go of its attribute block, which is freed by the last one."""
    block = EXT2_I(inode).i_file_acl
    if not block:
        return
    EXT2_I(inode).i_file_acl = 0
    try:
        bh = sb_bread(inode.i_sb, block)
    except OSError:
        ext2_error(inode.i_sb, "ext2_xattr_delete_inode", f"{inode}: block {block} read error")
        return
    header = Ext2XattrHeader(bh.b_data)
    if header.h_magic != EXT2_XATTR_MAGIC or header.h_blocks != 1:
        ext2_error(inode.i_sb, "ext2_xattr_delete_inode", f"{inode}: bad block {block}")
    elif header.h_refcount > 1:
        header.h_refcount -= 1
        mark_buffer_dirty(bh)
    else:
        bforget(bh)
        ext2_free_blocks(inode, block, 1)
