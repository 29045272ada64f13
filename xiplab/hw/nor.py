"""A NOR flash chip, 16 bits wide: the common flash interface (CFI) and Intel's command set.

A read is a memory read: the chip's range lies on frames of Storage, which machines attach read-only.
A write is a bus cycle that means a command, so it goes through `write` and not through memory.

    mode     what *every* read of the range returns            entered by
    array    the cells                                         FF
    status   the status register, in each word                 70, and any program, erase or lock
    id       manufacturer, device, lock bit of each block      90
    query    the CFI table                                     98

    status   80 ready            40 erase suspended    20 erase error    10 program error
             08 VPP too low      04 program suspended  02 block locked

Programming can only clear bits (new = old AND data); erasing sets a whole block to FF. Both take time:

    chip = NorChip(storage, 4 * MiB)
    chip.write(0x20000, 0x20), chip.write(0x20000, 0xD0)     # erase a block
    chip.window[0]                                           # 0: status, anywhere in the chip
    chip.advance(chip.erase_us)                              # time passes, in microseconds
    chip.write(0, 0xFF)                                      # the cells again

Differs: a chip answers each bus cycle; here its frames are filled again whenever the answer changes, so
that views, page tables, other machines and a processor see it. Words lie in storage big-endian, as the
machine's do. A suspended erase has not changed its block yet; on a real chip it may have.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Annotated, TypeAlias

import numpy as np

from xiplab.hw.memory import Storage
from xiplab.ondisk import Bytes, OnDisk, le16, le32, u8
from xiplab.trace import Tracepoint
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, KiB

READ_ARRAY, READ_STATUS, CLEAR_STATUS, READ_ID, READ_QUERY = 0xFF, 0x70, 0x50, 0x90, 0x98
PROGRAM_WORD, PROGRAM_BUFFER, ERASE_BLOCK, LOCK_SETUP = 0x40, 0xE8, 0x20, 0x60
SUSPEND, CONFIRM, RESUME, LOCK, UNLOCK = 0xB0, 0xD0, 0xD0, 0x01, 0xD0

SR_READY, SR_ERASE_SUSPENDED, SR_ERASE_ERROR, SR_PROGRAM_ERROR = 0x80, 0x40, 0x20, 0x10
SR_VPP_LOW, SR_PROGRAM_SUSPENDED, SR_LOCKED = 0x08, 0x04, 0x02
SR_BAD_SEQUENCE = SR_ERASE_ERROR | SR_PROGRAM_ERROR

MANUFACTURER_INTEL = 0x89
DEVICE_ID = 0x8817
QUERY_START = 0x10
PRI_START = 0x31
FEATURE_SUSPEND_ERASE, FEATURE_SUSPEND_PROGRAM, FEATURE_INSTANT_LOCK = 0x2, 0x4, 0x20

WORD_TIMEOUT_TYP, BUF_TIMEOUT_TYP, ERASE_TIMEOUT_TYP = 6, 9, 9
"""Typical times as the table gives them: 2**6 us a word, 2**9 us a buffer, 2**9 ms an erase."""
SUSPEND_US = 20.0

tp_cycle = Tracepoint("flash cycle")
"""A bus cycle wrote to a chip: address, value, and what reads return before it: mode."""

char3: TypeAlias = Annotated[bytes, "S3"]


class CfiIdent(OnDisk, size=33):
    """The CFI table from word 10 (hex) on. Kernel: v3.6 include/linux/mtd/cfi.h"""

    qry: char3
    P_ID: le16                     # primary command set: 1 is Intel's extended one
    P_ADR: le16                    # word address of its own table
    A_ID: le16
    A_ADR: le16
    VccMin: u8
    VccMax: u8
    VppMin: u8
    VppMax: u8
    WordWriteTimeoutTyp: u8        # 2**n us
    BufWriteTimeoutTyp: u8         # 2**n us
    BlockEraseTimeoutTyp: u8       # 2**n ms
    ChipEraseTimeoutTyp: u8
    WordWriteTimeoutMax: u8        # 2**n times the typical
    BufWriteTimeoutMax: u8
    BlockEraseTimeoutMax: u8
    ChipEraseTimeoutMax: u8
    DevSize: u8                    # 2**n bytes
    InterfaceDesc: le16
    MaxBufWriteSize: le16          # 2**n bytes, 0 for none
    NumEraseRegions: u8
    EraseRegionInfo: le32          # low half: blocks - 1; high half: block size / 256


class CfiPriIntelext(OnDisk, size=15):
    """Intel's own table. Kernel: v3.6 include/linux/mtd/cfi.h"""

    pri: char3
    MajorVersion: u8
    MinorVersion: u8
    FeatureSupport: le32
    SuspendCmdSupport: u8          # bit 0: program while an erase is suspended
    BlkStatusRegMask: le16
    VccOptimal: u8
    VppOptimal: u8
    NumProtectionFields: u8


@dataclass
class Operation:
    """A program or an erase on its way: the error bit it would set, and what it still takes."""

    error: int
    address: int
    data: bytes
    remaining_us: float


class NorChip:
    """One chip. It has one mode: whatever it does, it does to all of its range.

    Attributes:
        first, npages: the host frames that its range lies on. window: the same as one view.
        cells: what the chip stores.
        status: the status register now. mode: "array", "status", "id" or "query".
        locked: blocks that refuse program and erase. worn: blocks whose erase fails.
        vpp: whether the programming voltage is there.
        now_us: simulated time since power-on.
    """

    def __init__(self, storage: Storage, size: int, block_size: int = 64 * KiB, *, suspend: bool = True,
                 program_in_suspend: bool = False, buffer_size: int = 1024) -> None:
        if size & (size - 1) or block_size & (block_size - 1) or not PAGE_SIZE <= block_size <= size:
            raise OSError(errno.EINVAL, f"flash: {size} bytes in blocks of {block_size}: powers of two, "
                                        f"from {PAGE_SIZE} on")
        self.size, self.block_size, self.buffer_size = size, block_size, buffer_size
        self.suspend, self.program_in_suspend = suspend, program_in_suspend
        self.npages = size >> PAGE_SHIFT
        self.first = storage.allocate(self.npages)
        start = self.first << PAGE_SHIFT
        self.window: Bytes = storage.array[start:start + size]
        self.cells: Bytes = np.full(size, 0xFF, np.uint8)
        self.locked: set[int] = set()
        self.worn: set[int] = set()
        self.vpp = True
        self.word_us, self.buffer_us = float(1 << WORD_TIMEOUT_TYP), float(1 << BUF_TIMEOUT_TYP)
        self.erase_us = float(1000 << ERASE_TIMEOUT_TYP)
        self.now_us = 0.0
        self.mode = "array"
        self.running: Operation | None = None
        self.suspended: list[Operation] = []
        self._suspend_in = inf
        self._errors = 0
        self._buffer, self._buffer_at, self._words_left = bytearray(), 0, 0
        self._shown: tuple[str, int] = ("", 0)
        self._cycle: Callable[[int, int], None] = self._command
        self._commands: dict[int, Callable[[int], None]] = {
            READ_ARRAY: partial(self._enter, "array"), READ_STATUS: partial(self._enter, "status"),
            READ_ID: partial(self._enter, "id"), READ_QUERY: partial(self._enter, "query"),
            CLEAR_STATUS: self._clear_status, PROGRAM_WORD: self._program_setup,
            PROGRAM_BUFFER: self._buffer_setup, ERASE_BLOCK: self._erase_setup,
            LOCK_SETUP: self._lock_setup, SUSPEND: self._suspend, RESUME: self._resume}
        self._show()

    def __str__(self) -> str:
        return f"flash chip in {self.mode} mode"

    @property
    def status(self) -> int:
        ready = 0 if self.running else SR_READY
        erase = any(operation.error == SR_ERASE_ERROR for operation in self.suspended)
        program = any(operation.error == SR_PROGRAM_ERROR for operation in self.suspended)
        return (ready | erase * SR_ERASE_SUSPENDED | program * SR_PROGRAM_SUSPENDED
                | (0 if self.running else self._errors))

    def burn(self, address: int, image: bytes) -> None:
        """Put `image` into the cells, as before the chip is soldered in. Raises: OSError ENOSPC."""
        if not 0 <= address <= self.size - len(image):
            raise OSError(errno.ENOSPC, f"flash: {len(image)} bytes at {address:#x} ({self.size} fit)")
        self.cells[address:address + len(image)] = np.frombuffer(image, np.uint8)
        self._shown = ("", 0)
        self._show()

    def read(self, address: int) -> int:
        """One bus cycle that reads the word at byte `address`."""
        return int.from_bytes(self.window.data[address:address + 2], "big")

    def write(self, address: int, value: int) -> None:
        """One bus cycle that writes `value` to the word at byte `address`: a command, or its data.

        Raises:
            OSError: EINVAL for an odd address, or one outside the chip.
        """
        if address % 2 or not 0 <= address < self.size:
            raise OSError(errno.EINVAL, f"flash: bus cycle at {address:#x} (words of {self.size} bytes)")
        if tp_cycle.probes:
            tp_cycle(address=address, value=value, mode=self.mode)
        cycle, self._cycle = self._cycle, self._command
        cycle(address, value)

    def advance(self, us: float) -> None:
        """Let `us` microseconds pass; what runs goes on, and ends when its time is over."""
        self.now_us += us
        while us > 0 and self.running is not None:
            step = min(us, self.running.remaining_us, self._suspend_in)
            us -= step
            self._suspend_in -= step
            self.running.remaining_us -= step
            if self.running.remaining_us <= 0:
                self._finish(self.running)
            elif self._suspend_in <= 0:
                self.suspended.append(self.running)
                self.running = None
            if self.running is None:
                self._suspend_in = inf
                self._show()

    def _command(self, address: int, value: int) -> None:
        code = value & 0xFF
        if code in self._commands and (self.running is None or code in {READ_STATUS, SUSPEND}):
            self._commands[code](address)

    def _enter(self, mode: str, address: int = 0) -> None:
        self.mode = mode
        self._show()

    def _clear_status(self, address: int) -> None:
        self._errors = 0
        self._show()

    def _program_setup(self, address: int) -> None:
        self._enter("status")
        self._cycle = self._program_word

    def _program_word(self, address: int, value: int) -> None:
        self._start(Operation(SR_PROGRAM_ERROR, address, value.to_bytes(2, "big"), self.word_us))

    def _erase_setup(self, address: int) -> None:
        self._enter("status")
        self._cycle = self._erase_confirm

    def _erase_confirm(self, address: int, value: int) -> None:
        if value & 0xFF == CONFIRM:
            start = address - address % self.block_size
            self._start(Operation(SR_ERASE_ERROR, start, b"", self.erase_us))
        else:
            self._fail(SR_BAD_SEQUENCE)

    def _buffer_setup(self, address: int) -> None:
        """After an error the chip takes no more of these until the status is cleared."""
        self._enter("status")
        if self.buffer_size and not self._errors & SR_BAD_SEQUENCE:
            self._buffer = bytearray(b"\xff" * self.buffer_size)
            self._buffer_at = address - address % self.buffer_size
            self._cycle = self._buffer_count

    def _buffer_count(self, address: int, value: int) -> None:
        self._words_left = value + 1
        self._cycle = self._buffer_word
        if self._words_left * 2 > self.buffer_size:
            self._fail(SR_BAD_SEQUENCE)

    def _buffer_word(self, address: int, value: int) -> None:
        offset = address - self._buffer_at
        if not 0 <= offset < self.buffer_size:
            self._fail(SR_BAD_SEQUENCE)
            return
        self._buffer[offset:offset + 2] = value.to_bytes(2, "big")
        self._words_left -= 1
        self._cycle = self._buffer_word if self._words_left else self._buffer_confirm

    def _buffer_confirm(self, address: int, value: int) -> None:
        if value & 0xFF == CONFIRM:
            self._start(Operation(SR_PROGRAM_ERROR, self._buffer_at, bytes(self._buffer), self.buffer_us))
        else:
            self._fail(SR_BAD_SEQUENCE)

    def _lock_setup(self, address: int) -> None:
        self._enter("status")
        self._cycle = self._lock_confirm

    def _lock_confirm(self, address: int, value: int) -> None:
        block = address // self.block_size
        if value & 0xFF == LOCK:
            self.locked.add(block)
        elif value & 0xFF == UNLOCK:
            self.locked.discard(block)
        else:
            self._fail(SR_BAD_SEQUENCE)

    def _suspend(self, address: int) -> None:
        if self.running is not None and self.suspend:
            self._suspend_in = SUSPEND_US

    def _resume(self, address: int) -> None:
        if self.suspended:
            self.running = self.suspended.pop()
            self._enter("status")

    def _fail(self, errors: int) -> None:
        self._errors |= errors
        self._cycle = self._command
        self._show()

    def _start(self, operation: Operation) -> None:
        block = operation.address // self.block_size
        if not self.vpp:
            self._fail(operation.error | SR_VPP_LOW)
        elif block in self.locked:
            self._fail(operation.error | SR_LOCKED)
        elif self.suspended and not self._may_run_in_suspend(operation):
            self._fail(SR_BAD_SEQUENCE)
        else:
            self.running = operation
            self._show()

    def _may_run_in_suspend(self, operation: Operation) -> bool:
        """A program of another block, while one erase is suspended."""
        waiting = self.suspended[-1]
        return (self.program_in_suspend and operation.error == SR_PROGRAM_ERROR
                and waiting.error == SR_ERASE_ERROR
                and operation.address // self.block_size != waiting.address // self.block_size)

    def _finish(self, operation: Operation) -> None:
        self.running = None
        start = operation.address
        if operation.error == SR_PROGRAM_ERROR:
            data = np.frombuffer(operation.data, np.uint8)
            self.cells[start:start + len(data)] &= data
        elif start // self.block_size in self.worn:
            self._errors |= SR_ERASE_ERROR
        else:
            self.cells[start:start + self.block_size] = 0xFF

    def _show(self) -> None:
        """Fill the frames with what a read returns from now on."""
        showing = (self.mode, self.status if self.mode == "status" else 0)
        if showing == self._shown:
            return
        self._shown = showing
        if self.mode == "array":
            self.window[:] = self.cells
        elif self.mode == "status":
            self.window.view(">u2")[:] = self.status
        elif self.mode == "query":
            self.window.view(">u2")[:] = np.resize(self.query_table(), self.size // 2)
        else:
            blocks = self.window.view(">u2").reshape(-1, self.block_size // 2)
            blocks[:] = 0
            blocks[:, 0], blocks[:, 1] = MANUFACTURER_INTEL, DEVICE_ID
            blocks[sorted(self.locked), 2] = 1

    def query_table(self) -> Bytes:
        """The CFI table, one byte for each word address from 0 on; 256 bytes."""
        table = np.zeros(256, np.uint8)
        ident, pri = CfiIdent(table, QUERY_START), CfiPriIntelext(table, PRI_START)
        ident.qry, ident.P_ID, ident.P_ADR = b"QRY", 1, PRI_START
        ident.VccMin, ident.VccMax, ident.VppMin, ident.VppMax = 0x17, 0x20, 0x85, 0x95
        ident.WordWriteTimeoutTyp, ident.BufWriteTimeoutTyp = WORD_TIMEOUT_TYP, BUF_TIMEOUT_TYP
        ident.BlockEraseTimeoutTyp = ERASE_TIMEOUT_TYP
        ident.WordWriteTimeoutMax = ident.BufWriteTimeoutMax = ident.BlockEraseTimeoutMax = 3
        ident.DevSize, ident.InterfaceDesc = self.size.bit_length() - 1, 1
        ident.MaxBufWriteSize = max(self.buffer_size.bit_length() - 1, 0)
        ident.NumEraseRegions = 1
        ident.EraseRegionInfo = self.block_size // 256 << 16 | self.size // self.block_size - 1
        pri.pri, pri.MajorVersion, pri.MinorVersion = b"PRI", ord("1"), ord("3")
        suspend = FEATURE_SUSPEND_ERASE | FEATURE_SUSPEND_PROGRAM if self.suspend else 0
        pri.FeatureSupport = suspend | FEATURE_INSTANT_LOCK
        pri.SuspendCmdSupport = int(self.program_in_suspend)
        pri.BlkStatusRegMask, pri.VccOptimal = 1, 0x18
        return table
