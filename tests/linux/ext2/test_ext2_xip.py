"""Pages of files and frames of the device: one at a time, and in runs."""

from __future__ import annotations

import errno
import random
from itertools import pairwise

import pytest
from mounts import Mounted, on_disk, on_ramdisk, on_segment

from xiplab import O_CREAT, O_RDWR, Recording
from xiplab.errors import NoData
from xiplab.linux.fs.ext2 import indirect
from xiplab.linux.fs.ext2.xip import ext2_get_xip_mem, ext2_get_xip_runs
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.linux.include.fs import AddressSpace
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, MiB, Pfn, Pgoff, Sector

FIRST_FILE = 12


def expand(mapping: AddressSpace, first: int, npages: int) -> list[int | None]:
    """The frame of each page as the runs say; they must follow each other, as long as possible."""
    frames: list[int | None] = []
    runs = ext2_get_xip_runs(mapping, Pgoff(first), npages, False)
    for pgoff, pfn, n in runs:
        assert pgoff == first + len(frames)
        frames += [None if pfn is None else pfn + i for i in range(n)]
    for (_, one, n), (_, two, _) in pairwise(runs):
        assert two != (None if one is None else one + n)
    return frames


def one_by_one(mapping: AddressSpace, first: int, npages: int) -> list[int | None]:
    frames: list[int | None] = []
    for pgoff in range(first, first + npages):
        try:
            frames.append(ext2_get_xip_mem(mapping, Pgoff(pgoff), False)[1])
        except NoData:
            frames.append(None)
    return frames


def scattered(where: object, seed: int) -> Mounted:
    """File f on an xip mount: pieces with holes between them, on blocks in random order."""
    rng = random.Random(seed)
    mounted: Mounted = where(bytes(mke2fs(16 * MiB)))  # type: ignore[operator]
    mounted.mount("xip")
    fd = mounted.guest.open("/mnt/f", O_CREAT | O_RDWR)
    other = mounted.guest.open("/mnt/other", O_CREAT | O_RDWR)
    for _ in range(60):
        start = rng.choice((rng.randrange(20), rng.randrange(1100), 1030, 3000, 1_049_600))
        mounted.guest.pwrite(fd, b"x" * PAGE_SIZE * rng.randrange(1, 30), start * PAGE_SIZE)
        mounted.guest.pwrite(other, b"y", rng.randrange(1000) * PAGE_SIZE)
    return mounted


@pytest.mark.parametrize("where", [on_segment, on_ramdisk])
@pytest.mark.parametrize(("seed", "leaves"), [(0, 1), (1, 2), (2, 256)])
def test_get_xip_runs_agrees_with_get_xip_mem(where: object, seed: int, leaves: int,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """On fragmented files with holes, at every level of the block map, on contiguous and other devices,
    however many indirect blocks are looked at together."""
    monkeypatch.setattr(indirect, "LEAVES", leaves)
    mapping = scattered(where, seed).mapping("/mnt/f")

    for first, npages in ((0, 1200), (5, 1), (11, 2), (1030, 20), (2990, 50), (1_049_590, 60)):
        assert expand(mapping, first, npages) == one_by_one(mapping, first, npages)


def test_get_xip_runs_asks_page_by_page_where_the_device_knows_no_runs() -> None:
    mounted = scattered(on_segment, 7)
    mapping = mounted.mapping("/mnt/f")
    in_runs = expand(mapping, 0, 1200)
    direct_access = mounted.guest.kernel.disks["dcssblk0"].fops.direct_access
    mounted.guest.plug("dcssblk0", direct_access=direct_access)

    assert mounted.guest.kernel.disks["dcssblk0"].fops.direct_access_run is None
    assert expand(mapping, 0, 1200) == in_runs


def test_get_xip_runs_asks_a_driver_whose_function_was_replaced() -> None:
    """What the old function answered counts no more, and what the new one answers is not taken for all."""
    mounted = scattered(on_segment, 7)
    mapping = mounted.mapping("/mnt/f")
    in_runs = expand(mapping, 0, 1200)
    asked: list[int] = []

    def one_at_a_time(bdev: BlockDevice, sector: Sector, npages: int) -> tuple[int, Pfn, int]:
        asked.append(sector)
        assert before.direct_access_run is not None
        return before.direct_access_run(bdev, sector, 1)

    before = mounted.guest.plug("dcssblk0", direct_access_run=one_at_a_time)

    assert expand(mapping, 0, 1200) == in_runs
    assert len(asked) == sum(frame is not None for frame in in_runs)


def test_get_xip_runs_asks_for_what_it_needs_while_somebody_records() -> None:
    """A recording shows each question that the file leads to."""
    mounted = scattered(on_segment, 7)
    mapping = mounted.mapping("/mnt/f")
    in_runs = expand(mapping, 0, 100)
    with Recording() as recording:
        assert expand(mapping, 0, 100) == in_runs

    blocks = [run for run in ext2_get_xip_runs(mapping, Pgoff(0), 100, False) if run[1] is not None]
    asked = [event for event in recording.events if "direct_access" in event.name]
    assert len(asked) >= len(blocks) > 1


def test_get_xip_runs_gives_the_pages_before_an_error_and_then_the_error() -> None:
    array = mke2fs(1 * MiB, tree={"f": b"x" * 5 * PAGE_SIZE})
    Filsys(array).inode(FIRST_FILE).i_block[3] = 4000
    mounted = on_segment(bytes(array))
    mounted.mount("xip")
    mapping = mounted.mapping("/mnt/f")

    assert len(expand(mapping, 0, 5)) == 3
    with pytest.raises(OSError, match="past the end") as caught:
        ext2_get_xip_runs(mapping, Pgoff(3), 2, False)
    assert caught.value.errno == errno.ERANGE


def test_file_of_a_fresh_device_is_one_run() -> None:
    mounted = on_segment(bytes(mke2fs(8 * MiB)))
    mounted.mount("xip")
    fd = mounted.guest.open("/mnt/f", O_CREAT | O_RDWR)
    mounted.guest.write(fd, b"x" * 12 * PAGE_SIZE)

    assert len(ext2_get_xip_runs(mounted.mapping("/mnt/f"), Pgoff(0), 12, False)) == 1


def test_address_of_get_xip_mem_is_the_files_own_byte() -> None:
    """What read() gives changes with the byte of the device; nothing is copied in between."""
    mounted = on_segment(bytes(mke2fs(1 * MiB, tree={"f": b"before"})))
    mounted.mount("xip")
    kaddr, pfn = ext2_get_xip_mem(mounted.mapping("/mnt/f"), Pgoff(0), False)
    mounted.guest.kernel.memory.view(kaddr, 6)[:] = list(b"after!")

    assert mounted.guest.cat("/mnt/f") == b"after!"
    assert kaddr == pfn * PAGE_SIZE
    assert mounted.image().count(b"after!") == 1


def test_small_blocks_give_no_xip_tables() -> None:
    mounted = on_disk(bytes(mke2fs(1 * MiB, blocksize=1024, tree={"f": b"text"})))
    mounted.mount("xip")

    assert mounted.mapping("/mnt/f").a_ops.get_xip_mem is None


def test_largest_file_of_holes_costs_nothing_to_read() -> None:
    """What is kept of a block map is bounded, whatever size a file has."""
    mounted = on_segment(bytes(mke2fs(1 * MiB)))
    sb = mounted.mount("xip")
    fd = mounted.guest.open("/mnt/f", O_CREAT | O_RDWR)
    mounted.guest.truncate("/mnt/f", sb.s_maxbytes)

    assert mounted.guest.pread(fd, 10, sb.s_maxbytes - 5) == bytes(5)
    assert mounted.mapping("/mnt/f").xip_cache.at == {}
