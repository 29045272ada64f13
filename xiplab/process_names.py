"""System calls on names: look at files, make, remove and rename them, change their attributes.

The calls on open files are in process_data.py.
"""

from __future__ import annotations

import errno
import os

from xiplab.linux.fs import namei_change
from xiplab.linux.fs.dcache import d_path
from xiplab.linux.fs.namei import PathName, inode_of, path_lookup, vfs_readlink
from xiplab.linux.fs.namei_quick import mkdir_quick, stat_quick, unlink_quick
from xiplab.linux.fs.open import chmod_common, chown_common, sys_chdir, utimes_common
from xiplab.linux.fs.readdir import names_of, vfs_readdir
from xiplab.linux.fs.stat import Stat, generic_fillattr
from xiplab.linux.include.fs import O_DIRECTORY, O_RDONLY, Inode, Kstatfs
from xiplab.process_data import DataCalls


class NameCalls(DataCalls):
    """What a task can ask its kernel about names."""

    # names

    def _inode(self, path: PathName | int, *, follow: bool = True) -> Inode:
        """The inode that a path leads to, or that of an open file."""
        if isinstance(path, int):
            return self._file(path).f_inode
        return inode_of(path_lookup(self._enter(), path, follow=follow)[1])

    def stat(self, path: PathName | int) -> Stat:
        if isinstance(path, int):
            return self.fstat(path)
        task = self._enter()
        return generic_fillattr(stat_quick(task, path) or inode_of(path_lookup(task, path)[1]))

    def lstat(self, path: PathName) -> Stat:
        return generic_fillattr(self._inode(path, follow=False))

    def fstat(self, fd: int) -> Stat:
        return generic_fillattr(self._file(fd).f_inode)

    def listdir(self, path: PathName = "/") -> list[str]:
        """The names in a directory, without "." and "..", in its own order."""
        fd = self.open(path, O_RDONLY | O_DIRECTORY)
        try:
            return names_of(vfs_readdir(self._file(fd)))
        finally:
            self.close(fd)

    def mkdir(self, path: PathName, mode: int = 0o777) -> None:
        self.kernel.current = task = self.task
        if task.ended or not mkdir_quick(task, path, mode):
            namei_change.do_mkdir(self._enter(), path, mode)

    def rmdir(self, path: PathName) -> None:
        namei_change.do_rmdir(self._enter(), path)

    def unlink(self, path: PathName) -> None:
        self.kernel.current = task = self.task
        if task.ended or not unlink_quick(task, path):
            namei_change.do_unlink(self._enter(), path)

    def link(self, path: PathName, new: PathName) -> None:
        namei_change.do_link(self._enter(), path, new)

    def symlink(self, target: PathName, path: PathName) -> None:
        namei_change.do_symlink(self._enter(), target, path)

    def readlink(self, path: PathName) -> str:
        return os.fsdecode(vfs_readlink(self._inode(path, follow=False)))

    def rename(self, old: PathName, new: PathName) -> None:
        namei_change.do_rename(self._enter(), old, new)

    def mknod(self, path: PathName, mode: int, rdev: int = 0) -> None:
        namei_change.do_mknod(self._enter(), path, mode, rdev)

    def chdir(self, path: PathName) -> None:
        sys_chdir(self._enter(), path)

    def getcwd(self) -> str:
        pwd = self._enter().pwd
        assert pwd is not None
        return d_path(pwd)

    # attributes

    def chmod(self, path: PathName | int, mode: int) -> None:
        """chmod(2), or fchmod(2) of a descriptor."""
        chmod_common(self._inode(path), mode)

    def chown(self, path: PathName | int, uid: int = -1, gid: int = -1) -> None:
        """chown(2), or fchown(2) of a descriptor: -1 leaves a field."""
        chown_common(self._inode(path), uid, gid)

    def utimens(self, path: PathName | int, atime_ns: int | None = None, mtime_ns: int | None = None) -> None:
        """utimensat(2), or futimens(3) of a descriptor: times in ns; None means now."""
        utimes_common(self.task, self._inode(path), atime_ns, mtime_ns)

    def umask(self, mask: int) -> int:
        old, self.task.umask = self.task.umask, mask & 0o777
        return old

    def statfs(self, path: PathName) -> Kstatfs:
        sb = self._inode(path).i_sb
        if sb.s_op.statfs is None:
            raise OSError(errno.ENOSYS, f"{sb}: no statfs")
        return sb.s_op.statfs(sb)
