"""Hidden checks of exercise 03. Given to graders only; change the seed before each term."""

from __future__ import annotations

from random import Random

from xiplab.course.problem import Answer, Case
from xiplab.course.questions.ex03_bio import check_refusals, check_transfers
from xiplab.course.questions.ex03_end import check_sizes

SEED = "another seed that learners do not know"


def other_disks(answer: Answer, random: Random) -> None:
    """As the visible check, on other disks."""
    check_sizes(answer, Random(SEED))


def other_bios(answer: Answer, random: Random) -> None:
    """As the visible checks, with other pages and sectors."""
    check_transfers(answer, Random(SEED))
    check_refusals(answer, Random(SEED))


HIDDEN = {
    "03.3": (Case("disks of other sizes", other_disks,
                  guards="the first page, the last one, and behind the end"),),
    "03.4": (Case("other pages and pieces", other_bios, guards="bios that are carried out"),),
}
