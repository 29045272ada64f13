"""Grading a class: every question of every submission, through the judge of the notebook.

    SUBMISSIONS  ->  grade_submission (one task for each)  ->  OUT/results.jsonl

Each task reads one submission and judges its questions one after another; any
concurrent.futures.Executor carries the tasks, here a pool of processes. A finished submission is
written at once, as one line. After an interrupt the same command goes on: what is written is not
judged again, unless the submission, the settings, the checks or the package have changed since. At
the end the lines stand in the order of the submissions, so that the file is the same however many
workers there were.

What goes wrong with an answer costs the question it belongs to. What goes wrong in a check itself
is told as the check's mistake, for the instructor to look at.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from xiplab.course import progress
from xiplab.course.answer import AnswerMissing, with_needs
from xiplab.course.forks import ForkServer
from xiplab.course.judge import hidden_cases, judge, without_answer
from xiplab.course.masked import PACKAGE, imported_by, masked_of
from xiplab.course.problem import EXERCISES, Question, questions
from xiplab.course.process import Alone, Limits, Started
from xiplab.course.report import write_report
from xiplab.course.sandbox import sandbox
from xiplab.course.submission import (
    Document,
    Submission,
    find_answer,
    read_submission,
    shown,
    submissions_in,
)

RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Task:
    """What is to be graded and how.

    Attributes:
        exercises: their numbers ("00"). hidden: the folder of the hidden checks, may be empty.
        walled: answers run in the sandbox, where there is one. limits: what one answer may use.
    """

    exercises: tuple[str, ...] = EXERCISES
    hidden: str = ""
    walled: bool = True
    limits: Limits = Limits()

    def questions(self) -> Iterator[Question]:
        for exercise in self.exercises:
            yield from questions(exercise)

    @contextmanager
    def starter(self) -> Iterator[Callable[[], Started]]:
        """Who makes the worker processes of one submission."""
        if not self.walled or not sandbox().stands:
            yield Alone
            return
        asked = list(self.questions())
        with ForkServer(masked_of(asked), imported_by(asked)) as server:
            yield server.start

    def basis(self) -> str:
        """Changes with everything but the submission that a result depends on."""
        settings = repr((self.exercises, self.walled and sandbox().stands, self.limits, sys.version_info[:2]))
        digest = hashlib.sha256(settings.encode())
        files = [*PACKAGE.rglob("*.py"), *(Path(self.hidden).glob("*.py") if self.hidden else ())]
        for path in sorted(files):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()[:16]

    def check(self) -> None:
        """Refuse now what would fail in every submission.

        Raises:
            OSError: ENOENT for an unknown exercise, or one without its hidden checks.
        """
        for exercise in self.exercises:
            if exercise not in EXERCISES:
                raise OSError(errno.ENOENT, f"exercise {exercise!r}: not one of {', '.join(EXERCISES)}")
        for asked in self.questions():
            hidden_cases(asked, self.hidden)


def grade_submission(submission: Submission, task: Task) -> dict[str, Any]:
    """One submission's results, as plain data."""
    contents = read_submission(submission)
    with task.starter() as start:
        graded = [grade_question(asked, contents.documents, task, start) for asked in task.questions()]
    earned, points = (sum(one[name] for one in graded) for name in ("earned", "points"))
    return {"learner": submission.learner, "path": submission.path.name,
            "fingerprint": submission.fingerprint(), "basis": "", "earned": earned, "points": points,
            "troubles": contents.troubles, "progress": progress_of(contents.noted, task),
            "sandbox": sandbox().text if task.walled else "not sandboxed (as asked)", "results": graded}


def progress_of(noted: dict[str, Any] | None, task: Task) -> dict[str, Any] | None:
    """What the report and the signals need of a progress file; None without one."""
    if noted is None:
        return None
    learner = shown(str(noted.get("learner", "")))
    entries = noted["questions"]
    asked = list(task.questions())
    return {"learner": learner, "broken": progress.broken_logs(noted),
            "attempts": {one.id: len(entries.get(one.id, {"attempts": ()})["attempts"]) for one in asked},
            "situations": {one.id: progress.own_situation(one, learner) for one in asked
                           if learner and one.situation}}


def grade_question(asked: Question, documents: list[Document], task: Task,
                   start: Callable[[], Started]) -> dict[str, Any]:
    """The judge's result and the answer's source; without an answer, the reason in its place."""
    source = ""
    try:
        found = with_needs(asked, lambda each: find_answer(each, documents))
        source = found.source
        hidden = hidden_cases(asked, task.hidden)
        result = judge(asked, found, hidden, limits=task.limits, start=start)
    except AnswerMissing as missing:
        result = without_answer(asked, str(missing))
    except Exception as failure:
        result = without_answer(asked, "A check broke on this answer; an instructor has to look at it: "
                                       f"{shown(repr(failure))}.", "broken check")
    return {**result.to_data(), "kind": asked.kind, "source": source,
            "situation": progress.situation_of(source)}


def read_results(path: Path) -> list[dict[str, Any]]:
    """The submissions that are graded so far; a line cut short by an interrupt is none."""
    results = []
    for line in path.read_text(encoding="ascii").splitlines() if path.exists() else []:
        try:
            results.append(json.loads(line))
        except ValueError:
            continue
    return results


def write_results(path: Path, results: Sequence[dict[str, Any]]) -> None:
    """Replace the file at once, so that an interrupt leaves the old or the new one."""
    part = path.with_suffix(".part")
    part.write_text("".join(f"{json.dumps(result)}\n" for result in results), encoding="ascii")
    os.replace(part, path)


def grade(submissions: Sequence[Submission], out: Path, task: Task, executor: Executor,
          done: Callable[[dict[str, Any]], None]) -> list[dict[str, Any]]:
    """Grade all submissions that are not graded yet; returns the results of all, in their order.

    Args:
        done: called with each result, also with those that were there before.
    Raises:
        OSError: ECHILD if a judging process was killed; what was done is kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    path, basis = out / RESULTS, task.basis()
    known = {submission.path.name: submission for submission in submissions}
    graded = {result["path"]: result for result in read_results(path)
              if is_current(result, known.get(result.get("path", "")), basis)}
    write_results(path, list(graded.values()))
    for result in graded.values():
        done(result)
    left = [submission for submission in submissions if submission.path.name not in graded]
    with path.open("a", encoding="ascii") as file:
        for result in _carried(left, task, executor):
            result["basis"] = basis
            file.write(f"{json.dumps(result)}\n")
            file.flush()
            graded[result["path"]] = result
            done(result)
    results = [graded[submission.path.name] for submission in submissions]
    write_results(path, results)
    return results


def is_current(result: dict[str, Any], submission: Submission | None, basis: str) -> bool:
    """A result is of the submission as it now lies there, by the checks and settings of now."""
    return (submission is not None and result.get("basis") == basis
            and result["fingerprint"] == submission.fingerprint())


def _carried(submissions: Sequence[Submission], task: Task, executor: Executor) -> Iterator[dict[str, Any]]:
    """The results as they come; if the caller stops, what has not begun is given up."""
    futures = [executor.submit(grade_submission, submission, task) for submission in submissions]
    try:
        for future in as_completed(futures):
            yield future.result()
    except (BrokenExecutor, CancelledError) as failure:
        raise OSError(errno.ECHILD, f"a judging process ended ({failure}); the same command goes on where "
                                    "it stopped") from failure
    finally:
        for future in futures:
            future.cancel()


def pool(workers: int) -> ProcessPoolExecutor:
    """Processes that each start anew: none inherits a thread or a descriptor of this one."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The workers of a running dask.distributed cluster. They need this package and see the same folders.

    Raises:
        OSError: ENOENT without the package distributed; what connecting raises.
    """
    try:
        from distributed import Client, KilledWorker
    except ModuleNotFoundError as missing:
        raise OSError(errno.ENOENT, f"{missing.name}: a cluster needs the packages of xiplab[dask]"
                      ) from missing

    with Client(address) as client, client.get_executor(pure=False) as executor:
        try:
            yield executor
        except KilledWorker as failure:
            raise OSError(errno.ECHILD, f"workers of the cluster ended ({failure}); the same command goes on "
                                        "where it stopped") from failure


def refuse_risks(task: Task, risky: bool) -> None:
    """Answers of strangers run without a sandbox only if that was asked for, and as root only if it was
    asked for twice.

    Raises:
        OSError: EPERM.
    """
    if task.walled and not sandbox().stands:
        raise OSError(errno.EPERM, f"{sandbox().text}. xiplab doctor says what to do; --no-sandbox grades "
                                   "all the same, and lets answers read your files and use the network")
    if not task.walled and os.geteuid() == 0 and not risky:
        raise OSError(errno.EPERM, "--no-sandbox as root: an answer could do anything to this computer, "
                                   "and start any number of processes. Grade as another user, or add "
                                   "--accept-risk")


def main(folder: Path, out: Path, task: Task, carrier: AbstractContextManager[Executor]) -> int:
    """The command `xiplab grade`. Returns the exit status: 0 when all is graded."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    task.check()
    submissions = submissions_in(folder)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    with carrier as executor, Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=errors) as bars:
        bar = bars.add_task("grading", total=len(submissions))
        results = grade(submissions, out, task, executor,
                        lambda result: bars.update(bar, advance=1, description=escape(result["learner"])))
    write_report(results, out)
    for result in results:
        print(line_of(result))
    walls = ", ".join(f"{count} {text}" for text, count in Counter(one["sandbox"] for one in results).items())
    print(f"{len(results)} submissions ({walls}); the report is {out / 'index.html'}.")
    return 0


def line_of(result: dict[str, Any]) -> str:
    """One submission in a line: learner, points, what is not right, what could not be read."""
    faults = [f"{one['question']} {one['outcome']}" for one in result["results"] if one["outcome"] != "right"]
    return "  ".join([f"{result['learner']}: {result['earned']:g} of {result['points']:g}",
                      ", ".join(faults), *result["troubles"]]).rstrip()
