"""Seeded file operations as plain data: what the oracle replays in three places.

An operation is a list, ["pwrite", slot, key, nbytes, offset]; replay.py says what each one does. Slots
stand for open files and mappings, since the numbers of descriptors are each system's own affair. The
bytes of a write are payload(key, nbytes), so a list of operations stays small.

Operations are drawn one by one while the reference runs them, and Draw learns from each result what
exists, so that most of them succeed.

A profile says what a run is about, and so what can be compared in it:

    files    reads, writes, names, attributes; times and allocated space agree as well
    full     the same on a device of 1 MiB, which is full much of the time
    mapped   also loads and stores in mappings; their times and space are each system's own
    small    as files, with four blocks to a page: through the page cache only
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from xiplab.linux.include.fs import O_DIRECTORY, O_NOATIME, O_NOFOLLOW
from xiplab.linux.include.mm import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE
from xiplab.ondisk import Bytes
from xiplab.tools.mke2fs import mke2fs
from xiplab.tools.tree import Tree, symlink
from xiplab.units import PAGE_SIZE, KiB, MiB

Operation: TypeAlias = list[Any]

FILE_SLOTS = 6
MAP_SLOTS = 3
USER = 1000
LONG_AGO = 1_000_000_000
"""Times that utimens sets are near this one; what is later was set by the clock."""

FILES = ["f0", "f1", "f2", "f3", "f4"]
FOLDERS = ["d0", "d1", "d2", "e0"]
LINKS = ["s0", "s1", "s2"]
NODES = ["n0", "n1"]
DETOURS = ["./", "d0/../", "s0/../", "//"]
ODD_PATHS = ["", ".", "..", "/", "d0/.", "d0/..", "f0/", "d0/", "s0/", "f0/x", "missing/x", "d0//f0",
             "L" * 255, "d0/" + "M" * 255, "N" * 256, "d1/" + "O" * 300, "p/" * 2100 + "q"]
TARGETS = ["f0", "d0", "d1", "s0", "s1", "../f1", "missing", "d0/f2", "d1/../f3", "", "./" * 29 + "f",
           "t" * 59, "t" * 60, "t" * 61, "u" * 1000, "v" * 4095, "w" * 4096, "/f0", "/d0/f2"]
MODES = [0o644, 0o600, 0o666, 0o755, 0o777, 0o400, 0o000, 0o4755, 0o2755, 0o6711, 0o700]
LENGTHS = [0, 1, 10, 100, 511, 512, 1000, 4095, 4096, 4097, 5000, 8192, 12_288, 20_000, 65_536]
HUGE = [1 << 31, (1 << 31) - 1, 1 << 40, 1 << 42, (1 << 63) - 1]


@dataclass(frozen=True)
class Profile:
    """What a run is about.

    Attributes:
        size: of its device. weights: how often each operation comes.
        farthest: about the last page that is written to, unless a file is made huge.
    """

    name: str
    size: int
    weights: dict[str, float]
    blocksize: int = PAGE_SIZE
    farthest: int = 1050

    @property
    def exact(self) -> bool:
        """Whether times and allocated space are compared."""
        return "store" not in self.weights


NAMES = {"mkdir": 5, "rmdir": 4, "link": 4, "unlink": 8, "symlink": 5, "readlink": 2, "rename": 8, "mknod": 1,
         "listdir": 2, "stat": 5, "lstat": 4}
ATTRIBUTES = {"chmod": 4, "chown": 3, "utimens": 5, "become": 4, "statfs": 2}
DATA = {"open": 30, "close": 5, "read": 10, "write": 10, "pread": 10, "pwrite": 14, "append": 4, "lseek": 7,
        "ftruncate": 6, "truncate": 4, "fstat": 5, "fsync": 3, "sync": 1, "dup": 2, "setfl": 2, "getfl": 1,
        "readv": 2, "writev": 2, "preadv": 2, "pwritev": 2, "sendfile": 2, "cycle": 0.5}
MAPPINGS = {"mmap": 14, "load": 25, "store": 25, "munmap": 4, "msync": 3}

PROFILES = {
    "files": Profile("files", 8 * MiB, {**DATA, **NAMES, **ATTRIBUTES}),
    "full": Profile("full", 1 * MiB, {**DATA, **NAMES, **ATTRIBUTES, "pwrite": 45, "write": 20}),
    "mapped": Profile("mapped", 8 * MiB, {**DATA, **NAMES, **MAPPINGS}),
    "small": Profile("small", 8 * MiB, {**DATA, **NAMES, **ATTRIBUTES}, blocksize=1 * KiB, farthest=90),
}


def payload(key: int, nbytes: int) -> bytes:
    """The bytes of a write."""
    return random.Random(key).randbytes(nbytes)


def first_tree() -> Tree:
    """What is on the device before the first operation: each depth of the block map, a hole, links."""
    return {"old": payload(1, 60_000), "hello": "Hello, world\n", "d0": {"e0": {}, "f2": payload(2, 5000)},
            "d1": {"long": symlink("u" * 100)}, "s0": symlink("d0")}


def first_image(profile: Profile) -> Bytes:
    """The device of a run. An inode for every other block: they run out as well."""
    return mke2fs(profile.size, tree=first_tree(), blocksize=profile.blocksize,
                  inodes=profile.size // (2 * PAGE_SIZE), now=LONG_AGO)


class Draw:
    """A seeded source of operations for a device of `profile`.

    Attributes:
        one_page: writes stay inside one page. On a full device a write of several pages ends where the
            system happened to ask for the last block, and recent kernels ask for several at once.
        kinds: what exists: "f", "d" or "l" for a path. opened, mapped: slots in use.
    """

    def __init__(self, profile: Profile, seed: int) -> None:
        self.rng = random.Random(seed)
        self.names, self.weights = list(profile.weights), list(profile.weights.values())
        self.exact, self.farthest = profile.exact, profile.farthest
        self.one_page = profile.size == MiB
        self.kinds = {"old": "f", "hello": "f", "d0": "d", "d0/e0": "d", "d0/f2": "f", "d1": "d",
                      "d1/long": "l", "s0": "l"}
        self.opened: set[int] = set()
        self.mapped: set[int] = set()

    def operation(self) -> Operation:
        """The next one."""
        name = self.rng.choices(self.names, self.weights)[0]
        return [name, *DRAWN[name](self)]

    def learn(self, operation: Operation, result: Any) -> None:
        """Note what the operation has changed."""
        name, *arguments = operation
        failed = isinstance(result, list) and result[:1] == ["!"]
        if name in CLOSES:
            (self.mapped if name in ("mmap", "munmap") else self.opened).discard(arguments[CLOSES[name]])
        if name in LEARNT and not failed:
            LEARNT[name](self, *arguments)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def file(self) -> int:
        if self.opened and self.chance(0.97):
            return self.rng.choice(sorted(self.opened))
        return self.rng.randrange(FILE_SLOTS)

    def mapping(self) -> int:
        if self.mapped and self.chance(0.95):
            return self.rng.choice(sorted(self.mapped))
        return self.rng.randrange(MAP_SLOTS)

    def path(self, kinds: str = "fffddl") -> str:
        """Something that exists, of a kind drawn from `kinds`; or anything."""
        if self.chance(0.04):
            return self.rng.choice(ODD_PATHS)
        kind = self.rng.choice(kinds)
        existing = [path for path, is_kind in self.kinds.items() if is_kind == kind]
        if not existing or self.chance(0.1):
            return self.new_path([*FILES, *FOLDERS, *LINKS])
        detour = self.rng.choice(DETOURS) if self.chance(0.1) else ""
        return detour + self.rng.choice(existing)

    def empty_folder(self) -> str:
        """A folder without names."""
        parents = {path.rpartition("/")[0] for path in self.kinds}
        empty = [path for path, kind in self.kinds.items() if kind == "d" and path not in parents]
        return self.rng.choice(empty) if empty else self.path("d")

    def new_path(self, names: list[str]) -> str:
        """A name in some folder, mostly one that does not exist."""
        if self.chance(0.03):
            return self.rng.choice(ODD_PATHS)
        folders = ["", *(f"{path}/" for path, kind in self.kinds.items() if kind == "d")]
        paths = [self.rng.choice(folders) + self.rng.choice(names) for _ in range(3)]
        return next((path for path in paths if path not in self.kinds), paths[0])

    def move(self, old: str, new: str) -> None:
        """`old` and what is below it are at `new` from now on."""
        old, new = plain(old), plain(new)
        if old == new or old not in self.kinds:
            return
        below = [path for path in self.kinds if path == old or path.startswith(f"{old}/")]
        self.kinds |= {new + path[len(old):]: self.kinds.pop(path) for path in below}

    def cycle(self) -> None:
        self.opened.clear()
        self.mapped.clear()

    def mode(self) -> int:
        return self.rng.choice(MODES)

    def offset(self) -> int:
        """Most are in the first pages; some need an indirect block, or two."""
        rng = self.rng
        far = rng.randrange(self.farthest - 20, self.farthest)
        page = rng.choices([rng.randrange(4), rng.randrange(30), far], [70, 25, 5])[0]
        return page * PAGE_SIZE + rng.choice([0, 0, 1, 100, 2048, 4000, 4095])

    def length(self) -> int:
        return self.rng.choice(LENGTHS)

    def read_length(self) -> int:
        """Not 0 where times count: on an xip mount even such a read sets the access time (xip_file_read)."""
        return self.rng.choice(LENGTHS[self.exact:])

    def size(self) -> int:
        return self.rng.choice([-1, *HUGE]) if self.chance(0.03) else self.offset()

    def data_at(self, offset: int | None) -> list[int]:
        """Key and length of a write at `offset` (None: somewhere)."""
        nbytes = self.length()
        if self.one_page:
            nbytes = 1 + nbytes % 512 if offset is None else min(nbytes, PAGE_SIZE - offset % PAGE_SIZE)
        return [self.rng.randrange(1 << 16), nbytes]

    def pieces(self, *, empty: bool = False) -> list[int]:
        """Lengths for a vectored call. A read has no empty piece: over a hole it would end there on an
        xip mount (quirk Q2), and the file's position would go another way from then on."""
        if self.one_page:
            return [10, 20]
        lengths = [0, 1, 100, 1000, 4096, 5000]
        return [self.rng.choice(lengths[not empty:]) for _ in range(self.rng.randrange(4))]

    def time(self) -> int | None:
        return None if self.chance(0.2) else LONG_AGO + self.rng.randrange(1000)


def plain(path: str) -> str:
    """The path without its detour."""
    detour = next((detour for detour in DETOURS if path.startswith(detour)), "")
    return path[len(detour):]


def _open(draw: Draw) -> Operation:
    flags = draw.rng.choices([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, 3], [1, 1, 9, 0.1])[0]
    for flag, chance in ((os.O_CREAT, 0.6), (os.O_EXCL, 0.05), (os.O_TRUNC, 0.15), (os.O_APPEND, 0.15),
                         (os.O_SYNC, 0.03), (O_NOATIME, 0.05), (O_NOFOLLOW, 0.05), (O_DIRECTORY, 0.02)):
        flags |= flag if draw.chance(chance) else 0
    slot = draw.rng.randrange(FILE_SLOTS)
    mode = draw.mode() if draw.chance(0.3) else 0o666
    if flags & os.O_CREAT:
        path = draw.new_path(FILES) if draw.chance(0.5) else draw.path("f")
        return [slot, path, flags & ~O_DIRECTORY, mode]
    return [slot, draw.path("fffffffdl"), flags, mode]


def _pwrite(draw: Draw) -> Operation:
    offset = draw.offset() if draw.chance(0.99) else draw.rng.choice([-1, *HUGE])
    return [draw.file(), *draw.data_at(offset), offset]


def _lseek(draw: Draw) -> Operation:
    whence = draw.rng.choices([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END, 9], [6, 2, 3, 0.3])[0]
    offset = draw.offset() if whence == os.SEEK_SET else draw.rng.choice([0, 0, 1, -1, -100, 5000, -5000])
    return [draw.file(), offset, whence]


def _rename(draw: Draw) -> Operation:
    old = draw.path()
    kind = draw.kinds.get(plain(old), "f")
    names = {"f": FILES, "d": FOLDERS, "l": LINKS}[kind]
    new = draw.new_path(names) if draw.chance(0.6) else draw.path(kind if draw.chance(0.8) else "fdl")
    return [old, new]


def _mmap(draw: Draw) -> Operation:
    prot, flags = draw.rng.choices(
        [(PROT_READ | PROT_WRITE, MAP_SHARED), (PROT_READ, MAP_SHARED), (PROT_READ | PROT_WRITE, MAP_PRIVATE),
         (PROT_READ, MAP_PRIVATE)], [6, 2, 4, 2])[0]
    offset = draw.rng.choice([0, 0, 0, PAGE_SIZE, 12 * PAGE_SIZE]) if draw.chance(0.97) else 100
    length = draw.rng.choice([1, 2, 16]) * PAGE_SIZE
    return [draw.rng.randrange(MAP_SLOTS), draw.file(), length, prot, flags, offset]


def _inside_page(draw: Draw) -> list[int]:
    """Where in a mapping, and how much: no access crosses into another page."""
    page = draw.rng.choices([0, 1, draw.rng.randrange(16)], [6, 2, 1])[0]
    start = draw.rng.choice([0, 0, 1, 100, 2048, 4000])
    return [page * PAGE_SIZE + start, draw.rng.choice([1, 8, 50, PAGE_SIZE - start])]


DRAWN: dict[str, Callable[[Draw], Operation]] = {
    "open": _open,
    "close": lambda d: [d.file()],
    "dup": lambda d: [d.file(), d.rng.randrange(FILE_SLOTS)],
    "setfl": lambda d: [d.file(), d.rng.choice([0, os.O_APPEND, os.O_NONBLOCK])],
    "getfl": lambda d: [d.file()],
    "read": lambda d: [d.file(), d.read_length()],
    "pread": lambda d: [d.file(), d.read_length(), d.offset() if d.chance(0.98) else -1],
    "readv": lambda d: [d.file(), d.pieces()],
    "preadv": lambda d: [d.file(), d.pieces(), d.offset()],
    "write": lambda d: [d.file(), *d.data_at(None)],
    "pwrite": _pwrite,
    "append": lambda d: [d.path("f"), *d.data_at(None)],
    "writev": lambda d: [d.file(), d.rng.randrange(1 << 16), d.pieces(empty=True)],
    "pwritev": lambda d: [d.file(), d.rng.randrange(1 << 16), d.pieces(empty=True), d.offset() & -PAGE_SIZE],
    "sendfile": lambda d: [d.file(), d.file(), d.offset(), 100 if d.one_page else d.length()],
    "lseek": _lseek,
    "ftruncate": lambda d: [d.file(), d.size()],
    "truncate": lambda d: [d.path("fffffffffdl"), d.size()],
    "fstat": lambda d: [d.file()],
    "fsync": lambda d: [d.file()],
    "sync": lambda d: [],
    "cycle": lambda d: [],
    "mkdir": lambda d: [d.new_path(FOLDERS), d.rng.choice([0o777, 0o777, 0o755, 0o2777, 0o700])],
    "rmdir": lambda d: [d.empty_folder() if d.chance(0.6) else d.path("ddddfl")],
    "link": lambda d: [d.path("fffffffdl"), d.new_path(FILES)],
    "unlink": lambda d: [d.path("ffffflld")],
    "symlink": lambda d: [d.rng.choice(TARGETS), d.new_path(LINKS)],
    "readlink": lambda d: [d.path("llllfd")],
    "rename": _rename,
    "mknod": lambda d: [d.rng.choice(NODES), d.rng.choice([stat.S_IFIFO, stat.S_IFSOCK, 0]) | 0o644],
    "listdir": lambda d: [d.path("ddddfl")],
    "stat": lambda d: [d.path()],
    "lstat": lambda d: [d.path() if d.chance(0.9) else d.rng.choice(NODES)],
    "chmod": lambda d: [d.path(), d.mode()],
    "chown": lambda d: [d.path(), d.rng.choice([-1, 0, USER]), d.rng.choice([-1, 0, USER])],
    "utimens": lambda d: [d.path(), d.time(), d.time()],
    "become": lambda d: [d.rng.choice([0, 0, 0, 0, USER])],
    "statfs": lambda d: [],
    "mmap": _mmap,
    "load": lambda d: [d.mapping(), *_inside_page(d)],
    "store": lambda d: [d.mapping(), d.rng.randrange(1 << 16), *_inside_page(d)],
    "munmap": lambda d: [d.mapping()],
    "msync": lambda d: [d.mapping()],
}

CLOSES = {"open": 0, "close": 0, "mmap": 0, "munmap": 0}
"""Operations that end the use of a slot, whether or not they succeed, and which argument that is."""

LEARNT: dict[str, Callable[..., None]] = {
    "open": lambda d, slot, path, flags, mode: (d.opened.add(slot), d.kinds.setdefault(plain(path), "f")),
    "dup": lambda d, slot, to: d.opened.add(to),
    "mmap": lambda d, area, *rest: d.mapped.add(area),
    "cycle": Draw.cycle,
    "mkdir": lambda d, path, mode: d.kinds.update({plain(path): "d"}),
    "symlink": lambda d, target, path: d.kinds.update({plain(path): "l"}),
    "link": lambda d, path, new: d.kinds.update({plain(new): d.kinds.get(plain(path), "f")}),
    "unlink": lambda d, path: d.kinds.pop(plain(path), None),
    "rmdir": lambda d, path: d.kinds.pop(plain(path), None),
    "rename": Draw.move,
}
