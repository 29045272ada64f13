"""Descriptors: copies of them, and their flags.

Kernel: v3.6 fs/fcntl.c
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.attr import inode_owner_or_capable
from xiplab.linux.fs.open import fget, filp_close, get_unused_fd
from xiplab.linux.include.fs import O_APPEND, O_DIRECT, O_NOATIME, O_NONBLOCK, S_APPEND, File
from xiplab.linux.include.sched import Task

F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL = range(5)
F_DUPFD_CLOEXEC = 1030
FD_CLOEXEC = 1
SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME


def sys_dup(task: Task, fd: int, first: int = 0) -> int:
    """dup(2), fcntl(F_DUPFD): another descriptor of the same open file, the lowest from `first` on.

    Raises:
        OSError: EBADF; EMFILE; EINVAL `first` is at RLIMIT_NOFILE.
    """
    filp = fget(task, fd)
    if not 0 <= first < task.rlimit_nofile:
        raise OSError(errno.EINVAL, f"{task}: descriptor {first} (limit {task.rlimit_nofile})")
    new = get_unused_fd(task, first)
    task.files[new] = filp
    filp.f_count += 1
    return new


def sys_dup2(task: Task, fd: int, new: int) -> int:
    """dup2(2): the same as `new`, which is closed first.

    Raises:
        OSError: EBADF, also for a `new` at RLIMIT_NOFILE.
    """
    filp = fget(task, fd)
    if new == fd:
        return new
    if not 0 <= new < task.rlimit_nofile:
        raise OSError(errno.EBADF, f"{task}: descriptor {new} (limit {task.rlimit_nofile})")
    task.files += [None] * (new + 1 - len(task.files))
    filp.f_count += 1
    if task.files[new] is not None:
        filp_close(task, new)
    task.files[new] = filp
    return new


def setfl(filp: File, flags: int) -> None:
    """fcntl(F_SETFL).

    Raises:
        OSError: EPERM O_APPEND of an append-only file is to go, or O_NOATIME is not the owner's to set;
            EINVAL O_DIRECT without direct_IO: get_xip_mem does not count here, though it does at open
            (Q29).
    """
    changed = filp.f_flags ^ flags
    if changed & O_APPEND and filp.f_inode.i_flags & S_APPEND:
        raise OSError(errno.EPERM, f"{filp}: append-only")
    if changed & flags & O_NOATIME and not inode_owner_or_capable(filp.f_inode):
        raise OSError(errno.EPERM, f"{filp}: O_NOATIME is for its owner")
    if flags & O_DIRECT and filp.f_mapping.a_ops.direct_IO is None:
        raise OSError(errno.EINVAL, f"{filp}: O_DIRECT is not supported")
    filp.f_flags = filp.f_flags & ~SETFL_MASK | flags & SETFL_MASK


def do_fcntl(task: Task, fd: int, command: int, argument: int) -> int:
    """fcntl(2): F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL.

    Raises:
        OSError: EBADF; EINVAL another command, or what the command answers.
    """
    filp = fget(task, fd)
    if command in (F_DUPFD, F_DUPFD_CLOEXEC):
        new = sys_dup(task, fd, argument)
        if command == F_DUPFD_CLOEXEC:
            task.close_on_exec.add(new)
        return new
    if command == F_GETFD:
        return FD_CLOEXEC if fd in task.close_on_exec else 0
    if command == F_SETFD:
        (task.close_on_exec.add if argument & FD_CLOEXEC else task.close_on_exec.discard)(fd)
        return 0
    if command == F_GETFL:
        return filp.f_flags
    if command == F_SETFL:
        setfl(filp, argument)
        return 0
    raise OSError(errno.EINVAL, f"{filp}: fcntl command {command}")
