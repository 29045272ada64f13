"""Loading kernel modules: insmod copies them out of their file system, wherever that lies.

    file on a XIP mount ──read──► insmod's memory ──copy_from_user──► image ──copy──► core, init
                          copy 1                     copy 2                   copy 3, then patched

Core and init are memory of the kernel's own (vmalloc), and relocations patch the code for the address
it was loaded at. So a module's code never runs from the device, even if its file is mapped in place.

Interface: insmod(), init_module(), delete_module(), find_module(), m_show().

Kernel: v3.6 kernel/module.c
Differs: a file that is not what it seems (an index or offset that leads nowhere, sections that share
    bytes) ends in ENOEXEC, where v3.6 believes root. No parameters, no symbol versions, no per-CPU
    data, no kallsyms, no use counts; modules export nothing to each other.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from xiplab.linux.arch.s390.module import apply_relocate_add, module_frob_arch_sections
from xiplab.linux.fs.file_table import fput
from xiplab.linux.fs.namei import PathName
from xiplab.linux.fs.open import do_filp_open
from xiplab.linux.fs.read_write import vfs_read
from xiplab.linux.include.elf import (
    ELFMAG,
    ET_REL,
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHN_ABS,
    SHN_COMMON,
    SHN_LORESERVE,
    SHN_UNDEF,
    SHT_NOBITS,
    SHT_RELA,
    SHT_SYMTAB,
    STB_WEAK,
    Elf64Ehdr,
    Elf64Rela,
    Elf64Shdr,
    Elf64Sym,
    elf64_st_bind,
    elf_check_arch,
)
from xiplab.linux.include.fs import O_RDONLY, UserBuffer
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.module import (
    MODULE_STATE_GOING,
    MODULE_STATE_LIVE,
    STATE_NAMES,
    Module,
    ThisModule,
)
from xiplab.linux.include.sched import CAP_SYS_MODULE, Task
from xiplab.linux.mm.iov import FreshBytes, HostBuffer
from xiplab.linux.mm.vmalloc import vfree, vmalloc
from xiplab.ondisk import Bytes
from xiplab.trace import tp_copy
from xiplab.units import MiB, Paddr

MAX_IMAGE = 64 * MiB
MAX_NAME = 1024
VERMAGIC = "3.6.0-xiplab SMP mod_unload "
THIS_MODULE = ".gnu.linkonce.this_module"
KERNEL_TEXT = 0x10000
KSYMTAB = {name: KERNEL_TEXT + 0x40 * index for index, name in enumerate(
    ("printk", "memcpy", "memset", "strlen", "kmalloc", "kfree", "register_blkdev", "unregister_blkdev",
     "jiffies"))}
"""What the kernel exports: addresses by name. Nothing lies there; our kernel is written in Python."""

LAYOUT = ((SHF_EXECINSTR | SHF_ALLOC, 0), (SHF_ALLOC, SHF_WRITE), (SHF_WRITE | SHF_ALLOC, 0))
"""The order of sections in memory, as (flags it has, flags it lacks): code, constants, data."""


@dataclass(eq=False)
class ModuleStatics:
    """The module loader's own variables.

    Attributes:
        modules: by name, in order of loading.
        call: runs the function at an address and returns its result. Without a processor there is
            nothing to run it: 0.
    """

    modules: dict[str, Module] = field(default_factory=dict)
    call: Callable[[int], int] = lambda address: 0


def statics(kernel: Kernel) -> ModuleStatics:
    found: ModuleStatics = kernel.statics.setdefault("module", ModuleStatics())
    return found


def find_module(kernel: Kernel, name: str) -> Module:
    """Raises OSError ENOENT if there is none of that name."""
    try:
        return statics(kernel).modules[name]
    except KeyError:
        raise OSError(errno.ENOENT, f"{name}: no such module is loaded") from None


def delete_module(task: Task, name: str) -> None:
    """delete_module(2): run the module's exit function and give its memory back.

    Raises:
        OSError: EPERM without CAP_SYS_MODULE; ENOENT; EBUSY not live, or it has an init but no exit
            function.
    """
    may_load(task)
    module = find_module(task.kernel, name)
    if module.state != MODULE_STATE_LIVE or (module.init and not module.exit):
        raise OSError(errno.EBUSY, f"{name}: cannot be removed ({STATE_NAMES[module.state]})")
    module.state = MODULE_STATE_GOING
    if module.exit:
        statics(task.kernel).call(module.exit)
    free_module(task.kernel, module)


def free_module(kernel: Kernel, module: Module) -> None:
    """Forget the module and give its memory back."""
    del statics(kernel).modules[module.name]
    free_areas(kernel, module)


def free_areas(kernel: Kernel, module: Module) -> None:
    vfree(kernel, module.module_init)
    vfree(kernel, module.module_core)
    module.module_init = module.module_core = Paddr(0)


def may_load(task: Task) -> None:
    if CAP_SYS_MODULE not in task.cred.capabilities:
        raise OSError(errno.EPERM, f"{task}: modules need CAP_SYS_MODULE")


@dataclass(eq=False)
class LoadInfo:
    """A module's file in the kernel's memory while it is being loaded. Kernel: struct load_info

    Attributes:
        hdr: its address. image: its bytes.
        sechdrs: the section headers, in the image; sh_addr becomes the section's place in memory.
        names: of the sections. sym, mod: numbers of the symbol table and of THIS_MODULE.
        placed: of a section to load, whether it goes to init, and where there.
    """

    kernel: Kernel
    hdr: Paddr
    image: Bytes
    sechdrs: list[Elf64Shdr] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sym: int = 0
    mod: int = 0
    placed: dict[int, tuple[bool, int]] = field(default_factory=dict)

    def bytes_of(self, section: Elf64Shdr) -> Bytes:
        """A section's bytes in the image."""
        start = section.sh_offset
        return self.image[start:start + section.sh_size] if section.sh_type != SHT_NOBITS else self.image[:0]

    def section(self, index: int) -> Elf64Shdr:
        if index >= len(self.sechdrs):
            raise bad_image(f"section {index} of {len(self.sechdrs)}")
        return self.sechdrs[index]

    def symbols(self) -> list[Elf64Sym]:
        table = self.bytes_of(self.sechdrs[self.sym])
        return [Elf64Sym(table, at) for at in records(table, Elf64Sym.dtype.itemsize)]


def bad_image(why: str) -> OSError:
    return OSError(errno.ENOEXEC, f"module: {why}")


def records(table: Bytes, size: int) -> range:
    """Where the records of a table begin; a last part is left out."""
    return range(0, len(table) // size * size, size)


def string_at(table: Bytes, offset: int) -> str:
    """The zero-terminated name at `offset`, of less than MAX_NAME bytes."""
    name, end, _ = table[offset:offset + MAX_NAME].tobytes().partition(b"\0")
    if not end:
        raise bad_image(f"a name at {offset:#x} in a table of {len(table)} bytes")
    return name.decode(errors="replace")


def find_sec(info: LoadInfo, name: str) -> int:
    """The number of the section of that name that takes memory, or 0."""
    return next((i for i, section in enumerate(info.sechdrs)
                 if section.sh_flags & SHF_ALLOC and info.names[i] == name), 0)


def copy_and_check(kernel: Kernel, umod: UserBuffer, length: int) -> LoadInfo:
    """Copy the whole file from the user and look at its header.

    Raises:
        OSError: ENOEXEC too short, or no object file of this machine; ENOMEM more than 64 MiB, or no
            room; EFAULT.
    """
    if length < Elf64Ehdr.dtype.itemsize:
        raise bad_image(f"{length} bytes are no ELF header")
    if length > MAX_IMAGE:
        raise OSError(errno.ENOMEM, f"module: {length} bytes (limit {MAX_IMAGE})")
    info = LoadInfo(kernel, address := vmalloc(kernel, length), kernel.memory.view(address, length))
    try:
        came = umod.copy_from_user(kernel.memory.span(address, length, "store"))
        if tp_copy.probes:
            tp_copy(what="module image", nbytes=came)
        if came < length:
            raise OSError(errno.EFAULT, f"module: {came} of {length} bytes can be read")
        check_header(info)
    except OSError:
        vfree(kernel, address)
        raise
    return info


def check_header(info: LoadInfo) -> None:
    ehdr, size = Elf64Ehdr(info.image), Elf64Shdr.dtype.itemsize
    if ehdr.e_ident[:4].tobytes() != ELFMAG or ehdr.e_type != ET_REL or not elf_check_arch(ehdr):
        raise bad_image("not a 64-bit big-endian object file for s390")
    if ehdr.e_shentsize != size or ehdr.e_shoff + ehdr.e_shnum * size > len(info.image):
        raise bad_image(f"{ehdr.e_shnum} section headers at {ehdr.e_shoff:#x} in {len(info.image)} bytes")
    info.sechdrs = [Elf64Shdr(info.image, ehdr.e_shoff + i * size) for i in range(ehdr.e_shnum)]


def rewrite_section_headers(info: LoadInfo) -> None:
    """Let sh_addr be each section's address in the image; .modinfo and __versions stay behind."""
    total = 0
    for section in info.sechdrs:
        if section.sh_type != SHT_NOBITS:
            total += section.sh_size
            if section.sh_offset + section.sh_size > len(info.image) or total > len(info.image):
                info.kernel.printk(f"Module len {len(info.image)} truncated")
                raise bad_image(f"{len(info.image)} bytes, truncated")
        section.sh_addr = info.hdr + section.sh_offset & (1 << 64) - 1
    for name in (".modinfo", "__versions"):
        if index := find_sec(info, name):
            info.sechdrs[index].sh_flags &= ~SHF_ALLOC


def setup_load_info(info: LoadInfo) -> Module:
    """Find the symbols and the module's own record; gives the module its name.

    Raises:
        OSError: ENOEXEC if either is missing, or the module was made for another kernel.
    """
    secstrings = info.bytes_of(info.section(Elf64Ehdr(info.image).e_shstrndx))
    info.names = [string_at(secstrings, section.sh_name) for section in info.sechdrs]
    modinfo = find_sec(info, ".modinfo")
    rewrite_section_headers(info)
    info.sym = next((i for i, section in enumerate(info.sechdrs) if i and section.sh_type == SHT_SYMTAB), 0)
    info.mod = find_sec(info, THIS_MODULE)
    if not info.mod or len(info.bytes_of(info.sechdrs[info.mod])) < ThisModule.dtype.itemsize:
        info.kernel.printk("No module found in object")
        raise bad_image(f"no section {THIS_MODULE}")
    name = ThisModule(info.bytes_of(info.sechdrs[info.mod])).name.tobytes()
    module = Module(name.partition(b"\0")[0].decode(errors="replace"))
    if not info.sym:
        info.kernel.printk(f"{module}: module has no symbols (stripped?)")
        raise bad_image(f"{module}: no symbols")
    check_modinfo(info, module, modinfo)
    return module


def check_modinfo(info: LoadInfo, module: Module, modinfo: int) -> None:
    """Raises OSError ENOEXEC unless the module was made for this kernel."""
    entries = info.bytes_of(info.sechdrs[modinfo]).tobytes() if modinfo else b""
    magic = next((entry[9:].decode(errors="replace") for entry in entries.split(b"\0")
                  if entry.startswith(b"vermagic=")), "")
    if magic != VERMAGIC:
        info.kernel.printk(f"{module}: version magic '{magic}' should be '{VERMAGIC}'")
        raise bad_image(f"{module}: version magic '{magic}' should be '{VERMAGIC}'")


def align(size: int, section: Elf64Shdr) -> int:
    boundary = section.sh_addralign or 1
    if boundary & boundary - 1 or boundary > MAX_IMAGE:
        raise bad_image(f"a section aligned to {boundary} bytes")
    return size + boundary - 1 & -boundary


def layout_sections(module: Module, info: LoadInfo) -> None:
    """Give each section that takes memory a place in core or, if its name says .init, in init."""
    for has, lacks in LAYOUT:
        for i, section in enumerate(info.sechdrs):
            if i in info.placed or section.sh_flags & has != has or section.sh_flags & lacks:
                continue
            is_init = info.names[i].startswith(".init")
            start = align(module.init_size if is_init else module.core_size, section)
            info.placed[i] = (is_init, start)
            if is_init:
                module.init_size = start + section.sh_size
            else:
                module.core_size = start + section.sh_size


def move_module(module: Module, info: LoadInfo) -> None:
    """Allocate core and init and copy the sections there.

    Raises:
        OSError: ENOMEM.
    """
    memory = info.kernel.memory
    module.module_core = vmalloc(info.kernel, module.core_size)
    if module.init_size:
        module.module_init = vmalloc(info.kernel, module.init_size)
    for i, (is_init, start) in info.placed.items():
        section = info.sechdrs[i]
        address = (module.module_init if is_init else module.module_core) + start
        if contents := info.bytes_of(section).data:
            memory.span(address, len(contents), "store")[:] = contents
            if tp_copy.probes:
                tp_copy(what="module section", nbytes=len(contents))
        section.sh_addr = address
        module.sections[info.names[i]] = address


def relocations(info: LoadInfo) -> Iterator[tuple[Elf64Shdr, list[Elf64Rela]]]:
    """The relocation sections, each with its entries."""
    for section in info.sechdrs[1:]:
        if section.sh_type == SHT_RELA:
            table = info.bytes_of(section)
            yield section, [Elf64Rela(table, at) for at in records(table, Elf64Rela.dtype.itemsize)]


def layout_and_allocate(info: LoadInfo) -> Module:
    module = setup_load_info(info)
    module_frob_arch_sections([rela for _, relas in relocations(info) for rela in relas], module)
    layout_sections(module, info)
    try:
        move_module(module, info)
    except OSError:
        free_areas(info.kernel, module)
        raise
    return module


def simplify_symbols(module: Module, info: LoadInfo) -> None:
    """Turn each symbol's value into an address.

    Raises:
        OSError: ENOENT a symbol that the kernel does not export (all of them are logged); ENOEXEC.
    """
    strtab = info.bytes_of(info.section(info.sechdrs[info.sym].sh_link))
    unknown = []
    for symbol in info.symbols()[1:]:
        name = string_at(strtab, symbol.st_name)
        shndx = symbol.st_shndx
        if shndx == SHN_COMMON:
            raise bad_image(f"{module}: {name} is common, compile with -fno-common")
        if shndx == SHN_ABS or (shndx == SHN_UNDEF and name == "_GLOBAL_OFFSET_TABLE_"):
            continue
        if shndx == SHN_UNDEF:
            if name in KSYMTAB:
                symbol.st_value = KSYMTAB[name]
            elif elf64_st_bind(symbol.st_info) != STB_WEAK:
                info.kernel.printk(f"{module}: Unknown symbol {name} (err 0)")
                unknown.append(name)
        elif shndx >= SHN_LORESERVE:
            raise bad_image(f"{module}: {name} in section {shndx:#x}")
        else:
            symbol.st_value = info.section(shndx).sh_addr + symbol.st_value & (1 << 64) - 1
    if unknown:
        raise OSError(errno.ENOENT, f"{module}: unknown symbols: {', '.join(unknown)}")


def apply_relocations(module: Module, info: LoadInfo) -> None:
    """Patch the sections that were loaded.

    Raises:
        OSError: ENOEXEC.
    """
    values = [symbol.st_value for symbol in info.symbols()]

    def value(symbol: int) -> int:
        if symbol >= len(values):
            raise bad_image(f"{module}: symbol {symbol} of {len(values)}")
        return values[symbol]

    for section, relas in relocations(info):
        if section.sh_info in info.placed:
            target = info.sechdrs[section.sh_info]
            apply_relocate_add(info.kernel.memory, relas, value, target.sh_addr, target.sh_size, module)


def link_module(module: Module, info: LoadInfo) -> None:
    """Resolve, relocate, and read from the patched copy where the module begins and ends.

    Raises:
        OSError: those of the steps; EEXIST a module of that name is loaded.
    """
    simplify_symbols(module, info)
    apply_relocations(module, info)
    if module.name in statics(info.kernel).modules:
        raise OSError(errno.EEXIST, f"{module}: is loaded already")
    address = info.sechdrs[info.mod].sh_addr
    this = ThisModule(info.kernel.memory.view(address, ThisModule.dtype.itemsize))
    module.init, module.exit = this.init, this.exit
    statics(info.kernel).modules[module.name] = module


def load_module(kernel: Kernel, umod: UserBuffer, length: int) -> Module:
    """Copy, lay out, link. The image is gone when this returns; the module is known from then on.

    Raises:
        OSError: those of the steps.
    """
    info = copy_and_check(kernel, umod, length)
    try:
        module = layout_and_allocate(info)
        try:
            link_module(module, info)
        except OSError:
            free_areas(kernel, module)
            raise
    finally:
        vfree(kernel, info.hdr)
    return module


def init_module(task: Task, umod: UserBuffer, length: int) -> Module:
    """init_module(2): load the module whose file is in the user's memory, and run its init function.

    Raises:
        OSError: EPERM without CAP_SYS_MODULE; EFAULT; ENOEXEC the file is no module for this kernel;
            ENOMEM more than 64 MiB, or too few frames; ENOENT a symbol is not exported; EEXIST; the
            errno that init answered (the module is gone again).
    """
    may_load(task)
    kernel = task.kernel
    module = load_module(kernel, umod, length)
    result = statics(kernel).call(module.init) if module.init else 0
    if result < 0:
        module.state = MODULE_STATE_GOING
        free_module(kernel, module)
        raise OSError(-result, f"{module}: init failed")
    module.state = MODULE_STATE_LIVE
    vfree(kernel, module.module_init)
    module.module_init, module.init_size = Paddr(0), 0
    return module


def m_show(kernel: Kernel) -> list[str]:
    """The lines of /proc/modules, the latest first: name, bytes, uses, users, state, address."""
    return [f"{module} {module.core_size + module.init_size} 0 - {STATE_NAMES[module.state]} "
            f"{module.module_core:#018x}" for module in reversed(statics(kernel).modules.values())]


def insmod(task: Task, path: PathName) -> Module:
    """insmod(8): read the file into memory of its own, then init_module().

    Raises:
        OSError: those of open and read; those of init_module.
    """
    filp = do_filp_open(task, path, O_RDONLY)
    try:
        buf, size = FreshBytes(), filp.f_inode.i_size
        image = buf.take(vfs_read(filp, buf, size, 0))
    finally:
        fput(filp)
    return init_module(task, HostBuffer(image), len(image))
