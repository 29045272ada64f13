"""A guest with a disk image in its ramdisk /dev/ram0: direct access, and sectors of 512 bytes."""

from __future__ import annotations

import numpy as np

from xiplab.guest import ZVM, Guest
from xiplab.hw.memory import Storage
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.drivers.brd import brd_init
from xiplab.linux.include.blkdev import READ, WRITE
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SIZE, KiB, MiB, bytes_to_sectors

DISK = "ram0"


def guest_with_ramdisk(image: Bytes) -> Guest:
    """The image on /dev/ram0, not yet mounted."""
    guest = ZVM(Storage(32 * MiB)).logon("LINUX1", 16 * MiB, clock=lambda: 0)
    brd_init(guest.kernel, rd_nr=1, rd_size=len(image) // KiB)
    _move(WRITE, guest, image.copy())
    return guest


def image_of(guest: Guest, nbytes: int) -> bytes:
    """What lies on the disk now."""
    image = np.empty(nbytes, np.uint8)
    _move(READ, guest, image)
    return image.tobytes()


def _move(rw: int, guest: Guest, memory: Bytes) -> None:
    bdev = guest.kernel.block_devices[DISK]
    for start in range(0, len(memory), PAGE_SIZE):
        transfer(rw, bdev, bytes_to_sectors(start), memory[start:start + PAGE_SIZE])
