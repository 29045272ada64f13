"""A learner's fault handler in the table of a mapping: Linux on one side, eleven lines on the other.

    page fault ─► vm_ops.fault(vma, vmf) ─► function(vma, vmf, get_xip_mem, xip_sparse_page, xip_unmap,
                                                     vm_insert_mixed)
    VM_FAULT_NOPAGE   a frame is in the page table: the access is tried again
    VM_FAULT_SIGBUS   and every OSError that the function lets pass: the task gets SIGBUS

The function is given Linux's own functions, with their arguments in Linux's order.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, TypeAlias

from xiplab.course.trial import Mistake
from xiplab.errors import ProgramInterruption
from xiplab.linux.include.fs import AddressSpace
from xiplab.linux.include.mm import VmAreaStruct, VmFault, VmOperations
from xiplab.linux.mm import filemap_xip, memory
from xiplab.units import Pfn, Pgoff, Vaddr

Function: TypeAlias = Callable[..., Any]

VM_FAULT_SIGBUS, VM_FAULT_NOPAGE = 0x2, 0x100


def get_xip_mem(mapping: AddressSpace, pgoff: int, create: int) -> tuple[int, Pfn]:
    """What the file system answers: (kmem, pfn)."""
    assert mapping.a_ops.get_xip_mem is not None
    kmem, pfn = mapping.a_ops.get_xip_mem(mapping, Pgoff(pgoff), bool(create))
    return int(kmem), pfn


def vm_insert_mixed(vma: VmAreaStruct, address: int, pfn: int) -> None:
    """Enter a frame into the page table. Raises OSError: EFAULT if the guest has no such frame."""
    try:
        vma.vm_mm.kernel.memory.frame(Pfn(pfn))
    except (ProgramInterruption, OverflowError, TypeError) as failure:
        raise OSError(errno.EFAULT, f"vm_insert_mixed: the guest has no frame {pfn!r}") from failure
    memory.vm_insert_mixed(vma, Vaddr(address), Pfn(pfn))


def kernel_functions(vma: VmAreaStruct) -> tuple[Function, ...]:
    """The functions of Linux that a learner's fault handler is given, in order."""
    def xip_sparse_page() -> Pfn:
        return filemap_xip.xip_sparse_page(vma.vm_mm.kernel)

    def xip_unmap(mapping: AddressSpace, pgoff: int) -> None:
        filemap_xip.xip_unmap(mapping, Pgoff(pgoff))

    return get_xip_mem, xip_sparse_page, xip_unmap, vm_insert_mixed


def operations(function: Function) -> VmOperations:
    """The table of a mapping whose faults the function serves: what it returns becomes what Linux does."""
    def fault(vma: VmAreaStruct, vmf: VmFault) -> None:
        try:
            result = function(vma, vmf, *kernel_functions(vma))
        except Mistake:
            raise
        except OSError as failure:
            raise memory.sigbus(vma, vmf, str(failure)) from failure
        if result == VM_FAULT_SIGBUS:
            raise memory.sigbus(vma, vmf, "the handler said so")
        if memory.follow_pfn(vma.vm_mm, vmf.virtual_address) is None:
            raise memory.sigbus(vma, vmf, f"the handler returned {result!r} and entered no frame")

    return VmOperations(name="vm_ops (plugged)", fault=fault)
