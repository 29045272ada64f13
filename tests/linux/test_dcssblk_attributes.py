"""dcssblk: the attributes `shared` and `save` of a device (kernel.md K34-K47, Q16, Q20)."""

from functools import partial

import numpy as np
import pytest

from xiplab import ZVM
from xiplab.errors import PROTECTION, KernelBug, ProgramInterruption
from xiplab.linux.arch.s390.extmem import SEGMENT_SHARED, extmem, segment_load, segment_unload
from xiplab.linux.arch.s390.vmem import Resource, request_resource
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.drivers.dcssblk_eras import dcssblk_shared_store_2_6_27, dcssblk_shared_store_3_15
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE, READ, WRITE
from xiplab.tools.mke2fs import mke2fs
from xiplab.trace import Recording
from xiplab.units import MiB, Paddr


def page_of(value: int) -> np.ndarray:
    return np.full(4096, value, np.uint8)


def put(guest, sector: int, value: int, disk: str = "dcssblk0") -> None:
    with guest.opened(disk, FMODE_READ | FMODE_WRITE) as bdev:
        transfer(WRITE, bdev, sector, page_of(value))


def get(guest, sector: int, disk: str = "dcssblk0") -> int:
    page = page_of(0)
    with guest.opened(disk) as bdev:
        transfer(READ, bdev, sector, page)
    assert (page == page[0]).all()
    return int(page[0])


@pytest.mark.parametrize("text", ["0", "0\n", "0\0"])
def test_k34_shared_0_makes_a_writable_private_copy(linux1, linux2, zvm, text):
    linux1.add("MYDCSS")
    linux2.add("MYDCSS")

    assert linux1.echo(text, "MYDCSS/shared") == len(text)
    assert (linux1.cat("MYDCSS/shared"), linux1.kernel.disks["dcssblk0"].policy) == ("0\n", False)
    put(linux1, 8, 0x5A)
    assert (get(linux1, 8), get(linux2, 8)) == (0x5A, 0)
    own = linux1.machine.memory.view(0x10000000, MiB)
    assert not np.shares_memory(own, zvm.segments["MYDCSS"].mem)


def test_k34_shared_0_counts_the_copy(linux1):
    linux1.add("MYDCSS")
    with Recording() as rec:
        linux1.echo("0", "MYDCSS/shared")

    assert rec.bytes_copied == MiB


def test_k35_shared_1_again_loses_private_changes(linux1):
    linux1.add("MYDCSS")
    linux1.echo("0", "MYDCSS/shared")
    put(linux1, 0, 0x77)

    assert linux1.echo("1\n", "MYDCSS/shared") == 2
    assert (linux1.cat("MYDCSS/shared"), linux1.kernel.disks["dcssblk0"].policy) == ("1\n", True)
    assert get(linux1, 0) == 0


@pytest.mark.parametrize(("name", "read_only"), [("RWSEG", False), ("EXW", False), ("EXR", True)])
def test_shared_1_is_read_only_for_sr_er_sc_only(linux1, name, read_only):
    linux1.add(name)
    linux1.echo("0", f"{name}/shared")
    linux1.echo("1", f"{name}/shared")

    assert linux1.kernel.disks["dcssblk0"].policy is read_only


@pytest.mark.parametrize("text", ["1", "1\n"])
def test_shared_to_the_present_mode_is_a_success(linux1, text):
    linux1.add("MYDCSS")

    assert linux1.echo(text, "MYDCSS/shared") == len(text)
    assert linux1.kernel.dmesg[-1] == "extmem: DCSS MYDCSS is already in the requested access mode"


@pytest.mark.parametrize(("text", "is_open", "code"), [
    pytest.param("2", False, "EINVAL", id="k36_neither_0_nor_1"),
    pytest.param("\n", False, "EINVAL", id="newline_only"),
    pytest.param("", False, "EINVAL", id="nothing"),
    pytest.param("10", False, "EINVAL", id="k37_two_characters"),
    pytest.param("10", True, "EINVAL", id="k37_format_is_checked_first"),
    pytest.param("2", True, "EBUSY", id="k38_busy_comes_before_the_value"),
    pytest.param("0", True, "EBUSY", id="open"),
])
def test_shared_refused_changes_nothing(linux1, text, is_open, code):
    linux1.add("MYDCSS")
    if is_open:
        with linux1.opened("dcssblk0"):
            assert linux1.echo_fails(text, "MYDCSS/shared") == code
    else:
        assert linux1.echo_fails(text, "MYDCSS/shared") == code

    assert (linux1.cat("MYDCSS/shared"), linux1.loaded) == ("1\n", ["MYDCSS"])


def test_k39_shared_0_on_sc_raises_einval(linux1):
    linux1.add("SCSEG")

    assert linux1.echo_fails("0", "SCSEG/shared") == "EINVAL"
    assert linux1.kernel.dmesg[-1] == ("dcssblk: DCSS SCSEG is of type SC and cannot be loaded as "
                                       "exclusive-writable")


def test_k40_q16_shared_0_with_another_exploiter_flips_the_flag_only(linux1):
    """The disk says exclusive and writable, but the segment is still the shared one: a write dies."""
    linux1.add("MYDCSS")
    segment_load(linux1.kernel, "MYDCSS", SEGMENT_SHARED)

    assert linux1.echo("0", "MYDCSS/shared") == 1
    assert (linux1.cat("MYDCSS/shared"), linux1.kernel.disks["dcssblk0"].policy) == ("0\n", False)
    assert extmem(linux1.kernel).dcss_list[0].do_nonshared == SEGMENT_SHARED
    with pytest.raises(ProgramInterruption, match="page 10001 of segment MYDCSS is shared") as death:
        put(linux1, 8, 1)
    assert (death.value.code, death.value.address) == (PROTECTION, 0x10001000)
    assert linux1.kernel.dmesg[-2:] == [
        "Unable to handle kernel access: protection exception: store at 0x10001000: page 10001 of segment "
        "MYDCSS is shared", "Oops: 0004 [#1]"]


def test_q16_a_mount_that_writes_ends_in_an_oops() -> None:
    """The mount believes the driver, and its first store to the super block meets the shared page. Nothing
    is taken back: the device stays in use."""
    vm = ZVM()
    vm.segment("SHLIB", size=2 * MiB, type="SR", at=0x20000000)
    vm.load("SHLIB", mke2fs(2 * MiB))
    guest = vm.logon("LINUX1")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    segment_load(guest.kernel, "SHLIB", SEGMENT_SHARED)
    guest.echo("0", "/sys/devices/dcssblk/SHLIB/shared")
    with pytest.raises(ProgramInterruption, match="page 20000 of segment SHLIB is shared"):
        guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")

    assert guest.dmesg[-1] == "Oops: 0004 [#1]"
    assert guest.kernel.block_devices["dcssblk0"].bd_openers == 1


def test_k40_until_2_6_27_another_exploiter_changes_nothing(linux1):
    dev_info = linux1.add("MYDCSS")
    segment_load(linux1.kernel, "MYDCSS", SEGMENT_SHARED)
    attribute = linux1.kernel.sysfs["devices/dcssblk/MYDCSS/shared"]
    attribute.store = partial(dcssblk_shared_store_2_6_27, dev_info)

    assert linux1.echo("0", "MYDCSS/shared") == 1
    assert (linux1.cat("MYDCSS/shared"), linux1.kernel.disks["dcssblk0"].policy) == ("1\n", True)
    segment_unload(linux1.kernel, "MYDCSS")
    assert linux1.echo("0", "MYDCSS/shared") == 1
    assert linux1.cat("MYDCSS/shared") == "0\n"


def purge_name(guest) -> None:
    guest.vm.cp("PURGE NSS NAME NEXT")


def restrict(guest) -> None:
    guest.vm.cp("DEFSEG NEXT 10100-101FF SR RSTD")
    guest.vm.cp("SAVESEG NEXT")


def take_resource(guest) -> None:
    request_resource(guest.kernel, Resource("PCI", Paddr(0x50000000), Paddr(0x500FFFFF), 0))
    guest.kernel.statics["vmem"].iomem[-1].start = Paddr(0x10180000)


FAILURES = [pytest.param(purge_name, "ENOENT", id="k41_enoent"), pytest.param(restrict, "EIO", id="k41_eio"),
            pytest.param(take_resource, "EBUSY", id="k41_ebusy")]


@pytest.mark.parametrize(("spoil", "code"), FAILURES)
def test_k41_q20_failed_switch_returns_0_and_removes_the_device(linux1, spoil, code):
    linux1.add("MYDCSS:NEXT")
    spoil(linux1)

    assert linux1.echo("0", "MYDCSS/shared") == 0
    assert (linux1.loaded, linux1.kernel.disks, extmem(linux1.kernel).dcss_list) == ([], {}, [])
    assert "devices/dcssblk/MYDCSS/shared" not in linux1.kernel.sysfs
    assert linux1.kernel.dmesg[-1] == ("dcssblk: DCSS device MYDCSS is removed after a failed access mode "
                                       "change")


@pytest.mark.parametrize(("spoil", "code"), FAILURES)
def test_k41_from_3_15_failed_switch_tells_why(linux1, spoil, code):
    dev_info = linux1.add("MYDCSS:NEXT")
    spoil(linux1)
    linux1.kernel.sysfs["devices/dcssblk/MYDCSS/shared"].store = partial(dcssblk_shared_store_3_15, dev_info)

    assert linux1.echo_fails("0", "MYDCSS/shared") == code
    assert linux1.kernel.disks == {}


def test_shared_of_a_segment_that_extmem_lost_is_a_kernel_bug(linux1):
    linux1.add("MYDCSS")
    segment_unload(linux1.kernel, "MYDCSS")

    with pytest.raises(KernelBug, match="extmem does not know MYDCSS"):
        linux1.echo("0", "MYDCSS/shared")


def test_k42_save_idle_saves_now(linux1, linux2):
    linux1.add("MYDCSS")
    linux1.echo("0", "MYDCSS/shared")
    put(linux1, 16, 0x42)

    assert linux1.echo("1\n", "MYDCSS/save") == 2
    assert linux1.cat("MYDCSS/save") == "0\n"
    assert linux1.kernel.dmesg[-1] == "dcssblk: All DCSSs that map to device MYDCSS are saved"
    linux2.add("MYDCSS")
    assert get(linux2, 16) == 0x42


def test_k43_save_while_open_waits_for_the_last_close(linux1, linux2):
    linux1.add("RWSEG")
    with linux1.opened("dcssblk0", FMODE_WRITE) as bdev:
        transfer(WRITE, bdev, 0, page_of(0x43))
        assert linux1.echo("1", "RWSEG/save") == 1
        assert linux1.cat("RWSEG/save") == "1\n"
        assert linux1.kernel.dmesg[-1] == ("dcssblk: Device RWSEG is in use, its DCSSs will be saved when it "
                                           "becomes idle")

    assert linux1.cat("RWSEG/save") == "0\n"
    assert linux1.kernel.dmesg[-1] == "dcssblk: Device RWSEG has become idle and is being saved now"
    linux1.echo("RWSEG", "remove")
    linux2.add("RWSEG")
    assert get(linux2, 0) == 0x43


def test_k44_pending_save_can_be_taken_back(linux1):
    linux1.add("RWSEG")
    with linux1.opened("dcssblk0", FMODE_WRITE) as bdev:
        transfer(WRITE, bdev, 0, page_of(0x44))
        linux1.echo("1", "RWSEG/save")
        assert linux1.echo("0", "RWSEG/save") == 1
        assert linux1.cat("RWSEG/save") == "0\n"

    assert linux1.kernel.dmesg[-1] == "dcssblk: A pending save request for device RWSEG has been canceled"
    linux1.echo("RWSEG", "remove")
    linux1.add("RWSEG")
    assert get(linux1, 0) == 0


def test_save_0_without_a_pending_save_does_nothing(linux1):
    linux1.add("RWSEG")
    lines = len(linux1.kernel.dmesg)

    assert linux1.echo("0\n", "RWSEG/save") == 2
    assert len(linux1.kernel.dmesg) == lines


@pytest.mark.parametrize("text", ["x", "10", "", "\n"])
def test_k45_save_anything_else_raises_einval(linux1, text):
    linux1.add("RWSEG")

    assert linux1.echo_fails(text, "RWSEG/save") == "EINVAL"


def test_k46_save_that_cp_refuses_is_only_logged(booted):
    guest = booted("LINUX3", privclass="G")
    guest.add("RWSEG")

    assert guest.echo("1", "RWSEG/save") == 1
    assert guest.kernel.dmesg[-1] == "extmem: Saving a DCSS failed with DEFSEG response code 1"
    assert guest.vm.segments["RWSEG"].spoolid == 3


def test_k47_pending_save_waits_for_every_opener(linux1):
    dev_info = linux1.add("RWSEG")
    with linux1.opened("dcssblk0"):
        with linux1.opened("dcssblk0"):
            linux1.echo("1", "RWSEG/save")
        assert (dev_info.use_count, linux1.cat("RWSEG/save")) == (1, "1\n")

    assert (dev_info.use_count, linux1.cat("RWSEG/save")) == (0, "0\n")


def test_save_of_a_device_with_several_segments_saves_each(linux1, zvm):
    before = [zvm.segments[name].spoolid for name in ("EXW", "EXN")]
    linux1.add("EXW:EXN")
    linux1.echo("1", "EXW/save")

    assert [zvm.segments[name].spoolid for name in ("EXW", "EXN")] == [9, 10]
    assert before == [5, 6]


def test_save_of_n_pages_keeps_nothing(linux1, linux2):
    """Until 3.14 nothing stops the save of an EN segment, and CP keeps none of its bytes."""
    linux1.add("EXN")
    put(linux1, 0, 9)
    linux1.echo("1", "EXN/save")
    linux2.add("EXN")

    assert (get(linux1, 0), get(linux2, 0)) == (9, 0)


def test_the_documented_change_cycle(linux1, linux2):
    """add, shared 0, change, save, close, remove; whoever had the old copy keeps it until it lets go."""
    linux2.add("MYDCSS")
    linux1.add("MYDCSS")
    linux1.echo("0", "MYDCSS/shared")
    with linux1.opened("dcssblk0", FMODE_WRITE) as bdev:
        transfer(WRITE, bdev, 8, page_of(1))
        linux1.echo("1", "MYDCSS/save")
    linux1.echo("MYDCSS", "remove")

    assert get(linux2, 8) == 0
    linux2.echo("MYDCSS", "remove")
    linux2.add("MYDCSS")
    assert get(linux2, 8) == 1
