"""A driver's attribute: a small file in sysfs, made of two functions.

Kernel: v3.6 include/linux/device.h
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(eq=False)
class DeviceAttribute:
    """One file below /sys.

    Attributes:
        mode: permission bits. target: set for a symbolic link, which has neither function.
        show: gives the file's contents. store: takes what one write(2) wrote; returns how many
            bytes it used, usually all.
    """

    mode: int
    show: Callable[[], bytes] | None = None
    store: Callable[[bytes], int] | None = None
    target: str | None = None
