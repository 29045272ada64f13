"""Exercise 01: what its checks rest on."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from xiplab.course.experiments.copies import PAGES, Disk, OldRamdisk
from xiplab.course.experiments.places import counted
from xiplab.course.experiments.your_cache import YourDisk, YourRamdisk, shrink_with
from xiplab.course.questions import ex01_places, ex01_ramdisk, ex01_shrink
from xiplab.course.questions.ex01_count import BELIEFS, Cache, situation, truth_of
from xiplab.course.questions.ex01_shrink import Trial
from xiplab.course.trial import driven
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import shrink_page_cache


def test_page_cache_in_a_few_lines_counts_as_the_model_does() -> None:
    """So a belief differs from the model in the one thing that it says."""
    assert [number for number in range(200)
            if Cache().play(situation(number)) != truth_of(situation(number))] == []


@pytest.mark.parametrize("belief", BELIEFS)
def test_each_belief_counts_otherwise_somewhere(belief: str) -> None:
    assert any(Cache(belief).play(situation(number)) != truth_of(situation(number)) for number in range(100))


@pytest.mark.parametrize("trial", ex01_shrink.trials(Random(3)),
                         ids=lambda trial: f"{trial.name} {trial.wanted}")
def test_right_shrink_frees_as_many_as_the_kernel(trial: Trial) -> None:
    def prepared() -> tuple[Disk, list[Page]]:
        experiment = ex01_shrink.prepared(trial)
        return experiment, [page for number in trial.order if (page := experiment.cache_page(number))]

    (mine, pages), (theirs, others) = prepared(), prepared()
    for page in others:
        page.referenced = False

    assert shrink_with(ex01_shrink.right, pages, trial.wanted) == shrink_page_cache(
        theirs.guest.kernel, trial.wanted)
    assert mine.frames() == theirs.frames()


def test_ramdisk_with_the_old_writepage_forgets() -> None:
    ramdisk = driven(YourRamdisk(), use_writepage=ex01_ramdisk.cleans)
    ramdisk.load()
    ramdisk.press()

    assert ramdisk.frames()["page cache"] == 0
    assert isinstance(ramdisk, OldRamdisk)


def test_shrink_of_the_learner_is_used_when_memory_is_short() -> None:
    disk = driven(YourDisk(), use_shrink=ex01_shrink.right)
    for page in range(PAGES):
        disk.read(page)
    disk.press()

    assert disk.frames()["page cache"] == 0


def test_what_goes_wrong_in_shrink_is_said() -> None:
    disk = driven(YourDisk(), use_shrink=ex01_shrink.shrinking(mapped_too=True))
    disk.touch(0)
    disk.press()

    assert "still mapped" in disk.sentence()
    disk.read(1)
    assert "reads page 1" in disk.sentence()


def test_function_that_is_not_written_is_told_without_a_traceback() -> None:
    def stub(*args: object) -> int:
        raise NotImplementedError

    disk = driven(YourDisk(), use_shrink=stub)
    disk.press()

    assert "not written yet" in disk.status()
    assert counted(stub) == "stub: not written yet"


def test_places_are_counted_in_every_setting() -> None:
    lines = counted(ex01_places.right).splitlines()

    assert [line.rsplit(": ", 1)[1] for line in lines] == [f"{n} different" for n in (3, 2, 1, 2, 3)]


def test_orders_of_places_tell_neighbours_from_all() -> None:
    play = partial(ex01_places.play, "a seed")

    assert play(ex01_places.neighbours_only) != play(ex01_places.right)
