"""The calls of notebook 06 on this computer."""

from __future__ import annotations

import os

import pytest

from xiplab.host import calls


@pytest.mark.skipif(bool(calls.unavailable()), reason=calls.unavailable())
def test_this_computer_answers_as_the_notebook_says() -> None:
    answers = [line.rpartition(": ")[2] for line in calls.try_all()]

    assert answers == ["True", "8", "0", "8192", "5000", "True"]


def test_elsewhere_one_sentence_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "preadv", raising=False)

    assert calls.unavailable() == "this system has no preadv"
