"""The same random calls give the same results on a real ext2, through the page cache, and in place.

Where root and loop devices are at hand the reference is recorded now (record.py); elsewhere one
recording that was made before stands for it. Results are compared call by call, errors included; then
the trees; then what e2fsck, the raw-bytes tools and the real kernel find on our image.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from differs import reason
from guests import PLACES
from record import Trace, can_record, fetch, fetch_tree, is_clean, load_recorded
from replay import LARGEST_READ, Tree, digest, replay
from workload import PROFILES, first_image

from xiplab.tools import debugfs, e2fsck
from xiplab.units import PAGE_SIZE

RUNS = [("files", 1), ("files", 2), ("files", 3), ("files", 4), ("full", 1), ("full", 2), ("full", 3),
        ("mapped", 1), ("mapped", 2), ("mapped", 3), ("small", 1), ("small", 2)]
COUNT = 2000
CONTEXT = 12


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Fresh recordings where they can be made, else the one that is kept; each in its places."""
    if "fresh" in metafunc.fixturenames:
        runs: list[tuple[str, int] | None] = list(RUNS) if can_record() else [None]
        cases = [pytest.param(run, place, id=f"{' '.join(map(str, run or ['recorded']))}-{place}")
                 for run in runs for place in places_of(run)]
        metafunc.parametrize(("fresh", "place"), cases, indirect=["fresh"], scope="module")


def places_of(run: tuple[str, int] | None) -> list[str]:
    """A mount in place needs blocks that are pages."""
    small = run is not None and PROFILES[run[0]].blocksize < PAGE_SIZE
    return [place for place in PLACES if place != "xip" or not small]


@pytest.fixture(scope="module")
def fresh(request: pytest.FixtureRequest) -> Trace:
    if request.param is None:
        return load_recorded()
    trace = fetch(*request.param, COUNT)
    if trace.discarded:
        print(f"{trace}: recordings in vain before this one")
    return trace


def first_difference(trace: Trace, place: str, results: list[Any]) -> str:
    """The first result that is neither the same nor explained, and what was done before it."""
    for i, (operation, real, ours) in enumerate(zip(trace.operations, trace.results, results, strict=True)):
        if real != ours and not reason(place, operation, real, ours):
            before = "\n".join(f"  {op} -> {result}" for op, result in
                               zip(trace.operations[max(i - CONTEXT, 0):i], results[max(i - CONTEXT, 0):i],
                                   strict=True))
            return f"{trace}, {place}, operation {i}:\n{before}\n{operation}\n  real {real}\n  ours {ours}"
    return ""


def check(trace: Trace, place: str, folder: Path) -> Path:
    """Replay, compare results and trees, unmount; returns our image, found clean."""
    profile = PROFILES[trace.profile]
    calls = PLACES[place](first_image(profile))
    results, tree = json.loads(json.dumps(replay(calls, trace.operations, exact=profile.exact)))
    synced, unmounted = folder / "synced", folder / "unmounted"
    synced.write_bytes(calls.image())
    calls.umount()
    unmounted.write_bytes(calls.image())

    assert first_difference(trace, place, results) == ""
    assert tree == trace.tree
    for image in (synced, unmounted):
        assert e2fsck.check(image.read_bytes()) == []
        assert is_clean(image)
        assert_raw_tree(image.read_bytes(), tree)
    return unmounted


def assert_raw_tree(image: bytes, tree: Tree) -> None:
    """The tools that see raw bytes find the same files in the image."""
    for path, (mode, links, uid, gid, *rest) in tree.items():
        inode = debugfs.stat(image, f"/{path}")
        found = [inode[name] for name in ("mode", "links", "uid", "gid")]
        assert (path, found) == (path, [mode, links, uid, gid])
        if stat.S_ISREG(mode) and rest[0] <= LARGEST_READ:
            assert digest(debugfs.cat(image, f"/{path}")) == rest[1:3]


def test_recording_is_small_and_covers_every_operation() -> None:
    trace = load_recorded()
    succeeded = {operation[0] for operation, result in zip(trace.operations, trace.results, strict=True)
                 if not (isinstance(result, list) and result[:1] == ["!"])}

    assert len(trace.operations) == COUNT
    assert succeeded == set(PROFILES[trace.profile].weights)


@pytest.mark.parametrize("place", PLACES)
def test_recorded_calls_give_the_recorded_results(place: str, tmp_path: Path) -> None:
    check(load_recorded(), place, tmp_path)


@pytest.mark.slow
def test_random_calls_give_what_a_real_ext2_gives(fresh: Trace, place: str, tmp_path: Path) -> None:
    """Then the real kernel finds the same tree on our image."""
    image = check(fresh, place, tmp_path)
    if can_record():
        assert fetch_tree(image, exact=PROFILES[fresh.profile].exact) == fresh.tree
