"""The memory bill as a plot."""

from __future__ import annotations

from collections import Counter

from xiplab.course.experiments.bill import Bill
from xiplab.widgets.bill import plot

BILLS = [Bill(1, True, Counter(text=2, stack=1), 2), Bill(1, False, Counter(text=2, stack=1)),
         Bill(4, True, Counter(text=2, stack=4), 2), Bill(4, False, Counter({"text": 8, "stack": 4}))]


def test_words_give_the_numbers_of_the_most_guests() -> None:
    assert plot(BILLS).words == (
        "4 guests run the same programs. All frames: 6 in place, 12 through the page cache. "
        "Instructions alone: 2 and 8. Variables, stacks and page tables: 4 and 4.")


def test_table_has_a_row_for_each_bill_and_no_kind_that_nobody_has() -> None:
    html = plot(BILLS)._repr_html_()

    assert "<th scope='row'>4 guests, in place</th><td>0.5</td><td>1</td>" in html
    assert "<th scope='row'>1 guest, cached</th><td>2</td><td>1</td>" in html
    assert "heap" not in html
