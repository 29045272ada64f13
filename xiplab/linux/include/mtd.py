"""Memory technology devices (flash): structs and the operation table, no behaviour.

    mtd_info    a flash device or a part of one: size, erase block, the driver's operations
    erase_info  one erase on its way; it ends later, with a callback
    map_info    where chips lie in the machine's storage
    flchip      what the chip driver knows of one chip

point is to MTD what direct_access is to block devices, with an end: unpoint.

Kernel: v3.6 include/linux/mtd/{mtd,map,flashchip,cfi,partitions}.h, include/mtd/mtd-abi.h
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from xiplab.hw.nor import CfiIdent, CfiPriIntelext, NorChip
from xiplab.trace import OperationsTable
from xiplab.units import Paddr

if TYPE_CHECKING:
    from xiplab.linux.include.kernel import Kernel

MTD_ABSENT, MTD_RAM, MTD_ROM, MTD_NORFLASH = range(4)

MTD_WRITEABLE = 0x400
MTD_BIT_WRITEABLE = 0x800
MTD_NO_ERASE = 0x1000
MTD_CAP_NORFLASH = MTD_WRITEABLE | MTD_BIT_WRITEABLE

MTD_ERASE_PENDING, MTD_ERASING, MTD_ERASE_SUSPEND, MTD_ERASE_DONE, MTD_ERASE_FAILED = 1, 2, 4, 8, 16
MTD_FAIL_ADDR_UNKNOWN = -1

MTD_CHAR_MAJOR, MTD_BLOCK_MAJOR = 90, 31


@dataclass(eq=False, kw_only=True)
class MtdOps(OperationsTable):
    """What a flash driver offers. Kernel: the _point, _read ... members of struct mtd_info

    point(mtd, start, length) -> (retlen, virt, phys): the bytes stay readable at these addresses until
        unpoint(mtd, start, length). retlen may be less than length.
    read(mtd, start, buf) -> (retlen, bitflips corrected)    write(mtd, start, buf) -> retlen
    erase(mtd, instr): start it; instr.callback is called when it is done, at once or later
    lock, unlock(mtd, start, length)    is_locked(mtd, start, length) -> bool    sync(mtd)
    """

    point: Callable[[MtdInfo, int, int], tuple[int, int, Paddr]] | None = None
    unpoint: Callable[[MtdInfo, int, int], None] | None = None
    read: Callable[[MtdInfo, int, memoryview], tuple[int, int]] | None = None
    write: Callable[[MtdInfo, int, memoryview], int] | None = None
    erase: Callable[[MtdInfo, EraseInfo], None] | None = None
    lock: Callable[[MtdInfo, int, int], None] | None = None
    unlock: Callable[[MtdInfo, int, int], None] | None = None
    is_locked: Callable[[MtdInfo, int, int], bool] | None = None
    sync: Callable[[MtdInfo], None] | None = None


@dataclass(eq=False)
class MtdInfo:
    """A flash device.

    Attributes:
        size: bytes. erasesize: bytes of an erase block. writesize: smallest program, in bytes.
        index: its number in /dev once it is added, else -1.
        ecc_strength, bitflip_threshold: a read that corrected that many bits is worth a warning.
        priv: the driver's own: MapInfo of a chip, MtdPart of a partition.
    """

    kernel: Kernel
    name: str
    size: int
    erasesize: int
    ops: MtdOps
    type: int = MTD_NORFLASH
    flags: int = MTD_CAP_NORFLASH
    writesize: int = 1
    index: int = -1
    usecount: int = 0
    ecc_strength: int = 0
    bitflip_threshold: int = 0
    priv: Any = None

    def __str__(self) -> str:
        return f"mtd{self.index}" if self.index >= 0 else self.name


@dataclass(eq=False)
class EraseInfo:
    """An erase of `len` bytes from `addr` on.

    Attributes:
        state: MTD_ERASE_PENDING, MTD_ERASING, MTD_ERASE_DONE or MTD_ERASE_FAILED.
        fail_addr: where it failed, if known. error: why (the model's own: what the driver returns).
        callback: called once when it is over.
    """

    addr: int
    len: int
    callback: Callable[[EraseInfo], None] | None = None
    state: int = MTD_ERASE_PENDING
    fail_addr: int = MTD_FAIL_ADDR_UNKNOWN
    error: OSError | None = None

    def __str__(self) -> str:
        return f"erase of {self.addr:#x}-{self.addr + self.len:#x}"


MTDPART_OFS_APPEND = -1
MTDPART_SIZ_FULL = 0


@dataclass
class MtdPartition:
    """A wish for a partition: offset MTDPART_OFS_APPEND is the end of the one before,
    size MTDPART_SIZ_FULL all that is left. mask_flags: flags to take away."""

    name: str
    size: int = MTDPART_SIZ_FULL
    offset: int = MTDPART_OFS_APPEND
    mask_flags: int = 0


class FlState(Enum):
    """What the driver has a chip do. Kernel: flstate_t"""

    FL_READY = 0
    FL_STATUS = 1
    FL_CFI_QUERY = 2
    FL_JEDEC_QUERY = 3
    FL_ERASING = 4
    FL_ERASE_SUSPENDING = 5
    FL_WRITING = 7
    FL_WRITING_TO_BUFFER = 8
    FL_LOCKING = 14
    FL_POINT = 15
    FL_SYNCING = 16
    FL_SHUTDOWN = 18
    FL_UNLOCKING = 21


@dataclass(eq=False)
class FlChip:
    """What the driver knows of one chip. Kernel: struct flchip

    Attributes:
        start: its offset in the map. ref_point_counter: how often it is pointed.
        oldstate: what goes on again after the present state; FL_READY for nothing.
        erase_suspended: the erase was suspended since its thread looked last.
        word_write_time, buffer_write_time, erase_time: typical, in microseconds.
    """

    start: int
    word_write_time: int
    buffer_write_time: int
    erase_time: int
    state: FlState = FlState.FL_READY
    oldstate: FlState = FlState.FL_READY
    ref_point_counter: int = 0
    erase_suspended: bool = False


@dataclass(eq=False)
class CfiPrivate:
    """What the probe found. chipshift: log2 of a chip's size. Kernel: struct cfi_private"""

    cfiq: CfiIdent
    cmdset_priv: CfiPriIntelext
    chipshift: int
    chips: list[FlChip] = field(default_factory=list)


@dataclass(eq=False)
class MapInfo:
    """Chips of equal size in a row, as the machine's storage has them.

    Attributes:
        phys: absolute address of the first. virt: the kernel's address of it, 0 if it has none.
        bankwidth: bytes of a bus cycle.
        devices: the chips themselves; bus cycles go to them.
    """

    kernel: Kernel
    name: str
    phys: Paddr
    virt: int
    devices: list[NorChip]
    bankwidth: int = 2
    fldrv_priv: CfiPrivate | None = None

    @property
    def size(self) -> int:
        return sum(device.size for device in self.devices)

    def __str__(self) -> str:
        return self.name
