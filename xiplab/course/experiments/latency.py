"""Notebook 06: how long a read takes, by its path and its size. Times differ from run to run; ratios do less.

    times = measure()                 {"in place": [seconds for each of SIZES], ...}

Every path reads the same bytes. "first read" finds an empty page cache, "read again" a full one.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from xiplab.guest import ZVM, Guest
from xiplab.linux.mm.madvise import POSIX_FADV_DONTNEED
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import KiB, MiB

SIZES = tuple(n * KiB for n in (1, 4, 16, 64, 256, 1024))
PATHS = ("page cache, first read", "in place", "page cache, read again")
REPEATS = 5


def measure(repeats: int = REPEATS) -> dict[str, list[float]]:
    """Seconds for one pread of each size on each path: the best of some repeats."""
    guest = _machine()
    directly, cached = (guest.open(f"/{name}/file") for name in ("xip", "cache"))

    def forget() -> None:
        guest.posix_fadvise(cached, 0, 0, POSIX_FADV_DONTNEED)

    settings: tuple[tuple[int, Callable[[], None]], ...] = (
        (cached, forget), (directly, lambda: None), (cached, lambda: None))
    return {path: [_best(guest, fd, size, before, repeats) for size in SIZES]
            for path, (fd, before) in zip(PATHS, settings, strict=True)}


def _machine() -> Guest:
    """A guest with a file of 1 MiB on two mounts."""
    content = b"".join(f"{number} ".encode().ljust(64, b".") for number in range(SIZES[-1] // 64))
    image = mke2fs(2 * MiB, tree={"file": content})
    vm = ZVM()
    guest = vm.logon("LINUX1")
    for number, (name, options) in enumerate((("xip", "ro,xip"), ("cache", "ro"))):
        vm.segment(name.upper(), size=2 * MiB, type="SR", at=0x10000000 * (number + 1))
        vm.load(name.upper(), image)
        guest.echo(name, "/sys/devices/dcssblk/add")
        guest.mkdir(f"/{name}")
        guest.mount(f"/dev/dcssblk{number}", f"/{name}", "ext2", options)
    return guest


def _best(guest: Guest, fd: int, size: int, before: Callable[[], None], repeats: int) -> float:
    """The shortest of some reads, after one to warm up."""
    taken = []
    for _ in range(repeats + 1):
        before()
        start = perf_counter()
        guest.pread(fd, size, 0)
        taken.append(perf_counter() - start)
    return min(taken[1:])
