"""Question 04.2: the look-up of a name in a block of a directory.

A guest makes a directory, and removes names from it: the record before a removed one takes its bytes
over, and the first record of a block gets inode 0. What is expected is what the tools find.
"""

from __future__ import annotations

from functools import cache
from random import Random

from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.ex04_way import ask_number
from xiplab.course.questions.ramdisk import DISK, guest_with_ramdisk, image_of
from xiplab.tools import debugfs
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import KiB

SIZE = 256 * KiB
BLOCK = KiB
NAMES = 45
MISSING = -1


@cache
def used_directory(seed: int) -> bytes:
    """A disk whose directory /d has three blocks and has been in use for a while."""
    random = Random(seed)
    names = [f"{random.choice('abc')}{'x' * random.randrange(28, 44)}{number}" for number in range(NAMES)]
    guest = guest_with_ramdisk(mke2fs(SIZE, blocksize=BLOCK, tree={"d": {name: b"" for name in names}}))
    guest.mount(f"/dev/{DISK}", "/mnt", "ext2")
    image = image_of(guest, SIZE)
    first_ones = [entry.name.decode() for entry in debugfs.ls(image, "/d")
                  if entry.offset % BLOCK == 0 and entry.name != b"."]
    for name in {*first_ones, *random.sample(names, 6)}:
        guest.unlink(f"/mnt/d/{name}")
    guest.umount("/mnt")
    return image_of(guest, SIZE)


def stale_names(image: bytes, start: int) -> list[bytes]:
    """Names that stand in the block and are in no record that is in use: of its first record, if free."""
    length = image[start + 6]
    free = not int.from_bytes(image[start:start + 4], "little")
    return [image[start + 8:start + 8 + length]] if free else []


def check_look_up(answer: Answer, random: Random) -> None:
    """Names in each block of a directory: the first, the last, others, removed ones, parts of names."""
    image = used_directory(random.randrange(3))
    there = debugfs.ls(image, "/d")
    for block in debugfs.blocks(image, "/d"):
        start = block * BLOCK
        here = {entry.name: entry.offset - start for entry in there if entry.offset // BLOCK == block}
        names = list(here)
        absent = [name[:-1] for name in names[-2:]] + [names[-1] + b"x"]
        for name in [names[0], names[-1], *random.sample(names, 2), *stale_names(image, start), *absent]:
            look_up(answer, image[start:start + BLOCK], name, here.get(name, MISSING))


def look_up(answer: Answer, block: bytes, name: bytes, place: int) -> None:
    """Ask for one name. Raises Wrong if the answer is another one."""
    given = f"a directory block of {len(block):,} bytes; the name {name.decode()!r}"
    got = ask_number(answer, given, "find_entry", block, name)
    if got != place:
        raise Wrong("The look-up leads to another place than the directory does.", given=given,
                    expected="-1: no such name" if place == MISSING else f"the record at byte {place}",
                    got=str(got))
