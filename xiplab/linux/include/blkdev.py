"""Block devices: structs and the operation table, no behaviour.

    gendisk        a disk: name, capacity, queue, the driver's operations
    block_device   one node of it that somebody may open
    bio            a transfer between sectors and pages of memory
    direct_access  the optional operation that needs no transfer at all

Kernel: v3.6 include/linux/{genhd,blkdev,fs,bio}.h
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xiplab.ondisk import Bytes
from xiplab.trace import OperationsTable
from xiplab.units import Pfn, Sector, sector_to_bytes

if TYPE_CHECKING:
    from xiplab.linux.include.fs import AddressSpace
    from xiplab.linux.include.kernel import Kernel

READ = 0
WRITE = 1

FMODE_READ = 1
FMODE_WRITE = 2

BLKROSET = 0x125D
BLKROGET = 0x125E
BLKGETSIZE = 0x1260
BLKFLSBUF = 0x1261
BLKSSZGET = 0x1268
BLKGETSIZE64 = 0x80081272


@dataclass(eq=False, kw_only=True)
class BlockDeviceOperations(OperationsTable):
    """What a block driver offers.

    direct_access(bdev, sector) -> (kaddr, pfn): the address of the page of storage that holds
    `sector`, in the kernel's 1:1 mapping, and its page frame number; valid until release. Optional.

    direct_access_run(bdev, sector, npages) -> (kaddr, pfn, n): the same for a run: n >= 1 pages from
    there lie in a row. Optional; not in Linux before 4.0. Whoever replaces direct_access leaves it out.
    """

    open: Callable[[BlockDevice, int], None] | None = None
    release: Callable[[GenDisk, int], None] | None = None
    ioctl: Callable[[BlockDevice, int, int, int], int] | None = None
    direct_access: Callable[[BlockDevice, Sector], tuple[int, Pfn]] | None = None
    direct_access_run: Callable[[BlockDevice, Sector, int], tuple[int, Pfn, int]] | None = None


@dataclass
class BioVec:
    """One piece of memory of a bio: a view of `bv_len` bytes that starts `bv_offset` into its page."""

    bv_page: Bytes
    bv_len: int
    bv_offset: int = 0

    @property
    def memory(self) -> Bytes:
        return self.bv_page[self.bv_offset:self.bv_offset + self.bv_len]


@dataclass(eq=False)
class Bio:
    """A transfer: `bi_size` bytes from (READ) or to (WRITE) the sectors from `bi_sector` on.

    Attributes:
        bi_error: 0, or the errno with which the driver completed it.
        bi_end_io: called once with the bio when it is complete.
    """

    bi_bdev: BlockDevice
    bi_sector: Sector
    bi_rw: int
    bi_io_vec: list[BioVec] = field(default_factory=list)
    bi_end_io: Callable[[Bio], None] | None = None
    bi_error: int = 0

    @property
    def bi_size(self) -> int:
        vecs = self.bi_io_vec
        return vecs[0].bv_len if len(vecs) == 1 else sum(vec.bv_len for vec in vecs)

    def __str__(self) -> str:
        verb = "write" if self.bi_rw == WRITE else "read"
        return f"{verb} {self.bi_size} bytes at sector {self.bi_sector}"


@dataclass
class RequestQueue:
    """How bios reach the driver. All our drivers complete a bio before make_request_fn returns."""

    make_request_fn: Callable[[RequestQueue, Bio], None]
    logical_block_size: int = 512
    max_sectors: int = 1024
    queuedata: Any = None


@dataclass(eq=False)
class GenDisk:
    """A disk.

    Attributes:
        minors: how many minor numbers it takes; 1 means that it cannot have partitions.
        capacity: in sectors. Kernel: get_capacity(), set_capacity()
        policy: True if read-only. Kernel: set_disk_ro()
    """

    kernel: Kernel
    disk_name: str
    fops: BlockDeviceOperations
    queue: RequestQueue
    major: int = 0
    first_minor: int = 0
    minors: int = 1
    capacity: Sector = Sector(0)
    policy: bool = False
    private_data: Any = None

    def __str__(self) -> str:
        return self.disk_name


@dataclass(eq=False)
class BlockDevice:
    """A device node's device; `bd_mapping` is its own page cache (metadata, raw reads).

    Attributes:
        bd_block_size: what a buffer of this device holds, in bytes.
        bd_openers: open references, a mounted file system among them.
        bd_release_count: how often it was released; an address from direct_access belongs to one
            of these spans (the model's own, to catch use after release).
        bd_buffers: the buffer cache. Kernel: the buffers of bd_inode's pages
    """

    bd_disk: GenDisk
    bd_mapping: AddressSpace
    bd_block_size: int = 4096
    bd_openers: int = 0
    bd_release_count: int = 0
    bd_buffers: dict[int, Any] = field(default_factory=dict)

    @property
    def bd_size(self) -> int:
        """Capacity in bytes. Kernel: bd_inode->i_size"""
        return sector_to_bytes(self.bd_disk.capacity)

    def __str__(self) -> str:
        return self.bd_disk.disk_name
