"""The judge's end of a worker process: starts it, asks it, limits it, ends it.

    with Worker(masked={"xiplab.linux.drivers.dcssblk_io": ["dcssblk_direct_access"]}) as worker:
        worker.run(source)                          # the answer's cell
        worker.call("direct_access", record, 8)     # plain data comes back, or AnswerRaised
    worker.printed                                  # what the answer printed

Arguments may be objects and functions of the judge (handles.py); while the answer runs it calls those
functions, and they may call the answer again. What they raise is raised in the answer; a verdict
(Wrong) waits until the answer has come back, and nothing that the answer does can stop it.

The process is new for each question, has its own session, an empty working folder and no
descriptors but its pipes. When it breaks a limit it is killed with all its children, and every later
request raises AnswerEnded. `start` is who makes the process: Alone, or a sandbox (forks.py).
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from xiplab.course import worker
from xiplab.course.handles import Forged, Handles, Shows
from xiplab.course.problem import Wrong
from xiplab.units import GiB, KiB, MiB

MAX_REPLY = 1 * MiB
MAX_OUTPUT = 8 * MiB
KEPT_OUTPUT = 64 * KiB
MAX_DEPTH = 20
"""Calls of the answer within each other: by a function of the judge that the answer called."""

PACKAGE_FOLDER = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Limits:
    """What one answer may use. `wall` and `cpu` in seconds, the rest in bytes or pieces.

    `processes` counts all processes of the user, so 1 forbids to start any; root is not limited.
    `asked` is how often an answer may call the judge's functions and look at the judge's objects.
    """

    wall: float = 8
    cpu: int = 2
    address_space: int = 1 * GiB
    file_size: int = 8 * MiB
    files: int = 64
    processes: int = 1
    asked: int = 50_000

    def as_resources(self) -> dict[str, int]:
        return {"CPU": self.cpu, "AS": self.address_space, "FSIZE": self.file_size,
                "NOFILE": self.files, "NPROC": self.processes, "MSGQUEUE": 0, "CORE": 0}


def ready_of(descriptors: list[int], seconds: float, event: int = select.POLLIN) -> list[int]:
    """Those for which there is something to do within so many seconds; an ended pipe is one, too."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, event)
    return [descriptor for descriptor, _ in poll.poll(seconds * 1000)]


class AnswerRaised(Exception):
    """The answer raised an exception.

    Attributes:
        kind: its type's name. errno: of an OSError, else None. text: its message.
        trace: the answer's own lines that led to it.
        passed: the exception of a function of the judge, if it is that one which the answer let pass.
    """

    def __init__(self, kind: str, errno: int | None, text: str, trace: list[str],
                 passed: Exception | None = None) -> None:
        super().__init__(f"{kind}: {text}" if text else kind)
        self.kind = kind
        self.errno = errno
        self.text = text
        self.trace = trace
        self.passed = passed


def _raised(report: dict[str, Any], passed: Exception | None) -> AnswerRaised:
    """The exception that a worker reported; the answer may have forged the report."""
    errno = report["errno"] if isinstance(report["errno"], int) else None
    return AnswerRaised(str(report["type"]), errno, str(report["text"]),
                        [str(line) for line in report["trace"]], passed)


class AnswerEnded(Exception):
    """The answer's process is gone, or had to be stopped; the text says why, for people.

    Attributes:
        cause: "timeout" if its time was used up, else "crash".
    """

    def __init__(self, why: str, cause: str = "crash") -> None:
        super().__init__(why)
        self.cause = cause


def package_folders() -> list[str]:
    """Where this process finds installed packages, and xiplab itself. The worker starts with none."""
    installed = [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    return [*installed, PACKAGE_FOLDER]


class Pipes:
    """Three pipes: requests to the worker, its replies, and what the answer prints.

    Attributes:
        of_worker: the worker's ends, as its descriptors 0, 1 and 2. to_worker, from_worker, noise: ours.
    """

    def __init__(self) -> None:
        requests, replies, noise = os.pipe(), os.pipe(), os.pipe()
        self.of_worker = [requests[0], replies[1], noise[1]]
        self.to_worker, self.from_worker, self.noise = requests[1], replies[0], noise[0]

    def close_workers(self) -> None:
        """Close the worker's ends, which it has by now."""
        for descriptor in self.of_worker:
            os.close(descriptor)

    def close(self) -> None:
        for descriptor in (self.to_worker, self.from_worker, self.noise):
            os.close(descriptor)


class Started(Protocol):
    """A worker process that was started."""

    @property
    def pipes(self) -> Pipes: ...

    def wait(self, seconds: float) -> int | None:
        """How it ended by itself within so many seconds, -n for signal n; None if it did not."""

    def end(self) -> None:
        """End it and all that it started; more than once is no mistake."""


class Alone:
    """A worker in a process started anew, with a session and an empty folder of its own."""

    def __init__(self) -> None:
        self.pipes = Pipes()
        self._folder = tempfile.TemporaryDirectory(prefix="xiplab-answer-", ignore_cleanup_errors=True)
        stdin, stdout, stderr = self.pipes.of_worker
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", str(Path(worker.__file__).resolve())],
            stdin=stdin, stdout=stdout, stderr=stderr, cwd=self._folder.name, start_new_session=True,
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"})
        self.pipes.close_workers()

    def wait(self, seconds: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=seconds)
        return None

    def end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()


class Worker:
    """One process for one answer.

    Attributes:
        printed: what the answer wrote to standard output and error, at most KEPT_OUTPUT bytes.
    """

    def __init__(self, masked: dict[str, list[str]] | None = None, limits: Limits | None = None,
                 start: Callable[[], Started] = Alone, shows: Shows | None = None) -> None:
        self.limits = limits or Limits()
        self._handles = Handles(shows or {})
        self._running: list[int] = []
        self._asked = 0
        self._verdict: Wrong | None = None
        self._process = start()
        pipes = self._process.pipes
        self._to_worker, self._from_worker, self._noise = pipes.to_worker, pipes.from_worker, pipes.noise
        os.set_blocking(self._to_worker, False)
        self._deadline = time.monotonic() + self.limits.wall
        self._requests = 0
        self._output = bytearray()
        self._output_total = 0
        self._ended: AnswerEnded | None = None
        self._send({"limits": self.limits.as_resources(), "masked": masked or {}, "path": package_folders()})

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def printed(self) -> str:
        return self._output.decode(errors="replace")

    def run(self, source: str) -> None:
        """Run the answer's cell. Raises AnswerRaised, AnswerEnded."""
        self._ask({"run": source})

    def call(self, name: str, *args: object) -> Any:
        """Call the answer's function `name`; plain data comes back, or an object of the judge's.

        Raises:
            AnswerRaised, AnswerEnded. Wrong: a function of the judge said so.
        """
        return self._ask({"call": name, "args": [self._handles.encode(arg) for arg in args]})

    def give(self, name: str, value: object) -> None:
        """Set the answer's global `name`: a function of the judge, say, that the answer may call."""
        self._ask({"give": name, "value": self._handles.encode(value)})

    def value(self, name: str) -> Any:
        """The answer's global `name`, None if there is none. Raises AnswerRaised, AnswerEnded."""
        return self._ask({"value": name})

    def close(self) -> None:
        """End the process and all its children."""
        self._kill(AnswerEnded("the judge is done with it"))
        self._handles.forget()
        self._process.pipes.close()

    def _ask(self, request: dict[str, Any]) -> Any:
        if self._ended:
            raise AnswerEnded(str(self._ended), self._ended.cause)
        if len(self._running) == MAX_DEPTH:
            self._give_up(f"it and the judge called each other {MAX_DEPTH} deep and it was stopped")
        self._requests += 1
        self._running.append(self._requests)
        try:
            self._send({"n": self._requests, **request})
            reply = self._last_message()
        except AnswerEnded:
            self._pronounce()
            raise
        finally:
            self._running.pop()
        self._pronounce()
        return self._understand(reply)

    def _pronounce(self) -> None:
        """Raise the verdict that a function of the judge has come to, if any."""
        verdict, self._verdict = self._verdict, None
        if verdict is not None:
            raise verdict

    def _last_message(self) -> dict[str, Any]:
        """Serve what the answer asks for, until it replies."""
        while True:
            message = self._message(self._read_line())
            if "ask" not in message:
                return message
            self._send(self._serve(message["ask"]))

    def _serve(self, question: Any) -> dict[str, Any]:
        """The reply to what the answer asks for."""
        self._asked += 1
        if self._asked > self.limits.asked:
            self._give_up(f"it asked the judge more than {self.limits.asked:,} times and was stopped")
        try:
            return {"said": self._handles.encode(self._handles.perform(question))}
        except (AnswerEnded, Forged) as failure:
            if isinstance(failure, AnswerEnded):
                raise
            self._give_up("it wrote into the judge's pipe and was stopped")
        except Wrong as verdict:
            self._verdict = self._verdict or verdict
            return {"failed": self._handles.report(verdict)}
        except Exception as failure:
            return {"failed": self._handles.report(failure)}

    def _send(self, message: dict[str, Any]) -> None:
        left = memoryview(json.dumps(message).encode() + b"\n")
        while left:
            patience = max(0.0, self._deadline - time.monotonic())
            if not ready_of([self._to_worker], patience, select.POLLOUT):
                self._give_up(*self._too_late())
            try:
                left = left[os.write(self._to_worker, left):]
            except BrokenPipeError:
                self._give_up(*self._why_it_ended())

    def _read_line(self) -> bytes:
        """The next line of the worker; what the answer prints meanwhile is collected."""
        line, watched = bytearray(), [self._from_worker, self._noise]
        while not line.endswith(b"\n"):
            patience = self._deadline - time.monotonic()
            ready = ready_of(watched, max(0.0, patience))
            if not ready or patience < 0:
                self._give_up(*self._too_late())
            if self._noise in ready and not self._take_output(os.read(self._noise, 64 * KiB)):
                watched.remove(self._noise)
            if self._from_worker in ready:
                piece = os.read(self._from_worker, 64 * KiB)
                if not piece:
                    self._give_up(*self._why_it_ended())
                line += piece
            if len(line) > MAX_REPLY:
                self._give_up(f"it handed over more than {MAX_REPLY // MiB} MiB and was stopped")
        return bytes(line)

    def _take_output(self, piece: bytes) -> bool:
        self._output += piece[:KEPT_OUTPUT - len(self._output)]
        self._output_total += len(piece)
        if self._output_total > MAX_OUTPUT:
            self._give_up(f"it printed more than {MAX_OUTPUT // MiB} MiB and was stopped")
        return bool(piece)

    def _too_late(self) -> tuple[str, str]:
        return f"it was not done after {self.limits.wall:g} seconds and was stopped", "timeout"

    def _message(self, line: bytes) -> dict[str, Any]:
        """A line as the message it must be: of the innermost request that runs."""
        try:
            message: dict[str, Any] = json.loads(line)
            if message["n"] != self._running[-1]:
                raise ValueError("of another request")
            return message
        except (ValueError, TypeError, KeyError, RecursionError):
            self._give_up("it wrote into the judge's pipe and was stopped")

    def _understand(self, reply: dict[str, Any]) -> Any:
        try:
            if "error" in reply:
                raise _raised(reply["error"], self._handles.passed_on(reply.get("passed")))
            return self._handles.decode(reply["value"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self._give_up("it wrote into the judge's pipe and was stopped")

    def _why_it_ended(self) -> tuple[str, str]:
        """Why the process is gone, in words, and the cause."""
        self._drain_output()
        code = self._process.wait(1)
        if code is None:
            return "it closed the judge's pipe and was stopped", "crash"
        number = -code
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return f"it used up its {self.limits.cpu} s of processor time and was stopped", "timeout"
        if number in set(signal.Signals):
            return f"its process was ended by signal {number} ({signal.Signals(number).name})", "crash"
        return f"it ended its own process (exit code {code})", "crash"

    def _drain_output(self) -> None:
        while ready_of([self._noise], 0):
            if not self._take_output(os.read(self._noise, 64 * KiB)):
                break

    def _give_up(self, why: str, cause: str = "crash") -> NoReturn:
        raise self._kill(AnswerEnded(why, cause))

    def _kill(self, ending: AnswerEnded) -> AnswerEnded:
        """End the process and all its children; returns why it ended first."""
        self._ended = self._ended or ending
        self._process.end()
        return self._ended
