"""e2fsck: it agrees with the real one on good and on damaged images, and bears any bytes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from damages import DAMAGES, good_image
from e2fsprogs import needs_e2fsprogs, real_debugfs, real_e2fsck, real_mke2fs

from xiplab.tools.e2fsck import Problem, check
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import KiB, MiB

FORMATS = [(1024, 0), (1024, 1), (2048, 1), (4096, 1)]

LATE = "the superblock's sum is written at unmount only: the real one corrects it and calls that clean"
COPY = "the real one goes on with the copy in group 1"
STRICTER = {
    "free blocks": LATE,
    "free inodes": LATE,
    "too many blocks": COPY,
    "block bitmap elsewhere": COPY,
    "block bitmap outside": COPY,
    "inode bitmap is block bitmap": COPY,
    "inode table outside": COPY,
    "inode table zero": COPY,
}
"""Where we find fault and the real one ends with status 0, which it may: it depends on the block size."""


def words(problems: list[Problem]) -> str:
    return "; ".join(map(str, problems))


@pytest.mark.parametrize(("blocksize", "revision"), FORMATS)
def test_check_good_image_finds_nothing(blocksize: int, revision: int) -> None:
    assert words(check(good_image(blocksize, revision))) == ""


@needs_e2fsprogs
@pytest.mark.slow
@pytest.mark.parametrize(("blocksize", "revision"), FORMATS)
@pytest.mark.parametrize("name", DAMAGES)
def test_check_agrees_with_e2fsck_on_damage(name: str, blocksize: int, revision: int, tmp_path: Path) -> None:
    image = good_image(blocksize, revision)
    DAMAGES[name](image)
    problems = check(image)
    status, output = real_e2fsck(image, tmp_path)

    assert bool(problems) == bool(status) or (name in STRICTER and problems), (words(problems), output)


@needs_e2fsprogs
@pytest.mark.parametrize("name", list(DAMAGES)[::4])
def test_check_agrees_with_e2fsck_on_every_fourth_damage(name: str, tmp_path: Path) -> None:
    test_check_agrees_with_e2fsck_on_damage(name, 4096, 1, tmp_path)


@pytest.mark.parametrize(("name", "expected"), [
    ("magic", "pass 0: superblock: s_magic is 0x0000, not 0xef53"),
    ("inode table zero", "pass 0: group 1: bg_inode_table is 0, the group has blocks 1025 to 2047"),
    ("blocks count", "pass 1: inode 12: i_blocks 64, and 62 counted"),
    ("pointer twice", "block 75: used by inode 12 and inode 13"),
    ("indirect outside", "pass 1: inode 12: indirect block for logical block 12 is 1000000000, the image"),
    ("record length 0", "rec_len 0 at byte "),
    ("entry to a free inode", "b'file' leads to inode 250: it is not in use"),
    ("name twice", "the name is there twice"),
    ("dotdot leads away", "pass 3: inode 16: .. leads to inode 11, the directory is in inode 2"),
    ("directories_in_a_circle", "pass 3: inode 22: directory that no path from the root leads to"),
    ("file_lost", "pass 4: inode 84: in use, but without a name"),
    ("links too many", "pass 4: inode 12: i_links_count 3, and 1 names"),
    ("free block used", "pass 5: block 1001: free, but marked used"),
    ("past a group's inodes", "pass 5: group 0: bg_inode_bitmap: bits past the group's end are clear"),
    ("group directories", "pass 5: group 0: bg_used_dirs_count 7, and 6 counted"),
])
def test_check_names_object_and_fault(name: str, expected: str) -> None:
    image = good_image()
    DAMAGES[name](image)

    assert expected in words(check(image))


@needs_e2fsprogs
@pytest.mark.parametrize("options", [
    ("-b", "1024"), ("-b", "4096"), ("-b", "1024", "-r", "0", "-O", "none"), ("-b", "2048", "-I", "256"),
    ("-b", "1024", "-O", "^sparse_super,^resize_inode"), ("-b", "1024", "-O", "has_journal"),
], ids=" ".join)
@pytest.mark.parametrize("size", [8 * MiB, 40 * MiB])
def test_check_image_of_mke2fs_finds_nothing(options: tuple[str, ...], size: int, tmp_path: Path) -> None:
    """Images with features that we do not make ourselves: resize_inode, dir_index, ext_attr, journal."""
    tree = tmp_path / "tree"
    (tree / "many").mkdir(parents=True)
    (tree / "data").write_bytes(b"\x05" * 700_000)
    for number in range(200):
        (tree / "many" / f"a rather long name, number {number}").write_text("x")
    image = real_mke2fs(size, tmp_path, *options, "-d", str(tree))

    assert words(check(image)) == ""


@needs_e2fsprogs
def test_check_extended_attributes(tmp_path: Path) -> None:
    """A block of attributes is counted as the inode's; its head must be right."""
    good = real_mke2fs(1 * MiB, tmp_path, "-b", "1024", "-I", "128")
    value = tmp_path / "value"
    value.write_text("v" * 200)
    real_debugfs(good, tmp_path, f"ea_set -f {value} lost+found user.name", write=True)
    image = np.frombuffer((tmp_path / "asked.img").read_bytes(), np.uint8).copy()
    head = int(np.flatnonzero(image.view("<u4")[::256] == 0xEA020000)[0]) * KiB
    problems = check(image)
    image[head + 4] = 7

    assert words(problems) == ""
    assert "attributes of 1 inodes have the head" in words(check(image))
    assert real_e2fsck(image, tmp_path)[0] != 0


@pytest.mark.parametrize("seed", range(12))
def test_check_random_bytes_within_a_second(seed: int) -> None:
    """A good superblock over 1 MiB of noise, of small numbers, or of block numbers: problems, no errors."""
    random = np.random.default_rng(seed)
    blocksize = (1024, 2048, 4096)[seed % 3]
    image = mke2fs(1 * MiB, blocksize=blocksize)
    kept = image[:1024 + 1024].copy()
    limit = (256, 1 << 16, MiB // blocksize, 20)[seed % 4]
    image.view("<u4")[:] = random.integers(0, limit, image.size // 4) * (1 if seed % 4 else 0x01010101)
    if seed > 5:
        image[:] = mke2fs(1 * MiB, blocksize=blocksize)
        image[8 * blocksize:].view("<u4")[:] = random.integers(0, limit, image.size // 4 - 2 * blocksize)
    image[:kept.size] = kept
    start = time.process_time()
    problems = check(image)

    assert problems
    assert time.process_time() - start < 1


@pytest.mark.parametrize("seed", range(40))
def test_check_flipped_bytes_raises_nothing(seed: int) -> None:
    """A few random bytes in the metadata of a good image."""
    random = np.random.default_rng(seed)
    image = good_image(1024 if seed % 2 else 4096)
    places = random.integers(1024, 100 * KiB, 1 + seed)
    image[places] = random.integers(0, 256, places.size)

    assert isinstance(check(image), list)


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 2047, 2048, 65536])
def test_check_zeros_of_any_size_is_a_problem(size: int) -> None:
    assert [problem.pass_number for problem in check(bytes(size))] == [0]


def test_check_truncated_image_is_a_problem() -> None:
    assert "do not fit" in words(check(good_image()[:MiB]))


def test_check_many_faults_are_cut_short() -> None:
    """Of one kind of fault the first hundred, and how many more there are."""
    image = mke2fs(8 * MiB, blocksize=1024, inodes=4000, tree={"many": {f"{n}": "" for n in range(3000)}})
    names = [problem for problem in check(image) if problem.pass_number == 4]
    Filsys(image).inode_table(0)["i_links_count"][20:3000] = 5
    problems = [problem for problem in check(image) if problem.pass_number == 4]

    assert names == []
    assert len(problems) == 101
    assert problems[-1].why == "and 2880 more of this kind"


def test_check_reads_bytes_and_views_alike() -> None:
    image = good_image()

    assert check(image.tobytes()) == check(bytearray(image)) == check(memoryview(image)) == []


def test_check_64_mib_well_under_a_second() -> None:
    image = mke2fs(64 * MiB, tree={"big": b"\x01" * 40 * MiB, "many": {f"{n}": "x" for n in range(2000)}})
    start = time.process_time()
    problems = check(image)

    assert problems == []
    assert time.process_time() - start < 0.5
