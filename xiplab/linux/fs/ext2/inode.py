"""Inodes of ext2: from the device and back, their size, their end.

    ext2_iget          read the record; the inode gets its operations here, once and for all: on an
                       xip mount a regular file gets ext2_aops_xip and the xip file operations
    ext2_write_inode   store the record in its buffer
    ext2_setattr       change size, mode, owner, times
    ext2_evict_inode   the last reference has gone; without links, blocks and number are freed

The two tables of address space operations are also here. They are the whole difference between
the page cache and execute-in-place.

Kernel: v3.6 fs/ext2/inode.c (block map and truncation: indirect.py, truncate.py)
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.attr import inode_change_ok, setattr_copy
from xiplab.linux.fs.buffer import (
    BufferHead,
    block_invalidatepage,
    block_read_full_page,
    block_truncate_page,
    block_write_begin,
    block_write_full_page,
    generic_block_bmap,
    generic_write_end,
    has_blocks_behind,
    sb_bread,
    sync_dirty_buffer,
    sync_mapping_buffers,
)
from xiplab.linux.fs.ext2.balloc import ext2_get_group_desc
from xiplab.linux.fs.ext2.ext2 import (
    EXT2_I,
    EXT2_MOUNT_NO_UID32,
    EXT2_SB,
    NSEC_PER_SEC,
    Ext2InodeInfo,
    Ext2SbInfo,
    InodeTables,
    ext2_error,
    ext2_write_super,
    get_seconds,
)
from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_FEATURE_RO_COMPAT_LARGE_FILE,
    EXT2_GOOD_OLD_REV,
    EXT2_INODE_FORMAT,
    EXT2_ROOT_INO,
)
from xiplab.linux.fs.ext2.ialloc import ext2_free_inode, ext2_set_inode_flags
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.fs.ext2.truncate import ext2_truncate_blocks
from xiplab.linux.fs.ext2.xattr import ext2_xattr_delete_inode
from xiplab.linux.fs.ext2.xip import ext2_get_xip_mem, ext2_get_xip_next, ext2_get_xip_runs
from xiplab.linux.fs.inode import current_fs_time, iget_failed, iget_locked, mark_inode_dirty
from xiplab.linux.include.fs import (
    ATTR_SIZE,
    MS_SYNCHRONOUS,
    NO_BUFFERS,
    S_APPEND,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IMMUTABLE,
    S_SYNC,
    AddressSpace,
    AddressSpaceOperations,
    Iattr,
    Inode,
    SuperBlock,
)
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import find_get_page, truncate_inode_pages
from xiplab.linux.mm.filemap_xip import xip_truncate_page
from xiplab.linux.mm.memory import unmap_mapping_range
from xiplab.units import SECTOR_SHIFT, Block, Ino, offset_in_page, page_align, pos_to_pgoff

MAX_NON_LFS = (1 << 31) - 1
FAST_SYMLINK = -1
OTHER_KIND = -2

# Address space operations


def truncate_pagecache(inode: Inode, size: int) -> None:
    """What mappings and the page cache hold behind `size` goes. Kernel: mm/truncate.c"""
    mapping = inode.i_mapping
    unmap_mapping_range(mapping, page_align(size), 0)
    truncate_inode_pages(mapping, size)
    page = find_get_page(mapping, pos_to_pgoff(size))
    if page is not None:
        block_invalidatepage(page, offset_in_page(size))


def ext2_readpage(page: Page) -> None:
    block_read_full_page(page, ext2_get_block)


def ext2_writepage(page: Page) -> None:
    block_write_full_page(page, ext2_get_block)


def ext2_write_begin(mapping: AddressSpace, pos: int, count: int) -> Page:
    """Blocks that were allocated past the end of the file go away again if the others cannot be had."""
    try:
        return block_write_begin(mapping, pos, count, ext2_get_block)
    except OSError:
        ext2_write_failed(mapping, pos + count)
        raise


def ext2_write_end(mapping: AddressSpace, pos: int, copied: int, page: Page) -> int:
    """Blocks that a short copy did not fill go away again."""
    copied = generic_write_end(mapping, pos, copied, page)
    assert mapping.host is not None
    if has_blocks_behind(page, mapping.host.i_size):
        ext2_write_failed(mapping, page_align(pos + 1))
    return copied


def ext2_write_failed(mapping: AddressSpace, to: int) -> None:
    """A write did not come as far as `to`: nothing may stay behind the end of the file."""
    inode = mapping.host
    assert inode is not None
    if to > inode.i_size:
        truncate_pagecache(inode, inode.i_size)
        ext2_truncate_blocks(inode, inode.i_size)


def ext2_bmap(mapping: AddressSpace, block: int) -> Block:
    return generic_block_bmap(mapping, block, ext2_get_block)


ext2_aops = AddressSpaceOperations(
    name="ext2_aops", readpage=ext2_readpage, writepage=ext2_writepage, write_begin=ext2_write_begin,
    write_end=ext2_write_end, bmap=ext2_bmap)
ext2_aops_xip = AddressSpaceOperations(
    name="ext2_aops_xip", bmap=ext2_bmap, get_xip_mem=ext2_get_xip_mem, get_xip_runs=ext2_get_xip_runs,
    get_xip_next=ext2_get_xip_next)

# Size


def ext2_inode_is_fast_symlink(inode: Inode) -> bool:
    """Whether the target stands in the inode itself: it has no block but one with attributes."""
    attributes = inode.i_sb.s_blocksize >> SECTOR_SHIFT if EXT2_I(inode).i_file_acl else 0
    return inode.i_mode & S_IFMT == S_IFLNK and inode.i_blocks - attributes == 0


def ext2_can_truncate(inode: Inode) -> bool:
    """Whether the block pointers are such: they are not in a short symbolic link, a device, a fifo."""
    return inode.i_mode & S_IFMT in (S_IFREG, S_IFDIR, S_IFLNK) and not ext2_inode_is_fast_symlink(inode)


def ext2_setsize(inode: Inode, newsize: int) -> None:
    """Shrink or extend the file. The tail of its last block is zeroed first; if that fails, nothing
    has changed. Extending allocates nothing.

    Raises:
        OSError: EINVAL not a regular file, directory or long symbolic link; EPERM append-only or
            immutable; what the look-up of the last block answers.
    """
    if not ext2_can_truncate(inode):
        raise OSError(errno.EINVAL, f"{inode}: mode {inode.i_mode:o} has no size to set")
    if inode.i_flags & (S_APPEND | S_IMMUTABLE):
        raise OSError(errno.EPERM, f"{inode}: append-only or immutable")
    a_ops = inode.i_mapping.a_ops
    if a_ops.truncate_page is not None:
        a_ops.truncate_page(inode.i_mapping, newsize)
    elif a_ops.get_xip_mem is not None:
        xip_truncate_page(inode.i_mapping, newsize)
    else:
        block_truncate_page(inode.i_mapping, newsize, ext2_get_block)
    inode.i_size = newsize
    truncate_pagecache(inode, newsize)
    ext2_truncate_blocks(inode, newsize)
    inode.i_mtime = inode.i_ctime = current_fs_time(inode.i_sb)
    if inode_needs_sync(inode):
        sync_mapping_buffers(inode.i_mapping)
        write_inode(inode, do_sync=True)
    else:
        mark_inode_dirty(inode)


def inode_needs_sync(inode: Inode) -> bool:
    """Whether changes must reach the device at once (`sync` mount or flag)."""
    return bool(inode.i_sb.s_flags & MS_SYNCHRONOUS or inode.i_flags & S_SYNC)


def ext2_setattr(inode: Inode, attr: Iattr) -> None:
    """Change attributes.

    Raises:
        OSError: those of inode_change_ok and ext2_setsize.
    """
    inode_change_ok(inode, attr)
    if attr.ia_valid & ATTR_SIZE and attr.ia_size != inode.i_size:
        ext2_setsize(inode, attr.ia_size)
    setattr_copy(inode, attr)


# The record on the device


def ext2_get_inode(sb: SuperBlock, ino: int) -> tuple[BufferHead, int]:
    """The buffer that holds the record of inode `ino`, and where in it.

    Raises:
        OSError: EINVAL a number that cannot be; EIO its block cannot be read.
    """
    info: Ext2SbInfo = sb.s_fs_info
    if (ino < info.s_first_ino and ino != EXT2_ROOT_INO) or ino > info.s_inodes_count:
        ext2_error(sb, "ext2_get_inode", f"bad inode number: {ino}")
        raise OSError(errno.EINVAL, f"{sb}: inode {ino} cannot be ({info.s_first_ino} to "
                                    f"{info.s_inodes_count})")
    number, index = divmod(ino - 1, info.s_inodes_per_group)
    group = info.s_groups[number] if number < info.s_groups_count else ext2_get_group_desc(sb, number)
    block, offset = divmod(index * info.s_inode_size, sb.s_blocksize)
    block += group.inode_table
    try:
        return sb_bread(sb, block), offset
    except OSError as error:
        ext2_error(sb, "ext2_get_inode", f"unable to read inode block - inode={ino}, block={block}")
        raise OSError(errno.EIO, f"{sb}: inode {ino}: block {block} cannot be read") from error


def ext2_iget(sb: SuperBlock, ino: int) -> Inode:
    """Inode `ino`, with one more reference; read from the device if it is not in the cache.

    Raises:
        OSError: ESTALE it was deleted; EINVAL, EIO as ext2_get_inode; EUCLEAN a negative size.
    Differs: v3.6 takes a negative size as it is (later kernels refuse it, as here).
    """
    inode, fresh = iget_locked(sb, Ino(ino))
    if fresh:
        try:
            _read_inode(inode)
        except OSError:
            iget_failed(inode)
            raise
    return inode


def _read_inode(inode: Inode) -> None:
    """Fill the inode from its record."""
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    bh, offset = ext2_get_inode(sb, inode.i_ino)
    (mode, uid, size, atime, ctime, mtime, dtime, gid, links, blocks, flags, _, *i_block, generation,
     file_acl, dir_acl, faddr, frag, fsize, _, uid_high, gid_high, _
     ) = EXT2_INODE_FORMAT.unpack_from(bh.b_data, offset)
    if links == 0 and (mode == 0 or dtime):
        raise OSError(errno.ESTALE, f"{sb}: inode {inode.i_ino} was deleted")
    is_regular = mode & S_IFMT == S_IFREG
    if is_regular:
        size |= dir_acl << 32
    if size >> 63:
        raise OSError(errno.EUCLEAN, f"{sb}: inode {inode.i_ino}: size {size} is negative")
    if not info.s_mount_opt & EXT2_MOUNT_NO_UID32:
        uid |= uid_high << 16
        gid |= gid_high << 16
    inode.i_mode, inode.i_uid, inode.i_gid, inode.i_nlink = mode, uid, gid, links
    inode.i_size, inode.i_blocks = size, blocks
    inode.i_atime, inode.i_ctime, inode.i_mtime = _ns(atime), _ns(ctime), _ns(mtime)
    inode.i_private = Ext2InodeInfo(
        (inode.i_ino - 1) // info.s_inodes_per_group, i_block, flags, faddr, frag, fsize, file_acl,
        0 if is_regular else dir_acl, 0, generation)
    if flags:
        ext2_set_inode_flags(inode)
    kind = mode & S_IFMT
    is_fast = kind == S_IFLNK and ext2_inode_is_fast_symlink(inode)
    ext2_set_operations(inode, FAST_SYMLINK if is_fast else kind)
    if kind in (S_IFCHR, S_IFBLK):
        inode.i_rdev = old_decode_dev(i_block[0]) if i_block[0] else new_decode_dev(i_block[1])


def _ns(seconds: int) -> int:
    """A time of the device: a signed number of seconds."""
    return (seconds - (seconds >> 31 << 32)) * NSEC_PER_SEC


def ext2_set_operations(inode: Inode, kind: int) -> None:
    """Give the inode the tables for files of its kind; the mount has chosen them."""
    sb = inode.i_sb
    tables: dict[int, InodeTables] = sb.s_fs_info.s_inode_tables
    inode.i_op, inode.i_fop, a_ops = tables.get(kind) or tables[OTHER_KIND]
    inode.i_mapping = AddressSpace(inode, a_ops, sb.s_kernel)


def old_decode_dev(value: int) -> int:
    """A device number of 16 bits: 8 for the major, 8 for the minor. Kernel: kdev_t.h"""
    return makedev(value >> 8 & 255, value & 255)


def new_decode_dev(value: int) -> int:
    return makedev(value >> 8 & 0xFFF, value & 0xFF | value >> 12 & 0xFFF00)


def makedev(major: int, minor: int) -> int:
    """A device number as user programs see it (below 2**32). Kernel: new_encode_dev()"""
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12


def encode_dev(rdev: int) -> tuple[int, int]:
    """What stands in i_block[0] and [1] for a device number."""
    major, minor = rdev >> 8 & 0xFFF, rdev & 0xFF | rdev >> 12 & 0xFFF00
    if major < 256 and minor < 256:
        return major << 8 | minor, 0
    return 0, makedev(major, minor)


def ext2_write_inode(inode: Inode) -> None:
    """Store the inode in its buffer; sync writes it from there.

    Raises:
        OSError: EIO.
    """
    write_inode(inode, do_sync=False)


def write_inode(inode: Inode, *, do_sync: bool) -> None:
    """Store the inode's record, and write the buffer at once if `do_sync`. Kernel: __ext2_write_inode()

    Raises:
        OSError: EIO.
    """
    bh, offset = ext2_get_inode(inode.i_sb, inode.i_ino)
    store_inode(inode, bh, offset)
    if do_sync:
        sync_dirty_buffer(bh)


def store_inode(inode: Inode, bh: BufferHead, offset: int) -> None:
    """Put the inode's record into its buffer: of a new one all of it, else what version 1 knows."""
    sb = inode.i_sb
    info: Ext2SbInfo = sb.s_fs_info
    ei: Ext2InodeInfo = inode.i_private
    if ei.i_new:
        bh.b_data[offset + EXT2_INODE_FORMAT.size:offset + info.s_inode_size] = \
            bytes(info.s_inode_size - EXT2_INODE_FORMAT.size)
        ei.i_new = False
    mode, uid, gid, size, dir_acl = inode.i_mode, inode.i_uid, inode.i_gid, inode.i_size, ei.i_dir_acl
    if mode & S_IFMT == S_IFREG:
        dir_acl = size >> 32
        if size > MAX_NON_LFS:
            _set_large_file(sb)
    has_high_ids = not info.s_mount_opt & EXT2_MOUNT_NO_UID32
    EXT2_INODE_FORMAT.pack_into(
        bh.b_data, offset, mode, uid & 0xFFFF, size & 0xFFFFFFFF, inode.i_atime // NSEC_PER_SEC & 0xFFFFFFFF,
        inode.i_ctime // NSEC_PER_SEC & 0xFFFFFFFF, inode.i_mtime // NSEC_PER_SEC & 0xFFFFFFFF, ei.i_dtime,
        gid & 0xFFFF, inode.i_nlink & 0xFFFF, inode.i_blocks & 0xFFFFFFFF, ei.i_flags, 0, *ei.i_data,
        ei.i_generation, ei.i_file_acl, dir_acl,
        ei.i_faddr, ei.i_frag_no, ei.i_frag_size, 0, uid >> 16 & 0xFFFF if has_high_ids else 0,
        gid >> 16 & 0xFFFF if has_high_ids else 0, 0)
    bh.b_dirty = True
    inode.i_dirty = False


def _set_large_file(sb: SuperBlock) -> None:
    """The first file of 2 GiB or more: the super block says so, and is written at once."""
    es = EXT2_SB(sb).s_es
    if not es.s_feature_ro_compat & EXT2_FEATURE_RO_COMPAT_LARGE_FILE or es.s_rev_level == EXT2_GOOD_OLD_REV:
        ext2_update_dynamic_rev(sb)
        es.s_feature_ro_compat |= EXT2_FEATURE_RO_COMPAT_LARGE_FILE
        ext2_write_super(sb)


def ext2_update_dynamic_rev(sb: SuperBlock) -> None:
    """Make a file system of revision 0 one of revision 1, which has feature flags. Kernel: super.c"""
    info = EXT2_SB(sb)
    if info.s_es.s_rev_level == EXT2_GOOD_OLD_REV:
        info.s_es.s_first_ino = info.s_first_ino
        info.s_es.s_inode_size = info.s_inode_size
        info.s_es.s_rev_level = 1


def ext2_evict_inode(inode: Inode) -> None:
    """The inode leaves the cache. Without links its blocks and its number become free.

    What cannot be freed is logged and stays allocated.
    """
    mapping = inode.i_mapping
    if mapping.pages:
        truncate_inode_pages(mapping, 0)
    if inode.i_nlink == 0:
        try:
            _delete_inode(inode)
        except OSError as failure:
            ext2_error(inode.i_sb, "ext2_evict_inode", f"{inode}: {failure}")
    mapping.private_list = NO_BUFFERS


def _delete_inode(inode: Inode) -> None:
    """The record keeps the old pointers, as Linux leaves it: tools for undeletion live on that."""
    ei: Ext2InodeInfo = inode.i_private
    ei.i_dtime = get_seconds(inode.i_sb) & 0xFFFFFFFF
    write_inode(inode, do_sync=inode_needs_sync(inode))
    inode.i_size = 0
    if inode.i_blocks and ext2_can_truncate(inode):
        ext2_truncate_blocks(inode, 0)
    if ei.i_file_acl:
        ext2_xattr_delete_inode(inode)
    ext2_free_inode(inode)
    inode.i_dirty = False


