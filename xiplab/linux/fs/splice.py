"""sendfile(2): from one file to another without a detour through the caller.

Kernel: v3.6 fs/splice.c, fs/read_write.c do_sendfile()
Differs: each piece is a copy; Linux passes on the page cache's own pages, so a file sent onto itself may
    see what it just wrote.
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.inode import file_accessed
from xiplab.linux.fs.open import fget
from xiplab.linux.fs.read_write import OFFSET_MAX, rw_verify_area, vfs_write
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE
from xiplab.linux.include.fs import O_APPEND, File
from xiplab.linux.include.sched import Task
from xiplab.linux.mm.iov import FreshBytes, HostBuffer

PIPE_BYTES = 16 * 4096


def default_file_splice_read(filp: File, count: int, pos: int) -> bytes:
    """The fallback for a file without splice_read, a XIP file for one: read into pages of the kernel's.

    Since 2.6.31; from 2.6.23 to 2.6.30 such a file could not be sent (EINVAL).
    """
    if filp.f_op.read is None:
        raise OSError(errno.EINVAL, f"{filp}: cannot be read")
    buf = FreshBytes()
    return buf.take(filp.f_op.read(filp, buf, count, pos))


def do_sendfile(task: Task, out_fd: int, in_fd: int, offset: int | None, count: int) -> int:
    """sendfile(2): move up to `count` bytes of `in_fd` from `offset` on to `out_fd` at its position.

    Args:
        offset: None for the position of `in_fd`, which then moves.
    Returns:
        how many bytes were moved.
    Raises:
        OSError: EBADF no descriptor, or not open for the direction; EINVAL a bad offset, or `out_fd`
            appends; EOVERFLOW an offset at the largest file size of either; else what reading or writing
            answers, if nothing was moved before.
    """
    filp = fget(task, in_fd)
    if not filp.f_mode & FMODE_READ:
        raise OSError(errno.EBADF, f"{filp}: not open for reading")
    pos = filp.f_pos if offset is None else offset
    count = rw_verify_area(filp, pos, count)
    out = fget(task, out_fd)
    if not out.f_mode & FMODE_WRITE:
        raise OSError(errno.EBADF, f"{out}: not open for writing")
    if out.f_flags & O_APPEND:
        raise OSError(errno.EINVAL, f"{out}: is open for appending")
    limit = min(f.f_inode.i_sb.s_maxbytes or OFFSET_MAX for f in (filp, out))
    if pos >= limit and pos + count > limit:
        raise OSError(errno.EOVERFLOW, f"{filp}: position {pos} (limit {limit})")
    try:
        moved = splice_direct(filp, out, pos, min(count, limit - pos))
    finally:
        file_accessed(filp)
    if offset is None:
        filp.f_pos = pos + moved
    return moved


def splice_direct(filp: File, out: File, pos: int, count: int) -> int:
    """Piece by piece, each as large as a pipe, until one comes short."""
    splice_read = filp.f_op.splice_read or default_file_splice_read
    moved = 0
    while moved < count:
        try:
            piece = splice_read(filp, min(PIPE_BYTES, count - moved), pos + moved)
            if not piece:
                break
            n = vfs_write(out, HostBuffer(piece), len(piece), out.f_pos)
        except OSError:
            if moved:
                break
            raise
        out.f_pos += n
        moved += n
        if n < len(piece):
            break
    return moved
