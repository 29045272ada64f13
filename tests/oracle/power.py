"""The power fails: what a device held after each of its writes, and what had been promised by then.

    writes    0 1 2 | 3 4 5 6 7 | 8 9 ...       | a barrier: a sync or an fsync has returned
    in order  the writes before a cut; all of them
    reordered those before the last barrier, and some of the others: a disk may put off any write that
              nobody has waited for

Journal listens where a bio becomes the driver's. On a segment, pages that were stored to in place are
writes too; they are found by comparing. There a cut ends the guest, and nothing is ever reordered: each
of its stores has reached storage.

Work is a seeded run of calls. It keeps account of what a file system owes: after a sync each file, after
an fsync of a file and of its directory that file, until somebody changes it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from guests import GuestCalls
from workload import payload

from xiplab import MAP_SHARED, PROT_READ, PROT_WRITE
from xiplab.linux.block.genhd import bdget
from xiplab.linux.include.blkdev import WRITE, Bio, RequestQueue
from xiplab.units import PAGE_SIZE, sector_to_bytes

NEVER = 1 << 62
SYNCED = ["", "d0/", "d1/"]
"""Directories that are there from the beginning and stay: their own names are never at risk."""
FOLDERS = [*SYNCED, "d0/e0/", "d1/e1/"]
NAMES = ["a", "b", "c", "d"]
WEIGHTS = {"create": 8, "append": 6, "overwrite": 6, "store": 3, "truncate": 4, "unlink": 5, "rename": 5,
           "link": 2, "folder": 3, "fsync": 12, "sync": 4}


@dataclass
class Write:
    """Bytes that reached the device at byte `start`."""

    start: int
    data: bytes


class Journal:
    """All writes of a device from now on.

    Attributes:
        first: the device before them. barriers: how many writes there were when somebody had waited.
    """

    def __init__(self, calls: GuestCalls) -> None:
        self.calls = calls
        self.first = calls.image()
        self.writes: list[Write] = []
        self.barriers = [0]
        self.seen = np.frombuffer(bytearray(self.first), np.uint8)
        self.queue: RequestQueue = bdget(calls.guest.kernel, calls.device).bd_disk.queue
        self.driver = self.queue.make_request_fn
        self.queue.make_request_fn = self.make_request

    def make_request(self, queue: RequestQueue, bio: Bio) -> None:
        """The driver's, and a note of what was written."""
        if bio.bi_rw == WRITE:
            self.look()
        self.driver(queue, bio)
        if bio.bi_rw == WRITE and not bio.bi_error:
            data = b"".join(vec.memory.tobytes() for vec in bio.bi_io_vec)
            self._note(sector_to_bytes(bio.bi_sector), data)

    def look(self) -> None:
        """Note the pages that have changed without a bio: they were stored to in place."""
        now = np.frombuffer(self.calls.image(), np.uint8).reshape(-1, PAGE_SIZE)
        for page in np.flatnonzero((now != self.seen.reshape(-1, PAGE_SIZE)).any(axis=1)).tolist():
            self._note(page * PAGE_SIZE, now[page].tobytes())

    def _note(self, start: int, data: bytes) -> None:
        self.writes.append(Write(start, data))
        self.seen[start:start + len(data)] = np.frombuffer(data, np.uint8)

    def barrier(self) -> None:
        self.look()
        self.barriers.append(len(self.writes))

    def stop(self) -> None:
        self.queue.make_request_fn = self.driver

    def image(self, kept: list[int]) -> bytes:
        """The device after these writes alone."""
        device = bytearray(self.first)
        for write in map(self.writes.__getitem__, kept):
            device[write.start:write.start + len(write.data)] = write.data
        return bytes(device)


@dataclass(frozen=True)
class Cut:
    """The power fails after some of the first `end` writes; of the first `begin` none is missing."""

    begin: int
    end: int
    kept: list[int] = field(repr=False)


def in_order(journal: Journal, step: int) -> Iterator[Cut]:
    """After every `step`-th write."""
    for end in range(0, len(journal.writes) + 1, step):
        yield Cut(end, end, list(range(end)))


def reordered(journal: Journal, step: int, seed: int) -> Iterator[Cut]:
    """The same, but each write since the last barrier may be missing."""
    rng = random.Random(seed)
    for end in range(0, len(journal.writes) + 1, step):
        begin = max(barrier for barrier in journal.barriers if barrier <= end)
        yield Cut(begin, end, [n for n in range(end) if n < begin or rng.random() < 0.5])


@dataclass(eq=False)
class Content:
    """What a file holds; all its names share it."""

    data: bytearray = field(default_factory=bytearray)


@dataclass
class Promise:
    """The file is there with these bytes, from write `begin` on, until its next change at write `end`."""

    path: str
    content: Content
    data: bytes
    begin: int
    end: int = NEVER

    def holds(self, cut: Cut) -> bool:
        return self.begin <= cut.begin and cut.end <= self.end


class Work:
    """Random calls that change files, and an account of them.

    Attributes:
        files: what is there now. promises: what was owed at some time.
    """

    def __init__(self, calls: GuestCalls, seed: int) -> None:
        self.calls = calls
        self.rng = random.Random(seed)
        self.files: dict[str, Content] = {}
        self.folders = set(SYNCED)
        self.promises: list[Promise] = []
        for folder in SYNCED[1:]:
            calls.mkdir(folder)
        calls.sync()
        self.journal = Journal(calls)

    def run(self, count: int) -> Journal:
        """`count` calls; the journal of their writes."""
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        for name in self.rng.choices(names, weights, k=count):
            getattr(self, f"do_{name}")()
            self.journal.look()
        self.journal.stop()
        return self.journal

    def changes(self, *contents: Content | None) -> None:
        """From here on nothing is owed for these files."""
        for promise in self.promises:
            if promise.content in contents:
                promise.end = min(promise.end, len(self.journal.writes))

    def loses(self, path: str) -> None:
        """From here on nothing is owed for this name."""
        for promise in self.promises:
            if promise.path == path:
                promise.end = min(promise.end, len(self.journal.writes))

    def owes(self, path: str) -> None:
        content = self.files[path]
        self.promises.append(Promise(path, content, bytes(content.data), len(self.journal.writes)))

    def new_path(self) -> str:
        return self.rng.choice(sorted(self.folders)) + self.rng.choice(NAMES)

    def path(self) -> str:
        """A file that is there; makes one if there is none."""
        if not self.files:
            self.do_create()
        return self.rng.choice(sorted(self.files))

    def data(self) -> bytes:
        nbytes = self.rng.choice([1, 100, PAGE_SIZE, 5000, 3 * PAGE_SIZE, 20 * PAGE_SIZE])
        return payload(self.rng.randrange(1 << 16), nbytes)

    def write(self, path: str, offset: int, data: bytes, flags: int = 0) -> None:
        content = self.files.setdefault(path, Content())
        self.changes(content)
        fd = self.calls.open(path, os.O_RDWR | os.O_CREAT | flags)
        self.calls.pwrite(fd, data, offset)
        self.calls.close(fd)
        content.data.extend(bytes(max(offset + len(data) - len(content.data), 0)))
        content.data[offset:offset + len(data)] = data

    def do_create(self) -> None:
        self.write(self.new_path(), 0, self.data())

    def do_append(self) -> None:
        path = self.path()
        self.write(path, len(self.files[path].data), self.data(), os.O_APPEND)

    def do_overwrite(self) -> None:
        path = self.path()
        self.write(path, self.rng.randrange(len(self.files[path].data) + 30_000), self.data())

    def do_store(self) -> None:
        """Into a mapping."""
        path = self.path()
        content = self.files[path]
        if not content.data:
            return
        self.changes(content)
        fd = self.calls.open(path, os.O_RDWR)
        area = self.calls.map(fd, len(content.data), PROT_READ | PROT_WRITE, MAP_SHARED, 0)
        at = self.rng.randrange(len(content.data))
        self.calls.store(area, at, b"!")
        content.data[at] = ord("!")
        self.calls.unmap(area)
        self.calls.close(fd)

    def do_truncate(self) -> None:
        path = self.path()
        content = self.files[path]
        self.changes(content)
        size = self.rng.randrange(len(content.data) + 5000)
        self.calls.truncate(path, size)
        content.data[:] = content.data[:size].ljust(size, b"\0")

    def do_unlink(self) -> None:
        path = self.path()
        self.loses(path)
        self.calls.unlink(path)
        del self.files[path]

    def do_rename(self) -> None:
        old, new = self.path(), self.new_path()
        if self.files.get(new) is self.files[old]:
            return
        self.loses(old)
        self.loses(new)
        self.calls.rename(old, new)
        self.files[new] = self.files.pop(old)

    def do_link(self) -> None:
        path, new = self.path(), self.new_path()
        if new not in self.files:
            self.calls.link(path, new)
            self.files[new] = self.files[path]

    def do_folder(self) -> None:
        """Make a directory or, if it is empty, remove it."""
        folder = self.rng.choice(FOLDERS[len(SYNCED):])
        if folder not in self.folders:
            self.calls.mkdir(folder)
            self.folders.add(folder)
        elif not any(path.startswith(folder) for path in self.files):
            self.calls.rmdir(folder)
            self.folders.remove(folder)

    def do_fsync(self) -> None:
        """The file first, then the directory that has its name."""
        path = self.path()
        folder = path.rpartition("/")[0]
        for name in (path, f"/{folder}"):
            fd = self.calls.open(name, os.O_RDONLY)
            self.calls.fsync(fd)
            self.calls.close(fd)
        self.journal.barrier()
        if f"{folder}/".lstrip("/") in SYNCED:
            self.owes(path)

    def do_sync(self) -> None:
        self.calls.sync()
        self.journal.barrier()
        for path in self.files:
            self.owes(path)
