"""Notebook 7, the other front end of Jupyter: the same notebooks run in it, and their views stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import open_page
from jupyter import Lab

pytest.importorskip("notebook")

EMPTY = {"cells": [{"cell_type": "code", "id": "one", "metadata": {}, "outputs": [], "execution_count": None,
                    "source": "1"}],
         "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
         "nbformat": 4, "nbformat_minor": 5}


def errors(page: Any) -> set[str]:
    return {*page.errors, *(line for line in page.console if line.startswith("error"))}


@pytest.fixture(scope="module")
def errors_of_its_own(lab: Lab, chromium: Any) -> set[str]:
    """What Notebook 7 complains of when it shows a notebook with nothing of ours."""
    (lab.root / "empty.ipynb").write_text(json.dumps(EMPTY))
    page = open_page(chromium)
    lab.open_in_notebook_7(page, "empty.ipynb")
    found = errors(page)
    page.close()
    return found


@pytest.mark.parametrize(("name", "views"), [
    ("00_start.ipynb", 1), ("04_ext2.ipynb", 1), ("09_shortcomings.ipynb", 3)])
def test_notebook_runs_and_its_views_answer(
        lab: Lab, new_page: Callable[..., Any], artifacts: Path, errors_of_its_own: set[str], name: str,
        views: int) -> None:
    page = new_page()
    lab.copy(name, f"seven-{name}")
    lab.open_in_notebook_7(page, f"seven-{name}")
    lab.run_all(page)
    page.wait_for_function("count => document.querySelectorAll('.xip[data-seq]').length === count", arg=views)
    widget = page.locator(".xip").first
    widget.scroll_into_view_if_needed()
    before = widget.get_attribute("data-seq")
    widget.get_by_role("button", name="Step").click()
    page.wait_for_function("last => document.querySelector('.xip').dataset.seq !== last", arg=before)
    page.screenshot(path=artifacts / f"notebook-7-{Path(name).stem}.png")

    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts() == []
    assert errors(page) <= errors_of_its_own
    assert lab.outside(page) == []
