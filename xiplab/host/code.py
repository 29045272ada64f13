"""A few bytes of the host's own machine code, to be executed where they are stored.

    filp = ...                                   a file on a XIP mount, open for writing
    linux1.pwrite(fd, returning(42), 0)
    with Peer(filp, PROT_READ | PROT_EXEC) as other:
        other.call(0)                            42: another process ran the bytes in the segment
        linux1.pwrite(fd, returning(43), 0)
        other.call(0)                            43: no load, no copy, no message in between

Nothing is executed by importing this module or by mapping a file: only `Peer.call` does that, in a
process of its own.

Kernel: none (this is user space on the host)
"""

from __future__ import annotations

import errno
import functools
import json
import os
import platform
import subprocess
import sys

from xiplab.host import native, peer

RET_X86_64, MOV_EAX = b"\xc3", b"\xb8"
RET_AARCH64, MOVZ_W0 = 0xD65F03C0, 0x52800000
MACHINES = ("x86_64", "aarch64")
LARGEST = 0xFFFF
PROBE_SECONDS = 30


def returning(value: int) -> bytes:
    """Machine code of this computer for a function that returns `value` and does nothing else.

    Raises:
        OSError: EOPNOTSUPP for a processor that this module has no code for; ERANGE for a value
            outside 0..65535.
    """
    if not 0 <= value <= LARGEST:
        raise OSError(errno.ERANGE, f"returning({value}): 0 to {LARGEST}")
    if platform.machine() == "x86_64":
        return MOV_EAX + value.to_bytes(4, "little") + RET_X86_64
    if platform.machine() == "aarch64":
        return (MOVZ_W0 | value << 5).to_bytes(4, "little") + RET_AARCH64.to_bytes(4, "little")
    raise OSError(errno.EOPNOTSUPP, f"{platform.machine()}: no machine code here, only for "
                                    f"{', '.join(MACHINES)}")


@functools.cache
def unavailable() -> str:
    """Why stored bytes cannot be executed here; empty if they can. It tries, in another process."""
    if why := native.alone():
        return why
    if not hasattr(os, "memfd_create"):
        return "this system has no files in memory"
    if platform.machine() not in MACHINES:
        return f"no machine code for {platform.machine()}, only for {', '.join(MACHINES)}"
    fd = os.memfd_create("xiplab-probe")
    try:
        os.pwrite(fd, returning(42).ljust(peer.PAGE_SIZE, b"\0"), 0)
        return _probe(fd)
    finally:
        os.close(fd)


def _probe(fd: int) -> str:
    task = {"fd": fd, "extents": [(0, 0, 1)], "length": peer.PAGE_SIZE,
            "prot": peer.PROT_READ | peer.PROT_EXEC, "private": False, "copied": False}
    tried = subprocess.run([sys.executable, "-I", "-S", peer.__file__, json.dumps(task)], text=True,
                           input='["call", 0]\n', capture_output=True, pass_fds=[fd],
                           timeout=PROBE_SECONDS, check=False)
    return "" if tried.stdout.strip() == "42" else "this computer does not execute memory of such a file"
