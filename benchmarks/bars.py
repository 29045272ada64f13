"""The bars: xiplab on a resident segment beside system calls on tmpfs.

    python -m benchmarks.bars [--rounds 5] [--only W2]

Each workload is run by both sides in turn, `rounds` times; the table gives the medians and their ratio
(below 1: faster than tmpfs), with the goal. W7 and W8 have bars in time, W9 in memory. "growth" is cost
against size.
"""

from __future__ import annotations

import argparse
import gc
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator

from benchmarks import growth, images
from benchmarks.sides import Side, Tmpfs, Xip
from xiplab import O_CREAT, O_RDWR, O_TRUNC, O_WRONLY, MiB

SIZE = 64 * MiB
OPERATIONS = 20_000
FILES, DIRECTORIES = 2_000, 20
ENOUGH, MOST_ROUNDS = 0.2, 100
"""Short workloads are run more than `rounds` times: for so many seconds, or so often. All times are processor
time of the program and of the kernel for it, so that other programs on the computer disturb little."""

Step = Callable[[], object]


PIECE = random.Random(1).randbytes(MiB)
OFFSETS = [random.Random(2).randrange(SIZE >> 12) << 12 for _ in range(OPERATIONS)]


def make_big(side: Side, name: str = "big") -> int:
    fd = side.open(side.root + name, O_CREAT | O_RDWR | O_TRUNC)
    for _ in range(SIZE // MiB):
        side.write(fd, PIECE)
    return fd


def w1a(side: Side) -> Iterator[Step]:
    fd = make_big(side)
    while True:
        yield lambda: side.pread(fd, SIZE, 0)


def w1b(side: Side) -> Iterator[Step]:
    fd = make_big(side)
    buffer = bytearray(SIZE)
    while True:
        yield lambda: side.readinto(fd, buffer, 0)


def w2(side: Side) -> Iterator[Step]:
    fd = make_big(side)

    def step() -> None:
        pread = side.pread
        for offset in OFFSETS:
            pread(fd, 4096, offset)
    while True:
        yield step


def w3(side: Side) -> Iterator[Step]:
    fd = make_big(side)
    page = PIECE[:4096]

    def step() -> None:
        pwrite = side.pwrite
        for offset in OFFSETS:
            pwrite(fd, page, offset)
    while True:
        yield step


def create(side: Side, chunk: int) -> Iterator[Step]:
    data = PIECE[:chunk]

    def step() -> None:
        fd = side.open(side.root + "new", O_CREAT | O_WRONLY)
        write = side.write
        for _ in range(SIZE // chunk):
            write(fd, data)
        side.close(fd)
    while True:
        yield step
        side.unlink(side.root + "new")


def w4a(side: Side) -> Iterator[Step]:
    return create(side, MiB)


def w4b(side: Side) -> Iterator[Step]:
    return create(side, 4096)


def names(side: Side) -> list[str]:
    return [f"{side.root}d{i % DIRECTORIES}/file{i}" for i in range(FILES)]


def make_files(side: Side, paths: list[str]) -> None:
    data = PIECE[:512]
    for name in paths:
        fd = side.open(name, O_CREAT | O_WRONLY)
        side.write(fd, data)
        side.close(fd)


def directories(side: Side) -> list[str]:
    return [f"{side.root}d{i}" for i in range(DIRECTORIES)]


def make_directories(side: Side, paths: list[str]) -> None:
    for name in paths:
        side.mkdir(name)


def remove_files(side: Side, paths: list[str]) -> None:
    for name in paths:
        side.unlink(name)


def remove_directories(side: Side, paths: list[str]) -> None:
    for name in paths:
        side.rmdir(name)


def ask(question: Callable[[str], object], paths: list[str]) -> None:
    for name in paths:
        question(name)


def w5_create(side: Side) -> Iterator[Step]:
    paths = names(side)
    make_directories(side, directories(side))
    while True:
        yield lambda: make_files(side, paths)
        remove_files(side, paths)


def w5_stat(side: Side) -> Iterator[Step]:
    paths = names(side)
    make_directories(side, directories(side))
    make_files(side, paths)
    while True:
        yield lambda: ask(side.stat, paths)


def w5_list(side: Side) -> Iterator[Step]:
    paths = directories(side)
    make_directories(side, paths)
    make_files(side, names(side))
    while True:
        yield lambda: ask(side.listdir, paths)


def w5_delete(side: Side) -> Iterator[Step]:
    paths = names(side)
    make_directories(side, directories(side))
    while True:
        make_files(side, paths)
        yield lambda: remove_files(side, paths)


def w5_mkdir(side: Side) -> Iterator[Step]:
    paths = directories(side)
    while True:
        yield lambda: make_directories(side, paths)
        remove_directories(side, paths)


def w5_rmdir(side: Side) -> Iterator[Step]:
    paths = directories(side)
    while True:
        make_directories(side, paths)
        yield lambda: remove_directories(side, paths)


WORKLOADS: dict[str, tuple[str, Callable[[Side], Iterator[Step]], float]] = {
    "W1a": ("read 64 MiB, fresh bytes", w1a, 1.0),
    "W1b": ("read 64 MiB into a buffer", w1b, 0.6),
    "W2": ("random 4 KiB reads", w2, 1.0),
    "W3": ("random 4 KiB overwrites", w3, 1.0),
    "W4a": ("create 64 MiB, 1 MiB writes", w4a, 0.5),
    "W4b": ("create 64 MiB, 4 KiB writes", w4b, 1.0),
    "W5 create": ("2,000 files of 512 bytes", w5_create, 1.5),
    "W5 stat": ("stat them", w5_stat, 0.8),
    "W5 list": ("list 20 directories", w5_list, 0.5),
    "W5 delete": ("delete them", w5_delete, 1.0),
    "W5 mkdir": ("make 20 directories", w5_mkdir, 3.0),
    "W5 rmdir": ("remove them", w5_rmdir, 5.0),
}


def run(name: str, rounds: int) -> tuple[float, float]:
    """Median seconds of xiplab and of tmpfs, run in turn, without the garbage of earlier workloads."""
    workload = WORKLOADS[name][1]
    sides: tuple[Side, ...] = (Xip(), Tmpfs())
    steps = [workload(side) for side in sides]
    seconds: list[list[float]] = [[], []]
    gc.collect()
    while len(seconds[0]) < rounds or (sum(seconds[0]) < ENOUGH and len(seconds[0]) < MOST_ROUNDS):
        for which, step in enumerate(steps):
            todo = next(step)
            start = time.thread_time()
            todo()
            seconds[which].append(time.thread_time() - start)
    for side in sides:
        side.end()
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def print_ratio(name: str, what: str, ours: float, theirs: float, goal: float) -> None:
    print(f"{name:11}{what:30}{1e3 * ours:10.2f}{1e3 * theirs:10.2f}{ours / theirs:7.2f}{goal:6.1f}",
          flush=True)


def print_images(rounds: int, only: str) -> None:
    """W6 to W9."""
    if "W6".startswith(only):
        print_ratio("W6", "walk and read 2,000 files", *images.w6(rounds), 1.2)
    if "W7".startswith(only):
        mount, first = images.w7(rounds)
        print(f"{'W7':11}mount of 1 GiB: {1e6 * mount:.0f} us (goal 100); first byte of a file: "
              f"{1e6 * first:.0f} us", flush=True)
    if "W8".startswith(only):
        native, model, runs = images.w8(rounds)
        print(f"{'W8':11}map 1 GiB of {runs} runs: native {1e3 * native:.2f} ms (goal 10), "
              f"model {1e3 * model:.2f} ms", flush=True)
    if "W9".startswith(only):
        in_place, copied = images.w9()
        print(f"{'W9':11}8 processes on 64 MiB: Pss of all {in_place} MiB (goal 80), with a copy each "
              f"{copied} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="workloads whose name begins like this")
    options = parser.parse_args()
    print(f"{'workload':11}{'what':30}{'xiplab ms':>10}{'tmpfs ms':>10}{'ratio':>7}{'goal':>6}")
    for name, (what, _, goal) in WORKLOADS.items():
        if name.startswith(options.only):
            print_ratio(name, what, *run(name, options.rounds), goal)
    if shutil.which("mke2fs"):
        print_images(options.rounds, options.only)
    if "growth".startswith(options.only):
        growth.report()


if __name__ == "__main__":
    main()
