"""Long random runs of system calls, the same on a guest and on the host: each answer must agree.

The runs are seeded, so a disagreement comes again. What v3.6 answers otherwise than later kernels is left
out: O_EXCL with a path that ends in dots, a long name that a rename would make, fifos that are opened.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from twin_sides import HAS_HOST, TMPFS, USER, GuestSide, HostSide, Side, outcome

from xiplab import ZVM

pytestmark = pytest.mark.skipif(not HAS_HOST, reason="the host is not Linux on x86-64, or not root")

NAMES = ["a", "b", "d", "d/a", "d/b", "e", "e/d", "l", "d/l", "d/..", ".", "..", "d/.", "a/", "d/", "l/",
         "l/.", "l/a", "d/l/a", "missing/x", "a/x", "a/.", "d//b", "n" * 256, "d/" + "n" * 255, "", "e/../d",
         "d/./a", "x/", "d/e/f"]
TARGETS = ["a", "d", "l", "../b", "missing", "d/", "a/", "./d", "d/.", "e/d", "..", "l/l", "", "d/a"]
FLAGS = (os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_APPEND, os.O_DIRECTORY, os.O_NOFOLLOW, 0o1000000)
NAME_CALLS = ["open"] * 6 + ["mkdir"] * 3 + ["rename"] * 3 + ["unlink", "link", "symlink"] * 2 + [
    "rmdir", "readlink", "stat", "lstat", "chmod", "chown", "truncate", "mkfifo", "mknod", "chdir", "listdir",
    "utimens", "umask"]
SEEDS = [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 60))]


@pytest.fixture
def sides() -> Iterator[tuple[GuestSide, HostSide]]:
    old, mask = Path.cwd(), os.umask(0o022)
    folder = Path(tempfile.mkdtemp(dir=TMPFS))
    folder.chmod(0o755)
    try:
        yield GuestSide(ZVM().logon("LINUX1")), HostSide(folder)
    finally:
        os.chdir(old)
        os.umask(mask)
        shutil.rmtree(folder)


def open_once(side: Side, path: str, flags: int, mode: int) -> object:
    """Open, look, read and write five bytes, close."""
    fd = side.open(path, flags | os.O_NONBLOCK, mode & 0o777)
    try:
        st = side.fstat(fd)
        kind = stat.S_IFMT(st.st_mode)
        data = [side.outcome("read", fd, 5), side.outcome("write", fd, b"hello")]
        return oct(st.st_mode), data if kind != stat.S_IFIFO else None
    finally:
        side.close(fd)


def facts(side: Side, name: str, path: str) -> object:
    st = getattr(side, name)(path)
    size = 0 if stat.S_ISDIR(st.st_mode) else st.st_size
    return oct(st.st_mode), st.st_nlink, st.st_uid, st.st_gid, size


def call_by_name(side: Side, name: str, one: str, two: str, number: int, flags: int) -> object:
    if name == "open":
        return open_once(side, one, flags, number)
    if name in ("stat", "lstat"):
        return facts(side, name, one)
    if name == "listdir":
        return sorted(side.listdir(one))
    owner, group = [-1, 0, USER][number % 3], [-1, 0, USER][number // 3 % 3]
    times = (number, number) if number % 2 else ()
    arguments: dict[str, tuple[object, ...]] = {
        "mkdir": (one, number & 0o7777), "rename": (one, two), "link": (one, two), "unlink": (one,),
        "rmdir": (one,), "symlink": (TARGETS[number % len(TARGETS)], one), "readlink": (one,),
        "chmod": (one, number & 0o7777), "chown": (one, owner, group), "truncate": (one, number),
        "mkfifo": (one, stat.S_IFIFO | number & 0o777),
        "mknod": (one, [0, stat.S_IFREG, stat.S_IFDIR][number % 3] | 0o644), "chdir": (one,),
        "utimens": (one, *times), "umask": (number & 0o777,)}
    return getattr(side, "mknod" if name == "mkfifo" else name)(*arguments[name])


def random_name_call(rng: random.Random) -> tuple[int, str, str, str, int, int]:
    name, one, two = rng.choice(NAME_CALLS), rng.choice(NAMES), rng.choice(NAMES)
    flags = rng.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR)) | sum(f for f in FLAGS if rng.random() < 0.25)
    if one.endswith("."):
        flags &= ~os.O_EXCL
    if flags & os.O_CREAT:
        flags &= ~os.O_DIRECTORY
    if name == "rename" and len(two) > 200:
        two = "b"
    return rng.choice((0, 0, USER)), name, one, two, rng.randrange(1 << 13), flags


@pytest.mark.parametrize("seed", SEEDS)
def test_random_calls_with_names_agree(sides: tuple[GuestSide, HostSide], seed: int) -> None:
    """300 calls by root and by a user in one small tree."""
    rng = random.Random(seed)
    guest, host = sides
    for step in range(300):
        if rng.random() < 0.1:
            guest.chdir(guest.home)
            host.chdir(host.home)
        case = random_name_call(rng)
        theirs, ours = (outcome(partial(call_by_name, side, *case[1:]), side.user(case[0]))
                        for side in (host, guest))
        if "ENXIO" in (theirs, ours):
            continue

        assert (step, case, ours) == (step, case, theirs)


# data

SIZES = (0, 1, 5, 100, 4095, 4096, 4097, 8192, 10000)
OFFSETS = (0, 0, 1, 50, 4096, 4095, 9000, 1 << 20)
DATA_CALLS = ["open"] * 3 + ["write", "read", "lseek", "sendfile"] * 3 + [
    "close", "dup", "pread", "pwrite", "readv", "preadv", "writev", "pwritev", "ftruncate", "truncate",
    "fsync", "size", "getfl", "setfl", "dupfd", "posix_fadvise", "unlink", "rename"]


class Files:
    """One side's open files, by their place in a list, since the numbers differ."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.fds: list[int] = []

    def fd(self, place: int) -> int:
        return self.fds[place] if place < len(self.fds) else 9999

    def add(self, fd: int) -> str:
        self.fds.append(fd)
        return "opened"

    def open(self, path: str, flags: int) -> str:
        if len(self.fds) > 6:
            self.side.close(self.fds.pop(0))
        return self.add(self.side.open(path, flags, 0o644))

    def close(self, place: int) -> None:
        self.side.close(self.fds.pop(place) if place < len(self.fds) else 9999)

    def vector(self, name: str, place: int, sizes: list[int], *offset: int) -> tuple[int, bytes]:
        buffers = [bytearray(size) for size in sizes]
        return getattr(self.side, name)(self.fd(place), buffers, *offset), b"".join(map(bytes, buffers))

    def run(self, name: str, place: int, other: int, number: int, offset: int, data: bytes, path: str,
            flags: int) -> object:
        side, fd, size = self.side, self.fd(place), len(data)
        if name == "open":
            return self.open(path, flags)
        if name == "close":
            return self.close(place)
        if name in ("dup", "dupfd"):
            return self.add(side.dup(fd) if name == "dup" else side.fcntl(fd, 0, [0, 300, -1][number % 3]))
        if name in ("readv", "preadv"):
            sizes = [size, number % 50, 0, number % 5000]
            return self.vector(name, place, sizes, *([offset] if name == "preadv" else []))
        if name == "size":
            return side.fstat(fd).st_size
        if name == "sendfile" and side.fstat(fd).st_ino == side.fstat(self.fd(other)).st_ino:
            return "the host would see its own writes"
        arguments: dict[str, tuple[object, ...]] = {
            "read": (fd, size), "write": (fd, data), "pread": (fd, size, offset),
            "pwrite": (fd, data, offset), "writev": (fd, [data, b"", data[:7]]),
            "pwritev": (fd, [data, b"x"], offset),
            "lseek": (fd, offset, number % 4 if number % 4 < 3 else 9), "ftruncate": (fd, size),
            "truncate": (path, size), "fsync": (fd,), "getfl": (fd, 3),
            "setfl": (fd, 4, [0, os.O_APPEND, os.O_NONBLOCK][number % 3]),
            "sendfile": (fd, self.fd(other), None if number % 2 else offset, size),
            "posix_fadvise": (fd, 0, [0, 100, -1][number % 3], number % 8), "unlink": (path,),
            "rename": (path, "b")}
        result = getattr(side, "fcntl" if name in ("getfl", "setfl") else name)(*arguments[name])
        return result & ~0o100000 if name == "getfl" else result


@pytest.mark.parametrize("seed", SEEDS)
def test_random_calls_with_data_agree(sides: tuple[GuestSide, HostSide], seed: int) -> None:
    """250 calls on a few files that are open in several ways."""
    rng = random.Random(seed)
    guest, host = Files(sides[0]), Files(sides[1])
    for step in range(250):
        flags = rng.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR))
        flags |= sum(f for f in (os.O_CREAT, os.O_TRUNC, os.O_APPEND) if rng.random() < 0.4)
        case = (rng.choice(DATA_CALLS), rng.randrange(7), rng.randrange(7), rng.randrange(1 << 16),
                rng.choice(OFFSETS), rng.randbytes(rng.choice(SIZES)), rng.choice("abcd"), flags)
        theirs, ours = outcome(partial(host.run, *case)), outcome(partial(guest.run, *case))

        assert (step, case, ours) == (step, case, theirs)
    for fd in host.fds:
        os.close(fd)
