"""The other process: a file of Python that runs alone, and the host's mmap calls it is made of.

It imports nothing of the package and no NumPy, so that a process that attaches to the storage is small
and starts quickly. `native.py` starts it with the descriptor of the storage and the list of extents,
and asks it questions over a pipe, a line of JSON each; `native.py` maps with the same functions.

    python peer.py '{"fd": 5, "extents": [[0, 4096, 2]], "length": 8192, ...}'

Interface: map_extents(), munmap(), smaps(), serve(). Addresses are numbers here; who gets one keeps it
mapped as long as it is used.

Kernel: none (this is user space on the host)
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC = 0, 1, 2, 4
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE = 1, 2, 0x10, 0x20, 0x4000
MAP_FAILED = ctypes.c_void_p(-1).value
PAGE_SIZE, PAGE_SHIFT = 4096, 12

Extent = tuple[int, int | None, int]
"""First page of the file, byte offset in the storage (None: a hole), number of pages."""


@functools.cache
def libc() -> ctypes.CDLL:
    """The C library of this process, with the types of what is called here."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                             ctypes.c_long]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


def mmap(address: int | None, nbytes: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> int:
    """mmap(2). Raises: OSError with its errno."""
    result: int | None = libc().mmap(address, nbytes, prot, flags, fd, offset)
    if result is None or result == MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"mmap of {nbytes} bytes: {os.strerror(number)}")
    return result


def munmap(address: int, nbytes: int) -> None:
    """munmap(2) of a whole window."""
    libc().munmap(address, nbytes)


def map_extents(fd: int, extents: Sequence[Extent], nbytes: int, prot: int, flags: int) -> int:
    """Map extents of `fd`, one behind the other, into a new window of `nbytes`; returns its address.

    What no extent covers is a hole: zeros of this window's own, with the same protection.
    Args:
        flags: MAP_SHARED or MAP_PRIVATE.
    Raises:
        OSError: of mmap(2). Nothing stays mapped then.
    """
    base = mmap(None, nbytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
    try:
        for pgoff, offset, npages in extents:
            if offset is not None:
                mmap(base + (pgoff << PAGE_SHIFT), npages << PAGE_SHIFT, prot, flags | MAP_FIXED, fd, offset)
    except OSError:
        munmap(base, nbytes)
        raise
    return base


def copy_extents(fd: int, extents: Sequence[Extent], nbytes: int) -> int:
    """Read extents of `fd` into memory of this process's own: what a page cache of its own would hold."""
    base = mmap(None, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    for pgoff, offset, npages in extents:
        if offset is not None:
            to = (ctypes.c_char * (npages << PAGE_SHIFT)).from_address(base + (pgoff << PAGE_SHIFT))
            os.preadv(fd, [to], offset)
    return base


def smaps(start: int, end: int) -> dict[str, int]:
    """KiB of this process's memory between two addresses, from /proc/self/smaps.

    Returns:
        Rss: what is in its page table. Pss: the same, but a frame that n processes have counts 1/n.
        Shared, Private: Rss divided by whether another process has the frame, too.
    """
    totals = {"Rss": 0, "Pss": 0, "Shared": 0, "Private": 0}
    inside = False
    with open("/proc/self/smaps", encoding="ascii", errors="replace") as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            first, dash, _ = line.split(" ", 1)[0].partition("-")
            if dash:
                inside = start <= int(first, 16) < end
            elif inside and (key := name.partition("_")[0]) in totals and name not in {"Pss_Dirty"}:
                totals[key] += int(rest.split()[0])
    return totals


class Attached:
    """The file in this process's memory, and the questions that can be asked about it."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.nbytes: int = -(-task["length"] // PAGE_SIZE) * PAGE_SIZE
        if task["copied"]:
            self.base = copy_extents(task["fd"], task["extents"], self.nbytes)
        else:
            flags = MAP_PRIVATE if task["private"] else MAP_SHARED
            self.base = map_extents(task["fd"], task["extents"], self.nbytes, task["prot"], flags)

    def read(self, offset: int, nbytes: int) -> str:
        return ctypes.string_at(self.base + offset, nbytes).hex()

    def write(self, offset: int, data: str) -> None:
        content = bytes.fromhex(data)
        ctypes.memmove(self.base + offset, content, len(content))

    def touch(self) -> int:
        """Load one byte of each page; returns their sum."""
        pages = (ctypes.c_ubyte * self.nbytes).from_address(self.base)
        return sum(pages[::PAGE_SIZE])

    def memory(self) -> dict[str, int]:
        return smaps(self.base, self.base + self.nbytes)

    def call(self, offset: int) -> int:
        """Jump to the byte at `offset`; what comes back is the function's result."""
        if platform.machine() == "aarch64":
            clear = ctypes.CDLL("libgcc_s.so.1").__clear_cache
            clear(ctypes.c_void_p(self.base), ctypes.c_void_p(self.base + self.nbytes))
        result: int = ctypes.CFUNCTYPE(ctypes.c_int)(self.base + offset)()
        return result


def serve() -> None:
    """Map what the command line says, and answer until the pipe closes: [name, arguments ...] a line."""
    attached = Attached(json.loads(sys.argv[1]))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        answer: Callable[..., Any] = getattr(attached, name)
        print(json.dumps(answer(*arguments)), flush=True)


if __name__ == "__main__":
    serve()
