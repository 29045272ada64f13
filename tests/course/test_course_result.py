"""The card of a result: sentences are safe to show, and code in them looks like code."""

from xiplab.course.result import prose


def test_prose_shows_backquoted_text_as_code_and_nothing_as_markup() -> None:
    assert prose("replace `raise <x>` & run") == "replace <code>raise &lt;x&gt;</code> &amp; run"
