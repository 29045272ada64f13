"""Conformance rows K126, K127 and K144 to K157: what the rest of the kernel does with a file in place,
and with one in the page cache."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from mounts import PLACES, Mounted, on_disk

from xiplab import (
    MAP_SHARED,
    O_CREAT,
    O_DIRECT,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    PROT_READ,
    PROT_WRITE,
)
from xiplab.errors import Signal
from xiplab.linux.block.genhd import bdget
from xiplab.linux.fs.aio import IOCB_CMD_PREAD, io_setup
from xiplab.linux.fs.fcntl import F_SETFL
from xiplab.linux.include.blkdev import WRITE, Bio, RequestQueue
from xiplab.linux.include.mm import MS_SYNC, Page
from xiplab.linux.mm.madvise import POSIX_FADV_DONTNEED
from xiplab.tools import debugfs
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, KiB, MiB, sector_to_bytes

PAGE0, PAGE2 = b"0" * PAGE_SIZE, b"2" * PAGE_SIZE
H = "/mnt/H"


def with_h(place: str) -> Mounted:
    """File H: pages 0 and 2 have blocks, page 1 is a hole; on its device, and not in memory."""
    where, options = PLACES[place]
    mounted = where(bytes(mke2fs(1 * MiB)))
    mounted.mount(options)
    guest = mounted.guest
    fd = guest.open(H, O_CREAT | O_RDWR)
    guest.pwrite(fd, PAGE0, 0)
    guest.pwrite(fd, PAGE2, 2 * PAGE_SIZE)
    guest.close(fd)
    guest.umount("/mnt")
    mounted.mount(options)
    return mounted


@pytest.fixture
def xip() -> Mounted:
    return with_h("xip")


@pytest.fixture
def cached() -> Mounted:
    return with_h("page cache")


@contextmanager
def refused(number: int) -> Iterator[None]:
    with pytest.raises(OSError, match=r"\w") as failure:
        yield

    assert errno.errorcode[failure.value.errno or 0] == errno.errorcode[number]


@contextmanager
def blocks_written(mounted: Mounted) -> Iterator[list[int]]:
    """The blocks that bios bring to the device."""
    queue = bdget(mounted.guest.kernel, mounted.device).bd_disk.queue
    driver, written = queue.make_request_fn, []

    def make_request(queue: RequestQueue, bio: Bio) -> None:
        if bio.bi_rw == WRITE:
            written.append(sector_to_bytes(bio.bi_sector) // PAGE_SIZE)
        driver(queue, bio)

    queue.make_request_fn = make_request
    yield written
    queue.make_request_fn = driver


def test_k126_io_submit_of_a_file_in_place_is_einval(xip: Mounted) -> None:
    """No release gave it an asynchronous read (Q1)."""
    fd = xip.guest.open(H)
    with refused(errno.EINVAL):
        xip.guest.io_submit(io_setup(1), IOCB_CMD_PREAD, fd, bytearray(100), 0)


def test_k127_sendfile_of_a_file_in_place_goes_through_pages_of_the_kernel(xip: Mounted) -> None:
    source, target = xip.guest.open(H), xip.guest.open("/tmp/copy", O_CREAT | O_RDWR)
    moved = xip.guest.sendfile(target, source, 0, 3 * PAGE_SIZE)

    assert (moved, xip.guest.cat("/tmp/copy")) == (3 * PAGE_SIZE, PAGE0 + bytes(PAGE_SIZE) + PAGE2)


@pytest.mark.parametrize("place", PLACES)
def test_sendfile_from_the_largest_file_size_is_eoverflow(place: str) -> None:
    """From just below it a request is cut short, and finds the end of the file."""
    mounted = with_h(place)
    largest = mounted.sb.s_maxbytes
    source, target = mounted.guest.open(H), mounted.guest.open("/mnt/copy", O_CREAT | O_RDWR)
    with refused(errno.EOVERFLOW):
        mounted.guest.sendfile(target, source, largest, 1)

    assert mounted.guest.sendfile(target, source, largest, 0) == 0
    assert mounted.guest.sendfile(target, source, largest - 1, 100) == 0


def test_k144_read_of_nothing_over_a_hole_of_a_cached_file_is_nothing(cached: Mounted) -> None:
    fd = cached.guest.open(H)

    assert cached.guest.pread(fd, 0, PAGE_SIZE) == b""


def test_k145_fault_whose_page_cannot_be_read_is_sigbus(cached: Mounted) -> None:
    def readpage(page: Page) -> None:
        raise OSError(errno.EIO, f"page {page.index}")

    mapping = cached.mapping(H)
    mapping.a_ops = replace(mapping.a_ops, name="broken", readpage=readpage)
    area = cached.guest.mmap(cached.guest.open(H))
    with pytest.raises(Signal) as caught:
        area[0]

    assert caught.value.signo == signal.SIGBUS


def test_k146_failed_write_past_the_end_gives_its_blocks_back() -> None:
    """Two of the four blocks of a page are left: both are taken, and trimmed when the third is missing."""
    mounted = on_disk(bytes(mke2fs(1 * MiB, blocksize=1 * KiB)))
    mounted.mount()
    guest = mounted.guest
    fd, filler = (guest.open(path, O_CREAT | O_RDWR) for path in ("/mnt/file", "/mnt/filler"))
    guest.write(fd, b"begin")
    position = 0
    while guest.statfs("/mnt").f_bfree > 2:
        position += guest.pwrite(filler, b"x" * KiB, position)
    before = guest.fstat(fd)
    with refused(errno.ENOSPC):
        guest.pwrite(fd, b"y" * PAGE_SIZE, PAGE_SIZE)
    after = guest.fstat(fd)

    assert guest.statfs("/mnt").f_bfree == 2
    assert (after.st_size, after.st_blocks) == (before.st_size, before.st_blocks) == (5, 2)


def test_k147_msync_brings_a_shared_store_to_the_device(cached: Mounted) -> None:
    fd = cached.guest.open(H, O_RDWR)
    area = cached.guest.mmap(fd, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
    area[0:5] = b"store"
    before = debugfs.cat(cached.image(), "/H")
    cached.guest.msync(area.vaddr, PAGE_SIZE, MS_SYNC)

    assert (before[:5], debugfs.cat(cached.image(), "/H")[:5]) == (b"00000", b"store")


def test_k148_msync_of_a_file_in_place_writes_metadata_only(xip: Mounted) -> None:
    fd = xip.guest.open(H, O_RDWR)
    area = xip.guest.mmap(fd, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
    area[0:5] = b"store"
    xip.guest.chmod(fd, 0o600)
    before = debugfs.cat(xip.image(), "/H"), debugfs.stat(xip.image(), "/H")["permissions"]
    with blocks_written(xip) as written:
        xip.guest.msync(area.vaddr, PAGE_SIZE, MS_SYNC)

    assert (before[0][:5], before[1]) == (b"store", "-rw-r--r--")
    assert debugfs.stat(xip.image(), "/H")["permissions"] == "-rw-------"
    assert len(written) == 1
    assert not set(written) & set(debugfs.blocks(xip.image(), "/H"))


def test_k149_open_with_o_direct_succeeds_and_f_setfl_does_not(xip: Mounted) -> None:
    """open looks at get_xip_mem, fcntl at direct_IO alone (Q29)."""
    fd = xip.guest.open(H, O_RDONLY | O_DIRECT)
    plain = xip.guest.open(H)
    with refused(errno.EINVAL):
        xip.guest.fcntl(plain, F_SETFL, O_DIRECT)

    assert xip.guest.read(fd, 4) == b"0000"


@pytest.mark.parametrize("place", PLACES)
def test_k151_read_of_a_descriptor_open_for_writing_is_ebadf(place: str) -> None:
    guest = with_h(place).guest
    fd = guest.open(H, O_WRONLY)
    with refused(errno.EBADF):
        guest.read(fd, 1)


def test_k152_fadvise_dontneed_of_a_file_in_place_changes_nothing(xip: Mounted) -> None:
    area = xip.guest.mmap(xip.guest.open(H))
    before = area[0]
    xip.guest.posix_fadvise(xip.guest.open(H), 0, 0, POSIX_FADV_DONTNEED)

    assert (area[0], xip.guest.mincore(area.vaddr, PAGE_SIZE)) == (before, [1])


@pytest.mark.parametrize("place", PLACES)
def test_k153_unknown_advice_is_einval(place: str) -> None:
    guest = with_h(place).guest
    fd = guest.open(H)
    with refused(errno.EINVAL):
        guest.posix_fadvise(fd, 0, 0, 99)


def test_k154_readahead_of_a_file_in_place_is_einval(xip: Mounted) -> None:
    fd = xip.guest.open(H)
    with refused(errno.EINVAL):
        xip.guest.readahead(fd, 0, PAGE_SIZE)


def test_k155_swapon_of_a_file_in_place_is_einval(xip: Mounted) -> None:
    with refused(errno.EINVAL):
        xip.guest.swapon(H)


def test_k156_mincore_counts_pages_in_place_that_were_touched(xip: Mounted) -> None:
    area = xip.guest.mmap(xip.guest.open(H))
    area[2 * PAGE_SIZE]

    assert xip.guest.mincore(area.vaddr, 3 * PAGE_SIZE) == [0, 0, 1]


@pytest.mark.parametrize("place", PLACES)
def test_k157_shared_writable_mapping_of_a_file_open_for_reading_is_eacces(place: str) -> None:
    guest = with_h(place).guest
    fd = guest.open(H, O_RDONLY)
    with refused(errno.EACCES):
        guest.mmap(fd, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
