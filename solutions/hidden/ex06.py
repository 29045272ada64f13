"""Hidden checks of exercise 06. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions import ex06_read, ex06_write

SEED = "a seed of the sixth exercise that learners do not know"


def other_reads(answer: Answer, random: Random) -> None:
    """As the visible checks, on other files and at other positions."""
    random = Random(SEED)
    ex06_read.check_data(answer, random)
    ex06_read.check_holes(answer, random)


def other_writes(answer: Answer, random: Random) -> None:
    """As the visible checks, on other files and at other positions."""
    random = Random(SEED)
    ex06_write.check_data(answer, random)
    ex06_write.check_growing(answer, random)


HIDDEN = {
    "06.3": (Case("other files and positions", other_reads, guards="pages of data, and the end of the "
                                                                   "file"),),
    "06.5": (Case("other files and positions", other_writes, guards="holes, and the end of the file"),),
}
