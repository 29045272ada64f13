"""What one learner handed in: found, read with limits, and its cells matched to the questions.

    SUBMISSIONS/                     learner
        ada/00_start.ipynb           ada        a folder for each learner,
        grace.ipynb                  grace      or a file,
        linus.zip                    linus      or an archive of files

Nothing of it is executed or unpacked here, and no name in it is ever used as a path. Whatever
cannot be read becomes a sentence in the report; the other files and learners are not concerned.
A question is looked for in every file, so names and folders do not matter (answer.py says how
cells are matched). Where several files hold an answer, the first that is not the untouched stub
counts: notebooks before Python files, then by name. The learner's progress file is read too, if it
lies in the folder or archive; nothing depends on it but the number of attempts and signals.
"""

from __future__ import annotations

import errno
import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from xiplab.course import progress
from xiplab.course.answer import MAX_FILE, AnswerMissing, Cell, Found, answer_in_cells, parse_cells
from xiplab.course.problem import Question
from xiplab.course.result import printable
from xiplab.course.source import STUB
from xiplab.units import MiB

KINDS = (".ipynb", ".py")
NOTED = progress.FILE_NAME
MAX_FILES = 100
"""Files read of one submission."""

MAX_ENTRIES = 5000
"""Entries of one submission's folder or archive that are looked at."""


@dataclass(frozen=True)
class Submission:
    """One learner's folder or file.

    Attributes:
        learner: the name to show: printable, on one line. path: where it lies.
    """

    learner: str
    path: Path

    def fingerprint(self) -> str:
        """Changes when a file of it is added, removed, resized or written again."""
        digest = hashlib.sha256()
        for path in (self.path, *_files_below(self.path)):
            status = path.lstat()
            digest.update(os.fsencode(f"{path.name}/{status.st_size}/{status.st_mtime_ns}\n"))
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Document:
    """The code cells of one file, by the name to show."""

    name: str
    cells: list[Cell]


class Contents(NamedTuple):
    """What was read of a submission.

    Attributes:
        troubles: what is to be said about files that could not be read.
        noted: the learner's progress file, if it was handed in.
    """

    documents: list[Document]
    troubles: list[str]
    noted: dict[str, Any] | None = None


def shown(name: str) -> str:
    """A file's name as one printable line."""
    return printable("".join(c if c.isprintable() else "�" for c in name), 120)


def submissions_in(folder: Path) -> list[Submission]:
    """Every submission in a folder, by name.

    Raises:
        OSError: ENOENT, ENOTDIR; ENODATA if nothing in it is a submission.
    """
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir() or (path.is_file() and path.suffix in (*KINDS, ".zip")):
            found.append(Submission(shown(path.name if path.is_dir() else path.stem), path))
    if not found:
        raise OSError(errno.ENODATA, f"{folder}: no folder, .ipynb, .py or .zip of a learner in it")
    return found


def read_submission(submission: Submission) -> Contents:
    """The files of a submission."""
    documents, troubles = list[Document](), list[str]()
    noted: dict[str, Any] | None = None
    contents = _archived if submission.path.suffix == ".zip" and submission.path.is_file() else _stored
    try:
        for name, content in contents(submission.path):
            if len(documents) + len(troubles) == MAX_FILES:
                troubles.append(f"More than {MAX_FILES} files; the rest was not read.")
                break
            try:
                if name == NOTED:
                    noted = _noted(content)
                else:
                    documents.append(Document(name, parse_cells(name, content)))
            except AnswerMissing as missing:
                troubles.append(str(missing))
    except (OSError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error,
            EOFError) as failure:
        troubles.append(f"{shown(submission.path.name)}: cannot be read ({shown(str(failure))}).")
    if not documents and not troubles:
        troubles.append("There is no .ipynb or .py file in it.")
    return Contents(sorted(documents, key=lambda d: (not d.name.endswith(".ipynb"), d.name)), troubles, noted)


def _noted(content: bytes) -> dict[str, Any]:
    """A progress file. Raises AnswerMissing if it is none."""
    try:
        if len(content) > MAX_FILE:
            raise ValueError(f"larger than {MAX_FILE // MiB} MiB")
        noted = progress.parse(content)
        progress.broken_logs(noted)
        return noted
    except (ValueError, RecursionError) as failure:
        raise AnswerMissing(f"{NOTED}: cannot be read ({shown(str(failure))}).") from failure


def find_answer(asked: Question, documents: list[Document]) -> Found:
    """The answer to one question in all files of a submission.

    Raises:
        AnswerMissing: if no file holds it.
    """
    found = [(document.name, answer) for document in documents
             if (answer := answer_in_cells(asked, document.cells)) is not None]
    if not found:
        raise AnswerMissing(f"No cell begins with {asked.marker!r}.")
    written = [(name, answer) for name, answer in found if STUB[0] not in answer.source] or found
    name, answer = written[0]
    others = ", ".join(other for other, _ in written[1:])
    again = (f"The answer stands in {name} and in {others}; the one in {name} counts.",) if others else ()
    return Found(answer.source, (*answer.notes, *again))


def is_read(name: str) -> bool:
    """Whether a file of this name is looked into."""
    return name.endswith(KINDS) or name == NOTED


def _files_below(folder: Path) -> Iterator[Path]:
    """The files of a submission's folder that are read: no links, nothing hidden."""
    seen = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            seen += 1
            if seen > MAX_ENTRIES:
                return
            path = Path(parent, name)
            if is_read(name) and not name.startswith(".") and not path.is_symlink() and path.is_file():
                yield path


def _stored(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, at most one byte more than is allowed."""
    single = [path] if path.is_file() else []
    for file in (*single, *_files_below(path)):
        with file.open("rb") as opened:
            yield shown(file.name), opened.read(MAX_FILE + 1)


def _archived(path: Path) -> Iterator[tuple[str, bytes]]:
    """The same from an archive; its sizes are claims, so that reading stops at the limit too."""
    if path.stat().st_size > MAX_FILES * MAX_FILE:
        raise ValueError(f"larger than {MAX_FILES * MAX_FILE // MiB} MiB")
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist()[:MAX_ENTRIES]:
            parts = entry.filename.split("/")
            if is_read(parts[-1]) and not any(part.startswith((".", "__MACOSX")) and part != ".."
                                                          for part in parts):
                with archive.open(entry) as opened:
                    yield shown(parts[-1]), opened.read(MAX_FILE + 1)
