"""Question 03.4: a bio reaches the driver; it is refused or carried out, and completed once."""

from __future__ import annotations

import errno
from functools import partial
from random import Random
from typing import Any

import numpy as np

from xiplab.course.experiments.your_driver import plug_make_request
from xiplab.course.problem import Answer
from xiplab.course.questions.ex03_machine import DISK, START, Machine, machine
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Step, judge_play, name_of, outcome
from xiplab.course.start import text_of
from xiplab.linux.drivers.dcssblk_io import READ_ONLY_TYPES, DcssblkDevInfo, acceptable
from xiplab.linux.include.blkdev import READ, WRITE, Bio, BioVec
from xiplab.units import PAGE_SECTORS, PAGE_SIZE, SECTOR_SIZE, Sector

SHOWN = 13
"""So many letters of a page are looked at: "PART1 page 17"."""


def right(bio: Bio, copy: Function, endio: Function) -> None:
    """What dcssblk_make_request does with pieces of whole pages."""
    info = bio.bi_bdev.bd_disk.private_data
    if acceptable(bio, info):
        carry_out(bio, info, copy, endio)
    else:
        endio(bio, errno.EIO)


def carry_out(bio: Bio, info: DcssblkDevInfo, copy: Function, endio: Function) -> None:
    address = info.start + bio.bi_sector * SECTOR_SIZE
    for bvec in bio.bi_io_vec:
        copy(info, address, bvec.memory, bio.bi_rw)
        address += bvec.bv_len
    endio(bio)


def unless(refused: Function) -> Function:
    """A driver that refuses what this function says, and carries out the rest."""
    def make_request(bio: Bio, copy: Function, endio: Function) -> None:
        info = bio.bi_bdev.bd_disk.private_data
        if refused(bio, info):
            endio(bio, errno.EIO)
        else:
            carry_out(bio, info, copy, endio)

    return make_request


def odd(bio: Bio) -> bool:
    return bool(bio.bi_sector % PAGE_SECTORS or bio.bi_size % PAGE_SIZE)


def behind(bio: Bio, spare: int = 0) -> bool:
    return bio.bi_sector + bio.bi_size // SECTOR_SIZE > bio.bi_bdev.bd_disk.capacity - spare


def protected(bio: Bio, info: DcssblkDevInfo) -> bool:
    return info.segment_type in READ_ONLY_TYPES and bio.bi_rw == WRITE


def all_to_the_first(bio: Bio, copy: Function, endio: Function) -> Any:
    info = bio.bi_bdev.bd_disk.private_data
    if not acceptable(bio, info):
        return endio(bio, errno.EIO)
    for bvec in bio.bi_io_vec:
        copy(info, info.start + bio.bi_sector * SECTOR_SIZE, bvec.memory, bio.bi_rw)
    return endio(bio)


def done_for_each_piece(bio: Bio, copy: Function, endio: Function) -> Any:
    info = bio.bi_bdev.bd_disk.private_data
    if not acceptable(bio, info):
        return endio(bio, errno.EIO)
    address = info.start + bio.bi_sector * SECTOR_SIZE
    for bvec in bio.bi_io_vec:
        copy(info, address, bvec.memory, bio.bi_rw)
        address += bvec.bv_len
        endio(bio)
    return None


def refused_and_forgotten(bio: Bio, copy: Function, endio: Function) -> None:
    info = bio.bi_bdev.bd_disk.private_data
    if acceptable(bio, info):
        carry_out(bio, info, copy, endio)


def raised(bio: Bio, copy: Function, endio: Function) -> None:
    info = bio.bi_bdev.bd_disk.private_data
    if not acceptable(bio, info):
        raise OSError(errno.EIO, "refused")
    carry_out(bio, info, copy, endio)


def never_completed(bio: Bio, copy: Function, endio: Function) -> None:
    info = bio.bi_bdev.bd_disk.private_data
    if acceptable(bio, info):
        carry_out(bio, info, copy, lambda bio: None)
    else:
        endio(bio, errno.EIO)


BELIEFS = (
    ("each-piece-at-the-start", all_to_the_first),
    ("bio-is-done-piece-by-piece", done_for_each_piece),
    ("refused-means-ignored", refused_and_forgotten),
    ("bio-errors-are-raised", raised),
    ("copied-is-completed", never_completed),
    ("any-sector-will-do",
     unless(lambda bio, info: behind(bio) or (info.is_shared and protected(bio, info)))),
    ("type-alone-decides", unless(lambda bio, info: odd(bio) or behind(bio) or protected(bio, info))),
    ("machine-will-protect", unless(lambda bio, info: odd(bio) or behind(bio))),
    ("nobody-asks-behind-the-end",
     unless(lambda bio, info: odd(bio) or (info.is_shared and protected(bio, info)))),
    ("end-is-outside",
     unless(lambda bio, info: odd(bio) or behind(bio, 1) or (info.is_shared and protected(bio, info)))))

Asked = tuple[int, int, tuple[int, ...]]


def play(type: str, exclusive: bool, asked: list[Asked], make_request: Function) -> list[Step]:
    """Bios for a disk over segments of this type: how each was completed, and where the bytes went."""
    made = machine(type=type)
    if exclusive:
        made.echo("0", "PART1/shared")
    plug_make_request(made.guest, DISK, make_request)
    how = "a copy of its own (shared is 0)" if exclusive else "shared"
    return [one_bio(made, f"a disk of type {type}, {how}; ", *bio) for bio in asked]


def one_bio(made: Machine, disk: str, rw: int, sector: int, pieces: tuple[int, ...]) -> Step:
    """Send one bio; its pieces of memory have these lengths, and begin with their letter."""
    memory = [np.full(nbytes, ord("A") + number, np.uint8) for number, nbytes in enumerate(pieces)]
    completed: list[int] = []
    bio = Bio(made.bdev, Sector(sector), rw, [BioVec(page, len(page)) for page in memory],
              bi_end_io=lambda bio: completed.append(bio.bi_error))
    came = outcome(made.bdev.bd_disk.queue.make_request_fn, made.bdev.bd_disk.queue, bio)
    ends = [name_of(code).replace("OSError ", "") if code else "0" for code in completed]
    first = max(0, min(sector // PAGE_SECTORS, made.bdev.bd_disk.capacity // PAGE_SECTORS - 4))
    seen = memory if rw == READ else [
        made.guest.kernel.memory.view(START + (first + n) * PAGE_SIZE, PAGE_SIZE) for n in range(4)]
    text = ", ".join(text_of(bytes(page[:SHOWN])) for page in seen)
    return (f"{disk}{'read' if rw == READ else 'write'}, sector {sector}, pieces of "
            f"{' and '.join(map(str, pieces))} bytes",
            f"{'' if came == 'None' else f'{came}; '}completed with {' and '.join(ends) or 'nothing'}; "
            f"then there is: {text}")


def check_transfers(answer: Answer, random: Random) -> None:
    """Bios that are carried out: pieces of one page and of several, in both directions."""
    page = random.randrange(3, 200) * PAGE_SECTORS
    asked = [(READ, page, (4096,)), (READ, page, (4096, 4096)), (READ, 255 * PAGE_SECTORS, (4096, 8192)),
             (WRITE, page, (4096, 8192)), (READ, 511 * PAGE_SECTORS, (4096,)), (WRITE, 0, (8192, 4096, 4096))]
    judge(answer, partial(play, "SW", False, asked))


def check_refusals(answer: Answer, random: Random) -> None:
    """Bios that are refused: not on whole pages, behind the end, a write where only CP may write."""
    page = random.randrange(3, 200) * PAGE_SECTORS
    asked = [(READ, page, (4096,)), (READ, page + random.randrange(1, 8), (4096,)), (READ, page, (2048,)),
             (READ, 512 * PAGE_SECTORS, (4096,)), (READ, 511 * PAGE_SECTORS, (4096, 4096)),
             (WRITE, page, (4096,)), (READ, 511 * PAGE_SECTORS, (4096,)), (READ, page, (4096, 4096))]
    for type, exclusive in (("SW", False), ("SR", False), ("SR", True), ("ER", False), ("EW", False)):
        judge(answer, partial(play, type, exclusive, asked))


def judge(answer: Answer, game: Function) -> None:
    judge_play(game, seam(answer, "make_request"), right, BELIEFS,
               "This bio was not handled as the driver does.")
