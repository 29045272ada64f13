"""Opening and closing files, and the calls that change attributes.

Kernel: v3.6 fs/open.c, fs/file_table.c, fs/file.c
Differs: a device node finds its driver only in /dev; anywhere else it opens with ENXIO.
"""

from __future__ import annotations

import errno
import os

from xiplab.linux.fs.attr import inode_owner_or_capable, notify_change
from xiplab.linux.fs.dcache import Path
from xiplab.linux.fs.file_table import fput
from xiplab.linux.fs.inode import get_write_access, iput, put_write_access, should_remove_suid
from xiplab.linux.fs.namei import (
    NOT_NORMAL,
    PathName,
    follow_mount,
    has_slash,
    inode_of,
    inode_permission,
    is_dir,
    is_symlink,
    lookup_one,
    lookup_parent,
    may_follow_link,
    one_more_link,
    path_lookup,
    vfs_readlink,
)
from xiplab.linux.fs.namei_change import vfs_create
from xiplab.linux.include.blkdev import FMODE_WRITE
from xiplab.linux.include.fs import (
    ATTR_ATIME,
    ATTR_ATIME_SET,
    ATTR_CTIME,
    ATTR_FORCE,
    ATTR_GID,
    ATTR_KILL_SGID,
    ATTR_KILL_SUID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_MTIME_SET,
    ATTR_SIZE,
    ATTR_TIMES_SET,
    ATTR_UID,
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    MS_RDONLY,
    O_ACCMODE,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECT,
    O_DIRECTORY,
    O_EXCL,
    O_NOATIME,
    O_NOFOLLOW,
    O_TRUNC,
    S_APPEND,
    S_IFBLK,
    S_IFCHR,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    Dentry,
    File,
    Iattr,
    Inode,
    no_file_operations,
)
from xiplab.linux.include.sched import CAP_FOWNER, Task

DEVICES = (S_IFCHR, S_IFBLK, S_IFSOCK)
ACC_MODE = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE)


def do_filp_open(task: Task, name: PathName, flags: int, mode: int = 0o666) -> File:
    """Open `name`, making it first if O_CREAT asks for that.

    Raises:
        OSError: ENOENT, ENOTDIR, EACCES, ELOOP; EEXIST with O_EXCL; EISDIR to write a directory; EROFS;
            ETXTBSY; EINVAL O_DIRECT where it is not supported; EPERM O_NOATIME of another's file.
    """
    if flags & O_CREAT:
        path, created = lookup_open(task, name, flags, mode)
    else:
        path, created = path_lookup(task, name, follow=not flags & O_NOFOLLOW), False
    may_open(task, path[1], flags, created)
    filp = dentry_open(path, flags)
    if flags & O_TRUNC and not created and filp.f_inode.i_mode & S_IFMT == S_IFREG:
        try:
            handle_truncate(filp)
        except OSError:
            fput(filp)
            raise
    return filp


def lookup_open(task: Task, name: PathName, flags: int, mode: int) -> tuple[Path, bool]:
    """The path to open, and whether it was made. A last symbolic link is followed, also to a name that
    does not exist yet. Kernel: do_last() of fs/namei.c"""
    base, links = None, 0
    while True:
        (mnt, parent), last = lookup_parent(task, name, base)
        if last in NOT_NORMAL or has_slash(name):
            raise OSError(errno.EISDIR, f"{os.fsdecode(name)}: is a directory")
        dentry = lookup_one(parent, last)
        inode = dentry.d_inode
        if inode is None:
            vfs_create(task, dentry, mode)
            return (mnt, dentry), True
        if flags & O_EXCL:
            raise OSError(errno.EEXIST, f"{os.fsdecode(name)}: exists")
        if flags & O_NOFOLLOW or not is_symlink(inode):
            return follow_mount(mnt, dentry), False
        links = one_more_link(links, dentry)
        may_follow_link(task, parent, inode)
        name, base = vfs_readlink(inode), (mnt, parent)


def handle_truncate(filp: File) -> None:
    """O_TRUNC. Raises OSError ETXTBSY; those of do_truncate. Kernel: fs/namei.c"""
    get_write_access(filp.f_inode)
    try:
        do_truncate(filp.f_inode, 0)
    finally:
        put_write_access(filp.f_inode)


def may_open(task: Task, dentry: Dentry, flags: int, created: bool) -> None:
    """Whether this kind of file may be opened like that, by this task."""
    inode = inode_of(dentry)
    mask = ACC_MODE[flags & O_ACCMODE] | (MAY_WRITE if flags & O_TRUNC else 0)
    writes = bool(mask & MAY_WRITE)
    if flags & O_CREAT and is_dir(inode):
        raise OSError(errno.EISDIR, f"{dentry}: is a directory")
    if flags & O_DIRECTORY and not is_dir(inode):
        raise OSError(errno.ENOTDIR, f"{dentry}: not a directory")
    if is_symlink(inode):
        raise OSError(errno.ELOOP, f"{dentry}: is a symbolic link")
    if is_dir(inode) and writes:
        raise OSError(errno.EISDIR, f"{dentry}: is a directory")
    if not created:
        inode_permission(task, inode, mask)
    if inode.i_flags & S_APPEND and ((writes and not flags & O_APPEND) or flags & O_TRUNC):
        raise OSError(errno.EPERM, f"{dentry}: append-only")
    if flags & O_NOATIME and task.cred.fsuid != inode.i_uid and CAP_FOWNER not in task.cred.capabilities:
        raise OSError(errno.EPERM, f"{dentry}: O_NOATIME is for its owner")


def dentry_open(path: Path, flags: int) -> File:
    """An open file for a dentry: the inode's operations, one more reference, one more user.

    If the driver refuses the open, its release is not called.
    """
    mnt, dentry = path
    inode = inode_of(dentry)
    if inode.i_mode & S_IFMT in DEVICES and inode.i_fop is no_file_operations:
        raise OSError(errno.ENXIO, f"{dentry}: no driver for this node")
    f_mode = flags + 1 & O_ACCMODE
    if f_mode & FMODE_WRITE:
        get_write_access(inode)
    mapping = inode.i_mapping
    filp = File(dentry, mnt, inode, mapping, flags & ~(O_CREAT | O_EXCL | O_TRUNC), f_mode, inode.i_fop)
    inode.i_count += 1
    mnt.mnt_count += 1
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


def get_unused_fd(task: Task, first: int = 0) -> int:
    """The lowest free descriptor from `first` on. Raises OSError EMFILE at RLIMIT_NOFILE."""
    files = task.files
    try:
        fd = files.index(None, first)
    except ValueError:
        fd = max(len(files), first)
        if fd >= task.rlimit_nofile:
            raise OSError(errno.EMFILE, f"{task}: {task.rlimit_nofile} files are open") from None
        files += [None] * (fd + 1 - len(files))
    return fd


def do_sys_open(task: Task, filename: PathName, flags: int, mode: int) -> int:
    """open(2): the lowest free descriptor; O_CLOEXEC belongs to it, not to the open file.

    Raises:
        OSError: EMFILE; as do_filp_open().
    """
    fd = get_unused_fd(task)
    task.files[fd] = do_filp_open(task, filename, flags, mode)
    if flags & O_CLOEXEC:
        task.close_on_exec.add(fd)
    return fd


def fget(task: Task, fd: int) -> File:
    """The open file `fd`. Raises OSError EBADF."""
    filp = task.files[fd] if 0 <= fd < len(task.files) else None
    if filp is None:
        raise OSError(errno.EBADF, f"{task}: descriptor {fd} is not open")
    return filp


def filp_close(task: Task, fd: int) -> None:
    """close(2)."""
    files = task.files
    filp = files[fd] if 0 <= fd < len(files) else None
    if filp is None:
        filp = fget(task, fd)
    files[fd] = None
    if task.close_on_exec:
        task.close_on_exec.discard(fd)
    fput(filp)


def do_truncate(inode: Inode, length: int) -> None:
    """Set the size of a file whose permission was checked; setuid and setgid go as with a write.

    Raises:
        OSError: EINVAL a negative length; else as notify_change.
    """
    if length < 0:
        raise OSError(errno.EINVAL, f"{inode}: length {length}")
    attr = Iattr(ATTR_SIZE | ATTR_MTIME | ATTR_CTIME, ia_size=length)
    if should_remove_suid(inode):
        attr.ia_valid |= ATTR_KILL_SUID | ATTR_KILL_SGID | ATTR_FORCE
    notify_change(inode, attr)


def do_sys_truncate(task: Task, name: PathName, length: int) -> None:
    """truncate(2).

    Raises:
        OSError: EINVAL a negative length, or no regular file; EISDIR; EROFS; EACCES; EPERM append-only;
            ETXTBSY; else as notify_change.
    """
    if length < 0:
        raise OSError(errno.EINVAL, f"{os.fsdecode(name)}: length {length}")
    inode = inode_of(path_lookup(task, name)[1])
    if inode.i_mode & S_IFMT != S_IFREG:
        number = errno.EISDIR if is_dir(inode) else errno.EINVAL
        raise OSError(number, f"{os.fsdecode(name)}: no regular file")
    inode_permission(task, inode, MAY_WRITE)
    if inode.i_flags & S_APPEND:
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: append-only")
    get_write_access(inode)
    try:
        do_truncate(inode, length)
    finally:
        put_write_access(inode)


def do_sys_ftruncate(task: Task, fd: int, length: int) -> None:
    """ftruncate(2).

    Raises:
        OSError: EINVAL a negative length, no regular file, or not open for writing; EBADF; EPERM
            append-only.
    """
    if length < 0:
        raise OSError(errno.EINVAL, f"ftruncate: length {length}")
    filp = fget(task, fd)
    inode = filp.f_inode
    if inode.i_mode & S_IFMT != S_IFREG or not filp.f_mode & FMODE_WRITE:
        raise OSError(errno.EINVAL, f"{filp}: no regular file, or not open for writing")
    if inode.i_flags & S_APPEND:
        raise OSError(errno.EPERM, f"{filp}: append-only")
    do_truncate(inode, length)


def set_fs_pwd(task: Task, path: Path | None) -> None:
    """The task stands in `path` from now on, and keeps it in use. Kernel: fs/fs_struct.c"""
    old, task.pwd = task.pwd, path
    if path is not None:
        path[0].mnt_count += 1
        inode_of(path[1]).i_count += 1
    if old is not None:
        old[0].mnt_count -= 1
        iput(inode_of(old[1]))


def sys_chdir(task: Task, name: PathName) -> None:
    """chdir(2). Raises OSError ENOTDIR, EACCES; as path_lookup."""
    path = path_lookup(task, name)
    if not is_dir(inode_of(path[1])):
        raise OSError(errno.ENOTDIR, f"{os.fsdecode(name)}: not a directory")
    inode_permission(task, inode_of(path[1]), MAY_EXEC)
    set_fs_pwd(task, path)


def mnt_want_write(inode: Inode) -> None:
    """Raises OSError EROFS on a read-only file system. Kernel: fs/namespace.c"""
    if inode.i_sb.s_flags & MS_RDONLY:
        raise OSError(errno.EROFS, f"{inode} on {inode.i_sb}: read-only file system")


def chmod_common(inode: Inode, mode: int) -> None:
    """chmod(2), fchmod(2). Raises OSError EROFS, EPERM."""
    mnt_want_write(inode)
    notify_change(inode, Iattr(ATTR_MODE, ia_mode=inode.i_mode & ~0o7777 | mode & 0o7777))


def chown_common(inode: Inode, user: int, group: int) -> None:
    """chown(2), fchown(2): -1 leaves a field. A file loses its setuid and setgid bits.

    Raises:
        OSError: EROFS, EPERM.
    """
    mnt_want_write(inode)
    valid = (ATTR_UID if user != -1 else 0) | (ATTR_GID if group != -1 else 0)
    if not is_dir(inode):
        valid |= ATTR_KILL_SUID | ATTR_KILL_SGID
    notify_change(inode, Iattr(valid, ia_uid=user, ia_gid=group))


def utimes_common(task: Task, inode: Inode, atime: int | None, mtime: int | None) -> None:
    """utimensat(2): times in ns; None means now. Both now: whoever may write the file may do it.

    Kernel: fs/utimes.c
    Raises:
        OSError: EROFS; EPERM, EACCES.
    """
    mnt_want_write(inode)
    attr = Iattr(ATTR_ATIME | ATTR_MTIME, ia_atime=atime or 0, ia_mtime=mtime or 0)
    if atime is not None or mtime is not None:
        attr.ia_valid |= ATTR_TIMES_SET
        attr.ia_valid |= (ATTR_ATIME_SET if atime is not None else 0)
        attr.ia_valid |= (ATTR_MTIME_SET if mtime is not None else 0)
    elif not inode_owner_or_capable(inode):
        inode_permission(task, inode, MAY_WRITE)
    notify_change(inode, attr)
