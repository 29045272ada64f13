"""The marks of a source: which cell has which role, and what learners do not get.

A source is a Python file in cells (jupytext's percent format). A cell's header names it, which
gives its stable id, and says its role for nbgrader:

    # %% q00-2 role="answer"
    # Your turn: 00.2
    def direct_access(bdev, sector):
        ### BEGIN SOLUTION
        ...
        ### END SOLUTION

    # %% q00-2-check role="tests" points=4
    xiplab.check("00.2")

    role          nbgrader                learner gets
    read-only     locked                  the cell, marked read-only
    answer        solution                the cell, its solution regions replaced by a stub
    tests         grade, locked, points   the cell without its hidden regions
    manual        grade, solution, points as answer; a person grades it

The markers are nbgrader's: BEGIN and END SOLUTION in answers, BEGIN and END HIDDEN TESTS in tests,
each on a line of its own. The stub is nbgrader's too, so its release of the built solution gives
the same cells. Anything else in or about a marker is a SourceError: better no exercise than one
that shows its answer.
"""

from __future__ import annotations

import re
from typing import Any

STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
SOLUTION = "SOLUTION"
HIDDEN_TESTS = "HIDDEN TESTS"
FORBIDDEN = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)|AUTOTEST")

ROLES: dict[str, dict[str, bool]] = {
    "read-only": {"grade": False, "solution": False, "locked": True},
    "answer": {"grade": False, "solution": True, "locked": False},
    "tests": {"grade": True, "solution": False, "locked": True},
    "manual": {"grade": True, "solution": True, "locked": False},
}


class SourceError(Exception):
    """A source that must not be built; the text names the cell and what is wrong."""


def nbgrader_metadata(cell_id: str, cell_type: str, role: str, points: object) -> dict[str, Any]:
    """nbgrader's record of a cell, schema 3.

    Raises:
        SourceError: for a role that does not fit the cell, or points where none belong.
    """
    if role not in ROLES:
        raise SourceError(f"{cell_id}: role {role!r} is not one of {', '.join(ROLES)}")
    flags = ROLES[role]
    if cell_type == "markdown" and role in ("answer", "tests"):
        raise SourceError(f"{cell_id}: a text cell cannot have the role {role!r}")
    if flags["grade"] != isinstance(points, int | float):
        raise SourceError(f"{cell_id}: role {role!r} and points {points!r} do not go together")
    record: dict[str, Any] = {**flags, "grade_id": cell_id, "task": False, "schema_version": 3,
                              "cell_type": cell_type}
    if flags["grade"]:
        record["points"] = points
    return record


def role_of(metadata: dict[str, Any]) -> str:
    """The role that a cell's nbgrader record stands for; empty for a cell without one."""
    record = metadata.get("nbgrader", {})
    return next((role for role, flags in ROLES.items() if flags.items() <= record.items()), "")


def check_markers(cell_id: str, source: str, role: str) -> None:
    """Refuse markers where they do not belong, and regions that are not properly closed.

    Raises:
        SourceError: for each rule of the module's docstring.
    """
    allowed = {"answer": SOLUTION, "manual": SOLUTION, "tests": HIDDEN_TESTS}.get(role, "")
    inside = False
    has_region = False
    filled = 0
    for line in source.splitlines():
        begin, end = f"### BEGIN {allowed}", f"### END {allowed}"
        if allowed and line.strip() == begin:
            if inside:
                raise SourceError(f"{cell_id}: {begin} inside a region")
            inside, has_region, filled = True, True, 0
        elif allowed and line.strip() == end:
            if not inside or not filled:
                why = "of an empty region" if inside else "without a begin"
                raise SourceError(f"{cell_id}: {end} {why}")
            inside = False
        elif FORBIDDEN.search(line):
            raise SourceError(f"{cell_id}: marker in the wrong place: {line.strip()!r}")
        else:
            filled += bool(line.strip())
    if inside:
        raise SourceError(f"{cell_id}: ### BEGIN {allowed} is never closed")
    if role == "answer" and not has_region:
        raise SourceError(f"{cell_id}: an answer without a solution region would be shown whole")


def cut_solutions(source: str) -> str:
    """The learner's version of an answer: each solution region is a stub with its indentation."""
    return _replace_regions(source, SOLUTION, STUB)


def cut_hidden_tests(cell_id: str, source: str) -> str:
    """The learner's version of a tests cell. Raises SourceError if no visible line is left."""
    visible = _replace_regions(source, HIDDEN_TESTS, ())
    if not visible.strip():
        raise SourceError(f"{cell_id}: all of it is hidden; keep a visible line")
    return visible


def _replace_regions(source: str, kind: str, replacement: tuple[str, ...]) -> str:
    lines: list[str] = []
    inside = False
    for line in source.splitlines():
        if line.strip() == f"### BEGIN {kind}":
            indent = line[:len(line) - len(line.lstrip())]
            lines += [indent + text for text in replacement]
            inside = True
        elif line.strip() == f"### END {kind}":
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)
