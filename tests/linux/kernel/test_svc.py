"""System calls with the arguments that programs give: registers and addresses."""

from __future__ import annotations

import errno
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from xiplab import (
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    O_APPEND,
    O_CREAT,
    O_RDWR,
    PAGE_SIZE,
    PROT_READ,
    PROT_WRITE,
    ZVM,
    Guest,
    Mapping,
    Process,
)
from xiplab.linux.include.mm import MAP_FIXED, MAP_SHARED
from xiplab.linux.include.sched import Task
from xiplab.linux.include.stat import UserStat
from xiplab.linux.include.tty import TtyStruct
from xiplab.linux.mm.mmap import find_vma

EXIT, READ, WRITE, OPEN, CLOSE, EXECVE, LSEEK, GETPID, DUP, BRK, DUP2 = 1, 3, 4, 5, 6, 11, 19, 20, 41, 45, 63
MMAP, MUNMAP, FSTAT, MPROTECT, READV, WRITEV, PREAD, PWRITE = 90, 91, 108, 125, 145, 146, 180, 181
EXIT_GROUP = 248
NOWHERE = 0x1000
MEMORY = 2 * PAGE_SIZE
MINUS_1 = (1 << 64) - 1


class Program:
    """A task that makes system calls, with two pages of memory for their arguments."""

    def __init__(self, guest: Guest) -> None:
        self.process: Process = guest.process("program")
        self.task: Task = self.process.task
        self.memory: Mapping = self.process.mmap(-1, MEMORY, PROT_READ | PROT_WRITE,
                                                 MAP_PRIVATE | MAP_ANONYMOUS)

    def __call__(self, number: int, *arguments: int) -> int | None:
        """The result, or -errno."""
        registers = [argument & MINUS_1 for argument in arguments] + [0] * (6 - len(arguments))
        try:
            return self.task.kernel.sys_call_table[number](self.task, *registers)
        except OSError as error:
            return -(error.errno or 0)

    def put(self, content: bytes, at: int = 0) -> int:
        """Store something there; returns its address."""
        self.memory[at:at + len(content)] = content
        return self.memory.vaddr + at


@pytest.fixture
def guest() -> Guest:
    guest = ZVM().logon("LINUX1")
    guest.echo("in the file", "/tmp/file")
    return guest


@pytest.fixture
def call(guest: Guest) -> Program:
    return Program(guest)


@pytest.fixture
def fd(call: Program) -> int:
    opened = call(OPEN, call.put(b"/tmp/file\0"), O_RDWR)
    assert opened is not None
    return opened


def test_open_reads_its_name_across_pages(call: Program) -> None:
    """A name may lie on two pages, and must end before memory does."""
    assert call(OPEN, call.put(b"/tmp/file\0", PAGE_SIZE - 5), 0) == 0
    assert call(OPEN, call.put(b"/tmp/file", MEMORY - 9), 0) == -errno.EFAULT
    assert call(OPEN, NOWHERE, 0) == -errno.EFAULT
    assert call(OPEN, call.put(b"x" * PAGE_SIZE, 8), 0) == -errno.ENAMETOOLONG
    assert call(OPEN, call.put(b"/nothing\0"), 0) == -errno.ENOENT


def test_read_and_write_move_bytes_of_the_program(call: Program, fd: int) -> None:
    assert call(READ, fd, call.memory.vaddr + 100, 6) == 6
    assert call.memory[100:106] == b"in the"
    assert call(WRITE, fd, call.put(b"-"), 1) == 1
    assert call(LSEEK, fd, -1, 1) == 6
    assert call(LSEEK, fd, -100, 1) == -errno.EINVAL
    assert call(PREAD, fd, call.memory.vaddr, 7, 0) == 7
    assert call.memory[:7] == b"in the-"
    assert call(PWRITE, fd, call.put(b"I"), 1, 0) == 1
    assert call(LSEEK, fd, 0, 1) == 6


@pytest.mark.parametrize("number", [READ, WRITE, PREAD, PWRITE])
def test_address_of_nothing_is_efault(call: Program, fd: int, number: int) -> None:
    assert call(number, fd, NOWHERE, 5, 0) == -errno.EFAULT


@pytest.mark.parametrize("number", [READ, WRITE, CLOSE, LSEEK, FSTAT, PREAD, PWRITE, READV, WRITEV, DUP])
def test_descriptor_that_is_closed_is_ebadf(call: Program, number: int) -> None:
    assert call(number, 77, call.memory.vaddr, 1) == -errno.EBADF
    assert call(number, -1, call.memory.vaddr, 1) == -errno.EBADF


def test_count_that_is_negative_is_einval(call: Program, fd: int) -> None:
    assert call(READ, fd, call.memory.vaddr, -1) == -errno.EINVAL
    assert call(PREAD, fd, call.memory.vaddr, 1, -1) == -errno.EINVAL


def test_write_beyond_the_programs_memory_writes_what_is_there(call: Program, fd: int) -> None:
    assert call(WRITE, fd, call.put(b"end", MEMORY - 3), 100) == 3


def test_append_leaves_the_position_at_the_end(call: Program, guest: Guest) -> None:
    fd = call(OPEN, call.put(b"/tmp/file\0"), O_RDWR | O_APPEND)
    assert fd is not None
    call(WRITE, fd, call.put(b"more"), 4)

    assert call(LSEEK, fd, 0, 1) == 16
    assert guest.cat("/tmp/file") == b"in the file\nmore"


def test_vectors_are_addresses_and_lengths(call: Program, guest: Guest) -> None:
    fd = call(OPEN, call.put(b"/tmp/new\0"), O_RDWR | O_CREAT, 0o644)
    assert fd is not None
    one, two = call.put(b"Hello, ", 100), call.put(b"vectors", 200)
    vector = call.put(struct.pack(">4Q", one, 7, two, 7), 300)

    assert call(WRITEV, fd, vector, 2) == 14
    assert guest.cat("/tmp/new") == b"Hello, vectors"
    assert call(LSEEK, fd, 0, 0) == 0
    assert call(READV, fd, call.put(struct.pack(">4Q", two, 2, one, 5), 300), 2) == 7
    assert (call.memory[200:202], call.memory[100:105]) == (b"He", b"llo, ")
    assert call(WRITEV, fd, NOWHERE, 1) == -errno.EFAULT
    assert call(WRITEV, fd, vector, 1025) == -errno.EINVAL
    assert call(WRITEV, fd, vector, -1) == -errno.EINVAL


def test_fstat_fills_the_structure(call: Program, guest: Guest, fd: int) -> None:
    assert call(FSTAT, fd, call.memory.vaddr) == 0
    stat, expected = UserStat(call.memory.frame()), guest.stat("/tmp/file")

    assert (stat.st_ino, stat.st_mode, stat.st_size) == (expected.st_ino, expected.st_mode, 12)
    assert stat.st_mtime * 10**9 + stat.st_mtime_nsec == expected.st_mtime_ns
    assert call(FSTAT, fd, NOWHERE) == -errno.EFAULT


def test_mmap_takes_six_words(call: Program, fd: int) -> None:
    words = call.put(struct.pack(">6Q", 0, 12, PROT_READ, MAP_SHARED, fd, 0))
    address = call(MMAP, words)
    assert address is not None

    vma = find_vma(call.task.mm, address)
    assert vma is not None
    assert vma.vm_file is call.task.files[fd]
    assert call(MPROTECT, address, PAGE_SIZE, 0) == 0
    assert call(MUNMAP, address, PAGE_SIZE) == 0
    assert find_vma(call.task.mm, address) is None
    for wrong, number in (((0, 12, PROT_READ, MAP_SHARED, fd, 1), errno.EINVAL),
                          ((0, 12, PROT_READ, MAP_SHARED, 77, 0), errno.EBADF),
                          ((0, 0, PROT_READ, MAP_SHARED, fd, 0), errno.EINVAL),
                          ((1, 12, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0), errno.EINVAL),
                          ((0, MINUS_1, PROT_READ, MAP_SHARED, fd, 0), errno.ENOMEM)):
        assert call(MMAP, call.put(struct.pack(">6Q", *wrong))) == -number
    assert call(MMAP, NOWHERE) == -errno.EFAULT


def test_mapping_over_a_mapping_lets_go_of_its_file(call: Program, fd: int) -> None:
    """MAP_FIXED over a mapped file: the file has one user less."""
    filp = call.task.files[fd]
    assert filp is not None
    address = call(MMAP, call.put(struct.pack(">6Q", 0, 12, PROT_READ, MAP_SHARED, fd, 0)))
    assert address is not None
    before = filp.f_count
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
    call(MMAP, call.put(struct.pack(">6Q", address, PAGE_SIZE, PROT_READ, flags, MINUS_1, 0)))

    assert filp.f_count == before - 1


def test_dup_shares_the_position(call: Program, fd: int) -> None:
    other = call(DUP, fd)
    assert other is not None
    call(READ, fd, call.memory.vaddr, 6)

    assert call(LSEEK, other, 0, 1) == 6
    assert call(DUP2, fd, other + 3) == other + 3


def test_terminal_has_no_position(call: Program, guest: Guest) -> None:
    process = guest.process("with a terminal")
    process.task.tty = TtyStruct()
    process.open("/dev/tty")
    call.task.files[:] = process.task.files

    assert call(LSEEK, 0, 0, 0) == -errno.ESPIPE
    assert call(PREAD, 0, call.memory.vaddr, 1, 0) == -errno.ESPIPE


def test_open_of_a_terminal_without_one_is_enxio(call: Program) -> None:
    call.task.kernel.current = call.task

    assert call(OPEN, call.put(b"/dev/tty\0"), 0) == -errno.ENXIO


def test_getpid_and_brk(call: Program) -> None:
    assert call(GETPID) == call.task.pid
    assert call(BRK, 0) == 0


def test_exit_keeps_eight_bits_of_the_status(call: Program) -> None:
    call(EXIT_GROUP, 0x1234)

    assert (call.task.ended, call.task.exit_code) == (True, 0x3400)


def test_execve_reads_arrays_of_strings(call: Program, guest: Guest) -> None:
    """What it answers is the new program's: there is no result."""
    program = (Path(__file__).parents[3] / "xiplab/data/programs/bin/hello").read_bytes()
    fd = guest.open("/tmp/hello", O_CREAT | O_RDWR, 0o755)
    guest.write(fd, program)
    guest.close(fd)
    name, word = call.put(b"/tmp/hello\0"), call.put(b"word\0", 100)
    argv = call.put(struct.pack(">3Q", name, word, 0), 200)

    assert call(EXECVE, NOWHERE, argv, argv + 16) == -errno.EFAULT
    assert call(EXECVE, name, NOWHERE, argv + 16) == -errno.EFAULT
    assert call(EXECVE, name, argv, argv + 16) is None
    assert call.task.comm == "hello"
    assert call.task.regs.gprs[15] == call.task.mm.start_stack


@pytest.mark.skipif(shutil.which("s390x-linux-gnu-gcc") is None, reason="no cross compiler for s390x")
def test_structure_of_stat_is_the_headers(tmp_path: Path) -> None:
    """Size and offsets as in asm/stat.h, for a 64-bit program."""
    fields = UserStat.dtype.fields
    assert fields is not None
    checks = [f"_Static_assert(__builtin_offsetof(struct stat, {name}) == {fields[name][1]}, \"{name}\");"
              for name in fields if name.startswith("st_")]
    source = tmp_path / "stat.c"
    source.write_text("#include <asm/stat.h>\n" + "\n".join(checks)
                      + f"\n_Static_assert(sizeof(struct stat) == {UserStat.dtype.itemsize}, \"size\");\n")

    subprocess.run(["s390x-linux-gnu-gcc", "-fsyntax-only", source], check=True, timeout=60)
