"""ELF programs: mapped into the task's memory, segment by segment.

    file of three pages          memory of the task
    | headers, text   | ───────► text      r-x   the file's own frames, for all who run the program
    | constants       | ───────► rodata    r--   likewise
    | variables       | ───────► .data     rw-   likewise, each page until the first store to it: a copy
                                 .bss      rw-   zeros: the rest of the last page of .data, cleared now,
                                                 and so copied now; behind it memory without a file
                                 heap      rw-   behind .bss, by brk()
                                 libraries       from mm.mmap_base on, at random
                                 stack     rw-   strings, auxiliary vector, envp, argv, argc

A segment can be mapped if its offset in the file and its address lie at the same place in a page; any
other is refused, not copied. `ld -N` puts instructions and variables into one segment that may be
stored to: its pages are in place only until the first store to them.

Kernel: v3.6 fs/binfmt_elf.c
Differs: no vdso, no core dumps, no personalities, no randomised stack or heap.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from struct import pack

import numpy as np

from xiplab.errors import SIGKILL, SIGSEGV, Signal
from xiplab.linux.arch.s390 import uaccess
from xiplab.linux.arch.s390.process import start_thread
from xiplab.linux.drivers.random import get_random_bytes
from xiplab.linux.fs.exec import (
    flush_old_exec,
    install_exec_creds,
    kernel_read,
    open_exec,
    release_exec,
    setup_arg_pages,
    setup_new_exec,
)
from xiplab.linux.include.auxvec import (
    AT_BASE,
    AT_CLKTCK,
    AT_EGID,
    AT_ENTRY,
    AT_EUID,
    AT_EXECFN,
    AT_FLAGS,
    AT_GID,
    AT_HWCAP,
    AT_NULL,
    AT_PAGESZ,
    AT_PHDR,
    AT_PHENT,
    AT_PHNUM,
    AT_PLATFORM,
    AT_RANDOM,
    AT_SECURE,
    AT_UID,
)
from xiplab.linux.include.binfmts import BINPRM_BUF_SIZE, LinuxBinfmt, LinuxBinprm
from xiplab.linux.include.elf import (
    ELFMAG,
    ET_DYN,
    ET_EXEC,
    PF_R,
    PF_W,
    PF_X,
    PT_GNU_STACK,
    PT_INTERP,
    PT_LOAD,
    Elf64Ehdr,
    Elf64Phdr,
    elf_check_arch,
)
from xiplab.linux.include.fs import File
from xiplab.linux.include.mm import (
    MAP_DENYWRITE,
    MAP_EXECUTABLE,
    MAP_FIXED,
    MAP_PRIVATE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    MmStruct,
)
from xiplab.linux.mm.mmap import TASK_SIZE, do_brk, do_mmap_pgoff, do_munmap
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SIZE, Vaddr, page_align, pos_to_pgoff

PATH_MAX = 4096
MAX_PHDRS_BYTES = 65536
CLOCKS_PER_SEC = 100
ELF_HWCAP = 3
"""Two bits: the instructions of ESA/390 N3, and z/Architecture."""
ELF_PLATFORM = b"z900"
PROGRAM_FLAGS = MAP_PRIVATE | MAP_DENYWRITE | MAP_EXECUTABLE
ELF_PROT = {PF_R: PROT_READ, PF_W: PROT_WRITE, PF_X: PROT_EXEC}
WORD_MASK = (1 << 64) - 1


@dataclass
class Extent:
    """Where the segments of a file came to lie.

    Attributes:
        bias: how far from the addresses in the file. first: where the file's first byte would be.
        bss: end of what the file holds. brk: end of all.
    """

    bias: int = 0
    first: int = 0
    start_code: int = TASK_SIZE
    end_code: int = 0
    start_data: int = 0
    end_data: int = 0
    bss: int = 0
    brk: int = 0

    def add(self, phdr: Elf64Phdr) -> None:
        """One more segment."""
        start = phdr.p_vaddr + self.bias
        in_file, in_memory = start + phdr.p_filesz, start + phdr.p_memsz
        self.start_code = min(self.start_code, start)
        self.start_data = max(self.start_data, start)
        if phdr.p_flags & PF_X:
            self.end_code = max(self.end_code, in_file)
        self.end_data = max(self.end_data, in_file)
        self.bss = max(self.bss, in_file)
        self.brk = max(self.brk, in_memory)


@dataclass
class Interpreter:
    """The dynamic linker that a program asks for."""

    file: File
    ehdr: Elf64Ehdr


def page_start(address: int) -> int:
    return address & ~(PAGE_SIZE - 1)


def is_elf(ehdr: Elf64Ehdr) -> bool:
    return bytes(ehdr.e_ident[:4]) == ELFMAG and elf_check_arch(ehdr)


def is_program(ehdr: Elf64Ehdr, filp: File) -> bool:
    """Whether it is a program or a shared object, in a file that can be mapped."""
    return ehdr.e_type in (ET_EXEC, ET_DYN) and filp.f_op.mmap is not None


def set_brk(mm: MmStruct, start: int, end: int) -> None:
    """Memory for the whole pages of .bss; the heap begins behind them."""
    start, end = page_align(start), page_align(end)
    if end > start:
        do_brk(mm, start, end - start)
    mm.start_brk = mm.brk = Vaddr(end)


def padzero(mm: MmStruct, bss: int) -> None:
    """Clear the rest of the page in which .bss begins. In a private mapping that copies the page.

    Raises:
        Signal: if the page cannot be stored to.
    """
    if bss % PAGE_SIZE:
        uaccess.store(mm, bss, bytes(page_align(bss) - bss))


def create_elf_tables(bprm: LinuxBinprm, ehdr: Elf64Ehdr, extent: Extent, base: int) -> None:
    """Put argc, argv[], envp[] and the auxiliary vector on the stack, and what they point to.

        start_stack  argc | argv... 0 | envp... 0 | (type, value)... (AT_NULL, 0) | 16 random bytes,
                     platform | strings of argv | of envp | file name | 0 (8 bytes)

    Args:
        base: where the interpreter is mapped, or 0.
    """
    mm, cred = bprm.task.mm, bprm.task.cred
    platform = (bprm.p & ~15) - len(ELF_PLATFORM) - 1
    at_random = platform - 16
    uaccess.store(mm, at_random, get_random_bytes(mm.kernel, 16) + ELF_PLATFORM + b"\0")
    mm.saved_auxv = [
        (AT_HWCAP, ELF_HWCAP), (AT_PAGESZ, PAGE_SIZE), (AT_CLKTCK, CLOCKS_PER_SEC),
        (AT_PHDR, extent.first + ehdr.e_phoff), (AT_PHENT, Elf64Phdr.dtype.itemsize),
        (AT_PHNUM, ehdr.e_phnum), (AT_BASE, base), (AT_FLAGS, 0), (AT_ENTRY, extent.bias + ehdr.e_entry),
        (AT_UID, cred.fsuid), (AT_EUID, cred.fsuid), (AT_GID, cred.fsgid), (AT_EGID, cred.fsgid),
        (AT_SECURE, int(bprm.secureexec)), (AT_RANDOM, at_random), (AT_EXECFN, bprm.exec),
        (AT_PLATFORM, platform), (AT_NULL, 0)]
    argv, mm.arg_end = addresses(mm.arg_start, bprm.argv)
    envp, mm.env_end = addresses(mm.arg_end, bprm.envp)
    words = [len(argv), *argv, 0, *envp, 0, *(word for entry in mm.saved_auxv for word in entry)]
    mm.start_stack = bprm.p = Vaddr(at_random - 8 * len(words) & ~15)
    uaccess.store(mm, bprm.p, pack(f">{len(words)}Q", *(word & WORD_MASK for word in words)))


def addresses(start: Vaddr, strings: Sequence[bytes]) -> tuple[list[Vaddr], Vaddr]:
    """Where strings lie that follow each other from `start` on, and where they end."""
    ends = [Vaddr(end) for end in accumulate((len(string) + 1 for string in strings), initial=start)]
    return ends[:-1], ends[-1]


def elf_map(mm: MmStruct, filp: File, addr: int, phdr: Elf64Phdr, flags: int, total_bytes: int = 0) -> int:
    """Map what the file holds of a segment; returns where.

    Args:
        total_bytes: find room for this much, although only the segment is mapped there now.
    Raises:
        OSError: EINVAL if offset and address do not lie at the same place in a page; ENOMEM no room.
    """
    in_page = phdr.p_vaddr % PAGE_SIZE
    size, offset, addr = page_align(phdr.p_filesz + in_page), phdr.p_offset - in_page, page_start(addr)
    if not size:
        return addr
    if offset % PAGE_SIZE:
        raise OSError(errno.EINVAL, f"{filp}: byte {phdr.p_offset:#x} cannot be at {phdr.p_vaddr:#x}")
    prot = sum(prot for flag, prot in ELF_PROT.items() if phdr.p_flags & flag)
    vma = do_mmap_pgoff(mm, filp, addr, total_bytes or size, prot, flags, pos_to_pgoff(offset))
    start = vma.vm_start
    if page_align(total_bytes) > size:
        do_munmap(mm, start + size, page_align(total_bytes) - size)
    return start


def total_mapping_size(loads: list[Elf64Phdr]) -> int:
    """Bytes from the start of the first segment to the end of the last one."""
    return loads[-1].p_vaddr + loads[-1].p_memsz - page_start(loads[0].p_vaddr)


def elf_phdrs(filp: File, ehdr: Elf64Ehdr) -> list[Elf64Phdr]:
    """The program headers.

    Raises:
        OSError: ENOEXEC another size of entry, none at all or more than 64 KiB of them; EIO the file
            ends before they do.
    """
    entry = Elf64Phdr.dtype.itemsize
    size = ehdr.e_phnum * entry
    if ehdr.e_phentsize != entry or not 0 < size <= MAX_PHDRS_BYTES:
        raise OSError(errno.ENOEXEC, f"{filp}: {ehdr.e_phnum} program headers of {ehdr.e_phentsize} bytes")
    table = read_exactly(filp, ehdr.e_phoff, size)
    return [Elf64Phdr(table, offset) for offset in range(0, size, entry)]


def read_exactly(filp: File, offset: int, count: int) -> Bytes:
    """Raises OSError EIO if the file has less."""
    data = kernel_read(filp, offset, count) if offset < 1 << 63 else b""
    if len(data) != count:
        raise OSError(errno.EIO, f"{filp}: {len(data)} of {count} bytes at {offset:#x}")
    return np.frombuffer(data, np.uint8)


def check_segment(phdr: Elf64Phdr, filp: File) -> None:
    """Raises OSError EINVAL for a segment that no address space has room for."""
    if phdr.p_filesz > phdr.p_memsz or phdr.p_vaddr >= TASK_SIZE or phdr.p_vaddr + phdr.p_memsz > TASK_SIZE:
        raise OSError(errno.EINVAL, f"{filp}: {phdr.p_memsz:#x} bytes at {phdr.p_vaddr:#x} "
                                    f"({phdr.p_filesz:#x} of them in the file)")


def load_elf_interp(mm: MmStruct, interpreter: Interpreter) -> int:
    """Map the dynamic linker; returns how far it lies from the addresses in its file.

    Raises:
        OSError: EINVAL no program or nothing to map; as elf_phdrs, elf_map and check_segment.
    """
    filp, ehdr = interpreter.file, interpreter.ehdr
    loads = [phdr for phdr in elf_phdrs(filp, ehdr) if phdr.p_type == PT_LOAD]
    if not is_program(ehdr, filp) or not loads or total_mapping_size(loads) <= 0:
        raise OSError(errno.EINVAL, f"{filp}: nothing to map")
    extent = map_segments(mm, filp, ehdr, loads, total_mapping_size(loads))
    if extent.brk > extent.bss:
        padzero(mm, extent.bss)
        bss = page_align(extent.bss)
        do_brk(mm, bss, max(extent.brk - bss, 0))
    return extent.bias


def map_segments(mm: MmStruct, filp: File, ehdr: Elf64Ehdr, loads: list[Elf64Phdr],
                 total_bytes: int = 0) -> Extent:
    """Map the segments of a file: a program at its addresses, a shared object where there is room.

    Raises:
        OSError: as elf_map and check_segment. Signal: as padzero.
    """
    extent, flags = Extent(), PROGRAM_FLAGS | (MAP_FIXED if ehdr.e_type == ET_EXEC else 0)
    for phdr in loads:
        if extent.brk > extent.bss:
            bss = page_align(extent.bss)
            padzero(mm, extent.bss)
            do_brk(mm, bss, max(extent.brk - bss, 0))
        mapped = elf_map(mm, filp, phdr.p_vaddr + extent.bias, phdr, flags, total_bytes)
        check_segment(phdr, filp)
        if phdr is loads[0]:
            extent.bias = mapped - page_start(phdr.p_vaddr) if ehdr.e_type == ET_DYN else 0
            extent.first = extent.bias + phdr.p_vaddr - phdr.p_offset
            flags, total_bytes = flags | MAP_FIXED, 0
        extent.add(phdr)
    return extent


def open_interpreter(bprm: LinuxBinprm, phdrs: list[Elf64Phdr]) -> Interpreter | None:
    """The file that PT_INTERP names, if there is such a header.

    Raises:
        OSError: ENOEXEC no proper name; EIO a name or a file that is too short; as open_exec.
    """
    phdr = next((phdr for phdr in phdrs if phdr.p_type == PT_INTERP), None)
    if phdr is None:
        return None
    if not 2 <= phdr.p_filesz <= PATH_MAX:
        raise OSError(errno.ENOEXEC, f"{bprm.file}: an interpreter's name of {phdr.p_filesz} bytes")
    name = read_exactly(bprm.file, phdr.p_offset, phdr.p_filesz).tobytes()
    if name[-1]:
        raise OSError(errno.ENOEXEC, f"{bprm.file}: an interpreter's name without an end")
    filp = open_exec(bprm.task, name.split(b"\0")[0])
    try:
        return Interpreter(filp, Elf64Ehdr(read_exactly(filp, 0, BINPRM_BUF_SIZE)))
    except OSError:
        release_exec(filp)
        raise


def load_elf_binary(bprm: LinuxBinprm) -> None:
    """Load an ELF program. When the task runs next, it begins there (or in its dynamic linker).

    Raises:
        OSError: ENOEXEC no ELF program of this machine; ELIBBAD an interpreter that is none; as
            elf_phdrs and open_interpreter. After the point of no return the task has SIGKILL or SIGSEGV
            on its way, too: EINVAL, ENOMEM, EFAULT.
    """
    ehdr = Elf64Ehdr(np.frombuffer(bprm.buf, np.uint8))
    if not is_elf(ehdr) or not is_program(ehdr, bprm.file):
        raise OSError(errno.ENOEXEC, f"{os.fsdecode(bprm.filename)}: no ELF program for s390x")
    phdrs = elf_phdrs(bprm.file, ehdr)
    interpreter = open_interpreter(bprm, phdrs)
    try:
        if interpreter is not None and not is_elf(interpreter.ehdr):
            raise OSError(errno.ELIBBAD, f"{interpreter.file}: no ELF interpreter for s390x")
        flush_old_exec(bprm)
        setup_new_exec(bprm)
        with no_way_back(bprm, SIGKILL):
            become(bprm, ehdr, phdrs, interpreter)
    finally:
        if interpreter is not None:
            release_exec(interpreter.file)


def become(bprm: LinuxBinprm, ehdr: Elf64Ehdr, phdrs: list[Elf64Phdr],
           interpreter: Interpreter | None) -> None:
    """Fill the new address space, and let the task begin there. Kernel: second half of load_elf_binary()"""
    mm = bprm.task.mm
    setup_arg_pages(bprm, executable_stack(phdrs))
    extent = map_segments(mm, bprm.file, ehdr, [phdr for phdr in phdrs if phdr.p_type == PT_LOAD])
    set_brk(mm, extent.bss, extent.brk)
    if extent.bss != extent.brk:
        padzero(mm, extent.bss)
    base, entry = 0, extent.bias + ehdr.e_entry
    with no_way_back(bprm, SIGSEGV):
        if interpreter is not None:
            base = load_elf_interp(mm, interpreter)
            entry = base + interpreter.ehdr.e_entry
        if not 0 <= entry < TASK_SIZE:
            raise OSError(errno.EINVAL, f"{bprm.file}: begins at {entry:#x}")
    install_exec_creds(bprm)
    create_elf_tables(bprm, ehdr, extent, base)
    mm.start_code, mm.end_code = Vaddr(extent.start_code), Vaddr(extent.end_code)
    mm.start_data, mm.end_data = Vaddr(extent.start_data), Vaddr(extent.end_data)
    start_thread(bprm.task, Vaddr(entry), mm.start_stack)


def executable_stack(phdrs: list[Elf64Phdr]) -> bool:
    """What PT_GNU_STACK says; without it, what is usual on s390: not executable."""
    return any(phdr.p_type == PT_GNU_STACK and phdr.p_flags & PF_X for phdr in phdrs)


@contextmanager
def no_way_back(bprm: LinuxBinprm, signo: int) -> Iterator[None]:
    """An error in here ends the task: it has no memory to go back to."""
    try:
        yield
    except Signal as signal:
        bprm.task.fatal = signal
        raise OSError(errno.EFAULT, f"{os.fsdecode(bprm.filename)}: {signal}") from signal
    except OSError as error:
        bprm.task.fatal = bprm.task.fatal or Signal(signo, 0, f"{error.strerror}")
        raise


elf_format = LinuxBinfmt(name="elf_format", load_binary=load_elf_binary)
