"""Names: look-up, and the calls that make, link, move and remove files.

Each change of two things is ordered so that a crash between them leaves a link count too high, not
too low: the count goes up before a name is written, and down after it has gone.

Kernel: v3.6 fs/ext2/namei.c
Differs: EMLINK is checked here; v3.6 does it in the VFS, by s_max_links.
"""

from __future__ import annotations

import errno

from xiplab.errors import bug_on
from xiplab.linux.fs.ext2.dir import (
    ext2_add_link,
    ext2_delete_entry,
    ext2_dotdot,
    ext2_empty_dir,
    ext2_find_entry,
    ext2_inode_by_name,
    ext2_make_empty,
    ext2_set_link,
)
from xiplab.linux.fs.ext2.ext2 import EXT2_I, DirEntry, ext2_error
from xiplab.linux.fs.ext2.ext2_fs import EXT2_FAST_SYMLINK_MAX, EXT2_LINK_MAX, EXT2_N_BLOCKS, EXT2_NAME_LEN
from xiplab.linux.fs.ext2.ialloc import ext2_new_inode, is_directory
from xiplab.linux.fs.ext2.inode import (
    FAST_SYMLINK,
    encode_dev,
    ext2_iget,
    ext2_set_operations,
    ext2_setattr,
)
from xiplab.linux.fs.inode import current_fs_time, iput, mark_inode_dirty
from xiplab.linux.include.fs import (
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    Inode,
    InodeOperations,
)


def inode_inc_link_count(inode: Inode) -> None:
    inode.i_nlink += 1
    mark_inode_dirty(inode)


def inode_dec_link_count(inode: Inode) -> None:
    inode.i_nlink = max(inode.i_nlink - 1, 0)
    mark_inode_dirty(inode)


def check_max_links(inode: Inode) -> None:
    """Raises OSError EMLINK if the inode has all the links it may have."""
    if inode.i_nlink >= EXT2_LINK_MAX:
        raise OSError(errno.EMLINK, f"{inode}: {inode.i_nlink} links (limit {EXT2_LINK_MAX})")


def check_name(name: bytes) -> None:
    """Raises OSError ENAMETOOLONG."""
    if len(name) > EXT2_NAME_LEN:
        raise OSError(errno.ENAMETOOLONG, f"{name[:20]!r}...: {len(name)} bytes (limit {EXT2_NAME_LEN})")


def discard_new_inode(inode: Inode, links: int) -> None:
    """A new inode that got no name: `links` links less, and gone."""
    inode.i_nlink -= links
    mark_inode_dirty(inode)
    iput(inode)


def ext2_lookup(directory: Inode, name: bytes) -> Inode | None:
    """The inode of `name`, or None.

    Raises:
        OSError: ENAMETOOLONG; EIO the name leads to a deleted inode, or its record cannot be read;
            EINVAL to a number that cannot be.
    """
    check_name(name)
    ino = ext2_inode_by_name(directory, name)
    if not ino:
        return None
    try:
        return ext2_iget(directory.i_sb, ino)
    except OSError as failure:
        if failure.errno != errno.ESTALE:
            raise
        ext2_error(directory.i_sb, "ext2_lookup", f"deleted inode referenced: {ino}")
        raise OSError(errno.EIO, f"{directory}: {name!r} leads to deleted inode {ino}") from failure


def _add_nondir(directory: Inode, name: bytes, inode: Inode) -> Inode:
    """Give a new file its name; without one it goes away again. Kernel: ext2_add_nondir()"""
    try:
        ext2_add_link(directory, name, inode)
    except OSError:
        discard_new_inode(inode, 1)
        raise
    return inode


def ext2_create(directory: Inode, name: bytes, mode: int) -> Inode:
    """A new regular file.

    Raises:
        OSError: EEXIST, ENOSPC, EIO, ENAMETOOLONG.
    """
    check_name(name)
    inode = ext2_new_inode(directory, S_IFREG | mode & ~S_IFMT)
    ext2_set_operations(inode, S_IFREG)
    return _add_nondir(directory, name, inode)


def ext2_mknod(directory: Inode, name: bytes, mode: int, rdev: int) -> Inode:
    """A new device, fifo or socket. Raises OSError as ext2_create."""
    check_name(name)
    inode = ext2_new_inode(directory, mode)
    if mode & S_IFMT in (S_IFCHR, S_IFBLK):
        inode.i_rdev = rdev
        EXT2_I(inode).i_data[:2] = encode_dev(rdev)
    ext2_set_operations(inode, mode & S_IFMT)
    return _add_nondir(directory, name, inode)


def ext2_symlink(directory: Inode, name: bytes, target: bytes) -> Inode:
    """A new symbolic link: up to 59 bytes are kept in the inode, more in a block.

    Raises:
        OSError: ENAMETOOLONG a target as long as a block; else as ext2_create.
    """
    check_name(name)
    limit = directory.i_sb.s_blocksize
    if len(target) + 1 > limit:
        raise OSError(errno.ENAMETOOLONG, f"target of {len(target)} bytes (limit {limit - 1})")
    inode = ext2_new_inode(directory, S_IFLNK | 0o777)
    if len(target) <= EXT2_FAST_SYMLINK_MAX:
        set_fast_symlink(inode, target)
        ext2_set_operations(inode, FAST_SYMLINK)
        return _add_nondir(directory, name, inode)
    ext2_set_operations(inode, S_IFLNK)
    try:
        page_symlink(inode, target)
    except OSError:
        discard_new_inode(inode, 1)
        raise
    return _add_nondir(directory, name, inode)


def set_fast_symlink(inode: Inode, target: bytes) -> None:
    """Keep the target where the block pointers would be."""
    raw = target.ljust(4 * EXT2_N_BLOCKS, b"\0")
    EXT2_I(inode).i_data[:] = [int.from_bytes(raw[i:i + 4], "little") for i in range(0, len(raw), 4)]
    inode.i_size = len(target)


def page_symlink(inode: Inode, target: bytes) -> None:
    """Keep the target in the first page of the link. Kernel: fs/namei.c"""
    a_ops = inode.i_mapping.a_ops
    assert a_ops.write_begin is not None
    assert a_ops.write_end is not None
    page = a_ops.write_begin(inode.i_mapping, 0, len(target))
    page.data[:len(target)] = target
    a_ops.write_end(inode.i_mapping, 0, len(target), page)


def ext2_link(inode: Inode, directory: Inode, name: bytes) -> None:
    """Another name for a file.

    Raises:
        OSError: EMLINK; else as ext2_create.
    """
    check_name(name)
    check_max_links(inode)
    inode.i_ctime = current_fs_time(inode.i_sb)
    inode_inc_link_count(inode)
    try:
        ext2_add_link(directory, name, inode)
    except OSError:
        inode_dec_link_count(inode)
        raise


def ext2_mkdir(directory: Inode, name: bytes, mode: int) -> Inode:
    """A new directory.

    Raises:
        OSError: EMLINK the parent has too many; else as ext2_create.
    """
    check_name(name)
    check_max_links(directory)
    inode_inc_link_count(directory)
    try:
        inode = ext2_new_inode(directory, S_IFDIR | mode & ~S_IFMT)
    except OSError:
        inode_dec_link_count(directory)
        raise
    ext2_set_operations(inode, S_IFDIR)
    inode_inc_link_count(inode)
    try:
        ext2_make_empty(inode, directory)
        ext2_add_link(directory, name, inode)
    except OSError:
        discard_new_inode(inode, 2)
        inode_dec_link_count(directory)
        raise
    return inode


def _entry_of(directory: Inode, name: bytes) -> DirEntry:
    """The record of a name that should be there. Raises OSError ENOENT."""
    entry = ext2_find_entry(directory, name)
    if entry is None:
        raise OSError(errno.ENOENT, f"{directory}: no name {name!r}")
    return entry


def ext2_unlink(directory: Inode, name: bytes, inode: Inode) -> None:
    """Take a name away; the inode goes with its last link and reference.

    Raises:
        OSError: ENOENT; EIO.
    """
    ext2_delete_entry(directory, name, _entry_of(directory, name))
    inode.i_ctime = directory.i_ctime
    inode_dec_link_count(inode)


def ext2_rmdir(directory: Inode, name: bytes, inode: Inode) -> None:
    """Take an empty directory away.

    Raises:
        OSError: ENOTEMPTY; else as ext2_unlink.
    """
    if not ext2_empty_dir(inode):
        raise OSError(errno.ENOTEMPTY, f"{name.decode(errors='replace')}: the directory is not empty")
    ext2_unlink(directory, name, inode)
    inode.i_size = 0
    inode_dec_link_count(inode)
    inode_dec_link_count(directory)


def ext2_rename(old_dir: Inode, old_name: bytes, inode: Inode, new_dir: Inode, new_name: bytes,
                replaced: Inode | None) -> None:
    """Give a file another name, and perhaps another directory; what had the new name is replaced.

    Raises:
        OSError: ENOTEMPTY what is replaced is a directory with names; EMLINK; ENOENT; ENOSPC; EIO a
            directory without "..".
    """
    check_name(new_name)
    old_entry = _entry_of(old_dir, old_name)
    moves_dir = is_directory(inode.i_mode)
    dotdot = ext2_dotdot(inode) if moves_dir else None
    if moves_dir and dotdot is None:
        raise OSError(errno.EIO, f"{inode}: the directory has no '..'")
    if replaced is not None:
        _replace(new_dir, new_name, inode, replaced)
    else:
        if moves_dir and new_dir is not old_dir:
            check_max_links(new_dir)
        ext2_add_link(new_dir, new_name, inode)
        if moves_dir:
            inode_inc_link_count(new_dir)
    inode.i_ctime = current_fs_time(inode.i_sb)
    mark_inode_dirty(inode)
    bug_on(ext2_find_entry(old_dir, old_name) != old_entry, f"{old_dir}: {old_name!r} has moved")
    ext2_delete_entry(old_dir, old_name, old_entry)
    if dotdot is not None:
        if old_dir is not new_dir:
            ext2_set_link(inode, b"..", dotdot, new_dir, update_times=False)
        inode_dec_link_count(old_dir)


def _replace(new_dir: Inode, new_name: bytes, inode: Inode, replaced: Inode) -> None:
    """The record of the new name means `inode` now; what it meant loses its links."""
    is_dir = is_directory(replaced.i_mode)
    if is_dir and not ext2_empty_dir(replaced):
        raise OSError(errno.ENOTEMPTY, f"{new_name.decode(errors='replace')}: the directory is not empty")
    ext2_set_link(new_dir, new_name, _entry_of(new_dir, new_name), inode, update_times=True)
    replaced.i_ctime = current_fs_time(replaced.i_sb)
    if is_dir:
        inode_dec_link_count(replaced)
    inode_dec_link_count(replaced)


ext2_special_inode_operations = InodeOperations(name="ext2_special_inode_operations", setattr=ext2_setattr)
