"""The registers of a task while it does not run.

Kernel: v3.6 arch/s390/include/asm/ptrace.h
"""

from __future__ import annotations

from dataclasses import dataclass, field

PSW_MASK_DAT = 0x0400_0000_0000_0000
PSW_MASK_IO = 0x0200_0000_0000_0000
PSW_MASK_EXT = 0x0100_0000_0000_0000
PSW_MASK_MCHECK = 0x0004_0000_0000_0000
PSW_MASK_PSTATE = 0x0001_0000_0000_0000   # problem state: no privileged instructions
PSW_MASK_EA = 0x0000_0001_0000_0000
PSW_MASK_BA = 0x0000_0000_8000_0000       # with EA: addresses of 64 bits

PSW_USER_BITS = (PSW_MASK_DAT | PSW_MASK_IO | PSW_MASK_EXT | PSW_MASK_MCHECK | PSW_MASK_PSTATE
                 | PSW_MASK_EA | PSW_MASK_BA)


@dataclass(eq=False)
class PtRegs:
    """Program status word and general registers. The stack pointer is register 15."""

    psw_mask: int = PSW_USER_BITS
    psw_addr: int = 0
    gprs: list[int] = field(default_factory=lambda: [0] * 16)
