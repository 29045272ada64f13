"""Bus cycles to the chips of a map.

Kernel: v3.6 drivers/mtd/maps/map_funcs.c, include/linux/mtd/map.h
"""

from __future__ import annotations

from xiplab.hw.nor import NorChip
from xiplab.linux.include.mtd import MapInfo
from xiplab.trace import tp_copy


def _device(map_: MapInfo, offset: int) -> tuple[NorChip, int]:
    """The chip at byte `offset` of the map, and the offset within it."""
    size = map_.devices[0].size
    return map_.devices[offset // size], offset % size


def map_read(map_: MapInfo, offset: int) -> int:
    """Read the word at `offset`: data, status or a table, whatever the chip's mode says."""
    chip, address = _device(map_, offset)
    return chip.read(address)


def map_write(map_: MapInfo, value: int, offset: int) -> None:
    """Write a word to `offset`: a command to that chip, or its data."""
    chip, address = _device(map_, offset)
    chip.write(address, value)


def map_copy_from(map_: MapInfo, to: memoryview, offset: int) -> None:
    """Fill `to` with plain reads from `offset` on."""
    to[:] = map_.kernel.memory.span(map_.phys + offset, len(to))
    if tp_copy.probes:
        tp_copy(what="flash to memory", nbytes=len(to))
