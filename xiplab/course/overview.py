"""The course at a glance: its map with minutes and progress, the next step, and the index of terms.

    course_map()      every notebook and exercise: what it asks, its minutes, how far you are
    term_index()      every term, what it means, and the notebook that explains it first

Both read the notebooks themselves, so they say only what is there; a part that is planned and not
written yet is called so. The marks come from the progress file (progress.py), where there is one:

    done        each prediction of the notebook was made
    solved      and each question of the exercise
    mastered    each of them right on a fresh situation, without hints
    recall      done, and two later notebooks were begun since: time for its three questions again

Nothing here counts days or compares people.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

from xiplab.course import lab, progress
from xiplab.course.predictions import PREDICTIONS
from xiplab.course.problem import questions

COURSE = (
    ("00", "start", "Change one byte of storage: who sees it?"),
    ("01", "copies", "Why does the page cache hold copies, and what do they cost?"),
    ("02", "segments", "What is a DCSS, and who may share or write it?"),
    ("03", "dcssblk", "How does a segment become a block device?"),
    ("04", "ext2", "Where are a file's bytes?"),
    ("05", "get_xip_mem", "From page to frame: what if there is nothing?"),
    ("06", "read-write", "Reading and writing in place: where do the bytes go?"),
    ("07", "mmap", "Mapping in place: whose frame is in the page table?"),
    ("08", "execute", "A program run in place in many guests: what is shared?"),
    ("09", "shortcomings", "Where does execute-in-place end? Highmem, flash, the kernel and its modules"),
    ("10", "after", "What came after execute-in-place, and does your own computer do it?"),
)
"""Number, topic and question of each notebook, in the order of the course. The README has the same."""

CAPSTONE = ("11", "capstone", "Can five functions of your own run a program that nobody has copied?")
"""The last exercise, which follows no notebook of its own."""

NOT_WRITTEN = "not written yet"
LATER_BEGUN = 2
"""So many notebooks begun after a notebook was done, and its questions are worth another look."""
SIGNS = {"not begun": "○", "begun": "◐", "done": "●", "solved": "☆", "mastered": "★", "recall": "↻",
         NOT_WRITTEN: ""}

LEFT = "style='text-align:left'"
"""JupyterLab sets tables to the right, as suits numbers."""

WORD_TABLE = re.compile(r"\| word \| meaning here \|\n\|[-|]+\|\n((?:\|.*\|\n?)+)")
WORD = re.compile(r"\*\*(.+?)\*\*")

Progress: TypeAlias = dict[str, Any]


@cache
def notebooks() -> dict[str, Path]:
    """The notebooks that are here, by number."""
    found = {Path(name).name[:2]: path for name, path in lab.shipped().items()
             if re.fullmatch(r"notebooks/\d\d_\w+\.ipynb", name)}
    return dict(sorted(found.items()))


@cache
def exercises() -> dict[str, Path]:
    """The exercises that are here, by number."""
    return {Path(name).name[:2]: path for name, path in lab.shipped().items()
            if re.fullmatch(r"exercises/\d\d_\w+\.ipynb", name)}


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def minutes_of(path: Path) -> int:
    """What a notebook says it takes."""
    return int(_read(path)["metadata"]["xiplab"]["minutes"])


# ---- how far the learner is

def predictions_of(number: str) -> list[str]:
    return [id for id in PREDICTIONS if id.startswith(f"{number}.")]


def _touched(number: str, noted: Progress) -> list[str]:
    """When something was done in a notebook or its exercise, as times that sort."""
    entries = [entry for id, entries in noted.get("predictions", {}).items()
               if id.startswith(f"{number}.") for entry in entries]
    entries += [attempt for id, question in noted.get("questions", {}).items()
                if id.startswith(f"{number}.") for attempt in question["attempts"]]
    return sorted(entry["when"] for entry in entries)


@dataclass(frozen=True)
class Standing:
    """How far a learner is with an exercise: points of the best attempts, questions solved and mastered."""

    earned: float
    points: float
    solved: int
    mastered: int
    questions: int

    def __str__(self) -> str:
        return (f"{self.earned:g} of {self.points:g} points, {self.mastered} of {self.questions} questions "
                "mastered")


def standing_of(number: str, noted: Progress) -> Standing:
    """What the progress file says of an exercise."""
    asked = questions(number) if number in exercises() else ()
    entries = [noted.get("questions", {}).get(question.id, {"attempts": [], "hints": 0})
               for question in asked]
    pairs = list(zip(asked, entries, strict=True))
    return Standing(sum(progress.score(question, entry) for question, entry in pairs),
                    sum(question.points for question in asked),
                    sum(any(attempt["solved"] for attempt in entry["attempts"]) for entry in entries),
                    sum(progress.is_mastered(question, entry) for question, entry in pairs), len(asked))


def state_of(number: str, noted: Progress) -> str:
    """How far the learner is with a notebook, or with the capstone: one of SIGNS."""
    if number not in notebooks() and (number != CAPSTONE[0] or number not in exercises()):
        return NOT_WRITTEN
    touched = _touched(number, noted)
    made = noted.get("predictions", {})
    if not touched:
        return "not begun"
    if not all(id in made for id in predictions_of(number)):
        return "begun"
    later = [times[0] for other in notebooks() if other > number and (times := _touched(other, noted))]
    if sum(first > touched[-1] for first in later) >= LATER_BEGUN:
        return "recall"
    standing = standing_of(number, noted)
    if not standing.questions or standing.solved < standing.questions:
        return "done"
    return "mastered" if standing.mastered == standing.questions else "solved"


@dataclass(frozen=True)
class Line:
    """One notebook on the map."""

    number: str
    topic: str
    question: str
    minutes: int
    state: str
    notebook: str = ""
    exercise: str = ""
    standing: str = ""

    @property
    def sign(self) -> str:
        return f"{SIGNS[self.state]} {self.state}".strip()


@dataclass(frozen=True, repr=False)
class CourseMap:
    """All notebooks, and what to do next; as text and for notebooks."""

    lines: tuple[Line, ...]

    @property
    def next(self) -> tuple[str, str]:
        """What to do next, and the file that it is in."""
        for line in self.lines:
            if line.state in ("not begun", "begun"):
                verb = "begin" if line.state == "not begun" else "go on with"
                kind = "notebook" if line.notebook else "exercise"
                return (f"{verb} {kind} {line.number}, {line.topic}: {line.minutes} minutes",
                        line.notebook or line.exercise)
            if line.state == "done" and line.exercise:
                return f"exercise {line.number}, {line.topic}", line.exercise
        for line in self.lines:
            if line.state == "recall":
                return f"the three questions at the end of notebook {line.number}, once more", line.notebook
        return "you are through", ""

    def __repr__(self) -> str:
        rows = [f"{line.number}  {line.topic:13} {line.minutes or '':>3}  {line.sign:12} {line.standing}"
                for line in self.lines]
        rows = [row.rstrip() for row in rows]
        return "\n".join([*rows, f"Next: {self.next[0]}."])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{line.number}</td><td {LEFT}>{_link(line.notebook, line.topic)}</td>"
            f"<td {LEFT}>{escape(line.question)}</td><td>{line.minutes or ''}</td>"
            f"<td>{_link(line.exercise, 'exercise') if line.exercise else ''}{_small(line.standing)}</td>"
            f"<td {LEFT}>{line.sign}</td></tr>" for line in self.lines)
        step, target = self.next
        head = "".join(f"<th scope='col' {LEFT}>{name}</th>" for name in (
            "", "notebook", "its question", "minutes", "exercise", "you"))
        return (f"<table><caption>The course</caption><thead><tr>{head}</tr></thead>"
                f"<tbody>{rows}</tbody></table><p><strong>Next: {_link(target, step)}.</strong></p>")


def _link(target: str, text: str) -> str:
    return f"<a href='{escape(target)}'>{escape(text)}</a>" if target else escape(text)


def _small(text: str) -> str:
    return f"<br><small>{escape(text)}</small>" if text else ""


def course_map() -> CourseMap:
    """The map, with the progress of the learner whose folder this is.

    Raises:
        OSError: EINVAL if the progress file is damaged.
    """
    path = progress.find()
    noted = progress.load(path) if path is not None else {}
    lines = []
    for number, topic, question in (*COURSE, *([CAPSTONE] if CAPSTONE[0] in exercises() else [])):
        notebook, exercise = notebooks().get(number), exercises().get(number)
        timed = notebook or exercise
        tried = any(id.startswith(f"{number}.") for id in noted.get("questions", {}))
        lines.append(Line(number, topic, question, minutes_of(timed) if timed else 0,
                          state_of(number, noted), notebook.name if notebook else "",
                          f"../exercises/{exercise.name}" if exercise else "",
                          str(standing_of(number, noted)) if tried and exercise else ""))
    return CourseMap(tuple(lines))


# ---- terms

@dataclass(frozen=True)
class Term:
    """A term, what it means, and the notebook that explains it first."""

    name: str
    meaning: str
    notebook: Path


def words_of(notebook: Path) -> list[tuple[str, str]]:
    """The terms of a notebook's word table, with their meanings."""
    found = []
    for cell in _read(notebook)["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        for table in WORD_TABLE.findall("".join(cell["source"]) + "\n"):
            for row in table.splitlines():
                names, meaning = (part.strip() for part in row.strip("|").split("|", 1))
                found += [(name, meaning.replace("*", "").replace("`", "")) for name in WORD.findall(names)]
    return found


def terms() -> list[Term]:
    """All terms, each where it is explained first, in the order of the alphabet."""
    first: dict[str, Term] = {}
    for path in notebooks().values():
        for name, meaning in words_of(path):
            first.setdefault(name, Term(name, meaning, path))
    return sorted(first.values(), key=lambda term: term.name.lower().removeprefix("to "))


@dataclass(frozen=True, repr=False)
class TermIndex:
    """The terms; as text and for notebooks."""

    terms: tuple[Term, ...]

    def __repr__(self) -> str:
        return "\n".join(f"{term.name} ({term.notebook.stem[:2]}): {term.meaning}" for term in self.terms)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th scope='row' {LEFT}>{escape(term.name)}</th>"
                       f"<td {LEFT}>{escape(term.meaning)}</td>"
                       f"<td>{_link(term.notebook.name, term.notebook.stem[:2])}</td></tr>"
                       for term in self.terms)
        head = "".join(f"<th scope='col' {LEFT}>{name}</th>" for name in ("term", "meaning here", "notebook"))
        return (f"<table><caption>Terms</caption><thead><tr>{head}</tr></thead>"
                f"<tbody>{rows}</tbody></table>")


def term_index() -> TermIndex:
    """Every term of the course."""
    return TermIndex(tuple(terms()))
