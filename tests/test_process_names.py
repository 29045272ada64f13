"""Paths and names: what open, mkdir, unlink, link, rename and their like answer, on a guest and the host."""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest
from twin_sides import USER, GuestSide, Side

from xiplab import ZVM

O_RDONLY, O_WRONLY, O_RDWR = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
CREAT, EXCL, TRUNC, APPEND = os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_APPEND
DIRECTORY, NOFOLLOW, NOATIME = 0o200000, 0o400000, 0o1000000
LONG = "n" * 256
FULL = "n" * 255


@pytest.fixture
def tree(side: Side) -> Side:
    """Files, directories and links of every kind, some of them barred to other users."""
    side.put("file", b"hello")
    side.put("secret", b"x", 0o600)
    side.put("unreadable", b"x", 0)
    side.put("program", b"x", 0o4755)
    for name, mode in (("dir", 0o755), ("empty", 0o755), ("locked", 0o700), ("public", 0o777),
    ("sticky", 0o1777),
                       ("unsearchable", 0o744)):
        side.mkdir(name)
        side.chmod(name, mode)
        if name != "empty":
            side.put(f"{name}/inner", b"inside")
    for target, name in (("file", "link"), ("dir", "dirlink"), ("loop", "loop"), ("nothing", "dangling"),
                         ("file/", "slashed"), ("dir/inner", "deep"), ("../5/file", "around")):
        side.symlink(target, name)
    side.link("file", "twin")
    side.mknod("fifo", stat.S_IFIFO | 0o644)
    side.put("public/mine")
    side.chown("public/mine", USER, USER)
    side.put("sticky/mine")
    side.chown("sticky/mine", USER, USER)
    return side


def name_case(case: tuple[Any, ...]) -> str:
    return "-".join(str(part)[:24].replace("/", "_") for part in case[:-1]) + f"-{case[-1]}"


def check(side: Side, case: tuple[Any, ...]) -> None:
    """The case is (call, arguments..., answer), as root, or with the user's number in front."""
    uid, *rest = case if isinstance(case[0], int) else (0, *case)
    name, *arguments, expected = rest

    assert side.outcome(name, *arguments, uid=uid) == expected


# walking

@pytest.mark.parametrize("case", [
    ("touch_open", "missing", O_RDONLY, "ENOENT"),
    ("touch_open", "", O_RDONLY, "ENOENT"),
    ("touch_open", "missing/x", O_RDONLY, "ENOENT"),
    ("touch_open", "file/x", O_RDONLY, "ENOTDIR"),
    ("touch_open", "file/", O_RDONLY, "ENOTDIR"),
    ("touch_open", "file/.", O_RDONLY, "ENOTDIR"),
    ("touch_open", "file/..", O_RDONLY, "ENOTDIR"),
    ("touch_open", "missing/..", O_RDONLY, "ENOENT"),
    ("touch_open", "dir/../file", O_RDONLY, "opened"),
    ("touch_open", "dirlink/../file", O_RDONLY, "opened"),
    ("touch_open", "dir//./inner", O_RDONLY, "opened"),
    ("touch_open", "dirlink/inner", O_RDONLY, "opened"),
    ("touch_open", "around", O_RDONLY, "opened"),
    ("touch_open", "loop", O_RDONLY, "ELOOP"),
    ("touch_open", "loop/x", O_RDONLY, "ELOOP"),
    ("touch_open", "dangling", O_RDONLY, "ENOENT"),
    ("touch_open", "slashed", O_RDONLY, "ENOTDIR"),
    ("touch_open", "link/", O_RDONLY, "ENOTDIR"),
    ("touch_open", LONG, O_RDONLY, "ENAMETOOLONG"),
    ("touch_open", f"dir/{LONG}/x", O_RDONLY, "ENAMETOOLONG"),
    ("touch_open", FULL, O_RDONLY, "ENOENT"),
    ("touch_open", f"file/{LONG}", O_RDONLY, "ENOTDIR"),
    ("touch_open", "a/" * 2048, O_RDONLY, "ENAMETOOLONG"),
    ("touch_open", "./" * 2045 + "file", O_RDONLY, "opened"),
    ("readlink", "file", "EINVAL"),
    ("readlink", "dir", "EINVAL"),
    ("readlink", "link", "file"),
    ("readlink", "dirlink/", "EINVAL"),
    ("readlink", "dirlink/.", "EINVAL"),
    ("readlink", "missing", "ENOENT"),
    ("chdir", "file", "ENOTDIR"),
    ("chdir", "missing", "ENOENT"),
    ("chdir", "dirlink", None),
    ("listdir", "file", "ENOTDIR"),
    ("listdir", "missing", "ENOENT"),
    ("listdir", "dirlink", ["inner"]),
    (USER, "touch_open", "unreadable", O_RDONLY, "EACCES"),
    (USER, "touch_open", "locked/inner", O_RDONLY, "EACCES"),
    (USER, "touch_open", "locked/missing", O_RDONLY, "EACCES"),
    (USER, "touch_open", "unsearchable/inner", O_RDONLY, "EACCES"),
    (USER, "listdir", "unsearchable", ["inner"]),
    (USER, "touch_open", "unsearchable/.", O_RDONLY, "EACCES"),
    (USER, "touch_open", "unsearchable/", O_RDONLY, "opened"),
    (USER, "chdir", "unsearchable", "EACCES"),
    (USER, "chdir", "locked", "EACCES"),
    (USER, "listdir", "locked", "EACCES"),
    (USER, "touch_open", "unsearchable/../file", O_RDONLY, "EACCES"),
    (USER, "readlink", "locked/inner", "EACCES"),
], ids=name_case)
def test_walking_a_path(tree: Side, case: tuple[Any, ...]) -> None:
    check(tree, case)


@pytest.mark.parametrize(("links", "expected"), [(40, "opened"), (41, "ELOOP")])
def test_walking_through_many_links(side: Side, links: int, expected: str) -> None:
    """A path may lead through 40 symbolic links."""
    side.put("0000")
    for number in range(links):
        side.symlink(f"{number:04}", f"{number + 1:04}")

    assert side.outcome("touch_open", f"{links:04}", O_RDONLY) == expected


# opening

@pytest.mark.parametrize("case", [
    ("touch_open", "file", O_WRONLY, "opened"),
    ("touch_open", "file", CREAT | EXCL, "EEXIST"),
    ("touch_open", "new", O_RDONLY | CREAT | EXCL, "opened"),
    ("touch_open", "dir", O_RDONLY, "opened"),
    ("touch_open", "dir", O_WRONLY, "EISDIR"),
    ("touch_open", "dir", O_RDWR, "EISDIR"),
    ("touch_open", "dir", O_RDONLY | CREAT, "EISDIR"),
    ("touch_open", "dir", O_RDONLY | TRUNC, "EISDIR"),
    ("touch_open", "dir", O_RDONLY | CREAT | EXCL, "EEXIST"),
    ("touch_open", "file", DIRECTORY, "ENOTDIR"),
    ("touch_open", "file", O_WRONLY | DIRECTORY, "ENOTDIR"),
    ("touch_open", "dir", DIRECTORY, "opened"),
    ("touch_open", "link", NOFOLLOW, "ELOOP"),
    ("touch_open", "dirlink", NOFOLLOW | DIRECTORY, "ENOTDIR"),
    ("touch_open", "dirlink/", NOFOLLOW, "opened"),
    ("touch_open", "dirlink/inner", NOFOLLOW, "opened"),
    ("touch_open", "file", NOFOLLOW, "opened"),
    ("touch_open", "new/", O_WRONLY | CREAT, "EISDIR"),
    ("touch_open", ".", O_RDONLY | CREAT, "EISDIR"),
    ("touch_open", "dir/..", O_RDONLY | CREAT, "EISDIR"),
    ("touch_open", "dangling", O_WRONLY | CREAT, "opened"),
    ("touch_open", "dangling", O_WRONLY | CREAT | EXCL, "EEXIST"),
    ("touch_open", "dangling", O_WRONLY | CREAT | NOFOLLOW, "ELOOP"),
    ("touch_open", "loop", O_WRONLY | CREAT, "ELOOP"),
    ("touch_open", "deep", O_WRONLY | CREAT, "opened"),
    ("touch_open", "missing/new", O_WRONLY | CREAT, "ENOENT"),
    ("touch_open", "file/new", O_WRONLY | CREAT, "ENOTDIR"),
    ("touch_open", LONG, O_WRONLY | CREAT, "ENAMETOOLONG"),
    ("touch_open", "new", O_WRONLY, "ENOENT"),
    (USER, "touch_open", "file", O_RDONLY, "opened"),
    (USER, "touch_open", "file", O_WRONLY, "EACCES"),
    (USER, "touch_open", "file", O_RDONLY | TRUNC, "EACCES"),
    (USER, "touch_open", "file", O_RDONLY | CREAT, "opened"),
    (USER, "touch_open", "secret", O_RDONLY, "EACCES"),
    (USER, "touch_open", "dir/new", O_WRONLY | CREAT, "EACCES"),
    (USER, "touch_open", "public/new", O_WRONLY | CREAT, "opened"),
    (USER, "touch_open", "public/new", O_RDWR | CREAT, 0, "opened"),
    (USER, "touch_open", "file", NOATIME, "EPERM"),
    (USER, "touch_open", "public/mine", O_RDWR | NOATIME, "opened"),
    ("touch_open", "file", NOATIME, "opened"),
], ids=name_case)
def test_open(tree: Side, case: tuple[Any, ...]) -> None:
    check(tree, case)


def test_open_of_a_dangling_link_makes_its_target(tree: Side) -> None:
    tree.touch_open("dangling", O_WRONLY | CREAT)

    assert "nothing" in tree.listdir(".")


def test_open_truncates_a_file_opened_for_reading(tree: Side) -> None:
    tree.touch_open("file", O_RDONLY | TRUNC)

    assert tree.get("file") == b""


@pytest.mark.parametrize("flags", [O_RDONLY, O_RDONLY | CREAT, O_RDONLY | CREAT | EXCL])
def test_open_of_a_new_file_may_write_whatever_its_mode(side: Side, flags: int) -> None:
    """The mode counts from the second open on."""
    fd = side.open("new", O_WRONLY | CREAT | EXCL, 0o000)

    assert side.write(fd, b"x") == 1
    assert side.outcome("touch_open", "new", flags, uid=USER) in ("EACCES", "EEXIST")
    side.close(fd)


def test_open_gives_the_lowest_descriptor(side: Side) -> None:
    """A descriptor that was closed is used again first."""
    side.put("file")
    fds = [side.open("file", O_RDONLY) for _ in range(3)]
    side.close(fds[1])

    assert side.open("file", O_RDONLY) == fds[1]
    for fd in fds:
        side.close(fd)


def test_open_beyond_the_limit_raises_emfile() -> None:
    side = guest_side()
    side.put("file")
    side.api.task.rlimit_nofile = 3
    opened = [side.outcome("open", "file", O_RDONLY) for _ in range(4)]

    assert opened == [0, 1, 2, "EMFILE"]
    assert side.outcome("dup", 1) == "EMFILE"
    assert side.outcome("dup2", 1, 3) == "EBADF"


def guest_side() -> GuestSide:
    return GuestSide(ZVM().logon("LINUX1"))


# making and removing names

@pytest.mark.parametrize("case", [
    ("mkdir", "file", "EEXIST"), ("mkdir", "dir", "EEXIST"), ("mkdir", "dangling", "EEXIST"),
    ("mkdir", ".", "EEXIST"), ("mkdir", "..", "EEXIST"), ("mkdir", "/", "EEXIST"), ("mkdir", "", "ENOENT"),
    ("mkdir", "missing/new", "ENOENT"), ("mkdir", "file/new", "ENOTDIR"), ("mkdir", "new/", None),
    ("mkdir", "dangling/", "EEXIST"), ("mkdir", LONG, "ENAMETOOLONG"), ("mkdir", FULL, None),
    ("mkdir", "dirlink/new", None),
    (USER, "mkdir", "dir/new", "EACCES"), (USER, "mkdir", "public/new", None),
    (USER, "mkdir", "dir", "EEXIST"),
    ("rmdir", "empty", None), ("rmdir", "empty/", None), ("rmdir", "dir", "ENOTEMPTY"),
    ("rmdir", "file", "ENOTDIR"), ("rmdir", "dirlink", "ENOTDIR"), ("rmdir", "dirlink/", "ENOTDIR"),
    ("rmdir", "missing", "ENOENT"), ("rmdir", ".", "EINVAL"), ("rmdir", "dir/.", "EINVAL"),
    ("rmdir", "..", "ENOTEMPTY"), ("rmdir", "dir/..", "ENOTEMPTY"), ("rmdir", "/", "EBUSY"),
    (USER, "rmdir", "empty", "EACCES"), (USER, "rmdir", "missing", "ENOENT"),
    ("unlink", "file", None), ("unlink", "link", None), ("unlink", "dirlink", None), ("unlink", "fifo", None),
    ("unlink", "missing", "ENOENT"), ("unlink", "dir", "EISDIR"), ("unlink", "dir/", "EISDIR"),
    ("unlink", "file/", "ENOTDIR"), ("unlink", "dirlink/", "ENOTDIR"), ("unlink", ".", "EISDIR"),
    ("unlink", "..", "EISDIR"), ("unlink", "/", "EISDIR"), ("unlink", "file/x", "ENOTDIR"),
    (USER, "unlink", "file", "EACCES"), (USER, "unlink", "public/inner", None),
    (USER, "unlink", "sticky/inner", "EPERM"), (USER, "unlink", "sticky/mine", None),
    (USER, "unlink", "dir", "EACCES"), (USER, "unlink", "locked/inner", "EACCES"),
    ("symlink", "x", "file", "EEXIST"), ("symlink", "x", "dangling", "EEXIST"),
    ("symlink", "", "new", "ENOENT"),
    ("symlink", "x", "new/", "ENOENT"), ("symlink", "x" * 4096, "new", "ENAMETOOLONG"),
    ("symlink", "x", "missing/new", "ENOENT"), ("symlink", "x", ".", "EEXIST"),
    (USER, "symlink", "x", "dir/new", "EACCES"), (USER, "symlink", "x", "public/new", None),
    ("link", "file", "new", None), ("link", "link", "new", None), ("link", "fifo", "new", None),
    ("link", "file", "dir", "EEXIST"), ("link", "file", "dangling", "EEXIST"),
    ("link", "dir", "new", "EPERM"),
    ("link", "missing", "new", "ENOENT"), ("link", "file", "missing/new", "ENOENT"),
    ("link", "file", "new/", "ENOENT"), ("link", "file/", "new", "ENOTDIR"),
    ("link", "dirlink/.", "new", "EPERM"),
    ("link", "file", "..", "EEXIST"), (USER, "link", "public/mine", "public/new", None),
    (USER, "link", "public/mine", "dir/new", "EACCES"),
    ("mknod", "new", stat.S_IFIFO | 0o600, None), ("mknod", "new", 0o600, None),
    ("mknod", "new", stat.S_IFSOCK | 0o600, None), ("mknod", "new", stat.S_IFREG | 0o600, None),
    ("mknod", "new", stat.S_IFDIR | 0o600, "EPERM"), ("mknod", "new", 0o030000, "EINVAL"),
    ("mknod", "file", stat.S_IFIFO, "EEXIST"), ("mknod", "new/", stat.S_IFIFO, "ENOENT"),
    ("mknod", "new", stat.S_IFBLK | 0o600, 0x103, None),
    (USER, "mknod", "public/new", stat.S_IFBLK, 0x103, "EPERM"),
    (USER, "mknod", "public/new", stat.S_IFIFO, None), (USER, "mknod", "dir/new", stat.S_IFIFO, "EACCES"),
], ids=name_case)
def test_making_and_removing_names(tree: Side, case: tuple[Any, ...]) -> None:
    check(tree, case)


def test_unlinked_file_lives_until_its_last_close(side: Side) -> None:
    side.put("file", b"hello")
    fd = side.open("file", O_RDWR)
    side.unlink("file")

    assert side.outcome("touch_open", "file", O_RDONLY) == "ENOENT"
    assert (side.pread(fd, 9, 0), side.fstat(fd).st_nlink) == (b"hello", 0)
    side.close(fd)


def test_removed_directory_can_be_stood_in_and_holds_nothing(side: Side) -> None:
    """Who stands in it can ask about it and leave it, but neither name it nor make anything there."""
    side.mkdir("gone")
    side.chdir("gone")
    side.rmdir("../gone")
    made = [side.outcome(name, *arguments) for name, *arguments in (
        ("mkdir", "new"), ("touch_open", "new", O_WRONLY | CREAT), ("symlink", "x", "new"), ("stat", "new"),
        ("getcwd",), ("listdir", "."))]

    assert made == ["ENOENT"] * 5 + [[] if side.name == "host" else "ENOENT"]
    assert (side.stat(".").st_nlink, side.outcome("chdir", "..")) == (0, None)


def test_links_count(side: Side) -> None:
    """A directory has a link more for each directory in it."""
    side.mkdir("dir")
    side.mkdir("dir/a")
    side.mkdir("dir/b")
    side.put("dir/file")
    side.link("dir/file", "other")
    both = (side.stat("dir").st_nlink, side.stat("other").st_nlink)
    side.rename("dir/a", "a")
    side.unlink("dir/file")

    assert both == (4, 2)
    assert (side.stat("dir").st_nlink, side.stat("a").st_nlink, side.stat("other").st_nlink) == (3, 2, 1)


def test_protected_hardlinks_are_for_who_may_write_the_file() -> None:
    """On, as v3.6 boots: not somebody else's file, unless it could be changed; never one with setuid."""
    side = guest_side()
    side.api.kernel.statics["protected"]["hardlinks"] = True
    side.mkdir("public")
    side.chmod("public", 0o777)
    for name, mode in (("readable", 0o644), ("writable", 0o666), ("program", 0o4777)):
        side.put(name, b"", mode)
    answers = [side.outcome("link", name, f"public/{name}", uid=USER)
               for name in ("readable", "writable", "program")]
    side.api.kernel.statics["protected"]["hardlinks"] = False

    assert answers == ["EPERM", None, "EPERM"]
    assert side.outcome("link", "readable", "public/readable", uid=USER) is None


def test_protected_symlinks_are_not_followed_in_a_shared_directory() -> None:
    """On, as v3.6 boots: somebody else's link in a sticky directory that all may write."""
    side = guest_side()
    side.api.kernel.statics["protected"]["symlinks"] = True
    side.put("file")
    side.mkdir("shared")
    side.chmod("shared", 0o1777)
    with side.user(USER):
        side.symlink("../file", "shared/link")

    assert side.outcome("touch_open", "shared/link", O_RDONLY) == "EACCES"
    assert side.outcome("touch_open", "shared/link", O_RDONLY, uid=USER) == "opened"


# renaming

KINDS = ("file", "twin", "empty", "dir", "link", "dirlink", "fifo", "missing")
ONTO_FILE = {"file": None, "twin": None, "empty": "ENOTDIR", "dir": "ENOTDIR", "link": None, "dirlink": None,
             "fifo": None, "missing": "ENOENT"}
ONTO_EMPTY = {kind: "EISDIR" for kind in KINDS} | {"empty": None, "dir": None, "missing": "ENOENT"}
ONTO_FULL = ONTO_EMPTY | {"empty": "ENOTEMPTY", "dir": "ENOTEMPTY"}
ONTO_NOTHING = {kind: None for kind in KINDS} | {"missing": "ENOENT"}
TARGETS = {"public/inner": ONTO_FILE, "target": ONTO_EMPTY, "full": ONTO_FULL, "new": ONTO_NOTHING,
           "loop": ONTO_FILE, "public/new": ONTO_NOTHING}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", KINDS)
def test_rename_of_each_kind_onto_each_kind(tree: Side, source: str, target: str) -> None:
    """Files replace files, directories replace empty directories; links are renamed, not followed."""
    tree.mkdir("target")
    tree.mkdir("full")
    tree.put("full/x")
    before = None if source == "missing" else tree.lstat(source).st_ino
    expected = TARGETS[target][source]

    assert tree.outcome("rename", source, target) == expected
    if expected is None:
        assert tree.lstat(target).st_ino == before
        assert tree.outcome("lstat", source) == "ENOENT"


@pytest.mark.parametrize("case", [
    ("rename", "file", "file", None), ("rename", "file", "twin", None), ("rename", "dir", "dir", None),
    ("rename", "dir", "dir/sub", "EINVAL"), ("rename", "dir", "dir/inner/x", "ENOTDIR"),
    ("rename", "dir/inner", "dir", "ENOTEMPTY"), ("rename", ".", "x", "EBUSY"),
    ("rename", "file", "..", "EBUSY"),
    ("rename", "dir/.", "x", "EBUSY"),
    ("rename", "file/", "new", "ENOTDIR"), ("rename", "file", "new/", "ENOTDIR"),
    ("rename", "dir/", "new/", None),
    ("rename", "empty", "new/", None), ("rename", "dirlink/", "new", "ENOTDIR"),
    ("rename", "file", "missing/new", "ENOENT"), ("rename", "file", "file/x", "ENOTDIR"),
    ("rename", LONG, "new", "ENAMETOOLONG"), ("rename", "file", LONG, "ENAMETOOLONG"),
    ("rename", "", "new", "ENOENT"), ("rename", "missing", "missing2/x", "ENOENT"),
    (USER, "rename", "file", "new", "EACCES"), (USER, "rename", "public/inner", "public/new", None),
    (USER, "rename", "public/inner", "new", "EACCES"),
    (USER, "rename", "sticky/inner", "sticky/new", "EPERM"),
    (USER, "rename", "sticky/mine", "sticky/inner", "EPERM"),
    (USER, "rename", "sticky/mine", "public/new", None),
    (USER, "rename", "file", "twin", None),
], ids=name_case)
def test_rename(tree: Side, case: tuple[Any, ...]) -> None:
    check(tree, case)


def test_rename_of_the_root_raises_ebusy() -> None:
    side = guest_side()
    side.put("file")

    assert side.outcome("rename", "file", "/") == "EBUSY"
    assert side.outcome("rename", "/", "file") == "EBUSY"


def test_rename_of_someone_elses_directory_needs_to_write_it(tree: Side) -> None:
    """Its entry ".." changes, but only if it gets another parent."""
    tree.mkdir("public/theirs")

    assert tree.outcome("rename", "public/theirs", "sticky/theirs", uid=USER) == "EACCES"
    assert tree.outcome("rename", "public/theirs", "public/renamed", uid=USER) is None


def test_rename_onto_another_name_of_the_file_does_nothing(tree: Side) -> None:
    tree.rename("file", "twin")

    assert {"file", "twin"} <= set(tree.listdir("."))


def test_rename_moves_what_is_below_and_what_is_open(tree: Side) -> None:
    fd = tree.open("dir/inner", O_RDONLY)
    tree.chdir("dir")
    tree.rename("../dir", "../public/moved")

    assert tree.getcwd() == f"{tree.home}/public/moved"
    assert (tree.get("../../public/moved/inner"), tree.read(fd, 9)) == (b"inside", b"inside")
    tree.close(fd)


def test_listdir_leaves_dots_out(tree: Side) -> None:
    assert sorted(tree.listdir("public")) == ["inner", "mine"]


def test_names_are_bytes(side: Side) -> None:
    """Any byte but 0 and the slash."""
    side.mkdir(b"\xff\xfe")

    assert side.listdir(".") == [os.fsdecode(b"\xff\xfe")]
    assert side.outcome("rmdir", os.fsdecode(b"\xff\xfe")) is None
