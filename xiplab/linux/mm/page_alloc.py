"""Free page frames of a guest, and what the others are used for.

Kernel: v3.6 mm/page_alloc.c (a first-fit list instead of buddies)
"""

from __future__ import annotations

import errno

from xiplab.errors import KernelBug
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.trace import tp_frame
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Pfn

ZERO_PAGE = bytes(PAGE_SIZE)


def alloc_page(kernel: Kernel, kind: str, zone: Zone | None = None) -> Pfn:
    """Take one zeroed frame for `kind` ("page cache", "page table", "anonymous", ...).

    Args:
        zone: where from; if it is left out, from the frames with a permanent kernel address.
    Raises:
        OSError: ENOMEM if none is free and none can be reclaimed.
    """
    zone = zone or kernel.zone
    if len(zone.kinds) >= (zone.end - zone.first if zone.limit is None else zone.limit):
        _make_room(kernel, zone, 1, kind)
    if zone.free:
        pfn = zone.free.pop()
        start = kernel.memory.host_offset(pfn << PAGE_SHIFT)
        kernel.memory.storage.map[start:start + PAGE_SIZE] = ZERO_PAGE
    elif zone.next < zone.end:
        pfn = zone.next
        zone.next = Pfn(pfn + 1)
    else:
        raise OSError(errno.ENOMEM, f"{kernel}: no frame for {kind} ({zone.end - zone.first} in use)")
    zone.kinds[pfn] = kind
    zone.used[kind] += 1
    if tp_frame.probes:
        tp_frame(guest=kernel.name, pfn=pfn, kind=kind, change=1)
    return pfn


def alloc_pages(kernel: Kernel, kind: str, npages: int) -> Pfn:
    """Take `npages` zeroed frames in a row; returns the first.

    Raises:
        OSError: ENOMEM if there is no such run.
    """
    zone = kernel.zone
    _make_room(kernel, zone, npages, kind)
    first = zone.next
    if first + npages <= zone.end:
        zone.next = Pfn(first + npages)
    else:
        first = _run_given_back(kernel, zone, npages, kind)
    for pfn in range(first, first + npages):
        _account(kernel, zone, Pfn(pfn), kind)
    return first


def _run_given_back(kernel: Kernel, zone: Zone, npages: int, kind: str) -> Pfn:
    """Take the lowest `npages` frames in a row out of those that were given back, and zero them."""
    zone.free.sort()
    for index in range(len(zone.free) - npages + 1):
        first = zone.free[index]
        if zone.free[index + npages - 1] == first + npages - 1:
            del zone.free[index:index + npages]
            kernel.memory.view(first << PAGE_SHIFT, npages << PAGE_SHIFT)[:] = 0
            return first
    raise OSError(errno.ENOMEM, f"{kernel}: no {npages} frames in a row for {kind}")


def page_zone(kernel: Kernel, pfn: Pfn) -> Zone:
    """The zone of a frame."""
    highmem = kernel.highmem
    return kernel.zone if highmem is None or pfn < highmem.first else highmem


def free_page(kernel: Kernel, pfn: Pfn) -> None:
    """Give a frame back."""
    zone = page_zone(kernel, pfn)
    if pfn not in zone.kinds:
        raise KernelBug(f"{kernel}: frame {pfn:#x} is not in use")
    kind = zone.kinds.pop(pfn)
    zone.used[kind] -= 1
    zone.free.append(pfn)
    if tp_frame.probes:
        tp_frame(guest=kernel.name, pfn=pfn, kind=kind, change=-1)


def frames_in_use(zone: Zone) -> int:
    return len(zone.kinds)


def frames_at_most(zone: Zone) -> int:
    """How many frames of the zone may be in use."""
    return zone.end - zone.first if zone.limit is None else zone.limit


def _make_room(kernel: Kernel, zone: Zone, npages: int, kind: str) -> None:
    """Let the page cache give frames back if the zone's limit is reached."""
    limit = frames_at_most(zone)
    missing = len(zone.kinds) + npages - limit
    if missing <= 0:
        return
    if zone.reclaim is None or zone.reclaim(missing) < missing:
        raise OSError(errno.ENOMEM, f"{kernel}: no frame for {kind} (limit {limit})")


def _account(kernel: Kernel, zone: Zone, pfn: Pfn, kind: str) -> None:
    zone.kinds[pfn] = kind
    zone.used[kind] += 1
    if tp_frame.probes:
        tp_frame(guest=kernel.name, pfn=pfn, kind=kind, change=1)
