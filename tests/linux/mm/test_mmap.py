"""mmap(2) with and without a file."""

import errno

import pytest

from xiplab import (
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    MAP_SHARED,
    O_CREAT,
    O_RDWR,
    PAGE_SIZE,
    PROT_READ,
    PROT_WRITE,
    ZVM,
    Guest,
)


@pytest.fixture
def guest() -> Guest:
    guest = ZVM().logon("LINUX1")
    guest.echo("in the file", "/tmp/file")
    return guest


def test_anonymous_mapping_ignores_the_descriptor(guest: Guest) -> None:
    """MAP_ANONYMOUS with a file's descriptor gives zeros, and nothing stored there reaches the file."""
    fd = guest.open("/tmp/file")

    mapping = guest.mmap(fd, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    mapping[:4] = b"mine"

    assert mapping.vma.vm_file is None
    assert mapping[:8] == b"mine\0\0\0\0"
    assert guest.cat("/tmp/file") == b"in the file\n"


def test_anonymous_mapping_of_a_directory_needs_no_mmap_method(guest: Guest) -> None:
    mapping = guest.mmap(guest.open("/tmp"), PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS)

    assert mapping[0] == 0


def test_mapping_of_a_directory_raises_enodev(guest: Guest) -> None:
    with pytest.raises(OSError, match="cannot be mapped") as refused:
        guest.mmap(guest.open("/tmp"), PAGE_SIZE, PROT_READ, MAP_PRIVATE)

    assert refused.value.errno == errno.ENODEV


def test_sync_leaves_a_mapped_file_of_memory_alone(guest: Guest) -> None:
    """A dirty page of a file that lives in the page cache alone has nowhere to be written to."""
    fd = guest.open("/tmp/new", O_CREAT | O_RDWR)
    guest.write(fd, bytes(PAGE_SIZE))
    guest.mmap(fd, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)[0] = 7

    guest.sync()

    assert guest.pread(fd, 1, 0) == b"\7"
