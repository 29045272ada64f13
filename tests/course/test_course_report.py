"""The report on a class: pages, tables and entries agree with the judge's results."""

from __future__ import annotations

import csv
import json
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from answers_00 import WRONG_DIRECT_ACCESS, direct_access
from submissions import HIDDEN, answering, hand_in, solved

from xiplab.course.catalogue import MISCONCEPTIONS
from xiplab.course.grade import Task, grade_submission
from xiplab.course.report import reason, result_of, write_report
from xiplab.course.submission import submissions_in

NASTY = "<script>alert(1)<"
BELIEF, BODY = WRONG_DIRECT_ACCESS[0]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A class of three, as it is read back from the file of results."""
    folder = tmp_path_factory.mktemp("class")
    hand_in(folder, "=1+1", solved())
    hand_in(folder, NASTY, answering(f"print({NASTY!r})\n{direct_access(BODY)}"))
    hand_in(folder, "bob", answering("import os\nos._exit(0)"))
    task = Task(("00",), str(HIDDEN), walled=False)
    graded: list[dict[str, Any]] = json.loads(json.dumps(
        [grade_submission(submission, task) for submission in submissions_in(folder)]))
    return graded


@pytest.fixture
def out(results: list[dict[str, Any]], tmp_path: Path) -> Path:
    write_report(results, tmp_path)
    return tmp_path


class Tags(HTMLParser):
    """Collects the tags that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_pages_link_all_learners_and_run_nothing(out: Path) -> None:
    """What a learner wrote, also the name, is text."""
    pages = [out / "index.html", *sorted((out / "learners").iterdir())]
    parser = Tags()
    for page in pages:
        parser.feed(page.read_text())

    assert len(pages) == 4
    assert not parser.seen & {"script", "img", "iframe", "link"}
    assert all(f'href="learners/{page.name}"' in pages[0].read_text() for page in pages[1:])


def test_class_page_counts_outcomes_and_misconceptions(out: Path, results: list[dict[str, Any]]) -> None:
    """Mean points per question, each with what became of the answers."""
    page = (out / "index.html").read_text()
    mean = sum(one["results"][1]["earned"] for one in results) / 3

    assert f"{mean:.1f} of 4" in page
    assert "1 crash" in page
    assert escape(MISCONCEPTIONS[BELIEF].belief) in page


def test_points_table_has_a_row_for_each_learner_and_question(out: Path) -> None:
    """A name that a spreadsheet would compute is text; whoever lost points has a reason."""
    rows = list(csv.DictReader((out / "points.csv").read_text().splitlines()))

    assert len(rows) == 3 * 2
    assert {row["learner"] for row in rows} == {"'=1+1", NASTY, "bob"}
    assert all(row["reason"] for row in rows if float(row["points"]) < float(row["maximum"]))


def test_points_table_has_attempts_where_they_were_handed_in(results: list[dict[str, Any]], tmp_path: Path
                                                             ) -> None:
    """Of the learner with a progress file; no number is made up for the others."""
    noted = {"learner": "", "broken": [], "situations": {}, "attempts": {"00.1": 0, "00.2": 7}}
    write_report([{**results[0], "progress": noted}, *results[1:]], tmp_path)
    rows = list(csv.DictReader((tmp_path / "points.csv").read_text().splitlines()))

    assert [row["attempts"] for row in rows] == ["0", "7", "", "", "", ""]


def test_class_page_has_pictures_the_sandbox_and_signals(results: list[dict[str, Any]], tmp_path: Path
                                                         ) -> None:
    """Pictures that say in words what they show; which sandbox; signals as what they are."""
    noted = {"learner": "", "broken": ["00.2"], "situations": {}, "attempts": {}}
    write_report([{**results[0], "progress": noted}, *results[1:]], tmp_path)
    page = (tmp_path / "index.html").read_text()
    earned = [one["results"][1]["earned"] for one in results]
    words = f"{earned.count(4)} all, {sum(0 < points < 4 for points in earned)} some, {earned.count(0)} no"

    assert page.count('<svg role="img" aria-label=') == 2
    assert f"00.2 Your own direct_access: {words}" in page
    assert "3 not sandboxed (as asked)" in page
    assert "These are no verdicts" in page
    assert "edited or joined with another: 00.2" in page


def test_class_page_without_signals_says_so(out: Path) -> None:
    assert "<h2>Signals</h2>\n<p>None.</p>" in (out / "index.html").read_text()


def test_gradebook_sums_to_the_total(out: Path) -> None:
    head, *rows = csv.reader((out / "gradebook.csv").read_text().splitlines())

    assert head == ["learner", "00.1 (2)", "00.2 (4)", "total (6)"]
    assert all(float(row[1]) + float(row[2]) == float(row[3]) for row in rows)


def test_entries_tell_pass_fail_and_error_apart(out: Path) -> None:
    """The shape that other runners read."""
    entries = json.loads((out / "results.json").read_text())["tests"]
    status = {learner: {e["status"] for e in entries if e["learner"] == learner and e["task"] == 2}
              for learner in ("=1+1", NASTY, "bob")}

    assert status["=1+1"] == {"pass"}
    assert "fail" in status[NASTY]
    assert status["bob"] == {"error"}


def test_result_read_back_says_the_same(results: list[dict[str, Any]]) -> None:
    for one in results:
        for question in one["results"]:
            again = json.loads(json.dumps(result_of(question).to_data()))

            assert {**question, **again, "advice": None} == {**question, "advice": None}


def test_reason_of_a_right_answer_is_empty(results: list[dict[str, Any]]) -> None:
    assert [reason(question) for question in results[1]["results"]] == ["", ""]


def test_second_report_replaces_the_first(out: Path, results: list[dict[str, Any]]) -> None:
    """A learner who is gone leaves no page behind."""
    write_report(results[:1], out)

    assert [page.name for page in (out / "learners").iterdir()] == ["0001.html"]
