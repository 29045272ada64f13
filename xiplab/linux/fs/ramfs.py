"""A file system that lives in the page cache and nowhere else. A guest's root is one.

Its pages are never written anywhere, so they stay dirty for ever and cannot be reclaimed.

Kernel: v3.6 fs/ramfs/inode.c, fs/libfs.c
"""

from __future__ import annotations

from xiplab.linux.fs.attr import simple_setattr
from xiplab.linux.fs.inode import current_fs_time, inode_init_owner, new_inode
from xiplab.linux.fs.libfs import (
    dcache_dir_lseek,
    generic_read_dir,
    names_of,
    noop_fsync,
    simple_link,
    simple_lookup,
    simple_rename,
    simple_rmdir,
    simple_unlink,
    touch,
)
from xiplab.linux.fs.read_write import do_sync_read, do_sync_write, generic_file_llseek
from xiplab.linux.include.fs import (
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    AddressSpace,
    AddressSpaceOperations,
    Dentry,
    File,
    FileOperations,
    FileSystemType,
    Inode,
    InodeOperations,
    Kstatfs,
    SuperBlock,
    SuperOperations,
)
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import (
    generic_file_aio_read,
    generic_file_aio_write,
    generic_file_mmap,
    grab_cache_page_write_begin,
    truncate_inode_pages,
)
from xiplab.units import PAGE_SIZE, Ino, pos_to_pgoff

RAMFS_MAGIC = 0x858458F6
MAX_LFS_FILESIZE = (1 << 63) - 1


def simple_readpage(page: Page) -> None:
    """A page that was never written is zero already."""
    page.uptodate = True


def simple_write_begin(mapping: AddressSpace, pos: int, length: int) -> Page:
    page = grab_cache_page_write_begin(mapping, pos_to_pgoff(pos))
    page.uptodate = True
    return page


def simple_write_end(mapping: AddressSpace, pos: int, copied: int, page: Page) -> int:
    page.dirty = True
    if mapping.host is not None:
        mapping.host.i_size = max(mapping.host.i_size, pos + copied)
    return copied


ramfs_aops = AddressSpaceOperations(name="ramfs_aops", readpage=simple_readpage,
                                    write_begin=simple_write_begin, write_end=simple_write_end)
ramfs_file_operations = FileOperations(
    name="ramfs_file_operations", llseek=generic_file_llseek, read=do_sync_read, write=do_sync_write,
    aio_read=generic_file_aio_read, aio_write=generic_file_aio_write, mmap=generic_file_mmap,
    fsync=noop_fsync)


def ramfs_get_inode(sb: SuperBlock, directory: Inode | None, mode: int, rdev: int = 0) -> Inode:
    """A new inode of the kind that `mode` says."""
    sb.s_fs_info += 1
    inode = new_inode(sb, Ino(sb.s_fs_info))
    inode_init_owner(inode, directory, mode)
    inode.i_rdev = rdev
    inode.i_atime = inode.i_mtime = inode.i_ctime = current_fs_time(sb)
    inode.i_mapping = AddressSpace(inode, ramfs_aops, sb.s_kernel)
    kind = mode & S_IFMT
    if kind == S_IFDIR:
        inode.i_op, inode.i_fop = ramfs_dir_inode_operations, ramfs_dir_operations
        inode.i_private, inode.i_nlink = {}, 2
    elif kind == S_IFREG:
        inode.i_op, inode.i_fop = ramfs_file_inode_operations, ramfs_file_operations
    elif kind == S_IFLNK:
        inode.i_op = ramfs_symlink_inode_operations
    return inode


def ramfs_mknod(directory: Inode, name: bytes, mode: int, rdev: int = 0) -> Inode:
    inode = ramfs_get_inode(directory.i_sb, directory, mode, rdev)
    names_of(directory)[name] = inode
    touch(directory)
    return inode


def ramfs_mkdir(directory: Inode, name: bytes, mode: int) -> Inode:
    directory.i_nlink += 1
    return ramfs_mknod(directory, name, mode)


def ramfs_symlink(directory: Inode, name: bytes, target: bytes) -> Inode:
    inode = ramfs_mknod(directory, name, S_IFLNK | 0o777)
    inode.i_private, inode.i_size = target, len(target)
    return inode


def ramfs_readlink(inode: Inode) -> bytes:
    target: bytes = inode.i_private
    return target


def dcache_readdir(filp: File) -> list[tuple[bytes, Ino, int]]:
    directory, parent = filp.f_inode, filp.f_dentry.d_parent
    above = directory if parent is None or parent.d_inode is None else parent.d_inode
    entries = [(b".", directory.i_ino, 4), (b"..", above.i_ino, 4)]
    return entries + [(name, inode.i_ino, inode.i_mode >> 12 & 15)
                      for name, inode in names_of(directory).items()]


def ramfs_evict_inode(inode: Inode) -> None:
    truncate_inode_pages(inode.i_mapping, 0)


def simple_statfs(sb: SuperBlock) -> Kstatfs:
    return Kstatfs(RAMFS_MAGIC, PAGE_SIZE, 0, 0, 0, 0, 0, 255)


def ramfs_fill_super(sb: SuperBlock, data: str, silent: bool) -> None:
    """An empty root directory."""
    sb.s_magic, sb.s_maxbytes, sb.s_time_gran = RAMFS_MAGIC, MAX_LFS_FILESIZE, 1
    sb.s_op = ramfs_ops
    sb.s_fs_info = 0
    sb.s_root = Dentry(b"", None, ramfs_get_inode(sb, None, S_IFDIR | 0o755), sb)


ramfs_file_inode_operations = InodeOperations(name="ramfs_file_inode_operations", setattr=simple_setattr)
ramfs_symlink_inode_operations = InodeOperations(name="ramfs_symlink_inode_operations",
                                                 readlink=ramfs_readlink, setattr=simple_setattr)
ramfs_dir_inode_operations = InodeOperations(
    name="ramfs_dir_inode_operations", lookup=simple_lookup, create=ramfs_mknod, link=simple_link,
    unlink=simple_unlink, symlink=ramfs_symlink, mkdir=ramfs_mkdir, rmdir=simple_rmdir, mknod=ramfs_mknod,
    rename=simple_rename, setattr=simple_setattr)
ramfs_dir_operations = FileOperations(name="ramfs_dir_operations", readdir=dcache_readdir,
                                      read=generic_read_dir, llseek=dcache_dir_lseek, fsync=noop_fsync)
ramfs_ops = SuperOperations(name="ramfs_ops", evict_inode=ramfs_evict_inode, statfs=simple_statfs)
ramfs_fs_type = FileSystemType("ramfs", ramfs_fill_super, requires_dev=False)
