"""Questions 05.2 and 05.3: a block for a hole, taken from a real file system in a segment.

The answer's functions work on the judge's inode; find, take, clear and link run here. At the moment in
which a block comes into the block map, this side looks at the block's bytes: programs could from then on.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.stage_05 import FileInPlace, ext2_get_blocks_3_13
from xiplab.linux.fs.ext2.balloc import ext2_new_blocks
from xiplab.linux.fs.ext2.indirect import ext2_get_block, ext2_splice_branch
from xiplab.linux.fs.ext2.xip import ext2_clear_xip_target
from xiplab.linux.include.fs import Inode
from xiplab.units import PAGE_SIZE, Pgoff

ZEROS = bytes(PAGE_SIZE)
STORED = (0, 4, 7)
"""Pages that have blocks at first."""


def file_with_holes() -> FileInPlace:
    machine = FileInPlace()
    for page in STORED:
        machine.write(page)
    return machine


# ---- 05.2

@dataclass
class Allocation:
    """What an answer did for one page.

    Attributes:
        done: the names of the functions it called, in order. new: the block taken.
        stale: the block was not clear when it came into the block map.
    """

    machine: FileInPlace
    fails: str = ""
    done: list[str] = field(default_factory=list)
    new: int = 0
    stale: bool = False

    def find(self, inode: Inode, page: int) -> int:
        self.done.append("find")
        return ext2_get_block(inode, page, False)[0]

    def take(self, inode: Inode) -> int:
        self._enter("take", errno.ENOSPC)
        self.new = ext2_new_blocks(inode, 0, 1)[0]
        return self.new

    def clear(self, inode: Inode, block: int) -> None:
        self._enter("clear", errno.EIO)
        if block != self.new:
            raise Wrong(f"Your function clears block {block}, which is not the new one.",
                        expected=f"clear(inode, {self.new})", got=f"clear(inode, {block})",
                        misconception="page-is-block")
        ext2_clear_xip_target(inode, block)

    def link(self, inode: Inode, page: int, block: int) -> None:
        self._enter("link", errno.EIO)
        self.stale = block == self.new and self.machine.bytes_of(block) != ZEROS
        ext2_splice_branch(inode, (None, page, 0), block, 1)

    def ask(self, answer: Answer, page: int, create: bool) -> Any:
        """Call the answer for one page, with these four functions."""
        for function in (self.find, self.take, self.clear, self.link):
            answer.give(function.__name__, function)
        return answer.call("block_for", self.machine.inode, page, create)

    def _enter(self, name: str, code: int) -> None:
        self.done.append(name)
        if self.fails == name:
            raise OSError(code, f"{name}: it failed, as this check wanted")


def check_without_new_block(answer: Answer, random: Random) -> None:
    """A stored page keeps its block, also for a write; a hole that is only read stays one."""
    for page, create in ((random.choice(STORED), False), (random.choice(STORED), True), (3, False)):
        machine = file_with_holes()
        allocation = Allocation(machine)
        before, block = machine.free_blocks, machine.i_data[page]
        got = allocation.ask(answer, page, create)
        given = f"page {page}, {f'stored in block {block}' if block else 'a hole'}, create {int(create)}"
        if machine.free_blocks != before or machine.i_data[page] != block:
            raise Wrong("No block is needed here, and your function took one.", given=given,
                        expected=f"{block}, after find", got=f"{got!r}, after {', '.join(allocation.done)}",
                        misconception="write-takes-a-new-block" if block else "reading-allocates")
        if type(got) is not int or got != block:
            raise Wrong("The block is not the one of the page.", given=given, expected=str(block),
                        got=repr(got), misconception="page-is-block" if got == page else "")


def check_new_block(answer: Answer, random: Random) -> None:
    """A hole that is written gets a block: taken, cleared, and only then put into the block map."""
    machine = file_with_holes()
    allocation = Allocation(machine)
    page, before = random.choice((2, 5, 9)), machine.free_blocks
    got = allocation.ask(answer, page, True)
    given = f"page {page}, a hole, create 1; free blocks are full of old bytes"
    if machine.i_data[page] != allocation.new or before - machine.free_blocks != 1:
        raise Wrong("The page has no block of its own afterwards.", given=given,
                    expected="one block taken, and its number in the block map",
                    got=f"{before - machine.free_blocks} taken, pointer {machine.i_data[page]}")
    if allocation.stale:
        belief = "linked-before-cleared" if "clear" in allocation.done else "new-block-shows-old-bytes"
        raise Wrong("When the block came into the block map, it still held old bytes.", given=given,
                    expected="zeros, from the first moment on", got=", ".join(allocation.done),
                    misconception=belief)
    if type(got) is not int or got != allocation.new:
        raise Wrong("Your function must return the new block.", given=given, expected=str(allocation.new),
                    got=repr(got), misconception="page-is-block" if got == page else "")


def check_failures(answer: Answer, random: Random) -> None:
    """Whatever fails on the way: the pointer stays 0, and the caller gets the error."""
    for name in ("take", "clear"):
        machine = file_with_holes()
        allocation = Allocation(machine, fails=name)
        try:
            got: object = allocation.ask(answer, 2, True)
        except AnswerRaised as failure:
            if failure.passed is None:
                raise
            got = str(failure)
        else:
            raise Wrong(f"{name} failed, and your function went on.", expected="the error of " + name,
                        got=repr(got), misconception="errors-are-values")
        if machine.i_data[2]:
            raise Wrong(f"{name} failed, and the block is in the block map.",
                        given="page 2, a hole, create 1", expected="pointer 0",
                        got=f"pointer {machine.i_data[2]}, after {', '.join(allocation.done)}",
                        misconception="linked-before-cleared")


# ---- 05.3

def check_finds(answer: Answer, random: Random) -> None:
    """Stored pages give their block, a hole ENODATA, and nothing is taken."""
    machine = file_with_holes()
    before = machine.free_blocks
    for page in (*STORED, random.choice((1, 2, 3))):
        block = machine.i_data[page]
        given = f"page {page}, {f'in block {block}' if block else 'a hole'}, create 0"
        try:
            got: object = answer.call("block_of_page", machine.inode, Pgoff(page), False)
        except AnswerRaised as failure:
            if failure.errno != errno.ENODATA:
                raise
            got = "ENODATA"
        if machine.free_blocks != before:
            raise Wrong("Nobody asked for a new block, and blocks were taken.", given=given,
                        expected="0 blocks", got=f"{before - machine.free_blocks} blocks",
                        misconception="reading-allocates")
        expected: object = block or "ENODATA"
        if got != expected or isinstance(got, bool):
            belief = "page-is-block" if got == page else "" if block else "hole-is-block-zero"
            raise Wrong("The block is not the one of the page.", given=given, expected=str(expected),
                        got=repr(got), misconception=belief)


def check_one_block(answer: Answer, random: Random) -> None:
    """A hole that is written costs one block, and what leads to it; the disk does not fill up."""
    machine = file_with_holes()
    for page, cost in ((random.choice((1, 2, 3)), 1), (random.randrange(9, 12), 1),
                       (20 + random.randrange(9), 2)):
        before = machine.free_blocks
        given = f"page {page}, a hole, create 1; {before} blocks are free"
        try:
            got = answer.call("block_of_page", machine.inode, Pgoff(page), True)
        except AnswerRaised as failure:
            if failure.errno not in (errno.ENODATA, errno.ENOSPC):
                raise
            belief = "asking-is-no-creating" if failure.errno == errno.ENODATA else "zero-means-one"
            raise Wrong("A write asks for a block, and your function refused.", given=given,
                        expected="a block", got=str(failure), misconception=belief) from failure
        taken = before - machine.free_blocks
        if taken > cost:
            raise Wrong("One page was asked for, and more blocks are gone.", given=given,
                        expected=f"{cost} taken", got=f"{taken} taken, {machine.free_blocks} left",
                        misconception="zero-means-one" if not machine.free_blocks else "more-is-safer")
        block = ext2_get_block(machine.inode, page, False)[0]
        if type(got) is not int or not block or got != block:
            raise Wrong("The block is not the one that the page has now.", given=given, expected=str(block),
                        got=repr(got), misconception="page-is-block" if got == page else "")


GIVEN: dict[str, Callable[..., object]] = {"ext2_get_blocks": ext2_get_blocks_3_13}
