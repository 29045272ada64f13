"""Units of storage, and the conversions between them.

A number that counts something on this page has a type of its own, so that a reader (and mypy) sees
which of the many "numbers of a page" it is. Conversions between these types stand here; lengths,
offsets and the quickest paths shift by PAGE_SHIFT in place.

    Paddr   byte address in a guest's absolute ("physical") storage
    Vaddr   byte address in a task's virtual address space
    Pfn     page frame number in a guest: Paddr / 4096
    Pgoff   page number inside a file: byte position / 4096
    Block   block number of a file system, counted from the start of the device
    Sector  512 bytes, whatever the device's own block size
    Ino     inode number
"""

from __future__ import annotations

from typing import NewType

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
SECTOR_SHIFT = 9
SECTOR_SIZE = 1 << SECTOR_SHIFT
PAGE_SECTORS = PAGE_SIZE // SECTOR_SIZE

Paddr = NewType("Paddr", int)
Vaddr = NewType("Vaddr", int)
Pfn = NewType("Pfn", int)
Pgoff = NewType("Pgoff", int)
Block = NewType("Block", int)
Sector = NewType("Sector", int)
Ino = NewType("Ino", int)


def pfn_to_paddr(pfn: Pfn) -> Paddr:
    return Paddr(pfn << PAGE_SHIFT)


def paddr_to_pfn(paddr: int) -> Pfn:
    return Pfn(paddr >> PAGE_SHIFT)


def pos_to_pgoff(pos: int) -> Pgoff:
    """The page of a file that holds byte `pos`."""
    return Pgoff(pos >> PAGE_SHIFT)


def offset_in_page(address: int) -> int:
    return address & (PAGE_SIZE - 1)


def page_count(nbytes: int) -> int:
    """How many pages `nbytes` take, the last one perhaps in part."""
    return (nbytes + PAGE_SIZE - 1) >> PAGE_SHIFT


def page_align(nbytes: int) -> int:
    """`nbytes` rounded up to whole pages."""
    return page_count(nbytes) << PAGE_SHIFT


def block_to_sector(block: int, blocksize: int) -> Sector:
    return Sector(block * (blocksize >> SECTOR_SHIFT))


def sector_to_bytes(sector: int) -> int:
    return sector << SECTOR_SHIFT


def bytes_to_sectors(nbytes: int) -> Sector:
    return Sector(nbytes >> SECTOR_SHIFT)
