"""Finding chips: ask each address of a map for its CFI table.

Kernel: v3.6 drivers/mtd/chips/cfi_probe.c, gen_probe.c
Differs: one width and no interleave, so there is nothing to try out. All chips of a map are alike.
"""

from __future__ import annotations

import errno

import numpy as np

from xiplab.hw.nor import PRI_START, QUERY_START, READ_ARRAY, READ_QUERY, CfiIdent, CfiPriIntelext
from xiplab.linux.drivers.mtd.cfi_cmdset_0001 import cfi_cmdset_0001
from xiplab.linux.drivers.mtd.kthread import flash_time
from xiplab.linux.drivers.mtd.map_funcs import map_read, map_write
from xiplab.linux.include.mtd import CfiPrivate, FlChip, MapInfo, MtdInfo

CFI_QUERY_ADDRESS = 0x55
P_ID_INTEL_EXT = 1


def cfi_read_query_table(map_: MapInfo, base: int) -> tuple[CfiIdent, CfiPriIntelext]:
    """The tables of the chip at `base`, which is in array mode afterwards."""
    map_write(map_, READ_QUERY, base + CFI_QUERY_ADDRESS * map_.bankwidth)
    table = np.array([map_read(map_, base + word * map_.bankwidth) & 0xFF for word in range(256)], np.uint8)
    map_write(map_, READ_ARRAY, base)
    return CfiIdent(table, QUERY_START), CfiPriIntelext(table, PRI_START)


def cfi_probe(map_: MapInfo) -> MtdInfo:
    """Find the chips of the map.

    Raises:
        OSError: ENODEV if there is none at its start, or none of Intel's command set.
    """
    ident, pri = cfi_read_query_table(map_, 0)
    if ident.qry != b"QRY" or ident.P_ID != P_ID_INTEL_EXT:
        raise OSError(errno.ENODEV, f"{map_}: no CFI chip of Intel's command set (P_ID {ident.P_ID:#x})")
    size = 1 << ident.DevSize
    chips = [FlChip(start, word_write_time=1 << ident.WordWriteTimeoutTyp,
                    buffer_write_time=1 << ident.BufWriteTimeoutTyp,
                    erase_time=1000 << ident.BlockEraseTimeoutTyp)
             for start in range(0, map_.size, size)]
    map_.fldrv_priv = CfiPrivate(ident, pri, ident.DevSize, chips)
    map_.kernel.printk(f"{map_}: Found {len(chips)} x16 devices at 0x0 in 16-bit bank")
    flash_time(map_.kernel).chips += map_.devices
    return cfi_cmdset_0001(map_)
