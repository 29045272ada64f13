"""Question 01.1: a program reads, maps and stores; how many pages are copied, and what is left?

A situation is a row of actions on the disk of notebook 01, drawn from its number; situation 0 is the
simplest. What is expected is counted while the model does them. A belief is a wrong page cache: a few
lines that count in another way.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TypeAlias

from xiplab.course.experiments.copies import PAGES, Disk
from xiplab.course.problem import Answer, Wrong
from xiplab.units import PAGE_SIZE

Event: TypeAlias = tuple[str, int]
Counts: TypeAlias = tuple[int, int, int]
"""Pages copied from or to the disk, frames of the page cache at the end, dirty ones among them."""

READ, WRITE, LOAD, STORE, SYNC, PRESS, CHANGE = "read", "write", "touch", "store", "sync", "press", "change"
IN_WORDS = {READ: "The program reads page {}.", WRITE: "The program writes the whole of page {}.",
            LOAD: "The program loads a byte from page {} of its mapping.",
            STORE: "The program stores a byte into page {} of its mapping.",
            SYNC: "The program calls msync.",
            PRESS: "The program gives its mapping back. Then memory is short, and Linux takes back all the "
                   "frames that it can.",
            CHANGE: "Somebody changes page {} on the disk, without asking Linux."}
FIRST: tuple[Event, ...] = ((READ, 0), (READ, 0), (LOAD, 0), (STORE, 1))


def situation(variant: int) -> tuple[Event, ...]:
    """The actions of the situation with this number; the same ones every time."""
    if variant == 0:
        return FIRST
    random = Random(f"01.1 situation {variant}")
    kinds = [*random.choices((READ, LOAD, STORE, WRITE), k=4), *random.choices((SYNC, PRESS, CHANGE), k=1),
             *random.choices((READ, LOAD, STORE), k=2)]
    return tuple((kind, random.randrange(2)) for kind in kinds)


def situation_lines(variant: int) -> tuple[str, ...]:
    return ("The page cache is empty. Pages 0 and 1 of the disk are mapped, and nothing was touched yet.",
            *(IN_WORDS[kind].format(page) for kind, page in situation(variant)))


@cache
def truth_of(events: tuple[Event, ...]) -> Counts:
    """Do it in the model, and count."""
    experiment = Disk()
    for kind, page in events:
        match kind:
            case "write" | "change":
                getattr(experiment, kind)(page, "plums")
            case "store":
                experiment.store(page, "B")
            case "sync":
                experiment.sync()
            case "press":
                experiment.unmap()
                for _ in range(PAGES):
                    experiment.press()
            case _:
                getattr(experiment, kind)(page)
    copied = experiment.bill["disk to memory"] + experiment.bill["memory to disk"]
    return (copied // PAGE_SIZE, experiment.frames()["page cache"],
            sum(row.dirty for row in experiment.rows()))


class Cache:
    """A page cache in a few lines, which counts as somebody with this belief does.

    Attributes:
        copied: pages from and to the disk. pages: what is cached, by page; True: dirty.
    """

    def __init__(self, belief: str = "") -> None:
        self.belief = belief
        self.copied = 0
        self.pages: dict[object, bool] = {}

    def play(self, events: tuple[Event, ...]) -> Counts:
        for kind, page in events:
            getattr(self, kind)(page)
        return self.copied, len(self.pages), sum(self.pages.values())

    def bring(self, page: object) -> None:
        if page not in self.pages or self.belief == "cache-asks-again":
            self.copied += 1
        self.pages.setdefault(page, False)

    def dirty(self, page: object) -> None:
        if self.belief == "write-reaches-the-device":
            self.copied += 1
        else:
            self.pages[page] = True

    def mapped(self, page: int) -> object:
        return ("mapped", page) if self.belief == "mapping-is-a-copy" else page

    def read(self, page: int) -> None:
        self.bring(page)

    def touch(self, page: int) -> None:
        self.bring(self.mapped(page))

    def store(self, page: int) -> None:
        self.bring(self.mapped(page))
        self.dirty(self.mapped(page))

    def write(self, page: int) -> None:
        if self.belief == "write-reads-first":
            self.bring(page)
        self.pages.setdefault(page, False)
        self.dirty(page)

    def sync(self, page: int) -> None:
        everything = self.belief == "msync-copies-all"
        self.copied += len(self.pages) if everything else sum(self.pages.values())
        self.pages = dict.fromkeys(self.pages, False)

    def press(self, page: int) -> None:
        if self.belief == "cache-keeps-for-ever":
            return
        if self.belief == "dirty-pages-stay":
            self.pages = {page: dirty for page, dirty in self.pages.items() if dirty}
            return
        self.copied += 0 if self.belief == "dirty-can-be-dropped" else sum(self.pages.values())
        self.pages = {}

    def change(self, page: int) -> None:
        if self.belief == "stale-is-dirty" and page in self.pages:
            self.pages[page] = True
        if self.belief == "cache-is-the-storage":
            self.pages.pop(page, None)


BELIEFS = ("cache-asks-again", "mapping-is-a-copy", "write-reaches-the-device", "write-reads-first",
           "msync-copies-all", "cache-keeps-for-ever", "dirty-pages-stay", "dirty-can-be-dropped",
           "stale-is-dirty", "cache-is-the-storage")


def check_prediction(answer: Answer, random: Random) -> None:
    """The three numbers are those that are counted in the model."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    said = answer.call("what_is_counted")
    if not isinstance(said, tuple | list) or [type(item) for item in said] != [int, int, int]:
        raise Wrong("Return three whole numbers: pages copied, frames at the end, dirty ones among them.",
                    got=repr(said))
    events = situation(variant)
    truth = truth_of(events)
    for name, number, right in zip(("copied pages", "frames", "dirty pages"), said, truth, strict=True):
        if number != right:
            raise Wrong(f"Not yet. Count the {name} again. Practise on another situation, too: "
                        f'xiplab.show("01.1", {variant + 1}).', given=f"situation {variant}",
                        got=", ".join(map(str, said)), misconception=belief_behind(events, tuple(said)))


def belief_behind(events: tuple[Event, ...], said: tuple[int, ...]) -> str:
    """The misconception that predicts these numbers; empty if none does."""
    return next((belief for belief in BELIEFS if Cache(belief).play(events) == said), "")
