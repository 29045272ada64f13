"""Hidden checks of exercise 05. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex05_build import check_holes, check_stored

SEED = "another seed that learners do not know"


def other_files(answer: Answer, random: Random) -> None:
    """As the visible check, on other machines."""
    for n in range(3):
        check_stored(answer, Random(f"{SEED} {n}"))


def other_holes(answer: Answer, random: Random) -> None:
    """As the visible check, on other machines."""
    for n in range(3):
        check_holes(answer, Random(f"{SEED} {n}"))


HIDDEN = {
    "05.4": (Case("other files in other segments", other_files, guards="pages that have a block"),
             Case("holes at other places", other_holes, guards="holes, without and with create")),
}
