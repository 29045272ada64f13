"""What this computer lets a program do, found out by trying; each answer is kept.

    files()         "" if a file can be made and mapped, else why not
    memory()        "" if another process can map the machine's storage, else why not
    processes()     "" if another process can be started, else why not
    file_of(b"J")   a temporary file of a page that begins so, to try with

Kernel: none (this is user space on the host)
"""

from __future__ import annotations

import functools
import mmap
import os
import subprocess
import sys
import tempfile
from typing import IO

from xiplab.hw.memory import host_memory
from xiplab.units import PAGE_SIZE

SECONDS = 30


def file_of(start: bytes, nbytes: int = PAGE_SIZE) -> IO[bytes]:
    """A temporary file of `nbytes` bytes that begins with `start`. Raises OSError."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(start.ljust(nbytes, b"\0"))
    file.flush()
    return file


@functools.cache
def files() -> str:
    """Why no temporary file can be made and mapped here; empty if one can."""
    try:
        with file_of(b"") as file:
            mmap.mmap(file.fileno(), PAGE_SIZE).close()
    except OSError as failure:
        return f"no file can be made and mapped ({failure.strerror})"
    return ""


@functools.cache
def memory() -> str:
    """Why no other process can map the machine's storage; empty if one can."""
    fd, _ = host_memory(PAGE_SIZE)
    if fd < 0:
        return "no memory can be shared between processes"
    os.close(fd)
    return ""


@functools.cache
def processes() -> str:
    """Why no other process can be started here; empty if one can."""
    try:
        subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True, capture_output=True,
                       timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as failure:
        return f"no other process can be started ({failure})"
    return ""
