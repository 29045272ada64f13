"""Pass 4: every inode has as many links as names.

Kernel: none; e2fsprogs e2fsck/pass4.c
"""

from __future__ import annotations

import numpy as np

from xiplab.tools.passes.context import Context, an_inode


def pass4(context: Context) -> None:
    names = np.bincount(context.entries.ino, minlength=context.in_use.size)
    links = context.inodes["i_links_count"]
    context.report(4, context.in_use & (names == 0), an_inode, lambda ino: "in use, but without a name")
    context.report(4, context.in_use & (names != 0) & (names != links), an_inode,
                   lambda ino: f"i_links_count {links[ino]}, and {names[ino]} names")
