"""Where the course shows what Linux's own text on execute-in-place says (Documentation/filesystems/xip.txt).

Each sentence of that text is told here in other words, with the cell that shows it:

    where_each_sentence_is_shown()      the table, for a notebook
    markdown()                          the same for the README

A test looks whether the cells exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from xiplab.course.overview import LEFT


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one sentence says, and where it is shown.

    Attributes:
        part: of the text: Motivation, Implementation or Shortcomings.
        notebook: its file's name without the ending. cell: the id of the cell that shows it.
    """

    part: str
    says: str
    notebook: str
    cell: str


_MOTIVATION = (
    ("A mapped file is mapped by way of pages of the page cache.", "01_copies", "map-check"),
    ("read() and write() go through the page cache, too.", "01_copies", "read-check"),
    ("If the storage is memory itself, these pages are copies of it.", "01_copies", "memory-check"),
    ("There are several ways around the second copy.", "01_copies", "cost-table"),
    ("The ramdisk fills the page cache, keeps it, and drops the original.", "01_copies", "trick-check"),
    ("Execute-in-place goes the other way: no copy in the page cache at all.", "00_start", "cost-check"),
    ("read() and write() go straight from and to the storage.", "06_read_write", "read-check"),
    ("A mapping shows the storage itself.", "00_start", "same-check"),
    ("It was written for segments, so that guests can share programs and libraries.", "08_execute",
     "bill-check"),
)
_IMPLEMENTATION = (
    ("It takes three steps: an operation of the block device, one of the address space, and those of the "
     "file.", "00_start", "layers-run"),
    ("direct_access answers where a block lies.", "03_dcssblk", "copy-run"),
    ("That place can be addressed, and stays valid until the device is released.", "03_dcssblk",
     "release-run"),
    ("It is asked with a block device and a sector.", "03_dcssblk", "copy-check"),
    ("Memory technology devices can be used instead.", "09_shortcomings", "pointed-run"),
    ("direct_access is optional; dcssblk has it.", "03_dcssblk", "none-table"),
    ("get_xip_mem answers with an address and a frame number.", "05_get_xip_mem", "there-check"),
    ("It is asked with an address space.", "05_get_xip_mem", "there-check"),
    ("It fills in both answers.", "05_get_xip_mem", "there-run"),
    ("Its third argument says whether to allocate blocks.", "05_get_xip_mem", "create-check"),
    ("It excludes readpage and writepage.", "05_get_xip_mem", "contract-check"),
    ("ext2 has it.", "05_get_xip_mem", "fallback-run"),
    ("File operations that use it are in mm/filemap_xip.c.", "06_read_write", "names-tables-run"),
    ("There are aio, vectored calls and sendfile.", "06_read_write", "names-run"),
    ("do_sync_read and do_sync_write make ordinary calls of them.", "06_read_write", "names-change-run"),
)
_SHORTCOMINGS = (
    ("The storage has to be addressable all the time: no highmem.", "09_shortcomings", "slots-check"),
    ("ROM and RAM are fine; flash that is also written is not.", "09_shortcomings", "busy-check"),
    ("The kernel and its modules are copied all the same.", "09_shortcomings", "modules-check"),
)

SENTENCES = tuple(Sentence(part, *row) for part, rows in (
    ("Motivation", _MOTIVATION), ("Implementation", _IMPLEMENTATION), ("Shortcomings", _SHORTCOMINGS))
    for row in rows)


class Table:
    """Rows of three cells, as text and for notebooks."""

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        self.sentences = sentences

    def __repr__(self) -> str:
        return "\n".join(f"{number:2} {sentence.says}  [{place_of(sentence)}]"
                         for number, sentence in enumerate(self.sentences, 1))

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{number}</td><td {LEFT}>{sentence.part}</td>"
                       f"<td {LEFT}>{escape(sentence.says)}</td><td {LEFT}>{_link(sentence)}</td></tr>"
                       for number, sentence in enumerate(self.sentences, 1))
        return ("<table><thead><tr><th></th><th {LEFT}>part</th><th {LEFT}>the sentence, in other words</th>"
                f"<th {LEFT}>shown in</th></tr></thead><tbody>{rows}</tbody></table>")


def place_of(sentence: Sentence) -> str:
    """The notebook and the cell, as people say it."""
    number = sentence.notebook[:2]
    return f"{number}, cell {sentence.cell}" if sentence.cell else number


def _link(sentence: Sentence) -> str:
    place = escape(place_of(sentence))
    target = f"{sentence.notebook}.ipynb#cell-id={sentence.cell}"
    return f'<a href="{target}">{place}</a>' if sentence.cell else place


def where_each_sentence_is_shown() -> Table:
    """All sentences, in the order of the text."""
    return Table(SENTENCES)


def markdown() -> str:
    """The table for the README."""
    rows = (f"| {number} | {sentence.says} | {place_of(sentence)} |"
            for number, sentence in enumerate(SENTENCES, 1))
    return "\n".join(["| | the sentence, in other words | notebook |", "|---|---|---|", *rows])
