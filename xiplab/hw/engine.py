"""Unicorn as the works of a processor: what it is given, what it keeps, and when that is dropped.

It works on the memory of Storage itself: the ranges of an AbsoluteStorage are mapped into it by pointer.
What it keeps is dropped before a program goes on:

    the map of storage           when memory.layout has grown
    translations of addresses    when memory.purges has grown (IPTE), or with other tables
    translated code              when a frame that it was made from has other bytes now, whoever stored
                                 them; an engine's own stores drop it at once

Only cpu.py uses this module, and imports it when a program first runs: Unicorn takes a while to load.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress

from unicorn import (
    UC_ARCH_S390X,
    UC_CTL_IO_WRITE,
    UC_CTL_TLB_FLUSH,
    UC_HOOK_EDGE_GENERATED,
    UC_HOOK_INTR,
    UC_HOOK_MEM_INVALID,
    UC_MEM_FETCH_PROT,
    UC_MEM_FETCH_UNMAPPED,
    UC_MEM_READ_PROT,
    UC_MEM_READ_UNMAPPED,
    UC_MEM_WRITE_PROT,
    UC_MEM_WRITE_UNMAPPED,
    UC_MODE_BIG_ENDIAN,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_READ,
)
from unicorn import s390x_const as s390x
from unicorn.unicorn_py3.unicorn import Uc, UcError, uc_tb

from xiplab.errors import ProgramInterruption
from xiplab.hw.memory import AbsoluteStorage, StorageRange
from xiplab.hw.registers import (
    COUNT,
    PSW_MASK,
    PSW_MASK_BA,
    PSW_MASK_CC,
    PSW_MASK_DAT,
    PSW_MASK_EA,
    PSW_MASK_PM,
    PSW_MASK_PSTATE,
    Registers,
    real_address,
)
from xiplab.units import PAGE_SHIFT, PAGE_SIZE

EXPANSION = 64
"""A byte of code takes at most so many bytes when it is translated."""

NUMBERS = [first + n for first in (s390x.UC_S390X_REG_R0, s390x.UC_S390X_REG_F0, s390x.UC_S390X_REG_A0)
           for n in range(16)] + [s390x.UC_S390X_REG_FPC, s390x.UC_S390X_REG_PSWM, s390x.UC_S390X_REG_PC]
"""Unicorn's numbers of our registers, in the order of Registers.values."""
IDS = (ctypes.c_int * COUNT)(*NUMBERS)
PSW_MASK_REAL = PSW_MASK_DAT | PSW_MASK_CC | PSW_MASK_PM | PSW_MASK_EA | PSW_MASK_BA
"""The bits of a program's PSW that the engine gets; the others are kept for it."""
WRITTEN = COUNT - 1
"""All but the PSW's address: writing that one makes the engine leave the code that it is in."""


ACCESS = {UC_MEM_READ_UNMAPPED: "load", UC_MEM_READ_PROT: "load", UC_MEM_WRITE_UNMAPPED: "store",
          UC_MEM_WRITE_PROT: "store", UC_MEM_FETCH_UNMAPPED: "fetch", UC_MEM_FETCH_PROT: "fetch"}
PROTECTED = (UC_MEM_READ_PROT, UC_MEM_WRITE_PROT, UC_MEM_FETCH_PROT)


class Engine:
    """One Unicorn engine for s390x, always in problem state.

    Attributes:
        memory: the storage that it works on.
        code_buffer: bytes for translated code. Unicorn's default would reserve 1 GiB for each engine.
        translated: bytes of code that were translated since all was dropped, some perhaps many times.
        stopped: the run ends here: with an interruption, or a refused access.
        refused: the access that ended it because no range of storage has it, or a read-only one: what
            it was, the absolute address, whether the range is there.
    """

    def __init__(self, memory: AbsoluteStorage, interrupted: Callable[[int], bool], cr0: int,
                 code_buffer: int) -> None:
        self.memory = memory
        self.code_buffer = code_buffer
        self.translated = 0
        self.stopped = False
        self.refused: tuple[str, int, bool] | None = None
        self._interrupted = interrupted
        self._base = memory.storage.array.ctypes.data
        self._mapped: dict[StorageRange, None] = {}
        self._layout = self._purges = self._asce = -1
        self._code: dict[int, bytes] = {}
        self._seen: set[int] = set()
        self._registers = Registers()
        self._kept = 0
        self._buffer = (ctypes.c_uint64 * COUNT)()
        first = ctypes.addressof(self._buffer)
        self._pointers = (ctypes.c_void_p * COUNT)(*range(first, first + 8 * COUNT, 8))
        self._uc = Uc(UC_ARCH_S390X, UC_MODE_BIG_ENDIAN, s390x.UC_CPU_S390X_MAX)
        self._uc.ctl_set_tcg_buffer_size(code_buffer)
        self._uc.ctl_exits_enabled(True)
        self._uc.reg_write(s390x.UC_S390X_REG_CR0, cr0)
        self._hooks = [self._uc.hook_add(UC_HOOK_INTR, self._on_interruption),
                       self._uc.hook_add(UC_HOOK_EDGE_GENERATED, self._on_translation)]

    @property
    def outgrown(self) -> bool:
        """The program may need more translated code than there is room for, and translate for ever."""
        return self.translated * EXPANSION > self.code_buffer

    def close(self) -> None:
        """Give the engine's memory back now; it cannot be used any more. Unicorn itself does that when its
        object is collected, and its hooks are a circle of references, so that could be late."""
        for hook in self._hooks:
            self._uc.hook_del(hook)
        self._hooks.clear()
        vars(self._uc)["_Uc__finalizer"]()

    # registers in and out

    def load(self, registers: Registers) -> None:
        """Bring registers, tables and code into the state that the program must see.

        Unicorn's own call for many registers makes its lists anew each time, which takes 20 times as long.
        """
        self._refresh(registers)
        ctypes.memmove(self._buffer, registers.values, ctypes.sizeof(self._buffer))
        self._kept = self._buffer[PSW_MASK] & ~PSW_MASK_REAL
        self._buffer[PSW_MASK] = self._buffer[PSW_MASK] & PSW_MASK_REAL | PSW_MASK_PSTATE
        self._uc._do_reg_write_batch(IDS, self._pointers, WRITTEN)

    def save(self, registers: Registers) -> None:
        """Take the program's registers out of the engine."""
        self._uc._do_reg_read_batch(IDS, self._pointers, COUNT)
        self._buffer[PSW_MASK] = self._buffer[PSW_MASK] & PSW_MASK_REAL | self._kept
        ctypes.memmove(registers.values, self._buffer, ctypes.sizeof(self._buffer))

    # what is kept, and when it is dropped

    def _refresh(self, registers: Registers) -> None:
        if self._layout != self.memory.layout:
            self._map()
        if (self._purges, self._asce) != (self.memory.purges, registers.asce):
            self._purges, self._asce = self.memory.purges, registers.asce
            self._uc.reg_write(s390x.UC_S390X_REG_CR1, self._asce)
            self._uc.ctl(UC_CTL_TLB_FLUSH, UC_CTL_IO_WRITE)
            self._seen.clear()
        storage = self.memory.storage.map
        if any(storage[start:start + PAGE_SIZE] != before for start, before in self._code.items()):
            self.drop_code()
        self._watch(registers.psw_addr, registers)
        self._watch(registers.psw_addr + PAGE_SIZE, registers)

    def _map(self) -> None:
        """Give the engine the ranges of storage that there are now; only they can be accessed."""
        self._layout = self.memory.layout
        there = dict.fromkeys(self.memory.ranges)
        for r in self._mapped.keys() - there.keys():
            self._uc.mem_unmap(r.start, r.npages << PAGE_SHIFT)
        for r in there.keys() - self._mapped.keys():
            permissions = UC_PROT_ALL if r.writable else UC_PROT_READ | UC_PROT_EXEC
            self._uc.mem_map_ptr(r.start, r.npages << PAGE_SHIFT, permissions,
                                 self._base + (r.first << PAGE_SHIFT))
        self._mapped = there
        self.drop_code()

    def drop_code(self) -> None:
        """Translate anew whatever runs next."""
        self._uc.ctl_flush_tb()
        self.translated = 0
        self._code.clear()
        self._seen.clear()

    def _watch(self, address: int, registers: Registers) -> None:
        """Keep what the page of code at `address` holds, to compare it later."""
        page = address >> PAGE_SHIFT
        if page in self._seen:
            return
        try:
            start = self.memory.host_offset(real_address(self.memory, registers, page << PAGE_SHIFT))
        except ProgramInterruption:
            return
        self._seen.add(page)
        if start not in self._code:
            self._code[start] = self.memory.storage.map[start:start + PAGE_SIZE]

    # execution

    def run(self, registers: Registers, count: int, until: int | None = None) -> bool:
        """Execute `count` instructions, up to the one at `until`, or until an interruption ends it.

        Returns:
            False if storage refused an access, which is then in `refused`.
        Raises:
            what `interrupted` raises.
        """
        self._registers = registers
        self.stopped, self.refused = False, None
        if until is not None:
            self._uc.ctl_set_exits([until])
        self.load(registers)
        try:
            self._uc.emu_start(registers.psw_addr, 0, 0, count)
        except UcError:
            self.save(registers)
            self.stopped = True
            self._ask_what_was_refused(registers.psw_addr)
            return False
        finally:  # Ctrl-C, too, ends a run
            if not self.stopped:
                self.save(registers)
        return True

    def _on_interruption(self, uc: Uc, number: int, _: object) -> None:
        if self.stopped:
            uc.emu_stop()
            return
        self.save(self._registers)
        address = self._registers.psw_addr
        self.stopped = True
        self.stopped = not self._interrupted(number)
        if self.stopped:
            uc.emu_stop()
            return
        self.load(self._registers)
        if self._registers.psw_addr != address:
            uc.reg_write(s390x.UC_S390X_REG_PC, self._registers.psw_addr)

    def _ask_what_was_refused(self, address: int) -> None:
        """Try the instruction again with a hook. One that is always there would make each store slow."""
        hook = self._uc.hook_add(UC_HOOK_MEM_INVALID, self._on_refusal)
        with suppress(UcError):
            self._uc.emu_start(address, 0, 0, 1)
        self._uc.hook_del(hook)

    def _on_refusal(self, _: Uc, access: int, address: int, *_more: object) -> bool:
        self.refused = (ACCESS[access], address, access in PROTECTED)
        return False

    def _on_translation(self, _: Uc, block: uc_tb, *_more: object) -> None:
        """The engine has translated a block of instructions and is about to execute it."""
        self.translated += block.size
        self._watch(block.pc, self._registers)
        self._watch(block.pc + max(block.size, 1) - 1, self._registers)
