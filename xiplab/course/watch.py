"""For people who use an editor: at each save, the answers that changed are judged.

    watch(None, print)              the exercises' files here and in exercises/
    watch(Path("00_start.py"), ...) one file

The files' times and sizes are looked at a few times a second, which works on every file system. The
first look only notes what is there.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path

from xiplab.course.answer import AnswerMissing, answer_in_cells, exercise_files, read_cells
from xiplab.course.judge import check
from xiplab.course.problem import EXERCISES, questions

PAUSE = 0.3
"""Seconds between two looks."""

Stamp = tuple[int, int]


def rest() -> None:
    time.sleep(PAUSE)


def watch(path: Path | None, say: Callable[[str], None], pause: Callable[[], None] = rest) -> None:
    """Judge what is saved, until `pause` or the user interrupts.

    Raises:
        OSError: ENOENT if there is nothing to watch.
    """
    stamps = {file: stamp_of(file) for file in watched(path)}
    if not stamps:
        raise OSError(errno.ENOENT, f"{path or 'no exercise here, nor in exercises/'}: nothing to watch")
    known = {file: answers_in(file) for file in stamps}
    say(f"Watching {', '.join(file.name for file in sorted(stamps))}. Save an answer, and it is judged.")
    while True:
        pause()
        for file in watched(path):
            stamp = stamp_of(file)
            if stamp != stamps.get(file):
                stamps[file] = stamp
                known[file] = judge_changes(file, known.get(file, {}), say)


def watched(path: Path | None) -> list[Path]:
    """The files to look at."""
    if path is not None:
        return [path] if path.exists() else []
    return [file for exercise in EXERCISES for file in exercise_files(exercise)]


def stamp_of(file: Path) -> Stamp | None:
    """When a file was written and its size; None while an editor replaces it."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def answers_in(file: Path) -> dict[str, str]:
    """The source of each answer in a file. A file that cannot be read has none."""
    try:
        cells = read_cells(file)
        found = {asked.id: answer_in_cells(asked, cells)
                 for exercise in EXERCISES for asked in questions(exercise)}
    except AnswerMissing:
        return {}
    return {id: answer.source for id, answer in found.items() if answer is not None}


def judge_changes(file: Path, before: dict[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """Judge the answers that are not as they were; returns all as they are."""
    now = answers_in(file)
    for id, source in now.items():
        if source != before.get(id):
            say(str(check(id, file)))
    return now or before
