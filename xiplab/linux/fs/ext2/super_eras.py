"""Mounting ext2 as other releases did.

    linux1.kernel.filesystems["ext2"] = ext2_fs_type_2_6_24
"""

from __future__ import annotations

from functools import partial

from xiplab.linux.fs.ext2.options import einval
from xiplab.linux.fs.ext2.super import block_size_of, ext2_fill_super
from xiplab.linux.fs.ext2.xip import ext2_use_xip
from xiplab.linux.include.fs import FileSystemType, SuperBlock


def block_size_of_2_6_24(sb: SuperBlock, silent: bool) -> int:
    """The block size, wrongly compared with the provisional one (Q14): with xip, a device whose logical
    blocks are smaller than the file system's is refused.

    Kernel: 2.6.13 to 2.6.24
    Raises:
        OSError: EINVAL.
    """
    size = block_size_of(sb, silent)
    if ext2_use_xip(sb) and size != sb.s_blocksize:
        raise einval(sb, "unsupported blocksize for xip", silent=silent)
    return size


ext2_fs_type_2_6_24 = FileSystemType("ext2", partial(ext2_fill_super, size_of=block_size_of_2_6_24))
