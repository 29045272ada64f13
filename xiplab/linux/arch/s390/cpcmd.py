"""CP commands from inside a guest.

Kernel: v3.6 arch/s390/kernel/cpcmd.c
"""

from __future__ import annotations

import errno

from xiplab.linux.include.kernel import Kernel
from xiplab.units import PAGE_SIZE, Paddr

DIAG_PAGE = Paddr(0x1000)
"""The page of guest storage in which blocks for DIAGNOSE are built; it is in no zone."""

CP_RESPONSE = 0x40000000


def cpcmd(kernel: Kernel, cmd: str) -> tuple[int, str]:
    """Run a CP command; returns CP's return code and the text of its response.

    Raises:
        OSError: ENOSYS not a z/VM guest; EINVAL for a command longer than CP takes (240 bytes).
    Differs: the response overwrites the command (see VirtualMachine.diagnose); the kernel takes
        memory for both.
    """
    if kernel.diagnose is None:
        raise OSError(errno.ENOSYS, f"{kernel}: CP command {cmd!r} needs z/VM")
    text = cmd.encode("cp037", "replace")
    if not 0 < len(text) <= 240:
        raise OSError(errno.EINVAL, f"{kernel}: CP command of {len(text)} bytes, the limit is 240")
    page = kernel.memory.view(DIAG_PAGE, PAGE_SIZE)
    page[:len(text)] = memoryview(text)
    _, length, rc = kernel.diagnose(0x08, DIAG_PAGE, len(text) | CP_RESPONSE)
    return rc, page[:length].tobytes().decode("cp037").replace("\x85", "\n")
