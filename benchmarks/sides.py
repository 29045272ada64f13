"""The sides of each workload that need no package: the same calls, by the same names, on the same files.

A side has the methods that it can do, and no others; a workload asks with hasattr().

    open(path, flags) close(fd) pread(fd, n, offset) readinto(fd, buffer, offset)
    pwrite(fd, data, offset) write(fd, data)
    stat(path) listdir(path) unlink(path) mkdir(path) rmdir(path)    size(what stat gave)
    files()               the path and the bytes of every file, found by walking
    mount() unmount()     know nothing of the files before, and after
    mapped(fd)            the whole file without a copy, through the MMU
    renew()               the memory behind the files is not there yet

Every side is made of a Tree, keeps what it writes to itself, and leaves nothing behind after end().
"""

from __future__ import annotations

import mmap
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, ClassVar

from benchmarks.tree import Tree
from xiplab import O_RDONLY, ZVM, GiB, Guest, MiB
from xiplab.host import native
from xiplab.linux.include.fs import File
from xiplab.ondisk import Bytes
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE

ROOM = 512 * MiB
"""Of a guest: its page cache can hold every file."""


class Side:
    """One way to have files.

    Attributes:
        name: heads its column.
        root: what paths begin with.
        clock: seconds spent. Processor time of this thread, where all its work is done there.
        whole_files: it reads files as a whole only.
        shared: several processes can have the same files.
    """

    name: ClassVar[str]
    root: str
    whole_files = False
    shared = True
    clock: Callable[[], float] = staticmethod(time.thread_time)
    open: Callable[..., Any]
    close: Callable[..., Any]
    pread: Callable[..., bytes]
    readinto: Callable[..., int]
    pwrite: Callable[..., Any]
    write: Callable[..., Any]
    stat: Callable[..., Any]
    listdir: Callable[..., Sequence[str]]
    unlink: Callable[..., Any]
    mkdir: Callable[..., Any]
    rmdir: Callable[..., Any]

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    @classmethod
    def missing(cls) -> str:
        """Why this side cannot be had here; empty if it can."""
        return ""

    def end(self) -> None:
        """Give back what the side has taken."""


class Posix(Side):
    """Walks as programs do that have system calls only."""

    @staticmethod
    def size(attributes: Any) -> int:
        return int(attributes.st_size)

    def files(self) -> Iterator[tuple[str, bytes]]:
        return self._below(self.root.rstrip("/"))

    def _below(self, path: str) -> Iterator[tuple[str, bytes]]:
        for name in self.listdir(path):
            where = f"{path}/{name}"
            attributes = self.stat(where)
            if stat.S_ISDIR(attributes.st_mode):
                yield from self._below(where)
            else:
                fd = self.open(where, O_RDONLY)
                yield where[len(self.root):], self.pread(fd, attributes.st_size, 0)
                self.close(fd)


class Tmpfs(Posix):
    """System calls on a folder in memory: what all ratios are to."""

    name = "tmpfs"

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        self.root = tree.copy_of_folder() + "/"
        self.take_calls()

    def take_calls(self) -> None:
        self.open, self.close, self.pread, self.pwrite, self.write = (
            os.open, os.close, os.pread, os.pwrite, os.write)
        self.stat, self.listdir, self.unlink, self.mkdir, self.rmdir = (
            os.stat, os.listdir, os.unlink, os.mkdir, os.rmdir)

    def readinto(self, fd: int, buffer: bytearray, offset: int) -> int:
        return os.preadv(fd, [buffer], offset)

    def renew(self) -> None:
        """The memory of a file on tmpfs is never there before it is written."""


class Mapped(Side):
    """mmap of a file on tmpfs: no system call for each piece, so the copy itself is what is left.

    mount() is what the least of readers must do with an image: map it and look at its superblock.
    """

    name = "mmap"

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        self.root = tree.copy_of_folder() + "/"
        self.views: dict[int, memoryview] = {}
        self.image: mmap.mmap | None = None

    def open(self, path: str, flags: int) -> mmap.mmap:
        fd = os.open(path, os.O_RDWR)
        file = mmap.mmap(fd, 0)
        os.close(fd)
        self.views[id(file)] = memoryview(file)
        return file

    def close(self, file: mmap.mmap) -> None:
        self.views.pop(id(file)).release()
        file.close()

    def pread(self, file: mmap.mmap, nbytes: int, offset: int) -> bytes:
        return file[offset:offset + nbytes]

    def readinto(self, file: mmap.mmap, buffer: bytearray, offset: int) -> int:
        with memoryview(buffer) as target:
            target[:] = self.views[id(file)][offset:offset + len(buffer)]
        return len(buffer)

    def pwrite(self, file: mmap.mmap, data: bytes, offset: int) -> None:
        file[offset:offset + len(data)] = data

    def mapped(self, file: mmap.mmap) -> memoryview:
        return self.views[id(file)]

    def mount(self) -> None:
        fd = os.open(self.tree.ext2, os.O_RDONLY)
        self.image = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        os.close(fd)
        if self.image[1024 + 56:1024 + 58] != b"\x53\xef":
            raise ValueError("no ext2")

    def unmount(self) -> None:
        if self.image:
            self.image.close()


class Kernel(Tmpfs):
    """The kernel's own ext2: an image on tmpfs, by way of a loop device. Needs root.

    Other threads of the kernel work for the loop device, so the clock on the wall counts.
    """

    name = "kernel ext2"
    clock = staticmethod(time.perf_counter)

    def __init__(self, tree: Tree) -> None:
        Side.__init__(self, tree)
        self.place = tempfile.mkdtemp()
        self.root = self.place + "/"
        self.image = tree.copy_of_image()
        self.mount()
        self.take_calls()

    @classmethod
    @cache
    def missing(cls) -> str:
        if os.geteuid():
            return "needs root"
        if not shutil.which("losetup"):
            return "needs losetup"
        made = subprocess.run(["losetup", "--find"], capture_output=True, check=False)
        return "needs a loop device" if made.returncode else ""

    def mount(self) -> None:
        subprocess.run(["mount", "-t", "ext2", "-o", "loop", self.image, self.place], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.place], check=True)

    def mapped(self, fd: int) -> memoryview:
        return memoryview(mmap.mmap(fd, 0, prot=mmap.PROT_READ))

    def renew(self) -> None:
        self.unmount()
        self.image = self.tree.copy_of_image()
        self.mount()

    def end(self) -> None:
        subprocess.run(["umount", "--lazy", self.place], check=True)
        os.rmdir(self.place)


class OnSegment(Posix):
    """A guest with an ext2 of 4 KiB blocks, on a segment whose memory is there already, as CP has it."""

    options: ClassVar[str]
    root = "/mnt/"

    def __init__(self, tree: Tree | None = None, size: int = 0) -> None:
        self.image: str | Bytes = tree.ext2 if tree else mke2fs(size, inodes=32_768)
        self.bytes_of_image = tree.size if tree else size
        self.boot()
        self.vm.segments["BENCH"].mem[::PAGE_SIZE] |= 0

    def boot(self) -> None:
        """A new machine, with the image on a segment."""
        self.vm = ZVM()
        self.vm.segment("BENCH", size=self.bytes_of_image, type="SW", at=GiB)
        self.vm.load("BENCH", self.image)
        self.guest: Guest = self.vm.logon("LINUX1", ROOM)
        self.guest.echo("bench", "/sys/devices/dcssblk/add")
        self.mount()
        guest = self.guest
        self.open, self.close, self.pread, self.pwrite, self.write = (
            guest.open, guest.close, guest.pread, guest.pwrite, guest.write)
        self.stat, self.listdir, self.unlink, self.mkdir, self.rmdir = (
            guest.stat, guest.listdir, guest.unlink, guest.mkdir, guest.rmdir)
        self.readinto = guest.readinto

    def mount(self) -> None:
        self.guest.mount("/dev/dcssblk0", "/mnt", "ext2", self.options)

    def unmount(self) -> None:
        self.guest.umount("/mnt")

    def renew(self) -> None:
        self.end()
        self.boot()

    def end(self) -> None:
        self.guest.logoff()


class Xip(OnSegment):
    """Mounted in place. mapped() goes through the host's MMU."""

    name = "XIP"
    options = "xip"

    def filp(self, fd: int) -> File:
        filp = self.guest.task.files[fd]
        assert filp is not None
        return filp

    def mapped(self, fd: int) -> memoryview:
        return native.map_file(self.filp(fd)).data


class PageCache(OnSegment):
    """Mounted without the option: through copies in the page cache."""

    name = "page cache"
    options = ""


LIMITS: tuple[type[Side], ...] = (Tmpfs, Mapped)
OURS: tuple[type[Side], ...] = (Xip, PageCache)
