"""Open files of ext2: the page cache's operations, or execute-in-place.

    ext2_file_operations       read() is do_sync_read around generic_file_aio_read: copies in pages
    ext2_xip_file_operations   read() is xip_file_read: straight from the device

Kernel: v3.6 fs/ext2/file.c, fs/ext2/dir.c (the table for directories)
"""

from __future__ import annotations

from xiplab.linux.fs.buffer import sync_mapping_buffers
from xiplab.linux.fs.ext2.dir import ext2_readdir
from xiplab.linux.fs.ext2.inode import ext2_setattr, write_inode
from xiplab.linux.fs.ext2.ioctl import ext2_ioctl
from xiplab.linux.fs.libfs import generic_read_dir
from xiplab.linux.fs.read_write import do_sync_read, do_sync_write, generic_file_llseek
from xiplab.linux.include.fs import File, FileOperations, InodeOperations
from xiplab.linux.mm.filemap import (
    filemap_fdatawrite,
    generic_file_aio_read,
    generic_file_aio_write,
    generic_file_mmap,
)
from xiplab.linux.mm.filemap_xip import xip_file_mmap, xip_file_read, xip_file_write
from xiplab.linux.mm.filemap_xip_bytes import xip_read_bytes, xip_write_bytes


def ext2_fsync(filp: File, datasync: bool) -> None:
    """Write the file's dirty pages, its indirect blocks and its inode. Bitmaps and descriptors stay.

    Kernel: generic_file_fsync() of fs/libfs.c
    Raises:
        OSError: EIO.
    """
    inode = filp.f_inode
    filemap_fdatawrite(inode.i_mapping)
    sync_mapping_buffers(inode.i_mapping)
    if inode.i_dirty:
        write_inode(inode, do_sync=True)


ext2_file_operations = FileOperations(
    name="ext2_file_operations", llseek=generic_file_llseek, read=do_sync_read, write=do_sync_write,
    aio_read=generic_file_aio_read, aio_write=generic_file_aio_write, mmap=generic_file_mmap,
    ioctl=ext2_ioctl, fsync=ext2_fsync)
ext2_xip_file_operations = FileOperations(
    name="ext2_xip_file_operations", llseek=generic_file_llseek, read=xip_file_read, write=xip_file_write,
    mmap=xip_file_mmap, ioctl=ext2_ioctl, fsync=ext2_fsync, read_bytes=xip_read_bytes,
    write_bytes=xip_write_bytes)
ext2_dir_operations = FileOperations(
    name="ext2_dir_operations", llseek=generic_file_llseek, read=generic_read_dir,
    readdir=ext2_readdir, ioctl=ext2_ioctl, fsync=ext2_fsync)
ext2_file_inode_operations = InodeOperations(name="ext2_file_inode_operations", setattr=ext2_setattr)
