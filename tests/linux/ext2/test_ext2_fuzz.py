"""Corrupt images: each call ends, soon, with a result or an OSError that names what is wrong."""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from mounts import Mounted, on_disk, on_segment, ticking

from xiplab import Guest
from xiplab.errors import Panic
from xiplab.linux.fs.ext2.ext2_fs import Ext2SuperBlock
from xiplab.linux.fs.stat import Stat
from xiplab.ondisk import Bytes, OnDisk
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.tools.tree import symlink
from xiplab.units import KiB, MiB

SIZE = 1 * MiB
SECONDS = 5.0
"""More than any image should take; a hundred times what most take."""
VALUES = (0, 1, 2, 3, 7, 11, 12, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF,
          0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
TREE = {
    "dir": {f"name{i}": b"x" * i for i in range(40)}, "empty": {},
    "small": b"text", "medium": b"m" * 20 * KiB, "large": b"l" * 70 * KiB,
    "short": symlink("small"), "long": symlink("dir/" + "n" * 100),
}


def good_image(blocksize: int) -> Bytes:
    return mke2fs(SIZE, blocksize=blocksize, tree=TREE, blocks_per_group=2048 if blocksize == 1024 else None)


def set_field(record: OnDisk, rng: random.Random) -> None:
    """One field of the record gets a value of the kind that breaks programs."""
    name = rng.choice(record.dtype.names or ())
    dtype = record.raw[name].dtype
    value = rng.choice(VALUES) & (1 << 8 * dtype.itemsize) - 1
    if record.raw[name].shape:
        record.raw[name][rng.randrange(record.raw[name].shape[0])] = value
    else:
        record.raw[name] = value


def used_blocks(fs: Filsys) -> list[int]:
    """Blocks that hold bitmaps, inodes, directories and indirect blocks."""
    blocks = [int(desc[name]) for desc in fs.desc
              for name in ("bg_block_bitmap", "bg_inode_bitmap", "bg_inode_table")]
    for ino in range(2, 64):
        inode = fs.inode(ino)
        if inode.i_mode & 0o170000 == stat.S_IFDIR:
            blocks.append(inode.i_block.item(0))
        if inode.i_mode & 0o170000 == stat.S_IFREG:
            blocks += [block for block in inode.i_block[12:].tolist() if block]
    return [block for block in blocks if 0 < block < SIZE // fs.blocksize]


def break_super(fs: Filsys, rng: random.Random) -> None:
    set_field(fs.sb, rng)


def break_descriptor(fs: Filsys, rng: random.Random) -> None:
    name = rng.choice(("bg_block_bitmap", "bg_inode_bitmap", "bg_inode_table", "bg_free_blocks_count",
                       "bg_free_inodes_count", "bg_used_dirs_count"))
    desc = fs.desc[rng.randrange(len(fs.desc))]
    desc[name] = rng.choice((*VALUES, rng.randrange(256))) & (1 << 8 * desc[name].dtype.itemsize) - 1


def break_inode(fs: Filsys, rng: random.Random) -> None:
    set_field(fs.inode(rng.choice((2, 11, *range(12, 60)))), rng)


def break_pointer(fs: Filsys, rng: random.Random) -> None:
    fs.inode(rng.choice((2, *range(12, 60)))).i_block[rng.choice((0, 1, 12, 12, 13, 14))] = rng.randrange(300)


def break_block(fs: Filsys, rng: random.Random) -> None:
    """A few bytes of a metadata block, most often in a directory's first records."""
    start = rng.choice(used_blocks(fs)) * fs.blocksize
    for _ in range(rng.choice((1, 1, 1, 4, 64))):
        value = rng.choice((0, 1, 0xFF, rng.randrange(256)))
        fs.mem[start + rng.randrange(rng.choice((32, fs.blocksize)))] = value


def make_loop(fs: Filsys, rng: random.Random) -> None:
    """An indirect block whose pointers lead to itself, in a file of enormous size."""
    inode = fs.inode(rng.randrange(12, 60))
    block = rng.choice(used_blocks(fs))
    inode.i_block[rng.choice((12, 13, 14))] = block
    inode.i_size = rng.choice(VALUES)
    inode.i_dir_acl = rng.choice((0, 1, 0x7FFFFFFF))
    fs.mem[block * fs.blocksize:(block + 1) * fs.blocksize].view("<u4")[:] = block


def set_random_block(fs: Filsys, rng: random.Random) -> None:
    start = rng.choice(used_blocks(fs)) * fs.blocksize
    noise = np.frombuffer(rng.randbytes(fs.blocksize), np.uint8)
    fs.mem[start:start + fs.blocksize] = noise if rng.random() < 0.7 else noise & 0x0F


BREAKS: tuple[Callable[[Filsys, random.Random], None], ...] = (
    break_super, break_descriptor, break_inode, break_inode, break_pointer, break_block, break_block,
    make_loop, set_random_block)


def broken_image(seed: int) -> tuple[bytes, int]:
    rng = random.Random(seed)
    blocksize = rng.choice((1024, 4096, 4096))
    image = good_image(blocksize)
    for _ in range(rng.choice((1, 1, 2, 3))):
        try:
            rng.choice(BREAKS)(Filsys(image), rng)
        except OSError:
            break
    return bytes(image), blocksize


def attempt(call: Callable[..., object], *args: object) -> object:
    """The call's result; None for an OSError, which must say what it is about."""
    failure: OSError | None = None
    try:
        return call(*args)
    except OSError as error:
        failure = error

    assert failure.errno
    assert len(failure.args[1]) > 5
    return None


def walk(guest: Guest, path: str, depth: int, seen: list[str]) -> None:
    """Look at everything, though a corrupt directory may contain itself."""
    for name in attempt(guest.listdir, path) or ():  # type: ignore[attr-defined]
        if len(seen) > 150:
            return
        full = f"{path}/{name}"
        seen.append(full)
        st = attempt(guest.lstat, full)
        if not isinstance(st, Stat):
            continue
        if stat.S_ISDIR(st.st_mode) and depth:
            walk(guest, full, depth - 1, seen)
        elif stat.S_ISLNK(st.st_mode):
            attempt(guest.readlink, full)
        elif stat.S_ISREG(st.st_mode):
            attempt(read_some, guest, full, st.st_size)


def read_some(guest: Guest, path: str, size: int) -> None:
    fd = guest.open(path)
    for offset in (0, 48 * KiB, size // 2, max(size - 10, 0)):
        attempt(guest.pread, fd, 80 * KiB, offset)
    guest.close(fd)


def change(guest: Guest, paths: list[str], rng: random.Random) -> None:
    """Calls of all kinds on what is there."""
    for number in range(40):
        one, two = rng.choice(paths), f"{rng.choice(('/mnt', '/mnt/dir', '/mnt/empty'))}/new{number}"
        size = rng.choice((0, 10, 5000, 49_000, 5 * MiB, 10**12))
        attempt(*rng.choice((
            (guest.echo, "text", two), (guest.mkdir, two), (guest.unlink, one), (guest.rmdir, one),
            (guest.rename, one, two), (guest.link, one, two), (guest.symlink, "t" * 80, two),
            (guest.truncate, one, size), (write_some, guest, one, size), (guest.sync,),
            (guest.statfs, "/mnt"))))


def write_some(guest: Guest, path: str, offset: int) -> None:
    fd = guest.open(path, os.O_RDWR)
    attempt(guest.pwrite, fd, b"new " * 3000, offset)
    guest.close(fd)


def use(mounted: Mounted, options: str, seed: int) -> None:
    """Mount, look, change, look again, unmount."""
    guest = mounted.guest
    attempt(mounted.mount, options)
    if mounted.sb.s_type.name != "ext2":
        return
    seen: list[str] = []
    walk(guest, "/mnt", 4, seen)
    if "ro" not in options.split(","):
        change(guest, ["/mnt/small", *seen], random.Random(seed))
        walk(guest, "/mnt", 2, [])
    attempt(guest.umount, "/mnt")


def survive(seed: int) -> None:
    image, blocksize = broken_image(seed)
    xip = blocksize == 4096 and seed % 3 == 0
    mounted = (on_segment if xip else on_disk)(image, clock=ticking(), storage=8 * MiB)
    options = ["xip"] * xip + ["ro"] * (seed % 5 == 0) + ["errors=remount-ro"] * (seed % 7 == 0)
    before = time.monotonic()
    with suppress(Panic):
        use(mounted, ",".join(options), seed)

    assert time.monotonic() - before < SECONDS, f"seed {seed}"


@pytest.mark.parametrize("first", range(0, 160, 20))
def test_corrupt_image_never_does_worse_than_an_oserror(first: int) -> None:
    """Fields, pointers, records and whole blocks are broken, in images of 1 and 4 KiB blocks, read-only
    and read-write, in place and through the page cache."""
    for seed in range(first, first + 20):
        survive(seed)


@pytest.mark.parametrize("field", [name for name in Ext2SuperBlock.dtype.names or ()])
@pytest.mark.parametrize("value", [0, 1, 0xFFFFFFFF])
def test_each_field_of_the_super_block_may_be_anything(field: str, value: int) -> None:
    image = good_image(4096)
    fs = Filsys(image)
    fs.sb.raw[field] = value & (1 << 8 * fs.sb.raw[field].dtype.itemsize) - 1
    mounted = on_segment(bytes(image), clock=ticking(), storage=8 * MiB)
    before = time.monotonic()
    with suppress(Panic):
        use(mounted, "xip", value)

    assert time.monotonic() - before < SECONDS
