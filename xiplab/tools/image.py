"""The image of the course: a small ext2 with a few files that the lessons read, map and run.

    course_image()    made by the real mke2fs where it is installed, else the shipped one
    shipped_image()   data/shlib.img.gz: the same bytes on every computer
    write_shipped()   makes data/shlib.img.gz anew from the tree below

    /bin/hello        a program for Linux on s390x (data/hello.s): one page of code, one of variables
    /etc/motd         one short line
    /hello            symbolic link to bin/hello
    /holes            20 pages, of which only 0, 5 and 15 are stored
    /lib/fragmented   8 pages in blocks of which no two neighbours follow each other
    /lib/greeting     text over four pages; the first line is the one that lessons change

Both images have blocks of 4 KiB and hold the same files. Block and inode numbers may differ: what a
lesson prints of them comes from the shipped one.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from xiplab.ondisk import Bytes
from xiplab.tools.files import file_blocks, find_inode
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import UUID, mke2fs
from xiplab.tools.tree import Node, Tree, file, from_dict, symlink, walk
from xiplab.units import PAGE_SIZE, KiB, MiB

DATA = Path(__file__).parent.parent / "data"
SHIPPED = DATA / "shlib.img.gz"
SIZE = 2 * MiB
INODES = 64
LABEL = "shlib"
TIME = 1125273600
"""29 August 2005: Linux 2.6.13 is the first with execute-in-place."""
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Where mke2fs is on systems that leave it out of an ordinary user's PATH."""

FIRST_LINE = "Hello from the segment.\n"
LINE_LENGTH = 64
GREETING_LENGTH = 3 * PAGE_SIZE + PAGE_SIZE // 2
FRAGMENTED_PAGES = 8
HOLES_PAGES = 20
HOLES_STORED = (0, 5, 15)


def course_tree() -> Tree:
    """The files of the course's image."""
    return {
        "bin": {"hello": file((DATA / "hello").read_bytes(), mode=0o755)},
        "etc": {"motd": "This file system lies in a segment that many guests share.\n"},
        "hello": symlink("bin/hello"),
        "holes": holes(),
        "lib": {
            "fragmented": "".join(page(number, "of fragmented") for number in range(FRAGMENTED_PAGES)),
            "greeting": greeting(),
        },
    }


def greeting() -> str:
    """The first line, and then lines of 64 bytes that each say where in the file they stand."""
    first = FIRST_LINE + "." * (LINE_LENGTH - len(FIRST_LINE) - 1) + "\n"
    places = range(LINE_LENGTH, GREETING_LENGTH, LINE_LENGTH)
    return first + "".join(f"page {place // PAGE_SIZE}, byte {place} ".ljust(LINE_LENGTH - 1, ".") + "\n"
                           for place in places)


def page(number: int, of: str) -> str:
    """A page of text: one line that says which page it is, repeated."""
    line = f"page {number} {of} ".ljust(LINE_LENGTH - 1, ".") + "\n"
    return line * (PAGE_SIZE // LINE_LENGTH)


def holes() -> bytes:
    """A file with holes: pages of zeros are not stored."""
    content = bytearray(HOLES_PAGES * PAGE_SIZE)
    for number in HOLES_STORED:
        content[number * PAGE_SIZE:(number + 1) * PAGE_SIZE] = page(number, "of holes").encode()
    return bytes(content)


def scramble(image: Bytes, path: str) -> None:
    """Reorder the blocks of a small file so that no two pages in a row lie in a row."""
    fs = Filsys(image)
    ino = find_inode(fs, path)
    blocks = file_blocks(fs, ino)
    order = [blocks[(5 * place + 3) % len(blocks)] for place in range(len(blocks))]
    fs.blocks[order] = fs.blocks[blocks]
    fs.inode(ino).i_block[:len(order)] = order


def build() -> bytes:
    """The image by our own mke2fs. Deterministic."""
    image = mke2fs(SIZE, tree=course_tree(), inodes=INODES, label=LABEL, now=TIME)
    scramble(image, "/lib/fragmented")
    return image.tobytes()


def write_shipped() -> None:
    """Make the shipped image anew."""
    SHIPPED.write_bytes(gzip.compress(build(), mtime=0))


def shipped_image() -> bytes:
    """The image that the package ships."""
    return gzip.decompress(SHIPPED.read_bytes())


def real_mke2fs() -> str | None:
    """The program of e2fsprogs, if this computer has it."""
    return shutil.which("mke2fs", path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS]))


def build_by_e2fsprogs(program: str) -> bytes:
    """The image by the real mke2fs. Raises subprocess.CalledProcessError if it cannot (before 1.43)."""
    with tempfile.TemporaryDirectory() as folder:
        tree, image = Path(folder) / "tree", Path(folder) / "image"
        write_tree(from_dict(course_tree()), tree)
        options = {"-b": PAGE_SIZE, "-I": 128, "-N": INODES, "-L": LABEL, "-U": UUID, "-d": tree,
                   "-O": "none,filetype,sparse_super,large_file", "-E": f"hash_seed={UUID}"}
        words = [str(word) for option in options.items() for word in option]
        fixed = {"E2FSPROGS_FAKE_TIME": str(TIME), "MKE2FS_CONFIG": os.devnull}
        subprocess.run([program, "-q", "-F", *words, image, f"{SIZE // KiB}k"], check=True,
                       capture_output=True, env=os.environ | fixed)
        made = np.fromfile(image, np.uint8)
    set_owner_and_times(made)
    scramble(made, "/lib/fragmented")
    return made.tobytes()


def write_tree(root: Node, folder: Path) -> None:
    """Write a tree of directories, files and symbolic links into a new folder."""
    folder.mkdir()
    for path, node, _ in walk(root):
        target = folder / os.fsdecode(path.lstrip(b"/"))
        if node.is_dir:
            target.mkdir()
        elif stat.S_ISLNK(node.mode):
            target.symlink_to(os.fsdecode(node.read().tobytes()))
        else:
            target.write_bytes(node.read().tobytes())
            target.chmod(stat.S_IMODE(node.mode))


def set_owner_and_times(image: Bytes) -> None:
    """All files belong to root and have the same time, whoever made the image and when."""
    fs = Filsys(image)
    for group in range(fs.groups):
        inodes = fs.inode_table(group)
        used = inodes["i_mode"] != 0
        for field in ("i_uid", "i_gid", "l_i_uid_high", "l_i_gid_high"):
            inodes[field][used] = 0
        for field in ("i_atime", "i_ctime", "i_mtime"):
            inodes[field][used] = TIME


@cache
def course_image() -> bytes:
    """The image by the real mke2fs, or the shipped one where that is missing or too old."""
    program = real_mke2fs()
    if program is None:
        return shipped_image()
    try:
        return build_by_e2fsprogs(program)
    except (OSError, subprocess.CalledProcessError):
        return shipped_image()
