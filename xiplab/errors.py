"""The three families of errors. They never mix.

    OSError               what a system call may return: the kernel's errno, and a message that names
                          the object, the value and the limit
    ProgramInterruption   what the machine reports to the guest's kernel; the fault handler resolves
                          it or turns it into a Signal for the task. One that the kernel itself
                          causes (a store to a protected segment, say) leaves the system call: an oops
    KernelBug             one of our own invariants broke; nobody catches it

`Panic` is none of them: it is how a guest's own kernel ends.

`NoData` is the one OSError that the kernel itself tests for: a hole in a file.
"""

from __future__ import annotations

import errno

OPERATION = 0x01
PRIVILEGED_OPERATION = 0x02
EXECUTE = 0x03
PROTECTION = 0x04
ADDRESSING = 0x05
SPECIFICATION = 0x06
DATA = 0x07
FIXED_POINT_DIVIDE = 0x09
SEGMENT_TRANSLATION = 0x10
PAGE_TRANSLATION = 0x11
REGION_THIRD_TRANSLATION = 0x3B

INTERRUPTION_NAMES = {
    OPERATION: "operation",
    PRIVILEGED_OPERATION: "privileged operation",
    EXECUTE: "execute",
    PROTECTION: "protection",
    ADDRESSING: "addressing",
    SPECIFICATION: "specification",
    DATA: "data",
    FIXED_POINT_DIVIDE: "fixed-point divide",
    SEGMENT_TRANSLATION: "segment translation",
    PAGE_TRANSLATION: "page translation",
    REGION_THIRD_TRANSLATION: "region third translation",
}

SIGILL = 4
SIGBUS = 7
SIGFPE = 8
SIGKILL = 9
SIGSEGV = 11
SIGXCPU = 24
SIGXFSZ = 25

SIGNAL_NAMES = {SIGILL: "SIGILL", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGKILL: "SIGKILL",
                SIGSEGV: "SIGSEGV", SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ"}


class NoData(OSError):
    """ENODATA: no block behind this page of the file (a hole)."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.ENODATA, what)


class ProgramInterruption(Exception):
    """The machine could not carry out a storage access, or an instruction.

    Attributes:
        code: program interruption code, for example PAGE_TRANSLATION.
        address: the address that was used, virtual under DAT, absolute else; a processor knows its page
            only, and for an instruction that is wrong in itself gives the instruction's own.
        access: "load", "store" or "fetch".
    """

    def __init__(self, code: int, address: int, access: str, what: str = "") -> None:
        name = INTERRUPTION_NAMES[code]
        super().__init__(f"{name} exception: {access} at {address:#x}{': ' if what else ''}{what}")
        self.code = code
        self.address = address
        self.access = access


class Signal(Exception):
    """What ends in a signal for the task: a fault (SIGBUS, SIGSEGV, SIGKILL without memory), an
    instruction (SIGILL, SIGFPE), a budget (SIGXCPU)."""

    def __init__(self, signo: int, address: int, why: str) -> None:
        super().__init__(f"{SIGNAL_NAMES[signo]} at {address:#x}: {why}")
        self.signo = signo
        self.address = address


class Panic(Exception):
    """A guest's kernel has died; nothing in that guest runs any more. Kernel: panic()"""


class KernelBug(Exception):
    """An invariant of xiplab itself is broken: report it, do not catch it."""


def bug_on(condition: object, what: str) -> None:
    """Stop with KernelBug if `condition` holds. Kernel: BUG_ON()."""
    if condition:
        raise KernelBug(what)
