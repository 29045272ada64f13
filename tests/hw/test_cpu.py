"""The processor by itself: programs in a machine's storage, with tables that the test writes."""

from __future__ import annotations

import errno
import gc
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from xiplab.errors import (
    ADDRESSING,
    DATA,
    EXECUTE,
    FIXED_POINT_DIVIDE,
    OPERATION,
    PAGE_TRANSLATION,
    PRIVILEGED_OPERATION,
    PROTECTION,
    REGION_THIRD_TRANSLATION,
    SEGMENT_TRANSLATION,
    SPECIFICATION,
    ProgramInterruption,
)
from xiplab.hw import dat
from xiplab.hw.asm import assemble
from xiplab.hw.cpu import Cpu
from xiplab.hw.interruption import Diagnose, Interruption, SupervisorCall
from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.hw.registers import PSW_MASK_PSTATE, PSW_PROGRAM, Registers
from xiplab.units import PAGE_SIZE, MiB, Paddr

REGION, SEGMENTS, PAGES, FRAMES = 0x10000, 0x20000, 0x30000, 0x40000
CODE, DATA_PAGE, CONSTANTS, SHARED, HOLE = 0x0, 0x1000, 0x2000, 0x3000, 0x4000
"""Virtual pages: code at 0, data, a read-only page, a page of the shared segment, nothing."""
SEGMENT = Paddr(0x1000_0000)
STOP = SupervisorCall(1)
STATM = Path("/proc/self/statm")


@dataclass
class Machine:
    """A machine with 1 MiB, a read-only segment, and a processor that runs one program.

    Attributes:
        met: the interruptions that came. resolve: called with each but the last; None stops there.
    """

    storage: Storage = field(default_factory=lambda: Storage(16 * MiB))
    segment: int = -1
    met: list[Interruption] = field(default_factory=list)
    resolve: Callable[[Interruption], bool] | None = None

    def __post_init__(self) -> None:
        self.memory = AbsoluteStorage(self.storage)
        self.memory.attach(Paddr(0), self.storage.allocate(256), 256, writable=True, name="RAM")
        first = self.storage.allocate(4) if self.segment < 0 else self.segment
        self.segment = first
        self.memory.attach(SEGMENT, first, 4, writable=False, name="SHLIB")
        for table, entries, invalid in ((REGION, 512, 0x24), (SEGMENTS, 2048, 0x20), (PAGES, 256, 0x400)):
            self.memory.view(table, 8 * entries).view(">u8")[:] = invalid
        dat.write_entry(self.memory, REGION, SEGMENTS | dat.TABLE_TYPE_REGION3 | dat.TABLE_LENGTH)
        dat.write_entry(self.memory, SEGMENTS, PAGES)
        self.map(CODE, FRAMES | dat.PAGE_PROTECT)
        self.map(DATA_PAGE, FRAMES + 0x1000 | dat.PAGE_NOEXEC)
        self.map(CONSTANTS, FRAMES + 0x2000 | dat.PAGE_NOEXEC | dat.PAGE_PROTECT)
        self.map(SHARED, SEGMENT)
        self.cpu = Cpu(self.memory)
        self.registers = Registers(asce=REGION | dat.TABLE_TYPE_REGION3)

    def map(self, vaddr: int, entry: int) -> None:
        dat.replace_page_entry(self.memory, PAGES + 8 * dat.page_index(vaddr), entry)

    def put(self, source: str, at: int = FRAMES) -> None:
        code = assemble(source, at % FRAMES)
        self.memory.view(at, len(code))[:] = memoryview(code)

    def supervisor(self, interruption: Interruption) -> bool:
        self.met.append(interruption)
        return interruption != STOP and self.resolve is not None and self.resolve(interruption)

    def run(self, source: str = "", budget: int = 1000, *, start: int = CODE) -> Interruption | None:
        """Run the code; the interruption that ended it, or None if the budget did."""
        if source:
            self.put(source)
        self.met.clear()
        self.registers.psw_addr = start
        return None if self.cpu.run(self.registers, budget, self.supervisor) else self.met[-1]


@pytest.fixture
def machine() -> Machine:
    return Machine()


def program_interruption(interruption: Interruption | None) -> tuple[int, int, str]:
    assert isinstance(interruption, ProgramInterruption), interruption
    return interruption.code, interruption.address, interruption.access


# registers and budget


def test_run_keeps_registers_between_runs(machine: Machine) -> None:
    """Registers, condition code and floating-point registers are what the program left."""
    assert machine.run("lghi %r2,-1\n ltgr %r2,%r2\n ldgr %f2,%r2\n svc 1") == STOP
    assert (machine.registers.gprs[2], machine.registers.condition_code) == (2**64 - 1, 1)
    assert (machine.registers.fprs[2], machine.registers.psw_addr) == (2**64 - 1, 14)


def test_run_two_programs_in_turn_do_not_mix(machine: Machine) -> None:
    """Each set of registers, access registers too, belongs to its program."""
    machine.put("a: aghi %r2,1\n sar %a3,%r2\n j a")
    one, two = machine.registers, machine.registers.copy()
    two.gprs[2] = 1000
    for _ in range(5):
        machine.cpu.run(one, 3, machine.supervisor)
        machine.cpu.run(two, 6, machine.supervisor)

    assert (one.gprs[2], one.acrs[3], two.gprs[2], two.acrs[3]) == (5, 5, 1010, 1010)


def test_run_condition_code_survives_the_end_of_a_quantum(machine: Machine) -> None:
    """The branch after a comparison is taken although another program ran in between."""
    machine.put("clgr %r2,%r3\n jh 1f\n svc 2\n".replace("1f", "yes") + "yes: svc 1")
    high, low = machine.registers, machine.registers.copy()
    high.gprs[2] = 1
    for registers in (high, low):
        machine.cpu.run(registers, 1, machine.supervisor)
    assert (high.condition_code, low.condition_code) == (2, 0)
    machine.cpu.run(high, 10, machine.supervisor)
    machine.cpu.run(low, 10, machine.supervisor)

    assert machine.met == [STOP, SupervisorCall(2)]


@pytest.mark.parametrize("budget", [1, 2, 3, 10, 999, 1000])
def test_run_stops_after_the_budget_exactly(machine: Machine, budget: int) -> None:
    assert machine.run("a: aghi %r2,1\n j a", budget) is None
    assert machine.registers.gprs[2] == (budget + 1) // 2
    assert machine.registers.psw_addr == (4 if budget % 2 else 0)


def test_run_counts_an_instruction_that_is_tried_again(machine: Machine) -> None:
    """Ten instructions with one page fault among them: nine are done."""
    def resolve(_: Interruption) -> bool:
        machine.map(HOLE, FRAMES + 0x4000)
        return True
    machine.resolve = resolve

    assert machine.run(f"lghi %r1,{HOLE}\n a: lg %r3,0(%r1)\n aghi %r2,1\n j a", 10) is None
    assert machine.registers.gprs[2] == 3


def test_run_unresolved_fault_uses_the_budget_up(machine: Machine) -> None:
    """A supervisor that changes nothing does not hang the host, at a fetch neither."""
    machine.resolve = lambda _: True

    assert machine.run("br %r1", 50, start=HOLE) is None
    assert len(machine.met) == 50


def test_run_without_budget_does_nothing(machine: Machine) -> None:
    assert machine.run("svc 1", 0) is None
    assert machine.registers.psw_addr == CODE


def test_run_from_its_own_supervisor_is_ebusy(machine: Machine) -> None:
    machine.resolve = lambda _: machine.cpu.run(Registers(), 1, machine.supervisor)
    with pytest.raises(OSError, match="runs a program already") as caught:
        machine.run("svc 2")

    assert caught.value.errno == errno.EBUSY
    assert machine.run("svc 1") == STOP


def test_run_supervisor_raises_and_the_processor_goes_on(machine: Machine) -> None:
    def resolve(_: Interruption) -> bool:
        raise ValueError("from the supervisor")
    machine.resolve = resolve
    with pytest.raises(ValueError, match="from the supervisor"):
        machine.run("svc 2\n svc 1")

    assert machine.registers.psw_addr == 2
    assert machine.run(start=2) == STOP


def test_psw_bits_that_are_not_the_program_s_are_kept(machine: Machine) -> None:
    """Wait, interruption masks and the like stay in the PSW and stop nothing."""
    machine.registers.psw_mask |= 0x0306_0000_0000_0000

    assert machine.run("lghi %r2,3\n svc 1") == STOP
    assert machine.registers.psw_mask & 0x0307_0000_0000_0000 == 0x0307_0000_0000_0000


# system calls


@pytest.mark.parametrize("source", ["svc 7", "ex %r5,t\n svc 1\nt: svc 4", "exrl %r5,t\n svc 1\nt: svc 4"])
def test_svc_number_and_next_instruction(machine: Machine, source: str) -> None:
    """The number is that of the instruction, executed by EX or EXRL too: 4 | 3 is 7."""
    machine.registers.gprs[5] = 3
    machine.resolve = lambda _: False

    assert machine.run(source) == SupervisorCall(7)
    assert machine.registers.psw_addr == len(assemble(source.partition("\n")[0], 0, {"t": 8}))


def test_svc_supervisor_sets_the_result(machine: Machine) -> None:
    def resolve(_: Interruption) -> bool:
        machine.registers.gprs[2] = -38
        return True
    machine.resolve = resolve

    assert machine.run("svc 2\n lcgr %r3,%r2\n svc 1") == STOP
    assert machine.registers.gprs[3] == 38


def test_svc_leaves_number_and_psw_in_the_lowcore(machine: Machine) -> None:
    machine.run("svc 1")

    assert struct.unpack(">HH", machine.memory.view(0x88, 4)) == (2, 1)
    assert struct.unpack(">QQ", machine.memory.view(0x140, 16)) == (machine.registers.psw_mask, 2)


# program interruptions


@pytest.mark.parametrize(("source", "code", "address", "access"), [
    (f"lg %r2,{HOLE >> 4}(%r5)", SEGMENT_TRANSLATION, 0x100000, "load"),
    ("lg %r2,0(%r6)", PAGE_TRANSLATION, HOLE, "load"),
    ("stg %r2,0(%r6)", PAGE_TRANSLATION, HOLE, "store"),
    ("br %r6", PAGE_TRANSLATION, HOLE, "fetch"),
    ("lg %r2,0(%r7)", REGION_THIRD_TRANSLATION, 1 << 40, "load"),
    ("st %r2,0", PROTECTION, CODE, "store"),
    ("st %r2,0(%r8)", PROTECTION, CONSTANTS, "store"),
    ("st %r2,0(%r9)", PROTECTION, SHARED, "store"),
    ("br %r8", PROTECTION, CONSTANTS, "fetch"),
    (".short 0", OPERATION, 0, "fetch"),
    ("lpswe 0", PRIVILEGED_OPERATION, 0, "fetch"),
    ("diag %r1,%r2,0x64", PRIVILEGED_OPERATION, 0, "fetch"),
    ("dr %r2,%r1", FIXED_POINT_DIVIDE, 0, "fetch"),
    ("dr %r3,%r1", SPECIFICATION, 0, "fetch"),
    ("ex %r0,ex\nex: ex %r0,0", EXECUTE, 0, "fetch"),
    (".short 0xb316,0", OPERATION, 0, "fetch"),
], ids=str)
def test_program_interruption_code_address_access(machine: Machine, source: str, code: int, address: int,
                                                  access: str) -> None:
    machine.registers.gprs[5:10] = [0x100000 - 0x400, HOLE, 1 << 40, CONSTANTS, SHARED]
    met = machine.run(source)

    assert program_interruption(met) == (code, address, access)
    assert machine.registers.psw_addr == (address if access == "fetch" else 0)
    assert struct.unpack(">H", machine.memory.view(0x8E, 2)) == (code,)


def test_addressing_outside_storage(machine: Machine) -> None:
    """A page-table entry that names storage which the machine does not have."""
    machine.map(HOLE, 0x7000_0000_0000)

    assert program_interruption(machine.run(f"lghi %r1,{HOLE}\n lg %r2,0(%r1)"))[0] == ADDRESSING
    assert program_interruption(machine.run(start=HOLE))[0] == ADDRESSING


def test_illegal_instruction_at_the_start_of_a_page(machine: Machine) -> None:
    """The page before it is not mapped, which is no part of the matter."""
    machine.map(HOLE + PAGE_SIZE, FRAMES + 0x4000)
    machine.put("diag %r1,%r2,0x64", FRAMES + 0x4000)

    assert program_interruption(machine.run(start=HOLE + PAGE_SIZE)) == (
        PRIVILEGED_OPERATION, HOLE + PAGE_SIZE, "fetch")


def test_instruction_across_two_pages_faults_on_the_second(machine: Machine) -> None:
    machine.map(HOLE - PAGE_SIZE, FRAMES + 0x5000)
    machine.put("lgr %r1,%r2", FRAMES + 0x5FFE)

    assert program_interruption(machine.run(start=HOLE - 2)) == (PAGE_TRANSLATION, HOLE, "fetch")


def test_entry_that_was_valid_is_not_used_any_more(machine: Machine) -> None:
    """A page that was read, then taken away, faults: the processor's copy of the entry is purged."""
    assert machine.run(f"lghi %r1,{DATA_PAGE}\n lg %r2,0(%r1)\n svc 1") == STOP
    machine.map(DATA_PAGE, dat.PAGE_INVALID)

    assert program_interruption(machine.run()) == (PAGE_TRANSLATION, DATA_PAGE, "load")


# floating point


def test_floating_point_arithmetic(machine: Machine) -> None:
    """2.5 from storage times 4.0 is 10.0."""
    machine.memory.view(FRAMES + 0x1000, 8)[:] = memoryview(struct.pack(">d", 2.5))
    machine.registers.gprs[2] = struct.unpack(">Q", struct.pack(">d", 4.0))[0]

    assert machine.run(f"lghi %r1,{DATA_PAGE}\n ldgr %f1,%r2\n mdb %f1,0(%r1)\n lgdr %r3,%f1\n svc 1") == STOP
    assert struct.unpack(">d", struct.pack(">Q", machine.registers.gprs[3])) == (10.0,)


def test_floating_point_page_fault_and_trap(machine: Machine) -> None:
    """An operand that is not mapped faults; a division by zero that is to trap is a data exception."""
    assert program_interruption(machine.run(f"lghi %r1,{HOLE}\n adb %f1,0(%r1)")) == (
        PAGE_TRANSLATION, HOLE, "load")
    machine.registers.fprs[1], machine.registers.fpc = 0x3FF0_0000_0000_0000, 0x4000_0000
    assert program_interruption(machine.run("ddbr %f1,%f2"))[0] == DATA


# supervisor state


def test_diagnose_in_supervisor_state(machine: Machine) -> None:
    """Function code and register numbers come out; what the supervisor sets, the program sees."""
    def resolve(_: Interruption) -> bool:
        machine.registers.condition_code = 2
        return True
    machine.resolve = resolve
    machine.registers.psw_mask &= ~PSW_MASK_PSTATE

    assert machine.run("diag %r3,%r4,0x64\n jnh no\n svc 1\nno: svc 2") == STOP
    assert machine.met == [Diagnose(0x64, 3, 4), STOP]
    assert not machine.registers.problem_state


def test_jump_to_nowhere_in_supervisor_state(machine: Machine) -> None:
    machine.registers.psw_mask &= ~PSW_MASK_PSTATE

    assert program_interruption(machine.run(start=HOLE)) == (PAGE_TRANSLATION, HOLE, "fetch")


def test_tables_outside_storage_are_an_addressing_exception(machine: Machine) -> None:
    """A processor with a wrong CR1 reports it, in every state."""
    machine.registers.asce = 0x7000_0000_0000 | dat.TABLE_TYPE_REGION3

    assert program_interruption(machine.run("svc 1"))[0] == ADDRESSING


def test_lra_in_supervisor_state(machine: Machine) -> None:
    """The absolute address behind a virtual one; condition code 3 where there is none."""
    machine.registers.psw_mask &= ~PSW_MASK_PSTATE
    machine.registers.gprs[6] = HOLE

    assert machine.run(f"lghi %r1,{DATA_PAGE + 8}\n lrag %r2,8(%r1)\n lrag %r3,0(%r6)\n svc 1") == STOP
    assert machine.registers.gprs[2] == FRAMES + DATA_PAGE + 16
    assert (machine.registers.gprs[3], machine.registers.condition_code) == (PAGE_TRANSLATION, 3)


def test_without_translation_addresses_are_absolute(machine: Machine) -> None:
    machine.registers.psw_mask = PSW_PROGRAM & ~(PSW_MASK_PSTATE | 0x0400 << 48)
    machine.put("l %r2,0(%r1)\n st %r2,0(%r3)\n st %r2,0(%r4)", FRAMES)
    machine.memory.view(0x50000, 4)[:] = 7
    machine.registers.gprs[1:5] = [0x50000, 0, 0x60000, SEGMENT]

    assert program_interruption(machine.run(start=FRAMES)) == (PROTECTION, SEGMENT, "store")
    assert machine.memory.view(0x60000, 4).tolist() == [7] * 4


# storage and code that change


def test_code_is_where_the_storage_is(machine: Machine) -> None:
    """Code that the host writes runs at the next run, without a word to the processor."""
    assert machine.run("lghi %r2,1\n svc 1") == STOP
    machine.memory.view(FRAMES + 3, 1)[:] = 2
    assert machine.run() == STOP

    assert machine.registers.gprs[2] == 2


def test_code_changed_by_a_system_call(machine: Machine) -> None:
    """What the supervisor stores during a call runs when the call returns, though it ran before."""
    def resolve(_: Interruption) -> bool:
        machine.memory.view(FRAMES + 3, 1)[:] = 9
        return True
    machine.resolve = resolve

    assert machine.run("a: lghi %r2,1\n cghi %r2,9\n je b\n svc 2\n j a\nb: svc 1", 100) == STOP
    assert len(machine.met) == 2


def test_code_changed_by_the_program_itself(machine: Machine) -> None:
    """A store through a second mapping of the same frame."""
    machine.map(HOLE, FRAMES | dat.PAGE_NOEXEC)
    machine.registers.gprs[1] = HOLE

    assert machine.run("a: lghi %r2,1\n cghi %r2,9\n je b\n mvi 3(%r1),9\n j a\nb: svc 1", 100) == STOP


def test_code_changed_by_another_machine(machine: Machine) -> None:
    """Two machines share the segment's frames; one's program is what the other one stores."""
    other = Machine(machine.storage, machine.segment)
    other.memory.detach(SEGMENT)
    other.memory.attach(SEGMENT, machine.segment, 4, writable=True, name="SHLIB")
    code = assemble("lghi %r2,1\n svc 1")
    other.memory.view(SEGMENT, len(code))[:] = memoryview(code)
    machine.run(start=SHARED)
    assert machine.registers.gprs[2] == 1
    other.registers.gprs[1] = SHARED
    assert other.run("mvi 3(%r1),5\n svc 1") == STOP
    machine.run(start=SHARED)

    assert machine.registers.gprs[2] == 5


def test_storage_attached_during_a_diagnose(machine: Machine) -> None:
    """A range that comes and goes while the program waits for the answer."""
    new = Paddr(0x2000_0000)

    def resolve(interruption: Interruption) -> bool:
        if interruption == SupervisorCall(2):
            machine.memory.attach(new, machine.storage.allocate(1), 1, writable=True, name="NEW")
            machine.map(HOLE, new)
        elif interruption == SupervisorCall(3):
            machine.memory.detach(new)
        return isinstance(interruption, SupervisorCall)
    machine.resolve = resolve
    machine.registers.gprs[1] = HOLE

    met = machine.run("svc 2\n mvi 0(%r1),7\n ic %r2,0(%r1)\n svc 3\n mvi 0(%r1),8", 20)
    assert isinstance(met, ProgramInterruption)
    assert (machine.registers.gprs[2], machine.registers.psw_addr) == (7, 12)


def test_large_program_is_not_translated_for_ever() -> None:
    """A loop that is larger than the room for translated code gets a larger engine, and then runs."""
    machine = Machine()
    for page in range(64):
        machine.map(0x40000 + page * PAGE_SIZE, FRAMES + 0x10000 + page * PAGE_SIZE)
    machine.put("again: " + "aghi %r2,1\n lgr %r3,%r2\n j .+4\n" * 20_000 + "jg again", FRAMES + 0x10000)
    assert machine.run(budget=300_000, start=0x40000) is None
    engine = machine.cpu._engine
    assert engine is not None
    before = engine.translated
    machine.cpu.run(machine.registers, 300_000, machine.supervisor)

    assert engine is machine.cpu._engine
    assert engine.translated - before < before / 10
    assert machine.registers.gprs[3] == 9 * 20_000 + (600_000 - 9 * 60_001) // 3


@pytest.mark.skipif(not STATM.exists(), reason=f"{STATM} says how much memory is mapped")
def test_close_gives_memory_back_without_the_garbage_collector(machine: Machine) -> None:
    """Ten closed engines take no more of this computer's memory than one."""
    def pages() -> int:
        return int(STATM.read_text().split()[0])

    machine.run("svc 1")
    machine.cpu.close()
    gc.collect()
    gc.disable()
    before = pages()
    try:
        for _ in range(10):
            machine.run()
            machine.cpu.close()
        after = pages()
    finally:
        gc.enable()

    assert (after - before) * PAGE_SIZE < 2 * MiB


def test_close_and_run_again(machine: Machine) -> None:
    """A closed processor makes a new engine; closing it from its supervisor waits for the program."""
    machine.run("lghi %r2,3\n svc 1")
    machine.cpu.close()
    assert machine.run() == STOP

    def resolve(_: Interruption) -> bool:
        machine.cpu.close()
        return True
    machine.resolve = resolve
    assert machine.run("svc 2\n svc 1") == STOP
