"""What the judge says: a number for the grader, a card for people, text for terminals.

    float(result), repr(result)   points earned, from 0 to result.points
    result._repr_html_()          the card in a notebook: readable untrusted, in light and dark
    str(result)                   the same in words
    result.to_data()              plain data (JSON)

Nothing in a result depends on time, addresses or what was printed before, so that a notebook's
stored output equals that of the next run.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from xiplab.course.problem import Misconception

PASS, FAIL, NOT_RUN = "pass", "fail", "not run"

CAUSES = ("broken check", "timeout", "crash", "missing", "error", "wrong")
"""Why a check failed, gravest first: its own mistake; time used up, process gone, nothing there or not
written, raised, not right."""

SIGNS = {PASS: "✓ right", FAIL: "✗ wrong", NOT_RUN: "– not run"}


def printable(text: str, limit: int = 2000, lines: int = 40) -> str:
    """Learner text made safe to show: no control codes, not too long."""
    start = "".join(text[:limit].splitlines(keepends=True)[:lines])
    shown = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in start)
    return shown if start == text else f"{shown.rstrip()}\n... ({len(text) - len(start)} more characters)"


@dataclass(frozen=True)
class CaseResult:
    """One check's outcome.

    Attributes:
        status: PASS, FAIL or NOT_RUN. earned: of `points`.
        text: what happened. facts: (label, value) pairs, the smallest example.
        trace: the answer's own lines that led to an exception.
        cause: of CAUSES; empty for a check that passed.
    """

    name: str
    points: float
    earned: float
    status: str
    text: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    trace: tuple[str, ...] = ()
    misconception: Misconception | None = None
    hidden: bool = False
    cause: str = ""


@dataclass(frozen=True)
class Result:
    """The verdict on one question.

    Attributes:
        earned: points, 0 <= earned <= points.
        cases: the visible checks in order, then the hidden ones that ran.
        hidden: what the hidden checks look at, if they did not run.
        notes: how the answer was found, repairs. printed: what it printed.
        advice: shown when all is right: (what to notice, source of the reference).
    """

    question: str
    title: str
    points: float
    cases: tuple[CaseResult, ...]
    hidden: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    printed: str = ""
    advice: tuple[str, str] = ("", "")

    @property
    def earned(self) -> float:
        return min(self.points, sum(case.earned for case in self.cases))

    @property
    def solved(self) -> bool:
        return all(case.status == PASS for case in self.cases)

    @property
    def outcome(self) -> str:
        """The result in one word: right, or the gravest of the causes."""
        met = {case.cause for case in self.cases}
        return next((cause for cause in CAUSES if cause in met), "right")

    @property
    def misconceptions(self) -> tuple[str, ...]:
        """The ids of the misconceptions named, each once."""
        named = (case.misconception for case in self.cases)
        return tuple(dict.fromkeys(m.id for m in named if m is not None))

    def __float__(self) -> float:
        return float(self.earned)

    def __repr__(self) -> str:
        return repr(float(self.earned))

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "earned": self.earned, "solved": self.solved,
                "outcome": self.outcome}

    def headline(self) -> str:
        return f"{self.question} {self.title} – {self.earned:g} of {self.points:g} points"

    def hidden_line(self) -> str:
        """What is said of hidden checks; never "all passed" while some have not run."""
        visible = [case for case in self.cases if not case.hidden]
        right = sum(case.status == PASS for case in visible)
        line = f"Visible checks right: {right} of {len(visible)}."
        if self.hidden:
            checks = "hidden check runs" if len(self.hidden) == 1 else "hidden checks run"
            line += (f" {len(self.hidden)} {checks} when you submit ({'; '.join(self.hidden)}); a failure "
                     "there takes points away.")
        return line

    def __str__(self) -> str:
        return "\n".join(_text_lines(self))

    def _repr_html_(self) -> str:
        return "\n".join(_html_lines(self))


def explanation(misconception: Misconception) -> tuple[tuple[str, str], ...]:
    """Belief, fact and next action as labelled sentences."""
    return (("You may think", misconception.belief), ("In fact", misconception.fact),
            ("Next", misconception.action))


def prose(text: str) -> str:
    """A sentence as HTML; what stands between backquotes is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _text_lines(result: Result) -> list[str]:
    lines = [result.headline()]
    explained: set[str] = set()
    for case in result.cases:
        lines.append(f"  {SIGNS[case.status]:10} {case.earned:g}/{case.points:g}  {case.name}")
        details = [case.text] if case.text else []
        details += [f"{label}: {value}" for label, value in case.facts]
        details += [f"your {line}" for line in case.trace]
        if case.misconception is not None and case.misconception.id not in explained:
            explained.add(case.misconception.id)
            details += [f"{label}: {text}" for label, text in explanation(case.misconception)]
        lines += [f"      {line}" for detail in details for line in detail.splitlines()]
    lines.append(result.hidden_line())
    lines += [f"Note: {note}" for note in result.notes]
    if result.printed:
        lines += ["Your code printed:", *(f"  {line}" for line in result.printed.splitlines())]
    lines += [f"Notice: {result.advice[0]}"] if result.advice[0] else []
    return lines


def _html_lines(result: Result) -> list[str]:
    lines = [f'<section aria-label="Result of question {escape(result.question)}">',
             f"<p><strong>{escape(result.headline())}</strong></p>",
             "<table><thead><tr><th scope='col'>Check</th><th scope='col'>Result</th>"
             "<th scope='col'>Points</th></tr></thead><tbody>"]
    lines += [f"<tr><th scope='row'>{escape(case.name)}{' (hidden)' * case.hidden}</th>"
              f"<td>{SIGNS[case.status]}</td><td>{case.earned:g} of {case.points:g}</td></tr>"
              for case in result.cases]
    lines.append("</tbody></table>")
    explained: set[str] = set()
    for case in result.cases:
        lines += _html_case(case)
        if case.misconception is not None and case.misconception.id not in explained:
            explained.add(case.misconception.id)
            lines += _html_misconception(case.misconception)
    lines.append(f"<p>{escape(result.hidden_line())}</p>")
    lines += [f"<p>Note: {escape(note)}</p>" for note in result.notes]
    if result.printed:
        lines.append(f"<p>Your code printed:</p><pre>{escape(result.printed)}</pre>")
    lines += _html_advice(*result.advice)
    return [*lines, "</section>"]


def _html_case(case: CaseResult) -> list[str]:
    if not case.text:
        return []
    lines = [f"<p><strong>{escape(case.name)}.</strong> {prose(case.text)}</p>"]
    if case.facts:
        rows = "".join(f"<tr><th scope='row'>{escape(label)}</th><td><code>{escape(value)}</code></td></tr>"
                       for label, value in case.facts)
        lines.append(f"<table><tbody>{rows}</tbody></table>")
    if case.trace:
        lines.append(f"<pre>{escape(chr(10).join(f'your {line}' for line in case.trace))}</pre>")
    return lines


def _html_misconception(misconception: Misconception) -> list[str]:
    lines = [f"<p><strong>{label}:</strong> {prose(text)}</p>"
             for label, text in explanation(misconception)]
    if misconception.evidence:
        lines.append("<details><summary>See it for yourself (paste these lines into a cell)</summary>"
                     f"<pre>{escape(misconception.evidence)}</pre></details>")
    return lines


def _html_advice(notice: str, reference: str) -> list[str]:
    lines = [f"<p><strong>Notice:</strong> {prose(notice)}</p>"] if notice else []
    if reference:
        lines.append("<details><summary>The package's own version, to compare with yours</summary>"
                     f"<pre>{escape(reference)}</pre></details>")
    return lines
