"""The experiment of notebook 02: who shares a segment, and who may write it."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from xiplab.course.experiments.segments import Segments
from xiplab.zvm.segment import SEGMENT_TYPES


@pytest.fixture
def experiment() -> Segments:
    return Segments()


def test_shared_loads_lie_on_the_segments_own_frame(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB")
    experiment.load("LINUX2", "SHLIB")
    one, two = (experiment.found(guest, "SHLIB").frame for guest in ("LINUX1", "LINUX2"))

    assert one == two == experiment.catalogue()[0].frame
    assert experiment.taken == 0


def test_exclusive_load_takes_frames_of_its_own(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB", "exclusive")
    machine = experiment.guests["LINUX1"].machine

    assert experiment.taken == 256
    assert not np.shares_memory(machine.memory.view(0x10000000, 4096), experiment.vm.segments["SHLIB"].mem)


@pytest.mark.parametrize("kind", SEGMENT_TYPES)
@pytest.mark.parametrize("how", ["shared", "exclusive"])
def test_store_is_seen_or_refused_as_the_type_says(experiment: Segments, kind: str, how: str) -> None:
    """The table of the notebook: who may write, and does the other guest see it?"""
    experiment.cp(f"DEFSEG DATA 10200-102FF {kind}")
    experiment.cp("SAVESEG DATA")
    experiment.load("LINUX1", "DATA", how)
    experiment.load("LINUX2", "DATA")
    answer = experiment.store("LINUX1", "DATA", "J")
    type_ = SEGMENT_TYPES[kind]

    assert ("protection exception" not in answer) == (how == "exclusive" or type_.guest_writes)
    assert (experiment.found("LINUX2", "DATA").text[0] == "J") == (kind in ("SW", "SN") and how == "shared")


def test_skeleton_cannot_be_loaded(experiment: Segments) -> None:
    experiment.cp("DEFSEG DATA 10200-102FF SR")

    assert experiment.load("LINUX1", "DATA").startswith("ENOENT")
    assert experiment.catalogue()[-1].class_ == "S"


def test_save_leaves_the_old_copy_to_those_who_have_it(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB")
    experiment.load("LINUX2", "SHLIB", "exclusive")
    experiment.store("LINUX2", "SHLIB", "J")
    experiment.save("LINUX2", "SHLIB")

    assert [(e.class_, e.text[0]) for e in experiment.catalogue() if e.name == "SHLIB"] == [
        ("P", "A"), ("A", "J")]
    assert experiment.found("LINUX1", "SHLIB").text[0] == "A"
    experiment.unload("LINUX1", "SHLIB")
    experiment.load("LINUX1", "SHLIB")
    assert experiment.found("LINUX1", "SHLIB").text[0] == "J"


def test_restart_keeps_what_was_saved_and_nothing_else(experiment: Segments) -> None:
    experiment.load("LINUX1", "BOARD")
    experiment.store("LINUX1", "BOARD", "Lost")
    experiment.load("LINUX1", "SHLIB", "exclusive")
    experiment.store("LINUX1", "SHLIB", "Kept")
    experiment.save("LINUX1", "SHLIB")
    experiment.restart()

    assert {entry.name: entry.text[:4] for entry in experiment.catalogue()} == {
        "BOARD": "A no", "SHLIB": "Kept"}
    assert experiment.loaded("LINUX1") == []


def test_last_user_of_a_purged_segment_ends_it(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB")
    experiment.cp("PURGE NSS SHLIB")
    assert experiment.catalogue()[0].class_ == "P"
    experiment.unload("LINUX1", "SHLIB")

    assert [entry.name for entry in experiment.catalogue()] == ["BOARD"]


def test_reload_loses_what_was_not_saved(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB", "exclusive")
    experiment.store("LINUX1", "SHLIB", "J")
    answer = experiment.reload("LINUX1", "SHLIB", "shared")

    assert "the segment's own" in answer
    assert experiment.found("LINUX1", "SHLIB").text[0] == "A"


def test_calls_to_cp_are_noted(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB")

    assert [call.split("', ")[1] for call in experiment.calls] == [
        "find: does CP know the newer calls?: condition code 2", "query SHLIB: condition code 1",
        "load shared SHLIB: condition code 0"]


@pytest.mark.parametrize(("deed", "name"), [
    (("load", "LINUX1", "NOSUCH"), "ENOENT"), (("unload", "LINUX1", "SHLIB"), "ENXIO"),
    (("reload", "LINUX1", "SHLIB", "shared"), "EINVAL"), (("store", "LINUX1", "SHLIB", "J"), "ENXIO")])
def test_refusals_are_answers(experiment: Segments, deed: tuple[str, ...], name: str) -> None:
    answer = getattr(experiment, deed[0])(*deed[1:])

    assert answer.startswith(f"{name}, ")
    assert len(experiment.actions) == 1


@pytest.mark.parametrize(("deed", "number"), [
    (("load", "LINUX9", "SHLIB"), errno.ENOENT), (("load", "LINUX1", "SHLIB", "both"), errno.EINVAL),
    (("store", "LINUX1", "SHLIB", "J", 16), errno.EFAULT), (("store", "LINUX1", "SHLIB", ""), errno.EFAULT)])
def test_calls_that_mean_nothing_raise(experiment: Segments, deed: tuple[str, ...], number: int) -> None:
    with pytest.raises(OSError, match=r".") as failure:
        getattr(experiment, deed[0])(*deed[1:])

    assert failure.value.errno == number
    assert experiment.actions == []


def test_save_of_what_is_not_loaded_is_said_by_the_log(experiment: Segments) -> None:
    assert experiment.save("LINUX1", "SHLIB") == "extmem: Saving unknown DCSS SHLIB failed"


def test_what_an_action_changes_is_marked(experiment: Segments) -> None:
    experiment.load("LINUX1", "BOARD")
    experiment.load("LINUX2", "BOARD")
    for _ in range(4):
        experiment.step()
    experiment.store("LINUX1", "BOARD", "J")

    assert [key for key in experiment.state() if experiment.marks(key)] == [
        "file:2", "loaded:LINUX1:BOARD", "loaded:LINUX2:BOARD"]


def test_python_gives_the_same_state(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB", "exclusive")
    experiment.store("LINUX1", "SHLIB", "J")
    experiment.save("LINUX1", "SHLIB")
    experiment.restart()
    experiment.cp("QUERY NSS MAP")
    names: dict[str, Segments] = {}
    exec(experiment.python(), names)

    assert str(names["experiment"]) == str(experiment)


def test_answer_of_several_lines_is_listed_with_the_calls(experiment: Segments) -> None:
    answer = experiment.cp("QUERY NSS MAP")

    assert experiment.sentence() == "CP has answered with 3 lines."
    assert experiment.calls == ["MAINT: QUERY NSS MAP", *answer.splitlines()]


def test_undo_takes_one_action_back(experiment: Segments) -> None:
    experiment.load("LINUX1", "BOARD")
    before = str(experiment)
    experiment.store("LINUX1", "BOARD", "J")
    experiment.undo()

    assert str(experiment) == before
