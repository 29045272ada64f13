"""Pass 0: the superblock's limits, and where the group descriptors say that metadata lies.

Kernel: none; e2fsprogs e2fsck/super.c check_super_block()
"""

from __future__ import annotations

import numpy as np

from xiplab.tools.passes.context import Context, Problem, a_group


def check_super_block(context: Context) -> None:
    fs = context.fs
    if fs.sb.s_r_blocks_count > fs.blocks_count // 2:
        context.problems.append(Problem(0, "superblock", f"s_r_blocks_count {fs.sb.s_r_blocks_count} is more "
                                                         f"than half of {fs.blocks_count} blocks"))
    check_place(context, "bg_block_bitmap", 1)
    check_place(context, "bg_inode_bitmap", 1)
    check_place(context, "bg_inode_table", fs.itable_blocks)


def check_place(context: Context, field: str, length: int) -> None:
    """A group's bitmaps and inode table lie within the group."""
    fs = context.fs
    place = fs.desc[field].astype(np.int64)
    first = fs.first_data_block + np.arange(fs.groups) * fs.blocks_per_group
    end = np.minimum(first + fs.blocks_per_group, fs.blocks_count)
    context.report(0, (place < first) | (place + length > end), a_group, lambda group: (
        f"{field} is {place[group]}, the group has blocks {first[group]} to {end[group] - 1}"))
