"""The quick ways of small requests and the kernel's own ways: same results, same image, same times."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from mounts import PLACES, Mounted, assert_clean, needs_e2fsprogs, on_segment

from xiplab import MAP_SHARED, O_APPEND, O_CREAT, O_EXCL, O_RDWR, PROT_READ, Guest
from xiplab.linux.fs.ext2 import indirect
from xiplab.linux.mm.filemap_xip_bytes import XipPlaces
from xiplab.tools.mke2fs import mke2fs
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SIZE, MiB

FILES = ("one", "two", "three")
KINDS = ("append", "write", "read", "truncate", "stat", "unlink", "hole")
WEIGHTS = (9, 6, 6, 2, 3, 1, 1)


@contextmanager
def kernels_way() -> Iterator[None]:
    """While somebody counts copies, all requests take the kernel's own way; and no block is taken without
    a search."""

    def probe(name: str, values: object) -> None:
        """Only its being there matters."""

    tp_copy.probes.append(probe)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(indirect, "ext2_window", lambda inode, iblock: None)
            yield
    finally:
        tp_copy.probes.remove(probe)


def mounted_pair(options: str = "xip") -> tuple[Mounted, Mounted]:
    image = bytes(mke2fs(2 * MiB))
    pair = on_segment(image, clock=lambda: 10**18), on_segment(image, clock=lambda: 10**18)
    for mounted in pair:
        mounted.mount(options)
    return pair


def random_call(rng: random.Random) -> Callable[[Mounted], object]:
    """One call on one of three files: mostly appends and small requests near the end."""
    path = f"/mnt/{rng.choice(FILES)}"
    kind = rng.choices(KINDS, WEIGHTS)[0]
    data = rng.randbytes(rng.choice((1, 100, 4095, PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, 5000, 3 * PAGE_SIZE)))
    place = rng.random()

    def call(mounted: Mounted) -> object:
        guest = mounted.guest
        fd = guest.open(path, O_CREAT | O_RDWR | (O_APPEND if kind == "append" else 0))
        size = guest.fstat(fd).st_size
        position = int(place * size)
        actions: dict[str, Callable[[], object]] = {
            "append": lambda: guest.write(fd, data),
            "write": lambda: guest.pwrite(fd, data, position & ~511),
            "read": lambda: guest.pread(fd, len(data), position),
            "truncate": lambda: guest.ftruncate(fd, position),
            "hole": lambda: guest.pwrite(fd, data, size + 3 * PAGE_SIZE),
            "unlink": lambda: guest.unlink(path),
            "stat": lambda: (guest.fstat(fd), guest.statfs("/mnt"))}
        try:
            return actions[kind](), guest.fstat(fd)
        except OSError as failure:
            return errno.errorcode[failure.errno or 0]
        finally:
            guest.close(fd)

    return call


@needs_e2fsprogs
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("options", ["xip", ""])
def test_quick_way_and_kernels_way_agree(options: str, seed: int, tmp_path: Path) -> None:
    """After any calls, results and images are the same byte for byte, also when the disk gets full; in place
    and through the page cache."""
    rng = random.Random(seed)
    quick, slow = mounted_pair(options)
    for _ in range(1500):
        call = random_call(rng)
        result = call(quick)
        with kernels_way():
            assert call(slow) == result
    image = quick.synced()

    assert image == slow.synced()
    assert_clean(image, tmp_path)

# Names


FOLDERS = ("/mnt", "/mnt/a", "/mnt/a/b", "/mnt/shared", "/mnt/group")
NAMES = tuple(f"{letter * length}{length}" for letter in "xy" for length in (1, 2, 6, 30, 100, 250))
Action = Callable[[Guest, str, str], object]


def make(guest: Guest, path: str, _: str) -> object:
    """A new file of 500 bytes."""
    fd = guest.open(path, O_CREAT | O_EXCL | O_RDWR)
    try:
        return fd, guest.write(fd, b"z" * 500), guest.fstat(fd)
    finally:
        guest.close(fd)


def keep_open(guest: Guest, path: str, _: str) -> object:
    """A file loses its name while it is open."""
    fd = guest.open(path)
    try:
        guest.unlink(path)
        return guest.pread(fd, 600, 0), guest.fstat(fd)
    finally:
        guest.close(fd)


ACTIONS: dict[str, tuple[int, Action]] = {
    "make": (9, make),
    "unlink": (5, lambda guest, path, _: guest.unlink(path)),
    "mkdir": (4, lambda guest, path, _: guest.mkdir(path)),
    "rmdir": (2, lambda guest, path, _: guest.rmdir(path)),
    "stat": (3, lambda guest, path, _: guest.stat(path)),
    "list": (1, lambda guest, path, _: guest.listdir(path.rpartition("/")[0])),
    "keep open": (2, keep_open),
    "append": (2, lambda guest, path, _: guest.echo("y" * 5000, path, append=True)),
    "link": (1, lambda guest, path, other: guest.link(path, other)),
    "rename": (2, lambda guest, path, other: guest.rename(path, other)),
    "symlink": (1, lambda guest, path, other: guest.symlink(other, path)),
    "chmod": (1, lambda guest, path, other: guest.chmod(path, 0o7777 & len(other) * 0o101)),
    "read": (2, lambda guest, path, _: guest.cat(path)),
    "statfs": (1, lambda guest, path, _: guest.statfs("/mnt")),
}


def outcome(action: Action, guest: Guest, path: str, other: str) -> object:
    try:
        return action(guest, path, other)
    except OSError as failure:
        return errno.errorcode[failure.errno or 0]


def furnish(guest: Guest) -> None:
    """Directories: plain, in each other, sticky for everybody, and one that gives its group away."""
    for path in FOLDERS[1:]:
        guest.mkdir(path)
    guest.chmod("/mnt", 0o777)
    guest.chmod("/mnt/shared", 0o1777)
    guest.chown("/mnt/group", 0, 100)
    guest.chmod("/mnt/group", 0o2777)


@needs_e2fsprogs
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("options", ["xip", "xip,sync", "xip,grpid,noatime", ""])
def test_names_come_and_go_alike_both_ways(options: str, seed: int, tmp_path: Path) -> None:
    """Files and directories are made, removed and renamed at random, by root and by others, with new mounts
    in between, until inodes or blocks run out: same results, same image byte for byte."""
    rng = random.Random(f"{options} {seed}")
    image = bytes(mke2fs((seed % 2 + 1) * MiB, inodes=64, blocks_per_group=256))
    now = 10**18
    quick, slow = (on_segment(image, clock=lambda: now) for _ in range(2))
    for mounted in (quick, slow):
        mounted.mount(options)
        furnish(mounted.guest)
    kinds, weights = list(ACTIONS), [weight for weight, _ in ACTIONS.values()]
    for step in range(1500):
        path, other = (f"{rng.choice(FOLDERS)}/{rng.choice(NAMES)}" for _ in range(2))
        kind = rng.choices(kinds, weights)[0]
        now += rng.choice((0, 10**8, 10**9, 2 * 86_400 * 10**9))
        if step % 100 == 0:
            uid = rng.choice((0, 0, 1000))
            for mounted in (quick, slow):
                mounted.guest.setuid(0)
                mounted.guest.umount("/mnt")
                mounted.mount(options)
                mounted.guest.setuid(uid)
        result = outcome(ACTIONS[kind][1], quick.guest, path, other)
        with kernels_way():
            assert outcome(ACTIONS[kind][1], slow.guest, path, other) == result, f"{step}: {kind} {path}"
    image = quick.synced()

    assert image == slow.synced()
    assert_clean(image, tmp_path)


# Times, places, errors


@pytest.mark.parametrize("options", ["xip", "xip,noatime", "xip,strictatime", "xip,nodiratime"])
def test_times_are_those_of_the_kernels_way(options: str) -> None:
    """Whatever the times of the file and the clock are, a small read and a small write leave the same."""
    rng = random.Random(options)
    second, day = 10**9, 86_400 * 10**9
    mounted = on_segment(bytes(mke2fs(2 * MiB)))
    mounted.mount(options)
    guest = mounted.guest
    fd = guest.open("/mnt/f", O_CREAT | O_RDWR)
    guest.pwrite(fd, b"x", 0)
    filp = guest.task.files[fd]
    assert filp is not None
    inode = filp.f_inode

    def times_after(action: Callable[[], object], before: tuple[int, int, int]) -> tuple[int, int, int, bool]:
        inode.i_atime, inode.i_mtime, inode.i_ctime = before
        inode.i_dirty = False
        action()
        return inode.i_atime, inode.i_mtime, inode.i_ctime, inode.i_dirty

    for action in (lambda: guest.pread(fd, 1, 0), lambda: guest.pwrite(fd, b"y", 0)):
        for _ in range(200):
            now = 10**18 + rng.randrange(3 * second)
            guest.kernel.clock = lambda now=now: now
            ages = rng.choices((-second, 0, second, 2 * second, day - second, day, 2 * day), k=3)
            before = [(now - age) // second * second for age in ages]
            quick = times_after(action, (before[0], before[1], before[2]))
            with kernels_way():
                assert quick == times_after(action, (before[0], before[1], before[2]))


def test_places_are_kept_while_blocks_are_added_and_forgotten_when_they_go() -> None:
    quick, _ = mounted_pair()
    fd = quick.guest.open("/mnt/f", O_CREAT | O_RDWR)
    quick.guest.pwrite(fd, b"x", 0)
    places = quick.mapping("/mnt/f").xip_cache
    quick.guest.pwrite(fd, b"y", PAGE_SIZE)
    assert quick.mapping("/mnt/f").xip_cache is places
    quick.guest.ftruncate(fd, 1)

    assert quick.mapping("/mnt/f").xip_cache is None


def test_first_write_of_a_small_file_zeroes_its_page_and_keeps_no_place() -> None:
    """The block held something else before; the file ends within it."""
    quick = on_segment(bytes(mke2fs(2 * MiB, blocks_per_group=256)))
    quick.mount("xip")
    for name in ("old", "new", "other"):
        fd = quick.guest.open(f"/mnt/{name}", O_CREAT | O_RDWR)
        quick.guest.write(fd, b"x" * (PAGE_SIZE if name == "old" else 10))
        quick.guest.close(fd)
        if name == "old":
            quick.guest.unlink("/mnt/old")
    assert [quick.mapping(f"/mnt/{name}").xip_cache for name in ("new", "other")] == [None, None]
    quick.guest.truncate("/mnt/new", PAGE_SIZE)

    assert quick.guest.cat("/mnt/new") == b"x" * 10 + bytes(PAGE_SIZE - 10)


def test_small_file_read_once_keeps_no_places_and_read_again_does() -> None:
    quick, _ = mounted_pair()
    content = bytes(range(256)) * 20
    with_hole = bytes(PAGE_SIZE) + b"end"
    for name, data in (("f", content), ("hole", b"")):
        fd = quick.guest.open(f"/mnt/{name}", O_CREAT | O_RDWR)
        quick.guest.pwrite(fd, data or b"end", 0 if data else PAGE_SIZE)
        quick.guest.close(fd)
    quick.guest.umount("/mnt")
    quick.mount("xip")
    assert [quick.guest.cat(f"/mnt/{name}") for name in ("f", "hole")] == [content, with_hole]
    assert not isinstance(quick.mapping("/mnt/f").xip_cache, XipPlaces)
    assert [quick.guest.cat(f"/mnt/{name}") for name in ("f", "hole")] == [content, with_hole]

    assert isinstance(quick.mapping("/mnt/f").xip_cache, XipPlaces)


def test_another_get_xip_mem_is_asked_at_once() -> None:
    """What the old one answered counts no more when the table is replaced."""
    quick, _ = mounted_pair()
    fd = quick.guest.open("/mnt/f", O_CREAT | O_RDWR)
    quick.guest.pwrite(fd, b"x" * PAGE_SIZE, 0)
    mapping = quick.mapping("/mnt/f")

    def refuse(*arguments: object) -> tuple[int, int]:
        raise OSError(errno.EIO, "page 0")

    mapping.a_ops = replace(mapping.a_ops, name="refusing", get_xip_mem=refuse, get_xip_runs=None)

    with pytest.raises(OSError, match="page 0"):
        quick.guest.pread(fd, 10, 0)


def test_small_write_into_a_mapped_hole_shows_in_the_mapping() -> None:
    """The sparse page leaves the mapping when the quick way gives the hole a block."""
    quick, _ = mounted_pair()
    fd = quick.guest.open("/mnt/f", O_CREAT | O_RDWR)
    quick.guest.ftruncate(fd, PAGE_SIZE)
    reader = quick.guest.open("/mnt/f")
    memory = quick.guest.mmap(reader, PAGE_SIZE, PROT_READ, MAP_SHARED)
    assert memory[0] == 0
    quick.guest.pwrite(fd, b"x", 0)

    assert memory[0] == ord("x")


def test_reads_far_into_a_sparse_file_cost_no_memory() -> None:
    """A file of 1 TiB with one block: places are kept for pages that are there, not for holes."""
    quick, _ = mounted_pair()
    fd = quick.guest.open("/mnt/f", O_CREAT | O_RDWR)
    quick.guest.pwrite(fd, b"x", 1 << 40)
    for position in range(0, 1 << 40, 1 << 34):
        assert quick.guest.pread(fd, 100, position) == bytes(100)

    assert len(quick.mapping("/mnt/f").xip_cache.at) == 1


@pytest.mark.parametrize("place", PLACES)
def test_append_at_a_position_that_overflows_raises_einval(place: str) -> None:
    """The position a caller gives is looked at (rw_verify_area) before O_APPEND puts the end in its place."""
    make, options = PLACES[place]
    mounted = make(bytes(mke2fs(2 * MiB)))
    mounted.mount(options)
    fd = mounted.guest.open("/mnt/log", O_CREAT | O_RDWR | O_APPEND)
    with pytest.raises(OSError, match="bytes at 9223372036854775807") as failure:
        mounted.guest.pwrite(fd, b"x", 2**63 - 1)

    assert (failure.value.errno, mounted.guest.fstat(fd).st_size) == (errno.EINVAL, 0)
