"""The scene of notebook 01."""

from __future__ import annotations

import pytest

from xiplab.course.experiments.copies import Disk, NewRamdisk, OldRamdisk
from xiplab.widgets.copies import CopiesView, scene_of
from xiplab.widgets.panels import Scene, html_of, items_of


def keys(scene: Scene) -> list[str]:
    return [item["key"] for item in items_of(scene["panels"]) if "key" in item]


def marks(scene: Scene, key: str) -> list[list[str]]:
    return [item.get("marks", []) for item in items_of(scene["panels"]) if item.get("key") == key]


def test_mapping_and_page_cache_share_the_key_of_the_frame() -> None:
    disk = Disk()
    disk.touch(0)
    page = disk.cache_page(0)
    assert page is not None

    assert keys(scene_of(disk)).count(f"frame:{page.pfn:#x}") == 2


def test_dirty_and_stale_pages_are_marked() -> None:
    disk = Disk()
    disk.store(0, "A")
    disk.read(1)
    disk.change(1, "plums")
    scene = scene_of(disk)

    assert marks(scene, "pgoff:0") == [["changed", "dirty"]]
    assert marks(scene, "pgoff:1") == [["stale"]]
    assert marks(scene, "block:1") == [["changed"]]


@pytest.mark.parametrize("device", [Disk, NewRamdisk, OldRamdisk])
def test_every_control_and_row_is_a_call_that_works(device: type[Disk]) -> None:
    """Each control, with the values that its fields show, runs on a fresh experiment."""
    for control in scene_of(device()).get("controls", []):
        experiment = device()
        view = CopiesView(experiment)
        fields = [field["value"] for field in control.get("fields", [])]
        view._call(view, {"call": control["call"], "args": [*control.get("args", []), *fields]}, [])

        assert experiment.actions[-1].name == control["call"]
        assert view.picture["status"] == experiment.sentence()


def test_row_chooses_the_page_that_the_buttons_mean() -> None:
    view = CopiesView(Disk())
    view._call(view, {"call": "select", "args": [2]}, [])

    assert [control["label"] for control in view.picture["controls"]][:2] == ["Read page 2", "Write page 2"]


def test_table_without_a_widget_tells_the_same() -> None:
    ramdisk = OldRamdisk()
    ramdisk.load()
    html = html_of(scene_of(ramdisk), ramdisk.sentence())

    assert html.count("apple") == 1
    assert "frame 0x104 given back: initrd" in html
    assert "memory to ramdisk" in html
    assert "16,384 bytes" in html
