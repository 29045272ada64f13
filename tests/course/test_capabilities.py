"""Notebooks on computers that lack something: they run, and say in one sentence what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from without import CAPABILITIES

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
LITE = {"00", "01", "02", "03", "04", "05", "06", "07", "09", "10"}
"""These run where there is nothing of an operating system and no emulator; docs/places.md names them."""
SAY = {"memfd": {"05", "08"}, "mapped files": {"00", "02", "03", "08"}, "processes": {"00", "02", "07", "08"},
       "proc": {"01"}, "calls": {"06"}, "programs": {"08"}, "temporary files": {"01", "02", "03", "06", "08"}}
"""The notebooks that miss it, some of them."""


def lines_without(capability: str, folder: Path, notebooks: list[Path]) -> list[str]:
    """What the runs say, in a process and a folder of their own."""
    program = Path(__file__).with_name("without.py")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run([sys.executable, program, capability, *notebooks], check=False, text=True,
                          cwd=folder, capture_output=True, timeout=240,
                          env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("capability", SAY)
def test_without_a_capability_every_notebook_runs_and_says_so(capability: str, tmp_path: Path) -> None:
    lines = lines_without(capability, tmp_path, NOTEBOOKS)

    assert [line for line in lines if " says " not in line] == [f"{path.name[:2]} ok" for path in NOTEBOOKS]
    assert SAY[capability] <= {line[:2] for line in lines if " says " in line}


@pytest.mark.slow
def test_lite_notebooks_run_without_an_operating_system(tmp_path: Path) -> None:
    lite = [path for path in NOTEBOOKS if path.name[:2] in LITE]
    lines = lines_without("system", tmp_path, lite)

    assert [line for line in lines if " says " not in line] == [f"{path.name[:2]} ok" for path in lite]


def test_every_capability_is_switched_off() -> None:
    assert {*SAY, "system"} == set(CAPABILITIES)


def test_lite_list_stands_in_the_documents() -> None:
    assert f"Lite: {', '.join(sorted(LITE))}." in (ROOT / "docs" / "places.md").read_text(encoding="utf-8")
