"""The calls that change names: make, remove, link, rename.

Each finds the directory of the last component, asks whether the task may change it, and lets the file
system do it; then the dentry cache follows.

Kernel: v3.6 fs/namei.c
"""

from __future__ import annotations

import errno
import os

from xiplab.linux.fs.dcache import d_delete, d_move, is_subdir, parent_of
from xiplab.linux.fs.namei import (
    NOT_NORMAL,
    ROOT,
    PathName,
    encode_path,
    has_slash,
    inode_of,
    inode_permission,
    is_dir,
    kern_path_create,
    lookup_one,
    lookup_parent,
    may_linkat,
    path_lookup,
)
from xiplab.linux.include.fs import (
    MAY_EXEC,
    MAY_WRITE,
    S_APPEND,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    S_IMMUTABLE,
    S_ISVTX,
    S_SWAPFILE,
    Dentry,
    Inode,
)
from xiplab.linux.include.sched import CAP_FOWNER, CAP_MKNOD, Task

NOT_A_FILE = dict.fromkeys(NOT_NORMAL, errno.EISDIR)
NOT_TO_REMOVE = {b".": errno.EINVAL, b"..": errno.ENOTEMPTY, ROOT: errno.EBUSY}


def may_create(task: Task, directory: Inode) -> None:
    """Raises OSError ENOENT for a deleted directory, EROFS, EACCES."""
    if directory.i_nlink == 0:
        raise OSError(errno.ENOENT, f"{directory}: the directory was removed")
    inode_permission(task, directory, MAY_WRITE | MAY_EXEC)


def may_delete(task: Task, directory: Inode, victim: Dentry, *, isdir: bool) -> None:
    """Whether `victim` may be taken out of the directory.

    Raises:
        OSError: EROFS, EACCES; EPERM sticky directory of another owner, append-only, immutable or a
            swap file; ENOTDIR, EISDIR for the wrong call.
    """
    inode = inode_of(victim)
    inode_permission(task, directory, MAY_WRITE | MAY_EXEC)
    if directory.i_flags & S_APPEND or inode.i_flags & (S_APPEND | S_IMMUTABLE | S_SWAPFILE):
        raise OSError(errno.EPERM, f"{victim}: append-only, immutable or in use for swapping")
    owners = (inode.i_uid, directory.i_uid)
    if directory.i_mode & S_ISVTX and task.cred.fsuid not in owners \
            and CAP_FOWNER not in task.cred.capabilities:
        raise OSError(errno.EPERM, f"{victim}: the directory is sticky and neither is yours")
    if isdir and not is_dir(inode):
        raise OSError(errno.ENOTDIR, f"{victim}: not a directory")
    if not isdir and is_dir(inode):
        raise OSError(errno.EISDIR, f"{victim}: is a directory")


def _directory_of(dentry: Dentry) -> Inode:
    return inode_of(parent_of(dentry))


def vfs_create(task: Task, dentry: Dentry, mode: int) -> Inode:
    """Make a regular file for the negative dentry.

    Raises:
        OSError: those of may_create; EACCES a file system without files to make; ENOSPC and others of it.
    """
    directory = _directory_of(dentry)
    may_create(task, directory)
    if directory.i_op.create is None:
        raise OSError(errno.EACCES, f"{dentry}: no files can be made here")
    inode = directory.i_op.create(directory, dentry.d_name, S_IFREG | mode & 0o7777 & ~task.umask)
    dentry.d_inode = inode
    return inode


def do_mknod(task: Task, name: PathName, mode: int, rdev: int = 0) -> None:
    """mknod(2): a fifo, a socket, a device, or an empty regular file.

    Raises:
        OSError: EPERM a device without CAP_MKNOD, or a file system without nodes; EINVAL another type.
    """
    kind = mode & S_IFMT
    if kind == S_IFDIR:
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: a directory is made by mkdir")
    _, dentry = kern_path_create(task, name)
    if kind in (0, S_IFREG):
        vfs_create(task, dentry, mode)
        return
    if kind not in (S_IFIFO, S_IFSOCK, S_IFBLK, S_IFCHR):
        raise OSError(errno.EINVAL, f"{os.fsdecode(name)}: mode {mode:o}")
    directory = _directory_of(dentry)
    may_create(task, directory)
    is_device = kind in (S_IFBLK, S_IFCHR)
    if directory.i_op.mknod is None or (is_device and CAP_MKNOD not in task.cred.capabilities):
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: no node can be made")
    dentry.d_inode = directory.i_op.mknod(directory, dentry.d_name, kind | mode & 0o7777 & ~task.umask, rdev)


def do_mkdir(task: Task, name: PathName, mode: int = 0o777) -> None:
    """mkdir(2). Raises OSError EEXIST, ENOENT, ENOTDIR, EACCES, EROFS, ENOSPC, EMLINK, EPERM."""
    _, dentry = kern_path_create(task, name, directory=True)
    directory = _directory_of(dentry)
    may_create(task, directory)
    if directory.i_op.mkdir is None:
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: no directory can be made here")
    mode = mode & 0o1777 & ~task.umask
    dentry.d_inode = directory.i_op.mkdir(directory, dentry.d_name, S_IFDIR | mode)


def _existing(task: Task, name: PathName, not_normal: dict[bytes, int]) -> Dentry:
    """The dentry of the last component, itself not followed.

    Args:
        not_normal: the errno for each of NOT_NORMAL.
    Raises:
        OSError: that; ENOENT; as lookup_parent.
    """
    (_, parent), last = lookup_parent(task, name)
    if last in NOT_NORMAL:
        raise OSError(not_normal[last], f"{os.fsdecode(name)}: ends in {last.decode()}")
    dentry = lookup_one(parent, last)
    if dentry.d_inode is None:
        raise OSError(errno.ENOENT, f"{os.fsdecode(name)}: no such file or directory")
    return dentry


def do_rmdir(task: Task, name: PathName) -> None:
    """rmdir(2). Raises OSError ENOTEMPTY, ENOTDIR, EBUSY something is mounted there, EINVAL for ".",
    ENOENT, EACCES, EROFS."""
    dentry = _existing(task, name, NOT_TO_REMOVE)
    directory = _directory_of(dentry)
    may_delete(task, directory, dentry, isdir=True)
    if directory.i_op.rmdir is None:
        raise OSError(errno.EPERM, f"{dentry}: cannot be removed here")
    if dentry.d_mounted:
        raise OSError(errno.EBUSY, f"{dentry}: something is mounted there")
    directory.i_op.rmdir(directory, dentry.d_name, inode_of(dentry))
    d_delete(dentry)


def do_unlink(task: Task, name: PathName) -> None:
    """unlink(2): the name goes at once, the file with its last open descriptor."""
    dentry = _existing(task, name, NOT_A_FILE)
    directory, inode = _directory_of(dentry), inode_of(dentry)
    if has_slash(name):
        number = errno.EISDIR if is_dir(inode) else errno.ENOTDIR
        raise OSError(number, f"{os.fsdecode(name)}: ends in a slash")
    may_delete(task, directory, dentry, isdir=False)
    if directory.i_op.unlink is None:
        raise OSError(errno.EPERM, f"{dentry}: cannot be removed here")
    directory.i_op.unlink(directory, dentry.d_name, inode)
    d_delete(dentry)


def do_symlink(task: Task, target: PathName, name: PathName) -> None:
    """symlink(2)."""
    encoded = encode_path(target)
    _, dentry = kern_path_create(task, name)
    directory = _directory_of(dentry)
    may_create(task, directory)
    if directory.i_op.symlink is None:
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: no symbolic link can be made here")
    dentry.d_inode = directory.i_op.symlink(directory, dentry.d_name, encoded)


def do_link(task: Task, name: PathName, new: PathName) -> None:
    """link(2): another name for the file `name` (a symbolic link itself is linked, not followed).

    Raises:
        OSError: EXDEV another mount; EPERM a directory, append-only or immutable, or those of
            may_linkat; ENOENT the file has no name left; EEXIST; EMLINK.
    """
    mnt, source = path_lookup(task, name, follow=False)
    inode = inode_of(source)
    new_mnt, dentry = kern_path_create(task, new)
    directory = _directory_of(dentry)
    if new_mnt is not mnt:
        raise OSError(errno.EXDEV, f"{os.fsdecode(new)}: on another mount than {os.fsdecode(name)}")
    may_linkat(task, inode)
    may_create(task, directory)
    if is_dir(inode) or inode.i_flags & (S_APPEND | S_IMMUTABLE) or directory.i_op.link is None:
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: cannot be linked")
    if inode.i_nlink == 0:
        raise OSError(errno.ENOENT, f"{os.fsdecode(name)}: was removed")
    directory.i_op.link(inode, directory, dentry.d_name)
    inode.i_count += 1
    dentry.d_inode = inode


def do_rename(task: Task, old: PathName, new: PathName) -> None:
    """rename(2): the new name, if it exists, is replaced in one step.

    Raises:
        OSError: EXDEV; EINVAL into itself; ENOTDIR, EISDIR, ENOTEMPTY for what is replaced; EBUSY;
            and those of unlink and create.
    """
    (old_mnt, old_parent), old_name = lookup_parent(task, old)
    (new_mnt, new_parent), new_name = lookup_parent(task, new)
    if old_mnt is not new_mnt:
        raise OSError(errno.EXDEV, f"{os.fsdecode(new)}: on another mount than {os.fsdecode(old)}")
    if old_name in NOT_NORMAL or new_name in NOT_NORMAL:
        raise OSError(errno.EBUSY, "rename: neither name may end in . or .. or be the root")
    source = lookup_one(old_parent, old_name)
    if source.d_inode is None:
        raise OSError(errno.ENOENT, f"{os.fsdecode(old)}: no such file or directory")
    if not is_dir(source.d_inode) and (has_slash(old) or has_slash(new)):
        raise OSError(errno.ENOTDIR, f"{os.fsdecode(old)}: not a directory")
    if is_subdir(new_parent, source):
        raise OSError(errno.EINVAL, f"{os.fsdecode(old)}: cannot move into itself")
    target = lookup_one(new_parent, new_name)
    if is_subdir(old_parent, target):
        raise OSError(errno.ENOTEMPTY, f"{os.fsdecode(new)}: holds what is moved")
    if target.d_inode is not source.d_inode:
        vfs_rename(task, source, target)


def vfs_rename(task: Task, source: Dentry, target: Dentry) -> None:
    old_dir, new_dir, inode = _directory_of(source), _directory_of(target), inode_of(source)
    may_delete(task, old_dir, source, isdir=is_dir(inode))
    if target.d_inode is None:
        may_create(task, new_dir)
    else:
        may_delete(task, new_dir, target, isdir=is_dir(inode))
    if old_dir.i_op.rename is None:
        raise OSError(errno.EPERM, f"{source}: cannot be renamed here")
    if is_dir(inode) and new_dir is not old_dir:
        inode_permission(task, inode, MAY_WRITE)
    if source.d_mounted or target.d_mounted:
        raise OSError(errno.EBUSY, f"{source}: something is mounted there")
    old_dir.i_op.rename(old_dir, source.d_name, inode, new_dir, target.d_name, target.d_inode)
    d_move(source, target)
