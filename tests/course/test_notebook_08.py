"""Notebook 08: its gap can be filled, its task be solved, and the learner's own computer agrees with it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from xiplab.host import code, emulator

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "08_execute.ipynb"


@pytest.fixture(scope="module")
def cells() -> dict[str, str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}


def printed(*sources: str) -> list[str]:
    out, names = io.StringIO(), dict[str, Any]()
    with contextlib.redirect_stdout(out):
        for source in sources:
            exec(source, names)
    return out.getvalue().splitlines()


def test_gap_is_filled_by_the_programs_own_entry(cells: dict[str, str]) -> None:
    filled = cells["yours-gap"].replace("experiment.sign()", 'experiment.entry("hello")')

    assert "exit() with 0" in printed(cells["build"], cells["yours-gap"])[-1]
    assert "exit() with 7" in printed(cells["build"], filled)[-1]


def test_task_is_solved_by_what_the_solution_says(cells: dict[str, str]) -> None:
    solution = cells["yours-solution"].split("```python\n")[1].split("```")[0]
    asked = cells["yours-own"].split("\n\n\n")[1]

    assert printed(cells["build"], cells["yours-own"]) == ["not written yet"]
    assert printed(cells["build"], solution, asked) == ["42"]


@pytest.mark.skipif(bool(code.unavailable()), reason=code.unavailable())
def test_own_computer_executes_in_place_and_owns_nothing_of_it(cells: dict[str, str]) -> None:
    assert printed(cells["build"], cells["real-run"]) == [
        "returned 42 with 0 KiB of its own", "returned 43 with 0 KiB of its own"]


@pytest.mark.skipif(bool(emulator.unavailable()), reason=emulator.unavailable())
def test_another_processor_writes_what_the_models_writes(cells: dict[str, str]) -> None:
    assert printed(cells["build"], cells["real-qemu"])[1:] == ["Hello, Ann!", "Hello, Bob!"]


@pytest.mark.parametrize(("cell", "module"), [("real-run", code), ("real-qemu", emulator)])
def test_what_the_own_computer_lacks_is_said_in_one_sentence(
        cells: dict[str, str], cell: str, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "unavailable", lambda: "nothing of that kind is here")

    assert printed(cells["build"], cells[cell]) == [
        "Only the model runs here: nothing of that kind is here"]
