"""The running kernel's own ext2 (or ext4) as the oracle, through a loop device; only where root."""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mounts import PLACES, assert_clean, guest_tree, host_tree, needs_e2fsprogs

from xiplab import O_CREAT, O_RDWR
from xiplab.tools import debugfs
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import MiB

HOLD = 'mount -o loop "$1" "$2" && echo mounted && read -r end; umount "$2"'


@contextmanager
def kernel_mount(image: bytes, folder: Path) -> Iterator[Path]:
    """The image mounted by the running kernel; afterwards the file loop.img has what it wrote.

    The mount is made by a process with a mount namespace of its own, and seen through it. In a namespace
    that others have too, any of them may take a copy of the mount along into a new namespace: the file
    system then outlives its umount here, and its last blocks are written later.
    Raises:
        OSError: EPERM this cannot be done here; with what mount said.
    """
    path, root = folder / "loop.img", folder / "root"
    path.write_bytes(image)
    root.mkdir(exist_ok=True)
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", HOLD, "sh", path, root], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stderr
        if holder.stdout.readline() != "mounted\n":
            raise OSError(errno.EPERM, holder.stderr.read())
        yield Path(f"/proc/{holder.pid}/root") / root.relative_to("/")
        holder.stdin.close()

        assert holder.wait(60) == 0, holder.stderr.read()


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        with kernel_mount(bytes(mke2fs(1 * MiB)), tmp_path_factory.mktemp("loop")):
            pass
    except OSError as failure:
        pytest.skip(f"no loop mounts here (needs root, unshare, and a kernel with ext2 or ext4): {failure}")


def grow_tree(api: object, root: str, seed: int) -> None:
    """Files, holes, directories and links, with some taken away again."""
    rng = random.Random(seed)
    for d in range(4):
        api.mkdir(f"{root}/d{d}", 0o755)  # type: ignore[attr-defined]
        for f in range(40):
            path = f"{root}/d{d}/file-{f}"
            fd = api.open(path, O_CREAT | O_RDWR, 0o640)  # type: ignore[attr-defined]
            api.pwrite(fd, rng.randbytes(rng.choice((10, 4096, 70_000))),  # type: ignore[attr-defined]
                       rng.choice((0, 0, 5000, 300_000)))
            api.close(fd)  # type: ignore[attr-defined]
        for f in range(0, 40, 3):
            api.unlink(f"{root}/d{d}/file-{f}")  # type: ignore[attr-defined]
        api.symlink("t" * (30 + 20 * d), f"{root}/link{d}")  # type: ignore[attr-defined]
        api.link(f"{root}/d{d}/file-1", f"{root}/hard{d}")  # type: ignore[attr-defined]
    api.rename(f"{root}/d3", f"{root}/d0/moved")  # type: ignore[attr-defined]


@needs_e2fsprogs
@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("place", PLACES)
def test_kernel_reads_what_we_wrote(place: str, tmp_path: Path) -> None:
    """The same tree, the same statfs."""
    where, options = PLACES[place]
    mounted = where(bytes(mke2fs(32 * MiB, blocks_per_group=2048)))
    mounted.mount(options)
    grow_tree(mounted.guest, "/mnt", 1)
    tree, st = guest_tree(mounted.guest), mounted.guest.statfs("/mnt")
    mounted.guest.umount("/mnt")
    with kernel_mount(mounted.image(), tmp_path) as root:
        theirs = os.statvfs(root)

        assert host_tree(root) == tree
        assert (theirs.f_bfree, theirs.f_ffree, theirs.f_blocks) == (st.f_bfree, st.f_ffree, st.f_blocks)


@needs_e2fsprogs
@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("place", PLACES)
def test_we_read_and_change_what_the_kernel_wrote(place: str, tmp_path: Path) -> None:
    where, options = PLACES[place]
    with kernel_mount(bytes(mke2fs(32 * MiB)), tmp_path) as root:
        grow_tree(os, str(root), 2)
        tree = host_tree(root)
    mounted = where((tmp_path / "loop.img").read_bytes())
    mounted.mount(options)

    assert guest_tree(mounted.guest) == tree
    for name in mounted.guest.ls("/mnt/d1"):
        mounted.guest.unlink(f"/mnt/d1/{name}")
    mounted.guest.rmdir("/mnt/d1")
    mounted.guest.umount("/mnt")
    assert_clean(mounted.image(), tmp_path)


@needs_e2fsprogs
@pytest.mark.usefixtures("loop")
def test_mount_ends_with_its_process_whoever_makes_namespaces(tmp_path: Path) -> None:
    """What was written is on the image, although another process has copied all mounts it could see."""
    with kernel_mount(bytes(mke2fs(1 * MiB)), tmp_path) as root:
        (root / "file").write_bytes(b"x" * 5000)
        copy = subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo copied; read -r end"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert copy.stdout
        copy.stdout.readline()
    with copy:
        image = (tmp_path / "loop.img").read_bytes()

        assert debugfs.cat(image, "/file") == b"x" * 5000


@needs_e2fsprogs
@pytest.mark.usefixtures("loop")
def test_kernel_takes_the_same_number_of_blocks(tmp_path: Path) -> None:
    """Indirect blocks and holes cost what they cost there."""
    sizes = (0, 1, 4096, 49_152, 49_153, 4_243_456, 4_243_457, 6_000_000)
    mounted = PLACES["xip"][0](bytes(mke2fs(32 * MiB)))
    mounted.mount("xip")
    for size in sizes:
        fd = mounted.guest.open(f"/mnt/{size}", O_CREAT | O_RDWR)
        mounted.guest.write(fd, b"x" * size)
        mounted.guest.close(fd)
        fd = mounted.guest.open(f"/mnt/hole-{size}", O_CREAT | O_RDWR)
        mounted.guest.pwrite(fd, b"x", size)
        mounted.guest.close(fd)
    mine = {name: mounted.guest.stat(f"/mnt/{name}").st_blocks for name in mounted.guest.ls("/mnt")}
    with kernel_mount(bytes(mke2fs(32 * MiB)), tmp_path) as root:
        for size in sizes:
            (root / str(size)).write_bytes(b"x" * size)
            with (root / f"hole-{size}").open("wb") as hole:
                hole.seek(size)
                hole.write(b"x")
        os.sync()

        assert {path.name: path.stat().st_blocks for path in root.iterdir()} == mine
