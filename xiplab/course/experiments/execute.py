"""Notebook 08: programs run from a segment in two guests, an instruction at a time; whose is each frame?

    segment PROGRAMS, on /mnt of LINUX1 and LINUX2, mounted xip
       text, rodata  ──────────────────► mapped into every program: one frame for all
       data          ──first store─────► a copy of the page in a frame of the guest
       (not in the file) bss, stack ───► frames of the guest

    experiment = Execute()                        counter has been started in both guests
    experiment.start("LINUX1", "greet Ann Bob")   another program, in place of the one before
    experiment.execute("LINUX1", 3)               its next three instructions
    experiment.next_line("LINUX1")                until it has written one more line
    experiment.run("LINUX1", 1_000_000)           to its end, or to the end of a budget
    experiment.patch(0x13122, 0x40)               a byte of the segment, counted from its first
    experiment.assemble(0x3c158, "lghi %r2,'!'")  instructions, into the segment
    experiment.pages("LINUX1")                    its page table; whose each frame is

A program that calls exit() is stopped there: it has done all it does, and its memory can still be seen.
"""

from __future__ import annotations

import errno
from collections import Counter, deque
from dataclasses import dataclass

from xiplab.course.experiments.bill import AtExit, boot, exit_stops, frames_in_use, kind_of, machine
from xiplab.course.experiments.stage import Stage, action, looking
from xiplab.guest import Guest
from xiplab.hw.asm import Instruction, assemble, disassemble
from xiplab.hw.dat import PAGE_PROTECT
from xiplab.hw.interruption import instruction_length
from xiplab.linux.arch.s390.entry import resume
from xiplab.linux.kernel.sched import end_by_signal
from xiplab.linux.mm.memory import follow_pfn, mapped_pages
from xiplab.process import Process
from xiplab.program import PATH, faults_of
from xiplab.tools.programs import programs_image
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Pfn, Vaddr, offset_in_page

GUESTS = ("LINUX1", "LINUX2")
COMMANDS = ("counter", "greet Ann Bob", "shout Eve", "hello", "loop", "jump", "wild")
SIGN = "lghi %r2,'.'\n br %r14"
"""A function of libgreet.so: it gives the sign that ends a greeting."""
E_ENTRY = slice(24, 32)
"""Where an ELF header says at which address the program begins."""
AHEAD, TRAIL = 7, 3
LONGEST = 6
BUDGET = 1_000_000
SLICE = 20
"""Instructions between two looks at what a program has written."""
TRIES = 4
"""One instruction can fault for its own page and for its operands; after each fault it is tried again."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page that a program has in its page table.

    Attributes:
        kind: text, rodata, data, bss, heap, stack or files. file: whose page it is; "" for none.
        pfn: the frame. shared: it lies in the segment. writable: a store needs no fault.
    """

    vaddr: Vaddr
    kind: str
    file: str
    pfn: Pfn
    shared: bool
    writable: bool


class Execute(Stage):
    """Two guests, a segment with programs, and a program started in each guest.

    Attributes:
        vm: the z/VM system. guests: by name. programs: the process in each guest.
        commands: what each was started with. ended: how it has ended; "" while it runs.
        trail: its last instructions. before: its registers before the last action.
        faults: its page faults, by how they were resolved. shown: the guest that a view shows.
    """

    def build(self) -> None:
        for guest in getattr(self, "guests", dict[str, Guest]()).values():
            guest.logoff()
        self.vm = machine()
        self.guests = {name: self.boot(name) for name in GUESTS}
        self.programs: dict[str, Process] = {}
        self.commands: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.trail: dict[str, deque[Instruction]] = {}
        self.before: dict[str, list[int]] = {}
        self.faults: dict[str, Counter[str]] = {}
        self.shown = GUESTS[0]
        for name in GUESTS:
            self._start(name, COMMANDS[0])
        self.said = "Both guests have started counter. No instruction has run."

    def boot(self, name: str) -> Guest:
        """A guest with the programs on /mnt, in place."""
        return boot(self.vm, name, True)

    # ---- what a learner does ----

    @action
    def start(self, guest: str, command: str) -> None:
        """Start a program in place of the one before. Raises OSError: as execve."""
        self._check(guest)
        if not self.programs[guest].task.ended:
            self.programs[guest].exit()
        self._start(guest, command)
        self.said = f"{guest} has started {command}. No instruction has run."

    def _start(self, guest: str, command: str) -> None:
        self.programs[guest] = self.guests[guest].start(command)
        self.commands[guest], self.ended[guest] = command, ""
        self.trail[guest] = deque(maxlen=TRAIL)
        self.before[guest] = self.registers(guest)
        self.faults[guest] = Counter()

    @action
    def execute(self, guest: str, count: int = 1) -> None:
        """Let the program execute its next `count` instructions."""
        self._begin(guest)
        before = self.faults[guest].copy()
        for _ in range(count):
            if not self.ended[guest]:
                self._execute_one(guest)
        last = self.trail[guest][-1]
        new = ", ".join(sorted(self.faults[guest] - before))
        self._say(guest, f"{guest} has executed {last.text}." + (f" Page faults: {new}." if new else ""))

    @action
    def next_line(self, guest: str) -> None:
        """Let the program run until it has written one more line, or has ended."""
        self._begin(guest)
        lines, left = self.output(guest).count("\n"), BUDGET
        while not self.ended[guest] and self.output(guest).count("\n") == lines:
            self._resume(guest, SLICE)
            left -= SLICE
            if left <= 0:
                raise OSError(errno.ETIME, f"{self.commands[guest]}: no line within {BUDGET:,} instructions")
        self._say(guest, f"{guest} has written “{self.output(guest).splitlines()[-1]}”."
                  if self.output(guest).count("\n") > lines else f"{guest} has written no more.")

    @action
    def run(self, guest: str, budget: int = BUDGET) -> None:
        """Let the program run to its end; after `budget` instructions it ends with SIGXCPU."""
        self._begin(guest)
        with faults_of(self.programs[guest].task) as faults, exit_stops(self.guests[guest]):
            try:
                self.programs[guest].run(budget)
            except AtExit:
                self.ended[guest] = "exit"
        self.faults[guest] += faults
        self._note_signal(guest)
        self._say(guest, f"{guest} has written “{self.output(guest).strip()}”.")

    @action
    def patch(self, address: int, value: int) -> None:
        """Store a byte into the segment. Raises OSError: EFAULT outside it, EINVAL for no byte."""
        if not 0 <= value <= 0xFF:
            raise OSError(errno.EINVAL, f"patch: {value:#x} is not a byte")
        self._write(address, bytes([value]))
        self.said = f"Byte {address:#x} of the segment is {value:#04x} now, for both guests."

    @action
    def assemble(self, address: int, source: str) -> None:
        """Assemble instructions into the segment; a semicolon is as good as a new line.

        Raises:
            OSError: EFAULT outside the segment or beyond its frame; EINVAL with the line that is wrong.
        """
        code = assemble(source.replace(";", "\n"), address)
        self._write(address, code)
        self.said = f"{len(code)} bytes of instructions lie at {address:#x} of the segment now."

    def _write(self, address: int, data: bytes) -> None:
        segment = self.vm.segments["PROGRAMS"]
        if not 0 <= address < len(segment.mem) or offset_in_page(address) + len(data) > PAGE_SIZE:
            raise OSError(errno.EFAULT, f"{address:#x}: {len(data)} bytes are not in one frame of PROGRAMS")
        segment.mem[address:address + len(data)] = list(data)
        for at in range(address, address + len(data)):
            self.mark(f"byte:{at:#x}")

    @looking
    def look(self, guest: str) -> None:
        """Show the processor of this guest."""
        self._check(guest)
        self.shown = guest

    # ---- what there is to see ----

    def registers(self, guest: str) -> list[int]:
        """The 16 general registers."""
        return [self.programs[guest].task.regs.gprs[number] for number in range(16)]

    def next_address(self, guest: str) -> int:
        """Where the program's next instruction lies, by its own addresses."""
        return self.programs[guest].task.regs.psw_addr

    def output(self, guest: str) -> str:
        """What the program has written."""
        tty = self.programs[guest].task.tty
        return "" if tty is None else tty.printed.decode(errors="replace")

    def pages(self, guest: str) -> list[Page]:
        """What the program's page table has, in the order of addresses."""
        mm = self.programs[guest].task.mm
        found = []
        for vma in mm.mmap:
            file = "" if vma.vm_file is None else vma.vm_file.f_dentry.d_name.decode()
            for vaddr, entry in mapped_pages(mm, vma.vm_start, vma.vm_end):
                pfn = Pfn(entry >> PAGE_SHIFT)
                found.append(Page(vaddr, kind_of(mm, vma), file, pfn, self.in_segment(pfn),
                                  not entry & PAGE_PROTECT))
        return found

    def in_segment(self, pfn: int) -> bool:
        """Whether a frame is one of the segment's."""
        segment = self.vm.segments["PROGRAMS"]
        return 0 <= (pfn << PAGE_SHIFT) - segment.start < len(segment.mem)

    def frame_at(self, guest: str, vaddr: int) -> Pfn | None:
        """The frame that the program has at an address; None if it is not in its page table."""
        task = self.programs[guest].task
        return None if task.ended else follow_pfn(task.mm, vaddr)

    def place_of(self, guest: str, vaddr: int) -> int | None:
        """Which byte of the segment the program has at an address; None if it has none of it there."""
        pfn = self.frame_at(guest, vaddr)
        return None if pfn is None or not self.in_segment(pfn) else self._place(pfn, vaddr)

    def _place(self, pfn: int, vaddr: int) -> int:
        return (pfn << PAGE_SHIFT) + offset_in_page(vaddr) - self.vm.segments["PROGRAMS"].start

    def ahead(self, guest: str) -> list[Instruction]:
        """The next instructions as they lie in storage, within their frame; none before the first fault."""
        at = self.next_address(guest)
        pfn = self.frame_at(guest, at)
        if pfn is None or self.ended[guest]:
            return []
        frame = self.guests[guest].kernel.memory.frame(pfn)
        start = offset_in_page(at)
        return disassemble(frame[start:start + AHEAD * LONGEST], at)[:AHEAD]

    def sign(self) -> int:
        """Where in the segment the library's function lies that gives the sign."""
        return programs_image().index(assemble(SIGN))

    def entry(self, program: str) -> int:
        """Where in the segment the first instruction of a program lies."""
        guest = self.guests[GUESTS[0]]
        fd = guest.open(f"{PATH}/{program}")
        mapping = guest.mmap(fd)
        entry = int.from_bytes(mapping[E_ENTRY], "big")
        pfn = mapping.pfn(0)
        assert pfn is not None
        mapping.close()
        guest.close(fd)
        return self._place(pfn, entry)

    def frames_by_kind(self) -> dict[str, Counter[str]]:
        """Frames in use: those of the segment that programs have mapped, and each guest's own."""
        memory = self.guests[GUESTS[0]].kernel.memory
        segment = self.vm.segments["PROGRAMS"]
        first = memory.host_offset(segment.start) >> PAGE_SHIFT
        frames = range(first, first + len(segment.mem) // PAGE_SIZE)
        found = {"segment": Counter(kind for frame, kind in frames_in_use(self.guests.values()).items()
                                    if frame in frames)}
        for name, guest in self.guests.items():
            found[name] = Counter(kind for frame, kind in frames_in_use([guest]).items()
                                  if frame not in frames and kind != "cache")
        return found

    def sentence(self) -> str:
        return self.said

    def __str__(self) -> str:
        lines = []
        for name in GUESTS:
            lines.append(f"{name}: {self.commands[name]}")
            for page in self.pages(name):
                what = f"{page.kind} of {page.file}" if page.file else page.kind
                whose = "the segment's" if page.shared else f"{name}'s own"
                lines.append(f"  {page.vaddr:#14x}  {what:22} frame {page.pfn:#9x}  {whose}")
        return "\n".join([*lines, self.said])

    # ---- how it works ----

    def _check(self, guest: str) -> None:
        if guest not in GUESTS:
            raise OSError(errno.EINVAL, f"{guest!r} is not one of {', '.join(GUESTS)}")

    def _begin(self, guest: str) -> None:
        self._check(guest)
        if self.ended[guest]:
            raise OSError(errno.ESRCH, f"{guest}: {self.commands[guest]} has ended; start a program")
        self.before[guest] = self.registers(guest)

    def _execute_one(self, guest: str) -> None:
        at = self.next_address(guest)
        for _ in range(TRIES):
            self._resume(guest, 1)
            if self.ended[guest] or self.next_address(guest) != at:
                break
        self.trail[guest].append(self._instruction(guest, at))

    def _instruction(self, guest: str, at: int) -> Instruction:
        """The instruction at an address of the program; what cannot be fetched has no bytes."""
        pfn = self.frame_at(guest, at)
        if pfn is None:
            return Instruction(at, b"", "nothing: the instruction could not be fetched")
        frame, start = self.guests[guest].kernel.memory.frame(pfn), offset_in_page(at)
        return disassemble(frame[start:start + instruction_length(int(frame[start]))], at)[0]

    def _resume(self, guest: str, quantum: int) -> None:
        """Let the program run for `quantum` instructions; note how it ends, if it does."""
        task = self.programs[guest].task
        with faults_of(task) as faults, exit_stops(self.guests[guest]):
            try:
                if not resume(task, quantum):
                    end_by_signal(task)
            except AtExit:
                self.ended[guest] = "exit"
        self.faults[guest] += faults
        self._note_signal(guest)

    def _note_signal(self, guest: str) -> None:
        task = self.programs[guest].task
        if task.fatal is not None:
            self.ended[guest] = str(task.fatal)

    def _say(self, guest: str, words: str) -> None:
        """What was done, and how the program has ended, if it has."""
        end = self.ended[guest]
        if end == "exit":
            words += f" It calls exit() with {self.registers(guest)[2]} and is stopped there."
        elif end:
            words = f"{guest}, {self.commands[guest]}: {end}."
        self.said = words
