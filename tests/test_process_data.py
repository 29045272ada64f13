"""Reading, writing and positions, on a guest and the host."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

import pytest
from twin_sides import USER, GuestSide, Side

from xiplab import PAGE_SIZE, ZVM
from xiplab.linux.fs.aio import IOCB_CMD_PREAD, IOCB_CMD_PWRITE, io_getevents, io_setup
from xiplab.linux.fs.read_write import SEEK_DATA, SEEK_HOLE
from xiplab.linux.include.fs import O_CLOEXEC

O_RDONLY, O_WRONLY, O_RDWR, CREAT, APPEND = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_APPEND
SET, CUR, END = os.SEEK_SET, os.SEEK_CUR, os.SEEK_END
F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
CLOSED = 9999


@pytest.fixture
def guest_side() -> GuestSide:
    return GuestSide(ZVM().logon("LINUX1"))


@pytest.fixture
def fds(side: Side) -> Iterator[dict[str, int]]:
    """A file of ten bytes, opened in each way, and a directory."""
    side.put("file", b"0123456789")
    side.mkdir("dir")
    side.put("sink")
    opened = {"r": side.open("file", O_RDONLY), "w": side.open("file", O_WRONLY),
              "rw": side.open("file", O_RDWR), "append": side.open("sink", O_RDWR | APPEND),
              "sink": side.open("sink", O_RDWR), "dir": side.open("dir", O_RDONLY)}
    yield {**opened, "closed": CLOSED}
    for fd in opened.values():
        side.outcome("close", fd)


@pytest.mark.parametrize(("name", "fd", "arguments", "expected"), [
    ("read", "r", (4,), b"0123"), ("read", "r", (0,), b""), ("read", "r", (99,), b"0123456789"),
    ("read", "w", (1,), "EBADF"), ("read", "closed", (1,), "EBADF"), ("read", "dir", (1,), "EISDIR"),
    ("write", "r", (b"x",), "EBADF"), ("write", "w", (b"",), 0), ("write", "closed", (b"x",), "EBADF"),
    ("write", "dir", (b"x",), "EBADF"),
    ("pread", "r", (4, 8), b"89"), ("pread", "r", (4, 10), b""), ("pread", "r", (4, 1 << 40), b""),
    ("pread", "r", (4, -1), "EINVAL"), ("pread", "w", (4, -1), "EINVAL"),
    ("pread", "closed", (4, -1), "EINVAL"),
    ("pread", "w", (4, 0), "EBADF"), ("pread", "dir", (4, 0), "EISDIR"),
    ("pwrite", "w", (b"x", -1), "EINVAL"), ("pwrite", "r", (b"x", 0), "EBADF"),
    ("pwrite", "w", (b"xy", 3), 2),
    ("pwrite", "w", (b"x", (1 << 63) - 1), "EINVAL"), ("pwrite", "w", (b"", (1 << 63) - 1), 0),
    ("readv", "w", ([bytearray(1)],), "EBADF"), ("readv", "r", ([],), 0), ("readv", "w", ([],), "EBADF"),
    ("readv", "r", ([bytearray(1)] * 1025,), "EINVAL"), ("readv", "dir", ([bytearray(1)],), "EISDIR"),
    ("writev", "r", ([b"x"],), "EBADF"), ("writev", "w", ([b"x"] * 1025,), "EINVAL"),
    ("writev", "w", ([],), 0),
    ("preadv", "r", ([bytearray(3), bytearray(9)], 8), 2), ("pwritev", "w", ([b"ab", b"", b"c"], 1), 3),
    ("preadv", "closed", ([bytearray(3)], 0), "EBADF"),
    ("lseek", "r", (5, SET), 5), ("lseek", "r", (-1, END), 9), ("lseek", "r", (3, CUR), 3),
    ("lseek", "r", (-1, SET), "EINVAL"), ("lseek", "r", (-11, END), "EINVAL"),
    ("lseek", "r", (0, 9), "EINVAL"),
    ("lseek", "r", (1 << 40, SET), 1 << 40), ("lseek", "r", ((1 << 63) - 1, SET), (1 << 63) - 1),
    ("lseek", "r", ((1 << 63) - 1, END), "EINVAL"), ("lseek", "closed", (0, SET), "EBADF"),
    ("lseek", "dir", (0, SET), 0), ("lseek", "dir", (0, END), "EINVAL"),
    ("lseek", "r", (0, SEEK_DATA), 0), ("lseek", "r", (9, SEEK_DATA), 9),
    ("lseek", "r", (10, SEEK_DATA), "ENXIO"),
    ("lseek", "r", (0, SEEK_HOLE), 10), ("lseek", "r", (10, SEEK_HOLE), "ENXIO"),
    ("lseek", "r", (-1, SEEK_DATA), "ENXIO"), ("lseek", "r", (99, SEEK_HOLE), "ENXIO"),
    ("ftruncate", "r", (0,), "EINVAL"), ("ftruncate", "w", (-1,), "EINVAL"), ("ftruncate", "w", (3,), None),
    ("ftruncate", "dir", (0,), "EINVAL"), ("ftruncate", "closed", (0,), "EBADF"),
    ("ftruncate", "closed", (-1,), "EINVAL"),
    ("fsync", "r", (), None), ("fsync", "dir", (), None), ("fsync", "closed", (), "EBADF"),
    ("fstat", "closed", (), "EBADF"), ("close", "closed", (), "EBADF"), ("dup", "closed", (), "EBADF"),
    ("posix_fadvise", "r", (0, 0, 4), None), ("posix_fadvise", "r", (0, 0, 99), "EINVAL"),
    ("posix_fadvise", "r", (0, -1, 0), "EINVAL"), ("posix_fadvise", "closed", (0, 0, 0), "EBADF"),
    ("fcntl", "closed", (F_GETFL,), "EBADF"), ("fcntl", "r", (99,), "EINVAL"),
    ("fcntl", "r", (F_DUPFD, -1), "EINVAL"),
    ("fcntl", "r", (F_DUPFD, 1 << 30), "EINVAL"),
])
def test_one_call(side: Side, fds: dict[str, int], name: str, fd: str, arguments: tuple[object, ...],
                  expected: object) -> None:
    assert side.outcome(name, fds[fd], *arguments) == expected


@pytest.mark.parametrize(("path", "length", "expected"), [
    ("file", 4, b"0123"), ("file", 12, b"0123456789\0\0"), ("file", -1, "EINVAL"), ("dir", 0, "EISDIR"),
    ("missing", 0, "ENOENT"), ("missing", -1, "EINVAL"), ("fifo", 0, "EINVAL"), ("file/", 0, "ENOTDIR"),
    ("file", (1 << 63) - 1, "sparse"),
])
def test_truncate(side: Side, fds: dict[str, int], path: str, length: int, expected: object) -> None:
    side.mknod("fifo", 0o010644)
    answer = side.outcome("truncate", path, length)

    if answer is None:
        answer = side.get(path) if length < 100 else "sparse"
    assert answer == expected


def test_truncate_of_a_file_one_may_not_write_raises_eacces(side: Side, fds: dict[str, int]) -> None:
    assert side.outcome("truncate", "file", 0, uid=USER) == "EACCES"


def test_reads_and_writes_move_the_position(side: Side, fds: dict[str, int]) -> None:
    """Also past the end: the gap reads as zeros."""
    fd = fds["rw"]
    side.read(fd, 4)
    side.write(fd, b"AB")
    side.lseek(fd, 12, SET)
    side.write(fd, b"C")

    assert (side.lseek(fd, 0, CUR), side.get("file")) == (13, b"0123AB6789\0\0C")


def test_pread_and_pwrite_leave_the_position(side: Side, fds: dict[str, int]) -> None:
    fd = fds["rw"]
    side.lseek(fd, 2, SET)
    side.pread(fd, 4, 5)
    side.pwrite(fd, b"x", 5)
    side.preadv(fd, [bytearray(3)], 1)
    side.pwritev(fd, [b"y"], 1)

    assert (side.lseek(fd, 0, CUR), side.get("file")) == (2, b"0y234x6789")


def test_append_writes_at_the_end_wherever_the_position_is(side: Side, fds: dict[str, int]) -> None:
    """And pwrite too, whatever its offset; it is Linux, not POSIX."""
    fd = fds["append"]
    side.write(fds["sink"], b"abc")
    side.write(fd, b"de")
    after_write = side.lseek(fd, 0, CUR)
    side.lseek(fd, 1, SET)
    side.pwrite(fd, b"f", 0)
    after_pwrite = side.lseek(fd, 0, CUR)
    side.writev(fd, [b"g", b"h"])

    assert (after_write, after_pwrite, side.lseek(fd, 0, CUR)) == (5, 1, 8)
    assert side.get("sink") == b"abcdefgh"


def test_readv_fills_one_buffer_after_the_other(side: Side, fds: dict[str, int]) -> None:
    buffers = [bytearray(3), bytearray(0), bytearray(4), bytearray(9)]
    side.lseek(fds["r"], 1, SET)

    assert side.readv(fds["r"], buffers) == 9
    assert [bytes(buffer).rstrip(b"\0") for buffer in buffers] == [b"123", b"", b"4567", b"89"]
    assert side.lseek(fds["r"], 0, CUR) == 10


# descriptors

def test_dup_shares_the_position_and_open_does_not(side: Side, fds: dict[str, int]) -> None:
    copy = side.dup(fds["r"])
    side.read(copy, 3)

    assert (side.lseek(fds["r"], 0, CUR), side.lseek(fds["rw"], 0, CUR)) == (3, 0)
    side.close(fds["r"])
    assert side.read(copy, 3) == b"345"


def test_dup2_closes_what_was_there(side: Side, fds: dict[str, int]) -> None:
    side.dup2(fds["r"], fds["sink"])

    assert side.outcome("write", fds["sink"], b"x") == "EBADF"
    assert side.read(fds["sink"], 2) == b"01"
    assert side.dup2(fds["r"], fds["r"]) == fds["r"]
    assert side.outcome("dup2", CLOSED, fds["r"]) == "EBADF"


def test_fcntl_dupfd_gives_the_lowest_from_its_argument_on(side: Side, fds: dict[str, int]) -> None:
    free = 10 + max(map(int, os.listdir("/dev/fd")))
    first = side.fcntl(fds["r"], F_DUPFD, free)
    second = side.fcntl(fds["r"], F_DUPFD_CLOEXEC, free)

    assert (first, second) == (free, free + 1)
    assert (side.fcntl(first, F_GETFD), side.fcntl(second, F_GETFD)) == (0, 1)
    side.fcntl(first, F_SETFD, 1)
    side.fcntl(second, F_SETFD, 0)
    assert (side.fcntl(first, F_GETFD), side.fcntl(second, F_GETFD)) == (1, 0)
    side.close(first)
    side.close(second)


def test_close_on_exec_belongs_to_the_descriptor(guest_side: GuestSide) -> None:
    """It is forgotten when the descriptor is closed."""
    guest_side.put("file")
    fd = guest_side.open("file", O_RDONLY)
    guest_side.fcntl(fd, F_SETFD, 1)
    guest_side.close(fd)

    assert guest_side.fcntl(guest_side.open("file", O_RDONLY), F_GETFD) == 0


def test_open_with_o_cloexec_closes_the_descriptor_at_exec(guest_side: GuestSide) -> None:
    """And not the others of the same open file. On the host, Python sets the flag by itself."""
    guest_side.put("file")
    fd = guest_side.open("file", O_RDONLY | O_CLOEXEC)
    other = guest_side.dup(fd)

    assert (guest_side.fcntl(fd, F_GETFD), guest_side.fcntl(other, F_GETFD)) == (1, 0)


def test_fcntl_setfl_changes_some_flags_only(side: Side, fds: dict[str, int]) -> None:
    """O_APPEND can be set and taken away later; the access mode cannot be changed."""
    fd = fds["sink"]
    side.write(fd, b"abc")
    side.fcntl(fd, F_SETFL, APPEND | O_WRONLY)
    with_append = side.fcntl(fd, F_GETFL) & ~0o100000
    side.lseek(fd, 0, SET)
    side.write(fd, b"d")
    side.fcntl(fd, F_SETFL, 0)
    side.pwrite(fd, b"A", 0)

    assert (with_append, side.get("sink")) == (APPEND | O_RDWR, b"Abcd")


def test_fcntl_setfl_of_noatime_is_for_the_owner(side: Side, fds: dict[str, int]) -> None:
    assert side.outcome("fcntl", fds["r"], F_SETFL, 0o1000000, uid=USER) == "EPERM"
    assert side.outcome("fcntl", fds["r"], F_SETFL, 0o1000000) == 0
    assert side.outcome("fcntl", fds["r"], F_SETFL, 0o1000000, uid=USER) == 0


# sendfile, aio

@pytest.mark.parametrize(("out", "source", "offset", "count", "expected"), [
    ("sink", "r", None, 4, 4), ("sink", "r", 8, 4, 2), ("sink", "r", 10, 4, 0),
    ("sink", "r", -1, 4, "EINVAL"),
    ("sink", "w", None, 4, "EBADF"), ("r", "rw", None, 4, "EBADF"), ("append", "r", None, 4, "EINVAL"),
    ("closed", "r", None, 4, "EBADF"), ("sink", "closed", None, 4, "EBADF"), ("closed", "r", -1, 4, "EINVAL"),
    ("r", "r", 99, 4, "EBADF"),
])
def test_sendfile(side: Side, fds: dict[str, int], out: str, source: str, offset: int | None, count: int,
                  expected: object) -> None:
    assert side.outcome("sendfile", fds[out], fds[source], offset, count) == expected


def test_sendfile_moves_positions_only_without_an_offset(side: Side, fds: dict[str, int]) -> None:
    side.sendfile(fds["sink"], fds["r"], None, 3)
    side.sendfile(fds["sink"], fds["r"], 7, 3)

    assert side.get("sink") == b"012789"
    assert (side.lseek(fds["r"], 0, CUR), side.lseek(fds["sink"], 0, CUR)) == (3, 6)


@pytest.mark.parametrize(("offset", "count"), [(0, 0), (0, 3), (100, 3)])
def test_sendfile_sets_the_access_time_also_if_nothing_moves(side: Side, fds: dict[str, int], offset: int,
                                                             count: int) -> None:
    side.utimens("file", 1000 * 10**9, 1000 * 10**9)
    side.sendfile(fds["sink"], fds["r"], offset, count)

    assert side.fstat(fds["r"]).st_atime_ns > 1000 * 10**9


def test_sendfile_onto_itself(side: Side, fds: dict[str, int]) -> None:
    """The one position ends where reading ended."""
    assert side.sendfile(fds["rw"], fds["rw"], None, 4) == 4
    assert (side.lseek(fds["rw"], 0, CUR), side.get("file")[:8]) == (4, b"01234567")


def test_sendfile_of_many_pages(side: Side) -> None:
    data = bytes(range(256)) * 1000
    side.put("big", data)
    side.put("copy")
    out, source = side.open("copy", O_WRONLY), side.open("big", O_RDONLY)

    assert side.sendfile(out, source, None, 1 << 20) == len(data)
    assert side.get("copy") == data


def test_io_submit_completes_in_order(guest_side: GuestSide) -> None:
    guest = guest_side.api
    guest_side.put("file", b"0123456789")
    fd, ctx, buffer = guest.open("file", O_RDWR), io_setup(4), bytearray(4)
    guest.io_submit(ctx, IOCB_CMD_PWRITE, fd, b"AB", 2, data="first")
    guest.io_submit(ctx, IOCB_CMD_PREAD, fd, buffer, 1, data="second")
    events = io_getevents(ctx, 2, 4)

    assert [(event.data, event.res) for event in events] == [("first", 2), ("second", 4)]
    assert bytes(buffer) == b"1AB4"


def test_io_submit_errors(guest_side: GuestSide) -> None:
    """A bad request is refused at once; one that fails later says so in its result."""
    guest = guest_side.api
    guest_side.put("file", b"0123456789")
    reading, ctx = guest.open("file", O_RDONLY), io_setup(1)
    guest.task.rlimit_fsize = 5

    def errno_of(call: Callable[[], object]) -> int | None:
        with pytest.raises(OSError, match=r".") as info:
            call()
        return info.value.errno

    assert errno_of(lambda: guest.io_submit(ctx, IOCB_CMD_PWRITE, reading, b"x", 0)) == errno.EBADF
    assert errno_of(lambda: guest.io_submit(ctx, 99, reading, b"x", 0)) == errno.EINVAL
    assert errno_of(lambda: guest.io_submit(ctx, IOCB_CMD_PREAD, CLOSED, bytearray(1), 0)) == errno.EBADF
    assert errno_of(lambda: guest.io_submit(ctx, IOCB_CMD_PREAD, reading, bytearray(1), -1)) == errno.EINVAL
    guest.io_submit(ctx, IOCB_CMD_PWRITE, guest.open("file", O_WRONLY), b"x", 7)
    assert errno_of(lambda: guest.io_submit(ctx, IOCB_CMD_PREAD, reading, bytearray(1), 0)) == errno.EAGAIN
    assert io_getevents(ctx, 1, 1)[0].res == -errno.EFBIG
    assert errno_of(lambda: io_getevents(ctx, 1, 1)) == errno.EAGAIN
    assert errno_of(lambda: io_getevents(ctx, 2, 1)) == errno.EINVAL
    assert errno_of(lambda: io_setup(0)) == errno.EINVAL
    assert errno_of(lambda: io_setup(1 << 20)) == errno.EAGAIN


# the model's own calls

def test_readinto_fills_memory(guest_side: GuestSide) -> None:
    guest_side.put("file", b"0123456789")
    fd, buffer = guest_side.open("file", O_RDONLY), bytearray(4)

    assert (guest_side.readinto(fd, buffer), guest_side.readinto(fd, buffer, 8)) == (4, 2)
    assert (bytes(buffer), guest_side.lseek(fd, 0, CUR)) == (b"8923", 4)


def test_read_of_a_hole_is_zeros(side: Side) -> None:
    fd = side.open("holes", O_RDWR | CREAT)
    side.pwrite(fd, b"end", 3 * PAGE_SIZE)
    side.pwrite(fd, b"begin", 0)

    assert side.pread(fd, 10, PAGE_SIZE - 3) == bytes(10)
    assert side.fstat(fd).st_size == 3 * PAGE_SIZE + 3
    side.close(fd)


def test_ramfs_knows_no_holes(guest_side: GuestSide) -> None:
    """SEEK_HOLE finds the end of the file, as generic_file_llseek of v3.6 does everywhere."""
    fd = guest_side.open("holes", O_RDWR | CREAT)
    guest_side.pwrite(fd, b"end", 3 * PAGE_SIZE)

    assert guest_side.lseek(fd, 0, SEEK_DATA) == 0
    assert guest_side.lseek(fd, 0, SEEK_HOLE) == 3 * PAGE_SIZE + 3


def test_cat_cp_and_echo(guest_side: GuestSide) -> None:
    guest = guest_side.api
    guest.echo("one", "file")
    guest.echo("two", "file", append=True)
    guest.chmod("file", 0o700)
    guest.cp("file", "copy")

    assert guest.cat("copy") == b"one\ntwo\n"
    assert guest_side.mode("copy") == 0o700
    assert guest.task.files.count(None) == len(guest.task.files)


def test_shell_calls_close_what_they_opened(guest_side: GuestSide) -> None:
    guest = guest_side.api
    for call in (lambda: guest.cat("/"), lambda: guest.listdir("missing"), lambda: guest.cp("missing", "x"),
                 lambda: guest.echo("x", "/sys/devices"), lambda: guest.cp("/etc", "/")):
        with pytest.raises(OSError, match=r"."):
            call()

    assert [filp for filp in guest.task.files if filp is not None] == []
