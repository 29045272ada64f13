"""qemu-s390x beside the model's processor."""

from __future__ import annotations

import shutil

import pytest

from xiplab.host import emulator
from xiplab.tools.programs import PROGRAMS

needs_qemu = pytest.mark.skipif(bool(emulator.unavailable()), reason=emulator.unavailable())


@needs_qemu
def test_run_takes_a_program_and_its_library_by_path() -> None:
    files = {path: (PROGRAMS / path.removeprefix("/mnt/")).read_bytes()
             for path in emulator.files_of("greet")}

    assert emulator.run(files, "greet Ann") == (b"Hello, Ann.\n", 1)


def test_unavailable_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    assert emulator.unavailable() == "qemu-s390x is not installed"
