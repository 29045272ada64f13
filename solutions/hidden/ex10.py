"""Hidden checks of exercise 10. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex10_extents import check_reads
from xiplab.course.questions.ex10_smaps import check_made_up

SEED = "the seed of the tenth exercise, which learners do not know"


def other_files(answer: Answer, random: Random) -> None:
    """As the visible checks, on other files."""
    check_reads(answer, Random(SEED))
    check_reads(answer, Random(SEED), holes=True)


def other_numbers(answer: Answer, random: Random) -> None:
    """As the visible check, with other numbers."""
    check_made_up(answer, Random(SEED))


HIDDEN = {
    "10.4": (Case("other files", other_files, guards="files without holes"),),
    "10.5": (Case("other numbers", other_numbers, guards="texts that are made up"),),
}
