"""A wall around the processes in which answers run, where bubblewrap exists.

    judge (outside)                 worker (inside)
    devices, recording, checks  <->  the answer, on its two pipes

    seen inside    /usr, Python, installed packages; of xiplab a copy (masked.py) without the course and
                   without the functions that questions ask for                    all read-only
    writable       /tmp (64 MiB) and /dev/shm (1 MiB), both new and in memory
    not there      network, other processes, home, solutions, checks, submissions

    wall = sandbox()                whether one stands here, or why not
    in_bubblewrap(command)          the command that starts `command` inside, as process 1

forks.py starts one for a submission. The worker's own limits (processor time, memory, files,
processes) hold inside too: it sets them before the answer runs and cannot raise them, as all
capabilities are gone. For root, who is bound by no limit on processes, the command first becomes
another user; a user namespace would not help.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from xiplab.course import fork_server, worker
from xiplab.course.masked import PACKAGE
from xiplab.course.process import package_folders
from xiplab.units import MiB

TMP_SIZE = 64 * MiB
SHM_SIZE = 1 * MiB
NOBODY_IN_PARTICULAR = 60_000
"""First of the user ids that root gives to workers, one for each judging process."""


@dataclass(frozen=True)
class Wall:
    """Whether answers can be kept in a sandbox here, and what a report says of it."""

    stands: bool
    text: str


@functools.cache
def sandbox() -> Wall:
    """The sandbox of this system, tried once; without one, what is missing."""
    if which("bwrap") is None:
        return _no_wall("bubblewrap is not installed")
    probe = in_bubblewrap([sys.executable, "-I", "-S", "-c", ""])
    try:
        tried = subprocess.run(probe, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as failure:
        return _no_wall(str(failure))
    if tried.returncode:
        why = tried.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["bwrap failed"]
        return _no_wall(why[0])
    return Wall(True, "sandboxed (bubblewrap)")


def _no_wall(why: str) -> Wall:
    return Wall(False, f"not sandboxed ({why}): only the worker's own limits hold")


def in_bubblewrap(command: list[str], package: Path = PACKAGE) -> list[str]:
    """The command that runs `command` inside. The order of options is that of the mounts.

    Args:
        package: the folder to show as the package.
    """
    as_root = os.geteuid() == 0
    return ["bwrap", *(_unshared_by_root() if as_root else _unshared()),
            "--as-pid-1", "--die-with-parent", "--new-session",
            *_system(),
            "--proc", "/proc", "--dev", "/dev",
            "--size", str(SHM_SIZE), "--perms", "1777", "--tmpfs", "/dev/shm",
            "--size", str(TMP_SIZE), "--perms", "1777", "--tmpfs", "/tmp",
            *_packages(), *_course(package),
            "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp",
            *(_other_user() if as_root else []), *command]


def _unshared() -> list[str]:
    return ["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]


def _unshared_by_root() -> list[str]:
    """Without a user namespace: inside one, root could not become another user."""
    return ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]


def _other_user() -> list[str]:
    user = str(NOBODY_IN_PARTICULAR + os.getpid() % 5000)
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--bounding-set=-all",
            "--inh-caps=-all", "--no-new-privs"]


def _system() -> list[str]:
    """/usr, and beside it the links or folders that point into it."""
    options = ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/lib", "/lib64"):
        if os.path.islink(name):
            options += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            options += ["--ro-bind", name, name]
    cache = "/etc/ld.so.cache"
    return [*options, "--perms", "0755", "--dir", "/etc", "--ro-bind-try", cache, cache]


def _packages() -> list[str]:
    """Python and what is installed; parents of mode 0755, so that another user gets through."""
    folders = {Path(sys.prefix), Path(sys.base_prefix), *map(Path, package_folders()[:-1])}
    options = list[str]()
    for folder in sorted(folders):
        above = {Path("/usr"), *(other for other in folders if other != folder)}
        if folder.is_dir() and not any(folder == other or other in folder.parents for other in above):
            options += _bound(folder)
    return options


def _course(package: Path) -> list[str]:
    """The package; in place of its course, with the checks, there are the scripts of the worker alone."""
    course = str(PACKAGE / "course")
    options = [*_bound(package, PACKAGE), "--size", str(MiB), "--perms", "0755", "--tmpfs", course]
    for module in (worker, fork_server):
        script = str(Path(module.__file__ or "").resolve())
        options += ["--ro-bind", script, script]
    return [*options, "--remount-ro", course]


def _bound(folder: Path, shown: Path | None = None) -> list[str]:
    """`folder`, to be seen as `shown`, by everybody."""
    place = shown or folder
    parents = [option for parent in reversed(place.parents[:-1])
               for option in ("--perms", "0755", "--dir", str(parent))]
    return [*parents, "--ro-bind", str(folder), str(place)]
