"""Asynchronous reads and writes: submit now, collect the results later.

    ctx = io_setup(8)
    io_submit(ctx, [Iocb(IOCB_CMD_PREAD, filp, buf, 4096, 0, data="first")])
    io_getevents(ctx, 1, 8)

Our files complete a request while it is submitted; its result waits in the completion queue all the
same.

Kernel: v3.6 fs/aio.c
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from xiplab.linux.fs.read_write import rw_verify_area
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE
from xiplab.linux.include.fs import File, UserBuffer

IOCB_CMD_PREAD, IOCB_CMD_PWRITE, IOCB_CMD_FSYNC = 0, 1, 2
AIO_MAX_NR = 0x10000


@dataclass(eq=False)
class Iocb:
    """One request: `aio_nbytes` bytes of the file at `aio_offset`."""

    aio_lio_opcode: int
    filp: File
    aio_buf: UserBuffer
    aio_nbytes: int
    aio_offset: int
    data: object = None


@dataclass(frozen=True)
class IoEvent:
    """A finished request: `res` bytes were moved, or minus an errno."""

    data: object
    obj: Iocb
    res: int


@dataclass(eq=False)
class Kioctx:
    """A context: room for `max_reqs` results that nobody has collected yet."""

    max_reqs: int
    ring: deque[IoEvent] = field(default_factory=deque)


def io_setup(nr_events: int) -> Kioctx:
    """Raises OSError EINVAL for no room, EAGAIN for more than the system has."""
    if nr_events < 1:
        raise OSError(errno.EINVAL, f"io_setup: room for {nr_events} events")
    if nr_events > AIO_MAX_NR:
        raise OSError(errno.EAGAIN, f"io_setup: room for {nr_events} events (limit {AIO_MAX_NR})")
    return Kioctx(nr_events)


def io_submit(ctx: Kioctx, iocbs: Sequence[Iocb]) -> int:
    """Start the requests in order; returns how many were taken.

    Raises:
        OSError: for the first request only (later ones just end the loop): EAGAIN the context is full;
            EBADF not open for the direction; EINVAL the file has no such method, as a XIP file.
    """
    taken = 0
    for iocb in iocbs:
        try:
            io_submit_one(ctx, iocb)
        except OSError:
            if not taken:
                raise
            break
        taken += 1
    return taken


def io_submit_one(ctx: Kioctx, iocb: Iocb) -> None:
    if len(ctx.ring) >= ctx.max_reqs:
        raise OSError(errno.EAGAIN, f"aio: {ctx.max_reqs} results wait to be collected")
    write = iocb.aio_lio_opcode == IOCB_CMD_PWRITE
    if iocb.aio_lio_opcode not in (IOCB_CMD_PREAD, IOCB_CMD_PWRITE):
        raise OSError(errno.EINVAL, f"aio: operation {iocb.aio_lio_opcode}")
    filp = iocb.filp
    if not filp.f_mode & (FMODE_WRITE if write else FMODE_READ):
        raise OSError(errno.EBADF, f"{filp}: not open for {'writing' if write else 'reading'}")
    method = filp.f_op.aio_write if write else filp.f_op.aio_read
    if method is None:
        raise OSError(errno.EINVAL, f"{filp}: has no asynchronous {'write' if write else 'read'}")
    count = rw_verify_area(filp, iocb.aio_offset, iocb.aio_nbytes)
    try:
        res = method(filp, iocb.aio_buf, count, iocb.aio_offset)
    except OSError as error:
        res = -(error.errno or errno.EIO)
    ctx.ring.append(IoEvent(iocb.data, iocb, res))


def io_getevents(ctx: Kioctx, min_nr: int, nr: int) -> list[IoEvent]:
    """Collect up to `nr` results, oldest first.

    Raises:
        OSError: EINVAL unless 0 <= min_nr <= nr; EAGAIN if fewer than min_nr are there (Linux would
            wait; here nothing is under way that could finish).
    """
    if not 0 <= min_nr <= nr:
        raise OSError(errno.EINVAL, f"io_getevents: between {min_nr} and {nr}")
    if len(ctx.ring) < min_nr:
        raise OSError(errno.EAGAIN, f"io_getevents: {len(ctx.ring)} results, {min_nr} wanted")
    return [ctx.ring.popleft() for _ in range(min(nr, len(ctx.ring)))]
