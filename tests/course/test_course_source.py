"""The marks of a source: what becomes of each cell, and what must stop the build."""

from __future__ import annotations

import pytest

from xiplab.course.source import (
    SourceError,
    check_markers,
    cut_hidden_tests,
    cut_solutions,
    nbgrader_metadata,
    role_of,
)

SOLVED = ("def f(a):\n    b = a\n    ### BEGIN SOLUTION\n    if b:\n        return a\n"
          "    ### END SOLUTION\n    return 0")


def test_cut_solutions_leaves_a_stub_with_the_indentation() -> None:
    assert cut_solutions(SOLVED) == ("def f(a):\n    b = a\n    # YOUR CODE HERE\n"
                                     "    raise NotImplementedError()\n    return 0")


def test_cut_solutions_replaces_each_region() -> None:
    twice = "### BEGIN SOLUTION\nx = 1\n### END SOLUTION\ny = 2\n### BEGIN SOLUTION\nz = 3\n### END SOLUTION"

    assert cut_solutions(twice).count("raise NotImplementedError()") == 2
    assert "y = 2" in cut_solutions(twice)


def test_cut_hidden_tests_keeps_the_visible_lines() -> None:
    source = "f(1)\n### BEGIN HIDDEN TESTS\nf(2)\n### END HIDDEN TESTS\nf(3)"

    assert cut_hidden_tests("t", source) == "f(1)\nf(3)"


def test_cut_hidden_tests_of_everything_is_an_error() -> None:
    with pytest.raises(SourceError, match="keep a visible line"):
        cut_hidden_tests("t", "### BEGIN HIDDEN TESTS\nf(2)\n### END HIDDEN TESTS")


@pytest.mark.parametrize(("role", "source", "said"), [
    ("answer", "### BEGIN SOLUTION\nx = 1", "never closed"),
    ("answer", "### BEGIN SOLUTION\nx\n### BEGIN SOLUTION\ny\n### END SOLUTION", "inside a region"),
    ("answer", "### BEGIN SOLUTION\n\n### END SOLUTION", "empty region"),
    ("answer", "x = 1\n### END SOLUTION", "without a begin"),
    ("answer", "x = 1", "shown whole"),
    ("answer", "x = 1  ### BEGIN SOLUTION", "wrong place"),
    ("answer", "# BEGIN SOLUTION\nx = 1\n# END SOLUTION", "wrong place"),
    ("answer", "### BEGIN HIDDEN TESTS\nx\n### END HIDDEN TESTS", "wrong place"),
    ("tests", "f()\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "wrong place"),
    ("tests", "f()\n### BEGIN HIDDEN TESTS\nx = 1", "never closed"),
    ("", "### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "wrong place"),
    ("read-only", "The words BEGIN SOLUTION in a text", "wrong place"),
    ("tests", "# AUTOTEST f(1)", "wrong place"),
])
def test_check_markers_refuses(role: str, source: str, said: str) -> None:
    """A region out of place would publish the answer or stop nbgrader's release."""
    with pytest.raises(SourceError, match=said):
        check_markers("cell", source, role)


def test_check_markers_accepts_good_cells() -> None:
    check_markers("cell", SOLVED, "answer")
    check_markers("cell", "f()\n### BEGIN HIDDEN TESTS\nx = 1\n### END HIDDEN TESTS", "tests")
    check_markers("cell", "text", "")


@pytest.mark.parametrize(("cell_type", "role", "points", "said"), [
    ("code", "reader", None, "not one of"),
    ("markdown", "answer", None, "cannot have"),
    ("markdown", "tests", 1, "cannot have"),
    ("code", "tests", None, "do not go together"),
    ("code", "answer", 2, "do not go together"),
])
def test_nbgrader_metadata_refuses(cell_type: str, role: str, points: object, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        nbgrader_metadata("cell", cell_type, role, points)


def test_nbgrader_metadata_of_tests_has_all_keys_of_schema_3() -> None:
    assert nbgrader_metadata("q00-1-check", "code", "tests", 2) == {
        "grade": True, "solution": False, "locked": True, "task": False, "schema_version": 3,
        "grade_id": "q00-1-check", "cell_type": "code", "points": 2}


@pytest.mark.parametrize(("role", "points"),
                         [("read-only", None), ("answer", None), ("tests", 1), ("manual", 1)])
def test_role_of_reads_back_the_role(role: str, points: object) -> None:
    assert role_of({"nbgrader": nbgrader_metadata("cell", "code", role, points)}) == role


def test_role_of_other_cell_is_empty() -> None:
    assert role_of({}) == ""
