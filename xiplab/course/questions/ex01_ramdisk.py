"""Question 01.3: the old ramdisk loses its pages when memory is short, as until 2.6.24-rc3."""

from __future__ import annotations

import errno
from functools import partial
from random import Random

from xiplab.course.experiments.copies import PAGES, OldRamdisk
from xiplab.course.experiments.your_cache import use_writepage
from xiplab.course.problem import Answer
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Step, judge_play, outcome
from xiplab.linux.drivers.rd import ramdisk_writepage as right
from xiplab.linux.include.mm import Page
from xiplab.units import PAGE_SIZE

EVENTS = (("write it", "press"), ("sync", "press"), ("press", "read"), ("store", "sync", "press", "read"))


def cleans(page: Page) -> None:
    """As the buffer layer did."""
    page.uptodate = True
    page.dirty = False


def refuses(page: Page) -> None:
    raise OSError(errno.EIO, "there is nowhere to write to")


def as_it_was(page: Page) -> None:
    """The flag, asked too late: Linux has cleared it before the call."""
    if page.dirty:
        page.dirty = True


BELIEFS = (("no-writing-means-clean", cleans), ("refusing-keeps-it", refuses),
           ("flag-is-still-set", as_it_was))


def happen(ramdisk: OldRamdisk, event: str, writepage: Function, page: int) -> None:
    """One thing that happens to a ramdisk's pages. Nothing is counted, so nothing is recorded."""
    guest = ramdisk.guest
    match event:
        case "write it":
            cached = ramdisk.cache_page(page)
            assert cached is not None
            writepage(cached)
        case "press":
            if ramdisk.text is not None:
                ramdisk.text.close()
                ramdisk.text = None
            ramdisk.reclaim()
        case "read":
            guest.pread(ramdisk.fd, PAGE_SIZE, page * PAGE_SIZE)
        case "store":
            ramdisk.mapping()[page * PAGE_SIZE] = ord("B")
        case _:
            guest.fsync(ramdisk.fd)


IN_WORDS = {"sync": "somebody calls msync", "press": "memory is short", "write it": "Linux writes one page",
            "store": "a program stores a B", "read": "a program reads the page"}


def play(events: tuple[str, ...], page: int, writepage: Function) -> list[Step]:
    """What the ramdisk holds after each event."""
    ramdisk = OldRamdisk()
    ramdisk.load()
    use_writepage(ramdisk, writepage)
    seen = []
    for number, event in enumerate(events, 1):
        came = outcome(happen, ramdisk, event, writepage, page)
        words = [f"{row.cache_word or 'gone'}{' (dirty)' if row.dirty else ''}" for row in ramdisk.rows()]
        seen.append((f"page {page}; " + ", then ".join(IN_WORDS[e] for e in events[:number]),
                     f"{'' if came == 'None' else f'{came}; '}the ramdisk holds {', '.join(words)}"))
    return seen


def check_writepage(answer: Answer, random: Random) -> None:
    """Whatever happens, the pages stay, and they stay dirty."""
    for events in EVENTS:
        judge_play(partial(play, events, random.randrange(PAGES)), seam(answer, "writepage"), right, BELIEFS,
                   "The ramdisk does not hold what it should.")
