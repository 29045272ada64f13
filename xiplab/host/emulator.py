"""The programs of notebook 08 in another processor: qemu-s390x, if this computer has it.

    run({"/mnt/bin/hello": program}, "hello reader")      (b"Hello, reader.\\n", 0)
    run_in(folder, "hello reader")                        the same, with the files already below `folder`

qemu translates the s390x instructions of one program; system calls are answered by the computer's own
Linux. Nothing of our model takes part, so that both can be compared.

Kernel: none (this is user space on the host)
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from xiplab.host import probe

QEMU = "qemu-s390x"
SECONDS = 60
LIBRARIES = ("/mnt/lib/ld.so", "/mnt/lib/libgreet.so")


def unavailable() -> str:
    """Why no program can be run here; empty if it can."""
    return probe.files() or probe.processes() if shutil.which(QEMU) else f"{QEMU} is not installed"


def files_of(program: str) -> tuple[str, ...]:
    """The files that a program which uses the library consists of."""
    return (f"/mnt/bin/{program}", *LIBRARIES)


def run(files: Mapping[str, bytes], command: str) -> tuple[bytes, int]:
    """What a program of /mnt/bin writes, and its exit status, or minus the signal that ended it.

    Args:
        files: the program and what it needs, by path.
    Raises:
        FileNotFoundError: there is no qemu. subprocess.TimeoutExpired: the program does not end.
    """
    with tempfile.TemporaryDirectory(prefix="xiplab-qemu-") as folder:
        for path, content in files.items():
            file = Path(folder, path.lstrip("/"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o755)
        return run_in(Path(folder), command)


def run_in(folder: Path, command: str) -> tuple[bytes, int]:
    """The same for a program of `folder`/mnt/bin; where it asks for /mnt, it finds that of `folder`."""
    name, *words = command.split()
    done = subprocess.run([QEMU, "-L", folder, "-0", name, f"mnt/bin/{name}", *words], check=False,
                          capture_output=True, timeout=SECONDS, cwd=folder, env={"PATH": "/mnt/bin"},
                          executable=shutil.which(QEMU))
    return done.stdout, done.returncode
