"""Where blocks and inodes come from, and that truncation gives all of them back."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from mounts import Mounted, assert_clean, needs_e2fsprogs, on_disk, on_segment

from xiplab import O_CREAT, O_RDWR
from xiplab.linux.fs.ext2.balloc import ext2_try_to_allocate, find_next_usable_block, find_next_zero_bit
from xiplab.linux.fs.ext2.ext2 import EXT2_I
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import KiB, MiB


def random_bitmap(rng: random.Random, size: int) -> bytearray:
    """Mostly taken, mostly free, or anything between, in runs."""
    share = rng.choice((0.0, 0.02, 0.5, 0.98, 1.0))
    bits = [rng.random() < share for _ in range(size)]
    return bytearray(sum(bits[i + j] << j for j in range(8)) for i in range(0, size, 8))


def zeros(bitmap: bytearray, start: int, end: int) -> list[int]:
    return [bit for bit in range(start, end) if not bitmap[bit >> 3] >> (bit & 7) & 1]


@pytest.mark.parametrize("seed", range(5))
def test_find_next_zero_bit_finds_the_first(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        bitmap = random_bitmap(rng, 512)
        start, size = rng.randrange(513), rng.randrange(513)
        expected = next(iter(zeros(bitmap, start, size)), size)

        assert find_next_zero_bit(memoryview(bitmap), size, start) == expected


@pytest.mark.parametrize("seed", range(5))
def test_usable_block_is_close_or_in_a_free_byte_or_any(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        bitmap = random_bitmap(rng, 512)
        start, end = rng.randrange(400), rng.randrange(401, 513)
        close = zeros(bitmap, start, min((start + 63) & ~63, end)) if start else []
        in_bytes = [bit for bit in range((start + 7) & ~7, end, 8) if not bitmap[bit >> 3]]
        expected = (close or in_bytes or zeros(bitmap, start, end) or [-1])[0]

        assert find_next_usable_block(memoryview(bitmap), start, end) == expected


@pytest.mark.parametrize("seed", range(5))
def test_try_to_allocate_takes_a_run_of_free_bits_and_no_others(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        bitmap = random_bitmap(rng, 512)
        before = bytes(bitmap)
        goal, end, count = rng.randrange(-1, 400), rng.randrange(401, 513), rng.choice((1, 2, 8, 100))
        first, num = ext2_try_to_allocate(memoryview(bitmap), goal, end, count)
        changed = [bit for bit in range(512) if (before[bit >> 3] ^ bitmap[bit >> 3]) >> (bit & 7) & 1]

        assert changed == list(range(first, first + num))
        assert not before[first >> 3] >> (first & 7) & 1 or not num
        assert num <= count
        if num < count and first >= 0:
            assert first + num == end or before[first + num >> 3] >> (first + num & 7) & 1


def group_of(mounted: Mounted, path: str) -> int:
    return EXT2_I(mounted.inode(path)).i_block_group


@pytest.fixture
def eight_groups() -> Mounted:
    mounted = on_segment(bytes(mke2fs(16 * MiB, blocks_per_group=512)))
    mounted.mount("xip")
    return mounted


@needs_e2fsprogs
def test_directories_of_the_root_are_spread_and_files_stay_with_theirs(eight_groups: Mounted,
                                                                       tmp_path: Path) -> None:
    """Orlov: below the root each directory goes to the group with the fewest; deeper they stay."""
    guest = eight_groups.guest
    for i in range(7):
        guest.mkdir(f"/mnt/d{i}")
        guest.mkdir(f"/mnt/d{i}/sub")
        guest.echo("text", f"/mnt/d{i}/file")
        guest.echo("text", f"/mnt/d{i}/sub/file")
    groups = [group_of(eight_groups, f"/mnt/d{i}") for i in range(7)]

    assert len(set(groups)) == 7
    for i in range(7):
        for name in ("file", "sub", "sub/file"):
            assert group_of(eight_groups, f"/mnt/d{i}/{name}") == groups[i]
    guest.umount("/mnt")
    assert_clean(eight_groups.image(), tmp_path)


def test_oldalloc_puts_directories_where_most_blocks_are_free() -> None:
    mounted = on_segment(bytes(mke2fs(16 * MiB, blocks_per_group=512)))
    mounted.mount("xip,oldalloc")
    mounted.guest.mkdir("/mnt/dir")
    free = [group.free_blocks for group in mounted.info.s_groups]

    assert free[group_of(mounted, "/mnt/dir")] >= max(free) - 1


@needs_e2fsprogs
def test_files_go_elsewhere_when_their_group_has_no_inode_left(eight_groups: Mounted, tmp_path: Path) -> None:
    guest = eight_groups.guest
    guest.mkdir("/mnt/dir")
    home = eight_groups.info.s_groups[group_of(eight_groups, "/mnt/dir")]
    names = [f"/mnt/dir/{i}" for i in range(home.free_inodes + 20)]
    for name in names:
        guest.echo("", name)
    used = {group_of(eight_groups, name) for name in names}

    assert home.free_inodes == 0
    assert len(used) > 1
    guest.mkdir("/mnt/dir/sub")
    guest.umount("/mnt")
    assert_clean(eight_groups.image(), tmp_path)


@needs_e2fsprogs
def test_file_larger_than_a_group_goes_on_in_the_next(eight_groups: Mounted, tmp_path: Path) -> None:
    fd = eight_groups.guest.open("/mnt/file", O_CREAT | O_RDWR)
    eight_groups.guest.write(fd, b"x" * 6 * MiB)
    inode = eight_groups.inode("/mnt/file")
    groups = [ext2_get_block(inode, n, False)[0] // 512 for n in range(0, 1536, 64)]

    assert groups == sorted(groups)
    assert len(set(groups)) >= 3
    eight_groups.guest.close(fd)
    eight_groups.guest.umount("/mnt")
    assert_clean(eight_groups.image(), tmp_path)


@needs_e2fsprogs
@pytest.mark.parametrize("seed", range(4))
def test_truncate_at_every_level_frees_what_lies_behind_and_keeps_the_rest(seed: int, tmp_path: Path) -> None:
    """With 1 KiB blocks an indirect block has 256 pointers: 12, 268 and 65,804 are the borders."""
    rng = random.Random(seed)
    mounted = on_disk(bytes(mke2fs(8 * MiB, blocksize=1024)))
    mounted.mount()
    guest = mounted.guest
    fd = guest.open("/mnt/file", O_CREAT | O_RDWR)
    borders = (0, 11, 12, 13, 267, 268, 269, 523, 524, 65_803, 65_804, 65_805, 66_060, 131_340, 131_341)
    expected: dict[int, bytes] = {}
    for _ in range(6):
        for block in rng.sample(borders, 8):
            expected[block] = rng.randbytes(1024)
            guest.pwrite(fd, expected[block], block * KiB)
        cut = max(rng.choice(borders) + rng.choice((-1, 0, 1)), 0)
        guest.truncate("/mnt/file", cut * KiB)
        expected = {block: data for block, data in expected.items() if block < cut}
        mounted.guest.sync()
        assert_clean(_marked_clean(mounted.image()), tmp_path)
        inode = mounted.inode("/mnt/file")
        for block in borders:
            assert guest.pread(fd, 1024, block * KiB) == (
                expected.get(block, bytes(1024)) if block < cut else b""), block
            assert bool(ext2_get_block(inode, block, False)[0]) == (block in expected)
    guest.truncate("/mnt/file", 0)

    assert guest.fstat(fd).st_blocks == 0


def _marked_clean(image: bytes) -> bytes:
    """A synced image with the mark that unmounting would set: e2fsck then looks at the rest."""
    changed = bytearray(image)
    changed[1024 + 58] |= 1
    return bytes(changed)


def test_blocks_of_two_files_written_by_turns_are_given_by_turns(eight_groups: Mounted) -> None:
    """There are no reservation windows."""
    guest = eight_groups.guest
    fds = [guest.open(f"/mnt/{name}", O_CREAT | O_RDWR) for name in "ab"]
    for _ in range(4):
        for fd in fds:
            guest.write(fd, bytes(4 * KiB))
    blocks = [[ext2_get_block(eight_groups.inode(f"/mnt/{name}"), n, False)[0] for n in range(4)]
              for name in "ab"]

    assert sorted(blocks[0] + blocks[1]) == list(range(blocks[0][0], blocks[0][0] + 8))
