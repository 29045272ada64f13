"""Terminals: what programs print, and what they read from whoever types.

A task's terminal is /dev/tty to it. Its descriptors 0, 1 and 2 usually lead there.

Kernel: v3.6 drivers/tty/tty_io.c
Differs: nothing is echoed, edited or translated; what was typed is all there is, then comes the end.
"""

from __future__ import annotations

import errno
from functools import partial

from xiplab.linux.include.fs import File, FileOperations, Inode, UserBuffer
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.tty import TtyStruct
from xiplab.units import PAGE_SIZE, MiB

TTYAUX_MAJOR = 5
LIMIT = 16 * MiB
"""So much is kept of what programs print to one terminal; then it hangs up."""


def tty_read(tty: TtyStruct, filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Raises OSError EFAULT."""
    piece = tty.typed[:count]
    moved = buf.copy_to_user(memoryview(piece)) if piece else 0
    if piece and not moved:
        raise OSError(errno.EFAULT, f"{filp}: read into memory that is not there")
    tty.typed = tty.typed[moved:]
    return moved


def tty_write(tty: TtyStruct, filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Raises OSError EFAULT; EIO above the limit."""
    if not count:
        return 0
    written, count = 0, min(count, LIMIT - len(tty.printed))
    if not count:
        raise OSError(errno.EIO, f"{filp}: {LIMIT} bytes were printed (the limit)")
    while written < count:
        piece = bytearray(min(count - written, PAGE_SIZE))
        moved = buf.copy_from_user(memoryview(piece))
        tty.printed += piece[:moved]
        written += moved
        if moved < len(piece):
            break
    if not written:
        raise OSError(errno.EFAULT, f"{filp}: write from memory that is not there")
    return written


def tty_open(inode: Inode, filp: File) -> None:
    """/dev/tty: the terminal of the task that opens it. Raises OSError ENXIO if it has none."""
    kernel = inode.i_sb.s_kernel
    tty = kernel.current.tty
    if tty is None:
        raise OSError(errno.ENXIO, f"{kernel.current} has no terminal")
    filp.f_op = FileOperations(name="tty_fops", read=partial(tty_read, tty), write=partial(tty_write, tty))


tty_dev_fops = FileOperations(name="tty_dev_fops", open=tty_open)


def tty_init(kernel: Kernel) -> None:
    """Make /dev/tty."""
    kernel.chrdevs[TTYAUX_MAJOR] = tty_dev_fops
    kernel.cdevs["tty"] = TTYAUX_MAJOR << 8
