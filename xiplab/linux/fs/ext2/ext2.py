"""ext2 in memory: what a mount and an inode keep, and how an error is reported.

    sb.s_fs_info      Ext2SbInfo     the super block's buffer, the group descriptors' buffers, counters
    inode.i_private   Ext2InodeInfo  block pointers, flags, where the last block went

Numbers that the driver needs again and again are taken out of the super block once, at mount.

Kernel: v3.6 fs/ext2/ext2.h; ext2_msg(), ext2_error() and ext2_sync_super() of fs/ext2/super.c
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from xiplab.errors import Panic
from xiplab.linux.fs.buffer import BufferHead, mark_buffer_dirty, sync_dirty_buffer
from xiplab.linux.fs.ext2.ext2_fs import EXT2_ERROR_FS, EXT2_VALID_FS, Ext2SuperBlock
from xiplab.linux.include.fs import (
    MS_RDONLY,
    AddressSpaceOperations,
    FileOperations,
    Inode,
    InodeOperations,
    SuperBlock,
)
from xiplab.units import Block, Ino

EXT2_MOUNT_OLDALLOC = 0x000002
EXT2_MOUNT_GRPID = 0x000004
EXT2_MOUNT_DEBUG = 0x000008
EXT2_MOUNT_ERRORS_CONT = 0x000010
EXT2_MOUNT_ERRORS_RO = 0x000020
EXT2_MOUNT_ERRORS_PANIC = 0x000040
EXT2_MOUNT_MINIX_DF = 0x000080
EXT2_MOUNT_NO_UID32 = 0x000200
EXT2_MOUNT_XATTR_USER = 0x004000
EXT2_MOUNT_POSIX_ACL = 0x008000
EXT2_MOUNT_XIP = 0x010000
EXT2_MOUNT_RESERVATION = 0x080000

EXT2_MOUNT_ERRORS = EXT2_MOUNT_ERRORS_CONT | EXT2_MOUNT_ERRORS_RO | EXT2_MOUNT_ERRORS_PANIC

NSEC_PER_SEC = 1_000_000_000


class InodeTables(NamedTuple):
    """What an inode of one kind can do."""

    i_op: InodeOperations
    i_fop: FileOperations
    a_ops: AddressSpaceOperations


COUNTS = struct.Struct("<HHH")
FREE_BLOCKS = struct.Struct("<H")
COUNTS_AT = 12
"""The three counts of a group descriptor, and where they begin."""


@dataclass(eq=False, slots=True)
class Ext2Group:
    """A group: its descriptor, read once, and its bitmaps.

    Attributes:
        desc, offset: the descriptor's buffer and place, which store_counts() keeps up to date.
        first_block: of the group. block_bitmap, inode_bitmap, inode_table: as in the descriptor.
        block_bits, inode_bits: the bitmaps' buffers, once they were read.
        first_free_inode: no inode bit before this one is free.
        debt: more directories than files were made here lately. Kernel: s_debts[group]
    """

    desc: BufferHead
    offset: int
    first_block: Block
    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    free_blocks: int
    free_inodes: int
    used_dirs: int
    block_bits: BufferHead | None = None
    inode_bits: BufferHead | None = None
    first_free_inode: int = 0
    debt: int = 0

    def take_block(self) -> None:
        """One block less is free."""
        self.free_blocks -= 1
        FREE_BLOCKS.pack_into(self.desc.b_data, self.offset + COUNTS_AT, self.free_blocks & 0xFFFF)
        self.desc.b_dirty = True

    def store_counts(self) -> None:
        """Put the counts into the descriptor, where they have 16 bits."""
        COUNTS.pack_into(self.desc.b_data, self.offset + COUNTS_AT, self.free_blocks & 0xFFFF,
                         self.free_inodes & 0xFFFF, self.used_dirs & 0xFFFF)
        self.desc.b_dirty = True


@dataclass(eq=False, slots=True)
class Ext2XipRun:
    """Blocks first..end-1 of the device lie in storage in a row, as the driver said.

    Attributes:
        asked: its direct_access_run. kaddr, pfn: address and frame of block 0, were it in the same row.
    """

    asked: Callable[..., tuple[int, int, int]]
    first: int
    end: int
    kaddr: int
    pfn: int


@dataclass(eq=False, slots=True)
class Ext2SbInfo:
    """What a mounted ext2 keeps.

    Attributes:
        s_es: the super block's record, in s_sbh. s_sb_block: in units of 1 KiB.
        s_mount_state: what s_state becomes at unmount.
        s_group_desc: the buffers with the group descriptors. s_groups: the groups.
        s_freeblocks_counter, s_freeinodes_counter, s_dirs_counter: sums over all groups.
        s_filetype: records of directories have a file type.
        s_clear_xip_target: zeroes new blocks in place; None without xip. s_xip_run: see xip.py.
        s_inode_tables: see super.py.
    """

    s_sb_block: int
    s_sbh: BufferHead
    s_es: Ext2SuperBlock
    s_mount_opt: int = 0
    s_mount_state: int = 0
    s_resuid: int = 0
    s_resgid: int = 0
    s_inode_size: int = 0
    s_first_ino: int = 0
    s_inodes_per_block: int = 0
    s_inodes_per_group: int = 0
    s_itb_per_group: int = 0
    s_blocks_per_group: int = 0
    s_desc_per_block: int = 0
    s_first_data_block: int = 0
    s_blocks_count: int = 0
    s_r_blocks_count: int = 0
    s_inodes_count: int = 0
    s_filetype: bool = False
    s_groups_count: int = 0
    s_group_desc: list[BufferHead] = field(default_factory=list)
    s_groups: list[Ext2Group] = field(default_factory=list)
    s_freeblocks_counter: int = 0
    s_freeinodes_counter: int = 0
    s_dirs_counter: int = 0
    s_next_generation: int = 0
    s_clear_xip_target: Callable[[Inode, int, int], None] | None = None
    s_xip_run: Ext2XipRun | None = None
    s_inode_tables: dict[int, InodeTables] = field(default_factory=dict)


class DirEntry(NamedTuple):
    """A name's record: what it says, and its byte position in the directory."""

    inode: int
    file_type: int
    pos: int


@dataclass(eq=False, slots=True)
class DirIndex:
    """The names of a directory.

    Attributes:
        names: the record of each name. records: for each page that is good, where its records begin.
        bad: pages that cannot be used, and the error that says why.
        room: a record of this length, or longer, does not fit anywhere before this position.
        in_order: the names stand here in the order of their records.
        listing: what readdir gave from the start on; None since a change.
    """

    names: dict[bytes, DirEntry] = field(default_factory=dict)
    records: dict[int, list[int]] = field(default_factory=dict)
    bad: dict[int, OSError] = field(default_factory=dict)
    room: dict[int, int] = field(default_factory=lambda: {0: 0})
    in_order: bool = True
    last_pos: int = -1
    listing: list[tuple[bytes, Ino, int]] | None = None

    def add(self, name: bytes, inode: int, file_type: int, pos: int) -> None:
        """A new name, or another inode for one that is there."""
        self.names[name] = tuple.__new__(DirEntry, (inode, file_type, pos))
        self.listing = None
        if pos > self.last_pos:
            self.last_pos = pos
        else:
            self.in_order = False

    def remove(self, name: bytes) -> None:
        del self.names[name]
        self.listing = None


@dataclass(eq=False, slots=True)
class Ext2Window:
    """Where the next block of a growing file goes; see append.py.

    Attributes:
        iblock, block: its number in the file and on the device. last: the last block that may follow.
        group, bits: the group of these blocks, and its bitmap's buffer.
        bh, base: slot `iblock` - `base` of this buffer is its pointer; None for the inode.
        kaddr: an xip mount's address of block 0, were it in the row of the others; 0: not asked for yet.
    """

    iblock: int
    block: int
    last: int
    group: Ext2Group
    bits: BufferHead
    bh: BufferHead | None
    base: int
    kaddr: int = 0


@dataclass(eq=False, slots=True)
class Ext2InodeInfo:
    """What an inode of ext2 keeps besides the common fields.

    Attributes:
        i_data: the 15 block pointers, or the bytes of a short symbolic link as numbers.
        i_new: not written yet, so the old record is wiped first. Kernel: EXT2_STATE_NEW
        last_alloc_logical_block, last_alloc_physical_block: where the last block went (0: nowhere yet).
            Kernel: struct ext2_block_alloc_info
        last_alloc_bh, last_alloc_slot: where its pointer stands; None for the inode itself.
        i_window: where the next one goes.
        i_dir_index: the names of a directory, once they were looked at.
    """

    i_block_group: int
    i_data: list[int] = field(default_factory=lambda: [0] * 15)
    i_flags: int = 0
    i_faddr: int = 0
    i_frag_no: int = 0
    i_frag_size: int = 0
    i_file_acl: int = 0
    i_dir_acl: int = 0
    i_dtime: int = 0
    i_generation: int = 0
    i_new: bool = False
    last_alloc_logical_block: int = 0
    last_alloc_physical_block: int = 0
    last_alloc_bh: BufferHead | None = None
    last_alloc_slot: int = 0
    i_window: Ext2Window | None = None
    i_dir_index: DirIndex | None = None


def EXT2_SB(sb: SuperBlock) -> Ext2SbInfo:
    info: Ext2SbInfo = sb.s_fs_info
    return info


def EXT2_I(inode: Inode) -> Ext2InodeInfo:
    info: Ext2InodeInfo = inode.i_private
    return info


def get_seconds(sb: SuperBlock) -> int:
    """Now, in seconds since 1970."""
    return sb.s_kernel.clock() // NSEC_PER_SEC


def ext2_group_first_block_no(sb: SuperBlock, group: int) -> Block:
    info = EXT2_SB(sb)
    return Block(info.s_first_data_block + group * info.s_blocks_per_group)


def ext2_msg(sb: SuperBlock, text: str) -> None:
    """A line in the kernel log."""
    sb.s_kernel.printk(f"EXT2-fs ({sb}): {text}")


def ext2_sync_super(sb: SuperBlock) -> None:
    """Write the super block, with the counts of now.

    Raises:
        OSError: EIO.
    """
    info = EXT2_SB(sb)
    info.s_es.s_free_blocks_count = max(info.s_freeblocks_counter, 0)
    info.s_es.s_free_inodes_count = max(info.s_freeinodes_counter, 0)
    info.s_es.s_wtime = get_seconds(sb) & 0xFFFFFFFF
    mark_buffer_dirty(info.s_sbh)
    sync_dirty_buffer(info.s_sbh)


def ext2_write_super(sb: SuperBlock) -> None:
    """On a read-write mount: take the "clean" mark away, and write the super block."""
    if not sb.s_flags & MS_RDONLY:
        EXT2_SB(sb).s_es.s_state &= ~EXT2_VALID_FS
        ext2_sync_super(sb)


def ext2_error(sb: SuperBlock, function: str, text: str) -> None:
    """The file system is inconsistent: mark it so, log it, and do what `errors=` says.

    Raises:
        Panic: with errors=panic.
    Differs: the super block cannot be written on a broken device; then only the log tells.
    """
    info = EXT2_SB(sb)
    if not sb.s_flags & MS_RDONLY:
        info.s_mount_state |= EXT2_ERROR_FS
        info.s_es.s_state |= EXT2_ERROR_FS
        try:
            ext2_sync_super(sb)
        except OSError as failure:
            ext2_msg(sb, f"error: the super block cannot be written: {failure}")
    sb.s_kernel.printk(f"EXT2-fs ({sb}): error: {function}: {text}")
    if info.s_mount_opt & EXT2_MOUNT_ERRORS_PANIC:
        sb.s_kernel.printk("Kernel panic - not syncing: EXT2-fs: panic from previous error")
        raise Panic(f"EXT2-fs ({sb}): {function}: {text}")
    if info.s_mount_opt & EXT2_MOUNT_ERRORS_RO and not sb.s_flags & MS_RDONLY:
        ext2_msg(sb, "error: remounting filesystem read-only")
        sb.s_flags |= MS_RDONLY
