"""A process of a guest, and its system calls.

The calls are named and behave like those of the `os` module, with the kernel's errnos:

    fd = process.open("/mnt/lib/greeting")
    process.pread(fd, 100, 0)
    memory = process.mmap(fd, 4096, PROT_READ, MAP_SHARED)

Each call sets `kernel.current` and goes to the function that the kernel's own system call calls.
`ls`, `cat`, `cp` and `echo` are made of them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import ExitStack

from xiplab.linux.fs import namei_change, read_write
from xiplab.linux.fs import open as fs_open
from xiplab.linux.fs.aio import Iocb, Kioctx, io_submit
from xiplab.linux.fs.dcache import d_path
from xiplab.linux.fs.exec import do_execve
from xiplab.linux.fs.fcntl import do_fcntl, sys_dup, sys_dup2
from xiplab.linux.fs.namei import PathName, inode_of, path_lookup, vfs_readlink
from xiplab.linux.fs.namei_quick import mkdir_quick, open_quick, stat_quick, unlink_quick
from xiplab.linux.fs.open import (
    chmod_common,
    chown_common,
    do_sys_ftruncate,
    do_sys_truncate,
    sys_chdir,
    utimes_common,
)
from xiplab.linux.fs.readdir import names_of, vfs_readdir
from xiplab.linux.fs.splice import do_sendfile
from xiplab.linux.fs.stat import Stat, generic_fillattr
from xiplab.linux.fs.super import do_mount, do_umount, sync_filesystem
from xiplab.linux.fs.task_mmu import show_map
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE
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
    O_DIRECTORY,
    O_LARGEFILE,
    O_RDONLY,
    O_TRUNC,
    O_WRONLY,
    S_IFIFO,
    S_IFMT,
    SEEK_SET,
    File,
    Inode,
    Kstatfs,
)
from xiplab.linux.include.mm import MAP_DENYWRITE, MAP_EXECUTABLE, MAP_SHARED, MS_SYNC, PROT_READ
from xiplab.linux.include.module import Module
from xiplab.linux.include.sched import Cred, Task
from xiplab.linux.kernel import module
from xiplab.linux.kernel.sched import BUDGET, exit_status, schedule
from xiplab.linux.kernel.task import do_exit
from xiplab.linux.mm.iov import Buffer, FreshBytes, HostBuffer, as_bytes
from xiplab.linux.mm.madvise import do_fadvise, do_madvise, do_readahead
from xiplab.linux.mm.mincore import do_mincore
from xiplab.linux.mm.mmap import do_mmap_pgoff, do_munmap
from xiplab.linux.mm.mprotect import do_mprotect
from xiplab.linux.mm.msync import do_msync
from xiplab.linux.mm.swapfile import sys_swapon
from xiplab.mapping import Mapping
from xiplab.units import PAGE_SIZE, pos_to_pgoff

MOUNT_FLAGS = {"ro": MS_RDONLY, "remount": MS_REMOUNT, "sync": MS_SYNCHRONOUS, "noatime": MS_NOATIME,
               "nodiratime": MS_NODIRATIME, "relatime": MS_RELATIME, "strictatime": MS_STRICTATIME}


class Process:
    """A task and what it can ask its kernel.

    Attributes:
        task: the kernel's record of it. kernel: its guest's kernel.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.kernel = task.kernel

    def __repr__(self) -> str:
        return f"<{self.task} on {self.kernel}>"

    def _enter(self) -> Task:
        """A system call begins. Raises OSError ESRCH for a task that has ended."""
        if self.task.ended:
            raise OSError(errno.ESRCH, f"{self.task} on {self.kernel} has ended")
        self.kernel.current = self.task
        return self.task

    def _file(self, fd: int) -> File:
        self.kernel.current = task = self.task
        files = task.files
        filp = files[fd] if 0 <= fd < len(files) else None
        return fs_open.fget(task, fd) if filp is None else filp

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

    # files: open, close, duplicate

    def open(self, path: PathName, flags: int = O_RDONLY, mode: int = 0o666) -> int:
        """open(2): the lowest free descriptor. Large files are always allowed."""
        self.kernel.current = task = self.task
        if task.ended:
            self._enter()
        flags |= O_LARGEFILE
        fd = open_quick(task, path, flags, mode)
        return fd if fd >= 0 else fs_open.do_sys_open(task, path, flags, mode)

    def close(self, fd: int) -> None:
        fs_open.filp_close(self._enter(), fd)

    def dup(self, fd: int) -> int:
        """dup(2): another descriptor of the same open file, sharing its position."""
        return sys_dup(self._enter(), fd)

    def dup2(self, fd: int, new: int) -> int:
        """dup2(2): the same as `new`, which is closed first."""
        return sys_dup2(self._enter(), fd, new)

    def fcntl(self, fd: int, command: int, argument: int = 0) -> int:
        """fcntl(2): F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL. Raises OSError EINVAL for others."""
        return do_fcntl(self._enter(), fd, command, argument)

    def ioctl(self, fd: int, request: int, argument: int = 0) -> int:
        filp = self._file(fd)
        if filp.f_op.ioctl is None:
            raise OSError(errno.ENOTTY, f"{filp}: ioctl {request:#x}")
        return filp.f_op.ioctl(filp, request, argument)

    # data

    def read(self, fd: int, count: int) -> bytes:
        """read(2): up to `count` bytes from the file's position on, which moves."""
        filp = self._file(fd)
        data = self._read_at(filp, count, filp.f_pos)
        filp.f_pos += len(data)
        return data

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        """pread(2): up to `count` bytes from `offset` on.

        Begins with what _file() and _read_at() would do: two more calls cost as much as copying a page.
        """
        if offset < 0:
            raise OSError(errno.EINVAL, f"position {offset}")
        self.kernel.current = task = self.task
        files = task.files
        if 0 <= fd < len(files) and (filp := files[fd]) is not None:
            read_bytes = filp.f_op.read_bytes
            if read_bytes is not None and filp.f_mode & FMODE_READ:
                data = read_bytes(filp, count, offset)
                if data is not None:
                    return data
        return self._read_at(self._file(fd), count, offset)

    def _read_at(self, filp: File, count: int, pos: int) -> bytes:
        read_bytes = filp.f_op.read_bytes
        if read_bytes is not None and filp.f_mode & FMODE_READ:
            data = read_bytes(filp, count, pos)
            if data is not None:
                return data
        buf = FreshBytes()
        return buf.take(read_write.vfs_read(filp, buf, count, pos))

    def readinto(self, fd: int, buffer: Buffer, offset: int | None = None) -> int:
        """read(2) or, with an offset, pread(2) into memory that is there already."""
        filp = self._file(fd)
        host = as_bytes(buffer)
        pos = filp.f_pos if offset is None else offset
        moved = read_write.vfs_read(filp, HostBuffer(host), len(host), pos)
        if offset is None:
            filp.f_pos += moved
        return moved

    def readv(self, fd: int, buffers: Sequence[Buffer]) -> int:
        """readv(2): one read for each buffer, until one comes short."""
        filp = self._file(fd)
        moved = self._vectored(filp, buffers, filp.f_pos, write=False)
        filp.f_pos += moved
        return moved

    def preadv(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        if offset < 0:
            raise OSError(errno.EINVAL, f"position {offset}")
        return self._vectored(self._file(fd), buffers, offset, write=False)

    def write(self, fd: int, data: Buffer) -> int:
        """write(2): at the file's position, or at its end with O_APPEND; the position moves.

        Begins as pread() does.
        """
        self.kernel.current = task = self.task
        files = task.files
        if 0 <= fd < len(files) and (filp := files[fd]) is not None and type(data) is bytes:
            write_bytes = filp.f_op.write_bytes
            if write_bytes is not None and filp.f_mode & FMODE_WRITE and not filp.f_flags & O_APPEND:
                moved = write_bytes(filp, data, filp.f_pos)
                if moved is not None:
                    filp.f_pos += moved
                    return moved
        filp = self._file(fd)
        moved = self._write_at(filp, data, filp.f_pos)
        filp.f_pos = filp.f_inode.i_size if moved and filp.f_flags & O_APPEND else filp.f_pos + moved
        return moved

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        """pwrite(2). Begins as pread() does."""
        if offset < 0:
            raise OSError(errno.EINVAL, f"position {offset}")
        self.kernel.current = task = self.task
        files = task.files
        if 0 <= fd < len(files) and (filp := files[fd]) is not None and type(data) is bytes:
            write_bytes = filp.f_op.write_bytes
            if write_bytes is not None and filp.f_mode & FMODE_WRITE:
                moved = write_bytes(filp, data, offset)
                if moved is not None:
                    return moved
        return self._write_at(self._file(fd), data, offset)

    def _write_at(self, filp: File, data: Buffer, pos: int) -> int:
        memory = data if isinstance(data, bytes) else as_bytes(data)
        write_bytes = filp.f_op.write_bytes
        if write_bytes is not None and filp.f_mode & FMODE_WRITE:
            moved = write_bytes(filp, memory, pos)
            if moved is not None:
                return moved
        return read_write.vfs_write(filp, HostBuffer(memory), len(memory), pos)

    def writev(self, fd: int, buffers: Sequence[Buffer]) -> int:
        """writev(2): one write for each buffer, until one comes short."""
        filp = self._file(fd)
        moved = self._vectored(filp, buffers, filp.f_pos, write=True)
        filp.f_pos = filp.f_inode.i_size if filp.f_flags & O_APPEND and moved else filp.f_pos + moved
        return moved

    def pwritev(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        if offset < 0:
            raise OSError(errno.EINVAL, f"position {offset}")
        return self._vectored(self._file(fd), buffers, offset, write=True)

    def _vectored(self, filp: File, buffers: Sequence[Buffer], pos: int, *, write: bool) -> int:
        segments = [(HostBuffer(b), len(as_bytes(b))) for b in buffers]
        return read_write.do_loop_readv_writev(filp, segments, pos, write=write)

    def sendfile(self, out: int, fd: int, offset: int | None, count: int) -> int:
        """sendfile(2): from `fd` (at `offset`, or at its position, which then moves) to `out`."""
        return do_sendfile(self._enter(), out, fd, offset, count)

    def io_submit(self, ctx: Kioctx, opcode: int, fd: int, buffer: Buffer, offset: int,
                  data: object = None) -> int:
        """io_submit(2) of one request, for `buffer` as a whole; collect it with io_getevents()."""
        host = as_bytes(buffer)
        return io_submit(ctx, [Iocb(opcode, self._file(fd), HostBuffer(host), len(host), offset, data)])

    def lseek(self, fd: int, offset: int, whence: int = SEEK_SET) -> int:
        filp = self._file(fd)
        if filp.f_op.llseek is None or filp.f_inode.i_mode & S_IFMT == S_IFIFO:
            raise OSError(errno.ESPIPE, f"{filp}: has no position")
        return filp.f_op.llseek(filp, offset, whence)

    def ftruncate(self, fd: int, length: int) -> None:
        """ftruncate(2). Raises OSError EINVAL if the file is not open for writing."""
        do_sys_ftruncate(self._enter(), fd, length)

    def truncate(self, path: PathName, length: int) -> None:
        do_sys_truncate(self._enter(), path, length)

    def fsync(self, fd: int) -> None:
        """fsync(2). Raises OSError EINVAL for a file that cannot."""
        filp = self._file(fd)
        if filp.f_op.fsync is None:
            raise OSError(errno.EINVAL, f"{filp}: cannot be synced")
        filp.f_op.fsync(filp, False)

    def sync(self) -> None:
        """sync(2): everything dirty of every mounted file system goes to its device."""
        self._enter()
        for sb in self.kernel.super_blocks:
            sync_filesystem(sb)

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

    # names

    def _inode(self, path: PathName | int, *, follow: bool = True) -> Inode:
        """The inode that a path leads to, or that of an open file."""
        if isinstance(path, int):
            return self._file(path).f_inode
        return inode_of(path_lookup(self._enter(), path, follow=follow)[1])

    def stat(self, path: PathName | int) -> Stat:
        if isinstance(path, int):
            return self.fstat(path)
        task = self._enter()
        return generic_fillattr(stat_quick(task, path) or inode_of(path_lookup(task, path)[1]))

    def lstat(self, path: PathName) -> Stat:
        return generic_fillattr(self._inode(path, follow=False))

    def fstat(self, fd: int) -> Stat:
        return generic_fillattr(self._file(fd).f_inode)

    def listdir(self, path: PathName = "/") -> list[str]:
        """The names in a directory, without "." and "..", in its own order."""
        fd = self.open(path, O_RDONLY | O_DIRECTORY)
        try:
            return names_of(vfs_readdir(self._file(fd)))
        finally:
            self.close(fd)

    def mkdir(self, path: PathName, mode: int = 0o777) -> None:
        task = self._enter()
        if not mkdir_quick(task, path, mode):
            namei_change.do_mkdir(task, path, mode)

    def rmdir(self, path: PathName) -> None:
        namei_change.do_rmdir(self._enter(), path)

    def unlink(self, path: PathName) -> None:
        task = self._enter()
        if not unlink_quick(task, path):
            namei_change.do_unlink(task, path)

    def link(self, path: PathName, new: PathName) -> None:
        namei_change.do_link(self._enter(), path, new)

    def symlink(self, target: PathName, path: PathName) -> None:
        namei_change.do_symlink(self._enter(), target, path)

    def readlink(self, path: PathName) -> str:
        return os.fsdecode(vfs_readlink(self._inode(path, follow=False)))

    def rename(self, old: PathName, new: PathName) -> None:
        namei_change.do_rename(self._enter(), old, new)

    def mknod(self, path: PathName, mode: int, rdev: int = 0) -> None:
        namei_change.do_mknod(self._enter(), path, mode, rdev)

    def chdir(self, path: PathName) -> None:
        sys_chdir(self._enter(), path)

    def getcwd(self) -> str:
        pwd = self._enter().pwd
        assert pwd is not None
        return d_path(pwd)

    # attributes

    def chmod(self, path: PathName | int, mode: int) -> None:
        """chmod(2), or fchmod(2) of a descriptor."""
        chmod_common(self._inode(path), mode)

    def chown(self, path: PathName | int, uid: int = -1, gid: int = -1) -> None:
        """chown(2), or fchown(2) of a descriptor: -1 leaves a field."""
        chown_common(self._inode(path), uid, gid)

    def utimens(self, path: PathName | int, atime_ns: int | None = None, mtime_ns: int | None = None) -> None:
        """utimensat(2), or futimens(3) of a descriptor: times in ns; None means now."""
        utimes_common(self.task, self._inode(path), atime_ns, mtime_ns)

    def umask(self, mask: int) -> int:
        old, self.task.umask = self.task.umask, mask & 0o777
        return old

    def statfs(self, path: PathName) -> Kstatfs:
        sb = self._inode(path).i_sb
        if sb.s_op.statfs is None:
            raise OSError(errno.ENOSYS, f"{sb}: no statfs")
        return sb.s_op.statfs(sb)

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
