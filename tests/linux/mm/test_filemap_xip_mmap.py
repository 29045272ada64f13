"""Mapping in place: conformance rows K128 to K143."""

import errno

import numpy as np
import pytest
from fixture_h import PAGE0, XipFixture

from xiplab import MAP_PRIVATE, MAP_SHARED, O_CREAT, O_RDWR, PROT_READ, PROT_WRITE, Recording
from xiplab.errors import SIGBUS, SIGKILL, Signal
from xiplab.units import PAGE_SIZE

RW = PROT_READ | PROT_WRITE


def test_mapping_shows_the_frame_of_the_segment_itself(xip: XipFixture) -> None:
    """A mapping makes no copy and takes no frame for data."""
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    before = xip.guest.frames
    with Recording() as rec:
        assert memory[0] == ord("0")

    assert np.shares_memory(memory.frame(0), xip.segment)
    assert (rec.copies, rec.faults) == (0, 1)
    assert xip.guest.frames["page cache"] == before["page cache"]


def test_k128_mapping_longer_than_the_file_faults_with_sigbus(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.fd, 5 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    with pytest.raises(Signal, match="beyond the end") as caught:
        memory[3 * PAGE_SIZE]

    assert caught.value.signo == SIGBUS


def test_k129_shared_read_fault_maps_the_device_frame(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, RW, MAP_SHARED)
    assert memory[0] == ord("0")

    assert memory.pfn(0) == xip.frame_of(0)


def test_k130_shared_read_fault_in_a_hole_allocates(xip: XipFixture) -> None:
    """Quirk Q10: a mere load makes the file grow by a block."""
    before = xip.blocks()
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)

    assert memory[PAGE_SIZE] == 0
    assert xip.blocks() == before + 1
    assert memory.pfn(1) == xip.frame_of(1)


def test_k131_shared_read_fault_in_a_hole_of_a_full_disk_is_sigbus(xip: XipFixture) -> None:
    xip.fill_disk()
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    with pytest.raises(Signal) as caught:
        memory[PAGE_SIZE]

    assert caught.value.signo == SIGBUS


def test_k132_hole_of_a_file_open_for_reading_shows_the_sparse_page(xip: XipFixture) -> None:
    before = xip.blocks()
    memory = xip.guest.mmap(xip.guest.open("/mnt/H"), 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)

    assert memory[PAGE_SIZE] == 0
    assert memory.pfn(1) == xip.guest.kernel.xip_sparse_page
    assert xip.blocks() == before


def test_k133_private_read_fault_in_a_hole_shows_the_sparse_page(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, RW, MAP_PRIVATE)

    assert memory[PAGE_SIZE] == 0
    assert memory.pfn(1) == xip.guest.kernel.xip_sparse_page


def test_k134_private_store_in_a_hole_leaves_the_file_alone(xip: XipFixture) -> None:
    before = xip.blocks()
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, RW, MAP_PRIVATE)
    with Recording() as rec:
        memory[PAGE_SIZE] = 7

    assert [e.fields["how"] for e in rec.events if e.name == "fault"] == ["sparse page", "copy on write"]
    assert xip.blocks() == before
    assert xip.guest.pread(xip.fd, 1, PAGE_SIZE) == b"\0"


def test_k135_private_store_copies_the_page(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, RW, MAP_PRIVATE)
    memory[0] = 7

    assert xip.guest.pread(xip.fd, 1, 0) == b"0"
    assert not np.shares_memory(memory.frame(0), xip.segment)


def test_k136_private_copy_does_not_follow_the_file(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, RW, MAP_PRIVATE)
    memory[0] = 7
    xip.guest.pwrite(xip.fd, b"new", 0)

    assert memory[0:3] == b"\x0700"


def test_k137_private_page_that_was_only_read_follows_the_file(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, RW, MAP_PRIVATE)
    assert memory[0] == ord("0")
    xip.guest.pwrite(xip.fd, b"new", 0)

    assert memory[0:3] == b"new"


def test_k138_lookup_error_in_a_fault_kills_the_task(xip: XipFixture) -> None:
    """Quirk Q27: not SIGBUS."""
    xip.fail_lookup(0, errno.EIO)
    memory = xip.guest.mmap(xip.fd, PAGE_SIZE, PROT_READ, MAP_SHARED)
    with pytest.raises(Signal) as caught:
        memory[0]

    assert caught.value.signo == SIGKILL


def test_k139_sparse_page_of_another_task_goes_when_a_block_comes(xip: XipFixture) -> None:
    other = xip.guest.process("A")
    memory = other.mmap(other.open("/mnt/H"), 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    assert memory[PAGE_SIZE] == 0

    xip.guest.pwrite(xip.fd, b"B", PAGE_SIZE)

    assert memory.pfn(1) is None
    assert memory[PAGE_SIZE] == ord("B")
    assert memory.pfn(1) == xip.frame_of(1)


def test_k140_shared_store_is_seen_at_once_and_leaves_mtime(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.fd, 3 * PAGE_SIZE, RW, MAP_SHARED)
    other = xip.guest.process("other")
    second = other.mmap(other.open("/mnt/H"), 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    assert second[0] == ord("0")
    xip.filp.f_inode.i_mtime = 7

    memory[0] = ord("!")

    assert xip.guest.pread(xip.fd, 1, 0) == b"!"
    assert second[0] == ord("!")
    assert xip.guest.fstat(xip.fd).st_mtime_ns == 7


def test_k141_store_beyond_the_last_page_is_sigbus(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.fd, 4 * PAGE_SIZE, RW, MAP_SHARED)
    with pytest.raises(Signal) as caught:
        memory[3 * PAGE_SIZE + 5] = 1

    assert caught.value.signo == SIGBUS


def test_k142_store_past_the_end_comes_to_light_when_the_file_grows(xip: XipFixture) -> None:
    """Quirk Q28."""
    fd = xip.guest.open("/mnt/small", O_CREAT | O_RDWR)
    xip.guest.write(fd, b"s" * 100)
    memory = xip.guest.mmap(fd, PAGE_SIZE, RW, MAP_SHARED)
    memory[200] = ord("!")

    xip.guest.ftruncate(fd, 300)

    assert xip.guest.pread(fd, 1, 200) == b"!"


def test_k143_no_frame_for_the_sparse_page_kills_the_task(xip: XipFixture) -> None:
    memory = xip.guest.mmap(xip.guest.open("/mnt/H"), 3 * PAGE_SIZE, PROT_READ, MAP_SHARED)
    assert memory[0] == ord("0")
    xip.guest.kernel.zone.limit = len(xip.guest.kernel.zone.kinds)
    xip.guest.kernel.zone.reclaim = None
    with pytest.raises(Signal) as caught:
        memory[PAGE_SIZE]

    assert caught.value.signo == SIGKILL


def test_two_guests_map_the_same_frame_of_one_segment(xip: XipFixture) -> None:
    xip.guest.sync()
    second = xip.vm.logon("LINUX2")
    second.echo("rwseg", "/sys/devices/dcssblk/add")
    second.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    one = xip.guest.mmap(xip.fd, PAGE_SIZE, RW, MAP_SHARED)
    two = second.mmap(second.open("/mnt/H"), PAGE_SIZE, PROT_READ, MAP_SHARED)
    assert (one[0], two[0]) == (ord("0"), ord("0"))

    one[0] = ord("!")

    assert two[0] == ord("!")
    assert np.shares_memory(one.frame(0), two.frame(0))
    assert two[1:PAGE_SIZE] == PAGE0[1:]
