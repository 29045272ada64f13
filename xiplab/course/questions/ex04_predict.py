"""Question 04.1: an inode's slots and an indirect block are shown; which block holds which page?

Each situation is a small disk, made for its number. What is expected is read from it by the tools
that know nothing of the driver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from xiplab.course.problem import Answer, Wrong
from xiplab.linux.fs.ext2.ext2_fs import EXT2_IND_BLOCK, EXT2_NDIR_BLOCKS
from xiplab.tools import debugfs
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, MiB

PAGES = 30
SHOWN = PAGES - EXT2_NDIR_BLOCKS
FILE = "/file"


@dataclass(frozen=True)
class Situation:
    """An inode on a disk.

    Attributes:
        slots: its 15 numbers. pointers: the first numbers of its indirect block.
        pages: which pages are asked for. blocks: where they are, 0 for a hole.
    """

    slots: tuple[int, ...]
    pointers: tuple[int, ...]
    pages: tuple[int, ...]
    blocks: tuple[int, ...]

    def lines(self) -> tuple[str, ...]:
        """The situation in words."""
        indirect = self.slots[EXT2_IND_BLOCK]
        return (f"A file has {PAGES} pages, in blocks of 4,096 bytes.",
                f"The 15 slots of its inode, from slot 0 on: {numbers(self.slots)}",
                f"Block {indirect} begins with these numbers, each of 4 bytes: {numbers(self.pointers)}",
                f"In which blocks are the pages {numbers(self.pages)}? Write 0 for a hole.")


def numbers(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))


@cache
def situation(variant: int) -> Situation:
    """The situation with this number; the same one every time."""
    random = Random(f"04.1 situation {variant}")
    direct = random.sample(range(2, EXT2_NDIR_BLOCKS), 5)
    behind = random.sample(range(EXT2_NDIR_BLOCKS + 1, EXT2_NDIR_BLOCKS + 6), 2)
    stored = {0, 1, *direct, EXT2_NDIR_BLOCKS, *behind}
    content = b"".join(bytes([page in stored]) * PAGE_SIZE for page in range(PAGES))
    image = mke2fs(MiB, tree={FILE[1:]: content}, scatter=random.randrange(1 << 30))
    hole = random.choice([page for page in range(2, EXT2_NDIR_BLOCKS) if page not in stored])
    pages = tuple(sorted((direct[0], hole, EXT2_NDIR_BLOCKS, behind[0])))
    slots = debugfs.stat(image, FILE)["i_block"]
    pointers = Filsys(image).pointers[slots[EXT2_IND_BLOCK], :SHOWN].tolist()
    blocks = debugfs.blocks(image, FILE)
    return Situation(tuple(slots), tuple(pointers), pages, tuple(blocks[page] for page in pages))


def situation_lines(variant: int) -> tuple[str, ...]:
    return situation(variant).lines()


BELIEFS: tuple[tuple[str, Callable[[Situation, int], int]], ...] = (
    ("file-is-contiguous", lambda case, page: case.slots[0] + page),
    ("page-is-block", lambda case, page: page),
    ("indirect-block-is-data", lambda case, page: case.slots[min(page, EXT2_IND_BLOCK)]),
    ("pointers-count-on", lambda case, page: case.pointers[page]),
    ("pointers-begin-at-one", lambda case, page: case.pointers[page - EXT2_NDIR_BLOCKS - 1]),
)
"""Wrong functions of (situation, page), each with the misconception that it stands for."""


def belief_behind(case: Situation, page: int, truth: int, said: int) -> str:
    """The misconception that puts this page where the learner did; empty if none does."""
    for misconception, predict in BELIEFS:
        is_direct = page < EXT2_NDIR_BLOCKS and misconception not in ("file-is-contiguous", "page-is-block")
        if not is_direct and said == predict(case, page):
            return misconception
    return "" if truth else "hole-takes-a-block"


def check_blocks(answer: Answer, random: Random) -> None:
    """The learner's list of blocks is the disk's, for the situation the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    case, said = situation(variant), answer.call("blocks_of_the_pages")
    if not isinstance(said, list | tuple) or len(said) != len(case.pages) \
            or not all(type(block) is int for block in said):
        raise Wrong(f"Return a list of {len(case.pages)} whole numbers, one for each page that is asked for.",
                    got=repr(said))
    for page, truth, block in zip(case.pages, case.blocks, said, strict=True):
        if block != truth:
            raise Wrong(f"Not yet. Look at page {page}. Practise on another situation, too: "
                        f'xiplab.show("04.1", {variant + 1}).', given=f"situation {variant}",
                        got=f"page {page} in block {block}",
                        misconception=belief_behind(case, page, truth, block))
