"""A loaded module: structs only.

Kernel: v3.6 include/linux/module.h, arch/s390/include/asm/module.h
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

from xiplab.ondisk import Bytes, OnDisk, be32, be64
from xiplab.units import Paddr

u8x16: TypeAlias = Annotated[Bytes, "u1", 16]
u8x56: TypeAlias = Annotated[Bytes, "u1", 56]

MODULE_STATE_LIVE, MODULE_STATE_COMING, MODULE_STATE_GOING = range(3)
STATE_NAMES = ("Live", "Loading", "Unloading")


class ThisModule(OnDisk, size=96):
    """Section .gnu.linkonce.this_module: how a module names itself, its first and its last function.

    Kernel: struct module
    Differs: the fields from `init` on are at places of their own; in Linux these depend on the
        configuration.
    """

    state: be32
    pad: be32
    list: u8x16
    name: u8x56
    init: be64           # address of init_module, filled in by a relocation; 0 if there is none
    exit: be64           # address of cleanup_module, or 0


@dataclass
class ModArchSyminfo:
    """Where a symbol's entries lie in the module's GOT and PLT, in bytes; None without one.

    Attributes:
        got_initialized, plt_initialized: the entry has been filled.
    """

    got_offset: int | None = None
    plt_offset: int | None = None
    got_initialized: bool = False
    plt_initialized: bool = False


@dataclass
class ModArchSpecific:
    """The module's tables of addresses (GOT) and of jumps (PLT); offsets are bytes in module_core."""

    got_offset: int = 0
    got_size: int = 0
    plt_offset: int = 0
    plt_size: int = 0
    syminfo: dict[int, ModArchSyminfo] = field(default_factory=dict)


@dataclass(eq=False)
class Module:
    """A module in the kernel. Addresses are the kernel's own.

    Attributes:
        module_core: what stays: code and data, core_size bytes. module_init: what is only needed until
            init has run; 0 afterwards.
        init, exit: its first and its last function; 0 where there is none.
        sections: address of each section that was loaded, by name.
    """

    name: str
    state: int = MODULE_STATE_COMING
    module_core: Paddr = Paddr(0)
    core_size: int = 0
    module_init: Paddr = Paddr(0)
    init_size: int = 0
    init: int = 0
    exit: int = 0
    sections: dict[str, int] = field(default_factory=dict)
    arch: ModArchSpecific = field(default_factory=ModArchSpecific)

    def __str__(self) -> str:
        return self.name
