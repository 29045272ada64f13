"""The same system calls on a guest and on the host: a test's body runs on both and must come out alike.

    def test_open_missing(side: Side) -> None:
        assert side.outcome("open", "missing") == "ENOENT"

The host's side works in a folder on its tmpfs, a guest's in its ramfs; both stand in that folder, so
paths are relative. The host plays along where it is Linux on x86-64 (whose open flags are ours) and the
tests run as root (else it could not change users).
"""

from __future__ import annotations

import errno
import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from xiplab import Guest

TMPFS = Path("/dev/shm")
HAS_HOST = (sys.platform == "linux" and platform.machine() == "x86_64" and os.geteuid() == 0
            and TMPFS.is_dir())
host_fcntl = importlib.import_module("fcntl") if HAS_HOST else None
SIDES = ["guest", "host"] if HAS_HOST else ["guest"]
USER = 1000
DEEP = "0/1/2/3/4/5"
"""So many folders above the one where the calls happen, for paths that climb out of it."""


def outcome(call: Callable[[], object], as_user: AbstractContextManager[None] | None = None) -> object:
    """What the call returns, or the name of its errno."""
    try:
        with as_user or nullcontext():
            return call()
    except OSError as failure:
        return errno.errorcode[failure.errno or 0]


class Calls:
    """What both sides have: outcomes, and files made in one line."""

    api: Any

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self.api, name)
        return call

    def outcome(self, name: str, *args: object, uid: int = 0) -> object:
        """What the call of user `uid` returns, or the name of its errno."""
        return outcome(partial(getattr(self, name), *args), self.user(uid))

    @contextmanager
    def user(self, uid: int) -> Iterator[None]:
        raise NotImplementedError
        yield

    def put(self, path: str, data: bytes = b"", mode: int = 0o644) -> None:
        fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self.write(fd, data)
        self.close(fd)
        self.chmod(path, mode)

    def get(self, path: str) -> bytes:
        fd = self.open(path, os.O_RDONLY)
        try:
            data: bytes = self.read(fd, 1 << 20)
            return data
        finally:
            self.close(fd)

    def touch_open(self, path: str, flags: int, mode: int = 0o644) -> str:
        """Open and close."""
        self.close(self.open(path, flags, mode))
        return "opened"

    def mode(self, path: str) -> int:
        mode: int = self.lstat(path).st_mode
        return mode & 0o7777


class GuestSide(Calls):
    """A guest's calls, in a folder of its ramfs."""

    name = "guest"

    def __init__(self, guest: Guest) -> None:
        self.api = guest
        guest.mkdir("/tmp/twin")
        guest.chdir("/tmp/twin")
        for folder in DEEP.split("/"):
            guest.mkdir(folder)
            guest.chdir(folder)
        self.home = guest.getcwd()
        guest.kernel.statics["protected"] = {what: protected(what) for what in ("symlinks", "hardlinks")}

    @contextmanager
    def user(self, uid: int) -> Iterator[None]:
        if uid:
            self.api.setuid(uid)
        try:
            yield
        finally:
            self.api.setuid(0)


class HostSide(Calls):
    """The calls of this computer, named as a Process names them, in `folder`."""

    name = "host"
    api = os

    def __init__(self, folder: Path) -> None:
        self.home = str(folder / DEEP)
        os.makedirs(self.home)
        os.chdir(self.home)

    @contextmanager
    def user(self, uid: int) -> Iterator[None]:
        if uid:
            os.setgroups([])
            os.setegid(uid)
            os.seteuid(uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    def link(self, path: str, new: str) -> None:
        os.link(path, new, follow_symlinks=False)

    def fcntl(self, fd: int, command: int, argument: int = 0) -> int:
        if fd < 0:
            raise OSError(errno.EBADF, "a negative descriptor")
        assert host_fcntl is not None
        answer: int = host_fcntl.fcntl(fd, command, argument)
        return answer

    def utimens(self, path: str, atime_ns: int | None = None, mtime_ns: int | None = None) -> None:
        if atime_ns is None or mtime_ns is None:
            os.utime(path)
        else:
            os.utime(path, ns=(atime_ns, mtime_ns))


Side: TypeAlias = GuestSide | HostSide


def protected(what: str) -> bool:
    """What the host's kernel does with other users' links; on where that cannot be asked."""
    switch = Path(f"/proc/sys/fs/protected_{what}")
    return not switch.exists() or switch.read_text().strip() != "0"
