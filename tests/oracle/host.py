"""This computer's kernel as the reference: its ext2 on a loop device, used through `os`.

Runs only in a process of its own, with a mount namespace of its own (record.py): whatever happens to
that process, the mount and the loop device go with it.

The process changes its root directory to the mount, so that "/", ".." and absolute symbolic links mean
the same there as in the guest. Loads and stores in a mapping go through a pipe: the kernel touches the
page, and says EFAULT where the process itself would get a SIGBUS.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import subprocess
from pathlib import Path
from typing import Any

from xiplab.errors import SIGBUS, Signal

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
MAP_FAILED = ctypes.c_void_p(-1).value
MS_SYNC = 4


def check(result: int | None) -> int:
    """Raises OSError with the C library's errno if a call has failed."""
    if result in (-1, MAP_FAILED, None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class HostCalls:
    """The `os` module on an image that is mounted at `folder`, which is the root of all paths."""

    def __init__(self, image: Path, folder: Path, options: str = "rw") -> None:
        self.image, self.folder, self.options = image, folder, options
        self.outside = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        self.pipe = os.pipe()
        os.setgroups([])
        os.umask(0o022)
        self.mount()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def mount(self) -> None:
        """Raises CalledProcessError if this is not possible here."""
        options = f"loop,{self.options}"
        subprocess.run(["mount", "-t", "ext2", "-o", options, self.image, self.folder], check=True,
                       capture_output=True)
        os.chroot(self.folder)
        os.chdir("/")

    def umount(self, *options: str) -> None:
        self.become(0)
        os.fchdir(self.outside)
        os.chroot(".")
        subprocess.run(["umount", *options, self.folder], check=True, capture_output=True)

    def cycle(self) -> None:
        self.umount()
        self.mount()

    def become(self, uid: int) -> None:
        os.seteuid(0)
        os.setegid(uid)
        os.seteuid(uid)

    def mknod(self, path: str, mode: int) -> None:
        os.mknod(path, mode)

    def utimens(self, path: str, atime_ns: int | None, mtime_ns: int | None) -> None:
        """The C library's call: `os.utime` cannot set one time and leave "now" to the other."""
        now = (0, (1 << 30) - 1)
        times = [now if t is None else divmod(t, 10**9) for t in (atime_ns, mtime_ns)]
        ctypes.set_errno(0)
        check(libc.utimensat(-100, os.fsencode(path), (ctypes.c_long * 4)(*times[0], *times[1]), 0))

    def free(self) -> tuple[int, int]:
        st = os.statvfs("/")
        return st.f_bfree, st.f_ffree

    def sync(self) -> None:
        """This file system only. Anybody may."""
        uid = os.geteuid()
        self.become(0)
        root = os.open("/", os.O_RDONLY)
        try:
            check(libc.syncfs(root))
        finally:
            os.close(root)
            self.become(uid)

    def setfl(self, fd: int, flags: int) -> None:
        check(libc.fcntl(fd, fcntl.F_SETFL, flags))

    def getfl(self, fd: int) -> int:
        return check(libc.fcntl(fd, fcntl.F_GETFL))

    def map(self, fd: int, length: int, prot: int, flags: int, offset: int) -> tuple[int, int]:
        return check(libc.mmap(None, length, prot, flags, fd, offset)), length

    def unmap(self, area: tuple[int, int]) -> None:
        check(libc.munmap(*area))

    def sync_area(self, area: tuple[int, int]) -> None:
        check(libc.msync(*area, MS_SYNC))

    def load(self, area: tuple[int, int], offset: int, nbytes: int) -> bytes:
        memory = (ctypes.c_char * nbytes).from_address(area[0] + offset)
        try:
            return os.read(self.pipe[0], os.writev(self.pipe[1], [memory]))
        except OSError as failure:
            raise self._fault(failure, area[0] + offset) from failure

    def store(self, area: tuple[int, int], offset: int, data: bytes) -> None:
        memory = (ctypes.c_char * len(data)).from_address(area[0] + offset)
        os.write(self.pipe[1], data)
        try:
            os.readv(self.pipe[0], [memory])
        except OSError as failure:
            os.read(self.pipe[0], len(data))
            raise self._fault(failure, area[0] + offset) from failure

    def _fault(self, failure: OSError, address: int) -> BaseException:
        return Signal(SIGBUS, address, "no page") if failure.errno == errno.EFAULT else failure
