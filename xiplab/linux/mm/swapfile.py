"""Swapping onto a file: only the test that a XIP file fails.

Kernel: v3.6 mm/swapfile.c
"""

from __future__ import annotations

import errno

from xiplab.linux.include.fs import File


def sys_swapon(filp: File) -> None:
    """swapon(2) as far as files in place are concerned.

    Raises:
        OSError: EINVAL the file has no readpage; ENOSYS else: the model has no swap.
    """
    if filp.f_mapping.a_ops.readpage is None:
        raise OSError(errno.EINVAL, f"{filp}: has no readpage, so nothing could be read back from it")
    raise OSError(errno.ENOSYS, f"{filp}: the model has no swap")
