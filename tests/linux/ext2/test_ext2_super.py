"""Mounting: what is checked, what is written, what statfs and the log say."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from mounts import Mounted, assert_clean, needs_e2fsprogs, on_disk, on_segment, real_mke2fs, ticking

from xiplab import O_CREAT, O_RDWR
from xiplab.errors import Panic
from xiplab.linux.fs.ext2.ext2 import ext2_error
from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_ERROR_FS,
    EXT2_VALID_FS,
    Ext2SuperBlock,
    ext2_super_block_of,
)
from xiplab.linux.fs.ext2.super import ext2_max_size
from xiplab.linux.include.fs import MS_RDONLY
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import MiB

Change = Callable[[Ext2SuperBlock], None]


def changed(*changes: tuple[str, int], blocksize: int = 4096) -> bytes:
    """An image with some fields of the super block set."""
    image = mke2fs(2 * MiB, blocksize=blocksize, tree={"file": "text"})
    sb = ext2_super_block_of(image)
    for name, value in changes:
        setattr(sb, name, value)
    return bytes(image)


def super_of(mounted: Mounted) -> Ext2SuperBlock:
    return ext2_super_block_of(bytearray(mounted.image()))


@pytest.mark.parametrize(("field", "value", "why"), [
    ("s_magic", 0xEF54, "Can't find an ext2"),
    ("s_feature_incompat", 0x40, r"unsupported optional features \(40\)"),
    ("s_feature_incompat", 0x1, r"unsupported optional features \(1\)"),
    ("s_log_block_size", 3, "blocksize 8192"),
    ("s_log_block_size", 0xFFFFFFFF, "not supported"),
    ("s_log_frag_size", 1, "fragsize 2048 != blocksize 4096"),
    ("s_inode_size", 64, "unsupported inode size: 64"),
    ("s_inode_size", 8192, "unsupported inode size: 8192"),
    ("s_inode_size", 192, "unsupported inode size: 192"),
    ("s_blocks_per_group", 32769, "#blocks per group too big"),
    ("s_frags_per_group", 32769, "#fragments per group too big"),
    ("s_inodes_per_group", 32769, "#inodes per group too big"),
    ("s_blocks_per_group", 0, "groups without blocks"),
    ("s_inodes_per_group", 0, "without inodes"),
    ("s_blocks_count", 0, "0 blocks"),
    ("s_blocks_count", 0xFFFFFFFF, "unable to read group descriptors"),
    ("s_blocks_per_group", 100, "group descriptors corrupted"),
])
def test_mount_refuses_a_super_block_that_cannot_be(field: str, value: int, why: str) -> None:
    mounted = on_disk(changed((field, value)))
    with pytest.raises(OSError, match=why) as caught:
        mounted.mount()

    assert caught.value.errno == errno.EINVAL
    assert mounted.guest.frames["buffer cache"] == 0
    assert not mounted.guest.kernel.block_devices["sda"].bd_openers


def test_mount_of_zeros_is_einval() -> None:
    with pytest.raises(OSError, match="Can't find") as caught:
        on_disk(bytes(1 * MiB)).mount()

    assert caught.value.errno == errno.EINVAL


def test_mount_of_a_device_too_small_for_a_super_block_is_einval() -> None:
    with pytest.raises(OSError, match="unable to read superblock") as caught:
        on_disk(bytes(1024)).mount()

    assert caught.value.errno == errno.EINVAL


def test_unknown_ro_compat_feature_mounts_only_read_only() -> None:
    mounted = on_disk(changed(("s_feature_ro_compat", 0x40)))
    with pytest.raises(OSError, match=r"couldn't mount RDWR .* \(40\)") as caught:
        mounted.mount()

    assert caught.value.errno == errno.EINVAL
    mounted.mount("ro")
    assert mounted.guest.cat("/mnt/file") == b"text"
    with pytest.raises(OSError, match="allow only reading") as caught:
        mounted.remount("rw")
    assert caught.value.errno == errno.EROFS


def test_backup_super_block_mounts_with_the_sb_option() -> None:
    """`sb=` counts in KiB."""
    image = mke2fs(4 * MiB, blocks_per_group=512, tree={"file": "text"})
    ext2_super_block_of(image).s_magic = 0
    mounted = on_disk(bytes(image))
    mounted.mount("ro,sb=2048")

    assert mounted.guest.cat("/mnt/file") == b"text"
    assert "sb=2048" in mounted.sb.s_op.show_options(mounted.sb)  # type: ignore[misc]


@pytest.mark.parametrize("option", ["noxip", "nonsense", "sb=", "sb=x", "resuid=-1", "resuid=99999999999",
                                    "errors=ignore"])
def test_unknown_option_is_einval(option: str) -> None:
    mounted = on_disk(changed())
    with pytest.raises(OSError, match="Unrecognized mount option") as caught:
        mounted.mount(option)

    assert caught.value.errno == errno.EINVAL


def test_quota_options_are_ignored_with_a_message() -> None:
    mounted = on_disk(changed())
    mounted.mount("usrquota,noquota")

    assert "EXT2-fs (sda): quota operations not supported" in mounted.guest.dmesg


def test_options_are_shown() -> None:
    mounted = on_segment(changed())
    sb = mounted.mount("xip,grpid,minixdf,errors=remount-ro,nouid32,debug,oldalloc,check=none")

    assert mounted.sb.s_op.show_options is not None
    assert mounted.sb.s_op.show_options(sb) == "minixdf,grpid,nouid32,debug,errors=remount-ro,xip"


def test_mounted_file_system_is_not_clean_and_unmounted_is() -> None:
    mounted = on_disk(changed())
    before = super_of(mounted)
    mounted.mount()
    inside = super_of(mounted)
    mounted.guest.umount("/mnt")
    after = super_of(mounted)

    assert [sb.s_state for sb in (before, inside, after)] == [EXT2_VALID_FS, 0, EXT2_VALID_FS]
    assert [sb.s_mnt_count for sb in (before, inside, after)] == [0, 1, 1]


def test_read_only_mount_writes_nothing() -> None:
    image = changed()
    mounted = on_disk(image)
    mounted.mount("ro")
    mounted.guest.cat("/mnt/file")
    mounted.guest.listdir("/mnt")
    mounted.guest.sync()
    mounted.guest.umount("/mnt")

    assert mounted.image() == image


def test_file_system_with_errors_keeps_the_mark() -> None:
    mounted = on_disk(changed(("s_state", EXT2_VALID_FS | EXT2_ERROR_FS)))
    mounted.mount()

    assert "warning: mounting fs with errors, running e2fsck is recommended" in mounted.guest.dmesg[-1]
    mounted.guest.umount("/mnt")
    assert super_of(mounted).s_state == EXT2_VALID_FS | EXT2_ERROR_FS


@pytest.mark.parametrize(("fields", "text"), [
    ((("s_state", 0),), "mounting unchecked fs"),
    ((("s_max_mnt_count", 3), ("s_mnt_count", 3)), "maximal mount count reached"),
    ((("s_checkinterval", 10), ("s_lastcheck", 10)), "checktime reached"),
    ((("s_feature_compat", 4),), "mounting ext3 filesystem as ext2"),
    ((("s_rev_level", 2),), "revision level too high, forcing read-only mode"),
])
def test_mount_says_why_a_check_is_due(fields: tuple[tuple[str, int], ...], text: str) -> None:
    mounted = on_disk(changed(*fields))
    sb = mounted.mount()

    assert any(text in line for line in mounted.guest.dmesg)
    assert bool(sb.s_flags & MS_RDONLY) == ("read-only" in text)


def test_max_mnt_count_of_zero_becomes_twenty() -> None:
    mounted = on_disk(changed(("s_max_mnt_count", 0)))
    mounted.mount()

    assert super_of(mounted).s_max_mnt_count == 20


@needs_e2fsprogs
def test_remount_read_only_leaves_a_clean_image_and_read_write_takes_the_mark_away(tmp_path: Path) -> None:
    mounted = on_disk(changed(), clock=ticking())
    mounted.mount()
    mounted.guest.echo("more", "/mnt/other")
    mounted.remount("ro")

    assert super_of(mounted).s_state == EXT2_VALID_FS
    assert_clean(mounted.image(), tmp_path)
    with pytest.raises(OSError, match="read-only") as caught:
        mounted.guest.open("/mnt/new", O_CREAT | O_RDWR)
    assert caught.value.errno == errno.EROFS
    mounted.remount("rw")
    assert super_of(mounted).s_state == 0
    mounted.guest.echo("more", "/mnt/new")


@pytest.mark.parametrize(("option", "read_only"), [("errors=continue", False), ("errors=remount-ro", True)])
def test_error_marks_the_file_system(option: str, read_only: bool) -> None:
    mounted = on_disk(changed())
    sb = mounted.mount(option)
    ext2_error(sb, "test", "something is wrong")

    assert super_of(mounted).s_state == EXT2_ERROR_FS
    assert bool(sb.s_flags & MS_RDONLY) is read_only
    assert "EXT2-fs (sda): error: test: something is wrong" in mounted.guest.dmesg


def test_error_with_errors_panic_is_the_kernels_end() -> None:
    mounted = on_disk(changed())
    sb = mounted.mount("errors=panic")

    with pytest.raises(Panic, match="something is wrong"):
        ext2_error(sb, "test", "something is wrong")


def test_corrupt_root_is_refused() -> None:
    image = mke2fs(2 * MiB)
    Filsys(image).inode(2).i_mode = 0o100644
    with pytest.raises(OSError, match="corrupt root inode") as caught:
        on_disk(bytes(image)).mount()

    assert caught.value.errno == errno.EINVAL


def test_largest_files_by_block_size() -> None:
    """As e2fsprogs and the kernel state them: 16 GiB, 256 GiB and 2 TiB, or a little more or less."""
    assert [ext2_max_size(size) for size in (1024, 2048, 4096)] == [
        17_247_252_480, 275_415_851_008, 2_194_719_883_264]


@needs_e2fsprogs
@pytest.mark.parametrize("blocksize", [1024, 4096])
def test_statfs_counts_as_dumpe2fs(blocksize: int, tmp_path: Path) -> None:
    image = real_mke2fs(tmp_path, 64 * MiB, "-b", str(blocksize), "-m", "5")
    sb = ext2_super_block_of(bytearray(image))
    mounted = on_disk(image)
    mounted.mount("ro")
    st = mounted.guest.statfs("/mnt")

    assert (st.f_bsize, st.f_bfree, st.f_files, st.f_ffree) == (
        blocksize, sb.s_free_blocks_count, sb.s_inodes_count, sb.s_free_inodes_count)
    assert st.f_bavail == st.f_bfree - sb.s_r_blocks_count
    assert st.f_namelen == 255


def test_statfs_with_minixdf_counts_all_blocks() -> None:
    mounted = on_disk(changed())
    mounted.mount("ro,minixdf")

    assert mounted.guest.statfs("/mnt").f_blocks == 512
