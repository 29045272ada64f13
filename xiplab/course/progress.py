"""The learner's progress: one readable file in the learner's own folder.

    xiplab-progress.json    attempts, predictions, hints opened; nothing of it is ever sent anywhere

The file is looked for in the current folder and those above it. Where there is none, nothing is
kept: a course that is only looked at leaves no trace. `create` starts one (`xiplab lab` does, in the
learner's folder); deleting the file deletes all. Several files merge by joining the lists of attempts.

The score of a question is that of the best attempt, less the hints opened, but never under half of
that attempt. A question is mastered if it was right on a fresh situation without a hint. Both are the
learner's own figures; graders judge the answer itself.

Each attempt carries a digest of itself and of the attempt before, so that a log that was changed
afterwards can be told from one that was not (`broken_logs`). The file's own random name gives its
learner situations that nobody else has (`own_situation`).
"""

from __future__ import annotations

import ast
import errno
import hashlib
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xiplab.course.problem import Question
from xiplab.course.result import Result

FILE_NAME = "xiplab-progress.json"

OWN_SITUATIONS = 10**6
"""So many situations of a question are dealt out."""


def find() -> Path | None:
    """The progress file of the current folder or of the nearest one above, if any."""
    here = Path.cwd()
    return next((folder / FILE_NAME for folder in (here, *here.parents) if (folder / FILE_NAME).is_file()),
                None)


def create(folder: Path) -> Path:
    """Start a progress file in `folder`, unless it has one."""
    path = folder / FILE_NAME
    if not path.exists():
        _save(path, {"learner": secrets.token_hex(8), "questions": {}})
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
        return parse(path.read_bytes())
    except ValueError as failure:
        raise OSError(errno.EINVAL, f"{path.name}: damaged ({failure}); rename it to start a new one"
                      ) from failure


def parse(content: bytes) -> dict[str, Any]:
    """The content of a progress file, from its bytes. Raises ValueError if it is none."""
    try:
        data = json.loads(content)
        for entry in data["questions"].values():
            if not isinstance(entry["hints"], int) or not all(
                    isinstance(attempt["when"], str) for attempt in entry["attempts"]):
                raise ValueError("no entry of a question")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as failure:
        raise ValueError(f"no table of questions and attempts: {failure}") from failure
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
        attempt["situation"] = situation_of(source)
    try:
        data = load(path)
        entry = _entry(data, asked)
        attempt["hints"] = entry["hints"]
        attempt["chain"] = link(asked.id, entry["attempts"], attempt)
        entry["attempts"].append(attempt)
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


def link(id: str, before: list[dict[str, Any]], attempt: dict[str, Any]) -> str:
    """The digest of an attempt at question `id`, the attempts before it included."""
    last = before[-1].get("chain", "") if before else ""
    content = json.dumps({**attempt, "chain": [id, last]}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def broken_logs(data: dict[str, Any]) -> list[str]:
    """The questions whose attempts were changed after they were noted, or joined from several files."""
    broken = []
    for id, entry in sorted(data["questions"].items()):
        attempts = entry["attempts"]
        if any(attempt.get("chain") != link(id, attempts[:number], attempt)
               for number, attempt in enumerate(attempts)):
            broken.append(id)
    return broken


def own_situation(asked: Question, learner: str) -> int:
    """The number of the situation that is this learner's own, as the same learner always gets it."""
    digest = hashlib.sha256(f"xiplab {learner} {asked.id}".encode()).hexdigest()
    return 1 + int(digest[:8], 16) % OWN_SITUATIONS


def learner_here() -> str:
    """The random name in the progress file; empty where there is none."""
    path = find()
    return "" if path is None else str(load(path).get("learner", ""))


def situation_of(source: str) -> int | None:
    """The number of the situation that an answer says it is about; None if it says none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    said = [node.value.value for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            and any(isinstance(target, ast.Name) and target.id == "SITUATION" for target in node.targets)]
    return said[-1] if said and type(said[-1]) is int else None


def score(asked: Question, entry: dict[str, Any]) -> float:
    """Points of the best attempt, less the hints opened, never under half of it."""
    best = max((float(attempt["points"]) for attempt in entry["attempts"]), default=0.0)
    cost = sum(hint.cost for hint in asked.hints[:entry["hints"]])
    return max(best - cost * asked.points, best / 2)


def is_mastered(asked: Question, entry: dict[str, Any]) -> bool:
    """Right without hints, on a fresh situation.

    A question with situations: right at the first try on one of them, no hint opened since the try
    before. Without: right with no hint opened at all.
    """
    tried, opened = set[int | None](), 0
    for attempt in entry["attempts"]:
        situation, hints = attempt.get("situation"), attempt.get("hints", 0)
        fresh = situation not in tried and hints == opened if asked.situation else hints == 0
        if attempt["solved"] and fresh:
            return True
        tried.add(situation)
        opened = hints
    return False
