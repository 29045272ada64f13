"""The scene of notebook 07."""

from __future__ import annotations

from typing import Any

from xiplab.course.experiments.mapping import TASKS, MapInPlace
from xiplab.widgets.mapping import MapInPlaceView, scene_of
from xiplab.widgets.panels import Scene, html_of, items_of


def panel(scene: Scene, area: str) -> Any:
    return next(panel for panel in scene["panels"] if panel["area"] == area)


def test_entries_of_all_tasks_share_the_key_of_the_frame() -> None:
    experiment = MapInPlace()
    for task in TASKS:
        experiment.load(task, 0)
    keys = [item.get("key") for item in items_of(scene_of(experiment)["panels"])]

    assert keys.count(f"frame:{experiment.frame_of(0):#x}") == 4, "three page tables and the file"


def test_marks_tell_the_owner() -> None:
    experiment = MapInPlace()
    experiment.load("reader", 1)
    experiment.store("private", 0, "J")
    nodes = panel(scene_of(experiment), "tables")["nodes"]

    assert nodes[1]["children"][1]["cells"][0]["marks"] == ["hole"]
    assert nodes[2]["children"][0]["cells"][0]["marks"] == ["private"]
    assert [row["cells"][0] for row in panel(scene_of(experiment), "frames")["rows"]] == [
        "the sparse page", "a private copy"]


def test_lost_block_is_marked_as_an_error() -> None:
    experiment = MapInPlace()
    experiment.fill(0)
    experiment.begin("reader", 2)
    experiment.truncate(2)
    experiment.other("secret")
    experiment.finish()
    node = panel(scene_of(experiment), "tables")["nodes"][1]["children"][2]

    assert node["cells"][0]["marks"] == ["error"]
    assert node["cells"][1] == "“secret”"


def test_fault_that_was_begun_can_be_finished_and_no_other_begun() -> None:
    experiment = MapInPlace()
    experiment.begin("reader", 2)
    calls = [control["call"] for control in scene_of(experiment).get("controls", [])]

    assert "finish" in calls
    assert "begin" not in calls


def test_every_control_and_page_is_a_call_that_works() -> None:
    for control in scene_of(MapInPlace()).get("controls", []):
        view = MapInPlaceView(MapInPlace())
        fields = [field["value"] for field in control.get("fields", [])]
        view._call(view, {"call": control["call"], "args": [*control.get("args", []), *fields]}, [])

        assert view.experiment.actions[-1].name == control["call"], view.picture["status"]
    for node in panel(scene_of(MapInPlace()), "tables")["nodes"]:
        for child in node["children"]:
            name, *args = child["call"]
            getattr(MapInPlace(), name)(*args)


def test_table_without_a_widget_tells_the_same() -> None:
    experiment = MapInPlace()
    experiment.load("writer", 2)
    html = html_of(scene_of(experiment), experiment.sentence())

    assert html.count("0x10008") >= 2
    assert "“cream”" in html
    assert "beyond the end" in html
