"""Parts for file systems that keep everything in memory.

Kernel: v3.6 fs/libfs.c
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.inode import current_fs_time
from xiplab.linux.fs.read_write import generic_file_llseek
from xiplab.linux.include.fs import S_IFDIR, S_IFMT, SEEK_CUR, SEEK_SET, File, Inode, UserBuffer


def generic_read_dir(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """A directory is no file to read(). Raises OSError EISDIR."""
    raise OSError(errno.EISDIR, f"{filp}: is a directory")


def dcache_dir_lseek(filp: File, offset: int, whence: int) -> int:
    """Directories have no end to count from. Raises OSError EINVAL for SEEK_END, or a position below 0."""
    if whence not in (SEEK_SET, SEEK_CUR):
        raise OSError(errno.EINVAL, f"{filp}: whence {whence} in a directory")
    return generic_file_llseek(filp, offset, whence)


def noop_fsync(filp: File, datasync: bool) -> None:
    """There is nothing to bring to a device."""


def names_of(directory: Inode) -> dict[bytes, Inode]:
    """A directory's names. Kernel: its dentries, which never leave the cache"""
    names: dict[bytes, Inode] = directory.i_private
    return names


def touch(*inodes: Inode) -> None:
    """Set ctime, and the mtime of directories, to now."""
    now = current_fs_time(inodes[0].i_sb)
    for inode in inodes:
        inode.i_ctime = now
        if inode.i_mode & S_IFMT == S_IFDIR:
            inode.i_mtime = now


def simple_lookup(directory: Inode, name: bytes) -> Inode | None:
    inode = names_of(directory).get(name)
    if inode is not None:
        inode.i_count += 1
    return inode


def simple_link(inode: Inode, directory: Inode, name: bytes) -> None:
    inode.i_nlink += 1
    names_of(directory)[name] = inode
    touch(directory, inode)


def simple_unlink(directory: Inode, name: bytes, inode: Inode) -> None:
    inode.i_nlink -= 1
    del names_of(directory)[name]
    touch(directory, inode)


def simple_rmdir(directory: Inode, name: bytes, inode: Inode) -> None:
    """Raises OSError ENOTEMPTY."""
    if names_of(inode):
        raise OSError(errno.ENOTEMPTY, f"{name.decode(errors='replace')}: the directory is not empty")
    inode.i_nlink -= 1
    directory.i_nlink -= 1
    simple_unlink(directory, name, inode)


def simple_rename(old_dir: Inode, old_name: bytes, inode: Inode, new_dir: Inode, new_name: bytes,
                  replaced: Inode | None) -> None:
    """Raises OSError ENOTEMPTY for a directory that would be replaced."""
    is_dir = inode.i_mode & S_IFMT == S_IFDIR
    if replaced is not None:
        (simple_rmdir if is_dir else simple_unlink)(new_dir, new_name, replaced)
    del names_of(old_dir)[old_name]
    names_of(new_dir)[new_name] = inode
    if is_dir:
        old_dir.i_nlink -= 1
        new_dir.i_nlink += 1
    touch(old_dir, new_dir, inode)
