"""DAT tables are real: what the kernel writes, the machine's translation reads."""

import errno

import numpy as np
import pytest

from xiplab import MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, O_CREAT, O_RDWR, PROT_READ, PROT_WRITE, ZVM, Guest
from xiplab.errors import PAGE_TRANSLATION, PROTECTION, SIGBUS, SIGSEGV, ProgramInterruption, Signal
from xiplab.hw import dat
from xiplab.hw.memory import CHANGE, REFERENCE
from xiplab.linux.arch.s390 import uaccess
from xiplab.linux.mm.mmap import do_munmap, find_vma
from xiplab.units import PAGE_SIZE


@pytest.fixture
def guest() -> Guest:
    return ZVM().logon("LINUX1")


def make_file(guest: Guest, content: bytes) -> int:
    fd = guest.open("/tmp/file", O_CREAT | O_RDWR)
    guest.write(fd, content)
    return fd


def test_translate_follows_the_tables_that_the_kernel_wrote(guest: Guest) -> None:
    memory = guest.mmap(-1, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    memory[PAGE_SIZE] = 0x5A

    paddr = dat.translate(guest.kernel.memory, memory.mm.asce, memory.vaddr + PAGE_SIZE, "load")

    assert guest.kernel.memory.view(paddr, 1)[0] == 0x5A
    assert paddr >> 12 == memory.pfn(1)


def test_translate_untouched_page_is_a_page_translation_exception(guest: Guest) -> None:
    memory = guest.mmap(-1, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    assert memory[0] == 0

    with pytest.raises(ProgramInterruption) as caught:
        dat.translate(guest.kernel.memory, memory.mm.asce, memory.vaddr + PAGE_SIZE, "load")

    assert caught.value.code == PAGE_TRANSLATION


def test_translate_store_to_protected_page_is_a_protection_exception(guest: Guest) -> None:
    fd = make_file(guest, b"text")
    memory = guest.mmap(fd, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE)
    assert memory[0] == ord("t")

    with pytest.raises(ProgramInterruption) as caught:
        dat.translate(guest.kernel.memory, memory.mm.asce, memory.vaddr, "store")

    assert caught.value.code == PROTECTION


def test_storage_key_notes_use_and_change(guest: Guest) -> None:
    """The machine's own record, frame by frame: s390 has no such bits in its page tables."""
    fd = make_file(guest, b"text")
    memory = guest.mmap(fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED)
    assert memory[0] == ord("t")
    pfn = memory.pfn()
    assert pfn is not None
    assert guest.kernel.memory.keys[pfn] == REFERENCE

    memory[0] = ord("n")

    assert guest.kernel.memory.reset_reference_bit(pfn) == REFERENCE | CHANGE
    assert guest.kernel.memory.keys[pfn] == CHANGE


def test_access_outside_every_area_is_sigsegv(guest: Guest) -> None:
    with pytest.raises(Signal, match="SIGSEGV") as caught:
        uaccess.load(guest.task.mm, 0x1234000, 1)

    assert caught.value.signo == SIGSEGV


def test_store_to_read_only_area_is_sigsegv(guest: Guest) -> None:
    memory = guest.mmap(make_file(guest, b"text"), 4, PROT_READ, MAP_SHARED)

    with pytest.raises(Signal) as caught:
        memory[0] = 1

    assert caught.value.signo == SIGSEGV


def test_access_beyond_the_last_page_of_the_file_is_sigbus(guest: Guest) -> None:
    memory = guest.mmap(make_file(guest, b"text"), 2 * PAGE_SIZE, PROT_READ, MAP_SHARED)

    with pytest.raises(Signal) as caught:
        memory[PAGE_SIZE]

    assert caught.value.signo == SIGBUS


def test_shared_mapping_shows_the_page_cache_frame_itself(guest: Guest) -> None:
    fd = make_file(guest, b"text")
    memory = guest.mmap(fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED)
    page = guest.task.files[fd].f_mapping.pages[0]  # type: ignore[union-attr,index]

    assert np.shares_memory(memory.frame(), page.frame)
    memory[0:4] = b"TEXT"
    assert guest.pread(fd, 4, 0) == b"TEXT"


def test_private_mapping_is_copied_by_the_first_store(guest: Guest) -> None:
    """The file keeps its bytes; the mapping no longer follows the file."""
    fd = make_file(guest, b"text")
    memory = guest.mmap(fd, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE)
    memory[0] = ord("n")

    assert guest.pread(fd, 4, 0) == b"text"
    guest.pwrite(fd, b"TEXT", 0)
    assert memory[:] == b"next"


def test_munmap_in_the_middle_splits_the_area_and_keeps_the_ends(guest: Guest) -> None:
    memory = guest.mmap(-1, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    memory[0], memory[3 * PAGE_SIZE] = 1, 4
    memory[PAGE_SIZE] = 2

    do_munmap(guest.task.mm, memory.vaddr + PAGE_SIZE, 2 * PAGE_SIZE)

    assert (memory[0], memory[3 * PAGE_SIZE]) == (1, 4)
    assert find_vma(guest.task.mm, memory.vaddr + PAGE_SIZE) is None
    assert guest.frames["anonymous"] == 2


def test_close_gives_every_private_frame_back(guest: Guest) -> None:
    before = guest.frames
    memory = guest.mmap(-1, 300 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    memory[:] = bytes(300 * PAGE_SIZE)
    assert guest.frames["anonymous"] == 300

    memory.close()

    assert guest.frames["anonymous"] == before["anonymous"]
    with pytest.raises(OSError, match="unmapped") as caught:
        memory[0]
    assert caught.value.errno == errno.EFAULT


def test_exit_gives_tables_and_files_back(guest: Guest) -> None:
    before = guest.frames
    other = guest.process("other")
    fd = other.open("/tmp/new", O_CREAT | O_RDWR)
    other.write(fd, b"x")
    other.mmap(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED)[0] = 1

    other.exit()

    assert guest.frames["page table"] == before["page table"]
    assert guest.cat("/tmp/new") == b"\x01"


def test_fifty_tasks_map_one_file_on_the_same_frame(guest: Guest) -> None:
    make_file(guest, b"shared")
    frames = set()
    for number in range(50):
        task = guest.process(f"task{number}")
        memory = task.mmap(task.open("/tmp/file"), 6, PROT_READ, MAP_SHARED)
        assert memory[:] == b"shared"
        frames.add(memory.pfn())

    assert len(frames) == 1
    assert guest.frames["page cache"] == 1
