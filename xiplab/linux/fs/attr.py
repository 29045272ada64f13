"""Changing an inode's attributes: who may, and the fields themselves.

Interface: notify_change(); for file systems inode_change_ok(), setattr_copy(), simple_setattr().

Kernel: v3.6 fs/attr.c
"""

from __future__ import annotations

import errno

from xiplab.errors import SIGXFSZ
from xiplab.linux.fs.inode import current_fs_time, mark_inode_dirty
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
    S_APPEND,
    S_IMMUTABLE,
    S_ISGID,
    S_ISUID,
    S_IXGRP,
    S_SWAPFILE,
    Iattr,
    Inode,
)
from xiplab.linux.include.sched import CAP_CHOWN, CAP_FOWNER, CAP_FSETID
from xiplab.linux.mm.filemap import truncate_inode_pages
from xiplab.linux.mm.memory import unmap_mapping_range


def inode_change_ok(inode: Inode, attr: Iattr) -> None:
    """Whether the running task may make this change; a setgid bit it may not set is dropped.

    Raises:
        OSError: EPERM not the owner, or a foreign group; those of inode_newsize_ok.
    """
    if attr.ia_valid & ATTR_SIZE:
        inode_newsize_ok(inode, attr.ia_size)
    if attr.ia_valid & ATTR_FORCE:
        return
    cred = inode.i_sb.s_kernel.current.cred
    is_owner = cred.fsuid == inode.i_uid
    own_groups = cred.groups | {cred.fsgid}
    if attr.ia_valid & ATTR_UID and CAP_CHOWN not in cred.capabilities \
            and not (is_owner and attr.ia_uid == inode.i_uid):
        raise OSError(errno.EPERM, f"{inode}: owner {attr.ia_uid} may only be set with CAP_CHOWN")
    if attr.ia_valid & ATTR_GID and CAP_CHOWN not in cred.capabilities \
            and not (is_owner and (attr.ia_gid in own_groups or attr.ia_gid == inode.i_gid)):
        raise OSError(errno.EPERM, f"{inode}: group {attr.ia_gid} may only be set with CAP_CHOWN")
    if attr.ia_valid & ATTR_MODE:
        if not inode_owner_or_capable(inode):
            raise OSError(errno.EPERM, f"{inode}: the mode is its owner's to change")
        group = attr.ia_gid if attr.ia_valid & ATTR_GID else inode.i_gid
        if group not in own_groups and CAP_FSETID not in cred.capabilities:
            attr.ia_mode &= ~S_ISGID
    if attr.ia_valid & (ATTR_ATIME_SET | ATTR_MTIME_SET | ATTR_TIMES_SET) \
            and not inode_owner_or_capable(inode):
        raise OSError(errno.EPERM, f"{inode}: the times are its owner's to set")


def inode_owner_or_capable(inode: Inode) -> bool:
    """Whether the running task owns the inode, or acts for any owner. Kernel: fs/inode.c"""
    cred = inode.i_sb.s_kernel.current.cred
    return cred.fsuid == inode.i_uid or CAP_FOWNER in cred.capabilities


def inode_newsize_ok(inode: Inode, size: int) -> None:
    """Whether the file may have this size.

    Raises:
        OSError: EFBIG beyond RLIMIT_FSIZE (with SIGXFSZ) or s_maxbytes; ETXTBSY a swap file that would
            shrink.
    """
    if size <= inode.i_size:
        if inode.i_flags & S_SWAPFILE:
            raise OSError(errno.ETXTBSY, f"{inode}: is a swap file")
        return
    task = inode.i_sb.s_kernel.current
    if size > task.rlimit_fsize:
        task.pending.append(SIGXFSZ)
        raise OSError(errno.EFBIG, f"{inode}: size {size} is beyond RLIMIT_FSIZE ({task.rlimit_fsize})")
    if size > inode.i_sb.s_maxbytes:
        raise OSError(errno.EFBIG, f"{inode}: size {size} is beyond the largest ({inode.i_sb.s_maxbytes})")


def setattr_copy(inode: Inode, attr: Iattr) -> None:
    """Take the fields over, but for the size; times as coarse as the file system keeps them."""
    granularity = inode.i_sb.s_time_gran
    if attr.ia_valid & ATTR_UID:
        inode.i_uid = attr.ia_uid
    if attr.ia_valid & ATTR_GID:
        inode.i_gid = attr.ia_gid
    if attr.ia_valid & ATTR_ATIME:
        inode.i_atime = attr.ia_atime - attr.ia_atime % granularity
    if attr.ia_valid & ATTR_MTIME:
        inode.i_mtime = attr.ia_mtime - attr.ia_mtime % granularity
    if attr.ia_valid & ATTR_CTIME:
        inode.i_ctime = attr.ia_ctime - attr.ia_ctime % granularity
    if attr.ia_valid & ATTR_MODE:
        cred = inode.i_sb.s_kernel.current.cred
        mode = attr.ia_mode
        in_group = inode.i_gid == cred.fsgid or inode.i_gid in cred.groups
        if not in_group and CAP_FSETID not in cred.capabilities:
            mode &= ~S_ISGID
        inode.i_mode = inode.i_mode & ~0o7777 | mode & 0o7777
    mark_inode_dirty(inode)


def simple_setattr(inode: Inode, attr: Iattr) -> None:
    """Attributes of an inode that is nowhere but in memory. Kernel: fs/libfs.c

    Raises:
        OSError: those of inode_change_ok.
    """
    inode_change_ok(inode, attr)
    if attr.ia_valid & ATTR_SIZE:
        if attr.ia_size < inode.i_size:
            unmap_mapping_range(inode.i_mapping, attr.ia_size, 0)
            truncate_inode_pages(inode.i_mapping, attr.ia_size)
        inode.i_size = attr.ia_size
    setattr_copy(inode, attr)


def notify_change(inode: Inode, attr: Iattr) -> None:
    """Let the file system change attributes; ctime, and times that are not given, become now.

    ATTR_KILL_SUID and ATTR_KILL_SGID take those bits away, the second only from an executable.
    Raises:
        OSError: EPERM append-only or immutable, or what setattr answers (EPERM, EFBIG, ETXTBSY, EIO).
    """
    if attr.ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_TIMES_SET) \
            and inode.i_flags & (S_IMMUTABLE | S_APPEND):
        raise OSError(errno.EPERM, f"{inode}: append-only or immutable")
    attr.ia_ctime = now = current_fs_time(inode.i_sb)
    attr.ia_valid |= ATTR_CTIME
    if not attr.ia_valid & ATTR_ATIME_SET:
        attr.ia_atime = now
    if not attr.ia_valid & ATTR_MTIME_SET:
        attr.ia_mtime = now
    kill = inode.i_mode & S_ISUID if attr.ia_valid & ATTR_KILL_SUID else 0
    if attr.ia_valid & ATTR_KILL_SGID and inode.i_mode & S_IXGRP:
        kill |= inode.i_mode & S_ISGID
    if kill:
        attr.ia_valid |= ATTR_MODE
        attr.ia_mode = inode.i_mode & ~kill
    setattr = inode.i_op.setattr or simple_setattr
    setattr(inode, attr)
