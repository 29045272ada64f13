"""The real e2fsprogs as an oracle: its programs on an image in a temporary file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

needs_e2fsprogs = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("mke2fs", "e2fsck", "debugfs")),
    reason="e2fsprogs is not installed")


def real_e2fsck(image: np.ndarray | bytes, folder: Path) -> tuple[int, str]:
    """Exit status (0 is clean) and output of `e2fsck -fn`."""
    path = folder / "checked.img"
    path.write_bytes(image)
    done = subprocess.run(["e2fsck", "-fn", path], capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout.decode(errors="replace")


def real_debugfs(image: np.ndarray | bytes, folder: Path, *requests: str, write: bool = False) -> str:
    """What debugfs prints for some requests; with `write` they may change the file asked.img."""
    path = folder / "asked.img"
    path.write_bytes(image)
    script = folder / "requests"
    script.write_text("\n".join(requests) + "\n")
    options = ["-w"] if write else []
    done = subprocess.run(["debugfs", *options, "-f", script, path], capture_output=True, check=True,
                          timeout=60)
    return "".join(line + "\n" for line in done.stdout.decode(errors="replace").split("\n")
                   if not line.startswith("debugfs: "))


def real_mke2fs(size: int, folder: Path, *options: str) -> bytes:
    """An image by the real mke2fs."""
    path = folder / "made.img"
    path.write_bytes(b"")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext2", *options, path, f"{size // 1024}k"], check=True,
                   capture_output=True, timeout=60)
    return path.read_bytes()
