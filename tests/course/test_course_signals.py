"""Signals: copies are seen after renaming; what many have in common says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from xiplab.course.judge import reference_source
from xiplab.course.problem import question
from xiplab.course.signals import PASSAGE, few, passages, renamed_tokens, signals

ODD = """def direct_access(bdev, sector):
    device = bdev.bd_disk.private_data
    if not device:
        raise OSError(errno.ENODEV, "gone")
    rest = sector
    while rest >= 8:
        rest -= 8
    if rest != 0:
        raise OSError(errno.EINVAL, "odd")
    where = device.start
    for number in range(0, sector, 8):
        where = where + 4096
    if where > device.end - 4095:
        raise OSError(errno.ERANGE, "far")
    return where, where // 4096
"""
DISGUISED = """# all my own work
def direct_access(the_device, s):
    info = the_device.bd_disk.private_data   # the segment
    if not info: raise OSError(errno.ENODEV, "there is no segment")
    left = s
    while left >= 8: left -= 8
    if left != 0:
        raise OSError(errno.EINVAL, "not at the start of a page")

    address = info.start
    for step in range(0, s, 8): address = address + 4096
    if address > info.end - 4095:
        raise OSError(errno.ERANGE, "behind the end")
    return address, address // 4096
"""
USUAL = """def direct_access(bdev, sector):
    info = bdev.bd_disk.private_data
    if info is None:
        raise OSError(errno.ENODEV, "no segment")
    if sector % 8:
        raise OSError(errno.EINVAL, "no page")
    kaddr = info.start + sector * SECTOR_SIZE
    if kaddr + PAGE_SIZE - 1 > info.end:
        raise OSError(errno.ERANGE, "behind the end")
    return kaddr, kaddr // PAGE_SIZE
"""


def record(learner: str, source: str = USUAL, *, id: str = "00.2", kind: str = "build",
           outcome: str = "right", situation: int | None = None,
           noted: dict[str, Any] | None = None) -> dict[str, Any]:
    """One learner's results, as far as signals look at them."""
    return {"learner": learner, "progress": noted, "results": [
        {"question": id, "kind": kind, "source": source, "outcome": outcome, "situation": situation}]}


OTHERS = [record(f"learner {n}") for n in range(38)]


def noted(learner: str = "", broken: tuple[str, ...] = (), **situations: int) -> dict[str, Any]:
    return {"learner": learner, "broken": list(broken), "attempts": {},
            "situations": {id.replace("_", "."): n for id, n in situations.items()}}


def found(results: list[dict[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.learners) for one in signals(results)]


def test_renamed_tokens_do_not_see_names_comments_and_layout() -> None:
    assert renamed_tokens(ODD) == renamed_tokens(DISGUISED)
    assert renamed_tokens(ODD) != renamed_tokens(USUAL)


@pytest.mark.parametrize("source", ["def f(:", "x = '", "x = '\0'", "", "\ud800", "  if\n x", "(" * 300])
def test_renamed_tokens_take_any_text(source: str) -> None:
    assert isinstance(renamed_tokens(source), list)
    assert isinstance(passages(source), frozenset)


def test_disguised_copy_is_seen_in_a_class() -> None:
    """Two of 40; the others' usual answers are alike and say nothing."""
    assert found([*OTHERS, record("ada", ODD), record("eve", DISGUISED)]) == [
        ("passages alike", ("ada", "eve"))]


def test_what_many_have_is_no_signal() -> None:
    assert found([record(f"learner {n}", ODD) for n in range(few(40) + 1)]) == []


def test_packages_own_version_is_no_signal() -> None:
    """Two learners who found the same way as the package, and nobody else."""
    reference = reference_source(question("00.2"))

    assert len(passages(reference)) > 2 * PASSAGE
    assert found([*OTHERS, record("ada", reference), record("eve", reference)]) == []


def test_small_class_has_nothing_rare() -> None:
    assert found([record("ada", ODD), record("eve", DISGUISED), record("bob")]) == []


def test_short_answers_are_no_signal() -> None:
    short = "def direct_access(bdev, sector):\n    return bdev.start + 17 * sector, sector ^ 3\n"

    assert found([*OTHERS, record("ada", short), record("eve", short)]) == []


def test_same_wrong_predictions_are_seen() -> None:
    """Word for word, in two questions, and rare; right ones are the same for everybody."""
    def predicting(learner: str, first: str, second: str, outcome: str = "wrong") -> dict[str, Any]:
        one, two = (record(learner, text, id=id, kind="predict", outcome=outcome)
                    for id, text in (("00.1", first), ("00.2", second)))
        return {**one, "results": one["results"] + two["results"]}

    odd = ("return {'disk'}  # as in the book", "return 17")
    others = [predicting(f"learner {n}", "return set()", f"return {n}") for n in range(10)]

    assert found([predicting("ada", *odd), predicting("eve", *odd), *others]) == [
        ("predictions alike", ("ada", "eve"))]
    assert found([predicting("ada", *odd, "right"), predicting("eve", *odd, "right"), *others]) == []
    assert found([predicting("ada", *odd), predicting("eve", odd[0], "return 18"), *others]) == []


def test_situation_of_another_learner_is_seen() -> None:
    """One's own, an unknown one and the common one with number 0 are no signal."""
    ada = record("ada", id="00.1", situation=71, noted=noted("a", **{"00_1": 71}))

    assert found([ada, record("eve", id="00.1", situation=71)]) == [("situation", ("eve", "ada"))]
    for situation in (0, 5, 72, None):
        eve = record("eve", id="00.1", situation=situation, noted=noted("e", **{"00_1": 72}))
        assert found([ada, eve]) == []


def test_changed_log_and_common_log_are_seen() -> None:
    results = [record("ada", noted=noted("a")), record("bob", noted=noted("b", ("00.2",))),
               record("eve", noted=noted("a")), record("zoe", noted=noted()), record("kim", noted=noted())]

    assert found(results) == [("log of attempts", ("bob",)), ("log of attempts", ("ada", "eve"))]
