"""Bars on images: walking and reading, mounting, mapping, sharing (W6 to W9)."""

from __future__ import annotations

import os
import random
import shutil
import stat
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.sides import Side, Tmpfs, Xip, made_by_mke2fs, memory_folder
from xiplab import MAP_SHARED, PROT_READ, GiB, MiB
from xiplab.course.experiments.own_computer import file_in_place
from xiplab.host import native
from xiplab.host.sharing import bill

FILES, DIRECTORIES = 2_000, 40


def fill_tree(folder: str) -> None:
    """2,000 files of up to 8 KiB in 40 directories, which lie in each other by fours."""
    source = random.Random(3)
    for i in range(DIRECTORIES):
        os.makedirs(f"{folder}/d{i % 10}/e{i // 10}")
    for i in range(FILES):
        with open(f"{folder}/d{i % 10}/e{i // 10 % 4}/file{i}", "wb") as file:
            file.write(source.randbytes(source.randrange(8192)))


def walk_and_read(side: Side, path: str) -> int:
    """Bytes in all files at and below `path`."""
    total = 0
    for name in side.listdir(path):
        where = f"{path}/{name}"
        attributes = side.stat(where)
        if stat.S_ISDIR(attributes.st_mode):
            total += walk_and_read(side, where)
        else:
            fd = side.open(where, os.O_RDONLY)
            total += len(side.pread(fd, attributes.st_size, 0))
            side.close(fd)
    return total


@contextmanager
def sides_of(fill: Callable[[str], None], size: int) -> Iterator[tuple[Xip, Tmpfs]]:
    """The same files on both sides: in an image by mke2fs, mounted read-only in place, and on tmpfs."""
    folder = memory_folder()
    fill(folder)
    image = made_by_mke2fs(folder, size)
    xip = Xip(image, "ro,xip")
    os.unlink(image)
    try:
        yield xip, Tmpfs(folder)
    finally:
        xip.end()
        shutil.rmtree(folder)


def w6(rounds: int) -> tuple[float, float]:
    """Median seconds to walk and read the tree: freshly mounted, and on tmpfs."""
    seconds: tuple[list[float], list[float]] = ([], [])
    with sides_of(fill_tree, 64 * MiB) as (xip, tmpfs):
        sides: tuple[Side, ...] = (xip, tmpfs)
        for _ in range(rounds):
            xip.remount()
            totals = []
            for side, taken in zip(sides, seconds, strict=True):
                start = time.thread_time()
                totals.append(walk_and_read(side, side.root.rstrip("/")))
                taken.append(time.thread_time() - start)
            assert totals[0] == totals[1]
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def fill_first(folder: str) -> None:
    with open(f"{folder}/first", "wb") as file:
        file.write(b"x" * 100)


def w7(rounds: int) -> tuple[float, float]:
    """Median seconds of a mount of 1 GiB, and from there to the first byte of a file."""
    mounts, bytes_ = [], []
    with sides_of(fill_first, GiB) as (xip, _):
        for _ in range(10 * rounds):
            xip.guest.umount("/mnt")
            start = time.thread_time()
            xip.guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
            middle = time.thread_time()
            assert xip.pread(xip.open("/mnt/first"), 1, 0) == b"x"
            bytes_.append(time.thread_time() - middle)
            mounts.append(middle - start)
            xip.close(0)
    return statistics.median(mounts), statistics.median(bytes_)


def fill_gibibyte(folder: str) -> None:
    """A file of 1 GiB; mke2fs puts an indirect block into its data every 4 MiB."""
    with open(f"{folder}/big", "wb") as file:
        for i in range(1024):
            file.write(bytes([i % 255 + 1]) * MiB)


def w8(rounds: int) -> tuple[float, float, int]:
    """Median seconds to map 1 GiB of many runs: through the host's MMU, in the model; how many runs."""
    natively, modelled = [], []
    with sides_of(fill_gibibyte, GiB + 32 * MiB) as (xip, _):
        for _ in range(rounds):
            xip.remount()
            fd = xip.open("/mnt/big")
            filp = xip.guest.task.files[fd]
            assert filp is not None
            start = time.thread_time()
            array = native.map_file(filp)
            middle = time.thread_time()
            memory = xip.guest.mmap(fd, GiB, PROT_READ, MAP_SHARED)
            modelled.append(time.thread_time() - middle)
            natively.append(middle - start)
            runs = len(native.extents(filp))
            assert np.array_equal(array[::MiB], np.arange(1024) % 255 + 1)
            assert memory[5 * MiB] == 6
            memory.close()
            xip.close(fd)
    return statistics.median(natively), statistics.median(modelled), runs


def w9() -> tuple[int, int]:
    """MiB of Pss of eight processes on a file of 64 MiB: mapped in place, and with a copy each."""
    filp = file_in_place(64 * MiB)
    in_place, copied = (bill(filp, 8, copied=copy)[-1] for copy in (False, True))
    return in_place.pss >> 10, copied.pss >> 10
