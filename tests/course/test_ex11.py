"""The capstone as a whole: what is missing is the model's own, and only five own functions are the whole."""

from __future__ import annotations

import pytest
from answers_11 import WRONG
from recorded import shipped, solution, written

from xiplab.course.answer import Found, answer_in_file, with_needs
from xiplab.course.judge import judge
from xiplab.course.problem import Question, question
from xiplab.course.questions.stage_11 import FIVE, carry, own_programs
from xiplab.course.result import Result
from xiplab.linux.fs.ext2.xip import ext2_get_xip_mem
from xiplab.widgets.execute import ExecuteView

WHOLE = question("11.6")


def whole(**instead: str) -> Result:
    """The judge's result for the last question; `instead` exchanges the answers to others, by function."""
    def find(asked: Question) -> Found:
        return Found(instead.get(asked.answer, solution(asked)))

    return judge(WHOLE, with_needs(WHOLE, find))


def stub_of(name: str) -> str:
    asked = next(question(id) for id in WHOLE.needs if question(id).answer == name)
    return answer_in_file(asked, shipped("11", ".py")).source


def test_program_runs_on_five_functions_of_the_learners() -> None:
    result = whole()

    assert result.solved, str(result)


@pytest.mark.parametrize("name", FIVE)
def test_one_that_is_missing_is_the_models_own_and_is_named(name: str) -> None:
    """The measure keeps its points; the whole is not yet the learner's."""
    result = whole(**{name: stub_of(name)})

    assert float(result) == 2
    assert f"not yet on five functions of yours: {name} was the model's own" in str(result)


@pytest.mark.parametrize("source", ["raise SystemExit", "1 / 0", "def other(): pass", "def xip_file_read(:"])
def test_broken_other_cell_costs_only_the_whole(source: str) -> None:
    result = whole(xip_file_read=source)

    assert float(result) == 2
    assert "xip_file_read was the model's own" in str(result)


def test_wrong_other_function_costs_only_the_whole() -> None:
    result = whole(xip_file_read=WRONG["11.3"][0][1])

    assert float(result) == 2


def test_measure_that_lies_is_no_proof() -> None:
    """Five right functions, and a measure that always says 0."""
    source = written(WHOLE).replace("return cache_frames(guest) - before", "return 0")
    result = whole(cached_by=source)

    assert float(result) == 3


def not_written(mapping: object, pgoff: int, create: bool) -> tuple[int, int]:
    raise NotImplementedError()


def wrong(mapping: object, pgoff: int, create: bool) -> tuple[int, int]:
    return pgoff


def test_carry_tells_what_is_not_written_and_where_it_stops() -> None:
    report, stopped = repr(carry(get_xip_mem=not_written)), repr(carry(get_xip_mem=wrong))

    assert "not written yet: the model's own takes its place" in report
    assert "'Hello from the segment.', exit status 1" in report
    assert "stopped" in stopped
    assert "frames in the page cache           0" in repr(carry(get_xip_mem=ext2_get_xip_mem))


def test_picture_runs_on_own_functions_or_says_why_not() -> None:
    for function, said in ((not_written, "get_xip_mem: not written yet."), (ext2_get_xip_mem, "LINUX2"),
                           (wrong, "do not carry the programs yet")):
        view = ExecuteView(own_programs({"get_xip_mem": function}))

        assert said in view.picture["status"]
        assert "own_programs(own)" in view.picture["python"]
        view.close()
