"""CP: what guests get when they load a segment, and what lasts (kernel.md 4.1, 4.7, 4.8)."""

import errno
import os
import time

import numpy as np
import pytest

from xiplab.hw.memory import Storage
from xiplab.trace import Recording
from xiplab.units import GiB, KiB, MiB
from xiplab.zvm import diag64
from xiplab.zvm.cp import ControlProgram
from xiplab.zvm.diag64 import encode_name
from xiplab.zvm.machine import VirtualMachine

AT = 0x10000000


@pytest.fixture
def vm() -> ControlProgram:
    return ControlProgram(Storage(8 * GiB))


def issue(guest: VirtualMachine, name: str, subcode: int) -> tuple[int, int, int]:
    guest.memory.view(0x1000, 8)[:] = memoryview(encode_name(name))
    return guest.diagnose(0x64, 0x1000, subcode)


def load(guest: VirtualMachine, name: str, exclusive: bool = False) -> np.ndarray:
    """Load a segment; returns the guest's view of it."""
    cc, start, end = issue(guest, name, diag64.LOADNSRX if exclusive else diag64.LOADSHRX)
    assert cc == 0
    return guest.memory.view(start, end + 1 - start)


def purge(guest: VirtualMachine, name: str) -> None:
    assert issue(guest, name, diag64.PURGESEG)[0] == 0


def classes(vm: ControlProgram) -> str:
    return "".join(file.class_ for file in vm.spool.files)


def code_of(call, *arguments, **options) -> str:
    with pytest.raises(OSError, match=r"\w") as failure:
        call(*arguments, **options)
    return errno.errorcode[failure.value.errno]


def test_shared_load_two_guests_have_the_frames_of_the_segment(vm):
    """One byte stored in the segment's own memory is what both guests load."""
    segment = vm.segment("SHLIB", MiB, "SR", at=AT)
    first, second = (load(vm.virtual_machine(name), "SHLIB") for name in ("LINUX1", "LINUX2"))
    segment.mem[7] = 99

    assert (first[7], second[7]) == (99, 99)
    assert np.shares_memory(first, second)
    assert np.shares_memory(first, segment.mem)
    assert segment.users == {"LINUX1", "LINUX2"}


@pytest.mark.parametrize(("kind", "shared", "writable"), [
    ("SW", True, True), ("SR", True, False), ("SN", True, True), ("SC", True, False),
    ("EW", False, True), ("ER", False, False), ("EN", False, True),
])
def test_shared_load_by_type(vm, kind, shared, writable):
    """The first letter: whose frames; the second: who may store."""
    segment = vm.segment("SEG", MiB, kind)
    mine = load(vm.virtual_machine("LINUX1"), "SEG")

    assert np.shares_memory(mine, segment.mem) is shared
    assert mine.flags.writeable is writable


@pytest.mark.parametrize("kind", ["SW", "SR", "SN", "EW", "ER", "EN"])
def test_exclusive_load_is_a_writable_copy_whatever_the_type(vm, kind):
    segment = vm.segment("SEG", MiB, kind)
    mine = load(vm.virtual_machine("LINUX1"), "SEG", exclusive=True)
    mine[5] = 1

    assert segment.mem[5] == 0


def test_exclusive_load_copies_the_contents_and_counts_them(vm):
    vm.segment("SEG", MiB)
    vm.load("SEG", os.urandom(MiB))
    guest = vm.virtual_machine("LINUX1")
    with Recording() as rec:
        mine = load(guest, "SEG", exclusive=True)

    assert (mine == vm.segments["SEG"].mem).all()
    assert rec.bytes_copied == MiB


def test_shared_load_copies_nothing_and_takes_no_frames(vm):
    vm.segment("SEG", MiB)
    vm.load("SEG", os.urandom(MiB))
    guest = vm.virtual_machine("LINUX1")
    used = vm.storage.used
    with Recording() as rec:
        load(guest, "SEG")

    assert (rec.copies, vm.storage.used) == (0, used)


def test_loads_and_purges_leak_no_frames(vm):
    used = vm.storage.used
    for kind in ("SW", "SR", "SN", "SC", "EW", "ER", "EN"):
        vm.segment("SEG", MiB, kind)
        guest = vm.virtual_machine("LINUX1")
        load(guest, "SEG", exclusive=kind == "SR")
        vm.cp("DEFSEG SEG 10000-101FF SW", "LINUX1")
        vm.cp("SAVESEG SEG", "LINUX1")
        vm.logoff("LINUX1")
    vm.cp("PURGE NSS ALL")

    assert (vm.storage.used, vm.spool.files, vm.machines) == (used, [], {})


def test_sw_stores_last_until_the_last_guest_lets_go(vm):
    vm.segment("SEG", MiB, "SW")
    vm.load("SEG", b"saved")
    one, two = vm.virtual_machine("LINUX1"), vm.virtual_machine("LINUX2")
    load(one, "SEG")[:5] = memoryview(b"STORE")

    assert load(two, "SEG")[:5].tobytes() == b"STORE"
    purge(one, "SEG")
    assert vm.segments["SEG"].mem[:5].tobytes() == b"STORE"
    purge(two, "SEG")
    assert load(one, "SEG")[:5].tobytes() == b"saved"


def test_exclusive_load_of_a_changed_sw_segment_gets_what_was_saved(vm):
    vm.segment("SEG", MiB, "SW")
    vm.load("SEG", b"saved")
    load(vm.virtual_machine("LINUX1"), "SEG")[:5] = memoryview(b"STORE")

    assert load(vm.virtual_machine("LINUX2"), "SEG", exclusive=True)[:5].tobytes() == b"saved"


def test_sn_pages_are_zero_when_first_touched_after_a_save(vm):
    vm.cp("DEFSEG SEG 10000-100FF SN 10100-101FF SW")
    guest = vm.virtual_machine("LINUX1", storage=512 * MiB)
    guest.memory.view(AT, 2 * MiB)[:] = 7
    vm.cp("SAVESEG SEG", "LINUX1")
    other = vm.virtual_machine("LINUX2")
    mine = load(other, "SEG")

    assert (mine[:MiB].any(), mine[MiB:].all()) == (False, True)
    mine[0] = 1
    purge(other, "SEG")
    assert load(other, "SEG")[0] == 0


def test_saveseg_takes_the_issuers_storage(vm):
    guest = vm.virtual_machine("LINUX1", storage=2 * MiB)
    guest.memory.view(MiB, 8)[:] = memoryview(b"contents")
    vm.cp("DEFSEG SEG 100-1FF SR", "LINUX1")
    vm.cp("SAVESEG SEG", "LINUX1")

    assert vm.segments["SEG"].mem[:8].tobytes() == b"contents"
    guest.memory.view(MiB, 8)[:] = 0
    assert vm.segments["SEG"].mem[:8].tobytes() == b"contents"


def test_saveseg_again_old_users_keep_the_old_copy(vm):
    """The old copy is class P until its last user lets go; who loads the name meanwhile gets the new one."""
    vm.segment("SEG", MiB)
    vm.load("SEG", b"old")
    one, two = vm.virtual_machine("LINUX1"), vm.virtual_machine("LINUX2")
    old = load(one, "SEG")
    vm.cp(f"DEFSEG SEG {AT >> 12:X}-{(AT >> 12) + 255:X} SR")

    assert classes(vm) == "AS"
    vm.cp("SAVESEG SEG")
    vm.load("SEG", b"new")
    assert classes(vm) == "PA"
    assert (old[:3].tobytes(), load(two, "SEG")[:3].tobytes()) == (b"old", b"new")
    purge(one, "SEG")
    assert (classes(vm), load(one, "SEG")[:3].tobytes()) == ("A", b"new")


def test_purge_of_a_used_segment_waits_for_the_last_user(vm):
    vm.segment("SEG", MiB)
    one, two = vm.virtual_machine("LINUX1"), vm.virtual_machine("LINUX2")
    mine = load(one, "SEG")
    vm.cp("PURGE NSS NAME SEG")

    assert (classes(vm), vm.segments) == ("P", {})
    assert issue(two, "SEG", diag64.LOADSHRX) == (2, 0x1000, diag64.RC_NOT_FOUND)
    assert mine[0] == 0
    vm.logoff("LINUX1")
    assert vm.spool.files == []


def test_reload_gets_the_newest_copy_and_the_mode_asked_for(vm):
    segment = vm.segment("SEG", MiB)
    guest = vm.virtual_machine("LINUX1")
    load(guest, "SEG")
    mine = load(guest, "SEG", exclusive=True)

    assert not np.shares_memory(mine, segment.mem)
    assert len(guest.memory.ranges) == 2


def test_cp_stores_into_sc_pages_only(vm):
    vm.segment("MON", MiB, "SC")
    vm.segment("LIB", MiB, "SR")
    guest = vm.virtual_machine("LINUX1")
    mine = load(guest, "MON")
    vm.store("MON", 100, b"sample")

    assert mine[100:106].tobytes() == b"sample"
    assert code_of(vm.store, "LIB", 0, b"x") == "EPERM"
    assert code_of(vm.store, "MON", MiB - 1, b"xy") == "EFBIG"
    assert code_of(vm.store, "MON", -1, b"xy") == "EFBIG"
    assert code_of(vm.store, "NOSUCH", 0, b"x") == "ENOENT"
    purge(guest, "MON")
    assert not load(guest, "MON").any()


@pytest.mark.parametrize("wrap", [bytes, bytearray, lambda b: np.frombuffer(b, np.uint8), memoryview])
def test_load_image_leaves_zeros_behind_it(vm, wrap):
    vm.segment("SEG", 64 * KiB)
    vm.load("SEG", b"x" * 100)
    vm.load("seg", wrap(b"y" * 50))

    assert vm.segments["SEG"].mem[:100].tobytes() == b"y" * 50 + bytes(50)


def test_load_image_from_a_sparse_file(vm, tmp_path):
    path = tmp_path / "disk.img"
    with open(path, "wb") as image:
        image.seek(3 * MiB)
        image.write(b"end")
    vm.segment("SEG", 4 * MiB)
    vm.load("SEG", path)

    assert vm.segments["SEG"].mem[3 * MiB:3 * MiB + 4].tobytes() == b"end\0"
    assert not vm.segments["SEG"].mem[:3 * MiB].any()


def test_load_image_counts_as_saved(vm):
    vm.segment("SEG", MiB, "SW")
    guest = vm.virtual_machine("LINUX1")
    load(guest, "SEG")[0] = 1
    vm.load("SEG", b"\x02")
    purge(guest, "SEG")

    assert vm.segments["SEG"].mem[0] == 2


def test_load_image_refused(vm, tmp_path):
    vm.segment("SEG", MiB)
    vm.segment("NOTSAVED", MiB, "SN")
    vm.cp("DEFSEG SKEL 50000-500FF SR")

    assert code_of(vm.load, "SEG", bytes(MiB + 1)) == "EFBIG"
    assert code_of(vm.load, "NOSUCH", b"") == "ENOENT"
    assert code_of(vm.load, "SKEL", b"") == "ENOENT"
    assert code_of(vm.load, "NOTSAVED", b"x") == "EINVAL"
    assert code_of(vm.load, "SEG", tmp_path / "missing") == "ENOENT"
    assert code_of(vm.load, "SEG", tmp_path) == "EISDIR"


def test_segment_finds_the_next_free_megabyte(vm):
    starts = [vm.segment(name, size).start for name, size in (("A", 4096), ("B", 3 * MiB), ("C", MiB))]

    assert starts == [AT, AT + MiB, AT + 4 * MiB]


@pytest.mark.parametrize("arguments", [
    {"size": 0}, {"size": -4096}, {"size": 100}, {"size": MiB, "at": 5}, {"size": MiB, "at": -MiB},
    {"size": 2048 * MiB}, {"size": MiB, "at": 512 * GiB}, {"size": MiB, "type": "XX"}, {"size": "1M"},
    {"size": MiB, "at": "10000"}, {"size": 1.5}, {"size": MiB, "name": ""},
    {"size": MiB, "name": "NINECHARS"}, {"size": MiB, "name": "A B"},
    {"size": MiB, "type": "SR RSTD LOADNSHR"},
])
def test_segment_refused(vm, arguments):
    assert code_of(vm.segment, **{"name": "SEG", **arguments}) == "EINVAL"
    assert vm.spool.files == []


def test_segment_of_2047_mib_is_sparse(vm):
    segment = vm.segment("BIG", 2047 * MiB, "SW")
    guest = vm.virtual_machine("LINUX1")
    mine = load(guest, "BIG", exclusive=True)
    mine[-1] = 1

    assert (len(mine), segment.mem[-1]) == (2047 * MiB, 0)


@pytest.mark.parametrize(("userid", "storage", "code"), [
    ("", MiB, "EINVAL"), ("TOOLONGID", MiB, "EINVAL"), ("Ä", MiB, "EINVAL"), ("A", 0, "EINVAL"),
    ("A", MiB + 1, "EINVAL"), ("A", -MiB, "EINVAL"), ("A", "1M", "EINVAL"), ("A", 1 << 50, "ENOMEM"),
    (None, MiB, "EEXIST"),
])
def test_virtual_machine_refused(vm, userid, storage, code):
    vm.virtual_machine("NONE")

    assert code_of(vm.virtual_machine, userid, storage) == code


def test_logoff_gives_all_frames_back(vm):
    vm.virtual_machine("linux1")
    vm.logoff("LINUX1")

    assert vm.storage.used == 0
    assert code_of(vm.logoff, "LINUX1") == "ENOENT"


def test_thousand_guests_share_one_segment():
    """A guest costs far less than a millisecond, and none of them a copy of the segment."""
    vm = ControlProgram()
    vm.segment("SHLIB", 64 * MiB)
    started = time.perf_counter()
    guests = [vm.virtual_machine(f"L{number}") for number in range(1000)]
    created = time.perf_counter() - started
    views = [load(guest, "SHLIB") for guest in guests]

    assert created < 0.5
    assert len(vm.segments["SHLIB"].users) == 1000
    assert np.shares_memory(views[0], views[-1])
    assert vm.storage.used == (1000 + 1) * 64 * MiB // 4096


def test_machine_load_twice_raises_ebusy(vm):
    segment = vm.segment("SEG", MiB)
    guest = vm.virtual_machine("LINUX1")
    guest.load(segment, exclusive=False)
    used = vm.storage.used

    assert code_of(guest.load, segment, exclusive=True) == "EBUSY"
    assert vm.storage.used == used
