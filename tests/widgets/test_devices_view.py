"""The widget of notebook 03: the driver's files, the disks, and a page three times."""

from __future__ import annotations

from typing import Any

import pytest

from xiplab.course.experiments.devices import Devices
from xiplab.widgets.devices import DevicesView, scene_of
from xiplab.widgets.panels import items_of


@pytest.fixture
def experiment() -> Devices:
    """PART1 is dcssblk0 and open; its first page was read by a bio, and its place asked for."""
    experiment = Devices()
    for deed, *arguments in (("echo", "part1", "add"), ("open", "dcssblk0"), ("read", "dcssblk0", 0),
                             ("direct_access", "dcssblk0", 0)):
        getattr(experiment, deed)(*arguments)
    return experiment


def panel(experiment: Devices, area: str) -> Any:
    return next(panel for panel in scene_of(experiment)["panels"] if panel["area"] == area)


def places(experiment: Devices) -> dict[str, tuple[str, list[str]]]:
    return {row["cells"][0]: (row["cells"][2]["text"].strip(), row["cells"][2].get("marks", []))
            for row in panel(experiment, "places")["rows"]}


def test_copy_grows_stale_and_the_address_does_not(experiment: Devices) -> None:
    assert places(experiment)["in the copy"] == ("PART1 page 0", ["copy"])
    experiment.other("PART1", "K")

    assert places(experiment) == {
        "on the disk": ("KART1 page 0", []), "in the copy": ("PART1 page 0", ["stale"]),
        "at the address": ("KART1 page 0", ["mapped"])}


def test_released_address_is_shown_as_not_valid(experiment: Devices) -> None:
    experiment.close("dcssblk0")

    assert places(experiment)["at the address"] == ("not valid any more", ["error"])


def test_tiles_show_both_ends_and_the_first_sector_behind(experiment: Devices) -> None:
    tiles = panel(experiment, "sectors")["tiles"]
    shown = [int(tile["text"]) for tile in tiles if "gap" not in tile]

    assert shown == [*range(16), *range(2040, 2049)]
    assert [tile["gap"] for tile in tiles if "gap" in tile] == [2048 - 16 - 8]


def test_attribute_writes_the_other_value(experiment: Devices) -> None:
    calls = [item["call"] for item in items_of(panel(experiment, "files")["nodes"]) if "call" in item]

    assert calls == [["echo", "0", "PART1/shared"], ["echo", "1", "PART1/save"]]


def test_every_call_in_the_picture_works(experiment: Devices) -> None:
    calls = [item["call"] for item in items_of(scene_of(experiment)["panels"]) if "call" in item]
    view = DevicesView(experiment)
    for name, *args in calls:
        before = experiment.sequence
        view._call(None, {"call": name, "args": args}, None)
        assert experiment.sequence == before + 1
        assert view.picture["status"] == experiment.sentence()
        if name != "show":
            experiment.undo()
    view.close()

    assert {name for name, *_ in calls} == {"echo", "open", "close", "show"}


def test_controls_mean_the_selected_sector(experiment: Devices) -> None:
    experiment.show("dcssblk0", 8)
    args = {control["call"]: control.get("args") for control in scene_of(experiment).get("controls", [])}

    assert args["read"] == args["write"] == args["direct_access"] == ["dcssblk0", 8]


def test_scene_without_a_device_can_be_shown() -> None:
    experiment = Devices()
    view = DevicesView(experiment)
    bundle: Any = view._repr_mimebundle_()
    view.close()

    assert "LINUX1&#x27;s disks" in bundle[0]["text/html"]
