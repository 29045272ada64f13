"""Inside the sandbox: forks one worker for each question, from a process that never runs an answer.

    judge                                              fork server, process 1 of the sandbox
    {"path": folders, "preload": modules}          ->  imports what answers will need
                                                   <-  {}
    {"start": true} with three descriptors         ->  forks a worker that has these as 0, 1 and 2
                                                   <-  {"pid": n}
    {"end": seconds}                               ->  waits so long, then ends all that is left
                                                   <-  {"status": exit code or null, "clean": bool}

One datagram of JSON each. The judge starts this file as a script (forks.py); it imports the standard
library, worker.py, and what the judge names: modules of the package whose masked functions are empty
already (masked.py). A worker is a fork of that, and is used for one question.

Nothing of a question meets the next one. As process 1 the server is the parent of every orphan, no
signal from inside reaches it, and its kill(-1) reaches all others at once, whatever their session;
the kernel lets no fork slip through. It is not dumpable, so a worker cannot trace it or read its
memory. What a worker leaves in a folder or in System V memory makes the sandbox unclean: the judge
then takes a new one; POSIX message queues cannot be made. When the judge hangs up, the server ends,
and with it the whole sandbox.

Differs: what an answer puts into the kernel's key rings is not looked for.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

MESSAGE_BYTES = 256 * 1024
PR_SET_DUMPABLE = 4
STEP = 0.002
"""Seconds between two looks at a worker that is about to end."""

WRITABLE = ("/tmp", "/dev/shm")
SYSTEM_V = ("/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg")


def prctl(option: int, value: int) -> None:
    """Raises OSError if the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


def take_control() -> socket.socket:
    """The judge's socket, which was standard input; what is printed here goes nowhere."""
    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)
    return control


def withstand() -> None:
    """Out of reach of the processes that this one will fork."""
    if os.getpid() != 1:
        raise SystemExit("only as process 1 of a sandbox: it ends all other processes")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    prctl(PR_SET_DUMPABLE, 0)


def preload(modules: list[str]) -> None:
    """Import what answers will need. What cannot be imported is the answer's trouble."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def fork_worker(control: socket.socket, descriptors: list[int]) -> int:
    """A process of its own session with these three descriptors and no others; returns its number."""
    pid = os.fork()
    if pid == 0:
        control.close()
        become_worker(descriptors)
    for number in descriptors:
        os.close(number)
    return pid


def become_worker(descriptors: list[int]) -> None:
    """Run worker.py on the judge's pipes; never returns."""
    try:
        os.setsid()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, max(descriptors) + 1)
        prctl(PR_SET_DUMPABLE, 1)
        sys.modules["worker"].main()
    finally:
        os._exit(0)


def end_all(worker: int, patience: float) -> int | None:
    """End every other process; returns how the worker ended by itself within `patience` seconds, or None."""
    status = exit_code(worker, time.monotonic() + patience)
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return status


def exit_code(worker: int, deadline: float) -> int | None:
    """The worker's exit code, -n for signal n; None if it still runs at the deadline."""
    while True:
        pid, status = os.waitpid(worker, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(STEP)


def left_over() -> list[str]:
    """The files in writable memory, and the System V objects; raises OSError where it cannot look."""
    found = [line for table in SYSTEM_V for line in Path(table).read_text(encoding="ascii").splitlines()]
    for folder in WRITABLE:
        device = os.lstat(folder).st_dev
        waiting = [folder]
        while waiting:
            for entry in os.scandir(waiting.pop()):
                found.append(entry.path)
                status = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False) and status.st_dev == device:
                    waiting.append(entry.path)
    return sorted(found)


def is_clean(before: list[str]) -> bool:
    """Nothing is there that was not there before."""
    try:
        return left_over() == before
    except OSError:
        return False


def serve(control: socket.socket) -> None:
    """Answer the judge until it hangs up."""
    worker, before = 0, left_over()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 3)
        if not message:
            return
        match json.loads(message):
            case {"path": path, "preload": modules}:
                sys.path.extend(path)
                preload(modules)
                reply: dict[str, Any] = {}
            case {"start": True}:
                worker = fork_worker(control, descriptors)
                reply = {"pid": worker}
            case {"end": patience}:
                reply = {"status": end_all(worker, patience), "clean": is_clean(before)}
        control.send(json.dumps(reply).encode())


def main() -> None:
    control = take_control()
    withstand()
    sys.path.insert(0, str(Path(__file__).parent))
    importlib.import_module("worker")
    sys.path.pop(0)
    serve(control)


if __name__ == "__main__":
    main()
