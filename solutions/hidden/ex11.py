"""Hidden checks of the capstone. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex11_alone import check_read, check_write

SEED = "a third seed that learners do not know"


def other_reads(answer: Answer, random: Random) -> None:
    """As the visible check, from other positions."""
    check_read(answer, Random(SEED))


def other_writes(answer: Answer, random: Random) -> None:
    """As the visible check, at other positions."""
    check_write(answer, Random(SEED))


HIDDEN = {
    "11.3": (Case("reads from other positions", other_reads, guards="the bytes and the count"),),
    "11.4": (Case("writes at other positions", other_writes, guards="the file, its size and the count"),),
}
