"""The processor beside plain Unicorn, with a budget on in both; and what a guest's kernel adds.

    python -m benchmarks.cpu [--rounds 5] [--guests 100]

Each loop is run by both sides in turn. Plain Unicorn has flat memory, no address translation and nobody
to report to. Then the time of a page fault, of a system call, and of a guest, and a guest's memory.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

from unicorn import UC_ARCH_S390X, UC_MODE_BIG_ENDIAN, UC_PROT_ALL, UC_PROT_READ, UC_PROT_WRITE
from unicorn import s390x_const as s390x
from unicorn.unicorn_py3.unicorn import Uc

from benchmarks.figures import Figure, number
from benchmarks.workload import Sample
from xiplab import (
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    ZVM,
    Guest,
    Process,
)
from xiplab.hw.asm import assemble
from xiplab.hw.registers import PSW_MASK_BA, PSW_MASK_EA
from xiplab.linux.arch.s390.entry import resume
from xiplab.linux.arch.s390.process import start_thread
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import MiB, Vaddr

INSTRUCTIONS = 2_000_000
CODE, DATA = 0x10000, 0x20000
FAULTS, CALLS = 1000, 2000

LOOPS = {
    "registers": "a: lgr %r2,%r3\n srlg %r4,%r2,7\n xgr %r3,%r4\n aghi %r5,1\n j a",
    "storage": "a: lg %r2,0(%r1)\n aghi %r2,1\n stg %r2,0(%r1)\n l %r3,8(%r1)\n st %r3,12(%r1)\n j a",
    "calls": "a: larl %r6,b\n basr %r14,%r6\n aghi %r5,1\n j a\nb: ltgr %r5,%r5\n bler %r14\n br %r14",
    "bytes": "a: lghi %r4,0\nb: ic %r2,0(%r4,%r1)\n xr %r3,%r2\n aghi %r4,1\n cghi %r4,64\n jl b\n j a",
}
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS


def program(guest: Guest, source: str, npages: int = 1) -> Process:
    """A process about to run the code; r1 is the address of `npages` of memory."""
    process = guest.process("benchmark")
    text = process.mmap(-1, PAGE_SIZE, PROT_READ | PROT_WRITE, PRIVATE)
    code = assemble(source, text.vaddr)
    text[:len(code)] = code
    process.mprotect(text.vaddr, PAGE_SIZE, PROT_READ | PROT_EXEC)
    start_thread(process.task, text.vaddr, Vaddr(0))
    process.task.regs.gprs[1] = process.mmap(-1, npages * PAGE_SIZE, PROT_READ | PROT_WRITE, PRIVATE).vaddr
    return process


def ours(source: str) -> Callable[[], object]:
    process = program(ZVM().logon("LINUX1"), source)
    return lambda: resume(process.task, INSTRUCTIONS)


def plain(source: str) -> Callable[[], object]:
    uc = Uc(UC_ARCH_S390X, UC_MODE_BIG_ENDIAN)
    uc.mem_map(0, 2 * PAGE_SIZE, UC_PROT_ALL)
    uc.mem_map(CODE, PAGE_SIZE, UC_PROT_ALL)
    uc.mem_map(DATA, PAGE_SIZE, UC_PROT_READ | UC_PROT_WRITE)
    uc.mem_write(CODE, bytes(assemble(source, CODE)))
    uc.reg_write(s390x.UC_S390X_REG_PSWM, PSW_MASK_EA | PSW_MASK_BA)
    uc.reg_write(s390x.UC_S390X_REG_R1, DATA)
    return lambda: uc.emu_start(CODE, 0, 0, INSTRUCTIONS)


def seconds(action: Callable[[], object]) -> float:
    """Processor time of `action`, which a busy host stretches less than the clock's."""
    start = time.process_time()
    action()
    return time.process_time() - start


def compare(name: str, source: str, rounds: int) -> Figure:
    """Instructions per second of both sides, taken in turn."""
    sides = (ours(source), plain(source))
    for side in sides:
        side()
    times = [[INSTRUCTIONS / seconds(side) / 1e6 for side in sides] for _ in range(rounds)]
    mine, theirs = (Sample(list(column)) for column in zip(*times, strict=True))
    return Figure(f"instructions of a guest: {name}", "million/s", mine, "0.9 of the other", "plain Unicorn",
                  theirs)


def bare_guest() -> Guest:
    return ZVM().logon("LINUX1")


def xip_guest() -> Guest:
    """A guest that has a file of FAULTS pages, on a segment."""
    vm = ZVM()
    vm.segment("SHLIB", size=8 * MiB, type="SR", at=0x10000000)
    vm.load("SHLIB", mke2fs(8 * MiB, tree={"file": bytes([1]) * (FAULTS + 1) * PAGE_SIZE}))
    guest = vm.logon("LINUX1")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    return guest


def per_event(source: str, events: int, rounds: int, boot: Callable[[], Guest] = bare_guest) -> Sample:
    """Microseconds of each of `events` interruptions in a program that ends by itself."""
    measured = Sample()
    for _ in range(rounds):
        process = program(boot(), source, events + 1)
        process.task.regs.gprs[3] = events
        if boot is xip_guest:
            memory = process.mmap(process.open("/mnt/file"), prot=PROT_READ | PROT_WRITE, flags=MAP_PRIVATE)
            process.task.regs.gprs[1] = memory.vaddr
        resume(process.task, 1)
        measured.values.append(seconds(process.run) / events * 1e6)
    return measured


def events(rounds: int) -> list[Figure]:
    """Page faults and system calls of a program in a guest."""
    step = " 0(%r1)\n aghi %r1,4096\n brctg %r3,a\n lghi %r2,0\n svc 1"
    load, store = "a: lg %r4," + step, "a: stg %r4," + step
    call = "a: svc 20\n brctg %r3,a\n lghi %r2,0\n svc 1"
    return [
        Figure("page fault: memory without a file", "µs", per_event(store, FAULTS, rounds), "100 µs"),
        Figure("page fault: a file in place", "µs", per_event(load, FAULTS, rounds, xip_guest), "100 µs"),
        Figure("page fault: in place, then a private copy", "µs",
               per_event(store, FAULTS, rounds, xip_guest), "200 µs, for two"),
        Figure("system call (getpid)", "µs", per_event(call, CALLS, rounds)),
    ]


def guests(count: int) -> list[Figure]:
    """Boot guests that each run a program. Comes first: it looks at how far memory has grown."""
    vm, before, times = ZVM(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, Sample()
    for which in range(count):
        start = time.perf_counter()
        process = program(vm.logon(f"G{which}"), "lghi %r2,0\n svc 1")
        process.run()
        times.values.append(1e3 * (time.perf_counter() - start))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return [Figure("a guest booted, with a program run", "ms", times, "20 ms"),
            Figure(f"memory of one of {count} guests", "KiB", Sample([max(used, 0) / count]))]


def figures(rounds: int, count: int) -> list[Figure]:
    booted = guests(count)
    loops = [compare(name, source, rounds) for name, source in LOOPS.items()]
    return [*booted, *loops, *events(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--guests", type=int, default=100)
    arguments = parser.parse_args()
    for figure in figures(arguments.rounds, arguments.guests):
        other = f"{figure.beside} {number(figure.other.median)}" if figure.other else ""
        print(f"{figure.what:42} {number(figure.ours.median):>7} {figure.unit:10} {figure.bar:18} {other}")


if __name__ == "__main__":
    main()
