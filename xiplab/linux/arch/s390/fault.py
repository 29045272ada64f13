"""Program interruptions of a task: resolve the fault, or send a signal.

Kernel: v3.6 arch/s390/mm/fault.c
"""

from __future__ import annotations

from xiplab.errors import ADDRESSING, SIGSEGV, ProgramInterruption, Signal
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import VM_EXEC, VM_READ, VM_WRITE, MmStruct
from xiplab.linux.mm.memory import handle_mm_fault
from xiplab.linux.mm.mmap import find_extend_vma

OOPSES = "oopses"
NEEDED = {"load": VM_READ | VM_WRITE | VM_EXEC, "store": VM_WRITE, "fetch": VM_EXEC}


def die(kernel: Kernel, interruption: ProgramInterruption) -> ProgramInterruption:
    """The kernel itself made an access that the machine refuses: two lines in the log, and the interruption
    for the caller to raise. It leaves the system call; nothing that the call had begun is taken back.

    Kernel: do_no_context() here, die() of arch/s390/kernel/traps.c
    Differs: the task lives on, so that a learner can look at what is left.
    """
    count = kernel.statics[OOPSES] = kernel.statics.get(OOPSES, 0) + 1
    kernel.printk(f"Unable to handle kernel access: {interruption}")
    kernel.printk(f"Oops: {interruption.code:04x} [#{count}]")
    return interruption


def do_exception(mm: MmStruct, interruption: ProgramInterruption) -> None:
    """Make the access that was interrupted possible; the machine then tries it again.

    Raises:
        Signal: SIGSEGV outside every area or against its protection; what handle_mm_fault raises.
    """
    address, access = interruption.address, interruption.access
    if interruption.code == ADDRESSING:
        raise Signal(SIGSEGV, address, "no such storage") from interruption
    vma = find_extend_vma(mm, address)
    if vma is None:
        raise Signal(SIGSEGV, address, "nothing is mapped there") from interruption
    if not vma.vm_flags & NEEDED[access]:
        raise Signal(SIGSEGV, address, f"{vma} does not allow a {access}") from interruption
    handle_mm_fault(vma, address, write=access == "store")
