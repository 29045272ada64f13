"""An ordinary disk: the CPU cannot address its platter, so every byte is copied.

The contrast to dcssblk. A disk has no direct_access; a mount with `-o xip` on it falls back to the
page cache. The platter is memory of its own, outside every guest's storage, so an experiment can
change the medium behind the kernel's back:

    disk = disk_add(kernel, "sda", 64 * MiB)
    disk.private_data.platter[0] = 7         # a cached copy does not notice
    disk.private_data.busy_us                # what the transfers have cost so far

Kernel: none (any disk that copies at once; block/blk-core.c hands it one bio after the other)
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xiplab.linux.block.blk_core import bio_endio
from xiplab.linux.block.genhd import add_disk
from xiplab.linux.include.blkdev import WRITE, Bio, BlockDeviceOperations, GenDisk, RequestQueue
from xiplab.linux.include.kernel import Kernel
from xiplab.ondisk import Bytes
from xiplab.trace import tp_copy
from xiplab.units import SECTOR_SIZE, bytes_to_sectors, sector_to_bytes

DISK_MAJOR = 8

disk_devops = BlockDeviceOperations(name="disk_devops")


@dataclass
class Drive:
    """The mechanics behind a disk.

    Attributes:
        platter: the medium; what it holds can change without the kernel.
        seek_us: time for moving the head anywhere. bytes_per_us: speed once it is there.
        head: where the last transfer ended, in bytes. busy_us: simulated time of all transfers.
    """

    platter: Bytes
    seek_us: float
    bytes_per_us: float
    write_protected: bool
    head: int = 0
    busy_us: float = 0.0

    def move(self, position: int, nbytes: int) -> None:
        """Account for a transfer at `position`: a seek if the head is elsewhere, then the bytes."""
        if position != self.head:
            self.busy_us += self.seek_us
        self.busy_us += nbytes / self.bytes_per_us
        self.head = position + nbytes


def disk_make_request(queue: RequestQueue, bio: Bio) -> None:
    """Copy each piece of `bio`; a write to a write-protected drive completes with EIO."""
    drive: Drive = queue.queuedata
    writing = bio.bi_rw == WRITE
    if writing and drive.write_protected:
        bio_endio(bio, errno.EIO)
        return
    position = sector_to_bytes(bio.bi_sector)
    drive.move(position, bio.bi_size)
    for vec in bio.bi_io_vec:
        place = drive.platter[position:position + vec.bv_len]
        if writing:
            place.data[:] = vec.memory.data
        else:
            vec.memory.data[:] = place.data
        position += vec.bv_len
        if tp_copy.probes:
            tp_copy(what="memory to disk" if writing else "disk to memory", nbytes=vec.bv_len)
    bio_endio(bio)


def _blank(nbytes: int) -> Bytes:
    try:
        return np.zeros(nbytes, np.uint8)
    except (MemoryError, ValueError) as failure:
        raise OSError(errno.ENOMEM, f"a disk of {nbytes} bytes: {failure}") from failure


def platter_of(image: bytes | Path | int) -> Bytes:
    """A medium of `image` bytes of zeros, or with the contents of `image` (a file is not changed)."""
    if isinstance(image, int):
        return _blank(max(image, 0))
    if isinstance(image, Path):
        return np.fromfile(image, np.uint8)
    return np.frombuffer(bytearray(image), np.uint8)


def disk_add(kernel: Kernel, name: str, image: bytes | Path | int, *, seek_ms: float = 8.0,
             transfer_mb_s: float = 100.0, read_only: bool = False) -> GenDisk:
    """Attach a disk as /dev/<name>. Its private_data is the Drive.

    Args:
        image: what is on it, or its size in bytes (zeros); whole sectors.
        seek_ms: average time of a seek. transfer_mb_s: 1,000,000 bytes per second.
    Raises:
        OSError: EINVAL for a size that is no whole number of sectors, or a name that is none; EEXIST if
            the name is taken; ENOMEM; what opening the image file answers.
    """
    if not name or "/" in name:
        raise OSError(errno.EINVAL, f"{name!r} is no name of a disk")
    if name in kernel.disks:
        raise OSError(errno.EEXIST, f"/dev/{name}: there is such a disk already")
    platter = platter_of(image)
    if not len(platter) or len(platter) % SECTOR_SIZE:
        raise OSError(errno.EINVAL, f"{name}: {len(platter)} bytes are no whole number of sectors")
    drive = Drive(platter, seek_ms * 1000, transfer_mb_s, read_only)
    disk = GenDisk(kernel, name, disk_devops, RequestQueue(disk_make_request, queuedata=drive),
                   major=DISK_MAJOR, first_minor=len(kernel.disks),
                   capacity=bytes_to_sectors(len(platter)), policy=read_only, private_data=drive)
    add_disk(disk)
    return disk
