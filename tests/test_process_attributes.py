"""Owners, modes and times, on a guest and the host."""

from __future__ import annotations

import os

import pytest
from twin_sides import USER, Side

from xiplab import ZVM, Guest

OTHER = USER + 1
SETUID, SETGID = 0o4000, 0o2000


@pytest.fixture
def files(side: Side) -> Side:
    """One file of root's, one of the user's, one that the user may write."""
    side.put("root")
    side.put("mine")
    side.chown("mine", USER, USER)
    side.put("open", b"x", 0o666)
    side.mkdir("public")
    side.chmod("public", 0o777)
    side.symlink("root", "link")
    return side


@pytest.mark.parametrize(("uid", "call", "expected"), [
    (0, ("chmod", "root", 0o6755), None), (0, ("chmod", "missing", 0), "ENOENT"),
    (0, ("chmod", "link", 0o600), None),
    (USER, ("chmod", "root", 0o777), "EPERM"), (USER, ("chmod", "open", 0o777), "EPERM"),
    (USER, ("chmod", "mine", 0o4700), None),
    (0, ("chown", "root", 5, 6), None), (0, ("chown", "root", -1, -1), None),
    (0, ("chown", "missing", 0, 0), "ENOENT"),
    (USER, ("chown", "mine", USER, -1), None), (USER, ("chown", "mine", OTHER, -1), "EPERM"),
    (USER, ("chown", "mine", -1, USER), None), (USER, ("chown", "mine", -1, OTHER), "EPERM"),
    (USER, ("chown", "root", -1, USER), "EPERM"), (USER, ("chown", "root", -1, -1), None),
    (0, ("utimens", "root", 1, 2), None), (USER, ("utimens", "root", 1, 2), "EPERM"),
    (USER, ("utimens", "root"), "EACCES"), (USER, ("utimens", "open"), None),
    (USER, ("utimens", "open", 1, 2), "EPERM"),
    (USER, ("utimens", "mine", 1, 2), None), (0, ("utimens", "missing"), "ENOENT"),
])
def test_who_may_change_what(files: Side, uid: int, call: tuple[object, ...], expected: object) -> None:
    assert files.outcome(*call, uid=uid) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("uid", [0, USER])
@pytest.mark.parametrize(("before", "after"), [
    (0o4755, 0o755), (0o2755, 0o755), (0o2745, 0o2745), (0o6777, 0o777), (0o755, 0o755), (0o1644, 0o1644)])
def test_chown_takes_setuid_and_setgid_away(files: Side, uid: int, before: int, after: int) -> None:
    """Root's too; setgid without group execution means locking, and stays."""
    files.chmod("mine", before)
    files.outcome("chown", "mine", USER, USER, uid=uid)

    assert files.mode("mine") == after


def test_chown_leaves_a_directory_its_bits(files: Side) -> None:
    files.chmod("public", 0o6777)
    files.chown("public", USER, USER)

    assert files.mode("public") == 0o6777


@pytest.mark.parametrize(("uid", "after"), [(0, 0o6777), (USER, 0o777)])
@pytest.mark.parametrize("change", ["write", "ftruncate", "truncate", "open"])
def test_writing_takes_setuid_and_setgid_away(files: Side, uid: int, after: int, change: str) -> None:
    """Unless root writes."""
    files.chmod("open", 0o6777)
    with files.user(uid):
        if change == "truncate":
            files.truncate("open", 0)
        else:
            fd = files.open("open", os.O_WRONLY | (os.O_TRUNC if change == "open" else 0))
            if change == "write":
                files.write(fd, b"y")
            elif change == "ftruncate":
                files.ftruncate(fd, 0)
            files.close(fd)

    assert files.mode("open") == after


@pytest.mark.parametrize(("group", "after"), [(USER, 0o2755), (0, 0o755)])
def test_chmod_of_setgid_is_for_members_of_the_group(files: Side, group: int, after: int) -> None:
    files.chown("mine", USER, group)
    files.outcome("chmod", "mine", 0o2755, uid=USER)

    assert files.mode("mine") == after


def test_setgid_directory_gives_its_group(files: Side) -> None:
    """And a directory made there is setgid too."""
    files.chown("public", 0, 77)
    files.chmod("public", 0o2777)
    with files.user(USER):
        files.touch_open("public/file", os.O_CREAT | os.O_WRONLY, 0o644)
        files.mkdir("public/dir", 0o755)
        files.symlink("x", "public/link")
    owners = [(st.st_uid, st.st_gid) for st in map(files.lstat, ("public/file", "public/dir", "public/link"))]

    assert owners == [(USER, 77)] * 3
    assert (files.mode("public/file"), files.mode("public/dir")) == (0o644, 0o2755)


@pytest.mark.parametrize(("mask", "file", "directory"), [
    (0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0, 0o666, 0o777), (0o7777, 0, 0)])
def test_umask(side: Side, mask: int, file: int, directory: int) -> None:
    """It applies to files, directories and nodes, not to symbolic links; its other bits are ignored."""
    old = side.umask(mask)
    side.touch_open("file", os.O_CREAT | os.O_WRONLY, 0o666)
    side.mkdir("dir", 0o777)
    side.mknod("fifo", 0o010666)
    side.symlink("x", "link")
    masked = side.umask(old)
    modes = [side.mode(name) for name in ("file", "dir", "fifo", "link")]

    assert modes == [file, directory, file, 0o777]
    assert (old, masked) == (0o022, mask & 0o777)


@pytest.mark.parametrize(("asked", "got"), [(0o7777, 0o1755), (0o2777, 0o755), (0o1777, 0o1755)])
def test_mkdir_takes_the_sticky_bit_only(side: Side, asked: int, got: int) -> None:
    side.mkdir("dir", asked)

    assert side.mode("dir") == got


def test_open_takes_setuid_and_sticky(side: Side) -> None:
    side.touch_open("file", os.O_CREAT | os.O_WRONLY, 0o7777)

    assert side.mode("file") == 0o7755


def test_chmod_and_chown_of_a_descriptor(side: Side) -> None:
    """fchmod(2), fchown(2): the file may have lost its name."""
    side.put("file")
    fd = side.open("file", os.O_RDONLY)
    side.unlink("file")
    side.chmod(fd, 0o640)
    side.chown(fd, 7, 8)
    st = side.stat(fd)

    assert (st.st_mode & 0o7777, st.st_uid, st.st_gid) == (0o640, 7, 8)
    side.close(fd)


def test_utimens_sets_nanoseconds(side: Side) -> None:
    side.put("file")
    side.utimens("file", 1_000_000_001, -1)
    st = side.stat("file")

    assert (st.st_atime_ns, st.st_mtime_ns) == (1_000_000_001, -1)


# times, by a clock that the test moves

class Clock:
    now = 10**18

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guest(clock: Clock) -> Guest:
    guest = ZVM().logon("LINUX1", clock=clock)
    guest.chdir("/tmp")
    guest.mkdir("dir")
    guest.echo("hello", "dir/file")
    guest.mkdir("other")
    return guest


def moved(guest: Guest, clock: Clock, path: str) -> str:
    """Which of the times are now: a, m, c."""
    st = guest.lstat(path)
    times = {"a": st.st_atime_ns, "m": st.st_mtime_ns, "c": st.st_ctime_ns}
    return "".join(name for name, value in times.items() if value == clock.now)


@pytest.mark.parametrize(("call", "file", "directory"), [
    (lambda g: g.cat("dir/file"), "a", ""),
    (lambda g: g.echo("x", "dir/file", append=True), "mc", ""),
    (lambda g: g.truncate("dir/file", 2), "mc", ""),
    (lambda g: g.chmod("dir/file", 0o600), "c", ""),
    (lambda g: g.chown("dir/file", 1, 1), "c", ""),
    (lambda g: g.utimens("dir/file", 5, 6), "c", ""),
    (lambda g: g.utimens("dir/file"), "amc", ""),
    (lambda g: g.link("dir/file", "dir/new"), "c", "mc"),
    (lambda g: g.mkdir("dir/new"), "", "mc"),
    (lambda g: g.symlink("x", "dir/new"), "", "mc"),
    (lambda g: g.link("dir/file", "other/new"), "c", ""),
    (lambda g: g.listdir("dir"), "", "a"),
    (lambda g: g.stat("dir/file"), "", ""),
    (lambda g: g.rename("dir/file", "dir/file"), "", ""),
], ids=range(14))
def test_which_times_a_call_sets(guest: Guest, clock: Clock, call: object, file: str, directory: str) -> None:
    clock.now += 1
    call(guest)  # type: ignore[operator]

    assert (moved(guest, clock, "dir/file"), moved(guest, clock, "dir")) == (file, directory)


def test_rename_sets_the_times_of_both_directories(guest: Guest, clock: Clock) -> None:
    clock.now += 1
    guest.rename("dir/file", "other/file")

    assert [moved(guest, clock, path) for path in ("dir", "other", "other/file")] == ["mc", "mc", "c"]


def test_unlink_sets_the_ctime_of_the_other_name(guest: Guest, clock: Clock) -> None:
    guest.link("dir/file", "other/file")
    clock.now += 1
    guest.unlink("dir/file")

    assert [moved(guest, clock, path) for path in ("dir", "other", "other/file")] == ["mc", "", "c"]


def test_relatime_sets_atime_once(guest: Guest, clock: Clock) -> None:
    """After a change, and then not again before a day is over. (The root is mounted without it.)"""
    guest.mount("none", "/mnt", "ramfs")
    guest.echo("hello", "/mnt/file")
    answers = []
    for step in (1, 1, 24 * 3600 * 10**9):
        clock.now += step
        guest.cat("/mnt/file")
        answers.append(moved(guest, clock, "/mnt/file"))

    assert answers == ["a", "", "a"]


def test_noatime_leaves_atime(guest: Guest, clock: Clock) -> None:
    clock.now += 1
    fd = guest.open("dir/file", os.O_RDONLY | 0o1000000)
    guest.read(fd, 1)

    assert moved(guest, clock, "dir/file") == ""
