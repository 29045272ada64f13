"""System calls as programs make them: numbers in, numbers out, memory of the program's own in between.

    SVC 4 with r2 = 1, r3 = address, r4 = count  ──►  sys_write(task, 1, address, count)

Each function gets the registers that its arguments are in, as they are: unsigned, 64 bits. An address is
used through uaccess, page by page, with the faults that takes; one that nothing is mapped at makes EFAULT.
Descriptors, files and memory are those that `Process` works with.

Kernel: v3.6 arch/s390/kernel/syscalls.S, include/linux/syscalls.h, and the files named below
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from struct import iter_unpack, unpack

import numpy as np

from xiplab.errors import Signal
from xiplab.linux.arch.s390 import uaccess
from xiplab.linux.arch.s390.uaccess import UserMemory
from xiplab.linux.fs import fcntl
from xiplab.linux.fs import open as fs_open
from xiplab.linux.fs.exec import do_execve
from xiplab.linux.fs.namei import PATH_MAX
from xiplab.linux.fs.read_write import UIO_MAXIOV, do_loop_readv_writev, vfs_read, vfs_write
from xiplab.linux.fs.stat import generic_fillattr
from xiplab.linux.include.binfmts import MAX_ARG_STRLEN
from xiplab.linux.include.fs import O_APPEND, O_LARGEFILE, S_IFIFO, S_IFMT, File, UserBuffer
from xiplab.linux.include.kernel import SystemCall
from xiplab.linux.include.mm import MAP_ANONYMOUS, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_FIXED
from xiplab.linux.include.sched import Task
from xiplab.linux.include.stat import UserStat
from xiplab.linux.kernel.task import do_exit
from xiplab.linux.mm import mmap as mm_mmap
from xiplab.linux.mm.mprotect import do_mprotect
from xiplab.units import PAGE_SIZE, offset_in_page, page_align, pos_to_pgoff

WORD = 8
NSEC = 1_000_000_000
MAX_POINTERS = mm_mmap.STACK_LIMIT // 4 // WORD


def signed(register: int, bits: int = 64) -> int:
    """A register's low `bits` as C's signed number."""
    value = register & (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def to_fd(register: int) -> int:
    return signed(register, 32)


def copy_from_user(task: Task, address: int, nbytes: int) -> bytes:
    """Raises OSError EFAULT where nothing can be loaded."""
    try:
        return uaccess.load(task.mm, address, nbytes)
    except Signal as signal:
        raise OSError(errno.EFAULT, f"{task}: {signal}") from signal


def copy_to_user(task: Task, address: int, content: bytes | memoryview) -> None:
    """Raises OSError EFAULT where nothing can be stored."""
    try:
        uaccess.store(task.mm, address, content)
    except Signal as signal:
        raise OSError(errno.EFAULT, f"{task}: {signal}") from signal


def strncpy_from_user(task: Task, address: int, limit: int, too_long: int) -> bytes:
    """The string at `address`, without its NUL.

    Raises:
        OSError: EFAULT; `too_long` if there is no NUL in `limit` bytes.
    """
    string = b""
    while len(string) < limit:
        at = address + len(string)
        piece, found, _ = copy_from_user(task, at, PAGE_SIZE - offset_in_page(at)).partition(b"\0")
        string += piece
        if found:
            return string
    raise OSError(too_long, f"{task}: a string of {limit} bytes or more")


def getname(task: Task, address: int) -> bytes:
    """A path. Kernel: fs/namei.c"""
    return strncpy_from_user(task, address, PATH_MAX, errno.ENAMETOOLONG)


def strings(task: Task, address: int) -> list[bytes]:
    """An array of strings that ends with NULL: argv or envp. Kernel: fs/exec.c count()

    Raises:
        OSError: EFAULT; E2BIG.
    """
    found: list[bytes] = []
    while pointer := unpack(">Q", copy_from_user(task, address + WORD * len(found), WORD))[0]:
        if len(found) == MAX_POINTERS:
            raise OSError(errno.E2BIG, f"{task}: more than {MAX_POINTERS} strings")
        found.append(strncpy_from_user(task, pointer, MAX_ARG_STRLEN, errno.E2BIG))
    return found


def iovec(task: Task, address: int, count: int) -> list[tuple[UserBuffer, int]]:
    """An array of (address, length). Kernel: fs/read_write.c rw_copy_check_uvector()

    Raises:
        OSError: EFAULT; EINVAL too many, or a negative length.
    """
    if not 0 <= count <= UIO_MAXIOV:
        raise OSError(errno.EINVAL, f"{task}: {count} segments (limit {UIO_MAXIOV})")
    pairs = iter_unpack(">Qq", copy_from_user(task, address, 16 * count))
    return [(UserMemory(task.mm, base), length) for base, length in pairs]


def sys_exit(task: Task, code: int) -> int:
    """exit(2), and with one thread exit_group(2). Kernel: kernel/exit.c"""
    do_exit(task, (code & 0xFF) << 8)
    return 0


def sys_read(task: Task, fd: int, buf: int, count: int) -> int:
    filp = fs_open.fget(task, to_fd(fd))
    moved = vfs_read(filp, UserMemory(task.mm, buf), signed(count), filp.f_pos)
    filp.f_pos += moved
    return moved


def sys_write(task: Task, fd: int, buf: int, count: int) -> int:
    filp = fs_open.fget(task, to_fd(fd))
    moved = vfs_write(filp, UserMemory(task.mm, buf), signed(count), filp.f_pos)
    advance(filp, moved)
    return moved


def advance(filp: File, moved: int) -> None:
    """The position after a write."""
    at_end = filp.f_flags & O_APPEND and moved
    filp.f_pos = filp.f_inode.i_size if at_end else filp.f_pos + moved


def sys_open(task: Task, filename: int, flags: int, mode: int) -> int:
    """open(2). Kernel: fs/open.c"""
    name = getname(task, filename)
    return fs_open.do_sys_open(task, name, flags & 0xFFFF_FFFF | O_LARGEFILE, mode & 0o7777)


def sys_close(task: Task, fd: int) -> int:
    fs_open.filp_close(task, to_fd(fd))
    return 0


def sys_execve(task: Task, name: int, argv: int, envp: int) -> None:
    """execve(2): the next instruction is the new program's. Kernel: arch/s390/kernel/process.c"""
    do_execve(task, getname(task, name), strings(task, argv), strings(task, envp))


def sys_lseek(task: Task, fd: int, offset: int, origin: int) -> int:
    """lseek(2). Kernel: fs/read_write.c"""
    filp = fs_open.fget(task, to_fd(fd))
    if filp.f_op.llseek is None or filp.f_inode.i_mode & S_IFMT == S_IFIFO:
        raise OSError(errno.ESPIPE, f"{filp}: has no position")
    return filp.f_op.llseek(filp, signed(offset), to_fd(origin))


def sys_getpid(task: Task) -> int:
    return task.pid


def sys_dup(task: Task, fildes: int) -> int:
    return fcntl.sys_dup(task, to_fd(fildes))


def sys_dup2(task: Task, oldfd: int, newfd: int) -> int:
    return fcntl.sys_dup2(task, to_fd(oldfd), to_fd(newfd))


def sys_brk(task: Task, brk: int) -> int:
    return mm_mmap.sys_brk(task.mm, brk)


def sys_old_mmap(task: Task, arg: int) -> int:
    """mmap(2) with its six arguments in memory. Kernel: arch/s390/kernel/sys_s390.c, mm/mmap.c"""
    addr, length, prot, flags, fd, offset = unpack(">6Q", copy_from_user(task, arg, 6 * WORD))
    if offset % PAGE_SIZE:
        raise OSError(errno.EINVAL, f"{task}: mmap of offset {offset} in a file")
    filp = None if flags & MAP_ANONYMOUS else fs_open.fget(task, to_fd(fd))
    if not flags & MAP_FIXED:
        addr = page_align(addr)
    flags &= ~(MAP_DENYWRITE | MAP_EXECUTABLE)
    return mm_mmap.do_mmap_pgoff(task.mm, filp, addr, length, prot, flags, pos_to_pgoff(offset)).vm_start


def sys_munmap(task: Task, addr: int, length: int) -> int:
    mm_mmap.do_munmap(task.mm, addr, length)
    return 0


def sys_newfstat(task: Task, fd: int, statbuf: int) -> int:
    """fstat(2). Kernel: fs/stat.c

    Differs: st_dev is 0.
    """
    stat = generic_fillattr(fs_open.fget(task, to_fd(fd)).f_inode)
    memory = np.zeros(UserStat.dtype.itemsize, np.uint8)
    user = UserStat(memory)
    for name in ("st_ino", "st_nlink", "st_mode", "st_uid", "st_gid", "st_rdev", "st_size", "st_blksize",
                 "st_blocks"):
        setattr(user, name, getattr(stat, name))
    user.st_atime, user.st_atime_nsec = divmod(stat.st_atime_ns, NSEC)
    user.st_mtime, user.st_mtime_nsec = divmod(stat.st_mtime_ns, NSEC)
    user.st_ctime, user.st_ctime_nsec = divmod(stat.st_ctime_ns, NSEC)
    copy_to_user(task, statbuf, memory.data)
    return 0


def sys_mprotect(task: Task, start: int, length: int, prot: int) -> int:
    do_mprotect(task.mm, start, length, prot)
    return 0


def sys_readv(task: Task, fd: int, vec: int, vlen: int) -> int:
    filp = fs_open.fget(task, to_fd(fd))
    moved = do_loop_readv_writev(filp, iovec(task, vec, vlen), filp.f_pos, write=False)
    filp.f_pos += moved
    return moved


def sys_writev(task: Task, fd: int, vec: int, vlen: int) -> int:
    filp = fs_open.fget(task, to_fd(fd))
    moved = do_loop_readv_writev(filp, iovec(task, vec, vlen), filp.f_pos, write=True)
    advance(filp, moved)
    return moved


def sys_pread64(task: Task, fd: int, buf: int, count: int, pos: int) -> int:
    return vfs_read(seekable(task, fd, pos), UserMemory(task.mm, buf), signed(count), pos)


def sys_pwrite64(task: Task, fd: int, buf: int, count: int, pos: int) -> int:
    return vfs_write(seekable(task, fd, pos), UserMemory(task.mm, buf), signed(count), pos)


def seekable(task: Task, fd: int, pos: int) -> File:
    """A file for pread(2) and pwrite(2).

    Raises:
        OSError: EINVAL a negative position; EBADF; ESPIPE a file without positions.
    """
    if signed(pos) < 0:
        raise OSError(errno.EINVAL, f"{task}: position {signed(pos)}")
    filp = fs_open.fget(task, to_fd(fd))
    if filp.f_op.llseek is None:
        raise OSError(errno.ESPIPE, f"{filp}: has no position")
    return filp


def with_its_arguments(function: Callable[..., int | None]) -> SystemCall:
    """The function as SVC calls it: with all registers, of which it takes those that it knows."""
    count = function.__code__.co_argcount - 1

    def call(task: Task, *registers: int) -> int | None:
        return function(task, *registers[:count])

    call.__name__ = function.__name__
    return call


NUMBERS: dict[int, Callable[..., int | None]] = {
    1: sys_exit,
    3: sys_read,
    4: sys_write,
    5: sys_open,
    6: sys_close,
    11: sys_execve,
    19: sys_lseek,
    20: sys_getpid,
    41: sys_dup,
    45: sys_brk,
    63: sys_dup2,
    90: sys_old_mmap,
    91: sys_munmap,
    108: sys_newfstat,
    125: sys_mprotect,
    145: sys_readv,
    146: sys_writev,
    180: sys_pread64,
    181: sys_pwrite64,
    248: sys_exit,
}
"""The calls by their numbers on s390x. Others answer ENOSYS."""

sys_call_table = {number: with_its_arguments(function) for number, function in NUMBERS.items()}
