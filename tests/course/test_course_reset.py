"""Bringing an answer back: that cell alone, and a copy of what was there."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from submissions import ROOT, SOLVED

from xiplab.cli import main as xiplab
from xiplab.course.problem import question
from xiplab.course.reset import full_id, reset

SHIPPED = ROOT / "exercises"


@pytest.fixture
def exercises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder with both files of exercise 00, solved."""
    folder = tmp_path / "exercises"
    folder.mkdir()
    shutil.copy(SOLVED, folder / "00_start.ipynb")
    script = (SHIPPED / "00_start.py").read_text().replace("# YOUR CODE HERE", "# my own line")
    (folder / "00_start.py").write_text(script)
    monkeypatch.chdir(tmp_path)
    return folder


def sources(path: Path) -> dict[str, Any]:
    return {cell["id"]: cell["source"] for cell in json.loads(path.read_text())["cells"]}


def test_reset_brings_back_one_cell_and_keeps_the_rest(exercises: Path) -> None:
    path = exercises / "00_start.ipynb"
    before = path.read_bytes()
    _, copy = reset("0.2", path)
    now = sources(path)

    assert now["q00-2"] == sources(SHIPPED / "00_start.ipynb")["q00-2"]
    assert now["q00-1"] == sources(SOLVED)["q00-1"]
    assert copy.read_bytes() == before
    assert copy.suffix not in (".ipynb", ".py")


def test_reset_leaves_out_copies_of_the_cell(exercises: Path) -> None:
    """A cell that was copied or split: the first one is brought back, the others go."""
    path = exercises / "00_start.ipynb"
    data = json.loads(path.read_text())
    place = [cell["id"] for cell in data["cells"]].index("q00-2")
    data["cells"].insert(place + 1, {**data["cells"][place], "id": "copy"})
    path.write_text(json.dumps(data))
    reset("00.2", path)

    assert "copy" not in sources(path)
    assert len(sources(path)) == len(sources(SOLVED))


def test_reset_of_a_script_changes_that_cell_alone(exercises: Path) -> None:
    path = exercises / "00_start.py"
    reset("00.2", path)

    assert path.read_text() == (SHIPPED / "00_start.py").read_text().replace("# YOUR CODE HERE",
                                                                             "# my own line", 1)


@pytest.mark.parametrize("name", ["00_start.ipynb", "00_start.py"])
def test_reset_of_an_exercise_brings_back_the_whole_file(exercises: Path, name: str) -> None:
    reset("0", exercises / name)

    assert (exercises / name).read_bytes() == (SHIPPED / name).read_bytes()


def test_command_takes_the_file_that_was_saved_last(exercises: Path, capsys: pytest.CaptureFixture[str]
                                                    ) -> None:
    (exercises / "00_start.py").touch()

    assert xiplab(["reset", "0.1"]) == 0
    assert "exercises/00_start.py: as it was shipped" in capsys.readouterr().out


@pytest.mark.parametrize(("id", "content", "code", "says"), [
    ("00.9", None, errno.ENOENT, "not one of"), ("00.2", "{", errno.EINVAL, "not a notebook"),
    ("00.2", '{"cells": []}', errno.ENOENT, "whole file"), ("00.2", "[3]", errno.EINVAL, "not a notebook")])
def test_reset_that_cannot_be_done_leaves_the_file(exercises: Path, id: str, content: str | None, code: int,
                                                   says: str) -> None:
    path = exercises / "00_start.ipynb"
    path.write_text(content or path.read_text())
    before = path.read_bytes()

    with pytest.raises(OSError, match=says) as info:
        reset(id, path)

    assert info.value.errno == code
    assert path.read_bytes() == before
    assert len(list(exercises.iterdir())) == 2


def test_reset_without_a_file_is_enoent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(OSError, match="no file 00_") as info:
        reset("00.1")

    assert info.value.errno == errno.ENOENT


def test_full_id_adds_the_zero() -> None:
    assert [full_id(id) for id in ("3.2", "03.2", "3", "10.1")] == ["03.2", "03.2", "03", "10.1"]
    assert question(full_id("0.2")).title
