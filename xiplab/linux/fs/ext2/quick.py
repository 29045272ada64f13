"""Small files, quickly: to make a file or a directory, to remove a name, to end an inode, in one go.

Each function here stands in a table in front of one of the long form. It does the same in a few steps, if
all that it needs is known and simple; else, before anything has changed, it calls the long form:

    here                      long form, layer by layer
    ext2_create_quick         ext2_create: ext2_new_inode, ext2_add_link
    ext2_mkdir_quick          ext2_mkdir: the same, ext2_make_empty, ext2_get_block
    ext2_unlink_quick         ext2_unlink: ext2_find_entry, ext2_delete_entry
    ext2_evict_inode_quick    ext2_evict_inode: write_inode, ext2_truncate_blocks, ext2_free_inode

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
from xiplab.linux.fs.ext2.balloc import LOWEST_ZERO, ext2_free_blocks, find_next_zero_bit, in_system_zone
from xiplab.linux.fs.ext2.ext2 import (
    COUNTS,
    COUNTS_AT,
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
    EXT2_N_BLOCKS,
    EXT2_NAME_LEN,
)
from xiplab.linux.fs.ext2.ialloc import find_group_orlov
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.fs.ext2.inode import ext2_evict_inode, ext2_setattr, write_inode
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
from xiplab.linux.include.fs import (
    MS_SYNCHRONOUS,
    NO_BUFFERS,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    S_ISGID,
    AddressSpace,
    Inode,
    InodeOperations,
)
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import add_to_page_cache, truncate_inode_pages
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, SECTOR_SHIFT, Block, Ino

_unpack = EXT2_DIR_ENTRY_FORMAT.unpack_from
_pack = EXT2_DIR_ENTRY_FORMAT.pack_into
_HEADER = EXT2_DIR_ENTRY_FORMAT.size
_REC_LEN = struct.Struct("<H")
_REC_LEN_AT = 4
_store_counts = COUNTS.pack_into
_entry = tuple.__new__
_INODE = struct.Struct("<I")
_DOTS = struct.Struct("<IHBB4sIHBB4s")
"""The records "." and ".." of a new directory."""
DOTDOT_AT = 12
OFFSET_MASK = PAGE_SIZE - 1
NOT_SIMPLE = EXT2_FL_INHERITED
NSEC_PER_SEC = 1_000_000_000

Place: TypeAlias = tuple[DirIndex, Page, int, int, int]
"""Where a name goes: the directory's index, the page, and there the record's offset, its length, and how
much of it is in use."""


def _room_for(directory: Inode, name: bytes) -> Place | None:
    """Where a new name goes in a directory whose new files inherit nothing; None: ask the long form."""
    sb = directory.i_sb
    ei: Ext2InodeInfo = directory.i_private
    index = ei.i_dir_index
    if index is None or index.bad or name in index.names or len(name) > EXT2_NAME_LEN or tp_copy.probes \
            or sb.s_flags & MS_SYNCHRONOUS or directory.i_flags or ei.i_flags & NOT_SIMPLE \
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
    page = directory.i_mapping.pages.get(pos >> PAGE_SHIFT)  # type: ignore[call-overload]
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


def _new_inode(directory: Inode, number: int, mode: int) -> Inode | None:
    """A fresh inode of group `number`, which inherits nothing; None: ask ext2_new_inode()."""
    sb = directory.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    group = info.s_groups[number]
    bh = group.inode_bits
    first = group.first_free_inode
    if bh is None or first >= info.s_inodes_per_group:
        return None
    bits = bh.b_data
    free = LOWEST_ZERO[bits[first >> 3] | (1 << (first & 7)) - 1]
    bit = (first & ~7) + free if free < 8 else find_next_zero_bit(bits, info.s_inodes_per_group, first)
    ino = Ino(number * info.s_inodes_per_group + bit + 1)
    if bit >= info.s_inodes_per_group or not info.s_first_ino <= ino <= info.s_inodes_count \
            or ino in sb.s_inodes:
        return None
    bits[bit >> 3] |= 1 << (bit & 7)
    bh.b_dirty = True
    group.first_free_inode = bit
    group.free_inodes -= 1
    info.s_freeinodes_counter -= 1
    kind = mode & S_IFMT
    if kind == S_IFDIR:
        group.used_dirs += 1
        info.s_dirs_counter += 1
        group.debt = min(group.debt + 1, 255)
    elif group.debt:
        group.debt -= 1
    _store_counts(group.desc.b_data, group.offset + COUNTS_AT, group.free_blocks & 0xFFFF,
                  group.free_inodes & 0xFFFF, group.used_dirs & 0xFFFF)
    group.desc.b_dirty = True
    kernel = sb.s_kernel
    cred = kernel.current.cred
    now = kernel.clock()
    now -= now % sb.s_time_gran
    i_op, i_fop, a_ops = info.s_inode_tables[kind]
    inode = sb.s_inodes[ino] = Inode(sb, ino, mode, 1, cred.fsuid, cred.fsgid, 0, 0, now, now, now, 0, 0, 1, 0,
                                     True, i_op, i_fop)
    inode.i_mapping = AddressSpace(inode, a_ops, kernel)
    inode.i_private = Ext2InodeInfo(number, [0] * EXT2_N_BLOCKS, i_generation=info.s_next_generation, i_new=True)
    info.s_next_generation = info.s_next_generation + 1 & 0xFFFFFFFF
    return inode


def ext2_lookup_quick(directory: Inode, name: bytes) -> Inode | None:
    """The inode of `name`, or None. Raises OSError as ext2_lookup."""
    index: DirIndex | None = directory.i_private.i_dir_index
    if index is None or len(name) > EXT2_NAME_LEN:
        return ext2_lookup(directory, name)
    entry = index.names.get(name)
    return None if entry is None else ext2_lookup(directory, name)


def ext2_create_quick(directory: Inode, name: bytes, mode: int) -> Inode:
    """A new regular file. Raises OSError as ext2_create."""
    info: Ext2SbInfo = directory.i_sb.s_fs_info
    number = directory.i_private.i_block_group
    group = info.s_groups[number]
    if group.free_inodes and group.free_blocks and (place := _room_for(directory, name)) is not None:
        inode = _new_inode(directory, number, S_IFREG | mode & ~S_IFMT)
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
        inode = _new_inode(directory, number, S_IFDIR | mode & ~S_IFMT) if number >= 0 else None
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
    index = inode.i_private.i_dir_index = DirIndex(records={0: [0, DOTDOT_AT]})
    index.add(b".", inode.i_ino, file_type, 0)
    index.add(b"..", parent.i_ino, file_type, DOTDOT_AT)
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
    index.remove(name)
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


def ext2_evict_inode_quick(inode: Inode) -> None:
    """The inode leaves the cache; without links its blocks and its number become free.

    What can go wrong is left to ext2_evict_inode(): it logs it.
    """
    sb = inode.i_sb
    ei: Ext2InodeInfo = inode.i_private
    if inode.i_nlink or inode.i_flags or ei.i_file_acl or any(ei.i_data[1:]) or tp_copy.probes \
            or sb.s_flags & MS_SYNCHRONOUS or inode.i_mode & S_IFMT not in (S_IFREG, S_IFDIR):
        ext2_evict_inode(inode)
        return
    info: Ext2SbInfo = sb.s_fs_info
    number, bit = divmod(inode.i_ino - 1, info.s_inodes_per_group)
    group = info.s_groups[number]
    bh = group.inode_bits
    if bh is None or inode.i_ino < info.s_first_ino or not bh.b_data[bit >> 3] >> (bit & 7) & 1:
        ext2_evict_inode(inode)
        return
    mapping = inode.i_mapping
    if mapping.pages:
        truncate_inode_pages(mapping, 0)
    ei.i_dtime = sb.s_kernel.clock() // NSEC_PER_SEC & 0xFFFFFFFF
    write_inode(inode, do_sync=False)
    inode.i_size = 0
    block = ei.i_data[0]
    if block and inode.i_blocks:
        ei.i_data[0] = 0
        _free_block(inode, block)
    bh.b_data[bit >> 3] ^= 1 << (bit & 7)
    bh.b_dirty = True
    if bit < group.first_free_inode:
        group.first_free_inode = bit
    group.free_inodes += 1
    info.s_freeinodes_counter += 1
    if inode.i_mode & S_IFMT == S_IFDIR:
        group.used_dirs -= 1
        info.s_dirs_counter -= 1
    group.store_counts()
    mapping.private_list = NO_BUFFERS
    inode.i_dirty = False


def _free_block(inode: Inode, block: int) -> None:
    """Give one block back; whatever is wrong with it, ext2_free_blocks() says."""
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    number, bit = divmod(block - info.s_first_data_block, info.s_blocks_per_group)
    group = info.s_groups[number] if 0 <= number < info.s_groups_count else None
    bh = None if group is None else group.block_bits
    if group is None or bh is None or not bh.b_data[bit >> 3] >> (bit & 7) & 1 \
            or in_system_zone(info.s_itb_per_group, group, block, 1):
        ext2_free_blocks(inode, block, 1)
        return
    bh.b_data[bit >> 3] ^= 1 << (bit & 7)
    bh.b_dirty = True
    inode.i_blocks = max(inode.i_blocks - (sb.s_blocksize >> SECTOR_SHIFT), 0)
    group.free_blocks += 1
    info.s_freeblocks_counter += 1
    group.store_counts()


ext2_dir_inode_operations = InodeOperations(
    name="ext2_dir_inode_operations", lookup=ext2_lookup_quick, create=ext2_create_quick, link=ext2_link,
    unlink=ext2_unlink_quick, symlink=ext2_symlink, mkdir=ext2_mkdir_quick, rmdir=ext2_rmdir, mknod=ext2_mknod,
    rename=ext2_rename, setattr=ext2_setattr)
