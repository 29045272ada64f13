"""One large file: read, overwritten, created (W1 to W4)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from zlib import crc32

from benchmarks.workload import Family, Row, Scale, Turn
from xiplab import O_CREAT, O_RDWR, O_WRONLY, MiB
from xiplab.units import PAGE_SIZE

PIECE = random.Random(1).randbytes(MiB)
PAGE = random.Random(4).randbytes(PAGE_SIZE)




class BigFile(Family):
    """A file of 64 MiB that is there already."""

    rows: ClassVar = {
        "W1a": Row("read {big}, fresh bytes", 1.0),
        "W1b": Row("read {big} into a buffer", 0.6),
        "W2": Row("random 4 KiB reads", 1.0, "us each"),
        "W2v": Row("random 4 KiB views of a native mapping", 3.5, "us each", against="mmap"),
        "W3": Row("random 4 KiB overwrites", 1.0, "us each"),
    }

    @staticmethod
    def fill(folder: str, scale: Scale) -> None:
        with open(f"{folder}/big", "wb") as file:
            for _ in range(scale.big // MiB):
                file.write(PIECE)

    @staticmethod
    def image_bytes(scale: Scale) -> int:
        return 2 * scale.big + 16 * MiB

    def __init__(self, side: Any, scale: Scale) -> None:
        self.side = side
        self.size = scale.big
        self.buffer = bytearray(scale.big)
        source = random.Random(2)
        self.offsets = [source.randrange(0, scale.big, PAGE_SIZE) for _ in range(scale.operations)]

    def turns(self) -> Iterator[Turn]:
        side, count = self.side, len(self.offsets)
        self.fd = fd = side.open(side.root + "big", O_RDWR)
        yield Turn("W1a", lambda n: side.pread(fd, self.size, 0), crc32)
        if hasattr(side, "readinto"):
            yield Turn("W1b", lambda n: side.readinto(fd, self.buffer, 0), lambda n: crc32(self.buffer, n))
        if not side.whole_files:
            yield Turn("W2", self.read, crc32, count)
        if hasattr(side, "mapped"):
            self.mapped = side.mapped(fd)
            yield Turn("W2v", self.slice, crc32, count)
            del self.mapped
        if hasattr(side, "pwrite"):
            yield Turn("W3", self.overwrite, self.written, count)
        side.close(fd)

    def read(self, n: int) -> bytes:
        pread, fd, data = self.side.pread, self.fd, b""
        for offset in self.offsets[:n]:
            data = pread(fd, PAGE_SIZE, offset)
        return data

    def slice(self, n: int) -> Any:
        mapped = self.mapped
        found = mapped[:0]
        for offset in self.offsets[:n]:
            found = mapped[offset:offset + PAGE_SIZE]
        return found

    def overwrite(self, n: int) -> int:
        pwrite, fd = self.side.pwrite, self.fd
        for offset in self.offsets[:n]:
            pwrite(fd, PAGE, offset)
        return n

    def written(self, n: int) -> int:
        return crc32(b"".join(self.side.pread(self.fd, PAGE_SIZE, offset) for offset in self.offsets[:n]))


class Create(Family):
    """A file of 64 MiB that is made; the one of the round before is deleted first.

    A side without the time for all of it makes a smaller one, and is shown as that quick.
    """

    rows: ClassVar = {
        "W4a": Row("create {big}, each write of 1 MiB", 0.5, "us each"),
        "W4b": Row("create {big}, each write of 4 KiB", 1.0, "us each"),
    }

    @staticmethod
    def fill(folder: str, scale: Scale) -> None:
        """No files."""

    @staticmethod
    def image_bytes(scale: Scale) -> int:
        return BigFile.image_bytes(scale)

    def __init__(self, side: Any, scale: Scale) -> None:
        self.side = side
        self.size = scale.big

    def turns(self) -> Iterator[Turn]:
        if hasattr(self.side, "write"):
            for row, chunk in zip(self.rows, (MiB, PAGE_SIZE), strict=True):
                self.before()
                yield Turn(row, self.step(PIECE[:chunk]), self.written, self.size // chunk)
                self.side.unlink(self.side.root + "new")

    def before(self) -> None:
        """The memory is there that the last file had."""

    def step(self, piece: bytes) -> Callable[[int], None]:
        side = self.side

        def create(n: int) -> None:
            fd = side.open(side.root + "new", O_CREAT | O_WRONLY)
            write = side.write
            for _ in range(n):
                write(fd, piece)
            side.close(fd)
        return create

    def written(self, nothing: None) -> int:
        fd = self.side.open(self.side.root + "new", O_RDWR)
        crc = crc32(self.side.pread(fd, self.size, 0))
        self.side.close(fd)
        return crc


class FirstTouch(Create):
    """The same where the memory behind the files is not there yet, as it never is on tmpfs."""

    rows: ClassVar = {
        "W4a lazy": Row("1 MiB writes to memory never touched", 2.0, "us each"),
        "W4b lazy": Row("4 KiB writes to memory never touched", 2.2, "us each"),
    }

    def turns(self) -> Iterator[Turn]:
        if hasattr(self.side, "renew"):
            yield from super().turns()

    def before(self) -> None:
        self.side.renew()
