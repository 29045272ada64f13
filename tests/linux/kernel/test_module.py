"""Loading a module: what is copied, where it lies then, and what the loader refuses."""

from __future__ import annotations

import errno
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import xiplab
from xiplab import ZVM, Guest, Recording
from xiplab.linux.include import elf
from xiplab.linux.include.elf import Elf64Ehdr, Elf64Rela, Elf64Shdr, Elf64Sym
from xiplab.linux.include.module import MODULE_STATE_COMING, Module
from xiplab.linux.kernel import module as loader
from xiplab.linux.mm.iov import HostBuffer
from xiplab.ondisk import OnDisk
from xiplab.tools.mke2fs import mke2fs

SOURCE = Path(xiplab.__file__).parent / "data" / "modules"
HELLO = (SOURCE / "hello.ko").read_bytes()
CROSS = "s390x-linux-gnu-"

needs_cross = pytest.mark.skipif(shutil.which(f"{CROSS}gcc") is None, reason="no compiler for s390x")


@pytest.fixture
def guest() -> Guest:
    return ZVM().logon("LINUX1")


def init_module(guest: Guest, image: bytes | bytearray) -> Module:
    return loader.init_module(guest.task, HostBuffer(image), len(image))


def refuses(guest: Guest, number: int, image: bytes | bytearray) -> None:
    """The loader answers with this errno and keeps nothing."""
    with pytest.raises(OSError, match=r".") as info:
        init_module(guest, image)

    assert info.value.errno == number
    assert guest.frames["vmalloc"] == 0
    assert loader.m_show(guest.kernel) == []


def sections(image: bytes | bytearray) -> dict[str, Elf64Shdr]:
    ehdr = Elf64Ehdr(image)
    found = [Elf64Shdr(image, ehdr.e_shoff + 64 * i) for i in range(ehdr.e_shnum)]
    names = image[found[ehdr.e_shstrndx].sh_offset:]
    return {bytes(names[s.sh_name:]).partition(b"\0")[0].decode(): s for s in found}


def contents(image: bytes, name: str) -> bytes:
    section = sections(image)[name]
    return image[section.sh_offset:section.sh_offset + section.sh_size]


def loaded(image: bytes) -> list[Elf64Shdr]:
    """The sections that are copied into the kernel's memory."""
    return [s for name, s in sections(image).items()
            if s.sh_flags & elf.SHF_ALLOC and s.sh_type != elf.SHT_NOBITS and name != ".modinfo"]


def edited(change: Callable[[bytearray], None]) -> bytearray:
    image = bytearray(HELLO)
    change(image)
    return image


# the format

@needs_cross
def test_elf_records_have_the_offsets_of_elf_h() -> None:
    """Each field lies where the C compiler puts it."""
    records: list[tuple[str, type[OnDisk]]] = [
        ("Elf64_Ehdr", elf.Elf64Ehdr), ("Elf64_Phdr", elf.Elf64Phdr), ("Elf64_Shdr", elf.Elf64Shdr),
        ("Elf64_Sym", elf.Elf64Sym), ("Elf64_Rela", elf.Elf64Rela)]
    lines = ["#include <elf.h>", "#include <stddef.h>"]
    for name, record in records:
        lines.append(f"_Static_assert(sizeof({name}) == {record.dtype.itemsize}, \"{name}\");")
        for field, (_, offset, *_) in (record.dtype.fields or {}).items():
            lines.append(f"_Static_assert(offsetof({name}, {field}) == {offset}, \"{field}\");")
    checked = subprocess.run([f"{CROSS}gcc", "-fsyntax-only", "-xc", "-"], input="\n".join(lines), text=True,
                             capture_output=True, check=False)

    assert checked.stderr == ""


@needs_cross
def test_hello_ko_is_what_the_makefile_builds(tmp_path: Path) -> None:
    """The module in the package is the source beside it, compiled (and by the same compiler, the same
    to the byte)."""
    for name in ("Makefile", "hello.c"):
        shutil.copy(SOURCE / name, tmp_path)
    subprocess.run(["make", "-s", "-C", str(tmp_path)], check=True)
    built = (tmp_path / "hello.ko").read_bytes()

    assert [s for s in sections(built) if s != ".comment"] == [s for s in sections(HELLO) if s != ".comment"]
    assert contents(built, ".modinfo") == contents(HELLO, ".modinfo")
    if contents(built, ".comment") == contents(HELLO, ".comment"):
        assert built == HELLO


# loading

def test_insmod_copies_three_times_into_vmalloc_memory(guest: Guest) -> None:
    """K159: the file to insmod, insmod's memory to the kernel, the sections to core and init."""
    fd = guest.open("/tmp/hello.ko", xiplab.O_CREAT | xiplab.O_WRONLY)
    guest.write(fd, HELLO)
    before = guest.frames
    with Recording() as rec:
        module = loader.insmod(guest.task, "/tmp/hello.ko")

    assert rec.bytes_by_what == {"page cache to user": len(HELLO), "module image": len(HELLO),
                       "module section": sum(s.sh_size for s in loaded(HELLO))}
    assert guest.frames - before == {"vmalloc": 1}
    assert guest.kernel.zone.kinds[module.module_core >> 12] == "vmalloc"  # type: ignore[index]


def test_init_module_patches_the_copy(guest: Guest) -> None:
    """The code in memory is the file's but for the places of its relocations."""
    module = init_module(guest, HELLO)
    address = module.sections[".text"]
    text, code = contents(HELLO, ".text"), guest.kernel.memory.view(address, 64).tobytes()

    differ = {i for i in range(64) if text[i] != code[i]}
    assert differ
    assert differ <= {offset + i for offset in (0x02, 0x14, 0x1A, 0x3C) for i in range(4)}


def test_init_module_reaches_a_variable_through_the_got(guest: Guest) -> None:
    """larl at 0 leads to the GOT in front of the code, and the entry there to `jiffies`."""
    module = init_module(guest, HELLO)
    memory, text = guest.kernel.memory, module.sections[".text"]
    halfwords, = struct.unpack(">i", memory.view(text + 2, 4))
    entry, = struct.unpack(">Q", memory.view(text + 2 * halfwords, 8))

    assert text + 2 * halfwords == module.module_core
    assert entry == loader.KSYMTAB["jiffies"]


def test_init_module_fills_in_its_functions(guest: Guest) -> None:
    """init and exit are read from the patched record; init's memory is given back after it ran."""
    called = []
    loader.statics(guest.kernel).call = lambda address: called.append(address) or 0  # type: ignore[func-returns-value]
    module = init_module(guest, HELLO)

    assert called == [module.init]
    assert module.exit == module.sections[".exit.text"]
    assert module.init == module.sections[".init.text"]
    assert (module.module_init, module.init_size) == (0, 0)


def test_module_is_listed_and_removed(guest: Guest) -> None:
    """rmmod calls the exit function and leaves no frame behind."""
    module = init_module(guest, HELLO)
    called = []
    loader.statics(guest.kernel).call = lambda address: called.append(address) or 0  # type: ignore[func-returns-value]
    listed = guest.lsmod()
    loader.delete_module(guest.task, "hello")

    assert listed == [f"hello {module.core_size} 0 - Live 0x{module.sections['.text'] - 48:016x}"]
    assert called == [module.exit]
    assert (loader.m_show(guest.kernel), guest.frames["vmalloc"]) == ([], 0)


def test_init_module_that_fails_is_taken_back(guest: Guest) -> None:
    loader.statics(guest.kernel).call = lambda address: -errno.ENODEV

    refuses(guest, errno.ENODEV, HELLO)


def test_modules_can_be_loaded_for_ever(guest: Guest) -> None:
    """Frames that were given back serve as areas again when no fresh ones are left."""
    zone = guest.kernel.zone
    zone.next = xiplab.units.Pfn(zone.end - 3)  # type: ignore[attr-defined]
    for _ in range(5):
        init_module(guest, HELLO)
        loader.delete_module(guest.task, "hello")

    assert guest.frames["vmalloc"] == 0


# errors

def test_init_module_without_capability_raises_eperm(guest: Guest) -> None:
    guest.setuid(1000)

    refuses(guest, errno.EPERM, HELLO)


def test_init_module_of_same_name_raises_eexist(guest: Guest) -> None:
    init_module(guest, HELLO)
    with pytest.raises(OSError, match="loaded already") as info:
        init_module(guest, HELLO)

    assert (info.value.errno, guest.frames["vmalloc"]) == (errno.EEXIST, 1)


def test_init_module_of_more_than_64_mib_raises_enomem(guest: Guest) -> None:
    """The limit is looked at before the first byte."""
    with pytest.raises(OSError, match="67108864") as info:
        loader.init_module(guest.task, HostBuffer(b""), (64 << 20) + 1)

    assert info.value.errno == errno.ENOMEM


@pytest.mark.parametrize("room", [0, 1, 2])
def test_init_module_without_frames_raises_enomem(guest: Guest, room: int) -> None:
    """The image, core and init take a frame each; without one of them all go back."""
    guest.kernel.zone.limit = guest.frames.total() + room

    refuses(guest, errno.ENOMEM, HELLO)


def test_init_module_from_bad_memory_raises_efault(guest: Guest) -> None:
    with pytest.raises(OSError, match="100 of") as info:
        loader.init_module(guest.task, HostBuffer(HELLO, accessible=100), len(HELLO))

    assert (info.value.errno, guest.frames["vmalloc"]) == (errno.EFAULT, 0)


def test_init_module_with_unknown_symbols_raises_enoent_and_logs_each(guest: Guest) -> None:
    refuses(guest, errno.ENOENT, HELLO.replace(b"printk", b"drucke").replace(b"jiffies", b"moments"))

    assert sorted(guest.dmesg[-2:]) == ["hello: Unknown symbol drucke (err 0)",
                                        "hello: Unknown symbol moments (err 0)"]


def test_init_module_weak_unknown_symbol_is_zero(guest: Guest) -> None:
    """A weak reference may stay open."""
    image = bytearray(HELLO.replace(b"jiffies", b"moments"))
    table = sections(image)[".symtab"]
    for at in range(table.sh_offset, table.sh_offset + table.sh_size, 24):
        symbol = Elf64Sym(image, at)
        if symbol.st_shndx == elf.SHN_UNDEF and symbol.st_name:
            symbol.st_info = elf.STB_WEAK << 4
    module = init_module(guest, image)

    assert guest.kernel.memory.view(module.module_core, 8).tobytes() == bytes(8)


def put_header(field: str, value: int) -> Callable[[bytearray], None]:
    return lambda image: setattr(Elf64Ehdr(image), field, value)


def put_section(name: str, field: str, value: int) -> Callable[[bytearray], None]:
    return lambda image: setattr(sections(image)[name], field, value)


def put_rela(field: str, value: int) -> Callable[[bytearray], None]:
    return lambda image: setattr(Elf64Rela(image, sections(image)[".rela.text"].sh_offset), field, value)


def put_symbol(number: int, field: str, value: int) -> Callable[[bytearray], None]:
    def change(image: bytearray) -> None:
        setattr(Elf64Sym(image, sections(image)[".symtab"].sh_offset + 24 * number), field, value)

    return change


def put_ident(index: int, value: int) -> Callable[[bytearray], None]:
    return lambda image: image.__setitem__(index, value)


@pytest.mark.parametrize("change", [
    put_ident(0, 0x7E), put_ident(elf.EI_CLASS, 1), put_ident(elf.EI_DATA, 1),
    put_header("e_type", elf.ET_DYN), put_header("e_machine", 62),
    put_header("e_shentsize", 40), put_header("e_shoff", len(HELLO)), put_header("e_shnum", 0xFFFF),
    put_header("e_shnum", 0), put_header("e_shstrndx", 99),
    put_section(".text", "sh_offset", 1 << 63), put_section(".text", "sh_size", 1 << 40),
    put_section(".rodata.str1.2", "sh_size", len(HELLO) - 0xB8), put_section(".text", "sh_name", 1 << 20),
    put_section(".text", "sh_addralign", 3), put_section(".text", "sh_addralign", 1 << 40),
    put_section(".symtab", "sh_type", elf.SHT_PROGBITS), put_section(".symtab", "sh_link", 99),
    put_section(".modinfo", "sh_flags", 0), put_section(".gnu.linkonce.this_module", "sh_size", 95),
    put_section(".gnu.linkonce.this_module", "sh_flags", 0),
    put_symbol(16, "st_name", 1 << 20), put_symbol(16, "st_shndx", 99),
    put_symbol(16, "st_shndx", elf.SHN_COMMON), put_symbol(16, "st_shndx", 0xFF05),
    put_rela("r_offset", 61), put_rela("r_offset", (1 << 64) - 1), put_rela("r_info", 17 << 32 | 11),
    put_rela("r_info", 17 << 32 | 999), put_rela("r_info", 999 << 32 | 26),
])
def test_init_module_of_bad_file_raises_enoexec(guest: Guest, change: Callable[[bytearray], None]) -> None:
    refuses(guest, errno.ENOEXEC, edited(change))


def test_init_module_for_another_kernel_raises_enoexec(guest: Guest) -> None:
    refuses(guest, errno.ENOEXEC, HELLO.replace(b"3.6.0-xiplab", b"3.7.0-xiplab"))

    assert guest.dmesg[-1] == ("hello: version magic '3.7.0-xiplab SMP mod_unload ' should be "
                               "'3.6.0-xiplab SMP mod_unload '")


def test_init_module_with_endless_bss_raises_enomem(guest: Guest) -> None:
    refuses(guest, errno.ENOMEM, edited(put_section(".bss", "sh_size", 1 << 63)))


@pytest.mark.parametrize("length", [0, 1, 63, 64, 500, 1500, len(HELLO) - 1])
def test_init_module_of_cut_file_raises_enoexec(guest: Guest, length: int) -> None:
    refuses(guest, errno.ENOEXEC, HELLO[:length])


def test_init_module_of_damaged_file_raises_only_oserror(guest: Guest) -> None:
    """Whatever bytes are wrong, the answer is an errno or a module, and no frame is lost."""
    rng = random.Random(159)
    zone = guest.kernel.zone
    zone.limit = len(zone.kinds) + 64
    tables = [(0, 64), (Elf64Ehdr(HELLO).e_shoff, len(HELLO)), (sections(HELLO)[".symtab"].sh_offset, 0x618)]
    outcomes = {"loaded": 0, "refused": 0}
    for _ in range(1500):
        image = bytearray(HELLO)
        for _ in range(rng.randint(1, 4)):
            wrong = rng.choice((0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            image[rng.randrange(*rng.choice(tables))] = wrong
        try:
            module = init_module(guest, image)
        except OSError:
            outcomes["refused"] += 1
        else:
            outcomes["loaded"] += 1
            loader.free_module(guest.kernel, module)

    assert guest.frames["vmalloc"] == 0
    assert min(outcomes.values()) > 100


def test_delete_module_errors(guest: Guest) -> None:
    """ENOENT unknown; EBUSY while it is loading, or with an init and no exit function; EPERM."""
    def errno_of(name: str) -> int | None:
        with pytest.raises(OSError, match=r".") as info:
            loader.delete_module(guest.task, name)
        return info.value.errno

    unknown = errno_of("hello")
    module = init_module(guest, HELLO)
    module.exit = 0
    no_exit = errno_of("hello")
    module.exit, module.state = 1, MODULE_STATE_COMING
    loading = errno_of("hello")
    guest.setuid(1000)

    assert (unknown, no_exit, loading) == (errno.ENOENT, errno.EBUSY, errno.EBUSY)
    assert errno_of("hello") == errno.EPERM


# relocations

EVERY_KIND = """
.text
.globl f
f:  larl %r1, printk
    brasl %r14, printk@PLT
    bras %r14, f@PLT
    brc 15, f
    l %r1, printk-0xfff0(%r2)
    lg %r1, printk-0x8fedc(%r2)
    br %r14
.data
    .reloc ., R_390_8, printk-0xffff
    .byte 0, 0
    .short printk-0x8000
    .long printk
    .quad printk
    .long printk-.
    .quad printk-.
    .reloc ., R_390_PC16, f2
    .short 0
    .reloc ., R_390_PC16DBL, f2
    .short 0
f2: .long 0
.section .modinfo, "a"
    .asciz "vermagic=3.6.0-xiplab SMP mod_unload "
.section .gnu.linkonce.this_module, "aw"
    .skip 24
    .asciz "kinds"
    .skip 50
    .quad 0, f
"""


def assemble(folder: Path, source: str) -> Path:
    target = folder / "kinds.ko"
    subprocess.run([f"{CROSS}as", "-o", str(target)], input=source, text=True, check=True)
    return target


@needs_cross
def test_relocations_agree_with_the_linker(guest: Guest, tmp_path: Path) -> None:
    """ld, told the addresses that our loader chose, fills in the same bytes."""
    ko = assemble(tmp_path, EVERY_KIND)
    module = init_module(guest, ko.read_bytes())
    placed = [f"--section-start={name}={address:#x}" for name, address in module.sections.items()]
    linked = tmp_path / "kinds"
    subprocess.run([f"{CROSS}ld", "-e", "0", "-o", str(linked), str(ko), *placed, "--no-warn-rwx-segments",
                    f"--defsym=printk={loader.KSYMTAB['printk']:#x}", "--section-start=.modinfo=0x7000000"],
                   check=True)
    for name in (".text", ".data", loader.THIS_MODULE):
        subprocess.run([f"{CROSS}objcopy", "-O", "binary", f"--only-section={name}", str(linked),
                        str(tmp_path / "bytes")], check=True)
        expected = (tmp_path / "bytes").read_bytes()

        assert guest.kernel.memory.view(module.sections[name], len(expected)).tobytes() == expected


GOT_AND_PLT = """
.text
    lg %r1, jiffies@GOT(%r12)
    l %r1, jiffies@GOT(%r12)
    larl %r12, _GLOBAL_OFFSET_TABLE_
f:  br %r14
.data
    .quad jiffies@GOT, f@GOTOFF, printk@PLTOFF, printk@PLT
    .long memcpy@GOT, f@GOTOFF, printk@PLTOFF, printk@PLT
    .short memcpy@GOT, f@GOTOFF, printk@PLTOFF, 0
    .reloc ., R_390_GOTPC, f
    .long 0
    .globl f
""" + EVERY_KIND[EVERY_KIND.index(".section .modinfo"):]


@needs_cross
def test_relocations_through_got_and_plt(guest: Guest, tmp_path: Path) -> None:
    """Offsets count from the GOT at the start of core; each entry holds the symbol's address."""
    module = init_module(guest, assemble(tmp_path, GOT_AND_PLT).read_bytes())
    core, memory = module.module_core, guest.kernel.memory
    text, data = module.sections[".text"], module.sections[".data"]
    got, plt, f = 0, 16, text + 16 - core
    code = memory.view(text, 16).tobytes()
    quads = struct.unpack(">3Qq", memory.view(data, 32))
    longs = struct.unpack(">3Ii", memory.view(data + 32, 16))
    shorts = struct.unpack(">4H", memory.view(data + 48, 8))
    got_from_here, = struct.unpack(">i", memory.view(data + 56, 4))
    entries = struct.unpack(">2Q", memory.view(core, 16))

    assert entries == (loader.KSYMTAB["jiffies"], loader.KSYMTAB["memcpy"])
    assert memory.view(core + plt, 20).tobytes() == (
        bytes.fromhex("0d10e310100a000407f10000") + loader.KSYMTAB["printk"].to_bytes(8, "big"))
    assert (code[2:4], code[8:10]) == (b"\xc0\x00", b"\xc0\x00")
    assert text + 10 + 2 * struct.unpack(">i", code[12:16])[0] == core
    assert quads == (got, f, plt, core + plt - (data + 24))
    assert longs == (got + 8, f, plt, core + plt - (data + 44))
    assert shorts == (got + 8, f, plt, 0)
    assert got_from_here == core - (data + 56)


@needs_cross
def test_relocation_out_of_reach_jumps_through_the_plt(guest: Guest, tmp_path: Path) -> None:
    """bras reaches 64 KiB: a farther function is called through its jump."""
    source = EVERY_KIND.replace("bras %r14, f@PLT", "bras %r14, kfree@PLT")
    module = init_module(guest, assemble(tmp_path, source).read_bytes())
    text, memory = module.sections[".text"], guest.kernel.memory
    halfwords, = struct.unpack(">h", memory.view(text + 14, 2))
    jump = text + 12 + 2 * halfwords

    assert module.module_core <= jump < text
    assert memory.view(jump + 12, 8).tobytes() == loader.KSYMTAB["kfree"].to_bytes(8, "big")


@pytest.mark.slow
def test_wheel_carries_modules_and_programs(tmp_path: Path) -> None:
    root = Path(xiplab.__file__).parent.parent
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
                   cwd=root, capture_output=True, check=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()

    assert {f"xiplab/data/modules/{name}" for name in ("Makefile", "hello.c", "hello.ko")} <= set(names)
    assert {f"xiplab/data/programs/{name}" for name in ("Makefile", "greet.c", "layout.ld", "bin/greet",
                                                        "lib/ld.so", "lib/libgreet.so")} <= set(names)


# the lesson

def test_k159_insmod_from_a_xip_mount_runs_from_vmalloc_memory() -> None:
    """A mapping of the file shows the segment's own frames; the module's code does not lie there,
    and a byte that changes on the device changes the mapping alone."""
    vm = ZVM()
    vm.segment("RWSEG", size=1 << 20, type="SW", at=0x20000000)
    vm.load("RWSEG", bytes(mke2fs(1 << 20)))
    guest = vm.logon("LINUX1")
    guest.echo("rwseg", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
    fd = guest.open("/mnt/hello.ko", xiplab.O_CREAT | xiplab.O_RDWR)
    guest.write(fd, HELLO)
    mapping = guest.mmap(fd)
    with Recording() as rec:
        module = loader.insmod(guest.task, "/mnt/hello.ko")
    code = guest.kernel.memory.view(module.module_core, module.core_size)
    before = code.tobytes()
    guest.pwrite(fd, bytes(len(HELLO)), 0)

    assert rec.bytes_by_what["storage to user"] == rec.bytes_by_what["module image"] == len(HELLO)
    assert rec.frames_by_kind == {"vmalloc": 1}
    assert np.shares_memory(mapping.frame(), vm.segments["RWSEG"].mem)
    assert not np.shares_memory(code, vm.segments["RWSEG"].mem)
    assert (mapping[0], code.tobytes()) == (0, before)
