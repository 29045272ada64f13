"""Memory of the host that plays the user's buffer of a read or a write.

A running program's buffer lies in its own address space instead: arch/s390/uaccess.py.

Kernel: none (access_ok and the user's pointer)
"""

from __future__ import annotations

import mmap
from typing import TypeAlias

import numpy as np

from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SIZE

Buffer: TypeAlias = bytes | bytearray | memoryview | mmap.mmap | Bytes
"""Memory of the host that a call reads from or writes to."""


def as_bytes(buffer: Buffer) -> memoryview:
    """The buffer as a row of bytes, not copied."""
    return (buffer.data if isinstance(buffer, np.ndarray) else memoryview(buffer)).cast("B")


class FreshBytes:
    """A buffer that becomes a new bytes object.

    A long piece, a run of storage, is only noted, and copied once at the end. A page is copied at
    once: it may be a page of the cache, which the next piece may drive out.
    """

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[memoryview | bytes] = []

    def copy_to_user(self, src: memoryview) -> int:
        self._pieces.append(src if len(src) > PAGE_SIZE else bytes(src))
        return len(src)

    def clear_user(self, nbytes: int) -> int:
        self._pieces.append(bytes(nbytes))
        return nbytes

    def copy_from_user(self, dst: memoryview) -> int:
        return 0

    def take(self, nbytes: int) -> bytes:
        """The first `nbytes` that arrived."""
        whole = b"".join(self._pieces)
        return whole if len(whole) == nbytes else whole[:nbytes]


class HostBuffer:
    """A buffer of the host's. `accessible` bytes of it can be used; beyond, accesses fault."""

    __slots__ = ("_at", "_end", "_memory")

    def __init__(self, memory: Buffer, accessible: int | None = None) -> None:
        self._memory = as_bytes(memory)
        self._at = 0
        self._end = len(self._memory) if accessible is None else accessible

    def copy_to_user(self, src: memoryview) -> int:
        nbytes = min(len(src), self._end - self._at)
        self._memory[self._at:self._at + nbytes] = src[:nbytes]
        self._at += nbytes
        return nbytes

    def clear_user(self, nbytes: int) -> int:
        nbytes = min(nbytes, self._end - self._at)
        self._memory[self._at:self._at + nbytes] = bytes(nbytes)
        self._at += nbytes
        return nbytes

    def copy_from_user(self, dst: memoryview) -> int:
        nbytes = min(len(dst), self._end - self._at)
        dst[:nbytes] = self._memory[self._at:self._at + nbytes]
        self._at += nbytes
        return nbytes
