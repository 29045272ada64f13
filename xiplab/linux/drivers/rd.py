"""The old ramdisk, until 2.6.24: the storage *is* the page cache of the block device.

    /dev/ram0's page cache (bd_mapping.pages)   ┌───────┬───────┬───────┐
    is the storage: there is no second copy     │ dirty │ dirty │ dirty │  for ever, so that
                                                └───────┴───────┴───────┘  reclaim cannot take them

This is the trick xip.txt tells of: "does read the data into the page cache, keeps a reference, and
discards the original data". The reference is one opener too many, taken at the first open. rd_load_image
loads a boot image that way. A file system on the ramdisk still copies file data into a second set of
pages; only the device node's own pages are the storage.

A change of the device's block size drops its page cache, and with it the disk. So a file system whose
blocks are not of rd_blocksize bytes is gone when it is mounted ("magic mismatch").

Tables: ramdisk_aops, and ramdisk_aops_2_6_23 with the bug that was fixed in 2.6.24-rc3: its pages could
be cleaned, so that memory pressure took them and the disk had zeros there.

Kernel: v2.6.24 drivers/block/rd.c, init/do_mounts_rd.c, init/initramfs.c
Differs: 2.6.23 lost pages because the buffer layer freed their clean buffers and then cleaned the page;
here its writepage leaves the page clean, which has the same end.
"""

from __future__ import annotations

import errno

from xiplab.linux.block.blk_core import bio_endio
from xiplab.linux.block.genhd import add_disk, bdget, del_gendisk
from xiplab.linux.include.blkdev import (
    BLKFLSBUF,
    FMODE_WRITE,
    WRITE,
    Bio,
    BlockDevice,
    BlockDeviceOperations,
    GenDisk,
    RequestQueue,
)
from xiplab.linux.include.fs import AddressSpace, AddressSpaceOperations
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import grab_cache_page_write_begin, truncate_inode_pages
from xiplab.linux.mm.page_alloc import alloc_pages, free_page
from xiplab.trace import tp_copy
from xiplab.units import (
    PAGE_SIZE,
    KiB,
    Pfn,
    bytes_to_sectors,
    offset_in_page,
    page_count,
    pfn_to_paddr,
    pos_to_pgoff,
    sector_to_bytes,
)

RAMDISK_MAJOR = 1
RD_COUNT = 16
RD_SIZE = 4096
RD_BLOCKSIZE = 1024


def make_page_uptodate(page: Page) -> None:
    """A page that was never written is zero; frames are taken zeroed."""
    page.uptodate = True


def ramdisk_readpage(page: Page) -> None:
    """There is nothing to read from: the page is the storage."""
    make_page_uptodate(page)


def ramdisk_write_begin(mapping: AddressSpace, pos: int, nbytes: int) -> Page:
    """The page of byte `pos`, ready to be written to. Raises: OSError ENOMEM."""
    page = grab_cache_page_write_begin(mapping, pos_to_pgoff(pos))
    make_page_uptodate(page)
    return page


def ramdisk_write_end(mapping: AddressSpace, pos: int, copied: int, page: Page) -> int:
    ramdisk_set_page_dirty(page)
    return copied


def ramdisk_writepage(page: Page) -> None:
    """There is nowhere to write to: the page stays dirty, so that it cannot be taken away."""
    make_page_uptodate(page)
    ramdisk_set_page_dirty(page)


def ramdisk_writepage_2_6_23(page: Page) -> None:
    """Leave the page clean, as the buffer layer did until 2.6.24-rc3."""


def ramdisk_set_page_dirty(page: Page) -> None:
    """Dirty, but not counted as dirty memory: it will never be written."""
    page.dirty = True


ramdisk_aops = AddressSpaceOperations(name="ramdisk_aops", readpage=ramdisk_readpage,
                                      writepage=ramdisk_writepage, write_begin=ramdisk_write_begin,
                                      write_end=ramdisk_write_end)
ramdisk_aops_2_6_23 = AddressSpaceOperations(name="ramdisk_aops_2_6_23", readpage=ramdisk_readpage,
                                             writepage=ramdisk_writepage_2_6_23,
                                             write_begin=ramdisk_write_begin,
                                             write_end=ramdisk_write_end)


def rd_blkdev_pagecache_io(rw: int, memory: memoryview, position: int, mapping: AddressSpace) -> None:
    """Copy one piece of a bio from or to the page cache of the device, page by page."""
    done = 0
    while done < len(memory):
        offset = offset_in_page(position + done)
        chunk = min(PAGE_SIZE - offset, len(memory) - done)
        page = ramdisk_write_begin(mapping, position + done, chunk)
        storage = page.data[offset:offset + chunk]
        if rw == WRITE:
            storage[:] = memory[done:done + chunk]
            ramdisk_set_page_dirty(page)
        else:
            memory[done:done + chunk] = storage
        done += chunk
    if tp_copy.probes:
        tp_copy(what="memory to ramdisk" if rw == WRITE else "ramdisk to memory", nbytes=len(memory))


def rd_make_request(queue: RequestQueue, bio: Bio) -> None:
    """Copy each piece of `bio`; without memory for a page it completes with EIO."""
    position = sector_to_bytes(bio.bi_sector)
    try:
        for vec in bio.bi_io_vec:
            rd_blkdev_pagecache_io(bio.bi_rw, vec.memory.data, position, bio.bi_bdev.bd_mapping)
            position += vec.bv_len
    except OSError:
        bio_endio(bio, errno.EIO)
        return
    bio_endio(bio)


def rd_open(bdev: BlockDevice, mode: int) -> None:
    """At the first open: take the reference that nobody gives back, and the ramdisk's operations."""
    if bdev.bd_disk.private_data is not None:
        return
    bdev.bd_disk.private_data = bdev
    bdev.bd_openers += 1
    bdev.bd_block_size = bdev.bd_disk.queue.logical_block_size
    bdev.bd_mapping.a_ops = bdev.bd_disk.queue.queuedata


def rd_ioctl(bdev: BlockDevice, mode: int, cmd: int, arg: int) -> int:
    """BLKFLSBUF destroys the contents, unlike on any other device.

    Raises:
        OSError: ENOTTY any other command; EBUSY if there is an opener beside the caller and the
            ramdisk's own.
    """
    if cmd != BLKFLSBUF:
        raise OSError(errno.ENOTTY, f"{bdev}: ioctl {cmd:#x}")
    if bdev.bd_openers > 2:
        raise OSError(errno.EBUSY, f"{bdev}: open {bdev.bd_openers} times, its own included (limit 2)")
    bdev.bd_buffers.clear()
    truncate_inode_pages(bdev.bd_mapping, 0)
    return 0


rd_bd_op = BlockDeviceOperations(name="rd_bd_op", open=rd_open, ioctl=rd_ioctl)


def rd_init(kernel: Kernel, count: int = RD_COUNT, rd_size: int = RD_SIZE,
            rd_blocksize: int = RD_BLOCKSIZE, *,
            aops: AddressSpaceOperations = ramdisk_aops) -> list[GenDisk]:
    """Load the driver: /dev/ram0 and so on; they take no storage until they are used.

    Args:
        count: how many disks. rd_size: KiB each. rd_blocksize: their logical block size; a wrong one
            is replaced by 1024.
    Raises:
        OSError: EIO if the major number is taken (brd is loaded).
    """
    if "ram0" in kernel.disks:
        raise OSError(errno.EIO, f"{kernel}: block major {RAMDISK_MAJOR} is taken")
    if rd_blocksize > PAGE_SIZE or rd_blocksize < 512 or rd_blocksize & (rd_blocksize - 1):
        kernel.printk(f"RAMDISK: wrong blocksize {rd_blocksize}, reverting to defaults")
        rd_blocksize = RD_BLOCKSIZE
    disks = [GenDisk(kernel, f"ram{number}", rd_bd_op,
                     RequestQueue(rd_make_request, logical_block_size=rd_blocksize, queuedata=aops),
                     major=RAMDISK_MAJOR, first_minor=number, capacity=bytes_to_sectors(rd_size * KiB))
             for number in range(count)]
    for disk in disks:
        add_disk(disk)
    kernel.statics["rd"] = disks
    kernel.printk(f"RAMDISK driver initialized: {count} RAM disks of {rd_size}K size "
                  f"{rd_blocksize} blocksize")
    return disks


def rd_cleanup(kernel: Kernel) -> None:
    """Unload the driver: drop every page, and the reference that kept them."""
    for disk in kernel.statics.pop("rd"):
        if disk.private_data is not None:
            truncate_inode_pages(disk.private_data.bd_mapping, 0)
            disk.private_data.bd_openers -= 1
        del_gendisk(disk)


def reserve_initrd(kernel: Kernel, image: bytes) -> Pfn:
    """Put a boot image into frames, as the boot loader does; returns the first.

    Kernel: none (the boot loader, and the early set-up that keeps its pages)
    Raises:
        OSError: ENOMEM.
    """
    first = alloc_pages(kernel, "initrd", page_count(len(image)))
    kernel.memory.span(pfn_to_paddr(first), len(image), "store")[:] = image
    return first


def rd_load_image(kernel: Kernel, initrd: Pfn, nbytes: int, name: str = "ram0") -> None:
    """Copy the boot image page by page into the ramdisk, then free the original.

    While it runs, both copies are there; afterwards only the pinned cache pages are.
    Raises:
        OSError: ENXIO no such device; ENOSPC the image is larger than the disk; ENOMEM.
    """
    bdev = bdget(kernel, name)
    if nbytes > bdev.bd_size:
        raise OSError(errno.ENOSPC, f"{bdev}: image of {nbytes} bytes ({bdev.bd_size} fit)")
    rd_open(bdev, FMODE_WRITE)
    image = kernel.memory.span(pfn_to_paddr(initrd), nbytes)
    for position in range(0, nbytes, PAGE_SIZE):
        rd_blkdev_pagecache_io(WRITE, image[position:position + PAGE_SIZE], position, bdev.bd_mapping)
    free_initrd_mem(kernel, initrd, nbytes)


def free_initrd_mem(kernel: Kernel, initrd: Pfn, nbytes: int) -> None:
    """Discard the original data. Kernel: arch/*/mm/init.c"""
    for pfn in range(initrd, initrd + page_count(nbytes)):
        free_page(kernel, Pfn(pfn))
    kernel.printk(f"Freeing initrd memory: {page_count(nbytes) * PAGE_SIZE // KiB}k freed")
