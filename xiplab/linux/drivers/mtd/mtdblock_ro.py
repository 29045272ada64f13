"""A flash device as a disk, so that a file system for disks can be mounted on it read-only.

xip.txt: "As an alternative, memory technology devices can be used for this." This driver is that
alternative: direct_access is made of point. The first direct_access points the whole device, the last
release gives it back. So an address is good for as long as direct_access promises, and for as long
nobody can write or erase.

Tables: mtdblock_ro_devops, and for experiments mtdblock_ro_devops_unpointed, whose direct_access keeps
nothing pointed: what it hands out turns into status bytes when somebody writes or erases.

A write bio is programmed without an erase, as in Linux: bits that must become 1 stay 0. The disk is
read-only unless it is added with readonly=False.

Kernel: v3.6 drivers/mtd/mtdblock_ro.c, mtd_blkdevs.c
Differs: mainline's has no direct_access. A disk is added by hand, not by a notifier.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from xiplab.linux.block.blk_core import bio_endio
from xiplab.linux.block.genhd import add_disk, del_gendisk
from xiplab.linux.drivers.mtd.mtdcore import (
    get_mtd_device,
    mtd_point,
    mtd_read,
    mtd_unpoint,
    mtd_write,
    put_mtd_device,
)
from xiplab.linux.include.blkdev import WRITE, Bio, BlockDevice, BlockDeviceOperations, GenDisk, RequestQueue
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mtd import MTD_BLOCK_MAJOR, MtdInfo
from xiplab.units import (
    PAGE_SECTORS,
    PAGE_SHIFT,
    PAGE_SIZE,
    Paddr,
    Pfn,
    Sector,
    bytes_to_sectors,
    paddr_to_pfn,
    sector_to_bytes,
)


@dataclass(eq=False)
class MtdBlktransDev:
    """A flash device as a disk.

    Attributes:
        open: how often it is open. pointed: the kernel's address and the absolute address of the
            whole device, while it is pointed.
    """

    mtd: MtdInfo
    open: int = 0
    pointed: tuple[int, Paddr] | None = None


def _dev(bdev: BlockDevice) -> MtdBlktransDev:
    dev: MtdBlktransDev = bdev.bd_disk.private_data
    return dev


def do_blktrans_request(queue: RequestQueue, bio: Bio) -> None:
    """Read or program each piece of `bio`; any failure completes it with EIO."""
    mtd: MtdInfo = queue.queuedata
    position = sector_to_bytes(bio.bi_sector)
    transfer = mtd_write if bio.bi_rw == WRITE else mtd_read
    try:
        for vec in bio.bi_io_vec:
            transfer(mtd, position, vec.memory.data)
            position += vec.bv_len
    except OSError as failure:
        mtd.kernel.printk(f"mtdblock{mtd.index}: {failure}")
        bio_endio(bio, errno.EIO)
        return
    bio_endio(bio)


def blktrans_open(bdev: BlockDevice, mode: int) -> None:
    """Raises OSError ENODEV if the flash device is gone."""
    get_mtd_device(bdev.bd_disk.kernel, _dev(bdev).mtd.index)
    _dev(bdev).open += 1


def blktrans_release(disk: GenDisk, mode: int) -> None:
    """The last release gives the device back to those who want to write."""
    dev: MtdBlktransDev = disk.private_data
    dev.open -= 1
    if not dev.open and dev.pointed is not None:
        dev.pointed = None
        mtd_unpoint(dev.mtd, 0, dev.mtd.size)
    put_mtd_device(dev.mtd)


def _point_all(bdev: BlockDevice) -> tuple[int, Paddr]:
    """Point the whole device; returns the kernel's and the absolute address of its first byte.

    Raises:
        OSError: EIO if only a part could be had; EINVAL if it does not begin at a page of storage.
    """
    mtd = _dev(bdev).mtd
    retlen, virt, phys = mtd_point(mtd, 0, mtd.size)
    if retlen < mtd.size or phys % PAGE_SIZE:
        mtd_unpoint(mtd, 0, retlen)
        if retlen < mtd.size:
            raise OSError(errno.EIO, f"{bdev}: only {retlen} of {mtd.size} bytes could be pointed")
        raise OSError(errno.EINVAL, f"{bdev}: begins at {phys:#x}, in the middle of a page")
    return virt, phys


def _check_page(bdev: BlockDevice, sector: Sector) -> None:
    if sector % PAGE_SECTORS:
        raise OSError(errno.EINVAL, f"{bdev}: sector {sector} is not the start of a page")
    if sector + PAGE_SECTORS > bdev.bd_disk.capacity:
        raise OSError(errno.ERANGE, f"{bdev}: page of sector {sector} ends past the device "
                                    f"({bdev.bd_disk.capacity} sectors)")


def mtdblock_direct_access(bdev: BlockDevice, sector: Sector) -> tuple[int, Pfn]:
    """The page of flash that holds `sector`; until release the chip cannot be written.

    Raises:
        OSError: EINVAL not the start of a page; ERANGE past the end; EIO the chip is busy.
    """
    _check_page(bdev, sector)
    dev = _dev(bdev)
    if dev.pointed is None:
        dev.pointed = _point_all(bdev)
    virt, phys = dev.pointed
    offset = sector_to_bytes(sector)
    return virt + offset, paddr_to_pfn(phys + offset)


def mtdblock_direct_access_run(bdev: BlockDevice, sector: Sector, npages: int) -> tuple[int, Pfn, int]:
    """The same for all that follows: flash lies in a row. Kernel: none before 4.0"""
    kaddr, pfn = mtdblock_direct_access(bdev, sector)
    left = sector_to_bytes(bdev.bd_disk.capacity - sector) >> PAGE_SHIFT
    return kaddr, pfn, min(npages, left)


def mtdblock_direct_access_unpointed(bdev: BlockDevice, sector: Sector) -> tuple[int, Pfn]:
    """The same page, with the chip given back at once: the address is right, its contents may not be."""
    _check_page(bdev, sector)
    virt, phys = _point_all(bdev)
    mtd_unpoint(_dev(bdev).mtd, 0, _dev(bdev).mtd.size)
    offset = sector_to_bytes(sector)
    return virt + offset, paddr_to_pfn(phys + offset)


mtdblock_ro_devops = BlockDeviceOperations(
    name="mtdblock_ro_devops", open=blktrans_open, release=blktrans_release,
    direct_access=mtdblock_direct_access, direct_access_run=mtdblock_direct_access_run)
mtdblock_ro_devops_unpointed = BlockDeviceOperations(
    name="mtdblock_ro_devops_unpointed", open=blktrans_open, release=blktrans_release,
    direct_access=mtdblock_direct_access_unpointed)
mtdblock_ro_devops_copy = BlockDeviceOperations(
    name="mtdblock_ro_devops_copy", open=blktrans_open, release=blktrans_release)


def mtdblock_add_mtd(mtd: MtdInfo, *, readonly: bool = True,
                     fops: BlockDeviceOperations = mtdblock_ro_devops) -> GenDisk:
    """Make the flash device /dev/mtdblock<its number>. Without point it has no direct_access."""
    kernel: Kernel = mtd.kernel
    disk = GenDisk(kernel, f"mtdblock{mtd.index}", fops if mtd.ops.point else mtdblock_ro_devops_copy,
                   RequestQueue(do_blktrans_request, queuedata=mtd), major=MTD_BLOCK_MAJOR,
                   first_minor=mtd.index, capacity=bytes_to_sectors(mtd.size), policy=readonly,
                   private_data=MtdBlktransDev(mtd))
    add_disk(disk)
    return disk


def mtdblock_remove_dev(disk: GenDisk) -> None:
    """Take the disk away. Raises: OSError EBUSY while it is open."""
    if disk.private_data.open:
        raise OSError(errno.EBUSY, f"{disk}: open {disk.private_data.open} times")
    del_gendisk(disk)
