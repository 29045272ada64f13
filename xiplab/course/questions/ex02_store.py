"""Question 02.1: LINUX1 stores a letter into a segment; who sees it then?

A situation is a type, a way to load, and whether LINUX1 saves afterwards, drawn from its number; situation
0 is the simplest. What is expected is seen in the model. A belief is a wrong rule for who sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeAlias

from xiplab.course.experiments.segments import Segments
from xiplab.course.problem import Answer, Wrong
from xiplab.linux.arch.s390.extmem import SEGMENT_SHARED, segment_load

PLACES = ("LINUX1", "LINUX2", "LINUX3")
Places: TypeAlias = frozenset[str]
TYPES = ("SW", "EW", "SR", "ER", "SN", "EN", "SC")
RANGE = "10200-102FF"


@dataclass(frozen=True)
class Situation:
    """What is done.

    Attributes:
        type: of the segment. how: LINUX1 loads it "shared" or "exclusive". saved: LINUX1 saves in the end.
    """

    type: str = "SR"
    how: str = "shared"
    saved: bool = False

    def lines(self) -> tuple[str, ...]:
        return (f"The segment DATA has type {self.type}.",
                f"LINUX1 loads DATA {self.how}, LINUX2 loads it shared.",
                "LINUX1 stores a J at its start. If the machine refuses that, nothing is stored.",
                "LINUX1 then saves DATA under its name." if self.saved else "Nobody saves DATA.",
                "LINUX3 logs on now, and loads DATA shared. LINUX1 and LINUX2 still have it.")


def situation(variant: int) -> Situation:
    """The situation with this number; the same one every time."""
    if variant == 0:
        return Situation("SW", "shared", False)
    random = Random(f"02.1 situation {variant}")
    return Situation(random.choice(TYPES), random.choice(("shared", "exclusive")),
                     random.choice((True, False)))


def situation_lines(variant: int) -> tuple[str, ...]:
    return situation(variant).lines()


@cache
def truth_of(case: Situation) -> Places:
    """Do it in the model, and look."""
    experiment = Segments()
    experiment.cp(f"DEFSEG DATA {RANGE} {case.type}")
    experiment.cp("SAVESEG DATA")
    experiment.load("LINUX1", "DATA", case.how)
    experiment.load("LINUX2", "DATA", "shared")
    experiment.store("LINUX1", "DATA", "J")
    if case.saved:
        experiment.save("LINUX1", "DATA")
    linux3 = experiment.vm.logon("LINUX3")
    _, start, _ = segment_load(linux3.kernel, "DATA", SEGMENT_SHARED)
    letters = {guest: experiment.found(guest, "DATA").text[:1] for guest in PLACES[:2]}
    letters["LINUX3"] = chr(linux3.machine.memory.view(start, 1)[0])
    return frozenset(place for place, letter in letters.items() if letter == "J")


def seen_by(case: Situation, belief: str = "") -> Places:
    """Who sees the letter, for somebody with this belief; without one, as it is."""
    copy = case.how == "exclusive" or (case.type[0] == "E" and belief != "only-the-load-makes-copies")
    copy = copy and belief != "copy-stays-connected"
    may_write = case.type[1] in "WN" or (case.how == "exclusive" and belief != "copy-obeys-the-type")
    if not may_write and belief == "store-makes-a-copy":
        return frozenset({"LINUX1"})
    if not may_write and belief != "shared-means-writable":
        return frozenset()
    seen = {"LINUX1"} if copy else {"LINUX1", "LINUX2"}
    if case.saved and belief == "save-reaches-everybody":
        seen.add("LINUX2")
    kept = case.saved and (case.type[1] != "N" or belief == "n-is-saved-too")
    live = not case.saved and (not copy or belief == "newest-store-counts")
    return frozenset(seen | ({"LINUX3"} if kept or live else set()))


BELIEFS = ("shared-means-writable", "store-makes-a-copy", "copy-obeys-the-type", "only-the-load-makes-copies",
           "save-reaches-everybody", "copy-stays-connected", "n-is-saved-too", "newest-store-counts")


def check_prediction(answer: Answer, random: Random) -> None:
    """The learner's set of guests is that of the model, in the situation that the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    said = answer.call("who_sees_the_letter")
    if not isinstance(said, set | list | tuple) or not all(place in PLACES for place in said):
        raise Wrong("Name the guests as a set of their names.", expected=f"some of {', '.join(PLACES)}",
                    got=repr(said))
    case = situation(variant)
    truth = truth_of(case)
    for place in PLACES:
        if (place in said) != (place in truth):
            sees = "sees the J" if place in truth else "does not see a J"
            raise Wrong(f"Not yet. Look at {place}: it {sees}. Practise on another situation, too: "
                        f'xiplab.show("02.1", {variant + 1}).', given=f"situation {variant}",
                        got=", ".join(p for p in PLACES if p in said) or "no guest",
                        misconception=belief_behind(case, frozenset(said)))


def belief_behind(case: Situation, said: Places) -> str:
    """The misconception that predicts what was said; empty if none does."""
    return next((belief for belief in BELIEFS if seen_by(case, belief) == said), "")
