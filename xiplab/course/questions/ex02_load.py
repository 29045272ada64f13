"""Question 02.2: a segment is loaded by several users of one guest; who counts them?"""

from __future__ import annotations

from functools import partial
from random import Random

from xiplab.course.problem import Answer
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Step, judge_play, outcome
from xiplab.guest import ZVM
from xiplab.linux.arch.s390.extmem import (
    SEGMENT_EXCLUSIVE,
    SEGMENT_SHARED,
    DcssSegment,
    segment_by_name,
    segment_load,
    segment_unload,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.units import MiB

NAME = "SHLIB"
MODES = {"shared": SEGMENT_SHARED, "exclusive": SEGMENT_EXCLUSIVE}
EVENTS = (("shared", "unload"), ("shared", "shared", "unload", "unload"), ("shared", "exclusive", "unload"),
          ("exclusive", "exclusive", "unload", "shared"),
          ("shared", "exclusive", "shared", "unload", "unload"))


def load_new(kernel: Kernel, name: str, mode: int) -> DcssSegment | None:
    """Load a segment for its first user, who is counted."""
    segment_load(kernel, name, mode)
    return segment_by_name(kernel, name)


def play(events: tuple[str, ...], load: Function) -> list[Step]:
    """Users of one guest load the segment and let go of it; what Linux has counted then."""
    vm = ZVM()
    vm.segment(NAME, 1 * MiB, "SW")
    vm.load(NAME, b"A shared library")
    kernel = vm.logon("LINUX1").kernel
    seen = []
    for number, event in enumerate(events, 1):
        if event == "unload":
            came = outcome(segment_unload, kernel, NAME)
        else:
            came = outcome(load, NAME, MODES[event], partial(segment_by_name, kernel),
                           partial(load_new, kernel))
        seen.append((", then ".join(e if e == "unload" else f"load {e}" for e in events[:number]),
                     f"{came + '; ' if came.startswith('OSError') else ''}{counted(kernel)}"))
    return seen


def counted(kernel: Kernel) -> str:
    """What Linux has noted of the segment."""
    seg = segment_by_name(kernel, NAME)
    if seg is None:
        return "not loaded"
    return f"loaded {'exclusive' if seg.do_nonshared else 'shared'}, {seg.ref_count} users counted"


def right(name: str, mode: int, find: Function, load: Function) -> None:
    """What segment_load does with its list."""
    seg = find(name)
    if seg is None:
        seg = load(name, mode)
    elif seg.do_nonshared == mode:
        seg.ref_count += 1
    else:
        raise OSError(1, "loaded in the other mode")


def counts_twice(name: str, mode: int, find: Function, load: Function) -> None:
    seg = find(name)
    if seg is None:
        seg = load(name, mode)
    seg.ref_count += 1


def any_mode(name: str, mode: int, find: Function, load: Function) -> None:
    seg = find(name)
    if seg is None:
        load(name, mode)
    else:
        seg.ref_count += 1


def not_counted(name: str, mode: int, find: Function, load: Function) -> None:
    if find(name) is None:
        load(name, mode)


def always_refused(name: str, mode: int, find: Function, load: Function) -> None:
    if find(name) is not None:
        raise OSError(1, "loaded already")
    load(name, mode)


def mode_is_set(name: str, mode: int, find: Function, load: Function) -> None:
    seg = find(name)
    if seg is None:
        load(name, mode)
    else:
        seg.do_nonshared = mode
        seg.ref_count += 1


BELIEFS = (("first-load-counts-twice", counts_twice), ("mode-does-not-matter", any_mode),
           ("loaded-needs-no-count", not_counted), ("once-is-enough", always_refused),
           ("mode-is-a-flag", mode_is_set))


def check_load(answer: Answer, random: Random) -> None:
    """Loads and unloads in some orders."""
    drawn = tuple(random.choices(("shared", "shared", "exclusive", "unload"), k=8))
    for events in (*EVENTS, drawn):
        judge_play(partial(play, events), seam(answer, "segment_load"), right, BELIEFS,
                   "After these calls Linux has another count than it should.")
