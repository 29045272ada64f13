"""Which pages of a mapping are in memory.

Kernel: v3.6 mm/mincore.c
"""

from __future__ import annotations

import errno

from xiplab.linux.include.mm import MmStruct, VmAreaStruct
from xiplab.linux.mm.memory import follow_pte
from xiplab.linux.mm.mmap import find_vma
from xiplab.units import PAGE_SIZE, page_align


def do_mincore(mm: MmStruct, start: int, length: int) -> list[int]:
    """mincore(2): 1 for each page that an access would find, 0 for one that would have to be read.

    A page of a file counts if it is mapped, or waits in the page cache; a file mapped in place has no
    cache, so only pages that were touched count.
    Raises:
        OSError: EINVAL an odd start; ENOMEM an address that is not mapped.
    """
    if start % PAGE_SIZE:
        raise OSError(errno.EINVAL, f"mincore: {start:#x} is not the start of a page")
    if length < 0:
        raise OSError(errno.ENOMEM, f"mincore: {length} bytes are more than there are")
    result = []
    for vaddr in range(start, start + page_align(length), PAGE_SIZE):
        vma = find_vma(mm, vaddr)
        if vma is None:
            raise OSError(errno.ENOMEM, f"mincore: {vaddr:#x} is not mapped")
        result.append(int(follow_pte(mm, vaddr) is not None or mincore_page(vma, vaddr)))
    return result


def mincore_page(vma: VmAreaStruct, vaddr: int) -> bool:
    if vma.vm_file is None:
        return False
    page = vma.vm_file.f_mapping.pages.get(vma.pgoff_at(vaddr))
    return page is not None and page.uptodate
