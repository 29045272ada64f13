"""The scenes of notebooks 09 and 10: what each state shows, and that every control can be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from xiplab.course.experiments.flash import Flash
from xiplab.course.experiments.highmem import Highmem
from xiplab.course.experiments.modules import Loading
from xiplab.course.experiments.own_computer import OwnComputer
from xiplab.course.experiments.stage import Stage
from xiplab.widgets.flash import FlashView
from xiplab.widgets.highmem import HighmemView
from xiplab.widgets.modules import LoadingView
from xiplab.widgets.own_computer import OwnComputerView
from xiplab.widgets.panels import items_of
from xiplab.widgets.scene import SceneView


def busy_flash() -> Flash:
    flash = Flash()
    flash.program(3, 0x4A)
    flash.erase(9)
    return flash


def full_slots() -> Highmem:
    ramdisk = Highmem()
    ramdisk.driver("kmap")
    for page in range(9):
        ramdisk.read(page)
    return ramdisk


def loaded() -> Loading:
    loading = Loading()
    loading.insmod("LINUX1")
    return loading


def changed() -> OwnComputer:
    experiment = OwnComputer()
    experiment.store(2, 0x4A)
    return experiment


STATES = [(Flash, FlashView), (busy_flash, FlashView), (Highmem, HighmemView), (full_slots, HighmemView),
          (Loading, LoadingView), (loaded, LoadingView), (OwnComputer, OwnComputerView),
          (changed, OwnComputerView)]


def end(experiment: Stage) -> None:
    """End the processes of an experiment that has some."""
    if isinstance(experiment, OwnComputer):
        experiment.close()


@pytest.fixture(params=STATES, ids=lambda state: state[0].__name__)
def view(request: pytest.FixtureRequest) -> Iterator[SceneView]:
    build, kind = request.param
    made: SceneView = kind(build())
    yield made
    end(made.experiment)


def panel(view: SceneView, area: str) -> Any:
    return next(panel for panel in view.picture["panels"] if panel["area"] == area)


def test_status_line_is_what_the_experiment_says(view: SceneView) -> None:
    assert view.picture["status"] == view.experiment.sentence()


def test_every_panel_has_its_area(view: SceneView) -> None:
    places = [place for row in view.picture["areas"] for place in row]
    areas = {area for place in places for area in ([place] if isinstance(place, str) else place)}

    assert areas == {panel["area"] for panel in view.picture["panels"]}


def test_every_call_is_an_action(view: SceneView) -> None:
    calls = {item["call"][0] for item in items_of(view.picture["panels"]) if "call" in item}
    calls |= {panel["edit"] for panel in view.picture["panels"] if "edit" in panel}
    calls |= {control["call"] for control in view.picture["controls"]} - {"undo", "reset"}

    assert all(getattr(view.experiment, call).may_be_called_by_a_view for call in calls)


def test_python_of_a_state_leads_to_it(view: SceneView) -> None:
    names: dict[str, Any] = {}
    exec(view.picture["python"], names)
    again: Stage = names["experiment"]

    assert str(again) == str(view.experiment)
    assert type(view).scene(again)["panels"] == type(view).scene(view.experiment)["panels"]
    end(again)


def test_summary_and_table_hold_no_address_of_this_computer(view: SceneView) -> None:
    bundle, _ = view._repr_mimebundle_() or ({}, {})

    assert not re.search(r" at 0x[0-9a-f]{8,}>", repr(view) + bundle["text/html"])
    assert "<table>" in bundle["text/html"]


def test_busy_chip_marks_the_block_and_every_byte_of_the_mapping() -> None:
    view = FlashView(busy_flash())

    assert "dirty" in panel(view, "chip")["tiles"][9]["marks"]
    assert len(panel(view, "program")["marks"]) == len(panel(view, "program")["data"])
    assert panel(view, "log")["marks"] == {3: ["changed"]}


def test_same_byte_lights_up_in_mapping_and_chip() -> None:
    view = FlashView(Flash())

    assert panel(view, "program")["key"] == panel(view, "cells")["key"]


def test_slot_and_page_have_the_frame_s_key() -> None:
    view = HighmemView(full_slots())
    frames = {row["key"] for row in panel(view, "slots")["rows"]}

    assert frames == {tile["key"].split()[1] for tile in panel(view, "pages")["tiles"][:8]}
    assert panel(view, "pages")["tiles"][8]["marks"] == ["error"]


def test_loaded_code_marks_the_patched_bytes_alone() -> None:
    loading = loaded()

    assert list(panel(LoadingView(loading), "LINUX1")["marks"]) == loading.patched("LINUX1")


def test_copy_is_marked_where_it_differs_from_the_segment() -> None:
    experiment = changed()
    view = OwnComputerView(experiment)
    sees = [row["cells"][2] for row in panel(view, "processes")["rows"]]
    end(experiment)

    assert [cell["marks"] for cell in sees] == [[], [], ["stale"]][:len(sees)]
    assert panel(view, "storage")["marks"] == {2: ["changed"]}
