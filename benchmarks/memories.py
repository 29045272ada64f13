"""Packages that keep files in Python's memory. They have no image, and none is needed by xiplab.

Files are opened as their documentation shows, with the buffers that this brings.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

from benchmarks.readers import Package
from benchmarks.sides import Side
from benchmarks.tree import Tree
from xiplab import O_CREAT, O_RDWR, O_WRONLY

MODES = {O_CREAT | O_WRONLY: "wb", O_RDWR: "r+b"}
"""By the flags of open(); without any: rb."""


class Memory(Package):
    """Begins with the files of the tree; handles are Python files."""

    root = "/bench/"

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        self.begin(self.library())
        for name in os.listdir(tree.folder):
            path = f"{tree.folder}/{name}"
            if os.path.isfile(path):
                with open(path, "rb") as source:
                    target = self.open(self.root + name, O_CREAT | O_WRONLY)
                    target.write(source.read())
                    target.close()

    def begin(self, package: Any) -> None:
        """An empty file system with the folder `root`."""
        raise NotImplementedError

    def open(self, path: str, flags: int) -> Any:
        raise NotImplementedError

    def close(self, file: Any) -> None:
        file.close()

    def pread(self, file: Any, nbytes: int, offset: int) -> bytes:
        file.seek(offset)
        data: bytes = file.read(nbytes)
        return data

    def readinto(self, file: Any, buffer: bytearray, offset: int) -> int:
        file.seek(offset)
        return int(file.readinto(buffer))

    def pwrite(self, file: Any, data: bytes, offset: int) -> None:
        file.seek(offset)
        file.write(data)

    def write(self, file: Any, data: bytes) -> None:
        file.write(data)


class Pyfakefs(Memory):
    """pyfakefs (Apache 2): what `open` and `os` are in a test that uses it; nothing here is patched."""

    name = distribution = "pyfakefs"
    module = "pyfakefs.fake_filesystem"

    def begin(self, package: Any) -> None:
        filesystem = package.FakeFilesystem(path_separator="/")
        self.fake_open = package.FakeFileOpen(filesystem)
        self.os = package.FakeOsModule(filesystem)
        self.os.mkdir(self.root)
        self.stat, self.listdir, self.unlink, self.mkdir, self.rmdir = (
            self.os.stat, self.os.listdir, self.os.unlink, self.os.mkdir, self.os.rmdir)

    def open(self, path: str, flags: int) -> Any:
        return self.fake_open(path, MODES.get(flags, "rb"))

    @staticmethod
    def size(attributes: Any) -> int:
        return int(attributes.st_size)


class Fs(Memory):
    """fs (PyFilesystem2, MIT): `MemoryFS` with `openbin` and `getinfo`.

    It needs pkg_resources, which new versions of setuptools lack, so it is not in the group `bench`.
    """

    name = distribution = "fs"
    module = "fs.memoryfs"

    @classmethod
    def missing(cls) -> str:
        try:
            return super().missing()
        except ImportError as problem:
            return f"installed, but {problem.msg}"

    def begin(self, package: Any) -> None:
        self.fs = package.MemoryFS()
        self.mkdir, self.rmdir, self.listdir, self.unlink = (
            self.fs.makedir, self.fs.removedir, self.fs.listdir, self.fs.remove)
        self.mkdir(self.root)

    def open(self, path: str, flags: int) -> Any:
        return self.fs.openbin(path, MODES.get(flags, "rb").replace("b", ""))

    def stat(self, path: str) -> Any:
        return self.fs.getinfo(path, ("details",))

    @staticmethod
    def size(info: Any) -> int:
        return int(info.size)


class Fsspec(Memory):
    """fsspec (BSD): its `memory` file system with `open` and `info`. The store is one for the process."""

    name = distribution = "fsspec"
    module = "fsspec.implementations.memory"

    def begin(self, package: Any) -> None:
        self.fs = package.MemoryFileSystem()
        self.mkdir, self.rmdir, self.stat, self.unlink = (
            self.fs.mkdir, self.fs.rmdir, self.fs.info, self.fs.rm_file)
        self.mkdir(self.root)

    def open(self, path: str, flags: int) -> io.BytesIO:
        file: io.BytesIO = self.fs.open(path, MODES.get(flags, "rb"))
        return file

    def listdir(self, path: str) -> Sequence[str]:
        return [str(found["name"]).rpartition("/")[2] for found in self.fs.ls(path)]

    @staticmethod
    def size(info: Any) -> int:
        return int(info["size"])

    def end(self) -> None:
        self.fs.rm(self.root, recursive=True)


MEMORIES: tuple[type[Side], ...] = (Pyfakefs, Fs, Fsspec)
