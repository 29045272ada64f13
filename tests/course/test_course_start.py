"""The first experiment: what a byte of storage does, and does not do, to three mappings."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from xiplab.course.start import MARKED_STEPS, WINDOW, Experiment


@pytest.fixture
def experiment() -> Experiment:
    return Experiment()


def shown(experiment: Experiment, offset: int) -> dict[str, int]:
    return {view.name: view.data[offset - experiment.start] for view in experiment.views()}


def test_store_reaches_both_storages_and_the_mappings_in_place(experiment: Experiment) -> None:
    experiment.store(0, 0x4A)

    assert shown(experiment, 0) == {"segment": 0x4A, "disk": 0x4A, "LINUX1": 0x4A, "LINUX2": 0x4A,
                                    "LINUX3": 0x48, "cache": 0x48}


def test_mappings_in_place_are_the_segment_itself(experiment: Experiment) -> None:
    frame1, frame2 = experiment.text1.frame(), experiment.text2.frame()

    assert np.shares_memory(frame1, experiment.segment)
    assert np.shares_memory(frame1, frame2)
    assert not np.shares_memory(experiment.text3.frame(), experiment.platter)


def test_counters_show_one_copy_in_all(experiment: Experiment) -> None:
    experiment.store(0, 0x4A)
    for _ in range(4):
        experiment.step()
    counters = [(c.guest, c.faults, c.copied, c.frames) for c in experiment.counters()]

    assert counters == [("LINUX1", 1, 0, 0), ("LINUX2", 1, 0, 0), ("LINUX3", 1, 4096, 1)]


def test_first_touch_in_place_asks_the_device_and_the_cache_reads_a_page(experiment: Experiment) -> None:
    calls = {guest.name: " ".join(names) for guest, names in experiment.first_touch.items()}

    assert "direct_access" in calls["LINUX1"]
    assert "get_xip_mem" in calls["LINUX1"]
    assert calls["LINUX1"] == calls["LINUX2"]
    assert "readpage" in calls["LINUX3"]
    assert "direct_access" not in calls["LINUX3"]


@pytest.mark.parametrize(("offset", "value", "number"), [
    (-1, 0, errno.EFAULT), (0x1000, 0, errno.EFAULT), (0, -1, errno.EINVAL), (0, 256, errno.EINVAL)])
def test_store_outside_raises(experiment: Experiment, offset: int, value: int, number: int) -> None:
    with pytest.raises(OSError, match="store: ") as failure:
        experiment.store(offset, value)

    assert failure.value.errno == number
    assert experiment.actions == []


def test_undo_and_reset_bring_the_bytes_back(experiment: Experiment) -> None:
    before = bytes(experiment.segment), bytes(experiment.platter)
    experiment.store(0, 1)
    experiment.store(0, 2)
    experiment.step()
    experiment.undo()
    experiment.undo()
    assert experiment.segment[0] == 1
    experiment.store(0xFFF, 3)
    experiment.reset()

    assert (bytes(experiment.segment), bytes(experiment.platter)) == before
    assert (experiment.start, experiment.actions) == (0, [])
    experiment.undo()
    assert experiment.actions == []


def test_marks_fade_with_steps(experiment: Experiment) -> None:
    experiment.store(5, 1)
    seen = []
    for _ in range(MARKED_STEPS + 2):
        seen.append(experiment.views()[0].changed)
        experiment.step()

    assert seen == [[5]] * (MARKED_STEPS + 1) + [[]]


def test_stale_byte_is_marked_as_long_as_it_is_stale(experiment: Experiment) -> None:
    old = int(experiment.segment[5])
    experiment.store(5, 1)
    stale = {view.name: view.stale for view in experiment.views()}
    assert stale == {"LINUX1": [], "LINUX2": [], "segment": [], "LINUX3": [5], "cache": [5], "disk": []}
    experiment.store(5, old)

    assert all(view.stale == [] for view in experiment.views())


def test_step_lets_one_guest_after_the_other_load(experiment: Experiment) -> None:
    experiment.store(0, 0x4A)
    sentences = []
    for _ in range(4):
        experiment.step()
        sentences.append(experiment.sentence().split(",")[0].replace(" loads byte 0x000 and gets", ""))

    assert sentences == ["LINUX1 0x4a ('J')", "LINUX2 0x4a ('J')", "LINUX3 0x48 ('H')", "LINUX1 0x4a ('J')"]


def test_look_stays_in_the_page(experiment: Experiment) -> None:
    starts = []
    for offset in (-5, 0, WINDOW, 0x800, 0xFFF, 0x5000):
        experiment.look(offset)
        starts.append(experiment.start)

    assert starts == [0, 0, WINDOW, 0x800 // WINDOW * WINDOW, 0x1000 - WINDOW, 0x1000 - WINDOW]


@pytest.mark.parametrize("deeds", [
    [("store", 0, 0x4A)], [("store", 7, 0x21), ("step",), ("step",)], [("look", 0x800)],
    [("store", 0x900, 1), ("undo",), ("store", 2, 3), ("look", 0x30)], [("step",), ("reset",)]])
def test_python_gives_the_same_state(experiment: Experiment, deeds: list[tuple[str, int]]) -> None:
    for name, *args in deeds:
        getattr(experiment, name)(*args)
    names: dict[str, Experiment] = {}
    exec(experiment.python(), names)
    again = names["experiment"]

    assert again.views() == experiment.views()
    assert (again.sentence(), again.path()) == (experiment.sentence(), experiment.path())


def test_watchers_hear_of_every_change(experiment: Experiment) -> None:
    heard = []
    experiment.watchers.append(lambda: heard.append(experiment.sequence))
    experiment.store(0, 1)
    experiment.step()
    experiment.look(3)
    experiment.undo()
    experiment.reset()

    assert heard == [1, 2, 3, 4, 5]


def test_text_form_is_the_same_in_every_run() -> None:
    assert str(Experiment()) == str(Experiment())
    assert "Hello" in str(Experiment())
