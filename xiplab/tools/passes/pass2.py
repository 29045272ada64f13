"""Pass 2: every directory by itself: its records, and the inodes they name.

All directory blocks are walked side by side: step n looks at record n of every block at once.

Kernel: none; e2fsprogs e2fsck/pass2.c check_dir_block()
"""

from __future__ import annotations

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_FT_BLKDEV,
    EXT2_FT_CHRDEV,
    EXT2_FT_DIR,
    EXT2_FT_FIFO,
    EXT2_FT_REG_FILE,
    EXT2_FT_SOCK,
    EXT2_FT_SYMLINK,
    EXT2_FT_UNKNOWN,
    EXT2_ROOT_INO,
    ext2_dir_rec_len,
)
from xiplab.tools.block_walk import Claims
from xiplab.tools.filsys import Bools, Ints
from xiplab.tools.passes.context import Context, Entries, an_inode

TYPE_BY_FORMAT = np.zeros(16, np.int64)
TYPE_BY_FORMAT[[0o01, 0o02, 0o04, 0o06]] = EXT2_FT_FIFO, EXT2_FT_CHRDEV, EXT2_FT_DIR, EXT2_FT_BLKDEV
TYPE_BY_FORMAT[[0o10, 0o12, 0o14]] = EXT2_FT_REG_FILE, EXT2_FT_SYMLINK, EXT2_FT_SOCK
"""The file_type of a record, by the type bits of i_mode."""
SHORTEST = ext2_dir_rec_len(1)


def pass2(context: Context) -> None:
    blocks = directory_blocks(context)
    check_whole(context, blocks)
    entries = read_entries(context, blocks)
    check_dots(context, entries)
    entries = check_targets(context, entries)
    check_names(context, entries)
    check_types(context, entries)
    find_parents(context, entries)
    context.entries = entries


def directory_blocks(context: Context) -> Claims:
    """The data blocks of all directories, by directory and place in it."""
    claims = context.claims
    data = claims[(claims.depth == 0) & context.is_dir[claims.owner]]
    return data[np.lexsort((data.logical, data.owner))]


def check_whole(context: Context, blocks: Claims) -> None:
    """A directory has no holes."""
    stored = np.bincount(blocks.owner, minlength=context.is_dir.size)
    last = np.zeros(context.is_dir.size, np.int64)
    np.maximum.at(last, blocks.owner, blocks.logical + 1)
    context.report(2, context.is_dir & ((stored != last) | (stored == 0)), an_inode,
                   lambda ino: f"directory of {last[ino]} blocks with {stored[ino]} stored")


def read_entries(context: Context, blocks: Claims) -> Entries:
    """The records in use of all blocks. A block is read up to its first broken record."""
    fs = context.fs
    words = fs.pointers.reshape(-1)
    columns = [np.zeros((7, 0), np.int64)]
    row, position, index = np.arange(blocks.block.size), np.zeros(blocks.block.size, np.int64), 0
    while row.size:
        offset = blocks.block[row] * fs.blocksize + position
        ino, second = words[offset // 4].astype(np.int64), words[offset // 4 + 1].astype(np.int64)
        rec_len, name_len, file_type = second & 0xFFFF, second >> 16 & 0xFF, second >> 24
        left = fs.blocksize - position - rec_len
        good = ((rec_len >= SHORTEST) & (rec_len % 4 == 0) & (rec_len >= name_len + 8)
                & ((left == 0) | (left >= SHORTEST)))
        report_broken(context, blocks.owner[row[~good]], offset[~good], rec_len[~good])
        place = index + 2 * (blocks.logical[row] > 0)
        found = np.stack([row, place, blocks.owner[row], offset, ino, file_type, name_len])
        columns.append(found[:, good & (ino != 0)])
        position = position + rec_len
        going_on = good & (left > 0)
        row, position, index = row[going_on], position[going_on], index + 1
    table = np.concatenate(columns, axis=1)
    return as_entries(context, table[:, np.lexsort((table[1], table[0]))])


def as_entries(context: Context, table: Ints) -> Entries:
    _, index, directory, offset, ino, file_type, name_len = table
    mem, start = context.fs.mem, offset + 8
    name = np.empty(offset.size, object)
    name[:] = [mem[first:end].tobytes()
               for first, end in zip(start.tolist(), (start + name_len).tolist(), strict=True)]
    return Entries(directory, index, offset, ino, file_type, name)


def report_broken(context: Context, directory: Ints, offset: Ints, rec_len: Ints) -> None:
    blocksize = context.fs.blocksize
    context.report(2, np.arange(offset.size), lambda row: a_record(directory[row], offset[row]), lambda row: (
        f"rec_len {rec_len[row]} at byte {offset[row] % blocksize} of block {offset[row] // blocksize}"))


def a_record(directory: int, offset: int) -> str:
    return f"inode {directory}, record at byte {offset}"


def report_entries(context: Context, entries: Entries, faults: Bools, why: str) -> None:
    context.report(2, faults, lambda row: a_record(entries.directory[row], entries.offset[row]),
                   lambda row: f"{entries.name[row]!r} leads to inode {entries.ino[row]}: {why}")


def check_dots(context: Context, entries: Entries) -> None:
    """`.` is the first record and leads to the directory itself, `..` is the second."""
    dot, dotdot = entries.name == b".", entries.name == b".."
    first = dot & (entries.index == 0) & (entries.ino == entries.directory)
    second = dotdot & (entries.index == 1)
    for name, found in ((".", first), ("..", second)):
        without = context.is_dir.copy()
        without[entries.directory[found]] = False
        context.report(2, without, an_inode, f"directory without {name!r} in its place".format)
    report_entries(context, entries, dot & (entries.index != 0) | dotdot & (entries.index != 1),
                   "not in its place")


def check_targets(context: Context, entries: Entries) -> Entries:
    """Records lead to inodes in use. Returns those that do."""
    fs, ino = context.fs, entries.ino
    named = entries.index > 1
    exists = ((ino >= fs.first_ino) | (ino == EXT2_ROOT_INO)) & (ino <= fs.inodes_count)
    free = exists & ~context.in_use[np.where(exists, ino, 0)]
    root = named & (ino == EXT2_ROOT_INO)
    report_entries(context, entries, ~exists, "no such inode")
    report_entries(context, entries, free, "it is not in use")
    report_entries(context, entries, root, "the root has no other name")
    return entries[exists & ~free & ~root]


def check_names(context: Context, entries: Entries) -> None:
    """Names are not empty, hold neither `/` nor zero, and differ within a directory."""
    names = entries.name.tolist()
    unfit = [not name or b"/" in name or b"\0" in name for name in names]
    report_entries(context, entries, np.array(unfit, np.bool_), "no valid name")
    seen: set[tuple[int, bytes]] = set()
    twice = []
    for key in zip(entries.directory.tolist(), names, strict=True):
        twice.append(key in seen)
        seen.add(key)
    report_entries(context, entries, np.array(twice, np.bool_), "the name is there twice")


def check_types(context: Context, entries: Entries) -> None:
    """file_type agrees with the inode's mode, or is zero, which it always is without the feature."""
    mode = context.inodes["i_mode"][entries.ino].astype(np.int64)
    wanted = TYPE_BY_FORMAT[mode >> 12] if context.fs.filetype else np.zeros(mode.size, np.int64)
    faults = (entries.file_type != wanted) & (entries.file_type != EXT2_FT_UNKNOWN)
    context.report(2, faults, lambda row: a_record(entries.directory[row], entries.offset[row]), lambda row: (
        f"file_type of {entries.name[row]!r} is {entries.file_type[row]}, its inode's is {wanted[row]}"))


def find_parents(context: Context, entries: Entries) -> None:
    """The one directory that names each directory; a second one is a problem."""
    names = np.flatnonzero(context.is_dir[entries.ino] & (entries.name != b".") & (entries.name != b".."))
    _, first = np.unique(entries.ino[names], return_index=True)
    again = np.zeros(entries.ino.size, np.bool_)
    again[np.delete(names, first)] = True
    report_entries(context, entries, again, "a directory has one name only")
    context.parent = np.zeros(context.is_dir.size, np.int64)
    context.parent[entries.ino[names[first]]] = entries.directory[names[first]]
    context.parent[EXT2_ROOT_INO] = EXT2_ROOT_INO
