"""Submissions: edited, damaged, oddly named; each ends in an answer found or a reason in words."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from submissions import ROOT, SOLVED, cell, hand_in, solved

from xiplab.course.answer import AnswerMissing
from xiplab.course.problem import question
from xiplab.course.submission import Submission, find_answer, read_submission, submissions_in
from xiplab.units import MiB

ASKED = question("00.2")
SOURCE = "".join(cell(solved(), "q00-2")["source"])


def edited_check(notebook: dict[str, Any]) -> None:
    cell(notebook, "q00-2-check")["source"] = "4.0"


def deleted_check(notebook: dict[str, Any]) -> None:
    notebook["cells"].remove(cell(notebook, "q00-2-check"))


def copied_check(notebook: dict[str, Any]) -> None:
    notebook["cells"].append({**cell(notebook, "q00-2-check"), "id": "copy"})


def check_as_text(notebook: dict[str, Any]) -> None:
    cell(notebook, "q00-2-check")["cell_type"] = "markdown"


def stripped_metadata(notebook: dict[str, Any]) -> None:
    for one in notebook["cells"]:
        one["metadata"] = {}
        del one["id"]


def metadata_of_other_kinds(notebook: dict[str, Any]) -> None:
    for one in notebook["cells"]:
        one["metadata"] = {"nbgrader": 7}


def false_points(notebook: dict[str, Any]) -> None:
    cell(notebook, "q00-2-check")["metadata"]["nbgrader"]["points"] = float("inf")


def lost_marker_and_id(notebook: dict[str, Any]) -> None:
    mine = cell(notebook, "q00-2")
    mine.update(id="new", metadata={}, source=SOURCE.partition("\n")[2])


@pytest.mark.parametrize(("edit", "note"), [
    (edited_check, ""), (deleted_check, ""), (copied_check, ""), (check_as_text, ""),
    (stripped_metadata, "found by its first line"), (metadata_of_other_kinds, ""), (false_points, ""),
    (lost_marker_and_id, "found by its place")])
def test_edited_notebook_still_gives_the_answer(tmp_path: Path, edit: Callable[[dict[str, Any]], None],
                                                note: str) -> None:
    """Only answer cells are read, so nothing else can be broken or forged."""
    notebook = solved()
    edit(notebook)
    hand_in(tmp_path, "ada", notebook)

    documents, troubles, _ = read_submission(Submission("ada", tmp_path / "ada"))
    found = find_answer(ASKED, documents)

    assert found.source.strip().endswith(SOURCE.strip().splitlines()[-1])
    assert note in " ".join(found.notes)
    assert troubles == []


def test_deleted_answer_is_missing_with_its_marker(tmp_path: Path) -> None:
    """The reason tells which line to look for."""
    notebook = solved()
    notebook["cells"].remove(cell(notebook, "q00-2"))
    del notebook["cells"][-2:]
    hand_in(tmp_path, "ada", notebook)

    documents, _, _ = read_submission(Submission("ada", tmp_path / "ada"))

    with pytest.raises(AnswerMissing, match=r"Your turn: 00\.2"):
        find_answer(ASKED, documents)


def test_written_answer_counts_before_the_stub(tmp_path: Path) -> None:
    """A learner who worked in the .py file leaves the .ipynb as it came."""
    hand_in(tmp_path, "ada", json.loads((ROOT / "exercises" / "00_start.ipynb").read_text()))
    (tmp_path / "ada" / "mine.py").write_bytes((ROOT / "solutions" / "00_start.py").read_bytes())

    documents, _, _ = read_submission(Submission("ada", tmp_path / "ada"))

    assert "YOUR CODE HERE" not in find_answer(ASKED, documents).source


def test_two_written_answers_the_notebook_counts_and_is_named(tmp_path: Path) -> None:
    """The choice does not depend on the folder's order, and is told."""
    hand_in(tmp_path, "ada", solved())
    (tmp_path / "ada" / "a.py").write_text(f"# %% q00-2\n{SOURCE}")

    documents, _, _ = read_submission(Submission("ada", tmp_path / "ada"))

    assert "the one in 00_start.ipynb counts" in " ".join(find_answer(ASKED, documents).notes)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.ipynb", b"{", "not a notebook"), ("a.ipynb", b"", "not a notebook"), ("a.ipynb", b"[" * MiB, "not a"),
    ("a.py", b"\xff\xfe\x00", "not a notebook"), ("a.ipynb", b"9" * MiB, "not a notebook"),
    ("a.zip", b"PK\x03\x04 no archive", "cannot be read")])
def test_damaged_file_is_a_sentence(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)

    documents, troubles, _ = read_submission(submissions_in(tmp_path)[0])

    assert documents == []
    assert said in troubles[0]


def test_notebook_of_50_mib_is_not_read(tmp_path: Path) -> None:
    """The file is sparse; the limit holds before anything is parsed."""
    with (tmp_path / "big.ipynb").open("wb") as file:
        file.truncate(50 * MiB)

    _, troubles, _ = read_submission(submissions_in(tmp_path)[0])

    assert troubles == ["big.ipynb: larger than 2 MiB, it was not read."]


def test_zip_with_odd_names_is_read_and_nothing_is_unpacked(tmp_path: Path) -> None:
    """Names are shown, never used as paths; a bomb is cut at the limit of a file."""
    subs = tmp_path / "subs"
    subs.mkdir()
    with zipfile.ZipFile(subs / "eve.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(SOLVED, "../../../pwned.ipynb")
        archive.writestr("/etc/\x1b[31mred\n.py", "x = 1")
        archive.writestr("bomb.ipynb", b" " * (30 * MiB))
        archive.writestr("__MACOSX/._a.ipynb", "junk")

    documents, troubles, _ = read_submission(submissions_in(subs)[0])

    assert [document.name for document in documents] == ["pwned.ipynb", "�[31mred�.py"]
    assert troubles == ["bomb.ipynb: larger than 2 MiB, it was not read."]
    assert find_answer(ASKED, documents).source == SOURCE
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["eve.zip", "subs"]


def test_odd_file_names_become_one_printable_line(tmp_path: Path) -> None:
    for name in (b"new\nline.ipynb", b"\xff\xfe.ipynb", b"\x1b[2J.ipynb", b"=1+1.ipynb"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(SOLVED.read_bytes())

    found = submissions_in(tmp_path)

    assert len(found) == 4
    assert all(submission.learner.isprintable() for submission in found)
    assert all(read_submission(submission)[1] == [] for submission in found)


def test_links_pipes_and_hidden_folders_are_not_followed(tmp_path: Path) -> None:
    """A link could point at the solutions, a pipe would never end."""
    ada = tmp_path / "ada"
    (ada / ".ipynb_checkpoints").mkdir(parents=True)
    (ada / ".ipynb_checkpoints" / "a.ipynb").write_text("{}")
    (ada / "b.ipynb").symlink_to(SOLVED)
    os.mkfifo(ada / "c.ipynb")
    os.mkfifo(tmp_path / "d.ipynb")
    (tmp_path / "e.ipynb").symlink_to(SOLVED)

    found = submissions_in(tmp_path)

    assert [submission.learner for submission in found] == ["ada"]
    assert read_submission(found[0]) == ([], ["There is no .ipynb or .py file in it."], None)


def test_folder_without_submissions_raises_enodata(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")

    with pytest.raises(OSError, match="no folder") as info:
        submissions_in(tmp_path)

    assert info.value.errno == errno.ENODATA


def test_fingerprint_changes_with_a_file(tmp_path: Path) -> None:
    path = hand_in(tmp_path, "ada", solved())
    submission = Submission("ada", tmp_path / "ada")
    before = submission.fingerprint()
    path.write_text("{}")

    assert submission.fingerprint() != before
