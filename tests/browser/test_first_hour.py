"""A stranger's first half hour: START, a link, notebook 00 cell by cell, and the map again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from jupyter import ROOT, Lab

from xiplab.course import progress

CHOICES = {"who-predict": "a", "cost-predict": "b", "change-predict": "c"}
"""What the stranger believes, wrong or right."""
RUN = """index => {
  const { content } = jupyterapp.shell.currentWidget;
  content.activeCellIndex = index;
  content.widgets[index].model.sharedModel.execution_count = null;
  void jupyterapp.commands.execute("notebook:run-cell");
}"""
HAS_RUN = """index => {
  const { content, sessionContext } = jupyterapp.shell.currentWidget;
  return content.widgets[index].model.executionCount !== null
    && sessionContext.session.kernel.status === "idle";
}"""
IS_OPEN = """path => {
  const { context, sessionContext } = jupyterapp.shell.currentWidget;
  return context?.path === path && sessionContext.session?.kernel?.status === "idle";
}"""
FIRST = "walk/notebooks/START.ipynb"
CELLS = "jupyterapp.shell.currentWidget.model.sharedModel.cells.map(cell => [cell.id, cell.cell_type])"
TYPE = """([index, choice]) => {
  const cell = jupyterapp.shell.currentWidget.model.sharedModel.cells[index];
  cell.setSource(cell.getSource().replace(', "skip")', `, "${choice}")`));
}"""


def run(page: Any, index: int) -> None:
    page.evaluate(RUN, index)
    page.wait_for_function(HAS_RUN, arg=index, timeout=60_000)


def learner(folder: Path) -> None:
    """A learner's folder, with the first two notebooks and an empty progress file."""
    (folder / "notebooks").mkdir(parents=True)
    for name in ("START.ipynb", "00_start.ipynb"):
        shutil.copy(ROOT / "notebooks" / name, folder / "notebooks" / name)
    progress.create(folder)


def test_stranger_walks_from_the_map_through_notebook_00_and_back(
        lab: Lab, guest_page: Any, artifacts: Path) -> None:
    """Every cell runs in its turn, each belief is answered, one line of the map changes: 00 is done."""
    page = guest_page
    learner(lab.root / "walk")
    lab.open(page, FIRST)
    run(page, 1)
    rows = page.locator("tr").filter(has_text="Change one byte of storage")
    assert "○ not begun" in rows.first.inner_text()
    page.screenshot(path=artifacts / "START-before.png")

    page.get_by_role("link", name="start", exact=True).first.click()
    page.wait_for_function(IS_OPEN, arg="walk/notebooks/00_start.ipynb", timeout=60_000)
    for index, (name, kind) in enumerate(page.evaluate(CELLS)):
        if name in CHOICES:
            page.evaluate(TYPE, [index, CHOICES[name]])
        if kind == "code":
            run(page, index)
        if name == "who-picture":
            page.locator(".xip-is-segment td[data-offset='0']").last.click()
            page.keyboard.type("Z")
            page.keyboard.press("Enter")
            page.wait_for_function("document.querySelector('.xip-is-segment td.xip-changed') !== null")
    text = page.evaluate("jupyterapp.shell.currentWidget.content.node.textContent")
    page.screenshot(path=artifacts / "walk-00.png")

    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts() == []
    assert "Not as you predicted" in text
    assert "Execute-in-place saves the copy" in text
    page.evaluate("path => void jupyterapp.commands.execute('docmanager:open', { path })", FIRST)
    page.wait_for_function(IS_OPEN, arg=FIRST)
    run(page, 1)
    assert "● done" in rows.first.inner_text()
    page.screenshot(path=artifacts / "START-after.png")
