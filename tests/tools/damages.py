"""Single damages to a good image: each a function that changes one thing in its bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import Ext2Inode, Ext2SuperBlock, ext2_super_block_of
from xiplab.tools import debugfs
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.tools.tree import Node, file, symlink
from xiplab.units import MiB

Damage = Callable[[np.ndarray], None]
DAMAGES: dict[str, Damage] = {}


def good_image(blocksize: int = 1024, revision: int = 1) -> np.ndarray:
    """Two groups, all kinds of files, and one file below a double indirect block."""
    shared = file("two names\n")
    tree = {
        "file": b"\x01" * 30 * 1024, "big": b"\x02" * 400 * 1024, "small": b"small",
        "one": shared, "two": shared,
        "dir": {"sub": {"leaf": "leaf"}, "other": {}}, "many": {f"name-{n:03}": "x" for n in range(60)},
        "fast": symlink("dir/sub"), "slow": symlink("s" * 200), "pipe": Node(0o010644),
        "device": Node(0o020644, rdev=0x103),
    }
    return mke2fs(2 * MiB, blocksize=blocksize, revision=revision, tree=tree,
                  blocks_per_group=MiB // blocksize)


def damage(function: Damage) -> Damage:
    DAMAGES[function.__name__] = function
    return function


def inode(image: np.ndarray, path: str | int) -> Ext2Inode:
    return Filsys(image).inode(debugfs.namei(image, path))


def set_super(name: str, field: str, value: int | Callable[[int], int]) -> None:
    def change(image: np.ndarray) -> None:
        sb: Ext2SuperBlock = ext2_super_block_of(image)
        setattr(sb, field, value(getattr(sb, field)) if callable(value) else value)
    DAMAGES[name] = change


def set_group(name: str, field: str, value: Callable[[int], int], group: int = 0) -> None:
    def change(image: np.ndarray) -> None:
        desc = Filsys(image).desc
        desc[field][group] = value(desc[field].item(group))
    DAMAGES[name] = change


def set_inode(name: str, path: str | int, field: str, value: int | Callable[[int], int]) -> None:
    def change(image: np.ndarray) -> None:
        record = inode(image, path)
        setattr(record, field, value(getattr(record, field)) if callable(value) else value)
    DAMAGES[name] = change


def set_pointer(name: str, path: str, slot: int, value: Callable[[np.ndarray, int], int]) -> None:
    def change(image: np.ndarray) -> None:
        record = inode(image, path)
        record.i_block[slot] = value(image, record.i_block.item(slot))
    DAMAGES[name] = change


def set_record(name: str, directory: str, entry: bytes, at: int, value: bytes) -> None:
    """Overwrite bytes of a record: 0 inode, 4 rec_len, 6 name_len, 7 file_type, 8 name."""
    def change(image: np.ndarray) -> None:
        offset = next(record.offset for record in debugfs.ls(image, directory) if record.name == entry)
        image[offset + at:offset + at + len(value)] = np.frombuffer(value, np.uint8)
    DAMAGES[name] = change


def flip_bit(name: str, field: str, bit: int, group: int = 0) -> None:
    def change(image: np.ndarray) -> None:
        fs = Filsys(image)
        fs.blocks[fs.desc[field].item(group), bit // 8] ^= 1 << bit % 8
    DAMAGES[name] = change


def word(number: int) -> bytes:
    return number.to_bytes(4, "little")


# superblock
set_super("magic", "s_magic", 0)
set_super("revision 2", "s_rev_level", 2)
set_super("block size", "s_log_block_size", 2)
set_super("block size too large", "s_log_block_size", 20)
set_super("fragment size", "s_log_frag_size", 2)
set_super("unknown incompat feature", "s_feature_incompat", lambda value: value | 0x8000_0000)
set_super("unknown ro_compat feature", "s_feature_ro_compat", lambda value: value | 0x8000_0000)
set_super("too many blocks", "s_blocks_count", lambda value: value + 1000)
set_super("fewer blocks", "s_blocks_count", lambda value: value - 10)
set_super("no blocks", "s_blocks_count", 0)
set_super("more inodes", "s_inodes_count", lambda value: value + 8)
set_super("no inodes per group", "s_inodes_per_group", 0)
set_super("no blocks per group", "s_blocks_per_group", 0)
set_super("first data block", "s_first_data_block", 5)
set_super("inode size", "s_inode_size", 100)
set_super("first inode too low", "s_first_ino", 2)
set_super("first inode too high", "s_first_ino", 1_000_000)
set_super("too many reserved blocks", "s_r_blocks_count", lambda _: 1500)
set_super("free blocks", "s_free_blocks_count", lambda value: value + 1)
set_super("free inodes", "s_free_inodes_count", lambda value: value - 1)
set_super("error state", "s_state", 2)
set_super("not unmounted", "s_state", 0)
set_super("mounted often", "s_mnt_count", 1000)
set_super("filetype feature lost", "s_feature_incompat", 0)
set_super("label", "s_def_resuid", 7)

# group descriptors
set_group("block bitmap elsewhere", "bg_block_bitmap", lambda _: 1500)
set_group("block bitmap outside", "bg_block_bitmap", lambda _: 10**9)
set_group("inode bitmap is block bitmap", "bg_inode_bitmap", lambda value: value - 1)
set_group("inode table outside", "bg_inode_table", lambda _: 10**9)
set_group("inode table zero", "bg_inode_table", lambda _: 0, group=1)
set_group("group free blocks", "bg_free_blocks_count", lambda value: value - 1)
set_group("group free inodes", "bg_free_inodes_count", lambda value: value + 1)
set_group("group directories", "bg_used_dirs_count", lambda value: value + 1)

# inodes
set_inode("mode zero", "/file", "i_mode", 0)
set_inode("mode unknown", "/file", "i_mode", 0o030644)
set_inode("file as directory", "/file", "i_mode", 0o040755)
set_inode("directory as file", "/dir", "i_mode", 0o100644)
set_inode("file as pipe", "/small", "i_mode", 0o010644)
set_inode("pipe as file", "/pipe", "i_mode", 0o100644)
set_inode("permissions", "/file", "i_mode", 0o107777)
set_inode("links too many", "/file", "i_links_count", 3)
set_inode("links of two names", "/one", "i_links_count", 1)
set_inode("no links", "/file", "i_links_count", 0)
set_inode("directory links", "/dir", "i_links_count", 2)
set_inode("blocks count", "/file", "i_blocks", lambda value: value + 2)
set_inode("blocks count of pipe", "/pipe", "i_blocks", 2)
set_inode("size shorter", "/file", "i_size", 1024)
set_inode("size longer", "/file", "i_size", 10**6)
set_inode("size one block less", "/file", "i_size", lambda value: value - 1024)
set_inode("size within last block", "/file", "i_size", lambda value: value - 1)
set_inode("size of directory", "/dir", "i_size", lambda value: value + 1024)
set_inode("size of directory odd", "/dir", "i_size", lambda value: value - 1)
set_inode("size of pipe", "/pipe", "i_size", 5)
set_inode("size of fast link", "/fast", "i_size", 3)
set_inode("size of slow link", "/slow", "i_size", 150)
set_inode("size of link zero", "/fast", "i_size", 0)
set_inode("link too long", "/slow", "i_size", 5000)
set_inode("high size", "/file", "i_dir_acl", 1)
set_inode("high size too high", "/file", "i_dir_acl", 1000)
set_inode("high size of directory", "/dir", "i_dir_acl", 1)
set_inode("deleted but linked", "/file", "i_dtime", 1234567890)
set_inode("fragment", "/file", "i_faddr", 7)
set_inode("fragment number", "/file", "l_i_frag", 1)
set_inode("fragment size of inode", "/file", "l_i_fsize", 1)
set_inode("attributes without feature", "/file", "i_file_acl", 1000)
set_inode("attributes outside", "/file", "i_file_acl", 10**9)
set_inode("flag indexed on file", "/file", "i_flags", 0x1000)
set_inode("flag indexed on directory", "/many", "i_flags", 0x1000)
set_inode("flag immutable", "/file", "i_flags", 0x10)
set_inode("flag immutable on device", "/device", "i_flags", 0x10)
set_inode("flag compressed", "/file", "i_flags", 0x4)
set_inode("flag compressed blocks", "/file", "i_flags", 0x200)
set_inode("flag large file in blocks", "/file", "i_flags", 0x40000)
set_inode("flag inline data", "/file", "i_flags", 0x10000000)
set_inode("flag encrypted", "/file", "i_flags", 0x800)
set_inode("flag of unknown use", "/file", "i_flags", 0x80000000)
set_inode("flag extents", "/file", "i_flags", 0x80000)
set_inode("generation", "/file", "i_generation", 99)
set_inode("owner", "/file", "i_uid", 1000)
set_inode("root is a file", 2, "i_mode", 0o100755)
set_inode("root without links", 2, "i_links_count", 0)
set_inode("reserved inode used", 9, "i_mode", 0o100644)
set_inode("boot loader inode", 5, "i_mode", 0o100644)
set_inode("free inode with mode", 200, "i_mode", 0o100644)
set_inode("free inode with links", 200, "i_links_count", 1)
set_inode("free inode as file", 200, "i_blocks", 2)
set_inode("undelete directory", 6, "i_links_count", 2)

# block pointers
set_pointer("pointer outside", "/file", 3, lambda image, _: 10**9)
set_pointer("pointer to superblock", "/file", 3, lambda image, _: 1)
set_pointer("pointer to inode table", "/file", 3,
            lambda image, _: Filsys(image).desc["bg_inode_table"].item(0))
set_pointer("pointer twice", "/file", 3, lambda image, _: debugfs.blocks(image, "/big")[5])
set_pointer("pointer twice in a file", "/file", 3, lambda image, _: debugfs.blocks(image, "/file")[4])
set_pointer("pointer lost", "/file", 3, lambda *_: 0)
set_pointer("pointer to a free block", "/file", 3, lambda image, _: 1900)
set_pointer("indirect lost", "/file", 12, lambda *_: 0)
set_pointer("indirect outside", "/file", 12, lambda *_: 10**9)
set_pointer("indirect is data", "/file", 12, lambda image, _: debugfs.blocks(image, "/big")[5])
set_pointer("double indirect outside", "/big", 13, lambda *_: 5000)
set_pointer("double indirect is itself", "/big", 14, lambda image, _: inode(image, "/big").i_block.item(13))
set_pointer("directory block lost", "/dir", 0, lambda *_: 0)
set_pointer("directory block is data", "/dir", 0, lambda image, _: debugfs.blocks(image, "/small")[0])
set_pointer("directory block shared", "/dir", 0, lambda image, _: debugfs.blocks(image, "/many")[0])
set_pointer("directory longer", "/dir", 1, lambda image, _: 1900)
set_pointer("link block outside", "/slow", 0, lambda *_: 10**9)
set_pointer("link with two blocks", "/slow", 1, lambda *_: 1900)
set_pointer("fast link with a zero", "/fast", 0, lambda image, value: value & 0xFF00FFFF)
set_pointer("pipe with words", "/pipe", 6, lambda *_: 77)
set_pointer("device number", "/device", 0, lambda *_: 0x105)
set_pointer("device with words", "/device", 6, lambda *_: 77)

# directory records
set_record("entry to a free inode", "/", b"file", 0, word(250))
set_record("entry outside", "/", b"file", 0, word(100_000))
set_record("entry to a reserved inode", "/", b"file", 0, word(8))
set_record("entry to the root", "/", b"file", 0, word(2))
set_record("entry to a directory", "/", b"file", 0, word(11))
set_record("entry removed", "/", b"file", 0, word(0))
set_record("entry of a directory removed", "/", b"dir", 0, word(0))
set_record("entry to another file", "/", b"small", 0, word(12))
set_record("record length 0", "/", b"file", 4, b"\0\0")
set_record("record length odd", "/", b"file", 4, b"\x11\0")
set_record("record too long", "/", b"file", 4, b"\xff\xff")
set_record("record too short", "/many", b"name-003", 4, b"\x0c\0")
set_record("record length 8", "/", b"file", 4, b"\x08\0")
set_record("name length 0", "/", b"file", 6, b"\0")
set_record("name longer than record", "/", b"file", 6, b"\x20")
set_record("name shorter", "/", b"file", 6, b"\x03")
set_record("file type wrong", "/", b"file", 7, b"\x02")
set_record("file type unknown", "/", b"file", 7, b"\x00")
set_record("file type too high", "/", b"file", 7, b"\x09")
set_record("slash in a name", "/", b"file", 9, b"/")
set_record("zero in a name", "/", b"file", 9, b"\0")
set_record("name changed", "/", b"file", 9, b"u")
set_record("name twice", "/many", b"name-003", 8, b"name-004")
set_record("named dot", "/dir/sub", b"leaf", 6, b"\x01\x01.")
set_record("dot leads away", "/dir", b".", 0, word(2))
set_record("dot free", "/dir", b".", 0, word(0))
set_record("dot renamed", "/dir", b".", 8, b"x")
set_record("dotdot leads away", "/dir", b"..", 0, word(11))
set_record("dotdot free", "/dir", b"..", 0, word(0))
set_record("dotdot renamed", "/dir", b"..", 8, b"x")
set_record("dotdot to a file", "/dir", b"..", 0, word(12))
set_record("root's dotdot leads away", "/", b"..", 0, word(11))

# bitmaps
flip_bit("block of metadata free", "bg_block_bitmap", 2)
flip_bit("block of data free", "bg_block_bitmap", 200)
flip_bit("free block used", "bg_block_bitmap", 1000, group=0)
flip_bit("free block used in group 1", "bg_block_bitmap", 1000, group=1)
flip_bit("past the last block", "bg_block_bitmap", 1024 + 5, group=1)
flip_bit("past a group's blocks", "bg_block_bitmap", 1024 + 5, group=0)
flip_bit("inode in use free", "bg_inode_bitmap", 12)
flip_bit("reserved inode free", "bg_inode_bitmap", 6)
flip_bit("free inode used", "bg_inode_bitmap", 250)
flip_bit("past a group's inodes", "bg_inode_bitmap", 8000)


@damage
def directories_in_a_circle(image: np.ndarray) -> None:
    """/dir is named by its own subdirectory and no longer by the root."""
    top, sub = (debugfs.namei(image, path) for path in ("/dir", "/dir/sub"))
    leaf = next(record.offset for record in debugfs.ls(image, "/dir/sub") if record.name == b"leaf")
    root = next(record.offset for record in debugfs.ls(image, "/") if record.name == b"dir")
    dotdot = next(record.offset for record in debugfs.ls(image, "/dir") if record.name == b"..")
    for offset, number in ((leaf, top), (root, 0), (dotdot, sub)):
        image[offset:offset + 4] = np.frombuffer(word(number), np.uint8)


@damage
def file_lost(image: np.ndarray) -> None:
    """An inode in use, with its bit, that no directory names."""
    offset = next(record.offset for record in debugfs.ls(image, "/dir/sub") if record.name == b"leaf")
    image[offset:offset + 4] = 0


@damage
def directory_with_a_hole(image: np.ndarray) -> None:
    inode(image, "/many").i_block[0] = 0


@damage
def indirect_pointer_outside(image: np.ndarray) -> None:
    fs = Filsys(image)
    fs.pointers[inode(image, "/file").i_block.item(12), 3] = 0xFFFFFFFF


@damage
def block_of_zeros_as_directory(image: np.ndarray) -> None:
    fs = Filsys(image)
    fs.blocks[debugfs.blocks(image, "/dir")[0]] = 0


@damage
def inode_table_of_zeros(image: np.ndarray) -> None:
    fs = Filsys(image)
    first = fs.desc["bg_inode_table"].item(0)
    fs.blocks[first:first + fs.itable_blocks] = 0


@damage
def copy_of_the_superblock(image: np.ndarray) -> None:
    fs = Filsys(image)
    fs.blocks[fs.group_first(1)] = 0
