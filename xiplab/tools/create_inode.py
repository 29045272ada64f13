"""Puts a tree of files into a fresh image: inode numbers, blocks, indirect blocks, directories.

Only mke2fs calls this. In order: every node gets its inode number, chosen blocks are set aside, and
then each node is written: its content first, block by block, and its inode last. A block of zeros in
a file is not stored: it becomes a hole, as with the real `mke2fs -d`.

Kernel: none; e2fsprogs misc/create_inode.c
"""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_DIR_ENTRY_FORMAT,
    EXT2_FAST_SYMLINK_MAX,
    EXT2_FEATURE_RO_COMPAT_LARGE_FILE,
    EXT2_FT_BLKDEV,
    EXT2_FT_CHRDEV,
    EXT2_FT_DIR,
    EXT2_FT_FIFO,
    EXT2_FT_REG_FILE,
    EXT2_FT_SYMLINK,
    EXT2_LINK_MAX,
    EXT2_N_BLOCKS,
    EXT2_NDIR_BLOCKS,
    EXT2_ROOT_INO,
    ext2_dir_rec_len,
)
from xiplab.ondisk import Bytes
from xiplab.tools.filsys import Bools, Filsys, Ints
from xiplab.tools.tree import Node, walk
from xiplab.units import SECTOR_SIZE, GiB

FILE_TYPES = {
    stat.S_IFREG: EXT2_FT_REG_FILE, stat.S_IFDIR: EXT2_FT_DIR, stat.S_IFLNK: EXT2_FT_SYMLINK,
    stat.S_IFCHR: EXT2_FT_CHRDEV, stat.S_IFBLK: EXT2_FT_BLKDEV, stat.S_IFIFO: EXT2_FT_FIFO,
}


@dataclass
class FreeBlocks:
    """The blocks still to be given out, in the order in which that happens."""

    order: Ints
    given: int = 0

    def take(self, count: int) -> Ints:
        """The next blocks. Raises OSError: ENOSPC."""
        left = self.order.size - self.given
        if count > left:
            raise OSError(errno.ENOSPC, f"mke2fs: {count} blocks wanted, {left} free")
        self.given += count
        return self.order[self.given - count:self.given]


@dataclass
class Plan:
    """What a node gets before anything is written.

    Attributes:
        ino: its inode number. parent: its directory's. links: how many names lead to it.
        chosen: the blocks to use, in file order, 0 for a hole; None for the next free ones.
    """

    ino: int
    parent: int
    links: int = 0
    chosen: Ints | None = None


def populate_fs(fs: Filsys, used: Bools, root: Node, layout: Mapping[str, Sequence[int]],
                scatter: int | None) -> dict[Node, Plan]:
    """Write all nodes; mark the blocks they take in `used`. Kernel: none; e2fsprogs populate_fs()

    Raises:
        OSError: as mke2fs().
    """
    plans = number_inodes(fs, root)
    for path, wanted in layout.items():
        plans[find(root, path)].chosen = choose_blocks(used, path, wanted)
    free = FreeBlocks(free_order(used, scatter))
    for node, plan in plans.items():
        content = directory_blocks(fs, node, plans) if node.is_dir else node.read()
        write_inode(fs, free, node, plan, content)
    used[free.order[:free.given]] = True
    return plans


def number_inodes(fs: Filsys, root: Node) -> dict[Node, Plan]:
    """Give every node an inode: the root number 2, lost+found 11, and so on.

    Raises:
        OSError: ENOSPC more nodes than inodes; EMLINK more than 32000 links.
    """
    plans = {root: Plan(EXT2_ROOT_INO, EXT2_ROOT_INO, links=2)}
    for path, node, directory in walk(root):
        parent = plans[directory]
        ino = fs.first_ino + len(plans) - 1
        plan = plans.setdefault(node, Plan(ino, parent.ino, links=int(node.is_dir)))
        plan.links += 1
        parent.links += node.is_dir
        if max(plan.links, parent.links) > EXT2_LINK_MAX:
            raise OSError(errno.EMLINK, f"{os.fsdecode(path)}: more than {EXT2_LINK_MAX} links")
    if fs.first_ino + len(plans) - 2 > fs.inodes_count:
        raise OSError(errno.ENOSPC, f"mke2fs: {len(plans)} files and directories, "
                                    f"{fs.inodes_count - fs.first_ino + 2} inodes for them")
    return plans


def find(root: Node, path: str) -> Node:
    """The node at `path`. Raises OSError: ENOENT."""
    node = root
    for name in filter(None, path.encode().split(b"/")):
        if name not in node.entries:
            raise OSError(errno.ENOENT, f"layout: {path} is not in the tree")
        node = node.entries[name]
    return node


def choose_blocks(used: Bools, path: str, wanted: Sequence[int]) -> Ints:
    """The blocks that a layout wants for `path`; they are marked used. Raises OSError: EINVAL."""
    for block in filter(None, wanted):
        if not 0 < block < used.size or used[block]:
            raise OSError(errno.EINVAL, f"layout of {path}: block {block} is not free")
        used[block] = True
    return np.array(wanted, np.int64)


def free_order(used: Bools, scatter: int | None) -> Ints:
    """The free blocks: ascending, or shuffled by the seed `scatter`."""
    free = np.flatnonzero(~used)
    if scatter is not None:
        shuffled = free.tolist()
        random.Random(scatter).shuffle(shuffled)
        free = np.array(shuffled, np.int64)
    return free


def directory_blocks(fs: Filsys, node: Node, plans: Mapping[Node, Plan]) -> Bytes:
    """The content of a directory: records that fill whole blocks, the last of each to the block's end."""
    own = plans[node]
    names = [(b".", own.ino, node.mode), (b"..", own.parent, node.mode)]
    names += [(name, plans[child].ino, child.mode) for name, child in node.entries.items()]
    content, last = bytearray(), 0
    for name, ino, mode in names:
        rec_len = ext2_dir_rec_len(len(name))
        if len(content) % fs.blocksize + rec_len > fs.blocksize:
            fill_block(content, last, fs.blocksize)
        last = len(content)
        file_type = FILE_TYPES[stat.S_IFMT(mode)] if fs.filetype else 0
        content += EXT2_DIR_ENTRY_FORMAT.pack(ino, rec_len, len(name), file_type)
        content += name.ljust(rec_len - EXT2_DIR_ENTRY_FORMAT.size, b"\0")
    fill_block(content, last, fs.blocksize)
    return np.frombuffer(content, np.uint8)


def fill_block(content: bytearray, last: int, blocksize: int) -> None:
    """Stretch the record at `last` to the end of its block."""
    content.extend(bytes(-len(content) % blocksize))
    content[last + 4:last + 6] = (len(content) - last).to_bytes(2, "little")


def write_inode(fs: Filsys, free: FreeBlocks, node: Node, plan: Plan, content: Bytes) -> None:
    """Store the content and then the inode that leads to it.

    Raises:
        OSError: ENAMETOOLONG the target of a symbolic link does not fit one block; EFBIG; of store().
    """
    inode = fs.inode(plan.ino)
    if stat.S_ISLNK(node.mode) and content.size >= fs.blocksize:
        raise OSError(errno.ENAMETOOLONG, f"mke2fs: symbolic link: target of {content.size} bytes, "
                                          f"limit {fs.blocksize - 1}")
    if stat.S_ISLNK(node.mode) and content.size <= EXT2_FAST_SYMLINK_MAX:
        inode.i_block.view(np.uint8)[:content.size] = content
    elif stat.S_ISCHR(node.mode) or stat.S_ISBLK(node.mode):
        inode.i_block[:2] = encode_dev(node.rdev)
    else:
        inode.i_block[:], count = store(fs, free, content, plan.chosen)
        inode.i_blocks = count * (fs.blocksize // SECTOR_SIZE)
    if content.size >= 2 * GiB and not fs.sb.s_feature_ro_compat & EXT2_FEATURE_RO_COMPAT_LARGE_FILE:
        raise OSError(errno.EFBIG, f"mke2fs: a file of {content.size} bytes needs large_file")
    inode.i_size = content.size & 0xFFFFFFFF
    inode.i_dir_acl = content.size >> 32
    inode.i_mode = node.mode
    inode.i_links_count = plan.links
    inode.i_uid, inode.l_i_uid_high = node.uid & 0xFFFF, node.uid >> 16
    inode.i_gid, inode.l_i_gid_high = node.gid & 0xFFFF, node.gid >> 16
    mtime = fs.sb.s_wtime if node.mtime is None else node.mtime
    inode.i_atime = inode.i_ctime = inode.i_mtime = mtime & 0xFFFFFFFF


def encode_dev(rdev: int) -> tuple[int, int]:
    """A device number in the first two words of i_block. Kernel: old_encode_dev(), new_encode_dev()"""
    major, minor = os.major(rdev), os.minor(rdev)
    if major < 256 and minor < 256:
        return major << 8 | minor, 0
    return 0, minor & 0xFF | major << 8 | (minor & ~0xFF) << 12


def store(fs: Filsys, free: FreeBlocks, content: Bytes,
          chosen: Ints | None) -> tuple[Ints, int]:
    """Write a file's blocks, except those of zeros.

    Returns:
        i_block, and how many blocks the file takes, indirect blocks included.
    Raises:
        OSError: ENOSPC; EINVAL if `chosen` does not fit the content.
    """
    rows = np.zeros((-(-content.size // fs.blocksize), fs.blocksize), np.uint8)
    rows.reshape(-1)[:content.size] = content
    filled = np.any(rows.view("<u8"), axis=1)
    if chosen is None:
        logical = np.flatnonzero(filled)
    else:
        logical = np.flatnonzero(chosen)
        if chosen.size != filled.size or filled[chosen == 0].any():
            raise OSError(errno.EINVAL, f"layout of {chosen.size} blocks, {logical.size} of them stored, for "
                                        f"{filled.size} blocks, {np.count_nonzero(filled)} of them not zero")
        chosen = chosen[logical]
    i_block, physical, count = map_blocks(fs, free, logical, chosen)
    fs.blocks[physical] = rows[logical]
    return i_block, count


def map_blocks(fs: Filsys, free: FreeBlocks, logical: Ints, chosen: Ints | None,
               ) -> tuple[Ints, Ints, int]:
    """Give the logical blocks of one file their places, and write the indirect blocks that lead there.

    An indirect block is given out just before the first block below it, as the driver does.

    Returns:
        i_block; the place of each logical block; how many blocks were used in all.
    """
    level, start, depth, base = block_tree(fs, logical)
    place = np.zeros(level.size, np.int64)
    if chosen is None:
        place[:] = free.take(level.size)
    else:
        place[level == 0] = chosen
        place[level > 0] = free.take(int(np.count_nonzero(level)))
    for below in range(level.max(initial=0)):
        child = np.flatnonzero((level == below) & (depth > below))
        above = np.flatnonzero(level == below + 1)
        parent = above[np.searchsorted(above, child) - 1]
        slot = (start - base)[child] // fs.pointers_per_block**below % fs.pointers_per_block
        fs.pointers[place[parent], slot] = place[child]
    i_block = np.zeros(EXT2_N_BLOCKS, np.int64)
    top = level == depth
    i_block[np.where(depth == 0, start, EXT2_NDIR_BLOCKS - 1 + depth)[top]] = place[top]
    return i_block, place[level == 0], level.size


def block_tree(fs: Filsys, logical: Ints) -> Ints:
    """All blocks that a file needs to store its `logical` blocks, in the order of allocation.

    Returns:
        four rows: level (0 data, 1 to 3 indirect), the first logical block below, and the depth and
        the first logical block of the tree that it belongs to.
    """
    columns = [np.zeros((4, 0), np.int64)]
    for depth, base, end in fs.trees:
        if not logical.size or logical[-1] < base:
            break
        inside = logical[(logical >= base) & (logical < end)] - base
        for level in range(depth + 1):
            span = fs.pointers_per_block**level
            start = base + np.unique(inside // span) * span
            columns.append(np.stack(np.broadcast_arrays(level, start, depth, base)))
    tree = np.concatenate(columns, axis=1)
    return tree[:, np.lexsort((-tree[0], tree[1]))]
