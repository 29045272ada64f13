"""Question 05.1: four questions to get_xip_mem, answered from the block map alone.

A situation is a file system of its own: a segment somewhere in storage, and a file whose pages were
written in an order drawn from the situation's number. Its block map is read from the inode, the right
answers come from get_xip_mem and from counting free blocks before and after a write.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeAlias

from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.stage_05 import FileInPlace
from xiplab.errors import NoData
from xiplab.linux.fs.ext2.ext2_fs import EXT2_IND_BLOCK
from xiplab.units import MiB, Pfn, Pgoff

Said: TypeAlias = tuple[int | None, int | None, int | None, int]
"""The frames of three pages, None for ENODATA; and how many blocks a write takes."""


@dataclass(frozen=True)
class Situation:
    """A file, and what is asked about it.

    Attributes:
        first_frame: the segment's. slots: of i_block, those that are not 0. inner: of the indirect block.
        asked: three pages to ask for. written: a hole to write to.
        right: what the model answers.
    """

    first_frame: Pfn
    slots: dict[int, int]
    inner: dict[int, int]
    asked: tuple[int, int, int]
    written: int
    right: Said

    def lines(self) -> tuple[str, ...]:
        """The situation in words."""
        slots = ", ".join(f"i_block[{slot}] = {block}" for slot, block in self.slots.items())
        indirect = self.slots.get(EXT2_IND_BLOCK)
        inner = ", ".join(f"slot {slot} = {block}" for slot, block in self.inner.items())
        behind = [f"Block {indirect} holds pointers: {inner}. All its other slots are 0."] if indirect else []
        a, b, c = self.asked
        return (f"Block 0 of the segment lies in frame {self.first_frame:#x}, block 1 in the next frame.",
                f"The inode: {slots}. All other slots are 0.", *behind,
                f"Somebody asks get_xip_mem for page {a}, for page {b} and for page {c}, each with create 0.",
                f"Then a program writes one byte to page {self.written}.")


def pages_of(variant: int, random: Random) -> list[int]:
    """The pages to store, in the order of writing; situation 0 is the simplest."""
    if variant == 0:
        return [0, 7, 4, 14]
    few = random.sample(range(1, 12), 3)
    behind = random.sample(range(13, 40), 2) if random.random() < 0.6 else []
    pages = [0, *few, *behind]
    random.shuffle(pages)
    return pages


def hole_to_write(variant: int, stored: list[int], random: Random) -> int:
    """A page that takes one block, two or three."""
    near = next(page for page in range(2, 12) if page not in stored)
    return 1100 if variant == 0 else random.choice((near, 60, 1036 + random.randrange(500)))


@cache
def situation(variant: int) -> Situation:
    """The situation with this number; the same one every time."""
    random = Random(f"05.1 situation {variant}")
    stored = pages_of(variant, random)
    first = 0x10000000 if variant == 0 else random.randrange(256, 1024) * MiB
    machine = FileInPlace(at=first)
    for page in stored:
        machine.write(page)
    hole = random.choice([page for page in range(1, 12) if page not in stored])
    behind = [page for page in stored if page >= 12]
    asked = [random.choice([page for page in stored if 0 < page < 12]), hole,
             random.choice(behind or [12 + random.randrange(20)])]
    random.shuffle(asked)
    written = hole_to_write(variant, stored, random)
    slots = {slot: block for slot, block in enumerate(machine.i_data) if block}
    inner = machine.pointers(slots[EXT2_IND_BLOCK]) if EXT2_IND_BLOCK in slots else {}
    frames = [frame_or_none(machine, page) for page in asked]
    before = machine.free_blocks
    machine.write(written)
    return Situation(machine.first_frame, slots, inner, (asked[0], asked[1], asked[2]), written,
                     (frames[0], frames[1], frames[2], before - machine.free_blocks))


def frame_or_none(machine: FileInPlace, page: int) -> int | None:
    try:
        return machine.get_xip_mem(Pgoff(page), False)[1]
    except NoData:
        return None


def situation_lines(variant: int) -> tuple[str, ...]:
    return situation(variant).lines()


# ---- what people believe

def in_a_row(case: Situation, page: int) -> int | None:
    """The pages lie in a row, from the first one's block on."""
    return case.first_frame + case.slots[0] + page


def page_as_block(case: Situation, page: int) -> int | None:
    return case.first_frame + page


def block_as_frame(case: Situation, page: int) -> int | None:
    """Frames counted from the beginning of the segment."""
    right = case.right[case.asked.index(page)]
    return None if right is None else right - case.first_frame


def slot_12_as_page(case: Situation, page: int) -> int | None:
    """Slot 12 names a block of the file, like the slots before it."""
    return case.first_frame + case.slots.get(EXT2_IND_BLOCK, 0) if page >= EXT2_IND_BLOCK else None


def block_zero(case: Situation, page: int) -> int | None:
    """A pointer of 0 names block 0."""
    return case.first_frame


BELIEFS = (("pages-lie-in-a-row", in_a_row), ("page-is-block", page_as_block),
           ("frame-from-segment", block_as_frame), ("slot-12-is-a-page", slot_12_as_page),
           ("hole-is-block-zero", block_zero))


def belief_about_frame(case: Situation, page: int, got: int | None) -> str:
    """The misconception that gives this frame; None for a page that is there: holes are guessed."""
    if got is None:
        return "slot-12-is-the-end" if page >= EXT2_IND_BLOCK else ""
    return next((belief for belief, predict in BELIEFS if predict(case, page) == got), "")


def belief_about_cost(case: Situation, got: int) -> str:
    if got == 0:
        return "reading-allocates"
    if got == 1:
        return "map-costs-nothing"
    return "pages-lie-in-a-row" if got > 3 else ""


# ---- the check

def check_prediction(answer: Answer, random: Random) -> None:
    """Three frames and a number of blocks, for the situation that the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or not 0 <= variant < 10**9:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    case = situation(variant)
    said = as_said(answer.call("four_answers"))
    for place, (page, got, right) in enumerate(zip(case.asked, said[:3], case.right[:3], strict=True)):
        if got != right:
            raise Wrong(f"Not yet. Look at page {page}: {told(right is None)} Practise on another situation, "
                        f'too: xiplab.show("05.1", {variant + 1}).',
                        given=f"situation {variant}, page {page}, your answer number {place + 1}",
                        got="None" if got is None else f"{got:#x}",
                        misconception=belief_about_frame(case, page, got))
    if said[3] != case.right[3]:
        raise Wrong(f"The frames are right. The write to page {case.written} takes another number of blocks.",
                    given=f"situation {variant}", got=str(said[3]),
                    misconception=belief_about_cost(case, said[3]))


def told(is_hole: bool) -> str:
    return "its pointer is 0." if is_hole else "follow its pointer to a block, and the block to its frame."


def as_said(value: object) -> Said:
    """The answer's four values. Raises Wrong for anything else."""
    if not isinstance(value, tuple | list) or len(value) != 4 or type(value[3]) is not int or not all(
            item is None or type(item) is int for item in value[:3]):
        raise Wrong("Return four values: three frame numbers or None, and a number of blocks.",
                    expected="such as 0x10007, None, 0x1000a, 1", got=repr(value))
    return value[0], value[1], value[2], value[3]
