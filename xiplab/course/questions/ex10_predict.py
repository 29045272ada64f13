"""Question 10.1: two kernels, one page fault, and something that happens in its middle.

What is expected is seen by running the model with the tables of Linux 3.6, or of 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from xiplab.course.experiments import after
from xiplab.course.problem import Answer, Wrong
from xiplab.errors import Signal
from xiplab.guest import Guest
from xiplab.linux.include.fs import O_CREAT, O_RDWR
from xiplab.linux.include.mm import MAP_SHARED, PROT_READ
from xiplab.units import PAGE_SIZE

PAGE = 2
SEEN = {b"my letter": "letter", b"a secret.": "secret", b"new text.": "new"}
EVENTS = {
    "cut": "another program cuts the file off behind its first page. Nobody takes the blocks that become "
           "free",
    "taken": "another program cuts the file off behind its first page. The freed blocks go to a new file, "
             "and it is filled with the words “a secret.”",
    "write": "another program writes the words “new text.” to the start of this page, by write()",
    "nothing": "nothing happens",
}
KERNELS = {"xip": "Linux 3.6, mounted with xip", "dax": "Linux 4.1, mounted with dax"}


@dataclass(frozen=True)
class Situation:
    """Which kernel (after.ERAS), and what happens in the middle of the page fault (EVENTS)."""

    era: str
    event: str

    def lines(self) -> tuple[str, ...]:
        """The situation in words."""
        return (f"The kernel is {KERNELS[self.era]}. Every page of the file says “my letter”.",
                f"1. A program loads from page {PAGE} of its shared mapping. Linux looks the page up. Before "
                f"it is in the page table, {EVENTS[self.event]}. Then the page fault goes on. What does the "
                f"program "
                'see: "letter", "secret", "new", or "SIGBUS"?',
                "2. Another program loads a byte of another page, and then stores one there. Does the file's "
                "time of change follow the store: True or False?",
                "3. A program maps a file of two holes, for loads and stores, and loads one byte. How many "
                "blocks does the file have afterwards?")


@cache
def situation(variant: int) -> Situation:
    """The situation with this number; the same one every time."""
    if variant == 0:
        return Situation("xip", "taken")
    random = Random(f"10.1 situation {variant}")
    return Situation(random.choice(after.ERAS), random.choice(tuple(EVENTS)))


def situation_lines(variant: int) -> tuple[str, ...]:
    return situation(variant).lines()


@cache
def truth(case: Situation) -> tuple[str, bool, int]:
    """What the model does."""
    return seen(case), after.store(case.era), after.load_hole(case.era)


def seen(case: Situation) -> str:
    """What the program sees at the end of its page fault."""
    guest = after.boot(case.era)
    text = guest.mmap(guest.open(after.FILE), 0, PROT_READ, MAP_SHARED)
    fault = after.fault_in_steps(case.era, text, PAGE)
    next(fault)
    let_happen(case.event, guest)
    try:
        next(fault)
    except Signal:
        return "SIGBUS"
    return SEEN[text[PAGE * PAGE_SIZE:PAGE * PAGE_SIZE + 9]]


def let_happen(event: str, guest: Guest) -> None:
    """One of EVENTS."""
    if event in ("cut", "taken"):
        guest.truncate(after.FILE, PAGE_SIZE)
    if event == "taken":
        secret = guest.open("/mnt/secret", O_CREAT | O_RDWR)
        guest.pwrite(secret, b"a secret.".ljust(PAGE_SIZE, b".") * after.PAGES, 0)
    if event == "write":
        guest.pwrite(guest.open(after.FILE, O_RDWR), b"new text.", PAGE * PAGE_SIZE)


def belief_behind(case: Situation, number: int, said: Any) -> str:
    """The misconception behind a wrong answer to one of the three; empty if none is known."""
    if number == 1:
        return "stores-are-noticed"
    if number == 2:
        return "a-load-changes-nothing" if case.era == "xip" else "dax-is-a-new-name"
    if case.event == "write":
        return "mapping-is-a-copy" if said == "letter" else ""
    if case.event == "nothing":
        return ""
    if case.era == "dax":
        return "dax-is-a-new-name"
    return "size-is-watched" if said == "SIGBUS" else "freed-is-gone" if case.event == "taken" else ""


def check_answers(answer: Answer, random: Random) -> None:
    """The learner's three answers are the model's, for the situation the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    said: Any = answer.call("what_happens")
    if not isinstance(said, list | tuple) or [type(each) for each in said] != [str, bool, int]:
        raise Wrong("Return three answers: a text, True or False, and a number.",
                    expected='such as ("letter", True, 2)', got=repr(said)[:80])
    case = situation(variant)
    for number, (mine, model) in enumerate(zip(said, truth(case), strict=True)):
        if mine != model:
            raise Wrong(f"Not yet. Look at question {number + 1}. Practise on another situation, too: "
                        f'xiplab.show("10.1", {variant + 1}).', given=f"situation {variant}: {case.era}",
                        got=repr(mine), misconception=belief_behind(case, number, mine))
