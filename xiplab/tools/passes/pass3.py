"""Pass 3: every directory is reached from the root, and its `..` leads back.

Kernel: none; e2fsprogs e2fsck/pass3.c
"""

from __future__ import annotations

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import EXT2_ROOT_INO
from xiplab.tools.filsys import Bools
from xiplab.tools.passes.context import Context, an_inode


def pass3(context: Context) -> None:
    check_connected(context)
    check_dotdot(context)


def check_connected(context: Context) -> None:
    context.report(3, context.is_dir & ~reaches_root(context), an_inode,
                   lambda ino: "directory that no path from the root leads to")


def reaches_root(context: Context) -> Bools:
    """Which directories end at the root when one goes on to the parent; a circle never does.

    Each step doubles how far `ancestor` looks.
    """
    ancestor = context.parent
    for _ in range(int(context.fs.inodes_count).bit_length()):
        ancestor = ancestor[ancestor]
    return np.asarray(ancestor == EXT2_ROOT_INO)


def check_dotdot(context: Context) -> None:
    entries, parent = context.entries, context.parent
    back = np.zeros(parent.size, np.int64)
    dotdot = (entries.name == b"..") & (entries.index == 1)
    back[entries.directory[dotdot]] = entries.ino[dotdot]
    context.report(3, context.is_dir & (parent != 0) & (back != 0) & (back != parent), an_inode,
                   lambda ino: f".. leads to inode {back[ino]}, the directory is in inode {parent[ino]}")
