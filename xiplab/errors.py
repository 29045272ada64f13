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

PROTECTION = 0x04
ADDRESSING = 0x05
SPECIFICATION = 0x06
SEGMENT_TRANSLATION = 0x10
PAGE_TRANSLATION = 0x11
REGION_THIRD_TRANSLATION = 0x3B

INTERRUPTION_NAMES = {
    PROTECTION: "protection",
    ADDRESSING: "addressing",
    SPECIFICATION: "specification",
    SEGMENT_TRANSLATION: "segment translation",
    PAGE_TRANSLATION: "page translation",
    REGION_THIRD_TRANSLATION: "region third translation",
}

SIGBUS = 7
SIGKILL = 9
SIGSEGV = 11
SIGXFSZ = 25

SIGNAL_NAMES = {SIGBUS: "SIGBUS", SIGKILL: "SIGKILL", SIGSEGV: "SIGSEGV", SIGXFSZ: "SIGXFSZ"}


class NoData(OSError):
    """ENODATA: no block behind this page of the file (a hole)."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.ENODATA, what)


class ProgramInterruption(Exception):
    """The machine could not carry out a storage access.

    Attributes:
        code: program interruption code, for example PAGE_TRANSLATION.
        address: the address that was used, virtual under DAT, absolute else.
        access: "load", "store" or "fetch".
    """

    def __init__(self, code: int, address: int, access: str, what: str = "") -> None:
        name = INTERRUPTION_NAMES[code]
        super().__init__(f"{name} exception: {access} at {address:#x}{': ' if what else ''}{what}")
        self.code = code
        self.address = address
        self.access = access


class Signal(Exception):
    """A fault that ends in a signal for the task: SIGBUS, SIGSEGV, or SIGKILL (out of memory)."""

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
