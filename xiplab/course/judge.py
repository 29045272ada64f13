"""The judge: one for the notebook, the command line, the tests and the grader.

    check("00.2")                      in a notebook: the answer is the function as last defined
    check("00.2", "00_start.ipynb")    in a file, .ipynb or .py
    judge(question, source)            the source of an answer, as text

The answer runs in a worker process; devices, the recording and every comparison stay here. The
same source gives the same result: each check draws its numbers from a seed of its own name.

Hidden checks run if the environment variable XIPLAB_HIDDEN names the folder with their files
(solutions/hidden, which learners do not have). A hidden failure takes the points of the visible
check that it guards, and is told by its name only.
"""

from __future__ import annotations

import functools
import gc
import inspect
import os
import runpy
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from random import Random

from xiplab.course import progress
from xiplab.course.answer import AnswerMissing, Found, answer_anywhere, answer_in_file, with_needs
from xiplab.course.catalogue import MISCONCEPTIONS
from xiplab.course.parsons import blaming, letters_of, put_together
from xiplab.course.problem import Answer, Case, Question, Wrong, question
from xiplab.course.process import Alone, AnswerEnded, AnswerRaised, Limits, Started, Worker
from xiplab.course.result import FAIL, NOT_RUN, PASS, CaseResult, Result, printable

MANY_FILES = 200


def check(id: str, path: str | os.PathLike[str] | None = None) -> Result:
    """Judge the answer to question `id`, and note the attempt in the learner's progress.

    Args:
        path: the file that holds the answer; without it, the running notebook, and outside of one
            the exercise's file in the current folder or in exercises/.
    Raises:
        OSError: ENOENT for an unknown question.
    """
    asked = question(id)
    try:
        found = with_needs(asked, lambda each: answer_anywhere(each) if path is None
                           else answer_in_file(each, Path(path)))
    except AnswerMissing as missing:
        return without_answer(asked, str(missing))
    result = judge(asked, found, hidden_cases(asked))
    trouble = progress.note_attempt(asked, result, found.source)
    return replace(result, notes=(*result.notes, *trouble))


def judge(asked: Question, found: Found, hidden: Sequence[Case] = (), *, limits: Limits | None = None,
          start: Callable[[], Started] = Alone) -> Result:
    """Run the answer in a fresh worker and every check on it."""
    masked = {module: list(names) for module, names in asked.masked.items()}
    give_back_machines()
    every = (*asked.cases, *hidden)
    with Worker(masked, limits, start, asked.shows) as worker:
        try:
            cases = run_answer(worker, asked, found, every)
        except (AnswerRaised, AnswerEnded, Wrong) as failure:
            outcomes = [failed(case, explain_failure(asked, failure)) for case in every]
        else:
            outcomes = [run_case(worker, asked, case) for case in cases]
    return verdict(asked, outcomes, hidden, found.notes, printable(worker.printed, lines=12))


def give_back_machines() -> None:
    """Free the machines of earlier checks, when there are many: each holds an open file, its storage, and
    is freed by the garbage collector only."""
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    if probe > MANY_FILES:
        gc.collect()


def run_answer(worker: Worker, asked: Question, found: Found, cases: Sequence[Case]) -> Sequence[Case]:
    """Run the answer's cell, and what its blocks make if they are to be put in order.

    Returns:
        the cases to run now.
    Raises:
        AnswerRaised, AnswerEnded, Wrong.
    """
    worker.run(asked.prelude)
    for name, value in asked.given.items():
        worker.give(name, value)
    for other in found.others:
        with suppress(AnswerRaised):
            worker.run(other)
    worker.run(found.source)
    if not asked.blocks:
        return cases
    letters = letters_of(asked, worker.call(asked.answer))
    worker.run(put_together(asked, letters))
    return blaming(asked, letters, cases)


def run_case(answer: Answer, asked: Question, case: Case) -> CaseResult:
    """One check on a running answer."""
    try:
        case.check(answer, Random(f"{asked.id} {case.name}"))
    except Wrong as wrong:
        return failed(case, wrong)
    except (AnswerRaised, AnswerEnded) as failure:
        return failed(case, explain_failure(asked, failure))
    return CaseResult(case.name, case.points, case.points, PASS, hidden=bool(case.guards))


def explain_failure(asked: Question, failure: AnswerRaised | AnswerEnded | Wrong) -> Wrong:
    """An answer that broke down, told as a wrong one."""
    if isinstance(failure, Wrong):
        return failure
    if isinstance(failure, AnswerEnded):
        return Wrong(f"Your answer did not come back: {failure}.", cause=failure.cause)
    if (failure.kind, failure.text) == ("NotImplementedError", ""):
        what = "delete" if asked.kind == "debug" else "replace"
        then = " Then mend what stands below it." if asked.kind == "debug" else ""
        return Wrong(f"Not written yet: {what} the line `raise NotImplementedError()` in the cell that "
                     f"begins with `{asked.marker}`.{then}", cause="missing")
    return Wrong(why_it_raised(asked, failure), trace=tuple(printable(line, 200) for line in failure.trace),
                 cause="error")


def why_it_raised(asked: Question, failure: AnswerRaised) -> str:
    """One or two sentences on an exception that no check expected."""
    match failure.kind, failure.text:
        case "SyntaxError" | "IndentationError", text if asked.blocks:
            return f"In this order the blocks are no Python: {printable(text, 200)}."
        case "KeyError", missing if missing == repr(asked.answer):
            return f"Your cell defines no function {asked.answer}. Keep the line that begins with `def`."
        case "NameError", text:
            return (f"{printable(text, 200)}. Your answer is judged alone: import or define all that it uses "
                    "in its own cell.")
    return f"Your answer raised {printable(str(failure), 300)}."


def failed(case: Case, wrong: Wrong) -> CaseResult:
    """A failed case; of a hidden one only the name is told."""
    if case.guards:
        return CaseResult(case.name, 0, 0, FAIL, hidden=True,
                          text="This hidden check failed. Its numbers are not shown.", cause=wrong.cause)
    pairs = (("Given", wrong.given), ("Expected", wrong.expected), ("Your answer", wrong.got))
    facts = tuple((label, printable(value, 500)) for label, value in pairs if value)
    return CaseResult(case.name, case.points, 0, FAIL, printable(wrong.text), facts, wrong.trace,
                      MISCONCEPTIONS.get(wrong.misconception), cause=wrong.cause)


def told_once(outcomes: list[CaseResult]) -> list[CaseResult]:
    """The outcomes, where a text that an earlier one told is not told again."""
    told: set[str] = set()
    once = []
    for outcome in outcomes:
        again = outcome.text in told
        told.add(outcome.text)
        once.append(replace(outcome, text="", facts=(), trace=()) if again else outcome)
    return once


def verdict(asked: Question, outcomes: list[CaseResult], hidden: Sequence[Case], notes: tuple[str, ...],
            printed: str) -> Result:
    """The result, after hidden failures took the points they guard."""
    outcomes = told_once(outcomes)
    lost = {case.guards for case, outcome in zip(hidden, outcomes[len(asked.cases):], strict=True)
            if outcome.status == FAIL}
    cases = tuple(CaseResult(o.name, o.points, 0, o.status, "A hidden check took these points away.",
                             cause="wrong")
                  if o.name in lost and o.status == PASS else o for o in outcomes)
    solved = all(outcome.status == PASS for outcome in outcomes)
    return Result(asked.id, asked.title, asked.points, cases, () if hidden else asked.hidden, notes,
                  printed, (asked.notice, reference_source(asked)) if solved else ("", ""))


def without_answer(asked: Question, why: str, cause: str = "missing") -> Result:
    """The result when there is nothing to judge."""
    cases = tuple(CaseResult(case.name, case.points, 0, NOT_RUN, cause=cause) for case in asked.cases)
    return Result(asked.id, asked.title, asked.points, cases, asked.hidden, (why,))


def hidden_cases(asked: Question, folder: str = "") -> tuple[Case, ...]:
    """The hidden checks of a question; none where the grader's files are not at hand.

    Args:
        folder: where they lie; without it, what XIPLAB_HIDDEN says.

    Raises:
        OSError: ENOENT if the folder lacks the exercise's file.
    """
    folder = folder or os.environ.get("XIPLAB_HIDDEN", "")
    if not folder:
        return ()
    exercise = asked.id.partition(".")[0]
    path = Path(folder) / f"ex{exercise}.py"
    return _hidden_of(path, path.stat().st_mtime_ns).get(asked.id, ())


@functools.cache
def _hidden_of(path: Path, written: int) -> dict[str, tuple[Case, ...]]:
    """The hidden checks in a file; read again when it was written again."""
    hidden: dict[str, tuple[Case, ...]] = runpy.run_path(str(path))["HIDDEN"]
    return hidden


def reference_source(asked: Question) -> str:
    """The package's own version of what was asked for, as text; empty if there is none."""
    if not asked.reference:
        return ""
    module, _, name = asked.reference.partition(":")
    return inspect.getsource(getattr(import_module(module), name))
