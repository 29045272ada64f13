"""The attributes that lsattr and chattr show and change.

Kernel: v3.6 fs/ext2/ioctl.c
Differs: flags are an argument and a result, not memory behind a pointer; there are no calls for the
reservation window.
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.ext2.ext2 import EXT2_I
from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_APPEND_FL,
    EXT2_FL_USER_MODIFIABLE,
    EXT2_FL_USER_VISIBLE,
    EXT2_IMMUTABLE_FL,
)
from xiplab.linux.fs.ext2.ialloc import ext2_mask_flags, ext2_set_inode_flags
from xiplab.linux.fs.inode import current_fs_time, mark_inode_dirty
from xiplab.linux.include.fs import MS_RDONLY, File, Inode
from xiplab.linux.include.sched import CAP_FOWNER, CAP_LINUX_IMMUTABLE

EXT2_IOC_GETFLAGS = 0x80086601
EXT2_IOC_SETFLAGS = 0x40086602
EXT2_IOC_GETVERSION = 0x80087601


def ext2_ioctl(filp: File, cmd: int, arg: int) -> int:
    """EXT2_IOC_GETFLAGS and EXT2_IOC_GETVERSION return what they are asked for; EXT2_IOC_SETFLAGS sets
    the flags to `arg`.

    Raises:
        OSError: ENOTTY another call; EROFS, EACCES (not the owner), EPERM to set flags.
    """
    inode = filp.f_inode
    if cmd == EXT2_IOC_GETFLAGS:
        return EXT2_I(inode).i_flags & EXT2_FL_USER_VISIBLE
    if cmd == EXT2_IOC_GETVERSION:
        return EXT2_I(inode).i_generation
    if cmd == EXT2_IOC_SETFLAGS:
        set_flags(inode, arg)
        return 0
    raise OSError(errno.ENOTTY, f"{filp}: ioctl {cmd:#x}")


def set_flags(inode: Inode, flags: int) -> None:
    """Set the flags that users may set; append-only and immutable need CAP_LINUX_IMMUTABLE."""
    info = EXT2_I(inode)
    cred = inode.i_sb.s_kernel.current.cred
    if inode.i_sb.s_flags & MS_RDONLY:
        raise OSError(errno.EROFS, f"{inode} on {inode.i_sb}: read-only file system")
    if cred.fsuid != inode.i_uid and CAP_FOWNER not in cred.capabilities:
        raise OSError(errno.EACCES, f"{inode}: the flags are its owner's to change")
    flags = ext2_mask_flags(inode.i_mode, flags)
    if (flags ^ info.i_flags) & (EXT2_APPEND_FL | EXT2_IMMUTABLE_FL) \
            and CAP_LINUX_IMMUTABLE not in cred.capabilities:
        raise OSError(errno.EPERM, f"{inode}: append-only and immutable need CAP_LINUX_IMMUTABLE")
    info.i_flags = info.i_flags & ~EXT2_FL_USER_MODIFIABLE | flags & EXT2_FL_USER_MODIFIABLE
    ext2_set_inode_flags(inode)
    inode.i_ctime = current_fs_time(inode.i_sb)
    mark_inode_dirty(inode)
