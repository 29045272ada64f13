"""What a question and a prediction are: data and checks, in the package; and where each part lives.

    solutions/NN_topic.py           prose, signature, solution region: the one hand-written source
    exercises/NN_topic.{ipynb,py}   generated from it (build.py): no solution, no hidden check
    xiplab/course/questions/exNN.py points, hints, visible checks, misconceptions: this module's records
    solutions/hidden/exNN.py        hidden checks: read by the grader only, in no wheel, no notebook

Checks run in the judge, beside the model. The answer runs in a worker process (worker.py) that gets
its own cell and plain arguments, nothing of the above. What is expected is not written down: a
check drives the model, or the reference in the package, and compares.

A check is a function `check(answer, random)`. It returns if the answer is right and raises `Wrong`
if not; what the answer raises itself (AnswerRaised, AnswerEnded) it lets pass.

    answer.call("get_xip_mem", mapping, 3, False)       arguments: plain data, functions, objects
    answer.give("ext2_get_block", ext2_get_block)       what the notebook's first cell imports
    linux1.plug("dcssblk0", direct_access=seam(answer, "direct_access"))    (questions/seam.py)

A function that is handed over runs here when the answer calls it: it can count, refuse, and raise an
OSError, which the answer gets with its errno, or `Wrong`, which ends the matter whatever the answer does
then. An object is seen through the fields that `Question.shows` names for its type, live; handed back, it
is the same object again (handles.py). So one function works on the model in the learner's notebook and
over the pipe.

Kinds of questions, and what their answer cell has between the solution's marks:

    predict    a function that returns values. SITUATION = n above it, with `situation` for the text
    parsons    def order_of_...(): return "CADB"; `blocks` has the blocks, right ones first (parsons.py)
    debug      the mended body, first in the function; the lines with the bug follow behind the END mark, so
               that the learner finds the line that raises, and below it what is to be mended
    build      the body of a function that plugs into a seam
    measure    the body of a function that finds a number, on a machine where the number is another
    extend     the body of a function that the model lacks
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeAlias

KINDS = ("predict", "parsons", "debug", "build", "measure", "extend")


class Answer(Protocol):
    """What a check sees of the learner's answer; process.Worker is one."""

    def call(self, name: str, *args: object) -> Any: ...

    def give(self, name: str, value: object) -> None: ...

    def value(self, name: str) -> Any: ...


Check: TypeAlias = Callable[[Answer, Random], None]


class Wrong(Exception):
    """An answer is wrong.

    Attributes:
        text: what happened, one sentence.
        given, expected, got: the smallest example, as text; empty where it would give all away.
        misconception: id in the catalogue, empty if the answer fits none.
        trace: the answer's own lines that led to an exception.
        cause: what kind of failure it is; CAUSES in result.py lists them.
    """

    def __init__(self, text: str, *, given: str = "", expected: str = "", got: str = "",
                 misconception: str = "", trace: tuple[str, ...] = (), cause: str = "wrong") -> None:
        super().__init__(text)
        self.text = text
        self.given = given
        self.expected = expected
        self.got = got
        self.misconception = misconception
        self.trace = trace
        self.cause = cause


@dataclass(frozen=True)
class Misconception:
    """A belief that many people hold at first.

    Attributes:
        belief, fact, action: what you may think, what is so, what to do next; together < 60 words.
        evidence: a few lines that show the fact; they run as they are.
    """

    id: str
    belief: str
    fact: str
    action: str
    evidence: str = ""


@dataclass(frozen=True)
class Choice:
    """An answer to choose, and why it is right or tempting.

    Attributes:
        misconception: the belief behind a wrong answer, by its id in the catalogue.
    """

    text: str
    why: str
    misconception: str = ""


@dataclass(frozen=True)
class Prediction:
    """A question asked before a cell is run.

    Attributes:
        choices: by their letters. right: the letter of the right one.
    """

    question: str
    choices: dict[str, Choice]
    right: str


@dataclass(frozen=True)
class Hint:
    """One step of the ladder. `cost` is a share of the question's points."""

    text: str
    cost: float


@dataclass(frozen=True)
class Case:
    """One check of a question.

    Attributes:
        points: what it is worth. A hidden case is worth nothing itself: it guards a visible one.
        guards: for a hidden case, the name of the visible case whose points it can take away.
    """

    name: str
    check: Check
    points: float = 0
    guards: str = ""


@dataclass(frozen=True)
class Block:
    """Lines of a function that is to be put in order, with their indentation.

    Attributes:
        misconception: the belief behind a block that does not belong; empty for one that does.
    """

    text: str
    misconception: str = ""


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: "00.2": exercise, number.
        kind: one of KINDS.
        answer: the function that the learner writes. lines: how many lines that takes, about.
        blocks: for a Parsons question, the blocks of the function in a right order, then those that do not
            belong (parsons.py). The answer is a function without arguments that returns their letters.
        prelude: run in the worker before the answer: the imports of the notebook's first cell.
        given: names that the answer finds defined, with functions of the judge's; a check may give others.
        masked: functions of the package that an answer cannot call, by module.
        shows: what an answer may see of the judge's objects, field names by type (handles.py).
        needs: questions of the same exercise whose answers run before this one's, in the same process;
            those that are missing, or that fail, are left out, and a check has the model's own instead.
        hidden: what the hidden checks look at, one phrase each.
        situation: for a predict question, the text of variant n, line by line.
        notice: what to notice once it is solved. reference: "module:function" to compare with.
    """

    id: str
    title: str
    kind: str
    answer: str
    cases: tuple[Case, ...]
    hints: tuple[Hint, Hint, Hint]
    lines: str = ""
    prelude: str = ""
    given: Mapping[str, object] = field(default_factory=dict)
    masked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shows: Mapping[type, str] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    needs: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    situation: Callable[[int], tuple[str, ...]] | None = None
    notice: str = ""
    reference: str = ""

    @property
    def points(self) -> float:
        return sum(case.points for case in self.cases)

    @property
    def cell_id(self) -> str:
        """The id of the answer's cell: "q00-2"."""
        return f"q{self.id.replace('.', '-')}"

    @property
    def marker(self) -> str:
        """The first line of the answer's cell."""
        return f"# Your turn: {self.id}"


QUESTIONS = Path(__file__).with_name("questions")
EXERCISES = tuple(sorted(path.stem[2:] for path in QUESTIONS.glob("ex[0-9][0-9].py")))
"""The numbers of the exercises: those whose file is there."""


def questions(exercise: str) -> tuple[Question, ...]:
    """The questions of one exercise ("00"), in order."""
    found: tuple[Question, ...] = import_module(f"xiplab.course.questions.ex{exercise}").QUESTIONS
    return found


def question(id: str) -> Question:
    """The question called `id`.

    Raises:
        OSError: ENOENT if there is none.
    """
    exercise = id.partition(".")[0]
    known = questions(exercise) if exercise in EXERCISES else ()
    for candidate in known:
        if candidate.id == id:
            return candidate
    names = ", ".join(q.id for e in EXERCISES for q in questions(e))
    raise OSError(errno.ENOENT, f"question {id!r}: not one of {names}")
