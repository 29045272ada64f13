"""What eight readers of one file cost in memory (W9)."""

from __future__ import annotations

import gc
import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bigfile import BigFile
from benchmarks.sides import OnSegment, Side, Xip
from benchmarks.tree import Tree, tree
from benchmarks.workload import Row, Sample, Samples, Scale
from xiplab import O_RDONLY
from xiplab.host.sharing import bill

READERS = 8
ROWS = {"W9": Row("memory of 8 processes that read one file of {big}", 0.16, "MiB")}


def memory_of_readers(kinds: Sequence[type[Side]], scale: Scale) -> tuple[dict[str, Row], Samples]:
    """The proportional set size of all eight, in MiB: by a mapping where there is one, else as bytes.

    For guests the processes are those of `bill`: they have a native mapping of the file, or, for the page
    cache, a copy each. For all others this process is forked, and what that costs is what is counted.
    """
    samples: dict[str, Sample] = {}
    with tree(lambda folder: BigFile.fill(folder, scale), BigFile.image_bytes(scale)) as planted:
        for kind in kinds:
            samples[kind.name] = Sample([of_guests(kind, planted) if issubclass(kind, OnSegment)
                                         else of_processes(kind, planted, scale.big)])
    return ROWS, {"W9": samples}


def of_guests(kind: type[OnSegment], planted: Tree) -> float:
    side = Xip(planted)
    filp = side.filp(side.open(side.root + "big", O_RDONLY))
    share = bill(filp, READERS, copied=kind is not Xip)[-1]
    side.end()
    return share.pss / 1024


def of_processes(kind: type[Side], planted: Tree, nbytes: int) -> float:
    """The sum of what the children have more than before they read."""
    side = kind(planted) if kind.shared else None
    gc.collect()
    gc.freeze()
    children = [Child(side or kind, planted, nbytes) for _ in range(READERS)]
    try:
        before = [child.pss() for child in children]
        for child in children:
            child.read()
        return sum(child.pss() for child in children) - sum(before)
    finally:
        for child in children:
            child.end()
        gc.unfreeze()
        if side:
            side.end()


class Child:
    """A forked process: waits, makes its side if it has none, reads the file, keeps it."""

    def __init__(self, side: Side | type[Side], planted: Tree, nbytes: int) -> None:
        (self.answers, answer), (question, self.questions) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                serve(side, planted, nbytes, question, answer)
            finally:
                os._exit(1)
        os.close(question)
        os.close(answer)
        self.wait()

    def wait(self) -> None:
        if not os.read(self.answers, 1):
            raise ChildProcessError("a reader ended")

    def read(self) -> None:
        os.write(self.questions, b"r")
        self.wait()

    def pss(self) -> float:
        """MiB."""
        found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{self.pid}/smaps_rollup").read_text(), re.M)
        assert found is not None
        return int(found[1]) / 1024

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.questions)
        os.close(self.answers)


def serve(made: Side | type[Side], planted: Tree, nbytes: int, question: int, answer: int) -> None:
    """The child's life."""
    os.write(answer, b"o")
    os.read(question, 1)
    side: Any = made(planted) if isinstance(made, type) else made
    fd = side.open(side.root + "big", O_RDONLY)
    kept = side.mapped(fd) if hasattr(side, "mapped") else side.pread(fd, nbytes, 0)
    total = int(np.frombuffer(kept, np.uint8)[::512].sum())
    os.write(answer, b"k" if total and len(kept) == nbytes else b"")
    os.read(question, 1)


