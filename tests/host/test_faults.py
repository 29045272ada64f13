"""The mappings of notebook 07 on this computer."""

from __future__ import annotations

import pytest

from xiplab.host import faults


@pytest.mark.skipif(bool(faults.unavailable()), reason=faults.unavailable())
def test_this_computer_answers_as_the_notebook_says() -> None:
    assert faults.try_all() == [
        "the hole shows 0, and after a write b'Hello'",
        "the private mapping shows b'Jpple', the file holds b'aPple'",
        "a page that was cut off: SIGBUS"]


def test_elsewhere_one_sentence_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(faults.mmap, "MAP_PRIVATE")

    assert "no private mappings" in faults.unavailable()
