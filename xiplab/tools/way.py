"""The way from the superblock of an image to one byte of a file, stop by stop.

    superblock ─► group descriptor ─► inode 2 ─► its directory ─► inode ... ─► block ─► byte
                                                                    └─► indirect block ─┘

    for stop in way(image, "/lib/greeting", 5000): print(stop.text, stop.leads)

Each stop names the bytes that were looked at, so that a picture can show them. What is read there
decides where the way goes on; what leads nowhere ends it with OSError.
Kernel: none; what fs/ext2 does in ext2_fill_super(), ext2_get_inode(), ext2_find_entry() and
ext2_get_block(), without a mount
"""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from xiplab.linux.fs.ext2.ext2_fs import BLOCK_SIZE, EXT2_ROOT_INO, Ext2GroupDesc, Ext2Inode, Ext2SuperBlock
from xiplab.ondisk import OnDisk
from xiplab.tools.files import Dirent, file_size, is_fast_symlink, records
from xiplab.tools.filsys import Filsys, Image

NUMBER = 4
"""Bytes of a block number."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop on the way.

    Attributes:
        start, length: the bytes that are looked at, in the image. name: their field, as an overlay calls it.
        text: what they are. leads: what they say.
    """

    start: int
    length: int
    name: str
    text: str
    leads: str

    @property
    def end(self) -> int:
        return self.start + self.length


def place_of(record: type[OnDisk], field: str) -> int:
    """Where a field begins in its record."""
    fields = record.dtype.fields
    return int(fields[field][1]) if fields is not None else 0


def way(image: Image, path: str, position: int) -> Iterator[Stop]:
    """The stops on the way to byte `position` of the file; a hole and the file's end end it.

    Raises:
        OSError: EINVAL no superblock, or a position before 0; ENOENT no such name; EUCLEAN a number
            that leads out of the image.
    """
    if position < 0:
        raise OSError(errno.EINVAL, f"position {position}: a file begins at byte 0")
    fs = Filsys(image)
    yield Stop(BLOCK_SIZE + place_of(Ext2SuperBlock, "s_log_block_size"), 4, "s_log_block_size",
               "the superblock",
               f"1,024 shifted left by {fs.sb.s_log_block_size}: blocks of {fs.blocksize:,} bytes")
    ino = EXT2_ROOT_INO
    names = [name for name in path.split("/") if name]
    for name in names:
        yield from _to_inode(fs, ino)
        entry = yield from _to_record(fs, ino, name)
        ino = entry.inode
    yield from _to_inode(fs, ino)
    yield from _to_byte(fs, ino, position)


def _to_inode(fs: Filsys, ino: int) -> Iterator[Stop]:
    """Its group's descriptor, when the way begins; then the inode itself."""
    if not 1 <= ino <= fs.inodes_count:
        raise OSError(errno.EUCLEAN, f"inode {ino}: the image has inodes 1 to {fs.inodes_count}")
    group, index = divmod(ino - 1, fs.inodes_per_group)
    table = fs.desc["bg_inode_table"].item(group)
    if ino == EXT2_ROOT_INO or group:
        start = (fs.first_data_block + 1) * fs.blocksize + group * Ext2GroupDesc.dtype.itemsize
        yield Stop(start + place_of(Ext2GroupDesc, "bg_inode_table"), 4, f"group {group}: bg_inode_table",
                   f"the descriptor of group {group}", f"the inode table begins at block {table}")
    start = fs.inode_offset(ino)
    yield Stop(start + place_of(Ext2Inode, "i_mode"), 2, f"inode {ino}: i_mode",
               f"inode {ino}: number {index} of the table, counted from 0",
               f"a {form_of(fs.inode(ino))} of {file_size(fs.inode(ino)):,} bytes")


def form_of(inode: Ext2Inode) -> str:
    """What kind of file an inode is."""
    forms = {0o040000: "directory", 0o100000: "file", 0o120000: "symbolic link"}
    return forms.get(inode.i_mode & 0o170000, "thing of another kind")


def _to_record(fs: Filsys, ino: int, name: str) -> Generator[Stop, None, Dirent]:
    """The blocks of a directory, one after the other, up to the record with the name."""
    blocks = -(-file_size(fs.inode(ino)) // fs.blocksize)
    for logical in range(min(blocks, fs.blocks_count)):
        block = yield from _to_block(fs, ino, logical)
        if not block:
            continue
        for entry in records(fs, block):
            if entry.inode and entry.name == name.encode():
                yield Stop(entry.offset, 8 + len(entry.name), _record_name(fs, block, entry),
                           f"the directory's record for {name}", f"{name} is inode {entry.inode}")
                return entry
    raise OSError(errno.ENOENT, f"{name}: the directory, inode {ino}, has no such record")


def _record_name(fs: Filsys, block: int, wanted: Dirent) -> str:
    numbers = {entry.offset: number for number, entry in enumerate(records(fs, block))}
    return f"record {numbers[wanted.offset]}: inode"


def _to_byte(fs: Filsys, ino: int, position: int) -> Iterator[Stop]:
    inode = fs.inode(ino)
    size = file_size(inode)
    if position >= size:
        yield Stop(fs.inode_offset(ino) + place_of(Ext2Inode, "i_size"), 4, f"inode {ino}: i_size",
                   "the file's size", f"byte {position:,} is behind the end: there are {size:,}")
        return
    if is_fast_symlink(inode):
        start = fs.inode_offset(ino) + place_of(Ext2Inode, "i_block")
        yield Stop(start + position, 1, f"inode {ino}: i_block[{position // NUMBER}]",
                   "a short link's text lies in the inode",
                   f"byte {position} is {byte_name(fs, start + position)}")
        return
    logical, offset = divmod(position, fs.blocksize)
    block = yield from _to_block(fs, ino, logical)
    if block:
        start = block * fs.blocksize + offset
        yield Stop(start, 1, "data", f"byte {offset:,} of block {block}", f"it is {byte_name(fs, start)}")


def _to_block(fs: Filsys, ino: int, logical: int) -> Generator[Stop, None, int]:
    """The slot of the inode, then the indirect blocks, that lead to a block of a file; 0 for a hole."""
    tree = next((tree for tree in fs.trees if tree[1] <= logical < tree[2]), None)
    if tree is None:
        raise OSError(errno.EFBIG, f"block {logical}: an inode leads to {fs.trees[-1][2]} blocks at most")
    depth, first, _ = tree
    slot = logical if not depth else 11 + depth
    start = fs.inode_offset(ino) + place_of(Ext2Inode, "i_block") + slot * NUMBER
    number = int(fs.inode(ino).i_block[slot])
    what = f"block {logical} of the file" if not depth else f"the tree for its blocks from {first} on"
    yield Stop(start, NUMBER, f"inode {ino}: i_block[{slot}]", f"slot {slot}: {what}", _says(fs, number))
    _check(fs, number)
    index = logical - first
    for level in range(depth - 1, -1, -1):
        if not number:
            break
        pointer, index = divmod(index, fs.pointers_per_block**level)
        start = number * fs.blocksize + pointer * NUMBER
        text = f"indirect block {number}, pointer {pointer}"
        number = int(fs.pointers[number, pointer])
        yield Stop(start, NUMBER, f"pointer[{pointer}]", text, _says(fs, number))
        _check(fs, number)
    return number


def _says(fs: Filsys, number: int) -> str:
    if not number:
        return "0: a hole, no block"
    return f"block {number}" + (", which is behind the end" if number >= fs.blocks_count else "")


def _check(fs: Filsys, number: int) -> None:
    if number >= fs.blocks_count:
        raise OSError(errno.EUCLEAN, f"block {number}: the image has blocks 0 to {fs.blocks_count - 1}")


def byte_name(fs: Filsys, place: int) -> str:
    """0x4a, 'J'."""
    value = int(fs.mem[place])
    return f"{value:#04x}, {chr(value)!r}" if 0x20 <= value < 0x7F else f"{value:#04x}"
