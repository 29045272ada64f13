"""System calls where their answer is easily wrong: the order of checks, times, names that are none.

Each of these was found by replaying random calls on this kernel and on a real one (tests/oracle).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import pytest

from xiplab import O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY, ZVM, Guest, MiB
from xiplab.linux.include.fs import O_DIRECTORY, O_NOFOLLOW
from xiplab.tools.mke2fs import mke2fs

NOBODY = 1000
LONG_AGO = 10**18


def make_guest(device: str) -> Guest:
    seconds = itertools.count(1_700_000_000)
    vm = ZVM()
    image = bytes(mke2fs(1 * MiB))
    vm.segment("SEG", size=1 * MiB, type="SW", at=0x20000000)
    vm.load("SEG", image)
    guest = vm.logon("LINUX1", clock=lambda: next(seconds) * 10**9)
    guest.echo("seg", "/sys/devices/dcssblk/add")
    guest.add_disk("sda", image)
    guest.mount(f"/dev/{device}", "/mnt", "ext2", "xip" if device == "dcssblk0" else "")
    guest.chdir("/mnt")
    return guest


@pytest.fixture(params=["sda", "dcssblk0"], ids=["page cache", "xip"])
def guest(request: pytest.FixtureRequest) -> Guest:
    return make_guest(request.param)


def errno_of(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(OSError, match=r".") as failure:
        call(*arguments)
    return os.strerror(failure.value.errno or 0)


def age(guest: Guest, path: str) -> None:
    """Both times long ago; the change itself is now."""
    guest.utimens(path, LONG_AGO, LONG_AGO)


def test_k150_pread_at_a_negative_offset_is_refused_before_the_descriptor_is_looked_at(guest: Guest) -> None:
    for call in (lambda: guest.pread(99, 1, -1), lambda: guest.pwrite(99, b"x", -1),
                 lambda: guest.preadv(99, [bytearray(1)], -1), lambda: guest.pwritev(99, [b"x"], -1)):
        assert errno_of(call) == "Invalid argument"


def test_truncate_to_a_negative_length_is_refused_before_the_file_is_looked_for(guest: Guest) -> None:
    assert errno_of(guest.truncate, "missing", -1) == "Invalid argument"
    assert errno_of(guest.ftruncate, 99, -1) == "Invalid argument"


def test_write_that_would_pass_the_last_position_raises_einval(guest: Guest) -> None:
    fd = guest.open("f", O_CREAT | O_RDWR)

    assert errno_of(guest.pwrite, fd, b"xx", (1 << 63) - 2) == "Invalid argument"
    assert errno_of(guest.pread, fd, 2, (1 << 63) - 2) == "Invalid argument"


def test_vectored_call_of_nothing_still_needs_the_right_mode(guest: Guest) -> None:
    fd = guest.open("f", O_CREAT | O_RDONLY)

    assert errno_of(guest.writev, fd, []) == "Bad file descriptor"
    assert guest.readv(fd, []) == 0


def test_readv_of_nothing_over_a_hole_gives_0(guest: Guest) -> None:
    """Without a single byte to read, read() is never called: quirk Q2 does not show."""
    fd = guest.open("f", O_CREAT | O_RDWR)
    guest.ftruncate(fd, 5000)

    assert guest.readv(fd, [bytearray(), bytearray()]) == 0


def test_sendfile_to_a_file_open_for_reading_raises_ebadf(guest: Guest) -> None:
    source = guest.open("f", O_CREAT | O_RDWR)
    target = guest.open("g", O_CREAT | O_RDONLY | O_APPEND)

    assert errno_of(guest.sendfile, target, source, 0, 10) == "Bad file descriptor"


def test_read_of_nothing_leaves_the_access_time_unless_in_place(guest: Guest) -> None:
    """generic_file_aio_read skips an empty request; xip_file_read does not."""
    fd = guest.open("f", O_CREAT | O_RDWR)
    guest.write(fd, b"x")
    age(guest, "f")
    guest.pread(fd, 0, 0)

    in_place = guest.task.files[fd].f_mapping.a_ops.get_xip_mem is not None
    assert (guest.stat("f").st_atime_ns != LONG_AGO) == in_place


def test_listing_sets_the_access_time_of_the_directory(guest: Guest) -> None:
    guest.mkdir("d")
    age(guest, "d")
    guest.listdir("d")

    assert guest.stat("d").st_atime_ns > LONG_AGO


def test_nodiratime_leaves_it_alone(guest: Guest) -> None:
    guest.mkdir("d")
    age(guest, "d")
    guest.chdir("/")
    guest.mount("", "/mnt", "ext2", "remount,nodiratime")
    guest.listdir("/mnt/d")

    assert guest.stat("/mnt/d").st_atime_ns == LONG_AGO


@pytest.mark.parametrize("use", [lambda g: g.readlink("s"), lambda g: g.stat("s")])
def test_following_a_symbolic_link_sets_its_access_time(guest: Guest, use: Callable[[Guest], object]) -> None:
    guest.mkdir("d")
    guest.symlink("d", "s")
    before = guest.lstat("s").st_atime_ns
    use(guest)

    assert guest.lstat("s").st_atime_ns > before


def test_directory_that_moves_keeps_its_modification_time(guest: Guest) -> None:
    """Its ".." is written anew, but that is none of its names."""
    guest.mkdir("a")
    guest.mkdir("b")
    age(guest, "a")
    guest.rename("a", "b/a")

    assert guest.stat("b/a").st_mtime_ns == LONG_AGO


def test_chown_by_root_takes_setuid_and_setgid_of_an_executable(guest: Guest) -> None:
    guest.close(guest.open("f", O_CREAT | O_RDWR))
    guest.chmod("f", 0o6711)
    guest.chown("f", 0, 0)

    assert guest.stat("f").st_mode & 0o7777 == 0o711


def test_truncate_by_another_user_takes_setuid(guest: Guest) -> None:
    guest.close(guest.open("f", O_CREAT | O_RDWR))
    guest.chmod("f", 0o4777)
    guest.setuid(NOBODY)
    guest.truncate("f", 10)

    assert guest.stat("f").st_mode & 0o7777 == 0o777


def test_open_with_o_creat_makes_the_file_that_a_link_leads_to(guest: Guest) -> None:
    guest.mkdir("d")
    guest.symlink("../made", "d/s")
    guest.close(guest.open("d/s", O_CREAT | O_WRONLY))

    assert guest.ls("/mnt") == ["d", "lost+found", "made"]


def test_open_with_o_creat_of_a_circle_of_links_raises_eloop(guest: Guest) -> None:
    guest.symlink("s", "s")

    assert errno_of(guest.open, "s", O_CREAT | O_WRONLY) == os.strerror(40)


def test_open_with_o_creat_and_o_excl_does_not_follow(guest: Guest) -> None:
    guest.symlink("missing", "s")

    assert errno_of(guest.open, "s", O_CREAT | O_EXCL | O_WRONLY) == "File exists"


def test_open_of_a_link_as_a_directory_without_following_raises_enotdir(guest: Guest) -> None:
    guest.symlink("/mnt", "s")

    assert errno_of(guest.open, "s", O_NOFOLLOW | O_DIRECTORY) == "Not a directory"


def test_dot_behind_a_file_raises_enotdir(guest: Guest) -> None:
    guest.close(guest.open("f", O_CREAT | O_RDWR))

    assert errno_of(guest.stat, "f/.") == "Not a directory"


@pytest.mark.parametrize("name", [".", "..", "/", "d/.", "d/.."])
def test_unlink_of_what_is_no_name_raises_eisdir(guest: Guest, name: str) -> None:
    guest.mkdir("d")

    assert errno_of(guest.unlink, name) == "Is a directory"


def test_unlink_with_a_slash_says_what_it_is_before_who_may(guest: Guest) -> None:
    guest.mkdir("d", 0o700)
    guest.setuid(NOBODY)

    assert errno_of(guest.unlink, "d/") == "Is a directory"


def test_rename_of_nothing_to_a_name_too_long_raises_enoent(guest: Guest) -> None:
    assert errno_of(guest.rename, "missing", "n" * 256) == "No such file or directory"


def test_listing_needs_a_directory_before_permission_to_read(guest: Guest) -> None:
    guest.close(guest.open("f", O_CREAT | O_RDWR, 0o600))
    guest.setuid(NOBODY)

    assert errno_of(guest.listdir, "f") == "Not a directory"


def test_read_in_a_file_of_a_terabyte_takes_what_it_asks_for() -> None:
    """The places of a file in place are looked up around what is read, not all over the file."""
    guest = make_guest("dcssblk0")
    fd = guest.open("f", O_CREAT | O_RDWR)
    guest.write(fd, b"begin")
    guest.ftruncate(fd, 1 << 40)

    assert guest.pread(fd, 5, 0) == b"begin"
    assert guest.pread(fd, 5, 1 << 39) == bytes(5)
