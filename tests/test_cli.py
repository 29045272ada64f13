"""The command `xiplab`: the learner's folder, the server it opens, and what it needs to start."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from xiplab import cli
from xiplab.course import lab, progress

ROOT = Path(__file__).resolve().parent.parent
PAGE = "notebooks/00_start.ipynb"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that carries two files; returns the folder that they lie in."""
    share = tmp_path / "package" / "share"
    for name in (PAGE, "exercises/ex00.py"):
        (share / name).parent.mkdir(parents=True)
        (share / name).write_text(f"first {name}")
    monkeypatch.setattr(lab, "PACKAGE", share.parent)
    return share


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "my course"


def test_copy_course_first_time_copies_everything(package: Path, folder: Path) -> None:
    report = lab.copy_course(folder)

    assert report.new == [PAGE, "exercises/ex00.py"]
    assert (folder / PAGE).read_text() == f"first {PAGE}"


def test_copy_course_again_changes_and_says_nothing(package: Path, folder: Path) -> None:
    lab.copy_course(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("[!.]*/*")}

    assert lab.copy_course(folder).lines() == []
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("[!.]*/*")}


def test_copy_course_keeps_an_edited_file(package: Path, folder: Path) -> None:
    lab.copy_course(folder)
    (folder / PAGE).write_text("mine")

    assert lab.copy_course(folder).lines() == []
    assert (folder / PAGE).read_text() == "mine"


def test_copy_course_keeps_an_edited_file_and_tells_of_a_newer_one(package: Path, folder: Path) -> None:
    """It tells once; the next run has nothing new to say."""
    lab.copy_course(folder)
    (folder / PAGE).write_text("mine")
    (package / PAGE).write_text("second")

    assert lab.copy_course(folder).newer_exists == [PAGE]
    assert (folder / PAGE).read_text() == "mine"
    assert lab.copy_course(folder).lines() == []


def test_copy_course_updates_an_untouched_file(package: Path, folder: Path) -> None:
    lab.copy_course(folder)
    (package / PAGE).write_text("second")

    assert lab.copy_course(folder).updated == [PAGE]
    assert (folder / PAGE).read_text() == "second"


def test_copy_course_brings_back_a_missing_file(package: Path, folder: Path) -> None:
    """Deleting or renaming one's copy is how to start an exercise afresh."""
    lab.copy_course(folder)
    (folder / PAGE).rename(folder / "notebooks/mine.ipynb")

    assert lab.copy_course(folder).new == [PAGE]
    assert (folder / "notebooks/mine.ipynb").exists()


def test_copy_course_keeps_a_file_that_left_the_course(package: Path, folder: Path) -> None:
    lab.copy_course(folder)
    (package / PAGE).unlink()

    assert lab.copy_course(folder).retired == [PAGE]
    assert (folder / PAGE).exists()
    assert lab.copy_course(folder).lines() == []


@pytest.mark.parametrize("damage", [
    b"", b"{", b"[1, 2]", b'"text"', b'{"notebooks/00_start.ipynb": 7}', b"\xff"])
def test_copy_course_with_a_damaged_manifest_loses_no_edit(
        package: Path, folder: Path, damage: bytes) -> None:
    """Without hashes every differing file counts as edited."""
    lab.copy_course(folder)
    (folder / PAGE).write_text("mine")
    (folder / ".xiplab/manifest.json").write_bytes(damage)

    assert lab.copy_course(folder).newer_exists == [PAGE]
    assert (folder / PAGE).read_text() == "mine"


def test_copy_course_skips_sources_and_derived_files(package: Path, folder: Path) -> None:
    """The notebook's source stands beside it in a checkout; learners need the notebook."""
    (package / "notebooks/00_start.py").write_text("source")
    (package / "exercises/.ipynb_checkpoints").mkdir()
    (package / "exercises/.ipynb_checkpoints/ex00.ipynb").write_text("old")

    assert lab.copy_course(folder).new == [PAGE, "exercises/ex00.py"]


def test_copy_course_into_a_file_raises_enotdir(package: Path, folder: Path) -> None:
    folder.write_text("not a folder")

    with pytest.raises(OSError, match="my course") as caught:
        lab.copy_course(folder)
    assert caught.value.errno in (errno.ENOTDIR, errno.EEXIST)


def test_lab_into_a_file_is_a_sentence_not_a_traceback(
        package: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write_text("not a folder")

    assert cli.main(["lab", str(folder)]) == 1
    assert "my course" in capsys.readouterr().err


def test_the_first_page_is_shipped() -> None:
    assert lab.FIRST_PAGE in lab.shipped()


def test_solutions_are_not_shipped_to_learners() -> None:
    assert [name for name in lab.shipped() if "solution" in name] == []


def test_free_port_taken_raises_eaddrinuse() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="--port") as caught:
            lab.free_port(taken.getsockname()[1])

    assert caught.value.errno == errno.EADDRINUSE


def test_has_display_without_one_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Python would start a text browser in the learner's terminal."""
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)

    assert lab.has_display() is False
    assert "--no-browser" in lab.lab_options(Path(), 8888, browser=True)


def test_help_lists_each_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    listed = re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)

    assert stop.value.code == 0
    assert listed == ["lab", "check", "progress", "reset", "watch", "grade", "build", "bench", "doctor"]


def test_doctor_finds_what_is_needed(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)

    assert cli.main(["doctor"]) == 0
    assert "MISSING" not in capsys.readouterr().out


def test_check_of_an_unknown_question_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "77.7"]) == 1
    assert "77.7" in capsys.readouterr().err


@pytest.mark.parametrize(("file", "status"), [
    ("exercises/00_start.ipynb", 1), ("exercises/00_start.py", 1), ("solutions/00_start.ipynb", 0)])
def test_check_judges_a_file(file: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                             capsys: pytest.CaptureFixture[str]) -> None:
    """The exercise as shipped is not solved, the solution is; the result is printed in words."""
    monkeypatch.chdir(tmp_path)

    assert cli.main(["check", "00.2", str(ROOT / file)]) == status
    assert "00.2" in capsys.readouterr().out


def test_build_without_its_packages_says_which(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "jupytext", None)
    monkeypatch.delitem(sys.modules, "xiplab.course.build", raising=False)

    assert cli.main(["build", "--check"]) == 1
    assert "jupytext" in capsys.readouterr().err


# ---- the real server

@contextmanager
def opened(folder: Path, home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`xiplab lab` as a learner starts it, with an empty home; gives the process and the address."""
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(lab.PACKAGE.parent)}
    command = [sys.executable, "-m", "xiplab", "lab", str(folder), "--no-browser"]
    with subprocess.Popen(command, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        assert server.stdout is not None
        try:
            address = next((line.strip() for line in server.stdout if line.strip().startswith("http://")), "")
            yield server, address
        finally:
            server.terminate()
            server.communicate(timeout=20)


def fetch(address: str) -> bytes:
    until = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as reply:
                return bytes(reply.read())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.mark.slow
def test_lab_opens_and_a_second_one_finds_it(folder: Path, tmp_path: Path) -> None:
    """The address works, a second run starts no second server, and the home folder stays empty."""
    home = tmp_path / "home"
    home.mkdir()
    with opened(folder, home) as (server, address):
        page = fetch(address)
        with opened(folder, home) as (second, _):
            pass

        assert b"JupyterLab" in page
        assert (second.returncode, server.poll()) == (0, None)
        assert list(home.iterdir()) == []


@pytest.mark.slow
def test_lab_shows_no_dialog_and_opens_no_source_as_a_notebook(folder: Path, tmp_path: Path) -> None:
    """No news question, no kernel question, no jupytext, and no way to install extensions."""
    with opened(folder, tmp_path) as (_, address):
        base, token = address[:address.index("lab")], address[address.index("?"):]
        (folder / "work.py").write_text("x = 1")
        kind = json.loads(fetch(f"{base}api/contents/work.py{token}"))["type"]
        settings = {name: json.loads(fetch(f"{base}lab/api/settings/{name}{token}"))["raw"] for name in (
            "@jupyterlab/apputils-extension:notification", "@jupyterlab/notebook-extension:tracker")}
        page = fetch(f"{base}lab{token}").decode()

    assert '"fetchNews": "false"' in settings["@jupyterlab/apputils-extension:notification"]
    assert '"autoStartDefaultKernel": true' in settings["@jupyterlab/notebook-extension:tracker"]
    assert (kind, configuration(page)["disabledExtensions"]) == ("file", ["jupyterlab-jupytext"])


def configuration(page: str) -> dict[str, Any]:
    """What the server tells JupyterLab's page."""
    found = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1]) if found else {}


def test_progress_prints_the_map_and_deletes_what_was_noted(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    path = progress.create(tmp_path)

    assert cli.main(["progress"]) == 0
    assert "Next: begin notebook 00" in capsys.readouterr().out
    assert cli.main(["progress", "--delete"]) == 0
    assert not path.exists()
    assert cli.main(["progress", "--delete"]) == 1
    assert "no xiplab-progress.json here" in capsys.readouterr().err


def test_lab_starts_a_progress_file_and_keeps_it(
        package: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "serve", lambda folder, port, browser: 0)
    cli.main(["lab", str(folder)])
    path = folder / progress.FILE_NAME
    path.write_text('{"questions": {}, "predictions": {}}')
    cli.main(["lab", str(folder)])

    assert "predictions" in path.read_text()
