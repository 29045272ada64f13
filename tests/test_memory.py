"""Storage is real memory: frames are views, and ranges of two guests can lie on the same frames."""

import errno
import os

import numpy as np
import pytest

from xiplab.errors import ADDRESSING, ProgramInterruption
from xiplab.hw import memory as hw_memory
from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.units import PAGE_SHIFT, KiB, MiB, Paddr, Pfn


@pytest.fixture
def storage() -> Storage:
    return Storage(16 * MiB)


def test_two_absolute_storages_share_frames(storage: Storage) -> None:
    """A byte stored by one machine is the byte that the other one loads: there is only one."""
    first = storage.allocate(4)
    one, two = AbsoluteStorage(storage), AbsoluteStorage(storage)
    one.attach(Paddr(0x10000), first, 4, writable=True, name="A")
    two.attach(Paddr(0x80000), first, 4, writable=False, name="A")

    one.frame(Pfn(0x11))[5] = 0x5A

    assert two.frame(Pfn(0x81))[5] == 0x5A
    assert np.shares_memory(one.frame(Pfn(0x11)), two.frame(Pfn(0x81)))


def test_read_only_range_refuses_stores(storage: Storage) -> None:
    memory = AbsoluteStorage(storage)
    memory.attach(Paddr(0), storage.allocate(1), 1, writable=False, name="A")

    with pytest.raises(ValueError, match="read-only"):
        memory.view(0, 4)[0] = 1
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        memory.view(0, 4).flags.writeable = True


def test_address_outside_every_range_is_an_addressing_exception(storage: Storage) -> None:
    memory = AbsoluteStorage(storage)
    memory.attach(Paddr(0x1000), storage.allocate(1), 1, writable=True, name="A")

    for address, nbytes in ((0, 1), (0x2000, 1), (0x1FFF, 2)):
        with pytest.raises(ProgramInterruption) as caught:
            memory.view(address, nbytes)
        assert caught.value.code == ADDRESSING


def test_overlapping_range_is_refused(storage: Storage) -> None:
    memory = AbsoluteStorage(storage)
    memory.attach(Paddr(0x1000), storage.allocate(2), 2, writable=True, name="A")

    with pytest.raises(OSError, match="overlaps A") as caught:
        memory.attach(Paddr(0x2000), storage.allocate(1), 1, writable=True, name="B")

    assert caught.value.errno == errno.EBUSY


def test_freed_frames_come_back_as_zeros(storage: Storage) -> None:
    first = storage.allocate(2)
    storage.array[first * 4096] = 9
    storage.free(first, 2)

    again = storage.allocate(2)

    assert again == first
    assert not storage.array[first * 4096:(first + 2) * 4096].any()
    assert storage.used == 2


def test_storage_without_room_raises_enomem(storage: Storage) -> None:
    with pytest.raises(OSError, match="in a row") as caught:
        storage.allocate(16 * MiB // 4096 + 1)

    assert caught.value.errno == errno.ENOMEM


def test_storage_that_nobody_holds_gives_its_descriptor_back() -> None:
    """A notebook that is run again and again makes many machines; a process may hold few files."""
    storage = Storage(16 * MiB)
    fd = storage.fd
    del storage

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_storage_where_no_file_can_be_mapped_is_this_processes_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(size: int) -> int:
        raise OSError(errno.ENOSYS, "no memory files")

    monkeypatch.setattr(hw_memory, "_shareable_file", refuse)
    storage = Storage(64 * KiB)
    first = storage.allocate(2)
    storage.array[first << PAGE_SHIFT] = 7
    storage.free(first, 2)

    assert (storage.fd, storage.npages, int(storage.array.sum())) == (-1, 16, 0)
