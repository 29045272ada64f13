"""Where a task begins to run.

Kernel: v3.6 arch/s390/kernel/process.c, arch/s390/include/asm/processor.h
"""

from __future__ import annotations

from xiplab.linux.include.ptrace import PSW_KERNEL_BITS, PSW_USER_BITS
from xiplab.linux.include.sched import Task
from xiplab.units import Vaddr


def start_thread(task: Task, new_psw: Vaddr, new_stackp: Vaddr) -> None:
    """All registers are zero but the instruction address and the stack pointer. Kernel: start_thread()"""
    task.regs.clear(new_psw, PSW_USER_BITS, task.mm.asce)
    task.regs.gprs[15] = new_stackp


def kernel_thread(task: Task, new_psw: Vaddr, new_stackp: Vaddr) -> None:
    """The same in supervisor state, where DIAGNOSE may be issued. Kernel: kernel_thread()

    Differs: in Linux only the kernel's own code runs so; here any program can, to show what that means.
    """
    start_thread(task, new_psw, new_stackp)
    task.regs.psw_mask = PSW_KERNEL_BITS
