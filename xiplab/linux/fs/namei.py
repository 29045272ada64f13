"""From a path to an inode, and the calls that change names.

A path is walked component by component: permission to search the directory, then the dentry cache,
then the file system's lookup; mounts are crossed and symbolic links followed on the way.

Interface: path_lookup(), lookup_parent(), inode_permission(), vfs_create(), do_mkdir(), do_rmdir(),
do_unlink(), do_symlink(), do_link(), do_rename(), do_mknod().

Kernel: v3.6 fs/namei.c, fs/dcache.c
"""

from __future__ import annotations

import errno
import os
from typing import TypeAlias

from xiplab.errors import KernelBug
from xiplab.linux.fs.inode import iput
from xiplab.linux.include.fs import (
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    MS_RDONLY,
    S_APPEND,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    S_IMMUTABLE,
    S_ISVTX,
    Dentry,
    Inode,
    VfsMount,
)
from xiplab.linux.include.sched import CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_MKNOD, Task

Path: TypeAlias = tuple[VfsMount, Dentry]
PathName: TypeAlias = str | bytes | os.PathLike[str]

PATH_MAX = 4096
NAME_MAX = 255
MAX_SYMLINKS = 40
SEARCHABLE_BITS = S_IFMT | 0o111
SEARCHABLE_DIRECTORY = S_IFDIR | 0o111


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


def d_alloc(parent: Dentry, name: bytes, inode: Inode | None) -> Dentry:
    """A dentry below `parent`, in the cache unless its file system's names change by themselves."""
    dentry = Dentry(name, parent, inode, parent.d_sb)
    if not parent.d_sb.s_type.revalidate:
        parent.d_subdirs[name] = dentry
    return dentry


def d_delete(dentry: Dentry) -> None:
    """The name is gone: a negative dentry stays, the inode loses a reference."""
    inode, dentry.d_inode = dentry.d_inode, None
    dentry.d_subdirs.clear()
    if inode is not None:
        iput(inode)


def parent_of(dentry: Dentry) -> Dentry:
    """The directory that holds the dentry, which is not the root of its file system."""
    if dentry.d_parent is None:
        raise KernelBug(f"{dentry} is a root and has no parent")
    return dentry.d_parent


def mounted_on(mnt: VfsMount) -> Path | None:
    """The place where the file system hangs in the tree, or None for the root."""
    if mnt.mnt_parent is None or mnt.mnt_mountpoint is None:
        return None
    return mnt.mnt_parent, mnt.mnt_mountpoint


def d_path(path: Path) -> str:
    """The absolute path of a dentry."""
    mnt, dentry = path
    names: list[bytes] = []
    while True:
        if dentry is not mnt.mnt_root:
            names.append(dentry.d_name)
            dentry = parent_of(dentry)
        elif (below := mounted_on(mnt)) is not None:
            mnt, dentry = below
        else:
            return "/" + b"/".join(reversed(names)).decode(errors="replace")


def lookup_one(parent: Dentry, name: bytes) -> Dentry:
    """The dentry of `name` in the directory `parent`; d_inode is None if there is no such name.

    Raises:
        OSError: ENAMETOOLONG; what the file system's lookup answers (EIO, EUCLEAN).
    """
    dentry = parent.d_subdirs.get(name)
    if dentry is not None:
        return dentry
    if len(name) > NAME_MAX:
        raise OSError(errno.ENAMETOOLONG, f"{name[:20]!r}...: {len(name)} bytes (limit {NAME_MAX})")
    directory = parent.d_inode
    assert directory is not None
    if directory.i_op.lookup is None:
        raise OSError(errno.ENOTDIR, f"{parent}: not a directory")
    return d_alloc(parent, name, directory.i_op.lookup(directory, name))


def _start(task: Task, name: bytes) -> Path:
    start = task.root if name.startswith(b"/") else task.pwd
    assert start is not None
    return start


def _dotdot(task: Task, path: Path) -> Path:
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
    while dentry.d_mounted is not None:
        mnt = dentry.d_mounted
        dentry = mnt.mnt_root
    return mnt, dentry


def encode_path(name: PathName) -> bytes:
    """The path as bytes.

    Raises:
        OSError: ENOENT if empty; ENAMETOOLONG; EINVAL with a NUL byte.
    """
    encoded = name.encode(errors="surrogateescape") if isinstance(name, str) else os.fsencode(name)
    if not encoded:
        raise OSError(errno.ENOENT, "the path is empty")
    if len(encoded) >= PATH_MAX:
        raise OSError(errno.ENAMETOOLONG, f"path of {len(encoded)} bytes (limit {PATH_MAX - 1})")
    if b"\0" in encoded:
        raise OSError(errno.EINVAL, f"{encoded[:40]!r}: a path has no NUL byte")
    return encoded


def path_lookup(task: Task, name: PathName, *, follow: bool = True) -> Path:
    """The mount and dentry that `name` leads to; a last symbolic link is followed if `follow`.

    Raises:
        OSError: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG.
    """
    encoded = encode_path(name)
    if (found := _rcu_walk(task, encoded)) is not None:
        return found
    mnt, dentry = _walk(task, encoded, follow=follow or encoded.endswith(b"/"))
    if dentry.d_inode is None:
        raise OSError(errno.ENOENT, f"{os.fsdecode(encoded)}: no such file or directory")
    if encoded.endswith(b"/") and not is_dir(dentry.d_inode):
        raise OSError(errno.ENOTDIR, f"{os.fsdecode(encoded)}: not a directory")
    return mnt, dentry


def _rcu_walk(task: Task, name: bytes) -> Path | None:
    """The quick walk: every component is in the dentry cache, every directory can be searched by
    everybody, and nothing is a symbolic link. None if that is not so: then `_walk` goes, and judges.

    Kernel: path_walk in RCU mode
    """
    mnt, dentry = _start(task, name)
    for part in name.split(b"/"):
        if not part:
            continue
        inode = dentry.d_inode
        if inode is None or inode.i_mode & SEARCHABLE_BITS != SEARCHABLE_DIRECTORY:
            return None
        child = dentry.d_subdirs.get(part)
        if child is None:
            return None
        dentry = child
        if dentry.d_mounted is not None:
            mnt, dentry = follow_mount(mnt, dentry)
    inode = dentry.d_inode
    if inode is None or inode.i_mode & S_IFMT == S_IFLNK or name.endswith(b"/"):
        return None
    return mnt, dentry


def _walk(task: Task, name: bytes, *, follow: bool) -> Path:
    """Walk all components; the last dentry may be negative."""
    path = _start(task, name)
    todo = [part for part in reversed(name.split(b"/")) if part not in (b"", b".")]
    links = 0
    while todo:
        part = todo.pop()
        mnt, dentry = path
        inode = dentry.d_inode
        if inode is None:
            raise OSError(errno.ENOENT, f"{os.fsdecode(name)}: {dentry} does not exist")
        if not is_dir(inode):
            raise OSError(errno.ENOTDIR, f"{os.fsdecode(name)}: {dentry} is not a directory")
        inode_permission(task, inode, MAY_EXEC)
        if part == b"..":
            path = _dotdot(task, path)
            continue
        child = lookup_one(dentry, part)
        if child.d_inode is not None and is_symlink(child.d_inode) and (todo or follow):
            links += 1
            if links > MAX_SYMLINKS:
                raise OSError(errno.ELOOP, f"{os.fsdecode(name)}: more than {MAX_SYMLINKS} symbolic links")
            target = vfs_readlink(child.d_inode)
            todo += [piece for piece in reversed(target.split(b"/")) if piece not in (b"", b".")]
            path = _start(task, target) if target.startswith(b"/") else path
            continue
        path = follow_mount(mnt, child) if child.d_mounted else (mnt, child)
    return path


def vfs_readlink(inode: Inode) -> bytes:
    """The target of a symbolic link.

    Raises:
        OSError: EINVAL if it is none; EIO.
    """
    if inode.i_op.readlink is None:
        raise OSError(errno.EINVAL, f"{inode}: not a symbolic link")
    return inode.i_op.readlink(inode)


def lookup_parent(task: Task, name: PathName) -> tuple[Path, bytes]:
    """The directory of the last component, and that component.

    Raises:
        OSError: as path_lookup; EBUSY or EINVAL-like answers for "/", "." and ".." are the caller's.
    """
    encoded = encode_path(name)
    head, _, last = encoded.rstrip(b"/").rpartition(b"/")
    if not last:
        return path_lookup(task, b"/"), b"."
    if head or encoded.startswith(b"/"):
        path = path_lookup(task, head or b"/")
    else:
        assert task.pwd is not None
        path = task.pwd
    inode = path[1].d_inode
    if inode is None or not is_dir(inode):
        raise OSError(errno.ENOTDIR, f"{os.fsdecode(encoded)}: not in a directory")
    inode_permission(task, inode, MAY_EXEC)
    return path, last


def _new_name(task: Task, name: PathName, *, directory: bool = False) -> Dentry:
    """A negative dentry for a name that is to be made, in a directory that may be written."""
    (_, parent), last = lookup_parent(task, name)
    if last in (b".", b".."):
        raise OSError(errno.EEXIST, f"{os.fsdecode(name)}: exists")
    dentry = lookup_one(parent, last)
    if dentry.d_inode is not None:
        raise OSError(errno.EEXIST, f"{os.fsdecode(name)}: exists")
    if os.fsencode(name).endswith(b"/") and not directory:
        raise OSError(errno.ENOENT, f"{os.fsdecode(name)}: no such directory")
    assert parent.d_inode is not None
    may_create(task, parent.d_inode)
    return dentry


def may_create(task: Task, directory: Inode) -> None:
    """Raises OSError ENOENT for a deleted directory, EROFS, EACCES."""
    if directory.i_nlink == 0:
        raise OSError(errno.ENOENT, f"{directory}: the directory was removed")
    inode_permission(task, directory, MAY_WRITE | MAY_EXEC)


def may_delete(task: Task, directory: Inode, victim: Dentry, *, isdir: bool) -> None:
    """Whether `victim` may be taken out of the directory.

    Raises:
        OSError: EROFS, EACCES; EPERM sticky directory of another owner, append-only or immutable;
            ENOTDIR, EISDIR for the wrong call; EBUSY for a mount point.
    """
    inode = victim.d_inode
    assert inode is not None
    inode_permission(task, directory, MAY_WRITE | MAY_EXEC)
    if directory.i_flags & S_APPEND or inode.i_flags & (S_APPEND | S_IMMUTABLE):
        raise OSError(errno.EPERM, f"{victim}: append-only or immutable")
    owners = (inode.i_uid, directory.i_uid)
    if directory.i_mode & S_ISVTX and task.cred.fsuid not in owners \
            and CAP_FOWNER not in task.cred.capabilities:
        raise OSError(errno.EPERM, f"{victim}: the directory is sticky and neither is yours")
    if isdir and not is_dir(inode):
        raise OSError(errno.ENOTDIR, f"{victim}: not a directory")
    if isdir and (victim.d_mounted or victim.d_parent is None):
        raise OSError(errno.EBUSY, f"{victim}: something is mounted there")
    if not isdir and is_dir(inode):
        raise OSError(errno.EISDIR, f"{victim}: is a directory")


def _directory_of(dentry: Dentry) -> Inode:
    inode = parent_of(dentry).d_inode
    assert inode is not None
    return inode


def vfs_create(task: Task, dentry: Dentry, mode: int) -> Inode:
    """Make a regular file for the negative dentry."""
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
    if kind in (0, S_IFREG):
        vfs_create(task, _new_name(task, name), mode)
        return
    if kind == S_IFDIR:
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: a directory is made by mkdir")
    if kind not in (S_IFIFO, S_IFSOCK, S_IFBLK, S_IFCHR):
        raise OSError(errno.EINVAL, f"{os.fsdecode(name)}: mode {mode:o}")
    dentry = _new_name(task, name)
    directory = _directory_of(dentry)
    if directory.i_op.mknod is None or (kind in (S_IFBLK, S_IFCHR)
                                        and CAP_MKNOD not in task.cred.capabilities):
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: no node can be made")
    dentry.d_inode = directory.i_op.mknod(directory, dentry.d_name, kind | mode & 0o7777 & ~task.umask, rdev)


def do_mkdir(task: Task, name: PathName, mode: int = 0o777) -> None:
    """mkdir(2). Raises OSError EEXIST, ENOENT, ENOTDIR, EACCES, EROFS, ENOSPC, EMLINK, EPERM."""
    dentry = _new_name(task, name, directory=True)
    directory = _directory_of(dentry)
    if directory.i_op.mkdir is None:
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: no directory can be made here")
    mode = mode & 0o1777 & ~task.umask
    dentry.d_inode = directory.i_op.mkdir(directory, dentry.d_name, S_IFDIR | mode)


def _existing(task: Task, name: PathName) -> Dentry:
    """The dentry of an existing last component, itself not followed."""
    (_, parent), last = lookup_parent(task, name)
    if last == b".":
        raise OSError(errno.EINVAL, f"{os.fsdecode(name)}: ends in a dot")
    if last == b"..":
        raise OSError(errno.ENOTEMPTY, f"{os.fsdecode(name)}: ends in two dots")
    dentry = lookup_one(parent, last)
    if dentry.d_inode is None:
        raise OSError(errno.ENOENT, f"{os.fsdecode(name)}: no such file or directory")
    return dentry


def do_rmdir(task: Task, name: PathName) -> None:
    """rmdir(2). Raises OSError ENOTEMPTY, ENOTDIR, EBUSY, EINVAL for ".", ENOENT, EACCES, EROFS."""
    dentry = _existing(task, name)
    directory, inode = _directory_of(dentry), dentry.d_inode
    assert inode is not None
    may_delete(task, directory, dentry, isdir=True)
    if directory.i_op.rmdir is None:
        raise OSError(errno.EPERM, f"{dentry}: cannot be removed here")
    directory.i_op.rmdir(directory, dentry.d_name, inode)
    d_delete(dentry)


def do_unlink(task: Task, name: PathName) -> None:
    """unlink(2): the name goes at once, the file with its last open descriptor."""
    dentry = _existing(task, name)
    directory, inode = _directory_of(dentry), dentry.d_inode
    assert inode is not None
    if os.fsencode(name).endswith(b"/") and not is_dir(inode):
        raise OSError(errno.ENOTDIR, f"{os.fsdecode(name)}: not a directory")
    may_delete(task, directory, dentry, isdir=False)
    if directory.i_op.unlink is None:
        raise OSError(errno.EPERM, f"{dentry}: cannot be removed here")
    directory.i_op.unlink(directory, dentry.d_name, inode)
    d_delete(dentry)


def do_symlink(task: Task, target: PathName, name: PathName) -> None:
    """symlink(2)."""
    encoded = encode_path(target)
    dentry = _new_name(task, name)
    directory = _directory_of(dentry)
    if directory.i_op.symlink is None:
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: no symbolic link can be made here")
    dentry.d_inode = directory.i_op.symlink(directory, dentry.d_name, encoded)


def do_link(task: Task, name: PathName, new: PathName) -> None:
    """link(2): another name for the file `name` (a symbolic link itself is linked, not followed).

    Raises:
        OSError: EXDEV another mount; EPERM a directory, append-only or immutable; EEXIST; EMLINK.
    """
    mnt, source = path_lookup(task, name, follow=False)
    inode = source.d_inode
    assert inode is not None
    dentry = _new_name(task, new)
    directory = _directory_of(dentry)
    if dentry.d_sb is not mnt.mnt_sb:
        raise OSError(errno.EXDEV, f"{os.fsdecode(new)}: on another file system than {os.fsdecode(name)}")
    if is_dir(inode) or inode.i_flags & (S_APPEND | S_IMMUTABLE) or directory.i_op.link is None:
        raise OSError(errno.EPERM, f"{os.fsdecode(name)}: cannot be linked")
    directory.i_op.link(inode, directory, dentry.d_name)
    inode.i_count += 1
    dentry.d_inode = inode


def _is_below(dentry: Dentry, ancestor: Dentry) -> bool:
    return dentry is ancestor or (dentry.d_parent is not None and _is_below(dentry.d_parent, ancestor))


def do_rename(task: Task, old: PathName, new: PathName) -> None:
    """rename(2): the new name, if it exists, is replaced in one step.

    Raises:
        OSError: EXDEV; EINVAL into itself; ENOTDIR, EISDIR, ENOTEMPTY for what is replaced; EBUSY;
            and those of unlink and create.
    """
    (old_mnt, old_parent), old_name = lookup_parent(task, old)
    (new_mnt, new_parent), new_name = lookup_parent(task, new)
    if old_mnt is not new_mnt:
        raise OSError(errno.EXDEV, f"{os.fsdecode(new)}: on another file system than {os.fsdecode(old)}")
    if {old_name, new_name} & {b".", b".."}:
        raise OSError(errno.EBUSY, "rename: neither name may end in . or ..")
    source, target = lookup_one(old_parent, old_name), lookup_one(new_parent, new_name)
    inode = source.d_inode
    if inode is None:
        raise OSError(errno.ENOENT, f"{os.fsdecode(old)}: no such file or directory")
    for name in (old, new):
        if os.fsencode(name).endswith(b"/") and not is_dir(inode):
            raise OSError(errno.ENOTDIR, f"{os.fsdecode(name)}: not a directory")
    if _is_below(new_parent, source):
        raise OSError(errno.EINVAL, f"{os.fsdecode(old)}: cannot move into itself")
    if _is_below(old_parent, target):
        raise OSError(errno.ENOTEMPTY, f"{os.fsdecode(new)}: holds what is moved")
    if target.d_inode is not inode:
        vfs_rename(task, source, target)


def vfs_rename(task: Task, source: Dentry, target: Dentry) -> None:
    old_dir, new_dir = _directory_of(source), _directory_of(target)
    inode, replaced = source.d_inode, target.d_inode
    assert inode is not None
    may_delete(task, old_dir, source, isdir=is_dir(inode))
    if replaced is None:
        may_create(task, new_dir)
    else:
        may_delete(task, new_dir, target, isdir=is_dir(inode))
    if is_dir(inode) and new_dir is not old_dir:
        inode_permission(task, inode, MAY_WRITE)
    if source.d_mounted or target.d_mounted:
        raise OSError(errno.EBUSY, f"{source}: something is mounted there")
    if old_dir.i_op.rename is None:
        raise OSError(errno.EPERM, f"{source}: cannot be renamed here")
    old_dir.i_op.rename(old_dir, source.d_name, inode, new_dir, target.d_name, replaced)
    d_move(source, target)


def d_move(source: Dentry, target: Dentry) -> None:
    """`source` takes the place of `target`; a negative dentry stays where it was."""
    old_parent, old_name = parent_of(source), source.d_name
    if target.d_inode is not None:
        iput(target.d_inode)
    source.d_parent, source.d_name = parent_of(target), target.d_name
    source.d_parent.d_subdirs[source.d_name] = source
    old_parent.d_subdirs[old_name] = Dentry(old_name, old_parent, None, old_parent.d_sb)
