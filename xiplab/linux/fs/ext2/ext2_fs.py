"""ext2 on the device: every record, every constant, and no behaviour.

    block 0 (or 1)   boot block, then the super block, always 1024 bytes from the start of the device
    per group        [super block, group descriptors]  block bitmap  inode bitmap  inode table  data
    data             file contents, directories, indirect blocks, attribute blocks

All numbers are little endian. Block numbers count file-system blocks from the start of the device,
inode numbers and group-relative bits begin at 1 and 0. Times are seconds since 1970.

The driver and the tools (mke2fs, e2fsck, debugfs) both import this module, and nothing else of
each other.

Kernel: v3.6 include/linux/ext2_fs.h, fs/ext2/{ext2,xattr}.h
"""

from __future__ import annotations

import struct
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xiplab.ondisk import Bytes, OnDisk, le16, le32, u8

u8x16: TypeAlias = Annotated[Bytes, "u1", 16]
u8x64: TypeAlias = Annotated[Bytes, "u1", 64]
le32x3: TypeAlias = Annotated[NDArray[np.uint32], "<u4", 3]
le32x4: TypeAlias = Annotated[NDArray[np.uint32], "<u4", 4]
le32x15: TypeAlias = Annotated[NDArray[np.uint32], "<u4", 15]
le32x190: TypeAlias = Annotated[NDArray[np.uint32], "<u4", 190]

EXT2_SUPER_MAGIC = 0xEF53
EXT2_XATTR_MAGIC = 0xEA020000

BLOCK_SIZE = 1024
"""Where the super block begins, and how long it is, whatever the block size."""
EXT2_MIN_BLOCK_SIZE = 1024
EXT2_MAX_BLOCK_SIZE = 4096
EXT2_MIN_FRAG_SIZE = 1024

EXT2_BAD_INO = 1
EXT2_ROOT_INO = 2
EXT2_BOOT_LOADER_INO = 5
EXT2_UNDEL_DIR_INO = 6
EXT2_RESIZE_INO = 7
EXT2_GOOD_OLD_FIRST_INO = 11

EXT2_NDIR_BLOCKS = 12
EXT2_IND_BLOCK = 12
EXT2_DIND_BLOCK = 13
EXT2_TIND_BLOCK = 14
EXT2_N_BLOCKS = 15

EXT2_NAME_LEN = 255
EXT2_LINK_MAX = 32000
EXT2_DIR_PAD = 4
EXT2_FAST_SYMLINK_MAX = 4 * EXT2_N_BLOCKS - 1

EXT2_GOOD_OLD_REV = 0
EXT2_DYNAMIC_REV = 1
EXT2_MAX_SUPP_REV = EXT2_DYNAMIC_REV
EXT2_GOOD_OLD_INODE_SIZE = 128
EXT2_DFL_MAX_MNT_COUNT = 20

EXT2_VALID_FS = 0x0001
EXT2_ERROR_FS = 0x0002

EXT2_ERRORS_CONTINUE = 1
EXT2_ERRORS_RO = 2
EXT2_ERRORS_PANIC = 3

EXT2_OS_LINUX = 0

EXT2_FEATURE_COMPAT_DIR_PREALLOC = 0x0001
EXT2_FEATURE_COMPAT_IMAGIC_INODES = 0x0002
EXT3_FEATURE_COMPAT_HAS_JOURNAL = 0x0004
EXT2_FEATURE_COMPAT_EXT_ATTR = 0x0008
EXT2_FEATURE_COMPAT_RESIZE_INO = 0x0010
EXT2_FEATURE_COMPAT_DIR_INDEX = 0x0020

EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER = 0x0001
EXT2_FEATURE_RO_COMPAT_LARGE_FILE = 0x0002
EXT2_FEATURE_RO_COMPAT_BTREE_DIR = 0x0004

EXT2_FEATURE_INCOMPAT_COMPRESSION = 0x0001
EXT2_FEATURE_INCOMPAT_FILETYPE = 0x0002
EXT3_FEATURE_INCOMPAT_RECOVER = 0x0004
EXT3_FEATURE_INCOMPAT_JOURNAL_DEV = 0x0008
EXT2_FEATURE_INCOMPAT_META_BG = 0x0010

EXT2_FEATURE_COMPAT_SUPP = EXT2_FEATURE_COMPAT_EXT_ATTR
EXT2_FEATURE_INCOMPAT_SUPP = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT2_FEATURE_INCOMPAT_META_BG
EXT2_FEATURE_RO_COMPAT_SUPP = (EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE
                               | EXT2_FEATURE_RO_COMPAT_BTREE_DIR)

EXT2_DEFM_DEBUG = 0x0001
EXT2_DEFM_BSDGROUPS = 0x0002
EXT2_DEFM_XATTR_USER = 0x0004
EXT2_DEFM_ACL = 0x0008
EXT2_DEFM_UID16 = 0x0010

EXT2_SECRM_FL = 0x00000001
EXT2_UNRM_FL = 0x00000002
EXT2_COMPR_FL = 0x00000004
EXT2_SYNC_FL = 0x00000008
EXT2_IMMUTABLE_FL = 0x00000010
EXT2_APPEND_FL = 0x00000020
EXT2_NODUMP_FL = 0x00000040
EXT2_NOATIME_FL = 0x00000080
EXT2_NOTAIL_FL = 0x00008000
EXT2_BTREE_FL = 0x00001000
EXT2_DIRSYNC_FL = 0x00010000
EXT2_TOPDIR_FL = 0x00020000

EXT2_FL_USER_MODIFIABLE = 0x000380FF
EXT2_FL_USER_VISIBLE = 0x0003DFFF
EXT2_FL_INHERITED = (EXT2_SECRM_FL | EXT2_UNRM_FL | EXT2_COMPR_FL | EXT2_SYNC_FL | EXT2_NODUMP_FL
                     | EXT2_NOATIME_FL | 0x00000100 | 0x00000200 | 0x00000400 | 0x00004000
                     | EXT2_NOTAIL_FL | EXT2_DIRSYNC_FL)
"""What a new inode takes from its directory (the unnamed bits belong to compression)."""
EXT2_REG_FLMASK = ~(EXT2_DIRSYNC_FL | EXT2_TOPDIR_FL)
EXT2_OTHER_FLMASK = EXT2_NODUMP_FL | EXT2_NOATIME_FL

(EXT2_FT_UNKNOWN, EXT2_FT_REG_FILE, EXT2_FT_DIR, EXT2_FT_CHRDEV, EXT2_FT_BLKDEV, EXT2_FT_FIFO,
 EXT2_FT_SOCK, EXT2_FT_SYMLINK, EXT2_FT_MAX) = range(9)


class Ext2SuperBlock(OnDisk, size=1024):
    """The super block; a copy of it stands at the start of some groups. Kernel: ext2_super_block"""

    s_inodes_count: le32
    s_blocks_count: le32
    s_r_blocks_count: le32            # blocks that only the super-user may take
    s_free_blocks_count: le32
    s_free_inodes_count: le32
    s_first_data_block: le32          # 1 with 1 KiB blocks, else 0
    s_log_block_size: le32            # block size = 1024 << this
    s_log_frag_size: le32
    s_blocks_per_group: le32
    s_frags_per_group: le32
    s_inodes_per_group: le32
    s_mtime: le32                     # last mount
    s_wtime: le32                     # last write
    s_mnt_count: le16                 # mounts since the last check
    s_max_mnt_count: le16             # as a signed number; below 0: never check
    s_magic: le16
    s_state: le16                     # EXT2_VALID_FS, EXT2_ERROR_FS
    s_errors: le16                    # what to do when an error is found
    s_minor_rev_level: le16
    s_lastcheck: le32
    s_checkinterval: le32             # seconds
    s_creator_os: le32
    s_rev_level: le32
    s_def_resuid: le16
    s_def_resgid: le16
    s_first_ino: le32                 # revision 1 from here on: first inode that is not reserved
    s_inode_size: le16
    s_block_group_nr: le16            # the group of this copy
    s_feature_compat: le32
    s_feature_incompat: le32
    s_feature_ro_compat: le32
    s_uuid: u8x16
    s_volume_name: u8x16
    s_last_mounted: u8x64
    s_algorithm_usage_bitmap: le32
    s_prealloc_blocks: u8
    s_prealloc_dir_blocks: u8
    s_padding1: le16                  # e2fsprogs: s_reserved_gdt_blocks, for the resize inode
    s_journal_uuid: u8x16
    s_journal_inum: le32
    s_journal_dev: le32
    s_last_orphan: le32
    s_hash_seed: le32x4
    s_def_hash_version: u8
    s_reserved_char_pad: u8
    s_reserved_word_pad: le16
    s_default_mount_opts: le32
    s_first_meta_bg: le32
    s_reserved: le32x190


class Ext2GroupDesc(OnDisk, size=32):
    """Where a group's bitmaps and inodes are, and how much is free. Kernel: ext2_group_desc"""

    bg_block_bitmap: le32             # block of the block bitmap
    bg_inode_bitmap: le32             # block of the inode bitmap
    bg_inode_table: le32              # first block of the inode table
    bg_free_blocks_count: le16
    bg_free_inodes_count: le16
    bg_used_dirs_count: le16
    bg_pad: le16
    bg_reserved: le32x3


class Ext2Inode(OnDisk, size=128):
    """An inode; records of s_inode_size bytes, of which ext2 uses these. Kernel: ext2_inode"""

    i_mode: le16
    i_uid: le16                       # low 16 bits
    i_size: le32                      # low 32 bits
    i_atime: le32
    i_ctime: le32
    i_mtime: le32
    i_dtime: le32                     # when it was deleted
    i_gid: le16
    i_links_count: le16
    i_blocks: le32                    # in 512-byte units, indirect blocks included
    i_flags: le32
    l_i_reserved1: le32
    i_block: le32x15                  # 12 direct, indirect, double, triple; or a short symlink's target
    i_generation: le32
    i_file_acl: le32                  # block with extended attributes
    i_dir_acl: le32                   # of a regular file: i_size_high
    i_faddr: le32
    l_i_frag: u8
    l_i_fsize: u8
    i_pad1: le16
    l_i_uid_high: le16
    l_i_gid_high: le16
    l_i_reserved2: le32


class Ext2DirEntry2(OnDisk, size=8):
    """What stands before a name in a directory. Kernel: ext2_dir_entry_2

    The name follows, without a zero. rec_len leads to the next record; the last one of a block ends
    with the block. inode 0 marks a record that is free.
    """

    inode: le32
    rec_len: le16
    name_len: u8
    file_type: u8                     # EXT2_FT_*, with the filetype feature


class Ext2XattrHeader(OnDisk, size=32):
    """The head of an attribute block. Kernel: ext2_xattr_header"""

    h_magic: le32
    h_refcount: le32                  # inodes that share the block
    h_blocks: le32
    h_hash: le32
    h_reserved: le32x4


EXT2_INODE_FORMAT = struct.Struct("<HHIIIIIHHIII 15I IIII BBH HHI")
"""The fields of Ext2Inode in their order, for reading or writing all of them in one step."""
EXT2_GROUP_DESC_FORMAT = struct.Struct("<IIIHHHH")
"""Ext2GroupDesc up to bg_pad."""
EXT2_DIR_ENTRY_FORMAT = struct.Struct("<IHBB")
POINTER = struct.Struct("<I")
"""One of the block numbers that an indirect block is made of."""


def ext2_dir_rec_len(name_len: int) -> int:
    """The shortest record for a name of `name_len` bytes. Kernel: EXT2_DIR_REC_LEN()"""
    return (name_len + 8 + EXT2_DIR_PAD - 1) & -EXT2_DIR_PAD


def ext2_group_has_super(group: int, sparse_super: bool) -> bool:
    """Whether `group` begins with a copy of super block and descriptors.

    With sparse_super only groups 0, 1 and the powers of 3, 5 and 7 do. Kernel: ext2_bg_has_super()
    """
    if not sparse_super or group <= 1:
        return True
    return any(_is_power(group, base) for base in (3, 5, 7))


def _is_power(number: int, base: int) -> bool:
    while number > 1 and number % base == 0:
        number //= base
    return number == 1


def ext2_super_block_of(image: Any) -> Ext2SuperBlock:
    """The super block of a whole image (anything with bytes)."""
    return Ext2SuperBlock(image, BLOCK_SIZE)
