"""Cost against size: files of 1 MiB to 1 GiB, 1 to 10,000 extents of a file, 1 to 1,000 guests.

    python -m benchmarks.growth

An exponent is the slope of the last tenfold of sizes, both axes logarithmic: 1 is linear, 2 is quadratic.
For guests the cost is that of one more, so the exponent of all is larger by 1.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.sides import Xip
from xiplab import O_CREAT, O_RDWR, PAGE_SIZE, ZVM, GiB, Guest, MiB
from xiplab.host import native
from xiplab.tools.mke2fs import mke2fs

TIMES = 3

Costs = dict[int, float]
"""Seconds by size."""


@dataclass(frozen=True)
class Sizes:
    """What is measured; the largest of each is the last."""

    guests: tuple[int, ...] = (1, 10, 100, 1_000)
    extents: tuple[int, ...] = (1, 10, 100, 1_000, 10_000)
    files: tuple[int, ...] = (MiB, 10 * MiB, 102 * MiB, 1024 * MiB)


FULL = Sizes()
QUICK = Sizes((1, 10, 100), (1, 10, 100, 1_000), (MiB, 10 * MiB, 102 * MiB))
TINY = Sizes((1, 2), (1, 10), (MiB, 2 * MiB))


@dataclass(frozen=True)
class Growth:
    """The costs of one thing by its size. unit: of the sizes, after the division by `divisor`."""

    what: str
    unit: str
    costs: Costs
    divisor: int = 1

    @property
    def exponent(self) -> float:
        """How fast the cost grows over the last two sizes."""
        (small, less), (large, more) = sorted(self.costs.items())[-2:]
        return math.log(more / less) / math.log(large / small)

    def points(self) -> dict[str, float]:
        return {f"{size // self.divisor:,}": cost for size, cost in self.costs.items()}


def seconds(action: Callable[[], object]) -> float:
    start = time.thread_time()
    action()
    return time.thread_time() - start


def one_file(side: Xip, size: int, buffer: memoryview) -> dict[str, float]:
    """Seconds to write, read, map and delete a file of `size` bytes."""
    piece = bytes(MiB)
    fd = side.open("/mnt/f", O_CREAT | O_RDWR)
    filp = side.guest.task.files[fd]
    assert filp is not None
    taken = {"write": seconds(lambda: [side.write(fd, piece) for _ in range(size // MiB)]),
             "read": seconds(lambda: side.readinto(fd, buffer[:size], 0)),
             "map": seconds(lambda: native.map_file(filp))}
    side.close(fd)
    return {**taken, "delete": seconds(lambda: side.unlink("/mnt/f"))}


def files(sizes: tuple[int, ...]) -> Iterator[Growth]:
    """To write, read, map and delete a file, by its size: medians."""
    side = Xip(size=sizes[-1] + 64 * MiB)
    buffer = memoryview(bytearray(sizes[-1]))
    costs: dict[str, Costs] = {}
    for size in sizes:
        rounds = [one_file(side, size, buffer) for _ in range(TIMES)]
        for name in rounds[0]:
            costs.setdefault(name, {})[size] = statistics.median(taken[name] for taken in rounds)
    side.end()
    for name, by_size in costs.items():
        yield Growth(f"{name} a file", "MiB", by_size, MiB)


def guests(counts: tuple[int, ...]) -> Growth:
    """One more guest to log on, mount a shared segment and read a page, by how many there are."""
    vm = ZVM()
    vm.segment("SHARED", size=4 * MiB, type="SR", at=GiB)
    vm.load("SHARED", mke2fs(4 * MiB))
    costs: Costs = {}
    running: list[Guest] = []
    for number in range(1, counts[-1] + 1):
        start = time.thread_time()
        guest = vm.logon(f"G{number}")
        guest.echo("shared", "/sys/devices/dcssblk/add")
        guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
        guest.listdir("/mnt")
        running.append(guest)
        if number in counts:
            costs[number] = time.thread_time() - start
    for guest in running:
        guest.logoff()
    return Growth("one more guest", "guests", costs)


def extents(counts: tuple[int, ...]) -> Iterator[Growth]:
    """To write a file, page by page from its end, and to map it, by how many runs it has."""
    side = Xip(size=128 * MiB)
    taken = {count: scattered_file(side.guest, count) for count in counts}
    side.end()
    for which, name in enumerate(("write", "map")):
        yield Growth(f"{name} a file", "extents", {count: costs[which] for count, costs in taken.items()})


def scattered_file(guest: Guest, count: int) -> tuple[float, float]:
    """Seconds to write and to map a file of `count` runs."""
    fd = guest.open(f"/mnt/runs{count}", O_CREAT | O_RDWR)
    filp = guest.task.files[fd]
    assert filp is not None
    page = bytes(PAGE_SIZE)
    written = seconds(lambda: [guest.pwrite(fd, page, n * PAGE_SIZE) for n in reversed(range(count))])
    mapped = seconds(lambda: native.map_file(filp))
    guest.close(fd)
    return written, mapped


def all_of(sizes: Sizes) -> Iterator[Growth]:
    """Each begins after the memory of the machine before it went back: its objects refer to each other, so
    only the garbage collector ends them, which must not be in the middle."""
    gc.collect()
    yield guests(sizes.guests)
    gc.collect()
    yield from extents(sizes.extents)
    gc.collect()
    yield from files(sizes.files)


def report(sizes: Sizes = FULL) -> None:
    print(f"{'growth':11}exponent")
    for growth in all_of(sizes):
        points = "  ".join(f"{size}: {1e3 * cost:.2f}" for size, cost in growth.points().items())
        print(f"{'':11}{growth.exponent:5.2f}  {growth.what:16}ms by {growth.unit}: {points}", flush=True)


if __name__ == "__main__":
    report()
