"""CP commands: what they answer, in IBM's words and columns, and with which return code."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xiplab.hw.memory import Storage
from xiplab.units import GiB, MiB
from xiplab.zvm.command import MAP_HEAD
from xiplab.zvm.cp import ControlProgram


@pytest.fixture
def vm() -> ControlProgram:
    return ControlProgram(Storage(8 * GiB), clock=lambda: 1_000_000_000)


def test_defseg_and_saveseg_answer_with_the_file_number(vm):
    defined = vm.cp("defseg mydcss 10000-100FF sr")
    saved = vm.cp("SAVESEG MYDCSS")

    assert defined == "HCPNSD440I Saved segment MYDCSS was successfully defined in fileid 0001."
    assert saved == "HCPNSS440I Saved segment MYDCSS was successfully saved in fileid 0001."
    assert (defined.rc, saved.rc) == (0, 0)


@pytest.mark.parametrize(("command", "rc"), [
    ("DEFSEG", 26), ("DEFSEG A", 26), ("DEFSEG A 10000-100FF", 26), ("DEFSEG A 10000 SR 20000", 26),
    ("DEFSEG A RSTD RSTD RSTD", 26), ("DEFSEG NINECHARS 10000-100FF SR", 2), ("DEFSEG A.B 1-2 SR", 2),
    ("DEFSEG A 10000-100FF XX", 2), ("DEFSEG A 100FF-10000 SR", 2), ("DEFSEG A 10000- SR", 2),
    ("DEFSEG A -1 SR", 2), ("DEFSEG A 0X10 SR", 2), ("DEFSEG A 1_0 SR", 2), ("DEFSEG A G SR", 2),
    ("DEFSEG A 8000000 SR", 2), ("DEFSEG A 0-7FF00 SR", 2), ("DEFSEG A 100-1FF SR 180-2FF SR", 2),
    ("DEFSEG A 200-2FF SR 100-1FF SR", 2), ("DEFSEG A 100-10F SR 110-1FF EW", 2),
    ("DEFSEG A 0 SR 7FF00 SR", 2), ("DEFSEG A 100-1FF SR RSTD LOADNSHR", 13),
    ("DEFSEG A 100-1FF SC LOADNSHR", 13),
    ("DEFSEG A " + " ".join(f"{page:X} SR" for page in range(65)), 2),
    ("SAVESEG", 26), ("SAVESEG A B", 2), ("SAVESEG A", 44),
    ("PURGE", 26), ("PURGE NSS", 26), ("PURGE RDR ALL", 2), ("PURGE NSS A B", 2), ("PURGE NSS NAME A B", 2),
    ("QUERY", 26), ("QUERY TIME", 2), ("QUERY NSS A B", 2), ("Q NSS MAP MAP", 0), ("Q NSS NAME MAP", 0),
    ("NONSENSE", 1), ("DEFSE A 10000 SR", 1), ("SAVESEGS A", 1), ("PU NSS ALL", 1), ("", 0), ("   ", 0),
])
def test_command_return_codes(vm, command, rc):
    response = vm.cp(command)

    assert response.rc == rc
    assert not rc or f"{rc:03d}E " in response
    assert vm.spool.files == []


@pytest.mark.parametrize("pages", ["0-7FEFF", "7F800-7F8FF", "10000", "7FFFFFF"])
def test_defseg_page_limits(vm, pages):
    assert vm.cp(f"DEFSEG A {pages} SR").rc == 0


def test_megabyte_may_have_several_ranges_of_one_kind(vm):
    assert vm.cp("DEFSEG A 100-10F SR 110-11F SW 180-1FF SN").rc == 0
    assert vm.cp("DEFSEG B 100-1FF SR 200-2FF EW").rc == 0


def test_defseg_again_replaces_the_skeleton(vm):
    vm.cp("DEFSEG A 100-1FF SR")
    vm.cp("DEFSEG A 200-2FF SW")

    assert [(file.spoolid, file.first) for file in vm.spool.files] == [(2, 0x200)]


def test_saveseg_makes_class_a_or_r(vm):
    for name, option in (("FREE", ""), ("SECRET", "RSTD"), ("SEC", "SECURE"), ("SKEL", "")):
        vm.cp(f"DEFSEG {name} 10000-100FF SR {option}")
    for name in ("FREE", "SECRET", "SEC"):
        vm.cp(f"SAVESEG {name}")

    assert {file.name: file.class_ for file in vm.spool.files} == {
        "FREE": "A", "SECRET": "R", "SEC": "A", "SKEL": "S"}
    assert sorted(vm.segments) == ["FREE", "SEC", "SECRET"]


def test_query_nss_map_columns_stand_under_their_heads(vm):
    """IBM's example is MONDCSS: 0x800 pages of type SC with three users."""
    vm.cp("DEFSEG MONDCSS 09000-097FF SC")
    vm.cp("SAVESEG MONDCSS")
    for userid in ("A", "B", "C"):
        vm.virtual_machine(userid).load(vm.segments["MONDCSS"], exclusive=False)
    head, line = vm.cp("QUERY NSS MAP").splitlines()

    assert head.split() == ["FILE", "FILENAME", "FILETYPE", "MINSIZE", "BEGPAG", "ENDPAG", "TYPE", "CL",
                            "#USERS", "PARMREGS", "VMGROUP"]
    assert line.split() == ["0001", "MONDCSS", "DCSS", "N/A", "09000", "097FF", "SC", "A", "00003",
                            "N/A", "N/A"]
    assert [line[word.start():].split()[0] for word in re.finditer(r"\S+", head)] == line.split()


def test_query_nss_map_has_a_line_for_each_range(vm):
    vm.cp("DEFSEG MIXED 60000-600FF EW 7FFFF00-7FFFFFF EN")
    vm.cp("DEFSEG MIXED 60000-600FF EW 60100-601FF EN")
    lines = vm.cp("Q NSS MIXED MAP").splitlines()

    assert len(lines) == 3
    assert (lines[2].index("60100"), lines[2].split()) == (MAP_HEAD.index("BEGPAG"), ["60100", "601FF", "EN"])


def test_query_nss_lists_files(vm):
    vm.segment("MYDCSS", MiB)
    vm.cp("DEFSEG SKEL 50000-500FF SR", user="OPERATOR")
    head, first, second = vm.cp("QUERY NSS").splitlines()

    assert first.split() == ["*NSS", "0001", "NSS", "A", "0257", "01/01", "00:00:01", "MYDCSS", "DCSS",
                             "MAINT"]
    assert second.split()[3:5] == ["S", "0001"]
    assert second.split()[-1] == "OPERATOR"
    assert head.index("ORIGINID") == second.index("OPERATOR")


@pytest.mark.parametrize(("choice", "names"), [
    ("", ["A", "B", "ALL"]), ("ALL", ["A", "B", "ALL"]), ("B", ["B"]), ("NAME B", ["B"]), ("2", ["B"]),
    ("0001", ["A"]), ("NAME ALL", ["ALL"]), ("NAME 2", []), ("NOSUCH", []), ("77", [])])
def test_query_nss_choice(vm, choice, names):
    for name in ("A", "B", "ALL"):
        vm.segment(name, MiB)
    response = vm.cp(f"QUERY NSS {choice} MAP")

    assert [line.split()[1] for line in response.splitlines()[1:]] == names
    assert bool(names) or response == "NO NSS FILES"


def test_purge_nss_answers_with_counts(vm):
    for name in ("A", "B", "C"):
        vm.segment(name, MiB)
    vm.virtual_machine("LINUX1").load(vm.segments["B"], exclusive=False)

    assert vm.cp("PURGE NSS NAME NOSUCH") == "NO FILES PURGED"
    assert vm.cp("PUR NSS A") == "0001 FILE PURGED"
    assert vm.cp("PURGE NSS ALL") == "0001 FILE PURGED\n0001 FILE PENDING PURGE"
    assert vm.cp("PURGE NSS ALL") == "NO FILES PURGED"
    assert vm.cp("QUERY NSS B MAP").splitlines()[1].split()[7:9] == ["P", "00001"]


def test_guest_without_class_e_knows_none_of_the_commands(vm):
    vm.virtual_machine("POOR", privclass="G")

    assert vm.cp("QUERY NSS", user="poor").rc == 1
    assert vm.cp("QUERY NSS", user="OPERATOR").rc == 0


def test_file_numbers_begin_again_after_9999(vm):
    vm.segment("KEPT", MiB)
    vm.spool.next_spoolid = 9999
    numbers = [vm.cp("DEFSEG A 100-1FF SR").rstrip(".").split()[-1] for _ in range(3)]

    assert numbers == ["9999", "0002", "0003"]


def test_defseg_without_a_free_number_is_refused(vm, monkeypatch):
    monkeypatch.setattr("xiplab.zvm.spool.MAX_SPOOLID", 1)
    vm.cp("DEFSEG A 100-1FF SR")

    assert vm.cp("DEFSEG B 100-1FF SR").rc == 92


WORDS = st.sampled_from([
    "DEFSEG", "SAVESEG", "PURGE", "QUERY", "Q", "NSS", "NAME", "ALL", "MAP", "A", "B", "1", "10000-100FF",
    "100", "SR", "EW", "SN", "RSTD", "LOADNSHR", "-", "9" * 5000, "\0", "ß"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(max_size=12)), max_size=9))
def test_cp_never_raises(words):
    """Whatever a command says, there is a text and a return code."""
    vm = ControlProgram(SHARED_STORAGE)
    vm.segment("A", 4096)
    response = vm.cp(" ".join(words))

    assert isinstance(response, str)
    assert response.rc in (0, 1, 2, 13, 26, 44)
    vm.cp("PURGE NSS ALL")
    assert SHARED_STORAGE.used == 0


SHARED_STORAGE = Storage(8 * GiB)
