"""What mmap returns: it shows frames as the page table allows, and unmaps only what is its own."""

import errno

import pytest

from xiplab import MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, O_CREAT, O_RDWR, PROT_READ, PROT_WRITE, ZVM, Guest
from xiplab.linux.fs.block_dev import bdev_direct_access, bdev_direct_access_run
from xiplab.units import PAGE_SIZE, Sector

RW = PROT_READ | PROT_WRITE


@pytest.fixture
def guest() -> Guest:
    guest = ZVM().logon("LINUX1")
    guest.echo("text", "/tmp/file")
    return guest


def test_frame_of_a_mapping_for_reading_refuses_stores(guest: Guest) -> None:
    memory = guest.mmap(guest.open("/tmp/file"), 4, PROT_READ, MAP_SHARED)

    with pytest.raises(ValueError, match="read-only"):
        memory.frame()[0] = 1
    assert guest.cat("/tmp/file") == b"text\n"


def test_frame_of_a_private_mapping_takes_stores_once_it_is_a_copy(guest: Guest) -> None:
    memory = guest.mmap(guest.open("/tmp/file"), 4, RW, MAP_PRIVATE)
    with pytest.raises(ValueError, match="read-only"):
        memory.frame()[0] = 1

    memory[0] = ord("T")
    memory.frame()[1] = ord("E")

    assert memory[:] == b"TExt"
    assert guest.cat("/tmp/file") == b"text\n"


def test_close_leaves_another_mapping_at_the_same_address_alone(guest: Guest) -> None:
    first = guest.mmap(-1, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS)
    guest.munmap(first.vaddr, PAGE_SIZE)
    second = guest.mmap(-1, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS)
    assert second.vaddr == first.vaddr
    second[0] = 7

    first.close()

    assert second[0] == 7


def test_close_unmaps_all_parts_of_a_mapping_that_was_split(guest: Guest) -> None:
    memory = guest.mmap(-1, 3 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS)
    memory[:] = bytes(3 * PAGE_SIZE)
    guest.mprotect(memory.vaddr + PAGE_SIZE, PAGE_SIZE, PROT_READ)

    memory.close()

    assert guest.frames["anonymous"] == 0
    assert guest.task.mm.mmap == []


def test_odd_ranges_have_the_kernels_errnos(guest: Guest) -> None:
    for call, expected in ((lambda: guest.mincore(0, -1), errno.ENOMEM),
                           (lambda: guest.munmap(-PAGE_SIZE, PAGE_SIZE), errno.EINVAL),
                           (lambda: guest.madvise(0, -1, 0), errno.EINVAL)):
        with pytest.raises(OSError, match=r"mincore|munmap|madvise") as caught:
            call()
        assert caught.value.errno == expected


def test_mount_takes_bytes_and_refuses_a_removed_directory(guest: Guest) -> None:
    guest.add_disk("sda", 1 << 20)
    with pytest.raises(OSError, match="magic") as caught:
        guest.mount(b"/dev/sda", "/mnt")  # type: ignore[arg-type]
    assert caught.value.errno == errno.EINVAL

    guest.mkdir("/tmp/gone")
    guest.chdir("/tmp/gone")
    guest.rmdir("/tmp/gone")
    with pytest.raises(OSError, match="removed") as caught:
        guest.mount("/dev/sda", ".")
    assert caught.value.errno == errno.ENOENT


def test_logon_with_an_unknown_attribute_takes_no_frames() -> None:
    vm = ZVM()
    with pytest.raises(OSError, match="colour") as caught:
        vm.logon("LINUX1", colour="blue")

    assert caught.value.errno == errno.EINVAL
    assert vm.storage.used == 0


def test_address_from_direct_access_is_refused_after_release() -> None:
    """The contract of direct_access: valid until release. The message names the device."""
    vm = ZVM()
    vm.segment("SEG", size=1 << 20, type="SW", at=0x20000000)
    guest = vm.logon("LINUX1")
    guest.echo("seg", "/sys/devices/dcssblk/add")
    bdev = guest.kernel.block_devices["dcssblk0"]
    fd = guest.open("/dev/dcssblk0", O_CREAT | O_RDWR)
    kaddr, _ = bdev_direct_access(bdev, Sector(8))
    run, _, npages = bdev_direct_access_run(bdev, Sector(8), 4)
    assert (kaddr, npages) == (run, 4)
    guest.kernel.memory.view(kaddr, PAGE_SIZE)[0] = 7

    guest.close(fd)

    for use in (guest.kernel.memory.view, guest.kernel.memory.span):
        with pytest.raises(OSError, match=r"dcssblk0.*released") as caught:
            use(kaddr, PAGE_SIZE)
        assert caught.value.errno == errno.ENXIO
