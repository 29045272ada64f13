"""The judge's end of the fork server: workers of one submission, in one sandbox after another.

    with ForkServer(masked, preload) as server:
        with Worker(start=server.start) as worker:      # process.py; as quick as a fork
            ...

One worker at a time. A sandbox serves until a question leaves something behind (a file, shared
memory), breaks it or does not let go of it; then it is taken down, and the next question gets a new
one. fork_server.py says what holds inside.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from xiplab.course import fork_server
from xiplab.course.masked import masked_package
from xiplab.course.process import Pipes, package_folders
from xiplab.course.sandbox import in_bubblewrap

PATIENCE = 15.0
"""Seconds until the fork server must have answered; on a busy machine the first answer takes a few."""


class Forked:
    """A worker that the fork server forked, as process.Worker sees it."""

    def __init__(self, server: ForkServer, pipes: Pipes) -> None:
        self.pipes = pipes
        self._server = server
        self._ended = False
        self._status: int | None = None

    def wait(self, seconds: float) -> int | None:
        """How it ended by itself within so many seconds, -n for signal n; None if it did not."""
        if not self._ended:
            self._ended, self._status = True, self._server.end(seconds)
        return self._status

    def end(self) -> None:
        """End it and all that it started."""
        self.wait(0)


class ForkServer:
    """Starts workers inside a sandbox.

    Attributes:
        sandboxes: how many were needed so far.
    """

    def __init__(self, masked: dict[str, frozenset[str]], preload: list[str]) -> None:
        self.sandboxes = 0
        self._preload = preload
        self._package = masked_package(masked)
        self._bwrap: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._take_down()

    def start(self) -> Forked:
        """A new worker.

        Raises:
            OSError: ECHILD if the sandbox cannot be started.
        """
        pipes = Pipes()
        try:
            self._ask_twice({"start": True}, pipes.of_worker)
        finally:
            pipes.close_workers()
        return Forked(self, pipes)

    def end(self, seconds: float) -> int | None:
        """End the worker; returns how it ended by itself within so many seconds."""
        try:
            reply = self._ask({"end": seconds})
        except OSError:
            self._take_down()
            return None
        if not reply["clean"]:
            self._take_down()
        status: int | None = reply["status"]
        return status

    def _ask_twice(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Ask the sandbox that stands; if it does not answer, a new one."""
        if self._control is not None:
            try:
                self._ask(message, descriptors)
                return
            except OSError:
                self._take_down()
        self._set_up()
        self._ask(message, descriptors)

    def _ask(self, message: dict[str, Any], descriptors: list[int] | None = None) -> dict[str, Any]:
        if self._control is None:
            raise OSError(errno.ECHILD, "no sandbox stands")
        socket.send_fds(self._control, [json.dumps(message).encode()], descriptors or [])
        reply = self._control.recv(fork_server.MESSAGE_BYTES)
        if not reply:
            raise OSError(errno.ECHILD, "the sandbox is gone")
        answer: dict[str, Any] = json.loads(reply)
        return answer

    def _set_up(self) -> None:
        """Start a sandbox with a fork server in it. Raises OSError: ECHILD with what bubblewrap said."""
        self._control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(PATIENCE)
        script = str(Path(fork_server.__file__).resolve())
        with inside, tempfile.TemporaryFile() as said:
            self._bwrap = subprocess.Popen(
                in_bubblewrap([sys.executable, "-I", "-B", script], self._package),
                stdin=inside.fileno(), stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
                env={"PATH": os.defpath, "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"})
            inside.close()
            try:
                self._ask({"path": package_folders(), "preload": self._preload})
            except OSError as failure:
                self._take_down()
                said.seek(0)
                why = said.read(2000).decode(errors="replace").strip() or str(failure)
                raise OSError(errno.ECHILD, f"the sandbox cannot be started: {why}") from failure
        self.sandboxes += 1

    def _take_down(self) -> None:
        """End the sandbox with all that is in it: the server ends when the judge hangs up."""
        if self._control is not None:
            self._control.close()
        if self._bwrap is not None:
            with suppress(subprocess.TimeoutExpired):
                self._bwrap.wait(timeout=PATIENCE)
            self._bwrap.kill()
            self._bwrap.wait()
        self._control = self._bwrap = None
