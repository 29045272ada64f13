"""The block driver for z/VM saved segments: one disk over one segment or several contiguous ones.

    /sys/devices/dcssblk/add             "NAME" or "NAME:NAME2:..." makes dcssblk<n>
    /sys/devices/dcssblk/remove          "NAME", the first one that was given to add
    /sys/devices/dcssblk/<NAME>/shared   1 loaded shared; 0 reload as a writable private copy
    /sys/devices/dcssblk/<NAME>/save     1 save now, or when the last opener has gone; 0 not any more
    /sys/devices/dcssblk/<NAME>/seglist  the segments, as given to add
    /sys/devices/dcssblk/<NAME>/block    link to the disk

How the devices come and go; what happens inside one is in dcssblk_io.py. Calls arch/s390/extmem.py.
Lock: dcssblk_devices_sem.
Kernel: v3.6 drivers/s390/block/dcssblk.c; other releases: dcssblk_eras.py
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from xiplab.errors import Panic, bug_on
from xiplab.linux.arch.s390.extmem import (
    SEG_TYPE_ER,
    SEG_TYPE_SC,
    SEGMENT_EXCLUSIVE,
    SEGMENT_SHARED,
    segment_load,
    segment_modify_shared,
    segment_unload,
    segment_warning,
)
from xiplab.linux.block.genhd import add_disk, del_gendisk, register_blkdev, set_disk_ro
from xiplab.linux.drivers.dcssblk_io import (
    READ_ONLY_TYPES,
    DcssblkDevInfo,
    SegmentInfo,
    dcssblk_devops,
    dcssblk_direct_access,
    dcssblk_direct_access_run,
    dcssblk_make_request,
    dcssblk_open,
    dcssblk_release,
    pr,
    save_all,
)
from xiplab.linux.include.blkdev import GenDisk, RequestQueue
from xiplab.linux.include.device import DeviceAttribute
from xiplab.linux.include.kernel import Kernel
from xiplab.units import PAGE_SIZE, Paddr, bytes_to_sectors

__all__ = [
    "DcssblkDevInfo", "SegmentInfo", "dcssblk_add_store", "dcssblk_devops", "dcssblk_direct_access",
    "dcssblk_direct_access_run", "dcssblk_freeze", "dcssblk_get_device_by_name", "dcssblk_init",
    "dcssblk_make_request", "dcssblk_open", "dcssblk_release", "dcssblk_remove_store", "dcssblk_restore",
    "dcssblk_save_store", "dcssblk_shared_store", "dcssblk_thaw",
]

DCSSBLK_NAME = "dcssblk"
DCSSBLK_PARM_LEN = 400
MINORS = 1 << 20
ROOT = "devices/dcssblk"


@dataclass
class Dcssblk:
    """What the driver keeps per kernel."""

    dcssblk_major: int
    dcssblk_devices: list[DcssblkDevInfo] = field(default_factory=list)


def devices_of(kernel: Kernel) -> list[DcssblkDevInfo]:
    state: Dcssblk = kernel.statics[DCSSBLK_NAME]
    return state.dcssblk_devices


def dcssblk_assign_free_minor(dev_info: DcssblkDevInfo) -> None:
    """Give the disk the lowest minor number that no device has; EBUSY if all are taken."""
    taken = {device.gd.first_minor for device in devices_of(dev_info.kernel)}
    free = next((minor for minor in range(MINORS) if minor not in taken), None)
    if free is None:
        raise OSError(errno.EBUSY, f"{dev_info}: all {MINORS} minor numbers are taken")
    dev_info.gd.first_minor = free


def dcssblk_get_device_by_name(kernel: Kernel, name: str) -> DcssblkDevInfo | None:
    return next((device for device in devices_of(kernel) if device.segment_name == name), None)


def dcssblk_get_segment_by_name(kernel: Kernel, name: str) -> SegmentInfo | None:
    return next((entry for device in devices_of(kernel) for entry in device.seg_list
                 if entry.segment_name == name), None)


def may_be_mixed(segment_type: int) -> bool:
    """EW, EN and EW/EN: the types that one device may combine."""
    return bool(segment_type & SEGMENT_EXCLUSIVE) and segment_type != SEG_TYPE_ER


def dcssblk_is_continuous(dev_info: DcssblkDevInfo) -> None:
    """Raises OSError EINVAL unless the segments leave no gap and their types go together."""
    ordered = sorted(dev_info.seg_list, key=lambda entry: entry.start)
    for a, b in pairwise(ordered):
        if a.end + 1 != b.start:
            why = f"Adjacent DCSSs {a.segment_name} and {b.segment_name} are not contiguous"
        elif a.segment_type != b.segment_type and not (
                may_be_mixed(a.segment_type) and may_be_mixed(b.segment_type)):
            why = f"DCSS {a.segment_name} and DCSS {b.segment_name} have incompatible types"
        else:
            continue
        pr(dev_info.kernel, why)
        raise OSError(errno.EINVAL, why)


def dcssblk_load_segment(kernel: Kernel, name: str) -> SegmentInfo:
    """Load one segment shared.

    Raises:
        OSError: EEXIST it belongs to a device; else what segment_load answers, also in the log.
    """
    if dcssblk_get_segment_by_name(kernel, name) is not None:
        raise OSError(errno.EEXIST, f"DCSS {name} belongs to a device already")
    try:
        segment_type, start, end = segment_load(kernel, name, SEGMENT_SHARED)
    except OSError as failure:
        segment_warning(kernel, failure.errno or 0, name)
        raise
    return SegmentInfo(name, start, end, segment_type)


def check_format(inbuf: bytes) -> None:
    """`shared` and `save` take one character and perhaps a newline; else OSError EINVAL."""
    if len(inbuf) > 1 and inbuf[1:2] not in (b"\n", b"\0"):
        raise OSError(errno.EINVAL, f"{inbuf!r}: one character is expected, 0 or 1")


def dcssblk_shared_show(dev_info: DcssblkDevInfo) -> bytes:
    return b"1\n" if dev_info.is_shared else b"0\n"


def requested_access(dev_info: DcssblkDevInfo, inbuf: bytes) -> int:
    """The access mode that was written to `shared`, if it may be changed to.

    Raises:
        OSError: EINVAL bad format; EBUSY the device is open; EINVAL neither 0 nor 1, or 0 for SC.
    """
    check_format(inbuf)
    if dev_info.use_count:
        raise OSError(errno.EBUSY, f"{dev_info}: the access mode cannot change while it is open")
    if inbuf[:1] == b"1":
        return SEGMENT_SHARED
    if inbuf[:1] != b"0":
        raise OSError(errno.EINVAL, f"{dev_info}: access mode {inbuf!r}, neither 0 nor 1")
    if dev_info.segment_type == SEG_TYPE_SC:
        why = f"DCSS {dev_info} is of type SC and cannot be loaded as exclusive-writable"
        pr(dev_info.kernel, why)
        raise OSError(errno.EINVAL, why)
    return SEGMENT_EXCLUSIVE


def modify_all(dev_info: DcssblkDevInfo, mode: int) -> bool:
    """Reload all segments; says whether each was, False if one was busy (EAGAIN).

    Raises:
        OSError: what made a reload fail; the device has been removed.
    """
    complete = True
    for entry in dev_info.seg_list:
        try:
            segment_modify_shared(dev_info.kernel, entry.segment_name, mode)
        except OSError as failure:
            bug_on(failure.errno == errno.EINVAL, f"{dev_info}: extmem does not know {entry.segment_name}")
            if failure.errno != errno.EAGAIN:
                remove_failed(dev_info, entry)
                raise
            complete = False
    return complete


def remove_failed(dev_info: DcssblkDevInfo, failed: SegmentInfo) -> None:
    """Remove a device one of whose segments is lost; extmem has unloaded that one."""
    pr(dev_info.kernel, f"DCSS device {dev_info} is removed after a failed access mode change")
    for entry in dev_info.seg_list:
        if entry is not failed:
            segment_unload(dev_info.kernel, entry.segment_name)
    unregister(dev_info)


def set_access(dev_info: DcssblkDevInfo, mode: int) -> None:
    """Record the mode. Exclusive is writable whatever the type; shared is not for SR, ER, SC."""
    dev_info.is_shared = mode == SEGMENT_SHARED
    if mode == SEGMENT_EXCLUSIVE:
        set_disk_ro(dev_info.gd, False)
    elif dev_info.segment_type in READ_ONLY_TYPES:
        set_disk_ro(dev_info.gd, True)


def dcssblk_shared_store(dev_info: DcssblkDevInfo, inbuf: bytes) -> int:
    """Change the access mode: b"1" shared, b"0" exclusive-writable. Unsaved changes are lost.

    Kernel: v3.6 drivers/s390/block/dcssblk.c dcssblk_shared_store()
    Returns:
        how many bytes were used; 0 if the reload failed and the device is gone.
    Raises:
        OSError: EINVAL, EBUSY; see requested_access.
    """
    mode = requested_access(dev_info, inbuf)
    try:
        modify_all(dev_info, mode)
    except OSError:
        return 0
    set_access(dev_info, mode)
    return len(inbuf)


def dcssblk_save_show(dev_info: DcssblkDevInfo) -> bytes:
    return b"1\n" if dev_info.save_pending else b"0\n"


def dcssblk_save_store(dev_info: DcssblkDevInfo, inbuf: bytes) -> int:
    """b"1": save now, or when the device becomes idle; b"0": take a pending save back.

    Kernel: v3.6 drivers/s390/block/dcssblk.c dcssblk_save_store()
    Raises:
        OSError: EINVAL for anything else. A save that fails is only logged.
    """
    check_format(inbuf)
    if inbuf[:1] == b"1" and not dev_info.use_count:
        pr(dev_info.kernel, f"All DCSSs that map to device {dev_info} are saved")
        save_all(dev_info)
    elif inbuf[:1] == b"1":
        pr(dev_info.kernel, f"Device {dev_info} is in use, its DCSSs will be saved when it becomes idle")
        dev_info.save_pending = True
    elif inbuf[:1] != b"0":
        raise OSError(errno.EINVAL, f"{dev_info}: save request {inbuf!r}, neither 0 nor 1")
    elif dev_info.save_pending:
        dev_info.save_pending = False
        pr(dev_info.kernel, f"A pending save request for device {dev_info} has been canceled")
    return len(inbuf)


def dcssblk_seglist_show(dev_info: DcssblkDevInfo) -> bytes:
    return "".join(f"{entry.segment_name}\n" for entry in dev_info.seg_list).encode("latin-1")


def first_line(buf: bytes) -> bytes:
    """What was written up to a newline or NUL."""
    return buf.split(b"\0", 1)[0].split(b"\n", 1)[0]


def load_list(kernel: Kernel, line: bytes, loaded: list[SegmentInfo]) -> None:
    """Load each segment of "A:B:C" and append it to `loaded`.

    Raises:
        OSError: ENAMETOOLONG a name without or with more than 8 characters; see
            dcssblk_load_segment. What was loaded before stays loaded.
    """
    for word in line.split(b":"):
        if not 0 < len(word) <= 8:
            raise OSError(errno.ENAMETOOLONG, f"DCSS {word!r}: a name has 1 to 8 characters")
        loaded.append(dcssblk_load_segment(kernel, word.upper().decode("latin-1")))


def make_device(kernel: Kernel, line: str, loaded: list[SegmentInfo]) -> DcssblkDevInfo:
    """The device and its disk over the loaded segments, not yet known to anybody."""
    dev_info = DcssblkDevInfo(kernel, loaded[0].segment_name, loaded[0].segment_type, loaded)
    dcssblk_is_continuous(dev_info)
    dev_info.start = min(entry.start for entry in loaded)
    dev_info.end = Paddr(max(entry.end for entry in loaded))
    size = dev_info.end - dev_info.start + 1
    queue = RequestQueue(dcssblk_make_request, logical_block_size=PAGE_SIZE)
    dev_info.gd = GenDisk(kernel, "", dcssblk_devops, queue, capacity=bytes_to_sectors(size),
                          private_data=dev_info)
    pr(kernel, f"Loaded {line} with total size {size} bytes and capacity {bytes_to_sectors(size)} sectors")
    return dev_info


def register(dev_info: DcssblkDevInfo) -> None:
    """Give the device a minor number, its place in sysfs and its disk in /dev."""
    kernel, disk = dev_info.kernel, dev_info.gd
    dcssblk_assign_free_minor(dev_info)
    disk.major = kernel.statics[DCSSBLK_NAME].dcssblk_major
    disk.disk_name = f"{DCSSBLK_NAME}{disk.first_minor}"
    devices_of(kernel).append(dev_info)
    folder = f"{ROOT}/{dev_info.segment_name}"
    kernel.sysfs[f"{folder}/shared"] = DeviceAttribute(
        0o600, partial(dcssblk_shared_show, dev_info), partial(dcssblk_shared_store, dev_info))
    kernel.sysfs[f"{folder}/save"] = DeviceAttribute(
        0o600, partial(dcssblk_save_show, dev_info), partial(dcssblk_save_store, dev_info))
    kernel.sysfs[f"{folder}/seglist"] = DeviceAttribute(0o400, partial(dcssblk_seglist_show, dev_info))
    kernel.sysfs[f"{folder}/block"] = DeviceAttribute(0o777, target=f"../../../block/{disk.disk_name}")
    add_disk(disk)
    set_disk_ro(disk, dev_info.segment_type in READ_ONLY_TYPES)


def unregister(dev_info: DcssblkDevInfo) -> None:
    """Take the device out of the list, of /dev and of sysfs."""
    kernel = dev_info.kernel
    devices_of(kernel).remove(dev_info)
    del_gendisk(dev_info.gd)
    for attribute in ("shared", "save", "seglist", "block"):
        del kernel.sysfs[f"{ROOT}/{dev_info.segment_name}/{attribute}"]


def dcssblk_add_store(kernel: Kernel, buf: bytes) -> int:
    """Make a device of b"NAME" or b"NAME:NAME2:...".

    Kernel: v3.6 drivers/s390/block/dcssblk.c dcssblk_add_store()
    Returns:
        how many bytes were used: all.
    Raises:
        OSError: with everything unloaded again: ENAMETOOLONG nothing written, an empty part, more
            than 8 characters in one, or a colon at the end; EEXIST a segment belongs to a device;
            what segment_load answers; EINVAL a gap or types that do not go together; EBUSY no minor.
    """
    line = first_line(buf)
    loaded: list[SegmentInfo] = []
    try:
        load_list(kernel, line, loaded)
        name = line.decode("latin-1")
        dev_info = make_device(kernel, name, loaded)
        if dcssblk_get_segment_by_name(kernel, name) is not None:
            raise OSError(errno.EEXIST, f"DCSS {name} belongs to a device already")
        register(dev_info)
    except OSError:
        for entry in loaded:
            segment_unload(kernel, entry.segment_name)
        raise
    return len(buf)


def dcssblk_remove_store(kernel: Kernel, buf: bytes) -> int:
    """Remove the device that has this name and unload its segments.

    Kernel: v3.6 drivers/s390/block/dcssblk.c dcssblk_remove_store()
    Raises:
        OSError: ENAMETOOLONG no name or more than 8 characters; ENODEV no such device; EBUSY open.
    """
    line = first_line(buf)
    if not 0 < len(line) <= 8:
        raise OSError(errno.ENAMETOOLONG, f"{line!r}: a device name has 1 to 8 characters")
    name = line.upper().decode("latin-1")
    dev_info = dcssblk_get_device_by_name(kernel, name)
    if dev_info is None:
        why = f"Device {name} cannot be removed because it is not a known device"
        pr(kernel, why)
        raise OSError(errno.ENODEV, why)
    if dev_info.use_count:
        why = f"Device {name} cannot be removed while it is in use"
        pr(kernel, why)
        raise OSError(errno.EBUSY, why)
    unregister(dev_info)
    for entry in dev_info.seg_list:
        segment_unload(kernel, entry.segment_name)
    return len(buf)


def dcssblk_check_params(kernel: Kernel, segments: str) -> None:
    """Add the devices of segments="A,B:C,D(local)"; one that fails does not stop the others.

    Kernel: v3.6 drivers/s390/block/dcssblk.c dcssblk_check_params()
    """
    for word in segments.split(","):
        names, _, suffix = word.partition("(")
        try:
            dcssblk_add_store(kernel, names.encode("latin-1", "replace"))
            dev_info = dcssblk_get_device_by_name(kernel, names.split(":")[0].upper())
            if suffix.startswith("local)") and dev_info is not None:
                dcssblk_shared_store(dev_info, b"0\n")
        except OSError:
            continue


def dcssblk_freeze(kernel: Kernel) -> None:
    """May the system be suspended? Only what is shared and read-only can be loaded again unchanged.

    Raises:
        OSError: EINVAL if a device is writable; the first one is named in the log.
    """
    for dev_info in devices_of(kernel):
        if dev_info.segment_type not in READ_ONLY_TYPES or not dev_info.is_shared:
            why = f"Suspending the system failed because DCSS device {dev_info} is writable"
            pr(kernel, why)
            raise OSError(errno.EINVAL, why)


def dcssblk_thaw(kernel: Kernel) -> None:
    """Nothing was changed by freeze."""


def dcssblk_restore(kernel: Kernel) -> None:
    """Load all segments again after resume.

    Raises:
        Panic: a segment cannot be loaded, or lies elsewhere now.
    """
    for entry in [entry for dev_info in devices_of(kernel) for entry in dev_info.seg_list]:
        segment_unload(kernel, entry.segment_name)
        try:
            _, start, end = segment_load(kernel, entry.segment_name, SEGMENT_SHARED)
        except OSError as failure:
            segment_warning(kernel, failure.errno or 0, entry.segment_name)
            raise Panic("fatal dcssblk resume error") from failure
        if (start, end) != (entry.start, entry.end):
            pr(kernel, f"The address range of DCSS {entry.segment_name} changed while the system was "
                       "suspended")
            raise Panic("fatal dcssblk resume error")


def dcssblk_init(kernel: Kernel, segments: str = "") -> None:
    """Load the driver; `segments` is the module parameter.

    Raises:
        OSError: EBUSY it is loaded, or no major number is free; ENOSPC the parameter has more than 399
            characters.
    """
    if len(segments) >= DCSSBLK_PARM_LEN:
        raise OSError(errno.ENOSPC, f"segments: string doesn't fit in {DCSSBLK_PARM_LEN - 1} chars")
    if DCSSBLK_NAME in kernel.statics:
        raise OSError(errno.EBUSY, f"{kernel}: {DCSSBLK_NAME} is loaded")
    kernel.statics[DCSSBLK_NAME] = Dcssblk(register_blkdev(kernel, 0, DCSSBLK_NAME))
    kernel.sysfs[f"{ROOT}/add"] = DeviceAttribute(0o200, store=partial(dcssblk_add_store, kernel))
    kernel.sysfs[f"{ROOT}/remove"] = DeviceAttribute(0o200, store=partial(dcssblk_remove_store, kernel))
    dcssblk_check_params(kernel, segments)
