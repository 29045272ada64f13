"""Reading and writing in place: conformance rows K102 to K125."""

import errno

import numpy as np
import pytest
from fixture_h import PAGE0, PAGE2, XipFixture

from xiplab import MAP_SHARED, O_APPEND, O_CREAT, O_RDWR, O_SYNC, O_WRONLY, PROT_READ, Recording
from xiplab.errors import SIGXFSZ
from xiplab.linux.fs.read_write import vfs_read, vfs_write
from xiplab.linux.mm.filemap_xip import do_xip_mapping_read
from xiplab.linux.mm.iov import FreshBytes, HostBuffer
from xiplab.units import PAGE_SIZE

DAY = 86_400_000_000_000


def test_k102_read_of_everything_gives_zeros_for_the_hole_and_allocates_nothing(xip: XipFixture) -> None:
    before = xip.blocks()

    assert xip.guest.pread(xip.fd, 3 * PAGE_SIZE, 0) == PAGE0 + bytes(PAGE_SIZE) + PAGE2
    assert xip.blocks() == before


def test_k102_read_sets_the_access_time(xip: XipFixture) -> None:
    xip.filp.f_inode.i_atime = 0
    xip.guest.pread(xip.fd, 1, 0)

    assert xip.guest.fstat(xip.fd).st_atime_ns > 0


def test_k103_read_past_the_end_gives_nothing_and_sets_the_access_time(xip: XipFixture) -> None:
    xip.filp.f_inode.i_atime = 0

    assert xip.guest.pread(xip.fd, 100, 3 * PAGE_SIZE) == b""
    assert xip.guest.fstat(xip.fd).st_atime_ns > 0


def test_k104_read_across_the_end_stops_there(xip: XipFixture) -> None:
    assert xip.guest.pread(xip.fd, 100, 3 * PAGE_SIZE - 8) == b"2" * 8


def test_k105_read_of_nothing_over_data(xip: XipFixture) -> None:
    assert xip.guest.pread(xip.fd, 0, 0) == b""


def test_k106_read_of_nothing_over_a_hole_is_enodata(xip: XipFixture) -> None:
    """Quirk Q2."""
    with pytest.raises(OSError, match="hole") as caught:
        xip.guest.pread(xip.fd, 0, PAGE_SIZE)

    assert caught.value.errno == errno.ENODATA


def test_k107_read_of_nothing_at_the_end(xip: XipFixture) -> None:
    assert xip.guest.pread(xip.fd, 0, 3 * PAGE_SIZE) == b""


def test_k108_read_stops_before_a_page_that_fails(xip: XipFixture) -> None:
    xip.fail_lookup(1, errno.EIO)

    assert xip.guest.pread(xip.fd, 2 * PAGE_SIZE, 0) == PAGE0
    with pytest.raises(OSError, match="page 1") as caught:
        xip.guest.pread(xip.fd, PAGE_SIZE, PAGE_SIZE)
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("page_by_page", [True, False])
def test_k109_chunk_that_faults_counts_nothing(xip: XipFixture, page_by_page: bool) -> None:
    buffer = HostBuffer(bytearray(2 * PAGE_SIZE), accessible=5000)
    read = do_xip_mapping_read if page_by_page else vfs_read

    assert read(xip.filp, buffer, 2 * PAGE_SIZE, 0) == PAGE_SIZE


@pytest.mark.parametrize("page_by_page", [True, False])
def test_k110_read_into_a_bad_buffer_is_efault(xip: XipFixture, page_by_page: bool) -> None:
    read = do_xip_mapping_read if page_by_page else vfs_read
    with pytest.raises(OSError, match="buffer") as caught:
        read(xip.filp, HostBuffer(bytearray(100), accessible=0), 100, 0)

    assert caught.value.errno == errno.EFAULT


def test_read_by_runs_and_page_by_page_agree(xip: XipFixture) -> None:
    """Both forms of xip_file_read give the same bytes for every position and length tried."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        pos, count = int(rng.integers(0, 4 * PAGE_SIZE)), int(rng.integers(1, 4 * PAGE_SIZE))
        slow = FreshBytes()
        expected = slow.take(do_xip_mapping_read(xip.filp, slow, count, pos))
        assert xip.guest.pread(xip.fd, count, pos) == expected


def test_xip_read_makes_one_copy_and_takes_no_frame(xip: XipFixture) -> None:
    frames = xip.guest.frames
    with Recording() as rec:
        xip.guest.pread(xip.fd, PAGE_SIZE, 0)

    assert [event.fields["what"] for event in rec.events if event.name == "copy"] == ["storage to user"]
    assert rec.bytes_copied == PAGE_SIZE
    assert xip.guest.frames == frames


def test_k112_write_into_a_hole_allocates_a_zeroed_block(xip: XipFixture) -> None:
    before = xip.blocks()
    reader = xip.guest.mmap(xip.guest.open("/mnt/H"), 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    assert reader[PAGE_SIZE + 4] == 0
    sparse = reader.pfn(1)

    assert xip.guest.pwrite(xip.fd, b"0123456789", PAGE_SIZE + 4) == 10
    assert xip.blocks() == before + 1
    assert xip.guest.pread(xip.fd, PAGE_SIZE, PAGE_SIZE) == b"\0" * 4 + b"0123456789" + bytes(PAGE_SIZE - 14)
    assert reader[PAGE_SIZE + 4:PAGE_SIZE + 14] == b"0123456789"
    assert reader.pfn(1) == xip.frame_of(1) != sparse


def test_k113_write_of_nothing_changes_nothing(xip: XipFixture) -> None:
    xip.guest.chmod("/mnt/H", 0o4755)
    xip.filp.f_inode.i_mtime = 7

    assert xip.guest.pwrite(xip.fd, b"", PAGE_SIZE) == 0
    assert xip.guest.fstat(xip.fd).st_mtime_ns == 7
    assert xip.guest.fstat(xip.fd).st_mode & 0o7777 == 0o4755


def test_k114_write_of_nothing_at_rlimit_fsize_is_efbig(xip: XipFixture) -> None:
    xip.guest.task.rlimit_fsize = PAGE_SIZE
    with pytest.raises(OSError, match="RLIMIT_FSIZE") as caught:
        xip.guest.pwrite(xip.fd, b"", PAGE_SIZE)

    assert caught.value.errno == errno.EFBIG
    assert xip.guest.task.pending == [SIGXFSZ]


def test_k115_write_until_the_disk_is_full_counts_what_went(xip: XipFixture) -> None:
    xip.fill_disk(leave=1)

    assert xip.guest.pwrite(xip.fd, b"n" * 5000, 3 * PAGE_SIZE) == PAGE_SIZE
    assert xip.guest.fstat(xip.fd).st_size == 4 * PAGE_SIZE
    with pytest.raises(OSError, match="no block is free") as caught:
        xip.guest.pwrite(xip.fd, b"n", 4 * PAGE_SIZE)
    assert caught.value.errno == errno.ENOSPC


def test_k116_write_from_a_bad_buffer_keeps_the_block(xip: XipFixture) -> None:
    """Quirk Q11."""
    before = xip.blocks()
    with pytest.raises(OSError, match="buffer") as caught:
        vfs_write(xip.filp, HostBuffer(bytes(10), accessible=0), 10, PAGE_SIZE)

    assert caught.value.errno == errno.EFAULT
    assert xip.blocks() == before + 1
    assert xip.guest.fstat(xip.fd).st_size == 3 * PAGE_SIZE


def test_k117_write_counts_the_part_of_a_page_that_came(xip: XipFixture) -> None:
    buffer = HostBuffer(b"w" * 2 * PAGE_SIZE, accessible=5000)

    assert vfs_write(xip.filp, buffer, 2 * PAGE_SIZE, 0) == 5000
    assert xip.guest.pread(xip.fd, 5001, 0) == b"w" * 5000 + b"\0"


def test_k118_k119_writes_stop_at_the_largest_file_size(xip: XipFixture) -> None:
    limit = xip.filp.f_inode.i_sb.s_maxbytes
    with pytest.raises(OSError, match="largest") as caught:
        xip.guest.pwrite(xip.fd, b"n", limit)
    assert caught.value.errno == errno.EFBIG

    assert xip.guest.pwrite(xip.fd, b"nn", limit - 1) == 1


def test_k120_append_goes_to_the_end(xip: XipFixture) -> None:
    fd = xip.guest.open("/mnt/H", O_WRONLY | O_APPEND)
    xip.guest.write(fd, b"end")

    assert xip.guest.pread(xip.fd, 10, 3 * PAGE_SIZE) == b"end"


def test_k121_write_by_another_user_clears_setuid(xip: XipFixture) -> None:
    xip.guest.chmod("/mnt/H", 0o4777)
    other = xip.guest.process("other")
    other.setuid(1000)
    other.write(other.open("/mnt/H", O_WRONLY), b"x")

    assert xip.guest.fstat(xip.fd).st_mode & 0o7777 == 0o777


def test_k122_write_with_o_sync_flushes_no_metadata(xip: XipFixture) -> None:
    """Quirk Q30: the size in the inode on the segment is still the old one."""
    fd = xip.guest.open("/mnt/new", O_CREAT | O_RDWR | O_SYNC)
    xip.guest.write(fd, b"data")
    other = xip.vm.logon("LINUX2")
    other.echo("rwseg", "/sys/devices/dcssblk/add")
    other.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")

    with pytest.raises(FileNotFoundError):
        other.open("/mnt/new")


def test_k124_readv_of_nothing_and_something_over_a_hole_is_enodata(xip: XipFixture) -> None:
    with pytest.raises(OSError, match="hole") as caught:
        xip.guest.preadv(xip.fd, [bytearray(0), bytearray(100)], PAGE_SIZE)

    assert caught.value.errno == errno.ENODATA


def test_k125_readv_hides_the_error_of_a_later_segment(xip: XipFixture) -> None:
    assert xip.guest.preadv(xip.fd, [bytearray(100), bytearray(0)], PAGE_SIZE - 100) == 100


def test_writev_writes_each_segment_in_place(xip: XipFixture) -> None:
    assert xip.guest.pwritev(xip.fd, [b"one", b"two"], 10) == 6
    assert xip.guest.pread(xip.fd, 6, 10) == b"onetwo"


def test_written_bytes_are_in_the_segment_at_once(xip: XipFixture) -> None:
    """No writeback: the store is the device's own memory."""
    xip.guest.pwrite(xip.fd, b"a sentence that is nowhere else", 100)

    assert b"a sentence that is nowhere else" in xip.segment.tobytes()
