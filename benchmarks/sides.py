"""The two sides of each workload: system calls on tmpfs, and a guest on a segment. Same calls, same names."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from xiplab import ZVM, GiB, Guest, MiB
from xiplab.tools.mke2fs import mke2fs


def memory_folder() -> str:
    """A new folder in memory (where the host has such a thing)."""
    memory = Path("/dev/shm")
    return tempfile.mkdtemp(dir=memory if memory.is_dir() else None)


class Tmpfs:
    """System calls on a folder in memory."""

    def __init__(self, root: str | None = None) -> None:
        self.root = (root or memory_folder()) + "/"
        self.open, self.close, self.pread, self.pwrite, self.write = (
            os.open, os.close, os.pread, os.pwrite, os.write)
        self.stat, self.listdir, self.unlink, self.mkdir, self.rmdir = (
            os.stat, os.listdir, os.unlink, os.mkdir, os.rmdir)

    def readinto(self, fd: int, buffer: bytearray, offset: int) -> int:
        return os.preadv(fd, [buffer], offset)

    def end(self) -> None:
        shutil.rmtree(self.root)


class Xip:
    """A guest with an ext2 of 4 KiB blocks mounted in place, from a segment whose memory is there already.

    Args:
        image: the path of a file with the file system; None: a new one of `size` bytes.
    """

    def __init__(self, image: str | None = None, options: str = "xip", size: int = 512 * MiB) -> None:
        size = os.path.getsize(image) if image else size
        self.vm = ZVM()
        self.vm.segment("BENCH", size=size, type="SW", at=GiB)
        self.vm.load("BENCH", image or mke2fs(size, inodes=32_768))
        self.vm.segments["BENCH"].mem[::4096] |= 0
        self.options = options
        self.root = "/mnt/"
        self.guest: Guest = self.logon("LINUX1")
        self.guest.mount("/dev/dcssblk0", "/mnt", "ext2", options)
        guest = self.guest
        self.open, self.close, self.pread, self.pwrite, self.write = (
            guest.open, guest.close, guest.pread, guest.pwrite, guest.write)
        self.stat, self.listdir, self.unlink, self.mkdir, self.rmdir = (
            guest.stat, guest.listdir, guest.unlink, guest.mkdir, guest.rmdir)
        self.readinto = guest.readinto

    def logon(self, name: str) -> Guest:
        """A guest that has the segment as /dev/dcssblk0."""
        guest = self.vm.logon(name)
        guest.echo("bench", "/sys/devices/dcssblk/add")
        return guest

    def remount(self) -> None:
        """Unmount and mount again: nothing is known of the file system any more."""
        self.guest.umount("/mnt")
        self.guest.mount("/dev/dcssblk0", "/mnt", "ext2", self.options)

    def end(self) -> None:
        self.guest.logoff()


Side = Tmpfs | Xip


def made_by_mke2fs(folder: str, size: int) -> str:
    """The path of an image of `size` bytes that holds the files of `folder`, by the host's mke2fs."""
    fd, image = tempfile.mkstemp(dir=os.path.dirname(folder))
    os.close(fd)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext2", "-b", "4096", "-d", folder, image, f"{size >> 10}k"],
                   check=True)
    return image
