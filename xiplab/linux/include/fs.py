"""The virtual file system: structs and operation tables, no behaviour.

A file's data is reached through one of two tables, chosen once when the inode is made:

    AddressSpaceOperations.readpage, writepage     through copies in the page cache
    AddressSpaceOperations.get_xip_mem             in place; excludes the two above

Kernel: v3.6 include/linux/{fs,dcache,mount,stat}.h
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from xiplab.linux.include.mm import Page, VmAreaStruct
from xiplab.trace import OperationsTable
from xiplab.units import Block, Ino, Pfn, Pgoff

if TYPE_CHECKING:
    from xiplab.linux.include.blkdev import BlockDevice
    from xiplab.linux.include.kernel import Kernel

S_IFMT, S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO = (
    0o170000, 0o140000, 0o120000, 0o100000, 0o060000, 0o040000, 0o020000, 0o010000)
S_ISUID, S_ISGID, S_ISVTX = 0o4000, 0o2000, 0o1000
S_IXGRP = 0o010

O_ACCMODE, O_RDONLY, O_WRONLY, O_RDWR = 3, 0, 1, 2
O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_APPEND, O_NONBLOCK = 0o100, 0o200, 0o400, 0o1000, 0o2000, 0o4000
O_DSYNC, O_DIRECT, O_LARGEFILE, O_DIRECTORY, O_NOFOLLOW = 0o10000, 0o40000, 0o100000, 0o200000, 0o400000
O_NOATIME, O_CLOEXEC, O_SYNC = 0o1000000, 0o2000000, 0o4010000

SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE = range(5)

MAY_EXEC, MAY_WRITE, MAY_READ, MAY_APPEND = 1, 2, 4, 8

MS_RDONLY, MS_NOSUID, MS_SYNCHRONOUS, MS_REMOUNT = 1, 2, 16, 32
MS_NOATIME, MS_NODIRATIME, MS_SILENT, MS_RELATIME, MS_STRICTATIME = (
    1024, 2048, 1 << 15, 1 << 21, 1 << 24)

S_SYNC, S_NOATIME, S_APPEND, S_IMMUTABLE, S_DEAD, S_SWAPFILE = 1, 2, 4, 8, 16, 256

ATTR_MODE, ATTR_UID, ATTR_GID, ATTR_SIZE, ATTR_ATIME, ATTR_MTIME, ATTR_CTIME = (
    1, 2, 4, 8, 16, 32, 64)
ATTR_ATIME_SET, ATTR_MTIME_SET, ATTR_FORCE, ATTR_KILL_SUID, ATTR_KILL_SGID, ATTR_TIMES_SET = (
    128, 256, 512, 1 << 11, 1 << 12, 1 << 16)


class UserBuffer(Protocol):
    """Memory of a task that read() fills or write() empties; it may end in a fault.

    Each call continues where the last one ended. A result below the number asked for means that
    the access faulted there. Kernel: include/asm/uaccess.h and struct iov_iter
    """

    def copy_to_user(self, src: memoryview) -> int:
        """Take the bytes of `src`; returns how many arrived."""

    def clear_user(self, nbytes: int) -> int:
        """Take `nbytes` zeros; returns how many arrived."""

    def copy_from_user(self, dst: memoryview) -> int:
        """Fill `dst`; returns how many bytes came."""


XipRun: TypeAlias = tuple[Pgoff, Pfn | None, int]
"""Pages in a row on frames in a row: first page, first frame (None for holes), how many."""


@dataclass(eq=False, kw_only=True)
class AddressSpaceOperations(OperationsTable):
    """How the pages of a file meet its storage.

    readpage(page): fill a page-cache page. writepage(page): store it.
    write_begin(mapping, pos, len) -> page, write_end(mapping, pos, copied, page) -> copied
    bmap(mapping, block) -> device block, 0 for a hole
    direct_IO(rw, filp, buf, count, pos) -> bytes moved past the page cache
    get_xip_mem(mapping, pgoff, create) -> (kmem, pfn): the page of storage behind page `pgoff`:
        its address in the kernel's 1:1 mapping and its page frame number. Raises NoData for a hole.
    get_xip_runs(mapping, pgoff, npages, create) -> [(pgoff, pfn or None, n)]: the same for many pages:
        frames in a row come as one run, holes as None. With create blocks are allocated, perhaps for
        the first pages only. The model's own (one question instead of n); whoever replaces
        get_xip_mem leaves it out. EOPNOTSUPP means: ask page by page.

    get_xip_next(mapping, pgoff) -> address: get_xip_mem with create, for the page behind the last new one
        of a growing file, if that is simple; else 0. The page is not zeroed: the caller does that, or
        overwrites it whole. The model's own.
    truncate_page(mapping, from_): zero the last page from byte `from_` of the file on. None: as
        get_xip_mem or readpage say. Kernel: none (a flag of the inode, from 4.0 on)

    Raises:
        OSError: EINVAL for a table with get_xip_mem and readpage or writepage: one of them would
            keep a copy, and stores to the other would not reach it.
    """

    readpage: Callable[[Page], None] | None = None
    writepage: Callable[[Page], None] | None = None
    write_begin: Callable[[AddressSpace, int, int], Page] | None = None
    write_end: Callable[[AddressSpace, int, int, Page], int] | None = None
    bmap: Callable[[AddressSpace, Block], Block] | None = None
    direct_IO: Callable[[int, File, UserBuffer, int, int], int] | None = None
    get_xip_mem: Callable[[AddressSpace, Pgoff, bool], tuple[int, Pfn]] | None = None
    get_xip_runs: Callable[[AddressSpace, Pgoff, int, bool], list[XipRun]] | None = None
    get_xip_next: Callable[[AddressSpace, int], int] | None = None
    truncate_page: Callable[[AddressSpace, int], None] | None = None

    def __post_init__(self) -> None:
        if self.get_xip_mem and (self.readpage or self.writepage):
            raise OSError(errno.EINVAL, f"{self.name}: get_xip_mem excludes readpage and writepage")
        super().__post_init__()


class Nothing(dict[Any, Any]):
    """A dictionary that stays empty: most files have no pages, and no names below them. Who adds the first
    one writes `mapping.pages = mapping.pages or {}` before. Kernel: none"""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __setitem__(self, key: object, value: object) -> None:
        raise TypeError(f"{key!r}: this dictionary is everybody's, and stays empty")


NOTHING = Nothing()
NO_AREAS = cast("list[VmAreaStruct]", ())
NO_BUFFERS = cast("set[Any]", frozenset())


@dataclass(eq=False)
class AddressSpace:
    """The pages of one file (or device).

    Attributes:
        pages: the page cache. Kernel: page_tree
        i_mmap: areas that map the file.
        private_list: changed buffers of indirect blocks, which fsync writes.
        xip_cache: what small reads and writes keep of the answers of get_xip_mem; whoever takes
            blocks away from the file sets it to None. The model's own.
    """

    host: Inode | None
    a_ops: AddressSpaceOperations
    kernel: Kernel
    pages: dict[int, Page] = NOTHING
    i_mmap: list[VmAreaStruct] = NO_AREAS
    private_list: set[Any] = NO_BUFFERS
    xip_cache: Any = None

    def __str__(self) -> str:
        return f"mapping of {self.host}" if self.host else "device mapping"


@dataclass(eq=False, kw_only=True)
class InodeOperations(OperationsTable):
    """What an inode's file system does with names and attributes.

    lookup(dir, name) -> Inode or None       create(dir, name, mode) -> Inode
    link(inode, dir, name)                   unlink(dir, name, inode)
    symlink(dir, name, target) -> Inode      mkdir(dir, name, mode) -> Inode
    rmdir(dir, name, inode)                  mknod(dir, name, mode, rdev) -> Inode
    rename(old_dir, old_name, inode, new_dir, new_name, replaced Inode or None)
    readlink(inode) -> bytes                 setattr(inode, Iattr)
    truncate(inode, size): Kernel ext2_setsize, reached through setattr
    Names are bytes.
    """

    lookup: Callable[[Inode, bytes], Inode | None] | None = None
    create: Callable[[Inode, bytes, int], Inode] | None = None
    link: Callable[[Inode, Inode, bytes], None] | None = None
    unlink: Callable[[Inode, bytes, Inode], None] | None = None
    symlink: Callable[[Inode, bytes, bytes], Inode] | None = None
    mkdir: Callable[[Inode, bytes, int], Inode] | None = None
    rmdir: Callable[[Inode, bytes, Inode], None] | None = None
    mknod: Callable[[Inode, bytes, int, int], Inode] | None = None
    rename: Callable[[Inode, bytes, Inode, Inode, bytes, Inode | None], None] | None = None
    readlink: Callable[[Inode], bytes] | None = None
    setattr: Callable[[Inode, Iattr], None] | None = None


@dataclass(eq=False, kw_only=True)
class FileOperations(OperationsTable):
    """What an open file does. `pos` is passed in and the number of bytes comes back.

    llseek(filp, offset, whence) -> position     readdir(filp) -> [(name, ino, d_type)]
    read(filp, buf, count, pos) -> bytes moved   write(filp, buf, count, pos) -> bytes moved
    aio_read, aio_write: the same, for the page cache; do_sync_read and do_sync_write wrap them
    mmap(filp, vma)    open(inode, filp)    release(inode, filp)    fsync(filp, datasync)
    read_bytes(filp, count, pos) -> bytes, write_bytes(filp, data, pos) -> int: shortcuts of the
        model, asked before read and write; what they do is what those do. None: ask those.
    """

    llseek: Callable[[File, int, int], int] | None = None
    read: Callable[[File, UserBuffer, int, int], int] | None = None
    write: Callable[[File, UserBuffer, int, int], int] | None = None
    aio_read: Callable[[File, UserBuffer, int, int], int] | None = None
    aio_write: Callable[[File, UserBuffer, int, int], int] | None = None
    readdir: Callable[[File], list[tuple[bytes, Ino, int]]] | None = None
    ioctl: Callable[[File, int, int], int] | None = None
    mmap: Callable[[File, VmAreaStruct], None] | None = None
    open: Callable[[Inode, File], None] | None = None
    release: Callable[[Inode, File], None] | None = None
    fsync: Callable[[File, bool], None] | None = None
    splice_read: Callable[[File, int, int], bytes] | None = None
    splice_write: Callable[[File, bytes, int], int] | None = None
    read_bytes: Callable[[File, int, int], bytes | None] | None = None
    write_bytes: Callable[[File, bytes | memoryview, int], int | None] | None = None


@dataclass(eq=False, kw_only=True)
class SuperOperations(OperationsTable):
    """What a file system does with inodes and with itself.

    write_inode(inode)    evict_inode(inode): last reference gone, i_nlink may be 0
    put_super(sb)         sync_fs(sb)      remount_fs(sb, flags, data)
    statfs(sb) -> Kstatfs show_options(sb) -> "xip,..."
    """

    write_inode: Callable[[Inode], None] | None = None
    evict_inode: Callable[[Inode], None] | None = None
    put_super: Callable[[SuperBlock], None] | None = None
    sync_fs: Callable[[SuperBlock], None] | None = None
    remount_fs: Callable[[SuperBlock, int, str], None] | None = None
    statfs: Callable[[SuperBlock], Kstatfs] | None = None
    show_options: Callable[[SuperBlock], str] | None = None


no_inode_operations = InodeOperations(name="empty_iops")
no_file_operations = FileOperations(name="empty_fops")
no_aops = AddressSpaceOperations(name="empty_aops")
no_super_operations = SuperOperations(name="empty_sops")


@dataclass
class Iattr:
    """A change of attributes; `ia_valid` says which fields count. Times in ns since 1970."""

    ia_valid: int
    ia_mode: int = 0
    ia_uid: int = 0
    ia_gid: int = 0
    ia_size: int = 0
    ia_atime: int = 0
    ia_mtime: int = 0
    ia_ctime: int = 0


@dataclass
class Kstatfs:
    f_type: int
    f_bsize: int
    f_blocks: int
    f_bfree: int
    f_bavail: int
    f_files: int
    f_ffree: int
    f_namelen: int
    f_fsid: int = 0


@dataclass(eq=False)
class Inode:
    """A file in memory. Times are ns since 1970; i_blocks counts 512-byte units.

    Attributes:
        i_count: references (dentries, open files). i_private: the file system's own part.
        i_writecount: > 0 open for writing, < 0 being executed. Kernel: get_write_access()
    """

    i_sb: SuperBlock
    i_ino: Ino
    i_mode: int = 0
    i_nlink: int = 1
    i_uid: int = 0
    i_gid: int = 0
    i_size: int = 0
    i_blocks: int = 0
    i_atime: int = 0
    i_mtime: int = 0
    i_ctime: int = 0
    i_rdev: int = 0
    i_flags: int = 0
    i_count: int = 0
    i_writecount: int = 0
    i_dirty: bool = False
    i_op: InodeOperations = field(default=no_inode_operations)
    i_fop: FileOperations = field(default=no_file_operations)
    i_mapping: AddressSpace = field(init=False)
    i_private: Any = None

    def __str__(self) -> str:
        return f"inode {self.i_ino}"


@dataclass(eq=False)
class Dentry:
    """A name and what it stands for. d_inode is None for a name known not to exist (negative)."""

    d_name: bytes
    d_parent: Dentry | None
    d_inode: Inode | None
    d_sb: SuperBlock
    d_subdirs: dict[bytes, Dentry] = NOTHING
    d_mounted: VfsMount | None = None

    def __str__(self) -> str:
        return self.d_name.decode(errors="replace")


@dataclass(eq=False)
class SuperBlock:
    """A mounted file system.

    Attributes:
        s_blocksize: bytes. s_maxbytes: largest file. s_fs_info: the file system's own part.
        s_active: its mounts.
        s_inodes: the inode cache, by number.
        s_xip_range: where files in place lay at the last look (mm/filemap_xip_bytes.py). The model's own.
    """

    s_kernel: Kernel
    s_type: FileSystemType
    s_id: str
    s_bdev: BlockDevice | None = None
    s_flags: int = 0
    s_blocksize: int = 4096
    s_maxbytes: int = 0
    s_magic: int = 0
    s_time_gran: int = 1_000_000_000
    s_op: SuperOperations = field(default=no_super_operations)
    s_root: Dentry = field(init=False)
    s_inodes: dict[Ino, Inode] = field(default_factory=dict)
    s_active: int = 0
    s_xip_range: Any = None
    s_fs_info: Any = None

    def __str__(self) -> str:
        return self.s_id


@dataclass(eq=False)
class FileSystemType:
    """A kind of file system.

    fill_super(sb, data, silent): read the super block, set s_op, s_root and the rest.

    Attributes:
        revalidate: names come and go behind the VFS's back (sysfs), so none is kept in the dentry
            cache. Kernel: dentry_operations.d_revalidate
    """

    name: str
    fill_super: Callable[[SuperBlock, str, bool], None]
    requires_dev: bool = True
    revalidate: bool = False


@dataclass(eq=False)
class VfsMount:
    """A file system at a place of the tree.

    Attributes:
        mnt_count: open files and tasks' directories on it.
    """

    mnt_sb: SuperBlock
    mnt_root: Dentry
    mnt_mountpoint: Dentry | None
    mnt_parent: VfsMount | None
    mnt_devname: str
    mnt_path: str
    mnt_flags: int = 0
    mnt_count: int = 0


@dataclass(eq=False, slots=True)
class File:
    """An open file. `f_mapping` is its inode's."""

    f_dentry: Dentry
    f_mnt: VfsMount
    f_inode: Inode
    f_mapping: AddressSpace
    f_flags: int
    f_mode: int
    f_op: FileOperations
    f_pos: int = 0
    f_count: int = 1
    private_data: Any = None

    def __str__(self) -> str:
        return self.f_dentry.d_name.decode(errors="replace") or "/"
