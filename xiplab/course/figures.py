"""Numbers in the prose of a notebook, and the cells that they come from.

    without_a_cell(notebook, elsewhere)     the numbers that no cell shows, each with its words

A number of the prose stands in the code or in the printed output of a cell of the same section. What is
folded away (recall questions, solutions) and sections without code may use the cells of the whole course,
`elsewhere`. These are no claims and need no cell: versions, years, minutes, numbers of notebooks and
exercises, what a table of words defines, sizes that units.py defines, and labels, as in "page 1".
Numbers in words ("three tasks") are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from xiplab.units import PAGE_SIZE, SECTOR_SIZE

NUMBER = re.compile(r"(?<![\w.,#-])\d[\d,]*(?![\w]|\.\d|,\d)")
NO_CLAIM = re.compile(
    r"```.*?```|`[^`]*`|\[[^\]]*\]\([^)]*\)|<[^>]+>"            # code, links, markup
    r"|^#[^\n]*$|^\|[^\n]*$|^\d+\. |\*\*Time:\*\* \d+"            # headings, tables, lists, minutes
    r"|\b(?:notebooks?|exercises?) \d\d(?:(?: to |, | and )\d\d)*"
    r"|\d+\.\d[\w.-]*|\b(?:19|20)\d\d\b"                        # versions, years
    r"|\b(?:base|page|slot|block|sector|byte|inode|step)s? \d[\d,]*(?:(?: to | and |, )\d[\d,]*)*",
    re.S | re.M | re.I)
FOLDED = re.compile(r"<details>.*?</details>", re.S)
SECTION = re.compile(r"^## ", re.M)
DEFINED = {str(PAGE_SIZE), str(SECTOR_SIZE)}


def numbers_in(text: str) -> set[str]:
    """Every number in a text, without its commas."""
    return {digits.replace(",", "") for digits in re.findall(r"\d[\d,]*", text)}


def source_of(cell: Any) -> str:
    return "".join(cell["source"])


def numbers_of(cell: Any) -> set[str]:
    """The numbers in a code cell's source and in what it printed; a widget's table does not count."""
    if cell["cell_type"] != "code":
        return set()
    found = numbers_in(source_of(cell))
    for output in cell["outputs"]:
        data = output.get("data", {})
        shown = [output.get("text", ""), data.get("text/plain", "")]
        if not any("widget" in kind for kind in data):
            shown.append(data.get("text/html", ""))
        found |= numbers_in("\n".join("".join(text) for text in shown))
    return found


def numbers_of_all(notebooks: Iterable[Any]) -> set[str]:
    """The numbers that some cell of some notebook shows."""
    return {number for notebook in notebooks for cell in notebook["cells"] for number in numbers_of(cell)}


def sections_of(notebook: Any) -> list[list[Any]]:
    """The cells of a notebook, a list for each heading of the second level."""
    sections: list[list[Any]] = [[]]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and SECTION.search(source_of(cell)):
            sections.append([])
        sections[-1].append(cell)
    return sections


def without_a_cell(notebook: Any, elsewhere: set[str]) -> Iterator[str]:
    """The numbers of the prose that no cell shows: the cell's name, the number, the words around it."""
    for section in sections_of(notebook):
        near = {number for cell in section for number in numbers_of(cell)} | DEFINED
        has_code = any(cell["cell_type"] == "code" for cell in section)
        for cell in section:
            if cell["cell_type"] == "markdown":
                text = source_of(cell)
                open_text = FOLDED.sub(" ", text)
                yield from _missing(cell["id"], open_text, near if has_code else near | elsewhere)
                yield from _missing(cell["id"], " ".join(FOLDED.findall(text)), near | elsewhere)


def _missing(name: str, text: str, known: set[str]) -> Iterator[str]:
    claims = NO_CLAIM.sub(" ", text)
    for found in NUMBER.finditer(claims):
        if found.group().replace(",", "") not in known:
            around = " ".join(claims[max(0, found.start() - 40):found.end() + 30].split())
            yield f"{name}: {found.group()} in “{around}”"
