"""Blocks to be put in order: shuffled for the learner, put together for the judge.

The question has the blocks of a right answer in its order, and blocks that do not belong, each with the
belief behind it. Every block has a letter. The answer is a text of letters ("CADB"); the judge puts the
blocks together in this order and runs the checks on the result, so every order that works is right.

It gets easier after each two wrong tries: in turn a block that does not belong goes, and two blocks
that follow each other become one. Letters stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from xiplab.course.problem import Answer, Block, Case, Question, Wrong

LETTERS = "ABCDEFGHIJKLMNOP"
TRIES_A_STEP = 2

Piece = tuple[str, str]
"""Letters that belong together, and their lines."""


def lettered(asked: Question) -> dict[str, Block]:
    """The blocks by letter, in the order in which they are shown; the same one every time."""
    shuffled = list(asked.blocks)
    Random(f"{asked.id} blocks").shuffle(shuffled)
    return dict(zip(LETTERS, shuffled, strict=False))


def pieces(asked: Question, easier: int = 0) -> list[Piece]:
    """What is shown after `easier` steps of help."""
    blocks = lettered(asked)
    letter_of = {block: letter for letter, block in blocks.items()}
    right = [letter_of[block] for block in asked.blocks if not block.misconception]
    wrong = [letter_of[block] for block in asked.blocks if block.misconception]
    dropped, joined = min((easier + 1) // 2, len(wrong)), easier // 2
    joined += (easier + 1) // 2 - dropped
    groups = [*right]
    for _ in range(min(joined, len(right) - 2)):
        first = min(range(len(groups) - 1), key=lambda n: len(groups[n]) + len(groups[n + 1]))
        groups[first:first + 2] = [groups[first] + groups[first + 1]]
    shown = sorted([*groups, *wrong[dropped:]])
    return [(letters, "\n".join(blocks[letter].text for letter in letters)) for letters in shown]


def steps_of_help(wrong_tries: int) -> int:
    return wrong_tries // TRIES_A_STEP


def letters_of(asked: Question, order: object) -> str:
    """The answer as letters. Raises Wrong if it is none."""
    blocks = lettered(asked)
    if not isinstance(order, str):
        raise Wrong("Return the letters of the blocks in their order, as a text.", expected='such as "CADB"',
                    got=repr(order))
    letters = order.upper().replace(" ", "").replace(",", "")
    unknown = [letter for letter in letters if letter not in blocks]
    twice = [letter for letter in letters if letters.count(letter) > 1]
    if unknown or twice or not letters:
        what = f"There is no block {unknown[0]}." if unknown else (
            f"Block {twice[0]} can be used once." if twice else "There is no letter in your text.")
        raise Wrong(what, expected=f"letters of {', '.join(blocks)}, each at most once", got=repr(order))
    return letters


def put_together(asked: Question, letters: str) -> str:
    """The function that an order of letters gives, as text."""
    blocks = lettered(asked)
    return "\n".join(blocks[letter].text for letter in letters) + "\n"


def blaming(asked: Question, letters: str, cases: Sequence[Case]) -> list[Case]:
    """The cases, which name the belief behind the first block that does not belong, if there is one."""
    blocks = lettered(asked)
    belief = next((blocks[letter].misconception for letter in letters if blocks[letter].misconception), "")

    def blame(case: Case) -> Case:
        def check(answer: Answer, random: Random) -> None:
            try:
                case.check(answer, random)
            except Wrong as wrong:
                wrong.misconception = belief or wrong.misconception
                raise

        return replace(case, check=check)

    return [blame(case) for case in cases]
