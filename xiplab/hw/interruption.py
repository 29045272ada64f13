"""Why a processor stopped: what it reports, and how the cause is read from the instruction.

    SupervisorCall        the program asks its kernel (SVC)
    ProgramInterruption   it could not carry out an instruction (errors.py)
    Diagnose              a program in supervisor state asks the hypervisor (DIAGNOSE)

The emulator does not tell the code of a program interruption that is not about a translation. Which it
was follows from the instruction, since such an interruption was seen: `cause`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from xiplab.errors import (
    ADDRESSING,
    DATA,
    EXECUTE,
    FIXED_POINT_DIVIDE,
    OPERATION,
    PRIVILEGED_OPERATION,
    SPECIFICATION,
    ProgramInterruption,
)
from xiplab.hw.mnemonics import FORMATS, instructions

SVC = 0x0A
EX = 0x44
DIAGNOSE = 0x83
EXRL = 0xC6
LRA, LRAG, LRAY = 0xB1, 0xE303, 0xE313
SQXBR = 0xB316
VECTOR = 0xE7


@dataclass(frozen=True)
class SupervisorCall:
    """SVC: `number` is the second byte of the instruction."""

    number: int


@dataclass(frozen=True)
class Diagnose:
    """DIAGNOSE: function `code`; the numbers of the two registers that carry its operands."""

    code: int
    rx: int
    ry: int


Interruption: TypeAlias = SupervisorCall | Diagnose | ProgramInterruption

PRIVILEGED = frozenset({
    0x80, 0x82, DIAGNOSE, 0xAC, 0xAD, 0xAE, 0xB1, 0xB6, 0xB7, 0xE303, 0xE313, 0xE502, 0xEB25, 0xEB2F,
    0xB202, 0xB204, *range(0xB206, 0xB20C), 0xB20D, *range(0xB210, 0xB215), 0xB219, 0xB221,
    *range(0xB223, 0xB228), *range(0xB229, 0xB22D), 0xB22E, 0xB22F, *range(0xB230, 0xB23D), 0xB246, 0xB248,
    0xB24B, 0xB250, 0xB25F, 0xB279, 0xB27D, 0xB2B1, 0xB2B2, 0xB905, 0xB925, 0xB98A, 0xB98E, 0xB9A2, 0xB9AA,
    0xB9AF,
})
DIVIDES = frozenset({0x1D, 0x5D, 0xB90D, 0xB91D, 0xB987, 0xB997, 0xE30D, 0xE31D, 0xE387, 0xE397})
"""They need an even register pair; a zero divisor or a quotient too big is what else can go wrong."""
ALIGNED = frozenset({0xBA, 0xBB, 0xEB14, 0xEB30, 0xEB31, 0xEB3E, 0xE38E, 0xE38F, 0xC802, 0xC804, 0xC805})
"""Compare-and-swap and its kin: their operand stands on a boundary."""
TRAPS = frozenset({0xB960, 0xB961, 0xB972, 0xB973, 0xEB21, 0xEB23, 0xEB2B, 0xEC70, 0xEC71, 0xEC72, 0xEC73})
DATA_GROUPS = frozenset({VECTOR, *range(0xF8, 0xFE)})
"""First bytes of vector and decimal instructions."""
BY_REGISTER = frozenset({0x0E, 0x0F, 0xB241, 0xB255, 0xB257, 0xB25D, 0xB25E, 0xB2A5, 0xB2A6, 0xB2A7})
"""Instructions whose operands in storage are named by registers alone: MVCL, MVST and others."""
FLOATING_GROUPS = frozenset({*range(0x20, 0x40), 0x60, *range(0x67, 0x71), *range(0x78, 0x80), 0xB3, 0xED})
FLOATING_CONTROL = frozenset({0xB299, 0xB29C, 0xB29D, 0xB2B8, 0xB2B9, 0xB2BD})
"""The same of floating-point instructions, and those of them that do not lie in such a group."""
TWO_BYTE_GROUPS = frozenset({0xB2, 0xB3, 0xB9, 0xE5})
SPLIT_GROUPS = frozenset({0xE3, 0xE7, 0xEB, 0xEC, 0xED})
NIBBLE_GROUPS = frozenset({0xA5, 0xA7, 0xC0, 0xC2, 0xC4, 0xC6, 0xC8, 0xCC})


def instruction_length(first: int) -> int:
    """The length in bytes of an instruction that begins with the byte `first`."""
    return (2, 4, 4, 6)[first >> 6]


def opcode(instruction: bytes) -> int:
    """The operation code, one byte or two wherever the format keeps them; -1 if bytes are missing."""
    if not instruction or len(instruction) < instruction_length(instruction[0]):
        return -1
    first = instruction[0]
    if first in TWO_BYTE_GROUPS:
        return first << 8 | instruction[1]
    if first in SPLIT_GROUPS:
        return first << 8 | instruction[5]
    if first in NIBBLE_GROUPS:
        return first << 8 | instruction[1] & 0x0F
    return first


def is_supervisor_call(instruction: bytes) -> bool:
    """Whether it can end in an interruption by SVC."""
    return instruction[:1] == bytes((SVC,)) or is_execute(instruction)


def is_execute(instruction: bytes) -> bool:
    """EX, or EXRL: it carries out an instruction that lies elsewhere."""
    return opcode(instruction) in (EX, EXRL << 8)


def is_floating(instruction: bytes) -> bool:
    """Whether it needs the floating-point registers or their control register."""
    op = opcode(instruction)
    return op in FLOATING_CONTROL or op >> (8 if op > 0xFF else 0) in FLOATING_GROUPS


@cache
def storage_opcodes() -> frozenset[int]:
    """The known instructions that access storage."""
    shifts = "RSs"
    return frozenset(code for form, code, _ in instructions().values()
                     if "b" in FORMATS[form][1] and form != shifts)


def cause(instruction: bytes) -> int:
    """The code of the program interruption that `instruction` met, other than a translation's.

    Args:
        instruction: empty if it cannot be fetched.
    """
    op = opcode(instruction)
    if op in PRIVILEGED:
        return PRIVILEGED_OPERATION
    if op in DIVIDES:
        register = instruction[3] if op in range(0xB900, 0xBA00) else instruction[1]
        return SPECIFICATION if register >> 4 & 1 else FIXED_POINT_DIVIDE
    if op in ALIGNED:
        return SPECIFICATION
    if op in TRAPS or op >> (8 if op > 0xFF else 0) in DATA_GROUPS:
        return DATA
    if is_execute(instruction):
        return EXECUTE
    if not instruction or op in storage_opcodes():
        return ADDRESSING
    return OPERATION


def accesses_storage(instruction: bytes) -> bool:
    """Whether a program's instruction is known to have an operand in storage."""
    op = opcode(instruction)
    return op not in PRIVILEGED and (op in storage_opcodes() or op in BY_REGISTER)


def displacement(instruction: bytes) -> int:
    """D of an operand D(B) or D(X,B) whose base stands in the third byte."""
    return (instruction[2] & 0x0F) << 8 | instruction[3]
