"""Partitions: parts of a flash device that are devices themselves. Each call adds the offset.

Kernel: v3.6 drivers/mtd/mtdpart.c
Differs: a partition has its own operation table with the methods that its master has. All erase blocks of
a device have one size.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from xiplab.linux.drivers.mtd.mtdcore import (
    add_mtd_device,
    del_mtd_device,
    mtd_erase_callback,
    mtd_sync,
    mtd_table,
)
from xiplab.linux.include.mtd import (
    MTD_ERASING,
    MTD_FAIL_ADDR_UNKNOWN,
    MTD_WRITEABLE,
    MTDPART_OFS_APPEND,
    EraseInfo,
    MtdInfo,
    MtdOps,
    MtdPartition,
)

A = TypeVar("A")
R = TypeVar("R")


@dataclass
class MtdPart:
    """Where a partition begins in its master."""

    master: MtdInfo
    offset: int


def _part(mtd: MtdInfo) -> MtdPart:
    part: MtdPart = mtd.priv
    return part


def _shifted(method: Callable[[MtdInfo, int, A], R] | None) -> Callable[[MtdInfo, int, A], R] | None:
    """`method` of the master as the partition's own: its start moves by the partition's offset.

    Kernel: part_read(), part_write(), part_point(), part_unpoint(), part_lock(), part_unlock() ...
    """
    if method is None:
        return None

    def shifted(mtd: MtdInfo, start: int, what: A) -> R:
        part = _part(mtd)
        return method(part.master, part.offset + start, what)

    return shifted


def part_erase(mtd: MtdInfo, instr: EraseInfo) -> None:
    """Have the master erase; what it reports comes back in the partition's own addresses."""
    part = _part(mtd)
    assert part.master.ops.erase is not None

    def over(inner: EraseInfo) -> None:
        instr.state, instr.error = inner.state, inner.error
        if inner.fail_addr != MTD_FAIL_ADDR_UNKNOWN:
            instr.fail_addr = inner.fail_addr - part.offset
        mtd_erase_callback(instr)

    instr.state = MTD_ERASING
    part.master.ops.erase(part.master, EraseInfo(part.offset + instr.addr, instr.len, over))


def part_sync(mtd: MtdInfo) -> None:
    mtd_sync(_part(mtd).master)


def _part_ops(master: MtdInfo, name: str) -> MtdOps:
    """The partition's operations: those that the master has."""
    ops = master.ops
    return MtdOps(name=f"{name}_ops", read=_shifted(ops.read), write=_shifted(ops.write),
                  point=_shifted(ops.point), unpoint=_shifted(ops.unpoint), lock=_shifted(ops.lock),
                  unlock=_shifted(ops.unlock), is_locked=_shifted(ops.is_locked),
                  erase=part_erase if ops.erase else None, sync=part_sync)


def allocate_partition(master: MtdInfo, wish: MtdPartition, cur_offset: int) -> MtdInfo:
    """The partition that `wish` describes; MTDPART_OFS_APPEND begins at `cur_offset`.

    One past the end is disabled (size 0), one too long is cut, one that does not begin and end on an
    erase block loses MTD_WRITEABLE: an erase would hit its neighbour. Each is a line in the log.
    """
    kernel = master.kernel
    offset = cur_offset if wish.offset == MTDPART_OFS_APPEND else wish.offset
    size = wish.size or master.size - offset
    if offset >= master.size:
        kernel.printk(f'mtd: partition "{wish.name}" is out of reach -- disabled')
        offset = size = 0
    elif offset + size > master.size:
        size = master.size - offset
        kernel.printk(f'mtd: partition "{wish.name}" extends beyond the end of device "{master.name}" '
                      f"-- size truncated to {size:#x}")
    flags = master.flags & ~wish.mask_flags
    for edge, where in ((offset, "start"), (offset + size, "end")):
        if flags & MTD_WRITEABLE and edge % master.erasesize:
            flags &= ~MTD_WRITEABLE
            kernel.printk(f'mtd: partition "{wish.name}" doesn\'t {where} on an erase block boundary '
                          "-- force read-only")
    return MtdInfo(kernel, wish.name, size, master.erasesize, _part_ops(master, wish.name), master.type,
                   flags, master.writesize, ecc_strength=master.ecc_strength,
                   bitflip_threshold=master.bitflip_threshold, priv=MtdPart(master, offset))


def add_mtd_partitions(master: MtdInfo, parts: Sequence[MtdPartition]) -> list[MtdInfo]:
    """Make each partition a device of its own; the master is none."""
    master.kernel.printk(f'Creating {len(parts)} MTD partitions on "{master.name}":')
    partitions: list[MtdInfo] = []
    cur_offset = 0
    for wish in parts:
        slave = allocate_partition(master, wish, cur_offset)
        add_mtd_device(slave)
        partitions.append(slave)
        cur_offset = slave.priv.offset + slave.size
    return partitions


def del_mtd_partitions(master: MtdInfo) -> None:
    """Take all partitions of `master` away. Raises: OSError EBUSY while one of them is used."""
    slaves = [mtd for mtd in mtd_table(master.kernel).values()
              if isinstance(mtd.priv, MtdPart) and mtd.priv.master is master]
    if used := [mtd for mtd in slaves if mtd.usecount]:
        raise OSError(errno.EBUSY, f"{used[0]}: in use by {used[0].usecount}")
    for mtd in slaves:
        del_mtd_device(mtd)
