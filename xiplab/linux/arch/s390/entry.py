"""From a program into the kernel and back: system calls, program interruptions, DIAGNOSE.

    program ──SVC──► sys_call_table[nr](task, r2 ... r7) ──► r2 = result or -errno
            ──page or protection exception──► do_exception ──► handle_mm_fault, then the same instruction
            ──any other exception──► a signal, which ends the task
            ──DIAGNOSE, in supervisor state only──► CP

Kernel: v3.6 arch/s390/kernel/entry64.S, signal.c
"""

from __future__ import annotations

import errno
from functools import partial

from xiplab.errors import ADDRESSING, PROTECTION, SIGILL, SIGSEGV, ProgramInterruption, Signal
from xiplab.hw.cpu import Cpu
from xiplab.hw.dat import translate
from xiplab.hw.interruption import Diagnose, Interruption, SupervisorCall
from xiplab.linux.arch.s390.fault import do_exception
from xiplab.linux.arch.s390.traps import PGM_CHECK_TABLE, do_trap
from xiplab.linux.include.sched import Task
from xiplab.trace import Tracepoint

tp_system_call = Tracepoint("system call")
"""A program made a system call: guest, pid, number, name, result (None: there is none, execve)."""
INTERRUPTION_COST, INTERRUPTION_LEAST = 1000, 100
"""A quantum of 1,000,000 instructions, say, ends with 1,000 interruptions, too: the kernel's work takes as
long as that of many instructions."""
ARGUMENTS = slice(2, 8)
"""The registers with a system call's arguments; the first one also takes its result."""


def resume(task: Task, quantum: int) -> bool:
    """Let the task's program run for at most `quantum` instructions.

    Returns:
        True if the quantum was used up; False if the task has ended, or must end with `task.fatal`.
    """
    kernel = task.kernel
    if kernel.cpu is None:
        kernel.cpu = Cpu(kernel.memory)
    kernel.current = task
    interruptions = max(quantum // INTERRUPTION_COST, INTERRUPTION_LEAST)
    return kernel.cpu.run(task.regs, quantum, partial(interrupted, task), interruptions)


def interrupted(task: Task, interruption: Interruption) -> bool:
    """What the new PSWs lead to; returns whether the program goes on."""
    try:
        if isinstance(interruption, SupervisorCall):
            system_call(task, interruption.number)
        elif isinstance(interruption, Diagnose):
            diagnose(task, interruption)
        else:
            pgm_check_handler(task, interruption)
        do_signal(task)
    except Signal as signal:
        task.fatal = signal
    return task.fatal is None and not task.ended


def do_signal(task: Task) -> None:
    """Deliver what the kernel has sent to the task; every signal that it sends is fatal.

    Raises:
        Signal: the oldest one.
    """
    if task.pending and not task.ended:
        signo = task.pending.pop(0)
        raise Signal(signo, task.regs.psw_addr, "sent by the kernel")


def system_call(task: Task, number: int) -> None:
    """SVC: call what the table has for the number (SVC 0: the number is in r1); unknown ones are ENOSYS.

    A call that answers None has set the registers itself: execve.
    """
    regs, kernel = task.regs, task.kernel
    number = number or regs.gprs[1] & 0xFFFF_FFFF
    call = kernel.sys_call_table.get(number, sys_ni_syscall)
    if call is sys_ni_syscall:
        kernel.printk(f"{task}: system call {number} is not known")
    try:
        result = call(task, *regs.gprs[ARGUMENTS])
    except OSError as error:
        result = -(error.errno or errno.EIO)
    if tp_system_call.probes:
        name = getattr(call, "__name__", "?")
        tp_system_call(guest=kernel.name, pid=task.pid, number=number, name=name, result=result)
    if result is not None and not task.ended:
        regs.gprs[2] = result


def sys_ni_syscall(task: Task, *registers: int) -> int:
    """What every number means that has no call. Kernel: kernel/sys_ni.c"""
    return -errno.ENOSYS


def pgm_check_handler(task: Task, interruption: ProgramInterruption) -> None:
    """Resolve the exception, so that the instruction can be tried again.

    Raises:
        Signal: it cannot be resolved.
    """
    if interruption.code in PGM_CHECK_TABLE:
        do_trap(interruption)
    do_exception(task.mm, interruption)
    _check_resolved(task, interruption)


def _check_resolved(task: Task, interruption: ProgramInterruption) -> None:
    """The processor will walk the tables again; if they do not allow the access, it would never end."""
    memory, access = task.kernel.memory, interruption.access
    if interruption.code != PROTECTION and access == "store":
        access = "load"
    paddr = translate(memory, task.regs.asce, interruption.address, access)
    r = memory.range_of(paddr)
    if access == "store" and not r.writable:
        raise Signal(SIGSEGV, interruption.address, f"{r.name} is read-only storage") from interruption


def diagnose(task: Task, interruption: Diagnose) -> None:
    """Hand DIAGNOSE to CP, which sets both registers and the condition code.

    Its operands are absolute addresses, whatever the program's tables say.
    Raises:
        Signal: what a program interruption by CP becomes.
    """
    regs, rx, ry = task.regs, interruption.rx, interruption.ry
    if task.kernel.diagnose is None:
        raise Signal(SIGILL, regs.psw_addr, f"{task.kernel} is no z/VM guest")
    try:
        answer = task.kernel.diagnose(interruption.code, regs.gprs[rx], regs.gprs[ry])
    except ProgramInterruption as refused:
        if refused.code == ADDRESSING:
            raise Signal(SIGSEGV, refused.address, f"{refused}") from refused
        do_trap(refused)
    regs.condition_code, regs.gprs[rx], regs.gprs[ry] = answer
