"""A processor of z/Architecture. Unicorn executes; storage, page tables and registers are our own.

    Registers ──run──► the engine ──walks──► the DAT tables in storage ──► frames
        ▲                   │
        └── supervisor ◄── interruption: SVC, program, DIAGNOSE

    cpu = Cpu(memory)
    registers = Registers(psw_addr=0x100000, asce=mm.asce)
    used_up = cpu.run(registers, budget=1000, supervisor=handle)

An interruption calls `supervisor(interruption)`: it is what the new PSW is to the machine. It may change
registers, tables and storage, and says whether the program goes on. One guest has one processor; its
tasks use it in turn, each with Registers of its own. What it reads in storage is what is there: code that
anybody has changed is new at the next instruction that is fetched after an interruption or a quantum.

Differs: the PSW names an instruction that could not be carried out, not the one after it. A branch to
an odd address is followed. Vector registers are off, as in Linux v3.6. Floating-point instructions take
as long as an interruption; SQXBR and those that EX would carry out are refused. Storage keys do not note
each access of a program, only those that led to an interruption.
Kernel: none (the Principles of Operation)
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from struct import pack_into, unpack_from
from typing import TYPE_CHECKING, TypeAlias

from xiplab.errors import ADDRESSING, DATA, OPERATION, PAGE_TRANSLATION, PROTECTION, ProgramInterruption
from xiplab.hw import dat
from xiplab.hw.interruption import (
    DIAGNOSE,
    EX,
    LRA,
    LRAG,
    LRAY,
    SQXBR,
    SVC,
    Diagnose,
    Interruption,
    SupervisorCall,
    accesses_storage,
    cause,
    displacement,
    instruction_length,
    is_floating,
    is_supervisor_call,
    opcode,
)
from xiplab.hw.memory import AbsoluteStorage
from xiplab.hw.registers import PSW_MASK_DAT, Registers, real_address
from xiplab.units import PAGE_SIZE, MiB, offset_in_page

if TYPE_CHECKING:
    from xiplab.hw.engine import Engine

Supervisor: TypeAlias = Callable[[Interruption], bool]

LOWCORE_SVC, LOWCORE_PROGRAM = (0x88, 0x140), (0x8C, 0x150)
"""Where in the lowcore (absolute 0) an interruption leaves its length and code, and the old PSW."""
LOWCORE_TEID = 0xA8
"""The translation-exception identification: the page, and the bits below."""
TEID_STORE, TEID_PROTECTION, TEID_EXECUTION = 0x400, 0x004, 0x080

LONGEST = 6
"""An instruction has 2, 4 or 6 bytes."""
SUPERVISOR_CALL_NUMBER = 2
"""How Unicorn numbers an interruption by SVC; 3 is a program interruption."""
SLICE, FIRST_SLICE = 10_000_000, 100_000
"""Instructions at a stretch; between two of them the host's own signals (Ctrl-C) are served. It is the
short one while the program still comes to new code."""
CODE_BUFFER, LARGEST_BUFFER = 1 * MiB, 256 * MiB
"""For translated code. A program that needs more gets an engine with 16 times as much."""
FPC_DXC = 0xFF00
"""The data-exception code in the floating-point-control register."""
CR0_AFP, CR0_IEP = 0x0004_0000, 0x0010_0000
"""Control register 0: all floating-point registers; instruction-execution protection."""


def make_engine(memory: AbsoluteStorage, interrupted: Callable[[int], bool], *, floating: bool = False,
                code_buffer: int = CODE_BUFFER) -> Engine:
    """An engine for the storage; `floating` if it executes floating-point instructions, too."""
    from xiplab.hw.engine import Engine
    return Engine(memory, interrupted, CR0_IEP | CR0_AFP if floating else CR0_IEP, code_buffer)


class Cpu:
    """The processor of a virtual machine. Its engine is made when a program first runs.

    It really works in problem state, always. A privileged instruction traps, and the PSW that the program
    believes in decides what that means. In supervisor state DIAGNOSE is delivered as such, for the
    hypervisor, and LOAD REAL ADDRESS, which finds the address that DIAGNOSE wants, is carried out here;
    every other one is a privileged-operation interruption, in either state.

    Attributes:
        memory: the absolute storage that it works on.
    """

    def __init__(self, memory: AbsoluteStorage) -> None:
        self.memory = memory
        self._engine: Engine | None = None
        self._floating: Engine | None = None
        self._met: ProgramInterruption | Diagnose | None = None
        self._registers = Registers()
        self._supervisor: Supervisor | None = None
        self._patience = 0
        self._lowcore = 0
        self._ends = False

    def run(self, registers: Registers, budget: int, supervisor: Supervisor,
            interruptions: int | None = None) -> bool:
        """Execute until the budget is used up (True) or the supervisor stops the program (False).

        Args:
            budget: instructions at most. One that is tried again after an interruption counts again, and
                there are no more interruptions than instructions. An access that storage refuses uses
                up what is left until the next slice.
            supervisor: called with each interruption; returns whether the program goes on. After one by
                SVC or DIAGNOSE the PSW is at the next instruction, else at the one that failed.
            interruptions: more of them use the budget up, too.
        Raises:
            OSError: EBUSY when called by its own supervisor.
            what the supervisor raises.
        """
        if self._supervisor is not None:
            raise OSError(errno.EBUSY, f"the processor runs a program already: {self._registers}")
        self._registers, self._supervisor = registers, supervisor
        self._lowcore = self.memory.host_offset(0)
        self._patience = budget if interruptions is None else min(budget, interruptions)
        try:
            return self._run(budget)
        finally:
            self._supervisor = None
            if self._ends:
                self.close()

    def _run(self, budget: int) -> bool:
        is_new = True
        while budget > 0:
            engine = self._fitting_engine()
            self._clear_teid()
            count, before = min(budget, FIRST_SLICE if is_new else SLICE), engine.translated
            if engine.run(self._registers, count):
                goes_on = not engine.stopped
            else:
                goes_on = self._deliver(self._refusal(engine))
            if not goes_on:
                return self._patience < 0
            budget -= count
            is_new = engine.translated - before > PAGE_SIZE
        return True

    def _fitting_engine(self) -> Engine:
        """The engine, or a larger one for a program that has outgrown it."""
        engine = self._engine
        if engine is None:
            engine = self._engine = make_engine(self.memory, self._interrupted)
        elif engine.outgrown and engine.code_buffer < LARGEST_BUFFER:
            engine.close()
            engine = self._engine = make_engine(self.memory, self._interrupted,
                                                code_buffer=16 * engine.code_buffer)
        return engine

    def close(self) -> None:
        """Give the engines' memory back, now or when the running program stops."""
        self._ends = self._supervisor is not None
        if self._ends:
            return
        for engine in (self._engine, self._floating):
            if engine is not None:
                engine.close()
        self._engine = self._floating = None

    # interruptions

    def _interrupted(self, number: int) -> bool:
        """What the engine calls; returns whether it goes on."""
        self._patience -= 1
        if self._patience < 0:
            return False
        instruction = self._instruction()
        if number == SUPERVISOR_CALL_NUMBER and not is_supervisor_call(instruction):
            assert self._engine is not None
            self._engine.drop_code()
            return True
        if number == SUPERVISOR_CALL_NUMBER:
            return self._deliver(self._supervisor_call(instruction))
        if not self._registers.problem_state and opcode(instruction) in (LRA, LRAG, LRAY):
            self._load_real_address(instruction)
            return True
        if is_floating(instruction):
            met = self._execute_floating(instruction)
            return met is None or self._deliver(met)
        return self._deliver(self._program_interruption(instruction))

    def _deliver(self, interruption: Interruption) -> bool:
        assert self._supervisor is not None
        goes_on = self._supervisor(interruption)
        if goes_on:
            self._clear_teid()
        return goes_on

    def _execute_floating(self, instruction: bytes) -> ProgramInterruption | Diagnose | None:
        """Carry out one floating-point instruction on the engine that has the registers for it.

        The other one refuses them all, since Unicorn 2.1 dies of translating SQXBR; here each is looked at.
        Returns:
            what it met, or None.
        """
        registers = self._registers
        if opcode(instruction) == SQXBR:
            return self._program(OPERATION, registers.psw_addr, "fetch")
        if self._floating is None:
            self._floating = make_engine(self.memory, self._met_floating, floating=True)
        self._met = None
        self._clear_teid()
        if not self._floating.run(registers, 1, until=registers.psw_addr + len(instruction)):
            return self._refusal(self._floating)
        return self._met

    def _met_floating(self, _: int) -> bool:
        self._met = self._program_interruption(self._instruction())
        return False

    def _supervisor_call(self, instruction: bytes) -> SupervisorCall:
        length = len(instruction)
        number = instruction[1] if instruction[0] == SVC else self._executed(instruction)
        self._registers.psw_addr += length
        self._note(LOWCORE_SVC, length, number)
        return SupervisorCall(number)

    def _executed(self, instruction: bytes) -> int:
        """The second byte of what an EX or EXRL executes."""
        r1 = instruction[1] >> 4
        if instruction[0] == EX:
            target = self._operand_address(instruction)
        else:
            target = (self._registers.psw_addr + 2 * unpack_from(">i", instruction, 2)[0]) % (1 << 64)
        return self._read(target, 2)[1] | (self._registers.gprs[r1] & 0xFF if r1 else 0)

    def _operand_address(self, instruction: bytes) -> int:
        """The address that D(X,B) means."""
        gprs, x, b = self._registers.gprs, instruction[1] & 0xF, instruction[2] >> 4
        return ((gprs[x] if x else 0) + (gprs[b] if b else 0) + displacement(instruction)) % (1 << 64)

    def _load_real_address(self, instruction: bytes) -> None:
        """Condition code 0 and the address, or 3 and the code of the exception that there would be."""
        registers, r1 = self._registers, instruction[1] >> 4
        self._clear_teid()
        try:
            address = self._operand_address(instruction)
            found, code = int(dat.translate(self.memory, registers.asce, address, "load")), 0
        except ProgramInterruption as exception:
            found, code = exception.code, 3
        registers.gprs[r1], registers.condition_code = found, code
        registers.psw_addr += len(instruction)

    def _program_interruption(self, instruction: bytes) -> ProgramInterruption | Diagnose:
        teid = self._teid()
        if teid and not self._is_before_illegal(teid, instruction):
            return self._translation_exception(teid, instruction)
        if instruction and instruction[0] == DIAGNOSE and not self._registers.problem_state:
            self._registers.psw_addr += len(instruction)
            r1, r3 = instruction[1] >> 4, instruction[1] & 0xF
            return Diagnose(self._diagnose_code(instruction), r1, r3)
        code = DATA if self._is_ieee_trap(instruction) else cause(instruction)
        return self._program(code, self._registers.psw_addr, "fetch")

    def _is_ieee_trap(self, instruction: bytes) -> bool:
        """A floating-point instruction leaves the reason of its trap in the FPC."""
        return is_floating(instruction) and bool(self._registers.fpc & FPC_DXC)

    def _diagnose_code(self, instruction: bytes) -> int:
        base = instruction[2] >> 4
        return (self._registers.gprs[base] if base else 0) + displacement(instruction) & 0xFFFF

    def _is_before_illegal(self, teid: int, instruction: bytes) -> bool:
        """The engine also asks for the page before an instruction that it refuses at the start of a page."""
        page_after = ((teid & dat.PAGE_FRAME) + PAGE_SIZE) % (1 << 64)
        return page_after == self._registers.psw_addr and not accesses_storage(instruction)

    def _translation_exception(self, teid: int, instruction: bytes) -> ProgramInterruption:
        page = teid & dat.PAGE_FRAME
        if teid & TEID_PROTECTION:
            access = "fetch" if teid & TEID_EXECUTION else "store"
            return self._program(PROTECTION, page, access)
        try:
            table = dat.page_table(self.memory, self._registers.asce, page)
            code = -table if table < 0 else PAGE_TRANSLATION
        except ProgramInterruption as no_table:
            code = no_table.code
        first = self._registers.psw_addr
        last = first + (instruction_length(instruction[0]) if instruction else 1) - 1
        is_fetch = page in (first & dat.PAGE_FRAME, last & dat.PAGE_FRAME)
        return self._program(code, page, "store" if teid & TEID_STORE else "fetch" if is_fetch else "load")

    def _refusal(self, engine: Engine) -> ProgramInterruption:
        """Storage has no range for the access, or one that is read-only."""
        registers = self._registers
        if engine.refused is None:
            return self._program(OPERATION, registers.psw_addr, "fetch")
        access, address, is_protected = engine.refused
        if registers.psw_mask & PSW_MASK_DAT:
            address = dat.virtual_address(self.memory, registers.asce, address) or address
        return self._program(PROTECTION if is_protected else ADDRESSING, address, access)

    def _program(self, code: int, address: int, access: str) -> ProgramInterruption:
        self._note(LOWCORE_PROGRAM, 0, code)
        return ProgramInterruption(code, address, access)

    # storage

    def _instruction(self) -> bytes:
        """The instruction that the PSW names; what cannot be fetched of it is missing."""
        address = self._registers.psw_addr
        instruction = b""
        with suppress(ProgramInterruption):
            instruction = self._read(address, min(LONGEST, PAGE_SIZE - offset_in_page(address)))
            length = instruction_length(instruction[0])
            if length > len(instruction):
                instruction += self._read(address + len(instruction), length - len(instruction))
            instruction = instruction[:length]
        return instruction

    def _read(self, address: int, nbytes: int) -> bytes:
        """What a fetch at `address` finds.

        Raises:
            ProgramInterruption: there is nothing to fetch.
        """
        first = min(nbytes, PAGE_SIZE - offset_in_page(address))
        found = bytes(self.memory.span(self._real(address), first, "fetch"))
        return found + self._read(address + first, nbytes - first) if first < nbytes else found

    def _real(self, address: int) -> int:
        return real_address(self.memory, self._registers, address)

    def _note(self, area: tuple[int, int], length: int, code: int) -> None:
        """Leave what the machine leaves in the lowcore."""
        storage, lowcore = self.memory.storage.map, self._lowcore
        parameters, old_psw = area
        pack_into(">HH", storage, lowcore + parameters, length, code)
        pack_into(">QQ", storage, lowcore + old_psw, self._registers.psw_mask, self._registers.psw_addr)

    def _teid(self) -> int:
        found: int = unpack_from(">Q", self.memory.storage.map, self._lowcore + LOWCORE_TEID)[0]
        return found

    def _clear_teid(self) -> None:
        """What it held has been answered; a later interruption without one must not find it."""
        pack_into(">Q", self.memory.storage.map, self._lowcore + LOWCORE_TEID, 0)
