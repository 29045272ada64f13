"""What a file system is, in plain Python: a tree of dicts, files as bytearrays, open files as objects.

Model has the system calls that test_ext2_model.py makes, with the results and errnos of Linux v3.6. It
knows neither blocks nor pages of storage; only private mappings copy by the page.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TypeAlias

from xiplab.errors import SIGBUS, Signal
from xiplab.linux.include.mm import MAP_PRIVATE, MAP_SHARED, PROT_WRITE
from xiplab.units import PAGE_SIZE, page_count


def fails(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@dataclass(eq=False)
class RegularFile:
    """A file; `links` names lead to it, perhaps none any more."""

    data: bytearray = field(default_factory=bytearray)
    links: int = 1
    areas: list[Area] = field(default_factory=list)

    def truncate(self, size: int) -> None:
        """Private copies of pages that are gone as a whole go too."""
        self.data[:] = self.data[:size].ljust(size, b"\0")
        for area in self.areas:
            area.copies = {page: copy for page, copy in area.copies.items() if page < page_count(size)}

    def write(self, data: bytes, offset: int) -> int:
        if offset + len(data) > len(self.data):
            self.data.extend(bytes(offset + len(data) - len(self.data)))
        self.data[offset:offset + len(data)] = data
        return len(data)


@dataclass(eq=False)
class Directory:
    names: dict[str, Node] = field(default_factory=dict)

    @property
    def links(self) -> int:
        return 2 + sum(isinstance(node, Directory) for node in self.names.values())


Node: TypeAlias = RegularFile | Directory


@dataclass(eq=False)
class OpenFile:
    file: RegularFile
    flags: int
    position: int = 0

    def readable(self) -> None:
        if self.flags & os.O_ACCMODE == os.O_WRONLY:
            raise fails(errno.EBADF)

    def writable(self, number: int = errno.EBADF) -> None:
        if self.flags & os.O_ACCMODE == os.O_RDONLY:
            raise fails(number)


@dataclass(eq=False)
class Area:
    """A mapping of `length` bytes from the file's page `first` on.

    Attributes:
        copies: of a private mapping, the pages that were stored to.
    """

    file: RegularFile
    length: int
    prot: int
    private: bool
    first: int
    copies: dict[int, bytearray] = field(default_factory=dict)

    def page(self, offset: int) -> int:
        """The file's page at an offset of the area. Raises Signal SIGBUS behind the file's last one."""
        page = self.first + offset // PAGE_SIZE
        if page >= page_count(len(self.file.data)):
            raise Signal(SIGBUS, offset, "behind the end")
        return page


class Model:
    """Files below one directory. Descriptors and mappings have fixed places, as the test's slots."""

    def __init__(self) -> None:
        self.root = Directory()
        self.files: dict[int, OpenFile] = {}
        self.areas: dict[int, Area] = {}

    # paths

    def parent(self, path: str) -> tuple[Directory, str]:
        *folders, name = path.split("/")
        node: Node | None = self.root
        for folder in folders:
            if not isinstance(node, Directory):
                raise fails(errno.ENOTDIR)
            node = node.names.get(folder)
            if node is None:
                raise fails(errno.ENOENT)
        if not isinstance(node, Directory):
            raise fails(errno.ENOTDIR)
        return node, name

    def lookup(self, path: str) -> Node:
        parent, name = self.parent(path)
        if name not in parent.names:
            raise fails(errno.ENOENT)
        return parent.names[name]

    def new(self, path: str, node: Node) -> None:
        parent, name = self.parent(path)
        if name in parent.names:
            raise fails(errno.EEXIST)
        parent.names[name] = node

    def mkdir(self, path: str) -> None:
        self.new(path, Directory())

    def rmdir(self, path: str) -> None:
        node = self.lookup(path)
        if not isinstance(node, Directory):
            raise fails(errno.ENOTDIR)
        if node.names:
            raise fails(errno.ENOTEMPTY)
        self.drop(path)

    def unlink(self, path: str) -> None:
        if isinstance(self.lookup(path), Directory):
            raise fails(errno.EISDIR)
        self.drop(path)

    def drop(self, path: str) -> None:
        parent, name = self.parent(path)
        node = parent.names.pop(name)
        if isinstance(node, RegularFile):
            node.links -= 1

    def link(self, path: str, new: str) -> None:
        node = self.lookup(path)
        parent, name = self.parent(new)
        if name in parent.names:
            raise fails(errno.EEXIST)
        if isinstance(node, Directory):
            raise fails(errno.EPERM)
        parent.names[name] = node
        node.links += 1

    def rename(self, old: str, new: str) -> None:
        source, source_name = self.parent(old)
        target, target_name = self.parent(new)
        node, victim = source.names.get(source_name), target.names.get(target_name)
        if node is None:
            raise fails(errno.ENOENT)
        if new.startswith(f"{old}/"):
            raise fails(errno.EINVAL)
        if old.startswith(f"{new}/"):
            raise fails(errno.ENOTEMPTY)
        if victim is node:
            return
        if victim is not None:
            self.check_victim(node, victim)
            self.drop(new)
        del source.names[source_name]
        target.names[target_name] = node

    def check_victim(self, node: Node, victim: Node) -> None:
        if isinstance(node, Directory) != isinstance(victim, Directory):
            raise fails(errno.ENOTDIR if isinstance(node, Directory) else errno.EISDIR)
        if isinstance(victim, Directory) and victim.names:
            raise fails(errno.ENOTEMPTY)

    def listdir(self, path: str) -> list[str]:
        node = self.lookup(path)
        if not isinstance(node, Directory):
            raise fails(errno.ENOTDIR)
        return sorted(node.names)

    def stat(self, path: str) -> tuple[int, int | None]:
        """Links, and a file's size."""
        node = self.lookup(path)
        return node.links, len(node.data) if isinstance(node, RegularFile) else None

    def truncate(self, path: str, size: int) -> None:
        node = self.lookup(path)
        if isinstance(node, Directory):
            raise fails(errno.EISDIR)
        node.truncate(size)

    # open files

    def open(self, slot: int, path: str, flags: int) -> None:
        self.files.pop(slot, None)
        parent, name = self.parent(path)
        node = parent.names.get(name)
        if node is None and not flags & os.O_CREAT:
            raise fails(errno.ENOENT)
        if node is not None and flags & os.O_CREAT and flags & os.O_EXCL:
            raise fails(errno.EEXIST)
        if isinstance(node, Directory):
            raise fails(errno.EISDIR)
        if node is None:
            node = parent.names[name] = RegularFile()
        if flags & os.O_TRUNC:
            node.truncate(0)
        self.files[slot] = OpenFile(node, flags)

    def opened(self, slot: int) -> OpenFile:
        if slot not in self.files:
            raise fails(errno.EBADF)
        return self.files[slot]

    def close(self, slot: int) -> None:
        self.opened(slot)
        del self.files[slot]

    def pread(self, slot: int, count: int, offset: int) -> bytes:
        opened = self.opened(slot)
        opened.readable()
        return bytes(opened.file.data[offset:offset + count])

    def read(self, slot: int, count: int) -> bytes:
        data = self.pread(slot, count, self.opened(slot).position)
        self.opened(slot).position += len(data)
        return data

    def pwrite(self, slot: int, data: bytes, offset: int) -> int:
        opened = self.opened(slot)
        opened.writable()
        return opened.file.write(data, len(opened.file.data) if opened.flags & os.O_APPEND else offset)

    def write(self, slot: int, data: bytes) -> int:
        opened = self.opened(slot)
        written = self.pwrite(slot, data, opened.position)
        opened.position = len(opened.file.data) if opened.flags & os.O_APPEND else opened.position + written
        return written

    def lseek(self, slot: int, offset: int, whence: int) -> int:
        opened = self.opened(slot)
        base = {os.SEEK_SET: 0, os.SEEK_CUR: opened.position, os.SEEK_END: len(opened.file.data)}[whence]
        if base + offset < 0:
            raise fails(errno.EINVAL)
        opened.position = base + offset
        return opened.position

    def ftruncate(self, slot: int, size: int) -> None:
        opened = self.opened(slot)
        opened.writable(errno.EINVAL)
        opened.file.truncate(size)

    def fstat(self, slot: int) -> tuple[int, int]:
        file = self.opened(slot).file
        return file.links, len(file.data)

    # memory

    def mmap(self, area: int, slot: int, pages: int, prot: int, flags: int, first: int) -> None:
        self.munmap(area)
        opened = self.opened(slot)
        if opened.flags & os.O_ACCMODE == os.O_WRONLY:
            raise fails(errno.EACCES)
        if flags == MAP_SHARED and prot & PROT_WRITE:
            opened.writable(errno.EACCES)
        self.areas[area] = Area(opened.file, pages * PAGE_SIZE, prot, flags == MAP_PRIVATE, first)
        opened.file.areas.append(self.areas[area])

    def munmap(self, area: int) -> None:
        if area in self.areas:
            self.areas[area].file.areas.remove(self.areas[area])
            del self.areas[area]

    def load(self, slot: int, offset: int) -> int | None:
        """One byte; behind the end of the file, in its last page, it is nobody's."""
        area = self.areas[slot]
        page = area.page(offset)
        at = page * PAGE_SIZE + offset % PAGE_SIZE
        if at >= len(area.file.data):
            return None
        copy = area.copies.get(page)
        return area.file.data[at] if copy is None else copy[offset % PAGE_SIZE]

    def store(self, slot: int, offset: int, value: int) -> None:
        """The same way; what is nobody's is not stored."""
        area = self.areas[slot]
        page = area.page(offset)
        start = page * PAGE_SIZE
        if start + offset % PAGE_SIZE >= len(area.file.data):
            return
        if area.private:
            whole = area.file.data[start:start + PAGE_SIZE].ljust(PAGE_SIZE, b"\0")
            area.copies.setdefault(page, whole)[offset % PAGE_SIZE] = value
        else:
            area.file.data[start + offset % PAGE_SIZE] = value

    def remount(self) -> None:
        """Nothing is open or mapped then."""
        for area in list(self.areas):
            self.munmap(area)
        self.files.clear()

    def sync(self) -> None:
        """It is all there."""
