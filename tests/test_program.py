"""Programs run in guests: what they print and end with, in place and through the page cache, as in qemu."""

from __future__ import annotations

import errno
import random
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from program_runs import RUNS, TEXT, build, needs_compiler, needs_qemu, shipped_folder

from xiplab import (
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    O_CREAT,
    O_WRONLY,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    ZVM,
    Guest,
    MiB,
    Process,
    Recording,
)
from xiplab.errors import SIGXCPU
from xiplab.host.emulator import run_in
from xiplab.linux.arch.s390.entry import resume
from xiplab.linux.arch.s390.process import start_thread
from xiplab.linux.drivers.tty import LIMIT
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.linux.mm.memory import follow_pfn
from xiplab.ondisk import Bytes
from xiplab.tools.programs import PROGRAMS, make_image, programs_image
from xiplab.units import Pfn, Sector, Vaddr

SIGN = bytes.fromhex("a729002e 07fe")
"""In the library: lghi %r2,'.' and br %r14."""


def boot(vm: ZVM, name: str = "LINUX1") -> Guest:
    guest = vm.logon(name)
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    return with_text(guest)


def with_text(guest: Guest) -> Guest:
    write_file(guest, "/text", TEXT)
    return guest


def write_file(guest: Guest, path: str, content: bytes) -> None:
    fd = guest.open(path, O_CREAT | O_WRONLY, 0o755)
    guest.write(fd, content)
    guest.close(fd)


def machine(image: bytes) -> ZVM:
    vm = ZVM()
    vm.segment("SHLIB", size=2 * MiB, type="SW", at=0x10000000)
    vm.load("SHLIB", image)
    return vm


@pytest.fixture
def vm() -> ZVM:
    return machine(programs_image())


@pytest.fixture
def guest(vm: ZVM) -> Guest:
    return boot(vm)


@pytest.fixture(scope="module", params=["in place", "scattered", "page cache"])
def any_guest(request: pytest.FixtureRequest) -> Guest:
    """The programs in place, in place from blocks in no order, and through the page cache."""
    if request.param == "page cache":
        guest = ZVM().logon("LINUX1")
        guest.add_disk("sda", programs_image())
        guest.mount("/dev/sda", "/mnt", "ext2", "ro")
        return with_text(guest)
    if request.param == "in place":
        return boot(machine(programs_image()))
    return boot(machine(make_image(scatter=7)))


@pytest.mark.parametrize("command", RUNS)
def test_program_prints_and_ends_as_it_should(any_guest: Guest, command: str) -> None:
    done = any_guest.exec(command)

    assert (done.printed, done.status) == RUNS[command]


@needs_qemu
@pytest.mark.parametrize("command", [
    "calls", "stack", "stack a bc", "crc mnt/bin/crc mnt/lib/ld.so", "heap 200", "sieve 65536",
    "greet A B C D E", "cat -m mnt/bin/cat", "jump", "wild"])
def test_program_does_what_it_does_in_qemu(guest: Guest, tmp_path: Path, command: str) -> None:
    """The same output, in any order for the auxiliary vector, and the same status or signal."""
    expected, status = run_in(shipped_folder(tmp_path), command)
    done = guest.exec(command)

    assert sorted(done.printed.splitlines()) == sorted(expected.splitlines())
    assert done.status == status


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("march", ["z900", "z10", "zEC12"])
def test_programs_built_anew_do_the_same(tmp_path: Path, march: str) -> None:
    """Also with the instructions of later machines."""
    guest = boot(machine(make_image(build(tmp_path, march))))
    ended = {command: guest.exec(command) for command in RUNS}

    assert {command: (done.printed, done.status) for command, done in ended.items()} == RUNS


@needs_compiler
def test_program_linked_by_ld_n_is_in_place_until_it_stores(guest: Guest, tmp_path: Path) -> None:
    """`ld -N` makes one page of counter, of instructions and variables: .bss begins in it, so exec() has to
    clear a part of it. It is copied, and the program runs from the copy. hello has nothing to store."""
    for name in ("counter", "hello"):
        link_by_n(tmp_path, name)
        write_file(guest, f"/tmp/{name}", (tmp_path / name).read_bytes())
    counter, hello = guest.exec("/tmp/counter"), guest.exec("/tmp/hello xip")

    assert (counter.output, hello.output) == ("data 42, bss 1, far 1\n", "Hello, xip.\n")
    assert (counter.faults["copy on write"], hello.faults["copy on write"]) == (1, 0)
    assert (counter.faults["page cache"], hello.faults["page cache"]) == (0, 1)


def link_by_n(folder: Path, name: str) -> None:
    """Build a program with all it has in one segment."""
    sources = [PROGRAMS / "start.S", PROGRAMS / f"{name}.c"]
    options = ["-O2", "-march=z900", "-ffreestanding", "-fno-asynchronous-unwind-tables", "-nostdlib",
               "-static", "-no-pie", "-s", "-Wl,-N,--no-warn-rwx-segments,--build-id=none"]
    subprocess.run(["s390x-linux-gnu-gcc", *options, "-o", folder / name, *sources], check=True, timeout=60)


def test_program_reads_what_is_typed(guest: Guest) -> None:
    assert guest.exec("cat /dev/tty", typed="a line\n").output == "a line\n"


def test_environment_reaches_the_program(guest: Guest) -> None:
    assert "LANG=C\n" in guest.exec(["stack"], {"LANG": "C"}).output


def test_exec_of_nothing_leaves_no_process(guest: Guest) -> None:
    tasks = len(guest.kernel.tasks)
    for command in ("nothing", "", "'", "/mnt/etc/motd"):
        with pytest.raises(OSError, match=r"."):
            guest.exec(command)

    assert len(guest.kernel.tasks) == tasks


def test_memory_goes_back_when_a_program_ends(guest: Guest) -> None:
    guest.exec("sieve")
    frames = guest.frames
    for command in ("sieve", "greet A", "wild", "counter"):
        guest.exec(command)

    assert (frames["anonymous"], guest.frames["anonymous"]) == (0, 0)
    assert guest.frames["page table"] == frames["page table"]


def test_each_run_has_variables_of_its_own(vm: ZVM, guest: Guest) -> None:
    """counter stores 42 over 41; the next run finds 41 again, and the file has not changed."""
    before = vm.segments["SHLIB"].mem.copy()

    assert [guest.exec("counter").output for _ in range(2)] == ["data 42, bss 1, far 1\n"] * 2
    assert np.array_equal(vm.segments["SHLIB"].mem, before)


def test_counter_copies_one_page_of_the_file(guest: Guest) -> None:
    """Its .data and the beginning of .bss; .bss beyond is anonymous, text and rodata are in place."""
    done = guest.exec("counter")

    assert done.faults == Counter({"device frame": 3, "copy on write": 1, "anonymous": 2})


def test_hole_shows_the_sparse_page(guest: Guest) -> None:
    """Page 0 of /holes is stored and page 1 is not."""
    done = guest.exec(f"peek /mnt/holes 0 {PAGE_SIZE}")

    assert done.output == f"{ord('p')}\n0\n"
    assert done.faults["sparse page"] == 1


def test_unknown_system_call_is_recorded(guest: Guest) -> None:
    with Recording() as rec:
        done = guest.exec("calls")
    calls = [event.fields for event in rec.events if event.name == "system call"]
    unknown = [fields for fields in calls if fields["number"] == 127]

    assert "a call that does not exist -38\n" in done.output
    assert [(fields["name"], fields["result"]) for fields in unknown] == [("sys_ni_syscall", -38)]


def test_endless_program_ends_with_its_budget(guest: Guest) -> None:
    began = time.monotonic()
    done = guest.exec("loop", budget=1_000_000)

    assert (done.status, done.signal) == (-SIGXCPU, "SIGXCPU")
    assert time.monotonic() - began < 5
    assert guest.exec("hello").output == "Hello, reader.\n"


def program_of(guest: Guest, code: str) -> Process:
    """A process whose program is these bytes, in hexadecimal digits."""
    process = guest.process("program")
    memory = process.mmap(-1, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS)
    text = bytes.fromhex(code)
    memory[:len(text)] = text
    start_thread(process.task, memory.vaddr, Vaddr(memory.vaddr + PAGE_SIZE))
    return process


def test_endless_system_calls_end_with_the_budget(guest: Guest) -> None:
    """getpid for ever: a system call uses up the budget as many instructions do."""
    with Recording() as rec:
        status = program_of(guest, "0a14 a7f4ffff").run(budget=1_000_000)

    assert status == -SIGXCPU
    assert rec.count("system call") <= 1000


def test_terminal_keeps_no_more_than_its_limit(guest: Guest) -> None:
    write_file(guest, "/tmp/much", bytes(LIMIT + 1))
    done = guest.exec("cat -m /tmp/much /text")

    assert len(done.printed) == LIMIT
    assert done.status == 0


# the shared library

def library_page(process: Process, name: bytes, pgoff: int = 0) -> tuple[int, Bytes]:
    """Where the process has a page of a file, and the frame that it shows there."""
    mm = process.task.mm
    vma = next(vma for vma in mm.mmap if vma.vm_file is not None and vma.vm_file.f_dentry.d_name == name
               and vma.pgoff_at(vma.vm_start) == pgoff)
    pfn = follow_pfn(mm, vma.vm_start)
    assert pfn is not None
    return vma.vm_start, process.kernel.memory.frame(pfn)


def printed(process: Process) -> str:
    assert process.task.tty is not None
    return process.task.tty.printed.decode()


def run_until(process: Process, text: str) -> None:
    """Let the process run a little at a time until it has printed `text`."""
    for _ in range(100_000):
        if printed(process).endswith(text):
            return
        assert resume(process.task, 20)
    pytest.fail(f"{text!r} does not come: {printed(process)!r}")


def test_two_guests_run_one_copy_of_a_library_at_different_addresses(vm: ZVM) -> None:
    """Two programs in two guests: the library lies elsewhere in each, on the same frames, of which no
    guest has a copy; each has its own page of the library's variables."""
    first = boot(vm, "LINUX1").start("greet Ann Bob")
    second = boot(vm, "LINUX2").start("shout eve")
    run_until(first, "Ann.\n")
    run_until(second, "EVE.\n")
    (one, text1), (two, text2) = (library_page(process, b"libgreet.so") for process in (first, second))
    (_, rodata1), (_, rodata2) = (library_page(process, b"libgreet.so", 1) for process in (first, second))
    (_, data1), (_, data2) = (library_page(process, b"libgreet.so", 2) for process in (first, second))

    assert one != two
    assert np.shares_memory(text1, text2)
    assert np.shares_memory(rodata1, rodata2)
    assert np.shares_memory(text1, vm.segments["SHLIB"].mem)
    assert not np.shares_memory(data1, data2)


def test_changed_byte_of_the_library_changes_both_programs_at_the_next_call(vm: ZVM) -> None:
    """The sign at the end of a greeting is a byte in an instruction. Two guests have executed it; then it
    changes in the segment, once, and the next greeting of both has the new one."""
    first = boot(vm, "LINUX1").start("greet Ann Bob")
    second = boot(vm, "LINUX2").start("greet Eve Ida")
    run_until(first, "Ann.\n")
    run_until(second, "Eve.\n")
    segment = vm.segments["SHLIB"].mem
    place = segment.tobytes().index(SIGN)
    segment[place + 3] = ord("!")

    assert (first.run(), printed(first)) == (2, "Hello, Ann.\nHello, Bob!\n")
    assert (second.run(), printed(second)) == (2, "Hello, Eve.\nHello, Ida!\n")


def test_library_can_be_overwritten_while_in_use_but_not_the_program(vm: ZVM) -> None:
    """Nobody denies write access to a library: what is written to the file is what all programs execute
    next. The program itself and its dynamic linker are busy (ETXTBSY), and so is the file system."""
    guest = boot(vm)
    guest.umount("/mnt")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
    process = guest.start("greet Ann Bob")
    run_until(process, "Ann.\n")
    for path in ("/mnt/bin/greet", "/mnt/lib/ld.so"):
        with pytest.raises(OSError, match="being executed") as busy:
            guest.open(path, O_WRONLY)
        assert busy.value.errno == errno.ETXTBSY
    with pytest.raises(OSError, match=r".") as in_use:
        guest.umount("/mnt")
    fd = guest.open("/mnt/lib/libgreet.so", O_WRONLY)
    guest.pwrite(fd, b"?", guest.cat("/mnt/lib/libgreet.so").index(SIGN) + 3)
    guest.close(fd)

    assert (process.run(), printed(process)) == (2, "Hello, Ann.\nHello, Bob?\n")
    assert in_use.value.errno == errno.EBUSY
    guest.umount("/mnt")


def test_program_runs_on_a_learners_own_direct_access(guest: Guest) -> None:
    """The seam below the file system: whatever answers there carries the program."""
    asked = []
    original = guest.plug("dcssblk0").direct_access
    assert original is not None

    def direct_access(bdev: BlockDevice, sector: Sector) -> tuple[int, Pfn]:
        asked.append(sector)
        return original(bdev, sector)

    guest.plug("dcssblk0", direct_access=direct_access)
    done = guest.exec("greet Ann")

    assert done.output == "Hello, Ann.\n"
    assert len(asked) >= done.faults["device frame"]


def test_library_code_is_never_copied(vm: ZVM) -> None:
    """Text and constants of program, linker and library come from the segment; three pages of variables
    are copied, one for each file, and one is the stack."""
    done = boot(vm).exec("greet Ann")

    assert done.faults == Counter({"device frame": 9, "copy on write": 3, "anonymous": 1})


def test_missing_library_is_told_by_the_linker(guest: Guest) -> None:
    greet = (PROGRAMS / "bin/greet").read_bytes().replace(b"libgreet.so", b"libgrief.so")
    write_file(guest, "/tmp/greet", greet)
    done = guest.exec("/tmp/greet Ann")

    assert (done.status, done.output) == (127, "ld.so: cannot open /mnt/lib/libgrief.so\n")


# anything at all

@pytest.mark.slow
def test_damaged_programs_end_with_an_error_a_status_or_a_signal(guest: Guest) -> None:
    """Two hundred programs with random bytes in headers and code: the guest goes on, and loses no frame."""
    choose = random.Random(8)
    originals = [(PROGRAMS / "bin" / name).read_bytes() for name in ("counter", "greet", "stack", "crc")]
    guest.exec("hello")
    used = guest.frames["anonymous"]
    for _ in range(200):
        image = bytearray(choose.choice(originals))
        for _ in range(choose.randint(1, 30)):
            image[choose.randrange(4, len(image))] = choose.randrange(256)
        write_file(guest, "/tmp/damaged", bytes(image))
        with suppress(OSError):
            guest.exec("/tmp/damaged text", budget=200_000)
        guest.unlink("/tmp/damaged")

    assert guest.frames["anonymous"] == used
    assert guest.exec("hello xip").output == "Hello, xip.\n"
