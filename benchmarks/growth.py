"""Cost against size: files of 1 MiB to 1 GiB, 1 to 10,000 extents of a file, 1 to 1,000 guests.

An exponent is the slope of the last tenfold of sizes, both axes logarithmic: 1 is linear, 2 is quadratic.
For guests the cost is that of one more, so the exponent of all is larger by 1.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

from benchmarks.sides import Xip
from xiplab import O_CREAT, O_RDWR, PAGE_SIZE, ZVM, GiB, Guest, MiB
from xiplab.host import native
from xiplab.tools.mke2fs import mke2fs

GUESTS = (1, 10, 100, 1_000)
EXTENTS = (1, 10, 100, 1_000, 10_000)
SIZES = (MiB, 10 * MiB, 102 * MiB, 1024 * MiB)
TIMES = 3

Costs = dict[int, float]
"""Seconds by size."""
Measured = TypeVar("Measured")


def seconds(action: Callable[[], object]) -> float:
    start = time.thread_time()
    action()
    return time.thread_time() - start


def exponent(costs: Costs) -> float:
    """How fast the cost grows over the last two sizes."""
    (small, less), (large, more) = sorted(costs.items())[-2:]
    return math.log(more / less) / math.log(large / small)


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


def sizes() -> dict[str, Costs]:
    """Median seconds to write, read, map and delete a file, by its size."""
    side = Xip(size=GiB + 64 * MiB)
    buffer = memoryview(bytearray(SIZES[-1]))
    costs: dict[str, Costs] = {}
    for size in SIZES:
        rounds = [one_file(side, size, buffer) for _ in range(TIMES)]
        for name in rounds[0]:
            costs.setdefault(name, {})[size] = statistics.median(taken[name] for taken in rounds)
    side.end()
    return costs


def guests() -> Costs:
    """Seconds for one more guest to log on, mount a shared segment and read a page, by how many there are."""
    vm = ZVM()
    vm.segment("SHARED", size=4 * MiB, type="SR", at=GiB)
    vm.load("SHARED", mke2fs(4 * MiB))
    costs: Costs = {}
    running: list[Guest] = []
    for number in range(1, GUESTS[-1] + 1):
        start = time.thread_time()
        guest = vm.logon(f"G{number}")
        guest.echo("shared", "/sys/devices/dcssblk/add")
        guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
        guest.listdir("/mnt")
        running.append(guest)
        if number in GUESTS:
            costs[number] = time.thread_time() - start
    for guest in running:
        guest.logoff()
    return costs


def extents() -> dict[str, Costs]:
    """Seconds to write a file, page by page from its end, and to map it, by how many runs it has."""
    side = Xip()
    costs: dict[str, Costs] = {"write": {}, "map": {}}
    for count in EXTENTS:
        costs["write"][count], costs["map"][count] = scattered_file(side.guest, count)
    side.end()
    return costs


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


def without_garbage(measure: Callable[[], Measured]) -> Measured:
    """What is measured, after the memory of an earlier machine went back: its objects refer to each other,
    so only the garbage collector ends them, which must not be in the middle."""
    gc.collect()
    return measure()


def print_costs(what: str, unit: str, costs: Costs, divisor: int = 1) -> None:
    """One line: the cost of each size, and the exponent."""
    points = "  ".join(f"{size // divisor:,}: {1e3 * cost:.2f}" for size, cost in costs.items())
    print(f"{'growth':11}{what:24}{exponent(costs):5.2f}   ms by {unit}: {points}", flush=True)


def report() -> None:
    print(f"{'':11}{'':24}exponent")
    print_costs("one more guest", "guests", without_garbage(guests))
    for name, costs in without_garbage(extents).items():
        print_costs(f"{name} a file", "extents", costs)
    for name, costs in without_garbage(sizes).items():
        print_costs(f"{name} a file", "MiB", costs, MiB)
