"""The same calls on ext2 here and on a file system of the host: same answers, same tree, clean image."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from mounts import PLACES, Mounted, assert_clean, guest_tree, host_tree, needs_e2fsprogs, on_disk

from xiplab import Guest
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import MiB

CALLS = ("create", "write", "truncate", "unlink", "mkdir", "rmdir", "rename", "link", "symlink", "read",
         "stat")
WEIGHTS = (6, 8, 3, 4, 3, 2, 4, 2, 2, 4, 2)


class HostSide:
    """The calls on a folder of this computer."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.os = os


class GuestSide:
    """The calls on /mnt of a guest."""

    def __init__(self, guest: Guest) -> None:
        self.root = "/mnt"
        self.os = guest


def run(side: HostSide | GuestSide, call: str, one: str, two: str, number: int, data: bytes) -> object:
    """One call; its result, or its errno."""
    api, one, two = side.os, f"{side.root}/{one}", f"{side.root}/{two}"
    actions: dict[str, Callable[[], object]] = {
        "create": lambda: api.close(api.open(one, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)),
        "write": lambda: _write(api, one, data, number),
        "truncate": lambda: api.truncate(one, number),
        "unlink": lambda: api.unlink(one),
        "mkdir": lambda: api.mkdir(one, 0o755),
        "rmdir": lambda: api.rmdir(one),
        "rename": lambda: api.rename(one, two),
        "link": lambda: api.link(one, two),
        "symlink": lambda: api.symlink("t" * (number % 120 + 1), one),
        "read": lambda: _read(api, one, number),
        "stat": lambda: _stat(api, one),
    }
    try:
        return actions[call]()
    except OSError as failure:
        return errno.errorcode[failure.errno or 0]


def _write(api: object, path: str, data: bytes, offset: int) -> int:
    fd = api.open(path, os.O_RDWR)  # type: ignore[attr-defined]
    try:
        return api.pwrite(fd, data, offset)  # type: ignore[attr-defined, no-any-return]
    finally:
        api.close(fd)  # type: ignore[attr-defined]


def _read(api: object, path: str, offset: int) -> bytes:
    fd = api.open(path, os.O_RDONLY)  # type: ignore[attr-defined]
    try:
        return api.pread(fd, 9000, offset)  # type: ignore[attr-defined, no-any-return]
    finally:
        api.close(fd)  # type: ignore[attr-defined]


def _stat(api: object, path: str) -> tuple[int, int, int]:
    st = api.lstat(path)  # type: ignore[attr-defined]
    is_dir = st.st_mode & 0o170000 == 0o040000
    return st.st_mode, 0 if is_dir else st.st_size, 0 if is_dir else st.st_nlink


def random_name(rng: random.Random) -> str:
    folder = rng.choice(("", "", "a/", "b/", "a/c/"))
    long = "long" * 50 + str(rng.randrange(8))
    return folder + rng.choice(("a", "b", "c", "f1", "f2", "f3", "name" * 12, long))


def same_calls(mounted: Mounted, folder: Path, seed: int, count: int) -> None:
    rng = random.Random(seed)
    sides = (GuestSide(mounted.guest), HostSide(folder))
    for _ in range(count):
        call = rng.choices(CALLS, WEIGHTS)[0]
        one, two = random_name(rng), random_name(rng)
        number = rng.choice((0, 1, 100, 4095, 4096, 5000, 40_000, 49_152, 60_000, 300_000, 4_243_456))
        data = rng.randbytes(rng.choice((1, 10, 4096, 5000, 20_000)))
        answers = [run(side, call, one, two, number, data) for side in sides]
        assert answers[0] == answers[1], (call, one, two, number)


def expect_same_tree(mounted: Mounted, folder: Path) -> None:
    mine = {name: what for name, what in guest_tree(mounted.guest).items() if name != "lost+found"}
    assert mine == host_tree(folder)


@needs_e2fsprogs
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_calls_agree_with_the_host(place: str, seed: int, tmp_path: Path) -> None:
    """Results, errnos and contents are those of the host's file system; e2fsck finds nothing wrong, and
    after a new mount all is still there."""
    (tmp_path / "host").mkdir()
    where, options = PLACES[place]
    mounted = where(bytes(mke2fs(16 * MiB, blocks_per_group=1024)))
    mounted.mount(options)
    for round_ in range(2):
        same_calls(mounted, tmp_path / "host", seed * 10 + round_, 400)
        expect_same_tree(mounted, tmp_path / "host")
        mounted.guest.umount("/mnt")
        assert_clean(mounted.image(), tmp_path)
        mounted.mount(options)
        expect_same_tree(mounted, tmp_path / "host")


@needs_e2fsprogs
@pytest.mark.parametrize(("blocksize", "revision"), [(1024, 0), (1024, 1), (2048, 1), (4096, 0)])
def test_random_calls_agree_with_the_host_on_other_formats(blocksize: int, revision: int, tmp_path: Path
                                                           ) -> None:
    (tmp_path / "host").mkdir()
    mounted = on_disk(bytes(mke2fs(16 * MiB, blocksize=blocksize, revision=revision)))
    mounted.mount()
    same_calls(mounted, tmp_path / "host", blocksize + revision, 400)
    expect_same_tree(mounted, tmp_path / "host")
    mounted.guest.umount("/mnt")
    assert_clean(mounted.image(), tmp_path)
