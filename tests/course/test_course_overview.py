"""The map of the course, the learner's marks on it, and the index of terms."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xiplab.course import overview, progress
from xiplab.course.overview import COURSE, course_map, notebooks, predictions_of, state_of, term_index, terms
from xiplab.course.predictions import PREDICTIONS
from xiplab.course.problem import questions

ROOT = Path(__file__).resolve().parents[2]
SYNONYMS = {
    "guest": ("virtual computer", "guest system"),
    "frame": ("page frame", "physical page"),
    "page table": ("translation table",),
    "page cache": ("buffer cache page", "disk cache"),
    "hole": ("sparse block", "missing block"),
    "segment": ("memory segment",),
    "program": ("user process", "userspace"),
}
"""A term and what it is never called in a notebook."""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def at(minute: int) -> dict[str, Any]:
    return {"when": f"2026-01-01T00:{minute:02d}:00+00:00", "choice": "a"}


def prose_of(path: Path) -> str:
    return "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]
                     if cell["cell_type"] == "markdown")


def predicted(number: str, minute: int) -> dict[str, Any]:
    return {id: [at(minute)] for id in predictions_of(number)}


def test_every_notebook_is_on_the_map() -> None:
    assert set(notebooks()) <= {number for number, _, _ in COURSE}
    assert set(notebooks()) == {path.name[:2] for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}


def test_map_says_what_is_not_written_yet() -> None:
    lines = {line.number: line for line in course_map().lines}

    assert [number for number, line in lines.items() if line.state == "not written yet"] == [
        number for number, _, _ in COURSE if number not in notebooks()]
    assert all(line.minutes > 0 for line in lines.values() if line.notebook)


def test_readme_has_the_same_map() -> None:
    rows = re.findall(r"^\| (\d\d) \| (\S+) \| (.+?) \| (yes|no) \|$", (ROOT / "README.md").read_text(), re.M)

    assert rows == [(*part, "yes" if part[0] in notebooks() else "no") for part in COURSE]


def test_map_without_progress_begins_at_the_beginning() -> None:
    step, target = course_map().next

    assert step.startswith("begin notebook 00")
    assert target == "00_start.ipynb"


@pytest.mark.parametrize(("noted", "state"), [
    ({}, "not begun"),
    ({"predictions": {"00.store": [at(1)]}}, "begun"),
    ({"predictions": predicted("00", 1)}, "done"),
    ({"predictions": predicted("00", 1) | {"01.twice": [at(2)]}}, "done"),
    ({"predictions": predicted("00", 1) | {"01.twice": [at(2)], "02.frames": [at(3)]}}, "recall"),
    ({"predictions": predicted("00", 4) | {"01.twice": [at(2)], "02.frames": [at(3)]}}, "done"),
])
def test_state_follows_what_was_noted(noted: dict[str, Any], state: str) -> None:
    assert state_of("00", noted) == state


def tried(solved: bool, hints: int = 0, situation: int | None = None) -> dict[str, Any]:
    return {"when": at(2)["when"], "solved": solved, "points": 1.0 if solved else 0.0, "hints": hints,
            "situation": situation}


def test_notebook_is_mastered_when_each_question_is_right_without_hints() -> None:
    """Solved with a hint is solved; one question that is not solved leaves it done."""
    entries = {question.id: {"hints": 0, "attempts": [tried(False), tried(True, 0, 7)]}
               for question in questions("00")}
    noted = {"predictions": predicted("00", 1), "questions": entries}

    assert state_of("00", noted) == "mastered"
    entries["00.2"] = {"hints": 1, "attempts": [tried(True, 1)]}
    assert state_of("00", noted) == "solved"
    entries["00.2"]["attempts"] = [tried(False)]
    assert state_of("00", noted) == "done"


def test_map_shows_points_and_mastery_of_what_was_tried(tmp_path: Path) -> None:
    """Best points less hints; nothing is said of exercises that were not begun."""
    path = progress.create(tmp_path)
    path.write_text(json.dumps({"questions": {"00.1": {"hints": 1, "attempts": [
        {**tried(True, 0, 3), "points": 2.0}]}}}))
    first, *others = course_map().lines

    assert first.standing == "1.9 of 6 points, 1 of 2 questions mastered"
    assert {line.standing for line in others} == {""}
    assert first.standing in repr(course_map())
    assert first.standing in course_map()._repr_html_()


def test_next_step_after_a_notebook_is_its_exercise(tmp_path: Path) -> None:
    path = progress.create(tmp_path)
    path.write_text(json.dumps({"questions": {}, "predictions": predicted("00", 1)}))
    step, target = course_map().next

    assert step == "exercise 00, start"
    assert (ROOT / "notebooks" / target).exists()


def test_capstone_is_the_last_line_and_the_last_step(tmp_path: Path) -> None:
    """It has no notebook; the map leads to its exercise when all others are done."""
    entries = {question.id: {"hints": 0, "attempts": [tried(True, 2)]}
               for number in notebooks() if number in overview.exercises() for question in questions(number)}
    made = {id: noted for number in notebooks() for id, noted in predicted(number, 1).items()}
    progress.create(tmp_path).write_text(json.dumps({"questions": entries, "predictions": made}))
    last, (step, target) = course_map().lines[-1], course_map().next

    assert (last.number, last.notebook, last.state) == ("11", "", "not begun")
    assert step.startswith("begin exercise 11, capstone")
    assert (ROOT / "notebooks" / target).exists()


def test_links_of_the_map_lead_somewhere() -> None:
    targets = re.findall(r"href='([^']+)'", course_map()._repr_html_() + term_index()._repr_html_())

    assert len(targets) > len(notebooks())
    assert [target for target in targets if not (ROOT / "notebooks" / target).exists()] == []


def test_term_is_explained_in_the_notebook_that_the_index_names() -> None:
    for term in terms():
        assert f"**{term.name}**" in "".join(
            "".join(cell["source"]) for cell in json.loads(term.notebook.read_text())["cells"]), term


def test_every_notebook_explains_its_words() -> None:
    assert [number for number, path in notebooks().items() if not overview.words_of(path)] == []


def test_term_of_a_later_notebook_is_that_of_the_earlier_one() -> None:
    """A word that is explained again means no other thing: the explanations share a word of substance."""
    meanings: dict[str, set[str]] = {}
    for path in notebooks().values():
        for name, meaning in overview.words_of(path):
            words = {word for word in re.findall(r"[a-z]{4,}", meaning.lower())}
            assert words & meanings.setdefault(name, words), f"{path.name}: {name}"


@pytest.mark.parametrize("term", SYNONYMS)
def test_term_has_no_synonym(term: str) -> None:
    """Always the same word for the same thing, in notebooks and predictions."""
    texts = {path.name: prose_of(path) for path in notebooks().values()}
    for id, asked in PREDICTIONS.items():
        choices = (choice.text + choice.why for choice in asked.choices.values())
        texts[id] = " ".join([asked.question, *choices])

    assert [(where, other) for other in SYNONYMS[term]
            for where, text in texts.items() if other in text.lower()] == []


@pytest.mark.parametrize("made", [course_map, term_index])
def test_text_and_table_say_the_same(made: Callable[[], Any]) -> None:
    text, table = repr(made()), re.sub(r"<[^>]+>", " ", made()._repr_html_())

    assert all(word in table for word in re.findall(r"\b\w+\.ipynb\b|\b\d\d\b", text))


def test_every_notebook_leads_to_its_neighbours() -> None:
    """The last words of a notebook link to the one before and the next, where they are written."""
    numbers = [number for number, _, _ in COURSE]
    for number, path in notebooks().items():
        last = "".join(json.loads(path.read_text())["cells"][-1]["source"])
        here = numbers.index(number)
        for other in numbers[max(here - 1, 0):here + 2]:
            if other != number and other in notebooks():
                assert f"({notebooks()[other].name})" in last, f"{path.name} has no link to {other}"
