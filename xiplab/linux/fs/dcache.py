"""Names that were looked up before: the tree of dentries.

A dentry without an inode is negative: the name is known not to exist. Whoever stands in a directory
that is removed keeps its dentry.

Kernel: v3.6 fs/dcache.c, fs/namespace.c (lookup_mnt)
"""

from __future__ import annotations

import errno
from typing import TypeAlias

from xiplab.errors import KernelBug
from xiplab.linux.fs.inode import iput
from xiplab.linux.include.fs import NOTHING, Dentry, Inode, VfsMount

Path: TypeAlias = tuple[VfsMount, Dentry]


def parent_of(dentry: Dentry) -> Dentry:
    """The directory that holds the dentry, which is not the root of its file system."""
    if dentry.d_parent is None:
        raise KernelBug(f"{dentry} is a root and has no parent")
    return dentry.d_parent


def d_add(parent: Dentry, dentry: Dentry) -> None:
    """Put the dentry into the cache."""
    parent.d_subdirs = parent.d_subdirs or {}
    parent.d_subdirs[dentry.d_name] = dentry


def d_alloc(parent: Dentry, name: bytes, inode: Inode | None) -> Dentry:
    """A dentry below `parent`, in the cache unless its file system's names change by themselves."""
    sb = parent.d_sb
    dentry = Dentry(name, parent, inode, sb)
    if not sb.s_type.revalidate:
        names = parent.d_subdirs = parent.d_subdirs or {}
        names[name] = dentry
    return dentry


def d_delete(dentry: Dentry) -> None:
    """The name is gone, and the reference that it was. If nobody else has the inode, the dentry becomes
    negative; else another, negative one takes its place."""
    inode = dentry.d_inode
    assert inode is not None
    if inode.i_count > 1:
        d_alloc(parent_of(dentry), dentry.d_name, None)
    else:
        dentry.d_inode = None
        dentry.d_subdirs = NOTHING
    iput(inode)


def d_move(source: Dentry, target: Dentry) -> None:
    """`source` takes the place of `target`; a negative dentry stays where it was."""
    old_parent, old_name = parent_of(source), source.d_name
    if target.d_inode is not None:
        iput(target.d_inode)
    source.d_parent, source.d_name = parent_of(target), target.d_name
    d_add(source.d_parent, source)
    d_alloc(old_parent, old_name, None)


def is_subdir(dentry: Dentry, ancestor: Dentry) -> bool:
    """Whether the dentry is `ancestor` or lies below it."""
    walk: Dentry | None = dentry
    while walk is not None and walk is not ancestor:
        walk = walk.d_parent
    return walk is ancestor


def lookup_mnt(mnt: VfsMount, dentry: Dentry) -> VfsMount | None:
    """What is mounted on this place, the latest if there are several."""
    return next((child for child in reversed(mnt.mnt_sb.s_kernel.mounts)
                 if child.mnt_mountpoint is dentry and child.mnt_parent is mnt), None)


def mounted_on(mnt: VfsMount) -> Path | None:
    """The place where the file system hangs in the tree, or None for the root."""
    if mnt.mnt_parent is None or mnt.mnt_mountpoint is None:
        return None
    return mnt.mnt_parent, mnt.mnt_mountpoint


def d_path(path: Path) -> str:
    """The absolute path of a dentry. Raises OSError ENOENT if it was removed."""
    mnt, dentry = path
    if dentry.d_inode is not None and dentry.d_inode.i_nlink == 0:
        raise OSError(errno.ENOENT, f"{dentry}: was removed")
    names: list[bytes] = []
    while True:
        if dentry is not mnt.mnt_root:
            names.append(dentry.d_name)
            dentry = parent_of(dentry)
        elif (below := mounted_on(mnt)) is not None:
            mnt, dentry = below
        else:
            return "/" + b"/".join(reversed(names)).decode(errors="replace")
