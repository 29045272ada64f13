"""Grading a class: seconds for each submission, with one judging process and with more.

    python -m benchmarks.grading [--submissions 300] [--workers 1 2]

The submissions are the solved exercises, each learner with another share of answers left as they were
handed out, of answers that are wrong, and of names changed; the same for the same number. All run in
the sandbox, where there is one. Bar: 5 s for each submission and process; on a computer that does
other things, look at the processor time. The results must be the same whatever the number of processes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from xiplab.course.grade import RESULTS, Task, grade, pool
from xiplab.course.sandbox import sandbox
from xiplab.course.submission import submissions_in

ROOT = Path(__file__).resolve().parents[1]
BAR = 5.0
"""Seconds for each submission and process."""


def notebooks(folder: str) -> dict[str, dict[str, Any]]:
    """The exercises' notebooks in a folder of the course, by name."""
    return {path.name: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted((ROOT / folder).glob("[0-9]*.ipynb"))}


def answered(solved: dict[str, Any], stub: dict[str, Any], random: Random) -> dict[str, Any]:
    """A notebook as some learner might hand it in."""
    handed_out = {cell["id"]: cell["source"] for cell in stub["cells"]}
    for cell in solved["cells"]:
        if re.fullmatch(r"q\d\d-\d+", cell["id"]):
            source = "".join(cell["source"])
            cell["source"] = random.choices(
                [source, handed_out[cell["id"]], source.replace("return ", "return not "),
                 re.sub(r"\binfo\b", "segment", source)], [6, 1, 1, 1])[0]
    return solved


def make_class(folder: Path, learners: int) -> None:
    """Hand in as many submissions."""
    stubs = notebooks("exercises")
    for number in range(learners):
        random = Random(number)
        place = folder / f"learner-{number:04}"
        place.mkdir()
        for name, solved in notebooks("solutions").items():
            content = answered(solved, stubs[name], random)
            (place / name).write_text(json.dumps(content), encoding="utf-8")


def graded(submissions: Path, out: Path, workers: int) -> tuple[float, float, str]:
    """Seconds by the clock, seconds of processor time, and a digest of the results."""
    task = Task(hidden=str(ROOT / "solutions" / "hidden"))
    before, began = sum(os.times()[:4]), time.monotonic()
    with pool(workers) as executor:
        grade(submissions_in(submissions), out, task, executor, lambda result: None)
    seconds, used = time.monotonic() - began, sum(os.times()[:4]) - before
    return seconds, used, hashlib.sha256((out / RESULTS).read_bytes()).hexdigest()[:16]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--submissions", type=int, default=300)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    questions = len(list(Task().questions()))
    print(f"{arguments.submissions} submissions of {questions} questions, {sandbox().text}")
    digests, slowest = set(), 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "class")
        folder.mkdir()
        make_class(folder, arguments.submissions)
        for workers in arguments.workers:
            seconds, used, digest = graded(folder, Path(scratch, f"out-{workers}"), workers)
            each = seconds / arguments.submissions
            print(f"{workers} processes: {seconds:.1f} s, {each:.3f} s for each submission, "
                  f"{each * workers:.3f} s for each and process, "
                  f"{used / arguments.submissions:.3f} s of processor time")
            digests.add(digest)
            slowest = max(slowest, each * workers)
    print(f"results the same: {len(digests) == 1}; under {BAR:g} s: {slowest < BAR}")
    return 0 if len(digests) == 1 and slowest < BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
