"""The machines on which the questions of exercise 05 play.

    FileInPlace             a segment with a fresh file system, and one file with single pages written
    mount                   a file system on one of three devices, with or without xip, through a function
                            that says which block sizes will do
    ext2_get_blocks_3_13    as it was before it was mended: who asked for 0 blocks got all of them
    through, mounts         what the pictures of the exercise's notebook show
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial, wraps
from html import escape
from typing import TypeAlias

import numpy as np

from xiplab.course.trial import is_stub, trial
from xiplab.guest import ZVM, Guest
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.drivers.brd import brd_init
from xiplab.linux.fs.block_dev import bdev_direct_access
from xiplab.linux.fs.buffer import sb_bread
from xiplab.linux.fs.ext2.balloc import ext2_new_blocks
from xiplab.linux.fs.ext2.ext2 import EXT2_I
from xiplab.linux.fs.ext2.indirect import ext2_get_blocks, pointers_of
from xiplab.linux.fs.ext2.super import ext2_fill_super
from xiplab.linux.fs.ext2.xip import ext2_get_xip_mem
from xiplab.linux.include.blkdev import WRITE
from xiplab.linux.include.fs import O_CREAT, O_RDWR, AddressSpace, FileSystemType, Inode, SuperBlock
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, KiB, MiB, Pfn, Pgoff, block_to_sector, bytes_to_sectors, paddr_to_pfn

SEGMENT = "SHLIB"
DISK = "dcssblk0"
FILE = "/mnt/file"
STALE = 0xEE
"""What free blocks are full of: what a deleted file has left."""

BlockSizeOf: TypeAlias = Callable[[SuperBlock, bool], int]
DEVICES = ("segment", "ramdisk", "disk")
"""With direct_access and logical blocks of 4,096 bytes; the same with 512; without direct_access."""


class FileInPlace:
    """One guest, one segment, one file, mounted with xip to read and write.

    Attributes:
        segment: the bytes. guest, fd: who has opened the file. first_frame: the segment's.
    """

    def __init__(self, at: int = 0x10000000, size: int = MiB) -> None:
        vm = ZVM()
        storage = vm.segment(SEGMENT, size=size, type="SW", at=at)
        vm.load(SEGMENT, mke2fs(size))
        self.segment = storage.mem
        self.first_frame: Pfn = paddr_to_pfn(storage.start)
        self.guest = vm.logon("LINUX1", clock=lambda: 0)
        self.guest.echo(SEGMENT.lower(), "/sys/devices/dcssblk/add")
        self.guest.mount(f"/dev/{DISK}", "/mnt", "ext2", "xip")
        self.fd = self.guest.open(FILE, O_RDWR | O_CREAT)
        filp = self.guest.task.files[self.fd]
        assert filp is not None
        self.inode, self.mapping = filp.f_inode, filp.f_mapping
        for block in self.free():
            self.segment[block * PAGE_SIZE:(block + 1) * PAGE_SIZE] = STALE

    def free(self) -> range:
        """The free blocks: they lie in a row behind the used ones of a fresh file system."""
        total = len(self.segment) // PAGE_SIZE
        return range(total - self.free_blocks, total)

    @property
    def i_data(self) -> list[int]:
        return EXT2_I(self.inode).i_data

    @property
    def free_blocks(self) -> int:
        return self.guest.statfs("/mnt").f_bfree

    def pointers(self, block: int) -> dict[int, int]:
        """The slots of an indirect block that are not 0."""
        row: list[int] = pointers_of(sb_bread(self.inode.i_sb, block)).tolist()
        return {slot: pointer for slot, pointer in enumerate(row) if pointer}

    def write(self, page: int, text: bytes = b"x") -> None:
        self.guest.pwrite(self.fd, text, page * PAGE_SIZE)

    def get_xip_mem(self, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
        """What the model answers, whatever stands in the file's table."""
        return ext2_get_xip_mem(self.mapping, pgoff, create)

    def bytes_of(self, block: int) -> bytes:
        return bytes(self.segment[block * PAGE_SIZE:(block + 1) * PAGE_SIZE])


def ext2_get_blocks_3_13(inode: Inode, iblock: int, maxblocks: int, create: bool) -> tuple[int, int, bool]:
    """Where block `iblock` of the file is, or make it, and up to `maxblocks` in a row with it:
    (block or 0, how many, whether they are new).

    As in Linux 3.13 before it was mended: who makes a block and asks for 0 of them gets one, and the
    allocator goes on for as long as there are free blocks (Q13).
    Raises:
        OSError: ENOSPC no block is free.
    """
    block, count, new = ext2_get_blocks(inode, iblock, max(maxblocks, 1), create)
    try:
        while new and maxblocks == 0:
            ext2_new_blocks(inode, block, 64)
    except OSError as failure:
        if failure.errno != errno.ENOSPC:
            raise
    return block, count, new


# ---- mounts

@cache
def small_image(blocksize: int) -> bytes:
    return bytes(mke2fs(256 * KiB, blocksize=blocksize, tree={"file": "a text\n"}))


def guest_with(device: str, image: bytes) -> tuple[Guest, str]:
    """A guest that has the image on one of DEVICES; and the device's name."""
    vm = ZVM()
    if device == "segment":
        vm.segment(SEGMENT, size=MiB, type="SW", at=0x10000000)
        vm.load(SEGMENT, image)
        guest = vm.logon("LINUX1")
        guest.echo(SEGMENT.lower(), "/sys/devices/dcssblk/add")
        return guest, DISK
    guest = vm.logon("LINUX1")
    if device == "disk":
        guest.add_disk("sda", image)
        return guest, "sda"
    brd_init(guest.kernel, rd_nr=1, rd_size=len(image) // KiB)
    bdev = guest.kernel.block_devices["ram0"]
    content = np.frombuffer(image, np.uint8)
    for start in range(0, len(content), PAGE_SIZE):
        transfer(WRITE, bdev, bytes_to_sectors(start), content[start:start + PAGE_SIZE])
    return guest, "ram0"


def mount(device: str, blocksize: int, options: str, size_of: BlockSizeOf | None = None) -> str:
    """Mount a file system of this block size; how its files are then read, or the errno.

    Args:
        size_of: which block sizes will do; without it, as ext2 says.
    Returns:
        "in place", "page cache", or the name of an errno.
    """
    guest, name = guest_with(device, small_image(blocksize))
    if size_of is not None:
        guest.kernel.filesystems["ext2"] = FileSystemType("ext2", partial(ext2_fill_super, size_of=size_of))
    try:
        guest.mount(f"/dev/{name}", "/mnt", "ext2", options)
    except OSError as refused:
        return errno.errorcode.get(refused.errno or 0, str(refused))
    filp = guest.task.files[guest.open("/mnt/file")]
    assert filp is not None
    return "in place" if filp.f_mapping.a_ops.get_xip_mem is not None else "page cache"


# ---- pictures

def through(block_of_page: Callable[[Inode, Pgoff, bool], int]) -> Callable[..., tuple[int, Pfn]]:
    """A get_xip_mem that finds blocks by this function."""
    @wraps(block_of_page)
    def get_xip_mem(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
        assert mapping.host is not None
        block = block_of_page(mapping.host, pgoff, create)
        bdev = mapping.host.i_sb.s_bdev
        assert bdev is not None
        return bdev_direct_access(bdev, block_to_sector(block, PAGE_SIZE))

    return get_xip_mem


COLUMNS = ("mount", "option", "yours", "ext2's own")


@dataclass(frozen=True, repr=False)
class Mounts:
    """How mounts end with a function of the learner's, and with ext2's own."""

    rows: tuple[tuple[str, str, str, str], ...]

    def __repr__(self) -> str:
        return "\n".join(f"{where:36} {options:6} {yours:22} {right}".rstrip()
                         for where, options, yours, right in (COLUMNS, *self.rows))

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col'>{name}</th>" for name in (*COLUMNS, ""))
        rows = "".join(
            f"<tr><th scope='row' style='text-align:left'>{escape(where)}</th><td>{options}</td>"
            f"<td>{escape(yours)}</td><td>{right}</td><td>{'' if yours == right else '← differs'}</td></tr>"
            for where, options, yours, right in self.rows)
        return (f"<table><caption>How mounts end</caption><thead><tr>{head}</tr></thead>"
                f"<tbody>{rows}</tbody></table>")


def mounts(block_size_of: BlockSizeOf) -> Mounts:
    """Nine mounts with xip and one without, through the learner's function."""
    cases = [(device, size, "xip") for device in DEVICES for size in (1024, 2048, 4096)]
    tried = trial(block_size_of)
    rows = []
    for device, size, options in (*cases, ("ramdisk", 1024, "")):
        yours = "not written yet" if is_stub(block_size_of) else mount(device, size, options, tried)
        right = mount(device, size, options)
        rows.append((f"{device}, blocks of {size:,} bytes", options or "–", yours, right))
    return Mounts(tuple(rows))
