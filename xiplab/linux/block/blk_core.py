"""The way of a bio to its driver.

Kernel: v3.6 block/blk-core.c
"""

from __future__ import annotations

import errno

from xiplab.linux.include.blkdev import READ, Bio, BioVec, BlockDevice
from xiplab.ondisk import Bytes
from xiplab.units import Sector, bytes_to_sectors


def bio_endio(bio: Bio, error: int = 0) -> None:
    """The driver is done with `bio`; `error` is 0 or an errno. Kernel: fs/bio.c"""
    bio.bi_error = error
    if bio.bi_end_io is not None:
        bio.bi_end_io(bio)


def generic_make_request(bio: Bio) -> None:
    """Hand `bio` to its driver, which completes it.

    A bio past the end of the device, or larger than the queue takes, completes with EIO and a line
    in the log.
    """
    disk = bio.bi_bdev.bd_disk
    nr_sectors = bytes_to_sectors(bio.bi_size)
    if bio.bi_sector + nr_sectors > disk.capacity:
        disk.kernel.printk(f"{disk}: attempt to access beyond end of device: want "
                           f"{bio.bi_sector + nr_sectors}, limit {disk.capacity}")
        bio_endio(bio, errno.EIO)
    elif nr_sectors > disk.queue.max_sectors:
        disk.kernel.printk(f"{disk}: bio too big ({nr_sectors} > {disk.queue.max_sectors})")
        bio_endio(bio, errno.EIO)
    else:
        disk.queue.make_request_fn(disk.queue, bio)


def submit_bio(rw: int, bio: Bio) -> None:
    bio.bi_rw = rw
    generic_make_request(bio)


def transfer(rw: int, bdev: BlockDevice, sector: int, memory: Bytes) -> None:
    """Move `memory` from (READ) or to (WRITE) the sectors from `sector` on, and wait.

    Kernel: none (what callers of submit_bio and wait_on_buffer or lock_page do)
    Raises:
        OSError: EIO, or what the driver answered, naming device and sector.
    """
    bio = Bio(bdev, Sector(sector), rw, [BioVec(memory, len(memory))])
    submit_bio(rw, bio)
    if bio.bi_error:
        verb = "read" if rw == READ else "write"
        raise OSError(bio.bi_error, f"{bdev}: {verb} of {len(memory)} bytes at sector {sector} failed "
                                    f"({bdev.bd_disk.capacity} sectors)")
