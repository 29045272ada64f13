"""The ramdisk of 2.6.25 and later: a block device on pages of its own.

    /dev/ram0   sector 0     8     16    24
                ┌─────┬─────┬─────┬─────┐
    brd_pages   │ pfn │  –  │ pfn │  –  │   a page is taken at the first write, or when
                └─────┴─────┴─────┴─────┘   direct_access is asked for it
A read of a page that was never written gives zeros and takes nothing. Through the page cache the
data exists twice (here and in the cache); with direct_access a mount with `-o xip` has it once.

Tables: brd_fops (CONFIG_BLK_DEV_XIP) and brd_fops_without_xip, which has no direct_access.
Without XIP the pages may come from highmem: brd_init(..., get_page=alloc_highpage).
2.6.25 did both at once, so direct_access handed out pages that have no kernel address:
brd_init(..., fops=brd_fops, get_page=alloc_highpage).

Kernel: v3.6 drivers/block/brd.c
Differs: no discard; a device is made by brd_init, not by opening a node of its number.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from xiplab.linux.block.blk_core import bio_endio
from xiplab.linux.block.genhd import add_disk, del_gendisk
from xiplab.linux.include.blkdev import (
    BLKFLSBUF,
    READ,
    WRITE,
    Bio,
    BlockDevice,
    BlockDeviceOperations,
    GenDisk,
    RequestQueue,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.mm.filemap import truncate_inode_pages
from xiplab.linux.mm.highmem import kmap_atomic, page_address
from xiplab.linux.mm.page_alloc import alloc_page, free_page
from xiplab.trace import tp_copy
from xiplab.units import (
    PAGE_SECTORS,
    PAGE_SIZE,
    KiB,
    Pfn,
    Pgoff,
    Sector,
    bytes_to_sectors,
    offset_in_page,
    pos_to_pgoff,
    sector_to_bytes,
)

RAMDISK_MAJOR = 1
RD_SIZE = 4096
RD_NR = 16


@dataclass(eq=False)
class BrdDevice:
    """One ramdisk.

    Attributes:
        get_page: takes a frame: alloc_page, or alloc_highpage if highmem will do.
        brd_pages: the storage: frames by page number of the device.
    """

    kernel: Kernel
    get_page: Callable[[Kernel, str], Pfn]
    brd_pages: dict[Pgoff, Pfn] = field(default_factory=dict)


def brd_insert_page(brd: BrdDevice, index: Pgoff) -> Pfn:
    """The frame of page `index` of the device; a fresh zero frame if there was none.

    Raises:
        OSError: ENOMEM.
    """
    pfn = brd.brd_pages.get(index)
    if pfn is None:
        pfn = brd.brd_pages[index] = brd.get_page(brd.kernel, "ramdisk")
    return pfn


def brd_free_pages(brd: BrdDevice) -> None:
    """Give every page back; the device reads as zeros."""
    for pfn in brd.brd_pages.values():
        free_page(brd.kernel, pfn)
    brd.brd_pages.clear()


def copy_to_brd(brd: BrdDevice, position: int, piece: memoryview) -> None:
    """Copy `piece`, which lies within one page, to byte `position` of the device."""
    with kmap_atomic(brd.kernel, brd_insert_page(brd, pos_to_pgoff(position))) as address:
        brd.kernel.memory.span(address + offset_in_page(position), len(piece), "store")[:] = piece


def copy_from_brd(brd: BrdDevice, position: int, piece: memoryview) -> None:
    """Fill `piece`, which lies within one page, from byte `position` of the device."""
    pfn = brd.brd_pages.get(pos_to_pgoff(position))
    if pfn is None:
        piece[:] = bytes(len(piece))
        return
    with kmap_atomic(brd.kernel, pfn) as address:
        piece[:] = brd.kernel.memory.span(address + offset_in_page(position), len(piece))


def brd_do_bvec(brd: BrdDevice, memory: memoryview, rw: int, position: int) -> None:
    """Copy one piece of a bio, page by page."""
    done = 0
    while done < len(memory):
        chunk = min(PAGE_SIZE - offset_in_page(position + done), len(memory) - done)
        copy = copy_to_brd if rw == WRITE else copy_from_brd
        copy(brd, position + done, memory[done:done + chunk])
        done += chunk
    if tp_copy.probes:
        tp_copy(what="ramdisk to memory" if rw == READ else "memory to ramdisk", nbytes=len(memory))


def brd_make_request(queue: RequestQueue, bio: Bio) -> None:
    """Copy each piece of `bio`; a write for which there is no free page completes with EIO."""
    brd: BrdDevice = queue.queuedata
    position = sector_to_bytes(bio.bi_sector)
    try:
        for vec in bio.bi_io_vec:
            brd_do_bvec(brd, vec.memory.data, bio.bi_rw, position)
            position += vec.bv_len
    except OSError:
        bio_endio(bio, errno.EIO)
        return
    bio_endio(bio)


def brd_direct_access(bdev: BlockDevice, sector: Sector) -> tuple[int, Pfn]:
    """The page that holds `sector`; one that was never written is taken now, and is zero.

    Returns:
        kaddr: the kernel's address of the page, 0 if it lies in highmem. pfn: its frame.
    Raises:
        OSError: ENODEV no device; EINVAL not the start of a page; ERANGE the page ends past the
            device; ENOMEM no free frame.
    """
    brd: BrdDevice | None = bdev.bd_disk.private_data
    if brd is None:
        raise OSError(errno.ENODEV, f"{bdev}: the device is gone")
    if sector % PAGE_SECTORS:
        raise OSError(errno.EINVAL, f"{bdev}: sector {sector} is not the start of a page")
    if sector + PAGE_SECTORS > bdev.bd_disk.capacity:
        raise OSError(errno.ERANGE, f"{bdev}: page of sector {sector} ends past the device "
                                    f"({bdev.bd_disk.capacity} sectors)")
    pfn = brd_insert_page(brd, pos_to_pgoff(sector_to_bytes(sector)))
    return page_address(brd.kernel, pfn), pfn


def brd_direct_access_run(bdev: BlockDevice, sector: Sector, npages: int) -> tuple[int, Pfn, int]:
    """The same for the pages from `sector` on that are there already and lie in a row.

    Kernel: none before 4.0.
    """
    address, first = brd_direct_access(bdev, sector)
    brd: BrdDevice = bdev.bd_disk.private_data
    index = pos_to_pgoff(sector_to_bytes(sector))
    n = 1
    while n < npages and brd.brd_pages.get(Pgoff(index + n)) == first + n:
        n += 1
    return address, first, n


def brd_ioctl(bdev: BlockDevice, mode: int, cmd: int, arg: int) -> int:
    """BLKFLSBUF destroys the contents, unlike on any other device.

    Raises:
        OSError: ENOTTY any other command; EBUSY if somebody else has the device open.
    """
    if cmd != BLKFLSBUF:
        raise OSError(errno.ENOTTY, f"{bdev}: ioctl {cmd:#x}")
    if bdev.bd_openers > 1:
        raise OSError(errno.EBUSY, f"{bdev}: open {bdev.bd_openers} times (limit 1)")
    bdev.bd_buffers.clear()
    truncate_inode_pages(bdev.bd_mapping, 0)
    brd_free_pages(bdev.bd_disk.private_data)
    return 0


brd_fops = BlockDeviceOperations(name="brd_fops", ioctl=brd_ioctl, direct_access=brd_direct_access,
                                 direct_access_run=brd_direct_access_run)
brd_fops_without_xip = BlockDeviceOperations(name="brd_fops_without_xip", ioctl=brd_ioctl)


def brd_alloc(kernel: Kernel, number: int, rd_size: int, minors: int, fops: BlockDeviceOperations,
              get_page: Callable[[Kernel, str], Pfn]) -> GenDisk:
    """The disk ram<number> of `rd_size` KiB, not yet known to anybody."""
    brd = BrdDevice(kernel, get_page)
    return GenDisk(kernel, f"ram{number}", fops, RequestQueue(brd_make_request, queuedata=brd),
                   major=RAMDISK_MAJOR, first_minor=number * minors, minors=minors,
                   capacity=bytes_to_sectors(rd_size * KiB), private_data=brd)


def brd_init(kernel: Kernel, rd_nr: int = RD_NR, rd_size: int = RD_SIZE, max_part: int = 0, *,
             fops: BlockDeviceOperations = brd_fops,
             get_page: Callable[[Kernel, str], Pfn] = alloc_page) -> list[GenDisk]:
    """Load the module: /dev/ram0 and so on; they take no storage until they are used.

    Args:
        rd_nr: how many disks. rd_size: KiB each. max_part: minors for partitions.
    Raises:
        OSError: EIO if the major number is taken (the old ramdisk is loaded).
    """
    if "ram0" in kernel.disks:
        raise OSError(errno.EIO, f"{kernel}: block major {RAMDISK_MAJOR} is taken")
    minors = 1 << max_part.bit_length()
    disks = [brd_alloc(kernel, number, rd_size, minors, fops, get_page) for number in range(rd_nr)]
    for disk in disks:
        add_disk(disk)
    kernel.statics["brd"] = disks
    kernel.printk("brd: module loaded")
    return disks


def brd_exit(kernel: Kernel) -> None:
    """Unload the module; the contents are gone."""
    for disk in kernel.statics.pop("brd"):
        del_gendisk(disk)
        brd_free_pages(disk.private_data)
