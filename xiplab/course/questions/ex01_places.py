"""Question 01.5: several names of a page; how many pieces of memory are they?"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from random import Random

from xiplab.course.experiments.places import built, same_bytes, shares_memory
from xiplab.course.problem import Answer
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Beliefs, Function, Step, judge_play, outcome
from xiplab.ondisk import Bytes


def play(seed: str, different_frames: Function) -> list[Step]:
    """In each setting the places of a page, in an order that is drawn: how many frames are they?"""
    random = Random(seed)
    seen = []
    for name, set_up in built():
        places = random.sample(set_up, len(set_up))
        seen.append((f"{name}: {', '.join(place for place, _ in places)}",
                     outcome(different_frames, [frame for _, frame in places], shares_memory, same_bytes)))
    return seen


Frames = list[Bytes]


def right(places: Frames, shares: Function, same: Function) -> int:
    """How many different pieces of memory."""
    different: Frames = []
    for place in places:
        if not any(shares(place, other) for other in different):
            different.append(place)
    return len(different)


def by_content(places: Frames, shares: Function, same: Function) -> int:
    return right(places, same, same)


def neighbours_only(places: Frames, shares: Function, same: Function) -> int:
    return 1 + sum(not shares(a, b) for a, b in pairwise(places))


def with_first_only(places: Frames, shares: Function, same: Function) -> int:
    return 1 + sum(not shares(places[0], place) for place in places[1:])


def names(places: Frames, shares: Function, same: Function) -> int:
    return len(places)


def copies_only(places: Frames, shares: Function, same: Function) -> int:
    return right(places, shares, same) - 1


BELIEFS: Beliefs = (
    ("equal-is-the-same", by_content), ("each-name-is-memory", names),
    ("one-comparison-is-enough", neighbours_only), ("one-comparison-is-enough", with_first_only),
    ("original-is-not-counted", copies_only))


def check_places(answer: Answer, random: Random) -> None:
    """A page in five settings, its places in several orders."""
    for _ in range(3):
        seed = f"{random.random()}"
        judge_play(partial(play, seed), seam(answer, "different_frames"), right, BELIEFS,
                   "These names are another number of frames.")
