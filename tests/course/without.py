"""Run notebooks' code cells on a computer that lacks something: a program for a process of its own.

    python without.py CAPABILITY NOTEBOOK...

Prints "NOTEBOOK ok" or "NOTEBOOK failed: why" for each, and what the notebook said of what is missing.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SENTENCE = "Only the model runs here: "


def refuse(*args: Any, **kwargs: Any) -> Any:
    raise OSError(38, "Function not implemented")


def hide(*names: str) -> None:
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]


def no_memfd() -> None:
    del os.memfd_create


def no_mapped_files() -> None:
    """Anonymous memory can be had, a file cannot be mapped."""
    real = mmap.mmap

    class Anonymous(real):  # type: ignore[valid-type, misc]
        def __new__(cls, fileno: int, length: int, *args: Any, **kwargs: Any) -> Any:
            return refuse() if fileno != -1 else real.__new__(cls, fileno, length, *args, **kwargs)

    mmap.mmap = Anonymous  # type: ignore[misc]


def no_processes() -> None:
    subprocess.Popen = refuse  # type: ignore[misc, assignment]
    os.fork = refuse  # type: ignore[assignment]


def no_proc() -> None:
    """/proc is not mounted."""
    real, access = builtins.open, os.access

    def opened(file: Any, *args: Any, **kwargs: Any) -> Any:
        return refuse() if str(file).startswith("/proc") else real(file, *args, **kwargs)

    builtins.open = io.open = opened
    os.access = lambda path, *args, **kwargs: not str(path).startswith("/proc") and access(
        path, *args, **kwargs)


def no_calls() -> None:
    """preadv, sendfile and the like are missing from os."""
    for name in ("preadv", "pwritev", "sendfile", "posix_fallocate"):
        if hasattr(os, name):
            delattr(os, name)


def no_programs() -> None:
    """No program is on the PATH: no qemu, no mke2fs."""
    os.environ["PATH"] = ""
    shutil.which = lambda *args, **kwargs: None  # type: ignore[assignment]


def no_temporary_files() -> None:
    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp", "mkdtemp"):
        setattr(tempfile, name, refuse)


def no_system() -> None:
    """Like Python in a browser: one process, nothing of the operating system, no emulator."""
    no_memfd()
    no_mapped_files()
    no_processes()
    no_proc()
    no_calls()
    no_temporary_files()
    hide("termios", "unicorn", "capstone")


CAPABILITIES: dict[str, Callable[[], None]] = {
    "memfd": no_memfd, "mapped files": no_mapped_files, "processes": no_processes, "proc": no_proc,
    "calls": no_calls, "programs": no_programs, "temporary files": no_temporary_files, "system": no_system}


def run(path: Path) -> str:
    """Run the code cells; "" or why they fail."""
    names: dict[str, Any] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            try:
                exec("".join(cell["source"]), names)
            except Exception as failure:
                return f"{cell['id']}: {type(failure).__name__}: {failure}"
    return ""


def main(capability: str, paths: list[str]) -> None:
    CAPABILITIES[capability]()
    for path in map(Path, paths):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            why = run(path)
        print(path.name[:2], f"failed: {why}" if why else "ok")
        for line in printed.getvalue().splitlines():
            if line.startswith(SENTENCE):
                print(path.name[:2], "says", line.removeprefix(SENTENCE))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
