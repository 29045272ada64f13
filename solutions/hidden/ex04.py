"""Hidden checks of exercise 04. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case, Wrong
from xiplab.course.questions.ex04_way import (
    HEAD,
    SHAPES,
    ask_number,
    check_double,
    check_places,
    disk,
)
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import KiB

SEED = "a seed that learners do not know either"


def other_inodes(answer: Answer, random: Random) -> None:
    """As the visible check, with other numbers."""
    check_places(answer, Random(SEED))


def group_edges(answer: Answer, random: Random) -> None:
    """The first and the last inode of every group."""
    for shape in SHAPES:
        fs = disk(shape, 32)
        for group in range(fs.groups):
            for ino in (group * fs.inodes_per_group + 1, (group + 1) * fs.inodes_per_group):
                if ask_number(answer, f"inode {ino}", "inode_place", fs.mem[:HEAD].tobytes(),
                              ino) != fs.inode_offset(ino):
                    raise Wrong("The inode does not begin there.")


def other_disk(answer: Answer, random: Random) -> None:
    """As the visible check, on another disk."""
    check_double(answer, Random(SEED))


def small_file(answer: Answer, random: Random) -> None:
    """Pages far behind a small file: its slots 12 and 13 are 0."""
    fs = Filsys(mke2fs(128 * KiB, blocksize=KiB, tree={"small": b"x"}))
    inode = fs.inode_offset(fs.first_ino + 1)
    for page in (12, 267, 268, 600):
        if ask_number(answer, f"page {page}", "block_of", fs.mem.tobytes(), inode, page):
            raise Wrong("A hole has no block.")


HIDDEN = {
    "04.4": (Case("other numbers of inodes", other_inodes, guards="inodes of disks of all shapes"),
             Case("the edges of each group", group_edges, guards="inodes of disks of all shapes")),
    "04.5": (Case("another disk", other_disk, guards="pages behind two"),
             Case("a file without indirect blocks", small_file, guards="pages behind one indirect block")),
}
