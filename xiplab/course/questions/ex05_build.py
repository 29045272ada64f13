"""Question 05.4: the learner's own get_xip_mem, asked alone and carrying a mount.

It gets the model's mapping, looks at the fields of SHOWS, calls ext2_get_block and the disk's
direct_access; both run here and are counted. In the table of the file it answers every read, write and
fault. A belief is a wrong function of (machine, page): if it predicts all that the answer said, it is
named.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.seam import in_the_model
from xiplab.course.questions.stage_05 import FileInPlace
from xiplab.errors import ProgramInterruption, Signal
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.include.blkdev import BlockDevice, BlockDeviceOperations, GenDisk
from xiplab.linux.include.fs import AddressSpace, Inode, SuperBlock
from xiplab.linux.include.mm import MAP_SHARED, PROT_READ, PROT_WRITE
from xiplab.trace import Recording
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, MiB, Pfn, Pgoff

Pair = tuple[int, Pfn]
SHOWS: dict[type, str] = {
    AddressSpace: "host", Inode: "i_sb i_size", SuperBlock: "s_bdev", BlockDevice: "bd_disk",
    GenDisk: "disk_name fops", BlockDeviceOperations: "direct_access"}
GIVEN: dict[str, Callable[..., object]] = {"ext2_get_block": ext2_get_block}
STORED = (0, 7, 4, 14, 2)


def some_file(random: Random) -> FileInPlace:
    """A file whose pages lie neither in a row nor at the same place twice."""
    machine = FileInPlace(at=random.randrange(256, 1024) * MiB)
    pages = list(STORED)
    random.shuffle(pages)
    for page in pages:
        machine.write(page, b"page %d" % page)
    return machine


def block_of(machine: FileInPlace, page: int) -> int:
    return ext2_get_block(machine.inode, page, False)[0]


def at_block(machine: FileInPlace, block: int) -> Pair:
    pfn = Pfn(machine.first_frame + block)
    return pfn << PAGE_SHIFT, pfn


def turned_round(pair: Pair) -> Pair:
    return pair[1], Pfn(pair[0])


BELIEFS: tuple[tuple[str, Callable[[FileInPlace, int], Pair]], ...] = (
    ("page-is-block", at_block),
    ("pages-lie-in-a-row", lambda machine, page: at_block(machine, block_of(machine, 0) + page)),
    ("pair-turned-round", lambda machine, page: turned_round(at_block(machine, block_of(machine, page)))),
    ("hole-is-block-zero", lambda machine, page: at_block(machine, 0)),
)


def as_pair(value: Any, page: int) -> Pair:
    """The answer's value as (kmem, pfn). Raises Wrong for anything else."""
    if not isinstance(value, tuple | list) or [type(item) for item in value] != [int, int]:
        raise Wrong("Your function must return what direct_access returns: an address and a frame number.",
                    given=f"page {page}", got=repr(value),
                    misconception="hands-out-bytes" if "bytes" in str(type(value)) else "")
    return value[0], Pfn(value[1])


def tell_refusal(failure: AnswerRaised, page: int, create: bool) -> Wrong:
    """An error where there is a page: EINVAL from direct_access says that no page begins there."""
    belief = {errno.EINVAL: "block-is-a-sector", errno.ERANGE: "sector-is-a-byte",
              errno.ENODATA: "asking-is-no-creating" if create else "", None: ""}
    return Wrong("Your function refused a page that is there, or that may be made.",
                 given=f"page {page}, create {int(create)}", got=str(failure), trace=tuple(failure.trace),
                 misconception=belief.get(failure.errno, ""))


def ask(answer: Answer, machine: FileInPlace, page: int, create: bool) -> Pair:
    """Call the answer for a page that it must not refuse."""
    try:
        return as_pair(answer.call("get_xip_mem", machine.mapping, Pgoff(page), create), page)
    except AnswerRaised as failure:
        if failure.errno is None:
            raise
        raise tell_refusal(failure, page, create) from failure


def judge_pairs(machine: FileInPlace, said: list[tuple[int, Pair]]) -> None:
    """All pairs are the model's; if not, the first wrong one is shown and the belief behind all is named."""
    for page, got in said:
        if not block_of(machine, page):
            raise Wrong("A hole has no address and no frame.", given=f"page {page}", expected="NoData",
                        got=f"{got[0]:#x}, {got[1]:#x}", misconception="hole-is-block-zero")
        expected = machine.get_xip_mem(Pgoff(page), False)
        if got != expected:
            belief = next((name for name, predict in BELIEFS
                           if all(predict(machine, page) == pair for page, pair in said)), "")
            raise Wrong("That is not where the page lies.",
                        given=f"page {page}, in block {block_of(machine, page)}; block 0 lies in frame "
                              f"{machine.first_frame:#x}",
                        expected=f"address {expected[0]:#x}, frame {expected[1]:#x}",
                        got=f"{got[0]:#x}, {got[1]:#x}", misconception=belief)


def check_stored(answer: Answer, random: Random) -> None:
    """Pages that have a block, direct and behind an indirect block."""
    machine = some_file(random)
    judge_pairs(machine, [(page, ask(answer, machine, page, create))
                          for page in STORED if page for create in (False, True)])


def check_holes(answer: Answer, random: Random) -> None:
    """A hole is ENODATA and costs nothing; with create it gets a block."""
    machine = some_file(random)
    before, page = machine.free_blocks, random.choice((1, 3, 16))
    try:
        got = answer.call("get_xip_mem", machine.mapping, Pgoff(page), False)
    except AnswerRaised as failure:
        if failure.kind == "NotImplementedError":
            raise
        if failure.errno != errno.ENODATA:
            raise Wrong("A hole has an error of its own.", given=f"page {page}, a hole, create 0",
                        expected="NoData", got=str(failure), misconception="any-error-will-do") from failure
    else:
        belief = ("reading-allocates" if machine.free_blocks != before else
                  "hole-is-block-zero" if isinstance(got, tuple | list) else "caller-knows-nothing")
        raise Wrong("There is no block, and your function did not say so.", expected="NoData",
                    given=f"page {page}, a hole, create 0", got=repr(got), misconception=belief)
    pair = ask(answer, machine, page, True)
    if not block_of(machine, page):
        raise Wrong("With create 1 the page must have a block afterwards.", given=f"page {page}, a hole",
                    expected="a new block", got=repr(pair), misconception="asking-is-no-creating")
    judge_pairs(machine, [(page, pair)])


def check_mounted(answer: Answer, random: Random) -> None:
    """A program reads, writes and maps a file whose table asks the answer, and no copy is made for it."""
    machine = some_file(random)
    said: list[tuple[int, Pair]] = []
    carry(machine, over_the_pipe(answer, machine, said))
    try:
        use_in_place(machine, 3)
    except (Wrong, OSError, ProgramInterruption, Signal) as failure:
        judge_pairs(machine, said)
        if isinstance(failure, Wrong):
            raise
        raise Wrong(f"The program could not use the file: {failure}.") from failure
    if not said:
        raise Wrong("Nobody ever called your function.")


def carry(machine: FileInPlace, get_xip_mem: Callable[..., Pair]) -> None:
    """Put a get_xip_mem into the file's table; the model's short ways are left out."""
    machine.mapping.a_ops = replace(machine.mapping.a_ops, name="ext2_aops_xip (plugged)",
                                    get_xip_mem=get_xip_mem, get_xip_runs=None, get_xip_next=None)
    machine.mapping.xip_cache = None


def over_the_pipe(answer: Answer, machine: FileInPlace, said: list[tuple[int, Pair]]) -> Callable[..., Pair]:
    """A get_xip_mem for the file's table that asks the answer, and notes what it said."""
    def get_xip_mem(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> Pair:
        try:
            pair = as_pair(answer.call("get_xip_mem", mapping, pgoff, create), pgoff)
        except AnswerRaised as failure:
            raise in_the_model(failure) from failure
        said.append((pgoff, pair))
        return pair

    return get_xip_mem


def use_in_place(machine: FileInPlace, hole: int) -> None:
    """Read a stored page and a hole, write the hole, map it; nothing goes through the page cache."""
    guest, fd = machine.guest, machine.fd
    cached = guest.frames["page cache"]
    if guest.pread(fd, 6, 7 * PAGE_SIZE) != b"page 7":
        raise Wrong("The program read other bytes than page 7 has.")
    if guest.pread(fd, PAGE_SIZE, hole * PAGE_SIZE) != bytes(PAGE_SIZE):
        raise Wrong("The program did not read zeros from a hole.", misconception="hole-is-block-zero")
    guest.pwrite(fd, b"new", hole * PAGE_SIZE)
    with Recording() as recording:
        text = guest.mmap(fd, 0, PROT_READ | PROT_WRITE, MAP_SHARED)
        text[hole * PAGE_SIZE] = ord("N")
    block = block_of(machine, hole)
    if machine.bytes_of(block)[:3] != b"New":
        raise Wrong("A store to the mapping did not reach the block of the page.",
                    expected="New", got=repr(machine.bytes_of(block)[:3]))
    if not np.shares_memory(text.frame(hole), machine.segment):
        raise Wrong("The mapping does not lie on the segment.", expected="memory shared with the segment",
                    got="a frame elsewhere", misconception="hands-out-bytes")
    if recording.bytes_copied or guest.frames["page cache"] != cached:
        raise Wrong("Mapping the file copied bytes.", expected="0 bytes copied, 0 frames used",
                    got=f"{recording.bytes_copied} bytes copied", misconception="hands-out-bytes")


MASKED = {"xiplab.linux.fs.ext2.xip": ("ext2_get_xip_mem", "ext2_get_xip_runs", "ext2_get_xip_next",
                                       "_inode_direct_access", "_get_block"),
          "xiplab.linux.fs.block_dev": ("bdev_direct_access", "bdev_direct_access_run")}
