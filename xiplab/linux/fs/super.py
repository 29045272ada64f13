"""Super blocks and mounts.

Kernel: v3.6 fs/super.c, fs/namespace.c, fs/sync.c
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from xiplab.errors import ProgramInterruption
from xiplab.linux.block.genhd import bdev_read_only, bdget
from xiplab.linux.fs.block_dev import blkdev_get, blkdev_put
from xiplab.linux.fs.buffer import sync_dirty_buffers
from xiplab.linux.fs.dcache import Path, d_add
from xiplab.linux.fs.inode import evict
from xiplab.linux.fs.namei import PathName, is_dir, path_lookup
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE, BlockDevice
from xiplab.linux.include.fs import (
    MS_NOATIME,
    MS_RDONLY,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SILENT,
    MS_STRICTATIME,
    NOTHING,
    Dentry,
    FileSystemType,
    Inode,
    SuperBlock,
    VfsMount,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.sched import CAP_SYS_ADMIN, Task
from xiplab.linux.mm.filemap import filemap_fdatawrite, truncate_inode_pages


def register_filesystem(kernel: Kernel, fstype: FileSystemType) -> None:
    """Make a file system type known to mount. Kernel: fs/filesystems.c"""
    kernel.filesystems[fstype.name] = fstype


def get_fs_type(kernel: Kernel, name: str) -> FileSystemType:
    """Raises OSError ENODEV for an unknown type."""
    try:
        return kernel.filesystems[name]
    except KeyError:
        raise OSError(errno.ENODEV, f"{name}: unknown file system type") from None


def _open_mode(flags: int) -> int:
    return FMODE_READ if flags & MS_RDONLY else FMODE_READ | FMODE_WRITE


def mount_bdev(kernel: Kernel, fstype: FileSystemType, bdev: BlockDevice, flags: int,
               data: str) -> SuperBlock:
    """The super block of the file system on `bdev`; one that is mounted already is shared.

    Raises:
        OSError: EACCES read-write on a read-only device; EBUSY mounted already with the other of ro and
            rw; what fill_super answers.
    """
    for sb in kernel.super_blocks:
        if sb.s_bdev is bdev:
            if (sb.s_flags ^ flags) & MS_RDONLY:
                raise OSError(errno.EBUSY, f"{bdev}: mounted already, the other way of ro and rw")
            return sb
    blkdev_get(bdev, _open_mode(flags))
    sb = SuperBlock(kernel, fstype, str(bdev), bdev, flags)
    try:
        fstype.fill_super(sb, data, bool(flags & MS_SILENT))
    except ProgramInterruption:
        raise
    except BaseException:
        blkdev_put(bdev, _open_mode(flags))
        raise
    kernel.super_blocks.append(sb)
    return sb


def mount_nodev(kernel: Kernel, fstype: FileSystemType, flags: int, data: str) -> SuperBlock:
    """A super block of a file system that needs no device."""
    sb = SuperBlock(kernel, fstype, fstype.name, None, flags)
    fstype.fill_super(sb, data, bool(flags & MS_SILENT))
    kernel.super_blocks.append(sb)
    return sb


def dev_name(kernel: Kernel, devname: str) -> BlockDevice:
    """The block device that "/dev/name" stands for.

    Raises:
        OSError: ENOTBLK for anything that is not below /dev; ENXIO if there is none.
    """
    directory, _, name = devname.rpartition("/")
    if directory != "/dev":
        raise OSError(errno.ENOTBLK, f"{devname}: not a block device")
    return bdget(kernel, name)


def may_mount(task: Task, what: str) -> None:
    """Raises OSError EPERM without CAP_SYS_ADMIN."""
    if CAP_SYS_ADMIN not in task.cred.capabilities:
        raise OSError(errno.EPERM, f"{what}: mounting is not permitted")


def do_mount(task: Task, devname: str, dirname: PathName, fstype: str, flags: int,
             data: str = "") -> VfsMount:
    """mount(2).

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN; ENODEV unknown type; ENOTBLK, ENXIO no such device; EACCES
            read-write on a read-only device; EINVAL what the file system does not accept; ENOENT,
            ENOTDIR for the directory; EBUSY the same device is mounted there.
    """
    kernel = task.kernel
    if not flags & (MS_STRICTATIME | MS_NOATIME):
        flags |= MS_RELATIME
    parent, mountpoint = path_lookup(task, dirname)
    may_mount(task, devname)
    if flags & MS_REMOUNT:
        do_remount(parent, mountpoint is parent.mnt_root, flags, data)
        return parent
    if mountpoint.d_inode is None or not is_dir(mountpoint.d_inode):
        raise OSError(errno.ENOTDIR, f"{os.fsdecode(dirname)}: not a directory")
    if not mountpoint.d_inode.i_nlink:
        raise OSError(errno.ENOENT, f"{os.fsdecode(dirname)}: the directory was removed")
    kind = get_fs_type(kernel, fstype)
    if kind.requires_dev:
        bdev = dev_name(kernel, os.fsdecode(devname))
        if parent.mnt_sb.s_bdev is bdev and mountpoint is parent.mnt_root:
            raise OSError(errno.EBUSY, f"{devname} is mounted on {os.fsdecode(dirname)} already")
        sb = mount_bdev(kernel, kind, bdev, flags, data)
    else:
        sb = mount_nodev(kernel, kind, flags, data)
    return attach_mount(kernel, sb, (parent, mountpoint), devname, os.fsdecode(dirname))


def attach_mount(kernel: Kernel, sb: SuperBlock, where: Path | None, devname: str, name: str) -> VfsMount:
    """Put the file system into the tree; `where` is None for the root."""
    sb.s_active += 1
    parent, mountpoint = where if where is not None else (None, None)
    mnt = VfsMount(sb, sb.s_root, mountpoint, parent, devname, name, sb.s_flags)
    if mountpoint is not None:
        mountpoint.d_mounted = mnt
        pin(mountpoint)
    kernel.mounts.append(mnt)
    return mnt


def pin(dentry: Dentry) -> None:
    """Keep the dentry and its directories in the cache, also of a file system that does not cache names."""
    while dentry.d_parent is not None:
        d_add(dentry.d_parent, dentry)
        dentry = dentry.d_parent


def unpin(dentry: Dentry) -> None:
    """Let names that the file system does not cache go again, up to the next that is still needed."""
    while dentry.d_parent is not None and dentry.d_sb.s_type.revalidate \
            and not dentry.d_mounted and not dentry.d_subdirs:
        del dentry.d_parent.d_subdirs[dentry.d_name]
        dentry = dentry.d_parent


def do_remount(mnt: VfsMount, at_root: bool, flags: int, data: str) -> None:
    """Change the flags of a mounted file system.

    Raises:
        OSError: EINVAL not a mount point; EACCES read-write on a read-only device; EBUSY read-only while
            files are open for writing; what remount_fs answers.
    """
    sb = mnt.mnt_sb
    if not at_root:
        raise OSError(errno.EINVAL, "remount: not a mount point")
    if not flags & MS_RDONLY and sb.s_bdev is not None and bdev_read_only(sb.s_bdev):
        raise OSError(errno.EACCES, f"{sb}: the device is read-only")
    if flags & MS_RDONLY and not sb.s_flags & MS_RDONLY:
        if any(inode.i_writecount > 0 for inode in sb.s_inodes.values()):
            raise OSError(errno.EBUSY, f"{sb}: files are open for writing")
        sync_filesystem(sb)
    if sb.s_op.remount_fs is not None:
        sb.s_op.remount_fs(sb, flags & ~MS_REMOUNT, data)
    sb.s_flags = mnt.mnt_flags = flags & ~MS_REMOUNT


def do_umount(task: Task, name: PathName) -> None:
    """umount(2).

    Raises:
        OSError: EINVAL not a mount point; EPERM; EBUSY the root, a mount below, an open file, or a
            task's directory.
    Differs: in Linux, umount of the root makes it read-only.
    """
    mnt, dentry = path_lookup(task, name)
    if dentry is not mnt.mnt_root:
        raise OSError(errno.EINVAL, f"{os.fsdecode(name)}: not a mount point")
    may_mount(task, os.fsdecode(name))
    kernel, place = task.kernel, mnt.mnt_mountpoint
    if place is None or mnt.mnt_count or any(other.mnt_parent is mnt for other in kernel.mounts):
        raise OSError(errno.EBUSY, f"{os.fsdecode(name)}: in use")
    kernel.mounts.remove(mnt)
    place.d_mounted = next((other for other in kernel.mounts if other.mnt_mountpoint is place), None)
    unpin(place)
    deactivate_super(mnt.mnt_sb)


def deactivate_super(sb: SuperBlock) -> None:
    """One mount less; the last one ends the file system."""
    sb.s_active -= 1
    if not sb.s_active:
        generic_shutdown_super(sb)


def _or_log(sb: SuperBlock, step: Callable[[SuperBlock], None]) -> None:
    try:
        step(sb)
    except OSError as error:
        sb.s_kernel.printk(f"{sb}: lost at unmount: {error}")


def generic_shutdown_super(sb: SuperBlock) -> None:
    """Write everything, forget everything, close the device. What cannot be written is lost, with a line
    in the log; the unmount goes on."""
    _or_log(sb, sync_filesystem)
    sb.s_root.d_subdirs = NOTHING
    for inode in list(sb.s_inodes.values()):
        truncate_inode_pages(inode.i_mapping, 0)
        evict(inode)
    if sb.s_op.put_super is not None:
        _or_log(sb, sb.s_op.put_super)
    sb.s_kernel.super_blocks.remove(sb)
    if sb.s_bdev is not None:
        blkdev_put(sb.s_bdev, _open_mode(sb.s_flags))


def sync_filesystem(sb: SuperBlock) -> None:
    """Write dirty pages, dirty inodes, what the file system keeps, and all buffers. Kernel: fs/sync.c

    Raises:
        OSError: EIO or ENOSPC of the first file that failed; the others were tried.
    """
    if sb.s_flags & MS_RDONLY:
        return
    failure: OSError | None = None
    for inode in list(sb.s_inodes.values()):
        try:
            write_inode_now(inode)
        except OSError as error:
            failure = failure or error
    if sb.s_op.sync_fs is not None:
        sb.s_op.sync_fs(sb)
    if sb.s_bdev is not None:
        sync_dirty_buffers(sb.s_bdev)
    if failure is not None:
        raise failure


def write_inode_now(inode: Inode) -> None:
    """The inode's dirty pages and then its record. Kernel: fs/fs-writeback.c"""
    if inode.i_mapping.pages:
        filemap_fdatawrite(inode.i_mapping)
    if inode.i_dirty and inode.i_sb.s_op.write_inode is not None:
        inode.i_sb.s_op.write_inode(inode)
        inode.i_dirty = False
