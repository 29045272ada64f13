"""The registers of a program: what a processor loads when the program runs, and stores when it stops.

    values   0-15 general | 16-31 floating point | 32-47 access | 48 FPC | 49 PSW mask | 50 PSW address
"""

from __future__ import annotations

import ctypes

from xiplab.hw import dat
from xiplab.hw.memory import AbsoluteStorage

PSW_MASK_DAT = 0x0400_0000_0000_0000
PSW_MASK_PSTATE = 0x0001_0000_0000_0000
PSW_MASK_CC = 0x0000_3000_0000_0000
PSW_MASK_PM = 0x0000_0F00_0000_0000
PSW_MASK_EA = 0x0000_0001_0000_0000
PSW_MASK_BA = 0x0000_0000_8000_0000
PSW_CC_SHIFT = 44
PSW_PROGRAM = PSW_MASK_DAT | PSW_MASK_PSTATE | PSW_MASK_EA | PSW_MASK_BA
"""A program: translation on, problem state, 64-bit addresses."""

FPC, PSW_MASK, PSW_ADDR, COUNT = 48, 49, 50, 51
Sixteen = ctypes.c_uint64 * 16


class Registers:
    """What a program has in a processor. While it does not run these are plain values; assigning cuts
    them to 64 bits, so a negative number becomes its two's complement.

    Attributes:
        gprs, fprs, acrs: 16 general, floating-point (as bit patterns) and access registers.
        psw_mask, psw_addr: the program-status word.
        asce: control register 1, where the program's DAT tables begin.
        values: all of them but asce, in the order above.
    """

    __slots__ = ("acrs", "asce", "fprs", "gprs", "values")

    def __init__(self, psw_addr: int = 0, psw_mask: int = PSW_PROGRAM, asce: int = 0) -> None:
        self.values = (ctypes.c_uint64 * COUNT)()
        self.gprs = Sixteen.from_buffer(self.values, 0)
        self.fprs = Sixteen.from_buffer(self.values, 16 * 8)
        self.acrs = Sixteen.from_buffer(self.values, 32 * 8)
        self.psw_mask, self.psw_addr, self.asce = psw_mask, psw_addr, asce

    def clear(self, psw_addr: int, psw_mask: int, asce: int) -> None:
        """Zeros everywhere, for another program."""
        ctypes.memset(self.values, 0, ctypes.sizeof(self.values))
        self.psw_mask, self.psw_addr, self.asce = psw_mask, psw_addr, asce

    @property
    def fpc(self) -> int:
        """The floating-point-control register."""
        return self.values[FPC]

    @fpc.setter
    def fpc(self, value: int) -> None:
        self.values[FPC] = value

    @property
    def psw_mask(self) -> int:
        """Translation, state, condition code, addressing mode."""
        return self.values[PSW_MASK]

    @psw_mask.setter
    def psw_mask(self, value: int) -> None:
        self.values[PSW_MASK] = value

    @property
    def psw_addr(self) -> int:
        """The address of the next instruction."""
        return self.values[PSW_ADDR]

    @psw_addr.setter
    def psw_addr(self, value: int) -> None:
        self.values[PSW_ADDR] = value

    @property
    def condition_code(self) -> int:
        """0 to 3."""
        return (self.psw_mask & PSW_MASK_CC) >> PSW_CC_SHIFT

    @condition_code.setter
    def condition_code(self, value: int) -> None:
        self.psw_mask = self.psw_mask & ~PSW_MASK_CC | value << PSW_CC_SHIFT

    @property
    def problem_state(self) -> bool:
        """The program may not issue privileged instructions."""
        return bool(self.psw_mask & PSW_MASK_PSTATE)

    def copy(self) -> Registers:
        """The same contents, from now on changed apart."""
        other = Registers(asce=self.asce)
        ctypes.memmove(other.values, self.values, ctypes.sizeof(self.values))
        return other

    def __repr__(self) -> str:
        return f"<Registers: PSW {self.psw_mask:016x} {self.psw_addr:016x}>"


def real_address(memory: AbsoluteStorage, registers: Registers, address: int) -> int:
    """Where the program's instruction at `address` lies in absolute storage.

    Raises:
        ProgramInterruption: a translation's, or protection against execution.
    """
    if not registers.psw_mask & PSW_MASK_DAT:
        return address
    return dat.translate(memory, registers.asce, address, "fetch")
