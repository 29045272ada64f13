"""nbgrader takes our built solutions as its source: same release, same points."""

from __future__ import annotations

import copy
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from xiplab.course.answer import Found
from xiplab.course.build import REPOSITORY
from xiplab.course.judge import judge
from xiplab.course.problem import question

EXERCISES = sorted(path.stem for path in (REPOSITORY / "solutions").glob("*.ipynb"))

RIGHT = """# Your turn: 00.2
import warnings
warnings.warn("this costs nothing")
def direct_access(bdev, sector):
    info = bdev.bd_disk.private_data
    if info is None: raise OSError(errno.ENODEV, "x")
    if sector % 8: raise OSError(errno.EINVAL, "x")
    kaddr = info.start + sector * 512
    if kaddr + 4095 > info.end: raise OSError(errno.ERANGE, "x")
    return kaddr, kaddr // 4096
"""
SUBMISSIONS = {
    "blank": None,
    "right": RIGHT,
    "off-by-one": RIGHT.replace("+ 4095", "+ 4096"),
    "ends": RIGHT.replace("return", "import os; os._exit(0); return"),
    "prints": "def direct_access(bdev, sector): print('4.0')",
}


def nbgrader(folder: Path, *words: str) -> None:
    """Run nbgrader, which calls its helpers by name, in a course folder of its own."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=folder, env=environment, check=True,
                   capture_output=True)


def release(folder: Path, exercise: str) -> Any:
    """What generate_assignment makes of a built solution."""
    (folder / "source" / "ps").mkdir(parents=True)
    shutil.copy(REPOSITORY / "solutions" / f"{exercise}.ipynb", folder / "source" / "ps" / "ps.ipynb")
    (folder / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.CourseDirectory.course_id = 'xip'\nc.CourseDirectory.root = {str(folder)!r}\n")
    nbgrader(folder, "generate_assignment", "ps", "--force", "--create")
    return nbformat.read(folder / "release" / "ps" / "ps.ipynb", as_version=4)


def comparable(notebook: Any) -> list[tuple[Any, ...]]:
    """A notebook's cells without the checksum that nbgrader adds."""
    found = []
    for cell in copy.deepcopy(notebook).cells:
        cell.metadata.get("nbgrader", {}).pop("checksum", None)
        found.append((cell.id, cell.cell_type, cell.source, cell.metadata))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("exercise", EXERCISES)
def test_nbgraders_release_equals_our_exercise(tmp_path: Path, exercise: str) -> None:
    """Cell for cell: id, source and metadata."""
    ours = nbformat.read(REPOSITORY / "exercises" / f"{exercise}.ipynb", as_version=4)

    assert comparable(release(tmp_path, exercise)) == comparable(ours)


@pytest.mark.slow
def test_nbgrader_gives_the_points_of_our_judge(tmp_path: Path) -> None:
    """Right, wrong, blank, an answer that ends its process, one that prints a score."""
    blank = release(tmp_path, "00_start")
    expected = {}
    for name, answer in SUBMISSIONS.items():
        submitted = copy.deepcopy(blank)
        cell = next(cell for cell in submitted.cells if cell.id == "q00-2")
        cell.source = cell.source if answer is None else answer
        expected[name] = float(judge(question("00.2"), Found(cell.source)))
        folder = tmp_path / "submitted" / name / "ps"
        folder.mkdir(parents=True)
        nbformat.write(submitted, folder / "ps.ipynb")
    nbgrader(tmp_path, "autograde", "ps", "--create", "--force")
    nbgrader(tmp_path, "export", "--to", "grades.csv")
    with open(tmp_path / "grades.csv", newline="") as grades:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(grades)}

    assert scores == expected
    assert expected == {"blank": 0, "right": 4, "off-by-one": 3, "ends": 0, "prints": 0}
