"""Hidden checks of exercise 00. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex00_build import ask, check_addresses, check_refusals, device, judge_pairs
from xiplab.units import MiB

SEED = "a seed that learners do not know"


def other_segments(answer: Answer, random: Random) -> None:
    """As the visible checks, on other devices."""
    check_addresses(answer, Random(SEED))
    check_refusals(answer, Random(SEED))


def smallest_segment(answer: Answer, random: Random) -> None:
    """A segment of one page: its only page is the first one and the last one."""
    bdev = device(3 * MiB, 1)
    judge_pairs([(bdev, 0, ask(answer, bdev, 0))])


HIDDEN = {
    "00.2": (Case("segments of other sizes and places", other_segments,
                  guards="the address and the frame number"),
             Case("the edges of the smallest segment", smallest_segment, guards="what must be refused")),
}
