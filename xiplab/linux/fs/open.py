"""Opening and closing files, and the calls that change attributes.

Kernel: v3.6 fs/open.c, fs/file_table.c, fs/fcntl.c
"""

from __future__ import annotations

import errno
import os

from xiplab.linux.fs.inode import iput
from xiplab.linux.fs.namei import (
    Path,
    PathName,
    inode_permission,
    is_dir,
    is_symlink,
    lookup_one,
    lookup_parent,
    path_lookup,
    vfs_create,
)
from xiplab.linux.include.blkdev import FMODE_WRITE
from xiplab.linux.include.fs import (
    ATTR_CTIME,
    ATTR_MTIME,
    ATTR_SIZE,
    MAY_READ,
    MAY_WRITE,
    O_ACCMODE,
    O_APPEND,
    O_CREAT,
    O_DIRECT,
    O_DIRECTORY,
    O_EXCL,
    O_NOATIME,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_TRUNC,
    S_APPEND,
    S_IFMT,
    S_IFREG,
    Dentry,
    File,
    Iattr,
    Inode,
    no_file_operations,
)
from xiplab.linux.include.sched import CAP_FOWNER, Task

ACC_MODE = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE)
SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME


def get_write_access(inode: Inode) -> None:
    """One more writer. Raises OSError ETXTBSY while the file is being executed."""
    if inode.i_writecount < 0:
        raise OSError(errno.ETXTBSY, f"{inode}: is being executed")
    inode.i_writecount += 1


def put_write_access(inode: Inode) -> None:
    inode.i_writecount -= 1


def deny_write_access(inode: Inode) -> None:
    """The file is executed from now on. Raises OSError ETXTBSY while it is open for writing."""
    if inode.i_writecount > 0:
        raise OSError(errno.ETXTBSY, f"{inode}: is open for writing")
    inode.i_writecount -= 1


def allow_write_access(inode: Inode) -> None:
    inode.i_writecount += 1


def do_filp_open(task: Task, name: PathName, flags: int, mode: int = 0o666) -> File:
    """Open `name`, making it first if O_CREAT asks for that.

    Raises:
        OSError: ENOENT, ENOTDIR, EACCES, ELOOP; EEXIST with O_EXCL; EISDIR to write a directory; EROFS;
            ETXTBSY; EINVAL O_DIRECT where it is not supported; EPERM O_NOATIME of another's file.
    """
    if flags & O_CREAT:
        path, created = _open_create(task, name, flags, mode)
    else:
        path, created = path_lookup(task, name, follow=not flags & O_NOFOLLOW), False
    inode = path[1].d_inode
    assert inode is not None
    may_open(task, path[1], flags, created)
    filp = dentry_open(path, flags)
    if flags & O_TRUNC and not created and inode.i_mode & S_IFMT == S_IFREG:
        try:
            do_truncate(inode, 0)
        except OSError:
            fput(filp)
            raise
    return filp


def _open_create(task: Task, name: PathName, flags: int, mode: int) -> tuple[Path, bool]:
    """The path to open, and whether it was made."""
    (mnt, parent), last = lookup_parent(task, name)
    if last in (b".", b"..") or os.fsencode(name).endswith(b"/"):
        raise OSError(errno.EISDIR, f"{os.fsdecode(name)}: is a directory")
    dentry = lookup_one(parent, last)
    if dentry.d_inode is None:
        vfs_create(task, dentry, mode)
        return (mnt, dentry), True
    if flags & O_EXCL:
        raise OSError(errno.EEXIST, f"{os.fsdecode(name)}: exists")
    return path_lookup(task, name, follow=not flags & O_NOFOLLOW), False


def may_open(task: Task, dentry: Dentry, flags: int, created: bool) -> None:
    """Whether this kind of file may be opened like that, by this task."""
    inode = dentry.d_inode
    assert inode is not None
    if is_symlink(inode):
        raise OSError(errno.ELOOP, f"{dentry}: is a symbolic link")
    writes = bool(ACC_MODE[flags & O_ACCMODE] & MAY_WRITE) or bool(flags & O_TRUNC)
    if is_dir(inode) and (writes or flags & O_CREAT):
        raise OSError(errno.EISDIR, f"{dentry}: is a directory")
    if flags & O_DIRECTORY and not is_dir(inode):
        raise OSError(errno.ENOTDIR, f"{dentry}: not a directory")
    if not created:
        inode_permission(task, inode, ACC_MODE[flags & O_ACCMODE] | (MAY_WRITE if flags & O_TRUNC else 0))
    if inode.i_flags & S_APPEND and ((writes and not flags & O_APPEND) or flags & O_TRUNC):
        raise OSError(errno.EPERM, f"{dentry}: append-only")
    if flags & O_NOATIME and task.cred.fsuid != inode.i_uid and CAP_FOWNER not in task.cred.capabilities:
        raise OSError(errno.EPERM, f"{dentry}: O_NOATIME is for its owner")


def dentry_open(path: Path, flags: int) -> File:
    """An open file for a dentry: the inode's operations, one more reference, one more user.

    If the driver refuses the open, its release is not called.
    """
    mnt, dentry = path
    inode = dentry.d_inode
    assert inode is not None
    f_mode = flags + 1 & O_ACCMODE
    if f_mode & FMODE_WRITE:
        get_write_access(inode)
    mapping = inode.i_mapping
    filp = File(dentry, mnt, inode, mapping, flags & ~(O_CREAT | O_EXCL | O_TRUNC), f_mode, inode.i_fop)
    inode.i_count += 1
    mnt.mnt_sb.s_active += 1
    try:
        if filp.f_op.open is not None:
            filp.f_op.open(inode, filp)
    except OSError:
        filp.f_op = no_file_operations
        fput(filp)
        raise
    if flags & O_DIRECT and filp.f_mapping.a_ops.direct_IO is None \
            and filp.f_mapping.a_ops.get_xip_mem is None:
        fput(filp)
        raise OSError(errno.EINVAL, f"{dentry}: O_DIRECT is not supported")
    return filp


def fput(filp: File) -> None:
    """One user less; the last one closes the file."""
    filp.f_count -= 1
    if filp.f_count:
        return
    inode = filp.f_inode
    if filp.f_op.release is not None:
        filp.f_op.release(inode, filp)
    if filp.f_mode & FMODE_WRITE:
        put_write_access(inode)
    filp.f_mnt.mnt_sb.s_active -= 1
    iput(inode)


def get_unused_fd(task: Task) -> int:
    """The lowest free descriptor. Raises OSError EMFILE at RLIMIT_NOFILE."""
    for fd, filp in enumerate(task.files):
        if filp is None:
            return fd
    if len(task.files) >= task.rlimit_nofile:
        raise OSError(errno.EMFILE, f"{task}: {task.rlimit_nofile} files are open")
    task.files.append(None)
    return len(task.files) - 1


def fget(task: Task, fd: int) -> File:
    """The open file `fd`. Raises OSError EBADF."""
    filp = task.files[fd] if 0 <= fd < len(task.files) else None
    if filp is None:
        raise OSError(errno.EBADF, f"{task}: descriptor {fd} is not open")
    return filp


def filp_close(task: Task, fd: int) -> None:
    """close(2)."""
    filp = fget(task, fd)
    task.files[fd] = None
    fput(filp)


def notify_change(inode: Inode, attr: Iattr) -> None:
    """Let the file system change attributes. Kernel: fs/attr.c

    Raises:
        OSError: EPERM not the owner or not supported; EFBIG, ETXTBSY, EIO for a size.
    """
    if inode.i_op.setattr is None:
        raise OSError(errno.EPERM, f"{inode}: attributes cannot be changed")
    inode.i_op.setattr(inode, attr)


def do_truncate(inode: Inode, length: int) -> None:
    """Set the size of a file whose permission was checked.

    Raises:
        OSError: EINVAL a negative length; else as notify_change.
    """
    if length < 0:
        raise OSError(errno.EINVAL, f"{inode}: length {length}")
    now = inode.i_sb.s_kernel.clock()
    valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME
    notify_change(inode, Iattr(valid, ia_size=length, ia_mtime=now, ia_ctime=now))


def setfl(filp: File, flags: int) -> None:
    """fcntl(F_SETFL). Raises OSError EINVAL for O_DIRECT without direct_IO: get_xip_mem does not
    count here, though it does at open (Q29)."""
    if flags & O_DIRECT and filp.f_mapping.a_ops.direct_IO is None:
        raise OSError(errno.EINVAL, f"{filp}: O_DIRECT is not supported")
    filp.f_flags = filp.f_flags & ~SETFL_MASK | flags & SETFL_MASK

