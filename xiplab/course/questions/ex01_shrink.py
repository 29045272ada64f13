"""Question 01.4: memory is short; which frames of the page cache can be given back?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from xiplab.course.experiments.copies import PAGES, Disk, OldRamdisk
from xiplab.course.experiments.your_cache import shrink_with
from xiplab.course.problem import Answer
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Step, judge_play, outcome
from xiplab.linux.include.mm import Page
from xiplab.units import PAGE_SIZE

Pages = list[Page]


@dataclass(frozen=True)
class Trial:
    """A page cache, and how many frames are wanted.

    Attributes:
        make: builds the experiment. does: what happens before, as (method, arguments). order: of the pages,
            oldest first.
    """

    name: str
    make: Callable[[], Disk]
    does: tuple[tuple[object, ...], ...]
    order: tuple[int, ...]
    wanted: int


def trials(random: Random) -> list[Trial]:
    """Page caches that tell the beliefs apart; the order of the pages is drawn."""
    order = tuple(random.sample(range(PAGES), PAGES))
    reads = tuple(("read", page) for page in range(PAGES))
    dirty = ("write", order[1], "beans")
    maps = ("touch", order[0])
    return [Trial("all pages clean", Disk, reads, order, PAGES),
            Trial("all pages clean", Disk, reads, order, 2),
            Trial(f"page {order[1]} dirty", Disk, (*reads, dirty), order, PAGES),
            Trial(f"page {order[0]} mapped", Disk, (*reads, maps), order, 1),
            Trial(f"page {order[0]} mapped, page {order[1]} dirty", Disk, (*reads, maps, dirty), order, 2),
            Trial("the old ramdisk", OldRamdisk, (("load",),), order, PAGES)]


def prepared(trial: Trial) -> Disk:
    """The page cache of a trial. Nothing is counted here, so nothing is recorded."""
    experiment = trial.make()
    guest, fd = experiment.guest, experiment.fd
    for what, *args in trial.does:
        match what, args:
            case "read", [int(page)]:
                guest.pread(fd, PAGE_SIZE, page * PAGE_SIZE)
            case "touch", [int(page)]:
                experiment.mapping()[page * PAGE_SIZE]
            case "write", [int(page), str(word)]:
                guest.pwrite(fd, word.encode().ljust(PAGE_SIZE, b"."), page * PAGE_SIZE)
            case _:
                getattr(experiment, str(what))(*args)
    return experiment


def play(trial: Trial, shrink: Function) -> list[Step]:
    """What the function returns, which pages are left, and what the device holds then."""
    experiment = prepared(trial)
    pages = [page for number in trial.order if (page := experiment.cache_page(number)) is not None]
    came = outcome(shrink_with, shrink, pages, trial.wanted)
    left = [f"{row.number}{' (dirty)' if row.dirty else ''}" for row in experiment.rows()
            if row.cached is not None]
    device = ", ".join(row.device_word for row in experiment.rows() if row.device_word)
    return [(f"{trial.name}; oldest first: {', '.join(map(str, trial.order))}; {trial.wanted} frames wanted",
             f"returned {came}; pages left: {', '.join(left) or 'none'}"
             + (f"; the disk holds {device}" if device else ""))]


def shrinking(*, mapped_too: bool = False, writes: bool = True, keeps_dirty: bool = True,
              skips_dirty: bool = False, stops: bool = True, counts_all: bool = False) -> Function:
    """A shrink function; the usual one is right."""
    def shrink(pages: Pages, wanted: int, writepage: Function, drop: Function) -> int:
        freed = 0
        for page in pages:
            if stops and freed == wanted:
                break
            freed += counts_all
            if (page.mapcount and not mapped_too) or (page.dirty and skips_dirty):
                continue
            if page.dirty and writes:
                writepage(page)
            if page.dirty and keeps_dirty:
                continue
            drop(page)
            freed += not counts_all
        return freed

    return shrink


right = shrinking()
BELIEFS = (("mapped-can-go", shrinking(mapped_too=True)),
           ("dirty-can-be-dropped", shrinking(writes=False, keeps_dirty=False)),
           ("written-means-clean", shrinking(keeps_dirty=False)),
           ("dirty-pages-stay", shrinking(skips_dirty=True)),
           ("more-is-better", shrinking(stops=False)),
           ("looked-at-is-freed", shrinking(counts_all=True)))


def check_disk(answer: Answer, random: Random) -> None:
    """Clean, dirty and mapped pages of a disk."""
    judge(answer, trials(random)[:-1])


def check_ramdisk(answer: Answer, random: Random) -> None:
    """Pages that stay dirty, however often they are written."""
    judge(answer, trials(random)[-1:])


def judge(answer: Answer, chosen: list[Trial]) -> None:
    whole = [partial(play, trial) for trial in trials(Random(0))]
    for trial in chosen:
        judge_play(partial(play, trial), seam(answer, "shrink"), right, BELIEFS,
                   "These are not the frames to give back.", whole)
