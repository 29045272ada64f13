"""Memory of the kernel's own, in whole pages: vmalloc() and vfree().

Kernel: v3.6 mm/vmalloc.c
Differs: the kernel's addresses are the guest's absolute addresses, 1:1, so an area takes frames in a
    row; Linux maps scattered frames into an address range of their own.
"""

from __future__ import annotations

import errno

from xiplab.errors import bug_on
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.mm.page_alloc import alloc_pages, free_page
from xiplab.units import Paddr, Pfn, paddr_to_pfn, page_count, pfn_to_paddr


def vm_areas(kernel: Kernel) -> dict[Paddr, int]:
    """The areas in use: how many frames each address has. Kernel: the list vmlist"""
    areas: dict[Paddr, int] = kernel.statics.setdefault("vmalloc", {})
    return areas


def vmalloc(kernel: Kernel, size: int) -> Paddr:
    """The address of `size` bytes of zeros, on frames of kind "vmalloc".

    Raises:
        OSError: ENOMEM for nothing, or for more than there is.
    """
    npages, zone = page_count(size), kernel.zone
    if not 0 < npages <= zone.end - zone.first:
        raise OSError(errno.ENOMEM, f"{kernel}: vmalloc of {size} bytes")
    first = alloc_pages(kernel, "vmalloc", npages)
    address = pfn_to_paddr(first)
    vm_areas(kernel)[address] = npages
    return address


def vfree(kernel: Kernel, address: Paddr) -> None:
    """Give an area back; address 0 means none."""
    if not address:
        return
    npages = vm_areas(kernel).pop(address, 0)
    bug_on(npages == 0, f"{kernel}: vfree of {address:#x}, which vmalloc did not give out")
    first = paddr_to_pfn(address)
    for pfn in range(first, first + npages):
        free_page(kernel, Pfn(pfn))
