"""Pictures of a report: bars as SVG in the page itself, without a script.

    question_chart(rows)         for each question: all points, some, none
    misconception_chart(rows)    how many learners met each misconception

Lines and texts have the page's own colour, so that they show in light and dark. What a bar says is
said by its pattern and by a number too, never by its colour alone; the picture's description has it
all in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LABEL_WIDTH, BAR_WIDTH, TAIL_WIDTH, ROW_HEIGHT = 250, 400, 130, 28
NARROWEST = 600
"""Pixels; on a narrower screen the picture is moved to and fro, so that its text can be read."""

ALL, SOME, NONE = "all", "some", "no"
PATTERNS = {
    ALL: '<rect width="8" height="8" fill="#0072B2"/>',
    SOME: '<rect width="8" height="8" fill="#E69F00"/><path d="M0 8 8 0" stroke="#000" stroke-width="1.5"/>',
    NONE: '<rect width="8" height="8" fill="#D55E00" fill-opacity=".25"/>'
          '<circle cx="4" cy="4" r="1.5" fill="#D55E00"/>',
}
"""What a part of a bar is filled with: Okabe and Ito's blue, orange with lines, vermilion dots."""


@dataclass(frozen=True)
class QuestionBar:
    """One question: how many learners got all points, some, none; and the mean in words."""

    name: str
    counts: dict[str, int]
    mean: str


def question_chart(rows: Sequence[QuestionBar]) -> str:
    """A bar for each question."""
    words = "; ".join(f"{row.name}: " + ", ".join(f"{count} {part}" for part, count in row.counts.items())
                      for row in rows)
    body = [_legend()]
    for number, row in enumerate(rows, 1):
        top = number * ROW_HEIGHT
        body.append(_text(LABEL_WIDTH - 8, top, row.name, "end"))
        left, total = float(LABEL_WIDTH), sum(row.counts.values()) or 1
        for part, count in row.counts.items():
            width = BAR_WIDTH * count / total
            body.append(_bar(left, top, width, f"url(#part-{part})", f"{row.name}: {count} got {part}"))
            left += width
        body.append(_text(LABEL_WIDTH + BAR_WIDTH + 8, top, row.mean))
    return _picture("Points of each question", words, len(rows) + 1, body)


def misconception_chart(rows: Sequence[tuple[str, int]]) -> str:
    """A bar for each misconception: (its name, learners)."""
    most = max((count for _, count in rows), default=1)
    body = []
    for number, (name, count) in enumerate(rows):
        top = number * ROW_HEIGHT
        body += [_text(LABEL_WIDTH - 8, top, name, "end"),
                 _bar(LABEL_WIDTH, top, BAR_WIDTH * count / most, "url(#part-some)", f"{name}: {count}"),
                 _text(LABEL_WIDTH + BAR_WIDTH + 8, top, f"{count}")]
    words = "; ".join(f"{name}: {count}" for name, count in rows)
    return _picture("Learners who met each misconception", words, len(rows), body)


def _picture(title: str, words: str, rows: int, body: Sequence[str]) -> str:
    width, height = LABEL_WIDTH + BAR_WIDTH + TAIL_WIDTH, rows * ROW_HEIGHT + 4
    patterns = "".join(f'<pattern id="part-{part}" width="8" height="8" patternUnits="userSpaceOnUse">'
                       f"{fill}</pattern>" for part, fill in PATTERNS.items())
    return "\n".join([
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" width="100%" '
        f'style="min-width:{NARROWEST}px; max-width:{width}px" font-size="13" fill="currentColor">',
        f"<title>{escape(title)}</title><desc>{escape(words)}</desc><defs>{patterns}</defs>", *body,
        "</svg>"])


def _legend() -> str:
    parts = []
    for number, part in enumerate(PATTERNS):
        left = LABEL_WIDTH + number * 130
        parts += [_bar(left, 0, 24, f"url(#part-{part})", part), _text(left + 30, 0, f"{part} points")]
    return "\n".join(parts)


def _bar(left: float, top: float, width: float, fill: str, says: str) -> str:
    return (f'<rect x="{left:.1f}" y="{top + 4}" width="{width:.1f}" height="{ROW_HEIGHT - 8}" fill="{fill}" '
            f'stroke="currentColor" stroke-width=".5"><title>{escape(says)}</title></rect>')


def _text(left: float, top: float, words: str, anchor: str = "start") -> str:
    cut = words if len(words) <= 38 else f"{words[:37]}…"
    return f'<text x="{left}" y="{top + ROW_HEIGHT * 0.65:.1f}" text-anchor="{anchor}">{escape(cut)}</text>'
