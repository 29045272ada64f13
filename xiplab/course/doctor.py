"""What this computer has, what is missing, and what still works without it.

    for finding in examine(): print(finding)

Nothing is guessed from a system's name: each capability is tried. Called by `xiplab doctor` and by
the course's first page. Prohibition: nothing is installed or changed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

PACKAGES = ("numpy", "unicorn", "capstone", "jupyterlab", "ipywidgets", "anywidget", "matplotlib", "rich")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Debian keeps mke2fs and e2fsck where only root looks."""


@dataclass(frozen=True)
class Finding:
    """One capability: does it work here, must it, and what is lost without it."""

    name: str
    works: bool
    needed: bool
    without: str

    def __str__(self) -> str:
        verdict = "ok     " if self.works else "MISSING" if self.needed else "absent "
        return f"{verdict}  {self.name}" + ("" if self.works else f": {self.without}")


def has_program(*names: str) -> bool:
    return any(shutil.which(name, path=SYSTEM_PATH) for name in names)


def has_packages() -> bool:
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def has_memfd() -> bool:
    """Anonymous shareable memory, in which the machine's frames lie."""
    if not hasattr(os, "memfd_create"):
        return False
    os.close(os.memfd_create("xiplab"))
    return True


def has_free_port() -> bool:
    from xiplab.course.lab import free_port

    try:
        free_port()
    except OSError:
        return False
    return True


def has_writable_folder() -> bool:
    return os.access(os.getcwd(), os.W_OK) and os.access(tempfile.gettempdir(), os.W_OK)


def has_sandbox() -> bool:
    """bubblewrap is there and may make namespaces (some systems forbid that to programs)."""
    from xiplab.course.sandbox import sandbox

    return sandbox().stands


NEEDED: dict[str, tuple[Callable[[], bool], str]] = {
    "Python 3.11 or later": (lambda: sys.version_info[:2] >= (3, 11), "install it"),
    "packages": (has_packages, f"reinstall xiplab; it needs {', '.join(PACKAGES)}"),
    "writable folder": (has_writable_folder, "go to a folder of your own: the course is copied into it"),
    "free port": (has_free_port, "ports 8888 to 8987 are taken: xiplab lab --port N"),
}
OPTIONAL: dict[str, tuple[Callable[[], bool], str]] = {
    "memfd": (has_memfd, "storage lies in an unnamed mapping or a file instead"),
    "mke2fs, e2fsck (e2fsprogs)": (
        lambda: has_program("mke2fs") and has_program("e2fsck"), "a ready-made image is used instead"),
    "Chromium": (lambda: has_program(*CHROMIUM), "any browser will do; the browser tests are skipped"),
    "bubblewrap": (has_sandbox, "xiplab grade has no sandbox for answers; install it, or allow it user "
                                "namespaces"),
    "qemu-s390x (qemu-user)": (lambda: has_program("qemu-s390x"), "a few tests are skipped"),
    "s390x compiler (gcc-s390x-linux-gnu)": (
        lambda: has_program("s390x-linux-gnu-gcc"), "a few tests are skipped"),
}


def examine() -> list[Finding]:
    """Try everything, the needed first."""
    return [Finding(name, probe(), needed, without)
            for needed, table in ((True, NEEDED), (False, OPTIONAL))
            for name, (probe, without) in table.items()]
