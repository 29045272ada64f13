"""Changing an inode's attributes: who may, and the fields themselves.

Kernel: v3.6 fs/attr.c
"""

from __future__ import annotations

import errno

from xiplab.errors import SIGXFSZ
from xiplab.linux.fs.inode import mark_inode_dirty
from xiplab.linux.include.fs import (
    ATTR_ATIME,
    ATTR_CTIME,
    ATTR_GID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_SIZE,
    ATTR_UID,
    S_ISGID,
    S_SWAPFILE,
    Iattr,
    Inode,
)
from xiplab.linux.include.sched import CAP_CHOWN, CAP_FOWNER, CAP_FSETID


def inode_change_ok(inode: Inode, attr: Iattr) -> None:
    """Whether the running task may make this change; a setgid bit it may not set is dropped.

    Raises:
        OSError: EPERM not the owner, or a foreign group; those of inode_newsize_ok.
    """
    if attr.ia_valid & ATTR_SIZE:
        inode_newsize_ok(inode, attr.ia_size)
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
        if not is_owner and CAP_FOWNER not in cred.capabilities:
            raise OSError(errno.EPERM, f"{inode}: the mode is its owner's to change")
        group = attr.ia_gid if attr.ia_valid & ATTR_GID else inode.i_gid
        if group not in own_groups and CAP_FSETID not in cred.capabilities:
            attr.ia_mode &= ~S_ISGID


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
