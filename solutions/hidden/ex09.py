"""Hidden checks of exercise 09. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex09_flash import BLOCK, Reading, check_erase, judge_reads
from xiplab.course.questions.ex09_measure import check_cost

SEED = "a seed that learners of exercise 09 do not know"


def other_blocks(answer: Answer, random: Random) -> None:
    """As the visible check, with other blocks."""
    check_erase(answer, Random(SEED))


def other_places(answer: Answer, random: Random) -> None:
    """Other places, lengths and times."""
    numbers = Random(SEED)
    times = (5.0, 2_000.0, 200_000.0, None)
    judge_reads(answer, tuple(Reading(numbers.randrange(1000), 2 * numbers.randrange(3 * BLOCK),
                                      numbers.randrange(8, 400), left_us) for left_us in 2 * times))


def other_files(answer: Answer, random: Random) -> None:
    """As the visible check, with other files."""
    check_cost(answer, Random(SEED))


HIDDEN = {
    "09.2": (Case("other blocks", other_blocks, guards="the block, the chip's mode and the status"),),
    "09.3": (Case("other places and times", other_places, guards="the erase is suspended, and goes on"),),
    "09.5": (Case("other files", other_files, guards="bytes copied, frames taken"),),
}
