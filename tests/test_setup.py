"""What lies around the code: versions, the set-up script, the wheel, and what the README says."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
README = (ROOT / "README.md").read_text()


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The set-up script, with an empty folder as the place for all that it makes."""
    monkeypatch.setenv("XIPLAB_HOME", str(tmp_path))
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- versions

def pins() -> list[Requirement]:
    return [Requirement(line) for line in CONSTRAINTS.splitlines() if line and not line.startswith("#")]


def test_constraints_hold_no_address() -> None:
    assert [line for line in CONSTRAINTS.splitlines() if "://" in line or " @ " in line] == []


@pytest.mark.parametrize("declared", sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"]))
def test_each_declared_package_is_pinned_within_its_bounds(declared: str) -> None:
    wanted = Requirement(declared)
    versions = [pin.specifier for pin in pins() if pin.name.lower() == wanted.name.lower()]

    assert versions != []
    assert all(wanted.specifier.contains(Version(str(version).removeprefix("=="))) for version in versions)


def test_jsonschema_is_the_fast_one() -> None:
    """From 4.25 on, importing nbformat compiles a grammar: two seconds in every process."""
    declared = [Requirement(line) for line in PROJECT["dependencies"]]

    assert [not package.specifier.contains("4.25.0") for package in declared
            if package.name == "jsonschema"] == [True]
    assert "rfc3987-syntax" not in CONSTRAINTS


# ---- what `import xiplab` costs

def python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.run([sys.executable, "-c", code], env=environment,
                          capture_output=True, text=True, check=True).stdout


def test_import_xiplab_is_quick() -> None:
    """Under 0.25 s of the processor where numpy alone takes 0.1 s; a busy computer is slower at both.

    The first import compiles and is not counted."""
    code = ("from time import process_time as now; start = now(); import numpy; numpy_s = now() - start; "
            "import xiplab; print(numpy_s, now() - start)")
    python(code)
    runs = [map(float, python(code).split()) for _ in range(5)]

    assert min(all_s / max(numpy_s / 0.1, 1) for numpy_s, all_s in runs) < 0.25


def test_import_xiplab_loads_no_notebook_widget_or_plot_library() -> None:
    loaded = set(python("import sys, xiplab; print(*sys.modules)").split())
    heavy = {"matplotlib", "ipywidgets", "anywidget", "IPython", "jupyterlab", "nbformat", "rich", "unicorn"}

    assert loaded & heavy == set()


# ---- the set-up script

def test_setup_twice_installs_once(course: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run compares a hash and starts nothing."""
    calls: list[list[str]] = []

    def install(target: list[str]) -> bool:
        calls.append(target)
        course.PYTHON.parent.mkdir(parents=True)
        course.PYTHON.touch()
        return True

    monkeypatch.setattr(course.shutil, "which", lambda name: None)
    monkeypatch.setattr(course, "install_with_pip", install)
    course.setup("[test]")
    course.setup()
    course.setup("[test]")

    assert [target[-1] for target in calls] == [f"{ROOT}[test]"]


def test_setup_without_an_answer_from_uv_takes_pip(
        course: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv does not read pip's settings, so it can fail where pip works."""
    monkeypatch.setattr(course.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(course, "install_with_uv", lambda uv, target: False)
    monkeypatch.setattr(course, "install_with_pip", lambda target: False)

    with pytest.raises(course.SetupError, match="installation failed"):
        course.setup()
    assert not course.is_installed("")


def test_digest_changes_when_the_checkout_moves(
        course: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable install holds the old path."""
    before = course.digest()
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(course, "ROOT", tmp_path)

    assert course.digest() != before


def test_environment_keeps_foreign_python_settings_out(
        course: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")

    assert "PYTHONPATH" not in course.environment()
    assert course.environment()["PIP_USER"] == "0"


def test_too_old_python_goes_on_with_a_newer_one(
        course: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[str] = []
    monkeypatch.setattr(course.sys, "version_info", (3, 9, 6))
    monkeypatch.setattr(course.shutil, "which", lambda name: name if name == "python3.12" else None)
    monkeypatch.setattr(course, "succeeds", lambda *command: True)
    monkeypatch.setattr(course, "become", lambda command: became.append(command[0]))
    with pytest.raises(course.SetupError, match=r"3\.11 or later"):
        course.require_python()

    assert became == ["python3.12"]


def test_read_report_counts_cases(course: ModuleType, tmp_path: Path) -> None:
    report = tmp_path / "unit.xml"
    report.write_text('<testsuites><testsuite><testcase/><testcase><skipped/></testcase>'
                      '<testcase><failure/></testcase><testcase><error/></testcase></testsuite></testsuites>')

    assert course.read_report(report, failed=True) == {"passed": 1, "failed": 2, "skipped": 1}


@pytest.mark.parametrize(("failed", "expected"), [(False, (1, 0)), (True, (0, 1))])
def test_read_report_without_one_is_one_test(
        course: ModuleType, tmp_path: Path, failed: bool, expected: tuple[int, int]) -> None:
    counts = course.read_report(tmp_path / "none.xml", failed)

    assert (counts["passed"], counts["failed"]) == expected


def test_read_report_of_a_run_that_broke_off_is_a_failure(course: ModuleType, tmp_path: Path) -> None:
    """pytest may exit badly though no case failed: nothing collected, or stopped."""
    report = tmp_path / "unit.xml"
    report.write_text("<testsuites><testsuite></testsuite></testsuites>")

    assert course.read_report(report, failed=True)["failed"] == 1


def test_read_figures_gives_what_a_test_recorded(course: ModuleType, tmp_path: Path) -> None:
    report = tmp_path / "browser.xml"
    report.write_text('<testsuites><testsuite><testcase><properties><property name="click" value="50 ms"/>'
                      '</properties></testcase></testsuite></testsuites>')

    assert course.read_figures(report) == ["click: 50 ms"]


# ---- the rules around every test (conftest.py)

LEFT_INTERPOSED = """
from xiplab.trace import OperationsTable, Recording
from dataclasses import dataclass
from typing import Callable

@dataclass(eq=False)
class Ops(OperationsTable):
    read: Callable[[], int]

OPS = Ops(name="ops", read=lambda: 1)

def test_forgets_to_stop_recording():
    Recording().__enter__()
"""
SKIPS = "import pytest\ndef test_skips(): pytest.skip('no tool')\n"
SKIPS_WHOLE = "import pytest\npytest.skip('no tool', allow_module_level=True)\n"


@pytest.mark.slow
@pytest.mark.parametrize(("text", "in_ci", "status"), [
    (SKIPS, "0", 0), (SKIPS, "1", 1), (SKIPS_WHOLE, "0", 5), (SKIPS_WHOLE, "1", 2),
    (LEFT_INTERPOSED, "0", 1)],
    ids=["skip", "skip in CI", "module skipped", "module skipped in CI", "left interposed"])
def test_rules_around_every_test(text: str, in_ci: str, status: int, tmp_path: Path) -> None:
    """A skip fails in CI only; a table that is left interposed fails always."""
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests/conftest.py").read_bytes())
    (tmp_path / "test_it.py").write_text(text)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
                          env={**os.environ, "PYTHONPATH": path, "XIPLAB_CI": in_ci}, cwd=tmp_path,
                          capture_output=True, text=True, check=False)

    assert done.returncode == status, done.stdout


# ---- what is shipped and what is said

@pytest.mark.slow
def test_wheel_carries_the_course_and_not_the_solutions(tmp_path: Path) -> None:
    """Installed from the wheel, without the checkout, the learner's folder can be made."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
                   cwd=ROOT, capture_output=True, check=True)
    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    wheel.extractall(tmp_path / "installed")
    code = (f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r})\n"
            "from xiplab.course import lab; print(*lab.shipped(), sep='\\n')")
    shipped = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                             check=True).stdout.split("\n")
    here = [path.relative_to(ROOT).as_posix() for part in ("notebooks", "exercises")
            for path in (ROOT / part).rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]

    assert here != []
    assert sorted(here) == sorted(name for name in shipped if name.endswith(".ipynb"))
    assert [name for name in wheel.namelist() if "solutions/" in name] == []


def test_ci_and_the_hosted_workflow_run_the_same_script() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci/run")], check=True)

    assert "course.py test" in (ROOT / ".ci/run").read_text()
    assert "run: bash .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()


def test_readme_names_both_forms_of_both_commands() -> None:
    for command in ("make lab", "make test", "python3 course.py lab", "python3 course.py test"):
        assert f"`{command}`" in README
    assert re.search(r"^lab test setup doctor:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_readme_course_map_marks_what_is_written() -> None:
    """A row says "yes" exactly when its notebook is there."""
    rows = dict(re.findall(r"^\| (\d\d) \|.*\| (yes|no) \|$", README, re.MULTILINE))
    written = {path.name[:2] for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}

    assert list(rows) == [f"{number:02}" for number in range(11)]
    assert {number for number, here in rows.items() if here == "yes"} == written
