"""Programs of a few instructions in a guest: system calls, faults, signals."""

from __future__ import annotations

import errno

import pytest

from xiplab import MAP_ANONYMOUS, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE, ZVM, Guest, Mapping
from xiplab.errors import SIGILL, SIGSEGV, SIGXCPU
from xiplab.linux.arch.s390.process import start_thread
from xiplab.linux.include.sched import Task
from xiplab.linux.kernel.sched import schedule
from xiplab.linux.kernel.task import do_exit
from xiplab.process import Process
from xiplab.units import Vaddr

ANYTHING = PROT_READ | PROT_WRITE | PROT_EXEC


def sys_exit(task: Task, code: int, *_: int) -> int:
    do_exit(task, (code & 0xFF) << 8)
    return 0


@pytest.fixture
def linux1() -> Guest:
    guest = ZVM().logon("LINUX1")
    guest.kernel.sys_call_table[1] = sys_exit
    return guest


def program(guest: Guest, code: str, prot: int = ANYTHING) -> tuple[Process, Mapping]:
    """A process whose program is the bytes of `code`, given in hexadecimal digits."""
    process = guest.process("program")
    memory = process.mmap(-1, 0x4000, ANYTHING, MAP_PRIVATE | MAP_ANONYMOUS)
    text = bytes.fromhex(code)
    memory[:len(text)] = text
    process.mprotect(memory.vaddr, 0x1000, prot)
    start_thread(process.task, memory.vaddr, Vaddr(memory.vaddr + 0x4000))
    return process, memory


def test_run_exit_returns_the_status(linux1: Guest) -> None:
    """lghi %r2,7; svc 1"""
    process, _ = program(linux1, "a7290007 0a01")

    assert process.run() == 7


def test_run_without_a_program_is_enoexec(linux1: Guest) -> None:
    with pytest.raises(OSError, match="has no program") as caught:
        linux1.process("empty").run()

    assert caught.value.errno == errno.ENOEXEC


def test_svc_unknown_is_enosys_and_recorded(linux1: Guest) -> None:
    """svc 200; lcgr %r2,%r2; svc 1"""
    process, _ = program(linux1, "0ac8 b9030022 0a01")

    assert process.run() == errno.ENOSYS
    assert [line for line in linux1.dmesg if "system call 200 is not known" in line]


def test_load_of_nothing_is_sigsegv(linux1: Guest) -> None:
    """lg %r2,0"""
    process, _ = program(linux1, "e32000000004")

    assert process.run() == -SIGSEGV


def test_endless_loop_is_sigxcpu(linux1: Guest) -> None:
    """j ."""
    process, _ = program(linux1, "a7f40000")

    assert process.run(budget=100_000) == -SIGXCPU


def test_zeros_are_sigill(linux1: Guest) -> None:
    process, _ = program(linux1, "0000")

    assert process.run() == -SIGILL


def test_schedule_two_guests_in_turn(linux1: Guest) -> None:
    """Each counts to its own number; both end."""
    linux2 = linux1.vm.logon("LINUX2")
    linux2.kernel.sys_call_table[1] = sys_exit
    processes = [program(guest, "a7290000 a72b0001 a72f0064 a744fffc 0a01")[0] for guest in (linux1, linux2)]
    schedule([process.task for process in processes], quantum=7)

    assert [process.task.exit_code >> 8 for process in processes] == [100, 100]
