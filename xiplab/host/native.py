"""The learner's own computer: a file's frames mapped by the host's MMU, and seen by other processes.

What the guests do in the model is done here for real. `Storage` is memory that other processes can
map; the extents of a file on a segment are mapped one after the other into one contiguous array:

    file      | page 0 | page 1 | page 2 (hole) | page 3 |
    extents     run A ────────┘   anonymous zeros  run B        mmap(MAP_SHARED|MAP_FIXED) each

    array = map_file(filp)              # numpy array, no copy, follows every change of storage
    with Peer(filp) as peer:            # another process of this computer
        peer.read(0, 4)

Linux only; elsewhere `unavailable()` says why.

Kernel: none (this is user space on the host)
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import mmap
import os
import subprocess
import sys
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from xiplab.linux.include.blkdev import FMODE_WRITE
from xiplab.linux.include.fs import File
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Pgoff, page_count

PROT_NONE, PROT_READ, PROT_WRITE = 0, 1, 2
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE = 1, 2, 0x10, 0x20, 0x4000
MAP_FAILED = ctypes.c_void_p(-1).value

Extent = tuple[int, int | None, int]
"""First page of the file, byte offset in Storage (None: a hole), number of pages."""


def unavailable() -> str:
    """Why files cannot be mapped natively here; empty if they can."""
    if not sys.platform.startswith("linux"):
        return f"native mapping needs Linux, this is {sys.platform}; the model's view stays"
    if mmap.ALLOCATIONGRANULARITY != PAGE_SIZE:
        return (f"this computer maps memory in units of {mmap.ALLOCATIONGRANULARITY} bytes, blocks have "
                f"{PAGE_SIZE}; the model's view stays")
    return ""


def extents(filp: File) -> list[Extent]:
    """Where the file's pages lie in Storage.

    Raises:
        OSError: EOPNOTSUPP the file is not on a XIP mount; what get_xip_mem answers.
    """
    mapping = filp.f_mapping
    if mapping.a_ops.get_xip_runs is None:
        raise OSError(errno.EOPNOTSUPP, f"{filp}: its pages are copies in the page cache, not storage")
    memory = mapping.kernel.memory
    found: list[Extent] = []
    pgoff, end = 0, page_count(filp.f_inode.i_size)
    while pgoff < end:
        for first, pfn, npages in mapping.a_ops.get_xip_runs(mapping, Pgoff(pgoff), end - pgoff, False):
            nbytes = npages << PAGE_SHIFT
            offset = None if pfn is None else memory.host_offset(pfn << PAGE_SHIFT, nbytes)
            found.append((first, offset, npages))
            pgoff = first + npages
    return found


class _Window:
    """Addresses reserved for one mapping; unmapped when the last array on them is gone."""

    def __init__(self, address: int, nbytes: int, length: int, *, writable: bool) -> None:
        self.__array_interface__: dict[str, Any] = {
            "version": 3, "typestr": "|u1", "shape": (length,), "data": (address, not writable)}
        weakref.finalize(self, _munmap, address, nbytes)


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                          ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


def _mmap(address: int | None, nbytes: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> int:
    result: int | None = _libc().mmap(address, nbytes, prot, flags, fd, offset)
    if result is None or result == MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"mmap of {nbytes} bytes: {os.strerror(number)}")
    return result


def _munmap(address: int, nbytes: int) -> None:
    _libc().munmap(address, nbytes)


def map_extents(fd: int, pieces: Sequence[Extent], length: int, *, writable: bool = False,
                private: bool = False) -> Bytes:
    """Map extents of the storage behind `fd` into one array of `length` bytes.

    Args:
        writable: stores are allowed. private: they stay in this array (copy on write).
    Returns:
        uint8 array. Holes read as zeros; stores to a hole of a shared mapping stay local.
    Raises:
        OSError: EOPNOTSUPP on this platform; EINVAL nothing to map; ENOMEM too many extents.
    """
    if why := unavailable():
        raise OSError(errno.EOPNOTSUPP, why)
    if length < 1:
        raise OSError(errno.EINVAL, f"cannot map {length} bytes")
    nbytes = page_count(length) << PAGE_SHIFT
    prot = PROT_READ | (PROT_WRITE if writable else 0)
    base = _mmap(None, nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
    try:
        for pgoff, offset, npages in pieces:
            at, size = base + (pgoff << PAGE_SHIFT), npages << PAGE_SHIFT
            if offset is None:
                _mmap(at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE)
            else:
                _mmap(at, size, prot, (MAP_PRIVATE if private else MAP_SHARED) | MAP_FIXED, fd, offset)
    except OSError:
        _munmap(base, nbytes)
        raise
    return np.asarray(_Window(base, nbytes, length, writable=writable))


def map_file(filp: File, *, writable: bool = False, private: bool = False) -> Bytes:
    """The open file as one array through the host's MMU: no copy, and every change of storage shows.

    Raises:
        OSError: EACCES writable, but the file is not open for writing; those of extents() and
            map_extents().
    """
    if writable and not private and not filp.f_mode & FMODE_WRITE:
        raise OSError(errno.EACCES, f"{filp}: not open for writing")
    storage = filp.f_mapping.kernel.memory.storage
    return map_extents(storage.fd, extents(filp), filp.f_inode.i_size, writable=writable, private=private)


class Peer:
    """Another process of this computer that maps the same file from the same storage.

    It is a fresh interpreter, started with nothing but the descriptor of the storage and the list of
    extents; it answers questions over a pipe.
    """

    def __init__(self, filp: File) -> None:
        fd = filp.f_mapping.kernel.memory.storage.fd
        task = {"fd": fd, "extents": extents(filp), "length": filp.f_inode.i_size}
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from xiplab.host.native import serve; serve()", json.dumps(task)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[fd],
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))))
        self.pid = self._process.pid

    def read(self, offset: int, nbytes: int) -> bytes:
        """What the other process sees at `offset` of its mapping, now."""
        return bytes.fromhex(self._ask({"read": [offset, nbytes]}))

    def memory(self) -> dict[str, int]:
        """Rss and Pss of its mapping in KiB, from its own smaps: Pss counts a shared page in part."""
        answer: dict[str, int] = json.loads(self._ask({"smaps": True}))
        return answer

    def _ask(self, question: dict[str, Any]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise OSError(errno.EPIPE, f"process {self.pid} has ended") from None
        answer = self._process.stdout.readline()
        if not answer:
            raise OSError(errno.EPIPE, f"process {self.pid} has ended")
        return answer.strip()

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()


def serve() -> None:
    """The other process: map what the command line says and answer until the pipe closes."""
    task = json.loads(sys.argv[1])
    array = map_extents(task["fd"], task["extents"], task["length"])
    for line in sys.stdin:
        question = json.loads(line)
        if "read" in question:
            offset, nbytes = question["read"]
            print(array[offset:offset + nbytes].tobytes().hex(), flush=True)
        else:
            print(json.dumps(smaps("xiplab-storage")), flush=True)


def smaps(name: str) -> dict[str, int]:
    """Rss and Pss in KiB of this process's mappings whose path holds `name`."""
    totals = {"Rss": 0, "Pss": 0}
    inside = False
    with open("/proc/self/smaps", encoding="ascii", errors="replace") as lines:
        for line in lines:
            key, _, rest = line.partition(":")
            if "-" in line.split(" ", 1)[0]:
                inside = name in line
            elif inside and key in totals:
                totals[key] += int(rest.split()[0])
    return totals
