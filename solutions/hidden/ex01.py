"""Hidden checks of exercise 01. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex01_places import check_places
from xiplab.course.questions.ex01_shrink import check_disk

SEED = "a third seed that learners do not know"


def other_pages(answer: Answer, random: Random) -> None:
    """As the visible check, with the pages in other orders."""
    for number in range(3):
        check_disk(answer, Random(f"{SEED} {number}"))


def other_places(answer: Answer, random: Random) -> None:
    """As the visible check, with the places in other orders."""
    check_places(answer, Random(SEED))


HIDDEN = {
    "01.4": (Case("other orders of the pages", other_pages,
                  guards="clean, dirty and mapped pages of a disk"),),
    "01.5": (Case("other orders of the places", other_places, guards="a page in five settings"),),
}
