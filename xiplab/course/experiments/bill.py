"""Notebook 08: the memory bill. Some guests run the same programs: which frames does that take?

Each guest mounts the segment with the programs, starts all of them and lets them run to their last
instruction but one, so that all still have their memory. Then each frame in use is counted once, for
what it holds. The mount option is all the difference between in place and through the page cache.

    memory_bill(8, in_place=True)      Bill(guests=8, in_place=True, frames={"text": 8, ...})
    bills()                            for 1, 2, 8 and 64 guests, both ways
    frames_in_use(guests)              what each frame of the machine holds, by number

A frame of a segment that many page tables lead to is one frame: the frames are told apart by where they
lie in the machine's storage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from xiplab.guest import ZVM, Guest
from xiplab.linux.arch.s390.entry import resume
from xiplab.linux.include.mm import VM_EXEC, VM_GROWSDOWN, VM_MAYSHARE, VM_WRITE, MmStruct, VmAreaStruct
from xiplab.linux.include.sched import Task
from xiplab.linux.mm.memory import mapped_pages
from xiplab.process import Process
from xiplab.tools.programs import SIZE, programs_image
from xiplab.units import PAGE_SHIFT, MiB, pfn_to_paddr

GUESTS = (1, 2, 8, 64)
COMMANDS = ("hello", "counter", "sieve 10000", "greet Ann", "shout Ann",
            "crc /mnt/lib/greeting /mnt/lib/fragmented")
SEGMENT_AT = 0x10000000
RAM = 16 * MiB
QUANTUM = 1_000_000
EXIT_GROUP = 248

KINDS = ("text", "rodata", "files", "cache", "data", "bss", "heap", "stack", "page tables")
"""In the order of a picture: what can be shared comes first."""
PRIVATE = ("data", "bss", "heap", "stack", "page tables")
"""What no two programs can share."""
MEANING = {
    "text": "instructions",
    "rodata": "constants, and the headers of programs",
    "files": "files that a program has mapped to read them",
    "cache": "pages and blocks that a guest's kernel keeps and no program has mapped",
    "data": "variables with a value in the file, after the first store",
    "bss": "variables that begin as zero",
    "heap": "memory asked for by brk()",
    "stack": "arguments and local variables",
    "page tables": "where all of these are, for the processor",
}


@dataclass(frozen=True)
class Bill:
    """Frames in use while `guests` guests run the programs, by kind.

    Attributes:
        shared: how many of them lie in the segment, one copy for all.
    """

    guests: int
    in_place: bool
    frames: Counter[str] = field(default_factory=Counter)
    shared: int = 0

    @property
    def total(self) -> int:
        return self.frames.total()


class AtExit(Exception):
    """A program has called exit(): it has done all it does, and still has its memory."""


def boot(vm: ZVM, name: str, in_place: bool) -> Guest:
    """A guest with the programs on /mnt."""
    guest = vm.logon(name, RAM)
    guest.echo("programs", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip" if in_place else "ro")
    return guest


def machine() -> ZVM:
    """A z/VM system with the programs in a segment that guests share."""
    vm = ZVM()
    vm.segment("PROGRAMS", size=SIZE, type="SR", at=SEGMENT_AT)
    vm.load("PROGRAMS", programs_image())
    return vm


def run_to_exit(guest: Guest, command: str) -> Process:
    """Start a program and stop it when it calls exit().

    Raises:
        OSError: as execve. RuntimeError: it ends by a signal instead.
    """
    process = guest.start(command)
    with exit_stops(guest):
        try:
            while resume(process.task, QUANTUM):
                pass
        except AtExit:
            return process
    raise RuntimeError(f"{command}: {process.task.fatal}")


@contextmanager
def exit_stops(guest: Guest) -> Iterator[None]:
    """While the block runs, exit() of the guest's programs raises AtExit."""
    calls = guest.kernel.sys_call_table
    before = calls[EXIT_GROUP]

    def stop(task: Task, *registers: int) -> int:
        raise AtExit(task)

    calls[EXIT_GROUP] = stop
    try:
        yield
    finally:
        calls[EXIT_GROUP] = before


def kind_of(mm: MmStruct, vma: VmAreaStruct) -> str:
    """What the pages of an area hold."""
    flags = vma.vm_flags
    if flags & VM_GROWSDOWN:
        return "stack"
    if vma.vm_file is None:
        return "heap" if vma.vm_start >= mm.start_brk else "bss"
    if flags & VM_MAYSHARE:
        return "files"
    if flags & VM_EXEC:
        return "text"
    return "data" if flags & VM_WRITE else "rodata"


def frames_in_use(guests: Iterable[Guest]) -> dict[int, str]:
    """What each frame in use holds: those that the guests' kernels have given out, and those of
    segments that their programs' page tables lead to. The number is the frame's place in storage."""
    found: dict[int, str] = {}
    for guest in guests:
        memory, tasks = guest.kernel.memory, guest.kernel.tasks
        for pfn, use in guest.kernel.zone.kinds.items():
            kind = "page tables" if use == "page table" else "cache"
            found[memory.host_offset(pfn_to_paddr(pfn)) >> PAGE_SHIFT] = kind
        for mm in [task.mm for task in tasks]:
            for vma in mm.mmap:
                kind = kind_of(mm, vma)
                for _, entry in mapped_pages(mm, vma.vm_start, vma.vm_end):
                    frame = memory.host_offset(entry & ~0xFFF) >> PAGE_SHIFT
                    found[frame] = kind
    return found


def memory_bill(guests: int, *, in_place: bool, commands: Sequence[str] = COMMANDS) -> Bill:
    """Boot the guests, run the programs, and count.

    Raises:
        OSError: a command cannot be executed.
    """
    vm = machine()
    running = [boot(vm, f"LINUX{number}", in_place) for number in range(1, guests + 1)]
    for guest in running:
        for command in commands:
            run_to_exit(guest, command)
    frames = frames_in_use(running)
    own = sum(guest.frames.total() for guest in running)
    bill = Bill(guests, in_place, Counter(frames.values()), len(frames) - own)
    for guest in running:
        guest.logoff()
    return bill


def bills(guests: Sequence[int] = GUESTS) -> list[Bill]:
    """Bills for so many guests, in place and through the page cache in turn."""
    return [memory_bill(count, in_place=in_place) for count in guests for in_place in (True, False)]
