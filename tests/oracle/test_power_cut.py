"""Whenever the power fails, the real e2fsck repairs the image, and what was synced is all there."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from guests import PLACES, GuestCalls
from power import Cut, Work, in_order, reordered

from xiplab.linux.fs.stat import Stat
from xiplab.tools import debugfs, e2fsck
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import MiB

SEEDS = range(1, 5)
REPAIRED = (0, 1)
"""Exit statuses of `e2fsck -fy`: nothing to do, or errors corrected."""

pytestmark = pytest.mark.skipif(shutil.which("e2fsck") is None, reason="e2fsck is not installed")


def worked(place: str, seed: int, count: int) -> Work:
    """`count` calls on a fresh file system."""
    work = Work(PLACES[place](mke2fs(4 * MiB)), seed)
    work.run(count)
    return work


def cuts(work: Work, place: str, seed: int, about: int) -> list[Cut]:
    """About so many in order; on a disk, where writes may be put off, as many reordered."""
    step = max(len(work.journal.writes) // about, 1)
    late = reordered(work.journal, step, seed) if place == "page cache" else ()
    return list(chain(in_order(work.journal, step), late))


def repaired(image: bytes, path: Path) -> bytes:
    """The image after `e2fsck -fy`, found clean by a second look."""
    path.write_bytes(image)
    first = subprocess.run(["e2fsck", "-fy", path], capture_output=True, check=False, timeout=60)
    second = subprocess.run(["e2fsck", "-fn", path], capture_output=True, check=False, timeout=60)

    assert first.returncode in REPAIRED, first.stdout.decode(errors="replace")
    assert second.returncode == 0, second.stdout.decode(errors="replace")
    return path.read_bytes()


def check(work: Work, cut: Cut, path: Path) -> int:
    """Repair the image of one cut; returns how many promises were looked at."""
    image = repaired(work.journal.image(cut.kept), path)
    owed = [promise for promise in work.promises if promise.holds(cut)]
    lost = [promise.path for promise in owed if debugfs.cat(image, f"/{promise.path}") != promise.data]

    assert (cut, lost, e2fsck.check(image)) == (cut, [], [])
    return len(owed)


@pytest.mark.parametrize("place", PLACES)
def test_power_cut_loses_nothing_that_was_synced(place: str, tmp_path: Path) -> None:
    """A few cuts of a short run."""
    work = worked(place, 7, 60)
    some = cuts(work, place, 0, 6)
    owed = sum(check(work, cut, tmp_path / "image") for cut in some)

    assert len(some) > 6
    assert owed >= 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("place", PLACES)
def test_power_cut_anywhere_loses_nothing_that_was_synced(
        place: str, seed: int, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """All along a longer run, and with writes missing that a disk may put off."""
    work = worked(place, seed, 150)
    many = cuts(work, place, seed, 100)
    owed = sum(check(work, cut, tmp_path / "image") for cut in many)
    record_property("cuts", len(many))
    record_property("owed", owed)

    assert owed > len(many) // 2


def test_image_between_two_syncs_is_broken() -> None:
    """The journal sees what nobody has synced: such an image needs the repair."""
    work = worked("page cache", 0, 60)
    found = [e2fsck.check(work.journal.image(cut.kept)) for cut in in_order(work.journal, 5)]

    assert any(found)


def test_file_that_was_never_synced_is_not_owed() -> None:
    """Its bytes lie in memory only; the account knows that."""
    work = Work(PLACES["page cache"](mke2fs(1 * MiB)), 0)
    work.do_create()

    assert (work.promises, work.journal.writes) == ([], [])


def attempt(call: Callable[..., object], *arguments: object) -> object:
    """What a call returns, or the OSError that is its answer."""
    try:
        return call(*arguments)
    except OSError as failure:
        return failure


def use(calls: GuestCalls, folder: str) -> None:
    """Read and change everything below a directory; any call may fail."""
    names = attempt(calls.listdir, folder)
    attempt(calls.mkdir, f"{folder}new")
    for path in [f"{folder}{name}" for name in names] if isinstance(names, list) else []:
        st = attempt(calls.lstat, path)
        if isinstance(st, Stat) and stat.S_ISDIR(st.st_mode):
            use(calls, f"{path}/")
        for call, *arguments in ((calls.cat,), (calls.truncate, 5000), (calls.unlink,)):
            attempt(call, path, *arguments)


def complaints(place: str, image: bytes) -> list[str]:
    """What the kernel logs while an image that nobody repaired is mounted, used and unmounted."""
    calls = PLACES[place](image)
    use(calls, "/")
    attempt(calls.sync)
    attempt(calls.umount)
    return [line for line in calls.guest.dmesg if "EXT2-fs" in line and "error" in line]


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_image_that_nobody_repaired_can_be_used(place: str) -> None:
    """The kernel meets blocks of two files and names of no inode. It answers with errnos, and complains."""
    work = worked(place, 8, 100)
    images = [work.journal.image(cut.kept) for cut in cuts(work, place, 8, 20)]

    assert any(complaints(place, image) for image in images)
