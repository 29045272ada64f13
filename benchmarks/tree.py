"""The files that all sides begin with: a folder in memory, and images of it made by the host's mke2fs."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

INODES = 20_480


def memory_folder() -> str:
    """A new folder in memory (where the host has such a thing)."""
    memory = Path("/dev/shm")
    return tempfile.mkdtemp(prefix="xiplab-bench-", dir=memory if memory.is_dir() else None)


class Tree:
    """A folder of files.

    Attributes:
        folder: a side that writes may write here only if it takes a copy.
        size: bytes of an image.
    """

    def __init__(self, fill: Callable[[str], None], size: int) -> None:
        self.place = memory_folder()
        self.folder = f"{self.place}/files"
        self.size = size
        os.mkdir(self.folder)
        fill(self.folder)

    def image_of_kind(self, kind: str) -> str:
        path = f"{self.place}/{kind}.img"
        subprocess.run(["mke2fs", "-q", "-F", "-t", kind, "-b", "4096", "-N", str(INODES), "-d", self.folder,
                        path, f"{self.size >> 10}k"], check=True, capture_output=True)
        return path

    @cached_property
    def ext2(self) -> str:
        """The path of an ext2 image."""
        return self.image_of_kind("ext2")

    @cached_property
    def ext4(self) -> str:
        """The path of an image with extents, for a package that reads nothing else."""
        return self.image_of_kind("ext4")

    def copy_of_folder(self) -> str:
        return shutil.copytree(self.folder, tempfile.mkdtemp(dir=self.place), dirs_exist_ok=True)

    def copy_of_image(self) -> str:
        """The path of a copy of the ext2 image, with holes where the image has them."""
        fd, path = tempfile.mkstemp(dir=self.place)
        os.close(fd)
        subprocess.run(["cp", "--sparse=always", self.ext2, path], check=True)
        return path


@contextmanager
def tree(fill: Callable[[str], None], size: int) -> Iterator[Tree]:
    """Files that are gone afterwards.

    Raises:
        OSError: ENOENT there is no mke2fs.
    """
    if not shutil.which("mke2fs"):
        raise FileNotFoundError(errno.ENOENT, "mke2fs: not found, and the images are made by it (e2fsprogs)")
    planted = Tree(fill, size)
    try:
        yield planted
    finally:
        shutil.rmtree(planted.place)
