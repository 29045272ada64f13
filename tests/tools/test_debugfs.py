"""debugfs and its overlay: what they tell of an image is what the real debugfs tells."""

from __future__ import annotations

import errno
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from damages import DAMAGES, good_image
from e2fsprogs import needs_e2fsprogs, real_debugfs, real_mke2fs

from xiplab.tools import debugfs
from xiplab.tools.image import shipped_image
from xiplab.tools.mke2fs import mke2fs
from xiplab.tools.tree import symlink
from xiplab.units import KiB, MiB

PATHS = ["/", "/file", "/big", "/small", "/one", "/two", "/dir/sub/leaf", "/many", "/fast", "/slow", "/pipe",
         "/device"]


@pytest.fixture(scope="module", params=[1024, 4096])
def image(request: pytest.FixtureRequest) -> np.ndarray:
    return good_image(request.param)


def errno_of(path: str | int, image: np.ndarray) -> int | None:
    with pytest.raises(OSError, match=r".") as caught:
        debugfs.cat(image, path)
    return caught.value.errno


@needs_e2fsprogs
@pytest.mark.parametrize("path", PATHS)
def test_stat_agrees_with_debugfs(path: str, image: np.ndarray, tmp_path: Path) -> None:
    told = real_debugfs(image, tmp_path, f"stat {path}")
    found = debugfs.stat(image, path)

    def number(pattern: str, base: int = 10) -> int:
        return int(re.search(pattern, told)[1], base)

    assert found["inode"] == number(r"Inode: (\d+)")
    assert found["mode"] & 0o7777 == number(r"Mode:\s+(\d+)", 8)
    assert found["size"] == (number(r"Size: (\d+)") if "Size:" in told else 0)
    assert found["links"] == number(r"Links: (\d+)")
    assert found["blockcount"] == number(r"Blockcount: (\d+)")
    assert found["mtime"] == number(r"mtime: 0x([0-9a-f]+)", 16)


@needs_e2fsprogs
@pytest.mark.parametrize("path", ["/", "/file", "/big", "/many", "/slow"])
def test_blocks_agree_with_debugfs(path: str, image: np.ndarray, tmp_path: Path) -> None:
    told = [int(block) for block in real_debugfs(image, tmp_path, f"blocks {path}").split()]
    found = debugfs.blocks(image, path)

    assert sorted([*found, *debugfs.indirect_blocks(image, path)]) == sorted(told)
    assert [block for block in told if block in set(found)] == found


@needs_e2fsprogs
def test_blocks_of_holes_agree_with_bmap(tmp_path: Path) -> None:
    image = shipped_image()
    told = [int(block) for block in
            real_debugfs(image, tmp_path, *(f"bmap /holes {page}" for page in range(20))).split()]

    assert debugfs.blocks(image, "/holes") == told


@needs_e2fsprogs
@pytest.mark.parametrize("path", ["/", "/dir", "/many", "/lost+found"])
def test_ls_agrees_with_debugfs(path: str, image: np.ndarray, tmp_path: Path) -> None:
    told = [line.strip("/").split("/") for line in real_debugfs(image, tmp_path, f"ls -p {path}").split()]

    assert [(str(record.inode), record.name.decode()) for record in debugfs.ls(image, path)] == [
        (words[0], words[4]) for words in told]


@needs_e2fsprogs
@pytest.mark.parametrize("path", ["/file", "/big", "/small", "/two", "/dir/sub/leaf"])
def test_cat_agrees_with_debugfs(path: str, image: np.ndarray, tmp_path: Path) -> None:
    real_debugfs(image, tmp_path, f"dump {path} {tmp_path}/dumped")

    assert debugfs.cat(image, path) == (tmp_path / "dumped").read_bytes()


@needs_e2fsprogs
def test_roles_agree_with_icheck(image: np.ndarray, tmp_path: Path) -> None:
    """The real debugfs names the same inode for every block of a file, and no other blocks are in use."""
    roles = debugfs.roles(image)
    used = [block for block, role in enumerate(roles) if role.ino]
    told = dict(line.split() for line in real_debugfs(
        image, tmp_path, "icheck " + " ".join(map(str, used))).splitlines() if re.match(r"\d+\s+\d+$", line))
    tested = real_debugfs(image, tmp_path, *(f"testb {block}" for block in range(1, len(roles)))).splitlines()

    assert {block: roles[block].ino for block in used} == {int(key): int(ino) for key, ino in told.items()}
    assert ["marked in use" in line for line in tested if line] == [
        role.kind != "free" for role in roles[1:]]


@needs_e2fsprogs
def test_stats_agree_with_debugfs(image: np.ndarray, tmp_path: Path) -> None:
    told = real_debugfs(image, tmp_path, "show_super_stats")
    names = {"s_inodes_count": "Inode count", "s_blocks_count": "Block count",
             "s_free_blocks_count": "Free blocks", "s_free_inodes_count": "Free inodes",
             "s_blocks_per_group": "Blocks per group", "s_inodes_per_group": "Inodes per group",
             "s_first_ino": "First inode", "s_inode_size": "Inode size"}
    stats = debugfs.stats(image)

    assert {field: stats[field].value for field in names} == {
        field: int(re.search(rf"{name}:\s+(\d+)", told)[1]) for field, name in names.items()}
    group = re.search(r"Group  0: block bitmap at (\d+), inode bitmap at (\d+), inode table at (\d+)", told)
    fields = debugfs.group(image, 0)
    assert [fields[field].value for field in ("bg_block_bitmap", "bg_inode_bitmap", "bg_inode_table")] == [
        int(place) for place in group.groups()]


def test_stats_tell_where_a_field_lies(image: np.ndarray) -> None:
    magic = debugfs.stats(image)["s_magic"]

    assert (magic.offset, magic.length, magic.value) == (1024 + 56, 2, 0xEF53)
    assert image[magic.offset:magic.offset + 2].tobytes() == b"\x53\xef"
    assert magic.meaning.startswith("marks an ext2 superblock")


def test_cat_gives_the_targets_of_links(image: np.ndarray) -> None:
    assert debugfs.cat(image, "/fast") == b"dir/sub"
    assert debugfs.cat(image, "/slow") == b"s" * 200


def test_inode_number_works_as_a_path(image: np.ndarray) -> None:
    assert debugfs.cat(image, debugfs.namei(image, "/small")) == b"small"


@pytest.mark.parametrize(("path", "expected"), [
    ("/absent", errno.ENOENT), ("/file/x", errno.ENOTDIR), ("/fast/leaf", errno.ENOTDIR), (0, errno.EINVAL),
    (100000, errno.EINVAL),
])
def test_cat_of_no_file_raises(path: str | int, expected: int, image: np.ndarray) -> None:
    assert errno_of(path, image) == expected


def test_group_out_of_range_raises_einval(image: np.ndarray) -> None:
    with pytest.raises(OSError, match="groups 0 to 1") as caught:
        debugfs.group(image, 2)

    assert caught.value.errno == errno.EINVAL


def test_no_image_raises_einval() -> None:
    assert errno_of("/", np.zeros(8 * KiB, np.uint8)) == errno.EINVAL


@pytest.mark.parametrize(("name", "path", "expected"), [
    ("record length 0", "/small", errno.EUCLEAN), ("pointer outside", "/file", errno.EUCLEAN),
    ("high size", "/file", errno.EFBIG), ("inode table outside", "/file", errno.EINVAL),
])
def test_cat_from_a_damaged_image_raises(name: str, path: str, expected: int) -> None:
    damaged = good_image()
    DAMAGES[name](damaged)

    assert errno_of(path, damaged) == expected


@pytest.mark.parametrize("source", ["good", "real", "revision 0"])
def test_overlay_pieces_lie_in_order_and_hold_what_they_say(source: str, tmp_path: Path) -> None:
    made = {"good": good_image, "revision 0": lambda: good_image(2048, 0),
            "real": lambda: real_mke2fs(1 * MiB, tmp_path, "-b", "1024")}[source]()
    blocks = np.frombuffer(made, np.uint8).reshape(debugfs.stats(made)["s_blocks_count"].value, -1)
    kinds = set()
    for number, role in enumerate(debugfs.roles(made)):
        if role.kind in kinds and role.kind in {"free", "data", "inode table"}:
            continue
        kinds.add(role.kind)
        end = 0
        for offset, length, name, value in debugfs.overlay(made, number):
            there = blocks[number, offset:offset + length].tobytes()
            held = int.from_bytes(there, "little") if isinstance(value, int) else there
            assert offset >= end, (number, name)
            assert value == held or isinstance(value, str), (number, name)
            assert debugfs.meaning(name)
            end = offset + length
        assert end <= blocks.shape[1]
    assert {"superblock", "group descriptors", "block bitmap", "inode bitmap", "directory"} <= kinds


def test_overlay_of_bitmaps_names_runs() -> None:
    image = shipped_image()
    pieces = debugfs.overlay(image, debugfs.group(image, 0)["bg_inode_bitmap"].value)

    assert [(piece.name, piece.value) for piece in pieces] == [
        ("inodes 1 to 16", "11111111"), ("inodes 17 to 24", "11110000"), ("inodes 25 to 64", "00000000"),
        ("past the group's end", "11111111")]


def test_overlay_of_an_indirect_block() -> None:
    image = shipped_image()
    (indirect,) = debugfs.indirect_blocks(image, "/holes")
    data = debugfs.blocks(image, "/holes")[15]

    assert str(debugfs.roles(image)[indirect]) == "indirect block of inode 15, for its block 12"
    assert debugfs.overlay(image, indirect) == [
        (0, 12, "pointer[0] to [2]", 0), (12, 4, "pointer[3]", data), (16, 4080, "pointer[4] to [1023]", 0)]


def test_overlay_past_the_image_raises_einval(image: np.ndarray) -> None:
    with pytest.raises(OSError, match="the image has blocks 0 to") as caught:
        debugfs.overlay(image, 10**6)

    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("name", list(DAMAGES)[::3])
def test_debugfs_on_damage_raises_os_errors_only(name: str) -> None:
    damaged = good_image(4096)
    DAMAGES[name](damaged)
    for block in range(0, 200, 9):
        with suppress(OSError):
            debugfs.overlay(damaged, block)
    for path in PATHS:
        with suppress(OSError):
            debugfs.cat(damaged, path)


def test_overlay_stops_at_a_broken_record() -> None:
    damaged = good_image()
    DAMAGES["record length 0"](damaged)
    root = debugfs.roles(damaged).index(debugfs.Role("directory", ino=2))

    assert debugfs.overlay(damaged, root)[-1].name == "record 2: name"


def test_namei_does_not_follow_links() -> None:
    image = mke2fs(1 * MiB, tree={"to": {"file": "x"}, "link": symlink("to")})

    assert errno_of("/link/file", image) == errno.ENOTDIR
