"""What a learner may ask for before answering: the situation of a question, and hints.

    show("00.1", 3)     the situation number 3 of a question to predict
    hint("00.2")        the ladder of hints: what is open, what the next one costs
    hint("00.2", 1)     opens the first one
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from html import escape

from xiplab.course import progress
from xiplab.course.problem import question

MOST_VARIANTS = 10**9


@dataclass(frozen=True, repr=False)
class Card:
    """A few lines under a title, for a notebook or a terminal."""

    title: str
    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join((self.title, *(f"  {line}" for line in self.lines)))

    def _repr_html_(self) -> str:
        items = "\n".join(f"<li>{escape(line)}</li>" for line in self.lines)
        return (f'<section aria-label="{escape(self.title)}"><p><strong>{escape(self.title)}</strong></p>\n'
                f"<ul>\n{items}\n</ul></section>")


def show(id: str, variant: int = 0) -> Card:
    """The situation of a question; each variant number gives another one, always the same.

    Raises:
        OSError: ENOENT for an unknown question; EINVAL for one that has no variants, or for something
            that is not their number.
    """
    asked = question(id)
    if asked.situation is None:
        raise OSError(errno.EINVAL, f"question {id}: it has no situations to show")
    if type(variant) is not int or not 0 <= variant < MOST_VARIANTS:
        raise OSError(errno.EINVAL, f"question {id}: a situation's number is 0, 1, 2 and so on, below "
                                    f"{MOST_VARIANTS}")
    return Card(f"{id} {asked.title} – situation {variant}", asked.situation(variant))


def hint(id: str, open: int = 0) -> Card:
    """The ladder of hints; with `open`, the hints up to that number are opened.

    Raises:
        OSError: ENOENT for an unknown question; EINVAL for a number that is not 0 to 3.
    """
    asked = question(id)
    if open not in range(len(asked.hints) + 1):
        raise OSError(errno.EINVAL, f"question {id}: hint {open} is not one of 1 to {len(asked.hints)}")
    opened = progress.open_hints(asked, open)
    lines = [f"Hint {number}: {step.text}" for number, step in enumerate(asked.hints[:opened], 1)]
    if opened < len(asked.hints):
        cost = asked.hints[opened].cost * asked.points
        lines.append(f"Hint {opened + 1} costs {cost:g} of {asked.points:g} points. "
                     f'Open it with xiplab.hint("{id}", {opened + 1}).')
    lines.append("Hints never take more than half of what a solved question is worth.")
    return Card(f"{id} {asked.title} – hints", tuple(lines))
