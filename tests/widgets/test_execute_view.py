"""The scene of notebook 08."""

from __future__ import annotations

from typing import Any

from xiplab.course.experiments.execute import GUESTS, Execute
from xiplab.widgets.execute import ExecuteView, scene_of
from xiplab.widgets.panels import Scene, html_of, items_of


def panel(scene: Scene, area: str) -> Any:
    return next(panel for panel in scene["panels"] if panel["area"] == area)


def test_frame_of_the_next_instruction_lights_up_in_both_page_tables() -> None:
    experiment = Execute()
    for guest in GUESTS:
        experiment.execute(guest)
    scene = scene_of(experiment)
    frame, byte = panel(scene, "code")["rows"][-1]["key"].split()
    keys = [item.get("key") for item in items_of(panel(scene, "tables"))]

    assert keys.count(frame) == 2
    assert byte.startswith("byte:")
    assert panel(scene, "bytes")["key"] == "byte"


def test_own_frames_of_two_guests_have_different_keys() -> None:
    experiment = Execute()
    for guest in GUESTS:
        experiment.run(guest)
    keys = [item["key"] for item in items_of(panel(scene_of(experiment), "tables"))
            if item.get("marks") == ["private"]]

    assert len(keys) == len(set(keys)) == 6


def test_code_says_when_a_fault_comes_first_and_what_runs_next() -> None:
    experiment = Execute()
    waiting = panel(scene_of(experiment), "code")["rows"]
    experiment.execute("LINUX1")
    rows = panel(scene_of(experiment), "code")["rows"]

    assert "page fault" in waiting[0]["cells"][2]["text"]
    assert [row["cells"][2]["marks"] for row in rows][:3] == [[], ["current"], []]


def test_byte_that_was_edited_is_marked_in_bytes_and_code() -> None:
    experiment = Execute()
    experiment.execute("LINUX1")
    before = panel(scene_of(experiment), "bytes")
    experiment.patch(before["at"] + 1, 0x50)
    scene = scene_of(experiment)

    assert panel(scene, "bytes")["marks"] == {before["at"] + 1: ["changed"]}
    assert panel(scene, "code")["rows"][1]["marks"] == ["changed"]


def test_changed_registers_are_marked() -> None:
    experiment = Execute()
    experiment.execute("LINUX1")
    rows = panel(scene_of(experiment), "registers")["rows"]
    changed = [row["cells"][0] for row in rows if row["cells"][1]["marks"] == ["changed"]]

    assert changed == ["r2"]
    assert [row["cells"][3]["marks"] for row in rows] == [[]] * 8


def test_every_control_and_guest_is_a_call_that_works() -> None:
    for control in scene_of(Execute()).get("controls", []):
        fresh = Execute()
        if control["call"] == "next_line":
            fresh.start("LINUX1", "hello")
        view = ExecuteView(fresh)
        fields = [field["value"] for field in control.get("fields", [])]
        view._call(view, {"call": control["call"], "args": [*control.get("args", []), *fields]}, [])

        assert view.experiment.actions[-1].name == control["call"], view.picture["status"]
    experiment = Execute()
    for node in panel(scene_of(experiment), "tables")["nodes"]:
        name, *args = node["call"]
        getattr(experiment, name)(*args)

        assert experiment.shown == args[0]


def test_scene_of_an_ended_program_can_be_drawn() -> None:
    experiment = Execute()
    experiment.start("LINUX1", "wild")
    experiment.run("LINUX1")
    html = html_of(scene_of(experiment), experiment.sentence())

    assert "has ended" in html
    assert "SIGSEGV" in html
