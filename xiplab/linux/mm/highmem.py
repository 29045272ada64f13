"""Frames without a permanent kernel address, and the few addresses that are lent to them.

A machine with 32-bit addresses and much storage cannot map all of it into its kernel: only the first
part (lowmem) has addresses for good. The rest (highmem) is visible to the kernel through a pool of
slots, and to programs through their page tables as ever.

    kernel addresses                         page frames
    0           ┌───────────────┐            ┌──────────┐
                │ 1:1 mapping   │ ─────────▶ │ lowmem   │  kernel.zone
                ├───────────────┤            ├──────────┤
                │ no address    │   ┌──────▶ │ highmem  │  kernel.highmem
    PKMAP_BASE  ├───────────────┤   │        └──────────┘
                │ slots of kmap │ ──┘  until kunmap and the next flush
    FIXADDR     ├───────────────┤
                │ kmap_atomic   │      until kunmap_atomic
                └───────────────┘

This is why direct_access must not hand out highmem: its address has to stay valid until the device
is released, nobody gives it back, and the pool would be empty after LAST_PKMAP pages.

Interface: highmem_init(), alloc_highpage(), page_address(), kmap(), kunmap(), kmap_atomic().

Kernel: v3.6 mm/highmem.c, arch/x86/mm/highmem_32.c
Differs: one thread: where kmap would wait for somebody's kunmap it raises EDEADLK.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from xiplab.errors import bug_on
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.linux.mm.page_alloc import alloc_page
from xiplab.units import PAGE_SHIFT, Paddr, Pfn, paddr_to_pfn, pfn_to_paddr

PKMAP_BASE = Paddr(0xFF800000)
LAST_PKMAP = 1024
FIXADDR = Paddr(0xFFF00000)
KM_TYPE_NR = 20


@dataclass(eq=False)
class Pkmap:
    """The slots of one kernel.

    Attributes:
        nslots: how many there are for kmap.
        slots: by slot number, the frame that is mapped there. A slot outlives its last user.
        count: users of each mapped frame. Kernel: pkmap_count, which is one higher
        last: the slot that was taken last; they are taken in a circle.
        atomic: how many kmap_atomic are open.
    """

    nslots: int
    slots: dict[int, Pfn] = field(default_factory=dict)
    count: dict[Pfn, int] = field(default_factory=dict)
    last: int = 0
    atomic: int = 0


def highmem_init(kernel: Kernel, zone: Zone, nslots: int = LAST_PKMAP) -> None:
    """Let the frames of `zone` be highmem; they are storage of the machine already.

    Kernel: none (the sum of the boot code that makes ZONE_HIGHMEM)
    Raises:
        OSError: EINVAL unless the zone lies above kernel.zone and below the slots.
    """
    if zone.first < kernel.zone.end or zone.end > paddr_to_pfn(PKMAP_BASE):
        raise OSError(errno.EINVAL, f"{kernel}: highmem {zone.first:#x}-{zone.end:#x} must lie between the "
                                    f"end of lowmem ({kernel.zone.end:#x}) and {PKMAP_BASE:#x}")
    kernel.highmem = zone
    kernel.statics["highmem"] = Pkmap(nslots)


def _is_highmem(kernel: Kernel, pfn: Pfn) -> bool:
    return kernel.highmem is not None and pfn >= kernel.highmem.first


def alloc_highpage(kernel: Kernel, kind: str) -> Pfn:
    """Take one zeroed frame, from highmem while it has any. Kernel: alloc_page(GFP_HIGHUSER)

    Raises:
        OSError: ENOMEM if neither zone has a frame.
    """
    zone = kernel.highmem
    if zone is not None and (zone.free or zone.next < zone.end):
        return alloc_page(kernel, kind, zone)
    return alloc_page(kernel, kind)


def _map_slot(kernel: Kernel, address: int, pfn: Pfn, name: str) -> None:
    """Let the page at `address` lie on the frame `pfn`."""
    memory = kernel.memory
    frame = memory.range_of(pfn_to_paddr(pfn))
    first = memory.host_offset(pfn_to_paddr(pfn)) >> PAGE_SHIFT
    memory.attach(Paddr(address), first, 1, writable=frame.writable, name=name)


def page_address(kernel: Kernel, pfn: Pfn) -> int:
    """The kernel's address of a frame, or 0 (NULL) for a frame of highmem that is not in a slot."""
    if not _is_highmem(kernel, pfn):
        return pfn_to_paddr(pfn)
    pkmap: Pkmap = kernel.statics["highmem"]
    return next((PKMAP_BASE + (slot << PAGE_SHIFT) for slot, at in pkmap.slots.items() if at == pfn), 0)


def _flush_all_zero_pkmaps(kernel: Kernel, pkmap: Pkmap) -> None:
    """Empty the slots without users. Their old addresses are invalid from now on."""
    for slot, pfn in list(pkmap.slots.items()):
        if not pkmap.count[pfn]:
            kernel.memory.detach(Paddr(PKMAP_BASE + (slot << PAGE_SHIFT)))
            del pkmap.slots[slot], pkmap.count[pfn]


def _map_new_virtual(kernel: Kernel, pkmap: Pkmap, pfn: Pfn) -> None:
    """Map `pfn` in the next free slot; each time round, flush the slots that nobody uses."""
    for _ in range(2 * pkmap.nslots):
        pkmap.last = (pkmap.last + 1) % pkmap.nslots
        if not pkmap.last:
            _flush_all_zero_pkmaps(kernel, pkmap)
        if pkmap.last not in pkmap.slots:
            _map_slot(kernel, PKMAP_BASE + (pkmap.last << PAGE_SHIFT), pfn, f"kmap slot {pkmap.last}")
            pkmap.slots[pkmap.last] = pfn
            pkmap.count[pfn] = 0
            return
    raise OSError(errno.EDEADLK, f"{kernel}: all {pkmap.nslots} kmap slots are in use, and nobody is left "
                                 "to give one back")


def kmap(kernel: Kernel, pfn: Pfn) -> int:
    """The kernel's address of a frame, to be given back with kunmap; a frame of highmem takes a slot.

    It may sleep, so it has no place between kmap_atomic and its end: that is a line in the log.
    Raises:
        OSError: EDEADLK if every slot is in use.
    """
    if not _is_highmem(kernel, pfn):
        return pfn_to_paddr(pfn)
    pkmap: Pkmap = kernel.statics["highmem"]
    if pkmap.atomic:
        kernel.printk("BUG: sleeping function called from invalid context: kmap within kmap_atomic")
    if pfn not in pkmap.count:
        _map_new_virtual(kernel, pkmap, pfn)
    pkmap.count[pfn] += 1
    return page_address(kernel, pfn)


def kunmap(kernel: Kernel, pfn: Pfn) -> None:
    """Give the address of kmap back. It goes on working until the slot is flushed, as if by luck."""
    if not _is_highmem(kernel, pfn):
        return
    pkmap: Pkmap = kernel.statics["highmem"]
    bug_on(not pkmap.count.get(pfn), f"{kernel}: frame {pfn:#x} is not mapped by kmap")
    pkmap.count[pfn] -= 1


@contextmanager
def kmap_atomic(kernel: Kernel, pfn: Pfn) -> Iterator[int]:
    """Within the block: a kernel address of the frame. No sleeping until its end, and no more than
    KM_TYPE_NR inside one another. Kernel: kmap_atomic(), kunmap_atomic()"""
    if not _is_highmem(kernel, pfn):
        yield pfn_to_paddr(pfn)
        return
    pkmap: Pkmap = kernel.statics["highmem"]
    bug_on(pkmap.atomic >= KM_TYPE_NR, f"{kernel}: more than {KM_TYPE_NR} kmap_atomic at once")
    address = Paddr(FIXADDR + (pkmap.atomic << PAGE_SHIFT))
    _map_slot(kernel, address, pfn, f"kmap_atomic {pkmap.atomic}")
    pkmap.atomic += 1
    try:
        yield address
    finally:
        pkmap.atomic -= 1
        kernel.memory.detach(address)
