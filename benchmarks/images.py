"""Files that lie in an image: walked and read, opened, mapped (W6 to W8)."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any, ClassVar
from zlib import crc32

import numpy as np

from benchmarks.workload import Family, Row, Scale, Turn
from xiplab import O_RDONLY, MiB
from xiplab.units import PAGE_SIZE

FOLDERS = 40


class Walk(Family):
    """2,000 files of up to 8 KiB in 40 directories, which lie in each other by fours; freshly mounted."""

    rows: ClassVar = {"W6": Row("walk and read {walked} files", 1.2)}

    @staticmethod
    def fill(folder: str, scale: Scale) -> None:
        source = random.Random(3)
        for i in range(FOLDERS):
            os.makedirs(f"{folder}/d{i % 10}/e{i // 10}")
        for i in range(scale.walked):
            with open(f"{folder}/d{i % 10}/e{i // 10 % 4}/file{i}", "wb") as file:
                file.write(source.randbytes(source.randrange(8192)))

    @staticmethod
    def image_bytes(scale: Scale) -> int:
        return 64 * MiB

    def __init__(self, side: Any, scale: Scale) -> None:
        self.side = side

    def turns(self) -> Iterator[Turn]:
        if hasattr(self.side, "files"):
            remount(self.side)
            yield Turn("W6", self.read, self.contents)

    def read(self, n: int) -> int:
        return sum(len(data) for _, data in self.side.files())

    def contents(self, total: int) -> int:
        found = sorted((path, crc32(data)) for path, data in self.side.files() if "lost+found" not in path)
        return crc32(repr(found).encode(), total)


def remount(side: Any) -> None:
    """Where there is a mount: the side knows nothing of the files any more."""
    if hasattr(side, "mount"):
        side.unmount()
        side.mount()


class Open(Family):
    """An image of 1 GiB with one small file."""

    rows: ClassVar = {
        "W7 mount": Row("mount or open an image of {image}", 3.0, "us each", against="mmap", longest=100e-6),
        "W7 first": Row("from there to a file's first byte", 6.0, "us each", against="mmap"),
    }

    @staticmethod
    def fill(folder: str, scale: Scale) -> None:
        with open(f"{folder}/first", "wb") as file:
            file.write(b"x" * 100)

    @staticmethod
    def image_bytes(scale: Scale) -> int:
        return scale.image

    def __init__(self, side: Any, scale: Scale) -> None:
        self.side = side
        self.path = side.root + "first"

    def turns(self) -> Iterator[Turn]:
        side = self.side
        if hasattr(side, "mount"):
            for _ in range(5):
                side.unmount()
                yield Turn("W7 mount", lambda n: side.mount(), lambda nothing: 0)
                yield Turn("W7 first", self.first, self.byte)
                side.close(self.fd)

    def first(self, n: int) -> bytes:
        self.fd = self.side.open(self.path, O_RDONLY)
        data: bytes = self.side.pread(self.fd, 100 if self.side.whole_files else 1, 0)
        return data

    def byte(self, data: bytes) -> int:
        return data[0]


class Map(Family):
    """A file of 1 GiB, from open() on. In the image it has many runs: an indirect block every 4 MiB."""

    rows: ClassVar = {
        "W8 map": Row("map {huge}", against="mmap", longest=10e-3),
        "W8 one": Row("map {huge} and touch a page", against="mmap", longest=10e-3),
        "W8 all": Row("map {huge} and touch all pages", 1.1, against="mmap"),
    }

    @staticmethod
    def fill(folder: str, scale: Scale) -> None:
        with open(f"{folder}/huge", "wb") as file:
            for i in range(scale.huge // MiB):
                file.write(bytes([i % 255 + 1]) * MiB)

    @staticmethod
    def image_bytes(scale: Scale) -> int:
        return scale.huge + scale.huge // 16 + 16 * MiB

    def __init__(self, side: Any, scale: Scale) -> None:
        self.side = side
        self.size = scale.huge

    def turns(self) -> Iterator[Turn]:
        if hasattr(self.side, "mapped"):
            for row, step in (("W8 map", self.map), ("W8 one", self.one), ("W8 all", self.all)):
                yield Turn(row, step, self.touched)
                del self.array
                self.side.close(self.fd)

    def map(self, n: int) -> Any:
        self.fd = self.side.open(self.side.root + "huge", O_RDONLY)
        self.array: Any = np.frombuffer(self.side.mapped(self.fd), np.uint8)
        return self.array[:1]

    def one(self, n: int) -> Any:
        self.map(n)
        return self.array[self.size // 2:][:1].copy()

    def all(self, n: int) -> Any:
        self.map(n)
        return self.array[::PAGE_SIZE].sum()[None]

    def touched(self, found: Any) -> int:
        return int(found[0])
