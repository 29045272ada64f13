"""The memory bill as a plot: totals against the number of guests, and what each guest's part consists of."""

from __future__ import annotations

from collections.abc import Sequence

from xiplab.course.experiments.bill import KINDS, PRIVATE, Bill
from xiplab.widgets.plot import Line, Panel, Plot, Stack


def plot(bills: Sequence[Bill]) -> Plot:
    """Bills for several numbers of guests, in place and through the page cache."""
    ways = {"page cache": [bill for bill in bills if not bill.in_place],
            "in place": [bill for bill in bills if bill.in_place]}
    lines = [Line(name, [bill.guests for bill in found], [bill.total for bill in found])
             for name, found in ways.items()]
    used = [kind for kind in KINDS if any(bill.frames[kind] for bill in bills)]
    parts = {kind: [bill.frames[kind] / bill.guests for bill in bills] for kind in used}
    return Plot([Panel("All frames in use", "guests", "frames", lines, log=True),
                 Stack("Frames for each guest, by what they hold", "frames in use, divided by guests",
                       [bar_name(bill) for bill in bills], parts)],
                words(ways["in place"][-1], ways["page cache"][-1]))


def bar_name(bill: Bill) -> str:
    return f"{bill.guests} guest{'s' * (bill.guests > 1)}, {'in place' if bill.in_place else 'cached'}"


def words(in_place: Bill, cached: Bill) -> str:
    """What the plot shows of the most guests."""
    own, others = (sum(bill.frames[kind] for kind in PRIVATE) for bill in (in_place, cached))
    return (f"{in_place.guests} guests run the same programs. All frames: {in_place.total:,} in place, "
            f"{cached.total:,} through the page cache. Instructions alone: {in_place.frames['text']:,} and "
            f"{cached.frames['text']:,}. Variables, stacks and page tables: {own:,} and {others:,}.")
