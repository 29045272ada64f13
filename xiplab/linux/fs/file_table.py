"""The end of an open file.

Kernel: v3.6 fs/file_table.c
"""

from __future__ import annotations

from xiplab.linux.fs.inode import iput, put_write_access
from xiplab.linux.include.blkdev import FMODE_WRITE
from xiplab.linux.include.fs import File


def fput(filp: File) -> None:
    """One user less; the last one closes the file."""
    filp.f_count -= 1
    if filp.f_count:
        return
    inode = filp.f_inode
    if filp.f_op.release is not None:
        filp.f_op.release(inode, filp)
    if filp.f_mode & FMODE_WRITE:
        put_write_access(inode)
    filp.f_mnt.mnt_count -= 1
    if inode.i_count > 1:
        inode.i_count -= 1
    else:
        iput(inode)
