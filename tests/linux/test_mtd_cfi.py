"""The chip driver: who may use a chip while it works or is pointed, and what failures become."""

import errno

import numpy as np
import pytest

from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.hw.nor import NorChip
from xiplab.linux.drivers.mtd.cfi_cmdset_0001 import cfi_intelext_words_ops
from xiplab.linux.drivers.mtd.kthread import flash_time, pass_time
from xiplab.linux.drivers.mtd.mtdcore import (
    mtd_erase,
    mtd_erase_wait,
    mtd_lock,
    mtd_point,
    mtd_read,
    mtd_sync,
    mtd_unpoint,
    mtd_write,
)
from xiplab.linux.drivers.mtd.physmap import physmap_flash_probe
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import Zone
from xiplab.linux.include.mtd import (
    MTD_ERASE_DONE,
    MTD_ERASE_FAILED,
    MTD_ERASING,
    EraseInfo,
    FlChip,
    FlState,
    MtdInfo,
)
from xiplab.trace import Recording
from xiplab.units import KiB, MiB, Paddr, Pfn

FLASH = Paddr(0x8000000)
BLOCK = 64 * KiB
CHIP = 256 * KiB
MAPPED = Pfn(FLASH >> 12)


def flash(kernel: Kernel, *, suspend: bool = True, program_in_suspend: bool = False,
          buffer_size: int = 1024) -> MtdInfo:
    """Two chips of 256 KiB in blocks of 64 KiB; they begin with the bytes 0x11 and 0x22."""
    devices = [NorChip(kernel.memory.storage, CHIP, suspend=suspend, program_in_suspend=program_in_suspend,
                       buffer_size=buffer_size) for _ in range(2)]
    for chip, byte in zip(devices, (0x11, 0x22), strict=True):
        chip.burn(0, bytes([byte]) * BLOCK)
    return physmap_flash_probe(kernel, "flash", FLASH, devices)


@pytest.fixture
def mtd(kernel: Kernel) -> MtdInfo:
    return flash(kernel)


def hardware(mtd: MtdInfo, number: int = 0) -> NorChip:
    chip: NorChip = mtd.priv.devices[number]
    return chip


def chip_of(mtd: MtdInfo, number: int = 0) -> FlChip:
    chip: FlChip = mtd.priv.fldrv_priv.chips[number]
    return chip


def read(mtd: MtdInfo, start: int, length: int) -> bytes:
    buf = bytearray(length)
    mtd_read(mtd, start, memoryview(buf))
    return bytes(buf)


def erase(mtd: MtdInfo, addr: int, length: int = BLOCK) -> EraseInfo:
    instr = EraseInfo(addr, length)
    mtd_erase(mtd, instr)
    return instr


def test_k171_write_over_old_data_is_and(mtd: MtdInfo) -> None:
    """K171: program 0x0F over 0xF0: success, and 0x00. A block cannot be overwritten in place."""
    mtd_write(mtd, BLOCK, memoryview(b"\xf0\xf0"))
    mtd_write(mtd, BLOCK, memoryview(b"\x0f\xff"))

    assert read(mtd, BLOCK, 2) == b"\x00\xf0"


def test_k172_write_cannot_set_bits(mtd: MtdInfo) -> None:
    """K172: program 0xFF over 0x00: success, and it stays 0x00."""
    mtd_write(mtd, BLOCK, memoryview(b"\x00"))

    assert mtd_write(mtd, BLOCK, memoryview(b"\xff")) == 1
    assert read(mtd, BLOCK, 1) == b"\x00"


def test_k173_mapped_page_shows_status_during_erase(mtd: MtdInfo) -> None:
    """K173: a page of another block of the same chip returns status (bit 80 clear) to whoever reads it."""
    mapped = mtd.kernel.memory.frame(MAPPED)
    before = bytes(mapped[:4])
    instr = erase(mtd, BLOCK)
    during = bytes(mapped[:4])
    mtd_erase_wait(mtd, instr)
    after = bytes(mapped[:4])
    read(mtd, 0, 1)

    assert before == b"\x11" * 4
    assert during == b"\x00" * 4
    assert after == b"\x00\x80\x00\x80"
    assert bytes(mapped[:4]) == b"\x11" * 4


def test_mapped_page_shows_status_after_a_write_until_the_next_read(mtd: MtdInfo) -> None:
    mapped = mtd.kernel.memory.frame(MAPPED)
    mtd_write(mtd, BLOCK, memoryview(b"abc"))
    after_write = bytes(mapped[:2])
    read(mtd, BLOCK, 1)

    assert after_write == b"\x00\x80"
    assert bytes(mapped[:2]) == b"\x11\x11"


def test_another_chip_is_not_affected_by_an_erase(mtd: MtdInfo) -> None:
    other = mtd.kernel.memory.view(FLASH + CHIP, 4)
    erase(mtd, BLOCK)

    assert bytes(other) == b"\x22" * 4


def test_k174_read_during_erase_suspends_and_resumes(mtd: MtdInfo) -> None:
    """K174: mtd_read during erase gives data; the erase goes on afterwards and takes its full time."""
    instr = erase(mtd, BLOCK)
    pass_time(mtd.kernel, 100_000)
    data = read(mtd, 0, 4)
    state = instr.state
    status = hardware(mtd).status
    mtd_erase_wait(mtd, instr)

    assert data == b"\x11" * 4
    assert (state, status) == (MTD_ERASING, 0)
    assert instr.state == MTD_ERASE_DONE
    assert read(mtd, BLOCK, 2) == b"\xff\xff"
    assert flash_time(mtd.kernel).now_us >= hardware(mtd).erase_us


def test_read_during_erase_of_a_chip_without_suspend_waits_for_its_end(kernel: Kernel) -> None:
    mtd = flash(kernel, suspend=False)
    instr = erase(mtd, BLOCK)

    assert read(mtd, 0, 4) == b"\x11" * 4
    assert instr.state == MTD_ERASE_DONE


def test_write_during_erase_waits_unless_the_chip_can_program_meanwhile(kernel: Kernel) -> None:
    waiting = flash(kernel)
    first = erase(waiting, 0)
    mtd_write(waiting, BLOCK, memoryview(b"abc"))
    second_kernel = Kernel("LINUX2", AbsoluteStorage(Storage(8 * MiB)), Zone(Pfn(0), Pfn(0)))
    meanwhile = flash(second_kernel, program_in_suspend=True)
    second = erase(meanwhile, 0)
    mtd_write(meanwhile, BLOCK, memoryview(b"abc"))
    mtd_erase_wait(meanwhile, second)

    assert first.state == MTD_ERASE_DONE
    assert read(waiting, BLOCK, 3) == read(meanwhile, BLOCK, 3) == b"abc"
    assert read(meanwhile, 0, 2) == b"\xff\xff"


def test_point_gives_the_flash_itself(mtd: MtdInfo) -> None:
    with Recording() as rec:
        retlen, virt, phys = mtd_point(mtd, 4096, 2 * CHIP - 4096)

    assert (retlen, virt, phys) == (2 * CHIP - 4096, FLASH + 4096, FLASH + 4096)
    assert np.shares_memory(mtd.kernel.memory.view(phys, 4096), hardware(mtd).window)
    assert rec.bytes_copied == 0


def test_k175_erase_of_a_pointed_chip_goes_on_after_the_last_unpoint(mtd: MtdInfo) -> None:
    """K175: mtd_erase while the chip is pointed: blocks; continues after the last unpoint."""
    mapped = mtd.kernel.memory.frame(MAPPED)
    for _ in range(2):
        mtd_point(mtd, 0, BLOCK)
    instr = erase(mtd, BLOCK)
    pass_time(mtd.kernel, 10_000_000)
    waiting = (instr.state, hardware(mtd).status, bytes(mapped[:2]))
    mtd_unpoint(mtd, 0, BLOCK)
    still = hardware(mtd).mode
    mtd_unpoint(mtd, 0, BLOCK)
    started = hardware(mtd).status
    mtd_erase_wait(mtd, instr)

    assert waiting == (MTD_ERASING, 0x80, b"\x11\x11")
    assert still == "array"
    assert started == 0
    assert instr.state == MTD_ERASE_DONE


def test_waiting_for_a_pointed_chip_alone_raises_edeadlk(mtd: MtdInfo) -> None:
    """Linux sleeps for ever; the model's one thread says so."""
    mtd_point(mtd, 0, BLOCK)
    instr = erase(mtd, BLOCK)

    for wait in (lambda: mtd_erase_wait(mtd, instr), lambda: mtd_write(mtd, 0, memoryview(b"x")),
                 lambda: mtd_sync(mtd)):
        with pytest.raises(OSError, match="sleep for ever") as caught:
            wait()
        assert caught.value.errno == errno.EDEADLK


def test_reads_proceed_while_pointed(mtd: MtdInfo) -> None:
    mtd_point(mtd, 0, BLOCK)

    assert read(mtd, 0, 4) == b"\x11" * 4
    assert chip_of(mtd).state is FlState.FL_POINT


def test_point_during_erase_suspends_it_until_unpoint(mtd: MtdInfo) -> None:
    instr = erase(mtd, BLOCK)
    mtd_point(mtd, 0, 4096)
    data = bytes(mtd.kernel.memory.view(FLASH, 2))
    pass_time(mtd.kernel, 10_000_000)
    state = instr.state
    mtd_unpoint(mtd, 0, 4096)
    mtd_erase_wait(mtd, instr)

    assert data == b"\x11\x11"
    assert state == MTD_ERASING
    assert instr.state == MTD_ERASE_DONE


def test_point_is_short_if_a_chip_does_not_answer(mtd: MtdInfo) -> None:
    chip_of(mtd, 1).state = FlState.FL_SHUTDOWN

    assert mtd_point(mtd, 0, 2 * CHIP)[0] == CHIP


def test_unpoint_of_a_range_not_pointed_is_a_line_in_the_log(mtd: MtdInfo) -> None:
    mtd_unpoint(mtd, 0, 4096)

    assert "unpoint called on non pointed region" in mtd.kernel.dmesg[-1]


def test_point_without_kernel_address_raises_einval(mtd: MtdInfo) -> None:
    mtd.priv.virt = 0

    with pytest.raises(OSError, match="cannot point") as caught:
        mtd_point(mtd, 0, 1)

    assert caught.value.errno == errno.EINVAL


def test_k176_erase_and_write_of_a_locked_block_raise_erofs(mtd: MtdInfo) -> None:
    """K176: erase of a locked block: EROFS. The same for a program."""
    mtd_lock(mtd, 0, BLOCK)

    with pytest.raises(OSError, match="locked") as erasing:
        erase(mtd, 0)
    with pytest.raises(OSError, match="locked") as writing:
        mtd_write(mtd, 0, memoryview(b"x"))

    assert erasing.value.errno == writing.value.errno == errno.EROFS
    assert read(mtd, 0, 1) == b"\x11"


def test_locked_block_in_the_middle_fails_the_erase_later(mtd: MtdInfo) -> None:
    mtd_lock(mtd, BLOCK, BLOCK)
    instr = erase(mtd, 0, 2 * BLOCK)

    with pytest.raises(OSError, match="locked") as caught:
        mtd_erase_wait(mtd, instr)

    assert caught.value.errno == errno.EROFS
    assert instr.state == MTD_ERASE_FAILED
    assert read(mtd, 0, 1) == b"\xff"


def test_low_vpp_raises_eio(mtd: MtdInfo) -> None:
    hardware(mtd).vpp = False

    with pytest.raises(OSError, match="bad VPP") as erasing:
        erase(mtd, 0)
    with pytest.raises(OSError, match="bad VPP") as writing:
        mtd_write(mtd, 0, memoryview(b"x"))

    assert erasing.value.errno == writing.value.errno == errno.EIO


def test_worn_block_is_tried_four_times_then_eio(mtd: MtdInfo) -> None:
    hardware(mtd).worn.add(0)
    instr = erase(mtd, 0)

    with pytest.raises(OSError, match="block erase failed") as caught:
        mtd_erase_wait(mtd, instr)

    assert caught.value.errno == errno.EIO
    assert sum("Retrying" in line for line in mtd.kernel.dmesg) == 3


def test_operation_that_does_not_end_raises_etime(mtd: MtdInfo) -> None:
    hardware(mtd).buffer_us = 1e9

    with pytest.raises(OSError, match="timed out") as caught:
        mtd_write(mtd, 0, memoryview(b"x"))

    assert caught.value.errno == errno.ETIME


def test_chip_that_stays_busy_raises_eio(mtd: MtdInfo) -> None:
    """After the timeout the driver takes it for idle; the next one who asks waits a second in vain."""
    hardware(mtd).buffer_us = 1e9
    with pytest.raises(OSError, match="timed out"):
        mtd_write(mtd, 0, memoryview(b"x"))

    with pytest.raises(OSError, match="Waiting for chip") as caught:
        read(mtd, 0, 1)

    assert caught.value.errno == errno.EIO


def test_erase_over_both_chips(mtd: MtdInfo) -> None:
    instr = erase(mtd, 0, 2 * CHIP)
    mtd_erase_wait(mtd, instr)

    assert read(mtd, 0, 2 * CHIP) == b"\xff" * (2 * CHIP)
    assert flash_time(mtd.kernel).now_us >= 8 * hardware(mtd).erase_us


def test_two_erases_of_one_chip_take_turns(mtd: MtdInfo) -> None:
    first, second = erase(mtd, 0), erase(mtd, BLOCK)
    mtd_erase_wait(mtd, second)

    assert first.state == second.state == MTD_ERASE_DONE


def test_chip_without_buffer_is_written_word_by_word(kernel: Kernel) -> None:
    mtd = flash(kernel, buffer_size=0)
    mtd_write(mtd, BLOCK + 1, memoryview(b"abcd"))

    assert mtd.ops is cfi_intelext_words_ops
    assert read(mtd, BLOCK, 6) == b"\xffabcd\xff"
    assert flash_time(kernel).now_us >= 3 * hardware(mtd).word_us


def test_write_and_read_are_counted_as_copies(mtd: MtdInfo) -> None:
    with Recording() as rec:
        mtd_write(mtd, BLOCK, memoryview(bytes(3000)))
        read(mtd, BLOCK, 3000)

    assert [event.fields for event in rec.events if event.name == "copy"] == [
        {"what": "memory to flash", "nbytes": 3000}, {"what": "flash to memory", "nbytes": 3000}]


def test_bad_sequence_by_somebody_else_is_cleared_before_a_buffer_write(mtd: MtdInfo) -> None:
    for value in (0x20, 0x00):
        hardware(mtd).write(0, value)
    mtd_write(mtd, BLOCK, memoryview(b"abc"))

    assert read(mtd, BLOCK, 3) == b"abc"
    assert any("Clearing" in line for line in mtd.kernel.dmesg)
