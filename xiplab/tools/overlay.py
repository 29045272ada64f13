"""What each block of an image is, and what each of its bytes means: the source of byte pictures.

    roles(image)           for every block what it is: superblock, bitmap, inode table, data of inode 12 ...
    overlay(image, block)  the block's fields in their order: (offset, length, name, value)
    meaning(name)          one line on a field, by its name in an overlay

A field's name may say whose it is first: "inode 12: i_size", "group 0: bg_inode_table".
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import (
    BLOCK_SIZE,
    EXT2_FAST_SYMLINK_MAX,
    EXT2_N_BLOCKS,
    Ext2DirEntry2,
    Ext2GroupDesc,
    Ext2Inode,
    Ext2SuperBlock,
    Ext2XattrHeader,
)
from xiplab.ondisk import OnDisk
from xiplab.tools.block_walk import walk_blocks
from xiplab.tools.descriptions import MEANINGS
from xiplab.tools.files import records
from xiplab.tools.filsys import Filsys, Image

BOOT, SUPER, DESCRIPTORS, BLOCK_BITMAP, INODE_BITMAP, INODE_TABLE = (
    "boot block", "superblock", "group descriptors", "block bitmap", "inode bitmap", "inode table")
DIRECTORY, INDIRECT, DATA, ATTRIBUTES, FREE = "directory", "indirect block", "data", "attributes", "free"


class Piece(NamedTuple):
    """Some bytes of a block. offset: from the block's start."""

    offset: int
    length: int
    name: str
    value: Any


@dataclass(frozen=True)
class Role:
    """What a block is.

    Attributes:
        kind: one of the words above. group: the group whose metadata it is.
        ino: the inode that uses it. logical: its number in that file; of an indirect block the first
            one below it. depth: 0 data, 1 to 3 for an indirect block.
    """

    kind: str
    group: int = 0
    ino: int = 0
    logical: int = 0
    depth: int = 0

    def __str__(self) -> str:
        if self.ino:
            return f"{self.kind} of inode {self.ino}, for its block {self.logical}"
        return self.kind if self.kind in {BOOT, FREE} else f"{self.kind} of group {self.group}"


def meaning(name: str) -> str:
    """What the field `name` of an overlay means."""
    return MEANINGS[name.rpartition(": ")[2].partition("[")[0].partition(" ")[0]]


def block_roles(fs: Filsys) -> list[Role]:
    table = [Role(FREE)] * fs.blocks_count
    for block, role in file_roles(fs):
        table[block] = role
    for group in range(fs.groups):
        for kind, first, length in metadata(fs, group):
            table[first:first + length] = [Role(kind, group)] * len(table[first:first + length])
    if fs.first_data_block:
        table[0] = Role(BOOT)
    return table


def file_roles(fs: Filsys) -> Iterator[tuple[int, Role]]:
    """Every block that an inode uses, with its role."""
    inodes = fs.inodes()
    form = inodes["i_mode"] & 0o170000
    is_slow_link = (form == stat.S_IFLNK) & (inodes["i_size"] > EXT2_FAST_SYMLINK_MAX)
    walked = (inodes["i_links_count"] > 0) & ((form == stat.S_IFDIR) | (form == stat.S_IFREG) | is_slow_link)
    claims = walk_blocks(fs, np.flatnonzero(walked), inodes["i_block"][walked].astype(np.int64))
    claims = claims[fs.holds(claims.block)]
    columns = claims.owner, claims.block, claims.logical, claims.depth
    for ino, block, logical, depth in zip(*(column.tolist() for column in columns), strict=True):
        kind = INDIRECT if depth else DIRECTORY if form[ino] == stat.S_IFDIR else DATA
        yield block, Role(kind, ino=ino, logical=logical, depth=depth)
    attributes = inodes["i_file_acl"].astype(np.int64)
    for ino in np.flatnonzero(fs.holds(attributes) & (inodes["i_links_count"] > 0)).tolist():
        yield int(attributes[ino]), Role(ATTRIBUTES, ino=ino)


def metadata(fs: Filsys, group: int) -> Iterator[tuple[str, int, int]]:
    """(kind, first block, blocks) of what a group has beside files."""
    if fs.has_super(group):
        yield SUPER, fs.group_first(group), 1
        yield DESCRIPTORS, fs.group_first(group) + 1, fs.desc_blocks
    block_bitmap, inode_bitmap, table = fs.desc[group].item()[:3]
    yield BLOCK_BITMAP, block_bitmap, 1
    yield INODE_BITMAP, inode_bitmap, 1
    yield INODE_TABLE, table, fs.itable_blocks


def record_pieces(record: OnDisk, start: int, whose: str = "") -> Iterator[Piece]:
    """The fields of a record; arrays of numbers one by one."""
    for name, (form, offset, *_) in (record.dtype.fields or {}).items():
        value = getattr(record, name)
        if not isinstance(value, np.ndarray):
            yield Piece(start + offset, form.itemsize, whose + name, value)
        elif value.dtype == np.uint8 or value.size > EXT2_N_BLOCKS:
            yield Piece(start + offset, form.itemsize, whose + name, value.tobytes())
        else:
            for index, number in enumerate(value.tolist()):
                place = start + offset + index * value.itemsize
                yield Piece(place, value.itemsize, f"{whose}{name}[{index}]", number)


def boot_pieces(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    yield Piece(0, BLOCK_SIZE, BOOT, fs.blocks[block, :BLOCK_SIZE].tobytes())


def super_pieces(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    """The first superblock is always at byte 1024 of the image, the copies where their group starts."""
    start = 0
    if block == 0:
        yield from boot_pieces(fs, block, role)
        start = BLOCK_SIZE
    yield from record_pieces(Ext2SuperBlock(fs.blocks[block], start), start)


def descriptor_pieces(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    size = Ext2GroupDesc.dtype.itemsize
    first = (block - fs.group_first(role.group) - 1) * (fs.blocksize // size)
    for index in range(min(fs.blocksize // size, fs.groups - first)):
        desc = Ext2GroupDesc(fs.blocks[block], index * size)
        yield from record_pieces(desc, index * size, f"group {first + index}: ")


def block_bitmap_pieces(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    return bitmap_pieces(fs, block, "blocks", fs.group_first(role.group), fs.group_blocks(role.group))


def inode_bitmap_pieces(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    return bitmap_pieces(fs, block, "inodes", 1 + role.group * fs.inodes_per_group, fs.inodes_per_group)


def bitmap_pieces(fs: Filsys, block: int, what: str, first: int, count: int) -> Iterator[Piece]:
    """Runs of bytes that say the same. The value has the bits of a byte in the order of the numbers."""
    row = fs.blocks[block]
    same = (row[1:] == row[:-1]) & np.isin(row[1:], [0, 0xFF])
    same[-(-count // 8) - 1:-(-count // 8)] = False
    starts = np.flatnonzero(np.concatenate([[True], ~same])).tolist()
    for start, end in pairwise([*starts, row.size]):
        value = f"{row[start]:08b}"[::-1]
        last = min(end * 8, count) - 1
        inside = f"{what} {first + start * 8} to {first + last}"
        yield Piece(start, end - start, inside if last >= start * 8 else "past the group's end", value)


def inode_table_pieces(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    per_block = fs.blocksize // fs.inode_size
    first = (block - fs.desc["bg_inode_table"].item(role.group)) * per_block
    for index in range(min(per_block, fs.inodes_per_group - first)):
        inode = Ext2Inode(fs.blocks[block], index * fs.inode_size)
        ino = role.group * fs.inodes_per_group + first + index + 1
        yield from record_pieces(inode, index * fs.inode_size, f"inode {ino}: ")


def directory_pieces(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    """The records of a directory, up to the first broken one."""
    start = block * fs.blocksize
    try:
        for number, record in enumerate(records(fs, block)):
            place, whose = record.offset - start, f"record {number}: "
            yield from record_pieces(Ext2DirEntry2(fs.mem, record.offset), place, whose)
            yield Piece(place + 8, len(record.name), f"{whose}name", record.name)
    except OSError as broken:
        if broken.errno != errno.EUCLEAN:
            raise


def indirect_pieces(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    """Block numbers one by one; zeros in a row as one piece."""
    numbers = fs.pointers[block]
    same = (numbers[1:] == 0) & (numbers[:-1] == 0)
    starts = np.flatnonzero(np.concatenate([[True], ~same])).tolist()
    for start, end in pairwise([*starts, numbers.size]):
        name = f"pointer[{start}]" if end == start + 1 else f"pointer[{start}] to [{end - 1}]"
        yield Piece(start * 4, (end - start) * 4, name, numbers.item(start))


def attribute_pieces(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    return record_pieces(Ext2XattrHeader(fs.blocks[block]), 0)


def whole_block(fs: Filsys, block: int, role: Role) -> Iterator[Piece]:
    yield Piece(0, fs.blocksize, str(role), fs.blocks[block].tobytes())


PIECES: dict[str, Callable[[Filsys, int, Role], Iterator[Piece]]] = {
    BOOT: boot_pieces, SUPER: super_pieces, DESCRIPTORS: descriptor_pieces,
    BLOCK_BITMAP: block_bitmap_pieces, INODE_BITMAP: inode_bitmap_pieces, INODE_TABLE: inode_table_pieces,
    DIRECTORY: directory_pieces, INDIRECT: indirect_pieces, ATTRIBUTES: attribute_pieces,
    DATA: whole_block, FREE: whole_block,
}


def roles(image: Image) -> list[Role]:
    """What each block of the image is. Raises OSError: EINVAL not an image."""
    return block_roles(Filsys(image))


def overlay(image: Image, block: int) -> list[Piece]:
    """The fields that lie in a block. Raises OSError: EINVAL not an image, or no such block."""
    fs = Filsys(image)
    if not 0 <= block < fs.blocks_count:
        raise OSError(errno.EINVAL, f"block {block}: the image has blocks 0 to {fs.blocks_count - 1}")
    role = block_roles(fs)[block]
    return list(PIECES[role.kind](fs, block, role))
