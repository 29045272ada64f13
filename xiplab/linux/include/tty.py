"""A terminal.

Kernel: v3.6 include/linux/tty.h
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class TtyStruct:
    """What was `typed` and not read yet, and what programs `printed`."""

    typed: bytes = b""
    printed: bytearray = field(default_factory=bytearray)
