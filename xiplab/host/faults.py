"""Mappings of notebook 07 on the learner's own computer: a hole, a private copy, and a cut file.

    try_all()       a line for each of them, as this computer's kernel answers

What ends in a signal runs in a process of its own. POSIX systems only; elsewhere `unavailable()` says why.

Kernel: none (this is user space on the host)
"""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import tempfile

from xiplab.host import probe
from xiplab.units import PAGE_SIZE

CUT = """
import mmap, os, sys, tempfile
with tempfile.TemporaryFile() as file:
    file.truncate(3 * mmap.PAGESIZE)
    text = mmap.mmap(file.fileno(), 3 * mmap.PAGESIZE)
    text[2 * mmap.PAGESIZE]
    file.truncate(2 * mmap.PAGESIZE)
    text[2 * mmap.PAGESIZE]
"""


def unavailable() -> str:
    """Why these mappings cannot be made here; empty if they can."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return f"{sys.platform} has no private mappings in Python"
    if mmap.PAGESIZE != PAGE_SIZE:
        return f"the pages of this computer have {mmap.PAGESIZE} bytes"
    return probe.files() or probe.processes()


def try_all() -> list[str]:
    """Map a file of three pages whose middle one is a hole, shared and private."""
    with tempfile.TemporaryFile() as file:
        os.pwrite(file.fileno(), b"apple".ljust(PAGE_SIZE, b"."), 0)
        os.pwrite(file.fileno(), b"cream".ljust(PAGE_SIZE, b"."), 2 * PAGE_SIZE)
        shared = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED)
        private = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE)
        with shared, private:
            before = shared[PAGE_SIZE]
            os.pwrite(file.fileno(), b"Hello", PAGE_SIZE)
            after = shared[PAGE_SIZE:PAGE_SIZE + 5]
            private[0] = ord("J")
            shared[1] = ord("P")
            held = os.pread(file.fileno(), 5, 0)
            lines = [f"the hole shows {before}, and after a write {after!r}",
                     f"the private mapping shows {private[:5]!r}, the file holds {held!r}"]
    return [*lines, f"a page that was cut off: {cut_off()}"]


def cut_off() -> str:
    """How a process ends that loads from a mapped page which was cut off the file."""
    ended = subprocess.run([sys.executable, "-S", "-E", "-c", CUT], capture_output=True, check=False)
    return signal.Signals(-ended.returncode).name if ended.returncode < 0 else "no signal"
