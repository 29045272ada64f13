"""dcssblk as it was in other kernel releases, to be plugged in where the difference is the lesson.

    dev_info = dcssblk_get_device_by_name(kernel, "MYDCSS")
    kernel.sysfs["devices/dcssblk/MYDCSS/shared"].store = partial(dcssblk_shared_store_3_15, dev_info)

    the other user of a segment (EAGAIN)    until 2.6.27: nothing changes    from 2.6.28: the disk says
                                            so, but nothing was reloaded
    a reload that fails                     2.6.24 to 3.14: write returns 0  from 3.15: the errno
    the last page of the device             until 3.19: 4096 bytes           4.0: 4095 bytes

Kernel: drivers/s390/block/dcssblk.c at the releases that the names tell
"""

from __future__ import annotations

from xiplab.linux.drivers.dcssblk import modify_all, requested_access, set_access
from xiplab.linux.drivers.dcssblk_io import DcssblkDevInfo, dcssblk_direct_access, info_of
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.units import Pfn, Sector, sector_to_bytes


def dcssblk_shared_store_2_6_27(dev_info: DcssblkDevInfo, inbuf: bytes) -> int:
    """Change the access mode; if the segment has another user, change nothing and say nothing.

    Raises:
        OSError: EINVAL, EBUSY; see requested_access.
    """
    mode = requested_access(dev_info, inbuf)
    try:
        if modify_all(dev_info, mode):
            set_access(dev_info, mode)
    except OSError:
        return 0
    return len(inbuf)


def dcssblk_shared_store_3_15(dev_info: DcssblkDevInfo, inbuf: bytes) -> int:
    """Change the access mode; a reload that fails still removes the device, but the writer learns why.

    Raises:
        OSError: EINVAL, EBUSY; ENOENT, EIO, EBUSY from the reload.
    """
    mode = requested_access(dev_info, inbuf)
    modify_all(dev_info, mode)
    set_access(dev_info, mode)
    return len(inbuf)


def dcssblk_direct_access_4_0(bdev: BlockDevice, secnum: Sector, size: int) -> tuple[int, Pfn, int]:
    """direct_access with a size; the device is one byte too short, so its last page has 4095 bytes.

    Returns:
        address and page frame number of `secnum`, and how many of the `size` bytes lie there.
    Raises:
        OSError: ENODEV, EINVAL, ERANGE as in dcssblk_direct_access.
    """
    kaddr, pfn = dcssblk_direct_access(bdev, secnum)
    dev_info = info_of(bdev.bd_disk)
    return kaddr, pfn, min(size, dev_info.end - dev_info.start - sector_to_bytes(secnum))
