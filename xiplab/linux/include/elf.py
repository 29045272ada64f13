"""ELF as s390x has it: 64-bit, big endian. Records and constants, no behaviour.

    ELF header      first bytes of the file; says where the two tables lie
    program headers one per segment: what exec() maps (executables, shared objects)
    section headers one per section: what a linker or the module loader reads (objects)
    symbols         a name, a value, and the section that it counts from
    relocations     where in a section a symbol's address must be filled in

Kernel: v3.6 include/linux/elf.h, arch/s390/include/asm/elf.h
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from xiplab.ondisk import Bytes, OnDisk, be16, be32, be64, u8

u8x16: TypeAlias = Annotated[Bytes, "u1", 16]
signed_be64: TypeAlias = Annotated[int, ">i8"]

ELFMAG = b"\x7fELF"
EI_CLASS, EI_DATA, EI_VERSION = 4, 5, 6
ELFCLASS64, ELFDATA2MSB, EV_CURRENT = 2, 2, 1

ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
EM_S390 = 22

PT_NULL, PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_SHLIB, PT_PHDR, PT_TLS = range(8)
PT_GNU_STACK = 0x6474E551
PF_X, PF_W, PF_R = 1, 2, 4

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_HASH, SHT_DYNAMIC, SHT_NOTE, SHT_NOBITS, \
    SHT_REL = range(10)
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4

SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON = 0, 0xFF00, 0xFFF1, 0xFFF2

STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE = range(5)


class Elf64Ehdr(OnDisk, size=64):
    """The ELF header."""

    e_ident: u8x16       # magic, class, byte order, version, ABI
    e_type: be16         # ET_REL, ET_EXEC, ET_DYN
    e_machine: be16
    e_version: be32
    e_entry: be64        # address of the first instruction
    e_phoff: be64        # program headers, bytes from the start of the file
    e_shoff: be64        # section headers, bytes from the start of the file
    e_flags: be32
    e_ehsize: be16
    e_phentsize: be16
    e_phnum: be16
    e_shentsize: be16
    e_shnum: be16
    e_shstrndx: be16     # the section that holds the names of the sections


class Elf64Phdr(OnDisk, size=56):
    """A segment."""

    p_type: be32
    p_flags: be32        # PF_R, PF_W, PF_X
    p_offset: be64       # in the file, bytes
    p_vaddr: be64
    p_paddr: be64
    p_filesz: be64       # bytes in the file
    p_memsz: be64        # bytes in memory; the rest is zero
    p_align: be64


class Elf64Shdr(OnDisk, size=64):
    """A section."""

    sh_name: be32        # offset of its name in section e_shstrndx
    sh_type: be32
    sh_flags: be64
    sh_addr: be64
    sh_offset: be64      # in the file, bytes
    sh_size: be64        # bytes
    sh_link: be32        # another section: of a symbol table, its names; of relocations, their symbols
    sh_info: be32        # of relocations, the section that they patch
    sh_addralign: be64
    sh_entsize: be64     # size of an entry, where the section is a table


class Elf64Sym(OnDisk, size=24):
    """A symbol."""

    st_name: be32        # offset of its name
    st_info: u8          # binding and type
    st_other: u8
    st_shndx: be16       # its section, or SHN_UNDEF, SHN_ABS, SHN_COMMON
    st_value: be64
    st_size: be64


class Elf64Rela(OnDisk, size=24):
    """A relocation that carries its addend."""

    r_offset: be64       # the place to patch, bytes from the start of the section
    r_info: be64         # symbol and type
    r_addend: signed_be64


def elf64_st_bind(st_info: int) -> int:
    """A symbol's binding: STB_LOCAL, STB_GLOBAL, STB_WEAK."""
    return st_info >> 4


def elf64_r_sym(r_info: int) -> int:
    """The number of a relocation's symbol."""
    return r_info >> 32


def elf64_r_type(r_info: int) -> int:
    """A relocation's type, R_390_..."""
    return r_info & 0xFFFFFFFF


def elf_check_arch(ehdr: Elf64Ehdr) -> bool:
    """Whether the file is one of this machine's.

    Differs: the byte order is looked at too.
    """
    ident = ehdr.e_ident
    return (ehdr.e_machine == EM_S390 and ident.item(EI_CLASS) == ELFCLASS64
            and ident.item(EI_DATA) == ELFDATA2MSB)
