"""Every scene of the course, alone in Chromium with a stub model: as the learner first meets it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage import CONTRASTS, DARK, FOCUSABLE, LIGHT, ViewOnPage

import xiplab.widgets
from xiplab.widgets.scene import SceneView

EXPERIMENTS = {
    "BlockMapView": "block_map:BlockMap", "CopiesView": "copies:Disk", "DevicesView": "devices:Devices",
    "ExecuteView": "execute:Execute", "Ext2BytesView": "ext2_bytes:Ext2Bytes", "FlashView": "flash:Flash",
    "HighmemView": "highmem:Highmem",
    "MapInPlaceView": "mapping:MapInPlace", "LoadingView": "modules:Loading",
    "OwnComputerView": "own_computer:OwnComputer", "ReadWriteView": "read_write:ReadWrite",
    "SegmentsView": "segments:Segments",
}
"""Each view, and the experiment that it shows in its notebook."""


def views() -> list[type[SceneView]]:
    for module in pkgutil.iter_modules(xiplab.widgets.__path__):
        importlib.import_module(f"xiplab.widgets.{module.name}")
    found = (view for view in SceneView.__subclasses__() if view.__module__.startswith("xiplab.widgets."))
    return sorted(found, key=lambda view: view.__name__)


VIEWS = views()


@pytest.fixture(params=VIEWS, ids=lambda view: view.__name__)
def make(request: pytest.FixtureRequest) -> Callable[[], SceneView]:
    """A new view of a new experiment, one step on."""
    module, name = EXPERIMENTS[request.param.__name__].split(":")

    def view() -> SceneView:
        experiment = getattr(importlib.import_module(f"xiplab.course.experiments.{module}"), name)()
        experiment.step()
        made: SceneView = request.param(experiment)
        return made

    return view


def test_every_view_is_looked_at() -> None:
    assert {view.__name__ for view in VIEWS} == set(EXPERIMENTS)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_contrast_and_no_element_gives_its_keys_away(
        new_page: Callable[..., Any], artifacts: Path, make: Callable[[], SceneView],
        theme: dict[str, str]) -> None:
    shown = ViewOnPage(new_page(viewport={"width": 940, "height": 800}), make(), theme)
    name = f"{type(shown.view).__name__}-{'dark' if theme is DARK else 'light'}"
    shown.page.screenshot(path=artifacts / f"{name}.png", full_page=True)
    missing = shown.page.locator(FOCUSABLE).evaluate_all(
        "nodes => nodes.filter(n => n.dataset.lmSuppressShortcuts !== 'true').map(n => n.outerHTML)")
    lowest = shown.page.evaluate(CONTRASTS)[0]

    assert lowest[0] >= 4.5, lowest
    assert missing == []
    assert shown.page.errors == []


def test_narrow_page_needs_no_sideways_scrolling(
        new_page: Callable[..., Any], artifacts: Path, make: Callable[[], SceneView]) -> None:
    shown = ViewOnPage(new_page(viewport={"width": 320, "height": 700}), make())
    shown.page.screenshot(path=artifacts / f"{type(shown.view).__name__}-320.png", full_page=True)

    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_accessible_tree_names_every_panel_and_control(
        new_page: Callable[..., Any], artifacts: Path, make: Callable[[], SceneView]) -> None:
    """The snapshot of each widget is kept for reviewers."""
    shown = ViewOnPage(new_page(), make())
    picture = shown.view.picture
    tree = shown.page.locator(".xip").aria_snapshot()
    (artifacts / f"{type(shown.view).__name__}.aria.yml").write_text(tree + "\n")

    assert f'region "{picture["title"]}"' in tree
    for panel in picture["panels"]:
        assert panel["title"] in tree, panel["title"]
    for control in picture["controls"]:
        assert f'button "{control["label"]}"' in tree, control["label"]


def test_python_shown_makes_the_same_picture(make: Callable[[], SceneView]) -> None:
    """Show the Python for this: pasted into a cell it gives the same picture."""
    view = make()
    *lines, last = view.picture["python"].splitlines()
    names: dict[str, Any] = {}
    exec("\n".join([*lines, f"again = {last}"]), names)

    assert {**names["again"].picture, "seq": 0} == {**view.picture, "seq": 0}
