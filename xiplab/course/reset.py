"""An answer afresh: the cell of a question as it was shipped; the learner's file is kept under a date.

    reset("00.2")     brings back that cell in the exercise's file here, or in exercises/
    reset("00")       brings back the whole file

    exercises/00_start.ipynb                        the cell is new, all else is as it was
    exercises/00_start.ipynb.2026-11-22T21-40-03    what was there before

The copy's name does not end like a notebook's, so that no grader takes it for an answer.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from xiplab.course.answer import PERCENT_CELL, exercise_files
from xiplab.course.lab import shipped
from xiplab.course.problem import Question, question, questions


def full_id(id: str) -> str:
    """A question's or exercise's number as it is written in full: "3.2" is "03.2"."""
    exercise, dot, number = id.partition(".")
    return f"{exercise.zfill(2)}{dot}{number}"


def reset(id: str, path: Path | None = None) -> tuple[Path, Path]:
    """Bring back one answer, or with an exercise's number its whole file.

    Args:
        path: the learner's file; without it, the one that was saved last.
    Returns:
        the file, and the copy of what it was.
    Raises:
        OSError: ENOENT for an unknown question, or without a file or cell to bring back; EINVAL for a
            file that is no notebook; EEXIST if there is a copy of this very second.
    """
    id = full_id(id)
    exercise = id.partition(".")[0]
    asked = question(id) if "." in id else questions(exercise)[0]
    path = path or last_saved(exercise)
    fresh = fresh_file(exercise, path.suffix).read_text(encoding="utf-8")
    if "." in id:
        bring_back = _in_notebook if path.suffix == ".ipynb" else _in_script
        fresh = bring_back(asked, path, path.read_text(encoding="utf-8"), fresh)
    copy = path.with_name(f"{path.name}.{datetime.now():%Y-%m-%dT%H-%M-%S}")
    if copy.exists():
        raise OSError(errno.EEXIST, f"{copy.name}: is there already; try again in a second")
    shutil.copy2(path, copy)
    part = path.with_suffix(".part")
    part.write_text(fresh, encoding="utf-8")
    os.replace(part, path)
    return path, copy


def last_saved(exercise: str) -> Path:
    """The learner's file of an exercise. Raises OSError: ENOENT if there is none here."""
    files = exercise_files(exercise)
    if not files:
        raise OSError(errno.ENOENT, f"no file {exercise}_*.ipynb or .py here, nor in exercises/")
    return max(files, key=lambda file: file.stat().st_mtime)


def fresh_file(exercise: str, suffix: str) -> Path:
    """The file of an exercise as it is shipped."""
    found = [path for name, path in shipped().items()
             if name.startswith(f"exercises/{exercise}_") and path.suffix == suffix]
    if not found:
        raise OSError(errno.ENOENT, f"exercise {exercise}: no {suffix} file of it is shipped")
    return found[0]


def _in_notebook(asked: Question, path: Path, text: str, fresh: str) -> str:
    """The notebook with that cell as in the fresh one; copies of the cell are left out."""
    try:
        data = json.loads(text)
        mine = [cell for cell in data["cells"] if _belongs(asked, cell)]
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise OSError(errno.EINVAL, f"{path.name}: this is not a notebook file") from failure
    if not mine:
        raise _no_cell(asked, path)
    new = next(cell for cell in json.loads(fresh)["cells"] if cell["id"] == asked.cell_id)
    data["cells"] = [new if cell is mine[0] else cell
                     for cell in data["cells"] if cell is mine[0] or not any(cell is one for one in mine)]
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _belongs(asked: Question, cell: dict[str, Any]) -> bool:
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    grade_id = cell.get("metadata", {}).get("nbgrader", {}).get("grade_id")
    return cell["cell_type"] == "code" and (
        asked.cell_id in (cell.get("id"), grade_id) or source.lstrip().startswith(asked.marker))


def _in_script(asked: Question, path: Path, text: str, fresh: str) -> str:
    """The Python file with that cell as in the fresh one."""
    pieces, new = _script_cells(text), _script_cells(fresh)
    places = [number for number, (name, piece) in enumerate(pieces)
              if name == asked.cell_id or piece.partition("\n")[2].lstrip().startswith(asked.marker)]
    if not places:
        raise _no_cell(asked, path)
    pieces[places[0]] = next(cell for cell in new if cell[0] == asked.cell_id)
    return "".join(piece for _, piece in pieces)


def _script_cells(text: str) -> list[tuple[str, str]]:
    """A file in cells: (name, text with its header); what stands before the first has no name."""
    pieces = [("", "")]
    for line in text.splitlines(keepends=True):
        head = PERCENT_CELL.match(line.rstrip("\r\n"))
        if head is not None:
            pieces.append((re.sub(r"\s+", " ", head["title"].strip()), line))
        else:
            name, piece = pieces[-1]
            pieces[-1] = (name, piece + line)
    return pieces


def _no_cell(asked: Question, path: Path) -> OSError:
    return OSError(errno.ENOENT, f"{path.name}: no cell begins with {asked.marker!r}; "
                                 f"xiplab reset {asked.id.partition('.')[0]} brings back the whole file")
