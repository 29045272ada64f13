"""A node of a block device that is mapped, and writes at its end."""

import errno
from collections.abc import Callable

import pytest

from xiplab import MAP_SHARED, O_APPEND, O_RDWR, O_WRONLY, PAGE_SIZE, PROT_READ, PROT_WRITE, ZVM, Guest, MiB
from xiplab.linux.drivers.brd import brd_init
from xiplab.linux.drivers.rd import rd_init
from xiplab.linux.include.blkdev import BLKFLSBUF
from xiplab.linux.include.kernel import Kernel
from xiplab.tools.mke2fs import mke2fs


@pytest.fixture
def guest() -> Guest:
    guest = ZVM().logon("LINUX1")
    guest.add_disk("sda", mke2fs(MiB, blocksize=1024).tobytes())
    return guest


def test_mount_that_changes_the_block_size_unmaps_the_pages_of_a_node(guest: Guest) -> None:
    """The device's pages go, mapped or not; the next access faults them in again."""
    mapping = guest.mmap(guest.open("/dev/sda"), PAGE_SIZE, PROT_READ, MAP_SHARED)
    mapping[1024 + 56]

    guest.mount("/dev/sda", "/mnt")

    assert mapping.pfn() is None
    assert mapping[1024 + 56:1024 + 58] == b"\x53\xef"


@pytest.mark.parametrize("init", [rd_init, brd_init])
def test_flush_of_a_mapped_ramdisk_unmaps_and_empties_it(guest: Guest, init: Callable[[Kernel], object]
                                                         ) -> None:
    init(guest.kernel)
    fd = guest.open("/dev/ram0", O_RDWR)
    mapping = guest.mmap(fd, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
    mapping[0] = 7

    guest.ioctl(fd, BLKFLSBUF)

    assert mapping.pfn() is None
    assert mapping[0] == 0


@pytest.mark.parametrize(("flags", "position", "count"), [
    (O_WRONLY, MiB, 1), (O_WRONLY, MiB + 1, 0), (O_WRONLY | O_APPEND, 0, 1)])
def test_write_behind_a_node_raises_enospc(guest: Guest, flags: int, position: int, count: int) -> None:
    """O_APPEND means the end, wherever the position is; behind the end even a write of nothing fails."""
    fd = guest.open("/dev/sda", flags)

    with pytest.raises(OSError, match="is at the end") as refused:
        guest.pwrite(fd, bytes(count), position)

    assert refused.value.errno == errno.ENOSPC


def test_write_of_nothing_at_the_end_of_a_node_is_done(guest: Guest) -> None:
    assert guest.pwrite(guest.open("/dev/sda", O_WRONLY), b"", MiB) == 0
