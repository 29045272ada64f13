"""A NOR chip has one mode: in any but array mode, no read of its range returns data."""

import errno

import pytest

from xiplab.errors import PROTECTION, ProgramInterruption
from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.hw.nor import (
    CLEAR_STATUS,
    CONFIRM,
    ERASE_BLOCK,
    LOCK,
    LOCK_SETUP,
    MANUFACTURER_INTEL,
    PRI_START,
    PROGRAM_BUFFER,
    PROGRAM_WORD,
    QUERY_START,
    READ_ARRAY,
    READ_ID,
    READ_QUERY,
    READ_STATUS,
    RESUME,
    SUSPEND,
    UNLOCK,
    CfiIdent,
    CfiPriIntelext,
    NorChip,
)
from xiplab.units import KiB, MiB, Paddr

BLOCK = 64 * KiB


@pytest.fixture
def chip() -> NorChip:
    """512 KiB; block 0 holds 0x11, block 1 holds 0x22, the others are erased."""
    chip = NorChip(Storage(4 * MiB), 512 * KiB)
    chip.burn(0, b"\x11" * BLOCK + b"\x22" * BLOCK)
    return chip


def cycles(chip: NorChip, *pairs: tuple[int, int]) -> None:
    for address, value in pairs:
        chip.write(address, value)


def program(chip: NorChip, address: int, value: int) -> int:
    """Program one word and wait; returns the status."""
    cycles(chip, (address, PROGRAM_WORD), (address, value))
    chip.advance(chip.word_us)
    return chip.status


def start_erase(chip: NorChip, address: int) -> None:
    cycles(chip, (address, ERASE_BLOCK), (address, CONFIRM))


def test_array_mode_reads_the_cells(chip: NorChip) -> None:
    assert (chip.read(0), chip.read(BLOCK), chip.read(2 * BLOCK)) == (0x1111, 0x2222, 0xFFFF)


def test_k171_program_is_and(chip: NorChip) -> None:
    """K171: 0x0F over 0xF0 gives 0x00, and no error."""
    first = program(chip, 2 * BLOCK, 0xF0F0)
    second = program(chip, 2 * BLOCK, 0x0F0F)
    chip.write(0, READ_ARRAY)

    assert (first, second) == (0x80, 0x80)
    assert chip.read(2 * BLOCK) == 0


def test_k172_program_cannot_set_bits(chip: NorChip) -> None:
    """K172: 0xFF over 0x00 stays 0x00, and reports success."""
    program(chip, 2 * BLOCK, 0)
    status = program(chip, 2 * BLOCK, 0xFFFF)
    chip.write(0, READ_ARRAY)

    assert status == 0x80
    assert chip.read(2 * BLOCK) == 0


def test_k173_every_read_during_erase_is_status(chip: NorChip) -> None:
    """K173: the status byte has bit 80 clear; another block's data is gone from sight as well."""
    start_erase(chip, BLOCK)
    during = chip.window.copy()
    chip.advance(chip.erase_us)

    assert not during.any()
    assert bytes(chip.window[:4]) == b"\x00\x80\x00\x80"


def test_erase_sets_the_block_and_no_other(chip: NorChip) -> None:
    start_erase(chip, BLOCK + 100)
    chip.advance(chip.erase_us - 1)
    almost = chip.status
    chip.advance(1)
    chip.write(0, READ_ARRAY)

    assert almost == 0
    assert (chip.window[:BLOCK] == 0x11).all()
    assert (chip.window[BLOCK:] == 0xFF).all()


def test_mapped_window_shows_what_the_chip_answers() -> None:
    """A machine's storage on the chip's frames sees cells and status alike, and may not store there."""
    storage = Storage(4 * MiB)
    chip = NorChip(storage, 128 * KiB)
    memory = AbsoluteStorage(storage)
    memory.attach(Paddr(0x1000000), chip.first, chip.npages, writable=False, name="flash")
    view = memory.view(0x1000000, 4)
    before = bytes(view)
    start_erase(chip, 0)

    assert before == b"\xff" * 4
    assert bytes(view) == b"\x00" * 4
    with pytest.raises(ProgramInterruption) as caught:
        memory.span(0x1000000, 2, "store")
    assert caught.value.code == PROTECTION


def test_busy_chip_hears_only_status_and_suspend(chip: NorChip) -> None:
    start_erase(chip, BLOCK)
    chip.write(0, READ_ARRAY)

    assert chip.mode == "status"


def test_suspended_erase_lets_data_be_read(chip: NorChip) -> None:
    start_erase(chip, BLOCK)
    chip.advance(1000)
    chip.write(0, SUSPEND)
    asked = chip.status
    chip.advance(20)
    suspended = chip.status
    chip.write(0, READ_ARRAY)
    data = chip.read(0)
    chip.advance(chip.erase_us)
    cycles(chip, (0, RESUME), (0, READ_STATUS))
    resumed = chip.status
    chip.advance(chip.erase_us - 1020)

    assert (asked, suspended, data, resumed) == (0x00, 0xC0, 0x1111, 0x00)
    assert chip.status == 0x80
    assert (chip.cells[BLOCK:2 * BLOCK] == 0xFF).all()


def test_suspend_of_an_erase_that_ends_first_is_void(chip: NorChip) -> None:
    start_erase(chip, BLOCK)
    chip.advance(chip.erase_us - 5)
    chip.write(0, SUSPEND)
    chip.advance(20)

    assert chip.status == 0x80
    chip.write(0, RESUME)
    assert chip.running is None


def test_chip_without_suspend_ignores_it() -> None:
    chip = NorChip(Storage(MiB), 128 * KiB, suspend=False)
    start_erase(chip, 0)
    chip.write(0, SUSPEND)
    chip.advance(100)

    assert chip.status == 0


def test_suspended_program_shows_bit_04(chip: NorChip) -> None:
    cycles(chip, (2 * BLOCK, PROGRAM_WORD), (2 * BLOCK, 0), (0, SUSPEND))
    chip.advance(20)

    assert chip.status == 0x84


def test_program_in_suspended_erase_if_the_chip_can() -> None:
    chip = NorChip(Storage(MiB), 256 * KiB, program_in_suspend=True)
    start_erase(chip, 0)
    chip.write(0, SUSPEND)
    chip.advance(20)
    other_block = program(chip, BLOCK, 0x1234)
    same_block = program(chip, 0, 0x1234)

    assert other_block == 0xC0
    assert same_block == 0xC0 | 0x30


def test_buffered_program_writes_once_and_leaves_neighbours(chip: NorChip) -> None:
    at = 2 * BLOCK + 6
    cycles(chip, (2 * BLOCK, PROGRAM_BUFFER), (2 * BLOCK, 1), (at, 0x1234), (at + 2, 0x5678),
           (2 * BLOCK, CONFIRM))
    busy = chip.status
    chip.advance(chip.buffer_us)
    chip.write(0, READ_ARRAY)

    assert busy == 0
    assert bytes(chip.window[at - 2:at + 6]) == b"\xff\xff\x12\x34\x56\x78\xff\xff"


@pytest.mark.parametrize("sequence", [
    [(0, ERASE_BLOCK), (0, READ_ARRAY)],
    [(0, LOCK_SETUP), (0, 0x77)],
    [(0, PROGRAM_BUFFER), (0, 0), (0, 0x1234), (0, READ_ARRAY)],
    [(0, PROGRAM_BUFFER), (0, 600)],
    [(0, PROGRAM_BUFFER), (0, 1), (0x4000, 0)],
])
def test_wrong_sequence_sets_both_error_bits(chip: NorChip, sequence: list[tuple[int, int]]) -> None:
    cycles(chip, *sequence)

    assert chip.status == 0xB0


def test_error_bits_stay_until_cleared_and_stop_buffer_programs(chip: NorChip) -> None:
    cycles(chip, (0, ERASE_BLOCK), (0, 0), (0, READ_ARRAY), (0, PROGRAM_BUFFER), (0, 0), (0, 0), (0, CONFIRM))
    before = chip.status
    chip.write(0, CLEAR_STATUS)

    assert before == 0xB0
    assert chip.status == 0x80
    assert chip.cells[0] == 0x11


def test_locked_block_refuses_erase_and_program_at_once(chip: NorChip) -> None:
    cycles(chip, (BLOCK, LOCK_SETUP), (BLOCK, LOCK))
    start_erase(chip, BLOCK)
    erase = chip.status
    chip.write(0, CLEAR_STATUS)
    programmed = program(chip, BLOCK, 0)
    cycles(chip, (0, CLEAR_STATUS), (BLOCK, LOCK_SETUP), (BLOCK, UNLOCK))
    start_erase(chip, BLOCK)

    assert (erase, programmed, chip.status) == (0xA2, 0x92, 0x00)


def test_low_vpp_sets_bit_08(chip: NorChip) -> None:
    chip.vpp = False
    start_erase(chip, 0)

    assert chip.status == 0xA8


def test_worn_block_fails_after_its_time(chip: NorChip) -> None:
    chip.worn.add(1)
    start_erase(chip, BLOCK)
    chip.advance(chip.erase_us)

    assert chip.status == 0xA0
    assert chip.cells[BLOCK] == 0x22


def test_id_mode_shows_manufacturer_and_lock_bits(chip: NorChip) -> None:
    cycles(chip, (BLOCK, LOCK_SETUP), (BLOCK, LOCK), (0, READ_ID))

    assert chip.read(0) == MANUFACTURER_INTEL
    assert (chip.read(4), chip.read(BLOCK + 4)) == (0, 1)


def test_query_mode_shows_the_cfi_table(chip: NorChip) -> None:
    chip.write(0xAA, READ_QUERY)
    table = bytes(chip.read(2 * word) for word in range(256))

    assert table[0x10:0x13] == b"QRY"
    assert table[0x27] == 19
    assert table[0x2D:0x31] == bytes([7, 0, 0, 1])
    assert table[0x31:0x34] == b"PRI"


def test_query_records_have_the_standards_offsets() -> None:
    """Word addresses of the common flash interface, hexadecimal."""
    fields = CfiIdent.dtype.fields
    pri = CfiPriIntelext.dtype.fields
    assert fields is not None
    assert pri is not None

    at = {name: QUERY_START + fields[name][1] for name in fields}
    assert (at["P_ID"], at["P_ADR"], at["VccMin"], at["WordWriteTimeoutTyp"]) == (0x13, 0x15, 0x1B, 0x1F)
    assert (at["DevSize"], at["InterfaceDesc"], at["MaxBufWriteSize"]) == (0x27, 0x28, 0x2A)
    assert (at["NumEraseRegions"], at["EraseRegionInfo"]) == (0x2C, 0x2D)
    assert {name: PRI_START + pri[name][1] for name in ("FeatureSupport", "SuspendCmdSupport")} == {
        "FeatureSupport": PRI_START + 5, "SuspendCmdSupport": PRI_START + 9}


@pytest.mark.parametrize("address", [1, -2, 512 * KiB])
def test_bus_cycle_outside_words_raises_einval(chip: NorChip, address: int) -> None:
    with pytest.raises(OSError, match="bus cycle") as caught:
        chip.write(address, READ_ARRAY)

    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(("size", "block"), [(100 * KiB, BLOCK), (512 * KiB, 1000), (4096, 8192)])
def test_wrong_geometry_raises_einval(size: int, block: int) -> None:
    with pytest.raises(OSError, match="powers of two") as caught:
        NorChip(Storage(MiB), size, block)

    assert caught.value.errno == errno.EINVAL


def test_image_larger_than_the_chip_raises_enospc(chip: NorChip) -> None:
    with pytest.raises(OSError, match="fit") as caught:
        chip.burn(4096, bytes(512 * KiB))

    assert caught.value.errno == errno.ENOSPC
