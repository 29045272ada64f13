"""A process of a guest, and its system calls.

The calls are named and behave like those of the `os` module, with the kernel's errnos:

    fd = process.open("/mnt/lib/greeting")         open files: process_data.py
    process.pread(fd, 100, 0)
    process.stat("/mnt/lib/greeting")              names: process_names.py
    memory = process.mmap(fd, 4096, PROT_READ, MAP_SHARED)

Each call sets `kernel.current` and goes to the function that the kernel's own system call calls.
`ls`, `cat`, `cp` and `echo` are made of them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import ExitStack

from xiplab.linux.fs.exec import do_execve
from xiplab.linux.fs.namei import PathName
from xiplab.linux.fs.super import do_mount, do_umount
from xiplab.linux.fs.task_mmu import show_map
from xiplab.linux.include.fs import (
    MS_NOATIME,
    MS_NODIRATIME,
    MS_RDONLY,
    MS_RELATIME,
    MS_REMOUNT,
    MS_STRICTATIME,
    MS_SYNCHRONOUS,
    O_APPEND,
    O_CREAT,
    O_TRUNC,
    O_WRONLY,
)
from xiplab.linux.include.mm import MAP_DENYWRITE, MAP_EXECUTABLE, MAP_SHARED, MS_SYNC, PROT_READ
from xiplab.linux.include.module import Module
from xiplab.linux.include.sched import Cred
from xiplab.linux.kernel import module
from xiplab.linux.kernel.sched import BUDGET, exit_status, schedule
from xiplab.linux.kernel.task import do_exit
from xiplab.linux.mm.madvise import do_fadvise, do_madvise, do_readahead
from xiplab.linux.mm.mincore import do_mincore
from xiplab.linux.mm.mmap import do_mmap_pgoff, do_munmap
from xiplab.linux.mm.mprotect import do_mprotect
from xiplab.linux.mm.msync import do_msync
from xiplab.linux.mm.swapfile import sys_swapon
from xiplab.mapping import Mapping
from xiplab.process_names import NameCalls
from xiplab.units import PAGE_SIZE, pos_to_pgoff

MOUNT_FLAGS = {"ro": MS_RDONLY, "remount": MS_REMOUNT, "sync": MS_SYNCHRONOUS, "noatime": MS_NOATIME,
               "nodiratime": MS_NODIRATIME, "relatime": MS_RELATIME, "strictatime": MS_STRICTATIME}


class Process(NameCalls):
    """A task and what it can ask its kernel.

    Attributes:
        task: the kernel's record of it. kernel: its guest's kernel.
    """

    # its program

    def maps(self) -> list[str]:
        """The lines of /proc/PID/maps."""
        return show_map(self._enter())

    def run(self, budget: int = BUDGET) -> int:
        """Let the process's s390x program run to its end.

        Args:
            budget: instructions that it may use; when they are used up it ends with SIGXCPU.
        Returns:
            what it gave to exit(), or minus the number of the signal that ended it.
        Raises:
            OSError: ENOEXEC there is no program.
        """
        task = self._enter()
        if not task.regs.asce:
            raise OSError(errno.ENOEXEC, f"{task} has no program")
        schedule([task], budget)
        return exit_status(task)

    # memory

    def mmap(self, fd: int, length: int = 0, prot: int = PROT_READ, flags: int = MAP_SHARED,
             offset: int = 0) -> Mapping:
        """mmap(2): `length` bytes of the file from `offset`; 0 means up to its end. fd -1: anonymous."""
        task = self._enter()
        if offset % PAGE_SIZE:
            raise OSError(errno.EINVAL, f"mmap: offset {offset} is not the start of a page")
        filp = None if fd == -1 else self._file(fd)
        if not length and filp is not None:
            length = filp.f_inode.i_size - offset
        flags &= ~(MAP_DENYWRITE | MAP_EXECUTABLE)
        vma = do_mmap_pgoff(task.mm, filp, 0, length, prot, flags, pos_to_pgoff(offset))
        return Mapping(vma, length)

    def mprotect(self, vaddr: int, length: int, prot: int) -> None:
        do_mprotect(self._enter().mm, vaddr, length, prot)

    def munmap(self, vaddr: int, length: int) -> None:
        do_munmap(self._enter().mm, vaddr, length)

    def msync(self, vaddr: int, length: int, flags: int = MS_SYNC) -> None:
        do_msync(self._enter().mm, vaddr, length, flags)

    def mincore(self, vaddr: int, length: int) -> list[int]:
        return do_mincore(self._enter().mm, vaddr, length)

    def madvise(self, vaddr: int, length: int, advice: int) -> None:
        do_madvise(self._enter().mm, vaddr, length, advice)

    def posix_fadvise(self, fd: int, offset: int, length: int, advice: int) -> None:
        do_fadvise(self._file(fd), offset, length, advice)

    def readahead(self, fd: int, offset: int, count: int) -> None:
        do_readahead(self._file(fd), offset, count)

    def swapon(self, path: PathName) -> None:
        fd = self.open(path)
        try:
            sys_swapon(self._file(fd))
        finally:
            self.close(fd)

    # mounts

    def mount(self, device: str, path: PathName, fstype: str = "ext2", options: str = "") -> None:
        """mount(8): options are separated by commas; those that are not general go to the file system."""
        flags, rest = 0, []
        for option in filter(None, options.split(",")):
            if option in MOUNT_FLAGS:
                flags |= MOUNT_FLAGS[option]
            elif option != "rw":
                rest.append(option)
        do_mount(self._enter(), device, path, fstype, flags, ",".join(rest))

    def umount(self, path: PathName) -> None:
        do_umount(self._enter(), path)

    def setuid(self, uid: int, gid: int | None = None, groups: Sequence[int] = ()) -> None:
        """Become another user; anyone but root loses all capabilities."""
        capabilities = Cred().capabilities if uid == 0 else frozenset[int]()
        self.task.cred = Cred(uid, uid if gid is None else gid, frozenset(groups), capabilities)

    def execve(self, path: PathName, argv: Sequence[str | bytes], envp: Sequence[str | bytes] = ()) -> None:
        """execve(2): the task becomes another program, and is about to begin.

        Raises:
            OSError: ENOENT, EACCES, ETXTBSY, ENOEXEC, ELIBBAD, E2BIG; EINVAL, ENOMEM or EFAULT of a
                program that cannot be mapped: then its memory is gone and a signal is pending.
        """
        do_execve(self._enter(), path, [os.fsencode(word) for word in argv],
                  [os.fsencode(word) for word in envp])

    def exit(self) -> None:
        """_exit(2): memory and files go back."""
        do_exit(self._enter())

    # the shell's

    def insmod(self, path: PathName) -> Module:
        """insmod(8): load a kernel module from a file."""
        return module.insmod(self._enter(), path)

    def rmmod(self, name: str) -> None:
        module.delete_module(self._enter(), name)

    def lsmod(self) -> list[str]:
        """The lines of /proc/modules."""
        return module.m_show(self.kernel)

    def ls(self, path: PathName = "/") -> list[str]:
        return sorted(self.listdir(path))

    def cat(self, path: PathName) -> bytes:
        """The whole file."""
        fd = self.open(path)
        try:
            return b"".join(iter(lambda: self.read(fd, 1 << 20), b""))
        finally:
            self.close(fd)

    def echo(self, text: str, path: PathName, *, append: bool = False) -> None:
        """echo text > path: one write, with a newline."""
        fd = self.open(path, O_WRONLY | O_CREAT | (O_APPEND if append else O_TRUNC))
        try:
            self.write(fd, text.encode() + b"\n")
        finally:
            self.close(fd)

    def cp(self, source: PathName, target: PathName) -> None:
        """Copy a file, a mebibyte at a time."""
        with ExitStack() as opened:
            read_from = self.open(source)
            opened.callback(self.close, read_from)
            write_to = self.open(target, O_WRONLY | O_CREAT | O_TRUNC, self.fstat(read_from).st_mode & 0o777)
            opened.callback(self.close, write_to)
            while data := self.read(read_from, 1 << 20):
                while data:
                    data = data[self.write(write_to, data):]
