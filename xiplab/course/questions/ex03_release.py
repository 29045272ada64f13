"""Question 03.2: the driver is told of a close; is it the last one, and does a save wait for it?"""

from __future__ import annotations

from functools import partial
from random import Random

from xiplab.course.experiments.your_driver import plug_release
from xiplab.course.problem import Answer
from xiplab.course.questions.ex03_machine import DISK, NAMES, machine
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Step, judge_play, outcome
from xiplab.linux.drivers.dcssblk_io import DcssblkDevInfo

BUILT = (("open", "1", "close", "open", "close"), ("open", "open", "1", "close", "close"),
         ("open", "1", "open", "close", "0", "close"), ("open", "close"))
"""Orders of events that tell the beliefs apart; others are drawn."""


def play(events: tuple[str, ...], release: Function) -> list[Step]:
    """Open, close, and write into the file save; look at the driver and at CP's spool each time."""
    made = machine()
    plug_release(made.guest, DISK, release)
    opened: list[int] = []
    seen = []
    for number, event in enumerate(events, 1):
        came = "None"
        if event == "open":
            opened.append(made.guest.open(f"/dev/{DISK}"))
        elif event == "close":
            came = outcome(made.guest.close, opened.pop())
        else:
            made.echo(event, f"{NAMES[0]}/save")
        so_far = ", ".join(f"echo {e} > save" if e in "01" else e for e in events[:number])
        info = made.info
        seen.append((so_far, f"{'' if came == 'None' else f'{came}; '}open {info.use_count!r} times, "
                             f"save {'pending' if info.save_pending else 'not pending'}, {made.spool()}"))
    return seen


def right(info: DcssblkDevInfo, segment_save: Function) -> None:
    """What dcssblk_release does with a count and a wish."""
    info.use_count -= 1
    if not info.use_count and info.save_pending:
        for segment in info.seg_list:
            segment_save(segment.segment_name)
        info.save_pending = False


def at_any_close(info: DcssblkDevInfo, segment_save: Function) -> None:
    info.use_count -= 1
    if info.save_pending:
        for segment in info.seg_list:
            segment_save(segment.segment_name)
        info.save_pending = False


def first_only(info: DcssblkDevInfo, segment_save: Function) -> None:
    info.use_count -= 1
    if not info.use_count and info.save_pending:
        segment_save(info.segment_name)
        info.save_pending = False


def counted_too_late(info: DcssblkDevInfo, segment_save: Function) -> None:
    if not info.use_count and info.save_pending:
        for segment in info.seg_list:
            segment_save(segment.segment_name)
        info.save_pending = False
    info.use_count -= 1


def stays_pending(info: DcssblkDevInfo, segment_save: Function) -> None:
    info.use_count -= 1
    if not info.use_count and info.save_pending:
        for segment in info.seg_list:
            segment_save(segment.segment_name)


def forgets(info: DcssblkDevInfo, segment_save: Function) -> None:
    right(info, segment_save)
    info.save_pending = False


BELIEFS = (("any-close-is-the-release", at_any_close), ("first-segment-is-the-device", first_only),
           ("counted-too-late", counted_too_late), ("save-stays-pending", stays_pending),
           ("save-is-forgotten", forgets))


def check_release(answer: Answer, random: Random) -> None:
    """Events in some orders; after each the count, the wish and the spool are the model's."""
    for events in (*BUILT, drawn(random)):
        judge_play(partial(play, events), seam(answer, "release"), right, BELIEFS,
                   "After these events the driver and the spool are not as they should be.")


def drawn(random: Random) -> tuple[str, ...]:
    """Events drawn at random; nobody closes what is not open, and at the end all is closed."""
    openers, events = 0, list[str]()
    for _ in range(10):
        event = random.choice(("open", "1", "0", "close", "close"))
        if event == "close" and not openers:
            event = "open"
        openers += {"open": 1, "close": -1}.get(event, 0)
        events.append(event)
    return *events, *["close"] * openers
