"""Inside a dcssblk device: open, release, bios and direct access.

A bio is a copy between its pages and the segment. direct_access needs none: it tells where the
segment's own page lies, and that address holds until release.
Kernel: v3.6 drivers/s390/block/dcssblk.c, which is one file; dcssblk.py is its other half
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from xiplab.errors import PROTECTION, ProgramInterruption
from xiplab.linux.arch.s390.extmem import SEG_TYPE_ER, SEG_TYPE_SC, SEG_TYPE_SR, segment_save
from xiplab.linux.arch.s390.fault import die
from xiplab.linux.block.blk_core import bio_endio
from xiplab.linux.include.blkdev import WRITE, Bio, BlockDevice, BlockDeviceOperations, GenDisk, RequestQueue
from xiplab.linux.include.kernel import Kernel
from xiplab.ondisk import Bytes
from xiplab.trace import tp_copy
from xiplab.units import (
    PAGE_SECTORS,
    PAGE_SHIFT,
    PAGE_SIZE,
    Paddr,
    Pfn,
    Sector,
    bytes_to_sectors,
    offset_in_page,
    paddr_to_pfn,
    sector_to_bytes,
)

READ_ONLY_TYPES = (SEG_TYPE_SR, SEG_TYPE_ER, SEG_TYPE_SC)


@dataclass
class SegmentInfo:
    """One segment of a device. `end` is its last byte."""

    segment_name: str
    start: Paddr
    end: Paddr
    segment_type: int


@dataclass(eq=False)
class DcssblkDevInfo:
    """A device.

    Attributes:
        segment_name: the first segment that was given to add; the device's name.
        use_count: how often it is open. gd: its disk.
        start, end: first and last byte of all segments.
        segment_type: the type of the first segment given.
        seg_list: in the order given.
    """

    kernel: Kernel
    segment_name: str
    segment_type: int
    seg_list: list[SegmentInfo]
    gd: GenDisk = field(init=False)
    start: Paddr = Paddr(0)
    end: Paddr = Paddr(0)
    use_count: int = 0
    save_pending: bool = False
    is_shared: bool = True

    @property
    def num_of_segments(self) -> int:
        return len(self.seg_list)

    def __str__(self) -> str:
        return self.segment_name


def pr(kernel: Kernel, text: str) -> None:
    """A line in the log, marked as the driver's."""
    kernel.printk(f"dcssblk: {text}")


def save_all(dev_info: DcssblkDevInfo) -> None:
    """Save each segment of the device; what fails is only logged."""
    for entry in dev_info.seg_list:
        segment_save(dev_info.kernel, entry.segment_name)


def info_of(disk: GenDisk) -> DcssblkDevInfo:
    """The device behind a disk; OSError ENODEV if there is none."""
    dev_info: DcssblkDevInfo | None = disk.private_data
    if dev_info is None:
        raise OSError(errno.ENODEV, f"{disk}: no segment behind it")
    return dev_info


def dcssblk_open(bdev: BlockDevice, mode: int) -> None:
    """One more opener.

    Raises:
        OSError: ENODEV no segment behind the disk.
    """
    dev_info = info_of(bdev.bd_disk)
    dev_info.use_count += 1
    bdev.bd_block_size = PAGE_SIZE


def dcssblk_release(disk: GenDisk, mode: int) -> None:
    """One opener less; with the last one a pending save is done.

    Raises:
        OSError: ENODEV no segment behind the disk.
    """
    dev_info = info_of(disk)
    dev_info.use_count -= 1
    if not dev_info.use_count and dev_info.save_pending:
        pr(dev_info.kernel, f"Device {dev_info} has become idle and is being saved now")
        save_all(dev_info)
        dev_info.save_pending = False


def acceptable(bio: Bio, dev_info: DcssblkDevInfo) -> bool:
    """Whether a bio lies on whole pages of the device and goes in an allowed direction."""
    size = bio.bi_size
    if bio.bi_sector % PAGE_SECTORS or size % PAGE_SIZE:
        return False
    if bio.bi_sector + bytes_to_sectors(size) > bio.bi_bdev.bd_disk.capacity:
        return False
    if dev_info.is_shared and dev_info.segment_type in READ_ONLY_TYPES and bio.bi_rw == WRITE:
        pr(dev_info.kernel, f"Writing to {dev_info} failed because it is a read-only device")
        return False
    return True


def copy_pages(dev_info: DcssblkDevInfo, address: int, memory: Bytes, rw: int) -> None:
    """Copy between `memory` and the device's bytes from `address` on, which may span segments.

    Raises:
        ProgramInterruption: PROTECTION for a store into a page that the guest only reads: an oops. It happens
            where the driver believes that the segment is the guest's own (Q16).
    """
    storage = dev_info.kernel.memory
    done = 0
    while done < len(memory):
        r = storage.range_of(address + done)
        piece = memory[done:done + min(len(memory) - done, r.end + 1 - address - done)]
        place = storage.view(address + done, len(piece))
        if rw == WRITE:
            if not r.writable:
                page = (address + done) >> PAGE_SHIFT
                raise die(dev_info.kernel, ProgramInterruption(
                    PROTECTION, address + done, "store", f"page {page:X} of segment {r.name} is shared"))
            place.data[:] = piece.data
        else:
            piece.data[:] = place.data
        done += len(piece)
    if tp_copy.probes:
        tp_copy(what="memory to segment" if rw == WRITE else "segment to memory", nbytes=done)


def dcssblk_make_request(queue: RequestQueue, bio: Bio) -> None:
    """Carry out a bio by copying; whole pages only. Anything else completes with EIO.

    Kernel: v3.6 drivers/s390/block/dcssblk.c dcssblk_make_request()
    """
    dev_info: DcssblkDevInfo | None = bio.bi_bdev.bd_disk.private_data
    if dev_info is None or not acceptable(bio, dev_info):
        bio_endio(bio, errno.EIO)
        return
    address = dev_info.start + sector_to_bytes(bio.bi_sector)
    for bvec in bio.bi_io_vec:
        if offset_in_page(bvec.bv_offset) or offset_in_page(bvec.bv_len):
            bio_endio(bio, errno.EIO)
            return
        copy_pages(dev_info, address, bvec.memory, bio.bi_rw)
        address += bvec.bv_len
    bio_endio(bio)


def dcssblk_direct_access(bdev: BlockDevice, secnum: Sector) -> tuple[int, Pfn]:
    """Where the segment's page that holds sector `secnum` lies; nothing is copied.

    Kernel: v3.6 drivers/s390/block/dcssblk.c dcssblk_direct_access()
    Args:
        secnum: 512-byte sector from the start of the device, a multiple of 8.
    Returns:
        kaddr: the page's address in the kernel's 1:1 mapping. pfn: its page frame number.
    Raises:
        OSError: ENODEV no segment; EINVAL not the start of a page; ERANGE past the end.
    """
    dev_info = info_of(bdev.bd_disk)
    if secnum % PAGE_SECTORS:
        raise OSError(errno.EINVAL, f"{bdev}: sector {secnum} is no multiple of {PAGE_SECTORS}")
    pgoff = secnum // PAGE_SECTORS
    if pgoff < 0 or (pgoff + 1) * PAGE_SIZE - 1 > dev_info.end - dev_info.start:
        raise OSError(errno.ERANGE, f"{bdev}: sector {secnum} past the end ({bdev.bd_disk.capacity} sectors)")
    kaddr = Paddr(dev_info.start + pgoff * PAGE_SIZE)
    return kaddr, paddr_to_pfn(kaddr)


def dcssblk_direct_access_run(bdev: BlockDevice, secnum: Sector, npages: int) -> tuple[int, Pfn, int]:
    """The same for up to `npages` pages; the run ends with the segment that the first one lies in.

    Kernel: none before 4.0 (direct_access with a size)
    """
    kaddr, pfn = dcssblk_direct_access(bdev, secnum)
    last = next(entry.end for entry in info_of(bdev.bd_disk).seg_list if entry.start <= kaddr <= entry.end)
    return kaddr, pfn, max(1, min(npages, (last + 1 - kaddr) >> PAGE_SHIFT))


dcssblk_devops = BlockDeviceOperations(
    name="dcssblk_devops", open=dcssblk_open, release=dcssblk_release,
    direct_access=dcssblk_direct_access, direct_access_run=dcssblk_direct_access_run)
