"""Pass 5: bitmaps and counts say what the passes before found.

Kernel: none; e2fsprogs e2fsck/pass5.c
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xiplab.tools.filsys import Bools, Ints
from xiplab.tools.passes.context import Context, Problem, a_block, a_group, an_inode


def pass5(context: Context) -> None:
    fs = context.fs
    block_used = context.block_used[fs.first_data_block:]
    inode_used = context.in_use[1:].copy()
    inode_used[:fs.first_ino - 1] = True
    check_bitmap(context, "bg_block_bitmap", block_used, fs.blocks_per_group,
                 lambda index: a_block(index + fs.first_data_block))
    check_bitmap(context, "bg_inode_bitmap", inode_used, fs.inodes_per_group,
                 lambda index: an_inode(index + 1))
    free_blocks = per_group(context, ~block_used, fs.blocks_per_group)
    free_inodes = per_group(context, ~inode_used, fs.inodes_per_group)
    directories = per_group(context, context.is_dir[1:], fs.inodes_per_group)
    check_group_count(context, "bg_free_blocks_count", free_blocks)
    check_group_count(context, "bg_free_inodes_count", free_inodes)
    check_group_count(context, "bg_used_dirs_count", directories)
    check_super_count(context, "s_free_blocks_count", fs.sb.s_free_blocks_count, int(free_blocks.sum()))
    check_super_count(context, "s_free_inodes_count", fs.sb.s_free_inodes_count, int(free_inodes.sum()))


def check_bitmap(context: Context, field: str, used: Bools, size: int,
                 what: Callable[[int], str]) -> None:
    """One bit for each element of `used`, `size` to a group; bits past a group's end are set."""
    fs = context.fs
    bits: Bools = np.unpackbits(fs.blocks[fs.desc[field]], axis=1, bitorder="little") != 0
    inside = bits[:, :size].reshape(-1)
    context.report(5, inside[:used.size] != used, what,
                   lambda index: "used, but marked free" if used[index] else "free, but marked used")
    holed = np.any(~bits[:, size:], axis=1)
    holed[-1] |= np.any(~inside[used.size:])
    context.report(5, holed, a_group, lambda group: f"{field}: bits past the group's end are clear")


def per_group(context: Context, flags: Bools, size: int) -> Ints:
    """How many of the flags are set in each group of `size`."""
    return np.bincount(np.flatnonzero(flags) // size, minlength=context.fs.groups)


def check_group_count(context: Context, field: str, counted: Ints) -> None:
    noted = context.fs.desc[field]
    context.report(5, noted != counted, a_group,
                   lambda group: f"{field} {noted[group]}, and {counted[group]} counted")


def check_super_count(context: Context, field: str, noted: int, counted: int) -> None:
    if noted != counted:
        context.problems.append(Problem(5, "superblock", f"{field} {noted}, and {counted} counted"))
