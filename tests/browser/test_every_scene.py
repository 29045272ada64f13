"""Every widget of the course, alone in Chromium with a stub model: as the learner first meets it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from conftest import keep_if_failed, open_page
from looks import DEFICIENCIES, FAMILIES, EveryLook, EveryLookView, contrast_of, looks_of, seen_with
from stage import CONTRASTS, DARK, FOCUSABLE, LIGHT, LINES, ViewOnPage

import xiplab.widgets
from xiplab.course.start import Experiment
from xiplab.host import native
from xiplab.widgets.scene import SceneView
from xiplab.widgets.storage import StorageView

EXPERIMENTS = {
    "BlockMapView": "block_map:BlockMap", "CopiesView": "copies:Disk", "DevicesView": "devices:Devices",
    "ExecuteView": "execute:Execute", "Ext2BytesView": "ext2_bytes:Ext2Bytes", "FlashView": "flash:Flash",
    "HighmemView": "highmem:Highmem",
    "MapInPlaceView": "mapping:MapInPlace", "LoadingView": "modules:Loading", "OrderView": "order:Order",
    "OwnComputerView": "own_computer:OwnComputer", "ReadWriteView": "read_write:ReadWrite",
    "SegmentsView": "segments:Segments",
}
"""Each view, and the experiment that it shows in its notebook."""
TREES = Path(__file__).with_name("trees")
OF_THIS_COMPUTER = {"OwnComputerView"}
"""Their numbers differ from one computer to the next."""
THEMES = {"light": LIGHT, "dark": DARK}
ARGUMENTS = {"OrderView": ("05.2",)}
"""What an experiment is made of, if of anything."""


def views() -> list[type[SceneView]]:
    for module in pkgutil.iter_modules(xiplab.widgets.__path__):
        importlib.import_module(f"xiplab.widgets.{module.name}")
    found = (view for view in SceneView.__subclasses__() if view.__module__.startswith("xiplab.widgets."))
    return sorted(found, key=lambda view: view.__name__)


VIEWS: list[Any] = [*views(), StorageView]


def make(view: Any) -> Any:
    """A new view of a new experiment, one step on."""
    if view is StorageView:
        experiment: Any = Experiment()
    else:
        module, name = EXPERIMENTS[view.__name__].split(":")
        experiment = getattr(importlib.import_module(f"xiplab.course.experiments.{module}"), name)(
            *ARGUMENTS.get(view.__name__, ()))
    experiment.step()
    return view(experiment)


@pytest.fixture(scope="module", params=[*VIEWS, EveryLookView], ids=lambda view: view.__name__)
def opened(request: pytest.FixtureRequest, chromium: Any) -> Iterator[ViewOnPage]:
    """A page with one view, for all tests of that view."""
    view = EveryLookView(EveryLook()) if request.param is EveryLookView else make(request.param)
    page = open_page(chromium)
    yield ViewOnPage(page, view)
    page.close()


@pytest.fixture
def shown(opened: ViewOnPage, artifacts: Path, request: pytest.FixtureRequest) -> Iterator[ViewOnPage]:
    """The same page, wide and light."""
    opened.page.set_viewport_size({"width": 940, "height": 800})
    opened.wear(LIGHT)
    yield opened
    keep_if_failed(request, opened.page, artifacts)


def name_of(shown: ViewOnPage) -> str:
    return type(shown.view).__name__


def test_every_view_is_looked_at() -> None:
    assert {view.__name__ for view in VIEWS} == {*EXPERIMENTS, "StorageView"}


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_lines_have_contrast(shown: ViewOnPage, artifacts: Path, theme: str) -> None:
    """Text 4.5 to 1, borders and links 3 to 1, each against the ground around it."""
    shown.wear(THEMES[theme])
    shown.page.screenshot(path=artifacts / f"{name_of(shown)}-{theme}.png", full_page=True)
    text, line = shown.page.evaluate(CONTRASTS)[0], shown.page.evaluate(LINES)[0]

    assert text[0] >= 4.5, text
    assert line[0] >= 3, line
    assert shown.page.errors == []


def test_no_element_gives_its_keys_away(shown: ViewOnPage) -> None:
    missing = shown.page.locator(FOCUSABLE).evaluate_all(
        "nodes => nodes.filter(n => n.dataset.lmSuppressShortcuts !== 'true').map(n => n.outerHTML)")

    assert missing == []


def test_looks_differ_without_colour(shown: ViewOnPage) -> None:
    """Of two marks, fields, bars or frames of a widget, glyph, border or pattern differ; not only colour."""
    for family in FAMILIES:
        alike = [(a.name, b.name) for a, b in combinations(looks_of(shown.page, family), 2)
                 if a.shape == b.shape]
        assert alike == [], family


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_looks_stand_out_for_every_eye(
        shown: ViewOnPage, artifacts: Path, deficiency: str, theme: str) -> None:
    """As Chromium simulates it, each border has a contrast of 3 to 1; the screenshots are for reviewers."""
    shown.wear(THEMES[theme])
    pixels = seen_with(shown.page, deficiency, artifacts / f"{name_of(shown)}-{theme}-{deficiency}.png")
    looks = [look for family in FAMILIES for look in looks_of(shown.page, family) if look.line]
    lowest = min((contrast_of(pixels, look), look.family, look.name) for look in looks)

    assert lowest[0] >= 3, lowest


def test_narrow_page_needs_no_sideways_scrolling(shown: ViewOnPage, artifacts: Path) -> None:
    shown.page.set_viewport_size({"width": 320, "height": 700})
    shown.page.screenshot(path=artifacts / f"{name_of(shown)}-320.png", full_page=True)

    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_accessible_tree_is_the_one_that_was_reviewed(shown: ViewOnPage, artifacts: Path) -> None:
    """A screen reader is told what the file in tests/browser/trees says; after a change, look and copy."""
    name = f"{name_of(shown)}.aria.yml"
    tree = shown.page.locator(".xip").aria_snapshot() + "\n"
    if name_of(shown) in OF_THIS_COMPUTER:
        if native.unavailable():
            pytest.skip(native.unavailable())
        tree = re.sub(r"\d+", "0", tree)
    (artifacts / name).write_text(tree)

    assert tree == (TREES / name).read_text(), f"copy {artifacts / name} to {TREES} if it is right"


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_python_shown_makes_the_same_picture(view: Any) -> None:
    """Show the Python for this: pasted into a cell it gives the same picture."""
    first = make(view)
    *lines, last = first.picture["python"].splitlines()
    names: dict[str, Any] = {}
    exec("\n".join([*lines, f"again = {last}"]), names)

    assert {**names["again"].picture, "seq": 0} == {**first.picture, "seq": 0}
