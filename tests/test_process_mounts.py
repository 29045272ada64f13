"""Mounts, and the files of /dev and /sys."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from functools import cache

import pytest

from xiplab import PROT_READ, ZVM, Guest, MiB
from xiplab.linux.include.device import DeviceAttribute
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE

USER = 1000


@cache
def blank() -> bytes:
    return bytes(mke2fs(1 * MiB))


@pytest.fixture
def guest() -> Guest:
    """With an ext2 disk /dev/vda, a blank disk /dev/vdb, and a read-only segment /dev/dcssblk0."""
    vm = ZVM()
    vm.segment("SHLIB", size=1 * MiB, type="SR", at=0x10000000)
    vm.load("SHLIB", blank())
    guest = vm.logon("LINUX1")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.add_disk("vda", blank())
    guest.add_disk("vdb", 1 * MiB)
    guest.chdir("/tmp")
    guest.mkdir("m1")
    guest.mkdir("m2")
    guest.echo("x", "file")
    return guest


def errno_of(call: Callable[[], object]) -> str | None:
    try:
        call()
    except OSError as failure:
        return errno.errorcode[failure.errno or 0]
    return None


def outcome(guest: Guest, name: str, *arguments: object) -> str | None:
    return errno_of(lambda: getattr(guest, name)(*arguments))


# mount and umount

@pytest.mark.parametrize(("arguments", "expected"), [
    (("/dev/vda", "m1"), None), (("/dev/vda", "missing"), "ENOENT"), (("/dev/vda", "file"), "ENOTDIR"),
    (("/dev/vda", "m1", "ext9"), "ENODEV"), (("/dev/vdz", "m1"), "ENXIO"), (("vda", "m1"), "ENOTBLK"),
    (("/tmp/file", "m1"), "ENOTBLK"), (("/dev/vdb", "m1"), "EINVAL"),
    (("/dev/vda", "m1", "ext2", "nonsense"), "EINVAL"),
    (("/dev/vda", "m1", "ext2", "xip"), None), (("/dev/dcssblk0", "m1"), "EACCES"),
    (("/dev/dcssblk0", "m1", "ext2", "ro,xip"), None), (("none", "m1", "ramfs"), None),
    (("none", "m1", "ramfs", "rw"), None),
    (("/dev/vda", ""), "ENOENT"), (("/dev/vda", "file/x"), "ENOTDIR"),
])
def test_mount(guest: Guest, arguments: tuple[str, ...], expected: str | None) -> None:
    before = len(guest.kernel.super_blocks)

    assert outcome(guest, "mount", *arguments) == expected
    assert len(guest.kernel.super_blocks) == before + (expected is None)
    assert guest.kernel.block_devices["vda"].bd_openers == (arguments[0] == "/dev/vda" and expected is None)


def test_mount_by_a_user_raises_eperm_after_looking_at_the_path(guest: Guest) -> None:
    guest.setuid(USER)

    assert outcome(guest, "mount", "/dev/vda", "m1") == "EPERM"
    assert outcome(guest, "mount", "/dev/vda", "missing") == "ENOENT"
    assert outcome(guest, "umount", "/dev") == "EPERM"
    assert outcome(guest, "umount", "m1") == "EINVAL"


def test_mount_hides_the_directory_and_umount_shows_it_again(guest: Guest) -> None:
    guest.echo("below", "m1/file")
    guest.mount("none", "m1", "ramfs")
    hidden = guest.ls("m1")
    guest.echo("above", "m1/other")
    guest.umount("m1")

    assert (hidden, guest.ls("m1")) == ([], ["file"])


def test_mounts_stack(guest: Guest) -> None:
    """The last one is seen, and goes first."""
    for name in ("one", "two"):
        guest.mount("none", "m1", "ramfs")
        guest.echo(name, f"m1/{name}")
    seen = [guest.ls("m1")]
    for _ in range(2):
        guest.umount("m1")
        seen.append(guest.ls("m1"))

    assert seen == [["two"], ["one"], []]
    assert outcome(guest, "umount", "m1") == "EINVAL"


def test_one_file_system_in_two_places(guest: Guest) -> None:
    """It is the same one; a mount inside one place is not in the other; it ends with its last mount."""
    guest.mount("/dev/vda", "m1")
    guest.mount("/dev/vda", "m2")
    guest.mkdir("m1/dir")
    guest.mount("none", "m1/dir", "ramfs")
    guest.echo("x", "m1/dir/file")
    inside = guest.ls("m2/dir")
    answers = [outcome(guest, "rename", "m1/lost+found", "m2/x"), outcome(guest, "rmdir", "m2/dir")]
    guest.umount("m1/dir")
    guest.umount("m1")

    assert (inside, answers) == ([], ["EXDEV", "EBUSY"])
    assert guest.ls("m2") == ["dir", "lost+found"]
    guest.umount("m2")
    assert guest.kernel.block_devices["vda"].bd_openers == 0


def test_mount_of_the_same_device_on_the_same_place_raises_ebusy(guest: Guest) -> None:
    guest.mount("/dev/vda", "m1")

    assert outcome(guest, "mount", "/dev/vda", "m1") == "EBUSY"
    assert outcome(guest, "mount", "/dev/vda", "m2", "ext2", "ro") == "EBUSY"


@pytest.mark.parametrize("use", ["file", "directory", "mapping", "other task", "mount"])
def test_umount_of_what_is_in_use_raises_ebusy(guest: Guest, use: str) -> None:
    """An open file, somebody's directory, a mapping, or another mount keeps it."""
    guest.mount("/dev/vda", "m1")
    guest.echo("x", "m1/file")
    other = guest.process("other")
    fd = guest.open("m1/file", os.O_RDWR) if use in ("file", "mapping") else -1
    mapping = guest.mmap(fd) if use == "mapping" else None
    if use == "mapping":
        guest.close(fd)
    elif use == "mount":
        guest.mount("none", "m1/lost+found", "ramfs")
    elif use != "file":
        (guest if use == "directory" else other).chdir("/tmp/m1")
    busy = outcome(guest, "umount", "/tmp/m1")
    if mapping is not None:
        mapping.close()
    elif use == "file":
        guest.close(fd)
    elif use == "mount":
        guest.umount("m1/lost+found")
    elif use == "directory":
        guest.chdir("/")
    else:
        other.exit()

    assert (busy, outcome(guest, "umount", "/tmp/m1")) == ("EBUSY", None)


def test_umount_of_the_root_raises_ebusy(guest: Guest) -> None:
    assert outcome(guest, "umount", "/") == "EBUSY"


def test_umount_writes_everything_and_mount_reads_it_again(guest: Guest) -> None:
    guest.mount("/dev/vda", "m1")
    guest.mkdir("m1/dir")
    guest.echo("hello", "m1/dir/file")
    guest.umount("m1")
    guest.mount("/dev/vda", "m2", "ext2", "ro")

    assert guest.cat("m2/dir/file") == b"hello\n"


@pytest.mark.parametrize(("name", "arguments"), [
    ("mkdir", ("m1/new",)), ("rmdir", ("m1/dir",)), ("unlink", ("m1/file",)), ("symlink", ("x", "m1/new")),
    ("link", ("m1/file", "m1/new")), ("rename", ("m1/file", "m1/new")), ("mknod", ("m1/new", stat.S_IFIFO)),
    ("open", ("m1/file", os.O_WRONLY)), ("open", ("m1/new", os.O_CREAT)), ("open", ("m1/file", os.O_TRUNC)),
    ("truncate", ("m1/file", 0)), ("chmod", ("m1/file", 0)), ("chown", ("m1/file", 1, 1)), ("utimens",
    ("m1/file",)),
    ("utimens", ("m1/file", 1, 2)),
])
def test_read_only_file_system_raises_erofs(guest: Guest, name: str, arguments: tuple[object, ...]) -> None:
    """For root too; what exists is reported as EEXIST first, and fifos may be written."""
    guest.mount("/dev/vda", "m1")
    guest.mkdir("m1/dir")
    guest.echo("x", "m1/file")
    guest.mknod("m1/fifo", stat.S_IFIFO | 0o600)
    guest.mount("/dev/vda", "m1", "ext2", "remount,ro")

    assert outcome(guest, name, *arguments) == "EROFS"
    assert outcome(guest, "mkdir", "m1/dir") == "EEXIST"
    assert outcome(guest, "open", "m1/fifo", os.O_WRONLY) is None
    assert guest.cat("m1/file") == b"x\n"


def test_remount_rules(guest: Guest) -> None:
    guest.mount("/dev/vda", "m1")
    fd = guest.open("m1/file", os.O_WRONLY | os.O_CREAT)
    answers = [outcome(guest, "mount", "/dev/vda", place, "ext2", "remount,ro")
               for place in ("m1", "m1/lost+found")]
    guest.close(fd)
    guest.mount("/dev/dcssblk0", "m2", "ext2", "ro")
    answers += [outcome(guest, "mount", "x", place, "ext2", options)
                for place, options in (("m1", "remount,ro"), ("m2", "remount"), ("m1", "remount"))]
    fd = guest.open("m1/file", os.O_WRONLY)

    assert answers == ["EBUSY", "EINVAL", None, "EACCES", None]
    assert guest.write(fd, b"x") == 1


@pytest.mark.parametrize("call", ["link", "rename"])
def test_names_do_not_cross_mounts(guest: Guest, call: str) -> None:
    guest.mount("none", "m1", "ramfs")

    assert outcome(guest, call, "file", "m1/file") == "EXDEV"


def test_dotdot_leaves_a_mount(guest: Guest) -> None:
    guest.mount("none", "m1", "ramfs")
    guest.mkdir("m1/dir")
    guest.chdir("m1/dir")

    assert (guest.getcwd(), guest.cat("../../file")) == ("/tmp/m1/dir", b"x\n")
    guest.chdir("../..")
    assert guest.getcwd() == "/tmp"


def test_statfs_tells_file_systems_apart(guest: Guest) -> None:
    guest.mount("/dev/vda", "m1")
    kinds = [guest.statfs(path).f_type for path in ("/", "/dev", "/sys", "m1")]

    assert kinds == [0x858458F6, 0x01021994, 0x62656572, 0xEF53]


# /sys

def test_sysfs_lists_reads_and_writes_attributes(guest: Guest) -> None:
    assert {"add", "remove"} <= set(guest.listdir("/sys/devices/dcssblk"))
    assert guest.cat("/sys/devices/dcssblk/SHLIB/shared") == b"1\n"
    assert stat.S_ISDIR(guest.stat("/sys/devices/dcssblk/SHLIB").st_mode)
    assert guest.stat("/sys/devices/dcssblk/SHLIB/shared").st_size == PAGE_SIZE


@pytest.mark.parametrize(("name", "arguments", "expected"), [
    ("open", ("/sys/devices/dcssblk/missing",), "ENOENT"), ("open",
    ("/sys/devices/dcssblk/add", os.O_RDONLY), "EACCES"),
    ("open", ("/sys/devices/dcssblk/SHLIB/seglist", os.O_WRONLY), "EACCES"),
    ("open", ("/sys/devices/dcssblk/new", os.O_CREAT | os.O_WRONLY), "EACCES"),
    ("open", ("/sys/devices/dcssblk", os.O_WRONLY), "EISDIR"), ("mkdir", ("/sys/new",), "EPERM"),
    ("unlink", ("/sys/devices/dcssblk/add",), "EPERM"), ("rmdir", ("/sys/devices",), "EPERM"),
    ("rename", ("/sys/devices/dcssblk/add", "/sys/x"), "EPERM"), ("symlink", ("x", "/sys/new"), "EPERM"),
    ("link", ("/sys/devices/dcssblk/add", "/sys/new"), "EPERM"), ("mknod",
    ("/sys/new", stat.S_IFIFO), "EPERM"),
    ("truncate", ("/sys/devices/dcssblk/add", 0), None), ("chmod", ("/sys/devices/dcssblk/add", 0o600), None),
    ("chdir", ("/sys/devices",), None), ("listdir", ("/sys/devices/dcssblk/add",), "ENOTDIR"),
])
def test_sysfs_calls(guest: Guest, name: str, arguments: tuple[object, ...], expected: str | None) -> None:
    """Names come from drivers only."""
    assert outcome(guest, name, *arguments) == expected


def test_sysfs_attributes_come_and_go_with_their_device(guest: Guest) -> None:
    """An open one answers ENODEV once the device is gone."""
    fd = guest.open("/sys/devices/dcssblk/SHLIB/shared", os.O_RDONLY)
    guest.echo("shlib", "/sys/devices/dcssblk/remove")

    assert "SHLIB" not in guest.listdir("/sys/devices/dcssblk")
    assert outcome(guest, "read", fd, 10) == "ENODEV"
    assert outcome(guest, "stat", "/sys/devices/dcssblk/SHLIB") == "ENOENT"
    assert "dcssblk0" not in guest.listdir("/dev")


def test_sysfs_attribute_is_shown_once_for_each_open(guest: Guest) -> None:
    """Reading on goes on in the same text; from the start it is asked for again."""
    shown: list[int] = []

    def show() -> bytes:
        shown.append(0)
        return b"%04d" % len(shown)

    guest.kernel.sysfs["counter"] = DeviceAttribute(0o444, show)
    fd = guest.open("/sys/counter", os.O_RDONLY)
    texts = [guest.read(fd, 2), guest.read(fd, 9), guest.pread(fd, 9, 2), guest.pread(fd, 9, 0)]

    assert texts == [b"00", b"01", b"01", b"0002"]


def test_sysfs_store_gets_one_write(guest: Guest) -> None:
    """At most a page less a byte; its errors are the write's, and the position does not matter."""
    got: list[bytes] = []

    def store(data: bytes) -> int:
        if data == b"bad":
            raise OSError(errno.EINVAL, "bad")
        got.append(data)
        return len(data)

    guest.kernel.sysfs["sink"] = DeviceAttribute(0o200, None, store)
    fd = guest.open("/sys/sink", os.O_WRONLY)
    lengths = [guest.write(fd, b"one"), guest.write(fd, b"x" * 5000), guest.pwrite(fd, b"two", 999)]

    assert (lengths, [len(data) for data in got]) == ([3, 4095, 3], [3, 4095, 3])
    assert outcome(guest, "write", fd, b"bad") == "EINVAL"


def test_sysfs_modes_hold_for_users(guest: Guest) -> None:
    guest.kernel.sysfs["secret"] = DeviceAttribute(0o400, lambda: b"x")
    guest.setuid(USER)

    assert outcome(guest, "open", "/sys/secret", os.O_RDONLY) == "EACCES"
    assert outcome(guest, "open", "/sys/devices/dcssblk/add", os.O_WRONLY) == "EACCES"


def test_sysfs_links_are_followed(guest: Guest) -> None:
    guest.kernel.sysfs["target"] = DeviceAttribute(0o444, lambda: b"here")
    guest.kernel.sysfs["deep/link"] = DeviceAttribute(0o777, target="../target")

    assert (guest.readlink("/sys/deep/link"), guest.cat("/sys/deep/link")) == ("../target", b"here")


def test_mount_on_a_directory_of_sysfs_is_found_until_it_goes(guest: Guest) -> None:
    """Names of /sys are not cached; a mount keeps those that lead to it."""
    guest.mount("none", "/sys/devices/dcssblk", "ramfs")
    guest.echo("x", "/sys/devices/dcssblk/file")
    seen = guest.ls("/sys/devices/dcssblk")
    guest.umount("/sys/devices/dcssblk")

    assert seen == ["file"]
    assert "add" in guest.ls("/sys/devices/dcssblk")
    assert guest.kernel.mounts[2].mnt_root.d_subdirs == {}


# /dev

def test_dev_has_a_node_for_each_disk(guest: Guest) -> None:
    st = guest.stat("/dev/vda")

    assert guest.ls("/dev") == ["dcssblk0", "tty", "vda", "vdb"]
    assert (oct(st.st_mode), st.st_rdev >> 8) == ("0o60660", guest.kernel.disks["vda"].major)


@pytest.mark.parametrize(("name", "arguments", "expected"), [
    ("open", ("/dev/missing",), "ENOENT"), ("open", ("/dev/new", os.O_CREAT), "EACCES"), ("mkdir",
    ("/dev/new",), "EPERM"),
    ("unlink", ("/dev/vda",), "EPERM"), ("rename", ("/dev/vda", "/dev/x"), "EPERM"), ("truncate",
    ("/dev/vda", 0), "EINVAL"),
    ("mknod", ("/dev/new", stat.S_IFBLK), "EPERM"), ("chmod", ("/dev/vda", 0o666), None), ("open",
    ("/dev/vda/x",), "ENOTDIR"),
    ("open", ("/dev/vda", os.O_DIRECTORY), "ENOTDIR"), ("link", ("/dev/vda", "/tmp/vda"), "EXDEV"),
])
def test_dev_calls(guest: Guest, name: str, arguments: tuple[object, ...], expected: str | None) -> None:
    assert outcome(guest, name, *arguments) == expected


def test_node_outside_dev_has_no_driver(guest: Guest) -> None:
    guest.mknod("node", stat.S_IFBLK | 0o600, guest.stat("/dev/vda").st_rdev)

    assert outcome(guest, "open", "node") == "ENXIO"
    assert guest.stat("node").st_rdev == guest.stat("/dev/vda").st_rdev


def test_disk_is_read_written_and_mapped_through_its_node(guest: Guest) -> None:
    """It ends where the disk ends."""
    fd = guest.open("/dev/vdb", os.O_RDWR)
    guest.pwrite(fd, b"hello", 5000)
    mapping = guest.mmap(fd, 2 * PAGE_SIZE, PROT_READ)

    assert (guest.lseek(fd, 0, os.SEEK_END), mapping[5000:5005]) == (1 * MiB, b"hello")
    assert (guest.pread(fd, 10, 1 * MiB - 4), guest.pread(fd, 10, 1 * MiB)) == (bytes(4), b"")
    assert guest.pwrite(fd, b"x" * 10, 1 * MiB - 4) == 4
    assert outcome(guest, "pwrite", fd, b"x", 1 * MiB) == "ENOSPC"
    assert outcome(guest, "ftruncate", fd, 0) == "EINVAL"
    assert outcome(guest, "ioctl", fd, 0x9999) == "ENOTTY"
    assert outcome(guest, "ioctl", guest.open("file"), 0x1260) == "ENOTTY"


def test_write_to_a_read_only_disk_raises_eperm(guest: Guest) -> None:
    """Its node may be opened for writing all the same."""
    fd = guest.open("/dev/dcssblk0", os.O_RDWR)

    assert outcome(guest, "write", fd, b"x") == "EPERM"


def test_disk_nodes_are_roots(guest: Guest) -> None:
    guest.setuid(USER)
    denied = outcome(guest, "open", "/dev/vda")
    guest.setuid(0)
    guest.chmod("/dev/vda", 0o666)
    guest.setuid(USER)

    assert (denied, outcome(guest, "open", "/dev/vda")) == ("EACCES", None)
