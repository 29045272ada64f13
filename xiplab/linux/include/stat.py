"""What stat(2) writes into a program's memory.

Kernel: v3.6 arch/s390/include/asm/stat.h
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from xiplab.ondisk import Bytes, OnDisk, be32, be64

be64x3: TypeAlias = Annotated[Bytes, ">u8", 3]


class UserStat(OnDisk, size=144):
    """struct stat of 64-bit programs. Times are seconds and nanoseconds."""

    st_dev: be64
    st_ino: be64
    st_nlink: be64
    st_mode: be32
    st_uid: be32
    st_gid: be32
    pad1: be32
    st_rdev: be64
    st_size: be64
    st_atime: be64
    st_atime_nsec: be64
    st_mtime: be64
    st_mtime_nsec: be64
    st_ctime: be64
    st_ctime_nsec: be64
    st_blksize: be64
    st_blocks: be64      # units of 512 bytes
    unused: be64x3
