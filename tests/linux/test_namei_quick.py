"""The quick walk through the dentry cache and the kernel's own walk: same place, same error."""

from __future__ import annotations

import errno
import random

import pytest

from xiplab import O_CREAT, ZVM, Guest
from xiplab.linux.fs import namei

PARTS = ("", ".", "..", "d", "e", "file", "link", "loop", "closed", "gone", "mnt", "n" * 256)


@pytest.fixture
def guest() -> Guest:
    """A tree with files, links, a directory that only root may search, and a mount."""
    guest = ZVM().logon("LINUX1")
    for path in ("/d", "/d/e", "/d/closed"):
        guest.mkdir(path)
    for path in ("/d/file", "/d/e/file", "/d/closed/file", "/file"):
        guest.close(guest.open(path, O_CREAT))
    for target, path in (("e", "/d/link"), ("loop", "/d/loop"), ("/d", "/link"), ("nothing", "/d/e/link")):
        guest.symlink(target, path)
    guest.chmod("/d/closed", 0o700)
    guest.mount("none", "/mnt", "ramfs")
    guest.mkdir("/mnt/d")
    return guest


def answers(guest: Guest, path: str) -> list[object]:
    """Where a path leads, and where its directory is; or the errnos."""
    found: list[object] = []
    for follow in (True, False):
        try:
            found.append(namei.path_lookup(guest.task, path, follow=follow))
        except OSError as failure:
            found.append(errno.errorcode[failure.errno or 0])
    try:
        found.append(namei.lookup_parent(guest.task, path))
    except OSError as failure:
        found.append(errno.errorcode[failure.errno or 0])
    return found


@pytest.mark.parametrize("uid", [0, 1000])
def test_quick_walk_and_walk_agree(guest: Guest, uid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(uid)
    guest.chdir("/d")
    guest.setuid(uid)
    paths = ["/".join(rng.choices(PARTS, k=rng.randrange(1, 5))) for _ in range(2000)]
    quick = [answers(guest, path) for path in paths]
    quick = [answers(guest, path) for path in paths]
    monkeypatch.setattr(namei, "_rcu_walk", lambda path, parts: (path, parts))

    assert quick == [answers(guest, path) for path in paths]
