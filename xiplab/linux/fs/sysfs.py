"""sysfs: drivers' attributes as files. Reading calls `show`, writing calls `store`.

    echo("shlib", "/sys/devices/dcssblk/add")   ->  store(b"shlib\\n") of that attribute

Names are looked up in `kernel.sysfs` each time, so they come and go with the devices.

Kernel: v3.6 fs/sysfs/{dir,file,symlink}.c
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.attr import inode_change_ok, setattr_copy
from xiplab.linux.fs.inode import current_fs_time, iget_locked
from xiplab.linux.fs.libfs import generic_read_dir
from xiplab.linux.fs.read_write import generic_file_llseek
from xiplab.linux.include.device import DeviceAttribute
from xiplab.linux.include.fs import (
    ATTR_SIZE,
    O_ACCMODE,
    O_RDONLY,
    O_WRONLY,
    S_IFDIR,
    S_IFLNK,
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
    UserBuffer,
)
from xiplab.units import PAGE_SIZE, Ino

SYSFS_MAGIC = 0x62656572

sysfs_aops = AddressSpaceOperations(name="sysfs_aops")


def _path(inode: Inode) -> str:
    path: str = inode.i_private[0]
    return path


def sysfs_get_inode(sb: SuperBlock, path: str) -> Inode:
    """The inode of a path below /sys, which exists."""
    numbers: dict[str, Ino] = sb.s_fs_info
    inode, fresh = iget_locked(sb, numbers.setdefault(path, Ino(len(numbers) + 1)))
    attribute = sb.s_kernel.sysfs.get(path)
    if fresh or inode.i_private[1] is not attribute:
        inode.i_private = (path, attribute)
        inode.i_atime = inode.i_mtime = inode.i_ctime = current_fs_time(sb)
        inode.i_mapping = AddressSpace(inode, sysfs_aops, sb.s_kernel)
        _init_inode(inode, attribute)
    return inode


def _init_inode(inode: Inode, attribute: DeviceAttribute | None) -> None:
    """A directory, unless there is an attribute of that path."""
    if attribute is None:
        inode.i_mode, inode.i_nlink = S_IFDIR | 0o755, 2
        inode.i_op, inode.i_fop = sysfs_dir_inode_operations, sysfs_dir_operations
    elif attribute.target is not None:
        inode.i_mode, inode.i_op = S_IFLNK | 0o777, sysfs_symlink_inode_operations
    else:
        inode.i_mode, inode.i_size = S_IFREG | attribute.mode, PAGE_SIZE
        inode.i_op, inode.i_fop = sysfs_file_inode_operations, sysfs_file_operations


def _attribute(filp: File) -> DeviceAttribute:
    attribute = filp.f_inode.i_sb.s_kernel.sysfs.get(_path(filp.f_inode))
    if attribute is None:
        raise OSError(errno.ENODEV, f"/sys/{_path(filp.f_inode)}: its device is gone")
    return attribute


def _children(inode: Inode) -> list[str]:
    """The names in a directory of /sys."""
    prefix = _path(inode) + "/" if _path(inode) else ""
    below = (path[len(prefix):] for path in inode.i_sb.s_kernel.sysfs if path.startswith(prefix))
    return sorted({name.split("/")[0] for name in below})


def _exists(sb: SuperBlock, path: str) -> bool:
    return any(known == path or known.startswith(path + "/") for known in sb.s_kernel.sysfs)


def _lookup(directory: Inode, name: bytes) -> Inode | None:
    path = "/".join(filter(None, (_path(directory), name.decode(errors="replace"))))
    return sysfs_get_inode(directory.i_sb, path) if _exists(directory.i_sb, path) else None


def _readlink(inode: Inode) -> bytes:
    target = inode.i_sb.s_kernel.sysfs[_path(inode)].target
    return (target or "").encode()


def _readdir(filp: File) -> list[tuple[bytes, Ino, int]]:
    directory = filp.f_inode
    entries = [(b".", directory.i_ino, 4), (b"..", directory.i_ino, 4)]
    for name in _children(directory):
        inode = _lookup(directory, name.encode())
        assert inode is not None
        entries.append((name.encode(), inode.i_ino, inode.i_mode >> 12 & 15))
    return entries


def sysfs_open_file(inode: Inode, filp: File) -> None:
    """Raises OSError EACCES for a direction that the attribute lacks, ENODEV if it is gone."""
    attribute = _attribute(filp)
    access = filp.f_flags & O_ACCMODE
    if access != O_RDONLY and attribute.store is None:
        raise OSError(errno.EACCES, f"/sys/{_path(inode)}: cannot be written")
    if access != O_WRONLY and attribute.show is None:
        raise OSError(errno.EACCES, f"/sys/{_path(inode)}: cannot be read")


def sysfs_read_file(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """The attribute's contents; asked for once per open, at the first read."""
    attribute = _attribute(filp)
    if filp.private_data is None or pos == 0:
        assert attribute.show is not None
        filp.private_data = attribute.show()
    return buf.copy_to_user(memoryview(filp.private_data)[pos:pos + count])


def sysfs_write_file(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Hand what was written, at most a page less one byte, to the attribute. The position is ignored."""
    attribute = _attribute(filp)
    assert attribute.store is not None
    written = bytearray(min(count, PAGE_SIZE - 1))
    came = buf.copy_from_user(memoryview(written))
    if came < len(written):
        raise OSError(errno.EFAULT, f"/sys/{_path(filp.f_inode)}: the user's buffer cannot be accessed")
    return attribute.store(bytes(written))


def sysfs_setattr(inode: Inode, attr: Iattr) -> None:
    """Owner, mode and times are the inode's and last as long as it; a size, as O_TRUNC sets it, means
    nothing here."""
    attr.ia_valid &= ~ATTR_SIZE
    inode_change_ok(inode, attr)
    setattr_copy(inode, attr)


def _statfs(sb: SuperBlock) -> Kstatfs:
    return Kstatfs(SYSFS_MAGIC, PAGE_SIZE, 0, 0, 0, 0, 0, 255)


def sysfs_fill_super(sb: SuperBlock, data: str, silent: bool) -> None:
    sb.s_magic, sb.s_op, sb.s_fs_info, sb.s_time_gran = SYSFS_MAGIC, sysfs_ops, {}, 1
    sb.s_root = Dentry(b"", None, sysfs_get_inode(sb, ""), sb)


sysfs_dir_inode_operations = InodeOperations(name="sysfs_dir_inode_operations", lookup=_lookup,
                                             setattr=sysfs_setattr)
sysfs_symlink_inode_operations = InodeOperations(name="sysfs_symlink_inode_operations", readlink=_readlink)
sysfs_file_inode_operations = InodeOperations(name="sysfs_file_inode_operations", setattr=sysfs_setattr)
sysfs_dir_operations = FileOperations(name="sysfs_dir_operations", readdir=_readdir, read=generic_read_dir,
                                      llseek=generic_file_llseek)
sysfs_file_operations = FileOperations(name="sysfs_file_operations", open=sysfs_open_file,
                                       read=sysfs_read_file, write=sysfs_write_file,
                                       llseek=generic_file_llseek)
sysfs_ops = SuperOperations(name="sysfs_ops", statfs=_statfs)
sysfs_fs_type = FileSystemType("sysfs", sysfs_fill_super, requires_dev=False, revalidate=True)
