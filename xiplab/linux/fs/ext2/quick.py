"""Small files, quickly: to find a name, make a file or a directory, and remove a name, in one go.

Each function here stands in a table in front of one of the long form. It does the same in a few steps, if
all that it needs is known and simple; else, before anything has changed, it calls the long form:

    here                      long form, layer by layer
    ext2_lookup_quick         ext2_lookup: ext2_inode_by_name, ext2_iget
    ext2_create_quick         ext2_create: ext2_new_inode, ext2_add_link
    ext2_mkdir_quick          ext2_mkdir: the same, ext2_make_empty, ext2_get_block
    ext2_unlink_quick         ext2_unlink: ext2_find_entry, ext2_delete_entry
    quick_inode.py            ext2_new_inode, ext2_iget, ext2_evict_inode

Left to the long form: blocks smaller than a page, a `sync` mount, attributes that are inherited or forbid
a change, group ownership by the directory, bitmaps and directory pages that are not in memory, a full
group, a record that does not fit where it is expected, indirect blocks, whatever looks corrupt; and all
calls while somebody records, so that each layer is seen.

Both leave the same bytes on the device, the same inodes and the same errors:
tests/linux/ext2/test_ext2_quick.py runs both side by side.

Kernel: none (v3.6 fs/ext2/{namei,ialloc,dir,inode}.c, as named above)
"""

from __future__ import annotations

import struct
from bisect import bisect_left, insort
from typing import TypeAlias

from xiplab.linux.fs.buffer import BufferHead, unmap_underlying_metadata
from xiplab.linux.fs.ext2.append import ext2_find_first, ext2_take_first
from xiplab.linux.fs.ext2.ext2 import (
    EXT2_MOUNT_GRPID,
    EXT2_MOUNT_OLDALLOC,
    DirEntry,
    DirIndex,
    Ext2InodeInfo,
    Ext2SbInfo,
)
from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_BTREE_FL,
    EXT2_DIR_ENTRY_FORMAT,
    EXT2_FL_INHERITED,
    EXT2_FT_DIR,
    EXT2_FT_REG_FILE,
    EXT2_LINK_MAX,
    EXT2_NAME_LEN,
)
from xiplab.linux.fs.ext2.ialloc import find_group_orlov
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.fs.ext2.inode import ext2_setattr
from xiplab.linux.fs.ext2.namei import (
    discard_new_inode,
    ext2_create,
    ext2_link,
    ext2_lookup,
    ext2_mkdir,
    ext2_mknod,
    ext2_rename,
    ext2_rmdir,
    ext2_symlink,
    ext2_unlink,
)
from xiplab.linux.fs.ext2.quick_inode import ext2_iget_quick, ext2_new_inode_quick
from xiplab.linux.include.fs import (
    MS_SYNCHRONOUS,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    S_ISGID,
    Inode,
    InodeOperations,
)
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import add_to_page_cache
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Block, Ino

_unpack = EXT2_DIR_ENTRY_FORMAT.unpack_from
_pack = EXT2_DIR_ENTRY_FORMAT.pack_into
_HEADER = EXT2_DIR_ENTRY_FORMAT.size
_REC_LEN = struct.Struct("<H")
_REC_LEN_AT = 4
_entry = tuple.__new__
_INODE = struct.Struct("<I")
_DOTS = struct.Struct("<IHBB4sIHBB4s")
"""The records "." and ".." of a new directory."""
DOTDOT_AT = 12
OFFSET_MASK = PAGE_SIZE - 1

Place: TypeAlias = tuple[DirIndex, Page, int, int, int]
"""Where a name goes: the directory's index, the page, and there the record's offset, its length, and how
much of it is in use."""


def _room_for(directory: Inode, name: bytes) -> Place | None:
    """Where a new name goes in a directory whose new files inherit nothing; None: ask the long form."""
    sb = directory.i_sb
    ei: Ext2InodeInfo = directory.i_private
    index = ei.i_dir_index
    if index is None or index.bad or name in index.names or len(name) > EXT2_NAME_LEN or tp_copy.probes \
            or sb.s_flags & MS_SYNCHRONOUS or directory.i_flags or ei.i_flags & EXT2_FL_INHERITED \
            or directory.i_mode & S_ISGID or sb.s_fs_info.s_mount_opt & EXT2_MOUNT_GRPID:
        return None
    wanted = _HEADER + len(name) + 3 & ~3
    pos = index.room.get(wanted, 0)
    for length, place in index.room.items():
        if length < wanted and place > pos:
            pos = place
    page = _page_at(directory, pos)
    if page is None:
        return None
    offset = pos & OFFSET_MASK
    ino, rec_len, name_len, _ = _unpack(page.data, offset)
    used = _HEADER + name_len + 3 & ~3 if ino else 0
    if rec_len - used < wanted:
        return None
    return index, page, offset, rec_len, used


def _page_at(directory: Inode, pos: int) -> Page | None:
    """The page of a directory, if it is in memory and is one block of the device."""
    page = directory.i_mapping.pages.get(pos >> PAGE_SHIFT)
    if page is None or not page.uptodate or page.private is None or len(page.private) != 1:
        return None
    bh: BufferHead = page.private[0]
    if not (bh.b_mapped and bh.b_uptodate):
        return None
    page.referenced = True
    return page


def _add_name(directory: Inode, name: bytes, place: Place, ino: int, file_type: int, now: int) -> None:
    """Write the record: what ext2_add_link() does once it has found room."""
    index, page, offset, rec_len, used = place
    data = page.data
    here = offset + used
    n = page.index
    index.listing = None
    if used:
        _REC_LEN.pack_into(data, offset + _REC_LEN_AT, used)
        starts = index.records[n]
        if here > starts[-1]:
            starts.append(here)
        else:
            insort(starts, here)
    _pack(data, here, ino, rec_len - used, len(name), file_type)
    data[here + _HEADER:here + _HEADER + len(name)] = name
    here += n << PAGE_SHIFT
    index.names[name] = _entry(DirEntry, (ino, file_type, here))
    if here > index.last_pos:
        index.last_pos = here
    else:
        index.in_order = False
    index.room[_HEADER + len(name) + 3 & ~3] = here
    _changed(directory, page, now)


def _changed(directory: Inode, page: Page, now: int) -> None:
    """What ext2_commit_chunk() does for a page that is one block."""
    page.private[0].b_dirty = page.dirty = True
    directory.i_mtime = directory.i_ctime = now
    directory.i_private.i_flags &= ~EXT2_BTREE_FL
    directory.i_dirty = True


def ext2_lookup_quick(directory: Inode, name: bytes) -> Inode | None:
    """The inode of `name`, or None. Raises OSError as ext2_lookup."""
    index: DirIndex | None = directory.i_private.i_dir_index
    if index is None or len(name) > EXT2_NAME_LEN:
        return ext2_lookup(directory, name)
    entry = index.names.get(name)
    if entry is None:
        return None
    sb = directory.i_sb
    ino = Ino(entry.inode)
    inode = sb.s_inodes.get(ino)
    if inode is None:
        return ext2_iget_quick(sb, ino) or ext2_lookup(directory, name)
    inode.i_count += 1
    return inode


def ext2_create_quick(directory: Inode, name: bytes, mode: int) -> Inode:
    """A new regular file. Raises OSError as ext2_create."""
    info: Ext2SbInfo = directory.i_sb.s_fs_info
    number = directory.i_private.i_block_group
    group = info.s_groups[number]
    if group.free_inodes and group.free_blocks and (place := _room_for(directory, name)) is not None:
        inode = ext2_new_inode_quick(directory, number, S_IFREG | mode & ~S_IFMT)
        if inode is not None:
            file_type = EXT2_FT_REG_FILE if info.s_filetype else 0
            _add_name(directory, name, place, inode.i_ino, file_type, inode.i_ctime)
            return inode
    return ext2_create(directory, name, mode)


def ext2_mkdir_quick(directory: Inode, name: bytes, mode: int) -> Inode:
    """A new directory. Raises OSError as ext2_mkdir."""
    info: Ext2SbInfo = directory.i_sb.s_fs_info
    if directory.i_nlink < EXT2_LINK_MAX and not info.s_mount_opt & EXT2_MOUNT_OLDALLOC \
            and (place := _room_for(directory, name)) is not None:
        number = find_group_orlov(directory.i_sb, directory)
        inode = ext2_new_inode_quick(directory, number, S_IFDIR | mode & ~S_IFMT) if number >= 0 else None
        if inode is not None:
            directory.i_nlink += 1
            inode.i_nlink = 2
            try:
                _make_empty(inode, directory)
            except OSError:
                discard_new_inode(inode, 2)
                directory.i_nlink -= 1
                directory.i_dirty = True
                raise
            file_type = EXT2_FT_DIR if info.s_filetype else 0
            _add_name(directory, name, place, inode.i_ino, file_type, inode.i_ctime)
            return inode
    return ext2_mkdir(directory, name, mode)


def _make_empty(inode: Inode, parent: Inode) -> None:
    """A new directory's first page and block: ext2_make_empty() with all that is below it.

    Raises:
        OSError: ENOMEM, ENOSPC, EIO.
    """
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    page = add_to_page_cache(inode.i_mapping, 0)
    block = ext2_find_first(inode)
    if block:
        ext2_take_first(inode, block, info.s_clear_xip_target)
    else:
        block = ext2_get_block(inode, 0, True)[0]
    assert sb.s_bdev is not None
    unmap_underlying_metadata(sb.s_bdev, block)
    page.private = [BufferHead(sb.s_bdev, Block(block), page.frame, b_uptodate=True)]
    page.uptodate = True
    file_type = EXT2_FT_DIR if info.s_filetype else 0
    _DOTS.pack_into(page.data, 0, inode.i_ino, DOTDOT_AT, 1, file_type, b".",
                    parent.i_ino, PAGE_SIZE - DOTDOT_AT, 2, file_type, b"..")
    names = {b".": _entry(DirEntry, (inode.i_ino, file_type, 0)),
             b"..": _entry(DirEntry, (parent.i_ino, file_type, DOTDOT_AT))}
    inode.i_private.i_dir_index = DirIndex(names, {0: [0, DOTDOT_AT]}, {}, {0: 0}, True, DOTDOT_AT)
    inode.i_size = PAGE_SIZE
    _changed(inode, page, inode.i_ctime)


def ext2_unlink_quick(directory: Inode, name: bytes, inode: Inode) -> None:
    """Take a name away. Raises OSError as ext2_unlink."""
    sb = directory.i_sb
    index: DirIndex | None = directory.i_private.i_dir_index
    entry = index.names.get(name) if index is not None else None
    page = None if entry is None else _page_at(directory, entry.pos)
    if index is None or entry is None or page is None or tp_copy.probes or directory.i_flags \
            or sb.s_flags & MS_SYNCHRONOUS:
        ext2_unlink(directory, name, inode)
        return
    _take_record(index, page, entry.pos & OFFSET_MASK)
    del index.names[name]
    index.listing = None
    now = sb.s_kernel.clock()
    now -= now % sb.s_time_gran
    _changed(directory, page, now)
    inode.i_ctime = now
    inode.i_nlink = max(inode.i_nlink - 1, 0)
    inode.i_dirty = True


def _take_record(index: DirIndex, page: Page, offset: int) -> None:
    """The record before the one at `offset` swallows it; the first one of the page is marked as free."""
    data = page.data
    starts = index.records[page.index]
    first = 0
    if offset:
        at = bisect_left(starts, offset)
        first = starts[at - 1]
        rec_len: int = _REC_LEN.unpack_from(data, offset + _REC_LEN_AT)[0]
        _REC_LEN.pack_into(data, first + _REC_LEN_AT, offset - first + rec_len)
        del starts[at]
    else:
        _INODE.pack_into(data, 0, 0)
    first += page.index << PAGE_SHIFT
    for length, place in index.room.items():
        if place > first:
            index.room[length] = first


ext2_dir_inode_operations = InodeOperations(
    name="ext2_dir_inode_operations", lookup=ext2_lookup_quick, create=ext2_create_quick, link=ext2_link,
    unlink=ext2_unlink_quick, symlink=ext2_symlink, mkdir=ext2_mkdir_quick, rmdir=ext2_rmdir,
    mknod=ext2_mknod, rename=ext2_rename, setattr=ext2_setattr)
