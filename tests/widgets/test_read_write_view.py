"""The scene of notebook 06."""

from __future__ import annotations

from typing import Any

from xiplab.course.experiments.read_write import ReadWrite
from xiplab.widgets.panels import Scene, html_of
from xiplab.widgets.read_write import ReadWriteView, scene_of


def panel(scene: Scene, area: str) -> Any:
    return next(panel for panel in scene["panels"] if panel["area"] == area)


def test_both_traces_stand_at_the_step_that_is_played() -> None:
    experiment = ReadWrite()
    experiment.get("read", 4096, 0)
    experiment.play(1)
    here, there = (panel(scene_of(experiment), area) for area in ("here", "there"))

    assert (here["at"], there["at"]) == (1, 1)
    assert here["steps"][1]["text"] == "ext2_get_xip_mem(page 0)"
    assert here["counters"] == [("bytes copied", 0), ("frames taken", 0)]
    experiment.play(99)
    assert panel(scene_of(experiment), "there")["counters"] == [("bytes copied", 8192), ("frames taken", 1)]


def test_file_table_shows_holes_and_dirty_pages() -> None:
    experiment = ReadWrite()
    experiment.put("write", "Hello", 0)
    rows = panel(scene_of(experiment), "file")["rows"]

    assert [row["cells"][1]["marks"] for row in rows] == [["changed"], ["hole"], [], ["hole"]]
    assert rows[0]["cells"][1]["text"] == "block 7: Hello0......"
    assert rows[0]["cells"][2]["marks"] == ["changed", "dirty"]
    assert rows[0]["cells"][3]["text"] == "block 7: page 0......"
    experiment.fsync()
    assert panel(scene_of(experiment), "file")["rows"][0]["cells"][3]["marks"] == ["changed"]


def test_every_control_works_with_the_values_it_shows() -> None:
    for control in scene_of(ReadWrite()).get("controls", []):
        view = ReadWriteView(ReadWrite())
        fields = [field["value"] for field in control.get("fields", [])]
        view._call(view, {"call": control["call"], "args": fields}, [])

        assert view.experiment.actions[-1].name == control["call"]
        assert view.picture["status"] == view.experiment.sentence()


def test_every_call_that_can_be_chosen_is_one() -> None:
    for control in scene_of(ReadWrite()).get("controls", []):
        for choice in control.get("fields", [{}])[0].get("choices", []):
            experiment = ReadWrite()
            getattr(experiment, control["call"])(choice, *(field["value"] for field in control["fields"][1:]))

            assert experiment.outcomes, choice


def test_table_without_a_widget_tells_the_same() -> None:
    experiment = ReadWrite()
    experiment.get("read", 8192, 0)
    html = html_of(scene_of(experiment), experiment.sentence())

    assert "xip_file_read" in html
    assert "ext2_get_xip_mem(page 1)" in html
    assert "ENODATA" in html
    assert "12,288" in html or "12288" in html
