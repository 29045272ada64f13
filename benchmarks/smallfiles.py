"""Many small files, made, looked at and deleted (W5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from zlib import crc32

from benchmarks.bigfile import PIECE
from benchmarks.workload import Family, Row, Scale, Turn
from xiplab import O_CREAT, O_RDONLY, O_WRONLY

CONTENT = PIECE[:512]
REPEATS = 5
"""Directories are few and their calls short, so that they are measured more than once in a round."""


class SmallFiles(Family):
    """Files of 512 bytes, each directory with as many as another."""

    rows: ClassVar = {
        "W5 mkdir": Row("make {directories} directories", 3.0, "us each"),
        "W5 create": Row("{files} files of 512 bytes", 1.5, "us each"),
        "W5 stat": Row("stat them", 0.8, "us each"),
        "W5 list": Row("list the directories", 0.5, "us each"),
        "W5 delete": Row("delete the files", 1.0, "us each"),
        "W5 rmdir": Row("remove the directories", 5.0, "us each"),
    }

    @staticmethod
    def fill(folder: str, scale: Scale) -> None:
        """No files."""

    @staticmethod
    def image_bytes(scale: Scale) -> int:
        """Large: in few block groups the kernel looks for a free block long, the longer the more files."""
        return scale.image

    def __init__(self, side: Any, scale: Scale) -> None:
        self.side = side
        self.directories = [f"{side.root}d{i}" for i in range(scale.directories)]
        self.names = [f"{side.root}d{i % scale.directories}/file{i}" for i in range(scale.files)]

    def turns(self) -> Iterator[Turn]:
        side, directories = self.side, self.directories
        if not hasattr(side, "mkdir"):
            return
        for _ in range(REPEATS - 1):
            yield self.whole("W5 mkdir", self.each(side.mkdir, directories), self.directories_left)
            yield self.whole("W5 rmdir", self.each(side.rmdir, directories), self.directories_left)
        yield self.whole("W5 mkdir", self.each(side.mkdir, directories), self.directories_left)
        yield Turn("W5 create", self.create, self.content, len(self.names), len(self.names))
        yield Turn("W5 stat", self.each(side.stat, self.names), self.sizes, len(self.names))
        for _ in range(REPEATS):
            yield Turn("W5 list", self.each(side.listdir, directories), self.listed, len(directories))
        yield Turn("W5 delete", self.each(side.unlink, self.names), self.files_left, len(self.names),
                   len(self.names))
        yield self.whole("W5 rmdir", self.each(side.rmdir, directories), self.directories_left)

    def whole(self, row: str, step: Callable[[int], int], check: Callable[[int], int]) -> Turn:
        return Turn(row, step, check, len(self.directories), len(self.directories))

    @staticmethod
    def each(call: Callable[[str], object], paths: list[str]) -> Callable[[int], int]:
        def step(n: int) -> int:
            for path in paths[:n]:
                call(path)
            return n
        return step

    def create(self, n: int) -> int:
        side = self.side
        opens, write, close = side.open, side.write, side.close
        for name in self.names[:n]:
            fd = opens(name, O_CREAT | O_WRONLY)
            write(fd, CONTENT)
            close(fd)
        return n

    def content(self, n: int) -> int:
        crc = 0
        for name in self.names[:n]:
            fd = self.side.open(name, O_RDONLY)
            crc = crc32(self.side.pread(fd, 2 * len(CONTENT), 0), crc)
            self.side.close(fd)
        return crc

    def sizes(self, n: int) -> int:
        return sum(self.side.size(self.side.stat(name)) for name in self.names[:n])

    def listed(self, n: int) -> int:
        return crc32(repr([sorted(self.side.listdir(path)) for path in self.directories[:n]]).encode())

    def files_left(self, n: int) -> int:
        return sum(len(self.side.listdir(path)) for path in self.directories)

    def directories_left(self, n: int) -> int:
        names = self.side.listdir(self.side.root.rstrip("/") or "/")
        return sum(name.startswith("d") for name in names)
