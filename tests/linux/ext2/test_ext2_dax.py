"""DAX of Linux 4.0 on ext2: what execute-in-place did, and what it did wrong."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import numpy as np
import pytest

from xiplab import MAP_PRIVATE, MAP_SHARED, O_CREAT, O_RDWR, PROT_READ, PROT_WRITE, ZVM, Guest, MiB, Recording
from xiplab.errors import SIGBUS, Signal
from xiplab.linux.block.genhd import bdget
from xiplab.linux.fs.block_dev import blkdev_get, blkdev_put
from xiplab.linux.fs.dax import bdev_direct_access, dax_fault_steps
from xiplab.linux.fs.ext2.dax import ext2_dax_get_block, ext2_fs_type_4_0
from xiplab.linux.include.blkdev import FMODE_READ
from xiplab.linux.include.mm import VmFault
from xiplab.tools.e2fsck import check
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, Pgoff, Sector

TEXT = bytes(range(1, 255)) * 200
PAGES = -(-len(TEXT) // PAGE_SIZE)


def boot(options: str, fs_type: object = ext2_fs_type_4_0) -> Guest:
    ticks = iter(range(10**18, 2 * 10**18, 10**9))
    vm = ZVM()
    vm.segment("SHLIB", size=1 * MiB, type="SW", at=0x10000000)
    vm.load("SHLIB", mke2fs(1 * MiB, tree={"text": TEXT}).tobytes())
    guest = vm.logon("LINUX1", clock=lambda: next(ticks))
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    if fs_type is not None:
        guest.kernel.filesystems["ext2"] = fs_type  # type: ignore[assignment]
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", options)
    return guest


@pytest.fixture
def guest() -> Iterator[Guest]:
    """After each test the file system is whole."""
    linux1 = boot("dax")
    yield linux1
    linux1.sync()
    found = [str(problem) for problem in check(linux1.vm.segments["SHLIB"].mem)]

    assert found == []


def refused(number: int, words: str) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, match=words, check=lambda failure: failure.errno == number)


# read and write

def test_read_copies_once_and_asks_for_the_whole_run_once(guest: Guest) -> None:
    with Recording() as recording:
        data = guest.cat("/mnt/text")

    assert data == TEXT
    assert recording.bytes_by_what["storage to user"] == len(TEXT)
    assert recording.count("dcssblk_devops.direct_access_run") <= 2 < PAGES
    assert guest.frames["page cache"] == 0


def test_xip_asks_for_each_page() -> None:
    """The same read through v3.6's operations."""
    guest = boot("xip", None)
    with Recording() as recording:
        guest.cat("/mnt/text")

    assert recording.count("ext2_aops_xip.get_xip_mem") == PAGES


def test_read_of_hole_and_of_tail(guest: Guest) -> None:
    fd = guest.open("/mnt/holes", O_CREAT | O_RDWR)
    guest.pwrite(fd, b"end", 3 * PAGE_SIZE + 10)

    assert guest.pread(fd, 100_000, 0) == bytes(3 * PAGE_SIZE + 10) + b"end"
    assert guest.pread(fd, 10, 100_000) == b""


@pytest.mark.parametrize(("pos", "nbytes"), [(0, 1), (4095, 2), (100, 3 * PAGE_SIZE), (len(TEXT), 5000)])
def test_write_reaches_the_segment_in_place(guest: Guest, pos: int, nbytes: int) -> None:
    data = bytes(i % 251 for i in range(nbytes))
    fd = guest.open("/mnt/text", O_RDWR)

    assert guest.pwrite(fd, data, pos) == nbytes
    expected = TEXT[:pos] + data + TEXT[pos + nbytes:]
    assert guest.cat("/mnt/text") == expected
    assert guest.mmap(fd)[:] == expected


@pytest.mark.parametrize("size", [0, 1, 4096, 5000, len(TEXT) + 5000])
def test_truncate_zeroes_the_tail_in_place(guest: Guest, size: int) -> None:
    fd = guest.open("/mnt/text", O_RDWR)
    guest.ftruncate(fd, size)
    guest.ftruncate(fd, len(TEXT))

    assert guest.cat("/mnt/text") == TEXT[:size].ljust(len(TEXT), b"\0")


def test_mount_option_xip_is_taken_for_dax_with_a_hint() -> None:
    guest = boot("xip")

    assert any("use dax instead of xip" in line for line in guest.dmesg)
    assert guest._inode("/mnt/text").i_mapping.a_ops.get_xip_mem is None


# faults

def test_mapping_is_the_segment_itself(guest: Guest) -> None:
    text = guest.mmap(guest.open("/mnt/text"))
    with Recording() as recording:
        seen = text[:2 * PAGE_SIZE]

    assert seen == TEXT[:2 * PAGE_SIZE]
    assert recording.bytes_copied == 0
    assert np.shares_memory(text.frame(1), guest.vm.segments["SHLIB"].mem)


def test_store_through_a_mapping_sets_the_modification_time(guest: Guest) -> None:
    """XIP never did: its mapping may be stored to at once, and nobody is told."""
    old = boot("xip", None)
    changed = []
    for linux1 in (old, guest):
        fd = linux1.open("/mnt/text", O_RDWR)
        text = linux1.mmap(fd, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
        text[0]
        before = linux1.stat("/mnt/text").st_mtime_ns
        text[0] = 77
        changed.append(linux1.stat("/mnt/text").st_mtime_ns > before)
        assert linux1.pread(fd, 1, 0) == b"M"

    assert changed == [False, True]


def test_only_the_first_store_faults(guest: Guest) -> None:
    text = guest.mmap(guest.open("/mnt/text", O_RDWR), PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
    text[0] = 1
    with Recording() as recording:
        text[1] = 2

    assert recording.faults == 0


def test_load_of_a_hole_allocates_nothing_and_a_store_does(guest: Guest) -> None:
    """Q10 is gone. Every mapping loses the page of zeros when the block comes."""
    fd = guest.open("/mnt/holes", O_CREAT | O_RDWR)
    guest.ftruncate(fd, 2 * PAGE_SIZE)
    text = guest.mmap(fd, 0, PROT_READ | PROT_WRITE, MAP_SHARED)
    other = guest.process("other")
    also = other.mmap(other.open("/mnt/holes"), 0, PROT_READ, MAP_SHARED)
    zeros = text[0], also[0]
    before = guest.stat("/mnt/holes").st_blocks
    text[0] = 9

    assert zeros == (0, 0)
    assert before == 0 < guest.stat("/mnt/holes").st_blocks
    assert also[0] == 9


def test_private_store_copies_one_page(guest: Guest) -> None:
    text = guest.mmap(guest.open("/mnt/text"), 0, PROT_READ | PROT_WRITE, MAP_PRIVATE)
    text[5] = 99

    assert text[5] == 99
    assert guest.cat("/mnt/text") == TEXT
    assert guest.frames["anonymous"] == 1


def test_truncate_between_look_up_and_insertion_is_noticed(guest: Guest) -> None:
    """Q7 is gone: the size is looked at again."""
    fd = guest.open("/mnt/text", O_RDWR)
    text = guest.mmap(fd, 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    vmf = VmFault(Pgoff(2), text.vma.address_of(2), write=False)
    fault = dax_fault_steps(text.vma, vmf, ext2_dax_get_block)
    assert next(fault) == "looked up"
    guest.ftruncate(fd, PAGE_SIZE)
    with pytest.raises(Signal) as caught:
        next(fault)

    assert caught.value.signo == SIGBUS
    assert text.pfn(2) is None


def test_fault_beyond_the_end_is_sigbus(guest: Guest) -> None:
    text = guest.mmap(guest.open("/mnt/text"), (PAGES + 1) * PAGE_SIZE)
    with pytest.raises(Signal) as caught:
        text[PAGES * PAGE_SIZE]

    assert caught.value.signo == SIGBUS


# direct_access with a size

def test_direct_access_promises_as_much_as_lies_in_a_row(guest: Guest) -> None:
    bdev = bdget(guest.kernel, "dcssblk0")
    blkdev_get(bdev, FMODE_READ)
    try:
        address, pfn, nbytes = bdev_direct_access(bdev, Sector(8), 5 * PAGE_SIZE)
        assert (pfn, nbytes) == (address >> 12, 5 * PAGE_SIZE)
        assert bdev_direct_access(bdev, Sector(8), 100)[2] == 100
        for sector, size, number in ((2048, 4096, errno.ERANGE), (2040, 8192, errno.ERANGE),
                                     (1, 4096, errno.EINVAL)):
            with refused(number, "sector"):
                bdev_direct_access(bdev, Sector(sector), size)
    finally:
        blkdev_put(bdev, FMODE_READ)


def test_direct_access_without_one_raises_eopnotsupp(guest: Guest) -> None:
    guest.add_disk("sda", 1 * MiB)

    with refused(errno.EOPNOTSUPP, "no direct_access"):
        bdev_direct_access(bdget(guest.kernel, "sda"), Sector(0), 4096)
