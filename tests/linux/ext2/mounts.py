"""A guest with an ext2 mounted on /mnt, on a segment or on an ordinary disk, and the oracles for it."""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from xiplab import ZVM, Guest
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.drivers.brd import brd_init
from xiplab.linux.fs.ext2.ext2 import EXT2_SB, Ext2SbInfo
from xiplab.linux.include.blkdev import READ, WRITE, BlockDevice
from xiplab.linux.include.fs import AddressSpace, Inode, SuperBlock
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SIZE, MiB, bytes_to_sectors

needs_e2fsprogs = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("mke2fs", "e2fsck", "debugfs")),
    reason="e2fsprogs is not installed")

Tree = dict[str, tuple[object, ...]]


def ticking(start: int = 1_700_000_000, step: int = 1) -> Callable[[], int]:
    """A clock that is `step` seconds later at each look."""
    seconds = itertools.count(start, step)
    return lambda: next(seconds) * 1_000_000_000


@dataclass
class Mounted:
    """A guest with /dev/<device>, whose bytes `image()` gives, perhaps mounted on /mnt."""

    guest: Guest
    device: str
    image: Callable[[], bytes] = field(repr=False)

    def mount(self, options: str = "") -> SuperBlock:
        self.guest.mount(f"/dev/{self.device}", "/mnt", "ext2", options)
        return self.sb

    @property
    def sb(self) -> SuperBlock:
        return self.guest.kernel.super_blocks[-1]

    @property
    def info(self) -> Ext2SbInfo:
        return EXT2_SB(self.sb)

    def remount(self, options: str = "") -> None:
        self.guest.mount(f"/dev/{self.device}", "/mnt", "ext2", f"remount,{options}")

    def inode(self, path: str) -> Inode:
        """The inode of a path below /mnt."""
        return self.guest._inode(path, follow=False)

    def mapping(self, path: str) -> AddressSpace:
        return self.inode(path).i_mapping

    def synced(self) -> bytes:
        self.guest.sync()
        return self.image()


def on_segment(image: bytes, *, clock: Callable[[], int] | None = None, storage: int = 64 * MiB,
               type: str = "SW") -> Mounted:
    """The image in a segment, as /dev/dcssblk0."""
    vm = ZVM()
    size = -(-len(image) // MiB) * MiB
    vm.segment("SEG", size=size, type=type, at=0x20000000)
    vm.load("SEG", image)
    guest = vm.logon("LINUX1", storage, clock=clock)
    guest.echo("seg", "/sys/devices/dcssblk/add")
    return Mounted(guest, "dcssblk0", lambda: bytes(vm.segments["SEG"].mem[:len(image)]))


def on_disk(image: bytes, *, clock: Callable[[], int] | None = None, storage: int = 64 * MiB) -> Mounted:
    """The image on an ordinary disk, /dev/sda."""
    guest = ZVM().logon("LINUX1", storage, clock=clock)
    disk = guest.add_disk("sda", image)
    return Mounted(guest, "sda", lambda: bytes(disk.private_data.platter))


def on_ramdisk(image: bytes, *, clock: Callable[[], int] | None = None) -> Mounted:
    """The image in a ramdisk, /dev/ram0: direct access, and logical blocks of 512 bytes."""
    guest = ZVM().logon("LINUX1", clock=clock)
    brd_init(guest.kernel, rd_nr=1, rd_size=len(image) // 1024)
    bdev = guest.kernel.block_devices["ram0"]
    _move(WRITE, bdev, np.frombuffer(image, np.uint8))
    return Mounted(guest, "ram0", lambda: _move(READ, bdev, np.empty(bdev.bd_size, np.uint8)))


def _move(rw: int, bdev: BlockDevice, memory: Bytes) -> bytes:
    for start in range(0, len(memory), PAGE_SIZE):
        transfer(rw, bdev, bytes_to_sectors(start), memory[start:start + PAGE_SIZE])
    return memory.tobytes()


PLACES = {"xip": (on_segment, "xip"), "page cache": (on_disk, "")}
"""The two ways to reach a file's data: in place on a segment, and through copies on a disk."""


def real_mke2fs(folder: Path, size: int, *options: str, tree: Path | None = None) -> bytes:
    """An image by the real mke2fs, with the files of the folder `tree`."""
    path = folder / "made.img"
    path.unlink(missing_ok=True)
    source = ["-d", str(tree)] if tree else []
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext2", *options, *source, path, f"{size // 1024}k"],
                   check=True, capture_output=True, timeout=60)
    return path.read_bytes()


def e2fsck(image: bytes, folder: Path) -> tuple[int, str]:
    """Exit status and output of `e2fsck -fn`; status 0 is clean."""
    path = folder / "checked.img"
    path.write_bytes(image)
    done = subprocess.run(["e2fsck", "-fn", path], capture_output=True, check=False, timeout=120)
    return done.returncode, done.stdout.decode(errors="replace")


def assert_clean(image: bytes, folder: Path) -> None:
    """The real e2fsck finds nothing wrong."""
    status, output = e2fsck(image, folder)

    assert status == 0, output


def debugfs(image: bytes, folder: Path, request: str) -> str:
    path = folder / "asked.img"
    path.write_bytes(image)
    done = subprocess.run(["debugfs", "-R", request, path], capture_output=True, check=True, timeout=60)
    return done.stdout.decode(errors="replace")


def host_tree(root: Path) -> Tree:
    """Kind, mode, links and contents of all files below a folder of this computer.

    Not rglob: in some versions of Python it fails at a link whose target is a name too long to be.
    """
    found: Tree = {}
    names = (Path(folder, name) for folder, folders, files in os.walk(root) for name in folders + files)
    for path in sorted(names):
        st = path.lstat()
        contents = _contents(st.st_mode, path.read_bytes, lambda path=path: os.readlink(path))
        found[str(path.relative_to(root))] = (st.st_mode, *contents)
    return found


def guest_tree(guest: Guest, root: str = "/mnt") -> Tree:
    """The same of a folder of the guest."""
    found: Tree = {}
    todo = [""]
    while todo:
        folder = todo.pop()
        for name in guest.listdir(f"{root}/{folder}"):
            path = f"{folder}/{name}".lstrip("/")
            full = f"{root}/{path}"
            st = guest.lstat(full)
            found[path] = (st.st_mode, *_contents(st.st_mode, lambda full=full: guest.cat(full),
                                                  lambda full=full: guest.readlink(full)))
            if stat.S_ISDIR(st.st_mode):
                todo.append(path)
    return dict(sorted(found.items()))


def _contents(mode: int, read: Callable[[], bytes], readlink: Callable[[], str]) -> tuple[object, ...]:
    if stat.S_ISREG(mode):
        return (read(),)
    return (readlink(),) if stat.S_ISLNK(mode) else ()
