"""A read or write of one's own in the table of an open file: its copies are seen, its answer is checked.

    filp.f_op = replace(filp.f_op, read=traced(function), read_bytes=None)
    filp.f_op = replace(filp.f_op, write=checked_write(function), write_bytes=None)
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TypeAlias

from xiplab.linux.fs.inode import mark_inode_dirty
from xiplab.linux.include.fs import File, UserBuffer
from xiplab.linux.mm.filemap import generic_write_checks
from xiplab.trace import tp_copy

Operation: TypeAlias = Callable[[File, UserBuffer, int, int], int]


@dataclass
class TracedBuffer:
    """A program's buffer; whoever copies to it or from it is seen."""

    buf: UserBuffer

    def copy_to_user(self, src: memoryview) -> int:
        return self._seen("storage to user", self.buf.copy_to_user(src))

    def clear_user(self, nbytes: int) -> int:
        return self.buf.clear_user(nbytes)

    def copy_from_user(self, dst: memoryview) -> int:
        return self._seen("user to storage", self.buf.copy_from_user(dst))

    def _seen(self, what: str, nbytes: int) -> int:
        if tp_copy.probes:
            tp_copy(what=what, nbytes=nbytes)
        return nbytes


def traced(function: Operation) -> Operation:
    """The function, with a buffer of which each copy is seen. What it says is a number of bytes."""
    @wraps(function)
    def operation(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
        moved = function(filp, TracedBuffer(buf), count, pos)
        if type(moved) is not int or not 0 <= moved <= count:
            said = repr(moved)[:30]
            raise OSError(errno.EIO, f"{function.__name__} returned {said}, no number up to {count:,}")
        return moved

    return operation


def checked_write(function: Operation) -> Operation:
    """The function as a write: Linux's checks come first, and the inode is written back later."""
    copy = traced(function)

    @wraps(function)
    def write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
        pos, count = generic_write_checks(filp, pos, count)
        moved = copy(filp, buf, count, pos)
        mark_inode_dirty(filp.f_inode)
        return moved

    return write
