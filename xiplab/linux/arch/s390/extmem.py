"""Loading z/VM saved segments (DCSS) into the kernel's address space.

    segment_type           which type a segment has
    segment_load           load it, or count one more user
    segment_unload         one user less; the last one purges it
    segment_modify_shared  reload it shared or exclusive
    segment_save           DEFSEG and SAVESEG of what is loaded now
    segment_warning        the log line for an errno of the above

Called by drivers/dcssblk.py; calls CP through DIAGNOSE X'64' and X'08'. Lock: dcss_lock, a mutex.
Kernel: v3.6 arch/s390/mm/extmem.c
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from xiplab.linux.arch.s390.cpcmd import DIAG_PAGE, cpcmd
from xiplab.linux.arch.s390.vmem import (
    IORESOURCE_BUSY,
    IORESOURCE_MEM,
    IORESOURCE_READONLY,
    Resource,
    release_resource,
    request_resource,
    vmem,
    vmem_add_mapping,
    vmem_remove_mapping,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.units import Paddr, paddr_to_pfn
from xiplab.zvm.diag64 import (
    FINDSEG,
    FINDSEGA,
    FINDSEGX,
    LOADNOLY,
    LOADNSR,
    LOADNSRX,
    LOADSHRX,
    MAX_RANGES,
    PURGESEG,
    RC_NOT_FOUND,
    SEGEXT,
    SEGEXTX,
    Qin64,
    Qout64,
    Qout64Old,
    encode_name,
)

SEG_TYPE_SW, SEG_TYPE_EW, SEG_TYPE_SR, SEG_TYPE_ER, SEG_TYPE_SN, SEG_TYPE_EN, SEG_TYPE_SC, SEG_TYPE_EWEN = (
    range(8))
SEGMENT_SHARED = 0
SEGMENT_EXCLUSIVE = 1

segtype_string = ("SW", "EW", "SR", "ER", "SN", "EN", "SC", "EW/EN-MIXED")

QOUT_OFFSET = 64
"""Where the answer of an extended query goes, behind the question in the page for DIAGNOSE."""


@dataclass(eq=False)
class DcssSegment:
    """A loaded segment.

    Attributes:
        dcss_name: 8 EBCDIC bytes. end: the last byte.
        range: (first address with the type in its last byte, last page's address) per range.
    """

    dcss_name: bytes
    start_addr: Paddr = Paddr(0)
    end: Paddr = Paddr(0)
    ref_count: int = 0
    do_nonshared: int = SEGMENT_SHARED
    vm_segtype: int = 0
    range: list[tuple[int, int]] = field(default_factory=list)
    segcnt: int = 0
    res: Resource = field(init=False, repr=False)


@dataclass(frozen=True)
class Subcodes:
    """The DIAGNOSE X'64' subcodes that this z/VM has."""

    loadshr: int
    loadnsr: int
    purgeseg: int
    findseg: int
    segext: int


new_subcodes = Subcodes(LOADSHRX, LOADNSRX, PURGESEG, FINDSEGX, SEGEXTX)
old_subcodes = Subcodes(LOADNOLY, LOADNSR, PURGESEG, FINDSEG, SEGEXT)


@dataclass
class Extmem:
    """What this file keeps per kernel.

    Attributes:
        dcss_list: the loaded segments. subcodes: None until the first use has found out.
    """

    dcss_list: list[DcssSegment] = field(default_factory=list)
    subcodes: Subcodes | None = None


def extmem(kernel: Kernel) -> Extmem:
    """The statics of this file in `kernel`."""
    state: Extmem = kernel.statics.setdefault("extmem", Extmem())
    return state


def diag(kernel: Kernel, rx: int, ry: int) -> tuple[int, int, int]:
    """DIAGNOSE X'64'; raises ENOSYS outside z/VM."""
    if kernel.diagnose is None:
        raise OSError(errno.ENOSYS, f"{kernel} is no z/VM guest")
    return kernel.diagnose(0x64, rx, ry)


def put_name(kernel: Kernel, dcss_name: bytes) -> Paddr:
    """Put a name where DIAGNOSE finds it."""
    kernel.memory.view(DIAG_PAGE, 8)[:] = memoryview(dcss_name)
    return DIAG_PAGE


def dcss_set_subcodes(kernel: Kernel) -> Subcodes:
    """Ask once whether CP knows the new subcodes; condition code 3 says that it does not."""
    state = extmem(kernel)
    if state.subcodes is None:
        cc, _, _ = diag(kernel, put_name(kernel, b"dummy\0\0\0"), FINDSEGX)
        state.subcodes = old_subcodes if cc == 3 else new_subcodes
    return state.subcodes


def segment_by_name(kernel: Kernel, name: str) -> DcssSegment | None:
    dcss_name = encode_name(name)
    return next((seg for seg in extmem(kernel).dcss_list if seg.dcss_name == dcss_name), None)


def dcss_diag_translate_rc(vm_rc: int, what: str) -> OSError:
    """The error for a return code of CP: ENOENT for 44, EIO for every other."""
    code = errno.ENOENT if vm_rc == RC_NOT_FOUND else errno.EIO
    return OSError(code, f"{what}: z/VM answered rc={vm_rc}")


def query_segment_type(kernel: Kernel, seg: DcssSegment, name: str) -> None:
    """Ask CP for type, addresses and ranges, into `seg`.

    Raises:
        OSError: ENOENT, EIO from CP; EOPNOTSUPP for ranges that make no device.
    """
    subcodes = dcss_set_subcodes(kernel)
    form: type[Qout64] | type[Qout64Old] = Qout64 if subcodes.segext == SEGEXTX else Qout64Old
    page = kernel.memory.view(DIAG_PAGE, QOUT_OFFSET + form.dtype.itemsize)
    page[:] = 0
    qin, qout = Qin64(page), form(page, QOUT_OFFSET)
    qin.qopcode = FINDSEGA
    qin.qoutptr = DIAG_PAGE + QOUT_OFFSET
    qin.qoutlen = form.dtype.itemsize
    qin.qname[:] = memoryview(seg.dcss_name)
    cc, _, vmrc = diag(kernel, DIAG_PAGE, subcodes.segext)
    if cc > 1:
        kernel.printk(f"extmem: Querying a DCSS type failed with rc={vmrc}")
        raise dcss_diag_translate_rc(vmrc, f"DCSS {name}")
    seg.segcnt = qout.segcnt
    seg.range = [(int(start), int(end)) for start, end in qout.range[:min(qout.segcnt, MAX_RANGES)]]
    seg.vm_segtype = type_of_ranges(name, qout.segstart, qout.segcnt, seg.range)
    seg.start_addr, seg.end = Paddr(qout.segstart), Paddr(qout.segend)


def type_of_ranges(name: str, segstart: int, segcnt: int, ranges: list[tuple[int, int]]) -> int:
    """The type of one range; for several, EWEN, if each is EW or EN and they leave no gap.

    Raises:
        OSError: EOPNOTSUPP for more than 6 ranges, other types or a gap.
    Kernel: the second half of query_segment_type()
    """
    if segcnt == 1:
        return ranges[0][0] & 0xFF
    followers = [paddr_to_pfn(start) for start, _ in ranges]
    page_after = [paddr_to_pfn(segstart), *(paddr_to_pfn(end) + 1 for _, end in ranges)]
    types = {start & 0xFF for start, _ in ranges}
    if segcnt > MAX_RANGES or followers != page_after[:-1] or not types <= {SEG_TYPE_EW, SEG_TYPE_EN}:
        raise OSError(errno.EOPNOTSUPP, f"DCSS {name}: {segcnt} page ranges make no block device")
    return SEG_TYPE_EWEN


def segment_type(kernel: Kernel, name: str) -> int:
    """The type of a segment, SEG_TYPE_SW to SEG_TYPE_EWEN, without loading it.

    Kernel: v3.6 arch/s390/mm/extmem.c segment_type()
    Raises:
        OSError: ENOSYS, ENOENT, EIO, EOPNOTSUPP.
    """
    seg = DcssSegment(encode_name(name))
    query_segment_type(kernel, seg, name)
    return seg.vm_segtype


def segment_overlaps_others(kernel: Kernel, seg: DcssSegment) -> bool:
    """Whether a loaded segment has bytes in one of `seg`'s megabytes."""
    return any(other.start_addr >> 20 <= seg.end >> 20 and seg.start_addr >> 20 <= other.end >> 20
               for other in extmem(kernel).dcss_list if other is not seg)


def resource_of(seg: DcssSegment, do_nonshared: int) -> Resource:
    """The entry of /proc/iomem: read-only for SC, and for SR and ER that are loaded shared."""
    flags = IORESOURCE_BUSY | IORESOURCE_MEM
    if seg.vm_segtype == SEG_TYPE_SC or (seg.vm_segtype in (SEG_TYPE_SR, SEG_TYPE_ER) and not do_nonshared):
        flags |= IORESOURCE_READONLY
    return Resource(seg.dcss_name.decode("cp037") + " (DCSS)", seg.start_addr, seg.end, flags)


def dcss_load(kernel: Kernel, seg: DcssSegment, do_nonshared: int) -> tuple[int, int, int]:
    """DIAGNOSE load in the mode asked for; returns condition code and two registers."""
    subcodes = dcss_set_subcodes(kernel)
    subcode = subcodes.loadnsr if do_nonshared else subcodes.loadshr
    return diag(kernel, put_name(kernel, seg.dcss_name), subcode)


def dcss_purge(kernel: Kernel, seg: DcssSegment) -> None:
    diag(kernel, put_name(kernel, seg.dcss_name), PURGESEG)


def _segment_load(kernel: Kernel, name: str, do_nonshared: int) -> DcssSegment:
    """Load a segment that is not loaded yet. Kernel: __segment_load()"""
    seg = DcssSegment(encode_name(name))
    query_segment_type(kernel, seg, name)
    if dcss_set_subcodes(kernel) is new_subcodes and segment_overlaps_others(kernel, seg):
        raise OSError(errno.EBUSY, f"DCSS {name}: {seg.start_addr:#x}-{seg.end:#x} shares a megabyte with "
                                   "a loaded DCSS")
    vmem_add_mapping(kernel, seg.start_addr, seg.end, f"DCSS {name}")
    seg.res = resource_of(seg, do_nonshared)
    try:
        request_resource(kernel, seg.res)
        cc, start_addr, end = dcss_load(kernel, seg, do_nonshared)
        if cc > 1:
            kernel.printk(f"extmem: Loading DCSS {name} failed with rc={end}")
            dcss_purge(kernel, seg)
            raise dcss_diag_translate_rc(end, f"DCSS {name}")
    except OSError:
        release_resource(kernel, seg.res)
        vmem_remove_mapping(kernel, seg.start_addr, seg.end)
        raise
    seg.start_addr, seg.end = Paddr(start_addr), Paddr(end)
    seg.do_nonshared, seg.ref_count = do_nonshared, 1
    extmem(kernel).dcss_list.append(seg)
    mode = "as exclusive-writable" if do_nonshared else "in shared access mode"
    kernel.printk(f"extmem: DCSS {name} of range {start_addr:016x} to {end:016x} and type "
                  f"{segtype_string[seg.vm_segtype]} loaded {mode}")
    return seg


def segment_load(kernel: Kernel, name: str, do_nonshared: int) -> tuple[int, Paddr, Paddr]:
    """Load a segment, or count one more user of one that is loaded in the same mode.

    Kernel: v3.6 arch/s390/mm/extmem.c segment_load()
    Args:
        do_nonshared: SEGMENT_SHARED or SEGMENT_EXCLUSIVE.
    Returns:
        its type, the addresses of its first and of its last byte.
    Raises:
        OSError: in this order: ENOSYS not on z/VM; EPERM loaded in the other mode; ENOENT, EIO,
            EOPNOTSUPP from the query; EBUSY a loaded segment has bytes in the same megabyte (new
            subcodes only); ERANGE beyond the mapping; ENOSPC over storage; EBUSY the resource is
            taken; ENOENT, EIO from the load.
    """
    if kernel.diagnose is None:
        raise OSError(errno.ENOSYS, f"DCSS {name}: {kernel} is no z/VM guest")
    seg = segment_by_name(kernel, name)
    if seg is None:
        seg = _segment_load(kernel, name, do_nonshared)
    elif seg.do_nonshared == do_nonshared:
        seg.ref_count += 1
    else:
        raise OSError(errno.EPERM, f"DCSS {name} is loaded in the other access mode")
    return seg.vm_segtype, seg.start_addr, seg.end


def segment_modify_shared(kernel: Kernel, name: str, do_nonshared: int) -> None:
    """Reload a segment in the other mode. What was changed and not saved is lost.

    Kernel: v3.6 arch/s390/mm/extmem.c segment_modify_shared()
    Raises:
        OSError: EINVAL not loaded; EAGAIN it has other users; and, with the segment unloaded: EBUSY
            the resource is taken, ENOENT or EIO from the load.
    """
    seg = segment_by_name(kernel, name)
    if seg is None:
        raise OSError(errno.EINVAL, f"DCSS {name} is not loaded")
    if seg.do_nonshared == do_nonshared:
        kernel.printk(f"extmem: DCSS {name} is already in the requested access mode")
        return
    if seg.ref_count != 1:
        kernel.printk(f"extmem: DCSS {name} is in use and cannot be reloaded")
        raise OSError(errno.EAGAIN, f"DCSS {name} has {seg.ref_count} users")
    try:
        rerequest_resource(kernel, seg, name, do_nonshared)
        reload_segment(kernel, seg, name, do_nonshared)
    except OSError:
        destroy_segment(kernel, seg)
        raise


def rerequest_resource(kernel: Kernel, seg: DcssSegment, name: str, do_nonshared: int) -> None:
    """Change the read-only flag of the segment's resource: off for exclusive, on for SR and ER."""
    release_resource(kernel, seg.res)
    if do_nonshared:
        seg.res.flags &= ~IORESOURCE_READONLY
    elif seg.vm_segtype in (SEG_TYPE_SR, SEG_TYPE_ER):
        seg.res.flags |= IORESOURCE_READONLY
    try:
        request_resource(kernel, seg.res)
    except OSError:
        kernel.printk(f"extmem: DCSS {name} overlaps with used memory resources and cannot be reloaded")
        raise


def reload_segment(kernel: Kernel, seg: DcssSegment, name: str, do_nonshared: int) -> None:
    """Purge the segment, then load it again."""
    dcss_purge(kernel, seg)
    cc, start_addr, end = dcss_load(kernel, seg, do_nonshared)
    if cc > 1:
        kernel.printk(f"extmem: Reloading DCSS {name} failed with rc={end}")
        raise dcss_diag_translate_rc(end, f"DCSS {name}")
    seg.start_addr, seg.end = Paddr(start_addr), Paddr(end)
    seg.do_nonshared = do_nonshared


def destroy_segment(kernel: Kernel, seg: DcssSegment) -> None:
    """Unmap, unlist and purge. Kernel: the end of segment_unload() and of segment_modify_shared()"""
    release_resource(kernel, seg.res)
    vmem_remove_mapping(kernel, seg.start_addr, seg.end)
    extmem(kernel).dcss_list.remove(seg)
    dcss_purge(kernel, seg)


def segment_unload(kernel: Kernel, name: str) -> None:
    """One user less; with the last one the segment is purged. Never fails.

    Kernel: v3.6 arch/s390/mm/extmem.c segment_unload()
    """
    if kernel.diagnose is None:
        return
    seg = segment_by_name(kernel, name)
    if seg is None:
        kernel.printk(f"extmem: Unloading unknown DCSS {name} failed")
        return
    seg.ref_count -= 1
    if not seg.ref_count:
        destroy_segment(kernel, seg)


def segment_save(kernel: Kernel, name: str) -> None:
    """Save a loaded segment with its present contents. Failure is only logged.

    Kernel: v3.6 arch/s390/mm/extmem.c segment_save()
    """
    if kernel.diagnose is None:
        return
    seg = segment_by_name(kernel, name)
    if seg is None:
        kernel.printk(f"extmem: Saving unknown DCSS {name} failed")
        return
    ranges = "".join(f" {paddr_to_pfn(start):X}-{paddr_to_pfn(end):X} {segtype_string[start & 0xFF]}"
                     for start, end in seg.range)
    for command in (f"DEFSEG {name}{ranges}", f"SAVESEG {name}"):
        response, _ = cpcmd(kernel, command)
        if response:
            verb = command.split()[0]
            kernel.printk(f"extmem: Saving a DCSS failed with {verb} response code {response}")
            return


def segment_warning(kernel: Kernel, code: int, seg_name: str) -> None:
    """Log why a segment could not be loaded or queried; `code` is the errno."""
    text = {
        errno.ENOENT: f"DCSS {seg_name} cannot be loaded or queried",
        errno.ENOSYS: f"DCSS {seg_name} cannot be loaded or queried without z/VM",
        errno.EIO: f"Loading or querying DCSS {seg_name} resulted in a hardware error",
        errno.EOPNOTSUPP: f"DCSS {seg_name} has multiple page ranges and cannot be loaded or queried",
        errno.ENOSPC: f"DCSS {seg_name} overlaps with used storage and cannot be loaded",
        errno.EBUSY: f"{seg_name} needs used memory resources and cannot be loaded or queried",
        errno.EPERM: f"DCSS {seg_name} is already loaded in a different access mode",
        errno.ENOMEM: f"There is not enough memory to load or query DCSS {seg_name}",
        errno.ERANGE: f"DCSS {seg_name} exceeds the kernel mapping range ({vmem(kernel).max_phys}) "
                      "and cannot be loaded",
    }.get(code)
    if text is not None:
        kernel.printk(f"extmem: {text}")
