"""DIAGNOSE X'64' and X'08' as the machine sees them: registers, condition codes, blocks in storage."""

import numpy as np
import pytest

from xiplab.errors import ADDRESSING, PROTECTION, SPECIFICATION, ProgramInterruption
from xiplab.hw.memory import Storage
from xiplab.units import GiB, MiB
from xiplab.zvm import diag64
from xiplab.zvm.cp import ControlProgram
from xiplab.zvm.diag64 import Qin64, Qout64, Qout64Old, decode_name, encode_name
from xiplab.zvm.machine import CP_RESPONSE_WANTED, VirtualMachine

AT, END = 0x10000000, 0x100FFFFF
NAME = 0x1000


@pytest.fixture
def vm() -> ControlProgram:
    vm = ControlProgram(Storage(8 * GiB))
    vm.segment("MYDCSS", MiB, "SR", at=AT)
    return vm


@pytest.fixture
def guest(vm) -> VirtualMachine:
    return vm.virtual_machine("LINUX1")


def issue(guest, name: str, subcode: int) -> tuple[int, int, int]:
    guest.memory.view(NAME, 8)[:] = memoryview(encode_name(name))
    return guest.diagnose(0x64, NAME, subcode)


def query(guest, name: str, subcode: int, length: int = 120, out: int = 0x2000, opcode: int = 0x0C):
    qin = Qin64(guest.memory.view(NAME, 24))
    qin.qopcode, qin.qoutptr, qin.qoutlen = opcode, out, length
    qin.qname[:] = memoryview(encode_name(name))
    return guest.diagnose(0x64, NAME, subcode)


@pytest.mark.parametrize(("record", "offsets"), [
    (Qin64, {"qopcode": 0, "qrcode": 4, "qname": 8, "qoutptr": 16, "qoutlen": 20}),
    (Qout64, {"segstart": 0, "segend": 8, "segcnt": 16, "segrcnt": 20, "range": 24}),
    (Qout64Old, {"segstart": 0, "segend": 4, "segcnt": 8, "segrcnt": 12, "range": 16}),
])
def test_block_layout_is_that_of_extmem_c(record, offsets):
    assert {name: record.dtype.fields[name][1] for name in offsets} == offsets


def test_names_are_padded_ebcdic():
    assert encode_name("mydcss") == bytes.fromhex("d4e8c4c3e2e24040")
    assert decode_name(encode_name("toolongname")) == "TOOLONGN"


@pytest.mark.parametrize("subcode", [diag64.FINDSEG, diag64.FINDSEGX])
def test_find_condition_codes(guest, subcode):
    assert issue(guest, "MYDCSS", subcode) == (1, AT, END)
    issue(guest, "MYDCSS", diag64.LOADSHRX)
    assert issue(guest, "MYDCSS", subcode) == (0, AT, END)
    assert issue(guest, "NOSUCH", subcode) == (2, NAME, 44)


def test_purge_condition_codes(guest):
    assert issue(guest, "MYDCSS", diag64.PURGESEG)[0] == 1
    issue(guest, "MYDCSS", diag64.LOADSHRX)
    assert issue(guest, "MYDCSS", diag64.PURGESEG)[0] == 0
    assert issue(guest, "NOSUCH", diag64.PURGESEG) == (2, NAME, 44)


@pytest.mark.parametrize("subcode", [diag64.LOADSHR, diag64.LOADNSR, diag64.LOADNOLY, diag64.LOADSHRX,
                                     diag64.LOADNSRX])
def test_load_condition_codes(guest, subcode):
    assert issue(guest, "MYDCSS", subcode) == (0, AT, END)
    assert issue(guest, "NOSUCH", subcode) == (2, NAME, 44)


@pytest.mark.parametrize("subcode", [0x14, 0x1C, 0x30, 0xFF, -1, 1 << 63])
def test_unknown_subcode_sets_condition_code_3(guest, subcode):
    assert issue(guest, "MYDCSS", subcode) == (3, NAME, subcode)


@pytest.mark.parametrize("subcode", [0x20, 0x24, 0x2C, 0x38])
def test_new_subcodes_are_unknown_before_5_4(vm, subcode):
    assert issue(vm.virtual_machine("OLD", extended=False), "MYDCSS", subcode)[0] == 3


def test_loadnoly_refuses_what_lies_over_a_loaded_segment(vm, guest):
    vm.segment("OVER", MiB, at=AT + MiB // 2)
    issue(guest, "MYDCSS", diag64.LOADSHR)

    assert issue(guest, "OVER", diag64.LOADNOLY) == (2, NAME, diag64.RC_OVERLAY)
    assert issue(guest, "OVER", diag64.LOADSHR)[0] == 0
    assert list(guest.attached) == ["OVER"]


def test_load_over_the_guests_storage_is_refused(vm, guest):
    vm.segment("LOW", MiB, at=63 * MiB)

    assert issue(guest, "LOW", diag64.LOADSHRX) == (2, NAME, diag64.RC_OVERLAY)


def test_load_without_room_is_a_paging_error():
    vm = ControlProgram(Storage(4 * MiB))
    vm.segment("SEG", 2 * MiB, "EW")
    guest = vm.virtual_machine("A", storage=MiB)

    assert issue(guest, "SEG", diag64.LOADSHRX) == (2, NAME, diag64.RC_PAGING_ERROR)
    assert guest.attached == {}
    vm.cp("DEFSEG MORE 20000-204FF SR")
    assert vm.cp("SAVESEG MORE").rc == 177


def test_extended_query_gives_type_and_ranges(vm, guest):
    vm.cp("DEFSEG MIXED 60000-600FF EW 60100-602FF EN")
    vm.cp("SAVESEG MIXED")

    assert query(guest, "MIXED", diag64.SEGEXTX) == (1, NAME, 0)
    qout = Qout64(guest.memory.view(0x2000, 120))
    assert (qout.segstart, qout.segend, qout.segcnt, qout.segrcnt) == (0x60000000, 0x602FFFFF, 2, 2)
    assert qout.range[:2].tolist() == [[0x60000001, 0x600FF000], [0x60100005, 0x602FF000]]


def test_extended_query_old_form_has_words(guest):
    assert query(guest, "MYDCSS", diag64.SEGEXT) == (1, NAME, 0)
    qout = Qout64Old(guest.memory.view(0x2000, 64))
    assert (qout.segstart, qout.segend, qout.segcnt) == (AT, END, 1)
    assert qout.range[0].tolist() == [AT | 2, 0x100FF000]


def test_extended_query_tells_how_many_ranges_there_are(vm, guest):
    vm.cp("DEFSEG MANY " + " ".join(f"{page:X} SR" for page in range(0x60000, 0x60014, 2)))
    vm.cp("SAVESEG MANY")
    query(guest, "MANY", diag64.SEGEXTX)

    qout = Qout64(guest.memory.view(0x2000, 120))
    assert (qout.segcnt, qout.segrcnt) == (10, 6)


def test_extended_query_of_a_loaded_segment_describes_the_loaded_copy(vm, guest):
    issue(guest, "MYDCSS", diag64.LOADSHRX)
    vm.segment("MYDCSS", 2 * MiB, "SW", at=0x50000000)

    assert query(guest, "MYDCSS", diag64.SEGEXTX)[0] == 0
    assert Qout64(guest.memory.view(0x2000, 120)).segstart == AT


@pytest.mark.parametrize(("options", "rc"), [
    ({"opcode": 0}, diag64.RC_BAD_BLOCK), ({"length": 119}, diag64.RC_BAD_BLOCK), ({"name": "NOSUCH"}, 44)])
def test_extended_query_refused(guest, options, rc):
    assert query(guest, **{"name": "MYDCSS", "subcode": diag64.SEGEXTX, **options}) == (2, NAME, rc)


@pytest.mark.parametrize("address", [64 * MiB, -8, 64 * MiB - 4, 1 << 62])
def test_name_outside_storage_is_an_addressing_exception(guest, address):
    with pytest.raises(ProgramInterruption) as interruption:
        guest.diagnose(0x64, address, diag64.FINDSEG)
    assert interruption.value.code == ADDRESSING


def test_answer_into_a_read_only_segment_is_a_protection_exception(guest):
    issue(guest, "MYDCSS", diag64.LOADSHRX)

    with pytest.raises(ProgramInterruption) as interruption:
        query(guest, "MYDCSS", diag64.SEGEXTX, out=AT)
    assert (interruption.value.code, interruption.value.address) == (PROTECTION, AT)


@pytest.mark.parametrize("code", [0, 0x44, 0x500, -1])
def test_unknown_diagnose_is_a_specification_exception(guest, code):
    with pytest.raises(ProgramInterruption) as interruption:
        guest.diagnose(code, 0, 0)
    assert interruption.value.code == SPECIFICATION


def command(guest, text: str, flags: int = CP_RESPONSE_WANTED, at: int = NAME) -> tuple[int, int, int]:
    encoded = text.encode("cp037")
    guest.memory.view(at, len(encoded))[:] = memoryview(encoded)
    return guest.diagnose(0x08, at, len(encoded) | flags)


def test_diagnose_08_response_replaces_the_command(guest):
    cc, length, rc = command(guest, "query nss name mydcss map")
    lines = guest.memory.view(NAME, length).tobytes().decode("cp037").split("\x85")

    assert (cc, rc, len(lines)) == (0, 0, 2)
    assert lines[1].startswith("0001 MYDCSS   DCSS")


def test_diagnose_08_response_that_does_not_fit_is_cut(guest):
    cc, length, rc = command(guest, "Q NSS MAP", at=0x1FF0)

    assert (cc, length, rc) == (1, 16, 0)


def test_diagnose_08_without_a_buffer_writes_to_the_console(guest):
    assert command(guest, "NONSENSE", flags=0) == (0, NAME, 1)
    assert guest.console == ["HCPCMD001E Unknown CP command: NONSENSE"]


def test_diagnose_08_runs_as_the_guests_user(vm):
    guest = vm.virtual_machine("POOR", privclass="G")

    assert command(guest, "PURGE NSS ALL")[2] == 1
    assert list(vm.segments) == ["MYDCSS"]


def test_diagnose_08_empty_command_does_nothing(guest):
    assert guest.diagnose(0x08, NAME, 0) == (0, NAME, 0)


def test_diagnose_08_any_bytes_give_a_return_code(guest):
    """Whatever lies in storage, CP answers."""
    rng = np.random.default_rng(8)
    for _ in range(200):
        length = int(rng.integers(1, 300))
        guest.memory.view(NAME, length)[:] = rng.integers(0, 256, length)
        assert guest.diagnose(0x08, NAME, length)[2] in (0, 1)
