"""The widgets of notebooks 09 and 10 in JupyterLab: by mouse, by keyboard, and from a cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import keep_if_failed
from jupyter import Lab

from xiplab.host import native

pytestmark = pytest.mark.browser


@pytest.fixture
def page(ran: Callable[[str], Any], lab: Lab, artifacts: Path, request: pytest.FixtureRequest
         ) -> Iterator[Callable[[str, int, str], Any]]:
    """page(notebook, index, name): the page, with that experiment reset and its widget in sight."""
    used: list[Any] = []

    def show(notebook: str, index: int, name: str) -> Any:
        opened = ran(notebook)
        used.append(opened)
        number = lab.ask(opened, f"{name}.reset(), {name}.sequence").split()[-1]
        root = opened.locator(".xip").nth(index)
        root.scroll_into_view_if_needed()
        opened.wait_for_function("([i, n]) => document.querySelectorAll('.xip')[i].dataset.seq === n",
                                 arg=[index, number.strip("(),")])
        return root

    yield show
    for opened in used:
        keep_if_failed(request, opened, artifacts)


def status(root: Any) -> str:
    return str(root.locator("[role=status]").inner_text())


def after(root: Any, act: Callable[[], Any]) -> str:
    """The status line once the widget has answered."""
    before = root.get_attribute("data-seq")
    act()
    root.page.wait_for_function("([root, last]) => root.dataset.seq !== last",
                                arg=[root.element_handle(), before])
    return status(root)


def test_block_of_flash_is_erased_by_mouse_and_by_keyboard(page: Callable[..., Any]) -> None:
    root = page("09_shortcomings.ipynb", 1, "flash")
    tile = root.locator("[data-key~='block:9']").last
    by_mouse = after(root, tile.click)
    after(root, root.get_by_role("button", name="Reset").click)
    root.locator("[data-key~='block:8']").last.focus()
    root.page.keyboard.press("ArrowRight")
    by_keyboard = after(root, lambda: root.page.keyboard.press("Enter"))

    assert "The chip erases block 9" in by_mouse
    assert "The chip erases block 9" in by_keyboard


def test_new_value_typed_into_the_log_is_programmed(page: Callable[..., Any], lab: Lab) -> None:
    root = page("09_shortcomings.ipynb", 1, "flash")
    after(root, lambda: root.page.evaluate("""root => {
        [...root.querySelectorAll("button")].find((each) => each.textContent === "Program").click();
    }""", root.element_handle()))

    assert lab.ask(root.page, "hex(flash.log_cells()[0])") == "0x4a"


def test_change_in_a_cell_moves_the_view(page: Callable[..., Any], lab: Lab) -> None:
    root = page("09_shortcomings.ipynb", 0, "ramdisk")
    said = after(root, lambda: lab.ask(root.page, "ramdisk.read(3)"))

    assert said.startswith("read() of page 3")


@pytest.mark.skipif(bool(native.unavailable()), reason=native.unavailable() or "works here")
def test_real_processes_show_the_store(page: Callable[..., Any]) -> None:
    root = page("10_after.ipynb", 0, "experiment")
    said = after(root, root.get_by_role("button", name="Store", exact=True).last.click)

    assert "Processes that see it: 1, 2. Not: 3." in said
    assert "Jello" in root.inner_text()
