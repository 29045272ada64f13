"""Directories: names in the blocks of a file.

    one block   | ino len nl t "."     | ino len nl t ".."    | ino len nl t "greeting" ... to the end |
                  record, rec_len bytes  the next one           the last record ends with the block

    remove      the record before it takes its bytes over; the first one of a block gets inode 0
    add         the first record with room enough behind its own name is split

Directory pages go through the page cache, also on an xip mount. A page is checked when it is first
read; one with a bad record is logged and left out, so a look-up goes on in the others.

Names are found in an index that is made at the first look-up (DirIndex, the model's own): it holds
for each name its record's place, and for each page where records begin.

Interface: ext2_find_entry(), ext2_add_link(), ext2_delete_entry(), ext2_set_link(), ext2_make_empty(),
ext2_empty_dir(), ext2_readdir().

Kernel: v3.6 fs/ext2/dir.c
"""

from __future__ import annotations

import errno
import struct
from bisect import bisect_left

from xiplab.errors import KernelBug
from xiplab.linux.fs.buffer import block_write_begin, block_write_end
from xiplab.linux.fs.ext2.ext2 import EXT2_I, EXT2_SB, DirEntry, DirIndex, ext2_error
from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_BTREE_FL,
    EXT2_DIR_ENTRY_FORMAT,
    EXT2_FT_BLKDEV,
    EXT2_FT_CHRDEV,
    EXT2_FT_DIR,
    EXT2_FT_FIFO,
    EXT2_FT_REG_FILE,
    EXT2_FT_SOCK,
    EXT2_FT_SYMLINK,
    EXT2_FT_UNKNOWN,
    ext2_dir_rec_len,
)
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.fs.ext2.inode import inode_needs_sync, write_inode
from xiplab.linux.fs.inode import current_fs_time
from xiplab.linux.include.fs import (
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    File,
    Inode,
)
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import read_cache_page, write_one_page
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, SECTOR_SHIFT, Ino, page_count

_unpack = EXT2_DIR_ENTRY_FORMAT.unpack_from
_pack = EXT2_DIR_ENTRY_FORMAT.pack_into
_HEADER = EXT2_DIR_ENTRY_FORMAT.size
_entry = tuple.__new__
SHORTEST_RECORD = ext2_dir_rec_len(1)
_INODE = struct.Struct("<I")
_REC_LEN = struct.Struct("<H")
_REC_LEN_AT = 4

EXT2_TYPE_BY_MODE = {S_IFREG: EXT2_FT_REG_FILE, S_IFDIR: EXT2_FT_DIR, S_IFCHR: EXT2_FT_CHRDEV,
                     S_IFBLK: EXT2_FT_BLKDEV, S_IFIFO: EXT2_FT_FIFO, S_IFSOCK: EXT2_FT_SOCK,
                     S_IFLNK: EXT2_FT_SYMLINK}
DT_BY_EXT2_TYPE = (0, 8, 4, 2, 6, 1, 12, 10) + (0,) * 248
"""d_type of readdir (DT_REG 8, DT_DIR 4, DT_CHR 2, DT_BLK 6, DT_FIFO 1, DT_SOCK 12, DT_LNK 10) for each
EXT2_FT_*; 0 for unknown."""


def ext2_chunk_size(inode: Inode) -> int:
    """A record does not cross this boundary: a block."""
    return inode.i_sb.s_blocksize


def dir_pages(inode: Inode) -> int:
    """Pages of the directory: no more than it can have blocks, whatever its size says."""
    info = EXT2_SB(inode.i_sb)
    limit = min(inode.i_blocks << SECTOR_SHIFT, info.s_blocks_count * inode.i_sb.s_blocksize)
    return min(page_count(inode.i_size), page_count(limit) + 1)


def ext2_check_page(directory: Inode, n: int, data: memoryview) -> list[int]:
    """Check all records of a page: where they begin.

    Raises:
        OSError: EIO, naming the first bad record.
    """
    limit = len(data)
    chunk_size = ext2_chunk_size(directory)
    if limit % chunk_size:
        raise _corrupt(directory, "size of directory is not a multiple of chunk size", n << PAGE_SHIFT)
    max_inumber = EXT2_SB(directory.i_sb).s_inodes_count
    starts: list[int] = []
    offset = 0
    while offset <= limit - SHORTEST_RECORD:
        ino, rec_len, name_len, _ = _unpack(data, offset)
        room = chunk_size - offset % chunk_size
        if rec_len & 3 or rec_len < SHORTEST_RECORD or not _HEADER + name_len <= rec_len <= room \
                or ino > max_inumber:
            why = _record_error(rec_len, name_len, room)
            raise _corrupt(directory, f"bad entry in directory: {why}", (n << PAGE_SHIFT) + offset,
                           f"inode={ino}, rec_len={rec_len}, name_len={name_len}")
        starts.append(offset)
        offset += rec_len
    if offset != limit:
        raise _corrupt(directory, "entry spans the page boundary", (n << PAGE_SHIFT) + offset)
    return starts


def _record_error(rec_len: int, name_len: int, room: int) -> str:
    """What is wrong with a bad record that has `room` bytes up to the end of its block."""
    if rec_len < SHORTEST_RECORD:
        return "rec_len is smaller than minimal"
    if rec_len & 3:
        return "unaligned directory entry"
    if rec_len < ext2_dir_rec_len(name_len):
        return "rec_len is too small for name_len"
    if rec_len > room:
        return "directory entry across blocks"
    return "inode out of bounds"


def _corrupt(directory: Inode, why: str, offset: int, details: str = "") -> OSError:
    text = f"{why}: directory #{directory.i_ino}, offset={offset}{', ' if details else ''}{details}"
    ext2_error(directory.i_sb, "ext2_check_page", text)
    return OSError(errno.EIO, f"{directory.i_sb}: {text}")


def _page_data(directory: Inode, n: int) -> memoryview:
    """Page `n` as far as the directory goes, from the page cache or the device."""
    page = read_cache_page(directory.i_mapping, n)
    page.referenced = True
    inside = directory.i_size - (n << PAGE_SHIFT)
    return page.data if inside >= PAGE_SIZE else page.data[:inside]


def ext2_index(directory: Inode) -> DirIndex:
    """The directory's names, read and checked at the first call. Bad pages are left out."""
    info = EXT2_I(directory)
    if info.i_dir_index is None:
        index = DirIndex()
        npages = dir_pages(directory)
        if npages < page_count(directory.i_size):
            ext2_error(directory.i_sb, "ext2_find_entry", f"dir {directory.i_ino} size {directory.i_size} "
                                                          f"exceeds block count {directory.i_blocks}")
        for n in range(npages):
            try:
                _index_page(index, directory, n)
            except OSError as failure:
                if failure.errno == errno.ENOMEM:
                    raise
                index.bad[n] = failure
        info.i_dir_index = index
    return info.i_dir_index


def _index_page(index: DirIndex, directory: Inode, n: int) -> None:
    data = _page_data(directory, n)
    index.records[n] = starts = ext2_check_page(directory, n, data)
    base = n << PAGE_SHIFT
    raw = bytes(data)
    names = index.names
    for start in starts:
        ino, _, name_len, file_type = _unpack(raw, start)
        name = raw[start + _HEADER:start + _HEADER + name_len]
        if ino and name not in names:
            names[name] = _entry(DirEntry, (ino, file_type, base + start))
            index.last_pos = base + start


def ext2_find_entry(directory: Inode, name: bytes) -> DirEntry | None:
    """The record of `name`, or None. Pages with errors are passed over, with a line in the log.

    Raises:
        OSError: ENOMEM.
    """
    return ext2_index(directory).names.get(name)


def ext2_inode_by_name(directory: Inode, name: bytes) -> int:
    """The inode number of `name`, or 0."""
    entry = ext2_find_entry(directory, name)
    return entry.inode if entry else 0


def ext2_readdir(filp: File) -> list[tuple[bytes, Ino, int]]:
    """All names from the file's position on, which moves to the end.

    Raises:
        OSError: EIO at a bad page; the position is behind it then, so the next call goes on.
    """
    directory = filp.f_inode
    start = filp.f_pos
    index = ext2_index(directory)
    for n in sorted(index.bad):
        if n >= start >> PAGE_SHIFT:
            ext2_error(directory.i_sb, "ext2_readdir", f"bad page in #{directory.i_ino}")
            filp.f_pos = (n + 1) << PAGE_SHIFT
            raise OSError(errno.EIO, f"{directory}: {index.bad[n]}")
    filp.f_pos = max(directory.i_size, start)
    if start or index.listing is None:
        found = index.names.items() if index.in_order else sorted(index.names.items(), key=_position)
        listing = [(name, Ino(ino), DT_BY_EXT2_TYPE[file_type]) for name, (ino, file_type, pos) in found
                   if pos >= start]
        if start:
            return listing
        index.listing = listing
    return index.listing.copy()


def _position(item: tuple[bytes, DirEntry]) -> int:
    return item[1].pos


# Changes


def ext2_file_type(inode: Inode) -> int:
    """What a record says about the kind of file; nothing without the filetype feature.

    Kernel: ext2_set_de_type()
    """
    if EXT2_SB(inode.i_sb).s_filetype:
        return EXT2_TYPE_BY_MODE.get(inode.i_mode & S_IFMT, EXT2_FT_UNKNOWN)
    return EXT2_FT_UNKNOWN


def ext2_prepare_chunk(directory: Inode, pos: int, count: int) -> Page:
    """The locked page for a change of `count` bytes at `pos`.

    Raises:
        OSError: ENOSPC, EIO, ENOMEM.
    """
    return block_write_begin(directory.i_mapping, pos, count, ext2_get_block)


def ext2_commit_chunk(directory: Inode, page: Page, pos: int, count: int, *,
                      update_times: bool = True) -> None:
    """The change is made: the page is dirty, the directory perhaps longer; on a `sync` mount all of it
    goes to the device at once."""
    block_write_end(page, pos, count)
    page.locked = False
    directory.i_size = max(directory.i_size, pos + count)
    if update_times:
        directory.i_mtime = directory.i_ctime = current_fs_time(directory.i_sb)
    EXT2_I(directory).i_flags &= ~EXT2_BTREE_FL
    directory.i_dirty = True
    if inode_needs_sync(directory):
        write_one_page(page)
        write_inode(directory, do_sync=True)


def ext2_set_link(directory: Inode, name: bytes, entry: DirEntry, inode: Inode, *,
                  update_times: bool) -> None:
    """Let the record of `name` mean `inode`. A directory that moves keeps its times: its ".." is none
    of its names.

    Raises:
        OSError: EIO.
    """
    offset = entry.pos & (PAGE_SIZE - 1)
    page = read_cache_page(directory.i_mapping, entry.pos >> PAGE_SHIFT)
    data = page.data
    _, rec_len, name_len, _ = _unpack(data, offset)
    page = ext2_prepare_chunk(directory, entry.pos, rec_len)
    file_type = ext2_file_type(inode)
    _pack(data, offset, inode.i_ino, rec_len, name_len, file_type)
    ext2_index(directory).add(name, inode.i_ino, file_type, entry.pos)
    ext2_commit_chunk(directory, page, entry.pos, rec_len, update_times=update_times)


def ext2_add_link(directory: Inode, name: bytes, inode: Inode) -> None:
    """Put a new name into the directory, which grows by a block if no record has room.

    Raises:
        OSError: EEXIST; ENOSPC; EIO if a page that might have room cannot be used.
    """
    index = ext2_index(directory)
    if name in index.names:
        raise OSError(errno.EEXIST, f"{directory}: {name!r} exists")
    wanted = ext2_dir_rec_len(len(name))
    file_type = ext2_file_type(inode)
    pos, rec_len, used = _find_room(directory, index, wanted)
    page = ext2_prepare_chunk(directory, pos, rec_len)
    n, offset = pos >> PAGE_SHIFT, pos & PAGE_SIZE - 1
    data = page.data
    if used:
        _REC_LEN.pack_into(data, offset + _REC_LEN_AT, used)
    here = offset + used
    _pack(data, here, inode.i_ino, rec_len - used, len(name), file_type)
    data[here + _HEADER:here + _HEADER + len(name)] = name
    starts = index.records.setdefault(n, [])
    at = bisect_left(starts, here)
    if at == len(starts) or starts[at] != here:
        starts.insert(at, here)
    here += n << PAGE_SHIFT
    index.add(name, inode.i_ino, file_type, here)
    index.room[wanted] = here
    ext2_commit_chunk(directory, page, pos, rec_len)


def _find_room(directory: Inode, index: DirIndex, wanted: int) -> tuple[int, int, int]:
    """The first record with `wanted` bytes to spare: (position, length, bytes it needs itself).

    At the end of the directory: a whole new block.
    """
    first = index.room.get(wanted, 0)
    for length, pos in index.room.items():
        if length < wanted and pos > first:
            first = pos
    for n in range(first >> PAGE_SHIFT, page_count(directory.i_size)):
        if n not in index.records:
            raise index.bad.get(n) or OSError(errno.EIO, f"{directory}: page {n} was not read")
        data = _page_data(directory, n)
        starts = index.records[n]
        for at in range(bisect_left(starts, first - (n << PAGE_SHIFT)), len(starts)):
            start = starts[at]
            ino, rec_len, name_len, _ = _unpack(data, start)
            used = ext2_dir_rec_len(name_len) if ino else 0
            if rec_len - used >= wanted:
                return (n << PAGE_SHIFT) + start, rec_len, used
    return directory.i_size, directory.i_sb.s_blocksize, 0


def ext2_delete_entry(directory: Inode, name: bytes, entry: DirEntry) -> None:
    """Take a name out: the record before it in the block swallows it.

    Raises:
        OSError: EIO.
    """
    index = ext2_index(directory)
    n, offset = entry.pos >> PAGE_SHIFT, entry.pos & PAGE_SIZE - 1
    starts = index.records[n]
    at = bisect_left(starts, offset)
    if starts[at] != offset:
        raise KernelBug(f"{directory}: no record at {entry.pos}")
    first = starts[at - 1] if offset % ext2_chunk_size(directory) else offset
    pos = entry.pos - offset + first
    count = offset - first + _REC_LEN.unpack_from(_page_data(directory, n), offset + _REC_LEN_AT)[0]
    page = ext2_prepare_chunk(directory, pos, count)
    _REC_LEN.pack_into(page.data, first + _REC_LEN_AT, count)
    if first == offset:
        _INODE.pack_into(page.data, first, 0)
    else:
        del starts[at]
    index.remove(name)
    for length, place in index.room.items():
        if place > pos:
            index.room[length] = pos
    ext2_commit_chunk(directory, page, pos, count)


def ext2_make_empty(inode: Inode, parent: Inode) -> None:
    """Give a new directory its first block, with "." and "..".

    Raises:
        OSError: ENOSPC, EIO.
    """
    size = ext2_chunk_size(inode)
    page = ext2_prepare_chunk(inode, 0, size)
    data = page.data
    file_type = ext2_file_type(inode)
    second = ext2_dir_rec_len(1)
    _pack(data, 0, inode.i_ino, second, 1, file_type)
    data[_HEADER:_HEADER + 1] = b"."
    _pack(data, second, parent.i_ino, size - second, 2, file_type)
    data[second + _HEADER:second + _HEADER + 2] = b".."
    index = EXT2_I(inode).i_dir_index = DirIndex(records={0: [0, second]})
    index.add(b".", inode.i_ino, file_type, 0)
    index.add(b"..", parent.i_ino, file_type, second)
    ext2_commit_chunk(inode, page, 0, size)


def ext2_empty_dir(inode: Inode) -> bool:
    """Whether only "." (itself) and ".." are in the directory. Bad pages do not count."""
    names = ext2_index(inode).names
    others = len(names) - (b"." in names) - (b".." in names)
    return not others and (b"." not in names or names[b"."].inode == inode.i_ino)


def ext2_dotdot(directory: Inode) -> DirEntry | None:
    """The record of "..": the second one of the directory."""
    return ext2_find_entry(directory, b"..")
