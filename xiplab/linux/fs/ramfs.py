"""A file system that lives in the page cache and nowhere else. A guest's root is one.

Its pages are never written anywhere, so they stay dirty for ever and cannot be reclaimed.

Kernel: v3.6 fs/ramfs/inode.c, fs/libfs.c
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.attr import inode_change_ok, setattr_copy
from xiplab.linux.fs.inode import current_fs_time, new_inode
from xiplab.linux.fs.read_write import do_sync_read, do_sync_write, generic_file_llseek
from xiplab.linux.include.fs import (
    ATTR_SIZE,
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
    Iattr,
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
from xiplab.linux.mm.memory import unmap_mapping_range
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
    aio_read=generic_file_aio_read, aio_write=generic_file_aio_write, mmap=generic_file_mmap)


def names_of(directory: Inode) -> dict[bytes, Inode]:
    """A directory's names."""
    names: dict[bytes, Inode] = directory.i_private
    return names


def ramfs_get_inode(sb: SuperBlock, mode: int, rdev: int = 0) -> Inode:
    """A new inode of the kind that `mode` says."""
    sb.s_fs_info += 1
    inode = new_inode(sb, Ino(sb.s_fs_info))
    cred = sb.s_kernel.current.cred
    inode.i_mode, inode.i_rdev = mode, rdev
    inode.i_uid, inode.i_gid = cred.fsuid, cred.fsgid
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


def _lookup(directory: Inode, name: bytes) -> Inode | None:
    inode = names_of(directory).get(name)
    if inode is not None:
        inode.i_count += 1
    return inode


def _add(directory: Inode, name: bytes, inode: Inode) -> Inode:
    names_of(directory)[name] = inode
    directory.i_mtime = directory.i_ctime = current_fs_time(directory.i_sb)
    return inode


def _mknod(directory: Inode, name: bytes, mode: int, rdev: int = 0) -> Inode:
    return _add(directory, name, ramfs_get_inode(directory.i_sb, mode, rdev))


def _mkdir(directory: Inode, name: bytes, mode: int) -> Inode:
    directory.i_nlink += 1
    return _mknod(directory, name, mode)


def _symlink(directory: Inode, name: bytes, target: bytes) -> Inode:
    inode = _mknod(directory, name, S_IFLNK | 0o777)
    inode.i_private, inode.i_size = target, len(target)
    return inode


def _readlink(inode: Inode) -> bytes:
    target: bytes = inode.i_private
    return target


def _link(inode: Inode, directory: Inode, name: bytes) -> None:
    inode.i_nlink += 1
    _add(directory, name, inode)


def _unlink(directory: Inode, name: bytes, inode: Inode) -> None:
    del names_of(directory)[name]
    inode.i_nlink -= 1
    directory.i_mtime = directory.i_ctime = current_fs_time(directory.i_sb)


def _rmdir(directory: Inode, name: bytes, inode: Inode) -> None:
    if names_of(inode):
        raise OSError(errno.ENOTEMPTY, f"{name.decode(errors='replace')}: the directory is not empty")
    inode.i_nlink -= 1
    directory.i_nlink -= 1
    _unlink(directory, name, inode)


def _rename(old_dir: Inode, old_name: bytes, inode: Inode, new_dir: Inode, new_name: bytes,
            replaced: Inode | None) -> None:
    if replaced is not None:
        (_rmdir if replaced.i_mode & S_IFMT == S_IFDIR else _unlink)(new_dir, new_name, replaced)
    del names_of(old_dir)[old_name]
    if inode.i_mode & S_IFMT == S_IFDIR:
        old_dir.i_nlink -= 1
        new_dir.i_nlink += 1
    _add(new_dir, new_name, inode)


def _setattr(inode: Inode, attr: Iattr) -> None:
    inode_change_ok(inode, attr)
    if attr.ia_valid & ATTR_SIZE:
        if attr.ia_size < inode.i_size:
            unmap_mapping_range(inode.i_mapping, attr.ia_size, 0)
            truncate_inode_pages(inode.i_mapping, attr.ia_size)
        inode.i_size = attr.ia_size
    setattr_copy(inode, attr)


def _readdir(filp: File) -> list[tuple[bytes, Ino, int]]:
    directory = filp.f_inode
    entries = [(b".", directory.i_ino, 4), (b"..", directory.i_ino, 4)]
    return entries + [(name, inode.i_ino, inode.i_mode >> 12 & 15)
                      for name, inode in names_of(directory).items()]


def _evict_inode(inode: Inode) -> None:
    truncate_inode_pages(inode.i_mapping, 0)


def _statfs(sb: SuperBlock) -> Kstatfs:
    return Kstatfs(RAMFS_MAGIC, PAGE_SIZE, 0, 0, 0, 0, 0, 255)


def ramfs_fill_super(sb: SuperBlock, data: str, silent: bool) -> None:
    """An empty root directory."""
    sb.s_magic, sb.s_maxbytes, sb.s_time_gran = RAMFS_MAGIC, MAX_LFS_FILESIZE, 1
    sb.s_op = ramfs_ops
    sb.s_fs_info = 0
    sb.s_root = Dentry(b"", None, ramfs_get_inode(sb, S_IFDIR | 0o755), sb)


ramfs_file_inode_operations = InodeOperations(name="ramfs_file_inode_operations", setattr=_setattr)
ramfs_symlink_inode_operations = InodeOperations(name="ramfs_symlink_inode_operations",
                                                 readlink=_readlink, setattr=_setattr)
ramfs_dir_inode_operations = InodeOperations(
    name="ramfs_dir_inode_operations", lookup=_lookup, create=_mknod, link=_link, unlink=_unlink,
    symlink=_symlink, mkdir=_mkdir, rmdir=_rmdir, mknod=_mknod, rename=_rename, setattr=_setattr)
ramfs_dir_operations = FileOperations(name="ramfs_dir_operations", readdir=_readdir,
                                      llseek=generic_file_llseek)
ramfs_ops = SuperOperations(name="ramfs_ops", evict_inode=_evict_inode, statfs=_statfs)
ramfs_fs_type = FileSystemType("ramfs", ramfs_fill_super, requires_dev=False)
