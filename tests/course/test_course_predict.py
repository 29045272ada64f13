"""Predictions: stored before the result is shown; wrong choices are explained."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from xiplab.course import predict as module
from xiplab.course import progress
from xiplab.course.catalogue import MISCONCEPTIONS
from xiplab.course.predict import predict, reveal
from xiplab.course.predictions import PREDICTIONS


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    module.chosen.clear()
    yield
    module.chosen.clear()


def test_reveal_before_predict_asks_for_the_prediction() -> None:
    with pytest.raises(OSError, match="predict first") as failure:
        reveal("00.store")

    assert failure.value.errno == errno.EAGAIN


def test_predict_shows_every_choice_and_not_the_answer() -> None:
    text = repr(predict("00.store"))

    assert all(option.text in text for option in PREDICTIONS["00.store"].choices.values())
    assert "Stored" not in text
    assert "answer" not in text.lower()


@pytest.mark.parametrize("id", PREDICTIONS)
def test_wrong_choice_gets_the_answer_and_an_explanation(id: str) -> None:
    asked = PREDICTIONS[id]
    for letter, option in asked.choices.items():
        predict(id, letter)
        text = repr(reveal(id))
        assert asked.choices[asked.right].text in text
        assert option.why in text


def test_skip_is_allowed_and_stored() -> None:
    predict("00.cost", "skip")

    assert module.chosen == {"00.cost": "skip"}
    assert "The answer is b)" in repr(reveal("00.cost"))


@pytest.mark.parametrize(("id", "choice", "number"), [("00.store", "z", errno.EINVAL),
                                                      ("99.x", "a", errno.ENOENT)])
def test_unknown_question_or_choice_raises(id: str, choice: str, number: int) -> None:
    with pytest.raises(OSError, match="not one of") as failure:
        predict(id, choice)

    assert failure.value.errno == number


def test_predictions_are_kept_in_the_progress_file(tmp_path: Path) -> None:
    path = progress.create(tmp_path)
    predict("00.store", "a")
    predict("00.store", "c")

    assert [entry["choice"] for entry in progress.load(path)["predictions"]["00.store"]] == ["a", "c"]


def test_wrong_choices_are_misconceptions_of_the_catalogue() -> None:
    for asked in PREDICTIONS.values():
        for letter, option in asked.choices.items():
            assert (option.misconception in MISCONCEPTIONS) == (letter != asked.right), option.text


def test_texts_are_short() -> None:
    for asked in PREDICTIONS.values():
        assert all(len(option.why.split()) < 60 for option in asked.choices.values())
