"""Bringing a mapped file's changes to its device.

Kernel: v3.6 mm/msync.c
"""

from __future__ import annotations

import errno

from xiplab.linux.include.mm import MS_ASYNC, MS_INVALIDATE, MS_SYNC, VM_SHARED, MmStruct
from xiplab.units import PAGE_SIZE, page_align


def do_msync(mm: MmStruct, start: int, length: int, flags: int) -> None:
    """msync(2): with MS_SYNC the file's fsync. For a file that is mapped in place only metadata is left.

    Raises:
        OSError: EINVAL an odd start, unknown flags, or MS_ASYNC with MS_SYNC; ENOMEM nothing mapped in
            part of the range (the rest was synced); what fsync answers.
    """
    unknown = flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)
    if start % PAGE_SIZE or unknown or flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC:
        raise OSError(errno.EINVAL, f"msync: {start:#x}, flags {flags:#x}")
    end = start + page_align(length)
    covered = 0
    for vma in mm.mmap:
        if vma.vm_start >= end or vma.vm_end <= start:
            continue
        covered += min(vma.vm_end, end) - max(vma.vm_start, start)
        filp = vma.vm_file
        if flags & MS_SYNC and filp is not None and vma.vm_flags & VM_SHARED and filp.f_op.fsync is not None:
            filp.f_op.fsync(filp, False)
    if covered != end - start:
        raise OSError(errno.ENOMEM, f"msync: {start:#x}-{end:#x} is not mapped as a whole")
