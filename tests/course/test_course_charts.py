"""Pictures of the report: what they show is said in words too, and any name is safe in them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from xiplab.course.charts import (
    ALL,
    BAR_WIDTH,
    NONE,
    PATTERNS,
    SOME,
    QuestionBar,
    misconception_chart,
    question_chart,
)

SVG = "{http://www.w3.org/2000/svg}"
ROW = QuestionBar("00.2 <direct> & access", {ALL: 6, SOME: 3, NONE: 1}, "mean 3.1 of 4")


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))


def bars(picture: str) -> list[tuple[str, float]]:
    """(pattern, width) of each bar, without the legend's."""
    found = [(re.sub(r".*-(\w+)\)", r"\1", bar.get("fill", "")), float(bar.get("width", 0)))
             for bar in parsed(picture).iter(f"{SVG}rect") if bar.get("y")]
    return [bar for bar in found if bar[1] != 24]


def test_question_chart_draws_each_part_by_its_count() -> None:
    assert bars(question_chart([ROW])) == [
        (ALL, BAR_WIDTH * 0.6), (SOME, BAR_WIDTH * 0.3), (NONE, BAR_WIDTH * 0.1)]


def test_misconception_chart_draws_the_commonest_across() -> None:
    widths = [width for _, width in bars(misconception_chart([("a", 8), ("b", 2)]))]

    assert widths == [BAR_WIDTH, BAR_WIDTH / 4]


@pytest.mark.parametrize("picture", [question_chart([ROW]), misconception_chart([("<b>", 3)]),
                                     question_chart([QuestionBar("none", {ALL: 0, SOME: 0, NONE: 0}, "")])])
def test_picture_is_described_in_words_and_has_no_script(picture: str) -> None:
    """A role, a name, a description with all numbers; the text has the page's colour."""
    root = parsed(picture)
    description = root.findtext(f"{SVG}desc") or ""

    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert root.get("fill") == "currentColor"
    assert description
    assert all(said in description for text in root.iter(f"{SVG}text")
               if re.match(r"\d", said := text.text or ""))
    assert "<script" not in picture
    assert "http" not in picture


def test_parts_differ_without_colour() -> None:
    """Each pattern has another drawing than the plain one, but for the first."""
    drawings = [re.sub(r'#\w{3,6}|[\d.]+', "", pattern) for pattern in PATTERNS.values()]

    assert len(set(drawings)) == len(PATTERNS)
