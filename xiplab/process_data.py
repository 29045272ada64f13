"""System calls on open files: open and close, read and write.

Each call sets `kernel.current` and goes to the function that the kernel's own system call calls. The calls on
names are in process_names.py, all the others in process.py.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from xiplab.linux.fs import open as fs_open
from xiplab.linux.fs import read_write
from xiplab.linux.fs.aio import Iocb, Kioctx, io_submit
from xiplab.linux.fs.fcntl import do_fcntl, sys_dup, sys_dup2
from xiplab.linux.fs.namei import PathName
from xiplab.linux.fs.namei_quick import open_quick
from xiplab.linux.fs.open import do_sys_ftruncate, do_sys_truncate
from xiplab.linux.fs.splice import do_sendfile
from xiplab.linux.fs.super import sync_filesystem
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE
from xiplab.linux.include.fs import O_APPEND, O_LARGEFILE, O_RDONLY, S_IFIFO, S_IFMT, SEEK_SET, File
from xiplab.linux.include.sched import Task
from xiplab.linux.mm.iov import Buffer, FreshBytes, HostBuffer, as_bytes


class DataCalls:
    """A task, and what it can ask its kernel about open files.

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

    # files: open, close, duplicate

    def open(self, path: PathName, flags: int = O_RDONLY, mode: int = 0o666) -> int:
        """open(2): the lowest free descriptor. Large files are always allowed."""
        self.kernel.current = task = self.task
        flags |= O_LARGEFILE
        fd = -1 if task.ended else open_quick(task, path, flags, mode)
        return fd if fd >= 0 else fs_open.do_sys_open(self._enter(), path, flags, mode)

    def close(self, fd: int) -> None:
        self.kernel.current = task = self.task
        fs_open.filp_close(self._enter() if task.ended else task, fd)

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
