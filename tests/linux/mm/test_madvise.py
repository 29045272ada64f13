"""Advice about files with a page cache, and reading ahead: never more than there is, never for ever."""

import pytest

from xiplab import O_CREAT, O_RDWR, PAGE_SIZE, ZVM, Guest, MiB
from xiplab.linux.mm.madvise import POSIX_FADV_DONTNEED, POSIX_FADV_WILLNEED, max_sane_readahead
from xiplab.tools.mke2fs import mke2fs

ENDLESS = 1 << 62


@pytest.fixture
def guest() -> Guest:
    guest = ZVM().logon("LINUX1", storage=4 * MiB)
    guest.add_disk("sda", mke2fs(1 * MiB).tobytes())
    guest.mount("/dev/sda", "/mnt")
    return guest


def sparse_file(guest: Guest) -> int:
    """A file of 1 GiB without a block."""
    fd = guest.open("/mnt/sparse", O_CREAT | O_RDWR)
    guest.ftruncate(fd, 1024 * MiB)
    return fd


def test_readahead_reads_at_most_half_of_the_free_memory(guest: Guest) -> None:
    fd, limit = sparse_file(guest), max_sane_readahead(guest.kernel)

    guest.readahead(fd, 0, ENDLESS)

    assert guest.frames["page cache"] == limit


def test_readahead_before_the_file_reads_nothing(guest: Guest) -> None:
    guest.readahead(sparse_file(guest), -PAGE_SIZE, 10 * PAGE_SIZE)

    assert guest.frames["page cache"] == 0


def test_fadvise_willneed_is_limited_as_readahead_is(guest: Guest) -> None:
    fd, limit = sparse_file(guest), max_sane_readahead(guest.kernel)

    guest.posix_fadvise(fd, 0, ENDLESS, POSIX_FADV_WILLNEED)

    assert guest.frames["page cache"] == limit


def test_fadvise_dontneed_drops_clean_pages_of_any_range(guest: Guest) -> None:
    fd = sparse_file(guest)
    guest.pread(fd, 3 * PAGE_SIZE, 0)

    guest.posix_fadvise(fd, PAGE_SIZE, ENDLESS, POSIX_FADV_DONTNEED)

    assert guest.frames["page cache"] == 1
