"""Hidden checks of exercise 08. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex08_code import check_sum, judge_lengths

SEED = "a seed that learners of exercise 08 do not know"


def other_numbers(answer: Answer, random: Random) -> None:
    """As the visible check, with other numbers."""
    check_sum(answer, Random(SEED))


def other_texts(answer: Answer, random: Random) -> None:
    """Other texts, long and short."""
    judge_lengths(answer, Random(SEED), (2, 5, 100))


HIDDEN = {
    "08.2": (Case("other numbers", other_numbers, guards="the sum, in both guests"),),
    "08.3": (Case("other texts", other_texts, guards="texts, in both guests"),),
}
