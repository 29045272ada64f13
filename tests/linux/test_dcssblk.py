"""dcssblk: devices come and go (kernel.md K1-K33, suspend K62-K64, and dcss.md's table of messages).

Left out, as they are other releases without a lesson of their own: K23 (a colon before 2.6.28 is part
of the name, so CP does not know it), K24 (Q21: 2.6.28 to 2.6.30 could add one device only), K33 (Q17:
`segments=` before 2.6.28 cut names at 8 characters). Q18 (a leak when memory for the device record is
short) cannot happen here: the model's records are Python objects.
"""

import pytest

from xiplab.errors import Panic
from xiplab.linux.arch.s390.vmem import vmem
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.dcssblk import (
    dcssblk_add_store,
    dcssblk_freeze,
    dcssblk_init,
    dcssblk_restore,
    dcssblk_thaw,
)
from xiplab.linux.fs.block_dev import blkdev_get
from xiplab.linux.include.blkdev import FMODE_WRITE
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.units import GiB, MiB, Pfn


def test_k01_add_lower_case_name_makes_a_device(linux1):
    assert linux1.echo("mydcss\n", "add") == 7
    disk = linux1.kernel.disks["dcssblk0"]
    assert (disk.capacity, disk.policy, disk.minors, disk.major) == (2048, True, 1, 254)
    shown = [linux1.cat(f"MYDCSS/{name}") for name in ("shared", "save", "seglist")]
    assert shown == ["1\n", "0\n", "MYDCSS\n"]
    assert linux1.kernel.sysfs["devices/dcssblk/MYDCSS/block"].target == "../../../block/dcssblk0"
    assert linux1.loaded == ["MYDCSS"]
    assert linux1.kernel.dmesg == [
        "extmem: DCSS MYDCSS of range 0000000010000000 to 00000000100fffff and type SR loaded in shared "
        "access mode",
        "dcssblk: Loaded mydcss with total size 1048576 bytes and capacity 2048 sectors"]


@pytest.mark.parametrize(("text", "code"), [
    pytest.param("\n", "ENAMETOOLONG", id="k02_newline_only"),
    pytest.param("", "ENAMETOOLONG", id="k02_nothing"),
    pytest.param("NINECHARS", "ENAMETOOLONG", id="k03_nine_characters"),
    pytest.param("MYDCSS:", "ENAMETOOLONG", id="k07_trailing_colon"),
    pytest.param("MYDCSS:\n", "ENAMETOOLONG", id="k07_trailing_colon_and_newline"),
    pytest.param(":MYDCSS", "ENAMETOOLONG", id="k08_leading_colon"),
    pytest.param("MYDCSS::NEXT", "ENAMETOOLONG", id="k09_empty_part"),
    pytest.param("MYDCSS:MYDCSS", "EINVAL", id="k10_one_name_twice"),
    pytest.param("RWSEG:RWGAP", "EINVAL", id="k11_gap"),
    pytest.param("EXN:EXR", "EINVAL", id="k14_er_never_mixes"),
    pytest.param("MYDCSS:NOSUCH", "ENOENT", id="k15_second_unknown"),
    pytest.param("NOSUCH", "ENOENT", id="k17_unknown"),
    pytest.param("MYDCSS:NINECHARS", "ENAMETOOLONG", id="second_too_long"),
])
def test_add_refused_leaves_nothing_loaded(linux1, text, code):
    assert linux1.echo_fails(text, "add") == code
    assert linux1.loaded == []
    assert linux1.kernel.disks == {}


def test_k04_add_present_device_raises_eexist(linux1):
    linux1.add("MYDCSS")

    assert linux1.echo_fails("MYDCSS", "add") == "EEXIST"
    assert linux1.loaded == ["MYDCSS"]


@pytest.mark.parametrize(("names", "device"), [
    pytest.param("MYDCSS:NEXT", "MYDCSS", id="k05_in_order"),
    pytest.param("NEXT:MYDCSS", "NEXT", id="k06_the_first_named_names_the_device"),
])
def test_add_several_segments_makes_one_device(linux1, names, device):
    """The order given decides names, the addresses decide the order of the bytes."""
    assert linux1.echo(names, "add") == 11
    dev_info = linux1.kernel.disks["dcssblk0"].private_data
    assert (dev_info.segment_name, dev_info.num_of_segments) == (device, 2)
    assert (dev_info.start, dev_info.end, dev_info.gd.capacity) == (0x10000000, 0x101FFFFF, 4096)
    assert linux1.cat(f"{device}/seglist") == names.replace(":", "\n") + "\n"


def test_k11_gap_is_told_in_the_log(linux1):
    linux1.echo_fails("RWGAP:RWSEG", "add")

    assert "dcssblk: Adjacent DCSSs RWSEG and RWGAP are not contiguous" in linux1.kernel.dmesg


def test_k12_add_types_that_do_not_go_together_raises_einval(linux1, zvm):
    zvm.segment("X", MiB, "SW", at=0x10100000)

    assert linux1.echo_fails("MYDCSS:X", "add") == "EINVAL"
    assert linux1.loaded == []
    assert "dcssblk: DCSS MYDCSS and DCSS X have incompatible types" in linux1.kernel.dmesg


@pytest.mark.parametrize(("first", "second", "allowed"), [
    ("SW", "SW", True), ("SR", "SR", True), ("SN", "SN", True), ("SC", "SC", True), ("ER", "ER", True),
    ("EW", "EN", True), ("EN", "EW", True), ("SR", "SW", False), ("SR", "ER", False), ("ER", "EW", False),
    ("SW", "SN", False), ("SC", "SR", False), ("SW", "EW", False),
])
def test_add_types_of_neighbours(linux1, zvm, first, second, allowed):
    zvm.segment("ONE", MiB, first, at=0x50000000)
    zvm.segment("TWO", MiB, second, at=0x50100000)

    if allowed:
        assert linux1.echo("ONE:TWO", "add") == 7
    else:
        assert linux1.echo_fails("ONE:TWO", "add") == "EINVAL"


def test_k13_ew_and_en_make_a_writable_device(linux1):
    assert linux1.echo("EXW:EXN", "add") == 7
    assert linux1.kernel.disks["dcssblk0"].policy is False


def test_k16_add_second_segment_of_a_device_raises_eexist(linux1):
    linux1.add("MYDCSS:NEXT")

    assert linux1.echo_fails("NEXT", "add") == "EEXIST"


def test_k18_add_without_zvm_raises_enosys(zvm):
    machine = zvm.virtual_machine("LPAR")
    kernel = Kernel("LPAR", machine.memory, Zone(Pfn(256), Pfn(16384)))
    dcssblk_init(kernel)

    with pytest.raises(OSError, match="no z/VM guest") as failure:
        dcssblk_add_store(kernel, b"MYDCSS")
    assert failure.value.errno == 38
    assert kernel.dmesg == ["extmem: DCSS MYDCSS cannot be loaded or queried without z/VM"]


@pytest.mark.parametrize("ranges", [
    pytest.param(" ".join(f"{page:X}-{page:X} EW" for page in range(0x60000, 0x60007)), id="seven_ranges"),
    pytest.param("60000-600FF SR 60100-601FF SW", id="not_exclusive"),
    pytest.param("60000-600FF EW 60100-601FF ER", id="er"),
    pytest.param("60000-600FF EW 60200-602FF EW", id="gap"),
])
def test_k19_add_unusable_ranges_raises_eopnotsupp(linux1, zvm, ranges):
    zvm.cp(f"DEFSEG MANY {ranges}")
    assert zvm.cp("SAVESEG MANY").rc == 0

    assert linux1.echo_fails("MANY", "add") == "EOPNOTSUPP"
    assert linux1.kernel.dmesg == [
        "extmem: DCSS MANY has multiple page ranges and cannot be loaded or queried"]


@pytest.mark.parametrize("address", [0, 32 * MiB, 63 * MiB])
def test_k20_add_over_guest_storage_raises_enospc(linux1, zvm, address):
    zvm.segment("LOW", 2 * MiB, at=address)

    assert linux1.echo_fails("LOW", "add") == "ENOSPC"
    assert "extmem: DCSS LOW overlaps with used storage and cannot be loaded" in linux1.kernel.dmesg


def test_k21_add_beyond_the_mapping_raises_erange(linux1, zvm):
    zvm.segment("HIGH", MiB, at=100 * GiB)
    vmem(linux1.kernel).max_phys = 64 * GiB

    assert linux1.echo_fails("HIGH", "add") == "ERANGE"
    assert linux1.kernel.dmesg == ["extmem: DCSS HIGH exceeds the kernel mapping range (68719476736) and "
                                   "cannot be loaded"]


@pytest.mark.parametrize(("first", "second"), [("LEFT", "RIGHT"), ("RIGHT", "LEFT")])
def test_k22_add_in_the_megabyte_of_a_loaded_segment_raises_ebusy(linux1, zvm, first, second):
    """Page by page they are apart; CP attaches megabytes."""
    zvm.segment("LEFT", MiB // 2, at=0x50000000)
    zvm.segment("RIGHT", MiB // 2, at=0x50080000)
    linux1.add(first)

    assert linux1.echo_fails(second, "add") == "EBUSY"
    assert linux1.kernel.dmesg[-1] == (
        f"extmem: {second} needs used memory resources and cannot be loaded or queried")


def test_k22_old_subcodes_only_mind_a_real_overlap(old_linux, zvm):
    zvm.segment("LEFT", MiB // 2, at=0x50000000)
    zvm.segment("RIGHT", MiB // 2, at=0x50080000)
    zvm.segment("ACROSS", MiB, at=0x50000000)
    old_linux.add("LEFT:RIGHT")

    assert old_linux.loaded == ["LEFT", "RIGHT"]
    assert old_linux.echo_fails("ACROSS", "add") == "ENOSPC"


def test_k25_freed_minor_is_used_again(linux1):
    for name in ("MYDCSS", "RWSEG", "SCSEG"):
        linux1.add(name)
    linux1.echo("RWSEG", "remove")
    linux1.add("EXW")

    assert sorted(linux1.kernel.disks) == ["dcssblk0", "dcssblk1", "dcssblk2"]
    assert linux1.kernel.disks["dcssblk1"].private_data.segment_name == "EXW"


def test_k26_remove_unloads_and_clears_sysfs(linux1):
    linux1.add("MYDCSS:NEXT")

    assert linux1.echo("mydcss\n", "remove") == 7
    assert (linux1.loaded, linux1.kernel.disks, linux1.kernel.block_devices) == ([], {}, {})
    assert sorted(linux1.kernel.sysfs) == ["devices/dcssblk/add", "devices/dcssblk/remove"]
    assert vmem(linux1.kernel).mem_segs == vmem(linux1.kernel).iomem == []
    linux1.add("MYDCSS:NEXT")


@pytest.mark.parametrize(("text", "code"), [
    pytest.param("NOSUCH", "ENODEV", id="k27_unknown"),
    pytest.param("NEXT", "ENODEV", id="k29_second_segment"),
    pytest.param("", "ENAMETOOLONG", id="k30_nothing"),
    pytest.param("MYDCSS:NEXT", "ENAMETOOLONG", id="k30_colon_list"),
])
def test_remove_refused(linux1, text, code):
    linux1.add("MYDCSS:NEXT")

    assert linux1.echo_fails(text, "remove") == code
    assert linux1.loaded == ["MYDCSS", "NEXT"]


def test_k27_remove_unknown_is_told_in_the_log(linux1):
    linux1.echo_fails("nosuch", "remove")

    assert linux1.kernel.dmesg == [
        "dcssblk: Device NOSUCH cannot be removed because it is not a known device"]


def test_k28_remove_while_open_raises_ebusy(linux1):
    linux1.add("MYDCSS")

    with linux1.opened("dcssblk0"):
        assert linux1.echo_fails("MYDCSS", "remove") == "EBUSY"
    assert "dcssblk: Device MYDCSS cannot be removed while it is in use" in linux1.kernel.dmesg
    assert linux1.echo("MYDCSS", "remove") == 6


def shared_of(guest) -> dict[str, str]:
    return {path.split("/")[2]: guest.cat(f"{path.split('/')[2]}/shared")
            for path in guest.kernel.sysfs if path.endswith("/shared")}


@pytest.mark.parametrize(("segments", "shared"), [
    pytest.param("mydcss,nosuch,rwseg(local)", {"MYDCSS": "1\n", "RWSEG": "0\n"}, id="k31_local_and_unknown"),
    pytest.param("rwseg(LOCAL)", {"RWSEG": "1\n"}, id="k32_suffix_in_capitals_is_ignored"),
    pytest.param("rwseg(loca", {"RWSEG": "1\n"}, id="half_a_suffix_is_ignored"),
    pytest.param("rwseg(local)x,mydcss", {"RWSEG": "0\n", "MYDCSS": "1\n"}, id="text_behind_the_suffix"),
    pytest.param("rwseg,,mydcss", {"RWSEG": "1\n", "MYDCSS": "1\n"}, id="empty_set_is_skipped"),
    pytest.param("mydcss:next,exw:exn(local)", {"MYDCSS": "1\n", "EXW": "0\n"}, id="set_of_two"),
    pytest.param("scseg(local)", {"SCSEG": "1\n"}, id="sc_stays_shared"),
    pytest.param("", {}, id="nothing"),
])
def test_segments_parameter(booted, segments, shared):
    assert shared_of(booted("LINUX3", segments=segments)) == shared


def test_segments_parameter_of_400_characters_raises_enospc(booted):
    assert shared_of(booted("LINUX3", segments="," * 396 + "EXW")) == {"EXW": "1\n"}
    with pytest.raises(OSError, match="399") as failure:
        booted("LINUX4", segments="," * 397 + "EXW")
    assert failure.value.errno == 28


def test_init_twice_raises_ebusy(linux1):
    with pytest.raises(OSError, match="is loaded") as failure:
        dcssblk_init(linux1.kernel)
    assert failure.value.errno == 16


def test_device_beyond_2_gib_is_made_of_contiguous_segments(linux1, zvm):
    """One segment has at most 2047 MiB; a device over several has no such limit."""
    first = zvm.segment("BIG1", 2047 * MiB, "SN", at=4 * GiB)
    zvm.segment("BIG2", 1024 * MiB, "SN", at=4 * GiB + 2047 * MiB)

    dev_info = linux1.add("BIG2:BIG1")
    assert dev_info.gd.capacity == 3071 * 2048
    assert (dev_info.start, dev_info.end) == (4 * GiB, 4 * GiB + 3071 * MiB - 1)
    assert first.size == 2047 * MiB


def test_open_after_remove_raises_enxio(linux1):
    linux1.add("MYDCSS")
    linux1.echo("MYDCSS", "remove")

    with pytest.raises(OSError, match="no such device") as failure:
        bdget(linux1.kernel, "dcssblk0")
    assert failure.value.errno == 6


def test_open_for_writing_of_shared_read_only_raises_eacces(linux1):
    linux1.add("MYDCSS")

    with pytest.raises(OSError, match="read-only") as failure:
        blkdev_get(bdget(linux1.kernel, "dcssblk0"), FMODE_WRITE)
    assert failure.value.errno == 13


def test_k62_freeze_with_shared_read_only_devices_is_allowed(linux1):
    for name in ("MYDCSS", "EXR", "SCSEG"):
        linux1.add(name)

    dcssblk_freeze(linux1.kernel)
    dcssblk_thaw(linux1.kernel)
    dcssblk_restore(linux1.kernel)
    assert linux1.loaded == ["EXR", "MYDCSS", "SCSEG"]


def test_k63_freeze_with_a_writable_device_raises_einval(linux1):
    linux1.add("RWSEG")

    with pytest.raises(OSError, match="DCSS device RWSEG is writable") as failure:
        dcssblk_freeze(linux1.kernel)
    assert failure.value.errno == 22
    assert linux1.kernel.dmesg[-1] == ("dcssblk: Suspending the system failed because DCSS device RWSEG is "
                                       "writable")


def test_k63_freeze_with_an_exclusive_device_raises_einval(linux1):
    linux1.add("MYDCSS")
    linux1.echo("0", "MYDCSS/shared")

    with pytest.raises(OSError, match="writable") as failure:
        dcssblk_freeze(linux1.kernel)
    assert failure.value.errno == 22


def test_k64_restore_at_another_address_panics(linux1, zvm):
    linux1.add("MYDCSS")
    dcssblk_freeze(linux1.kernel)
    zvm.segment("MYDCSS", MiB, "SR", at=0x50000000)

    with pytest.raises(Panic, match="fatal dcssblk resume error"):
        dcssblk_restore(linux1.kernel)
    assert linux1.kernel.dmesg[-1] == (
        "dcssblk: The address range of DCSS MYDCSS changed while the system was suspended")


def test_k64_restore_of_a_purged_segment_panics(linux1, zvm):
    linux1.add("MYDCSS")
    zvm.cp("PURGE NSS NAME MYDCSS")

    with pytest.raises(Panic):
        dcssblk_restore(linux1.kernel)
    assert linux1.kernel.dmesg[-1] == "extmem: DCSS MYDCSS cannot be loaded or queried"
