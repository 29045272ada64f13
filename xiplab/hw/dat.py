"""Dynamic address translation: how the machine finds the frame of a virtual page.

The tables lie in storage, as 8-byte big-endian entries, and are those of z/Architecture:

    vaddr   | region-third index 11 | segment index 11 | page index 8 | byte 12 |
                      |                     |                 |
    ASCE ──► region-third table ──► segment table ──► page table ──► page frame

    ASCE                 origin | 0x04 region-third table | length
    region-third entry   origin of a segment table | 0x20 invalid | 0x04 type | length
    segment entry        origin of a page table | 0x20 invalid
    page-table entry     address of the frame | 0x400 invalid | 0x200 protected | 0x100 no execution

Our region-third tables have one frame (512 entries, so virtual addresses end at 1 TiB), segment
tables four frames (2048 entries of 1 MiB), page tables half a frame (256 entries of 4 KiB).
Linux writes the tables; `translate` and the processor of cpu.py walk them.
"""

from __future__ import annotations

from struct import pack_into, unpack_from

import numpy as np

from xiplab.errors import (
    PAGE_TRANSLATION,
    PROTECTION,
    REGION_THIRD_TRANSLATION,
    SEGMENT_TRANSLATION,
    ProgramInterruption,
)
from xiplab.hw.memory import CHANGE, REFERENCE, AbsoluteStorage
from xiplab.units import Paddr, paddr_to_pfn

TABLE_TYPE_REGION3 = 0x04
TABLE_LENGTH = 0x03
ENTRY_INVALID = 0x20
ENTRY_ORIGIN = ~0xFFF
SEGMENT_ORIGIN = ~0x7FF

PAGE_INVALID = 0x400
PAGE_PROTECT = 0x200
PAGE_NOEXEC = 0x100
PAGE_FRAME = ~0xFFF

REGION3_FRAMES = 1
REGION3_ENTRIES = 512
SEGMENT_FRAMES = 4
PAGE_TABLE_BYTES = 2048
REGION3_SHIFT, SEGMENT_SHIFT = 31, 20

ADDRESS_LIMIT = REGION3_ENTRIES << 31


def region3_index(vaddr: int) -> int:
    return vaddr >> REGION3_SHIFT & 0x7FF


def segment_index(vaddr: int) -> int:
    return vaddr >> SEGMENT_SHIFT & 0x7FF


def page_index(vaddr: int) -> int:
    return vaddr >> 12 & 0xFF


def read_entry(memory: AbsoluteStorage, address: int) -> int:
    """The table entry at absolute `address`."""
    entry: int = unpack_from(">Q", memory.storage.map, memory.host_offset(address, 8))[0]
    return entry


def write_entry(memory: AbsoluteStorage, address: int, entry: int) -> None:
    pack_into(">Q", memory.storage.map, memory.host_offset(address, 8), entry)


def replace_page_entry(memory: AbsoluteStorage, address: int, entry: int) -> None:
    """Write a page-table entry; translations that were made from a valid one are purged (IPTE)."""
    if not read_entry(memory, address) & PAGE_INVALID:
        memory.purges += 1
    write_entry(memory, address, entry)


def page_table(memory: AbsoluteStorage, asce: int, vaddr: int) -> Paddr | int:
    """Walk to the page table of `vaddr`.

    Returns:
        its absolute address, or minus the interruption code of the level that is invalid.
    """
    if vaddr >= ADDRESS_LIMIT:
        return -REGION_THIRD_TRANSLATION
    region3 = read_entry(memory, (asce & ENTRY_ORIGIN) + 8 * region3_index(vaddr))
    if region3 & ENTRY_INVALID:
        return -REGION_THIRD_TRANSLATION
    segment = read_entry(memory, (region3 & ENTRY_ORIGIN) + 8 * segment_index(vaddr))
    if segment & ENTRY_INVALID:
        return -SEGMENT_TRANSLATION
    return Paddr(segment & SEGMENT_ORIGIN)


def virtual_address(memory: AbsoluteStorage, asce: int, paddr: int) -> int | None:
    """An address that the tables translate to `paddr`, the lowest; None if there is none."""
    for region in _valid(memory, asce & ENTRY_ORIGIN, REGION3_ENTRIES, ENTRY_INVALID):
        segments = read_entry(memory, (asce & ENTRY_ORIGIN) + 8 * region) & ENTRY_ORIGIN
        for segment in _valid(memory, segments, SEGMENT_FRAMES * 512, ENTRY_INVALID):
            pages = read_entry(memory, segments + 8 * segment) & SEGMENT_ORIGIN
            for page in _valid(memory, pages, PAGE_TABLE_BYTES // 8, PAGE_INVALID):
                if read_entry(memory, pages + 8 * page) & PAGE_FRAME == paddr & PAGE_FRAME:
                    return region << REGION3_SHIFT | segment << SEGMENT_SHIFT | page << 12 | paddr & 0xFFF
    return None


def _valid(memory: AbsoluteStorage, table: int, entries: int, invalid: int) -> list[int]:
    """The numbers of a table's entries that are valid."""
    view = memory.view(table, 8 * entries).view(">u8")
    found: list[int] = np.flatnonzero(view & invalid == 0).tolist()
    return found


def translate(memory: AbsoluteStorage, asce: int, vaddr: int, access: str) -> Paddr:
    """The absolute address behind `vaddr` for a "load", "store" or "fetch"; the frame's key notes it.

    Raises:
        ProgramInterruption: region-third, segment or page translation, or protection.
    """
    table = page_table(memory, asce, vaddr)
    if table < 0:
        raise ProgramInterruption(-table, vaddr, access)
    entry = read_entry(memory, table + 8 * page_index(vaddr))
    if entry & PAGE_INVALID:
        raise ProgramInterruption(PAGE_TRANSLATION, vaddr, access)
    if entry & (PAGE_PROTECT if access == "store" else PAGE_NOEXEC if access == "fetch" else 0):
        raise ProgramInterruption(PROTECTION, vaddr, access)
    pfn = paddr_to_pfn(entry & PAGE_FRAME)
    memory.keys[pfn] = memory.keys.get(pfn, 0) | (REFERENCE | CHANGE if access == "store" else REFERENCE)
    return Paddr((entry & PAGE_FRAME) + (vaddr & 0xFFF))
