"""Other eras, put into the tables of a running guest: each old bug shows, and each mend mends it."""

import errno
from dataclasses import replace

import pytest
from fixture_h import PAGE0, PAGE2, XipFixture

from xiplab import MAP_SHARED, PROT_READ, PROT_WRITE
from xiplab.errors import SIGBUS, Signal
from xiplab.linux.fs.read_write import do_sync_read, do_sync_write, vfs_read
from xiplab.linux.include.mm import VmFault
from xiplab.linux.mm import filemap_xip_eras as eras
from xiplab.linux.mm.filemap_xip import xip_file_vm_ops
from xiplab.linux.mm.iov import HostBuffer
from xiplab.units import PAGE_SIZE, Pgoff


def plug_file(xip: XipFixture, **operations: object) -> None:
    changed = {"name": "another era", "read_bytes": None, "write_bytes": None, **operations}
    xip.filp.f_op = replace(xip.filp.f_op, **changed)  # type: ignore[arg-type]


def test_q2_until_2_6_25_a_read_of_nothing_over_a_hole_gives_nothing(xip: XipFixture) -> None:
    plug_file(xip, read=eras.xip_file_read_2_6_13)

    assert xip.guest.pread(xip.fd, 0, PAGE_SIZE) == b""


def test_k111_q5_read_of_5000_bytes_returns_8192(xip: XipFixture) -> None:
    """3,192 bytes arrive behind the user's buffer."""
    plug_file(xip, read=eras.xip_file_read_2_6_26)
    memory = bytearray(3 * PAGE_SIZE)

    assert vfs_read(xip.filp, HostBuffer(memory), 5000, 0) == 2 * PAGE_SIZE
    xip.guest.pwrite(xip.fd, b"x" * PAGE_SIZE, PAGE_SIZE)
    vfs_read(xip.filp, HostBuffer(memory), 5000, 0)
    assert memory[5000:2 * PAGE_SIZE] == b"x" * (2 * PAGE_SIZE - 5000)


def test_k123_q4_unaligned_write_lands_at_the_start_of_the_page(xip: XipFixture) -> None:
    plug_file(xip, write=eras.xip_file_write_2_6_24rc4)

    assert xip.guest.pwrite(xip.fd, b"misplaced", 100) == 9
    assert xip.guest.pread(xip.fd, 9, 0) == b"misplaced"
    assert xip.guest.pread(xip.fd, 9, 100) == b"000000000"


def test_q10_mended_a_load_in_a_hole_allocates_nothing(xip: XipFixture) -> None:
    before = xip.blocks()
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
    memory.vma.vm_ops = replace(xip_file_vm_ops, name="mended", fault=eras.xip_file_fault_no_alloc)

    assert memory[PAGE_SIZE] == 0
    assert xip.blocks() == before


def test_q27_until_2_6_22_a_failed_look_up_is_sigbus(xip: XipFixture) -> None:
    xip.fail_lookup(0, errno.EIO)
    memory = xip.guest.mmap(xip.fd, PAGE_SIZE, PROT_READ, MAP_SHARED)
    memory.vma.vm_ops = replace(xip_file_vm_ops, name="2.6.22", fault=eras.xip_file_fault_sigbus)
    with pytest.raises(Signal) as caught:
        memory[0]

    assert caught.value.signo == SIGBUS


def test_q6_write_between_look_up_and_insertion_leaves_stale_zeros(xip: XipFixture) -> None:
    """A reader looks a hole up; a writer fills it and finds no sparse page to take away; the reader
    inserts the sparse page, and keeps it."""
    stale, fresh = (race_with_a_write(xip, steps, byte) for steps, byte in
                    ((eras.fault_steps_2_6_26, b"A"), (eras.fault_steps, b"B")))

    assert stale == 0
    assert fresh == ord("B")


def race_with_a_write(xip: XipFixture, steps: object, byte: bytes) -> int:
    """What a reader sees at page 1 if `byte` is written there in the middle of its fault."""
    xip.guest.ftruncate(xip.fd, PAGE_SIZE)
    xip.guest.ftruncate(xip.fd, 3 * PAGE_SIZE)
    reader = xip.guest.process("reader")
    memory = reader.mmap(reader.open("/mnt/H"), 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    vmf = VmFault(Pgoff(1), memory.vma.address_of(1), write=False)
    fault = steps(memory.vma, vmf)  # type: ignore[operator]
    assert next(fault) == "looked up"
    xip.guest.pwrite(xip.fd, byte, PAGE_SIZE)
    assert next(fault) == "inserted"
    return memory[PAGE_SIZE]


def test_q7_truncate_between_look_up_and_insertion_keeps_a_freed_block_mapped(xip: XipFixture) -> None:
    """The block goes to another file, whose bytes the reader then sees."""
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    vmf = VmFault(Pgoff(2), memory.vma.address_of(2), write=False)
    frame = xip.frame_of(2)
    fault = eras.fault_steps(memory.vma, vmf)
    next(fault)
    xip.guest.ftruncate(xip.fd, PAGE_SIZE)
    next(fault)

    assert memory.pfn(2) == frame
    xip.segment_frame(frame)[:6] = memoryview(b"secret")
    assert memory[2 * PAGE_SIZE:2 * PAGE_SIZE + 6] == b"secret"


def test_q7_dax_looks_at_the_size_again(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    vmf = VmFault(Pgoff(2), memory.vma.address_of(2), write=False)
    fault = eras.fault_steps_dax(memory.vma, vmf)
    next(fault)
    xip.guest.ftruncate(xip.fd, PAGE_SIZE)
    with pytest.raises(Signal) as caught:
        next(fault)

    assert caught.value.signo == SIGBUS


def test_xip_txt_aio_methods_serve_do_sync_read_and_do_sync_write(xip: XipFixture) -> None:
    """Q1: what xip.txt describes, and no release had."""
    plug_file(xip, read=do_sync_read, write=do_sync_write, aio_read=eras.xip_file_aio_read,
              aio_write=eras.xip_file_aio_write)

    assert xip.guest.pwrite(xip.fd, b"async", 0) == 5
    assert xip.guest.pread(xip.fd, 5, 0) == b"async"


def test_xip_txt_readv_and_writev_move_all_segments_in_one_call(xip: XipFixture) -> None:
    into = [bytearray(10), bytearray(10)]
    assert eras.xip_file_readv(xip.filp, [(HostBuffer(b), 10) for b in into], PAGE_SIZE - 5) == 20
    assert into == [b"0" * 5 + bytes(5), bytes(10)]

    assert eras.xip_file_writev(xip.filp, [(HostBuffer(b"one"), 3), (HostBuffer(b"two"), 3)], 0) == 6
    assert xip.guest.pread(xip.fd, 6, 0) == b"onetwo"


def test_xip_txt_sendfile_hands_out_the_pages_themselves(xip: XipFixture) -> None:
    pages = list(eras.xip_file_sendfile(xip.filp, 0, 3 * PAGE_SIZE))

    assert b"".join(pages) == PAGE0 + bytes(PAGE_SIZE) + PAGE2
    xip.guest.pwrite(xip.fd, b"!", 0)
    assert pages[0][0] == ord("!")
