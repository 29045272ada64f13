"""Records what this computer's kernel does with a run of operations on ext2.

    python tests/oracle/record.py                 make recorded.json.gz again
    python tests/oracle/record.py files 3 2000    print the recording of seed 3
    python tests/oracle/record.py --tree IMAGE 1  print what the kernel finds on an image
    python tests/oracle/record.py --probe         exit status 0 if a recording can be made here

Needs root and loop devices. All mounts are made in a mount namespace of the process's own: nothing of
them outlives it, and no other process can take a copy of them along into a namespace of its own, which
would keep the image from being complete after umount. A recording counts if e2fsck finds its image clean
and a second one is the same; on a busy computer one in some hundreds was not, and the next two were. The
reference's own accidents must not count against the model.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from host import HostCalls
from replay import Replay, Result, Tree, finish, tree
from workload import PROFILES, Draw, Operation, Profile, first_image

RECORDED = Path(__file__).with_name("recorded.json.gz")
TRIES = 5


@dataclass
class Trace:
    """Operations on a fresh device of a profile, what they gave, and what was there at the end.

    Attributes:
        discarded: how many recordings were made in vain: damaged images, or different results.
    """

    profile: str
    seed: int
    operations: list[Operation] = field(repr=False)
    results: list[Result] = field(repr=False)
    tree: Tree = field(repr=False)
    discarded: int = 0


def record(profile: Profile, seed: int, count: int, folder: Path
           ) -> tuple[list[Operation], list[Result], Tree, bool]:
    """`count` operations, their results on the real kernel, the tree after them, and whether the image
    is clean."""
    image, mountpoint = folder / "image", folder / "mnt"
    image.write_bytes(first_image(profile))
    mountpoint.mkdir(exist_ok=True)
    calls = HostCalls(image, mountpoint)
    try:
        run = Replay(calls, exact=profile.exact)
        operations, results, found = draw_and_run(Draw(profile, seed), run, count)
    except BaseException:
        calls.umount("--lazy")
        raise
    calls.umount()
    return operations, results, found, is_clean(image)


def draw_and_run(draw: Draw, run: Replay, count: int) -> tuple[list[Operation], list[Result], Tree]:
    operations, results = [], []
    for _ in range(count):
        operation = draw.operation()
        result = run.run(operation)
        draw.learn(operation, result)
        operations.append(operation)
        results.append(result)
    return operations, results, finish(run)


def is_clean(image: Path) -> bool:
    """What the real e2fsck says; without it, yes."""
    if shutil.which("e2fsck") is None:
        return True
    return subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=False).returncode == 0


def record_trace(name: str, seed: int, count: int) -> Trace:
    """A recording whose image is clean, made twice in a row. Raises RuntimeError if TRIES do not do."""
    profile = PROFILES[name]
    before: tuple[list[Operation], list[Result], Tree] | None = None
    with tempfile.TemporaryDirectory(prefix="xiplab-oracle-") as folder:
        for number in range(TRIES):
            *recording, clean = record(profile, seed, count, Path(folder))
            if clean and tuple(recording) == before:
                return Trace(name, seed, *before, number - 1)
            before = tuple(recording) if clean else None
    raise RuntimeError(f"{name} {seed}: no two of {TRIES} recordings in a row are the same and clean")


def in_namespace(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run this script in a mount namespace of its own."""
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(["unshare", "--mount", sys.executable, __file__, *arguments], capture_output=True,
                          check=False, timeout=120, env={**os.environ, "PYTHONPATH": path})


@functools.cache
def can_record() -> bool:
    """Whether this computer can be the reference: a trial mount."""
    needed = ("unshare", "mount", "umount", "e2fsck")
    return (sys.platform == "linux" and os.geteuid() == 0 and Path("/dev/loop-control").exists()
            and all(shutil.which(name) for name in needed) and in_namespace("--probe").returncode == 0)


def fetch(name: str, seed: int, count: int) -> Trace:
    """A recording made by a process of its own.

    Raises:
        RuntimeError: that process failed; with what it said.
    """
    done = in_namespace(name, str(seed), str(count))
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return Trace(**json.loads(done.stdout))


def fetch_tree(image: Path, *, exact: bool) -> Tree:
    """What the kernel finds on an image that somebody else wrote, mounted read-only.

    Raises:
        RuntimeError: it cannot be mounted or read; with what was said.
    """
    done = in_namespace("--tree", str(image), str(int(exact)))
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    tree: Tree = json.loads(done.stdout)
    return tree


def print_tree(image: Path, *, exact: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="xiplab-oracle-") as folder:
        calls = HostCalls(image, Path(folder), "ro")
        try:
            found = tree(calls, exact=exact)
        finally:
            calls.umount("--lazy")
    json.dump(found, sys.stdout)


def load_recorded() -> Trace:
    """The recording that is kept for computers that cannot make one."""
    return Trace(**json.loads(gzip.decompress(RECORDED.read_bytes())))


def store_recorded() -> None:
    trace = fetch("files", 0, 2000)
    packed = gzip.compress(json.dumps(asdict(trace), separators=(",", ":")).encode(), mtime=0)
    RECORDED.write_bytes(packed)
    print(f"{RECORDED.name}: {len(packed)} bytes, {trace.discarded} discarded before it")


def main(arguments: list[str]) -> None:
    if not arguments:
        store_recorded()
    elif arguments == ["--probe"]:
        record_trace("files", 0, 10)
    elif arguments[0] == "--tree":
        print_tree(Path(arguments[1]), exact=arguments[2] == "1")
    else:
        name, seed, count = arguments
        json.dump(asdict(record_trace(name, int(seed), int(count))), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
