"""What command sets share: which chip holds an offset, and doing something to each erase block.

Kernel: v3.6 drivers/mtd/chips/cfi_util.c
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

from xiplab.linux.drivers.mtd.kthread import Work
from xiplab.linux.include.mtd import CfiPrivate, FlChip, MapInfo, MtdInfo


def cfi_private(map_: MapInfo) -> CfiPrivate:
    """What the probe found. Kernel: map->fldrv_priv"""
    assert map_.fldrv_priv is not None
    return map_.fldrv_priv


def chip_pieces(map_: MapInfo, offset: int, length: int) -> Iterator[tuple[FlChip, int, int]]:
    """The chips that hold `length` bytes from `offset` on: (chip, first offset in the map, bytes)."""
    cfi = cfi_private(map_)
    while length > 0:
        chip = cfi.chips[offset >> cfi.chipshift]
        piece = min(length, chip.start + (1 << cfi.chipshift) - offset)
        yield chip, offset, piece
        offset += piece
        length -= piece


def check_blocks(mtd: MtdInfo, offset: int, length: int) -> None:
    """Raises OSError EINVAL unless the range begins and ends on erase blocks."""
    if offset % mtd.erasesize or (offset + length) % mtd.erasesize:
        raise OSError(errno.EINVAL, f"{mtd}: {offset:#x}-{offset + length:#x} does not begin and end on "
                                    f"erase blocks ({mtd.erasesize:#x} bytes)")


def cfi_varsize_frob(mtd: MtdInfo, frob: Callable[[MapInfo, FlChip, int], Work[None]], offset: int,
                     length: int) -> Work[None]:
    """Do `frob` to each erase block of the range, one after the other."""
    for adr in range(offset, offset + length, mtd.erasesize):
        chip, _, _ = next(chip_pieces(mtd.priv, adr, mtd.erasesize))
        yield from frob(mtd.priv, chip, adr)
