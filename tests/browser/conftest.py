"""Chromium, and JupyterLab with folders of its own, for the browser tests.

What a failing test saw (a screenshot, the console) is kept in the folder that the environment
variable XIPLAB_BROWSER_ARTIFACTS names, or else in pytest's own temporary folder; so are the
screenshots that tests take, and the report of latencies.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter import Lab

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium: apt install chromium"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = os.environ.get("XIPLAB_BROWSER_ARTIFACTS")
    path = Path(folder) if folder else tmp_path_factory.mktemp("browser")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    try:
        playwright = sync_api.sync_playwright().start()
    except Exception as failure:  # its driver lacks a library of the system; it has no narrower class
        pytest.skip(f"Playwright does not start ({failure}): apt install libatomic1")
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()
    playwright.stop()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One server for all tests."""
    pytest.importorskip("jupyterlab")
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ran(lab: Lab, chromium: Any) -> Iterator[Callable[[str], Any]]:
    """ran(name) is a page of its own with a notebook that was run from the top; it is run once."""
    pages: dict[str, Any] = {}

    def page(name: str) -> Any:
        if name not in pages:
            pages[name] = open_page(chromium)
            lab.copy(name, f"run-{name}")
            lab.open(pages[name], f"run-{name}")
            lab.run_all(pages[name])
        return pages[name]

    yield page
    for opened in pages.values():
        opened.close()


@pytest.fixture(scope="session")
def visitor(chromium: Any) -> Iterator[Any]:
    """A page for tests that need JupyterLab and no notebook before theirs: it is loaded once."""
    page = open_page(chromium)
    yield page
    page.close()


@pytest.fixture
def guest_page(lab: Lab, visitor: Any, artifacts: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The visitors' page, with nothing open and nothing noted yet.

    What JupyterLab says while it closes the notebook of the test before is of no concern to this one.
    """
    if visitor.url.startswith(lab.url):
        lab.close(visitor)
    for noted in (visitor.console, visitor.errors, visitor.requests):
        noted.clear()
    yield visitor
    keep_if_failed(request, visitor, artifacts)


def open_page(chromium: Any, **options: Any) -> Any:
    """A page that notes what happens: `page.console`, `page.errors`, `page.requests`."""
    page = chromium.new_page(**{"viewport": {"width": 1280, "height": 900}} | options)
    page.set_default_timeout(30_000)
    page.console, page.errors, page.requests = [], [], []
    page.on("console", lambda message: page.console.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda sent: page.requests.append(sent.url))
    return page


def keep_if_failed(request: pytest.FixtureRequest, page: Any, artifacts: Path) -> None:
    """After a failed test: a screenshot, and what the console said."""
    if request.node.stash.get(FAILED, False):
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        page.screenshot(path=artifacts / f"failed-{name}.png")
        (artifacts / f"failed-{name}.log").write_text("\n".join(page.console + page.errors))


@pytest.fixture
def new_page(chromium: Any, artifacts: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """new_page(**options) opens a page; all are closed after the test."""
    pages = []

    def new(**options: Any) -> Any:
        pages.append(open_page(chromium, **options))
        return pages[-1]

    yield new
    for page in pages:
        keep_if_failed(request, page, artifacts)
        page.close()
