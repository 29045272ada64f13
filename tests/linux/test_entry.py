"""Programs of a few instructions in a guest: system calls, faults, signals, code that changes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from xiplab import (
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    MAP_SHARED,
    O_RDWR,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    ZVM,
    Guest,
    Mapping,
    MiB,
    Process,
    Recording,
)
from xiplab.errors import SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGXCPU
from xiplab.hw.asm import assemble
from xiplab.hw.dat import PAGE_PROTECT, replace_page_entry
from xiplab.linux.arch.s390.entry import resume
from xiplab.linux.arch.s390.process import kernel_thread, start_thread
from xiplab.linux.kernel.sched import exit_status, schedule
from xiplab.linux.mm.memory import follow_pfn, follow_pte, pte_alloc_map
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import Vaddr
from xiplab.zvm.diag64 import encode_name

ROOT = Path(__file__).resolve().parents[2]
ANYTHING = PROT_READ | PROT_WRITE | PROT_EXEC
WAITING = "again: lghi %r2,1\n cgije %r2,1,again\n svc 1"
"""It loops until somebody changes the 1 into what becomes its exit status."""
STATUS_BYTE = 3


@pytest.fixture
def vm() -> ZVM:
    """A segment that all may write, with a program, and a file of a page, a hole and half a page."""
    vm = ZVM()
    vm.segment("WORK", size=1 * MiB, type="SW", at=0x10000000)
    data = b"d" * PAGE_SIZE + bytes(PAGE_SIZE) + b"e" * 2048
    vm.load("WORK", mke2fs(1 * MiB, tree={"wait": assemble(WAITING), "data": data}))
    return vm


def boot(vm: ZVM, name: str) -> Guest:
    guest = vm.logon(name)
    guest.echo("work", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
    return guest


@pytest.fixture
def linux1(vm: ZVM) -> Guest:
    return boot(vm, "LINUX1")


def program(guest: Guest, source: str, prot: int = PROT_READ | PROT_EXEC) -> tuple[Process, Mapping]:
    """A process with four anonymous pages, the program in the first one; r15 is behind them."""
    process = guest.process("program")
    memory = process.mmap(-1, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    code = assemble(source, memory.vaddr)
    memory[:len(code)] = code
    process.mprotect(memory.vaddr, PAGE_SIZE, prot)
    start_thread(process.task, memory.vaddr, Vaddr(memory.vaddr + 4 * PAGE_SIZE))
    return process, memory


def in_place(guest: Guest) -> tuple[Process, Mapping]:
    """A process that executes /mnt/wait where it lies."""
    process = guest.process("wait")
    memory = process.mmap(process.open("/mnt/wait"), prot=PROT_READ | PROT_EXEC, flags=MAP_PRIVATE)
    start_thread(process.task, memory.vaddr, memory.vaddr)
    return process, memory


# system calls and signals


def test_run_exit_returns_the_status(linux1: Guest) -> None:
    process, _ = program(linux1, "lghi %r2,7\n svc 1")

    assert process.run() == 7


def test_run_without_a_program_is_enoexec(linux1: Guest) -> None:
    with pytest.raises(OSError, match="has no program") as caught:
        linux1.process("empty").run()

    assert caught.value.errno == errno.ENOEXEC


def test_svc_unknown_is_enosys_and_recorded(linux1: Guest) -> None:
    """The number of SVC 0 stands in register 1."""
    process, _ = program(linux1, "lghi %r1,999\n svc 0\n lcgr %r2,%r2\n svc 1")

    assert process.run() == errno.ENOSYS
    assert [line for line in linux1.dmesg if "system call 999 is not known" in line]


@pytest.mark.parametrize(("source", "signo"), [
    ("lg %r2,0", SIGSEGV),
    ("st %r2,0(%r15)", SIGSEGV),
    ("a: st %r2,a-a(%r1)\n", SIGSEGV),
    ("basr %r1,0\nb: st %r2,0(%r1)", SIGSEGV),
    ("aghi %r15,-4096\n br %r15", SIGSEGV),
    ("lghi %r1,-2\n br %r1", SIGSEGV),
    (".short 0", SIGILL),
    ("diag %r1,%r2,0x64", SIGILL),
    ("lpswe 0", SIGILL),
    ("dr %r2,%r4", SIGFPE),
    ("j .", SIGXCPU),
    ("a: svc 20\n j a", SIGXCPU),
], ids=str)
def test_signals(linux1: Guest, source: str, signo: int) -> None:
    """Nothing mapped, not writable, not executable, no such instruction, division by zero, no end."""
    process, _ = program(linux1, source)

    assert process.run(budget=100_000) == -signo
    assert process.task.ended
    assert linux1.dmesg[-1].startswith("program[")


def test_load_behind_the_end_of_a_file_is_sigbus(linux1: Guest) -> None:
    process, _ = program(linux1, "lg %r2,0(%r3)")
    process.task.regs.gprs[3] = process.mmap(process.open("/mnt/wait"), 2 * PAGE_SIZE).vaddr + PAGE_SIZE

    assert process.run() == -SIGBUS


def test_faults_of_a_program_are_the_kernel_s_own(linux1: Guest) -> None:
    """A load maps the device's frame, the zero frame for a hole; a store to it copies; memory without a
    file is made when it is touched."""
    process, _ = program(linux1, """
        lg   %r2,0(%r3)
        lg   %r2,0(%r4)
        stg  %r2,0(%r3)
        aghi %r15,-8
        stg  %r2,0(%r15)
        svc  1
    """)
    fd = process.open("/mnt/data", O_RDWR)
    process.ftruncate(fd, PAGE_SIZE)
    process.ftruncate(fd, 3 * PAGE_SIZE)
    data = process.mmap(fd, prot=PROT_READ | PROT_WRITE, flags=MAP_PRIVATE)
    process.task.regs.gprs[3:5] = [data.vaddr, data.vaddr + PAGE_SIZE]
    with Recording() as recording:
        resume(process.task, 100)

    how = [event.fields["how"] for event in recording.events if event.name == "fault"]
    assert how == ["device frame", "sparse page", "copy on write", "anonymous"]


def test_program_sees_what_the_segment_holds(vm: ZVM, linux1: Guest) -> None:
    """The page that a program executes is the segment's own frame, in two guests."""
    linux2 = boot(vm, "LINUX2")
    frames = []
    for guest in (linux1, linux2):
        process, memory = in_place(guest)
        assert resume(process.task, 100)
        frames.append(guest.kernel.memory.host_offset(follow_pfn(process.task.mm, memory.vaddr) << 12))

    assert frames[0] == frames[1]
    assert vm.segments["WORK"].mem.ctypes.data <= vm.storage.array.ctypes.data + frames[0]


def test_store_to_a_segment_that_others_may_not_write(vm: ZVM) -> None:
    """A page-table entry that allows too much does not help: the storage itself refuses."""
    vm.segment("SHLIB", size=1 * MiB, type="SR", at=0x20000000)
    vm.load("SHLIB", mke2fs(1 * MiB, tree={"text": b"shared"}))
    guest = vm.logon("LINUX1")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    process, _ = program(guest, "mvi 0(%r3),88\n svc 1")
    text = process.mmap(process.open("/mnt/text"), prot=PROT_READ | PROT_WRITE, flags=MAP_PRIVATE)
    assert text[:6] == b"shared"
    mm = process.task.mm
    entry = follow_pte(mm, text.vaddr)
    assert entry is not None
    replace_page_entry(guest.kernel.memory, pte_alloc_map(mm, text.vaddr), entry & ~PAGE_PROTECT)
    process.task.regs.gprs[3] = text.vaddr

    assert process.run() == -SIGSEGV
    assert guest.dmesg[-1].endswith(f"SIGSEGV at {text.vaddr:#x}: SHLIB is read-only storage")
    assert guest.pread(guest.open("/mnt/text"), 6, 0) == b"shared"


def test_ctrl_c_stops_a_program(linux1: Guest) -> None:
    """A signal to the host's Python is served while a program loops; its registers are those of now, so
    that it could go on."""
    process, memory = program(linux1, "a: aghi %r2,1\n stg %r2,0(%r3)\n j a")
    process.task.regs.gprs[3] = memory.vaddr + PAGE_SIZE
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            process.run(budget=1 << 60)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)

    counted = int.from_bytes(memory[PAGE_SIZE:PAGE_SIZE + 8], "big")
    assert 0 < counted <= process.task.regs.gprs[2] <= counted + 1
    assert process.run(budget=10) == -SIGXCPU


# code that changes


def by_the_segment(vm: ZVM, other: Guest) -> None:
    mem = vm.segments["WORK"].mem
    code = mem.tobytes().index(assemble(WAITING))
    mem[code + STATUS_BYTE] = 42


def by_another_guest_s_mapping(vm: ZVM, other: Guest) -> None:
    memory = other.mmap(other.open("/mnt/wait", O_RDWR), prot=PROT_READ | PROT_WRITE, flags=MAP_SHARED)
    memory[STATUS_BYTE] = 42


def by_another_guest_s_write(vm: ZVM, other: Guest) -> None:
    other.pwrite(other.open("/mnt/wait", O_RDWR), b"\x2a", STATUS_BYTE)


def by_another_guest_s_program(vm: ZVM, other: Guest) -> None:
    process, _ = program(other, f"mvi {STATUS_BYTE}(%r3),42\n svc 1")
    memory = process.mmap(process.open("/mnt/wait", O_RDWR), prot=PROT_READ | PROT_WRITE, flags=MAP_SHARED)
    process.task.regs.gprs[3] = memory.vaddr
    process.run()


@pytest.mark.parametrize("change", [by_the_segment, by_another_guest_s_mapping, by_another_guest_s_write,
                                    by_another_guest_s_program])
def test_changed_code_is_what_runs_next(vm: ZVM, linux1: Guest, change: Callable[[ZVM, Guest], None]) -> None:
    """Programs that run in two guests go on with the new instruction, whoever stored it."""
    linux2 = boot(vm, "LINUX2")
    tasks = [in_place(guest)[0].task for guest in (linux1, linux1, linux2)]
    assert all(resume(task, 1000) for task in tasks)
    change(vm, linux2)
    schedule(tasks, budget=1000)

    assert [exit_status(task) for task in tasks] == [42, 42, 42]


def test_code_changed_by_its_own_system_call(linux1: Guest) -> None:
    """write(2) into the file that is executed: the next instruction is the new one."""
    process, _ = program(linux1, """
        lghi  %r8,2
again:  basr  %r14,%r7          # run the file's code: it returns what it loads
        lgr   %r9,%r2
        lgr   %r2,%r6
        larl  %r3,text
        lghi  %r4,1
        svc   4                 # write one byte
        brctg %r8,again
        lgr   %r2,%r9
        svc   1
        .balign 2
text:   .byte 42
    """)
    fd = process.open("/mnt/wait", O_RDWR)
    process.pwrite(fd, assemble("lghi %r2,1\n br %r14"), 0)
    process.lseek(fd, STATUS_BYTE)
    process.task.regs.gprs[6:8] = [fd, process.mmap(fd, prot=PROT_READ | PROT_EXEC).vaddr]

    assert process.run() == 42


# supervisor state


SEGMENT_LOAD = """
        lrag  %r3,name          # the absolute address of the name
        lghi  %r4,0             # load it shared
        diag  %r3,%r4,0x64
        jne   failed
        lrag  %r2,name
        srlg  %r2,%r3,20
        svc   1                 # exit(first byte in MiB)
failed: lghi  %r2,255
        svc   1
"""


def test_diagnose_by_a_program_in_supervisor_state_reaches_cp(vm: ZVM, linux1: Guest) -> None:
    """The segment is loaded, and the program has its first address."""
    vm.segment("SHLIB", size=1 * MiB, type="SR", at=0x20000000)
    process, memory = program(linux1, SEGMENT_LOAD.replace("name", "0(%r5)"))
    memory[PAGE_SIZE:PAGE_SIZE + 8] = encode_name("SHLIB")
    kernel_thread(process.task, memory.vaddr, Vaddr(memory.vaddr + 4 * PAGE_SIZE))
    process.task.regs.gprs[5] = memory.vaddr + PAGE_SIZE

    assert process.run() == (0x20000000 >> 20) & 0xFF
    assert "SHLIB" in linux1.machine.attached


def test_diagnose_with_a_bad_operand_ends_the_program(linux1: Guest) -> None:
    """An address outside storage, and a function that CP does not know."""
    outside, unknown = "lghi %r3,-4096\n lghi %r4,0\n diag %r3,%r4,0x64", "diag %r3,%r4,0x999"
    for source, signo in ((outside, SIGSEGV), (unknown, SIGILL)):
        process, memory = program(linux1, source)
        kernel_thread(process.task, memory.vaddr, memory.vaddr)

        assert process.run() == -signo


# turns


def test_schedule_takes_turns_in_order(vm: ZVM, linux1: Guest) -> None:
    """Programs of two guests share a page of the segment: each writes when it is its turn."""
    linux2 = boot(vm, "LINUX2")
    tasks = []
    for letter, guest in zip("abc", (linux1, linux2, linux1), strict=True):
        process, _ = program(guest, f"""
            lghi %r5,4
    again:  lgf  %r6,0(%r3)             # how many letters there are
            lghi %r7,'{letter}'
            stc  %r7,4(%r6,%r3)
            aghi %r6,1
            st   %r6,0(%r3)
            brctg %r5,again
            svc  1""")
        fd = process.open("/mnt/data", O_RDWR)
        process.pwrite(fd, bytes(64), 0)
        process.task.regs.gprs[3] = process.mmap(fd, prot=PROT_READ | PROT_WRITE, flags=MAP_SHARED).vaddr
        tasks.append(process.task)
    schedule(tasks, quantum=13)
    text = linux1.pread(linux1.open("/mnt/data"), 16, 0)

    assert (text[:4], sorted(text[4:])) == (b"\0\0\0\x0c", sorted(b"aaaabbbbcccc"))
    assert text[4:] == b"aabbccaabbcc"


# whatever the code


def run_random_pages(first: int, count: int) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    script = Path(__file__).with_name("random_pages.py")
    return subprocess.run([sys.executable, script, str(first), str(count)], env=environment, text=True,
                          capture_output=True, timeout=280, check=False)


def test_random_pages_end_in_a_signal() -> None:
    """300 pages of random bytes are executed; the host does not notice, and each ends."""
    done = run_random_pages(0, 300)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "300 ended"


@pytest.mark.slow
def test_10000_random_pages_end_in_a_signal() -> None:
    done = run_random_pages(1000, 10_000)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "10000 ended"
