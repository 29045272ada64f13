"""What every notebook of the course must be, checked at each build.

`complaints(name, notebook, root)` lists what is wrong; an empty list lets the build go on:
readable unique ids, headings in order, imports at the top, no shell and no magics, no path of
anybody's computer, a text for every picture, links that resolve, few cells that tests skip, not too
many minutes. How large the executed file may be, build.py knows.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xiplab.course.problem import question

MAX_MINUTES = 45
CELL_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
HOST_PATH = re.compile(r"(?<![\w/])(/home/|/Users/|/root/|/tmp/|/usr/|/opt/|[A-Z]:\\\\)")
HEADING = re.compile(r"^(#+) ", re.M)
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\(|<img (?P<attributes>[^>]*)>")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:|#|mailto:)(?P<target>[^)#\s]+)")
CHECK_CALL = re.compile(r"xiplab\.check\(\"([^\"]+)\"\)")
SKIPS = {"nbval-skip", "nbval-ignore-output"}


def complaints(name: str, notebook: Any, folder: Path) -> list[str]:
    """What is wrong with a built notebook that will lie in `folder`."""
    rules = (_ids, _headings, _code, _imports, _pictures, _skips, _minutes, _points)
    found = [text for rule in rules for text in rule(notebook)]
    return [f"{name}: {text}" for text in (*found, *_links(notebook, folder))]


def _of_type(notebook: Any, cell_type: str) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == cell_type]


def _prose(text: str) -> str:
    """Markdown without its code blocks."""
    return re.sub(r"```.*?```", "", text, flags=re.S)


def _ids(notebook: Any) -> Iterator[str]:
    for cell_id, count in Counter(cell.id for cell in notebook.cells).items():
        if count > 1:
            yield f"{count} cells are called {cell_id}"
        if not CELL_ID.fullmatch(cell_id):
            yield f"{cell_id!r} is no readable cell id (a-z, 0-9 and -)"


def _headings(notebook: Any) -> Iterator[str]:
    level = 0
    for cell in _of_type(notebook, "markdown"):
        for marks in HEADING.findall(_prose(cell.source)):
            if len(marks) > level + 1 or (len(marks) == 1 and level):
                yield f"{cell.id}: a heading of level {len(marks)} after one of level {level}"
            level = len(marks)
    if not level:
        yield "there is no heading"


def _code(notebook: Any) -> Iterator[str]:
    for cell in _of_type(notebook, "code"):
        if "get_ipython(" in cell.source:
            yield f"{cell.id}: a magic or a shell command"
    for cell in notebook.cells:
        for path in HOST_PATH.findall(cell.source):
            yield f"{cell.id}: a path of one computer: {path!r}"


def _imports(notebook: Any) -> Iterator[str]:
    for number, cell in enumerate(_of_type(notebook, "code")):
        if number and any(isinstance(s, ast.Import | ast.ImportFrom) for s in ast.parse(cell.source).body):
            yield f"{cell.id}: imports belong into the first code cell"


def _pictures(notebook: Any) -> Iterator[str]:
    for cell in _of_type(notebook, "markdown"):
        for image in IMAGE.finditer(cell.source):
            if not (image["alt"] or re.search(r"alt=\"[^\"]+\"", image["attributes"] or "")):
                yield f"{cell.id}: a picture without a text for those who cannot see it"


def _skips(notebook: Any) -> Iterator[str]:
    code = _of_type(notebook, "code")
    skipped = [cell for cell in code if SKIPS & set(cell.metadata.get("tags", ()))]
    if len(skipped) * 10 > len(code):
        yield f"{len(skipped)} of {len(code)} code cells are kept from the tests; at most a tenth may be"
    for cell in skipped:
        if not cell.metadata.get("xiplab", {}).get("why"):
            yield f"{cell.id}: kept from the tests without a reason (metadata xiplab.why)"


def _minutes(notebook: Any) -> Iterator[str]:
    if notebook.metadata.get("xiplab", {}).get("minutes", 0) > MAX_MINUTES:
        yield f"more than {MAX_MINUTES} minutes"


def _points(notebook: Any) -> Iterator[str]:
    for cell in _of_type(notebook, "code"):
        points = cell.metadata.get("nbgrader", {}).get("points")
        checked = CHECK_CALL.findall(cell.source)
        if points is not None and checked and points != question(checked[-1]).points:
            yield f"{cell.id}: {points} points here, {question(checked[-1]).points:g} in the question"


def _links(notebook: Any, folder: Path) -> Iterator[str]:
    for cell in _of_type(notebook, "markdown"):
        for link in LINK.finditer(_prose(cell.source)):
            if not (folder / link["target"]).exists():
                yield f"{cell.id}: the link to {link['target']} leads nowhere"
