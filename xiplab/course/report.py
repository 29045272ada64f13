"""A report on a class, from the grader's results: for people, spreadsheets and other programs.

    OUT/index.html           the class: points of each learner, each question, commonest misconceptions,
                             which sandbox held the answers, and signals (signals.py)
    OUT/learners/0001.html   one learner: the card of every question
    OUT/points.csv           a row for each learner and question; attempts, where the progress file has them
    OUT/gradebook.csv        a row for each learner, a column for each question
    OUT/results.json         an entry for each check

The pages need no network and no script, and are readable in light and dark. All that a learner
wrote, names too, is escaped; in the tables for spreadsheets a text that would be taken for a
formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from xiplab.course.catalogue import MISCONCEPTIONS
from xiplab.course.charts import ALL, NONE, SOME, QuestionBar, misconception_chart, question_chart
from xiplab.course.problem import Misconception
from xiplab.course.result import PASS, CaseResult, Result
from xiplab.course.signals import signals

MAX_TEXT = 65_535
"""Characters kept of one check's output in results.json."""

MOST_BARS = 12
"""Misconceptions in the picture; the table has all."""

STATUS = {"": "pass", "wrong": "fail", "missing": "fail"}
"""What other runners call a cause; all others are errors."""

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
th, td {{ text-align: left; padding: .2rem .8rem .2rem 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent) }}
pre, figure {{ overflow-x: auto }}
figure {{ margin: 0 }}
section {{ margin-top: 2rem }}
</style></head><body><main><h1>{title}</h1>
{body}
</main></body></html>
"""


def write_report(results: Sequence[dict[str, Any]], out: Path) -> None:
    """Write all files of the report; `results` as grade() returns them."""
    pages = out / "learners"
    pages.mkdir(parents=True, exist_ok=True)
    for old in pages.glob("*.html"):
        old.unlink()
    for number, one in enumerate(results, 1):
        (pages / f"{number:04}.html").write_text(learner_page(one), encoding="utf-8")
    (out / "index.html").write_text(class_page(results), encoding="utf-8")
    write_table(out / "points.csv", point_rows(results))
    write_table(out / "gradebook.csv", gradebook_rows(results))
    (out / "results.json").write_text(json.dumps({"tests": tests(results)}, indent=1), encoding="ascii")


def result_of(data: dict[str, Any]) -> Result:
    """The judge's result again, from its plain data."""
    fields = {field.name: data[field.name] for field in dataclasses.fields(Result)}
    cases = tuple(_case_of(case) for case in data["cases"])
    return Result(**{**fields, "cases": cases, "advice": ("", "")})


def _case_of(data: dict[str, Any]) -> CaseResult:
    named = data["misconception"]
    return CaseResult(**{**data, "misconception": None if named is None else Misconception(**named)})


def reason(question: dict[str, Any]) -> str:
    """Why points are missing, in words: the first text of a check that failed, or a note."""
    texts = [case["text"] for case in question["cases"] if case["status"] != PASS and case["text"]]
    return "" if question["solved"] else next(iter([*texts, *question["notes"]]), "")


def attempts(one: dict[str, Any], id: str) -> object:
    """How often the learner tried a question; empty if the progress file was not handed in."""
    return one["progress"]["attempts"].get(id, 0) if one["progress"] else ""


def learner_page(one: dict[str, Any]) -> str:
    """One learner's page."""
    lines = [f"<p>{one['earned']:g} of {one['points']:g} points. Answers: {escape(one['sandbox'])}.</p>"]
    lines += [f"<p>Note: {escape(trouble)}</p>" for trouble in one["troubles"]]
    lines += [result_of(question)._repr_html_() for question in one["results"]]
    return PAGE.format(title=escape(one["learner"]), body="\n".join(lines))


def class_page(results: Sequence[dict[str, Any]]) -> str:
    """The page of the class."""
    walls = Counter(one["sandbox"] for one in results)
    lines = [f"<p>{len(results)} submissions. Answers ran: "
             f"{'; '.join(f'{count} {escape(text)}' for text, count in walls.items())}.</p>",
             "<h2>Questions</h2>", _question_chart(results), _question_table(results),
             "<h2>Commonest misconceptions</h2>", _misconceptions(results),
             "<h2>Learners</h2>", _learner_table(results),
             "<h2>Signals</h2>", _signals(results)]
    return PAGE.format(title="Results of the class", body="\n".join(lines))


def _question_chart(results: Sequence[dict[str, Any]]) -> str:
    bars = []
    for answers in _by_question(results):
        points = answers[0]["points"]
        full = sum(answer["earned"] >= points for answer in answers)
        none = sum(answer["earned"] <= 0 < points for answer in answers)
        mean = sum(answer["earned"] for answer in answers) / len(answers)
        bars.append(QuestionBar(f"{answers[0]['question']} {answers[0]['title']}",
                                {ALL: full, SOME: len(answers) - full - none, NONE: none},
                                f"mean {mean:.1f} of {points:g}"))
    return f"<figure>{question_chart(bars)}</figure>"


def _signals(results: Sequence[dict[str, Any]]) -> str:
    found = signals(results)
    if not found:
        return "<p>None.</p>"
    rows = [(escape(one.kind), escape(" and ".join(one.learners)), escape(one.text)) for one in found]
    return ("<p>These are no verdicts. Each has innocent reasons: work in pairs, a common source, a file "
            "that was joined from two computers. Ask before you judge.</p>"
            + _table(("Signal", "Learners", "What was seen"), rows))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; the first of a row is its heading."""
    top = "".join(f"<th scope='col'>{name}</th>" for name in head)
    body = "".join(f"<tr><th scope='row'>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>\n"
                   for first, *rest in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table>"


def _by_question(results: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], ...]]:
    """All learners' results of each question."""
    return list(zip(*(one["results"] for one in results), strict=True))


def _question_table(results: Sequence[dict[str, Any]]) -> str:
    rows = []
    for answers in _by_question(results):
        points = answers[0]["points"]
        mean = sum(answer["earned"] for answer in answers) / len(answers)
        outcomes = Counter(answer["outcome"] for answer in answers)
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        rows.append((escape(f"{answers[0]['question']} {answers[0]['title']}"),
                     f"{mean:.1f} of {points:g}", told))
    return _table(("Question", "Mean points", "Answers"), rows)


def _misconceptions(results: Sequence[dict[str, Any]]) -> str:
    """How many learners met each misconception; a learner counts once."""
    met = Counter(name for one in results for name in {
        case["misconception"]["id"] for question in one["results"] for case in question["cases"]
        if case["misconception"] is not None})
    common = [(name, count) for name, count in sorted(met.items(), key=lambda item: (-item[1], item[0]))
              if name in MISCONCEPTIONS]
    if not common:
        return "<p>None was met.</p>"
    rows = [(escape(MISCONCEPTIONS[name].belief), escape(name), str(count)) for name, count in common]
    chart = f"<figure>{misconception_chart(common[:MOST_BARS])}</figure>"
    return chart + _table(("Belief", "Name", "Learners"), rows)


def _learner_table(results: Sequence[dict[str, Any]]) -> str:
    head = ("Learner", "Points", *(escape(question["question"]) for question in results[0]["results"]))
    rows = [(f'<a href="learners/{number:04}.html">{escape(one["learner"])}</a>',
             f"{one['earned']:g} of {one['points']:g}",
             *(f"{question['earned']:g} {question['outcome']}" for question in one["results"]))
            for number, one in enumerate(results, 1)]
    return _table(head, rows)


def point_rows(results: Sequence[dict[str, Any]]) -> list[list[object]]:
    """A row for each learner and question, under a head."""
    head: list[object] = ["learner", "question", "points", "maximum", "outcome", "reason", "attempts"]
    return [head, *([one["learner"], question["question"], question["earned"], question["points"],
                     question["outcome"], reason(question), attempts(one, question["question"])]
                    for one in results for question in one["results"])]


def gradebook_rows(results: Sequence[dict[str, Any]]) -> list[list[object]]:
    """A row for each learner, under a head that names the maximum of each column."""
    head: list[object] = ["learner", *(f"{question['question']} ({question['points']:g})"
                                       for question in results[0]["results"]),
                          f"total ({results[0]['points']:g})"]
    return [head, *([one["learner"], *(question["earned"] for question in one["results"]), one["earned"]]
                    for one in results)]


def write_table(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as CSV that a spreadsheet takes for text and numbers only."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([_plain(value) for value in row] for row in rows)


def _plain(value: object) -> object:
    risky = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if risky else value


def tests(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """An entry for each check of each learner: name, status pass, fail or error, message, output."""
    return [{"learner": one["learner"], "name": f"{question['question']} {case['name']}",
             "status": STATUS.get(case["cause"], "error"), "message": case["text"],
             "output": question["printed"][:MAX_TEXT], "task": number,
             "score": case["earned"], "max_score": case["points"]}
            for one in results for number, question in enumerate(one["results"], 1)
            for case in question["cases"]]
