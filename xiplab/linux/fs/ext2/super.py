"""Mounting ext2: the super block, the options, the end.

    ext2_fill_super     read and check the super block, then the group descriptors, then the root
    ext2_remount        read-only to read-write and back; xip stays as it was
    ext2_put_super      mark the file system clean again
    ext2_fs_type        what mount knows of all this

With `-o xip` a mount asks for execute-in-place. On a device without direct_access the option is
dropped with a warning, before the block size is looked at; else a block must be a page.

Kernel: v3.6 fs/ext2/super.c
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from xiplab.linux.fs.block_dev import set_blocksize
from xiplab.linux.fs.buffer import BufferHead, sb_bread
from xiplab.linux.fs.ext2.ext2 import (
    EXT2_MOUNT_MINIX_DF,
    EXT2_MOUNT_XIP,
    EXT2_SB,
    Ext2Group,
    Ext2SbInfo,
    InodeTables,
    ext2_error,
    ext2_group_first_block_no,
    ext2_msg,
    ext2_sync_super,
    ext2_write_super,
    get_seconds,
)
from xiplab.linux.fs.ext2.ext2_fs import (
    BLOCK_SIZE,
    EXT2_DFL_MAX_MNT_COUNT,
    EXT2_ERROR_FS,
    EXT2_FEATURE_INCOMPAT_FILETYPE,
    EXT2_FEATURE_INCOMPAT_META_BG,
    EXT2_FEATURE_INCOMPAT_SUPP,
    EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER,
    EXT2_FEATURE_RO_COMPAT_SUPP,
    EXT2_GOOD_OLD_FIRST_INO,
    EXT2_GOOD_OLD_INODE_SIZE,
    EXT2_GOOD_OLD_REV,
    EXT2_GROUP_DESC_FORMAT,
    EXT2_MAX_SUPP_REV,
    EXT2_MIN_FRAG_SIZE,
    EXT2_NAME_LEN,
    EXT2_NDIR_BLOCKS,
    EXT2_ROOT_INO,
    EXT2_SUPER_MAGIC,
    EXT2_VALID_FS,
    EXT3_FEATURE_COMPAT_HAS_JOURNAL,
    Ext2GroupDesc,
    Ext2SuperBlock,
    ext2_group_has_super,
)
from xiplab.linux.fs.ext2.file import (
    ext2_dir_operations,
    ext2_file_inode_operations,
    ext2_file_operations,
    ext2_xip_file_operations,
)
from xiplab.linux.fs.ext2.ialloc import is_directory
from xiplab.linux.fs.ext2.inode import (
    FAST_SYMLINK,
    OTHER_KIND,
    ext2_aops,
    ext2_aops_xip,
    ext2_iget,
    ext2_write_inode,
)
from xiplab.linux.fs.ext2.namei import ext2_special_inode_operations
from xiplab.linux.fs.ext2.options import (
    default_options,
    einval,
    ext2_show_options,
    get_sb_block,
    parse_options,
)
from xiplab.linux.fs.ext2.quick import ext2_dir_inode_operations
from xiplab.linux.fs.ext2.quick_inode import ext2_evict_inode_quick
from xiplab.linux.fs.ext2.symlink import ext2_fast_symlink_inode_operations, ext2_symlink_inode_operations
from xiplab.linux.fs.ext2.xip import ext2_clear_xip_target, ext2_use_xip, ext2_xip_verify_sb
from xiplab.linux.fs.inode import iput
from xiplab.linux.include.fs import (
    MS_RDONLY,
    S_IFDIR,
    S_IFLNK,
    S_IFREG,
    Dentry,
    FileSystemType,
    Kstatfs,
    SuperBlock,
    SuperOperations,
    no_aops,
    no_file_operations,
)
from xiplab.units import PAGE_SIZE

SUPPORTED_BLOCK_SIZES = (1024, 2048, 4096)
MAX_LFS_FILESIZE = (1 << 63) - 1

# Mount


def sb_set_blocksize(sb: SuperBlock, size: int) -> None:
    """Let buffers of the device be of `size` bytes. Raises OSError EINVAL."""
    assert sb.s_bdev is not None
    set_blocksize(sb.s_bdev, size)
    sb.s_blocksize = size


def read_super(sb: SuperBlock, sb_block: int) -> tuple[BufferHead, Ext2SuperBlock]:
    """The super block at `sb_block` KiB, read with the block size of now.

    Raises:
        OSError: EINVAL it cannot be read.
    """
    block, offset = divmod(sb_block * BLOCK_SIZE, sb.s_blocksize)
    try:
        bh = sb_bread(sb, block)
    except OSError as error:
        raise OSError(errno.EINVAL, f"{sb}: unable to read superblock: {error}") from error
    return bh, Ext2SuperBlock(bh.b_data, offset)


def ext2_max_size(blocksize: int) -> int:
    """The largest file in bytes: what three levels of pointers hold, but no more than i_blocks, which
    counts indirect blocks as well, can count."""
    ptrs = blocksize // 4
    counted = ((1 << 32) - 1) // (blocksize // 512) - (1 + 1 + ptrs + 1 + ptrs + ptrs**2)
    reachable = EXT2_NDIR_BLOCKS + ptrs + ptrs**2 + ptrs**3
    return min(min(counted, reachable) * blocksize, MAX_LFS_FILESIZE)


def descriptor_loc(sb: SuperBlock, logic_sb_block: int, nr: int) -> int:
    """The block with the group descriptors number `nr`: behind the super block, or, with meta_bg, in
    the groups that they describe."""
    info = EXT2_SB(sb)
    es = info.s_es
    if not es.s_feature_incompat & EXT2_FEATURE_INCOMPAT_META_BG or nr < es.s_first_meta_bg:
        return logic_sb_block + nr + 1
    group = info.s_desc_per_block * nr
    return ext2_group_first_block_no(sb, group) + ext2_bg_has_super(sb, group)


def ext2_bg_has_super(sb: SuperBlock, group: int) -> bool:
    sparse = EXT2_SB(sb).s_es.s_feature_ro_compat & EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER
    return ext2_group_has_super(group, bool(sparse))


def ext2_bg_num_gdb(sb: SuperBlock, group: int) -> int:
    """Blocks with group descriptors at the start of `group`."""
    return len(EXT2_SB(sb).s_group_desc) if ext2_bg_has_super(sb, group) else 0


def check_features(sb: SuperBlock) -> None:
    """Raises OSError EINVAL for features that this driver does not know: of the "incompat" kind, or of
    the "ro_compat" kind on a read-write mount."""
    es = EXT2_SB(sb).s_es
    if es.s_rev_level == EXT2_GOOD_OLD_REV and (es.s_feature_compat or es.s_feature_incompat
                                                or es.s_feature_ro_compat):
        ext2_msg(sb, "warning: feature flags set on rev 0 fs, running e2fsck is recommended")
    if unknown := es.s_feature_incompat & ~EXT2_FEATURE_INCOMPAT_SUPP:
        raise einval(sb, f"couldn't mount because of unsupported optional features ({unknown:x})")
    unknown = es.s_feature_ro_compat & ~EXT2_FEATURE_RO_COMPAT_SUPP
    if unknown and not sb.s_flags & MS_RDONLY:
        raise einval(sb, f"couldn't mount RDWR because of unsupported optional features ({unknown:x})")


def block_size_of(sb: SuperBlock, silent: bool) -> int:
    """The block size on the device.

    Raises:
        OSError: EINVAL not 1, 2 or 4 KiB; not a page on an xip mount.
    """
    log = EXT2_SB(sb).s_es.s_log_block_size
    size = BLOCK_SIZE << min(log, 32)
    if ext2_use_xip(sb) and size != PAGE_SIZE:
        raise einval(sb, "unsupported blocksize for xip", silent=silent)
    if size not in SUPPORTED_BLOCK_SIZES:
        raise einval(sb, f"blocksize {size} is not supported (1024, 2048, 4096)")
    return size


def read_layout(sb: SuperBlock) -> None:
    """Take the numbers out of the super block that say where things are.

    Raises:
        OSError: EINVAL for numbers that cannot be.
    """
    info = EXT2_SB(sb)
    es = info.s_es
    size = sb.s_blocksize
    info.s_inode_size, info.s_first_ino = EXT2_GOOD_OLD_INODE_SIZE, EXT2_GOOD_OLD_FIRST_INO
    if es.s_rev_level != EXT2_GOOD_OLD_REV:
        info.s_inode_size, info.s_first_ino = es.s_inode_size, es.s_first_ino
        bad = info.s_inode_size & (info.s_inode_size - 1)
        if info.s_inode_size < EXT2_GOOD_OLD_INODE_SIZE or bad or info.s_inode_size > size:
            raise einval(sb, f"unsupported inode size: {info.s_inode_size}")
    frag_size = EXT2_MIN_FRAG_SIZE << min(es.s_log_frag_size, 32)
    if frag_size != size:
        raise einval(sb, f"fragsize {frag_size} != blocksize {size} (not supported yet)")
    info.s_inodes_per_block = size // info.s_inode_size
    info.s_inodes_per_group = es.s_inodes_per_group
    info.s_blocks_per_group = es.s_blocks_per_group
    info.s_itb_per_group = info.s_inodes_per_group // info.s_inodes_per_block
    info.s_desc_per_block = size // Ext2GroupDesc.dtype.itemsize
    info.s_first_data_block, info.s_blocks_count = es.s_first_data_block, es.s_blocks_count
    info.s_r_blocks_count, info.s_inodes_count = es.s_r_blocks_count, es.s_inodes_count
    info.s_filetype = bool(es.s_feature_incompat & EXT2_FEATURE_INCOMPAT_FILETYPE)
    bits = size * 8
    for what, count in (("blocks", info.s_blocks_per_group), ("fragments", es.s_frags_per_group),
                        ("inodes", info.s_inodes_per_group)):
        if count > bits:
            raise einval(sb, f"#{what} per group too big: {count} (limit {bits})")
    if not info.s_blocks_per_group or not info.s_inodes_per_group:
        raise einval(sb, "groups without blocks or without inodes")
    if info.s_blocks_count <= info.s_first_data_block:
        raise einval(sb, f"{info.s_blocks_count} blocks, the first is {info.s_first_data_block}")
    info.s_groups_count = (info.s_blocks_count - info.s_first_data_block - 1) // info.s_blocks_per_group + 1


def read_group_descriptors(sb: SuperBlock) -> None:
    """Read and check the group descriptors.

    Raises:
        OSError: EINVAL they cannot be read, or one names a block outside its group.
    """
    info = EXT2_SB(sb)
    db_count = -(-info.s_groups_count // info.s_desc_per_block)
    logic_sb_block = info.s_sb_block * BLOCK_SIZE // sb.s_blocksize
    try:
        for nr in range(db_count):
            info.s_group_desc.append(sb_bread(sb, descriptor_loc(sb, logic_sb_block, nr)))
    except OSError as error:
        raise einval(sb, f"unable to read group descriptors: {error}") from error
    for number in range(info.s_groups_count):
        which, index = divmod(number, info.s_desc_per_block)
        desc, offset = info.s_group_desc[which], index * Ext2GroupDesc.dtype.itemsize
        fields = EXT2_GROUP_DESC_FORMAT.unpack_from(desc.b_data, offset)
        info.s_groups.append(Ext2Group(desc, offset, ext2_group_first_block_no(sb, number), *fields[:6]))
        check_descriptor(sb, number)


def check_descriptor(sb: SuperBlock, number: int) -> None:
    """Raises OSError EINVAL if the group's bitmaps or inode table are not in the group.

    Kernel: ext2_check_descriptors()
    """
    info = EXT2_SB(sb)
    group = info.s_groups[number]
    first = group.first_block
    last = min(first + info.s_blocks_per_group, info.s_blocks_count) - 1
    for what, block, length in (("Block bitmap", group.block_bitmap, 1),
                                ("Inode bitmap", group.inode_bitmap, 1),
                                ("Inode table", group.inode_table, info.s_itb_per_group)):
        if block < first or block + length - 1 > last:
            ext2_error(sb, "ext2_check_descriptors",
                       f"{what} for group {number} not in group (block {block})!")
            raise einval(sb, "group descriptors corrupted")


def inode_tables(sb: SuperBlock) -> dict[int, InodeTables]:
    """The operations for each kind of file. Here, and nowhere else, it is decided whether a regular
    file is used through the page cache or in place.

    Kernel: ext2_iget(), which looks at the mount flag for each inode; it cannot change in between
    """
    file_iops = ext2_file_inode_operations
    if ext2_use_xip(sb):
        regular = InodeTables(file_iops, ext2_xip_file_operations, ext2_aops_xip)
    else:
        regular = InodeTables(file_iops, ext2_file_operations, ext2_aops)
    return {
        S_IFREG: regular,
        S_IFDIR: InodeTables(ext2_dir_inode_operations, ext2_dir_operations, ext2_aops),
        S_IFLNK: InodeTables(ext2_symlink_inode_operations, no_file_operations, ext2_aops),
        FAST_SYMLINK: InodeTables(ext2_fast_symlink_inode_operations, no_file_operations, no_aops),
        OTHER_KIND: InodeTables(ext2_special_inode_operations, no_file_operations, no_aops),
    }


def ext2_fill_super(sb: SuperBlock, data: str, silent: bool,
                    size_of: Callable[[SuperBlock, bool], int] = block_size_of) -> None:
    """Mount: sb.s_bdev is open, sb.s_flags are set; the rest is found here.

    Args:
        size_of: how the block size is found and checked (see super_eras.py).
    Raises:
        OSError: EINVAL not ext2, an unknown option or feature, a block size that cannot be, corrupt
            numbers; EIO.
    """
    sb_block = get_sb_block(sb, data)
    assert sb.s_bdev is not None
    sb_set_blocksize(sb, max(BLOCK_SIZE, sb.s_bdev.bd_disk.queue.logical_block_size))
    bh, es = read_super(sb, sb_block)
    sb.s_magic = es.s_magic
    if sb.s_magic != EXT2_SUPER_MAGIC:
        raise einval(sb, f"VFS: Can't find an ext2 filesystem on dev {sb} (magic {sb.s_magic:#x})",
                     silent=silent)
    info = sb.s_fs_info = Ext2SbInfo(sb_block, bh, es)
    default_options(info)
    parse_options(sb, data)
    ext2_xip_verify_sb(sb)
    check_features(sb)
    blocksize = size_of(sb, silent)
    if sb.s_blocksize != blocksize:
        sb_set_blocksize(sb, blocksize)
        info.s_sbh, info.s_es = read_super(sb, sb_block)
        if info.s_es.s_magic != EXT2_SUPER_MAGIC:
            raise einval(sb, "magic mismatch")
    sb.s_maxbytes = ext2_max_size(blocksize)
    read_layout(sb)
    info.s_mount_state = info.s_es.s_state
    read_group_descriptors(sb)
    start(sb)


def start(sb: SuperBlock) -> None:
    """The second half of a mount: counters, operations, the root directory, the mount count."""
    info = EXT2_SB(sb)
    info.s_next_generation = sb.s_kernel.clock() & 0xFFFFFFFF
    info.s_freeblocks_counter = sum(group.free_blocks for group in info.s_groups)
    info.s_freeinodes_counter = sum(group.free_inodes for group in info.s_groups)
    info.s_dirs_counter = sum(group.used_dirs for group in info.s_groups)
    info.s_clear_xip_target = ext2_clear_xip_target if ext2_use_xip(sb) else None
    info.s_inode_tables = inode_tables(sb)
    sb.s_op = ext2_sops
    root = ext2_iget(sb, EXT2_ROOT_INO)
    if not is_directory(root.i_mode) or not root.i_blocks or not root.i_size:
        iput(root)
        raise einval(sb, "corrupt root inode, run e2fsck")
    sb.s_root = Dentry(b"", None, root, sb)
    if info.s_es.s_feature_compat & EXT3_FEATURE_COMPAT_HAS_JOURNAL:
        ext2_msg(sb, "warning: mounting ext3 filesystem as ext2")
    if not ext2_setup_super(sb, read_only=bool(sb.s_flags & MS_RDONLY)):
        sb.s_flags |= MS_RDONLY
    ext2_write_super(sb)


def ext2_setup_super(sb: SuperBlock, *, read_only: bool) -> bool:
    """Count the mount, and say in the log why a check is due. False if only read-only is possible."""
    info = EXT2_SB(sb)
    es = info.s_es
    if es.s_rev_level > EXT2_MAX_SUPP_REV:
        ext2_msg(sb, "error: revision level too high, forcing read-only mode")
        return False
    if read_only:
        return True
    max_count = es.s_max_mnt_count
    if not info.s_mount_state & EXT2_VALID_FS:
        ext2_msg(sb, "warning: mounting unchecked fs, running e2fsck is recommended")
    elif info.s_mount_state & EXT2_ERROR_FS:
        ext2_msg(sb, "warning: mounting fs with errors, running e2fsck is recommended")
    elif max_count < 1 << 15 and es.s_mnt_count >= max_count:
        ext2_msg(sb, "warning: maximal mount count reached, running e2fsck is recommended")
    elif es.s_checkinterval and es.s_lastcheck + es.s_checkinterval <= get_seconds(sb):
        ext2_msg(sb, "warning: checktime reached, running e2fsck is recommended")
    if not max_count:
        es.s_max_mnt_count = EXT2_DFL_MAX_MNT_COUNT
    es.s_mnt_count = (es.s_mnt_count + 1) & 0xFFFF
    return True


# A mounted file system


def ext2_sync_fs(sb: SuperBlock) -> None:
    """sync(2): write the super block. From the first one on it is not marked clean."""
    ext2_write_super(sb)


def ext2_put_super(sb: SuperBlock) -> None:
    """Unmount: the state of before the mount comes back, usually "clean"."""
    if not sb.s_flags & MS_RDONLY:
        info = EXT2_SB(sb)
        info.s_es.s_state = info.s_mount_state
        ext2_sync_super(sb)


def ext2_remount(sb: SuperBlock, flags: int, data: str) -> None:
    """Change options and read-only. xip stays as it is, with a warning: inodes have their tables.

    Raises:
        OSError: EINVAL an unknown option, or xip with blocks that are no pages (all options are as
            before then); EROFS read-write with unknown features.
    """
    info = EXT2_SB(sb)
    old = info.s_mount_opt, info.s_resuid, info.s_resgid
    try:
        parse_options(sb, data)
        ext2_xip_verify_sb(sb)
        if ext2_use_xip(sb) and sb.s_blocksize != PAGE_SIZE:
            raise einval(sb, "unsupported blocksize for xip")
        if (info.s_mount_opt ^ old[0]) & EXT2_MOUNT_XIP:
            ext2_msg(sb, "warning: refusing change of xip flag with busy inodes while remounting")
            info.s_mount_opt ^= EXT2_MOUNT_XIP
        if (flags ^ sb.s_flags) & MS_RDONLY:
            (remount_read_only if flags & MS_RDONLY else remount_read_write)(sb)
    except OSError:
        info.s_mount_opt, info.s_resuid, info.s_resgid = old
        raise


def remount_read_only(sb: SuperBlock) -> None:
    """All is written: the file system is as clean as it was when it was mounted."""
    info = EXT2_SB(sb)
    if not info.s_es.s_state & EXT2_VALID_FS and info.s_mount_state & EXT2_VALID_FS:
        info.s_es.s_state = info.s_mount_state
        info.s_es.s_mtime = get_seconds(sb) & 0xFFFFFFFF
        ext2_sync_super(sb)


def remount_read_write(sb: SuperBlock) -> None:
    """Raises OSError EROFS if features are not known."""
    info = EXT2_SB(sb)
    if unknown := info.s_es.s_feature_ro_compat & ~EXT2_FEATURE_RO_COMPAT_SUPP:
        ext2_msg(sb, "warning: couldn't remount RDWR because of unsupported optional features "
                     f"({unknown:x}).")
        raise OSError(errno.EROFS, f"{sb}: unknown features {unknown:#x} allow only reading")
    info.s_mount_state = info.s_es.s_state
    if ext2_setup_super(sb, read_only=False):
        sb.s_flags &= ~MS_RDONLY
    ext2_write_super(sb)


def ext2_statfs(sb: SuperBlock) -> Kstatfs:
    """Sizes and free space; with `minixdf` the blocks of the structures count as usable."""
    info = EXT2_SB(sb)
    overhead = 0
    if not info.s_mount_opt & EXT2_MOUNT_MINIX_DF:
        groups = range(info.s_groups_count)
        overhead = info.s_first_data_block + len(groups) * (2 + info.s_itb_per_group)
        overhead += sum(ext2_bg_has_super(sb, g) + ext2_bg_num_gdb(sb, g) for g in groups)
    free = max(info.s_freeblocks_counter, 0)
    available = max(free - info.s_r_blocks_count, 0)
    uuid = info.s_es.s_uuid.tobytes()
    fsid = int.from_bytes(uuid[:8], "little") ^ int.from_bytes(uuid[8:], "little")
    return Kstatfs(EXT2_SUPER_MAGIC, sb.s_blocksize, info.s_blocks_count - overhead, free, available,
                   info.s_inodes_count, max(info.s_freeinodes_counter, 0), EXT2_NAME_LEN, fsid)


ext2_sops = SuperOperations(
    name="ext2_sops", write_inode=ext2_write_inode, evict_inode=ext2_evict_inode_quick,
    put_super=ext2_put_super, sync_fs=ext2_sync_fs, remount_fs=ext2_remount, statfs=ext2_statfs,
    show_options=ext2_show_options)
ext2_fs_type = FileSystemType("ext2", ext2_fill_super)
