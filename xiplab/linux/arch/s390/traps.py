"""Program interruptions that are not about a translation: the signal that each one is.

Kernel: v3.6 arch/s390/kernel/traps.c
"""

from __future__ import annotations

from xiplab.errors import (
    DATA,
    EXECUTE,
    FIXED_POINT_DIVIDE,
    OPERATION,
    PRIVILEGED_OPERATION,
    SIGFPE,
    SIGILL,
    SPECIFICATION,
    ProgramInterruption,
    Signal,
)

PGM_CHECK_TABLE = {
    OPERATION: SIGILL,
    PRIVILEGED_OPERATION: SIGILL,
    EXECUTE: SIGILL,
    SPECIFICATION: SIGILL,
    DATA: SIGFPE,
    FIXED_POINT_DIVIDE: SIGFPE,
}
"""The rest goes to fault.py. Kernel: pgm_check_table"""


def do_trap(interruption: ProgramInterruption) -> None:
    """Raises Signal: the one that the table names.

    Differs: a data exception that is no IEEE trap is SIGILL in Linux; the processor does not tell them apart.
    """
    signo = PGM_CHECK_TABLE[interruption.code]
    raise Signal(signo, interruption.address, f"{interruption}") from interruption
