"""Paths, quickly: to look at, open, make and remove a file whose directory is in the dentry cache.

Each function here does what several of the long form's do, if the path is simple; else it answers "no",
before anything has changed, and the caller takes the long form:

    here                    long form
    stat_quick()            path_lookup
    open_quick()            do_sys_open: lookup_open or path_lookup, may_open, dentry_open
    unlink_quick()          do_unlink: lookup_parent, lookup_one, may_delete, d_delete
    mkdir_quick()           do_mkdir: kern_path_create, may_create

A path is simple if it is text, if its directories are in the cache and may be searched by everybody, if
no `.`, `..`, symbolic link or second mount lies on it, and no slash at its end. The answer must be "yes" at
once, too: an ordinary file, or a directory to be read; plain flags; permission by the mode bits; no
attribute that forbids or inherits anything. Errors are left to the long form, which says what is wrong. The
file system is asked through its tables, here as there. While somebody records, nothing is quick.

Both forms give the same: tests/linux/test_namei_quick.py runs both side by side.

Kernel: none (v3.6 fs/namei.c and fs/open.c, as named above)
"""

from __future__ import annotations

from typing import TypeAlias

from xiplab.linux.fs.dcache import d_alloc, d_delete
from xiplab.linux.fs.inode import evict
from xiplab.linux.fs.namei import NAME_MAX, SEARCHABLE_BITS, SEARCHABLE_DIRECTORY, PathName
from xiplab.linux.fs.open import dentry_open, get_unused_fd
from xiplab.linux.include.blkdev import FMODE_WRITE
from xiplab.linux.include.fs import (
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    MS_RDONLY,
    O_ACCMODE,
    O_APPEND,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_LARGEFILE,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_ISVTX,
    Dentry,
    File,
    Inode,
    VfsMount,
)
from xiplab.linux.include.sched import Task
from xiplab.trace import tp_copy

Place: TypeAlias = tuple[VfsMount, Dentry, Inode, bytes]
"""The mount, the dentry and the inode of a directory, and a name in it."""

LONG = 1000
"""Text of no more letters is a path of less than PATH_MAX bytes."""
NOT_SIMPLE = (b"", b".", b"..")
NOT_PLAIN = ~(O_ACCMODE | O_CREAT | O_EXCL | O_APPEND | O_DIRECTORY | O_LARGEFILE)
MAKES_DIRECTORY = O_CREAT | O_DIRECTORY
MAY_OPEN = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE)
MAY_CHANGE = MAY_WRITE | MAY_EXEC
OWNER_MAY_CHANGE = MAY_CHANGE << 6


def _parent_of(task: Task, name: PathName) -> Place | None:
    """The directory that the path leads to, and its last component; None if the path is not simple."""
    if type(name) is not str or len(name) > LONG or "\0" in name or tp_copy.probes:
        return None
    try:
        parts = name.encode().split(b"/")
    except UnicodeEncodeError:
        return None
    last = parts.pop()
    path = task.pwd if not parts or parts[0] else task.root
    if last in NOT_SIMPLE or path is None:
        return None
    mnt, dentry = path
    for part in parts:
        if part:
            inode = dentry.d_inode
            if inode is None or inode.i_mode & SEARCHABLE_BITS != SEARCHABLE_DIRECTORY:
                return None
            child = dentry.d_subdirs.get(part)
            if child is None:
                return None
            dentry = child
            mounted = dentry.d_mounted
            if mounted is not None:
                if mounted.mnt_parent is not mnt or mounted.mnt_root.d_mounted is not None:
                    return None
                mnt, dentry = mounted, mounted.mnt_root
    inode = dentry.d_inode
    if inode is None or inode.i_mode & SEARCHABLE_BITS != SEARCHABLE_DIRECTORY:
        return None
    return mnt, dentry, inode, last


def _may(task: Task, inode: Inode, mask: int) -> bool:
    """Whether the mode bits alone allow it. Kernel: generic_permission()"""
    cred = task.cred
    mode = inode.i_mode
    if inode.i_uid == cred.fsuid:
        mode >>= 6
    elif inode.i_gid == cred.fsgid or inode.i_gid in cred.groups:
        mode >>= 3
    return not mask & ~mode


def _may_change(task: Task, directory: Inode) -> bool:
    """Whether names may come into the directory, and go."""
    if not directory.i_nlink or directory.i_flags or directory.i_sb.s_flags & MS_RDONLY:
        return False
    if directory.i_uid == task.cred.fsuid:
        return directory.i_mode & OWNER_MAY_CHANGE == OWNER_MAY_CHANGE
    return _may(task, directory, MAY_CHANGE)


def _may_open(task: Task, dentry: Dentry, inode: Inode, flags: int) -> bool:
    """Whether it is an ordinary file, or a directory to be read, with nothing special about it, that the task
    may use like that."""
    mask = MAY_OPEN[flags & O_ACCMODE]
    kind = inode.i_mode & S_IFMT
    if mask & MAY_WRITE and (inode.i_sb.s_flags & MS_RDONLY or inode.i_writecount < 0):
        return False
    if kind != S_IFREG if not flags & O_DIRECTORY else kind != S_IFDIR or mask != MAY_READ:
        return False
    return not inode.i_flags and dentry.d_mounted is None and not flags & O_EXCL and _may(task, inode, mask)


def _looked_up(parent: Dentry, directory: Inode, name: bytes) -> Dentry | None:
    """A dentry for a name that is not in the cache; None if there can be no such name.

    Raises:
        OSError: what the file system's lookup answers.
    """
    lookup = directory.i_op.lookup
    return None if lookup is None or len(name) > NAME_MAX else d_alloc(parent, name, lookup(directory, name))


def stat_quick(task: Task, name: PathName) -> Inode | None:
    """The inode that stat(2) describes; None: ask path_lookup().

    Raises:
        OSError: what the file system's lookup answers.
    """
    place = _parent_of(task, name)
    if place is None:
        return None
    _, parent, directory, last = place
    dentry = parent.d_subdirs.get(last)
    if dentry is None and directory.i_nlink:
        dentry = _looked_up(parent, directory, last)
    if dentry is None or dentry.d_mounted is not None:
        return None
    inode = dentry.d_inode
    return None if inode is None or inode.i_mode & S_IFMT == S_IFLNK else inode


def open_quick(task: Task, name: PathName, flags: int, mode: int) -> int:
    """open(2): a descriptor; below 0: ask do_sys_open().

    Raises:
        OSError: EMFILE; what the file system's lookup or create answers.
    """
    if flags & NOT_PLAIN or flags & O_ACCMODE == O_ACCMODE or flags & MAKES_DIRECTORY == MAKES_DIRECTORY:
        return -1
    place = _parent_of(task, name)
    if place is None:
        return -1
    files = task.files
    fd = files.index(None) if None in files else get_unused_fd(task)
    mnt, parent, directory, last = place
    dentry = parent.d_subdirs.get(last)
    if dentry is None and directory.i_nlink:
        dentry = _looked_up(parent, directory, last)
    if dentry is None:
        return -1
    inode = dentry.d_inode
    if inode is None:
        create = directory.i_op.create
        if not flags & O_CREAT or create is None or not _may_change(task, directory):
            return -1
        inode = dentry.d_inode = create(directory, last, S_IFREG | mode & 0o7777 & ~task.umask)
    elif not _may_open(task, dentry, inode, flags):
        return -1
    if inode.i_fop.open is not None:
        files[fd] = dentry_open((mnt, dentry), flags)
        return fd
    f_mode = flags + 1 & O_ACCMODE
    if f_mode & FMODE_WRITE:
        inode.i_writecount += 1
    inode.i_count += 1
    mnt.mnt_count += 1
    files[fd] = File(dentry, mnt, inode, inode.i_mapping, flags & ~(O_CREAT | O_EXCL), f_mode,
                     inode.i_fop)
    return fd


def unlink_quick(task: Task, name: PathName) -> bool:
    """unlink(2). False: ask do_unlink().

    Raises:
        OSError: what the file system's unlink answers.
    """
    place = _parent_of(task, name)
    if place is None:
        return False
    _, parent, directory, last = place
    dentry = parent.d_subdirs.get(last)
    inode = None if dentry is None else dentry.d_inode
    unlink = directory.i_op.unlink
    if dentry is None or inode is None or unlink is None or inode.i_mode & S_IFMT == S_IFDIR \
            or inode.i_flags or directory.i_mode & S_ISVTX or not _may_change(task, directory):
        return False
    unlink(directory, last, inode)
    if inode.i_count > 1 or inode.i_nlink:
        d_delete(dentry)
    else:
        dentry.d_inode = None
        inode.i_count = 0
        evict(inode)
    return True


def mkdir_quick(task: Task, name: PathName, mode: int) -> bool:
    """mkdir(2). False: ask do_mkdir().

    Raises:
        OSError: what the file system's lookup or mkdir answers.
    """
    place = _parent_of(task, name)
    if place is None:
        return False
    _, parent, directory, last = place
    mkdir = directory.i_op.mkdir
    if mkdir is None or not _may_change(task, directory):
        return False
    dentry = parent.d_subdirs.get(last) or _looked_up(parent, directory, last)
    if dentry is None or dentry.d_inode is not None:
        return False
    dentry.d_inode = mkdir(directory, last, S_IFDIR | mode & 0o1777 & ~task.umask)
    return True
