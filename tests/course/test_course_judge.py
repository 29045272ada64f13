"""The judge on a question of its own: points, hidden checks, cards, progress, hints."""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from xiplab.course import progress
from xiplab.course.answer import Found
from xiplab.course.ask import Card, hint, show
from xiplab.course.catalogue import MISCONCEPTIONS
from xiplab.course.judge import MANY_FILES, hidden_cases, judge, without_answer
from xiplab.course.problem import Answer, Case, Hint, Question, Wrong, question
from xiplab.course.process import Limits
from xiplab.course.result import FAIL, NOT_RUN, PASS, Result, printable
from xiplab.guest import ZVM

TINY = Limits(wall=5, cpu=1)


def check_doubles(answer: Answer, random: Random) -> None:
    for given in (1, 2, random.randrange(1000)):
        if (got := answer.call("double", given)) != 2 * given:
            raise Wrong("It is not twice the number.", given=str(given), expected=str(2 * given),
                        got=repr(got), misconception="sector-is-a-page")


def check_negative(answer: Answer, random: Random) -> None:
    if answer.call("double", -3) != -6:
        raise Wrong("Negative numbers count, too.")


def check_secret(answer: Answer, random: Random) -> None:
    if answer.call("double", 777_777) != 1_555_554:
        raise Wrong("wrong for 777777", got="secret")


ASKED = Question(
    "07.3", "Twice", "build", "double",
    (Case("doubles", check_doubles, 2), Case("negative numbers", check_negative, 1)),
    (Hint("first", 0.1), Hint("second", 0.2), Hint("third", 0.5)), prelude="TWO = 2",
    hidden=("large numbers",), notice="It is a sum.", reference="xiplab.units:page_align")
SECRET = (Case("large numbers", check_secret, guards="doubles"),)
RIGHT = "def double(n): return TWO * n"


def judged(source: str, hidden: tuple[Case, ...] = ()) -> Result:
    return judge(ASKED, Found(source), hidden, limits=TINY)


def test_right_answer_gets_full_points_and_the_reference() -> None:
    result = judged(RIGHT)

    assert (float(result), repr(result), result.points, result.solved) == (3.0, "3.0", 3, True)
    assert "It is a sum." in str(result)
    assert "def page_align" in result._repr_html_()


def test_wrong_case_shows_example_and_names_the_misconception() -> None:
    result = judged("def double(n): return n + n if n < 0 else n")

    assert [case.status for case in result.cases] == [FAIL, PASS]
    assert (float(result), result.misconceptions) == (1.0, ("sector-is-a-page",))
    assert "Given: 1\n      Expected: 2\n      Your answer: 1" in str(result)
    assert MISCONCEPTIONS["sector-is-a-page"].fact in str(result)


def test_stub_scores_zero_and_says_what_to_do() -> None:
    result = judged("def double(n):\n    # YOUR CODE HERE\n    raise NotImplementedError()")

    assert float(result) == 0
    assert "Not written yet: replace the line `raise NotImplementedError()`" in str(result)
    assert str(result).count("Not written yet") == 1
    assert "Traceback" not in str(result)


@pytest.mark.parametrize(("source", "said"), [
    ("def twice(n): return 2 * n", "defines no function double"),
    ("def double(n): return HELP * n", "name 'HELP' is not defined. Your answer is judged alone"),
    ("def double(n):\nreturn 2", "IndentationError"),
    ("def double(n): return 1 / 0", "your line 1: def double(n): return 1 / 0"),
    ("import os\ndef double(n): os._exit(0)", "did not come back: it ended its own process"),
    ("import xiplab.course.judge\n" + RIGHT, "belongs to the judge"),
])
def test_broken_answer_scores_zero_with_a_reason(source: str, said: str) -> None:
    result = judged(source)

    assert float(result) == 0
    assert said in str(result)
    assert str(result).count("xiplab/course") == 0


def test_crash_costs_the_cases_after_it_only() -> None:
    result = judged("import os\ndef double(n): return 2 * n if n > 0 else os._exit(0)")

    assert [case.status for case in result.cases] == [PASS, FAIL]
    assert float(result) == 2


def test_hidden_checks_are_announced_until_they_run() -> None:
    """Never "all passed" while hidden checks exist (course: the card says how many)."""
    text = str(judged(RIGHT))

    assert "Visible checks right: 2 of 2. 1 hidden check runs when you submit (large numbers)" in text
    assert not re.search(r"\ball\b", text.lower())


def test_hidden_failure_takes_the_guarded_points_and_tells_its_name_only() -> None:
    result = judged("def double(n): return 2 * n if n < 5000 else 0", SECRET)

    assert [case.status for case in result.cases] == [PASS, PASS, FAIL]
    assert (float(result), result.solved) == (1.0, False)
    assert "large numbers" in str(result)
    assert "777777" not in str(result) + result._repr_html_() + json.dumps(result.to_data())


def test_hidden_success_changes_nothing() -> None:
    result = judged(RIGHT, SECRET)

    assert (float(result), result.hidden) == (3.0, ())


def test_same_answer_gives_the_same_result() -> None:
    wrong = "def double(n): return 2 * n if n < 3 else 5"

    assert judged(wrong) == judged(wrong)


def test_result_does_not_depend_on_what_was_printed() -> None:
    """A forged score on standard output or error is only shown as printed."""
    noisy = "import sys\ndef double(n):\n    print('3.0')\n    print('Error', file=sys.stderr)\n    return n"
    result = judged(noisy)

    assert float(result) == 0
    assert "Your code printed" in str(result)


def test_learner_text_is_escaped() -> None:
    """No script and no terminal codes get through the card."""
    result = judged("def double(n):\n    print('\\x1b[31m<script>')\n    return '<b>\\x1b[0m'")

    assert "<script>" not in result._repr_html_()
    assert "<b>" not in result._repr_html_()
    assert "\x1b" not in str(result)


def test_card_has_words_for_every_sign_and_no_script_or_color() -> None:
    html = judged("def double(n): return n")._repr_html_()

    assert "✗ wrong" in html
    assert "scope='row'" in html
    assert not re.search(r"<script|color|onclick|src=", html)


def test_points_are_finite_numbers_whatever_the_answer_returns() -> None:
    for value in ("-1", "float('nan')", "float('inf')", "True", "'5'", "None", "10**400"):
        assert 0 <= float(judged(f"def double(n): return {value}")) <= 3


def test_without_answer_nothing_ran() -> None:
    result = without_answer(ASKED, "run the cell first")

    assert {case.status for case in result.cases} == {NOT_RUN}
    assert (float(result), "run the cell first" in str(result)) == (0.0, True)


def test_printable_replaces_control_codes_and_cuts() -> None:
    assert printable("a\x1bb\n") == "a\ufffdb\n"
    assert printable("1\n2\n3\n", lines=2) == "1\n2\n... (2 more characters)"
    assert printable("x" * 30, 10) == "x" * 10 + "\n... (20 more characters)"


def test_hidden_cases_come_from_the_graders_folder_only(monkeypatch: pytest.MonkeyPatch,
                                                        tmp_path: Path) -> None:
    monkeypatch.delenv("XIPLAB_HIDDEN", raising=False)
    assert hidden_cases(ASKED) == ()
    (tmp_path / "ex07.py").write_text("HIDDEN = {'07.3': (1, 2)}")
    monkeypatch.setenv("XIPLAB_HIDDEN", str(tmp_path))

    assert hidden_cases(ASKED) == (1, 2)


def test_unknown_question_names_the_known_ones() -> None:
    with pytest.raises(FileNotFoundError, match=r"question '99.1': not one of 00.1, 00.2"):
        question("99.1")


# ---- progress and hints

@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder with a progress file; the notebook lies one below."""
    progress.create(tmp_path)
    (tmp_path / "exercises").mkdir()
    monkeypatch.chdir(tmp_path / "exercises")
    return tmp_path


def entry_of(folder: Path, id: str) -> dict[str, object]:
    return dict(json.loads((folder / progress.FILE_NAME).read_text())["questions"][id])


def test_attempt_is_noted_with_points_and_misconceptions(folder: Path) -> None:
    progress.note_attempt(ASKED, judged("def double(n): return n"), "source")

    attempts = entry_of(folder, "07.3")["attempts"]

    assert isinstance(attempts, list)
    assert attempts[0]["points"] == 0
    assert attempts[0]["misconceptions"] == ["sector-is-a-page"]
    assert "prediction" not in attempts[0]


def test_without_a_progress_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert progress.note_attempt(ASKED, judged(RIGHT), "") == ()
    assert list(tmp_path.iterdir()) == []


def test_damaged_progress_file_is_kept_and_the_verdict_too(folder: Path) -> None:
    (folder / progress.FILE_NAME).write_text("{half")

    assert "not noted" in progress.note_attempt(ASKED, judged(RIGHT), "")[0]
    assert (folder / progress.FILE_NAME).read_text() == "{half"


def test_create_keeps_an_existing_file(folder: Path) -> None:
    progress.note_attempt(ASKED, judged(RIGHT), "")
    progress.create(folder)

    assert len(entry_of(folder, "07.3")["attempts"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(("points", "hints", "score"), [
    ([1, 3, 2], 0, 3), ([3], 1, 2.7), ([3], 2, 2.1), ([3], 3, 1.5), ([], 3, 0)])
def test_score_is_the_best_attempt_less_hints_never_under_half(points: list[float], hints: int, score: float
                                                               ) -> None:
    entry = {"attempts": [{"points": p} for p in points], "hints": hints}

    assert progress.score(ASKED, entry) == pytest.approx(score)


def note(points: str, count: int = 1) -> None:
    for _ in range(count):
        progress.note_attempt(ASKED, judged(points), points)


def test_log_of_attempts_holds_together_until_it_is_changed(folder: Path) -> None:
    """A changed, a removed and an added attempt each break it; other questions are not concerned."""
    note("def double(n): return n", 2)
    note(RIGHT)
    path = folder / progress.FILE_NAME
    data = progress.load(path)
    attempts = data["questions"]["07.3"]["attempts"]

    assert progress.broken_logs(data) == []
    for changed in ([{**attempts[0], "points": 9}, *attempts[1:]], attempts[1:], [*attempts, attempts[0]]):
        data["questions"]["07.3"]["attempts"] = changed
        assert progress.broken_logs(data) == ["07.3"]


def test_own_situation_is_the_learners_alone(folder: Path) -> None:
    """It is told beside each situation, stays the same, and differs between learners and questions."""
    mine = progress.own_situation(question("00.1"), progress.learner_here())

    assert f'xiplab.show("00.1", {mine})' in repr(show("00.1", 0))
    assert mine == progress.own_situation(question("00.1"), progress.learner_here())
    assert len({progress.own_situation(asked, who) for asked in (question("00.1"), ASKED)
                for who in ("a", "b", progress.learner_here())}) == 6


@pytest.mark.parametrize(("source", "number"), [
    ("SITUATION = 3\ndef f(): return 1", 3), ("SITUATION = 1\nSITUATION = 2", 2), ("SITUATION = n", None),
    ("x = 3", None), ("SITUATION = ", None), ("SITUATION = True", None), ("x = '\0'", None)])
def test_situation_of_reads_what_the_answer_says(source: str, number: int | None) -> None:
    assert progress.situation_of(source) == number


@pytest.mark.parametrize(("tries", "mastered"), [
    ([(True, 0, 0)], True), ([(False, 0, 0), (True, 0, 0)], False), ([(False, 0, 0), (True, 0, 1)], True),
    ([(True, 1, 0)], False), ([(True, 1, 0), (True, 1, 5)], True), ([(False, 1, 0), (True, 2, 5)], False),
    ([], False)])
def test_mastery_is_a_fresh_situation_without_hints(tries: list[tuple[bool, int, int]],
                                                    mastered: bool) -> None:
    """(solved, hints open, situation) of each try: the first on a situation, no hint since the last try."""
    attempts = [{"solved": solved, "hints": hints, "situation": situation}
                for solved, hints, situation in tries]

    assert progress.is_mastered(question("00.1"), {"attempts": attempts}) == mastered


@pytest.mark.parametrize(("tries", "mastered"), [
    ([(False, 0), (True, 0)], True), ([(True, 1)], False), ([(False, 0)], False)])
def test_mastery_without_situations_is_right_without_hints(tries: list[tuple[bool, int]],
                                                           mastered: bool) -> None:
    attempts = [{"solved": solved, "hints": hints} for solved, hints in tries]

    assert progress.is_mastered(question("00.2"), {"attempts": attempts}) == mastered


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"questions": []}', b'{"questions": {"a": 1}}', b"\xff",
                                     b'{"questions": {"a": {"hints": 0, "attempts": ["x"]}}}', b"[" * 9999])
def test_parse_refuses_what_is_no_progress_file(content: bytes) -> None:
    with pytest.raises(ValueError, match="no table of questions"):
        progress.parse(content)


def test_hint_ladder_tells_the_cost_before_it_opens(folder: Path) -> None:
    assert "Hint 1 costs 0.2 of 4 points" in repr(hint("00.2"))
    opened = repr(hint("00.2", 1))

    assert "Hint 1: " in opened
    assert "Hint 2 costs 0.4 of 4 points" in opened
    assert entry_of(folder, "00.2")["hints"] == 1
    assert "Hint 1: " in repr(hint("00.2"))


def test_hint_out_of_range_is_einval() -> None:
    with pytest.raises(OSError, match="hint 4 is not one of 1 to 3"):
        hint("00.2", 4)


def test_show_gives_the_same_situation_again() -> None:
    assert show("00.1", 5) == show("00.1", 5)
    assert len({repr(show("00.1", n)) for n in range(20)}) > 5


def test_show_of_question_without_situations_is_einval() -> None:
    with pytest.raises(OSError, match="no situations"):
        show("00.2")


def test_card_escapes_its_text() -> None:
    assert "&lt;b&gt;" in Card("t", ("<b>",))._repr_html_()


@pytest.mark.parametrize("variant", [-1, "x", 1.5, 10**9, pytest.param(10**5000, id="huge")])
def test_show_of_what_is_no_situation_raises_einval(variant: object) -> None:
    with pytest.raises(OSError, match="0, 1, 2 and so on") as refused:
        show("00.1", variant)  # type: ignore[arg-type]

    assert refused.value.errno == errno.EINVAL


@pytest.mark.slow
def test_machines_of_earlier_checks_do_not_pile_up() -> None:
    """Each holds an open file; a class of 300 makes thousands of them in one process."""
    def check_with_a_machine(answer: Answer, random: Random) -> None:
        vm = ZVM()
        vm.logon("LINUX1")
        raise Wrong(f"wrong, on {vm}")

    asked = replace(ASKED, cases=(Case("a machine", check_with_a_machine, 1),))
    for _ in range(MANY_FILES // 2 + 20):
        judge(asked, Found(RIGHT))
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)

    assert probe < 2 * MANY_FILES
