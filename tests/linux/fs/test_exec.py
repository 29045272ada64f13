"""execve(2): what is mapped in place, what is copied, and what is refused with which errno."""

from __future__ import annotations

import errno
import random
import struct
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from xiplab import O_CREAT, O_RDWR, O_WRONLY, PAGE_SIZE, ZVM, Guest, MiB, Process, Recording
from xiplab.errors import SIGKILL, SIGSEGV
from xiplab.linux.arch.s390 import uaccess
from xiplab.linux.fs.exec import STACK_TOP
from xiplab.linux.include.auxvec import (
    AT_BASE,
    AT_ENTRY,
    AT_EXECFN,
    AT_PAGESZ,
    AT_PHDR,
    AT_PHNUM,
    AT_RANDOM,
    AT_SECURE,
)
from xiplab.linux.include.elf import PT_INTERP, PT_LOAD, Elf64Ehdr, Elf64Phdr
from xiplab.linux.include.mm import VmAreaStruct
from xiplab.linux.mm.memory import follow_pfn
from xiplab.linux.mm.mmap import STACK_LIMIT, sys_brk
from xiplab.ondisk import Bytes
from xiplab.tools.programs import PROGRAMS, programs_image

COUNTER = 0x1004000
"""Where the program `counter` has its page of variables."""


@pytest.fixture
def vm() -> ZVM:
    vm = ZVM()
    vm.segment("SHLIB", size=2 * MiB, type="SR", at=0x10000000)
    vm.load("SHLIB", programs_image())
    return vm


def boot(vm: ZVM, name: str = "LINUX1") -> Guest:
    guest = vm.logon(name)
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    return guest


@pytest.fixture
def guest(vm: ZVM) -> Guest:
    return boot(vm)


def started(guest: Guest, name: str, *words: str) -> Process:
    process = guest.process("shell")
    process.execve(f"/mnt/bin/{name}", [name, *words])
    return process


def area(process: Process, address: int) -> VmAreaStruct:
    return next(vma for vma in process.task.mm.mmap if vma.vm_start <= address < vma.vm_end)


def touch(process: Process, address: int, value: bytes = b"") -> Bytes:
    """Load a byte (or store some), and return the frame that the page shows then."""
    mm = process.task.mm
    if value:
        uaccess.store(mm, address, value)
    else:
        uaccess.load(mm, address, 1)
    pfn = follow_pfn(mm, address)
    assert pfn is not None
    return process.kernel.memory.frame(pfn)


def write_program(guest: Guest, content: bytes, path: str = "/tmp/program", mode: int = 0o755) -> str:
    fd = guest.open(path, O_CREAT | O_WRONLY, mode)
    guest.write(fd, content)
    guest.close(fd)
    return path


def program(name: str, change: Callable[[Elf64Ehdr, list[Elf64Phdr]], None]) -> bytes:
    """A shipped program with other values in its headers."""
    image = np.fromfile(PROGRAMS / "bin" / name, np.uint8)
    ehdr = Elf64Ehdr(image)
    change(ehdr, [Elf64Phdr(image, ehdr.e_phoff + 56 * i) for i in range(ehdr.e_phnum)])
    return image.tobytes()


def refused(guest: Guest, content: bytes) -> tuple[int | None, int]:
    """The errno of executing a file, and the signal that ends the task then, or 0."""
    process = guest.process("shell")
    with pytest.raises(OSError, match=r".") as failure:
        process.execve(write_program(guest, content), ["program"])
    fatal = process.task.fatal
    return failure.value.errno, 0 if fatal is None else fatal.signo


# in place, and copied

@pytest.mark.parametrize("address", [0x1000000, 0x1002000], ids=["text", "rodata"])
def test_text_and_rodata_are_the_frames_of_the_segment(vm: ZVM, guest: Guest, address: int) -> None:
    frame = touch(started(guest, "counter"), address)

    assert np.shares_memory(frame, vm.segments["SHLIB"].mem)


def test_execve_copies_no_page_of_text(guest: Guest) -> None:
    """Loading hello copies headers and strings, not the program; no frame holds a part of it."""
    with Recording() as rec:
        process = started(guest, "hello", "xip")
        touch(process, 0x1000000)

    assert rec.bytes_by_what["copy on write"] == 0
    assert rec.frames_by_kind["page cache"] == 0
    assert rec.frames_by_kind["anonymous"] == 1


def test_data_is_in_place_until_the_first_store(vm: ZVM, guest: Guest) -> None:
    """greet's variables lie in the segment until it stores to them; the segment keeps its bytes."""
    process, segment = started(guest, "greet"), vm.segments["SHLIB"].mem
    before = segment.copy()

    assert np.shares_memory(touch(process, COUNTER), segment)
    assert not np.shares_memory(touch(process, COUNTER, b"mine"), segment)
    assert np.array_equal(segment, before)


def test_page_where_bss_begins_is_copied_at_exec_and_cleared(guest: Guest) -> None:
    """The file has section headers behind .data; the program sees zeros there."""
    process = started(guest, "counter")

    assert COUNTER in area(process, COUNTER).anon
    assert uaccess.load(process.task.mm, COUNTER, PAGE_SIZE) == struct.pack(">Q", 41) + bytes(PAGE_SIZE - 8)


def test_bss_beyond_is_anonymous(guest: Guest) -> None:
    vma = area(started(guest, "counter"), COUNTER + PAGE_SIZE)

    assert (vma.vm_file, vma.vm_end) == (None, COUNTER + 3 * PAGE_SIZE)


def test_k160_program_started_twice_shares_its_text_and_copies_touched_data(vm: ZVM, guest: Guest) -> None:
    """One set of text frames, the segment's own; a private copy of each page of .data that was stored to."""
    processes = [started(guest, "greet") for _ in range(2)]
    before = guest.frames["anonymous"]
    text = [touch(process, 0x1000000) for process in processes]
    loaded = [touch(process, COUNTER) for process in processes]
    stored = [touch(process, COUNTER, b"x") for process in processes]

    assert all(np.shares_memory(text[0], frame) for frame in (text[1], vm.segments["SHLIB"].mem))
    assert np.shares_memory(loaded[0], loaded[1])
    assert not np.shares_memory(stored[0], stored[1])
    assert guest.frames["anonymous"] - before == 2


def test_two_guests_share_a_library_at_different_addresses(vm: ZVM) -> None:
    """The dynamic linker is mapped at another address in each guest, on the same frames."""
    first, second = started(boot(vm, "LINUX1"), "greet"), started(boot(vm, "LINUX2"), "shout")
    one, two = first.task.regs.psw_addr, second.task.regs.psw_addr

    assert one != two
    assert np.shares_memory(touch(first, one), touch(second, two))


def test_program_of_a_cached_mount_runs_from_the_page_cache(guest: Guest) -> None:
    guest.add_disk("sda", programs_image())
    guest.mkdir("/cached")
    guest.mount("/dev/sda", "/cached", "ext2", "ro")
    process = guest.process("shell")
    process.execve("/cached/bin/hello", ["hello"])

    assert touch(process, 0x1000000)[:4].tobytes() == b"\x7fELF"
    assert guest.frames["page cache"] == 1


def test_everything_goes_back_at_exit(guest: Guest) -> None:
    process = guest.process("shell")
    before = guest.frames
    process.execve("/mnt/bin/counter", ["counter"])
    touch(process, COUNTER + PAGE_SIZE, b"x")
    process.exit()
    after = guest.frames

    assert after["anonymous"] == 0
    assert after["page table"] < before["page table"]
    guest.umount("/mnt")


# the stack

def words_on_stack(process: Process, count: int) -> list[int]:
    mm = process.task.mm
    return list(struct.unpack(f">{count}Q", uaccess.load(mm, mm.start_stack, 8 * count)))


def string_at(process: Process, address: int) -> bytes:
    return uaccess.load(process.task.mm, address, min(64, STACK_TOP - address)).split(b"\0")[0]


def test_stack_has_arguments_and_environment(guest: Guest) -> None:
    process = guest.process("shell")
    process.execve("/mnt/bin/stack", ["stack", "two words"], ["HOME=/", "LANG=C"])
    argc, *rest = words_on_stack(process, 7)

    assert process.task.regs.gprs[15] == process.task.mm.start_stack
    assert process.task.regs.gprs[15] % 16 == 0
    assert argc == 2
    assert [string_at(process, word) if word else None for word in rest] == [
        b"stack", b"two words", None, b"HOME=/", b"LANG=C", None]


def test_auxiliary_vector_tells_the_program_about_itself(guest: Guest) -> None:
    process = started(guest, "greet")
    auxv = dict(process.task.mm.saved_auxv)
    ehdr = Elf64Ehdr(np.fromfile(PROGRAMS / "bin/greet", np.uint8))

    assert words_on_stack(process, 4 + 2 * len(auxv))[4:] == [
        word for entry in process.task.mm.saved_auxv for word in entry]
    assert (auxv[AT_PHDR], auxv[AT_PHNUM]) == (0x1000000 + ehdr.e_phoff, ehdr.e_phnum)
    assert (auxv[AT_ENTRY], auxv[AT_PAGESZ], auxv[AT_SECURE]) == (ehdr.e_entry, PAGE_SIZE, 0)
    assert string_at(process, auxv[AT_EXECFN]) == b"/mnt/bin/greet"
    assert area(process, auxv[AT_BASE]).vm_start == auxv[AT_BASE]
    assert process.task.regs.psw_addr == auxv[AT_BASE] + Elf64Ehdr(
        np.fromfile(PROGRAMS / "lib/ld.so", np.uint8)).e_entry
    assert len(uaccess.load(process.task.mm, auxv[AT_RANDOM], 16)) == 16


def test_stack_grows_down_to_its_limit(guest: Guest) -> None:
    """A load 8 MiB below the top is part of the stack, one byte further down it is not."""
    process = started(guest, "hello")

    assert uaccess.load(process.task.mm, STACK_TOP - STACK_LIMIT, 1) == b"\0"
    with pytest.raises(Exception, match="SIGSEGV"):
        uaccess.load(process.task.mm, STACK_TOP - STACK_LIMIT - 1, 1)


@pytest.mark.parametrize("argv", [["x" * 131072], ["x" * 100000] * 22], ids=["one", "all"])
def test_execve_too_many_bytes_of_strings_raises_e2big(guest: Guest, argv: list[str]) -> None:
    process = guest.process("shell")
    frames = guest.frames["anonymous"], guest.frames["page table"]
    with pytest.raises(OSError, match="exec:") as failure:
        process.execve("/mnt/bin/hello", argv)

    assert failure.value.errno == errno.E2BIG
    assert (guest.frames["anonymous"], guest.frames["page table"]) == frames


def test_execve_string_with_nul_raises_einval(guest: Guest) -> None:
    with pytest.raises(OSError, match="NUL") as failure:
        guest.process("shell").execve("/mnt/bin/hello", ["hello", "a\0b"])

    assert failure.value.errno == errno.EINVAL


# the heap

def test_brk_grows_and_shrinks(guest: Guest) -> None:
    mm = started(guest, "counter").task.mm
    start = mm.start_brk

    assert sys_brk(mm, 0) == start == COUNTER + 3 * PAGE_SIZE
    assert sys_brk(mm, start + 3 * PAGE_SIZE) == start + 3 * PAGE_SIZE
    uaccess.store(mm, start + 2 * PAGE_SIZE, b"heap")
    assert sys_brk(mm, start + 100) == start + 100
    with pytest.raises(Exception, match="SIGSEGV"):
        uaccess.load(mm, start + 2 * PAGE_SIZE, 1)
    assert sys_brk(mm, start - 1) == start + 100
    assert sys_brk(mm, STACK_TOP) == start + 100


# the task

def test_execve_keeps_number_and_files_but_not_those_to_close(guest: Guest) -> None:
    process = guest.process("a shell")
    kept, closed = process.open("/mnt/etc/motd"), process.open("/mnt/etc/motd")
    process.task.close_on_exec.add(closed)
    pid = process.task.pid
    process.execve("/mnt/bin/hello", ["another name"])

    assert (process.task.comm, process.task.pid) == ("hello", pid)
    assert process.read(kept, 4) == b"This"
    with pytest.raises(OSError, match="is not open"):
        process.read(closed, 1)


def test_setuid_program_runs_as_its_owner(guest: Guest) -> None:
    write_program(guest, (PROGRAMS / "bin/hello").read_bytes(), "/tmp/setuid")
    guest.chmod("/tmp/setuid", 0o4755)
    process = guest.process("shell")
    process.setuid(1000)
    process.execve("/tmp/setuid", ["setuid"])

    assert process.task.cred.fsuid == 0
    assert dict(process.task.mm.saved_auxv)[AT_SECURE] == 1


# refused before anything is lost

def test_execve_failure_leaves_the_task_as_it_was(guest: Guest) -> None:
    process = started(guest, "counter")
    touch(process, COUNTER, b"mine")
    with pytest.raises(OSError, match="no such") as failure:
        process.execve("/mnt/bin/nothing", ["nothing"])

    assert failure.value.errno == errno.ENOENT
    assert uaccess.load(process.task.mm, COUNTER, 4) == b"mine"
    assert (process.task.comm, process.task.fatal) == ("counter", None)


@pytest.mark.parametrize("path", ["/mnt/bin", "/mnt/etc/motd"])
def test_execve_what_is_no_executable_file_raises_eacces(guest: Guest, path: str) -> None:
    with pytest.raises(OSError, match=r".") as failure:
        guest.process("shell").execve(path, ["x"])

    assert failure.value.errno == errno.EACCES


def test_k158_execve_of_a_file_open_for_writing_raises_etxtbsy(guest: Guest) -> None:
    """A file that is open for writing cannot be executed."""
    path = write_program(guest, (PROGRAMS / "bin/hello").read_bytes())
    fd = guest.open(path, O_RDWR)
    with pytest.raises(OSError, match="open for writing") as failure:
        guest.process("shell").execve(path, ["x"])
    guest.close(fd)
    guest.process("shell").execve(path, ["x"])

    assert failure.value.errno == errno.ETXTBSY


def test_k158_open_for_writing_of_a_running_program_raises_etxtbsy(guest: Guest) -> None:
    """A running program cannot be opened for writing, nor truncated; after it ends it can."""
    path = write_program(guest, (PROGRAMS / "bin/hello").read_bytes())
    process = guest.process("shell")
    process.execve(path, ["x"])
    for attempt in (lambda: guest.open(path, O_RDWR), lambda: guest.truncate(path, 0)):
        with pytest.raises(OSError, match="being executed") as failure:
            attempt()
        assert failure.value.errno == errno.ETXTBSY
    process.exit()

    guest.close(guest.open(path, O_RDWR))


def set_ident(index: int, value: int) -> Callable[[Elf64Ehdr, list[Elf64Phdr]], None]:
    def change(ehdr: Elf64Ehdr, phdrs: list[Elf64Phdr]) -> None:
        ehdr.e_ident[index] = value
    return change


def set_header(**values: int) -> Callable[[Elf64Ehdr, list[Elf64Phdr]], None]:
    def change(ehdr: Elf64Ehdr, phdrs: list[Elf64Phdr]) -> None:
        for name, value in values.items():
            setattr(ehdr, name, value)
    return change


def set_segment(index: int, **values: int) -> Callable[[Elf64Ehdr, list[Elf64Phdr]], None]:
    """Change the first (0), second ... PT_LOAD."""
    def change(ehdr: Elf64Ehdr, phdrs: list[Elf64Phdr]) -> None:
        loads = [phdr for phdr in phdrs if phdr.p_type == PT_LOAD]
        for name, value in values.items():
            setattr(loads[index], name, value)
    return change


def set_interp(**values: int) -> Callable[[Elf64Ehdr, list[Elf64Phdr]], None]:
    def change(ehdr: Elf64Ehdr, phdrs: list[Elf64Phdr]) -> None:
        for name, value in values.items():
            setattr(next(phdr for phdr in phdrs if phdr.p_type == PT_INTERP), name, value)
    return change


@pytest.mark.parametrize(("name", "change", "number"), [
    ("hello", set_ident(0, 0), errno.ENOEXEC),
    ("hello", set_ident(4, 1), errno.ENOEXEC),
    ("hello", set_ident(5, 1), errno.ENOEXEC),
    ("hello", set_header(e_machine=62), errno.ENOEXEC),
    ("hello", set_header(e_type=1), errno.ENOEXEC),
    ("hello", set_header(e_type=4), errno.ENOEXEC),
    ("hello", set_header(e_phnum=0), errno.ENOEXEC),
    ("hello", set_header(e_phnum=1171), errno.ENOEXEC),
    ("hello", set_header(e_phentsize=32), errno.ENOEXEC),
    ("hello", set_header(e_phoff=1 << 40), errno.EIO),
    ("hello", set_header(e_phoff=(1 << 64) - 8), errno.EIO),
    ("greet", set_interp(p_filesz=1), errno.ENOEXEC),
    ("greet", set_interp(p_filesz=5000), errno.ENOEXEC),
    ("greet", set_interp(p_filesz=8), errno.ENOEXEC),
    ("greet", set_interp(p_offset=1 << 30), errno.EIO),
], ids=lambda value: errno.errorcode[value] if isinstance(value, int) else None)
def test_execve_bad_header_is_refused_in_time(guest: Guest, name: str, number: int,
                                              change: Callable[[Elf64Ehdr, list[Elf64Phdr]], None]) -> None:
    """Each check before the point of no return has its errno, and the task goes on."""
    frames = guest.frames

    assert refused(guest, program(name, change)) == (number, 0)
    assert guest.frames["anonymous"] == frames["anonymous"]


@pytest.mark.parametrize("content", [b"", b"#", b"\x7fELF", b"text\n" * 100])
def test_execve_of_no_program_raises_enoexec(guest: Guest, content: bytes) -> None:
    assert refused(guest, content) == (errno.ENOEXEC, 0)


@pytest.mark.parametrize(("content", "number"), [(b"x" * 200, errno.ELIBBAD), (b"short", errno.EIO)])
def test_execve_bad_interpreter_is_refused(guest: Guest, content: bytes, number: int) -> None:
    """An interpreter that is no ELF file is ELIBBAD, one shorter than 128 bytes EIO."""
    write_program(guest, content, "/tmp/ld.so")
    greet = (PROGRAMS / "bin/greet").read_bytes().replace(b"/mnt/lib/ld.so", b"//////tmp/ld.so"[1:])

    assert refused(guest, greet) == (number, 0)
    guest.close(guest.open("/tmp/ld.so", O_RDWR))


def test_execve_without_its_interpreter_raises_enoent(guest: Guest) -> None:
    guest.umount("/mnt")

    assert refused(guest, (PROGRAMS / "bin/greet").read_bytes()) == (errno.ENOENT, 0)


# refused when the old memory is gone

@pytest.mark.parametrize(("name", "change", "number", "signo"), [
    ("hello", set_segment(0, p_offset=8), errno.EINVAL, SIGKILL),
    ("hello", set_segment(1, p_vaddr=0x1002008, p_paddr=0x1002008, p_align=8), errno.EINVAL, SIGKILL),
    ("hello", set_segment(0, p_vaddr=STACK_TOP), errno.ENOMEM, SIGKILL),
    ("hello", set_segment(0, p_filesz=1 << 63), errno.ENOMEM, SIGKILL),
    ("hello", set_segment(1, p_filesz=30, p_memsz=20), errno.EINVAL, SIGKILL),
    ("hello", set_segment(1, p_memsz=1 << 50), errno.EINVAL, SIGKILL),
    ("hello", set_header(e_entry=STACK_TOP), errno.EINVAL, SIGSEGV),
    ("counter", set_segment(2, p_flags=4), errno.EFAULT, SIGSEGV),
], ids=["offset", "offset and address", "address", "filesz", "memsz below filesz", "memsz", "entry", "bss"])
def test_execve_bad_segment_ends_the_task(guest: Guest, name: str, number: int, signo: int,
                                          change: Callable[[Elf64Ehdr, list[Elf64Phdr]], None]) -> None:
    """What shows only while the program is mapped is an error and a signal: nothing is left to go on."""
    assert refused(guest, program(name, change)) == (number, signo)


def test_execve_of_any_damaged_program_ends_in_an_errno(guest: Guest) -> None:
    """A thousand programs with random bytes in their headers: loaded or an OSError, soon, and no frame is
    lost."""
    choose = random.Random(4)
    originals = [(PROGRAMS / "bin" / name).read_bytes() for name in ("hello", "counter", "greet", "shout")]
    start, slowest = guest.frames["anonymous"], 0.0
    for _ in range(1000):
        image = bytearray(choose.choice(originals))
        for _ in range(choose.randint(1, 4)):
            image[choose.randrange(4, 64 + 56 * 7)] = choose.choice([0, 1, 128, 255, choose.randrange(256)])
        path = write_program(guest, bytes(image))
        process = guest.process("shell")
        began = time.process_time()
        with suppress(OSError):
            process.execve(path, ["x"])
        process.exit()
        slowest = max(slowest, time.process_time() - began)
        guest.unlink(path)

    assert guest.frames["anonymous"] == start
    assert slowest < 0.5
