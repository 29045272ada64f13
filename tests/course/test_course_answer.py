"""Where an answer is found: cells that were copied, split, moved, stripped; files that are no notebooks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from xiplab.course.answer import AnswerMissing, answer_anywhere, answer_in_file
from xiplab.course.problem import Case, Hint, Question

HINTS = (Hint("a", 0.1), Hint("b", 0.1), Hint("c", 0.1))
ASKED = Question("07.3", "t", "build", "f", (Case("c", lambda answer, random: None, 1),), HINTS)
TURN = "# Your turn: 07.3\ndef f(): return 1"
CHECK = 'xiplab.check("07.3")'


def code(source: str, id: str = "", grade_id: str = "") -> dict[str, Any]:
    metadata = {"nbgrader": {"grade_id": grade_id}} if grade_id else {}
    return {"cell_type": "code", "id": id, "metadata": metadata, "source": source.splitlines(keepends=True)}


def notebook(path: Path, *cells: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "t", "metadata": {}}, *cells]}))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "07_x.ipynb"


def test_cell_with_its_id_is_found_without_a_note(file: Path) -> None:
    found = answer_in_file(ASKED, notebook(file, code("import os"), code(TURN, "q07-3"), code(CHECK)))

    assert (found.source, found.notes) == (TURN, ())


def test_copied_cell_runs_after_the_original(file: Path) -> None:
    """A copy gets a new id and keeps the grade_id; both run, in document order, and a note says so."""
    found = answer_in_file(ASKED, notebook(file, code(TURN, "q07-3", "q07-3"),
                                           code("def f(): return 2", "abc", "q07-3")))

    assert found.source == TURN + "\n\n" + "def f(): return 2"
    assert "2 cells belong to 07.3" in found.notes[0]


def test_cell_without_metadata_is_found_by_its_first_line(file: Path) -> None:
    found = answer_in_file(ASKED, notebook(file, code("x = 1"), code(TURN, "77aa"), code(CHECK)))

    assert found.source == TURN
    assert "lost its id" in found.notes[0]


def test_cell_without_id_and_marker_is_found_by_its_place(file: Path) -> None:
    found = answer_in_file(ASKED, notebook(file, code('xiplab.check("07.2")'), code("def f(): return 3"),
                                           code(CHECK)))

    assert found.source == "def f(): return 3"
    assert "by its place" in found.notes[0]


def test_other_questions_check_is_no_answer(file: Path) -> None:
    with pytest.raises(AnswerMissing, match=r"no cell begins with '# Your turn: 07.3'"):
        answer_in_file(ASKED, notebook(file, code('xiplab.check("07.2")'), code(CHECK)))


def test_python_file_in_cells_is_read(tmp_path: Path) -> None:
    path = tmp_path / "07_x.py"
    path.write_text(f'# %% intro [markdown]\n# # T\n\n# %% setup\nimport os\n\n# %% q07-3\n{TURN}\n\n'
                    '# %% q07-3-check\nprint(xiplab.check("07.3", __file__))\n')

    assert answer_in_file(ASKED, path).source == TURN


def test_python_file_without_cells_is_found_by_nothing(tmp_path: Path) -> None:
    path = tmp_path / "07_x.py"
    path.write_text("import os\n")

    with pytest.raises(AnswerMissing):
        answer_in_file(ASKED, path)


@pytest.mark.parametrize("content", [
    b"not json", b"[]", b"{}", b'{"cells": 3}', b'{"cells": [3]}', b'{"cells": [{"cell_type": "code"}]}',
    b'{"cells": [{"cell_type": "code", "source": 3}]}', b"\xff\xfe", b"[" * 100_000,
    b'{"cells": [{"cell_type": "code", "source": 5, "metadata": []}]}'])
def test_file_that_is_no_notebook_is_said_so(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    with pytest.raises(AnswerMissing, match=r"07_x.ipynb: this is not a notebook file"):
        answer_in_file(ASKED, file)


def test_large_file_is_not_read(file: Path) -> None:
    file.write_bytes(b" " * (3 << 20))

    with pytest.raises(AnswerMissing, match="larger than 2 MiB"):
        answer_in_file(ASKED, file)


def test_long_answer_is_not_read(file: Path) -> None:
    with pytest.raises(AnswerMissing, match="longer than 60 KiB"):
        answer_in_file(ASKED, notebook(file, code(TURN + "\n#" + "x" * 70_000, "q07-3")))


def test_missing_file_is_said_so(file: Path) -> None:
    with pytest.raises(AnswerMissing, match="No such file"):
        answer_in_file(ASKED, file)


def in_shell(monkeypatch: pytest.MonkeyPatch, *cells: str) -> None:
    """Run cells in an IPython shell and make it the running one."""
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    for cell in cells:
        shell.run_cell(cell).raise_error()


def test_notebook_gives_the_cell_that_defined_the_function_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole cell, with its constants and helpers, not the function alone."""
    in_shell(monkeypatch, TURN, "# Your turn: 07.3\nTWO = 2\ndef f(): return TWO", "x = 1")

    found = answer_anywhere(ASKED)

    assert found.source.rstrip() == "# Your turn: 07.3\nTWO = 2\ndef f(): return TWO"
    assert found.notes == ()


def test_notebook_function_from_elsewhere_gets_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    in_shell(monkeypatch, TURN, "def f(): return 5")

    assert "outside its own cell" in answer_anywhere(ASKED).notes[0]


def test_notebook_before_the_answer_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    in_shell(monkeypatch, "x = 1")

    with pytest.raises(AnswerMissing, match=r"run the cell that begins with '# Your turn: 07.3'"):
        answer_anywhere(ASKED)


def test_notebook_value_in_place_of_function_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    in_shell(monkeypatch, "f = 3")

    with pytest.raises(AnswerMissing, match="is now of type int, not a function"):
        answer_anywhere(ASKED)


def test_outside_a_notebook_the_file_saved_last_is_read(monkeypatch: pytest.MonkeyPatch,
                                                        tmp_path: Path) -> None:
    """`xiplab check 07.3` needs no path in the course's folder or in exercises/."""
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exercises").mkdir()
    older = tmp_path / "07_x.py"
    older.write_text(f"# %% q07-3\n{TURN}\n")
    os.utime(older, (1, 1))
    notebook(tmp_path / "exercises" / "07_x.ipynb", code("def f(): return 9", "q07-3"))

    found = answer_anywhere(ASKED)

    assert found.source == "def f(): return 9"
    assert found.notes == ("The answer was read from exercises/07_x.ipynb.",)


def test_outside_a_notebook_and_without_file_one_is_asked_for(monkeypatch: pytest.MonkeyPatch,
                                                              tmp_path: Path) -> None:
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(AnswerMissing, match="give the file"):
        answer_anywhere(ASKED)
