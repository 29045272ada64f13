"""The calls that every flash device is used through. They check, in a fixed order, and pass on.

    mtd_point    no method EOPNOTSUPP · range EINVAL · nothing to do
    mtd_read     range EINVAL · nothing to do · read · EUCLEAN if many bits were corrected
    mtd_write    range EINVAL · read-only EROFS · nothing to do
    mtd_erase    range EINVAL · read-only EROFS · nothing to do: done at once

Kernel: v3.6 drivers/mtd/mtdcore.c
Differs: mtd_erase_wait is what each caller of mtd_erase writes for itself in Linux.
"""

from __future__ import annotations

import errno

from xiplab.linux.drivers.mtd.kthread import UNTIL_WOKEN, Work, run
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mtd import (
    MTD_CHAR_MAJOR,
    MTD_ERASE_DONE,
    MTD_ERASE_FAILED,
    MTD_FAIL_ADDR_UNKNOWN,
    MTD_WRITEABLE,
    EraseInfo,
    MtdInfo,
)
from xiplab.units import Paddr


def mtd_table(kernel: Kernel) -> dict[int, MtdInfo]:
    """The flash devices of the kernel, by number."""
    table: dict[int, MtdInfo] = kernel.statics.setdefault("mtd", {})
    return table


def add_mtd_device(mtd: MtdInfo) -> int:
    """Give the device the lowest free number, and its two nodes /dev/mtdN and /dev/mtdNro; returns it."""
    table = mtd_table(mtd.kernel)
    mtd.index = next(number for number in range(len(table) + 1) if number not in table)
    table[mtd.index] = mtd
    mtd.kernel.cdevs[f"mtd{mtd.index}"] = MTD_CHAR_MAJOR << 8 | mtd.index * 2
    mtd.kernel.cdevs[f"mtd{mtd.index}ro"] = MTD_CHAR_MAJOR << 8 | mtd.index * 2 + 1
    return mtd.index


def del_mtd_device(mtd: MtdInfo) -> None:
    """Raises OSError EBUSY while somebody uses it; ENODEV if it was never added."""
    table = mtd_table(mtd.kernel)
    if table.get(mtd.index) is not mtd:
        raise OSError(errno.ENODEV, f"{mtd}: is no device")
    if mtd.usecount:
        raise OSError(errno.EBUSY, f"Removing MTD device #{mtd.index} ({mtd.name}) with use count "
                                   f"{mtd.usecount}")
    del table[mtd.index], mtd.kernel.cdevs[f"mtd{mtd.index}"], mtd.kernel.cdevs[f"mtd{mtd.index}ro"]
    mtd.index = -1


def get_mtd_device(kernel: Kernel, number: int) -> MtdInfo:
    """The device of that number, with one more user. Raises: OSError ENODEV."""
    mtd = mtd_table(kernel).get(number)
    if mtd is None:
        raise OSError(errno.ENODEV, f"mtd{number}: no such device")
    mtd.usecount += 1
    return mtd


def put_mtd_device(mtd: MtdInfo) -> None:
    mtd.usecount -= 1


def _check_range(mtd: MtdInfo, start: int, length: int) -> None:
    if start < 0 or start > mtd.size or length > mtd.size - start:
        raise OSError(errno.EINVAL, f"{mtd}: {length} bytes at {start:#x} (size {mtd.size:#x})")


def _check_writeable(mtd: MtdInfo) -> None:
    if not mtd.flags & MTD_WRITEABLE:
        raise OSError(errno.EROFS, f"{mtd}: the device is read-only")


def _unsupported(mtd: MtdInfo, what: str) -> OSError:
    return OSError(errno.EOPNOTSUPP, f"{mtd}: the driver has no {what}")


def mtd_erase_callback(instr: EraseInfo) -> None:
    """The erase is over: tell its owner, and whoever sleeps for it."""
    if instr.callback is not None:
        instr.callback(instr)


def mtd_erase(mtd: MtdInfo, instr: EraseInfo) -> None:
    """Start to erase whole blocks; instr.callback says when it is over, mtd_erase_wait waits for it.

    Raises:
        OSError: EINVAL out of range or not on erase blocks; EROFS read-only or locked; EIO.
    """
    _check_range(mtd, instr.addr, instr.len)
    _check_writeable(mtd)
    instr.fail_addr = MTD_FAIL_ADDR_UNKNOWN
    if not instr.len:
        instr.state = MTD_ERASE_DONE
        mtd_erase_callback(instr)
        return
    if mtd.ops.erase is None:
        raise _unsupported(mtd, "erase")
    mtd.ops.erase(mtd, instr)


def _until_over(instr: EraseInfo) -> Work[None]:
    while instr.state not in {MTD_ERASE_DONE, MTD_ERASE_FAILED}:
        yield UNTIL_WOKEN


def mtd_erase_wait(mtd: MtdInfo, instr: EraseInfo) -> None:
    """Sleep until the erase is over. Kernel: none

    Raises:
        OSError: why it failed; EDEADLK if it waits for an unpoint.
    """
    run(mtd.kernel, _until_over(instr))
    if instr.error is not None:
        raise instr.error


def mtd_point(mtd: MtdInfo, start: int, length: int) -> tuple[int, int, Paddr]:
    """Make `length` bytes from `start` on readable in place, until mtd_unpoint of the same range.

    Returns:
        retlen: how many bytes that holds for; it may be less than `length`. virt: the kernel's address.
        phys: the absolute address.
    Raises:
        OSError: EOPNOTSUPP the driver cannot; EINVAL out of range.
    """
    if mtd.ops.point is None:
        raise _unsupported(mtd, "point")
    _check_range(mtd, start, length)
    if not length:
        return 0, 0, Paddr(0)
    return mtd.ops.point(mtd, start, length)


def mtd_unpoint(mtd: MtdInfo, start: int, length: int) -> None:
    """Give the range back. Raises: OSError EOPNOTSUPP, EINVAL."""
    if mtd.ops.unpoint is None:
        raise _unsupported(mtd, "unpoint")
    _check_range(mtd, start, length)
    if length:
        mtd.ops.unpoint(mtd, start, length)


def mtd_read(mtd: MtdInfo, start: int, buf: memoryview) -> int:
    """Fill `buf` from `start` on; returns how many bytes came.

    Raises:
        OSError: EINVAL out of range; EUCLEAN the data is right, but so many bits had to be corrected that
            the block should be written anew; EIO.
    """
    _check_range(mtd, start, len(buf))
    if not buf:
        return 0
    if mtd.ops.read is None:
        raise _unsupported(mtd, "read")
    retlen, bitflips = mtd.ops.read(mtd, start, buf)
    if mtd.ecc_strength and bitflips >= mtd.bitflip_threshold:
        raise OSError(errno.EUCLEAN, f"{mtd}: {bitflips} bits corrected (threshold {mtd.bitflip_threshold})")
    return retlen


def mtd_write(mtd: MtdInfo, start: int, buf: memoryview) -> int:
    """Program `buf` from `start` on; returns how many bytes. On flash this can only clear bits.

    Raises:
        OSError: EINVAL out of range; EROFS read-only or locked; EIO, ETIME; EDEADLK if the chip is pointed
            (in Linux the caller sleeps).
    """
    _check_range(mtd, start, len(buf))
    _check_writeable(mtd)
    if mtd.ops.write is None:
        raise OSError(errno.EROFS, f"{mtd}: the driver has no write")
    return mtd.ops.write(mtd, start, buf) if buf else 0


def mtd_sync(mtd: MtdInfo) -> None:
    """Sleep until nothing works on the device any more."""
    if mtd.ops.sync is not None:
        mtd.ops.sync(mtd)


def mtd_lock(mtd: MtdInfo, start: int, length: int) -> None:
    """Lock blocks against program and erase. Raises: OSError EOPNOTSUPP, EINVAL."""
    if mtd.ops.lock is None:
        raise _unsupported(mtd, "lock")
    _check_range(mtd, start, length)
    if length:
        mtd.ops.lock(mtd, start, length)


def mtd_unlock(mtd: MtdInfo, start: int, length: int) -> None:
    """Unlock blocks. Raises: OSError EOPNOTSUPP, EINVAL."""
    if mtd.ops.unlock is None:
        raise _unsupported(mtd, "unlock")
    _check_range(mtd, start, length)
    if length:
        mtd.ops.unlock(mtd, start, length)


def mtd_is_locked(mtd: MtdInfo, start: int, length: int) -> bool:
    """Whether any block of the range is locked. Raises: OSError EOPNOTSUPP, EINVAL."""
    if mtd.ops.is_locked is None:
        raise _unsupported(mtd, "is_locked")
    _check_range(mtd, start, length)
    return bool(length) and mtd.ops.is_locked(mtd, start, length)


def mtd_proc_show(kernel: Kernel) -> str:
    """What /proc/mtd shows."""
    lines = [f'mtd{mtd.index}: {mtd.size:08x} {mtd.erasesize:08x} "{mtd.name}"\n'
             for _, mtd in sorted(mtd_table(kernel).items())]
    return "dev:    size   erasesize  name\n" + "".join(lines)
