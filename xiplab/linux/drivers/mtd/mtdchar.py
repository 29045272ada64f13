"""/dev/mtd0 (minor 0), /dev/mtd0ro (minor 1), /dev/mtd1 (minor 2) and so on: flash as a file.

Kernel: v3.6 drivers/mtd/mtdchar.c
Differs: no ioctl (call mtd_erase, mtd_lock), no mmap, no OTP or raw mode.
"""

from __future__ import annotations

import errno

from xiplab.linux.drivers.mtd.mtdcore import get_mtd_device, mtd_read, mtd_sync, mtd_write, put_mtd_device
from xiplab.linux.include.blkdev import FMODE_WRITE
from xiplab.linux.include.fs import SEEK_CUR, SEEK_END, SEEK_SET, File, FileOperations, Inode, UserBuffer
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mtd import MTD_ABSENT, MTD_CHAR_MAJOR, MTD_WRITEABLE, MtdInfo
from xiplab.trace import tp_copy
from xiplab.units import KiB

MAX_KMALLOC_SIZE = 128 * KiB


def _mtd(filp: File) -> MtdInfo:
    mtd: MtdInfo = filp.private_data
    return mtd


def mtdchar_open(inode: Inode, filp: File) -> None:
    """Open the device of minor / 2; an odd minor is its read-only node.

    Raises:
        OSError: EACCES to write on a read-only node, or on a read-only device; ENODEV no device.
    """
    minor = inode.i_rdev & 0xFF
    writing = filp.f_mode & FMODE_WRITE
    if writing and minor & 1:
        raise OSError(errno.EACCES, f"/dev/mtd{minor >> 1}ro: the node is read-only")
    mtd = get_mtd_device(inode.i_sb.s_kernel, minor >> 1)
    if mtd.type == MTD_ABSENT:
        put_mtd_device(mtd)
        raise OSError(errno.ENODEV, f"{mtd}: there is no chip")
    if writing and not mtd.flags & MTD_WRITEABLE:
        put_mtd_device(mtd)
        raise OSError(errno.EACCES, f"{mtd}: the device is read-only")
    filp.private_data = mtd


def mtdchar_close(inode: Inode, filp: File) -> None:
    """A writer waits until the chip is done."""
    if filp.f_mode & FMODE_WRITE:
        mtd_sync(_mtd(filp))
    put_mtd_device(_mtd(filp))


def mtdchar_lseek(filp: File, offset: int, whence: int) -> int:
    """Raises OSError EINVAL outside 0..size, or an unknown `whence`."""
    mtd = _mtd(filp)
    start = {SEEK_SET: 0, SEEK_CUR: filp.f_pos, SEEK_END: mtd.size}.get(whence)
    if start is None or not 0 <= start + offset <= mtd.size:
        raise OSError(errno.EINVAL, f"{mtd}: seek by {offset} (whence {whence}, size {mtd.size:#x})")
    filp.f_pos = start + offset
    return filp.f_pos


def mtdchar_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Copy to the user through a buffer of the kernel's; returns how many bytes.

    Raises:
        OSError: EFAULT; what mtd_read answers, EUCLEAN apart (the data is right).
    """
    mtd = _mtd(filp)
    count = min(count, mtd.size - pos)
    kbuf = memoryview(bytearray(max(min(count, MAX_KMALLOC_SIZE), 0)))
    total = 0
    while total < count:
        piece = kbuf[:min(count - total, len(kbuf))]
        try:
            mtd_read(mtd, pos + total, piece)
        except OSError as failure:
            if failure.errno != errno.EUCLEAN:
                raise
        if buf.copy_to_user(piece) < len(piece):
            raise OSError(errno.EFAULT, f"{mtd}: the user's buffer cannot be accessed")
        if tp_copy.probes:
            tp_copy(what="memory to user", nbytes=len(piece))
        total += len(piece)
    return total


def mtdchar_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Program what the user gives; across the end it is short.

    Raises:
        OSError: ENOSPC at the end; EFAULT; what mtd_write answers.
    """
    mtd = _mtd(filp)
    if pos == mtd.size:
        raise OSError(errno.ENOSPC, f"{mtd}: position {pos:#x} is the end")
    count = min(count, mtd.size - pos)
    kbuf = memoryview(bytearray(max(min(count, MAX_KMALLOC_SIZE), 0)))
    total = 0
    while total < count:
        piece = kbuf[:min(count - total, len(kbuf))]
        if buf.copy_from_user(piece) < len(piece):
            raise OSError(errno.EFAULT, f"{mtd}: the user's buffer cannot be accessed")
        if tp_copy.probes:
            tp_copy(what="user to memory", nbytes=len(piece))
        mtd_write(mtd, pos + total, piece)
        total += len(piece)
    return total


mtd_fops = FileOperations(name="mtd_fops", llseek=mtdchar_lseek, read=mtdchar_read, write=mtdchar_write,
                          open=mtdchar_open, release=mtdchar_close)


def init_mtdchar(kernel: Kernel) -> None:
    """Register the driver."""
    kernel.chrdevs[MTD_CHAR_MAJOR] = mtd_fops
