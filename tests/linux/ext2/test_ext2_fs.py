"""The records of ext2 are where the format says they are."""

import struct

import pytest

from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_DIR_ENTRY_FORMAT,
    EXT2_GROUP_DESC_FORMAT,
    EXT2_INODE_FORMAT,
    Ext2DirEntry2,
    Ext2GroupDesc,
    Ext2Inode,
    Ext2SuperBlock,
    ext2_dir_rec_len,
    ext2_group_has_super,
)
from xiplab.ondisk import OnDisk

OFFSETS: dict[type[OnDisk], dict[str, int]] = {
    Ext2SuperBlock: {
        "s_inodes_count": 0x00, "s_blocks_count": 0x04, "s_r_blocks_count": 0x08,
        "s_free_blocks_count": 0x0C, "s_free_inodes_count": 0x10, "s_first_data_block": 0x14,
        "s_log_block_size": 0x18, "s_log_frag_size": 0x1C, "s_blocks_per_group": 0x20,
        "s_frags_per_group": 0x24, "s_inodes_per_group": 0x28, "s_mtime": 0x2C, "s_wtime": 0x30,
        "s_mnt_count": 0x34, "s_max_mnt_count": 0x36, "s_magic": 0x38, "s_state": 0x3A,
        "s_errors": 0x3C, "s_minor_rev_level": 0x3E, "s_lastcheck": 0x40, "s_checkinterval": 0x44,
        "s_creator_os": 0x48, "s_rev_level": 0x4C, "s_def_resuid": 0x50, "s_def_resgid": 0x52,
        "s_first_ino": 0x54, "s_inode_size": 0x58, "s_block_group_nr": 0x5A,
        "s_feature_compat": 0x5C, "s_feature_incompat": 0x60, "s_feature_ro_compat": 0x64,
        "s_uuid": 0x68, "s_volume_name": 0x78, "s_last_mounted": 0x88,
        "s_algorithm_usage_bitmap": 0xC8, "s_prealloc_blocks": 0xCC, "s_prealloc_dir_blocks": 0xCD,
        "s_padding1": 0xCE, "s_journal_uuid": 0xD0, "s_journal_inum": 0xE0, "s_journal_dev": 0xE4,
        "s_last_orphan": 0xE8, "s_hash_seed": 0xEC, "s_def_hash_version": 0xFC,
        "s_reserved_char_pad": 0xFD, "s_reserved_word_pad": 0xFE, "s_default_mount_opts": 0x100,
        "s_first_meta_bg": 0x104, "s_reserved": 0x108,
    },
    Ext2GroupDesc: {
        "bg_block_bitmap": 0, "bg_inode_bitmap": 4, "bg_inode_table": 8, "bg_free_blocks_count": 12,
        "bg_free_inodes_count": 14, "bg_used_dirs_count": 16, "bg_pad": 18, "bg_reserved": 20,
    },
    Ext2Inode: {
        "i_mode": 0x00, "i_uid": 0x02, "i_size": 0x04, "i_atime": 0x08, "i_ctime": 0x0C,
        "i_mtime": 0x10, "i_dtime": 0x14, "i_gid": 0x18, "i_links_count": 0x1A, "i_blocks": 0x1C,
        "i_flags": 0x20, "l_i_reserved1": 0x24, "i_block": 0x28, "i_generation": 0x64,
        "i_file_acl": 0x68, "i_dir_acl": 0x6C, "i_faddr": 0x70, "l_i_frag": 0x74, "l_i_fsize": 0x75,
        "i_pad1": 0x76, "l_i_uid_high": 0x78, "l_i_gid_high": 0x7A, "l_i_reserved2": 0x7C,
    },
    Ext2DirEntry2: {"inode": 0, "rec_len": 4, "name_len": 6, "file_type": 7},
}


@pytest.mark.parametrize("record", OFFSETS, ids=lambda record: record.__name__)
def test_fields_are_at_the_offsets_of_the_format(record: type[OnDisk]) -> None:
    """Offsets as the ext2 documentation and e2fsprogs' ext2_fs.h give them."""
    fields = record.dtype.fields
    assert fields is not None

    assert {name: place[1] for name, place in fields.items()} == OFFSETS[record]


@pytest.mark.parametrize(("record", "form"), [(Ext2Inode, EXT2_INODE_FORMAT),
                                              (Ext2DirEntry2, EXT2_DIR_ENTRY_FORMAT)])
def test_one_step_format_has_the_fields_of_the_record(record: type[OnDisk], form: struct.Struct) -> None:
    values = form.unpack(bytes(i % 251 for i in range(form.size)))
    one = record(bytearray(i % 251 for i in range(form.size)))
    fields = [getattr(one, name) for name in record.dtype.names or ()]
    flat = [n for value in fields for n in ([value] if isinstance(value, int) else value.tolist())]

    assert flat == list(values)


def test_group_descriptor_format_has_the_fields_up_to_the_pad() -> None:
    raw = bytes(range(32))
    desc = Ext2GroupDesc(bytearray(raw))

    assert EXT2_GROUP_DESC_FORMAT.unpack_from(raw) == (
        desc.bg_block_bitmap, desc.bg_inode_bitmap, desc.bg_inode_table, desc.bg_free_blocks_count,
        desc.bg_free_inodes_count, desc.bg_used_dirs_count, desc.bg_pad)


def test_dir_rec_len_is_a_multiple_of_four_that_holds_header_and_name() -> None:
    assert [ext2_dir_rec_len(n) for n in (1, 4, 5, 255)] == [12, 12, 16, 264]


def test_sparse_super_copies_are_in_groups_0_1_and_powers_of_3_5_7() -> None:
    assert [g for g in range(130) if ext2_group_has_super(g, True)] == [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125]
    assert all(ext2_group_has_super(g, False) for g in range(10))
