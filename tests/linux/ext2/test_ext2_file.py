"""Files: durability, the page cache on ext2, sizes, flags, and what another guest sees."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from mounts import (
    PLACES,
    Mounted,
    assert_clean,
    debugfs,
    e2fsck,
    guest_tree,
    needs_e2fsprogs,
    on_disk,
    on_segment,
    ticking,
)

from xiplab import MAP_SHARED, O_APPEND, O_CREAT, O_RDONLY, O_RDWR, PROT_READ, PROT_WRITE, ZVM, Recording
from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_APPEND_FL,
    EXT2_FEATURE_RO_COMPAT_LARGE_FILE,
    EXT2_IMMUTABLE_FL,
    ext2_super_block_of,
)
from xiplab.linux.fs.ext2.ioctl import EXT2_IOC_GETFLAGS, EXT2_IOC_SETFLAGS
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, KiB, MiB


@pytest.fixture(params=PLACES)
def mounted(request: pytest.FixtureRequest) -> Mounted:
    where, options = PLACES[request.param]
    mounted: Mounted = where(bytes(mke2fs(4 * MiB)), clock=ticking())
    mounted.mount(options)
    return mounted


def test_xip_data_is_on_the_device_at_once_and_cached_data_after_sync() -> None:
    """A store to an XIP file needs no sync; the inode that says how long it is does."""
    for place, at_once in (("xip", True), ("page cache", False)):
        where, options = PLACES[place]
        mounted = where(bytes(mke2fs(1 * MiB)))
        mounted.mount(options)
        mounted.guest.echo("the very bytes", "/mnt/file")

        assert (b"the very bytes" in mounted.image()) is at_once
        assert b"the very bytes" in mounted.synced()


@needs_e2fsprogs
def test_crash_before_sync_loses_names_not_the_file_system(mounted: Mounted, tmp_path: Path) -> None:
    """The image of a machine that stops without unmounting is as of the last sync, but for XIP data."""
    mounted.guest.echo("text", "/mnt/old")
    mounted.guest.sync()
    mounted.guest.echo("text", "/mnt/new")

    names = debugfs(mounted.image(), tmp_path, "ls /")
    assert "old" in names
    assert "new" not in names


@needs_e2fsprogs
def test_fsync_makes_one_file_durable(mounted: Mounted, tmp_path: Path) -> None:
    """Data, indirect blocks and inode; the bitmaps are left to sync."""
    mounted.guest.echo("text", "/mnt/file")
    mounted.guest.sync()
    fd = mounted.guest.open("/mnt/file", O_RDWR)
    mounted.guest.pwrite(fd, b"x" * 100 * KiB, 0)
    mounted.guest.fsync(fd)
    (tmp_path / "copy").mkdir()

    assert debugfs(mounted.image(), tmp_path, "cat /file") == "x" * 100 * KiB
    assert "Block bitmap differences" in e2fsck(mounted.image(), tmp_path)[1]


@needs_e2fsprogs
@pytest.mark.parametrize("blocksize", [1024, 2048, 4096])
def test_store_through_a_mapping_of_a_cached_file_reaches_the_device(blocksize: int, tmp_path: Path) -> None:
    """Holes that were stored to get blocks when the page is written."""
    mounted = on_disk(bytes(mke2fs(4 * MiB, blocksize=blocksize)))
    mounted.mount()
    fd = mounted.guest.open("/mnt/file", O_CREAT | O_RDWR)
    mounted.guest.truncate("/mnt/file", 20_000)
    memory = mounted.guest.mmap(fd, 20_000, PROT_READ | PROT_WRITE, MAP_SHARED)
    memory[5000:5005] = b"first"
    memory[19_000:19_006] = b"second"
    image = mounted.synced()

    assert debugfs(image, tmp_path, "cat /file").encode("latin-1") == \
        bytes(5000) + b"first" + bytes(13_995) + b"second" + bytes(994)
    mounted.guest.close(fd)


@needs_e2fsprogs
@pytest.mark.parametrize("blocksize", [1024, 2048])
def test_small_write_takes_one_block_and_leaves_holes_beside_it(blocksize: int, tmp_path: Path) -> None:
    mounted = on_disk(bytes(mke2fs(4 * MiB, blocksize=blocksize)))
    mounted.mount()
    fd = mounted.guest.open("/mnt/file", O_CREAT | O_RDWR)
    mounted.guest.pwrite(fd, b"x" * 10, 2 * blocksize + 5)
    mounted.guest.pwrite(fd, b"y" * 10, 5)
    st = mounted.guest.fstat(fd)
    mounted.guest.close(fd)

    assert (st.st_blocks, st.st_size) == (2 * blocksize // 512, 2 * blocksize + 15)
    mounted.guest.umount("/mnt")
    assert_clean(mounted.image(), tmp_path)
    mounted.mount("ro")
    assert mounted.guest.cat("/mnt/file") == \
        bytes(5) + b"y" * 10 + bytes(2 * blocksize - 15) + bytes(5) + b"x" * 10


@needs_e2fsprogs
def test_cached_write_that_fails_past_the_end_leaves_no_blocks_there(tmp_path: Path) -> None:
    """With 1 KiB blocks a page needs four; if the last cannot be had, the others go away again."""
    mounted = on_disk(bytes(mke2fs(1 * MiB, blocksize=1024, reserved_percent=0)))
    mounted.mount()
    filler = mounted.guest.open("/mnt/filler", O_CREAT | O_RDWR)
    fd = mounted.guest.open("/mnt/file", O_CREAT | O_RDWR)
    mounted.guest.pwrite(fd, b"x", 0)
    while mounted.guest.statfs("/mnt").f_bfree > 2:
        mounted.guest.write(filler, bytes(1024))
    free = mounted.guest.statfs("/mnt").f_bfree
    with pytest.raises(OSError, match="no block is free") as caught:
        mounted.guest.pwrite(fd, b"y" * PAGE_SIZE, PAGE_SIZE)

    assert caught.value.errno == errno.ENOSPC
    assert mounted.guest.statfs("/mnt").f_bfree == free
    assert mounted.guest.fstat(fd).st_size == 1
    for each in (filler, fd):
        mounted.guest.close(each)
    mounted.guest.umount("/mnt")
    assert_clean(mounted.image(), tmp_path)


@needs_e2fsprogs
@pytest.mark.parametrize("blocksize", [1024, 4096])
def test_truncate_and_grow_again_gives_zeros(blocksize: int, tmp_path: Path) -> None:
    """Neither the page nor the block keeps what was cut off."""
    mounted = on_disk(bytes(mke2fs(4 * MiB, blocksize=blocksize)))
    mounted.mount()
    fd = mounted.guest.open("/mnt/file", O_CREAT | O_RDWR)
    mounted.guest.write(fd, b"x" * 10_000)
    mounted.guest.sync()
    mounted.guest.truncate("/mnt/file", 4500)
    mounted.guest.truncate("/mnt/file", 10_000)
    mounted.guest.close(fd)

    assert mounted.guest.cat("/mnt/file") == b"x" * 4500 + bytes(5500)
    mounted.guest.umount("/mnt")
    assert_clean(mounted.image(), tmp_path)
    mounted.mount("ro")
    assert mounted.guest.cat("/mnt/file") == b"x" * 4500 + bytes(5500)


@needs_e2fsprogs
def test_first_large_file_is_noted_in_the_super_block(tmp_path: Path) -> None:
    image = mke2fs(4 * MiB, features=["filetype", "sparse_super"])
    fresh = on_segment(bytes(image))
    fresh.mount("xip")
    assert not fresh.info.s_es.s_feature_ro_compat & EXT2_FEATURE_RO_COMPAT_LARGE_FILE
    fd = fresh.guest.open("/mnt/large", O_CREAT | O_RDWR)
    fresh.guest.pwrite(fd, b"end", 3 << 30)
    fresh.guest.close(fd)
    fresh.guest.umount("/mnt")

    assert ext2_super_block_of(bytearray(fresh.image())).s_feature_ro_compat & \
        EXT2_FEATURE_RO_COMPAT_LARGE_FILE
    assert_clean(fresh.image(), tmp_path)


@needs_e2fsprogs
def test_large_file_makes_a_file_system_of_revision_0_one_of_revision_1(tmp_path: Path) -> None:
    mounted = on_disk(bytes(mke2fs(4 * MiB, revision=0)))
    mounted.mount()
    fd = mounted.guest.open("/mnt/large", O_CREAT | O_RDWR)
    mounted.guest.pwrite(fd, b"end", 3 << 30)
    mounted.guest.close(fd)
    mounted.guest.umount("/mnt")
    sb = ext2_super_block_of(bytearray(mounted.image()))

    assert (sb.s_rev_level, sb.s_first_ino, sb.s_inode_size) == (1, 11, 128)
    assert_clean(mounted.image(), tmp_path)


def test_immutable_file_stays_as_it_is(mounted: Mounted) -> None:
    guest = mounted.guest
    guest.echo("text", "/mnt/file")
    fd = guest.open("/mnt/file")
    guest.ioctl(fd, EXT2_IOC_SETFLAGS, EXT2_IMMUTABLE_FL)

    assert guest.ioctl(fd, EXT2_IOC_GETFLAGS) == EXT2_IMMUTABLE_FL
    for call, number in ((lambda: guest.open("/mnt/file", O_RDWR), errno.EACCES),
                         (lambda: guest.unlink("/mnt/file"), errno.EPERM),
                         (lambda: guest.link("/mnt/file", "/mnt/link"), errno.EPERM)):
        with pytest.raises(OSError, match=r"inode|file") as caught:
            call()
        assert caught.value.errno == number
    guest.ioctl(fd, EXT2_IOC_SETFLAGS, 0)
    guest.unlink("/mnt/file")


def test_append_only_file_grows_only(mounted: Mounted) -> None:
    guest = mounted.guest
    guest.echo("one", "/mnt/log")
    fd = guest.open("/mnt/log")
    guest.ioctl(fd, EXT2_IOC_SETFLAGS, EXT2_APPEND_FL)
    guest.echo("two", "/mnt/log", append=True)
    with pytest.raises(OSError, match="append-only") as caught:
        guest.open("/mnt/log", O_RDWR)

    assert caught.value.errno == errno.EPERM
    assert guest.cat("/mnt/log") == b"one\ntwo\n"
    assert guest.open("/mnt/log", O_RDWR | O_APPEND) > fd


def test_flags_are_the_owners_and_unknown_calls_are_enotty(mounted: Mounted) -> None:
    guest = mounted.guest
    guest.echo("text", "/mnt/file")
    user = guest.process("user")
    user.setuid(1000)
    fd = user.open("/mnt/file", O_RDONLY)
    with pytest.raises(OSError, match="owner") as caught:
        user.ioctl(fd, EXT2_IOC_SETFLAGS, 0)
    assert caught.value.errno == errno.EACCES
    with pytest.raises(OSError, match="ioctl 0x1234") as caught:
        user.ioctl(fd, 0x1234)

    assert caught.value.errno == errno.ENOTTY
    guest.chown("/mnt/file", 1000)
    with pytest.raises(OSError, match="CAP_LINUX_IMMUTABLE") as caught:
        user.ioctl(fd, EXT2_IOC_SETFLAGS, EXT2_IMMUTABLE_FL)
    assert caught.value.errno == errno.EPERM


def test_two_guests_share_data_in_place_and_not_what_they_cached() -> None:
    """Both mount one writable segment. A store to a file is seen by the other at once; a new name is
    not, even after a sync, because the directory is in the other's page cache."""
    vm = ZVM()
    vm.segment("SEG", size=1 * MiB, type="SW", at=0x20000000)
    vm.load("SEG", bytes(mke2fs(1 * MiB, tree={"file": b"before"})))
    guests = [vm.logon(name) for name in ("LINUX1", "LINUX2")]
    for guest in guests:
        guest.echo("seg", "/sys/devices/dcssblk/add")
        guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
        guest.cat("/mnt/file")
    one, two = guests
    fd = one.open("/mnt/file", O_RDWR)
    one.pwrite(fd, b"AFTER!", 0)
    one.echo("text", "/mnt/new")
    one.sync()

    assert two.cat("/mnt/file") == b"AFTER!"
    assert two.ls("/mnt") == ["file", "lost+found"]


@needs_e2fsprogs
@pytest.mark.parametrize("blocksize", [1024, 4096])
def test_guest_with_little_memory_writes_a_large_file(blocksize: int, tmp_path: Path) -> None:
    """Dirty pages are written when frames run short; nothing is lost."""
    mounted = on_disk(bytes(mke2fs(16 * MiB, blocksize=blocksize)), storage=3 * MiB)
    mounted.mount()
    fd = mounted.guest.open("/mnt/file", O_CREAT | O_RDWR)
    for i in range(110):
        mounted.guest.write(fd, bytes([i]) * 40_000)
    mounted.guest.close(fd)

    assert mounted.guest.cat("/mnt/file") == b"".join(bytes([i]) * 40_000 for i in range(110))
    tree = guest_tree(mounted.guest)
    mounted.guest.umount("/mnt")
    assert_clean(mounted.image(), tmp_path)
    mounted.mount("ro")
    assert guest_tree(mounted.guest) == tree


def test_xip_write_copies_each_byte_once_and_cached_write_twice() -> None:
    """Counted at a file whose blocks exist: to the storage, or to the page and from it to the device."""
    for place, copies in (("xip", 1), ("page cache", 2)):
        where, options = PLACES[place]
        mounted = where(bytes(mke2fs(1 * MiB, tree={"file": b"x" * 8 * PAGE_SIZE})))
        mounted.mount(f"noatime,{options}")
        fd = mounted.guest.open("/mnt/file", O_RDWR)
        mounted.guest.pwrite(fd, b"y" * 8 * PAGE_SIZE, 0)
        mounted.guest.fsync(fd)
        with Recording() as writing:
            mounted.guest.pwrite(fd, b"z" * 8 * PAGE_SIZE, 0)
        with Recording() as flushing:
            mounted.guest.fsync(fd)

        assert writing.bytes_copied == 8 * PAGE_SIZE
        assert flushing.bytes_copied // (8 * PAGE_SIZE) == copies - 1
