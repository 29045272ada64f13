"""Judges an ext2 image by its bytes alone, in the passes of the real e2fsck; it repairs nothing.

    check(image)    list of what is wrong; empty for a clean image

    passes/super.py   0  superblock and group descriptors: without them nothing can be found
    passes/pass1.py   1  every inode by itself: mode, size, its blocks; no block used twice
    passes/pass2.py   2  every directory by itself: its records, and the inodes they name
    passes/pass3.py   3  every directory is reached from the root, and its `..` leads back
    passes/pass4.py   4  every inode has as many links as names
    passes/pass5.py   5  bitmaps and counts say what passes 1 and 2 found

A pass looks at whole tables at once, so that an image of any content is judged in time and memory
that grow with its size alone. What a pass learns for the next ones lies in a `Context`.

Kernel: none; e2fsprogs e2fsck/
Differs: extended attributes are checked by the head of their block; hash trees of directories, journals
and the copies of the superblock not at all. Features of ext4 are refused by pass 0. The real one goes on
with a copy where group descriptors are bad, and silently corrects the superblock's sums of free blocks
and inodes, which the kernel writes at unmount only: here both are problems.
"""

from xiplab.tools.filsys import Filsys, Image, as_array, superblock_faults
from xiplab.tools.passes.context import Context, Problem
from xiplab.tools.passes.pass1 import pass1
from xiplab.tools.passes.pass2 import pass2
from xiplab.tools.passes.pass3 import pass3
from xiplab.tools.passes.pass4 import pass4
from xiplab.tools.passes.pass5 import pass5
from xiplab.tools.passes.super import check_super_block

__all__ = ["Problem", "check"]


def check(image: Image) -> list[Problem]:
    """What is wrong with `image`; of one kind of fault at most the first 100 and a last word.

    Raises: nothing, whatever the bytes.
    """
    mem = as_array(image)
    faults = [Problem(0, "superblock", fault) for fault in superblock_faults(mem)]
    if faults:
        return faults
    context = Context(Filsys(mem))
    check_super_block(context)
    if context.problems:
        return context.problems
    for one_pass in (pass1, pass2, pass3, pass4, pass5):
        one_pass(context)
    return context.problems
