"""The storage widget's Python side: plain data out, public methods in, and a table without a widget."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import xiplab.widgets
from xiplab.course.start import Experiment
from xiplab.widgets.storage import CALLS, StorageView, html_of


@pytest.fixture
def experiment() -> Experiment:
    return Experiment()


@pytest.fixture
def view(experiment: Experiment) -> StorageView:
    return StorageView(experiment)


def data_of(view: StorageView, name: str) -> bytes:
    return next(place["data"] for place in view.picture["views"] if place["name"] == name)


def test_store_in_a_cell_moves_every_open_view(experiment: Experiment) -> None:
    views = [StorageView(experiment), StorageView(experiment)]
    experiment.store(0, 0x4A)

    assert [data_of(view, "LINUX1")[0] for view in views] == [0x4A, 0x4A]


def test_call_runs_the_public_method(view: StorageView) -> None:
    view._call(view, {"call": "store", "args": [3, 0x5A]}, [])

    assert view.experiment.segment[3] == 0x5A
    assert data_of(view, "segment")[3] == 0x5A


def test_calls_are_public_methods() -> None:
    """The widget does nothing that a learner cannot write."""
    assert all(callable(getattr(Experiment, name)) and getattr(Experiment, name).__doc__ for name in CALLS)


@pytest.mark.parametrize(("message", "said"), [
    ({"call": "store", "args": [0x1000, 1]}, "outside the page"),
    ({"call": "store", "args": [0, 256]}, "does not fit"),
    ({"call": "vm", "args": []}, "not one of store"),
    ({"call": "store", "args": ["x"]}, "argument"),
])
def test_wrong_call_is_said_and_changes_nothing(
        view: StorageView, message: dict[str, object], said: str) -> None:
    before = view.picture["seq"]
    view._call(view, message, [])

    assert said in view.picture["status"]
    assert view.picture["seq"] > before
    assert view.experiment.actions == []


def test_closed_view_is_told_nothing(experiment: Experiment) -> None:
    view = StorageView(experiment)
    view.close()

    assert experiment.watchers == []


def test_message_is_small(view: StorageView) -> None:
    """At most 4 KiB of storage travel with a picture, and little else."""
    sent = json.dumps(view.picture, default=lambda data: "00" * len(data))

    assert sum(len(place["data"]) for place in view.picture["views"]) <= 4096
    assert len(sent) < 8192


def test_plain_text_is_one_stable_line(experiment: Experiment) -> None:
    first, second = repr(StorageView(experiment)), repr(StorageView(Experiment()))

    assert first == second
    assert "\n" not in first
    assert not re.search(r"0x[0-9a-f]{6,}", first)


def test_bundle_has_text_and_table(view: StorageView) -> None:
    data, _ = view._repr_mimebundle_() or ({}, {})

    assert set(data) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}


def test_table_shows_the_same_bytes_as_the_widget(experiment: Experiment) -> None:
    experiment.store(0, 0x4A)
    texts: list[str] = []

    class Cells(HTMLParser):
        def handle_data(self, data: str) -> None:
            texts.append(data)

    Cells().feed(html_of(experiment))
    shown = "".join(texts)

    assert shown.count("●4a") == 4, "both storages and two programs"
    assert shown.count("≠48") == 2, "LINUX3's program and page cache"
    assert experiment.sentence() in shown


def test_table_needs_no_style_and_no_script(experiment: Experiment) -> None:
    """An untrusted notebook keeps it as it is."""
    assert not re.search(r"style=|<script|class=|on\w+=|://", html_of(experiment))


def test_sources_name_no_address() -> None:
    folder = Path(xiplab.widgets.__file__).parent

    for path in (*folder.glob("*.js"), *folder.glob("*.css")):
        assert "://" not in path.read_text(), path.name
        assert len(path.read_text().splitlines()) < 300, path.name
