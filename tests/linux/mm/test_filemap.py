"""The page cache: every page of a file that is used takes a frame, every byte is copied."""

import errno

import pytest

from xiplab import O_APPEND, O_CREAT, O_RDWR, O_WRONLY, ZVM, Guest, Recording
from xiplab.errors import SIGXFSZ
from xiplab.linux.fs.read_write import vfs_read
from xiplab.linux.mm.filemap import shrink_page_cache
from xiplab.linux.mm.iov import HostBuffer
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, MiB, Pgoff


@pytest.fixture
def guest() -> Guest:
    return ZVM().logon("LINUX1")


def test_read_counts_one_copy_for_each_page(guest: Guest) -> None:
    fd = guest.open("/tmp/file", O_CREAT | O_RDWR)
    guest.write(fd, b"a" * 3 * PAGE_SIZE)

    with Recording() as rec:
        guest.pread(fd, 3 * PAGE_SIZE, 0)

    assert (rec.copies, rec.bytes_copied) == (3, 3 * PAGE_SIZE)
    assert guest.frames["page cache"] == 3


def test_read_into_a_buffer_that_faults_returns_what_arrived(guest: Guest) -> None:
    fd = guest.open("/tmp/file", O_CREAT | O_RDWR)
    guest.write(fd, b"a" * 2 * PAGE_SIZE)
    filp = guest.task.files[fd]
    assert filp is not None

    arrived = vfs_read(filp, HostBuffer(bytearray(2 * PAGE_SIZE), accessible=5000), 2 * PAGE_SIZE, 0)

    assert arrived == 5000


def test_write_at_rlimit_fsize_is_efbig_and_sends_sigxfsz(guest: Guest) -> None:
    fd = guest.open("/tmp/file", O_CREAT | O_RDWR)
    guest.task.rlimit_fsize = 10

    assert guest.write(fd, b"0123456789abc") == 10
    with pytest.raises(OSError, match="RLIMIT_FSIZE") as caught:
        guest.write(fd, b"")

    assert caught.value.errno == errno.EFBIG
    assert guest.task.pending == [SIGXFSZ]


def test_append_goes_to_the_end_wherever_the_position_is(guest: Guest) -> None:
    guest.echo("one", "/tmp/file")
    fd = guest.open("/tmp/file", O_WRONLY | O_APPEND)
    guest.write(fd, b"two")

    assert guest.cat("/tmp/file") == b"one\ntwo"


def test_setuid_bit_goes_with_the_first_byte_written_by_another_user(guest: Guest) -> None:
    guest.echo("x", "/tmp/file")
    guest.chmod("/tmp/file", 0o4777)
    other = guest.process("other")
    other.setuid(1000)
    fd = other.open("/tmp/file", O_WRONLY)

    other.write(fd, b"")
    assert guest.stat("/tmp/file").st_mode & 0o7777 == 0o4777
    other.write(fd, b"y")
    assert guest.stat("/tmp/file").st_mode & 0o7777 == 0o777


def test_frames_come_back_when_the_file_is_unlinked_and_closed(guest: Guest) -> None:
    fd = guest.open("/tmp/file", O_CREAT | O_RDWR)
    guest.write(fd, b"a" * PAGE_SIZE)
    guest.unlink("/tmp/file")
    assert guest.pread(fd, 1, 0) == b"a"

    guest.close(fd)

    assert guest.frames["page cache"] == 0


def test_reclaim_takes_the_oldest_page_that_was_not_used_since(guest: Guest) -> None:
    """A page that was used gets a second chance, once."""
    guest.add_disk("sda", mke2fs(1 * MiB, tree={"file": b"a" * 3 * PAGE_SIZE}).tobytes())
    guest.mount("/dev/sda", "/mnt")
    fd = guest.open("/mnt/file")
    guest.pread(fd, 3 * PAGE_SIZE, 0)
    pages = guest._inode("/mnt/file").i_mapping.pages
    pages[Pgoff(1)].referenced = False

    left = [list(pages)]
    while pages:
        shrink_page_cache(guest.kernel, 1)
        left += [list(pages)] if list(pages) != left[-1] else []

    assert left == [[0, 1, 2], [0, 2], [2], []]


def test_reclaim_looks_at_few_pages_however_many_there_are(guest: Guest) -> None:
    """The cost of one frame does not grow with the page cache: each look moves a page to the end."""
    guest.add_disk("sda", mke2fs(8 * MiB, tree={"file": b"a" * 4 * MiB}).tobytes())
    guest.mount("/dev/sda", "/mnt")
    guest.pread(guest.open("/mnt/file"), 4 * MiB, 0)
    pages = guest._inode("/mnt/file").i_mapping.pages.values()
    shrink_page_cache(guest.kernel, 1)
    for page in pages:
        page.referenced = True
    oldest = next(iter(guest.kernel.statics["lru"]))
    oldest.referenced = False

    assert shrink_page_cache(guest.kernel, 1) == 1
    assert all(page.referenced for page in pages)
