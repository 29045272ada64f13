"""Relocations of a module: the places in its copy where addresses are filled in.

A module that calls or reads what lies out of reach goes through tables in front of its own memory:

    module_core   | GOT: addresses, 8 bytes each | PLT: jumps, 20 bytes each | sections ...

Each patch is a store into the module's own memory. That is why a module cannot run in place from a
segment that others share: its bytes depend on where it was loaded.

Interface: module_frob_arch_sections() plans the tables, apply_relocate_add() patches a section.

Kernel: v3.6 arch/s390/kernel/module.c
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import NamedTuple

from xiplab.hw.memory import AbsoluteStorage
from xiplab.linux.include.elf import Elf64Rela, elf64_r_sym, elf64_r_type
from xiplab.linux.include.module import ModArchSyminfo, Module
from xiplab.trace import Tracepoint

PLT_ENTRY_SIZE = 20
GOT_ENTRY_SIZE = 8
PLT_CODE = bytes.fromhex("0d10 e310 100a 0004 07f1 0000")
"""basr 1,0; lg 1,10(1); br 1: jump to the address that follows."""

tp_relocate = Tracepoint("relocate")
"""A place in a module's memory was patched: module, address, how (the relocation's type), value."""


class Place(NamedTuple):
    """What a relocation is about: the address to patch, the symbol's value and entries, the addend."""

    loc: int
    value: int
    addend: int
    info: ModArchSyminfo


Formula = Callable[[Module, Place, "Howto"], int]


class Howto(NamedTuple):
    """A type of relocation: its value's formula, how many bits of it are stored, after which shift."""

    name: str
    formula: Formula
    bits: int
    shift: int = 0


def direct(module: Module, at: Place, how: Howto) -> int:
    return at.value + at.addend


def pc_relative(module: Module, at: Place, how: Howto) -> int:
    return at.value + at.addend - at.loc


def got_offset(module: Module, at: Place, how: Howto) -> int:
    """Bytes from the GOT to the symbol's entry there."""
    assert at.info.got_offset is not None
    return at.info.got_offset + at.addend


def got_entry(module: Module, at: Place, how: Howto) -> int:
    """The symbol's entry in the GOT, counted from here."""
    return module.module_core + module.arch.got_offset + got_offset(module, at, how) - at.loc


def plt_offset(module: Module, at: Place, how: Howto) -> int:
    """Bytes from the GOT to the symbol's jump."""
    assert at.info.plt_offset is not None
    return module.arch.plt_offset - module.arch.got_offset + at.info.plt_offset + at.addend


def plt_relative(module: Module, at: Place, how: Howto) -> int:
    """The symbol itself, counted from here, if the instruction reaches that far; else its jump."""
    limit = 1 << how.bits
    if how.shift and -limit < at.value - at.loc < limit - 1:
        return at.value + at.addend - at.loc
    assert at.info.plt_offset is not None
    return module.module_core + module.arch.plt_offset + at.info.plt_offset + at.addend - at.loc


def from_got(module: Module, at: Place, how: Howto) -> int:
    """Bytes from the GOT to the symbol."""
    return at.value + at.addend - (module.module_core + module.arch.got_offset)


def got_itself(module: Module, at: Place, how: Howto) -> int:
    return module.module_core + module.arch.got_offset + at.addend - at.loc


RELOCATIONS = {
    1: Howto("R_390_8", direct, 8),
    2: Howto("R_390_12", direct, 12),
    3: Howto("R_390_16", direct, 16),
    4: Howto("R_390_32", direct, 32),
    5: Howto("R_390_PC32", pc_relative, 32),
    6: Howto("R_390_GOT12", got_offset, 12),
    7: Howto("R_390_GOT32", got_offset, 32),
    8: Howto("R_390_PLT32", plt_relative, 32),
    13: Howto("R_390_GOTOFF32", from_got, 32),
    14: Howto("R_390_GOTPC", got_itself, 32),
    15: Howto("R_390_GOT16", got_offset, 16),
    16: Howto("R_390_PC16", pc_relative, 16),
    17: Howto("R_390_PC16DBL", pc_relative, 16, 1),
    18: Howto("R_390_PLT16DBL", plt_relative, 16, 1),
    19: Howto("R_390_PC32DBL", pc_relative, 32, 1),
    20: Howto("R_390_PLT32DBL", plt_relative, 32, 1),
    21: Howto("R_390_GOTPCDBL", got_itself, 32, 1),
    22: Howto("R_390_64", direct, 64),
    23: Howto("R_390_PC64", pc_relative, 64),
    24: Howto("R_390_GOT64", got_offset, 64),
    25: Howto("R_390_PLT64", plt_relative, 64),
    26: Howto("R_390_GOTENT", got_entry, 32, 1),
    27: Howto("R_390_GOTOFF16", from_got, 16),
    28: Howto("R_390_GOTOFF64", from_got, 64),
    29: Howto("R_390_GOTPLT12", got_offset, 12),
    30: Howto("R_390_GOTPLT16", got_offset, 16),
    31: Howto("R_390_GOTPLT32", got_offset, 32),
    32: Howto("R_390_GOTPLT64", got_offset, 64),
    33: Howto("R_390_GOTPLTENT", got_entry, 32, 1),
    34: Howto("R_390_PLTOFF16", plt_offset, 16),
    35: Howto("R_390_PLTOFF32", plt_offset, 32),
    36: Howto("R_390_PLTOFF64", plt_offset, 64),
    57: Howto("R_390_20", direct, 20),
    58: Howto("R_390_GOT20", got_offset, 20),
    59: Howto("R_390_GOTPLT20", got_offset, 20),
}
"""By number. Types that only a linked shared object has (COPY, RELATIVE, ...) are not loaded."""


def check_rela(rela: Elf64Rela, module: Module) -> None:
    """Plan an entry in the GOT or the PLT for the symbol, if this relocation needs one."""
    how = RELOCATIONS.get(elf64_r_type(rela.r_info))
    if how is None:
        return
    arch = module.arch
    info = arch.syminfo.setdefault(elf64_r_sym(rela.r_info), ModArchSyminfo())
    if how.formula in (got_offset, got_entry) and info.got_offset is None:
        info.got_offset = arch.got_size
        arch.got_size += GOT_ENTRY_SIZE
    if how.formula in (plt_offset, plt_relative) and info.plt_offset is None:
        info.plt_offset = arch.plt_size
        arch.plt_size += PLT_ENTRY_SIZE


def module_frob_arch_sections(relas: list[Elf64Rela], module: Module) -> None:
    """Make room for the GOT and the PLT in front of the module's sections."""
    for rela in relas:
        check_rela(rela, module)
    arch = module.arch
    arch.got_offset = module.core_size
    arch.plt_offset = arch.got_offset + arch.got_size
    module.core_size = arch.plt_offset + arch.plt_size


def apply_rela(memory: AbsoluteStorage, rela: Elf64Rela, base: int, size: int, value: int,
               module: Module) -> None:
    """Patch one place of the section at `base`, which has `size` bytes.

    Args:
        value: of the symbol.
    Raises:
        OSError: ENOEXEC an unknown type, or a place outside the section.
    Differs: v3.6 does not look whether the place is inside. As there, a value with too many bits is cut.
    """
    how = RELOCATIONS.get(elf64_r_type(rela.r_info))
    if how is None:
        raise OSError(errno.ENOEXEC, f"module {module}: unknown relocation {elf64_r_type(rela.r_info)}")
    if rela.r_offset + stored_bytes(how) > size:
        raise OSError(errno.ENOEXEC, f"module {module}: {how.name} at {rela.r_offset:#x} is outside its "
                                     f"section of {size:#x} bytes")
    info = module.arch.syminfo[elf64_r_sym(rela.r_info)]
    at = Place(base + rela.r_offset, value, rela.r_addend, info)
    fill_entries(memory, module, at, how)
    result = how.formula(module, at, how)
    store_bits(memory, at.loc, result >> how.shift, how)
    if tp_relocate.probes:
        tp_relocate(module=module.name, address=at.loc, how=how.name, value=result)


def fill_entries(memory: AbsoluteStorage, module: Module, at: Place, how: Howto) -> None:
    """Write the symbol's GOT or PLT entry when it is first used."""
    info, arch = at.info, module.arch
    if how.formula in (got_offset, got_entry) and not info.got_initialized:
        assert info.got_offset is not None
        entry = memory.span(module.module_core + arch.got_offset + info.got_offset, GOT_ENTRY_SIZE, "store")
        entry[:] = struct.pack(">Q", at.value)
        info.got_initialized = True
    if how.formula in (plt_offset, plt_relative) and not info.plt_initialized:
        assert info.plt_offset is not None
        entry = memory.span(module.module_core + arch.plt_offset + info.plt_offset, PLT_ENTRY_SIZE, "store")
        entry[:] = PLT_CODE + struct.pack(">Q", at.value)
        info.plt_initialized = True


def stored_bytes(how: Howto) -> int:
    """How many bytes the patched field lies in."""
    return {12: 2, 20: 4}.get(how.bits, how.bits // 8)


def store_bits(memory: AbsoluteStorage, loc: int, value: int, how: Howto) -> None:
    """Store the low bits of `value`. A 12-bit displacement shares its halfword with a register; one of
    20 bits lies in the instruction as its low 12 and then its high 8."""
    nbytes = stored_bytes(how)
    place = memory.span(loc, nbytes, "store")
    old = int.from_bytes(place, "big")
    if how.bits == 12:
        value = old & 0xF000 | value & 0xFFF
    elif how.bits == 20:
        value = old & 0xF00000FF | (value & 0xFFF) << 16 | (value & 0xFF000) >> 4
    place[:] = (value & (1 << 8 * nbytes) - 1).to_bytes(nbytes, "big")


def apply_relocate_add(memory: AbsoluteStorage, relas: list[Elf64Rela], values: Callable[[int], int],
                       base: int, size: int, module: Module) -> None:
    """Apply the relocations of the section at `base`; `values` gives a symbol's value by its number.

    Raises:
        OSError: ENOEXEC, as apply_rela.
    """
    for rela in relas:
        apply_rela(memory, rela, base, size, values(elf64_r_sym(rela.r_info)), module)
