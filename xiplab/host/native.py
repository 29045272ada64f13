"""The learner's own computer: a file's frames mapped by the host's MMU, and seen by other processes.

What the guests do in the model is done here for real. `Storage` is memory that other processes can
map; the extents of a file on a segment are mapped one after the other into one contiguous array:

    file      | page 0 | page 1 | page 2 (hole) | page 3 |
    extents     run A ────────┘   zeros           run B        mmap(MAP_SHARED|MAP_FIXED) each

    array = map_file(filp)              # numpy array, no copy, follows every change of storage
    with Peer(filp) as peer:            # another process of this computer
        peer.read(0, 4)
    views(filp), gather(filp)           # the model's view: works everywhere

The array lives as long as anything that looks at it: a slice, a memoryview. Linux only; elsewhere
`unavailable()` says why, and `views` gives the same bytes run by run.

Kernel: none (this is user space on the host)
"""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import select
import signal
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from xiplab.host import peer, probe
from xiplab.host.peer import MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE, Extent
from xiplab.linux.include.blkdev import FMODE_WRITE
from xiplab.linux.include.fs import File
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Pgoff, page_count

__all__ = ["PROT_EXEC", "PROT_READ", "PROT_WRITE", "Extent", "Peer", "extents", "gather", "map_extents",
           "map_file", "unavailable", "views"]

MAX_MAP_COUNT = Path("/proc/sys/vm/max_map_count")
ANSWER_SECONDS, END_SECONDS = 60, 5


def unavailable() -> str:
    """Why files cannot be mapped natively here; empty if they can."""
    if not sys.platform.startswith("linux"):
        return f"native mapping needs Linux, this is {sys.platform}; the model's view stays"
    if mmap.ALLOCATIONGRANULARITY != PAGE_SIZE:
        return (f"this computer maps memory in units of {mmap.ALLOCATIONGRANULARITY} bytes, blocks have "
                f"{PAGE_SIZE}; the model's view stays")
    return probe.memory()


def alone() -> str:
    """Why no other process can map a file natively; empty if one can."""
    return unavailable() or probe.processes()


def _need_mmu() -> None:
    if why := unavailable():
        raise OSError(errno.EOPNOTSUPP, why)


def extents(filp: File) -> list[Extent]:
    """Where the file's pages lie in Storage: neighbours in file and storage are one extent.

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
            _append(found, (first, offset, npages))
            pgoff = first + npages
    return found


def _append(found: list[Extent], extent: Extent) -> None:
    """Add an extent, or make the last one longer."""
    first, offset, npages = extent
    if found:
        start, at, length = found[-1]
        if offset == (None if at is None else at + (length << PAGE_SHIFT)):
            found[-1] = (start, at, length + npages)
            return
    found.append((first, offset, npages))


def views(filp: File) -> list[Bytes]:
    """The file as the model sees it: an array for each extent, read-only, no copy; zeros for a hole.

    Raises:
        OSError: those of extents().
    """
    storage = filp.f_mapping.kernel.memory.storage
    left = filp.f_inode.i_size
    found: list[Bytes] = []
    for _, offset, npages in extents(filp):
        nbytes = min(npages << PAGE_SHIFT, left)
        found.append(np.broadcast_to(np.uint8(0), (nbytes,)) if offset is None
                     else storage.readonly[offset:offset + nbytes])
        left -= nbytes
    return found


def gather(filp: File) -> Bytes:
    """The file in one array, which is a copy: what `map_file` saves."""
    return np.concatenate([*views(filp), np.zeros(0, np.uint8)])


class _Window:
    """Addresses reserved for one mapping; unmapped when the last array on them is gone."""

    def __init__(self, address: int, nbytes: int, length: int, *, writable: bool) -> None:
        self.__array_interface__: dict[str, Any] = {
            "version": 3, "typestr": "|u1", "shape": (length,), "data": (address, not writable)}
        weakref.finalize(self, peer.munmap, address, nbytes).atexit = False


def map_extents(fd: int, pieces: Sequence[Extent], length: int, *, writable: bool = False,
                private: bool = False) -> Bytes:
    """Map extents of the storage behind `fd` into one array of `length` bytes.

    Args:
        writable: stores are allowed. private: they stay in this array (copy on write).
    Returns:
        uint8 array. Holes read as zeros; stores to a hole of a shared mapping stay local.
    Raises:
        OSError: EOPNOTSUPP on this platform; EINVAL nothing to map, or a piece outside the array;
            ENOMEM more pieces than vm.max_map_count allows.
    """
    _need_mmu()
    if length < 1:
        raise OSError(errno.EINVAL, f"cannot map {length} bytes")
    npages = page_count(length)
    if outside := next((p for p in pieces if p[0] < 0 or p[2] < 1 or p[0] + p[2] > npages), None):
        raise OSError(errno.EINVAL, f"extent {outside}: not within {npages} pages")
    nbytes = npages << PAGE_SHIFT
    prot = PROT_READ | (PROT_WRITE if writable else 0)
    try:
        base = peer.map_extents(fd, pieces, nbytes, prot, MAP_PRIVATE if private else MAP_SHARED)
    except OSError as failure:
        if failure.errno != errno.ENOMEM:
            raise
        raise OSError(errno.ENOMEM, f"{len(pieces)} extents, {nbytes} bytes: no memory, or more mappings "
                                    f"than vm.max_map_count ({MAX_MAP_COUNT.read_text().strip()})") from None
    return np.asarray(_Window(base, nbytes, length, writable=writable))


def _check_writable(filp: File) -> None:
    if not filp.f_mode & FMODE_WRITE:
        raise OSError(errno.EACCES, f"{filp}: not open for writing")


def map_file(filp: File, *, writable: bool = False, private: bool = False) -> Bytes:
    """The open file as one array through the host's MMU: no copy, and every change of storage shows.

    Raises:
        OSError: EACCES writable, but the file is not open for writing; those of extents() and
            map_extents().
    """
    if writable and not private:
        _check_writable(filp)
    storage = filp.f_mapping.kernel.memory.storage
    return map_extents(storage.fd, extents(filp), filp.f_inode.i_size, writable=writable, private=private)


def _end(process: subprocess.Popen[str]) -> None:
    """End another process: its pipe closes, and so does it, unless it hangs."""
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Peer:
    """Another process of this computer that maps the same file from the same storage.

    It is a fresh interpreter that runs `peer.py`, with nothing but the descriptor of the storage and
    the list of extents. Several start side by side; the first question waits for its process. It ends
    with close(), or with this Python; an interrupt from the keyboard does not reach it.

    Attributes:
        pid: the process. length: bytes of the file.
    """

    def __init__(self, filp: File, prot: int = PROT_READ, *, private: bool = False,
                 copied: bool = False) -> None:
        """Start the process.

        Args:
            prot: PROT_READ, and PROT_WRITE or PROT_EXEC with it.
            private: stores stay with that process. copied: it reads the file into memory of its own,
                as a guest with a page cache does, and maps nothing.
        Raises:
            OSError: EOPNOTSUPP on this platform; EACCES PROT_WRITE, but the file is not open for
                writing; EINVAL an empty file; those of extents().
        """
        _need_mmu()
        if prot & PROT_WRITE and not private:
            _check_writable(filp)
        self.length = filp.f_inode.i_size
        if not self.length:
            raise OSError(errno.EINVAL, f"{filp}: cannot map 0 bytes")
        fd = filp.f_mapping.kernel.memory.storage.fd
        task = {"fd": fd, "extents": extents(filp), "length": self.length, "prot": prot, "private": private,
                "copied": copied}
        self._process = subprocess.Popen([sys.executable, "-I", "-S", peer.__file__, json.dumps(task)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         pass_fds=[fd], start_new_session=True)
        self.pid = self._process.pid
        self._end = weakref.finalize(self, _end, self._process)

    def read(self, offset: int, nbytes: int) -> bytes:
        """What the other process sees at `offset` of its mapping, now. Raises: OSError EFAULT outside."""
        self._check(offset, nbytes)
        return bytes.fromhex(self._ask("read", offset, nbytes))

    def write(self, offset: int, data: bytes) -> None:
        """Let the other process store `data`. Without PROT_WRITE that ends it by SIGSEGV (EPIPE)."""
        self._check(offset, len(data))
        self._ask("write", offset, data.hex())

    def touch(self) -> None:
        """Let the other process load a byte of every page, so that its page table has them all."""
        self._ask("touch")

    def memory(self) -> dict[str, int]:
        """KiB of its mapping, from its own smaps: Rss, Pss, Shared, Private (see peer.smaps)."""
        answer: dict[str, int] = self._ask("memory")
        return answer

    def call(self, offset: int) -> int:
        """Let the other process EXECUTE the bytes at `offset` as machine code of this computer.

        It needs PROT_EXEC. The code runs with the rights of this Python, as any program that you start;
        `code.returning` makes harmless code. A wrong byte ends that process alone.
        Raises:
            OSError: EFAULT outside the file; EPIPE the process ended; ETIMEDOUT it did not return, and
                was ended.
        """
        self._check(offset, 1)
        answer: int = self._ask("call", offset)
        return answer

    def _check(self, offset: int, nbytes: int) -> None:
        if not 0 <= offset <= offset + nbytes <= self.length:
            raise OSError(errno.EFAULT, f"{nbytes} bytes at {offset}: outside the file ({self.length} bytes)")

    def _ask(self, *question: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._ended() from None
        answers = select.poll()
        answers.register(self._process.stdout, select.POLLIN)
        if not answers.poll(ANSWER_SECONDS * 1000):
            self._process.kill()
            raise OSError(errno.ETIMEDOUT, f"process {self.pid}: no answer in {ANSWER_SECONDS} s; ended")
        answer = self._process.stdout.readline()
        if not answer:
            raise self._ended()
        return json.loads(answer)

    def _ended(self) -> OSError:
        status = self._process.wait(timeout=ANSWER_SECONDS)
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return OSError(errno.EPIPE, f"process {self.pid} has ended {how}")

    def close(self) -> None:
        """End the process; closing again does nothing. A Peer that nobody has any more is closed, too."""
        self._end()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()
