"""read(2), write(2) and their relatives, down to the file's operations.

Kernel: v3.6 fs/read_write.c
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE
from xiplab.linux.include.fs import (
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
    File,
    UserBuffer,
)

MAX_RW_COUNT = 0x7FFFF000
UIO_MAXIOV = 1024
OFFSET_MAX = (1 << 63) - 1


def generic_file_llseek(filp: File, offset: int, whence: int) -> int:
    """Set and return the position. SEEK_DATA and SEEK_HOLE (v3.6) know no holes: all of the file is
    data, and a hole begins at its end.

    Raises:
        OSError: EINVAL an unknown whence, or a position below 0 or above s_maxbytes; ENXIO for
            SEEK_DATA and SEEK_HOLE at or past the end.
    """
    inode = filp.f_inode
    if whence in (SEEK_DATA, SEEK_HOLE):
        if offset >= inode.i_size or offset < 0:
            raise OSError(errno.ENXIO, f"{filp}: {offset} is past the end ({inode.i_size} bytes)")
        position = offset if whence == SEEK_DATA else inode.i_size
    else:
        bases = {SEEK_SET: 0, SEEK_CUR: filp.f_pos, SEEK_END: inode.i_size}
        if whence not in bases:
            raise OSError(errno.EINVAL, f"{filp}: whence {whence}")
        position = bases[whence] + offset
    if position < 0 or position > (inode.i_sb.s_maxbytes or OFFSET_MAX):
        raise OSError(errno.EINVAL, f"{filp}: position {position}")
    filp.f_pos = position
    return position


def rw_verify_area(filp: File, pos: int, count: int) -> int:
    """How much of `count` one call may move.

    Raises:
        OSError: EINVAL a negative count or position, or one that overflows.
    """
    if count < 0 or pos < 0 or pos + count > OFFSET_MAX:
        raise OSError(errno.EINVAL, f"{filp}: {count} bytes at {pos}")
    return min(count, MAX_RW_COUNT)


def do_sync_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """A read for a file that has only aio_read: start it and wait. Ours is complete at once."""
    assert filp.f_op.aio_read is not None
    return filp.f_op.aio_read(filp, buf, count, pos)


def do_sync_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    assert filp.f_op.aio_write is not None
    return filp.f_op.aio_write(filp, buf, count, pos)


def vfs_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Read up to `count` bytes from `pos` on; returns how many came.

    Raises:
        OSError: EBADF not open for reading; EINVAL the file has no read; else what its read answers.
    """
    if not filp.f_mode & FMODE_READ:
        raise OSError(errno.EBADF, f"{filp}: not open for reading")
    read = filp.f_op.read
    if read is None:
        raise OSError(errno.EINVAL, f"{filp}: cannot be read")
    return read(filp, buf, rw_verify_area(filp, pos, count), pos)


def vfs_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Write up to `count` bytes at `pos`; returns how many went.

    Raises:
        OSError: EBADF not open for writing; EINVAL the file has no write; else what its write answers.
    """
    if not filp.f_mode & FMODE_WRITE:
        raise OSError(errno.EBADF, f"{filp}: not open for writing")
    write = filp.f_op.write
    if write is None:
        raise OSError(errno.EINVAL, f"{filp}: cannot be written")
    return write(filp, buf, rw_verify_area(filp, pos, count), pos)


def do_loop_readv_writev(filp: File, segments: Sequence[tuple[UserBuffer, int]], pos: int, *,
                         write: bool) -> int:
    """One read or write for each (buffer, length), until one comes short.

    Raises:
        OSError: EBADF not open for the direction; EINVAL the file has no such method, more than 1024
            segments, or more bytes than a call may move; else the first segment's error, if nothing was
            moved before.
    """
    if not filp.f_mode & (FMODE_WRITE if write else FMODE_READ):
        raise OSError(errno.EBADF, f"{filp}: not open for {'writing' if write else 'reading'}")
    if (filp.f_op.write if write else filp.f_op.read) is None:
        raise OSError(errno.EINVAL, f"{filp}: cannot be {'written' if write else 'read'}")
    if len(segments) > UIO_MAXIOV:
        raise OSError(errno.EINVAL, f"{filp}: {len(segments)} segments (limit {UIO_MAXIOV})")
    total = sum(length for _, length in segments)
    rw_verify_area(filp, pos, total)
    if not total:
        return 0
    step = vfs_write if write else vfs_read
    moved = 0
    for buf, length in segments:
        try:
            n = step(filp, buf, length, pos + moved)
        except OSError:
            if moved:
                return moved
            raise
        moved += n
        if n < length:
            break
    return moved
