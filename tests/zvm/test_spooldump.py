"""Shutdown and IPL: what was saved comes back, what was not is gone."""

import errno
import os

import numpy as np
import pytest

from xiplab.hw.memory import Storage
from xiplab.ondisk import OnDisk
from xiplab.units import GiB, MiB
from xiplab.zvm.cp import ControlProgram
from xiplab.zvm.spooldump import Descriptor, Label, RangeRecord


@pytest.fixture
def vm() -> ControlProgram:
    return ControlProgram(Storage(8 * GiB), clock=lambda: 5)


@pytest.fixture
def dump(vm, tmp_path):
    """A system's spool in a file: SEG with contents, and SECRET, restricted and of two ranges."""
    vm.segment("SEG", MiB, "SW", at=0x10000000)
    vm.load("SEG", b"x" * 5000)
    vm.cp("DEFSEG SECRET 60000-600FF EW 60100-601FF EN RSTD", user="OPERATOR")
    vm.cp("SAVESEG SECRET")
    path = tmp_path / "spool"
    vm.shutdown(path)
    return path


def ipl(path) -> ControlProgram:
    return ControlProgram.ipl(path, Storage(8 * GiB))


def test_saved_segments_come_back(dump):
    vm = ipl(dump)
    seg, secret = vm.segments["SEG"], vm.segments["SECRET"]

    assert seg.mem.tobytes() == b"x" * 5000 + bytes(MiB - 5000)
    assert (seg.start, seg.class_, seg.spoolid, seg.originid, seg.created) == (0x10000000, "A", 1, "MAINT", 5)
    assert (secret.class_, secret.restricted, str(secret.ranges[1])) == ("R", True, "60100-601FF EN")
    assert vm.cp("DEFSEG NEW 100-1FF SR").endswith("fileid 0003.")


def test_what_was_not_saved_is_gone(vm, tmp_path):
    """Skeletons, files pending purge, stores into SW, private copies, guests."""
    for name in ("WORK", "OLD"):
        vm.segment(name, MiB, "SW")
    vm.load("WORK", b"saved")
    vm.cp("DEFSEG SKEL 50000-500FF SR")
    guest = vm.virtual_machine("LINUX1")
    guest.load(vm.segments["WORK"], exclusive=False)
    guest.memory.view(vm.segments["WORK"].start, 5)[:] = memoryview(b"STORE")
    guest.load(vm.segments["OLD"], exclusive=False)
    vm.cp("PURGE NSS OLD")
    vm.shutdown(tmp_path / "spool")
    vm = ipl(tmp_path / "spool")

    assert list(vm.segments) == ["WORK"]
    assert vm.segments["WORK"].mem[:5].tobytes() == b"saved"
    assert (len(vm.spool.files), vm.machines) == (1, {})


def test_shutdown_ends_the_system(vm, dump):
    vm.virtual_machine("LINUX1")
    vm.shutdown(dump)

    assert (vm.storage.used, vm.machines, vm.spool.files) == (0, {}, [])
    assert ipl(dump).segments == {}


def test_shutdown_into_a_missing_folder_keeps_the_system(vm, tmp_path):
    vm.segment("SEG", MiB)

    with pytest.raises(OSError, match="No such file") as failure:
        vm.shutdown(tmp_path / "missing" / "spool")
    assert failure.value.errno == errno.ENOENT
    assert list(vm.segments) == ["SEG"]


def test_dump_of_a_large_empty_segment_is_a_sparse_file(vm, tmp_path):
    vm.segment("BIG", 2047 * MiB)
    vm.segments["BIG"].mem[-1] = 7
    vm.shutdown(tmp_path / "spool")

    assert os.stat(tmp_path / "spool").st_blocks * 512 < 4 * MiB
    assert ipl(tmp_path / "spool").segments["BIG"].mem[-1] == 7


def test_subclass_boots_as_itself(dump):
    class System(ControlProgram):
        """Another kind of system."""

    assert type(System.ipl(dump, Storage(8 * GiB))) is System


def spoil(path, record: type[OnDisk], offset: int, **values: int) -> None:
    """Change fields of a record in the file."""
    image = bytearray(path.read_bytes())
    changed = record(image, offset)
    for name, value in values.items():
        setattr(changed, name, value)
    path.write_bytes(image)


SECOND = 4096 * (1 + 1 + 256)


@pytest.mark.parametrize(("record", "offset", "values"), [
    pytest.param(Label, 0, {"magic": 1}, id="no_label"),
    pytest.param(Label, 0, {"count": 3}, id="more_segments_than_there_are"),
    pytest.param(Label, 0, {"count": 0xFFFFFFFF}, id="count_without_bounds"),
    pytest.param(Label, 0, {"next_spoolid": 0}, id="next_number"),
    pytest.param(Descriptor, 4096, {"npages": 257}, id="pages_and_ranges_disagree"),
    pytest.param(Descriptor, 4096, {"range_count": 0}, id="no_range"),
    pytest.param(Descriptor, 4096, {"range_count": 0xFFFFFFFF}, id="ranges_without_bounds"),
    pytest.param(Descriptor, 4096, {"spoolid": 0}, id="number"),
    pytest.param(RangeRecord, 4096 + 40, {"type": 7}, id="type"),
    pytest.param(RangeRecord, 4096 + 40, {"first": 0xFFFFFFF0, "last": 0xFFFFFFFF}, id="page_numbers"),
    pytest.param(RangeRecord, 4096 + 40, {"first": 0x20000}, id="range_ends_before_it_begins"),
    pytest.param(RangeRecord, SECOND + 52, {"first": 0x600FF}, id="ranges_overlap"),
    pytest.param(RangeRecord, SECOND + 52, {"last": 0x60200}, id="segment_longer_than_the_file"),
])
def test_damaged_dump_raises_einval(dump, record, offset, values):
    spoil(dump, record, offset, **values)

    with pytest.raises(OSError, match="saved spool") as failure:
        ipl(dump)
    assert failure.value.errno == errno.EINVAL


def test_damaged_name_raises_einval(dump):
    image = bytearray(dump.read_bytes())
    for name in (b"\x00" * 8, image[SECOND:SECOND + 8]):
        image[4096:4104] = name
        dump.write_bytes(image)
        with pytest.raises(OSError, match="no name, or is there twice"):
            ipl(dump)


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 5000, 8192, SECOND, SECOND + 5000])
def test_short_dump_raises_einval_and_leaves_nothing(dump, length):
    with open(dump, "r+b") as image:
        image.truncate(length)
    storage = Storage(8 * GiB)

    with pytest.raises(OSError, match="saved spool") as failure:
        ControlProgram.ipl(dump, storage)
    assert (failure.value.errno, storage.used) == (errno.EINVAL, 0)


def test_random_damage_ends_in_einval_or_a_system(dump):
    """Any change of the label or a descriptor is refused, or gives a system whose parts fit together."""
    image = bytearray(dump.read_bytes())
    rng = np.random.default_rng(4)
    refusals = set()
    for _ in range(100):
        changed = bytearray(image)
        for start in rng.choice([0, 4096, SECOND], 2):
            changed[start + int(rng.integers(0, 70))] = int(rng.integers(0, 256))
        dump.write_bytes(changed)
        try:
            vm = ipl(dump)
        except OSError as failure:
            refusals.add(failure.errno)
        else:
            assert all(file.mem.nbytes == file.size for file in vm.segments.values())
    assert refusals == {errno.EINVAL}
