"""The inode cache, the times of an inode, and who may not write it.

With file_table.py the only files of fs/ that mm/ may import: reading and writing a file touches its
inode's times, and an area keeps its file open.

Kernel: v3.6 fs/inode.c
"""

from __future__ import annotations

import errno

from xiplab.linux.include.fs import (
    MS_NOATIME,
    MS_NODIRATIME,
    MS_RDONLY,
    MS_RELATIME,
    O_NOATIME,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    S_ISGID,
    S_ISUID,
    S_IXGRP,
    S_NOATIME,
    File,
    Inode,
    SuperBlock,
)
from xiplab.linux.include.sched import CAP_FSETID
from xiplab.units import Ino

NO_ATIME = MS_NOATIME | MS_RDONLY
DAY = 24 * 60 * 60 * 1_000_000_000


def current_fs_time(sb: SuperBlock) -> int:
    """Now, in ns, as coarse as the file system keeps it. Kernel: kernel/time.c"""
    now = sb.s_kernel.clock()
    return now - now % sb.s_time_gran


def mark_inode_dirty(inode: Inode) -> None:
    """The inode differs from its record on the device. Kernel: fs/fs-writeback.c"""
    inode.i_dirty = True


def new_inode(sb: SuperBlock, ino: Ino) -> Inode:
    """A fresh inode in the cache, with one reference."""
    inode = Inode(sb, ino, i_count=1)
    sb.s_inodes[ino] = inode
    return inode


def iget_locked(sb: SuperBlock, ino: Ino) -> tuple[Inode, bool]:
    """The inode `ino` from the cache with one more reference, or a fresh one for the caller to fill.

    Returns:
        inode, and True if it is fresh. Kernel: the I_NEW flag
    """
    inode = sb.s_inodes.get(ino)
    if inode is None:
        return new_inode(sb, ino), True
    inode.i_count += 1
    return inode, False


def iget_failed(inode: Inode) -> None:
    """The fresh inode could not be filled: forget it. Kernel: fs/bad_inode.c"""
    inode.i_sb.s_inodes.pop(inode.i_ino, None)


def iput(inode: Inode) -> None:
    """Give one reference back. An inode without links is deleted with the last one."""
    inode.i_count -= 1
    if inode.i_count == 0 and inode.i_nlink == 0:
        evict(inode)


def evict(inode: Inode) -> None:
    """Take the inode out of the cache; the file system frees it if it has no links left."""
    sb = inode.i_sb
    if sb.s_op.evict_inode is not None:
        sb.s_op.evict_inode(inode)
    sb.s_inodes.pop(inode.i_ino, None)


def file_accessed(filp: File) -> None:
    """Set the access time after a read, unless the file is open with O_NOATIME."""
    if not filp.f_flags & O_NOATIME:
        touch_atime(filp.f_inode)


def touch_atime(inode: Inode) -> None:
    """Set the access time, if the mount wants it: with relatime only if the file changed since the last
    access, or that is a day ago. Kernel: touch_atime(), relatime_need_update()"""
    sb = inode.i_sb
    flags = sb.s_flags
    if flags & NO_ATIME or inode.i_flags & S_NOATIME \
            or (flags & MS_NODIRATIME and inode.i_mode & S_IFMT == S_IFDIR):
        return
    now = sb.s_kernel.clock()
    atime = inode.i_atime
    if flags & MS_RELATIME and inode.i_mtime < atime and inode.i_ctime < atime and now - atime < DAY:
        return
    now -= now % sb.s_time_gran
    if atime != now:
        inode.i_atime = now
        mark_inode_dirty(inode)


def file_update_time(filp: File) -> None:
    """Set mtime and ctime before a write; on ext2 only once a second changes anything."""
    inode = filp.f_inode
    sb = inode.i_sb
    now = sb.s_kernel.clock()
    if 0 <= now - inode.i_mtime < sb.s_time_gran and inode.i_ctime == inode.i_mtime:
        return
    inode.i_mtime = inode.i_ctime = now - now % sb.s_time_gran
    mark_inode_dirty(inode)


def should_remove_suid(inode: Inode) -> int:
    """The mode bits that a write takes away: setuid, and setgid of an executable."""
    kill = inode.i_mode & S_ISUID
    if inode.i_mode & S_ISGID and inode.i_mode & S_IXGRP:
        kill |= S_ISGID
    is_regular = inode.i_mode & S_IFMT == S_IFREG
    privileged = CAP_FSETID in inode.i_sb.s_kernel.current.cred.capabilities
    return kill if is_regular and not privileged else 0


def file_remove_suid(filp: File) -> None:
    """A write by someone without CAP_FSETID takes setuid and setgid away."""
    kill = should_remove_suid(filp.f_inode)
    if kill:
        filp.f_inode.i_mode &= ~kill
        mark_inode_dirty(filp.f_inode)


def inode_init_owner(inode: Inode, directory: Inode | None, mode: int) -> None:
    """A new inode belongs to the running task; in a setgid directory to that directory's group, and a
    directory made there is setgid too."""
    cred = inode.i_sb.s_kernel.current.cred
    inode.i_uid, inode.i_gid = cred.fsuid, cred.fsgid
    if directory is not None and directory.i_mode & S_ISGID:
        inode.i_gid = directory.i_gid
        if mode & S_IFMT == S_IFDIR:
            mode |= S_ISGID
    inode.i_mode = mode


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
