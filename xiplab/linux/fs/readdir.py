"""Reading a directory.

Kernel: v3.6 fs/readdir.c
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.inode import file_accessed
from xiplab.linux.include.fs import File
from xiplab.units import Ino


def vfs_readdir(filp: File) -> list[tuple[bytes, Ino, int]]:
    """All entries of an open directory, "." and ".." too: (name, inode number, type).

    Raises:
        OSError: ENOTDIR; ENOENT the directory was removed; EIO.
    """
    if filp.f_op.readdir is None:
        raise OSError(errno.ENOTDIR, f"{filp}: not a directory")
    if filp.f_inode.i_nlink == 0:
        raise OSError(errno.ENOENT, f"{filp}: the directory was removed")
    entries = filp.f_op.readdir(filp)
    file_accessed(filp)
    return entries
