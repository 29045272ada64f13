"""Notebooks 01, 06 and 07 where the learner's own computer cannot do what they ask: one sentence says so."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from xiplab.host import calls, faults, pagecache

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.mark.parametrize(("name", "module"), [
    ("01_copies", pagecache), ("06_read_write", calls), ("07_mmap", faults)])
def test_without_the_real_system_the_model_runs(
        name: str, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "unavailable", lambda: "nothing can be mapped here")
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)

    assert printed.getvalue().count("Only the model runs here: nothing can be mapped here") == 1
