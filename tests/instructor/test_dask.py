"""A dask.distributed cluster carries the judging: the same results, from other processes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from xiplab.cli import main as xiplab
from xiplab.course.build import REPOSITORY
from xiplab.course.grade import RESULTS

SOLVED = REPOSITORY / "solutions" / "00_start.ipynb"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two processes on this computer."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield str(cluster.scheduler_address)


@pytest.fixture
def submissions(tmp_path: Path) -> Path:
    """Three learners: right, wrong, unreadable."""
    folder = tmp_path / "class"
    folder.mkdir()
    text = SOLVED.read_text()
    (folder / "ada.ipynb").write_text(text)
    (folder / "bob.ipynb").write_text(text.replace("info.start + sector", "sector"))
    (folder / "zoe.ipynb").write_text("{")
    return folder


def graded(submissions: Path, out: Path, *options: str) -> bytes:
    """The file of results of `xiplab grade`."""
    assert xiplab(["grade", str(submissions), "--out", str(out), "--exercise", "00", *options]) == 0

    return (out / RESULTS).read_bytes()


def test_cluster_writes_the_same_bytes_as_a_pool(address: str, submissions: Path, tmp_path: Path) -> None:
    by_cluster = graded(submissions, tmp_path / "cluster", "--dask", address)
    by_pool = graded(submissions, tmp_path / "pool", "--workers", "1")

    assert by_cluster == by_pool
    assert [json.loads(line)["earned"] > 2 for line in by_pool.splitlines()] == [True, False, False]


def test_clusters_processes_did_it(address: str) -> None:
    """The test above would pass if everything ran here: the workers have not imported this module."""
    with Client(address) as client, client.get_executor(pure=False) as executor:
        there = executor.submit(eval, "'test_dask' in __import__('sys').modules").result()

    assert not there
    assert "test_dask" in {name.rpartition(".")[2] for name in sys.modules}


def test_cluster_that_is_not_there_is_told(submissions: Path, tmp_path: Path,
                                           capsys: pytest.CaptureFixture[str],
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    status = xiplab(["grade", str(submissions), "--out", str(tmp_path / "out"), "--exercise", "00",
                     "--dask", "tcp://127.0.0.1:1"])

    assert status == 1
    assert "127.0.0.1:1" in capsys.readouterr().err
