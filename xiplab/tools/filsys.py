"""An ext2 image taken apart: where everything lies, by the numbers in its superblock.

The tools that make, check and show images share this. It sees bytes only, never a mount, so what is
built on it can judge the file system driver. All records are views: what changes the image is seen.

    one group:
    +------------+-------------------+--------------+--------------+-------------+---------------
    | superblock | group descriptors | block bitmap | inode bitmap | inode table | files and
    | (or copy)  | (or copy)         |              |              |             | directories ...
    +------------+-------------------+--------------+--------------+-------------+---------------
    |<- only in group 0 and groups -> |
       that keep a copy (has_super)
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from xiplab.linux.fs.ext2.ext2_fs import (
    BLOCK_SIZE,
    EXT2_FEATURE_INCOMPAT_FILETYPE,
    EXT2_FEATURE_RO_COMPAT_LARGE_FILE,
    EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER,
    EXT2_GOOD_OLD_FIRST_INO,
    EXT2_GOOD_OLD_INODE_SIZE,
    EXT2_NDIR_BLOCKS,
    EXT2_SUPER_MAGIC,
    Ext2GroupDesc,
    Ext2Inode,
    Ext2SuperBlock,
    ext2_group_has_super,
    ext2_super_block_of,
)
from xiplab.ondisk import Bytes

Image: TypeAlias = Bytes | bytes | bytearray | memoryview
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

MAX_LOG_BLOCK_SIZE = 6
KNOWN_INCOMPAT = EXT2_FEATURE_INCOMPAT_FILETYPE
KNOWN_RO_COMPAT = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE


class Filsys:
    """The parts of an image. Its name is libext2fs's, `ext2_filsys`.

    Raises:
        OSError: EINVAL for the first thing that `superblock_faults` finds.

    Attributes:
        mem: the image's bytes; sb: its superblock.
        blocks: the image as rows of one block each; pointers: the same as rows of block numbers.
        trees: (depth, first, end) of the logical blocks of a file below 0, 1, 2 and 3 indirect blocks.
        desc: the group descriptors, as one structured array.
        itable_blocks: length of one group's inode table. desc_blocks: length of the descriptors.
    """

    def __init__(self, image: Image) -> None:
        self.mem = as_array(image)
        for fault in superblock_faults(self.mem):
            raise OSError(errno.EINVAL, f"superblock: {fault}")
        sb = self.sb = ext2_super_block_of(self.mem)
        dynamic = sb.s_rev_level > 0
        self.blocksize: int = BLOCK_SIZE << sb.s_log_block_size
        self.blocks_count: int = sb.s_blocks_count
        self.first_data_block: int = sb.s_first_data_block
        self.blocks_per_group: int = sb.s_blocks_per_group
        self.inodes_count: int = sb.s_inodes_count
        self.inodes_per_group: int = sb.s_inodes_per_group
        self.inode_size: int = sb.s_inode_size if dynamic else EXT2_GOOD_OLD_INODE_SIZE
        self.first_ino: int = sb.s_first_ino if dynamic else EXT2_GOOD_OLD_FIRST_INO
        self.sparse = bool(sb.s_feature_ro_compat & EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER)
        self.filetype = bool(sb.s_feature_incompat & EXT2_FEATURE_INCOMPAT_FILETYPE)
        self.groups = group_count(sb)
        self.itable_blocks = -(-self.inodes_per_group * self.inode_size // self.blocksize)
        self.desc_blocks = -(-self.groups * Ext2GroupDesc.dtype.itemsize // self.blocksize)
        self.blocks = self.mem[: self.blocks_count * self.blocksize].reshape(-1, self.blocksize)
        self.pointers: NDArray[np.uint32] = self.blocks.view("<u4")
        self.pointers_per_block = self.blocksize // 4
        self.trees = block_trees(self.pointers_per_block)
        self.desc = self.descriptors(0)

    def descriptors(self, group: int) -> NDArray[np.void]:
        """The copy of the group descriptors that lies in `group`."""
        start = (self.group_first(group) + 1) * self.blocksize
        return Ext2GroupDesc.table(self.mem, start, self.groups)

    def group_first(self, group: int) -> int:
        return self.first_data_block + group * self.blocks_per_group

    def group_blocks(self, group: int) -> int:
        """Blocks in the group; the last one may be short."""
        return min(self.blocks_per_group, self.blocks_count - self.group_first(group))

    def has_super(self, group: int) -> bool:
        """Whether the group keeps the superblock and the descriptors, or a copy."""
        return ext2_group_has_super(group, self.sparse)

    def holds(self, block: Ints) -> Bools:
        """Which of these block numbers are blocks of the file system."""
        return (block >= self.first_data_block) & (block < self.blocks_count)

    def inode_table(self, group: int) -> NDArray[np.void]:
        """The inodes of one group. Raises OSError: EINVAL if the table is not inside the image."""
        first = self.desc["bg_inode_table"].item(group)
        if not self.first_data_block <= first <= self.blocks_count - self.itable_blocks:
            raise OSError(errno.EINVAL, f"group {group}: inode table at block {first} of {self.blocks_count}")
        return np.ndarray((self.inodes_per_group,), Ext2Inode.dtype, self.mem, first * self.blocksize,
                          (self.inode_size,))

    def inodes(self) -> NDArray[np.void]:
        """Copies of all inodes by number; number 0 is zeros. Raises OSError: EINVAL as inode_table()."""
        nothing = np.zeros(1, Ext2Inode.dtype)
        return np.concatenate([nothing, *(self.inode_table(group) for group in range(self.groups))])

    def inode_offset(self, ino: int) -> int:
        """Byte of the image where inode `ino` starts. Raises OSError: EINVAL no such inode."""
        if not 1 <= ino <= self.inodes_count:
            raise OSError(errno.EINVAL, f"inode {ino}: the image has inodes 1 to {self.inodes_count}")
        group, index = divmod(ino - 1, self.inodes_per_group)
        self.inode_table(group)
        first: int = self.desc["bg_inode_table"].item(group)
        return first * self.blocksize + index * self.inode_size

    def inode(self, ino: int) -> Ext2Inode:
        return Ext2Inode(self.mem, self.inode_offset(ino))


def block_trees(pointers_per_block: int) -> list[tuple[int, int, int]]:
    """Which logical blocks of a file lie below how many indirect blocks."""
    trees, first = [], 0
    for depth, count in enumerate((EXT2_NDIR_BLOCKS, *(pointers_per_block**n for n in (1, 2, 3)))):
        trees.append((depth, first, first + count))
        first += count
    return trees


def as_array(image: Image) -> Bytes:
    """The bytes of an image, whatever holds them, without copying."""
    return np.frombuffer(image, np.uint8)


def group_count(sb: Ext2SuperBlock) -> int:
    return -(-(sb.s_blocks_count - sb.s_first_data_block) // sb.s_blocks_per_group)


def superblock_faults(mem: Bytes) -> Iterator[str]:
    """What in the superblock makes it impossible to find anything else.

    Kernel: v3.6 fs/ext2/super.c ext2_fill_super() and e2fsck's super.c refuse the same.
    """
    if mem.size < 2 * BLOCK_SIZE:
        yield f"the image has {mem.size} bytes, and the superblock ends at byte {2 * BLOCK_SIZE}"
        return
    sb = ext2_super_block_of(mem)
    if sb.s_magic != EXT2_SUPER_MAGIC:
        yield f"s_magic is {sb.s_magic:#06x}, not {EXT2_SUPER_MAGIC:#06x}"
        return
    yield from _format_faults(sb)
    if sb.s_log_block_size <= MAX_LOG_BLOCK_SIZE:
        yield from _size_faults(sb, BLOCK_SIZE << sb.s_log_block_size, mem.size)


def _format_faults(sb: Ext2SuperBlock) -> Iterator[str]:
    """What this format is not."""
    if sb.s_log_block_size > MAX_LOG_BLOCK_SIZE:
        yield f"s_log_block_size is {sb.s_log_block_size}, at most {MAX_LOG_BLOCK_SIZE}"
    if sb.s_log_frag_size != sb.s_log_block_size:
        yield f"s_log_frag_size {sb.s_log_frag_size} differs from s_log_block_size {sb.s_log_block_size}"
    if sb.s_rev_level > 1:
        yield f"s_rev_level is {sb.s_rev_level}, at most 1"
    if sb.s_feature_incompat & ~KNOWN_INCOMPAT:
        yield f"s_feature_incompat {sb.s_feature_incompat:#x} has features that ext2 lacks"
    if sb.s_feature_ro_compat & ~KNOWN_RO_COMPAT:
        yield f"s_feature_ro_compat {sb.s_feature_ro_compat:#x} has features that ext2 lacks"


def _size_faults(sb: Ext2SuperBlock, blocksize: int, nbytes: int) -> Iterator[str]:
    """Numbers out of their limits, or that contradict each other."""
    inode_size = sb.s_inode_size if sb.s_rev_level else EXT2_GOOD_OLD_INODE_SIZE
    if inode_size < EXT2_GOOD_OLD_INODE_SIZE or inode_size > blocksize or inode_size & (inode_size - 1):
        yield f"s_inode_size {inode_size} is no power of two from 128 to the block size"
        return
    if sb.s_first_data_block != (blocksize == BLOCK_SIZE):
        yield f"s_first_data_block is {sb.s_first_data_block} with blocks of {blocksize} bytes"
    if not 8 <= sb.s_blocks_per_group <= 8 * blocksize:
        yield f"s_blocks_per_group is {sb.s_blocks_per_group}, 8 to {8 * blocksize}"
        return
    if not blocksize // inode_size <= sb.s_inodes_per_group <= 8 * blocksize:
        yield f"s_inodes_per_group is {sb.s_inodes_per_group}, {blocksize // inode_size} to {8 * blocksize}"
    if sb.s_blocks_count * blocksize > nbytes or sb.s_blocks_count <= sb.s_first_data_block:
        yield f"s_blocks_count {sb.s_blocks_count} blocks of {blocksize} bytes do not fit {nbytes} bytes"
        return
    groups = group_count(sb)
    if sb.s_inodes_count != groups * sb.s_inodes_per_group:
        yield f"s_inodes_count {sb.s_inodes_count} is not {groups} groups of {sb.s_inodes_per_group}"
    if (sb.s_first_data_block + 1) * blocksize + groups * Ext2GroupDesc.dtype.itemsize > nbytes:
        yield f"the descriptors of {groups} groups do not fit {nbytes} bytes"
    if sb.s_rev_level and not EXT2_GOOD_OLD_FIRST_INO <= sb.s_first_ino <= sb.s_inodes_count:
        yield f"s_first_ino is {sb.s_first_ino}, 11 to {sb.s_inodes_count}"
