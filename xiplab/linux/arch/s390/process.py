"""Where a task begins to run.

Kernel: v3.6 arch/s390/kernel/process.c, arch/s390/include/asm/processor.h
"""

from __future__ import annotations

from xiplab.linux.include.ptrace import PtRegs
from xiplab.linux.include.sched import Task
from xiplab.units import Vaddr


def start_thread(task: Task, new_psw: Vaddr, new_stackp: Vaddr) -> None:
    """All registers are zero but the instruction address and the stack pointer. Kernel: start_thread()"""
    task.regs = PtRegs(psw_addr=new_psw)
    task.regs.gprs[15] = new_stackp
