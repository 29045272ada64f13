"""Hidden checks of exercise 07. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex07_fault import check_other_files
from xiplab.course.questions.ex07_measure import check_counted
from xiplab.course.questions.ex07_unmap import check_unmap

SEED = "a seed that learners of exercise 07 do not know"


def other_areas(answer: Answer, random: Random) -> None:
    """As the visible check, with other files."""
    check_unmap(answer, Random(SEED))


def other_orders(answer: Answer, random: Random) -> None:
    """Other files, touched in other orders."""
    check_other_files(answer, Random(SEED))


def other_touches(answer: Answer, random: Random) -> None:
    """As the visible check, with other files and touches."""
    check_counted(answer, Random(SEED))


HIDDEN = {
    "07.2": (Case("other files and areas", other_areas, guards="what is left in the page tables"),),
    "07.3": (Case("other files and other orders", other_orders, guards="holes"),),
    "07.5": (Case("other files and touches", other_touches, guards="frames of the guest's own"),),
}
