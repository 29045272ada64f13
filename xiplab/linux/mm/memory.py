"""Page tables and page faults.

A fault ends in one of four entries:

    a device frame        vm_insert_mixed, called by a XIP file's fault handler: nothing is copied
    a page-cache frame    the handler hands out a Page
    a private copy        do_wp_page, after a store to a private mapping
    an anonymous frame    a mapping without a file

Interface: handle_mm_fault(), vm_insert_mixed(), unmap_mapping_range(), zap_page_range(), follow_pte().
Only this module writes DAT tables.

Kernel: v3.6 mm/memory.c, arch/s390/mm/pgtable.c
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import numpy as np

from xiplab.errors import REGION_THIRD_TRANSLATION, SIGBUS, SIGKILL, Signal
from xiplab.hw import dat
from xiplab.linux.include.fs import AddressSpace
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import (
    VM_EXEC,
    VM_SHARED,
    VM_WRITE,
    MmStruct,
    Page,
    VmAreaStruct,
    VmFault,
)
from xiplab.linux.mm.page_alloc import alloc_page, alloc_pages, free_page
from xiplab.trace import tp_copy, tp_fault
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Paddr, Pfn, Vaddr, paddr_to_pfn, page_count, pfn_to_paddr

PAGE_MASK = ~(PAGE_SIZE - 1)
PAGE_TYPE_NONE = dat.PAGE_INVALID | 0x001
"""An entry that keeps its frame and allows no access (PROT_NONE). Kernel: _PAGE_TYPE_NONE"""


def mm_alloc(kernel: Kernel) -> MmStruct:
    """A new, empty address space: one region-third table of invalid entries. Kernel: kernel/fork.c"""
    first = alloc_pages(kernel, "page table", dat.REGION3_FRAMES)
    _fill(kernel, first, dat.REGION3_FRAMES, dat.ENTRY_INVALID | dat.TABLE_TYPE_REGION3)
    return MmStruct(kernel, asce=pfn_to_paddr(first) | dat.TABLE_TYPE_REGION3, tables=[first])


def free_pgtables(mm: MmStruct) -> None:
    """Give all tables back; the address space is gone."""
    for pfn in mm.tables:
        free_page(mm.kernel, pfn)
    mm.tables.clear()


def _fill(kernel: Kernel, first: Pfn, frames: int, entry: int) -> None:
    table = kernel.memory.view(pfn_to_paddr(first), frames * PAGE_SIZE)
    table.view(">u8")[:] = entry


def pte_alloc_map(mm: MmStruct, vaddr: int) -> Paddr:
    """The address of the page-table entry of `vaddr`; missing tables are made on the way."""
    memory = mm.kernel.memory
    region3 = (mm.asce & dat.ENTRY_ORIGIN) + 8 * dat.region3_index(vaddr)
    entry = dat.read_entry(memory, region3)
    if entry & dat.ENTRY_INVALID:
        entry = _segment_table(mm) | dat.TABLE_TYPE_REGION3 | dat.TABLE_LENGTH
        dat.write_entry(memory, region3, entry)
    segment = (entry & dat.ENTRY_ORIGIN) + 8 * dat.segment_index(vaddr)
    entry = dat.read_entry(memory, segment)
    if entry & dat.ENTRY_INVALID:
        entry = _page_table(mm)
        dat.write_entry(memory, segment, entry)
    return Paddr((entry & dat.SEGMENT_ORIGIN) + 8 * dat.page_index(vaddr))


def _segment_table(mm: MmStruct) -> Paddr:
    first = alloc_pages(mm.kernel, "page table", dat.SEGMENT_FRAMES)
    mm.tables += [Pfn(pfn) for pfn in range(first, first + dat.SEGMENT_FRAMES)]
    _fill(mm.kernel, first, dat.SEGMENT_FRAMES, dat.ENTRY_INVALID)
    return pfn_to_paddr(first)


def _page_table(mm: MmStruct) -> Paddr:
    """Half a frame; the other half is kept for the next table."""
    if mm.half_table is not None:
        table, mm.half_table = mm.half_table, None
        return table
    pfn = alloc_page(mm.kernel, "page table")
    mm.tables.append(pfn)
    _fill(mm.kernel, pfn, 1, dat.PAGE_INVALID)
    mm.half_table = Paddr(pfn_to_paddr(pfn) + dat.PAGE_TABLE_BYTES)
    return pfn_to_paddr(pfn)


def follow_pte(mm: MmStruct, vaddr: int) -> int | None:
    """The page-table entry of `vaddr`, or None if nothing is mapped there."""
    memory = mm.kernel.memory
    table = dat.page_table(memory, mm.asce, vaddr)
    if table < 0:
        return None
    entry = dat.read_entry(memory, table + 8 * dat.page_index(vaddr))
    return None if entry & PAGE_TYPE_NONE == dat.PAGE_INVALID else entry


def follow_pfn(mm: MmStruct, vaddr: int) -> Pfn | None:
    """The frame that is mapped at `vaddr`, or None."""
    entry = follow_pte(mm, vaddr)
    return None if entry is None else paddr_to_pfn(entry)


def _change_pte(mm: MmStruct, vaddr: int, entry: int) -> None:
    dat.replace_page_entry(mm.kernel.memory, pte_alloc_map(mm, vaddr), entry)
    mm.tlb.pop(vaddr >> PAGE_SHIFT, None)


def _set_pte(vma: VmAreaStruct, vaddr: int, pfn: Pfn, *, writable: bool) -> None:
    protection = 0 if writable else dat.PAGE_PROTECT
    _change_pte(vma.vm_mm, vaddr, pfn_to_paddr(pfn) | protection | _noexec(vma))


def _noexec(vma: VmAreaStruct) -> int:
    """Differs: Linux has used the machine's protection against execution from v4.11 on."""
    return 0 if vma.vm_flags & VM_EXEC else dat.PAGE_NOEXEC


def protect_pte(mm: MmStruct, vaddr: int) -> None:
    """Let the next store to a mapped page fault."""
    entry = follow_pte(mm, vaddr)
    assert entry is not None
    _change_pte(mm, vaddr, entry | dat.PAGE_PROTECT)


def pte_modify(vma: VmAreaStruct, vaddr: int, *, allowed: bool) -> None:
    """Give a mapped page the area's protection: the next store faults and, unless `allowed`, any access."""
    entry = follow_pte(vma.vm_mm, vaddr)
    assert entry is not None
    protection = dat.PAGE_PROTECT | (0 if allowed else PAGE_TYPE_NONE) | _noexec(vma)
    _change_pte(vma.vm_mm, vaddr, entry & dat.PAGE_FRAME | protection)


def mapped_pages(mm: MmStruct, start: int, end: int) -> Iterator[tuple[Vaddr, int]]:
    """Address and entry of each page mapped in start..end (exclusive), table by table."""
    memory = mm.kernel.memory
    vaddr = start
    while vaddr < end:
        table = dat.page_table(memory, mm.asce, vaddr)
        shift = dat.REGION3_SHIFT if table == -REGION_THIRD_TRANSLATION else dat.SEGMENT_SHIFT
        table_end = min((vaddr >> shift) + 1 << shift, end)
        if table > 0:
            low, high = dat.page_index(vaddr), dat.page_index(table_end - 1) + 1
            entries = memory.view(table, dat.PAGE_TABLE_BYTES).view(">u8")[low:high]
            for index in np.flatnonzero(entries & PAGE_TYPE_NONE != dat.PAGE_INVALID).tolist():
                yield Vaddr((vaddr & PAGE_MASK) + index * PAGE_SIZE), entries.item(index)
        vaddr = table_end


def pte_clear(vma: VmAreaStruct, vaddr: Vaddr) -> None:
    """Unmap one page: a private frame goes back, a page-cache page loses a user, a device frame
    needs nothing."""
    mm = vma.vm_mm
    entry = follow_pte(mm, vaddr)
    if entry is None:
        return
    _change_pte(mm, vaddr, dat.PAGE_INVALID)
    private = vma.anon.pop(vaddr, None)
    if private is not None:
        mm.rss["anon"] -= 1
        free_page(mm.kernel, private)
    elif (page := _cached_page(vma, vaddr, paddr_to_pfn(entry))) is not None:
        mm.rss["file"] -= 1
        page.mapcount -= 1


def _cached_page(vma: VmAreaStruct, vaddr: Vaddr, pfn: Pfn) -> Page | None:
    """The page-cache page that `vaddr` shows, if `pfn` is one. Kernel: vm_normal_page()"""
    if vma.vm_file is None:
        return None
    page = vma.vm_file.f_mapping.pages.get(vma.pgoff_at(vaddr))
    return page if page is not None and page.pfn == pfn else None


def zap_page_range(vma: VmAreaStruct, start: int, end: int) -> None:
    """Unmap all pages of the area from `start` to `end` (exclusive)."""
    for vaddr, _ in list(mapped_pages(vma.vm_mm, max(start, vma.vm_start), min(end, vma.vm_end))):
        pte_clear(vma, vaddr)


def unmap_mapping_range(mapping: AddressSpace, start: int, length: int, *, even_cows: bool = True) -> None:
    """Unmap bytes start..start+length of the file wherever they are mapped (length 0: to the end).

    Pages that lie only partly in the range stay. With even_cows private copies go too.
    """
    first = page_count(start)
    last = (start + length) // PAGE_SIZE if length else 1 << 52
    for vma in mapping.i_mmap:
        vm_end = vma.vm_pgoff + (vma.vm_end - vma.vm_start) // PAGE_SIZE
        low, high = max(first, vma.vm_pgoff), min(last, vm_end)
        for vaddr, _ in list(mapped_pages(vma.vm_mm, vma.address_of(low), vma.address_of(high))):
            if even_cows or vaddr not in vma.anon:
                pte_clear(vma, vaddr)


def page_mkclean(page: Page) -> None:
    """Protect the page wherever it is mapped, so that the next store is noticed. Kernel: mm/rmap.c"""
    assert page.mapping is not None
    for vma in page.mapping.i_mmap:
        if vma.pgoff_at(vma.vm_start) <= page.index < vma.pgoff_at(vma.vm_end):
            vaddr = vma.address_of(page.index)
            if follow_pfn(vma.vm_mm, vaddr) == page.pfn:
                protect_pte(vma.vm_mm, vaddr)


def vm_insert_mixed(vma: VmAreaStruct, vaddr: Vaddr, pfn: Pfn) -> None:
    """Map the frame `pfn`, which need not be a page of the page cache, at `vaddr`.

    The entry is protected unless the area is shared and may be written, and nobody wants to be told of
    the first store.
    Raises:
        OSError: EBUSY if a page is mapped there already; ENOMEM without room for tables.
    """
    if follow_pte(vma.vm_mm, vaddr) is not None:
        raise OSError(errno.EBUSY, f"{vma}: {vaddr:#x} is mapped already")
    wants_notify = vma.vm_ops is not None and vma.vm_ops.pfn_mkwrite is not None
    _set_pte(vma, vaddr, pfn, writable=may_store_directly(vma) and not wants_notify)


def may_store_directly(vma: VmAreaStruct) -> bool:
    """Whether stores go to the file itself, not to a private copy."""
    return vma.vm_flags & (VM_SHARED | VM_WRITE) == VM_SHARED | VM_WRITE


def handle_mm_fault(vma: VmAreaStruct, address: int, *, write: bool) -> None:
    """Resolve a fault at `address`, which `vma` allows. The access is then tried again.

    Raises:
        Signal: SIGBUS beyond the end of the file, SIGKILL without memory.
    """
    vaddr = Vaddr(address & PAGE_MASK)
    entry = follow_pte(vma.vm_mm, vaddr)
    try:
        if entry is None:
            how = _do_no_page(vma, vaddr, write)
        elif write and entry & dat.PAGE_PROTECT:
            how = do_wp_page(vma, vaddr, paddr_to_pfn(entry))
        else:
            return
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        raise Signal(SIGKILL, address, f"out of memory: {error}") from error
    if tp_fault.probes:
        pfn = follow_pfn(vma.vm_mm, vaddr)
        tp_fault(guest=vma.vm_mm.kernel.name, vaddr=vaddr, pgoff=vma.pgoff_at(vaddr), pfn=pfn, how=how)


def _do_no_page(vma: VmAreaStruct, vaddr: Vaddr, write: bool) -> str:
    if vma.vm_ops is None or vma.vm_ops.fault is None:
        _map_anonymous(vma, vaddr, alloc_page(vma.vm_mm.kernel, "anonymous"))
        return "anonymous"
    return do_linear_fault(vma, vaddr, vma.vm_ops.fault, write)


def _map_anonymous(vma: VmAreaStruct, vaddr: Vaddr, pfn: Pfn) -> None:
    vma.anon[vaddr] = pfn
    vma.vm_mm.rss["anon"] += 1
    _set_pte(vma, vaddr, pfn, writable=bool(vma.vm_flags & VM_WRITE))


def do_linear_fault(vma: VmAreaStruct, vaddr: Vaddr, fault: Callable[[VmAreaStruct, VmFault], None],
                    write: bool) -> str:
    """Ask the file for the page. A store to a private mapping of a cached page copies at once; one
    of a device frame comes back as a second fault, for do_wp_page."""
    vmf = VmFault(vma.pgoff_at(vaddr), vaddr, write)
    fault(vma, vmf)
    page = vmf.page
    if page is None:
        is_sparse = follow_pfn(vma.vm_mm, vaddr) == vma.vm_mm.kernel.xip_sparse_page
        return "sparse page" if is_sparse else "device frame"
    if write and not vma.vm_flags & VM_SHARED:
        _copy_on_write(vma, vaddr, page.pfn)
        return "copy on write"
    if write:
        _page_mkwrite(vma, page)
    page.mapcount += 1
    vma.vm_mm.rss["file"] += 1
    _set_pte(vma, vaddr, page.pfn, writable=write)
    return "page cache"


def do_wp_page(vma: VmAreaStruct, vaddr: Vaddr, pfn: Pfn) -> str:
    """A store to a protected page: a shared one becomes writable, a private one is copied."""
    if vma.vm_flags & VM_SHARED or vma.anon.get(vaddr) == pfn:
        page = _cached_page(vma, vaddr, pfn)
        if page is not None and vaddr not in vma.anon:
            _page_mkwrite(vma, page)
        elif not _pfn_mkwrite(vma, vaddr):
            return "unmapped again"
        _set_pte(vma, vaddr, pfn, writable=True)
        return "made writable"
    pte_clear(vma, vaddr)
    _copy_on_write(vma, vaddr, pfn)
    return "copy on write"


def _page_mkwrite(vma: VmAreaStruct, page: Page) -> None:
    if vma.vm_ops is not None and vma.vm_ops.page_mkwrite is not None:
        vma.vm_ops.page_mkwrite(vma, page)
    page.dirty = True


def _pfn_mkwrite(vma: VmAreaStruct, vaddr: Vaddr) -> bool:
    """Tell who wants to know of the first store into a frame; returns whether it is still mapped."""
    if vaddr not in vma.anon and vma.vm_ops is not None and vma.vm_ops.pfn_mkwrite is not None:
        vma.vm_ops.pfn_mkwrite(vma, vma.pgoff_at(vaddr))
    return follow_pte(vma.vm_mm, vaddr) is not None


def _copy_on_write(vma: VmAreaStruct, vaddr: Vaddr, source: Pfn) -> None:
    memory = vma.vm_mm.kernel.memory
    private = alloc_page(vma.vm_mm.kernel, "anonymous")
    memory.frame(private)[:] = memory.frame(source)
    if tp_copy.probes:
        tp_copy(what="copy on write", nbytes=PAGE_SIZE)
    _map_anonymous(vma, vaddr, private)


def sigbus(vma: VmAreaStruct, vmf: VmFault, why: str) -> Signal:
    """The signal for a fault that the file cannot serve."""
    return Signal(SIGBUS, vmf.virtual_address, f"{vma.vm_file}: {why}")
