"""What a learner may ask for before answering: the situation of a question, and hints.

    show("00.1", 3)     the situation number 3 of a question to predict
    show("05.2")        the blocks of a question in which they are to be put in order
    hint("00.2")        the ladder of hints: what is open, what the next one costs
    hint("00.2", 1)     opens the first one
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from html import escape

from xiplab.course import parsons, progress
from xiplab.course.problem import Question, question

MOST_VARIANTS = 10**9


@dataclass(frozen=True, repr=False)
class Card:
    """A few lines under a title, for a notebook or a terminal.

    Attributes:
        code: lines of code, each piece with its name.
    """

    title: str
    lines: tuple[str, ...]
    code: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        pieces = [f"{name if not number else '':>4}  {line}" for name, text in self.code
                  for number, line in enumerate(text.splitlines())]
        return "\n".join((self.title, *pieces, *(f"  {line}" for line in self.lines)))

    def _repr_html_(self) -> str:
        items = "\n".join(f"<li>{escape(line)}</li>" for line in self.lines)
        rows = "\n".join(f"<tr><th scope='row'>{name}</th>"
                         f"<td style='text-align:left'><pre>{escape(text)}</pre></td></tr>"
                         for name, text in self.code)
        table = f"<table><tbody>\n{rows}\n</tbody></table>\n" if rows else ""
        return (f'<section aria-label="{escape(self.title)}"><p><strong>{escape(self.title)}</strong></p>\n'
                f"{table}<ul>\n{items}\n</ul></section>")


def show(id: str, variant: int = 0) -> Card:
    """The situation of a question; each variant number gives another one, always the same.

    For blocks to be put in order, the variant says how many steps easier they shall be; they get easier
    by themselves after two wrong tries.

    Raises:
        OSError: ENOENT for an unknown question; EINVAL for one that has no variants, or for something
            that is not their number.
    """
    asked = question(id)
    if asked.situation is None and not asked.blocks:
        raise OSError(errno.EINVAL, f"question {id}: it has no situations to show")
    if type(variant) is not int or not 0 <= variant < MOST_VARIANTS:
        raise OSError(errno.EINVAL, f"question {id}: a situation's number is 0, 1, 2 and so on, below "
                                    f"{MOST_VARIANTS}")
    if asked.situation is None:
        return blocks_card(asked, variant)
    return Card(f"{id} {asked.title} – situation {variant}", (*asked.situation(variant), *own_line(asked)))


def own_line(asked: Question) -> tuple[str, ...]:
    """Which situation is the learner's own; nothing where no progress is kept."""
    learner = progress.learner_here()
    if not learner:
        return ()
    return (f"Your own situation, which nobody else has: xiplab.show(\"{asked.id}\", "
            f"{progress.own_situation(asked, learner)}).",)


def blocks_card(asked: Question, easier: int = 0) -> Card:
    """The blocks of a question, by their letters."""
    easier = max(easier, parsons.steps_of_help(progress.wrong_tries(asked)))
    shown = tuple(parsons.pieces(asked, easier))
    spare = len(parsons.lettered(asked)) > sum(not block.misconception for block in asked.blocks)
    lines = ("Return the letters in the order of the lines of your function.",
             *(("Some blocks do not belong.",) if spare else ()),
             "Too hard? Two wrong tries make it easier, and so does "
             f'xiplab.show("{asked.id}", {easier + 1}).')
    return Card(f"{asked.id} {asked.title} – blocks", lines, shown)


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
