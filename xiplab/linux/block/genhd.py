"""Disks that the kernel knows.

Kernel: v3.6 block/genhd.c
"""

from __future__ import annotations

import errno

from xiplab.linux.include.blkdev import BlockDevice, GenDisk
from xiplab.linux.include.fs import AddressSpace, AddressSpaceOperations
from xiplab.linux.include.kernel import Kernel

def_blk_aops = AddressSpaceOperations(name="def_blk_aops")


def add_disk(disk: GenDisk) -> None:
    """Make the disk known: from now on it can be opened as /dev/<disk_name>."""
    kernel = disk.kernel
    kernel.disks[disk.disk_name] = disk
    mapping = AddressSpace(None, def_blk_aops, kernel)
    kernel.block_devices[disk.disk_name] = BlockDevice(disk, mapping)


def del_gendisk(disk: GenDisk) -> None:
    """The disk is gone: nobody can open it any more."""
    del disk.kernel.disks[disk.disk_name]
    del disk.kernel.block_devices[disk.disk_name]


def bdget(kernel: Kernel, name: str) -> BlockDevice:
    """The block device called `name` ("dcssblk0").

    Raises:
        OSError: ENXIO if no driver has it.
    """
    try:
        return kernel.block_devices[name]
    except KeyError:
        raise OSError(errno.ENXIO, f"/dev/{name}: no such device") from None


def register_blkdev(kernel: Kernel, major: int, name: str) -> int:
    """Reserve a major number; 0 means the highest free one below 255, which is returned.

    Raises:
        OSError: EBUSY if it is taken, or none is free.
    """
    majors: dict[int, str] = kernel.statics.setdefault("genhd", {})
    chosen = major or next((free for free in range(254, 0, -1) if free not in majors), 0)
    if not chosen or chosen in majors:
        raise OSError(errno.EBUSY, f"{name}: major number {chosen} is taken by {majors.get(chosen, 'all')}")
    majors[chosen] = name
    return chosen


def set_disk_ro(disk: GenDisk, read_only: bool) -> None:
    """Set the read-only flag. It stops opens for writing, not bios or stores on their way."""
    disk.policy = read_only


def bdev_read_only(bdev: BlockDevice) -> bool:
    return bdev.bd_disk.policy
