"""extmem: loading segments through DIAGNOSE X'64' (kernel.md K65-K76, 4.2-4.7).

Q25 and Q26 are left out: they are slips of 2.6.13 to 2.6.19 (a mapping limit off by one page, a lock
left held) which the model of v3.6 has no place for.
"""

import errno

import pytest

from xiplab.linux.arch.s390.cpcmd import cpcmd
from xiplab.linux.arch.s390.extmem import (
    SEGMENT_EXCLUSIVE,
    SEGMENT_SHARED,
    extmem,
    new_subcodes,
    old_subcodes,
    segment_load,
    segment_modify_shared,
    segment_save,
    segment_type,
    segment_unload,
    segment_warning,
)
from xiplab.linux.arch.s390.vmem import (
    IORESOURCE_BUSY,
    IORESOURCE_MEM,
    IORESOURCE_READONLY,
    Resource,
    request_resource,
    vmem,
    vmem_remove_mapping,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.units import GiB, MiB, Paddr, Pfn


@pytest.fixture
def kernel(linux1) -> Kernel:
    return linux1.kernel


def code_of(call, *arguments) -> str:
    with pytest.raises(OSError, match=r"\w") as failure:
        call(*arguments)
    return errno.errorcode[failure.value.errno]


@pytest.mark.parametrize(("name", "number"), [
    pytest.param("mydcss", 2, id="k65"), ("RWSEG", 0), ("EXW", 1), ("EXR", 3), ("EXN", 5), ("SCSEG", 6)])
def test_segment_type(linux1, name, number):
    assert segment_type(linux1.kernel, name) == number
    assert linux1.loaded == []


def test_segment_type_sn(kernel, zvm):
    zvm.segment("NOTSAVED", MiB, "SN")

    assert segment_type(kernel, "NOTSAVED") == 4


def test_k66_segment_type_of_contiguous_ew_and_en_ranges(kernel, zvm):
    zvm.cp("DEFSEG MIXED 60000-600FF EW 60100-601FF EN 60200-602FF EW")
    zvm.cp("SAVESEG MIXED")

    assert segment_type(kernel, "MIXED") == 7
    assert segment_load(kernel, "MIXED", SEGMENT_SHARED) == (7, 0x60000000, 0x602FFFFF)
    assert kernel.dmesg[-1].endswith("type EW/EN-MIXED loaded in shared access mode")


def test_segment_type_of_six_ranges(kernel, zvm):
    zvm.cp("DEFSEG SIX " + " ".join(f"{page:X}-{page:X} EW" for page in range(0x60000, 0x60006)))
    zvm.cp("SAVESEG SIX")

    assert segment_type(kernel, "SIX") == 7


def test_segment_type_unknown_raises_enoent(kernel):
    assert code_of(segment_type, kernel, "NOSUCH") == "ENOENT"
    assert kernel.dmesg == ["extmem: Querying a DCSS type failed with rc=44"]


def test_segment_type_of_a_skeleton_raises_enoent(kernel, zvm):
    """Class S: defined, not saved, so nobody can load it."""
    zvm.cp("DEFSEG SKEL 50000-500FF SR")

    assert code_of(segment_type, kernel, "SKEL") == "ENOENT"


def test_characters_after_the_eighth_are_ignored(kernel):
    assert segment_type(kernel, "mydcss  xyz") == 2


def test_k67_load_twice_counts_two_users(kernel):
    loads = [segment_load(kernel, "MYDCSS", SEGMENT_SHARED) for _ in range(2)]

    assert loads == [(2, 0x10000000, 0x100FFFFF)] * 2
    assert [seg.ref_count for seg in extmem(kernel).dcss_list] == [2]


def test_k68_load_in_the_other_mode_raises_eperm(kernel):
    segment_load(kernel, "MYDCSS", SEGMENT_SHARED)

    assert code_of(segment_load, kernel, "mydcss", SEGMENT_EXCLUSIVE) == "EPERM"
    segment_warning(kernel, errno.EPERM, "MYDCSS")
    assert kernel.dmesg[-1] == "extmem: DCSS MYDCSS is already loaded in a different access mode"


def test_k69_unload_once_after_two_loads_keeps_it(linux1):
    segment_load(linux1.kernel, "MYDCSS", SEGMENT_SHARED)
    segment_load(linux1.kernel, "MYDCSS", SEGMENT_SHARED)
    segment_unload(linux1.kernel, "MYDCSS")

    assert [seg.ref_count for seg in extmem(linux1.kernel).dcss_list] == [1]
    assert linux1.loaded == ["MYDCSS"]
    segment_unload(linux1.kernel, "MYDCSS")
    assert linux1.loaded == []


def test_k70_modify_shared_of_a_segment_not_loaded_raises_einval(kernel):
    assert code_of(segment_modify_shared, kernel, "MYDCSS", SEGMENT_EXCLUSIVE) == "EINVAL"


def test_k71_modify_shared_to_the_present_mode_succeeds_with_two_users(kernel):
    segment_load(kernel, "MYDCSS", SEGMENT_SHARED)
    segment_load(kernel, "MYDCSS", SEGMENT_SHARED)
    segment_modify_shared(kernel, "MYDCSS", SEGMENT_SHARED)

    assert kernel.dmesg[-1] == "extmem: DCSS MYDCSS is already in the requested access mode"


def test_k72_modify_shared_with_two_users_raises_eagain(linux1):
    segment_load(linux1.kernel, "MYDCSS", SEGMENT_SHARED)
    segment_load(linux1.kernel, "MYDCSS", SEGMENT_SHARED)

    assert code_of(segment_modify_shared, linux1.kernel, "MYDCSS", SEGMENT_EXCLUSIVE) == "EAGAIN"
    assert linux1.kernel.dmesg[-1] == "extmem: DCSS MYDCSS is in use and cannot be reloaded"
    assert linux1.loaded == ["MYDCSS"]


def test_k73_modify_shared_whose_reload_fails_destroys_the_segment(linux1, zvm):
    segment_load(linux1.kernel, "MYDCSS", SEGMENT_SHARED)
    zvm.cp("PURGE NSS NAME MYDCSS")

    assert code_of(segment_modify_shared, linux1.kernel, "MYDCSS", SEGMENT_EXCLUSIVE) == "ENOENT"
    assert linux1.kernel.dmesg[-1] == "extmem: Reloading DCSS MYDCSS failed with rc=44"
    assert (extmem(linux1.kernel).dcss_list, linux1.loaded, vmem(linux1.kernel).mem_segs) == ([], [], [])


def test_modify_shared_whose_resource_is_taken_destroys_the_segment(linux1):
    segment_load(linux1.kernel, "MYDCSS", SEGMENT_SHARED)
    vmem(linux1.kernel).iomem.append(Resource("PCI", Paddr(0x100FFFFF), Paddr(0x20000000), 0))

    assert code_of(segment_modify_shared, linux1.kernel, "MYDCSS", SEGMENT_EXCLUSIVE) == "EBUSY"
    assert linux1.kernel.dmesg[-1] == (
        "extmem: DCSS MYDCSS overlaps with used memory resources and cannot be reloaded")
    assert (extmem(linux1.kernel).dcss_list, linux1.loaded) == ([], [])


def commands_of(kernel: Kernel, name: str) -> list[str]:
    """The CP commands that segment_save issues."""
    issued = []
    inner = kernel.diagnose

    def diagnose(code: int, rx: int, ry: int) -> tuple[int, int, int]:
        if code == 0x08:
            issued.append(kernel.memory.view(rx, ry & 0xFFFF).tobytes().decode("cp037"))
        return inner(code, rx, ry)

    kernel.diagnose = diagnose
    segment_save(kernel, name)
    kernel.diagnose = inner
    return issued


def test_k74_segment_save_issues_two_commands(kernel):
    segment_load(kernel, "MYDCSS", SEGMENT_SHARED)

    assert commands_of(kernel, "MYDCSS") == ["DEFSEG MYDCSS 10000-100FF SR", "SAVESEG MYDCSS"]


def test_segment_save_names_every_range(kernel, zvm):
    zvm.cp("DEFSEG MIXED 60000-600FF EW 60100-6ABCD EN")
    zvm.cp("SAVESEG MIXED")
    segment_load(kernel, "MIXED", SEGMENT_SHARED)

    assert commands_of(kernel, "MIXED")[0] == "DEFSEG MIXED 60000-600FF EW 60100-6ABCD EN"


def test_k75_segment_save_stops_when_defseg_is_refused(booted):
    guest = booted("LINUX3", privclass="G")
    segment_load(guest.kernel, "MYDCSS", SEGMENT_SHARED)

    assert commands_of(guest.kernel, "MYDCSS") == ["DEFSEG MYDCSS 10000-100FF SR"]
    assert guest.kernel.dmesg[-1] == "extmem: Saving a DCSS failed with DEFSEG response code 1"


def test_segment_save_logs_a_refused_saveseg(kernel):
    segment_load(kernel, "MYDCSS", SEGMENT_SHARED)
    inner = kernel.diagnose
    answers = iter([0, 44])
    kernel.diagnose = lambda code, rx, ry: (0, 0, next(answers)) if code == 8 else inner(code, rx, ry)
    segment_save(kernel, "MYDCSS")

    assert kernel.dmesg[-1] == "extmem: Saving a DCSS failed with SAVESEG response code 44"


def flags_after(kernel: Kernel, name: str, *modes: int) -> int:
    segment_load(kernel, name, modes[0])
    for mode in modes[1:]:
        segment_modify_shared(kernel, name, mode)
    (res,) = vmem(kernel).iomem
    return res.flags


def test_k76_iomem_entry(kernel):
    segment_load(kernel, "MYDCSS", SEGMENT_SHARED)

    assert vmem(kernel).iomem == [Resource("MYDCSS   (DCSS)", Paddr(0x10000000), Paddr(0x100FFFFF),
                                           IORESOURCE_BUSY | IORESOURCE_MEM | IORESOURCE_READONLY)]


@pytest.mark.parametrize(("name", "modes", "read_only"), [
    ("MYDCSS", (0,), True), ("EXR", (0,), True), ("SCSEG", (0,), True), ("RWSEG", (0,), False),
    ("MYDCSS", (1,), False), ("EXR", (1,), False), ("EXW", (0,), False),
    ("MYDCSS", (0, 1), False), ("MYDCSS", (0, 1, 0), True), ("EXR", (1, 0), True), ("RWSEG", (1, 0), False),
])
def test_iomem_entry_is_read_only_for_sr_er_shared_and_sc(kernel, name, modes, read_only):
    assert bool(flags_after(kernel, name, *modes) & IORESOURCE_READONLY) is read_only


@pytest.mark.parametrize("mode", [SEGMENT_SHARED, SEGMENT_EXCLUSIVE])
def test_load_message_tells_range_type_and_mode(kernel, mode):
    segment_load(kernel, "rwseg", mode)

    text = "as exclusive-writable" if mode else "in shared access mode"
    assert kernel.dmesg == ["extmem: DCSS rwseg of range 0000000020000000 to 00000000200fffff and type SW "
                            f"loaded {text}"]


def test_subcodes_are_probed_once(linux1, old_linux):
    segment_type(linux1.kernel, "MYDCSS")
    segment_type(old_linux.kernel, "MYDCSS")

    assert extmem(linux1.kernel).subcodes is new_subcodes
    assert extmem(old_linux.kernel).subcodes is old_subcodes


@pytest.mark.parametrize("mode", [SEGMENT_SHARED, SEGMENT_EXCLUSIVE])
def test_old_subcodes_load_as_well(old_linux, mode):
    assert segment_load(old_linux.kernel, "MYDCSS", mode) == (2, 0x10000000, 0x100FFFFF)


def test_old_subcodes_know_the_ranges(old_linux, zvm):
    zvm.cp("DEFSEG MIXED 60000-600FF EW 60100-601FF EN")
    zvm.cp("SAVESEG MIXED")

    assert segment_load(old_linux.kernel, "MIXED", SEGMENT_SHARED) == (7, 0x60000000, 0x601FFFFF)


def test_old_subcodes_end_at_2_gib(linux1, old_linux, zvm):
    zvm.segment("HIGH", MiB, at=2 * GiB - MiB // 2)

    assert code_of(segment_load, old_linux.kernel, "HIGH", SEGMENT_SHARED) == "EIO"
    assert segment_load(linux1.kernel, "HIGH", SEGMENT_SHARED)[0] == 2


def test_load_exclusive_above_the_maximum_storage_raises_eio(booted, zvm):
    """A guest may have a private copy only below its maximum storage, or where the segment has LOADNSHR."""
    zvm.cp("DEFSEG FREE 50000-500FF SR LOADNSHR")
    zvm.cp("SAVESEG FREE")
    guest = booted("SMALL", maximum=256 * MiB)

    assert code_of(segment_load, guest.kernel, "MYDCSS", SEGMENT_EXCLUSIVE) == "EIO"
    assert guest.kernel.dmesg == ["extmem: Loading DCSS MYDCSS failed with rc=8"]
    assert (vmem(guest.kernel).mem_segs, vmem(guest.kernel).iomem) == ([], [])
    segment_load(guest.kernel, "MYDCSS", SEGMENT_SHARED)
    segment_load(guest.kernel, "FREE", SEGMENT_EXCLUSIVE)
    assert guest.loaded == ["FREE", "MYDCSS"]


def test_load_restricted_needs_namesave(booted, linux1, zvm):
    zvm.cp("DEFSEG SECRET 50000-500FF SR RSTD")
    zvm.cp("SAVESEG SECRET")
    entitled = booted("LINUX3", namesave=frozenset({"SECRET"}))

    assert code_of(segment_load, linux1.kernel, "SECRET", SEGMENT_SHARED) == "EIO"
    assert segment_load(entitled.kernel, "SECRET", SEGMENT_SHARED)[0] == 2


def test_load_over_a_taken_resource_raises_ebusy_and_unmaps(linux1):
    request_resource(linux1.kernel, Resource("PCI", Paddr(0x10080000), Paddr(0x10080FFF), 0))

    assert code_of(segment_load, linux1.kernel, "MYDCSS", SEGMENT_SHARED) == "EBUSY"
    assert (linux1.loaded, vmem(linux1.kernel).mem_segs) == ([], [])


def test_load_over_a_mapping_raises_enospc(linux1):
    vmem(linux1.kernel).mem_segs.append((0x100FFFFF, 0x10200000))

    assert code_of(segment_load, linux1.kernel, "MYDCSS", SEGMENT_SHARED) == "ENOSPC"
    vmem_remove_mapping(linux1.kernel, 0x100FFFFF, 0x10200000)
    segment_load(linux1.kernel, "MYDCSS", SEGMENT_SHARED)


def test_load_megabyte_test_comes_before_the_mapping_limit(linux1, zvm):
    zvm.segment("LEFT", MiB // 2, at=0x50000000)
    zvm.segment("RIGHT", MiB // 2, at=0x50080000)
    segment_load(linux1.kernel, "LEFT", SEGMENT_SHARED)
    vmem(linux1.kernel).max_phys = 0x50080000

    assert code_of(segment_load, linux1.kernel, "RIGHT", SEGMENT_SHARED) == "EBUSY"


def test_unknown_names_are_only_logged(kernel):
    segment_unload(kernel, "NOSUCH")
    segment_save(kernel, "NOSUCH")

    assert kernel.dmesg == ["extmem: Unloading unknown DCSS NOSUCH failed",
                            "extmem: Saving unknown DCSS NOSUCH failed"]


def test_without_zvm(zvm):
    machine = zvm.virtual_machine("LPAR")
    kernel = Kernel("LPAR", machine.memory, Zone(Pfn(256), Pfn(16384)))
    segment_unload(kernel, "MYDCSS")
    segment_save(kernel, "MYDCSS")

    assert code_of(segment_load, kernel, "MYDCSS", SEGMENT_SHARED) == "ENOSYS"
    assert code_of(segment_type, kernel, "MYDCSS") == "ENOSYS"
    assert code_of(segment_modify_shared, kernel, "MYDCSS", SEGMENT_SHARED) == "EINVAL"
    assert code_of(cpcmd, kernel, "QUERY NSS") == "ENOSYS"
    assert kernel.dmesg == []


@pytest.mark.parametrize(("code", "text"), [
    (errno.ENOMEM, "There is not enough memory to load or query DCSS X"),
    (errno.EIO, "Loading or querying DCSS X resulted in a hardware error"),
    (errno.ERANGE, "DCSS X exceeds the kernel mapping range (4202625499136) and cannot be loaded"),
])
def test_segment_warning(kernel, code, text):
    segment_warning(kernel, code, "X")

    assert kernel.dmesg == [f"extmem: {text}"]


def test_segment_warning_is_silent_for_other_errors(kernel):
    segment_warning(kernel, errno.EEXIST, "X")

    assert kernel.dmesg == []


def test_cpcmd_returns_code_and_text(kernel):
    rc, text = cpcmd(kernel, "query nss name mydcss map")

    assert rc == 0
    assert text.splitlines()[1].split()[:6] == ["0001", "MYDCSS", "DCSS", "N/A", "10000", "100FF"]
    assert cpcmd(kernel, "NONSENSE") == (1, "HCPCMD001E Unknown CP command: NONSENSE")


@pytest.mark.parametrize("command", ["", "X" * 241])
def test_cpcmd_refuses_commands_that_cp_cannot_take(kernel, command):
    assert code_of(cpcmd, kernel, command) == "EINVAL"
