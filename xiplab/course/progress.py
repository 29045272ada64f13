"""The learner's progress: one readable file in the learner's own folder.

    xiplab-progress.json    attempts, predictions, hints opened; nothing of it is ever sent anywhere

The file is looked for in the current folder and those above it. Where there is none, nothing is
kept: a course that is only looked at leaves no trace. `create` starts one (`xiplab lab` does, in the
learner's folder); deleting the file deletes all. Several files merge by joining the lists of attempts.

The score of a question is that of the best attempt, less the hints opened, but never under half of
that attempt. It is the learner's own figure; graders judge the answer itself.
"""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xiplab.course.problem import Question
from xiplab.course.result import Result

FILE_NAME = "xiplab-progress.json"


def find() -> Path | None:
    """The progress file of the current folder or of the nearest one above, if any."""
    here = Path.cwd()
    return next((folder / FILE_NAME for folder in (here, *here.parents) if (folder / FILE_NAME).is_file()),
                None)


def create(folder: Path) -> Path:
    """Start a progress file in `folder`, unless it has one."""
    path = folder / FILE_NAME
    if not path.exists():
        _save(path, {"questions": {}})
    return path


def delete() -> None:
    """Delete all that was noted.

    Raises:
        OSError: ENOENT if there is no progress file here or above.
    """
    path = find()
    if path is None:
        raise OSError(errno.ENOENT, f"no {FILE_NAME} here, nor in a folder above")
    path.unlink()


def load(path: Path) -> dict[str, Any]:
    """The content of a progress file.

    Raises:
        OSError: EINVAL if it is damaged; it is then left as it is.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data["questions"], dict):
            raise ValueError("questions is no table")
    except (ValueError, KeyError, TypeError) as failure:
        raise OSError(errno.EINVAL, f"{path.name}: damaged ({failure}); rename it to start a new one"
                      ) from failure
    return dict(data)


def _save(path: Path, data: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(part, path)


def _entry(data: dict[str, Any], asked: Question) -> dict[str, Any]:
    entry: dict[str, Any] = data["questions"].setdefault(asked.id, {"attempts": [], "hints": 0})
    return entry


def note_attempt(asked: Question, result: Result, source: str) -> tuple[str, ...]:
    """Add an attempt; returns what kept it from being noted, for the card."""
    path = find()
    if path is None:
        return ()
    attempt = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "points": result.earned,
               "solved": result.solved, "misconceptions": list(result.misconceptions)}
    if asked.kind == "predict":
        attempt["prediction"] = source
    try:
        data = load(path)
        _entry(data, asked)["attempts"].append(attempt)
        _save(path, data)
    except OSError as failure:
        return (f"This attempt was not noted in your progress: {failure.strerror}.",)
    return ()


def note_prediction(id: str, choice: str) -> None:
    """Add what was predicted in a notebook."""
    path = find()
    if path is not None:
        data = load(path)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        data.setdefault("predictions", {}).setdefault(id, []).append({"when": now, "choice": choice})
        _save(path, data)


def open_hints(asked: Question, upto: int) -> int:
    """Note that the hints up to number `upto` were opened; returns how many are open now."""
    path = find()
    if path is None:
        return upto
    data = load(path)
    entry = _entry(data, asked)
    if upto > entry["hints"]:
        entry["hints"] = upto
        _save(path, data)
    return int(entry["hints"])


def wrong_tries(asked: Question) -> int:
    """How many attempts did not solve the question; 0 where nothing is noted."""
    path = find()
    if path is None:
        return 0
    attempts = load(path)["questions"].get(asked.id, {"attempts": []})["attempts"]
    return sum(not attempt["solved"] for attempt in attempts)


def score(asked: Question, entry: dict[str, Any]) -> float:
    """Points of the best attempt, less the hints opened, never under half of it."""
    best = max((float(attempt["points"]) for attempt in entry["attempts"]), default=0.0)
    cost = sum(hint.cost for hint in asked.hints[:entry["hints"]])
    return max(best - cost * asked.points, best / 2)
