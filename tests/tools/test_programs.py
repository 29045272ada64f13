"""The programs that guests execute: what is shipped is what the sources make, and qemu-s390x runs it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from e2fsprogs import needs_e2fsprogs, real_e2fsck
from program_runs import RUNS, TEXT, build, needs_compiler, needs_qemu, shipped_folder

from xiplab.host.emulator import run_in
from xiplab.linux.include.elf import PF_R, PF_W, PF_X, PT_LOAD, Elf64Ehdr, Elf64Phdr, elf_check_arch
from xiplab.tools import debugfs
from xiplab.tools.e2fsck import check
from xiplab.tools.programs import PROGRAMS, programs_image
from xiplab.units import PAGE_SIZE, KiB

SHA256 = {
    "bin/calls": "8e9ae891f9df3a240fb5467a701aa39f7036ac54d4ec3a0ad5a0ac62a442e62b",
    "bin/cat": "c3105cdf0cccb008a6e47806c96554de94aa7b8cd9255554c269110bdc5525fe",
    "bin/counter": "ed975593dae088dadea81873dcae3098d04c26d54407467498adc65a61452ecc",
    "bin/crc": "89fd7600b7326f96a3cea743540e99c428b9b7620b340c85c3af134881588642",
    "bin/greet": "5006de24466831d165d12dc4fa1b4711249cf6317a64a40ad1a9fdc12dc9c2e5",
    "bin/heap": "f68e58ccaec3a7f0a7dbf68dde61e3d9d529ee53181060a9571b35060a8469f2",
    "bin/hello": "b05243ca994223a5e950e7f6412101ea604ea481b0a6b899a5da7a0b316d4e17",
    "bin/jump": "b026480663a763423cc4be79155b3eb3e397ffa6aa643ed772c0e67349508896",
    "bin/loop": "cc5912049a0a3c128fcc76a78fa04f961a5f3c246e800f3b56353edbb6c01b44",
    "bin/peek": "62cb1f1c5f6b2eea69b4339cee0c815d085725ad152750d296aed944acea5890",
    "bin/shout": "204d03f2802fe2865e75bda36aeae66c21d74b03d5326e7c9308e267a52b8f4a",
    "bin/sieve": "8a3fc284a62b141d86733e9fddc9150a5f82ae16d6b454ad0bd2f5e5f504c143",
    "bin/stack": "787b6664933a94690e884d8a790a4778518df171e5ea840df71e6532d96d5e6f",
    "bin/wild": "944c2cd930fc81e8e7ecac76210d6c3e4b36571e52a532125e373560cacea279",
    "lib/ld.so": "b038170b9f283edbabec80b4bdb849f3e2d785ff9ad71917c6e4a717b14750e3",
    "lib/libgreet.so": "65b2e1faeda3b1b427d4121e4e1119bf584e63978ff24c46f97f3e86c653801c",
}

def shipped() -> list[Path]:
    return sorted([*PROGRAMS.glob("bin/*"), *PROGRAMS.glob("lib/*")])


def segments(path: Path) -> list[Elf64Phdr]:
    image = np.fromfile(path, np.uint8)
    ehdr = Elf64Ehdr(image)
    headers = [Elf64Phdr(image, ehdr.e_phoff + number * ehdr.e_phentsize) for number in range(ehdr.e_phnum)]
    return [phdr for phdr in headers if phdr.p_type == PT_LOAD]


def test_shipped_programs_are_the_ones_that_were_tested() -> None:
    """After `make -C xiplab/data/programs` with another compiler these numbers change."""
    assert {str(path.relative_to(PROGRAMS)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in shipped()} == SHA256


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_shipped_program_is_small_and_for_s390x(path: Path) -> None:
    assert path.stat().st_size < 12 * KiB
    assert elf_check_arch(Elf64Ehdr(np.fromfile(path, np.uint8)))


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_shipped_program_has_one_kind_of_content_in_each_page(path: Path) -> None:
    """Instructions, constants and variables lie in pages of their own, and can be mapped in place."""
    loads = segments(path)
    pages = [phdr.p_offset // PAGE_SIZE for phdr in loads if phdr.p_filesz]

    assert len(set(pages)) == len(pages)
    assert all((phdr.p_vaddr - phdr.p_offset) % PAGE_SIZE == 0 for phdr in loads)
    assert {phdr.p_flags for phdr in loads} <= {PF_R | PF_X, PF_R, PF_R | PF_W}


def test_dynamic_linker_needs_no_linking() -> None:
    """Nobody links the linker: its data has no addresses that must be filled in."""
    assert b".rela" not in (PROGRAMS / "lib/ld.so").read_bytes()


@needs_e2fsprogs
def test_programs_image_is_clean_and_holds_them_all(tmp_path: Path) -> None:
    image = programs_image()

    assert check(image) == []
    assert real_e2fsck(image, tmp_path)[0] == 0
    for path in shipped():
        inside = f"/{path.relative_to(PROGRAMS)}"
        assert debugfs.cat(image, inside) == path.read_bytes()
        assert debugfs.stat(image, inside)["permissions"] == "-rwxr-xr-x"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shipped_folder(tmp_path_factory.mktemp("shipped"))


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs as the cross compiler makes them now."""
    folder = tmp_path_factory.mktemp("rebuilt")
    (folder / "mnt").mkdir()
    build(folder / "mnt")
    (folder / "text").write_bytes(TEXT)
    return folder


@needs_qemu
@pytest.mark.parametrize("command", RUNS)
def test_program_does_in_qemu_what_it_should(here: Path, command: str) -> None:
    assert run_in(here, command) == RUNS[command]


@pytest.mark.slow
@needs_qemu
@needs_compiler
@pytest.mark.parametrize("command", RUNS)
def test_rebuilt_program_behaves_as_the_shipped_one(rebuilt: Path, command: str) -> None:
    assert run_in(rebuilt, command) == RUNS[command]


@needs_compiler
def test_makefile_builds_the_shipped_programs(rebuilt: Path) -> None:
    """The same names; the bytes depend on the compiler."""
    made = {str(path.relative_to(rebuilt / "mnt")) for path in rebuilt.glob("mnt/*/*")}

    assert made == set(SHA256)
