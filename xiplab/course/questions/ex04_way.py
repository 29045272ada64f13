"""Questions 04.4 and 04.5: from a number to an inode, and from an inode to any of its blocks.

The answer gets the bytes of disks that were made for the check: with blocks of other sizes, several
groups, inodes of 256 bytes, holes on each level. What is expected is read by the tools of the package.
A belief is a wrong function: if it predicts all that the answer said, it is named.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.linux.fs.ext2.ext2_fs import Ext2GroupDesc
from xiplab.tools import debugfs
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import KiB

PRELUDE = '''
import errno

def number(image, place, length=4):
    return int.from_bytes(image[place:place + length], "little")
'''
HEAD = 8 * KiB
"""Superblock and group descriptors lie within so many bytes of the disks made here."""
FILE, SMALL, FAR = "/file", "/small", "/far"
SLOTS = 12


# ---- 04.4: the place of an inode

@dataclass(frozen=True)
class Shape:
    """What a disk looks like: its block size, the size of an inode, how many groups it has."""

    blocksize: int
    inode_size: int
    groups: int

    def __str__(self) -> str:
        groups = "one group" if self.groups == 1 else f"{self.groups} groups"
        return f"a disk with blocks of {self.blocksize:,} bytes, inodes of {self.inode_size} bytes, {groups}"


SHAPES = (Shape(4096, 128, 1), Shape(4096, 256, 1), Shape(1024, 128, 1), Shape(1024, 128, 3),
          Shape(1024, 256, 4), Shape(2048, 128, 2))


@cache
def disk(shape: Shape, extra: int) -> Filsys:
    """A disk of this shape; `extra` varies the number of its inodes."""
    blocks = 256 * shape.groups
    return Filsys(mke2fs(blocks * shape.blocksize, blocksize=shape.blocksize, inode_size=shape.inode_size,
                         blocks_per_group=256, inodes=(32 + extra) * shape.groups))


def place(fs: Filsys, ino: int, *, first: int = 1, group: int | None = None, inode_size: int = 0,
          blocksize: int = 0, descriptors: int = 0) -> int:
    """Where an inode would lie, if one thing were as some believe."""
    true_group, index = divmod(ino - first, fs.inodes_per_group)
    if group is not None:
        true_group, index = group, ino - first
    size = blocksize or fs.blocksize
    start = (descriptors or (fs.first_data_block + 1) * size) + true_group * Ext2GroupDesc.dtype.itemsize
    table = int.from_bytes(fs.mem[:HEAD][start + 8:start + 12].tobytes(), "little")
    return table * size + index * (inode_size or fs.inode_size)


INODE_BELIEFS: tuple[tuple[str, Callable[[Filsys, int], int]], ...] = (
    ("inodes-begin-at-zero", lambda fs, ino: place(fs, ino, first=0)),
    ("one-inode-table", lambda fs, ino: place(fs, ino, group=0)),
    ("inode-is-128-bytes", lambda fs, ino: place(fs, ino, inode_size=128)),
    ("blocks-are-pages", lambda fs, ino: place(fs, ino, blocksize=4096, descriptors=4096)),
    ("blocks-are-pages", lambda fs, ino: place(fs, ino, blocksize=4096)),
    ("blocks-are-pages", lambda fs, ino: place(fs, ino, descriptors=4096)),
    ("descriptors-in-block-one", lambda fs, ino: place(fs, ino, descriptors=fs.blocksize)),
    ("block-number-is-a-place", lambda fs, ino: place(fs, ino) - fs.desc["bg_inode_table"].item(
        (ino - 1) // fs.inodes_per_group) * (fs.blocksize - 1)),
)


def check_places(answer: Answer, random: Random) -> None:
    """The place of inodes on disks of all shapes."""
    said = []
    for shape in SHAPES:
        fs = disk(shape, 32 * random.randrange(3))
        per_group = fs.inodes_per_group
        wanted = {1, 2, random.randrange(3, per_group), fs.inodes_count - random.randrange(4), per_group}
        if shape.groups > 1:
            wanted.add(per_group + 1)
        for ino in sorted(wanted):
            got = ask_number(answer, f"{shape}; inode {ino}", "inode_place", fs.mem[:HEAD].tobytes(), ino)
            said.append((shape, fs, ino, got))
    for shape, fs, ino, got in said:
        if got != fs.inode_offset(ino):
            beliefs = (name for name, predict in INODE_BELIEFS
                       if all(predict(f, n) == value for _, f, n, value in said))
            raise Wrong("The inode does not begin there.",
                        given=f"{shape}; {fs.inodes_per_group} inodes per group; inode {ino}",
                        expected=f"byte {fs.inode_offset(ino):,}", got=f"byte {got:,}",
                        misconception=next(beliefs, ""))


def check_no_such_inode(answer: Answer, random: Random) -> None:
    """EINVAL for the inodes before the first and behind the last one."""
    fs = disk(random.choice(SHAPES), 0)
    for ino in (0, fs.inodes_count + 1, fs.inodes_count + random.randrange(2, 100)):
        refuses(answer, f"inode {ino} of {fs.inodes_count}", errno.EINVAL, "any-number-is-an-inode",
                "inode_place", fs.mem[:HEAD].tobytes(), ino)


# ---- 04.5: the block of a page

@cache
def deep_disk(seed: int, blocksize: int = KiB) -> Filsys:
    """A disk whose /file has holes everywhere; /far has one page, behind two indirect blocks.

    Block 0 is left to boot code by ext2, and is not empty here.
    """
    random, n = Random(seed), blocksize // 4
    stored = {0, 11, SLOTS, SLOTS + n - 1, SLOTS + n, SLOTS + 2 * n - 1, SLOTS + 2 * n,
              *random.sample(range(1, SLOTS + n), 6),
              *(SLOTS + n * (row + 1) + random.randrange(n) for row in (0, 1, 2, 4))}
    files = {FILE: stored, SMALL: {0}, FAR: {SLOTS + n + 5}}
    tree = {path[1:]: b"".join(bytes([page in pages]) * blocksize for page in range(max(pages) + 1))
            for path, pages in files.items()}
    image = mke2fs(256 * blocksize, blocksize=blocksize, tree=tree, scatter=seed)
    image[:KiB] = 0x90
    return Filsys(image)


def pointer(fs: Filsys, block: int, index: int) -> int:
    """A number of an indirect block; beyond its end, that of the next one on the disk."""
    flat = fs.pointers.reshape(-1)
    return int(flat[min(block * fs.pointers_per_block + index, flat.size - 1)]) if block >= 0 else 0


def by_slot(fs: Filsys, slots: list[int], page: int, *, limit: int = SLOTS, base: int = SLOTS,
            double: str = "") -> int:
    """The block of a page, if one thing were as some believe."""
    n = fs.pointers_per_block
    if page < limit:
        return slots[page]
    page -= base
    if page < n:
        return pointer(fs, slots[12], page) if slots[12] or double == "no hole" else 0
    page -= 0 if double == "counts on" else n
    row, column = (page % n, page // n) if double == "turned" else divmod(page, n)
    if double == "single":
        return pointer(fs, slots[13], page)
    middle = pointer(fs, slots[13], row) if slots[13] or double == "no hole" else 0
    return pointer(fs, middle, column) if middle or double in ("no hole", "middle") else 0


BLOCK_BELIEFS: tuple[tuple[str, Callable[[Filsys, list[int], int], int]], ...] = (
    ("indirect-block-is-data", lambda fs, slots, page: slots[page] if page < 15
        else by_slot(fs, slots, page)),
    ("indirect-block-is-data", lambda fs, slots, page: slots[page] if page < 15 else 0),
    ("indirect-block-is-data", lambda fs, slots, page: by_slot(fs, slots, page, limit=13)),
    ("indirect-block-is-data", lambda fs, slots, page: slots[page] if page < SLOTS
        else slots[12 + (page >= SLOTS + fs.pointers_per_block)]),
    ("pointers-count-on", lambda fs, slots, page: by_slot(fs, slots, page, base=0)),
    ("pointers-count-on", lambda fs, slots, page: by_slot(fs, slots, page, double="counts on")),
    ("two-levels-are-one", lambda fs, slots, page: by_slot(fs, slots, page, double="single")),
    ("levels-turned-round", lambda fs, slots, page: by_slot(fs, slots, page, double="turned")),
    ("hole-is-in-the-slots-only", lambda fs, slots, page: by_slot(fs, slots, page, double="no hole")),
    ("hole-is-in-the-slots-only", lambda fs, slots, page: by_slot(fs, slots, page, double="middle")),
)


def check_blocks(answer: Answer, fs: Filsys, wanted: list[tuple[str, int]]) -> None:
    """The blocks of pages of some files."""
    said = []
    for path, page in wanted:
        stat = debugfs.stat(fs.mem, path)
        given = f"blocks of {fs.blocksize:,} bytes; slots {stat['i_block']}; page {page}"
        got = ask_number(answer, given, "block_of", fs.mem.tobytes(), stat["offset"], page)
        said.append((stat["i_block"], page, block_at(fs, path, page), given, got))
    for _, _, block, given, got in said:
        if got != block:
            beliefs = (name for name, predict in BLOCK_BELIEFS
                       if all(predict(fs, slots, page) == value for slots, page, _, _, value in said))
            raise Wrong("The page is not in that block.", given=given, expected=block_name(block),
                        got=block_name(got), misconception=next(beliefs, ""))


def block_at(fs: Filsys, path: str, page: int) -> int:
    """Where the tools find the page; behind the file's end there is nothing."""
    blocks = debugfs.blocks(fs.mem, path)
    return blocks[page] if page < len(blocks) else 0


def chosen(fs: Filsys, random: Random, *parts: range) -> list[tuple[str, int]]:
    """From each part of /file its first and last page, stored pages, and a hole."""
    blocks = debugfs.blocks(fs.mem, FILE)
    picked: set[int] = set()
    for part in parts:
        there = [page for page in part if page < len(blocks)]
        stored = [page for page in there if blocks[page]]
        holes = [page for page in there if not blocks[page]]
        picked |= {there[0], there[-1], *random.sample(stored, min(3, len(stored))), random.choice(holes)}
    return [(FILE, page) for page in sorted(picked)]


def block_name(block: int) -> str:
    return f"block {block}" if block else "0, a hole"


def check_direct(answer: Answer, random: Random) -> None:
    """Pages with a slot of their own."""
    fs = deep_disk(random.randrange(4))
    check_blocks(answer, fs, chosen(fs, random, range(SLOTS)))


def check_indirect(answer: Answer, random: Random) -> None:
    """Pages behind one indirect block, on a disk with blocks of 2,048 bytes."""
    fs = deep_disk(random.randrange(4), 2 * KiB)
    parts = range(SLOTS), range(SLOTS, SLOTS + fs.pointers_per_block)
    check_blocks(answer, fs, [*chosen(fs, random, *parts), (SMALL, SLOTS), (FAR, SLOTS)])


def check_double(answer: Answer, random: Random) -> None:
    """Pages behind two indirect blocks."""
    fs = deep_disk(random.randrange(4))
    n = fs.pointers_per_block
    first = SLOTS + n
    rows = (range(first + n * row, first + n * (row + 1)) for row in range(5))
    pages = chosen(fs, random, range(SLOTS), range(SLOTS, first), *rows)
    check_blocks(answer, fs, [*pages, (SMALL, first), (FAR, first + 5)])


# ---- asking

def ask_number(answer: Answer, given: str, name: str, *args: object) -> int:
    """Call the answer, which must return a whole number."""
    try:
        value: Any = answer.call(name, *args)
    except AnswerRaised as refusal:
        if refusal.errno is None:
            raise
        raise Wrong(f"Your function refused this ({refusal.text or refusal.kind}).", given=given) from refusal
    if type(value) is not int:
        raise Wrong("Your function must return a whole number.", given=given, got=repr(value)[:80],
                    misconception="place-is-bytes" if isinstance(value, bytes) else "")
    return value


def refuses(answer: Answer, given: str, code: int, misconception: str, name: str, *args: object) -> None:
    """The answer raises OSError with `code`."""
    expected = f"OSError with errno {errno.errorcode[code]}"
    try:
        value = answer.call(name, *args)
    except AnswerRaised as refusal:
        if refusal.errno == code:
            return
        if refusal.kind == "NotImplementedError":
            raise
        raise Wrong("Your function raised another error than the one asked for.", given=given,
                    expected=expected, got=str(refusal), trace=tuple(refusal.trace),
                    misconception="any-error-will-do") from refusal
    raise Wrong("Your function did not refuse this.", given=given, expected=expected, got=repr(value),
                misconception=misconception)
