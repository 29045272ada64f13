"""Opening and closing block devices.

Kernel: v3.6 fs/block_dev.c
"""

from __future__ import annotations

import errno

from xiplab.hw.memory import Lease
from xiplab.linux.fs.buffer import invalidate_bdev, sync_dirty_buffers
from xiplab.linux.include.blkdev import FMODE_WRITE, BlockDevice
from xiplab.units import PAGE_SIZE, Pfn, Sector


class Kaddr(Lease):
    """An address from direct_access: a number that cannot be used after the device was released.

    Kernel: none (a `void *`; using it after release is undefined there)
    """

    bdev: BlockDevice
    sector: Sector
    release_count: int

    def check(self) -> None:
        """Raises OSError ENXIO if the device was released since."""
        if self.bdev.bd_release_count != self.release_count:
            raise OSError(errno.ENXIO, f"{self.bdev}: the address {int(self):#x} of sector {self.sector} "
                                       "was valid until release, and the device has been released")


def bdev_direct_access(bdev: BlockDevice, sector: Sector) -> tuple[Kaddr, Pfn]:
    """Ask the driver where `sector` lies in memory.

    Kernel: none before 4.0; v3.6 fs/ext2/xip.c __inode_direct_access() calls the driver itself.
    Returns:
        kaddr: address in the 1:1 mapping, valid until the device is released. pfn: its page frame.
    Raises:
        OSError: EOPNOTSUPP the driver has no direct_access; ENXIO nobody has opened the device;
            else what the driver answers (ENODEV, EINVAL, ERANGE).
    """
    direct_access = bdev.bd_disk.fops.direct_access
    if direct_access is None:
        raise OSError(errno.EOPNOTSUPP, f"{bdev}: the driver has no direct_access")
    _check_open(bdev, sector)
    address, pfn = direct_access(bdev, sector)
    return _lease(bdev, sector, address), pfn


def bdev_direct_access_run(bdev: BlockDevice, sector: Sector, npages: int) -> tuple[Kaddr, Pfn, int]:
    """The same for up to `npages` pages in a row, and how many they are; one, if the driver knows no runs.

    Kernel: none (direct_access, asked for each page)
    Raises:
        OSError: as bdev_direct_access.
    """
    direct_access_run = bdev.bd_disk.fops.direct_access_run
    if direct_access_run is None:
        return *bdev_direct_access(bdev, sector), 1
    _check_open(bdev, sector)
    address, pfn, n = direct_access_run(bdev, sector, npages)
    return _lease(bdev, sector, address), pfn, n


def _check_open(bdev: BlockDevice, sector: Sector) -> None:
    if not bdev.bd_openers:
        raise OSError(errno.ENXIO, f"{bdev}: not open, so no address of sector {sector} would be valid")


def _lease(bdev: BlockDevice, sector: Sector, address: int) -> Kaddr:
    kaddr = Kaddr(address)
    kaddr.bdev, kaddr.sector, kaddr.release_count = bdev, sector, bdev.bd_release_count
    return kaddr


def set_blocksize(bdev: BlockDevice, size: int) -> None:
    """Set the buffer size of the device; a change writes and drops its buffers.

    Raises:
        OSError: EINVAL for no power of two, below 512, above the page size, or below the device's
            logical block size; EIO.
    """
    logical = bdev.bd_disk.queue.logical_block_size
    if size < 512 or size > PAGE_SIZE or size & (size - 1) or size < logical:
        raise OSError(errno.EINVAL, f"{bdev}: block size {size} is no power of two from {logical} "
                                    f"to {PAGE_SIZE}")
    if bdev.bd_block_size != size:
        sync_dirty_buffers(bdev)
        invalidate_bdev(bdev)
        bdev.bd_block_size = size


def blkdev_get(bdev: BlockDevice, mode: int) -> None:
    """Open the device, for writing if `mode` has FMODE_WRITE.

    Raises:
        OSError: EACCES to write on a read-only device; what the driver's open answers.
    """
    if mode & FMODE_WRITE and bdev.bd_disk.policy:
        raise OSError(errno.EACCES, f"{bdev}: the device is read-only")
    if bdev.bd_disk.fops.open is not None:
        bdev.bd_disk.fops.open(bdev, mode)
    bdev.bd_openers += 1


def blkdev_put(bdev: BlockDevice, mode: int) -> None:
    """Close the device. The last close writes and drops its buffers, and ends the validity of every
    address it gave out. A buffer that cannot be written is lost, with a line in the log."""
    bdev.bd_openers -= 1
    if not bdev.bd_openers:
        try:
            sync_dirty_buffers(bdev)
        except OSError as error:
            bdev.bd_disk.kernel.printk(f"{bdev}: lost metadata at close: {error}")
        invalidate_bdev(bdev)
        bdev.bd_release_count += 1
    if bdev.bd_disk.fops.release is not None:
        bdev.bd_disk.fops.release(bdev.bd_disk, mode)
