"""Replays operations on whatever behaves like the `os` module: this computer, or a guest.

Results are plain data, the same for both: numbers, checksums, and ["!", "ENOENT"] for an error.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from typing import Any, Protocol, TypeAlias

from workload import FILE_SLOTS, LONG_AGO, MAP_SLOTS, Operation, payload

from xiplab.errors import SIGNAL_NAMES, Signal
from xiplab.linux.include.mm import PROT_WRITE
from xiplab.units import PAGE_SIZE, page_count

Result: TypeAlias = Any
Tree: TypeAlias = dict[str, list[Any]]

NO_FILE = 1000
"""A descriptor that nobody has: EBADF everywhere."""
SPAN = 100_000
LARGEST_READ = 16 << 20
GETFL_MASK = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK


class Calls(Protocol):
    """What differs between this computer and a guest; everything else is called as in `os`."""

    def __getattr__(self, name: str) -> Any: ...
    def map(self, fd: int, length: int, prot: int, flags: int, offset: int) -> Any: ...
    def unmap(self, area: Any) -> None: ...
    def load(self, area: Any, offset: int, nbytes: int) -> bytes: ...
    def store(self, area: Any, offset: int, data: bytes) -> None: ...
    def sync_area(self, area: Any) -> None: ...
    def utimens(self, path: str, atime_ns: int | None, mtime_ns: int | None) -> None: ...
    def free(self) -> tuple[int, int]: ...
    def setfl(self, fd: int, flags: int) -> None: ...
    def getfl(self, fd: int) -> int: ...
    def become(self, uid: int) -> None: ...
    def cycle(self) -> None: ...


class Replay:
    """One run: slots for open files and for mappings, and a method for each operation.

    Attributes:
        exact: times and allocated space belong to the results.
    """

    def __init__(self, calls: Calls, *, exact: bool) -> None:
        self.calls = calls
        self.exact = exact
        self.uid = 0
        self.files = [NO_FILE] * FILE_SLOTS
        self.areas: list[Any] = [None] * MAP_SLOTS

    def run(self, operation: Operation) -> Result:
        """Do one operation; its result."""
        name, *arguments = operation
        try:
            return getattr(self, f"do_{name}")(*arguments)
        except OSError as failure:
            return ["!", errno.errorcode.get(failure.errno or 0, str(failure.errno))]
        except Signal as signal:
            return ["!", SIGNAL_NAMES[signal.signo]]

    # files

    def do_open(self, slot: int, path: str, flags: int, mode: int) -> Result:
        self._drop(slot)
        self.files[slot] = self.calls.open(path, flags, mode)
        return "open"

    def _drop(self, slot: int) -> None:
        fd, self.files[slot] = self.files[slot], NO_FILE
        if fd != NO_FILE:
            self.calls.close(fd)

    def do_close(self, slot: int) -> Result:
        fd, self.files[slot] = self.files[slot], NO_FILE
        return self.calls.close(fd)

    def do_dup(self, slot: int, to: int) -> Result:
        fd = self.calls.dup(self.files[slot])
        self._drop(to)
        self.files[to] = fd
        return "dup"

    def do_setfl(self, slot: int, flags: int) -> Result:
        return self.calls.setfl(self.files[slot], flags)

    def do_getfl(self, slot: int) -> Result:
        return self.calls.getfl(self.files[slot]) & GETFL_MASK

    def do_read(self, slot: int, nbytes: int) -> Result:
        return digest(self.calls.read(self.files[slot], nbytes))

    def do_pread(self, slot: int, nbytes: int, offset: int) -> Result:
        return digest(self.calls.pread(self.files[slot], nbytes, offset))

    def do_readv(self, slot: int, pieces: list[int]) -> Result:
        buffers = [bytearray(n) for n in pieces]
        return [self.calls.readv(self.files[slot], buffers), digest(b"".join(buffers))]

    def do_preadv(self, slot: int, pieces: list[int], offset: int) -> Result:
        buffers = [bytearray(n) for n in pieces]
        return [self.calls.preadv(self.files[slot], buffers, offset), digest(b"".join(buffers))]

    def do_write(self, slot: int, key: int, nbytes: int) -> Result:
        return self.calls.write(self.files[slot], payload(key, nbytes))

    def do_pwrite(self, slot: int, key: int, nbytes: int, offset: int) -> Result:
        return self.calls.pwrite(self.files[slot], payload(key, nbytes), offset)

    def do_append(self, path: str, key: int, nbytes: int) -> Result:
        fd = self.calls.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            return self.calls.write(fd, payload(key, nbytes))
        finally:
            self.calls.close(fd)

    def do_writev(self, slot: int, key: int, pieces: list[int]) -> Result:
        return self.calls.writev(self.files[slot], [payload(key, n) for n in pieces])

    def do_pwritev(self, slot: int, key: int, pieces: list[int], offset: int) -> Result:
        return self.calls.pwritev(self.files[slot], [payload(key, n) for n in pieces], offset)

    def do_sendfile(self, out: int, slot: int, offset: int, nbytes: int) -> Result:
        """Not from a file to itself, where each system moves other pieces of ranges that overlap; not
        from a directory, which v3.6 asks for bytes and later kernels do not."""
        target, source = (self.calls.fstat(self.files[i]) for i in (out, slot))
        if target.st_ino == source.st_ino or stat.S_ISDIR(source.st_mode):
            return "not done"
        return self.calls.sendfile(self.files[out], self.files[slot], offset, nbytes)

    def do_lseek(self, slot: int, offset: int, whence: int) -> Result:
        return self.calls.lseek(self.files[slot], offset, whence)

    def do_ftruncate(self, slot: int, length: int) -> Result:
        return self.calls.ftruncate(self.files[slot], length)

    def do_truncate(self, path: str, length: int) -> Result:
        return self.calls.truncate(path, length)

    def do_fstat(self, slot: int) -> Result:
        return self._attributes(self.calls.fstat(self.files[slot]))

    def do_fsync(self, slot: int) -> Result:
        return self.calls.fsync(self.files[slot])

    def do_sync(self) -> Result:
        return self.calls.sync()

    def do_cycle(self) -> Result:
        """Close everything, unmount, mount again."""
        self.close_all()
        return self.calls.cycle()

    def close_all(self) -> None:
        self.do_become(0)
        for slot in range(FILE_SLOTS):
            self._drop(slot)
        for slot in range(MAP_SLOTS):
            if self.areas[slot] is not None:
                self.do_munmap(slot)

    # names

    def do_mkdir(self, path: str, mode: int) -> Result:
        return self.calls.mkdir(path, mode)

    def do_rmdir(self, path: str) -> Result:
        return self.calls.rmdir(path)

    def do_link(self, path: str, new: str) -> Result:
        """Always by root: whether others may is a setting of each system (protected_hardlinks)."""
        uid = self.uid
        self.do_become(0)
        try:
            return self.calls.link(path, new)
        finally:
            self.do_become(uid)

    def do_unlink(self, path: str) -> Result:
        return self.calls.unlink(path)

    def do_symlink(self, target: str, path: str) -> Result:
        return self.calls.symlink(target, path)

    def do_readlink(self, path: str) -> Result:
        return self.calls.readlink(path)

    def do_rename(self, old: str, new: str) -> Result:
        return self.calls.rename(old, new)

    def do_mknod(self, path: str, mode: int) -> Result:
        return self.calls.mknod(path, mode)

    def do_listdir(self, path: str) -> Result:
        return sorted(self.calls.listdir(path))

    # attributes

    def do_stat(self, path: str) -> Result:
        return self._attributes(self.calls.stat(path))

    def do_lstat(self, path: str) -> Result:
        return self._attributes(self.calls.lstat(path))

    def _attributes(self, st: os.stat_result) -> list[Any]:
        """Mode, links, owner, size (not of a directory: ext2 drivers differ in when it grows), and, in
        an exact run, space and times."""
        is_dir = stat.S_ISDIR(st.st_mode)
        found = [st.st_mode, st.st_nlink, st.st_uid, st.st_gid, None if is_dir else st.st_size]
        if self.exact:
            found += [None if is_dir else st.st_blocks, seconds(st.st_atime_ns), seconds(st.st_mtime_ns)]
        return found

    def do_chmod(self, path: str, mode: int) -> Result:
        return self.calls.chmod(path, mode)

    def do_chown(self, path: str, uid: int, gid: int) -> Result:
        return self.calls.chown(path, uid, gid)

    def do_utimens(self, path: str, atime: int | None, mtime: int | None) -> Result:
        return self.calls.utimens(path, *(t if t is None else t * 10**9 for t in (atime, mtime)))

    def do_become(self, uid: int) -> Result:
        if uid != self.uid:
            self.calls.become(uid)
            self.uid = uid

    def do_statfs(self) -> Result:
        return list(self.calls.free())

    # memory

    def do_mmap(self, area: int, slot: int, length: int, prot: int, flags: int, offset: int) -> Result:
        if self.areas[area] is not None:
            self.do_munmap(area)
        mapped = self.calls.map(self.files[slot], length, prot, flags, offset)
        self.areas[area] = (mapped, self.calls.dup(self.files[slot]), length, prot, offset)
        return "mapped"

    def _inside(self, area: int, offset: int, nbytes: int) -> tuple[Any, int]:
        """The mapping, and how many of the bytes lie before the file's end: what is stored in the rest
        of the last page is nobody's. A page behind the end is left to fault."""
        if self.areas[area] is None:
            raise OSError(errno.EBADF, "nothing is mapped")
        mapped, fd, length, _, start = self.areas[area]
        if offset + nbytes > length:
            raise OSError(errno.ERANGE, "outside the mapping")
        size = self.calls.fstat(fd).st_size
        if (start + offset) // PAGE_SIZE < page_count(size):
            nbytes = min(nbytes, max(size - start - offset, 0))
        return mapped, nbytes

    def do_load(self, area: int, offset: int, nbytes: int) -> Result:
        mapped, nbytes = self._inside(area, offset, nbytes)
        return digest(self.calls.load(mapped, offset, nbytes) if nbytes else b"")

    def do_store(self, area: int, key: int, offset: int, nbytes: int) -> Result:
        mapped, nbytes = self._inside(area, offset, nbytes)
        if not self.areas[area][3] & PROT_WRITE:
            raise OSError(errno.EACCES, "mapped for reading")
        if nbytes:
            self.calls.store(mapped, offset, payload(key, nbytes))
        return nbytes

    def do_munmap(self, area: int) -> Result:
        if self.areas[area] is None:
            raise OSError(errno.EBADF, "nothing is mapped")
        mapped, fd, *_ = self.areas[area]
        self.areas[area] = None
        self.calls.close(fd)
        return self.calls.unmap(mapped)

    def do_msync(self, area: int) -> Result:
        if self.areas[area] is None:
            raise OSError(errno.EBADF, "nothing is mapped")
        return self.calls.sync_area(self.areas[area][0])


def digest(data: bytes) -> list[int]:
    """Length and checksum."""
    return [len(data), zlib.crc32(data)]


def seconds(time_ns: int) -> int | str:
    """A time that somebody set, or "now"."""
    return time_ns // 10**9 if time_ns < (LONG_AGO + SPAN) * 10**9 else "now"


def tree(calls: Calls, *, exact: bool, root: str = "/") -> Tree:
    """All that is below `root`: mode, links, owners, size, contents or target, and blocks if `exact`."""
    found: Tree = {}
    todo = [""]
    while todo:
        folder = todo.pop()
        for name in calls.listdir(root + folder):
            path = folder + name
            found[path] = entry(calls, root + path, exact=exact)
            if stat.S_ISDIR(found[path][0]):
                todo.append(f"{path}/")
    return dict(sorted(found.items()))


def entry(calls: Calls, path: str, *, exact: bool) -> list[Any]:
    st = calls.lstat(path)
    if stat.S_ISDIR(st.st_mode):
        return [st.st_mode, st.st_nlink, st.st_uid, st.st_gid]
    found = [st.st_mode, st.st_nlink, st.st_uid, st.st_gid, st.st_size, *contents(calls, path, st)]
    return [*found, st.st_blocks] if exact else found


def contents(calls: Calls, path: str, st: os.stat_result) -> list[Any]:
    """Of a file as much as is quickly read: all of it, or the begin of a huge one."""
    if stat.S_ISLNK(st.st_mode):
        return [calls.readlink(path)]
    if not stat.S_ISREG(st.st_mode):
        return []
    fd = calls.open(path, os.O_RDONLY)
    try:
        return digest(calls.pread(fd, min(st.st_size, LARGEST_READ), 0))
    finally:
        calls.close(fd)


def finish(run: Replay) -> Tree:
    """Close everything, sync, and look at what is there."""
    run.close_all()
    run.calls.sync()
    return tree(run.calls, exact=run.exact)


def replay(calls: Calls, operations: list[Operation], *, exact: bool) -> tuple[list[Result], Tree]:
    """The result of each operation, and the tree at the end, after everything is closed."""
    run = Replay(calls, exact=exact)
    return [run.run(operation) for operation in operations], finish(run)
