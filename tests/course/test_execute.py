"""The experiment of notebook 08: programs in two guests, on the frames of one segment."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from xiplab.course.experiments.execute import GUESTS, SIGN, Execute, Page
from xiplab.hw.asm import assemble
from xiplab.units import PAGE_SIZE


@pytest.fixture
def experiment() -> Execute:
    return Execute()


def page(experiment: Execute, guest: str, kind: str, file: str = "") -> Page:
    return next(page for page in experiment.pages(guest) if (page.kind, page.file) == (kind, file))


def test_text_and_rodata_are_the_segment_and_the_rest_is_the_guests(experiment: Execute) -> None:
    segment = experiment.vm.segments["PROGRAMS"].mem
    for guest in GUESTS:
        experiment.run(guest)
        memory = experiment.guests[guest].kernel.memory
        for found in experiment.pages(guest):
            in_place = found.kind in ("text", "rodata")

            assert np.shares_memory(memory.frame(found.pfn), segment) is found.shared is in_place
    one, two = (page(experiment, guest, "text", "counter") for guest in GUESTS)

    assert one.pfn == two.pfn
    assert {found.kind for found in experiment.pages("LINUX1")} == {"text", "rodata", "data", "bss", "stack"}


def test_before_the_first_instruction_only_linux_has_stored(experiment: Execute) -> None:
    """exec maps and loads nothing; it writes the stack, and clears the page behind counter's data."""
    assert [(found.kind, found.shared) for found in experiment.pages("LINUX1")] == [
        ("data", False), ("stack", False)]


def test_execute_one_instruction_moves_by_its_length(experiment: Execute) -> None:
    at = experiment.next_address("LINUX1")
    experiment.execute("LINUX1")

    assert experiment.next_address("LINUX1") == at + len(experiment.trail["LINUX1"][-1].code)
    assert experiment.faults["LINUX1"] == {"device frame": 1}
    assert experiment.registers("LINUX1")[2] == 1, "argc"


def test_execute_step_by_step_prints_what_a_run_prints(experiment: Execute) -> None:
    experiment.execute("LINUX1", 10_000)
    experiment.run("LINUX2")

    assert experiment.output("LINUX1") == experiment.output("LINUX2") == "data 42, bss 1, far 1\n"
    assert "exit() with 0" in experiment.sentence()


def test_library_has_one_set_of_frames_at_two_addresses(experiment: Execute) -> None:
    experiment.start("LINUX1", "greet Ann Bob")
    experiment.start("LINUX2", "shout Eve")
    for guest in GUESTS:
        experiment.next_line(guest)
    one, two = (page(experiment, guest, "text", "libgreet.so") for guest in GUESTS)

    assert one.pfn == two.pfn
    assert one.vaddr != two.vaddr
    assert page(experiment, "LINUX1", "data", "libgreet.so").shared is False


def test_patched_byte_of_text_is_executed_by_both_guests_at_the_next_call(experiment: Execute) -> None:
    for guest in GUESTS:
        experiment.start(guest, "greet Ann Bob")
        experiment.next_line(guest)
    experiment.patch(experiment.sign() + 3, ord("!"))
    for guest in GUESTS:
        experiment.next_line(guest)

        assert experiment.output(guest) == "Hello, Ann.\nHello, Bob!\n"


def test_data_is_the_segments_until_the_program_stores(experiment: Execute) -> None:
    """Four instructions in place of jump's: load from its data, store there, exit."""
    entry = experiment.entry("jump")
    experiment.assemble(entry, "larl %r1,.+data-start; lg %r3,0(%r1); stg %r3,0(%r1)"
                        .replace("data-start", str(0x1003000 - 0x1000000 - entry % PAGE_SIZE)))
    experiment.start("LINUX1", "jump")
    experiment.execute("LINUX1", 2)
    before = page(experiment, "LINUX1", "data", "jump")
    experiment.execute("LINUX1")
    after = page(experiment, "LINUX1", "data", "jump")

    assert (before.shared, before.writable) == (True, False)
    assert (after.shared, after.writable) == (False, True)


def test_sign_and_entry_are_where_the_code_lies(experiment: Execute) -> None:
    segment = experiment.vm.segments["PROGRAMS"]
    sign, entry = experiment.sign(), experiment.entry("loop")

    assert segment.mem[sign:sign + 6].tobytes() == assemble(SIGN)
    assert segment.mem[entry:entry + 4].tobytes() == assemble("here: j here")


@pytest.mark.parametrize(("command", "signal"), [
    ("loop", "SIGXCPU"), ("jump", "SIGSEGV"), ("wild", "SIGSEGV")])
def test_program_that_goes_wrong_ends_with_a_signal(experiment: Execute, command: str, signal: str) -> None:
    experiment.start("LINUX1", command)
    experiment.run("LINUX1")

    assert signal in experiment.sentence()
    assert experiment.pages("LINUX1") == []


@pytest.mark.parametrize(("call", "args", "number"), [
    ("start", ("LINUX3", "hello"), errno.EINVAL), ("start", ("LINUX1", "nothing"), errno.ENOENT),
    ("patch", (0x200000, 1), errno.EFAULT), ("patch", (0, 256), errno.EINVAL),
    ("assemble", (0xFFE, "svc 1; svc 1"), errno.EFAULT), ("look", ("LINUX3",), errno.EINVAL),
    ("assemble", (0, "fly %r1"), errno.EINVAL)])
def test_what_cannot_be_done_is_refused_and_changes_nothing(
        experiment: Execute, call: str, args: tuple[object, ...], number: int) -> None:
    before = str(experiment)
    with pytest.raises(OSError, match=r"\w") as refused:
        getattr(experiment, call)(*args)

    assert refused.value.errno == number
    assert str(experiment) == before


def test_ended_program_executes_no_more(experiment: Execute) -> None:
    experiment.run("LINUX1")
    with pytest.raises(OSError, match="has ended") as refused:
        experiment.execute("LINUX1")

    assert refused.value.errno == errno.ESRCH


def test_program_that_writes_nothing_has_no_next_line(experiment: Execute) -> None:
    experiment.start("LINUX1", "loop")
    with pytest.raises(OSError, match="no line") as refused:
        experiment.next_line("LINUX1")

    assert refused.value.errno == errno.ETIME


def test_frames_by_kind_count_the_segments_once(experiment: Execute) -> None:
    for guest in GUESTS:
        experiment.run(guest)
    found = experiment.frames_by_kind()

    assert found["segment"] == {"text": 1, "rodata": 1}
    assert found["LINUX1"] == found["LINUX2"]
    assert {kind for kind in found["LINUX1"]} == {"data", "bss", "stack", "page tables"}


def test_python_gives_the_same_state(experiment: Execute) -> None:
    experiment.start("LINUX1", "greet Ann Bob")
    experiment.execute("LINUX1", 5)
    experiment.assemble(experiment.sign(), "lghi %r2,'?'; br %r14")
    experiment.look("LINUX2")
    names: dict[str, Execute] = {}
    exec(experiment.python(), names)

    assert str(names["experiment"]) == str(experiment)
    assert names["experiment"].registers("LINUX1") == experiment.registers("LINUX1")
    assert names["experiment"].shown == "LINUX2"
