"""From a path to an inode.

A path is walked component by component: permission to search the directory, then the dentry cache,
then the file system's lookup; mounts are crossed and symbolic links followed on the way.

Interface: path_lookup(), lookup_parent(), kern_path_create(), inode_permission(), vfs_readlink().
The calls that change names are in namei_change.py.

Kernel: v3.6 fs/namei.c
Differs: a path may lead through 40 symbolic links, however they are nested (v3.6: 8 within each other).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import TypeAlias

from xiplab.linux.fs.dcache import (
    Path,
    d_alloc,
    lookup_mnt,
    mounted_on,
    parent_of,
)
from xiplab.linux.fs.inode import touch_atime
from xiplab.linux.include.fs import (
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    MS_RDONLY,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IMMUTABLE,
    S_ISGID,
    S_ISUID,
    S_ISVTX,
    S_IXGRP,
    Dentry,
    Inode,
    VfsMount,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.sched import CAP_DAC_OVERRIDE, CAP_FOWNER, Task

PathName: TypeAlias = str | bytes | os.PathLike[str]

PATH_MAX = 4096
NAME_MAX = 255
MAX_SYMLINKS = 40
SEARCHABLE_BITS = S_IFMT | 0o111
SEARCHABLE_DIRECTORY = S_IFDIR | 0o111
ROOT = b"/"
SLASH = ord(ROOT)
NOT_NORMAL = (b".", b"..", ROOT)
"""Last components that name no entry of a directory. Kernel: LAST_DOT, LAST_DOTDOT, LAST_ROOT"""


def is_dir(inode: Inode) -> bool:
    return inode.i_mode & S_IFMT == S_IFDIR


def is_symlink(inode: Inode) -> bool:
    return inode.i_mode & S_IFMT == S_IFLNK


def generic_permission(task: Task, inode: Inode, mask: int) -> None:
    """Owner, group or other bits; root may do all but execute a file without any x bit.

    Raises:
        OSError: EACCES.
    """
    cred = task.cred
    mode = inode.i_mode
    if inode.i_uid == cred.fsuid:
        mode >>= 6
    elif inode.i_gid == cred.fsgid or inode.i_gid in cred.groups:
        mode >>= 3
    if not mask & ~mode & (MAY_READ | MAY_WRITE | MAY_EXEC):
        return
    executable = is_dir(inode) or inode.i_mode & 0o111 or not mask & MAY_EXEC
    if CAP_DAC_OVERRIDE not in cred.capabilities or not executable:
        raise OSError(errno.EACCES, f"{inode}: permission denied (mode {inode.i_mode & 0o7777:04o})")


def inode_permission(task: Task, inode: Inode, mask: int) -> None:
    """Whether `task` may read, write or execute (search) the inode.

    Raises:
        OSError: EROFS to write on a read-only file system; EACCES.
    """
    if mask & MAY_WRITE:
        is_data = inode.i_mode & S_IFMT in (S_IFREG, S_IFDIR, S_IFLNK)
        if inode.i_sb.s_flags & MS_RDONLY and is_data:
            raise OSError(errno.EROFS, f"{inode} on {inode.i_sb}: read-only file system")
        if inode.i_flags & S_IMMUTABLE:
            raise OSError(errno.EACCES, f"{inode}: immutable")
    generic_permission(task, inode, mask)


def inode_of(dentry: Dentry) -> Inode:
    """The inode of a dentry that is not negative."""
    assert dentry.d_inode is not None
    return dentry.d_inode


def encode_path(name: PathName) -> bytes:
    """The path as bytes.

    Raises:
        OSError: ENOENT if empty; ENAMETOOLONG; EINVAL with a NUL byte.
    """
    try:
        encoded = name.encode() if type(name) is str else os.fsencode(name)
    except UnicodeEncodeError:
        encoded = str(name).encode("utf-8", "surrogateescape")
    if not encoded:
        raise OSError(errno.ENOENT, "the path is empty")
    if len(encoded) >= PATH_MAX:
        raise OSError(errno.ENAMETOOLONG, f"path of {len(encoded)} bytes (limit {PATH_MAX - 1})")
    if 0 in encoded:
        raise OSError(errno.EINVAL, f"{encoded[:40]!r}: a path has no NUL byte")
    return encoded


def components(name: bytes) -> list[bytes]:
    """The parts of a path, the last one first. One without a name, before or after a slash, says that what
    stands before it must be a directory."""
    return name.split(b"/")[::-1]


def lookup_one(parent: Dentry, name: bytes) -> Dentry:
    """The dentry of `name` in the directory `parent`; d_inode is None if there is no such name.

    Raises:
        OSError: ENAMETOOLONG; ENOENT the directory itself was removed; what the file system's lookup
            answers (EIO, EUCLEAN).
    """
    dentry = parent.d_subdirs.get(name)
    if dentry is not None:
        return dentry
    if len(name) > NAME_MAX:
        raise OSError(errno.ENAMETOOLONG, f"{name[:20]!r}...: {len(name)} bytes (limit {NAME_MAX})")
    directory = inode_of(parent)
    if directory.i_nlink == 0:
        raise OSError(errno.ENOENT, f"{parent}: the directory was removed")
    if directory.i_op.lookup is None:
        raise OSError(errno.ENOTDIR, f"{parent}: not a directory")
    return d_alloc(parent, name, directory.i_op.lookup(directory, name))


def start_of(task: Task, name: bytes, base: Path | None = None) -> Path:
    """Where a path begins: the root, or `base`, which is the task's directory if it is left out."""
    start = task.root if name.startswith(b"/") else base or task.pwd
    assert start is not None
    return start


def follow_dotdot(task: Task, path: Path) -> Path:
    mnt, dentry = path
    while dentry is mnt.mnt_root:
        below = mounted_on(mnt)
        if (mnt, dentry) == task.root or below is None:
            return mnt, dentry
        mnt, dentry = below
    if (mnt, dentry) == task.root:
        return mnt, dentry
    return follow_mount(mnt, parent_of(dentry))


def follow_mount(mnt: VfsMount, dentry: Dentry) -> Path:
    """Cross into whatever is mounted on the dentry."""
    while (mounted := dentry.d_mounted) is not None:
        if mounted.mnt_parent is not mnt and (mounted := lookup_mnt(mnt, dentry)) is None:
            break
        mnt, dentry = mounted, mounted.mnt_root
    return mnt, dentry


def path_lookup(task: Task, name: PathName, *, follow: bool = True) -> Path:
    """The mount and dentry that `name` leads to; a last symbolic link is followed if `follow`.

    Raises:
        OSError: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG.
    """
    encoded = encode_path(name)
    path = task.root if encoded[0] == SLASH else task.pwd
    assert path is not None
    todo: Sequence[bytes] = encoded.split(b"/")
    if todo[-1]:
        path, todo = _rcu_walk(path, todo)
    if todo:
        path = _walk(task, path, todo, follow=follow)
        if path[1].d_inode is None:
            raise OSError(errno.ENOENT, f"{os.fsdecode(encoded)}: no such file or directory")
    return path


def _rcu_walk(path: Path, parts: Sequence[bytes]) -> tuple[Path, Sequence[bytes]]:
    """The quick walk, while components are in the dentry cache. It ends at the first that is not, and goes
    back to the start if it met a directory that not everybody may search, a file, a symbolic link, a name
    known not to exist, or a place where several mounts lie. From there `_walk` goes on, and judges.

    Kernel: path_walk in RCU mode, left by unlazy_walk()
    Returns:
        where it came to, and the parts that are left.
    """
    mnt, dentry = path
    left = iter(parts)
    for part in left:
        if part:
            inode = dentry.d_inode
            if inode is None or inode.i_mode & SEARCHABLE_BITS != SEARCHABLE_DIRECTORY:
                return path, parts
            child = dentry.d_subdirs.get(part)
            if child is None:
                return (mnt, dentry), [part, *left]
            dentry = child
            while (mounted := dentry.d_mounted) is not None:
                if mounted.mnt_parent is not mnt:
                    return path, parts
                mnt, dentry = mounted, mounted.mnt_root
    inode = dentry.d_inode
    if inode is None or inode.i_mode & S_IFMT == S_IFLNK:
        return path, parts
    return (mnt, dentry), ()


def _walk(task: Task, path: Path, parts: Sequence[bytes], *, follow: bool) -> Path:
    """Walk the components from `path`; the last dentry may be negative."""
    links = 0
    todo = list(reversed(parts))
    while todo:
        part = todo.pop()
        mnt, dentry = path
        may_lookup(task, dentry, part)
        if not part or part == b".":
            continue
        if part == b"..":
            path = follow_dotdot(task, path)
            continue
        child = lookup_one(dentry, part)
        if child.d_inode is not None and is_symlink(child.d_inode) and (todo or follow):
            links = one_more_link(links, child)
            if not todo:
                may_follow_link(task, dentry, child.d_inode)
            target = vfs_readlink(child.d_inode)
            todo += components(target)
            path = start_of(task, target, path)
            continue
        path = follow_mount(mnt, child) if child.d_mounted else (mnt, child)
    return path


def may_lookup(task: Task, dentry: Dentry, part: bytes) -> None:
    """Whether `part` may be looked for in the dentry. Raises OSError ENOENT, ENOTDIR, EACCES."""
    inode = dentry.d_inode
    if inode is None:
        raise OSError(errno.ENOENT, f"{dentry}: no such file or directory")
    if inode.i_mode & SEARCHABLE_BITS == SEARCHABLE_DIRECTORY:
        return
    if not is_dir(inode):
        raise OSError(errno.ENOTDIR, f"{dentry}: not a directory")
    if part:
        inode_permission(task, inode, MAY_EXEC)


def one_more_link(links: int, link: Dentry) -> int:
    if links >= MAX_SYMLINKS:
        raise OSError(errno.ELOOP, f"{link}: more than {MAX_SYMLINKS} symbolic links")
    return links + 1


def is_protected(kernel: Kernel, what: str) -> bool:
    """The switches /proc/sys/fs/protected_symlinks and protected_hardlinks, on at boot in v3.6."""
    switches: dict[str, bool] = kernel.statics.setdefault("protected", {"symlinks": True, "hardlinks": True})
    return switches[what]


def may_follow_link(task: Task, parent: Dentry, link: Inode) -> None:
    """In a sticky directory that everybody may write, only the owner's links and one's own are followed.

    Raises:
        OSError: EACCES.
    """
    directory = inode_of(parent)
    shared = S_ISVTX | 0o002
    if is_protected(task.kernel, "symlinks") and directory.i_mode & shared == shared \
            and link.i_uid not in (task.cred.fsuid, directory.i_uid):
        raise OSError(errno.EACCES, f"{link}: somebody else's symbolic link in a shared directory")


def may_linkat(task: Task, inode: Inode) -> None:
    """Whose file it is not may link it only if it is an ordinary one that he may read and write.

    Raises:
        OSError: EPERM.
    """
    is_owner = task.cred.fsuid == inode.i_uid or CAP_FOWNER in task.cred.capabilities
    if is_owner or not is_protected(task.kernel, "hardlinks"):
        return
    special = inode.i_mode & S_IFMT != S_IFREG or inode.i_mode & S_ISUID \
        or inode.i_mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP
    try:
        inode_permission(task, inode, MAY_READ | MAY_WRITE)
    except OSError:
        special = True
    if special:
        raise OSError(errno.EPERM, f"{inode}: somebody else's file, which you could not change")


def vfs_readlink(inode: Inode) -> bytes:
    """The target of a symbolic link.

    Raises:
        OSError: EINVAL if it is none; EIO.
    """
    if inode.i_op.readlink is None:
        raise OSError(errno.EINVAL, f"{inode}: not a symbolic link")
    touch_atime(inode)
    return inode.i_op.readlink(inode)


def lookup_parent(task: Task, name: PathName, base: Path | None = None) -> tuple[Path, bytes]:
    """The directory of the last component, and that component (perhaps one of NOT_NORMAL).

    Raises:
        OSError: as path_lookup.
    """
    encoded = encode_path(name)
    path = start_of(task, encoded, base)
    head, _, last = encoded.rstrip(b"/").rpartition(b"/")
    if not last:
        return path, ROOT
    path, todo = _rcu_walk(path, head.split(b"/"))
    if todo:
        path = _walk(task, path, todo, follow=True)
    may_lookup(task, path[1], last)
    return path, last


def has_slash(name: PathName) -> bool:
    """Whether the path ends in a slash."""
    text = os.fspath(name)
    return text.endswith("/") if isinstance(text, str) else text.endswith(b"/")


def kern_path_create(task: Task, name: PathName, *, directory: bool = False) -> tuple[VfsMount, Dentry]:
    """The mount, and a negative dentry for a name that is to be made.

    Raises:
        OSError: EEXIST; ENOENT a slash at the end for anything but a directory; as path_lookup.
    """
    (mnt, parent), last = lookup_parent(task, name)
    dentry = None if last in NOT_NORMAL else lookup_one(parent, last)
    if dentry is None or dentry.d_inode is not None:
        raise OSError(errno.EEXIST, f"{os.fsdecode(name)}: exists")
    if has_slash(name) and not directory:
        raise OSError(errno.ENOENT, f"{os.fsdecode(name)}: no such directory")
    return mnt, dentry
