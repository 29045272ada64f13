"""A learner's function in the machine of a notebook: seen, kept through undo, and no traceback."""

from __future__ import annotations

import errno

import pytest

from xiplab.course.experiments.block_map import BlockMap
from xiplab.course.trial import driven, is_stub, trial
from xiplab.errors import NoData
from xiplab.linux.fs.ext2.xip import ext2_get_xip_mem
from xiplab.linux.include.fs import AddressSpace
from xiplab.units import Pfn, Pgoff
from xiplab.widgets.block_map import BlockMapView


def stub(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
    raise NotImplementedError()


def broken(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
    return pgoff // 0, Pfn(0)


def holes_only(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
    raise NoData("all is holes")


def test_stub_says_that_it_is_not_written() -> None:
    """In the picture at once, and when it is asked; nothing is raised."""
    experiment = driven(BlockMap(), plug=stub)
    view = BlockMapView(experiment)
    experiment.ask(5)

    assert is_stub(stub)
    assert view.picture["status"].startswith("stub: not written yet. get_xip_mem answers ENOSYS")
    assert "not written yet" in repr(view)
    view.close()


def test_mistake_is_told_with_its_line() -> None:
    with pytest.raises(OSError, match=r"broken: ZeroDivisionError: .*, in line \d+ of its cell") as told:
        trial(broken)(None, 1, False)

    assert told.value.errno == errno.EIO


def test_errors_of_the_model_pass_as_they_are() -> None:
    with pytest.raises(NoData):
        trial(holes_only)(None, 1, False)


def test_function_stays_through_undo_and_reset() -> None:
    """It belongs to the machine; Python for this state shows it."""
    experiment = driven(BlockMap(), plug=holes_only)
    for back in (experiment.undo, experiment.reset):
        experiment.read(0)
        assert "4,096 zeros" in experiment.sentence()
        back()
    experiment.read(0)

    assert "4,096 zeros" in experiment.sentence()
    assert "experiment.plug(holes_only)\nexperiment.read(0)" in experiment.python()


def test_right_function_changes_nothing() -> None:
    experiment, plain = driven(BlockMap(), plug=ext2_get_xip_mem), BlockMap()
    for made in (experiment, plain):
        made.write(3, "J")

    assert experiment.remarks == []
    assert experiment.blocks() == plain.blocks()
