"""Question 10.3: a load that takes blocks (Q10), and what DAX did about it.

The mended function decides in a guest's page faults: it stands in the table of the mapping. What is
expected is what the model's own mended fault does.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import closing
from random import Random
from typing import Any

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.ex06_bench import Layout, bench, stored
from xiplab.errors import Signal
from xiplab.linux.include.mm import (
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    VM_MAYWRITE,
    VM_SHARED,
    VmAreaStruct,
    VmFault,
    VmOperations,
)
from xiplab.linux.mm.filemap_xip import xip_sparse_page, xip_unmap
from xiplab.linux.mm.filemap_xip_eras import xip_file_fault_no_alloc
from xiplab.linux.mm.memory import vm_insert_mixed
from xiplab.mapping import Mapping
from xiplab.units import PAGE_SIZE, Pfn, Pgoff

Fault = Callable[[VmAreaStruct, VmFault], None]
PRELUDE = "import errno"
PLANS = (
    ("loads a byte of a hole", MAP_SHARED, ("load",)),
    ("loads a byte of a hole, then stores one there", MAP_SHARED, ("load", "store", "load")),
    ("stores a byte into a hole", MAP_SHARED, ("store", "load")),
    ("loads a byte of a hole, by a private mapping", MAP_PRIVATE, ("load",)),
    ("stores a byte into a hole, by a private mapping", MAP_PRIVATE, ("store", "load")),
)


def asking(answer: Answer) -> Fault:
    """A page fault that asks the answer which frame to map."""
    def fault(vma: VmAreaStruct, vmf: VmFault) -> None:
        assert vma.vm_file is not None
        mapping = vma.vm_file.f_mapping
        get = mapping.a_ops.get_xip_mem
        assert get is not None

        def get_xip_mem(pgoff: Any, create: Any) -> int:
            if type(pgoff) is not int:
                raise TypeError("get_xip_mem takes the number of a page, and whether to create")
            return int(get(mapping, Pgoff(pgoff), bool(create))[1])

        zeros = xip_sparse_page(mapping.kernel)
        try:
            frame = answer.call("frame_for_fault", int(vmf.pgoff), bool(vmf.write),
                                bool(vma.vm_flags & VM_SHARED), bool(vma.vm_flags & VM_MAYWRITE), get_xip_mem,
                                int(zeros))
        except AnswerRaised as failure:
            if failure.errno is None:
                raise
            raise OSError(failure.errno, f"frame_for_fault: {failure.text}") from failure
        if type(frame) is not int:
            raise Wrong("Your function must return the number of a frame.", got=repr(frame)[:80])
        if frame != zeros:
            xip_unmap(mapping, vmf.pgoff)
        vm_insert_mixed(vma, vmf.virtual_address, Pfn(frame))

    return fault


def outcome(fault: Fault, flags: int, plan: tuple[str, ...]) -> tuple[Any, ...]:
    """What a program sees, what the hole holds in storage afterwards, and the zeros of everybody else."""
    made = bench(Layout("DHD"))
    with closing(made.guest.mmap(made.fd, 0, PROT_READ | PROT_WRITE, flags)) as text:
        text.vma.vm_ops = VmOperations(name="yours", fault=fault)
        seen = [bytes(text[PAGE_SIZE + 4:PAGE_SIZE + 7]) for step in plan if not done(text, step)]
        zeros = made.guest.kernel.memory.frame(xip_sparse_page(made.guest.kernel))
        clean = not zeros.any()
        zeros[:] = 0
        return tuple(seen), stored(made)[1], clean


def done(text: Mapping, step: str) -> bool:
    """Whether the step is a store; then it is made."""
    if step == "store":
        text[PAGE_SIZE + 5] = ord("J")
    return step == "store"


def check_faults(answer: Answer, plans: tuple[int, ...]) -> None:
    """Some of PLANS go as with a fault that allocates for stores alone."""
    for words, flags, plan in (PLANS[number] for number in plans):
        given = f"a program {words}"
        try:
            got = outcome(asking(answer), flags, plan)
        except (OSError, Signal) as failure:
            raise Wrong(f"The program was ended: {failure}.", given=given) from failure
        expected = outcome(xip_file_fault_no_alloc, flags, plan)
        if got == expected:
            continue
        if not got[2]:
            raise Wrong("The byte was stored into the page of zeros, which stands for the holes of all "
                        "files.",
                        given=given, misconception="zeros-can-be-stored-into")
        if bool(got[1]) != bool(expected[1]):
            text = "The hole has a block now." if got[1] else "The hole has no block, and the store is lost."
            belief = ("private-store-needs-a-block" if flags == MAP_PRIVATE else "may-write-means-writes"
                      ) if got[1] else "zeros-can-be-stored-into"
            raise Wrong(text, given=given, expected="a block" if expected[1] else "no block",
                        got="a block" if got[1] else "no block", misconception=belief)
        raise Wrong("The program sees other bytes than it should.", given=given, expected=str(expected[0]),
                    got=str(got[0]))


def check_loads(answer: Answer, random: Random) -> None:
    """A load takes no block, whatever the mapping might be used for."""
    check_faults(answer, (0, 3))


def check_stores(answer: Answer, random: Random) -> None:
    """A store into a shared mapping gets its block; one into a private mapping takes none."""
    check_faults(answer, (1, 2, 4))


def check_failures(answer: Answer, random: Random) -> None:
    """Data is mapped where it lies, and an error that is no hole is not hidden."""
    made = bench(Layout("DHD", broken=2))
    with closing(made.guest.mmap(made.fd, 0, PROT_READ, MAP_SHARED)) as text:
        fault = asking(answer)
        fault(text.vma, VmFault(Pgoff(0), text.vma.address_of(0), write=False))
        if not text.frame(0).any():
            raise Wrong("A page with data shows zeros.", given="a load of page 0, which is data")
        try:
            fault(text.vma, VmFault(Pgoff(2), text.vma.address_of(2), write=False))
        except OSError as failure:
            if failure.errno == errno.EIO:
                return
            raise Wrong(f"Another error came out: {failure}.", given="a load of page 2: EIO", expected="EIO"
                        ) from failure
    raise Wrong("A page that cannot be read shows something.", given="a load of page 2: EIO", expected="EIO",
                got="a frame", misconception="every-failure-is-a-hole")
