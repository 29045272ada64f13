"""/dev: a node for each device that the kernel has, and reading and writing those of block devices.

A node's bytes go through the device's own page cache: a second copy of what XIP maps in place.

Kernel: v3.6 drivers/base/devtmpfs.c, fs/block_dev.c (def_blk_fops)
"""

from __future__ import annotations

import errno

from xiplab.linux.block.blk_core import transfer
from xiplab.linux.fs.block_dev import blkdev_get, blkdev_put
from xiplab.linux.fs.inode import current_fs_time, iget_locked
from xiplab.linux.fs.libfs import dcache_dir_lseek, generic_read_dir, noop_fsync
from xiplab.linux.fs.read_write import do_sync_read, do_sync_write, generic_file_llseek
from xiplab.linux.include.blkdev import READ, WRITE, BlockDevice
from xiplab.linux.include.fs import (
    O_APPEND,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
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
    UserBuffer,
    no_aops,
)
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import (
    do_generic_file_read,
    filemap_fdatawrite,
    generic_file_mmap,
    generic_perform_write,
    grab_cache_page_write_begin,
    read_cache_page,
    truncate_inode_pages,
)
from xiplab.units import PAGE_SECTORS, PAGE_SIZE, Ino, pos_to_pgoff, sector_to_bytes

TMPFS_MAGIC = 0x01021994


def _device(inode: Inode) -> BlockDevice:
    bdev: BlockDevice = inode.i_private
    return bdev


def _device_of(page: Page) -> BlockDevice:
    assert page.mapping is not None
    assert page.mapping.host is not None
    return _device(page.mapping.host)


def _on_device(page: Page) -> int:
    """How many bytes of the page lie on the device: all, but for a last part."""
    return min(PAGE_SIZE, _device_of(page).bd_size - page.index * PAGE_SIZE)


def blkdev_readpage(page: Page) -> None:
    transfer(READ, _device_of(page), page.index * PAGE_SECTORS, page.frame[:_on_device(page)])
    page.uptodate = True


def blkdev_writepage(page: Page) -> None:
    transfer(WRITE, _device_of(page), page.index * PAGE_SECTORS, page.frame[:_on_device(page)])


def blkdev_write_begin(mapping: AddressSpace, pos: int, length: int) -> Page:
    if length == PAGE_SIZE:
        return grab_cache_page_write_begin(mapping, pos_to_pgoff(pos))
    return read_cache_page(mapping, pos_to_pgoff(pos))


def blkdev_write_end(mapping: AddressSpace, pos: int, copied: int, page: Page) -> int:
    page.uptodate = page.uptodate or copied == PAGE_SIZE
    page.dirty = True
    return copied


blkdev_aops = AddressSpaceOperations(
    name="blkdev_aops", readpage=blkdev_readpage, writepage=blkdev_writepage,
    write_begin=blkdev_write_begin, write_end=blkdev_write_end)


def blkdev_open(inode: Inode, filp: File) -> None:
    """Opening a node opens the device; unlike mount, a read-only one may be opened for writing."""
    bdev = _device(inode)
    blkdev_get(bdev, 0)
    inode.i_size = bdev.bd_size


def blkdev_close(inode: Inode, filp: File) -> None:
    """The last close writes the node's pages and drops them. What cannot be written is lost, with a line
    in the log."""
    bdev = _device(inode)
    if bdev.bd_openers == 1:
        try:
            filemap_fdatawrite(inode.i_mapping)
        except OSError as error:
            bdev.bd_disk.kernel.printk(f"{bdev}: lost data at close: {error}")
        truncate_inode_pages(inode.i_mapping, 0)
    blkdev_put(bdev, 0)


def blkdev_aio_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    return do_generic_file_read(filp, buf, count, pos)


def blkdev_aio_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    """Raises OSError EPERM on a read-only device, ENOSPC at its end."""
    bdev = _device(filp.f_inode)
    if bdev.bd_disk.policy:
        raise OSError(errno.EPERM, f"/dev/{bdev}: the device is read-only")
    if filp.f_flags & O_APPEND:
        pos = bdev.bd_size
    if pos > bdev.bd_size or (pos == bdev.bd_size and count):
        raise OSError(errno.ENOSPC, f"/dev/{bdev}: position {pos} is at the end ({bdev.bd_size} bytes)")
    return generic_perform_write(filp, buf, min(count, bdev.bd_size - pos), pos)


def blkdev_fsync(filp: File, datasync: bool) -> None:
    filemap_fdatawrite(filp.f_mapping)


def blkdev_ioctl(filp: File, request: int, argument: int) -> int:
    """Raises OSError ENOTTY for what the driver does not know."""
    bdev = _device(filp.f_inode)
    ioctl = bdev.bd_disk.fops.ioctl
    if ioctl is None:
        raise OSError(errno.ENOTTY, f"/dev/{bdev}: ioctl {request:#x}")
    return ioctl(bdev, filp.f_mode, request, argument)


def _get_inode(sb: SuperBlock, name: str) -> Inode:
    bdev = sb.s_kernel.block_devices[name]
    numbers: dict[str, Ino] = sb.s_fs_info
    inode, fresh = iget_locked(sb, numbers.setdefault(name, Ino(len(numbers) + 2)))
    if fresh or inode.i_private is not bdev:
        inode.i_private = bdev
        inode.i_mode = S_IFBLK | 0o660
        inode.i_rdev = bdev.bd_disk.major << 8 | bdev.bd_disk.first_minor
        inode.i_atime = inode.i_mtime = inode.i_ctime = current_fs_time(sb)
        inode.i_fop = def_blk_fops
        inode.i_mapping = bdev.bd_mapping
        bdev.bd_mapping.host = inode
        if bdev.bd_mapping.a_ops.readpage is None:
            bdev.bd_mapping.a_ops = blkdev_aops
    return inode


def chrdev_open(inode: Inode, filp: File) -> None:
    """The open of every character device: from here on the file is the driver's. Kernel: fs/char_dev.c

    Raises:
        OSError: ENXIO no driver has this major number; what the driver's open answers.
    """
    fops = inode.i_sb.s_kernel.chrdevs.get(inode.i_rdev >> 8)
    if fops is None:
        raise OSError(errno.ENXIO, f"/dev/{filp}: no driver for major {inode.i_rdev >> 8}")
    filp.f_op = fops
    if fops.open is not None:
        fops.open(inode, filp)


def _get_cdev_inode(sb: SuperBlock, name: str) -> Inode:
    numbers: dict[str, Ino] = sb.s_fs_info
    inode, fresh = iget_locked(sb, numbers.setdefault(name, Ino(len(numbers) + 2)))
    if fresh:
        inode.i_mode, inode.i_rdev, inode.i_fop = S_IFCHR | 0o600, sb.s_kernel.cdevs[name], def_chr_fops
        inode.i_atime = inode.i_mtime = inode.i_ctime = current_fs_time(sb)
        inode.i_mapping = AddressSpace(inode, no_aops, sb.s_kernel)
    return inode


def _lookup(directory: Inode, name: bytes) -> Inode | None:
    text = name.decode(errors="replace")
    sb = directory.i_sb
    if text in sb.s_kernel.cdevs:
        return _get_cdev_inode(sb, text)
    return _get_inode(sb, text) if text in sb.s_kernel.block_devices else None


def _readdir(filp: File) -> list[tuple[bytes, Ino, int]]:
    sb = filp.f_inode.i_sb
    root = filp.f_inode.i_ino
    disks = [(name.encode(), _get_inode(sb, name).i_ino, 6) for name in sorted(sb.s_kernel.block_devices)]
    others = [(name.encode(), _get_cdev_inode(sb, name).i_ino, 2) for name in sorted(sb.s_kernel.cdevs)]
    return [(b".", root, 4), (b"..", root, 4), *disks, *others]


def _statfs(sb: SuperBlock) -> Kstatfs:
    return Kstatfs(TMPFS_MAGIC, PAGE_SIZE, 0, 0, 0, 0, 0, 255)


def devtmpfs_fill_super(sb: SuperBlock, data: str, silent: bool) -> None:
    sb.s_op, sb.s_fs_info, sb.s_time_gran = devtmpfs_ops, {}, 1
    sb.s_maxbytes = sector_to_bytes(1 << 54)
    root, _ = iget_locked(sb, Ino(1))
    root.i_mode, root.i_nlink = S_IFDIR | 0o755, 2
    root.i_op, root.i_fop = devtmpfs_dir_inode_operations, devtmpfs_dir_operations
    root.i_mapping = AddressSpace(root, blkdev_aops, sb.s_kernel)
    sb.s_root = Dentry(b"", None, root, sb)


def_blk_fops = FileOperations(
    name="def_blk_fops", llseek=generic_file_llseek, read=do_sync_read, write=do_sync_write,
    aio_read=blkdev_aio_read, aio_write=blkdev_aio_write, mmap=generic_file_mmap, open=blkdev_open,
    release=blkdev_close, fsync=blkdev_fsync, ioctl=blkdev_ioctl)
def_chr_fops = FileOperations(name="def_chr_fops", open=chrdev_open)
devtmpfs_dir_inode_operations = InodeOperations(name="devtmpfs_dir_inode_operations", lookup=_lookup)
devtmpfs_dir_operations = FileOperations(
    name="devtmpfs_dir_operations", readdir=_readdir, read=generic_read_dir, llseek=dcache_dir_lseek,
    fsync=noop_fsync)
devtmpfs_ops = SuperOperations(name="devtmpfs_ops", statfs=_statfs)
devtmpfs_fs_type = FileSystemType("devtmpfs", devtmpfs_fill_super, requires_dev=False, revalidate=True)
