"""Notebook 10: the experiment of notebook 00 with real processes, on this computer's own memory.

    segment SHLIB   | blocks of the file, scattered |        memory of this Python
                          │  the host's MMU
    process 1   ──────────┤  in place
    process 2   ──────────┘  in place
    process 3   a copy of its own, as a page cache has one

A process is another Python on this computer. It has the file in its own page table, and tells what it
sees and what it costs.

    experiment = OwnComputer()
    experiment.attach("copy")           one more process: "in place", "private" or "copy"
    experiment.store(0x000, 0x4A)       a byte of the file, in the segment
    experiment.write(1, 0x000, 0x4B)    process 1 stores a byte into its own mapping
    experiment.rows()                   what each process sees, and its Rss and Pss
    experiment.count_with(f)            a function of one's own that finds them in a process's smaps

Where the host has no such mappings, `alone()` says why, and there are no processes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from xiplab.course.experiments.stage import Stage, action
from xiplab.guest import ZVM, Guest
from xiplab.host.native import PROT_READ, PROT_WRITE, Extent, Peer, alone, extents
from xiplab.linux.include.fs import O_RDWR, File
from xiplab.ondisk import Bytes
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import MiB

FILE = "/mnt/lib/greeting"
TEXT = b"Hello from this computer's memory.\n"
PAGES, SHOWN, MOST = 12, 16, 6
BLOCKS = (*range(160, 164), *range(60, 64), *range(200, 204))
"""Where the file's pages lie: three extents."""
KINDS = ("in place", "private", "copy")
SEGMENT_NAME = "/memfd:xiplab-storage"
"""What the segment is called in the lists of Linux."""
Counting: TypeAlias = Callable[[str, str], tuple[int, int]]
"""(text of smaps, name of a mapping) -> (Rss, Pss)."""


@cache
def image() -> Bytes:
    """An ext2 whose file lies in three places."""
    pages = b"".join((b"This is page %d." % number).ljust(4096, b".") for number in range(1, PAGES))
    return mke2fs(1 * MiB, tree={"lib": {"greeting": TEXT.ljust(4096, b".") + pages}},
                  layout={"lib/greeting": BLOCKS})


def guest_with(content: Bytes) -> Guest:
    """LINUX1, with an image in a segment that it may write, mounted in place."""
    vm = ZVM()
    vm.segment("SHLIB", size=len(content), type="SW", at=0x10000000)
    vm.load("SHLIB", content.tobytes())
    guest = vm.logon("LINUX1")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
    return guest


def open_file(guest: Guest, path: str = FILE) -> File:
    """Open a file of the guest for loads and stores; the open file itself, not its descriptor."""
    filp = guest.task.files[guest.open(path, O_RDWR)]
    assert filp is not None
    return filp


def file_in_place(nbytes: int) -> File:
    """A file of so many bytes, open, in a segment of its own."""
    pattern = b"in place" * (nbytes // 8)
    guest = guest_with(mke2fs(nbytes + 4 * MiB, tree={"file": pattern}))
    return open_file(guest, "/mnt/file")


@dataclass(frozen=True, slots=True)
class Attached:
    """A process, and how it has the file."""

    number: int
    kind: str
    peer: Peer


@dataclass(frozen=True, slots=True)
class Row:
    """What a process sees of the first bytes, and the KiB that the host's kernel counts for it."""

    number: int
    kind: str
    sees: bytes
    rss: int
    pss: int
    private: int


class OwnComputer(Stage):
    """A segment in this Python's memory, and processes that attach to it.

    Attributes:
        guest: LINUX1, of the model; its segment holds the file. processes: those that are attached.
        counting: the function that counts their memory; None: the package's own.
    """

    guest: Guest
    filp: File
    processes: Sequence[Attached] = ()

    def build(self) -> None:
        self.close()
        self.guest = guest_with(image())
        self.fd = self.guest.open(FILE, O_RDWR)
        self.filp = open_file(self.guest)
        self.counting: Counting | None = None
        self.processes, self.said = (), "The file lies in the segment. No process has it yet."
        if not alone():
            for kind in ("in place", "in place", "copy"):
                self._attach(kind)
            self.said = "Three processes have the file: two in place, the third as a copy of its own."

    def close(self) -> None:
        """End the processes."""
        for process in self.processes:
            process.peer.close()
        self.processes = ()

    # ---- what a learner does ----

    @action
    def attach(self, kind: str) -> None:
        """Start one more process: "in place", "private" (copy on write) or "copy".

        Raises:
            OSError: EOPNOTSUPP where the host cannot; EINVAL another kind; EAGAIN enough processes.
        """
        if kind not in KINDS:
            raise OSError(errno.EINVAL, f"attach {kind!r}: not one of {', '.join(KINDS)}")
        if len(self.processes) == MOST:
            raise OSError(errno.EAGAIN, f"attach: there are {MOST} processes already")
        process = self._attach(kind)
        self.said = f"Process {process.number} has the file: {kind}."

    @action
    def count_with(self, function: Counting) -> None:
        """Let this function find Rss and Pss of a mapping in the text of a process's smaps."""
        self.counting = function
        self.said = "Rss and Pss are what your function finds in the text of each process."

    @action
    def store(self, offset: int, value: int) -> None:
        """LINUX1 writes a byte of the file, in the segment.

        Raises:
            OSError: EFAULT an offset outside the file; EINVAL a value that is no byte.
        """
        self._check(offset, value)
        self.guest.pwrite(self.fd, bytes([value]), offset)
        self.mark(f"byte:{offset:#x}")
        seen = [str(process.number) for process in self.processes
                if process.peer.read(offset, 1)[0] == value]
        missed = [str(process.number) for process in self.processes if str(process.number) not in seen]
        self.said = (f"Byte {offset:#05x} of the segment is now {value:#04x}. Processes that see it: "
                     f"{', '.join(seen) or 'none'}.{' Not: ' + ', '.join(missed) + '.' if missed else ''}")

    @action
    def write(self, number: int, offset: int, value: int) -> None:
        """Process `number` stores a byte into its own memory.

        Raises:
            OSError: ESRCH no such process; EFAULT, EINVAL as store().
        """
        self._check(offset, value)
        self._process(number).peer.write(offset, bytes([value]))
        self.mark(f"process:{number}")
        reached = self.guest.pread(self.fd, 1, offset)[0] == value
        if reached:
            self.mark(f"byte:{offset:#x}")
        self.said = (f"Process {number} has stored {value:#04x} into byte {offset:#05x}. The segment "
                     f"{'has it, with no message in between' if reached else 'does not have it'}.")

    def _attach(self, kind: str) -> Attached:
        peer = Peer(self.filp, PROT_READ | PROT_WRITE, private=kind == "private", copied=kind == "copy")
        process = Attached(len(self.processes) + 1, kind, peer)
        self.processes = (*self.processes, process)
        peer.touch()
        return process

    def _process(self, number: int) -> Attached:
        if not 1 <= number <= len(self.processes):
            raise OSError(errno.ESRCH, f"process {number}: there are {len(self.processes)}")
        return self.processes[number - 1]

    def _check(self, offset: int, value: int) -> None:
        if not 0 <= offset < self.filp.f_inode.i_size:
            raise OSError(errno.EFAULT, f"byte {offset:#x} is outside the file")
        if not 0 <= value <= 0xFF:
            raise OSError(errno.EINVAL, f"{value:#x} does not fit into a byte (0xff)")

    # ---- what there is to see ----

    def extents(self) -> list[Extent]:
        """Where the file's pages lie in this Python's storage."""
        return extents(self.filp)

    def storage(self) -> bytes:
        """The first bytes of the file, in the segment."""
        return self.guest.pread(self.fd, SHOWN, 0)

    def rows(self) -> list[Row]:
        """What each process sees now, and what the host's kernel counts for its mapping."""
        return [Row(process.number, process.kind, process.peer.read(0, SHOWN), *self._counted(process.peer),
                    process.peer.memory()["Private"]) for process in self.processes]

    def _counted(self, peer: Peer) -> tuple[int, int]:
        """Rss and Pss in KiB; what a function of one's own refuses or answers wrongly counts as 0."""
        memory = peer.memory()
        if self.counting is None:
            return memory["Rss"], memory["Pss"]
        try:
            text = Path(f"/proc/{peer.pid}/smaps").read_text(encoding="ascii")
            rss, pss = self.counting(text, SEGMENT_NAME)
            return int(rss), int(pss)
        except (OSError, TypeError, ValueError) as failure:
            why = failure.strerror if isinstance(failure, OSError) else failure
            self.said = f"Your function did not count: {why}."
            return 0, 0

    def sentence(self) -> str:
        return self.said
