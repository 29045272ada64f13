"""The memory behind a Cell processor's Axon bridge as a block device, the second driver with direct_access.

It shows how little of the contract a driver may keep: no sector is checked for being the start of a
page, nor the last page for being whole.

Tables: axon_ram_devops, as fixed in 3.19, and axon_ram_devops_2_6_26: from 2.6.26 to 3.18 the driver
computed the page frame number from the address of its own variable, so what it handed out for mapping
was a page of the kernel's stack.

Kernel: v3.19 arch/powerpc/sysdev/axonram.c
Differs: no partitions. The driver hands out the physical address as the kernel's; here both are the
same, on powerpc they are not.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from xiplab.linux.block.blk_core import bio_endio
from xiplab.linux.block.genhd import add_disk
from xiplab.linux.include.blkdev import READ, Bio, BlockDevice, BlockDeviceOperations, GenDisk, RequestQueue
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.mm.page_alloc import alloc_page
from xiplab.trace import tp_copy
from xiplab.units import (
    PAGE_SIZE,
    Paddr,
    Pfn,
    Sector,
    bytes_to_sectors,
    paddr_to_pfn,
    page_count,
    sector_to_bytes,
)

AXON_RAM_MAJOR = 254
AXON_RAM_MINORS_PER_DISK = 16
AXON_RAM_BLOCK_SIZE = PAGE_SIZE


@dataclass(eq=False)
class AxonRamBank:
    """One bank of memory: `size` bytes from physical address `ph_addr` on.

    Attributes:
        stack: the frame of the kernel's stack, where axon_ram_direct_access_2_6_26 has its variables.
    """

    ph_addr: Paddr
    size: int
    stack: Pfn


def axon_ram_make_request(queue: RequestQueue, bio: Bio) -> None:
    """Copy each piece of `bio`; one that ends past the bank completes with EIO."""
    bank: AxonRamBank = queue.queuedata
    memory = bio.bi_bdev.bd_disk.kernel.memory
    offset = sector_to_bytes(bio.bi_sector)
    for vec in bio.bi_io_vec:
        if offset + vec.bv_len > bank.size:
            bio_endio(bio, errno.EIO)
            return
        if bio.bi_rw == READ:
            vec.memory.data[:] = memory.span(bank.ph_addr + offset, vec.bv_len)
        else:
            memory.span(bank.ph_addr + offset, vec.bv_len, "store")[:] = vec.memory.data
        if tp_copy.probes:
            tp_copy(what="axonram to memory" if bio.bi_rw == READ else "memory to axonram", nbytes=vec.bv_len)
        offset += vec.bv_len
    bio_endio(bio)


def axon_ram_direct_access(bdev: BlockDevice, sector: Sector) -> tuple[int, Pfn]:
    """The address of `sector`, wherever in a page it is.

    Raises:
        OSError: ERANGE past the bank.
    """
    bank: AxonRamBank = bdev.bd_disk.private_data
    offset = sector_to_bytes(sector)
    if offset >= bank.size:
        raise OSError(errno.ERANGE, f"{bdev}: sector {sector} past the end ({bytes_to_sectors(bank.size)} "
                                    "sectors)")
    return bank.ph_addr + offset, paddr_to_pfn(bank.ph_addr + offset)


def axon_ram_direct_access_2_6_26(bdev: BlockDevice, sector: Sector) -> tuple[int, Pfn]:
    """The right address, and the frame of the variable that holds it."""
    bank: AxonRamBank = bdev.bd_disk.private_data
    kaddr, _ = axon_ram_direct_access(bdev, sector)
    return kaddr, bank.stack


axon_ram_devops = BlockDeviceOperations(name="axon_ram_devops", direct_access=axon_ram_direct_access)
axon_ram_devops_2_6_26 = BlockDeviceOperations(name="axon_ram_devops_2_6_26",
                                               direct_access=axon_ram_direct_access_2_6_26)


def axon_ram_probe(kernel: Kernel, ph_addr: Paddr, size: int, *,
                   fops: BlockDeviceOperations = axon_ram_devops) -> GenDisk:
    """Find a bank of `size` bytes at `ph_addr` and make it /dev/axonram0, 1 and so on.

    Raises:
        OSError: EINVAL for an address that is no page boundary; EBUSY if something is there already.
    """
    storage = kernel.memory.storage
    npages = page_count(size)
    first = storage.allocate(npages)
    try:
        kernel.memory.attach(ph_addr, first, npages, writable=True, name="axonram")
    except OSError:
        storage.free(first, npages)
        raise
    bank = AxonRamBank(ph_addr, size, alloc_page(kernel, "kernel stack"))
    number = sum(disk.major == AXON_RAM_MAJOR for disk in kernel.disks.values())
    disk = GenDisk(kernel, f"axonram{number}", fops,
                   RequestQueue(axon_ram_make_request, AXON_RAM_BLOCK_SIZE, queuedata=bank),
                   major=AXON_RAM_MAJOR, first_minor=number * AXON_RAM_MINORS_PER_DISK,
                   minors=AXON_RAM_MINORS_PER_DISK, capacity=bytes_to_sectors(size), private_data=bank)
    add_disk(disk)
    return disk
