"""The widget family's Python side: scenes as data, as tables, and what comes back from a view."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from sample import KINDS, Sample, SampleView, scene_of

from xiplab.widgets.panels import LEFT, MARKS, html_of, legend_of
from xiplab.widgets.scene import SceneView


@pytest.fixture
def sample() -> Sample:
    return Sample()


@pytest.fixture
def view(sample: Sample) -> SampleView:
    return SampleView(sample)


def texts_of(html: str) -> str:
    texts: list[str] = []

    class Texts(HTMLParser):
        def handle_data(self, data: str) -> None:
            texts.append(data)

    Texts().feed(html)
    return " ".join(texts)


def test_sample_has_every_kind(sample: Sample) -> None:
    assert tuple(panel["kind"] for panel in scene_of(sample)["panels"]) == KINDS


@pytest.mark.parametrize("words", [
    "00 07 0e 15", "s_log_block_size 0x404 2 4,096 bytes", "SHLIB", "⇄ 0x10000-0x10fff", "○ 2",
    "… 1,200 blocks, all free …", "⊘ page 0x3ffe0001 — frame 0x10003", "▶ 0 xip_file_read", "get_xip_mem",
    "15 frames copies 12, tables 3", "i_size 8,192 bytes", "block:7 — segment:SHLIB: lies in",
    "⇄ shared", "Block 0 is chosen"])
def test_table_shows_what_the_widget_shows(sample: Sample, words: str) -> None:
    shown = re.sub(r"\s+", " ", texts_of(html_of(scene_of(sample), sample.sentence())))

    assert words in shown


def test_table_needs_no_style_and_no_script(sample: Sample) -> None:
    """But for the side on which a cell's text begins."""
    html = html_of(scene_of(sample), sample.sentence()).replace(LEFT, "")

    assert not re.search(r"style=|<script|class=|\son\w+=|://", html)


def test_marked_byte_has_its_glyph_in_the_table(sample: Sample) -> None:
    sample.store(0x401, 0x41)

    assert "<b>●41</b>" in html_of(scene_of(sample), "")


def test_legend_has_the_marks_in_use_and_the_scene_s_own_words(sample: Sample) -> None:
    scene = scene_of(sample)
    scene["legend"] = {"hole": "no block here"}

    assert legend_of(scene)["hole"] == ("○", "no block here")
    assert set(legend_of(scene)) == {"hole", "shared", "protected", "stale"}


def test_glyphs_differ() -> None:
    """A mark is known without its colour."""
    assert len({glyph for glyph, _ in MARKS.values()}) == len(MARKS)


def test_change_in_a_cell_moves_every_view(sample: Sample) -> None:
    views = [SampleView(sample), SampleView(sample)]
    sample.choose(3)

    assert [view.picture["status"][:7] for view in views] == ["Block 3"] * 2


@pytest.mark.parametrize(("message", "reads"), [
    ({"call": "choose", "args": [4]}, lambda sample: sample.block == 4),
    ({"call": "look", "args": [0x410]}, lambda sample: sample.at == 0x410),
    ({"call": "step", "args": []}, lambda sample: len(sample.actions) == 1),
])
def test_call_runs_the_method(view: SampleView, sample: Sample, message: dict[str, object],
                              reads: Callable[[Sample], bool]) -> None:
    view._call(view, message, [])

    assert reads(sample)


@pytest.mark.parametrize(("message", "said"), [
    ({"call": "store", "args": [1, 1]}, "outside"),
    ({"call": "build", "args": []}, "no action"),
    ({"call": "replay", "args": []}, "no action"),
    ({"call": "data", "args": []}, "no action"),
    ({"call": "choose", "args": []}, "argument"),
])
def test_wrong_call_is_said_and_changes_nothing(
        view: SampleView, sample: Sample, message: dict[str, object], said: str) -> None:
    before = view.picture["seq"]
    view._call(view, message, [])

    assert said in view.picture["status"]
    assert view.picture["seq"] > before
    assert sample.actions == []


def test_usual_controls_follow_the_scene_s_own(view: SampleView) -> None:
    assert [control["label"] for control in view.picture["controls"]] == ["Choose", "Step", "Undo", "Reset"]


def test_closed_view_is_told_nothing(sample: Sample) -> None:
    view = SampleView(sample)
    view.close()

    assert sample.watchers == []


def test_plain_text_is_one_line_without_an_address(sample: Sample) -> None:
    assert repr(SampleView(sample)) == f"SampleView: {sample.sentence()}"


def test_bundle_has_text_and_table(view: SampleView) -> None:
    data, _ = view._repr_mimebundle_() or ({}, {})

    assert set(data) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}


def test_python_shown_makes_the_same_picture(view: SampleView, sample: Sample) -> None:
    sample.store(0x402, 0x42)
    sample.choose(2)
    names: dict[str, SceneView] = {}
    *lines, last = view.picture["python"].splitlines()
    exec("\n".join([*lines, f"again = {last}"]), names)

    shown = names["again"].picture
    assert {**shown, "seq": 0} == {**view.picture, "seq": 0}
