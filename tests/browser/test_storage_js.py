"""The JavaScript of the storage widget, alone in Chromium with a stub model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage import CONTRASTS, DARK, FOCUSABLE, LIGHT, Stage

import xiplab.widgets


@pytest.fixture
def stage(new_page: Callable[..., Any]) -> Stage:
    return Stage(new_page())


def test_click_and_type_stores_the_byte_everywhere_but_in_the_cache(stage: Stage) -> None:
    old = int(stage.experiment.segment[0])
    stage.byte("segment", 0).click()
    stage.page.keyboard.type("J")
    stage.page.keyboard.press("Enter")
    stage.wait(1)

    new = ord("J")
    assert stage.shown(0) == {"segment": new, "disk": new, "LINUX1": new, "LINUX2": new,
                              "LINUX3": old, "cache": old}
    assert int(stage.experiment.segment[0]) == new
    assert "LINUX1 and LINUX2 see it at once" in stage.status
    assert not stage.page.errors


def test_store_button_takes_two_hex_digits(stage: Stage) -> None:
    stage.byte("disk", 3).click()
    stage.page.get_by_label("New value").fill("5a")
    stage.page.get_by_role("button", name="Store").click()
    stage.wait(1)

    assert stage.experiment.segment[3] == 0x5A


def test_click_on_a_mapping_changes_nothing_and_says_why(stage: Stage) -> None:
    stage.byte("LINUX1", 2).click()

    assert "LINUX1's program is only shown" in stage.status
    assert stage.experiment.actions == []


def test_value_that_is_no_byte_is_explained(stage: Stage) -> None:
    stage.byte("segment", 0).click()
    stage.page.keyboard.type("xyz")
    stage.page.keyboard.press("Enter")

    assert "two hex digits" in stage.status
    assert stage.experiment.actions == []


def test_keyboard_reaches_every_byte_and_stores(stage: Stage) -> None:
    """One tab stop, then the keys of the grid pattern; a typed character starts the new value."""
    page = stage.page
    page.keyboard.press("Tab")
    focused = "document.activeElement.dataset.offset"
    walk = [("ArrowRight", "1"), ("ArrowDown", "9"), ("End", "15"), ("Home", "8"), ("ArrowUp", "0"),
            ("ArrowLeft", "0"), ("Control+End", "23"), ("Control+Home", "0")]

    assert page.evaluate(focused) == "0"
    for key, offset in walk:
        page.keyboard.press(key)
        assert page.evaluate(focused) == offset, key
    page.keyboard.type("4a")
    page.keyboard.press("Enter")
    stage.wait(1)
    assert stage.experiment.segment[0] == 0x4A
    assert page.evaluate(focused) == "0", "focus is back on the byte"


def test_escape_leaves_the_value_then_the_grid(stage: Stage) -> None:
    stage.page.keyboard.press("Tab")
    stage.page.keyboard.press("Enter")
    assert stage.page.evaluate("document.activeElement.tagName") == "INPUT"
    stage.page.keyboard.press("Escape")
    assert stage.page.evaluate("document.activeElement.tagName") == "TD"
    stage.page.keyboard.press("Escape")

    assert stage.page.evaluate("document.activeElement.tagName") == "BODY"
    assert stage.experiment.actions == []


def test_grid_is_one_tab_stop(stage: Stage) -> None:
    stops = []
    for _ in range(7):
        stage.page.keyboard.press("Tab")
        stops.append(stage.page.evaluate("document.activeElement.tagName + document.activeElement.innerText"))

    assert [stop[:2] for stop in stops[:2]] == ["TD", "IN"]
    assert [stop[6:].split()[0] for stop in stops[2:6]] == ["Store", "Undo", "Step", "Reset"]
    assert stops[6].startswith("SUMMARY")


def test_page_down_shows_the_next_bytes(stage: Stage) -> None:
    stage.byte("segment", 0).focus()
    stage.page.keyboard.press("PageDown")
    stage.wait(1)

    assert stage.byte("segment", 24).count() == 1
    assert stage.experiment.start == 24


def test_every_focusable_element_keeps_its_keys_from_jupyterlab(stage: Stage) -> None:
    missing = stage.page.locator(FOCUSABLE).evaluate_all(
        "nodes => nodes.filter(n => n.dataset.lmSuppressShortcuts !== 'true').map(n => n.outerHTML)")

    assert missing == []


def test_undo_step_and_reset_are_the_public_methods(stage: Stage) -> None:
    stage.experiment.store(0, 0x4A)
    stage.refresh()
    button = stage.page.get_by_role("button", name="Step")
    for number, guest in enumerate(("LINUX1", "LINUX2", "LINUX3"), 2):
        button.click()
        stage.wait(number)
        assert stage.status.startswith(f"{guest} loads byte 0x000")
        assert stage.page.locator(".xip-active").get_attribute("data-name") == guest
    stage.page.get_by_role("button", name="Undo").click()
    stage.wait(5)
    assert len(stage.experiment.actions) == 3
    stage.page.get_by_role("button", name="Reset").click()
    stage.wait(6)

    assert stage.experiment.actions == []
    assert stage.page.locator(".xip-stale:not(.xip-legend *)").count() == 0


def test_marks_stay_for_three_steps_and_stale_bytes_stay_marked(stage: Stage) -> None:
    stage.experiment.store(0, 0x4A)
    for marked in (True, True, True, True, False):
        stage.refresh()
        classes = stage.byte("LINUX1", 0).get_attribute("class")
        assert ("xip-changed" in classes) == marked
        assert "xip-stale" in stage.byte("LINUX3", 0).get_attribute("class")
        stage.experiment.step()


def test_pointing_at_a_byte_marks_it_in_all_places(stage: Stage) -> None:
    stage.byte("LINUX3", 5).hover()

    for view in stage.experiment.views():
        assert "xip-at" in stage.byte(view.name, 5).get_attribute("class")


def test_python_shown_gives_the_same_picture(stage: Stage) -> None:
    stage.experiment.store(4, 0x21)
    stage.experiment.step()
    stage.refresh()
    stage.page.get_by_text("Show the Python for this").click()
    code = stage.page.locator("details pre").inner_text()
    names: dict[str, Any] = {}
    exec(code, names)

    again = names["experiment"]
    assert [view.data for view in again.views()] == [view.data for view in stage.experiment.views()]
    assert again.sentence() == stage.experiment.sentence()


def test_two_views_of_one_model_stay_equal(stage: Stage) -> None:
    stage.page.evaluate("void window.view()")
    stage.byte("segment", 0).first.click()
    stage.page.keyboard.type("Q")
    stage.page.keyboard.press("Enter")
    stage.page.wait_for_function("[...document.querySelectorAll('.xip')].every(v => v.dataset.seq === '1')")
    pictures = stage.page.locator(".xip-picture").evaluate_all("nodes => nodes.map(n => n.innerText)")

    assert pictures[0] == pictures[1]


def test_python_that_does_not_answer_is_said(stage: Stage) -> None:
    stage.answering = False
    stage.page.clock.install()
    stage.page.get_by_role("button", name="Step").click()
    stage.page.clock.run_for(5000)

    assert "does not answer" in stage.status


def test_fifty_renders_leave_nothing(stage: Stage) -> None:
    page = stage.page
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")

    def measure() -> dict[str, float]:
        devtools.send("HeapProfiler.collectGarbage")
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in metrics}

    page.evaluate("window.view()()")
    before, listeners = measure(), page.evaluate("window.listeners.length")
    page.evaluate("for (let i = 0; i < 50; i++) window.view()()")
    after = measure()

    assert page.evaluate("window.listeners.length") == listeners
    assert after["JSEventListeners"] <= before["JSEventListeners"]
    assert after["Nodes"] - before["Nodes"] < 50
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < 5e6


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_contrast(new_page: Callable[..., Any], artifacts: Path, theme: dict[str, str]) -> None:
    stage = Stage(new_page(viewport={"width": 900, "height": 760}), theme)
    stage.experiment.store(1, 0x61)
    stage.experiment.step()
    stage.refresh()
    name = "dark" if theme is DARK else "light"
    stage.page.screenshot(path=artifacts / f"storage-{name}.png", full_page=True)
    lowest = stage.page.evaluate(CONTRASTS)[0]

    assert lowest[0] >= 4.5, lowest


@pytest.mark.parametrize(("width", "zoom"), [(320, 1), (900, 2)], ids=["320 px", "200 %"])
def test_narrow_and_zoomed_pages_need_no_sideways_scrolling(
        new_page: Callable[..., Any], artifacts: Path, width: int, zoom: int) -> None:
    stage = Stage(new_page(viewport={"width": width // zoom, "height": 700}, device_scale_factor=zoom))
    stage.experiment.store(1, 0x61)
    stage.refresh()
    stage.page.screenshot(path=artifacts / f"storage-{width}-zoom{zoom}.png", full_page=True)

    assert stage.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_motion_stops_for_people_who_ask(new_page: Callable[..., Any]) -> None:
    stage = Stage(new_page(reduced_motion="reduce"))
    stage.experiment.store(0, 0x4A)
    stage.refresh()
    still = "e => [getComputedStyle(e).transitionDuration, getComputedStyle(e).animationName]"

    assert stage.byte("LINUX1", 0).evaluate(still) == ["0s", "none"]


def test_accessible_tree_reads_as_a_sentence_a_grid_and_named_controls(stage: Stage) -> None:
    tree = stage.page.locator(".xip").aria_snapshot()

    assert 'region "Storage and mappings, side by side"' in tree
    assert 'grid "Storage: segment SHLIB: bytes"' in tree
    assert 'gridcell "byte 0x000: 0x' in tree
    assert tree.count("gridcell") == 24
    for button in ("Store", "Undo", "Step", "Reset"):
        assert f'button "{button}"' in tree
    assert "- status:" in tree


def test_module_is_short_and_names_no_address() -> None:
    """The learner can read it, and it loads nothing."""
    folder = Path(xiplab.widgets.__file__).parent
    text = (folder / "storage.js").read_text()

    assert len(text.splitlines()) < 300
    for source in (text, (folder / "storage.css").read_text()):
        assert "://" not in source
        assert "import" not in source.split("\n//", 1)[0]
