"""What the shipped programs do, and whether qemu-s390x can run them: for tests of guests."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from xiplab.host import emulator
from xiplab.tools.programs import PROGRAMS

needs_qemu = pytest.mark.skipif(bool(emulator.unavailable()), reason=emulator.unavailable())
needs_compiler = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("s390x-linux-gnu-gcc", "make")),
    reason="no cross compiler for s390x, or no make")

TEXT = b"A few lines\nof text.\n"
RUNS = {
    "hello": (b"Hello, reader.\n", 0),
    "hello xip": (b"Hello, xip.\n", 0),
    "cat text text": (2 * TEXT, 0),
    "cat -m text": (TEXT, 0),
    "cat text nothing": (TEXT + b"nothing: error 2\n", 1),
    "crc text": (b"%x text\n" % zlib.crc32(TEXT), 0),
    "sieve": (b"6542\n", 0),
    "sieve 100": (b"25\n", 0),
    "counter": (b"data 42, bss 1, far 1\n", 0),
    "heap 9": (b"45, given back\n", 0),
    "peek text 0 1 21 4095": (b"65\n32\n0\n0\n", 0),
    "peek text 4096": (b"", -7),
    "greet Ann Bob": (b"Hello, Ann.\nHello, Bob.\n", 2),
    "shout ann": (b"Hello, ANN.\n", 1),
    "jump": (b"", -11),
    "wild": (b"", -11),
}
"""Commands, and what they print and end with: an exit status, or minus a signal."""


def shipped_folder(folder: Path) -> Path:
    """The shipped programs below `folder`/mnt, and a file of text."""
    shutil.copytree(PROGRAMS, folder / "mnt", ignore=shutil.ignore_patterns("*.c", "*.S", "*.h"))
    (folder / "text").write_bytes(TEXT)
    return folder


def build(folder: Path, march: str = "z900") -> Path:
    """The programs as the cross compiler makes them now, below `folder`."""
    shutil.copytree(PROGRAMS, folder, ignore=shutil.ignore_patterns("bin", "lib"), dirs_exist_ok=True)
    subprocess.run(["make", "-s", f"MARCH={march}"], check=True, timeout=120, cwd=folder)
    return folder
