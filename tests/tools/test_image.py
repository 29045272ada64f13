"""The image of the course: the real mke2fs's and the shipped one hold the same files."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from e2fsprogs import needs_e2fsprogs, real_e2fsck

from xiplab.tools import debugfs, image
from xiplab.tools.e2fsck import check
from xiplab.units import PAGE_SIZE, MiB

PATHS = ["/bin/hello", "/etc/motd", "/hello", "/holes", "/lib/fragmented", "/lib/greeting"]


@pytest.fixture(params=["shipped", "real"])
def made(request: pytest.FixtureRequest) -> bytes:
    if request.param == "shipped":
        return image.shipped_image()
    program = image.real_mke2fs()
    if program is None:
        pytest.skip("mke2fs is not installed")
    return image.build_by_e2fsprogs(program)


def test_shipped_image_is_what_the_tree_makes() -> None:
    """data/shlib.img.gz is up to date; write_shipped() makes it anew."""
    assert image.shipped_image() == image.build()


@needs_e2fsprogs
def test_course_image_is_the_same_each_time() -> None:
    image.course_image.cache_clear()
    first = image.course_image()
    image.course_image.cache_clear()

    assert image.course_image() == first


def test_course_image_without_mke2fs_is_the_shipped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "real_mke2fs", lambda: None)

    assert image.course_image.__wrapped__() == image.shipped_image()


def test_course_image_with_failing_mke2fs_is_the_shipped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "real_mke2fs", lambda: shutil.which("false"))

    assert image.course_image.__wrapped__() == image.shipped_image()


@needs_e2fsprogs
def test_image_is_clean(made: bytes, tmp_path: Path) -> None:
    assert check(made) == []
    assert real_e2fsck(made, tmp_path)[0] == 0
    assert len(made) == 2 * MiB


def test_image_holds_the_tree(made: bytes) -> None:
    shipped = image.shipped_image()
    names = {path: {record.name for record in debugfs.ls(made, path)} for path in ("/", "/bin", "/lib")}
    dots = {b".", b".."}

    assert names["/"] == dots | {b"lost+found", b"bin", b"etc", b"hello", b"holes", b"lib"}
    assert (names["/bin"], names["/lib"]) == (dots | {b"hello"}, dots | {b"fragmented", b"greeting"})
    for path in PATHS:
        assert debugfs.cat(made, path) == debugfs.cat(shipped, path)
        for key in ("permissions", "uid", "gid", "size", "mtime", "ctime", "links", "blockcount"):
            assert debugfs.stat(made, path)[key] == debugfs.stat(shipped, path)[key]


def test_image_greeting_starts_with_the_line_that_lessons_change(made: bytes) -> None:
    text = debugfs.cat(made, "/lib/greeting")

    assert text.startswith(b"Hello from the segment.\n")
    assert len(text) == 3.5 * PAGE_SIZE
    assert text[2 * PAGE_SIZE:].startswith(b"page 2, byte 8192 ")


def test_image_fragmented_has_no_neighbours_in_a_row(made: bytes) -> None:
    blocks = debugfs.blocks(made, "/lib/fragmented")

    assert len(blocks) == 8
    assert all(after != before + 1 for before, after in pairwise(blocks))
    assert debugfs.cat(made, "/lib/fragmented")[5::PAGE_SIZE] == b"01234567"


def test_image_holes_are_not_stored(made: bytes) -> None:
    blocks = debugfs.blocks(made, "/holes")

    assert [number for number, block in enumerate(blocks) if block] == [0, 5, 15]
    assert len(blocks) == 20
    assert len(debugfs.indirect_blocks(made, "/holes")) == 1


@pytest.mark.skipif(shutil.which("qemu-s390x") is None, reason="qemu-s390x is not installed")
def test_image_hello_runs_on_s390x(made: bytes, tmp_path: Path) -> None:
    program = tmp_path / "hello"
    program.write_bytes(debugfs.cat(made, "/bin/hello"))
    program.chmod(0o755)
    done = subprocess.run(["qemu-s390x", program], capture_output=True, check=False, timeout=20)

    assert (done.returncode, done.stdout) == (1, b"Hello from the segment.\n")


@pytest.mark.skipif(shutil.which("s390x-linux-gnu-gcc") is None, reason="no compiler for s390x is installed")
def test_image_hello_is_made_from_its_source(tmp_path: Path) -> None:
    """Its instructions are, whatever the version of the linker puts around them."""
    options = ["-nostdlib", "-static", "-s", "-Wl,-z,max-page-size=4096,-z,noseparate-code,--build-id=none"]
    source, program = image.DATA / "hello.s", tmp_path / "hello"
    subprocess.run(["s390x-linux-gnu-gcc", *options, "-o", program, source], check=True)
    shipped = (image.DATA / "hello").read_bytes()
    entry = shipped.index(bytes.fromhex("a7290001"))

    assert shipped[entry:entry + 64] in program.read_bytes()
