"""Images by the real mke2fs read back as what was put into them."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from mounts import PLACES, guest_tree, host_tree, needs_e2fsprogs, on_disk, on_segment, real_mke2fs

from xiplab.units import MiB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with files of all depths of the block map, holes, links and a large directory."""
    root = tmp_path_factory.mktemp("tree")
    rng = random.Random(1)
    (root / "dir" / "deep" / "deeper").mkdir(parents=True)
    (root / "empty").write_bytes(b"")
    (root / "greeting").write_bytes(b"Hello, world\n")
    (root / "dir" / "single").write_bytes(rng.randbytes(60_000))
    (root / "dir" / "deep" / "double").write_bytes(rng.randbytes(5 * MiB + 123))
    with (root / "holes").open("wb") as sparse:
        for page in (0, 3, 13, 1100):
            sparse.seek(page * 4096 + 17)
            sparse.write(b"data")
    for i in range(300):
        (root / "dir" / "deep" / "deeper" / f"file-with-a-longer-name-{i:04d}").write_bytes(b"%d" % i)
    os.symlink("greeting", root / "short")
    os.symlink("x" * 59, root / "longest-fast")
    os.symlink("y" * 60, root / "shortest-slow")
    os.symlink("z" * 1000, root / "long")
    (root / "script").write_bytes(b"#!/bin/sh\n")
    (root / "script").chmod(0o755)
    return root


def without_lost_found(tree: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    return {name: what for name, what in tree.items() if name != "lost+found"}


@needs_e2fsprogs
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("inode_size", [128, 256])
def test_image_of_mke2fs_with_pages_as_blocks_reads_back(place: str, inode_size: int, folder: Path,
                                                         tmp_path: Path) -> None:
    """All names, kinds, modes, contents and links of `mke2fs -b 4096 -d` are there, both ways."""
    image = real_mke2fs(tmp_path, 16 * MiB, "-b", "4096", "-I", str(inode_size), tree=folder)
    where, options = PLACES[place]
    mounted = where(image)
    mounted.mount(f"ro,{options}")

    assert without_lost_found(guest_tree(mounted.guest)) == host_tree(folder)
    assert mounted.image() == image


@needs_e2fsprogs
@pytest.mark.parametrize("blocksize", [1024, 2048])
@pytest.mark.parametrize("revision", ["0", "1"])
def test_image_of_mke2fs_with_small_blocks_reads_back(blocksize: int, revision: str, folder: Path,
                                                      tmp_path: Path) -> None:
    image = real_mke2fs(tmp_path, 16 * MiB, "-b", str(blocksize), "-r", revision, tree=folder)
    mounted = on_disk(image)
    mounted.mount("ro")

    assert without_lost_found(guest_tree(mounted.guest)) == host_tree(folder)


@needs_e2fsprogs
def test_meta_bg_image_reads_back(folder: Path, tmp_path: Path) -> None:
    """Group descriptors that lie in their groups are found."""
    image = real_mke2fs(tmp_path, 64 * MiB, "-b", "1024", "-O", "meta_bg,^resize_inode", tree=folder)
    mounted = on_disk(image)
    mounted.mount("ro")

    assert mounted.info.s_groups_count == 8
    assert without_lost_found(guest_tree(mounted.guest)) == host_tree(folder)


@needs_e2fsprogs
def test_xip_read_takes_no_page_cache_frame(folder: Path, tmp_path: Path) -> None:
    """Reading files in place adds no page of data to the cache; directories have pages on both mounts."""
    image = real_mke2fs(tmp_path, 16 * MiB, "-b", "4096", tree=folder)
    mounted = on_segment(image)
    mounted.mount("ro,xip")
    mounted.guest.listdir("/mnt/dir")
    before = mounted.guest.frames["page cache"]

    assert mounted.guest.cat("/mnt/dir/single") == (folder / "dir" / "single").read_bytes()
    assert mounted.guest.frames["page cache"] == before
