"""mke2fs: images that the real e2fsck finds clean and the real kernel mounts."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from e2fsprogs import needs_e2fsprogs, real_debugfs, real_e2fsck

from xiplab.linux.fs.ext2.ext2_fs import ext2_super_block_of
from xiplab.tools.mke2fs import mke2fs
from xiplab.tools.tree import Node, file, symlink
from xiplab.units import KiB, MiB


def sample_tree() -> dict[str, object]:
    """Every kind of name and content that an image can hold, in a few KiB."""
    shared = file("one inode, two names\n", mode=0o600)
    return {
        "empty": b"",
        "one": shared,
        "two": shared,
        "bin": {"run": file(b"\x7fELF" + bytes(100), mode=0o4755)},
        "deep": {"er": {"and": {"deeper": {"text": "at the bottom\n"}}}},
        "fast": symlink("deep/er"),
        "slow": symlink("x/" * 100),
        "holes": b"start".ljust(8192, b"\0") + bytes(20000) + b"end",
        "name" * 60: "long name\n",
        "pipe": Node(stat.S_IFIFO | 0o644),
        "null": Node(stat.S_IFCHR | 0o666, rdev=os.makedev(1, 3)),
        "large-minor": Node(stat.S_IFBLK | 0o600, rdev=os.makedev(259, 300000)),
    }


def many_files(count: int) -> dict[str, object]:
    return {"many": {f"file-{number:05}": f"{number}\n" for number in range(count)}}


@needs_e2fsprogs
@pytest.mark.parametrize("revision", [0, 1])
@pytest.mark.parametrize("blocksize", [1024, 2048, 4096])
@pytest.mark.parametrize("size", [128 * KiB, 200 * KiB + 512, 1 * MiB, 9 * MiB, 33 * MiB])
def test_mke2fs_with_tree_is_clean(size: int, blocksize: int, revision: int, tmp_path: Path) -> None:
    tree = sample_tree() | (many_files(300) if size > 3 * MiB else {})
    image = mke2fs(size, blocksize=blocksize, revision=revision, tree=tree, now=10**9)

    assert real_e2fsck(image, tmp_path)[0] == 0


@needs_e2fsprogs
@pytest.mark.slow
@pytest.mark.parametrize("revision", [0, 1])
@pytest.mark.parametrize("blocksize", [1024, 2048, 4096])
@pytest.mark.parametrize("size", [64 * KiB * 2**step for step in range(11)] + [8 * MiB + KiB, 8273 * KiB])
def test_mke2fs_grid_is_clean(size: int, blocksize: int, revision: int, tmp_path: Path) -> None:
    big = {"big": b"\x01" * (size // 3)}
    image = mke2fs(size, blocksize=blocksize, revision=revision, tree=big)

    assert real_e2fsck(image, tmp_path)[0] == 0


@needs_e2fsprogs
@pytest.mark.parametrize("options", [
    {"inode_size": 256}, {"features": ()}, {"features": ("filetype",)}, {"blocks_per_group": 256},
    {"blocks_per_group": 256, "features": ("large_file",)}, {"inodes": 5000}, {"inodes": 30},
    {"reserved_percent": 0, "label": "sixteen bytes ok"}, {"scatter": 3},
], ids=str)
def test_mke2fs_option_is_clean(options: dict[str, object], tmp_path: Path) -> None:
    image = mke2fs(3 * MiB, blocksize=1024, tree=sample_tree(), **options)

    assert real_e2fsck(image, tmp_path)[0] == 0


@needs_e2fsprogs
def test_mke2fs_triple_indirect_file_is_clean(tmp_path: Path) -> None:
    """A sparse file reaches below three indirect blocks without storing what lies between."""
    content = tmp_path / "sparse"
    with content.open("wb") as sparse:
        for position in (0, 20 * KiB, 12 * KiB + 256 * KiB, 64 * MiB + 300 * KiB):
            sparse.seek(position)
            sparse.write(position.to_bytes(8, "big").replace(b"\0", b"."))
    image = mke2fs(1 * MiB, blocksize=1024, tree={"sparse": Node(stat.S_IFREG | 0o644, content)})
    real_debugfs(image, tmp_path, f"dump /sparse {tmp_path}/back")

    assert real_e2fsck(image, tmp_path)[0] == 0
    assert (tmp_path / "back").read_bytes() == content.read_bytes()


@needs_e2fsprogs
@pytest.mark.parametrize("blocksize", [1024, 4096])
def test_mke2fs_folder_comes_back_equal(blocksize: int, tmp_path: Path) -> None:
    """What the real debugfs reads from the image of a folder is what the folder holds."""
    source, back = tmp_path / "source", tmp_path / "back"
    (source / "sub" / "empty").mkdir(parents=True)
    back.mkdir()
    (source / "sub" / "data").write_bytes(np.random.default_rng(1).bytes(300_000))
    (source / "text").write_text("text\n")
    os.link(source / "text", source / "sub" / "same")
    os.symlink("text", source / "link")
    image = mke2fs(2 * MiB, blocksize=blocksize, tree=source)
    real_debugfs(image, tmp_path, f"rdump / {back}")

    assert real_e2fsck(image, tmp_path)[0] == 0
    assert listing(back) == listing(source) | {"lost+found": "directory"}


def listing(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): describe(path) for path in folder.rglob("*")}


def describe(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if path.is_dir():
        return "directory"
    return f"{stat.filemode(path.stat().st_mode)} {hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """An image with the sample tree, mounted by this computer's kernel."""
    image, point = tmp_path / "ext2.img", tmp_path / "mnt"
    mke2fs(2 * MiB, tree=sample_tree(), now=1234567890).tofile(image)
    point.mkdir()
    subprocess.run(["mount", "-t", "ext2", "-o", "loop,ro", image, point], check=True)
    yield point
    subprocess.run(["umount", point], check=True)


def can_mount() -> bool:
    """Root with loop devices; a container often has neither, and nothing can be installed for that."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and any(Path("/dev").glob("loop[0-9]*"))


if can_mount():
    def test_mke2fs_image_is_mounted_by_the_kernel(mounted: Path) -> None:
        assert sorted(os.listdir(mounted)) == sorted([*sample_tree(), "lost+found"])
        assert (mounted / "holes").read_bytes() == sample_tree()["holes"]
        assert (mounted / "deep/er/and/deeper/text").read_text() == "at the bottom\n"
        assert os.readlink(mounted / "slow") == "x/" * 100
        assert os.stat(mounted / "one").st_ino == os.stat(mounted / "two").st_ino
        assert os.stat(mounted / "one").st_nlink == 2
        assert os.stat(mounted / "null").st_rdev == os.makedev(1, 3)
        assert os.stat(mounted / "large-minor").st_rdev == os.makedev(259, 300000)
        assert os.stat(mounted / "bin/run").st_mtime == 1234567890
        assert stat.filemode(os.stat(mounted / "bin/run").st_mode) == "-rwsr-xr-x"
        assert os.stat(mounted / "holes").st_blocks == 2 * 8


def test_mke2fs_same_arguments_same_bytes() -> None:
    first, second = (mke2fs(1 * MiB, tree=sample_tree(), scatter=5) for _ in range(2))

    assert np.array_equal(first, second)


def test_mke2fs_sets_label_and_counts() -> None:
    sb = ext2_super_block_of(mke2fs(1 * MiB, label="course", inodes=100))

    assert sb.s_volume_name.tobytes().rstrip(b"\0") == b"course"
    assert (sb.s_blocks_count, sb.s_inodes_count, sb.s_r_blocks_count) == (256, 128, 12)
    assert sb.s_free_inodes_count == 128 - 11


def refused(**options: object) -> int | None:
    size = options.pop("size", 1 * MiB)
    with pytest.raises(OSError, match=r".") as caught:
        mke2fs(size, **options)
    return caught.value.errno


def test_mke2fs_tree_too_large_raises_enospc() -> None:
    assert refused(tree={"big": b"\x01" * MiB}) == errno.ENOSPC


def test_mke2fs_too_many_files_raises_enospc() -> None:
    assert refused(tree=many_files(400)) == errno.ENOSPC


@pytest.mark.parametrize("options", [
    {"blocksize": 512}, {"blocksize": 8192}, {"size": 0}, {"size": 16 * KiB}, {"revision": 2},
    {"revision": 0, "features": ("filetype",)}, {"revision": 0, "inode_size": 256}, {"inode_size": 100},
    {"features": ("journal",)}, {"blocks_per_group": 300000}, {"blocks_per_group": 260},
    {"size": 400 * MiB, "blocksize": 1024, "blocks_per_group": 256, "inodes": 1624 * 1600}, {"inodes": 10**6},
    {"label": "seventeen bytes !"}, {"reserved_percent": 51}, {"tree": {"a/b": ""}}, {"tree": {"..": ""}},
], ids=str)
def test_mke2fs_argument_out_of_range_raises_einval(options: dict[str, object]) -> None:
    assert refused(**options) == errno.EINVAL


def test_mke2fs_long_name_raises_enametoolong() -> None:
    assert refused(tree={"n" * 256: ""}) == errno.ENAMETOOLONG


def test_mke2fs_symlink_of_a_block_raises_enametoolong() -> None:
    """The target and a zero have to fit one block."""
    assert refused(blocksize=1024, tree={"link": symlink("x" * 1024)}) == errno.ENAMETOOLONG


def test_mke2fs_directory_with_two_names_raises_eperm() -> None:
    folder = Node(stat.S_IFDIR | 0o755)

    assert refused(tree={"a": folder, "b": folder}) == errno.EPERM


def test_mke2fs_lost_and_found_as_file_raises_eexist() -> None:
    assert refused(tree={"lost+found": "text"}) == errno.EEXIST


def test_mke2fs_missing_folder_raises_enoent(tmp_path: Path) -> None:
    assert refused(tree=tmp_path / "absent") == errno.ENOENT


@needs_e2fsprogs
def test_mke2fs_layout_puts_blocks_where_told(tmp_path: Path) -> None:
    """A layout names each block of a file, 0 for a hole."""
    content = b"a" * 4096 + bytes(4096) + b"b" * 4096 + b"c"
    image = mke2fs(1 * MiB, tree={"file": content}, layout={"/file": [200, 0, 90, 201]})
    blocks = image.reshape(-1, 4096)

    assert real_e2fsck(image, tmp_path)[0] == 0
    assert real_debugfs(image, tmp_path, "blocks /file").split() == ["200", "90", "201"]
    assert bytes(blocks[90]) == b"b" * 4096
    assert bytes(blocks[201, :2]) == b"c\0"


@needs_e2fsprogs
def test_mke2fs_layout_reaches_below_indirect_blocks(tmp_path: Path) -> None:
    wanted = list(range(600, 500, -1))
    image = mke2fs(1 * MiB, blocksize=1024, tree={"file": b"\x07" * 100 * KiB}, layout={"file": wanted})

    assert real_e2fsck(image, tmp_path)[0] == 0
    assert [int(block) for block in real_debugfs(image, tmp_path, "blocks /file").split()
            if int(block) in wanted] == wanted


@pytest.mark.parametrize("blocks", [[0], [100, 101], [], [1], [256], [-1], [100, 100]], ids=str)
def test_mke2fs_layout_that_does_not_fit_raises_einval(blocks: list[int]) -> None:
    """A hole where the file has bytes, too many, too few, metadata, past the end, before it, twice."""
    assert refused(tree={"file": "text"}, layout={"/file": blocks}) == errno.EINVAL


def test_mke2fs_layout_of_unknown_path_raises_enoent() -> None:
    assert refused(tree={"file": "text"}, layout={"/other": [100]}) == errno.ENOENT


@needs_e2fsprogs
def test_mke2fs_scatter_leaves_no_two_blocks_together(tmp_path: Path) -> None:
    image = mke2fs(1 * MiB, tree={"file": b"\x01" * 40960}, scatter=1)
    blocks = np.array(real_debugfs(image, tmp_path, "blocks /file").split(), int)

    assert blocks.size == 10
    assert np.count_nonzero(np.diff(blocks) == 1) <= 1


def test_mke2fs_tree_given_twice_is_not_changed() -> None:
    """The caller's nodes stay as they are: the same tree can be planted again."""
    tree = {"folder": Node(stat.S_IFDIR | 0o755, entries={b"file": file("text")})}
    first, second = mke2fs(1 * MiB, tree=tree), mke2fs(1 * MiB, tree=tree)

    assert np.array_equal(first, second)
