"""The calls of notebook 06 on the learner's own computer: holes, vectors, short answers, sendfile.

    try_all()       a line for each of them, as this computer's kernel answers

POSIX systems only; elsewhere `unavailable()` says why.

Kernel: none (this is user space on the host)
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack

from xiplab.host import probe
from xiplab.units import PAGE_SIZE

PIPE = 1 << 20


def unavailable() -> str:
    """Why these calls cannot be made here; empty if they can."""
    missing = [name for name in ("preadv", "sendfile", "set_blocking", "pipe") if not hasattr(os, name)]
    return f"this system has no {missing[0]}" if missing else probe.files()


def try_all() -> list[str]:
    """Make each call on a file of three pages whose middle one is a hole."""
    with ExitStack() as opened:
        fd = opened.enter_context(tempfile.TemporaryFile()).fileno()
        out = opened.enter_context(tempfile.TemporaryFile()).fileno()
        os.pwrite(fd, b"a" * PAGE_SIZE, 0)
        os.pwrite(fd, b"c" * PAGE_SIZE, 2 * PAGE_SIZE)
        halves = bytearray(PAGE_SIZE), bytearray(PAGE_SIZE)
        return [
            f"read over the hole gives zeros: {os.pread(fd, PAGE_SIZE, PAGE_SIZE) == bytes(PAGE_SIZE)}",
            f"read of 100 bytes, 8 before the end: {len(os.pread(fd, 100, 3 * PAGE_SIZE - 8))}",
            f"read of 0 bytes over the hole: {len(os.pread(fd, 0, PAGE_SIZE))}",
            f"readv into two buffers of a page: {os.preadv(fd, halves, 0)}",
            f"sendfile of 5000 bytes: {os.sendfile(out, fd, 0, 5000)}",
            f"write of {PIPE} bytes to a pipe comes short: {_write_to_pipe() < PIPE}",
        ]


def _write_to_pipe() -> int:
    """How many of PIPE bytes a pipe takes that nobody reads."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        return os.write(writer, bytes(PIPE))
    finally:
        os.close(reader)
        os.close(writer)
