"""A learner's read function in the driver of a flash partition, while the chip may be erasing.

    read() of /dev/mtd1 ─► MtdOps.read ─► function(adr, n, map_write, map_read, map_copy_from, sleep)

    map_write(command, adr)   a bus cycle        map_read(adr)   what the chip answers there, two bytes
    map_copy_from(adr, n)     n bytes, as the chip answers them    sleep(us)   microseconds pass
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from xiplab.linux.drivers.mtd import map_funcs
from xiplab.linux.drivers.mtd.cfi_util import cfi_private
from xiplab.linux.drivers.mtd.kthread import flash_time, wake_up
from xiplab.linux.drivers.mtd.mtdpart import MtdPart
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mtd import FlState, MapInfo, MtdInfo

Function: TypeAlias = Callable[..., Any]


def bus(map_: MapInfo) -> tuple[Function, ...]:
    """The functions that a learner's function is given, in order."""
    def map_write(command: int, adr: int) -> None:
        map_funcs.map_write(map_, command, adr)

    def map_read(adr: int) -> int:
        return map_funcs.map_read(map_, adr)

    def map_copy_from(adr: int, n: int) -> bytes:
        data = bytearray(n)
        map_funcs.map_copy_from(map_, memoryview(data), adr)
        return bytes(data)

    def sleep(us: float) -> None:
        spend(map_.kernel, us)

    return map_write, map_read, map_copy_from, sleep


def spend(kernel: Kernel, us: float) -> None:
    """Time passes for the chips; no other thread runs."""
    time = flash_time(kernel)
    for chip in time.chips:
        chip.advance(us)
    time.now_us += us


def read_operation(function: Function) -> Callable[[MtdInfo, int, memoryview], tuple[int, int]]:
    """The function as the read operation of a partition. Meanwhile the thread that erases looks away."""
    def read(mtd: MtdInfo, start: int, buf: memoryview) -> tuple[int, int]:
        part: MtdPart = mtd.priv
        map_: MapInfo = part.master.priv
        chip = cfi_private(map_).chips[0]
        erasing = chip.state is FlState.FL_ERASING
        chip.state = FlState.FL_ERASE_SUSPENDING if erasing else FlState.FL_STATUS
        try:
            data = function(part.offset + start, len(buf), *bus(map_))
        finally:
            chip.state = FlState.FL_ERASING if erasing else FlState.FL_STATUS
            chip.erase_suspended = erasing
            wake_up(mtd.kernel)
        buf[:len(data)] = data
        return len(data), 0

    return read
