"""Names: making, linking, moving, removing; what is refused leaves everything as it was."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest
from mounts import (
    PLACES,
    Mounted,
    assert_clean,
    debugfs,
    needs_e2fsprogs,
    on_disk,
    on_segment,
    real_mke2fs,
    ticking,
)

from xiplab import O_CREAT, O_RDWR
from xiplab.linux.fs.ext2.ext2 import EXT2_I
from xiplab.linux.fs.ext2.ext2_fs import EXT2_BTREE_FL, EXT2_LINK_MAX, EXT2_XATTR_MAGIC, Ext2XattrHeader
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import KiB, MiB

pytestmark = needs_e2fsprogs


@pytest.fixture(params=PLACES)
def mounted(request: pytest.FixtureRequest) -> Mounted:
    where, options = PLACES[request.param]
    mounted: Mounted = where(bytes(mke2fs(2 * MiB)), clock=ticking())
    mounted.mount(options)
    return mounted


def umounted_clean(mounted: Mounted, tmp_path: Path) -> bytes:
    mounted.guest.umount("/mnt")
    assert_clean(mounted.image(), tmp_path)
    return mounted.image()


def fill_blocks(mounted: Mounted) -> None:
    """Write a file until no block is free."""
    fd = mounted.guest.open("/mnt/filler", O_CREAT | O_RDWR)
    while mounted.guest.statfs("/mnt").f_bfree:
        mounted.guest.write(fd, bytes(4 * KiB))
    mounted.guest.close(fd)


@pytest.mark.parametrize(("kind", "name"), [
    (stat.S_IFIFO, "fifo"), (stat.S_IFSOCK, "socket"), (stat.S_IFCHR, "char"), (stat.S_IFBLK, "block")])
@pytest.mark.parametrize("rdev", [os.makedev(5, 1), os.makedev(300, 70_000)])
def test_mknod_makes_what_debugfs_and_a_new_mount_see(mounted: Mounted, kind: int, name: str, rdev: int,
                                                      tmp_path: Path) -> None:
    mounted.guest.mknod(f"/mnt/{name}", kind | 0o600, rdev)
    image = umounted_clean(mounted, tmp_path)
    mounted.mount("ro")
    st = mounted.guest.stat(f"/mnt/{name}")

    assert st.st_mode == kind | 0o600
    assert st.st_rdev == (rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0)
    word = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "character special",
            stat.S_IFBLK: "block special"}[kind]
    text = debugfs(image, tmp_path, f"stat /{name}")
    assert f"Type: {word}" in text
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        assert f"major/minor number: {os.major(rdev):02d}:{os.minor(rdev):02d}" in text


@pytest.mark.parametrize("length", [1, 59, 60, 1000, 4095])
def test_symlink_keeps_its_target_and_takes_a_block_from_60_bytes_on(mounted: Mounted, length: int,
                                                                     tmp_path: Path) -> None:
    mounted.guest.symlink("t" * length, "/mnt/link")
    blocks = mounted.guest.lstat("/mnt/link").st_blocks
    umounted_clean(mounted, tmp_path)
    mounted.mount()

    assert mounted.guest.readlink("/mnt/link") == "t" * length
    assert blocks == (8 if length >= 60 else 0)
    mounted.guest.unlink("/mnt/link")
    umounted_clean(mounted, tmp_path)


def test_symlink_as_long_as_a_block_is_enametoolong() -> None:
    mounted = on_disk(bytes(mke2fs(2 * MiB, blocksize=1024)))
    mounted.mount()
    with pytest.raises(OSError, match="target of 1024 bytes") as caught:
        mounted.guest.symlink("t" * 1024, "/mnt/link")

    assert caught.value.errno == errno.ENAMETOOLONG


def test_name_of_255_bytes_is_the_longest(mounted: Mounted, tmp_path: Path) -> None:
    mounted.guest.echo("text", "/mnt/" + "n" * 255)
    with pytest.raises(OSError, match="limit 255") as caught:
        mounted.guest.echo("text", "/mnt/" + "n" * 256)

    assert caught.value.errno == errno.ENAMETOOLONG
    umounted_clean(mounted, tmp_path)


def test_too_many_links_are_emlink(mounted: Mounted) -> None:
    mounted.guest.echo("text", "/mnt/file")
    mounted.guest.mkdir("/mnt/dir")
    mounted.guest.mkdir("/mnt/other")
    mounted.inode("/mnt/file").i_nlink = EXT2_LINK_MAX
    mounted.inode("/mnt/dir").i_nlink = EXT2_LINK_MAX
    calls = (lambda: mounted.guest.link("/mnt/file", "/mnt/link"),
             lambda: mounted.guest.mkdir("/mnt/dir/sub"),
             lambda: mounted.guest.rename("/mnt/other", "/mnt/dir/other"))

    for call in calls:
        with pytest.raises(OSError, match="limit 32000") as caught:
            call()
        assert caught.value.errno == errno.EMLINK
    assert mounted.guest.ls("/mnt") == ["dir", "file", "lost+found", "other"]


def test_directory_that_is_not_empty_stays(mounted: Mounted) -> None:
    mounted.guest.mkdir("/mnt/dir")
    mounted.guest.mkdir("/mnt/other")
    mounted.guest.echo("text", "/mnt/dir/file")

    for call in (lambda: mounted.guest.rmdir("/mnt/dir"),
                 lambda: mounted.guest.rename("/mnt/other", "/mnt/dir")):
        with pytest.raises(OSError, match="not empty") as caught:
            call()
        assert caught.value.errno == errno.ENOTEMPTY
    assert mounted.guest.cat("/mnt/dir/file") == b"text\n"


@pytest.mark.parametrize("call", ["create", "mkdir", "long symlink", "link"])
def test_full_file_system_loses_nothing(mounted: Mounted, call: str, tmp_path: Path) -> None:
    """ENOSPC in the middle of a call: inode, blocks and link counts are as before."""
    guest = mounted.guest
    guest.mkdir("/mnt/dir")
    for i in range(14):
        guest.mknod(f"/mnt/dir/{i:0250d}", stat.S_IFIFO | 0o600)
    guest.mknod("/mnt/dir/" + "x" * 220, stat.S_IFIFO | 0o600)
    fill_blocks(mounted)
    before = guest.statfs("/mnt"), guest.stat("/mnt/dir").st_nlink, guest.stat("/mnt/filler").st_nlink
    name = "/mnt/dir/" + "y" * 250
    calls = {"create": lambda: guest.open(name, O_CREAT | O_RDWR), "mkdir": lambda: guest.mkdir(name),
             "long symlink": lambda: guest.symlink("t" * 100, name),
             "link": lambda: guest.link("/mnt/filler", name)}

    with pytest.raises(OSError, match="no block is free") as caught:
        calls[call]()
    assert caught.value.errno == errno.ENOSPC
    after = guest.statfs("/mnt"), guest.stat("/mnt/dir").st_nlink, guest.stat("/mnt/filler").st_nlink
    assert after == before
    umounted_clean(mounted, tmp_path)


def test_all_inodes_taken_is_enospc(tmp_path: Path) -> None:
    mounted = on_disk(bytes(mke2fs(2 * MiB, inodes=32)))
    mounted.mount()
    for i in range(mounted.guest.statfs("/mnt").f_ffree):
        mounted.guest.mknod(f"/mnt/{i}", stat.S_IFIFO | 0o600)
    for call in (lambda: mounted.guest.mkdir("/mnt/dir"), lambda: mounted.guest.echo("", "/mnt/file")):
        with pytest.raises(OSError, match="inodes are taken") as caught:
            call()
        assert caught.value.errno == errno.ENOSPC
    mounted.guest.unlink("/mnt/0")
    mounted.guest.mkdir("/mnt/dir")
    umounted_clean(mounted, tmp_path)


def test_last_blocks_are_kept_for_root(tmp_path: Path) -> None:
    mounted = on_disk(bytes(mke2fs(2 * MiB, reserved_percent=50)))
    mounted.mount()
    mounted.guest.mkdir("/mnt/dir")
    mounted.guest.chmod("/mnt/dir", 0o777)
    user = mounted.guest.process("user")
    user.setuid(1000)
    fd = user.open("/mnt/dir/file", O_CREAT | O_RDWR)
    assert user.write(fd, bytes(2 * MiB)) == user.fstat(fd).st_size < 1 * MiB
    with pytest.raises(OSError, match="some may be reserved") as caught:
        user.write(fd, b"more")
    st = mounted.guest.statfs("/mnt")

    assert caught.value.errno == errno.ENOSPC
    assert (st.f_bavail, st.f_bfree) == (0, mounted.info.s_es.s_r_blocks_count)
    mounted.guest.echo("root may", "/mnt/roots")


def test_unlinked_file_lives_as_long_as_it_is_open(mounted: Mounted, tmp_path: Path) -> None:
    free = mounted.guest.statfs("/mnt")
    fd = mounted.guest.open("/mnt/file", O_CREAT | O_RDWR)
    mounted.guest.write(fd, b"text" * 5000)
    mounted.guest.unlink("/mnt/file")

    assert mounted.guest.pread(fd, 4, 0) == b"text"
    assert mounted.guest.statfs("/mnt").f_ffree == free.f_ffree - 1
    mounted.guest.close(fd)
    assert mounted.guest.statfs("/mnt") == free
    umounted_clean(mounted, tmp_path)


def test_deleted_inode_has_a_deletion_time(mounted: Mounted, tmp_path: Path) -> None:
    mounted.guest.echo("text", "/mnt/file")
    ino = mounted.guest.stat("/mnt/file").st_ino
    mounted.guest.unlink("/mnt/file")

    assert "dtime: 0x65" in debugfs(umounted_clean(mounted, tmp_path), tmp_path, f"stat <{ino}>")


def test_rename_of_a_directory_changes_its_parent(mounted: Mounted, tmp_path: Path) -> None:
    mounted.guest.mkdir("/mnt/a")
    mounted.guest.mkdir("/mnt/b")
    mounted.guest.mkdir("/mnt/a/sub")
    mounted.guest.rename("/mnt/a/sub", "/mnt/b/moved")

    assert [mounted.guest.stat(f"/mnt/{name}").st_nlink for name in ("", "a", "b")] == [5, 2, 3]
    ino = mounted.guest.stat("/mnt/b").st_ino
    assert f"{ino}  (4084) .." in debugfs(umounted_clean(mounted, tmp_path), tmp_path, "ls /b/moved")


def test_times_change_as_posix_says(mounted: Mounted) -> None:
    guest = mounted.guest
    guest.mkdir("/mnt/dir")
    guest.echo("text", "/mnt/dir/file")
    before = guest.stat("/mnt/dir"), guest.stat("/mnt/dir/file")
    guest.link("/mnt/dir/file", "/mnt/dir/link")
    after = guest.stat("/mnt/dir"), guest.stat("/mnt/dir/file")

    assert after[0].st_mtime_ns > before[0].st_mtime_ns
    assert after[1].st_ctime_ns > before[1].st_ctime_ns
    assert after[1].st_mtime_ns == before[1].st_mtime_ns
    assert after[0].st_mtime_ns % 1_000_000_000 == 0


def test_times_before_1970_survive(mounted: Mounted) -> None:
    mounted.guest.echo("text", "/mnt/file")
    mounted.guest.utimens("/mnt/file", -5_000_000_000, -1_000_000_000)
    mounted.guest.umount("/mnt")
    mounted.mount("ro")
    st = mounted.guest.stat("/mnt/file")

    assert (st.st_atime_ns, st.st_mtime_ns) == (-5_000_000_000, -1_000_000_000)


def test_owners_above_16_bits_survive(mounted: Mounted, tmp_path: Path) -> None:
    mounted.guest.echo("text", "/mnt/file")
    mounted.guest.chown("/mnt/file", 100_000, 200_000)
    umounted_clean(mounted, tmp_path)
    mounted.mount("ro")
    st = mounted.guest.stat("/mnt/file")

    assert (st.st_uid, st.st_gid) == (100_000, 200_000)


def test_setgid_directory_hands_its_group_down(mounted: Mounted) -> None:
    mounted.guest.mkdir("/mnt/dir")
    mounted.guest.chown("/mnt/dir", 0, 77)
    mounted.guest.chmod("/mnt/dir", 0o2755)
    mounted.guest.mkdir("/mnt/dir/sub")
    mounted.guest.echo("text", "/mnt/dir/file")

    assert mounted.guest.stat("/mnt/dir/file").st_gid == 77
    assert mounted.guest.stat("/mnt/dir/sub").st_mode & 0o7777 == 0o2755


def test_large_directory_grows_and_room_is_used_again(mounted: Mounted, tmp_path: Path) -> None:
    for i in range(400):
        mounted.guest.mknod(f"/mnt/name-{i:05d}", stat.S_IFIFO | 0o600)
    size = mounted.guest.stat("/mnt").st_size
    for i in range(0, 400, 2):
        mounted.guest.unlink(f"/mnt/name-{i:05d}")
    for i in range(0, 400, 2):
        mounted.guest.mknod(f"/mnt/again{i:05d}", stat.S_IFIFO | 0o600)

    assert mounted.guest.stat("/mnt").st_size == size
    assert len(mounted.guest.listdir("/mnt")) == 401
    umounted_clean(mounted, tmp_path)


def test_index_flag_goes_when_a_hashed_directory_is_changed(tmp_path: Path) -> None:
    """ext2 reads a hashed directory block by block; what it changes is hashed no more."""
    folder = tmp_path / "tree"
    folder.mkdir()
    image = real_mke2fs(tmp_path, 4 * MiB, "-b", "1024", "-O", "dir_index", tree=folder)
    mounted = on_disk(image)
    mounted.mount()
    EXT2_I(mounted.inode("/mnt")).i_flags |= EXT2_BTREE_FL
    mounted.guest.echo("text", "/mnt/file")

    assert not EXT2_I(mounted.inode("/mnt")).i_flags & EXT2_BTREE_FL
    umounted_clean(mounted, tmp_path)


def test_attribute_block_goes_with_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    image = real_mke2fs(tmp_path, 4 * MiB, "-b", "4096", "-I", "128", tree=folder)
    path = tmp_path / "attributes.img"
    path.write_bytes(image)
    requests = b"write /dev/null file\nea_set file user.name value\n"
    subprocess.run(["debugfs", "-w", path], input=requests, check=True, capture_output=True)
    mounted = on_segment(path.read_bytes())
    mounted.mount("xip")
    free = mounted.guest.statfs("/mnt").f_bfree

    assert EXT2_I(mounted.inode("/mnt/file")).i_file_acl
    mounted.guest.unlink("/mnt/file")
    assert mounted.guest.statfs("/mnt").f_bfree == free + 1
    umounted_clean(mounted, tmp_path)


def test_sync_mount_keeps_the_image_up_to_date(tmp_path: Path) -> None:
    """Directories and their inodes are on the device when the call returns."""
    mounted = on_disk(bytes(mke2fs(2 * MiB)))
    mounted.mount("sync")
    mounted.guest.mkdir("/mnt/dir")
    mounted.guest.echo("text", "/mnt/dir/file")

    assert "file" in debugfs(mounted.image(), tmp_path, "ls /dir")


@pytest.mark.parametrize(("magic", "refcount", "freed", "left", "errors"), [
    (EXT2_XATTR_MAGIC, 2, 0, 1, 0), (EXT2_XATTR_MAGIC, 1, 1, 1, 0), (0xBAD, 1, 0, 1, 1)])
def test_attribute_block_of_a_deleted_file(magic: int, refcount: int, freed: int, left: int, errors: int
                                           ) -> None:
    """A shared one loses a reference, the last file frees it, and a bad one is logged and left alone."""
    image = mke2fs(1 * MiB, tree={"file": "", "block": b"x" * 4096})
    fs = Filsys(image)
    by_size = {fs.inode(ino).i_size: fs.inode(ino) for ino in (12, 13)}
    block = by_size[4096].i_block.item(0)
    by_size[0].i_file_acl = block
    header = Ext2XattrHeader(image, block * 4096)
    header.h_magic, header.h_refcount, header.h_blocks = magic, refcount, 1
    mounted = on_segment(bytes(image))
    mounted.mount("xip")
    free = mounted.guest.statfs("/mnt").f_bfree
    mounted.guest.unlink("/mnt/file")

    assert mounted.guest.statfs("/mnt").f_bfree == free + freed
    assert sum("error" in line for line in mounted.guest.dmesg) == errors
    after = Ext2XattrHeader(bytearray(mounted.synced()), block * 4096)
    assert after.h_refcount == left
