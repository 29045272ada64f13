"""Reading a directory.

Kernel: v3.6 fs/readdir.c
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.inode import file_accessed
from xiplab.linux.include.fs import File
from xiplab.units import Ino

DOTS = [b".", b".."]

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


def names_of(entries: list[tuple[bytes, Ino, int]]) -> list[str]:
    """The names as os.listdir() gives them: without "." and "..", which come first in a sound directory.

    Kernel: none (the C library's readdir, and Python)
    """
    names = [name for name, _, _ in entries]
    if names[:2] == DOTS:
        del names[:2]
    else:
        names = [name for name in names if name not in DOTS]
    together = b"\0".join(names).decode("utf-8", "surrogateescape").split("\0") if names else []
    if len(together) == len(names):
        return together
    return [name.decode("utf-8", "surrogateescape") for name in names]
