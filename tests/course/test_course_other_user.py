"""Grading as an ordinary user: the sandbox is then made by a user namespace, and holds the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from submissions import HIDDEN, ROOT, answering, hand_in, solved
from test_course_attacks import ATTACKS, OVER, WALLED

from xiplab.course.grade import RESULTS
from xiplab.course.sandbox import _bound, _packages, _system, sandbox

pytestmark = [pytest.mark.skipif(not sandbox().stands, reason=sandbox().text), pytest.mark.slow]

SOMEBODY = 12345
SAID_TO_SOMEBODY = {"writing into the package": "Read-only", "becoming root": "Invalid argument"}
"""Where the user namespace has another reason to refuse."""

QUICK = [name for name in ATTACKS if not name.startswith(("endless loop", "sleeping"))]


def as_somebody(work: Path) -> list[str]:
    """The start of a command that runs in `work` as a user who is not root, and sees no home but that.

    The folders of root may be closed to others, so this user gets a system of its own.
    """
    if os.geteuid() != 0:
        return []
    for parent, _, names in os.walk(work):
        for path in (parent, *(os.path.join(parent, name) for name in names)):
            os.chown(path, SOMEBODY, SOMEBODY)
    new = [option for folder in ("/dev/shm", "/tmp") for option in ("--perms", "1777", "--tmpfs", folder)]
    return ["bwrap", *_system(), "--ro-bind", "/etc", "/etc", "--bind", "/proc", "/proc",
            "--dev-bind", "/dev", "/dev", *new, *_packages(), *_bound(ROOT / "xiplab"),
            *_bound(ROOT / "solutions"), *_bound(work), "--bind", str(work), str(work), "--chdir", str(work),
            "setpriv", "--reuid", str(SOMEBODY), "--regid", str(SOMEBODY), "--clear-groups"]


def graded(work: Path, *options: str) -> tuple[dict[str, dict[str, Any]], str]:
    """The records of `xiplab grade` on work/class, by learner, and what it printed."""
    (work / "out").mkdir()
    command = [sys.executable, "-m", "xiplab", "grade", str(work / "class"), "--out", str(work / "out"),
               "--exercise", "00", "--workers", "2", *options]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(work)}
    done = subprocess.run([*as_somebody(work), *command], capture_output=True, text=True, timeout=240,
                          check=False, cwd=work, env=settings)
    lines = (work / "out" / RESULTS).read_text().splitlines() if done.returncode == 0 else []
    return {one["learner"]: one for one in map(json.loads, lines)}, done.stdout + done.stderr


def learner(attack: str) -> str:
    """A folder's name for an attack."""
    return attack.replace("/", " ")


def by_question(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["question"]: one for one in record["results"]}


def test_ordinary_user_has_a_sandbox_and_it_holds(tmp_path: Path) -> None:
    """The table of attacks, each a learner of one class; beside them one who solved all."""
    attacks = {name: (ATTACKS | WALLED)[name] for name in (*QUICK, *WALLED)}
    hand_in(tmp_path / "class", "ada", solved())
    for name, (source, _, _) in attacks.items():
        hand_in(tmp_path / "class", learner(name), answering(source))
    for name, source in OVER.items():
        hand_in(tmp_path / "class", learner(f"first {name}"), answering(source, "00.1"))
    records, said = graded(tmp_path, "--hidden", str(HIDDEN))

    assert f"{len(records)} sandboxed (bubblewrap)" in said, said
    assert records["ada"]["earned"] == 6
    for name, (_, outcome, reason) in attacks.items():
        questions = by_question(records[learner(name)])
        attacked = questions["00.2"]
        assert (questions["00.1"]["earned"], attacked["earned"]) == (2, 0), name
        assert attacked["outcome"] == (outcome or attacked["outcome"]), attacked
        assert SAID_TO_SOMEBODY.get(name, reason) in repr(attacked), name
    second = {name: by_question(records[learner(f"first {name}")])["00.2"]["earned"] for name in OVER}
    assert second == dict.fromkeys(OVER, 4)


def test_ordinary_user_may_do_without_a_sandbox(tmp_path: Path) -> None:
    """No limit of root's is missing then, so one word is enough."""
    hand_in(tmp_path / "class", "ada", solved())
    hand_in(tmp_path / "class", "eve", answering(WALLED["fork bomb"][0]))
    records, said = graded(tmp_path, "--no-sandbox")

    assert records["ada"]["earned"] == 6, said
    assert "temporarily unavailable" in repr(by_question(records["eve"])["00.2"])
    assert "2 not sandboxed (as asked)" in said
