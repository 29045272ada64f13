"""A file mapped by the host's own MMU: what it shows, how long it lives, and what it refuses."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from xiplab import O_CREAT, O_RDWR, PAGE_SIZE, ZVM, Guest, MiB
from xiplab.host import native
from xiplab.hw.memory import Storage
from xiplab.linux.include.fs import File
from xiplab.tools.mke2fs import mke2fs

pytestmark = pytest.mark.skipif(bool(native.unavailable()), reason=native.unavailable() or "works here")

CHILD = """
import atexit, ctypes, os, sys
import numpy as np
from xiplab.host import native
fd = os.memfd_create("storage")
os.ftruncate(fd, 8192)
"""


@pytest.fixture
def guest() -> Guest:
    """A segment that its one guest may write, with an ext2 in place."""
    vm = ZVM()
    vm.segment("SHLIB", size=2 * MiB, type="SW", at=0x10000000)
    vm.load("SHLIB", mke2fs(2 * MiB, tree={"file": bytes(range(256)) * 48, "empty": b""}).tobytes())
    linux1 = vm.logon("LINUX1")
    linux1.echo("shlib", "/sys/devices/dcssblk/add")
    linux1.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
    return linux1


def opened(guest: Guest, path: str = "/mnt/file", flags: int = O_RDWR) -> File:
    filp = guest.task.files[guest.open(path, flags)]
    assert filp is not None
    return filp


@pytest.fixture
def filp(guest: Guest) -> File:
    return opened(guest)


@pytest.fixture
def storage() -> Storage:
    """256 MiB, of which the first byte of each of the first eight pages tells its number."""
    memory = Storage(256 * MiB)
    memory.array[:8 * PAGE_SIZE:PAGE_SIZE] = range(1, 9)
    return memory


def maps() -> int:
    """How many mappings of a storage this process has, and of nothing, when all garbage has gone."""
    gc.collect()
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sum("xiplab-storage" in line or len(line.split()) == 5 for line in lines)


def refused(number: int, action: str) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, match=action, check=lambda failure: failure.errno == number)


def child(code: str) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    return subprocess.run([sys.executable, "-c", CHILD + code], capture_output=True, text=True, timeout=60,
                          env=environment, check=False)


# what the array shows

def test_map_extents_puts_scattered_pages_in_a_row(storage: Storage) -> None:
    pages = [(0, 5 * PAGE_SIZE, 1), (1, 2 * PAGE_SIZE, 1), (2, 0, 2)]
    array = native.map_extents(storage.fd, pages, 4 * PAGE_SIZE)

    assert array[::PAGE_SIZE].tolist() == [6, 3, 1, 2]


def test_store_to_storage_shows_at_once_and_back(guest: Guest, filp: File) -> None:
    array = native.map_file(filp, writable=True)
    guest.pwrite(guest.open("/mnt/file", O_RDWR), b"from the guest", 5000)
    array[:12] = np.frombuffer(b"from outside", np.uint8)

    assert array[5000:5014].tobytes() == b"from the guest"
    assert guest.cat("/mnt/file")[:12] == b"from outside"


def test_array_of_a_fragmented_file_with_holes_equals_read(guest: Guest) -> None:
    fd = guest.open("/mnt/holes", O_CREAT | O_RDWR)
    for page in (7, 0, 3, 2):
        guest.pwrite(fd, bytes([page + 1]) * 100, page * PAGE_SIZE)
    array = native.map_file(opened(guest, "/mnt/holes"))

    assert array.tobytes() == guest.cat("/mnt/holes")
    assert len(array) == 7 * PAGE_SIZE + 100


def test_views_and_gather_give_the_same_bytes_everywhere(filp: File) -> None:
    """Without the host's MMU: arrays on the storage itself, one for each extent; joining them copies."""
    views, storage = native.views(filp), filp.f_mapping.kernel.memory.storage

    assert np.array_equal(np.concatenate(views), native.map_file(filp))
    assert all(np.shares_memory(view, storage.array) for view in views)
    assert not np.shares_memory(native.gather(filp), storage.array)
    with pytest.raises(ValueError, match="read-only"):
        views[0][0] = 1


def test_extents_joins_neighbours(filp: File) -> None:
    """The file's pages lie in a row, so one mmap is enough for all of them."""
    assert [(first, npages) for first, _, npages in native.extents(filp)] == [(0, 3)]


def steps(action: Callable[[], object]) -> int:
    """How many functions of Python and of C run."""
    count = 0

    def probe(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(probe)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def test_map_of_a_file_takes_as_many_steps_as_it_has_extents(guest: Guest) -> None:
    """Eight times the extents, no more than eight times the steps. Each page lies before the last one."""
    counts = []
    for extents in (32, 256):
        scattered = opened(guest, f"/mnt/scattered{extents}", O_CREAT | O_RDWR)
        fd = guest.task.files.index(scattered)
        for page in reversed(range(extents)):
            guest.pwrite(fd, b"x", page * PAGE_SIZE)
        assert len(native.extents(scattered)) == extents
        counts.append(steps(lambda filp=scattered: native.map_file(filp)))

    assert counts[1] <= 8 * counts[0]


def test_private_array_keeps_its_stores_and_follows_other_pages(storage: Storage) -> None:
    array = native.map_extents(storage.fd, [(0, 0, 2)], 2 * PAGE_SIZE, writable=True, private=True)
    array[0] = 77
    storage.array[[0, 1, PAGE_SIZE]] = 99

    assert storage.array[0] == 99
    assert array[[0, 1, PAGE_SIZE]].tolist() == [77, 0, 99]


def test_hole_reads_zero_and_a_store_to_it_stays_local(storage: Storage) -> None:
    pieces: list[native.Extent] = [(0, 0, 1), (1, None, 1)]
    array, other = (native.map_extents(storage.fd, pieces, 2 * PAGE_SIZE, writable=True) for _ in range(2))
    before = array[PAGE_SIZE]
    array[PAGE_SIZE] = 5

    assert before == 0
    assert other[PAGE_SIZE] == 0


# how long it lives

def test_slice_keeps_the_mapping_and_the_last_one_ends_it(storage: Storage) -> None:
    before = maps()
    array = native.map_extents(storage.fd, [(0, 0, 8)], 8 * PAGE_SIZE)
    view = memoryview(array[PAGE_SIZE:2 * PAGE_SIZE])
    del array

    assert maps() == before + 1
    assert view[0] == 2
    del view
    assert maps() == before


def test_array_outlives_the_storage_that_it_shows() -> None:
    storage = Storage(MiB)
    storage.array[0] = 42
    array = native.map_extents(storage.fd, [(0, 0, 1)], 1)
    del storage
    gc.collect()

    assert array[0] == 42


def test_array_can_be_read_while_the_interpreter_ends() -> None:
    """A function that runs at exit, after the package's own, still finds the memory there."""
    ended = child("""
atexit.register(lambda: print(array[0]))
array = native.map_extents(fd, [(0, 0, 2)], 8192)
""")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")


def test_10_000_maps_leak_neither_mappings_nor_descriptors(storage: Storage) -> None:
    before, descriptors = maps(), len(os.listdir("/proc/self/fd"))
    pieces: list[native.Extent] = [(0, 4 * PAGE_SIZE, 1), (1, None, 1), (2, 0, 1)]
    for _ in range(10_000):
        assert native.map_extents(storage.fd, pieces, 3 * PAGE_SIZE)[0] == 5

    assert maps() == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_storage_cannot_shrink_under_a_mapping(storage: Storage) -> None:
    """A page of an array beyond the end of the storage would be SIGBUS, so it has no way to end."""
    with refused(errno.EPERM, "not permitted"):
        os.ftruncate(storage.fd, PAGE_SIZE)


# what it refuses

@pytest.mark.slow
def test_more_extents_than_the_host_allows_raise_enomem_and_leave_nothing(storage: Storage) -> None:
    limit = int(native.MAX_MAP_COUNT.read_text())
    if limit > 200_000:
        pytest.skip(f"vm.max_map_count is {limit}: too many mappings to make here")
    pages = limit + 10
    scattered = [(page, (page * 7919 % 65536) * PAGE_SIZE, 1) for page in range(pages)]
    before = maps()

    with refused(errno.ENOMEM, rf"{pages} extents.*vm.max_map_count \({limit}\)"):
        native.map_extents(storage.fd, scattered, pages * PAGE_SIZE)
    assert maps() == before


def test_store_to_a_read_only_array_raises(filp: File) -> None:
    array = native.map_file(filp)
    for action in (lambda: array.__setitem__(0, 1), lambda: array.setflags(write=True)):
        with pytest.raises(ValueError, match=r"read-only|WRITEABLE"):
            action()

    assert memoryview(array).readonly


def test_writer_that_lies_is_ended_by_sigsegv() -> None:
    """The page itself is read-only: the host's MMU refuses what NumPy is not asked about."""
    ended = child("""
array = native.map_extents(fd, [(0, 0, 2)], 8192)
ctypes.memset(array.ctypes.data, 1, 1)
""")

    assert ended.returncode == -signal.SIGSEGV


def test_map_file_writable_needs_a_file_open_for_writing(guest: Guest) -> None:
    with refused(errno.EACCES, "not open for writing"):
        native.map_file(opened(guest, flags=0), writable=True)

    assert native.map_file(opened(guest, flags=0), writable=True, private=True).flags.writeable


@pytest.mark.parametrize("piece", [(-1, 0, 1), (1, 0, 2), (0, 0, 0), (2, 0, 1)])
def test_piece_outside_the_array_raises_einval(storage: Storage, piece: native.Extent) -> None:
    """A mapping at a fixed address must never reach beyond the addresses that were reserved for it."""
    with refused(errno.EINVAL, "not within 2 pages"):
        native.map_extents(storage.fd, [piece], 2 * PAGE_SIZE)


def test_empty_file_raises_einval(guest: Guest) -> None:
    with refused(errno.EINVAL, "0 bytes"):
        native.map_file(opened(guest, "/mnt/empty"))

    assert native.gather(opened(guest, "/mnt/empty")).size == 0


def test_file_of_a_page_cache_raises_eopnotsupp(guest: Guest) -> None:
    guest.echo("x", "/tmp/file")

    with refused(errno.EOPNOTSUPP, "copies in the page cache"):
        native.map_file(opened(guest, "/tmp/file"))


def test_platform_without_such_mappings_says_why(filp: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native.mmap, "ALLOCATIONGRANULARITY", 16384)

    for action in (native.map_file, native.Peer):
        with refused(errno.EOPNOTSUPP, "units of 16384 bytes.*the model's view stays"):
            action(filp)
    assert bytes(native.views(filp)[0][:4]) == b"\0\1\2\3"


