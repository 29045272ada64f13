"""What a learner and a teacher wait for: the import, a widget's update, the judge, a notebook, grades."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from benchmarks.figures import Figure, Missing
from benchmarks.workload import Sample
from xiplab.course.answer import answer_in_file
from xiplab.course.judge import judge
from xiplab.course.problem import question

ROOT = Path(__file__).resolve().parent.parent
VIEWS = (("copies", "Disk", "CopiesView"), ("segments", "Segments", "SegmentsView"),
         ("devices", "Devices", "DevicesView"), ("ext2_bytes", "Ext2Bytes", "Ext2BytesView"),
         ("block_map", "BlockMap", "BlockMapView"), ("read_write", "ReadWrite", "ReadWriteView"),
         ("mapping", "MapInPlace", "MapInPlaceView"), ("execute", "Execute", "ExecuteView"),
         ("flash", "Flash", "FlashView"), ("highmem", "Highmem", "HighmemView"),
         ("modules", "Loading", "LoadingView"), ("own_computer", "OwnComputer", "OwnComputerView"))
"""Module, experiment and view of the widgets of notebooks 01 to 10."""

IMPORT = "import time; start = time.process_time(); import {}; print(time.process_time() - start)"
GRADER = """c = get_config()
c.CourseDirectory.course_id = "bench"
c.CourseDirectory.root = {!r}
"""


def repeated(action: Callable[[], object], rounds: int) -> Sample:
    """Seconds on the clock: others work for us here."""
    sample = Sample()
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        sample.values.append(time.perf_counter() - start)
    return sample


def importing(module: str, rounds: int) -> Sample:
    """Seconds of processor time in a new Python."""
    return Sample([float(subprocess.run([sys.executable, "-c", IMPORT.format(module)], check=True,
                                        cwd=ROOT, capture_output=True).stdout) for _ in range(rounds)])


def import_time(rounds: int) -> Figure:
    return Figure("import xiplab", "s", importing("xiplab", rounds), "0.25 s", "import numpy",
                  importing("numpy", rounds))


def step_times(module: str, experiment: str, view: str, rounds: int) -> Sample:
    """Milliseconds from a press of Step to the new picture, without a browser."""
    stage = getattr(import_module(f"xiplab.course.experiments.{module}"), experiment)()
    shown = getattr(import_module(f"xiplab.widgets.{module}"), view)(stage)
    sample = repeated(stage.step, rounds)
    shown.close()
    return Sample([1e3 * value for value in sample.values])


def widget_update(rounds: int) -> Figure:
    """The slowest of the widgets."""
    times = {names[0]: step_times(*names, rounds) for names in VIEWS}
    slowest = max(times, key=lambda name: times[name].median)
    return Figure(f"widget: event to picture, the slowest of {len(VIEWS)} ({slowest})", "ms", times[slowest],
                  "100 ms with the browser")


def judging(rounds: int) -> Figure:
    asked = question("00.2")
    found = answer_in_file(asked, ROOT / "solutions" / "00_start.ipynb")
    return Figure("judge a question (00.2)", "s", repeated(lambda: judge(asked, found), rounds), "1 s")


def notebook_run(paths: list[Path]) -> Figure | Missing:
    """Each notebook once, as the builder runs it; the slowest is told."""
    what = f"run a notebook, the slowest of {len(paths)}"
    try:
        import nbformat

        from xiplab.course.build import execute
    except ModuleNotFoundError as absent:
        return Missing(what, f"{absent.name} is not installed")
    taken = {}
    for path in paths:
        run = partial(execute, nbformat.read(path, as_version=4), path.parent)
        taken[path.stem] = repeated(run, 1)
    slowest = max(taken, key=lambda name: taken[name].median)
    return Figure(f"{what} ({slowest})", "s", taken[slowest])


def nbgrader(folder: Path, *words: str) -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=folder, env=environment, check=True,
                   capture_output=True)


def nbgrader_times(folder: Path, submission: Path) -> Sample:
    """Seconds to grade one submission of an exercise that nbgrader has released."""
    (folder / "nbgrader_config.py").write_text(GRADER.format(str(folder)))
    source = folder / "source" / "ps"
    source.mkdir(parents=True)
    shutil.copy(ROOT / "solutions" / submission.name, source / "ps.ipynb")
    nbgrader(folder, "generate_assignment", "ps", "--force", "--create")
    submitted = folder / "submitted" / "learner" / "ps"
    submitted.mkdir(parents=True)
    shutil.copy(source / "ps.ipynb", submitted / "ps.ipynb")
    return repeated(lambda: nbgrader(folder, "autograde", "ps", "--create", "--force"), 1)


def grading() -> Figure:
    """A submission of exercise 00, all questions right: our command, and nbgrader's where it is installed."""
    submission = ROOT / "solutions" / "00_start.ipynb"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "class").mkdir()
        shutil.copy(submission, folder / "class" / "learner.ipynb")
        words = [sys.executable, "-m", "xiplab", "grade", str(folder / "class"), "--out", str(folder / "out"),
                 "--exercise", "00", "--workers", "1"]
        ours = repeated(lambda: subprocess.run(words, cwd=ROOT, check=True, capture_output=True), 1)
        other = nbgrader_times(folder, submission) if find_spec("nbgrader") else None
    beside = "nbgrader autograde" + ("" if other else ": not installed")
    return Figure("grade a submission of exercise 00", "s", ours, "5 s", beside, other)


def figures(rounds: int, quick: bool) -> Iterator[Figure | Missing]:
    notebooks = sorted((ROOT / "notebooks").glob("[01]*.ipynb"))
    yield import_time(rounds)
    yield widget_update(4 * rounds)
    yield judging(rounds)
    yield notebook_run(notebooks[:1] if quick else notebooks)
    if not quick:
        yield grading()
