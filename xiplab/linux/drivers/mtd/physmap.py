"""Flash at a fixed address of the machine.

Kernel: v3.6 drivers/mtd/maps/physmap.c
Differs: it also wires the chips to the machine's storage, read-only: a store to flash is no way to
write it. The kernel's address is the physical one; Linux uses ioremap.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from xiplab.hw.nor import NorChip
from xiplab.linux.drivers.mtd.cfi_probe import cfi_probe
from xiplab.linux.drivers.mtd.mtdchar import init_mtdchar
from xiplab.linux.drivers.mtd.mtdcore import add_mtd_device
from xiplab.linux.drivers.mtd.mtdpart import add_mtd_partitions
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mtd import MapInfo, MtdInfo, MtdPartition
from xiplab.units import Paddr


def _wire(kernel: Kernel, name: str, phys: Paddr, devices: Sequence[NorChip]) -> None:
    """Let the chips answer from `phys` on, in a row. Kernel: none (the board)"""
    if len({chip.size for chip in devices}) != 1:
        raise OSError(errno.EINVAL, f"{name}: needs chips, all of one size")
    end = phys + len(devices) * devices[0].size - 1
    if (taken := kernel.memory.overlapping(phys, end)) is not None:
        raise OSError(errno.EBUSY, f"{name}: {phys:#x}-{end:#x} overlaps {taken.name}")
    for number, chip in enumerate(devices):
        at = Paddr(phys + number * chip.size)
        kernel.memory.attach(at, chip.first, chip.npages, writable=False, name=f"{name}.{number}")


def physmap_flash_probe(kernel: Kernel, name: str, phys: Paddr, devices: Sequence[NorChip],
                        parts: Sequence[MtdPartition] = ()) -> MtdInfo:
    """Find `devices`, in a row from `phys` on; they become mtd0, or their partitions do.

    Raises:
        OSError: EINVAL no chips, of several sizes, or not at a page; EBUSY if storage is there already;
            ENODEV if they are no CFI chips.
    """
    _wire(kernel, name, phys, devices)
    init_mtdchar(kernel)
    mtd = cfi_probe(MapInfo(kernel, name, phys, phys, list(devices)))
    if parts:
        add_mtd_partitions(mtd, parts)
    else:
        add_mtd_device(mtd)
    return mtd
