"""The page cache of the learner's own computer: a file of four pages, its mapping, and what is dirty.

    with CachedFile() as file:
        file.text[0] = ord("J")         store through the mapping
        file.read(1)                    read through a descriptor
        file.dirty(), file.sync()       pages of the mapping not yet written; msync
        file.cached(), file.drop()      which pages the page cache holds; ask it to forget them

The file goes away with the object. Linux only; elsewhere `unavailable()` says why.

Kernel: none (this is user space on the host)
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
from types import TracebackType

from xiplab.host import probe
from xiplab.units import PAGE_SIZE

PAGES = 4


def unavailable() -> str:
    """Why the page cache of this computer cannot be looked at; empty if it can."""
    if not sys.platform.startswith("linux"):
        return f"what is dirty can be seen on Linux, this is {sys.platform}"
    if mmap.PAGESIZE != PAGE_SIZE:
        return f"the pages of this computer have {mmap.PAGESIZE} bytes, not {PAGE_SIZE}"
    if not os.access("/proc/self/smaps", os.R_OK):
        return "this computer does not show /proc/self/smaps"
    return probe.files()


class CachedFile:
    """A file of four pages in the folder for such files, mapped shared and writable.

    Attributes:
        text: the mapping. fd: a descriptor of the file.
    """

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="xiplab-pagecache-")  # noqa: SIM115
        self.fd = self._file.fileno()
        os.write(self.fd, b".".ljust(PAGE_SIZE, b".") * PAGES)
        os.fsync(self.fd)
        self.text = mmap.mmap(self.fd, PAGES * PAGE_SIZE)
        if hasattr(os, "posix_fadvise"):
            self.drop()

    def read(self, nbytes: int, offset: int = 0) -> bytes:
        """read(2) through the descriptor."""
        return os.pread(self.fd, nbytes, offset)

    def sync(self) -> None:
        """msync(MS_SYNC)."""
        self.text.flush()

    def drop(self) -> None:
        """Ask Linux to forget the cached pages, and to read none ahead. A file in memory keeps them."""
        self.text.close()
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_RANDOM)
        self.text = mmap.mmap(self.fd, PAGES * PAGE_SIZE)

    def dirty(self) -> int:
        """How many pages of the mapping are dirty, by /proc/self/smaps."""
        inside, kib = False, 0
        with open("/proc/self/smaps", encoding="ascii", errors="replace") as lines:
            for line in lines:
                key, _, rest = line.partition(":")
                if "-" in line.split(" ", 1)[0]:
                    inside = self._file.name in line
                elif inside and key in ("Shared_Dirty", "Private_Dirty"):
                    kib += int(rest.split()[0])
        return kib * 1024 // PAGE_SIZE

    def cached(self) -> list[int]:
        """mincore(2): 1 for each page that the page cache holds."""
        first = ctypes.c_char.from_buffer(self.text)
        answer = (ctypes.c_ubyte * PAGES)()
        ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(first)),
                                  ctypes.c_size_t(PAGES * PAGE_SIZE), answer)
        return [byte & 1 for byte in answer]

    def close(self) -> None:
        """Give the mapping and the file back."""
        self.text.close()
        self._file.close()

    def __enter__(self) -> CachedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()
