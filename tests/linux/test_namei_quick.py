"""The quick ways through the dentry cache and the kernel's own ways: same place, same file, same error."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xiplab import O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, ZVM, Guest
from xiplab.linux.fs import namei
from xiplab.linux.fs.namei import PathName
from xiplab.linux.include.fs import O_ACCMODE, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW
from xiplab.trace import tp_copy

PARTS = ("", ".", "..", "d", "e", "file", "link", "loop", "closed", "gone", "mnt", "n" * 256)


@pytest.fixture
def guest() -> Guest:
    return furnished()


def furnished() -> Guest:
    """A guest with files, links, a directory that only root may search, a sticky one, and a mount."""
    guest = ZVM().logon("LINUX1", clock=lambda: 10**18)
    for path in ("/d", "/d/e", "/d/closed"):
        guest.mkdir(path)
    for path in ("/d/file", "/d/e/file", "/d/closed/file", "/file"):
        guest.close(guest.open(path, O_CREAT))
    for target, path in (("e", "/d/link"), ("loop", "/d/loop"), ("/d", "/link"), ("nothing", "/d/e/link")):
        guest.symlink(target, path)
    guest.chmod("/d/closed", 0o700)
    guest.mount("none", "/mnt", "ramfs")
    guest.mkdir("/mnt/d")
    guest.mkdir("/d/sticky")
    guest.chmod("/d/sticky", 0o1777)
    guest.chmod("/d/e", 0o777)
    return guest


def answers(guest: Guest, path: str) -> list[object]:
    """Where a path leads, and where its directory is; or the errnos."""
    found: list[object] = []
    for follow in (True, False):
        try:
            found.append(namei.path_lookup(guest.task, path, follow=follow))
        except OSError as failure:
            found.append(errno.errorcode[failure.errno or 0])
    try:
        found.append(namei.lookup_parent(guest.task, path))
    except OSError as failure:
        found.append(errno.errorcode[failure.errno or 0])
    return found


@pytest.mark.parametrize("uid", [0, 1000])
def test_quick_walk_and_walk_agree(guest: Guest, uid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(uid)
    guest.chdir("/d")
    guest.setuid(uid)
    paths = ["/".join(rng.choices(PARTS, k=rng.randrange(1, 5))) for _ in range(2000)]
    quick = [answers(guest, path) for path in paths]
    quick = [answers(guest, path) for path in paths]
    monkeypatch.setattr(namei, "_rcu_walk", lambda path, parts: (path, parts))

    assert quick == [answers(guest, path) for path in paths]


FLAGS = (O_RDONLY, O_WRONLY, O_RDWR, O_CREAT | O_RDWR, O_CREAT | O_EXCL, O_TRUNC | O_WRONLY,
         O_APPEND | O_WRONLY, O_ACCMODE, O_CREAT | O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC,
         O_DIRECTORY, O_DIRECTORY | O_WRONLY)
CALLS: dict[str, Callable[[Guest, str, int], object]] = {
    "open": lambda guest, path, number: guest.open(path, FLAGS[number % len(FLAGS)], 0o7777 & number * 73),
    "close": lambda guest, path, number: guest.close(number % 8),
    "write": lambda guest, path, number: guest.write(number % 8, b"some bytes"),
    "list": lambda guest, path, number: guest.listdir(path),
    "stat": lambda guest, path, number: guest.stat(path),
    "mkdir": lambda guest, path, number: guest.mkdir(path, 0o1777 & number * 73 | 0o100),
    "unlink": lambda guest, path, number: guest.unlink(path),
    "rmdir": lambda guest, path, number: guest.rmdir(path),
    "umask": lambda guest, path, number: guest.umask(number & 0o77)}


def outcome(guest: Guest, call: str, path: str, number: int) -> object:
    try:
        return CALLS[call](guest, path, number)
    except OSError as failure:
        return errno.errorcode[failure.errno or 0]


@contextmanager
def recorded() -> Iterator[None]:
    """While somebody counts copies, no call is quick."""

    def probe(name: str, values: object) -> None:
        """Only its being there matters."""

    tp_copy.probes.append(probe)
    try:
        yield
    finally:
        tp_copy.probes.remove(probe)


@pytest.mark.parametrize("uid", [0, 1000])
def test_quick_calls_and_kernels_calls_agree(uid: int) -> None:
    """Descriptors, attributes and errors, in a tree that changes, up to the last free descriptor."""
    rng = random.Random(uid)
    quick, slow = furnished(), furnished()
    for guest in (quick, slow):
        guest.chdir("/d")
        guest.setuid(uid)
        guest.task.rlimit_nofile = 6
    for _ in range(4000):
        path = "/".join(rng.choices((*PARTS, "x", "sticky"), k=rng.randrange(1, 5)))
        call, number = rng.choice(list(CALLS)), rng.randrange(10_000)
        answer = outcome(quick, call, path, number)
        with recorded():
            assert outcome(slow, call, path, number) == answer, f"{call} {path} {number}"


@pytest.mark.parametrize("name", ["a\0b", "\udc80", "", "x" * 5000, b"/d/file", Path("/d/file")])
def test_names_that_are_no_plain_text_are_left_to_the_kernels_way(guest: Guest, name: PathName) -> None:
    """Bytes, paths, NUL, a byte that is no text, too many letters: answered as ever."""
    def answer() -> object:
        try:
            return guest.stat(name)
        except OSError as failure:
            return failure.errno

    quick = answer()
    with recorded():
        assert answer() == quick
