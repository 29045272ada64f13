#!/usr/bin/env python3
"""Set up, open and test the course with nothing but Python 3.11 and this checkout.

    python3 course.py lab     install what is needed, open the course in JupyterLab
    python3 course.py test    install what is needed, run all tests
    python3 course.py setup   install only
    python3 course.py doctor  say what is missing on this computer, and what works without it

The packages go to `.venv`, caches and reports to `.state`, the learner's copy of the course to
`xiplab-course`. All three lie in the checkout, or in the folder that the environment variable
XIPLAB_HOME names (for a read-only checkout). Nothing else is written. With XIPLAB_HERE=1 the
packages go into the environment of the Python that runs this, for images that hold one course.

A stamp in `.venv` holds a hash of what was asked for, so a second run compares, does nothing and
needs no network. `uv` installs when it is there (XIPLAB_UV=0: not), pip otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
HOME = Path(os.environ.get("XIPLAB_HOME") or ROOT).resolve()
VENV = Path(sys.prefix) if os.environ.get("XIPLAB_HERE") == "1" else HOME / ".venv"
STATE = HOME / ".state"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CONSTRAINTS = ROOT / "constraints.txt"


class SetupError(Exception):
    """The set-up cannot go on; the text says what to do."""


def succeeds(*command: str | Path) -> bool:
    """Whether a command works; its output is dropped."""
    return subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode == 0


def become(command: list[str]) -> None:
    """Go on as another program, so that no process is left between it and the terminal."""
    if os.name == "nt":
        sys.exit(subprocess.call(command, env=environment()))
    sys.stdout.flush()
    os.execve(command[0], command, environment())


# ---- a Python that is new enough and can make environments

def require_python() -> None:
    """Go on with a newer Python from the PATH if this one is too old."""
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return
    for minor in range(OLDEST_PYTHON[1] + 9, OLDEST_PYTHON[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer and succeeds(newer, "-c", ""):
            become([newer, *sys.argv])
    raise SetupError(f"this is Python {sys.version.split()[0]}; the course needs Python 3.11 or later")


def has_ensurepip() -> bool:
    """Debian and Ubuntu ship Python without the module that puts pip into an environment."""
    return succeeds(sys.executable, "-c", "import ensurepip")


def debian_pip() -> Path | None:
    """pip as Debian and Ubuntu keep it: a wheel in a package, which anyone may download and unpack."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    folder = STATE / "pip"
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        succeeds("apt-get", "update")
    subprocess.run(["apt-get", "download", "python3-pip-whl"], cwd=folder, capture_output=True, check=False)
    for package in folder.glob("*.deb"):
        succeeds("dpkg-deb", "-x", package, folder)
    return next(folder.glob("usr/share/python-wheels/pip-*.whl"), None)


# ---- installing

def environment() -> dict[str, str]:
    """What every child process gets: no foreign Python settings, and all derived files in STATE."""
    foreign = {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    jupyter = {f"JUPYTER_{name}_DIR": str(STATE / "jupyter" / name.lower())
               for name in ("CONFIG", "DATA", "RUNTIME")}
    # Debian keeps mke2fs and e2fsck where only root looks.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return kept | jupyter | {
        "PATH": path,
        "IPYTHONDIR": str(STATE / "ipython"), "MPLCONFIGDIR": str(STATE / "matplotlib"),
        "XIPLAB_BROWSER_ARTIFACTS": str(STATE / "browser"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(STATE / "hypothesis"),
        "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_PYTHON_DOWNLOADS": "never"}


def digest() -> str:
    """Changes when the requirements change, and when the checkout was moved."""
    parts = [str(ROOT).encode(), (ROOT / "pyproject.toml").read_bytes(), CONSTRAINTS.read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def stamp(extra: str) -> Path:
    return VENV / f"installed{extra}"


def is_installed(extra: str) -> bool:
    return PYTHON.exists() and stamp(extra).exists() and stamp(extra).read_text() == digest()


def run_all(*commands: list[str]) -> bool:
    return all(subprocess.run(command, env=environment(), check=False).returncode == 0
               for command in commands)


def install_with_uv(uv: str, target: list[str]) -> bool:
    return run_all([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV)],
                   [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(PYTHON), *target])


def install_with_pip(target: list[str]) -> bool:
    fill = [str(PYTHON), "-m", "pip", "install", "-qq", "--no-input", *target]
    if PYTHON.exists() and succeeds(PYTHON, "-m", "pip", "--version"):
        return run_all(fill)
    make = [sys.executable, "-m", "venv", "--clear"]
    if has_ensurepip():
        return run_all([*make, str(VENV)], fill)
    pip = debian_pip()
    if pip is None:
        raise SetupError("this Python cannot make environments; "
                         f"first: sudo apt install python3.{sys.version_info[1]}-venv")
    return run_all([*make, "--without-pip", str(VENV)],
                   [str(PYTHON), f"{pip}/pip", "install", "-qq", "pip"], fill)


def setup(extra: str = "") -> None:
    """Fill `.venv` with the package (editable) and the packages of `extra`, once."""
    if is_installed(extra):
        return
    print(f"Installing into {VENV} (once, about a minute) ...", flush=True)
    started = time.monotonic()
    target = ["--constraint", str(CONSTRAINTS), "--editable", f"{ROOT}{extra}"]
    uv = None if os.environ.get("XIPLAB_UV") == "0" else shutil.which("uv")
    # uv does not read pip's settings, so it can fail where pip works.
    if not (uv and install_with_uv(uv, target)) and not install_with_pip(target):
        raise SetupError("the installation failed; the lines above say why")
    for name in {"", extra}:
        stamp(name).write_text(digest())
    print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)


# ---- opening

def lab(folder: str, options: list[str]) -> None:
    setup()
    become([str(PYTHON), "-m", "xiplab", "lab", folder, *options])


def doctor() -> None:
    print(f"Python {sys.version.split()[0]} at {sys.executable}")
    if is_installed(""):
        become([str(PYTHON), "-m", "xiplab", "doctor"])
    print("Nothing is installed yet: python3 course.py setup")
    if not (has_ensurepip() or shutil.which("uv") or shutil.which("apt-get")):
        print("That needs Python's module ensurepip or the program uv; neither is here.")


# ---- testing

def test_parts() -> dict[str, list[str]]:
    """The parts of the test command, each a call of the environment's Python."""
    pytest = ["-m", "pytest", "-q", "-o", f"cache_dir={STATE / 'pytest'}"]
    nbval = ["--nbval-current-env", "--nbval-cell-timeout=60"]
    return {
        "style": ["-m", "ruff", "check", "--cache-dir", str(STATE / "ruff"), "."],
        "types": ["-m", "mypy", "--strict", "--cache-dir", str(STATE / "mypy"), "xiplab", "course.py"],
        "build": ["-m", "xiplab", "build", "--check"],
        "unit": [*pytest, "-m", "not browser", "tests"],
        "notebooks": [*pytest, "--nbval", *nbval, "--nbval-sanitize-with", "tests/sanitize.cfg",
                      "notebooks", "solutions"],
        "exercises": [*pytest, "--nbval-lax", *nbval, "exercises"],
        "browser": [*pytest, "-m", "browser", "tests"],
    }


def read_report(report: Path, failed: bool) -> dict[str, int]:
    """The counts of pytest's report; a part that writes none is one test."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            counts["failed" if kinds & {"failure", "error"} else
                   "skipped" if "skipped" in kinds else "passed"] += 1
    elif not failed:
        counts["passed"] = 1
    if failed and not counts["failed"]:
        counts["failed"] = 1
    return counts


def in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in counts.items())


def read_figures(report: Path) -> list[str]:
    """What the tests have measured and recorded, for people to read."""
    properties = ElementTree.parse(report).iter("property") if report.exists() else ()
    return [f"{figure.get('name')}: {figure.get('value')}" for figure in properties
            if not str(figure.get("name")).startswith("hypothesis")]


def run_part(name: str, command: list[str], report: Path) -> dict[str, int]:
    print(f"\n== {name}: python {shlex.join(command)}", flush=True)
    report.unlink(missing_ok=True)
    junit = [f"--junitxml={report}"] if "pytest" in command else []
    # Chromium would otherwise write into the home folder.
    own = {f"XDG_{kind}_HOME": str(STATE / kind.lower()) for kind in ("CONFIG", "CACHE", "DATA")}
    done = subprocess.run([str(PYTHON), *command, *junit], cwd=ROOT, env=environment() | own, check=False)
    return read_report(report, done.returncode != 0)


def test(chosen: list[str]) -> int:
    """Run all parts, also after a failure, and sum them up. Returns the exit status."""
    setup("[test]")
    begun = time.monotonic()
    reports = STATE / "report"
    reports.mkdir(parents=True, exist_ok=True)
    total = {"passed": 0, "failed": 0, "skipped": 0}
    table = []
    for name, command in test_parts().items():
        if chosen and name not in chosen:
            continue
        started = time.monotonic()
        counts = run_part(name, command, reports / f"{name}.xml")
        total = {kind: total[kind] + counts[kind] for kind in total}
        table.append(f"{name:<10} {time.monotonic() - started:6.1f} s  {in_words(counts)}")
        table += [f"{'':<22}{figure}" for figure in read_figures(reports / f"{name}.xml")]
    print("", *table, f"{'all':<10} {time.monotonic() - begun:6.1f} s", in_words(total), sep="\n", flush=True)
    return 1 if total["failed"] else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="course.py", description="Set up, open and test the course.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install only")
    opening = commands.add_parser("lab", help="open the course in JupyterLab")
    opening.add_argument("folder", nargs="?", default=str(HOME / "xiplab-course"),
                         help="where the learner's copy is (default: xiplab-course in the checkout)")
    opening.add_argument("--no-browser", action="store_true", help="only print the address")
    opening.add_argument("--port", help="listen there (default: the first free one from 8888)")
    testing = commands.add_parser("test", help="run all tests")
    testing.add_argument("part", nargs="*", choices=[[], *test_parts()], help="only these parts")
    commands.add_parser("doctor", help="say what is missing here, and what works without it")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> int:
    require_python()
    if arguments.command == "test":
        return test(arguments.part)
    if arguments.command == "lab":
        lab(arguments.folder, ["--no-browser"] * arguments.no_browser
            + (["--port", arguments.port] if arguments.port else []))
    elif arguments.command == "doctor":
        doctor()
    else:
        setup()
    return 0


def main() -> int:
    try:
        return run(parse())
    except SetupError as problem:
        print(f"course.py: {problem}", file=sys.stderr)
    except KeyboardInterrupt:
        print("course.py: stopped", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
