"""Blocks to be put in order: shuffled once, judged by what they do, easier after two wrong tries."""

from __future__ import annotations

import errno
from pathlib import Path
from random import Random

import pytest

from xiplab.course import problem, progress
from xiplab.course.answer import Found
from xiplab.course.ask import show
from xiplab.course.experiments.order import Order
from xiplab.course.judge import judge
from xiplab.course.parsons import lettered, pieces
from xiplab.course.problem import Answer, Block, Case, Hint, Question, Wrong
from xiplab.course.result import Result
from xiplab.widgets.order import OrderView


def check_lookups(answer: Answer, random: Random) -> None:
    holes = []
    got = [answer.call("block_of", [7, 0, 9], page, holes.append) for page in range(3)]
    if got != [7, None, 9] or holes != [1]:
        raise Wrong("That is not the block.", expected="[7, None, 9]", got=repr(got),
                    misconception="page-is-block")


ASKED = Question(
    "07.4", "Find the block", "parsons", "order_of_block_of", (Case("blocks and a hole", check_lookups, 2),),
    (Hint("first", 0.1), Hint("second", 0.1), Hint("third", 0.2)),
    blocks=(Block("def block_of(slots, page, hole):"),
            Block("    block = slots[page]"),
            Block("    if not block:\n        hole(page)\n        return None"),
            Block("    return block"),
            Block("    block = page", "page-is-block"),
            Block("    return page", "pages-lie-in-a-row")))


def order(*texts: str) -> str:
    """The letters of blocks, each named by a part of it."""
    blocks = lettered(ASKED)
    return "".join(next(letter for letter, block in blocks.items() if text in block.text) for text in texts)


def judged(letters: object) -> Result:
    return judge(ASKED, Found(f"def order_of_block_of():\n    return {letters!r}"))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Question:
    """The question among those of the course, and a learner with a progress file."""
    monkeypatch.setattr(problem, "EXERCISES", ("07",))
    monkeypatch.setattr(problem, "questions", lambda exercise: (ASKED,))
    monkeypatch.chdir(tmp_path)
    progress.create(tmp_path)
    return ASKED


RIGHT = order("def", "slots[page]", "if not", "return block")


def test_right_order_gets_full_points() -> None:
    for letters in (RIGHT, RIGHT.lower(), " ".join(RIGHT), ", ".join(RIGHT)):
        assert float(judged(letters)) == 2


def test_every_order_that_works_is_right() -> None:
    """A block that does not belong may stand where it does no harm."""
    assert float(judged(order("def", "block = page", "slots[page]", "if not", "return block"))) == 2


@pytest.mark.parametrize(("texts", "misconception"), [
    (("def", "block = page", "if not", "return block"), "page-is-block"),
    (("def", "slots[page]", "if not", "return page"), "pages-lie-in-a-row"),
    (("def", "slots[page]", "return block", "if not"), "page-is-block")])
def test_wrong_order_names_the_belief_of_the_block_or_of_the_check(texts: tuple[str, ...], misconception: str
                                                                   ) -> None:
    result = judged(order(*texts))

    assert float(result) == 0
    assert result.misconceptions == (misconception,)


@pytest.mark.parametrize(("letters", "said"), [
    ("", "no letter"), ("AA", "Block A can be used once"), ("AZ", "no block Z"), (7, "as a text"),
    (None, "as a text"), (RIGHT[1:], "no Python"), (RIGHT[0], "no Python"),
    (RIGHT[1:] + RIGHT[0], "no Python")], ids=repr)
def test_answer_that_is_no_order_scores_zero_with_a_reason(letters: object, said: str) -> None:
    result = judged(letters)

    assert float(result) == 0
    assert said in str(result)


def test_stub_is_not_written_yet() -> None:
    result = judge(ASKED, Found("def order_of_block_of():\n    raise NotImplementedError()"))

    assert float(result) == 0
    assert "Not written yet" in str(result)


def test_blocks_are_shuffled_and_stay_as_they_are() -> None:
    shown = pieces(ASKED)

    assert [letters for letters, _ in shown] == list("ABCDEF")
    assert [text for _, text in shown] != [block.text for block in ASKED.blocks]
    assert shown == pieces(ASKED)


def test_each_step_drops_a_wrong_block_or_joins_two_until_two_pieces_are_left() -> None:
    counts = [len(pieces(ASKED, easier)) for easier in range(7)]
    hardest, easiest = dict(pieces(ASKED)), pieces(ASKED, 9)

    assert counts == [6, 5, 4, 3, 2, 2, 2]
    assert RIGHT in ("".join(letters for letters, _ in order) for order in (easiest, easiest[::-1]))
    for letters, text in pieces(ASKED, 4):
        assert text == "\n".join(hardest[letter] for letter in letters)


def test_two_wrong_tries_make_it_easier(asked: Question) -> None:
    hard = len(show("07.4").code)
    for _ in range(2):
        progress.note_attempt(asked, judged("A"), "")
    easier = len(show("07.4").code)
    progress.note_attempt(asked, judged(RIGHT), "")

    assert (hard, easier, len(show("07.4").code)) == (6, 5, 5)
    assert len(show("07.4", 3).code) == 3
    assert len(Order("07.4").pieces) == 5


def test_card_shows_letters_and_indentation(asked: Question) -> None:
    card = show("07.4")

    assert "Some blocks do not belong." in repr(card)
    assert "       hole(page)" in repr(card)
    assert "<pre>    if not block:\n        hole(page)" in card._repr_html_()


def test_view_picks_and_takes_back(asked: Question) -> None:
    """The picture has the blocks that are left, the function so far, and the line to write."""
    experiment = Order("07.4")
    view = OrderView(experiment)
    for letter in RIGHT:
        experiment.put(letter)
    experiment.take(RIGHT[-1])
    left, function = view.picture["panels"]

    assert f'return "{RIGHT[:-1]}"' in view.picture["status"]
    assert len(left["rows"]) == 3
    assert len(function["rows"]) == 5
    assert f"experiment = Order(\"07.4\")\nexperiment.put('{RIGHT[0]}')" in experiment.python()
    view.close()


def test_order_refuses_what_is_not_there(asked: Question) -> None:
    experiment = Order("07.4")
    experiment.put("A")

    for act, letters, code in ((experiment.put, "A", errno.EEXIST), (experiment.put, "Z", errno.ENOENT),
                               (experiment.take, "B", errno.ENOENT)):
        with pytest.raises(OSError, match=f"block '?{letters}") as refused:
            act(letters)

        assert refused.value.errno == code


def test_order_of_another_kind_of_question_is_einval() -> None:
    with pytest.raises(OSError, match="no blocks") as refused:
        Order("00.2")

    assert refused.value.errno == errno.EINVAL
