"""Highmem: a frame's kernel address is lent, so no driver can promise it until release."""

import errno

import numpy as np
import pytest

from xiplab.errors import ADDRESSING, KernelBug, ProgramInterruption
from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.linux.mm.highmem import (
    FIXADDR,
    PKMAP_BASE,
    alloc_highpage,
    highmem_init,
    kmap,
    kmap_atomic,
    kunmap,
    page_address,
)
from xiplab.linux.mm.page_alloc import alloc_page, free_page
from xiplab.units import MiB, Paddr, Pfn


@pytest.fixture
def kernel() -> Kernel:
    """Lowmem: frames 1 to 15, highmem: 16 to 31, four slots. Frame 0 does not exist."""
    storage = Storage(1 * MiB)
    memory = AbsoluteStorage(storage)
    memory.attach(Paddr(0x1000), storage.allocate(31), 31, writable=True, name="RAM")
    kernel = Kernel("I386", memory, Zone(Pfn(1), Pfn(16), Pfn(1)))
    highmem_init(kernel, Zone(Pfn(16), Pfn(32), Pfn(16)), nslots=4)
    return kernel


def test_alloc_highpage_prefers_highmem_and_falls_back(kernel: Kernel) -> None:
    taken = [alloc_highpage(kernel, "page cache") for _ in range(17)]

    assert taken == [*range(16, 32), 1]
    assert kernel.zone.used["page cache"] == 1


def test_alloc_page_never_takes_highmem(kernel: Kernel) -> None:
    for _ in range(15):
        alloc_page(kernel, "page table")

    with pytest.raises(OSError, match="no frame") as caught:
        alloc_page(kernel, "page table")

    assert caught.value.errno == errno.ENOMEM


def test_freed_highmem_frame_returns_to_its_zone(kernel: Kernel) -> None:
    pfn = alloc_highpage(kernel, "page cache")
    free_page(kernel, pfn)

    assert kernel.highmem is not None
    assert kernel.highmem.free == [pfn]
    assert kernel.zone.free == []


def test_page_address_of_lowmem_is_the_frame_itself(kernel: Kernel) -> None:
    assert page_address(kernel, alloc_page(kernel, "x")) == 0x1000


def test_page_address_of_highmem_is_null_until_mapped(kernel: Kernel) -> None:
    pfn = alloc_highpage(kernel, "x")
    before = page_address(kernel, pfn)
    address = kmap(kernel, pfn)

    assert before == 0
    assert page_address(kernel, pfn) == address >= PKMAP_BASE
    assert np.shares_memory(kernel.memory.view(address, 4096), kernel.memory.frame(pfn))


def test_kmap_twice_uses_one_slot(kernel: Kernel) -> None:
    pfn = alloc_highpage(kernel, "x")

    assert kmap(kernel, pfn) == kmap(kernel, pfn)


def test_kmap_exhausted_pool_raises_edeadlk(kernel: Kernel) -> None:
    """An address for every page of a device, kept until release, empties the pool at once."""
    for _ in range(4):
        kmap(kernel, alloc_highpage(kernel, "x"))

    with pytest.raises(OSError, match="all 4 kmap slots") as caught:
        kmap(kernel, alloc_highpage(kernel, "x"))

    assert caught.value.errno == errno.EDEADLK


def test_kunmap_address_works_by_luck_then_shows_another_page(kernel: Kernel) -> None:
    """What a direct_access made of kmap and kunmap would hand out."""
    pages = [alloc_highpage(kernel, "x") for _ in range(6)]
    for number, pfn in enumerate(pages):
        kernel.memory.frame(pfn)[:] = number
    address = kmap(kernel, pages[0])
    kunmap(kernel, pages[0])
    right_after = kernel.memory.view(address, 1)[0]
    for pfn in pages[1:5]:
        kmap(kernel, pfn)
        kunmap(kernel, pfn)

    assert right_after == 0
    assert kernel.memory.view(address, 1)[0] == 4


def test_kunmap_of_unmapped_frame_is_a_bug(kernel: Kernel) -> None:
    with pytest.raises(KernelBug, match="not mapped"):
        kunmap(kernel, alloc_highpage(kernel, "x"))


def test_kmap_atomic_address_ends_with_the_block(kernel: Kernel) -> None:
    pfn = alloc_highpage(kernel, "x")
    with kmap_atomic(kernel, pfn) as address:
        kernel.memory.view(address, 1)[0] = 9
        with kmap_atomic(kernel, pfn) as second:
            assert (address, second) == (FIXADDR, FIXADDR + 4096)

    assert kernel.memory.frame(pfn)[0] == 9
    with pytest.raises(ProgramInterruption) as caught:
        kernel.memory.view(address, 1)
    assert caught.value.code == ADDRESSING


def test_kmap_within_kmap_atomic_is_a_line_in_the_log(kernel: Kernel) -> None:
    pfn = alloc_highpage(kernel, "x")
    with kmap_atomic(kernel, pfn):
        kmap(kernel, pfn)

    assert "sleeping function called from invalid context" in kernel.dmesg[-1]


def test_highmem_init_overlapping_lowmem_raises_einval(kernel: Kernel) -> None:
    with pytest.raises(OSError, match="must lie between") as caught:
        highmem_init(kernel, Zone(Pfn(15), Pfn(32)))

    assert caught.value.errno == errno.EINVAL
