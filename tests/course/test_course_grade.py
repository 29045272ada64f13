"""Grading a class: the same results however it runs, kept through interrupts."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from submissions import HIDDEN, WRONG, answering, hand_in, solved

from xiplab.cli import main as xiplab
from xiplab.course import grade as grade_module
from xiplab.course import progress
from xiplab.course.grade import RESULTS, Task, grade, line_of, pool
from xiplab.course.process import Limits
from xiplab.course.sandbox import Wall, sandbox
from xiplab.course.submission import submissions_in

TASK = Task(("00",), str(HIDDEN), walled=False, limits=Limits(wall=4, cpu=1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A class of four: right, wrong, ended, unreadable."""
    submissions = tmp_path / "class"
    hand_in(submissions, "ada", solved())
    hand_in(submissions, "bob", answering(WRONG))
    hand_in(submissions, "eve", answering("import os\nos._exit(0)"))
    (submissions / "zoe.ipynb").write_text("{")
    return submissions


@pytest.fixture
def thread() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def grade_class(folder: Path, out: Path, executor: Executor) -> tuple[list[dict[str, Any]], list[str]]:
    """The results, and the learners in the order in which they were done."""
    done = list[str]()
    results = grade(submissions_in(folder), out, TASK, executor,
                    lambda result: done.append(result["learner"]))
    return results, done


def test_class_is_graded_and_reasons_are_told_apart(folder: Path, tmp_path: Path, thread: Executor) -> None:
    results, _ = grade_class(folder, tmp_path / "out", thread)

    assert [line_of(result) for result in results] == [
        "ada: 6 of 6", "bob: 2 of 6  00.2 wrong", "eve: 2 of 6  00.2 crash",
        "zoe: 0 of 6  00.1 missing, 00.2 missing  zoe.ipynb: this is not a notebook file."]


def test_results_file_is_what_was_returned(folder: Path, tmp_path: Path, thread: Executor) -> None:
    results, _ = grade_class(folder, tmp_path / "out", thread)

    lines = (tmp_path / "out" / RESULTS).read_text().splitlines()

    assert [json.loads(line)["learner"] for line in lines] == ["ada", "bob", "eve", "zoe"]
    assert json.loads(lines[0]) == json.loads(json.dumps(results[0]))


@pytest.mark.slow
def test_one_and_two_workers_write_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """Also the order of the lines is that of the submissions."""
    for workers in (1, 2):
        with pool(workers) as executor:
            grade_class(folder, tmp_path / str(workers), executor)

    assert (tmp_path / "1" / RESULTS).read_bytes() == (tmp_path / "2" / RESULTS).read_bytes()


def test_interrupt_keeps_what_is_done_and_goes_on(folder: Path, tmp_path: Path, thread: Executor,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run judges only who is left, also after a line that was cut short."""
    def interrupt(result: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(submissions_in(folder), tmp_path / "out", TASK, thread, interrupt)
    path = tmp_path / "out" / RESULTS
    kept = [json.loads(line)["learner"] for line in path.read_text().splitlines()]
    with path.open("a") as file:
        file.write('{"learner": "bo')
    judged = list[str]()
    whole = grade_module.grade_submission

    def watched(submission: Any, task: Task) -> dict[str, Any]:
        judged.append(submission.learner)
        return whole(submission, task)

    monkeypatch.setattr(grade_module, "grade_submission", watched)
    results, done = grade_class(folder, tmp_path / "out", thread)

    assert kept == ["ada"]
    assert "ada" not in judged
    assert len(results) == 4
    assert sorted(done) == ["ada", "bob", "eve", "zoe"]


def test_attempts_and_logs_come_from_the_progress_file(folder: Path, tmp_path: Path, thread: Executor
                                                       ) -> None:
    """Where it was handed in; a damaged one is told and costs nothing."""
    entry = {"hints": 0, "attempts": [{"when": "2026", "points": 1.0, "solved": False}] * 3}
    noted = {"learner": "a1", "questions": {"00.2": entry}}
    (folder / "ada" / progress.FILE_NAME).write_text(json.dumps(noted))
    (folder / "bob" / progress.FILE_NAME).write_text("{")
    (ada, bob, eve, _), _ = grade_class(folder, tmp_path / "out", thread)

    assert ada["progress"]["attempts"] == {"00.1": 0, "00.2": 3}
    assert ada["progress"]["broken"] == ["00.2"]
    assert ada["progress"]["situations"].keys() == {"00.1"}
    assert (bob["progress"], eve["progress"]) == (None, None)
    assert bob["troubles"][0].startswith("xiplab-progress.json: cannot be read")
    assert bob["earned"] == 2


def test_basis_changes_with_settings_and_checks(tmp_path: Path) -> None:
    """Exercises, limits, sandbox and hidden checks: with any of them changed, results are of before."""
    hidden = tmp_path / "hidden"
    shutil.copytree(HIDDEN, hidden)
    task = replace(TASK, hidden=str(hidden))
    before = task.basis()
    others = [replace(task, limits=Limits(wall=5)), replace(task, exercises=()), replace(task, hidden="")]
    if sandbox().stands:
        others.append(replace(task, walled=True))

    assert task.basis() == before
    assert before not in [other.basis() for other in others]
    (hidden / "ex00.py").write_text((hidden / "ex00.py").read_text().replace("SEED", "SEEDS"))
    assert task.basis() != before


def test_basis_changes_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "xiplab"
    shutil.copytree(grade_module.PACKAGE / "course", package / "course")
    monkeypatch.setattr(grade_module, "PACKAGE", package)
    before = TASK.basis()
    with (package / "course" / "questions" / "ex00.py").open("a") as file:
        file.write("# changed\n")

    assert TASK.basis() != before


def test_changed_checks_are_applied_to_all(folder: Path, tmp_path: Path, thread: Executor,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """What was judged by other checks is judged again; by the same ones it is not."""
    grade_class(folder, tmp_path / "out", thread)
    judged = list[str]()
    whole = grade_module.grade_submission

    def watched(submission: Any, task: Task) -> dict[str, Any]:
        judged.append(submission.learner)
        return whole(submission, task)

    monkeypatch.setattr(grade_module, "grade_submission", watched)
    grade_class(folder, tmp_path / "out", thread)
    assert judged == []
    grade(submissions_in(folder), tmp_path / "out", replace(TASK, hidden=""), thread, lambda result: None)

    assert judged == ["ada", "bob", "eve", "zoe"]


@pytest.mark.parametrize(("walled", "stands", "root", "risky", "refused"), [
    (True, True, True, False, False), (True, False, False, False, True), (True, False, True, True, True),
    (False, True, False, False, False), (False, False, True, False, True), (False, False, True, True, False)])
def test_risks_are_taken_only_when_asked_for(walled: bool, stands: bool, root: bool, risky: bool,
                                             refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sandbox: only with --no-sandbox; as root: only with --accept-risk too."""
    monkeypatch.setattr(grade_module, "sandbox", lambda: Wall(stands, "not sandboxed"))
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)
    task = replace(TASK, walled=walled)
    if not refused:
        grade_module.refuse_risks(task, risky)
        return

    with pytest.raises(PermissionError) as info:
        grade_module.refuse_risks(task, risky)

    assert info.value.errno == errno.EPERM


def test_command_refuses_risks_and_missing_packages(folder: Path, capsys: pytest.CaptureFixture[str],
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, before anything runs."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["grade", str(folder), "--out", str(folder / "out"), "--exercise", "00", "--no-sandbox"]

    assert xiplab(words) == 1
    assert "--accept-risk" in capsys.readouterr().err
    assert xiplab([*words, "--accept-risk", "--dask", "tcp://127.0.0.1:1"]) == 1
    assert "xiplab[dask]" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_changed_submission_is_judged_again(folder: Path, tmp_path: Path, thread: Executor) -> None:
    grade_class(folder, tmp_path / "out", thread)
    hand_in(folder, "bob", solved())
    (folder / "zoe.ipynb").unlink()

    results, _ = grade_class(folder, tmp_path / "out", thread)
    earned = {result["learner"]: result["earned"] for result in results}

    assert earned == {"ada": 6, "bob": 6, "eve": 2}


def test_broken_check_costs_its_question_only(folder: Path, tmp_path: Path, thread: Executor,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in a check is told as one, not as the learner's."""
    whole = grade_module.judge

    def broken(asked: Any, *given: Any, **named: Any) -> Any:
        if asked.id == "00.2":
            raise TypeError("int + str")
        return whole(asked, *given, **named)

    monkeypatch.setattr(grade_module, "judge", broken)
    results, _ = grade_class(folder, tmp_path / "out", thread)

    assert line_of(results[0]) == "ada: 2 of 6  00.2 broken check"


def test_unknown_exercise_and_missing_hidden_checks_are_refused_first(tmp_path: Path) -> None:
    for task in (Task(("99",)), Task(("00",), str(tmp_path))):
        with pytest.raises(OSError, match=r"99|ex00\.py") as info:
            task.check()

        assert info.value.errno == errno.ENOENT


@pytest.mark.slow
def test_command_grades_and_says_where(folder: Path, tmp_path: Path,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    """`xiplab grade`: a line for each learner, whether there was a sandbox, and the file."""
    status = xiplab(["grade", str(folder), "--out", str(tmp_path / "out"), "--hidden", str(HIDDEN),
                     "--exercise", "00"])
    shown = capsys.readouterr()

    assert status == 0
    assert "ada: 6 of 6\n" in shown.out
    assert "sandboxed (" in shown.out
    assert str(tmp_path / "out" / "index.html") in shown.out
    assert (tmp_path / "out" / "index.html").is_file()
    assert "4/4" in shown.err


@pytest.mark.skipif(not sandbox().stands, reason=sandbox().text)
@pytest.mark.slow
def test_solved_course_gets_all_points_in_the_sandbox(tmp_path: Path) -> None:
    """There what any question asks for is empty for all questions; no solution leans on another's."""
    folder = tmp_path / "ada"
    folder.mkdir()
    for path in (HIDDEN.parent).glob("*.ipynb"):
        shutil.copy(path, folder)
    record = grade_module.grade_submission(submissions_in(tmp_path)[0], Task(hidden=str(HIDDEN)))

    assert [(one["question"], one["outcome"]) for one in record["results"] if one["outcome"] != "right"] == []
    assert record["earned"] == record["points"]
