"""Question 07.1: three touches of mapped pages; what is in the page table after each?

A situation is drawn from its number; situation 0 is the simplest. What is expected is seen by running the
model, and the first touch where a prediction differs from it names the belief behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from xiplab.course.experiments.mapping import PAGES, MapInPlace
from xiplab.course.problem import Answer, Wrong

FRAMES = ("storage", "sparse page", "private copy", "SIGBUS")
OWNERS = {"storage": "storage", "sparse": "sparse page", "private": "private copy", "": "SIGBUS"}
BEFORE = {"": "Nobody has touched a page yet.",
          "filled": "reader has loaded from page 1. Then another program has written “Hello” there.",
          "cut": "reader has loaded from page 2. Then another program has cut the file to two pages."}


@dataclass(frozen=True)
class Touch:
    """A task loads from a page, or stores into it."""

    task: str
    page: int
    store: bool = False

    def __str__(self) -> str:
        return f"{self.task} {'stores into' if self.store else 'loads from'} page {self.page}."


@dataclass(frozen=True)
class Situation:
    """What was done before (a key of BEFORE), and the three touches."""

    before: str
    touches: tuple[Touch, ...]


def situation(variant: int) -> Situation:
    """The situation with this number; the same one every time."""
    if variant == 0:
        return Situation("", (Touch("writer", 0), Touch("reader", 1), Touch("private", 0, store=True)))
    random = Random(f"07.1 situation {variant}")
    before = random.choice(tuple(BEFORE))
    touched = {"filled": 1, "cut": 2}.get(before, random.randrange(PAGES))
    pairs = [(task, page) for task in ("writer", "reader", "private") for page in range(PAGES)
             if (task, page) != ("reader", touched)]
    touches = [Touch("reader", touched)]
    for task, page in random.sample(pairs, 2):
        touches.append(Touch(task, page, task != "reader" and random.random() < 0.4))
    random.shuffle(touches)
    return Situation(before, tuple(touches))


def situation_lines(variant: int) -> tuple[str, ...]:
    """The situation in words."""
    case = situation(variant)
    return ("writer and reader have a shared mapping of /xip/story, private a private one. Only writer and "
            "private may store.",
            "The file has three pages: page 0 has a block, page 1 is a hole, page 2 has a block. Each task "
            "has mapped pages 0 to 3.", BEFORE[case.before],
            *(f"Touch {number}: {touch}" for number, touch in enumerate(case.touches, 1)))


@cache
def frames_after(case: Situation) -> tuple[str, ...]:
    """Run the model: what is in the page table after each touch, as words of FRAMES."""
    machine = MapInPlace()
    if case.before == "filled":
        machine.load("reader", 1)
        machine.write(1, "Hello")
    elif case.before == "cut":
        machine.load("reader", 2)
        machine.truncate(2)
    found = []
    for touch in case.touches:
        if touch.store:
            machine.store(touch.task, touch.page, "J")
        else:
            machine.load(touch.task, touch.page)
        found.append(OWNERS[machine.entries(touch.task)[touch.page].owner])
    return tuple(found)


def check_prediction(answer: Answer, random: Random) -> None:
    """The learner's three words are those of the model, for the situation the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    said = answer.call("frames_after")
    case = situation(variant)
    truth = frames_after(case)
    is_list = isinstance(said, list | tuple) and len(said) == len(truth)
    if not is_list or not all(word in FRAMES for word in said):
        raise Wrong("Return a list of three words, one for each touch.",
                    expected=f"each one of {', '.join(FRAMES)}", got=repr(said))
    for number, (touch, right, got) in enumerate(zip(case.touches, truth, said, strict=True), 1):
        if got != right:
            raise Wrong(f"Not yet. Look at touch {number}: {touch} It does not end in “{got}”. Practise on "
                        f'another situation, too: xiplab.show("07.1", {variant + 1}).',
                        given=f"situation {variant}", got=", ".join(said),
                        misconception=belief_behind(case, touch, right, got))


def belief_behind(case: Situation, touch: Touch, right: str, got: str) -> str:
    """The misconception that predicts `got` for this touch; empty if none is known."""
    match right, got:
        case "SIGBUS", "sparse page":
            return "behind-the-end-is-zeros"
        case "SIGBUS", _:
            return "mapped-pages-survive-truncate" if case.before == "cut" and touch.page == 2 else (
                "behind-the-end-is-zeros")
        case "private copy", "storage":
            return "private-store-reaches-the-file"
        case "private copy", "sparse page":
            return "sparse-page-takes-stores"
        case ("storage" | "sparse page"), "private copy":
            return "private-copies-at-once" if touch.task == "private" else "mapping-is-a-copy"
        case "sparse page", "storage":
            return "hole-takes-a-block"
        case ("storage" | "sparse page"), "SIGBUS":
            return "hole-is-an-error" if touch.page == 1 else ""
        case "storage", "sparse page":
            return before_filled(case, touch)
    return ""


def before_filled(case: Situation, touch: Touch) -> str:
    """Zeros were expected of a page with a block: of one that was a hole at first, or of any."""
    if touch.page != 1:
        return ""
    if touch.task == "writer" and case.before != "filled":
        return "sparse-page-takes-stores" if touch.store else "a-load-changes-nothing"
    return "sparse-page-stays"
