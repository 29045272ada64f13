"""Programs as a learner starts them: a command in, what it printed and how it ended out.

    done = linux1.exec("hello xip")          # or ["/mnt/bin/hello", "xip"]
    done.output, done.status                 # 'Hello, xip.\\n', 0
    done.faults                              # page faults by how they were resolved

A command without a slash is looked for in /mnt/bin. The program runs in a process of its own.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from xiplab.errors import SIGNAL_NAMES, Signal
from xiplab.linux.include.fs import O_RDWR
from xiplab.linux.include.sched import Task
from xiplab.linux.include.tty import TtyStruct
from xiplab.linux.kernel.sched import BUDGET
from xiplab.linux.kernel.task import do_exit
from xiplab.process import Process
from xiplab.trace import tp_fault
from xiplab.trace_views import Value

PATH = "/mnt/bin"
ENVIRONMENT = {"PATH": PATH}

Command = str | Sequence[str]
"""A line, split at spaces as a shell does it, or the words."""


@dataclass(frozen=True)
class Ended:
    """A program that has ended.

    Attributes:
        command: its words. printed: what it wrote to its terminal.
        status: what it gave to exit(), or minus the number of the signal that ended it.
        why: what led to the signal; empty without one.
        faults: page faults while it was loaded and ran, by how they were resolved.
    """

    command: tuple[str, ...]
    printed: bytes
    status: int
    why: str = ""
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def output(self) -> str:
        """What it wrote, as text."""
        return self.printed.decode(errors="replace")

    @property
    def signal(self) -> str:
        """The signal's name, or "" for a program that ended by exit()."""
        return SIGNAL_NAMES.get(-self.status, f"signal {-self.status}") if self.status < 0 else ""

    def __repr__(self) -> str:
        end = f"exit status {self.status}" if self.status >= 0 else f"{self.signal} ({self.why})"
        return f"<{' '.join(self.command)}: {end}, {self.faults.total()} page faults>"


def words_of(command: Command) -> list[str]:
    """The words, of which the first is the path of a file.

    Raises:
        OSError: ENOENT for no word at all; EINVAL for a quotation mark without its partner.
    """
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"{command!r}: {error}") from error
    if not words:
        raise OSError(errno.ENOENT, "the command is empty")
    return words


def start(process: Process, command: Command, environment: Mapping[str, str] | None = None,
          typed: str | bytes = b"") -> None:
    """Give `process` a terminal and let it execute `command`, but not run yet.

    Raises:
        OSError: as execve; the process has ended then.
    """
    task = process.task
    task.tty = TtyStruct(os.fsencode(typed))
    strings = [f"{name}={value}" for name, value in (environment or ENVIRONMENT).items()]
    try:
        words = words_of(command)
        path = words[0] if "/" in words[0] else f"{PATH}/{words[0]}"
        terminal = process.open("/dev/tty", O_RDWR)
        process.dup(terminal)
        process.dup(terminal)
        process.execve(path, words, strings)
    except OSError:
        do_exit(task)
        raise


def execute(process: Process, command: Command, environment: Mapping[str, str] | None = None,
            typed: str | bytes = b"", budget: int = BUDGET) -> Ended:
    """Start `command` in `process` and let it run to its end.

    Args:
        environment: strings by name. typed: what it can read from its terminal.
        budget: instructions that it may use; then it ends with SIGXCPU.
    Raises:
        OSError: as start().
    """
    with faults_of(process.task) as faults:
        start(process, command, environment, typed)
        status = process.run(budget)
    tty, fatal = process.task.tty, process.task.fatal
    assert tty is not None
    return Ended(tuple(words_of(command)), bytes(tty.printed), status, why(fatal), faults)


def why(fatal: Signal | None) -> str:
    return "" if fatal is None else str(fatal).partition(" ")[2]


@contextmanager
def faults_of(task: Task) -> Iterator[Counter[str]]:
    """Page faults of the task's guest while the block runs, by how they were resolved."""
    faults: Counter[str] = Counter()

    def probe(name: str, values: dict[str, Value]) -> None:
        if values["guest"] == task.kernel.name:
            faults[str(values["how"])] += 1

    tp_fault.probes.append(probe)
    try:
        yield faults
    finally:
        tp_fault.probes.remove(probe)
