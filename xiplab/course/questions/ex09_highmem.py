"""Question 09.4: the ramdisk of Linux 2.6.25, whose pages have no kernel address (Q24).

The learner's function takes a page for the ramdisk and names its address. A guest boots with it, mounts
the disk in place, reads every page of a file and maps it.
"""

from __future__ import annotations

from random import Random
from typing import Any

from xiplab.course.experiments.highmem import PAGES, SLOTS, Highmem, kernel_functions
from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.seam import seam
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.mm.highmem import page_address
from xiplab.units import Pfn


def pair(answer: Answer, pfn: int | None, has_direct_access: bool, kernel: Kernel) -> tuple[int, Pfn]:
    """What the answer says of a page: (kaddr, pfn)."""
    said: Any = seam(answer, "brd_page")(pfn, has_direct_access, *kernel_functions(kernel))
    if not isinstance(said, tuple | list) or [type(item) for item in said] != [int, int]:
        raise Wrong("Your function must return two whole numbers: (kaddr, pfn).", got=repr(said))
    return said[0], Pfn(said[1])


def plugged(answer: Answer) -> Highmem:
    """A guest that has booted with the answer behind its ramdisk."""
    machine, lent = Highmem(), 0

    def brd_page(pfn: int | None, has_direct_access: bool, *_: Any) -> tuple[int, Pfn]:
        nonlocal lent
        try:
            return pair(answer, pfn, has_direct_access, machine.guest.kernel)
        finally:
            lent = max(lent, sum(slot is not None for slot in machine.slots()))

    machine.plug(brd_page)
    if machine.trouble:
        raise Wrong(machine.trouble, given=f"{lent} kmap slots in use",
                    misconception=belief_behind(1, "EDEADLK" if lent else ""))
    return machine


def belief_behind(kaddr: int, error: str, otherwise: str = "frame-is-enough") -> str:
    """What somebody believes whose driver gives this address, or fails with this error."""
    if error == "EDEADLK":
        return "kmap-gives-back"
    return "kernel-reaches-all" if kaddr == 0 else otherwise


def check_pages(answer: Answer, random: Random) -> None:
    """Each page of the file is read and mapped, and shows what is in it."""
    machine = plugged(answer)
    for page in range(PAGES):
        machine.read(page)
        machine.load(page)
        for outcome in machine.outcomes[-2:]:
            if not outcome.right:
                name = "read()" if outcome.how == "read" else "a load from the mapping"
                raise Wrong(f"{name} gives other bytes than the page holds.", given=f"page {page} of {PAGES}",
                            expected=f"This is page {page:2}.", got=outcome.error or repr(outcome.data)[2:-1],
                            misconception=belief_behind(machine.address(page), outcome.error,
                                                        "each-call-is-a-page"))


def check_for_good(answer: Answer, random: Random) -> None:
    """The address is the page's own, and takes no slot."""
    machine = plugged(answer)
    kernel = machine.guest.kernel
    for _ in range(SLOTS + 1):
        kaddr, pfn = pair(answer, None, True, kernel)
        slots = sum(slot is not None for slot in machine.slots())
        if slots:
            raise Wrong("The address is lent: a kmap slot is taken, and nobody gives it back.",
                        expected="0 slots in use", got=f"{slots} in use", misconception="kmap-gives-back")
        if not kaddr or kaddr != page_address(kernel, pfn):
            raise Wrong("Linux has no such address for this frame.", given=f"frame {pfn:#x}",
                        expected="an address that the frame has for good", got=f"{kaddr:#x}",
                        misconception=belief_behind(kaddr, ""))
        if pair(answer, pfn, True, kernel) != (kaddr, pfn):
            raise Wrong("Asked again for the same page, your function gives another one.",
                        given=f"frame {pfn:#x}", misconception="each-call-is-a-page")


def check_without(answer: Answer, random: Random) -> None:
    """A disk without direct_access leaves lowmem to those who need it."""
    kernel = Highmem().guest.kernel
    assert kernel.highmem is not None
    for _ in range(2):
        _, pfn = pair(answer, None, False, kernel)
        if pfn < kernel.highmem.first:
            raise Wrong("This disk has no direct_access: nobody needs an address of its pages. They may "
                        "lie in highmem.", expected="a frame of highmem", got=f"frame {pfn:#x}, lowmem",
                        misconception="lowmem-is-plenty")
