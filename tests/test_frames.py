"""Page frames: how few a file mapped in place takes, and that every frame comes back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files

import numpy as np
import pytest

from xiplab import (
    MAP_PRIVATE,
    MAP_SHARED,
    O_CREAT,
    O_RDWR,
    O_TRUNC,
    PROT_READ,
    PROT_WRITE,
    ZVM,
    Guest,
    Mapping,
    MiB,
    Process,
)
from xiplab.errors import SIGBUS, SIGKILL, Signal
from xiplab.linux.fs.aio import IOCB_CMD_PREAD, IOCB_CMD_PWRITE, io_getevents, io_setup
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE

GUESTS = 1000
FILE_SIZE = 16 * MiB
IMAGE = bytes(mke2fs(4 * MiB, tree={"file": b"f" * 30_000}))
HELLO_KO = (files("xiplab") / "data/modules/hello.ko").read_bytes()


def segment_with(tree: dict[str, object], size: int) -> ZVM:
    """A system with one segment, LIB, that holds these files."""
    vm = ZVM()
    vm.segment("LIB", size=size, type="SW", at=0x20000000)
    vm.load("LIB", bytes(mke2fs(size, tree=tree)))
    return vm


def mounted(vm: ZVM, userid: str, options: str) -> Guest:
    guest = vm.logon(userid, 2 * MiB)
    guest.echo("lib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", options)
    return guest


def touch(area: Mapping) -> None:
    """One byte of each megabyte: every page table is needed."""
    for start in range(0, len(area), MiB):
        area[start]


@pytest.mark.slow
def test_1000_guests_that_map_one_file_take_frames_for_their_page_tables_only() -> None:
    """16 MiB each. Beside its tables a guest reads the five indirect blocks, and names one directory entry:
    metadata. No frame holds data, every mapping shows the segment's own, and the last hundred guests take
    no longer than the first."""
    vm = segment_with({"lib": b"x" * FILE_SIZE}, FILE_SIZE + 4 * MiB)
    areas = [(first := mounted(vm, "FIRST", "ro,xip")).mmap(first.open("/mnt/lib"))]
    used = vm.storage.used
    taken, seconds = Counter[str](), []
    for number in range(GUESTS):
        start = time.process_time()
        guest = mounted(vm, f"G{number}", "ro,xip")
        before = guest.frames
        area = guest.mmap(guest.open("/mnt/lib"))
        touch(area)
        seconds.append(time.process_time() - start)
        areas.append(area)
        taken += guest.frames - before

    tables = FILE_SIZE // MiB // 2 + 4
    assert taken == {"page table": tables * GUESTS, "buffer cache": 5 * GUESTS, "directory cache": GUESTS}
    assert vm.storage.used - used == GUESTS * 2 * MiB // PAGE_SIZE
    assert all(np.shares_memory(area.frame(4095), areas[0].frame(4095)) for area in areas)
    assert sum(seconds) < 20
    assert sum(seconds[-100:]) < 4 * sum(seconds[:100])


@pytest.mark.slow
def test_byte_stored_once_shows_in_1000_guests() -> None:
    vm = segment_with({"lib": b"x" * PAGE_SIZE}, 1 * MiB)
    writer = mounted(vm, "WRITER", "xip")
    areas = [(guest := mounted(vm, f"G{number}", "ro,xip")).mmap(guest.open("/mnt/lib"))
             for number in range(GUESTS)]
    before = {area[100] for area in areas}
    writer.pwrite(writer.open("/mnt/lib", O_RDWR), b"J", 100)

    assert (before, {area[100] for area in areas}) == ({ord("x")}, {ord("J")})


# nothing is left over

Scenario = Callable[[Process], None]


def read_and_map(guest: Process) -> None:
    """The thin path: read, map, touch, store."""
    fd = guest.open("/mnt/file", O_RDWR)
    guest.pread(fd, 20_000, 0)
    area = guest.mmap(fd, 0, PROT_READ | PROT_WRITE, MAP_SHARED)
    area[5000:5010] = b"0123456789"
    area.close()
    guest.close(fd)


def write_and_remove(guest: Process) -> None:
    """Files with every depth of the block map, and directories."""
    for number in range(20):
        guest.mkdir(f"/mnt/d{number}")
        fd = guest.open(f"/mnt/d{number}/f", O_CREAT | O_RDWR)
        guest.pwrite(fd, b"x" * 70_000, 0)
        guest.pwrite(fd, b"y", 5 * MiB)
        guest.ftruncate(fd, 100)
        guest.close(fd)
        guest.unlink(f"/mnt/d{number}/f")
    guest.sync()


def copy_on_write(guest: Process) -> None:
    """A private mapping, in part protected, in part unmapped; and one that is left to the end of the task."""
    left = guest.mmap(guest.open("/mnt/file"), 0, PROT_READ | PROT_WRITE, MAP_PRIVATE)
    left[0] = left[PAGE_SIZE] = 7
    area = guest.mmap(fd := guest.open("/mnt/file"), 0, PROT_READ | PROT_WRITE, MAP_PRIVATE)
    area[0] = 1
    guest.mprotect(area.vaddr, PAGE_SIZE, PROT_READ)
    guest.munmap(area.vaddr, PAGE_SIZE)
    area.close()
    guest.close(fd)


def hole(guest: Process) -> None:
    """A hole: read, mapped for reading, given a block under the mapping, cut off under it."""
    fd = guest.open("/mnt/hole", O_CREAT | O_RDWR | O_TRUNC)
    guest.ftruncate(fd, 8 * PAGE_SIZE)
    area = guest.mmap(read_only := guest.open("/mnt/hole"), 8 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    assert set(area[:]) == {0}
    guest.pwrite(fd, b"block", 0)
    guest.ftruncate(fd, 1)
    with pytest.raises(Signal) as caught:
        area[PAGE_SIZE]
    assert caught.value.signo == SIGBUS
    area.close()
    guest.close(read_only)
    guest.close(fd)


def moved_by_others(guest: Process) -> None:
    """Vectors, sendfile, aio (refused in place); a file that is removed while it is open and mapped."""
    fd, copy = guest.open("/mnt/file", O_RDWR), guest.open("/mnt/copy", O_CREAT | O_RDWR)
    guest.readv(fd, [bytearray(100), bytearray(5000)])
    guest.sendfile(copy, fd, 0, 20_000)
    for opcode in (IOCB_CMD_PREAD, IOCB_CMD_PWRITE):
        context = io_setup(1)
        with suppress(OSError):
            guest.io_submit(context, opcode, fd, bytearray(9000), 0)
            io_getevents(context, 1, 1)
    area = guest.mmap(copy, 0, PROT_READ | PROT_WRITE, MAP_SHARED)
    guest.unlink("/mnt/copy")
    area[0] = 1
    guest.close(copy)
    area.close()
    guest.close(fd)


def module(guest: Process) -> None:
    fd = guest.open("/mnt/hello.ko", O_CREAT | O_RDWR)
    guest.write(fd, HELLO_KO)
    guest.close(fd)
    guest.insmod("/mnt/hello.ko")
    guest.rmmod("hello")


def failures(guest: Process) -> None:
    """Calls that fail half-way: a full disk, bad arguments, too little memory."""
    fd = guest.open("/mnt/full", O_CREAT | O_RDWR)
    while guest.pwrite(fd, b"x" * MiB, guest.fstat(fd).st_size) == MiB:
        pass
    with pytest.raises(OSError, match="block"):
        guest.pwrite(fd, b"x", 20 * MiB)
    area = guest.mmap(-1, 8 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE)
    with pytest.raises(Signal) as caught:
        area[:] = b"x" * len(area)
    assert caught.value.signo == SIGKILL
    area.close()
    guest.close(fd)
    guest.unlink("/mnt/full")


SCENARIOS = [read_and_map, write_and_remove, copy_on_write, hole, moved_by_others, module, failures]


def on_segment(vm: ZVM, image: bytes) -> tuple[Guest, str, str]:
    vm.segment("LIB", size=len(image), type="SW", at=0x20000000)
    vm.load("LIB", image)
    guest = vm.logon("LINUX1", 4 * MiB)
    guest.echo("lib", "/sys/devices/dcssblk/add")
    return guest, "dcssblk0", "xip"


def on_disk(vm: ZVM, image: bytes) -> tuple[Guest, str, str]:
    guest = vm.logon("LINUX1", 4 * MiB)
    guest.add_disk("sda", image)
    return guest, "sda", ""


@pytest.mark.parametrize("place", [on_segment, on_disk])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_frame_is_back_after_umount(scenario: Scenario,
                                          place: Callable[[bytes], tuple[Guest, str, str]]) -> None:
    """But for the sparse page: the kernel makes one at the first hole that is mapped, and keeps it."""
    guest, device, options = place(ZVM(), IMAGE)
    before = guest.frames
    guest.mount(f"/dev/{device}", "/mnt", "ext2", options)
    task = guest.process("task")
    scenario(task)
    task.exit()
    guest.umount("/mnt")
    left = guest.frames - before

    assert left in ({}, {"sparse page": 1})


@pytest.mark.parametrize("place", [on_segment, on_disk])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_frame_is_back_after_logoff(scenario: Scenario,
                                          place: Callable[[bytes], tuple[Guest, str, str]]) -> None:
    """In the middle of everything: mounted, open, mapped. Only the segment's frames stay in use."""
    guest, device, options = place(ZVM(), IMAGE)
    used = guest.vm.storage.used - len(guest.machine.ram)
    guest.mount(f"/dev/{device}", "/mnt", "ext2", options)
    scenario(guest.process("task"))
    area = guest.mmap(guest.open("/mnt/file", O_RDWR), 0, PROT_READ | PROT_WRITE, MAP_PRIVATE)
    area[0] = 1
    guest.logoff()

    assert guest.vm.storage.used == used
