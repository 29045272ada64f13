"""Cost against size: no worse than linear, for 1 to 1,000 guests and 1 to 10,000 extents of a file."""

from __future__ import annotations

import time

from benchmarks.sides import Xip
from xiplab import O_CREAT, O_RDWR, PAGE_SIZE, ZVM, GiB, Guest, MiB
from xiplab.host import native
from xiplab.tools.mke2fs import mke2fs

GUESTS = (1, 10, 100, 1_000)
EXTENTS = (1, 10, 100, 1_000, 10_000)


def guests() -> dict[int, float]:
    """Seconds for one more guest to log on, mount a shared segment and read a page, by how many there are."""
    vm = ZVM()
    vm.segment("SHARED", size=4 * MiB, type="SR", at=GiB)
    vm.load("SHARED", mke2fs(4 * MiB))
    seconds: dict[int, float] = {}
    running: list[Guest] = []
    for number in range(1, GUESTS[-1] + 1):
        start = time.perf_counter()
        guest = vm.logon(f"G{number}")
        guest.echo("shared", "/sys/devices/dcssblk/add")
        guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
        guest.listdir("/mnt")
        running.append(guest)
        if number in GUESTS:
            seconds[number] = time.perf_counter() - start
    for guest in running:
        guest.logoff()
    return seconds


def extents() -> dict[int, tuple[float, float]]:
    """Seconds to write a file, page by page from its end, and to map it, by how many runs it has."""
    side = Xip()
    guest = side.guest
    seconds: dict[int, tuple[float, float]] = {}
    for count in EXTENTS:
        fd = guest.open(f"/mnt/runs{count}", O_CREAT | O_RDWR)
        filp = guest.task.files[fd]
        assert filp is not None
        start = time.perf_counter()
        for page in reversed(range(count)):
            guest.pwrite(fd, bytes(PAGE_SIZE), page * PAGE_SIZE)
        middle = time.perf_counter()
        native.map_file(filp)
        seconds[count] = middle - start, time.perf_counter() - middle
        guest.close(fd)
    side.end()
    return seconds


def report() -> None:
    for number, taken in guests().items():
        print(f"{'growth':11}guest number {number:5}: {1e3 * taken:8.2f} ms")
    for count, (written, mapped) in extents().items():
        print(f"{'growth':11}{count:6} extents: write {1e3 * written:9.2f} ms, map {1e3 * mapped:8.2f} ms")
