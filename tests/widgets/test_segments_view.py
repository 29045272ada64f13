"""The widget of notebook 02: what it shows of guests and catalogue, and what can be done in it."""

from __future__ import annotations

from typing import Any

import pytest

from xiplab.course.experiments.segments import Segments
from xiplab.widgets.panels import items_of
from xiplab.widgets.segments import SegmentsView, scene_of


@pytest.fixture
def experiment() -> Segments:
    return Segments()


def panel(experiment: Segments, area: str) -> Any:
    return next(panel for panel in scene_of(experiment)["panels"] if panel["area"] == area)


def keys(item: object) -> list[str]:
    return [key for part in items_of(item) for key in str(part.get("key", "")).split()]


def test_guests_that_share_show_the_catalogues_frame(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB")
    experiment.load("LINUX2", "SHLIB", "exclusive")
    original = f"frame:{experiment.catalogue()[0].frame:#x}"

    assert original in keys(panel(experiment, "catalogue"))
    assert original in keys(panel(experiment, "LINUX1"))
    assert original not in keys(panel(experiment, "LINUX2"))


def test_links_join_what_is_shared(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB")
    experiment.load("LINUX2", "SHLIB", "exclusive")

    assert scene_of(experiment)["links"] == [("seen:LINUX1:SHLIB", "original:1", "")]
    assert {"seen:LINUX1:SHLIB", "original:1"} <= set(keys(scene_of(experiment)["panels"]))


def test_copy_shared_and_protected_are_marked(experiment: Segments) -> None:
    experiment.load("LINUX1", "SHLIB")
    experiment.load("LINUX2", "SHLIB", "exclusive")
    marks = [[mark for item in items_of(panel(experiment, guest)["rows"][0]["cells"])
              for mark in item.get("marks", ())] for guest in ("LINUX1", "LINUX2")]

    assert marks == [["shared", "protected"], ["copy"]]


def test_every_call_in_the_picture_works(experiment: Segments) -> None:
    """Each element that can be activated names an action with fitting arguments."""
    experiment.load("LINUX1", "BOARD")
    calls = [item["call"] for item in items_of(scene_of(experiment)["panels"]) if "call" in item]
    view = SegmentsView(experiment)
    for name, *args in calls:
        before = experiment.sequence
        view._call(None, {"call": name, "args": args}, None)
        assert experiment.sequence == before + 1
        assert view.picture["status"] == experiment.sentence()
        experiment.undo()
    view.close()

    assert {name for name, *_ in calls} == {"load", "unload", "save"}


def test_controls_offer_what_there_is(experiment: Segments) -> None:
    experiment.cp("DEFSEG DATA 10200-102FF EW")
    store = scene_of(experiment)["controls"][0]

    assert store["fields"][1]["choices"] == ["SHLIB", "BOARD", "DATA"]


def test_empty_catalogue_can_be_shown(experiment: Segments) -> None:
    experiment.cp("PURGE NSS ALL")
    view = SegmentsView(experiment)
    bundle: Any = view._repr_mimebundle_()
    view.close()

    assert "NO FILES" not in view.picture["status"]
    assert "CP&#x27;s catalogue" in bundle[0]["text/html"]


def test_refusals_are_on_the_status_line(experiment: Segments) -> None:
    view = SegmentsView(experiment)
    view._call(None, {"call": "store", "args": ["LINUX1", "SHLIB", "J"]}, None)
    refused = view.picture["status"]
    view._call(None, {"call": "store", "args": ["LINUX1", "SHLIB", "J" * 20]}, None)
    view.close()

    assert "LINUX1 has not loaded SHLIB" in refused
    assert "letters 0 to 20 of 16" in view.picture["status"]
