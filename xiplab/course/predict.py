"""Predictions: what a learner expects, stored before the notebook shows what happens.

    predict("00.store")             the question and its choices
    predict("00.store", "b")        stores the choice; "skip" is one, and is noted as well
    reveal("00.store")              what is right, why the chosen answer is tempting, what shows the fact

The texts are in `beliefs/`. Choices are kept for the running notebook, and in the learner's
progress file where there is one. Nothing is graded here.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from html import escape

from xiplab.course import progress
from xiplab.course.predictions import PREDICTIONS
from xiplab.course.problem import Prediction

SKIP = "skip"

chosen: dict[str, str] = {}
"""The choice of each question in this run of the notebook."""


@dataclass(frozen=True, repr=False)
class Card:
    """A title, sentences, choices by their letters, and a last sentence; as text and for notebooks."""

    title: str
    sentences: tuple[str, ...]
    choices: tuple[tuple[str, str], ...] = ()
    last: str = ""

    def __repr__(self) -> str:
        choices = (f"{letter}) {text}" for letter, text in self.choices)
        lines = (*self.sentences, *choices, *filter(None, [self.last]))
        return "\n".join((self.title, *(f"  {line}" for line in lines)))

    def _repr_html_(self) -> str:
        choices = "<br>".join(f"<strong>{letter}</strong>) {escape(text)}" for letter, text in self.choices)
        parts = [f"<strong>{escape(self.title)}</strong>", *map(escape, self.sentences), choices,
                 f"<em>{escape(self.last)}</em>" if self.last else ""]
        return "".join(f"<p>{part}</p>" for part in parts if part)


def _asked(id: str) -> Prediction:
    if id not in PREDICTIONS:
        raise OSError(errno.ENOENT, f"prediction {id!r}: not one of {', '.join(PREDICTIONS)}")
    return PREDICTIONS[id]


def predict(id: str, choice: str = "") -> Card:
    """The question called `id`; with a choice, that is stored.

    Raises:
        OSError: ENOENT for an unknown question; EINVAL for a choice that it does not have.
    """
    asked = _asked(id)
    if choice not in ("", SKIP, *asked.choices):
        raise OSError(errno.EINVAL, f"prediction {id}: {choice!r} is not one of "
                                    f"{', '.join(asked.choices)}, {SKIP}")
    if choice:
        chosen[id] = choice
        progress.note_prediction(id, choice)
    stored = {"": "", SKIP: "Stored: you skip this one."}.get(choice, f"Stored: you predict {choice}.")
    return Card("Predict first", (asked.question,),
                tuple((letter, option.text) for letter, option in asked.choices.items()), stored)


def reveal(id: str) -> Card:
    """What the answer is, and what to think of the one that was chosen.

    Raises:
        OSError: ENOENT for an unknown question; EAGAIN before a choice was stored.
    """
    asked = _asked(id)
    if id not in chosen:
        raise OSError(errno.EAGAIN, f"prediction {id}: predict first, in the cell above ({SKIP!r} will do)")
    right, mine = asked.choices[asked.right], asked.choices.get(chosen[id])
    lines = [f"The answer is {asked.right}) {right.text}", right.why]
    if mine is not None and mine is not right:
        lines += [f"You predicted {chosen[id]}) {mine.text}", mine.why]
    title = "The answer" if mine is None else "As you predicted" if mine is right else "Not as you predicted"
    return Card(title, tuple(lines))
