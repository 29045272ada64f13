"""Pass 1, the blocks: every file's tree of blocks, its length, and that no block has two uses.

Kernel: none; e2fsprogs e2fsck/pass1.c check_blocks(), pass1b.c
"""

from __future__ import annotations

import numpy as np

from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_BAD_INO,
    EXT2_FEATURE_COMPAT_EXT_ATTR,
    EXT2_XATTR_MAGIC,
    Ext2XattrHeader,
)
from xiplab.tools.block_walk import Claims, walk_blocks
from xiplab.tools.filsys import Ints
from xiplab.tools.passes.context import Context, a_block, a_group, an_inode
from xiplab.units import SECTOR_SIZE


def check_blocks(context: Context, files: Ints, sizes: Ints) -> None:
    """Walk the `files`, judge what they use, and note it in context.claims and context.block_used."""
    metadata = count_metadata(context)
    i_block = context.inodes["i_block"][files].astype(np.int64)
    context.claims = inside(context, walk_blocks(context.fs, files, i_block, avoid=metadata > 0))
    attributes = check_attributes(context)
    check_sizes(context, files, sizes)
    check_i_blocks(context, attributes)
    check_uses(context, metadata, attributes)


def count_metadata(context: Context) -> Ints:
    """How many uses as metadata each block has; more than one is a problem of its group."""
    fs = context.fs
    uses = np.zeros(fs.blocks_count, np.int64)
    for group in range(fs.groups):
        if fs.has_super(group):
            first = fs.group_first(group)
            uses[first:first + 1 + fs.desc_blocks] += 1
        block_bitmap, inode_bitmap, table = fs.desc[group].item()[:3]
        uses[block_bitmap] += 1
        uses[inode_bitmap] += 1
        uses[table:table + fs.itable_blocks] += 1
    twice = np.unique((np.flatnonzero(uses > 1) - fs.first_data_block) // fs.blocks_per_group)
    context.report(1, twice, a_group, lambda group: "bitmaps, inode table or descriptors overlap")
    return uses


def inside(context: Context, claims: Claims) -> Claims:
    """The claims that lead to a block of the image; the others are problems."""
    fs = context.fs
    good = fs.holds(claims.block)
    bad = claims[~good]
    context.report(1, np.arange(bad.owner.size), lambda row: an_inode(int(bad.owner[row])), lambda row: (
        f"{'indirect' if bad.depth[row] else 'data'} block for logical block {bad.logical[row]} is "
        f"{bad.block[row]}, the image has blocks {fs.first_data_block} to {fs.blocks_count - 1}"))
    return claims[good]


def check_attributes(context: Context) -> Ints:
    """Blocks of extended attributes: their head, and as many inodes as h_refcount says.

    Returns:
        the attribute block of each inode, or 0.
    """
    fs = context.fs
    block = np.where(context.in_use, context.inodes["i_file_acl"], 0).astype(np.int64)
    allowed = bool(fs.sb.s_feature_compat & EXT2_FEATURE_COMPAT_EXT_ATTR)
    good = fs.holds(block) & allowed
    context.report(1, (block != 0) & ~good, an_inode,
                   lambda ino: f"i_file_acl {block[ino]} is no block for attributes")
    block = np.where(good, block, 0)
    places, owners = np.unique(block[block != 0], return_counts=True)
    heads = {place: Ext2XattrHeader(fs.blocks[place]) for place in places.tolist()}
    wanted = dict(zip(heads, owners.tolist(), strict=True))
    wrong = [place for place, head in heads.items()
             if (head.h_magic, head.h_blocks, head.h_refcount) != (EXT2_XATTR_MAGIC, 1, wanted[place])]
    context.report(1, np.array(wrong, np.int64), a_block,
                   lambda place: f"attributes of {wanted[place]} inodes have the head {heads[place]}")
    return block


def check_sizes(context: Context, files: Ints, sizes: Ints) -> None:
    """A directory is as long as its blocks; no file has blocks past its end."""
    fs, claims = context.fs, context.claims
    data = claims[claims.depth == 0]
    blocks = np.zeros(fs.inodes_count + 1, np.int64)
    np.maximum.at(blocks, data.owner, data.logical + 1)
    directories = files[context.is_dir[files]]
    others = files[~context.is_dir[files] & (files != EXT2_BAD_INO)]
    context.report(1, directories[blocks[directories] * fs.blocksize != sizes[directories]], an_inode,
                   lambda ino: f"i_size {sizes[ino]} of a directory of {blocks[ino]} blocks")
    context.report(1, others[(blocks[others] - 1) * fs.blocksize > sizes[others]], an_inode,
                   lambda ino: f"i_size {sizes[ino]} is before its block {blocks[ino] - 1}")
    limit = fs.trees[-1][2] * fs.blocksize
    context.report(1, others[sizes[others] > limit], an_inode,
                   lambda ino: f"i_size {sizes[ino]} is more than the {limit} bytes that i_block can reach")


def check_i_blocks(context: Context, attributes: Ints) -> None:
    """i_blocks counts every block of a file, in sectors."""
    sectors = context.fs.blocksize // SECTOR_SIZE
    count = np.bincount(context.claims.owner, minlength=attributes.size) + (attributes != 0)
    i_blocks = context.inodes["i_blocks"].astype(np.int64)
    owns = context.in_use | (count > 0)
    owns[EXT2_BAD_INO] = False
    context.report(1, owns & (i_blocks != count * sectors), an_inode,
                   lambda ino: f"i_blocks {i_blocks[ino]}, and {count[ino] * sectors} counted")


def check_uses(context: Context, metadata: Ints, attributes: Ints) -> None:
    """No block is used twice; what is used at all is what pass 5 expects in the bitmap."""
    claims, blocks = context.claims, context.fs.blocks_count
    uses = np.bincount(claims.block, minlength=blocks)
    uses[np.unique(attributes[attributes != 0])] += 1
    clash = (uses > 0) & (uses + metadata > 1)
    context.report(1, clash, a_block, lambda block: describe_uses(claims, block, bool(metadata[block])))
    context.block_used = uses + metadata > 0


def describe_uses(claims: Claims, block: int, metadata: bool) -> str:
    owners = [f"inode {ino}" for ino in claims.owner[claims.block == block][:3].tolist()]
    return "used by " + " and ".join([*owners, *(["as metadata"] if metadata else [])])
