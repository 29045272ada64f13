"""The programs of the course, and an image that holds them: what a guest executes.

    programs_image()   the course's image with all programs in /bin, and /lib/ld.so, /lib/libgreet.so
    programs_tree()    its files

    hello [NAME]            a greeting
    cat [-m] FILE...        files to standard output, by read() or through a mapping
    crc FILE...             CRC-32 of mapped files
    sieve [LIMIT]           counts primes: work for the processor, 64 KiB of .bss
    counter                 stores to .data and .bss: each run has its own
    heap PAGES              grows by brk() and shrinks again
    peek FILE OFFSET...     bytes of a mapped file: holes, and what lies past its end
    stack [WORD...]         arguments, environment and auxiliary vector
    calls                   system calls that fail
    greet NAME...           uses the shared library libgreet.so
    shout NAME              uses it too, and can itself run at any address
    loop, jump, wild        never end; run data; store to where nothing is mapped

Sources, the Makefile and the built files lie in data/programs. The programs that use the library ask for
/mnt/lib/ld.so: mount the image on /mnt. The image of the other lessons stays as it is.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xiplab.tools.image import DATA, TIME, course_tree
from xiplab.tools.mke2fs import mke2fs
from xiplab.tools.tree import Node, Tree, file
from xiplab.units import MiB

PROGRAMS = DATA / "programs"
SIZE = 2 * MiB
INODES = 64
LABEL = "programs"


def built_files(folder: Path) -> dict[str, Node]:
    """Files that may be executed."""
    return {path.name: file(path.read_bytes(), mode=0o755) for path in sorted(folder.iterdir())}


def programs_tree(built: Path = PROGRAMS) -> Tree:
    """The course's files, and the programs that lie in `built`/bin and `built`/lib."""
    tree = course_tree()
    libraries = tree["lib"]
    assert isinstance(libraries, dict)
    return {**tree, "bin": built_files(built / "bin"), "lib": {**libraries, **built_files(built / "lib")}}


def make_image(built: Path = PROGRAMS, scatter: int | None = None) -> bytes:
    """An image with programs, its blocks in no order if `scatter` is given (a seed). Deterministic."""
    return mke2fs(SIZE, tree=programs_tree(built), inodes=INODES, label=LABEL, now=TIME,
                  scatter=scatter).tobytes()


@cache
def programs_image() -> bytes:
    """The image with the shipped programs."""
    return make_image()
