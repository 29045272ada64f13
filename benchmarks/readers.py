"""Packages for Python that read ext2 images. None of them writes, and none is needed by xiplab.

Each is used as its own documentation shows, by the shortest way to the bytes: which calls, and why these, is
said at each side. All read the image from a file on tmpfs that is opened without a buffer.
"""

from __future__ import annotations

import stat
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO, ClassVar

from benchmarks.sides import Side
from benchmarks.tree import Tree

DIRECTORY = 2
"""The type of a directory's entry that is a directory."""


class Package(Side):
    """A side that may be absent.

    Attributes:
        module: what is imported; the first word is looked for.
        distribution: what pip calls it.
    """

    module: ClassVar[str]
    distribution: ClassVar[str]
    root = "/"
    shared = False

    @classmethod
    def missing(cls) -> str:
        try:
            found = find_spec(cls.module)
        except ModuleNotFoundError:
            found = None
        return "" if found else "not installed"

    def library(self) -> Any:
        """The package; what it warns of is not about us."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module(self.module)


class Reader(Package):
    """Opens the image in mount(), once at the beginning too."""

    file: BinaryIO
    volume: Any

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        self.package = self.library()
        self.mount()

    def mount(self) -> None:
        self.file = open(self.tree.ext2, "rb", buffering=0)  # noqa: SIM115
        self.volume = self.opened()

    def opened(self) -> Any:
        raise NotImplementedError

    def unmount(self) -> None:
        self.file.close()

    def close(self, file: Any) -> None:
        """Most have nothing to close."""

    def end(self) -> None:
        self.unmount()


class Ext2py(Reader):
    """ext2py (MIT, Python): `read_file` and `walk`. It has no file handle, so no random reads."""

    name = distribution = module = "ext2py"
    whole_files = True

    def opened(self) -> Any:
        return self.package.ExtFS(self.file)

    def open(self, path: str, flags: int) -> str:
        return path

    def pread(self, path: str, nbytes: int, offset: int) -> bytes:
        data: bytes = self.volume.read_file(path)
        return data

    def files(self) -> Iterator[tuple[str, bytes]]:
        for folder, _, names in self.volume.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                yield path[1:], self.volume.read_file(path)


class Dissect(Reader):
    """dissect.extfs (AGPL-3, Python): `get`, `iterdir` and the stream of `open`, which has readinto.

    Walking takes the entries that iterdir gives, so no path is looked up twice.
    """

    name, distribution, module = "dissect", "dissect.extfs", "dissect.extfs"

    def opened(self) -> Any:
        return self.package.ExtFS(self.file)

    def open(self, path: str, flags: int) -> Any:
        return self.volume.get(path).open()

    def pread(self, stream: Any, nbytes: int, offset: int) -> bytes:
        stream.seek(offset)
        data: bytes = stream.read(nbytes)
        return data

    def readinto(self, stream: Any, buffer: bytearray, offset: int) -> int:
        stream.seek(offset)
        return int(stream.readinto(buffer))

    def files(self) -> Iterator[tuple[str, bytes]]:
        return self._below("", self.volume.root)

    def _below(self, path: str, folder: Any) -> Iterator[tuple[str, bytes]]:
        for entry in folder.iterdir():
            if entry.filename in (".", ".."):
                continue
            where = f"{path}{entry.filename}"
            if stat.S_ISDIR(entry.inode.i_mode):
                yield from self._below(where + "/", entry)
            else:
                yield where, entry.open().read()


class Ext4(Reader):
    """ext4 (MIT, compiled Python): `inode_at`, `opendir` and the stream of `open`.

    It reads files with extents only: in an ext2 image it finds nothing. So it has the same files in an ext4
    image. It wants the image opened with a buffer. It pins packages that Jupyter uses too, so it is not in
    the group `bench`.
    """

    name = distribution = module = "ext4"

    def mount(self) -> None:
        self.file = open(self.tree.ext4, "rb")  # noqa: SIM115
        self.volume = self.opened()

    def opened(self) -> Any:
        return self.package.Volume(self.file)

    def open(self, path: str, flags: int) -> Any:
        return self.volume.inode_at(path).open()

    def pread(self, stream: Any, nbytes: int, offset: int) -> bytes:
        stream.seek(offset)
        return bytes(stream.read(nbytes))

    def files(self) -> Iterator[tuple[str, bytes]]:
        return self._below("", self.volume.root)

    def _below(self, path: str, folder: Any) -> Iterator[tuple[str, bytes]]:
        for entry, kind in folder.opendir():
            name = entry.name_str
            if name in (".", ".."):
                continue
            inode = self.volume.inodes[entry.inode]
            if kind == DIRECTORY:
                yield from self._below(f"{path}{name}/", inode)
            else:
                yield f"{path}{name}", bytes(inode.open().read())


class Libfsext(Reader):
    """libfsext (LGPL-3, C): `get_file_entry_by_path`, `read_buffer_at_offset`, `sub_file_entries`.

    It opens the image by its name, which is the quicker of its two ways.
    """

    name, distribution, module = "libfsext", "libfsext-python", "pyfsext"

    def opened(self) -> Any:
        volume = self.package.volume()
        volume.open(self.tree.ext2)
        return volume

    def unmount(self) -> None:
        super().unmount()
        self.volume.close()

    def open(self, path: str, flags: int) -> Any:
        return self.volume.get_file_entry_by_path(path)

    def pread(self, entry: Any, nbytes: int, offset: int) -> bytes:
        data: bytes = entry.read_buffer_at_offset(nbytes, offset)
        return data

    def files(self) -> Iterator[tuple[str, bytes]]:
        return self._below("", self.volume.root_directory)

    def _below(self, path: str, folder: Any) -> Iterator[tuple[str, bytes]]:
        for entry in folder.sub_file_entries:
            where = f"{path}{entry.name}"
            if stat.S_ISDIR(entry.file_mode):
                yield from self._below(where + "/", entry)
            else:
                yield where, entry.read_buffer_at_offset(entry.size, 0) if entry.size else b""


class Pytsk3(Reader):
    """pytsk3 (Apache 2, the Sleuth Kit in C): `Img_Info` by the image's name, `open`, `read_random`.

    Walking takes `as_directory` of the entries, so no path is looked up twice.
    """

    name = distribution = module = "pytsk3"

    def opened(self) -> Any:
        self.image = self.package.Img_Info(self.tree.ext2)
        return self.package.FS_Info(self.image)

    def unmount(self) -> None:
        super().unmount()
        self.image.close()

    def open(self, path: str, flags: int) -> Any:
        return self.volume.open(path)

    def pread(self, file: Any, nbytes: int, offset: int) -> bytes:
        data: bytes = file.read_random(offset, nbytes)
        return data

    def files(self) -> Iterator[tuple[str, bytes]]:
        return self._below("", self.volume.open_dir("/"))

    def _below(self, path: str, folder: Any) -> Iterator[tuple[str, bytes]]:
        kind_of_directory = self.package.TSK_FS_META_TYPE_DIR
        for entry in folder:
            name, meta = entry.info.name.name.decode(), entry.info.meta
            if name in (".", "..", "$OrphanFiles"):
                continue
            if meta.type == kind_of_directory:
                yield from self._below(f"{path}{name}/", entry.as_directory())
            else:
                yield f"{path}{name}", entry.read_random(0, meta.size) if meta.size else b""


READERS: tuple[type[Side], ...] = (Ext2py, Dissect, Ext4, Libfsext, Pytsk3)
