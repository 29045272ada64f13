"""What holds around every test of the house.

- No operation table is left interposed and no probe attached.
- With XIPLAB_CI=1 a skipped test has failed: CI installs everything that a test can ask for.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from twin_sides import SIDES, TMPFS, GuestSide, HostSide, Side

from xiplab import ZVM, trace

IN_CI = os.environ.get("XIPLAB_CI") == "1"

Operations = dict[str, Callable[..., Any]]


def operations(table: trace.OperationsTable) -> Operations:
    return {f.name: getattr(table, f.name) for f in fields(table) if callable(getattr(table, f.name))}


def is_recorded(operation: Callable[..., Any]) -> bool:
    return isinstance(operation, trace.RecordedCall)


@pytest.fixture(autouse=True)
def nothing_left_interposed() -> Iterator[None]:
    """Whatever a test puts into a table or attaches to a tracepoint, it takes away again."""
    before = {table: operations(table) for table in trace.tables}
    yield
    changed = [f"{table}.{name}" for table, originals in before.items()
               for name, original in originals.items() if getattr(table, name) != original]
    recorded = [f"{table}.{name}" for table in trace.tables
                for name, operation in operations(table).items() if is_recorded(operation)]
    probed = [name for name, tracepoint in trace.tracepoints.items() if tracepoint.probes]

    assert (changed, recorded, probed) == ([], [], [])


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    """A guest, and where it can the host too: both must answer alike."""
    old, mask = Path.cwd(), os.umask(0o022)
    if request.param == "guest":
        yield GuestSide(ZVM().logon("LINUX1"))
    else:
        folder = Path(tempfile.mkdtemp(dir=TMPFS))
        folder.chmod(0o755)
        try:
            yield HostSide(folder)
        finally:
            os.chdir(old)
            shutil.rmtree(folder)
    os.umask(mask)


def fail_if_skipped(report: Any) -> None:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure in CI: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report
