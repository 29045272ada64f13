"""Hidden checks of exercise 02. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex02_place import check_places

SEED = "a fourth seed that learners do not know"


def other_places(answer: Answer, random: Random) -> None:
    """As the visible check, with segments elsewhere."""
    check_places(answer, Random(SEED))


HIDDEN = {
    "02.4": (Case("other places", other_places,
                  guards="segments at the limit, in storage and beside others"),),
}
