"""From inodes to blocks: who uses which block, for many files at once.

    i_block ──► triple ──► double ──► indirect ──► data

All indirect blocks of one level are read in one step, whatever file they belong to. A block is
followed once at most, so that the time is bounded on an image of any content.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import EXT2_NDIR_BLOCKS
from xiplab.tools.filsys import Bools, Filsys, Ints


@dataclass
class Claims:
    """Which file uses which block, one element per use.

    Attributes:
        owner: the inode. block: what the pointer says, which may lie outside the image.
        logical: the block's number within the file; of an indirect block the first one below it.
        depth: 0 data, 1 to 3 indirect.
    """

    owner: Ints
    block: Ints
    logical: Ints
    depth: Ints

    def __getitem__(self, chosen: Bools | Ints) -> Claims:
        return Claims(self.owner[chosen], self.block[chosen], self.logical[chosen], self.depth[chosen])


def walk_blocks(fs: Filsys, files: Ints, i_block: Ints, avoid: Bools | None = None) -> Claims:
    """All uses that the inodes `files` make of blocks.

    Args:
        i_block: one row of pointers for each of `files`.
        avoid: per block of the image, whether not to follow it if it is said to be indirect.
    """
    row, slot = np.nonzero(i_block)
    bases = np.array([first for _, first, _ in fs.trees[1:]])
    depth = np.maximum(slot - EXT2_NDIR_BLOCKS + 1, 0)
    logical = np.where(depth > 0, bases[depth - 1], slot)
    levels = [Claims(files[row], i_block[row, slot], logical, depth)]
    followed = np.zeros(fs.blocks_count, np.bool_) if avoid is None else avoid.copy()
    for level in (3, 2, 1):
        indirect = join([claims[(claims.depth == level) & fs.holds(claims.block)] for claims in levels])
        _, once = np.unique(indirect.block, return_index=True)
        indirect = indirect[np.sort(once)]
        indirect = indirect[~followed[indirect.block]]
        followed[indirect.block] = True
        levels.append(pointed_to(fs, indirect, level))
    return join(levels)


def pointed_to(fs: Filsys, indirect: Claims, level: int) -> Claims:
    """The uses that the pointers in these indirect blocks make."""
    row, slot = np.nonzero(fs.pointers[indirect.block])
    block = fs.pointers[indirect.block[row], slot].astype(np.int64)
    logical = indirect.logical[row] + slot * fs.pointers_per_block ** (level - 1)
    return Claims(indirect.owner[row], block, logical, np.full(row.size, level - 1))


def join(levels: list[Claims]) -> Claims:
    return Claims(*(np.concatenate([getattr(level, name) for level in levels])
                    for name in ("owner", "block", "logical", "depth")))
