"""Question 03.5: a segment that cannot be reloaded now, and a file that says it was (Q16)."""

from __future__ import annotations

import errno
from functools import partial
from random import Random

from xiplab.course.problem import Answer
from xiplab.course.questions.ex03_machine import NAMES, Machine, machine
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Play, Step, judge_play, outcome
from xiplab.linux.arch.s390.extmem import (
    SEGMENT_EXCLUSIVE,
    SEGMENT_SHARED,
    segment_by_name,
    segment_load,
    segment_modify_shared,
)
from xiplab.linux.drivers.dcssblk_io import DcssblkDevInfo

TRIALS: tuple[tuple[str, ...], ...] = ((), ("PART1",), ("PART2",), ("PART1", "PART2"))
"""Which segments another user of the same guest has loaded too."""


def right(info: DcssblkDevInfo, mode: int, segment_modify_shared: Function) -> None:
    """What 2.6.27 did: a segment that is busy leaves everything as it says it is."""
    complete = True
    for segment in info.seg_list:
        try:
            segment_modify_shared(segment.segment_name, mode)
        except OSError as refusal:
            if refusal.errno != errno.EAGAIN:
                raise
            complete = False
    if complete:
        info.is_shared = mode == SEGMENT_SHARED


def flips_always(info: DcssblkDevInfo, mode: int, modify: Function) -> None:
    """As 2.6.28 and later."""
    for segment in info.seg_list:
        try:
            modify(segment.segment_name, mode)
        except OSError as refusal:
            if refusal.errno != errno.EAGAIN:
                raise
    info.is_shared = mode == SEGMENT_SHARED


def flips_first(info: DcssblkDevInfo, mode: int, modify: Function) -> None:
    info.is_shared = mode == SEGMENT_SHARED
    for segment in info.seg_list:
        modify(segment.segment_name, mode)


def last_one_counts(info: DcssblkDevInfo, mode: int, modify: Function) -> None:
    complete = True
    for segment in info.seg_list:
        try:
            modify(segment.segment_name, mode)
            complete = True
        except OSError as refusal:
            if refusal.errno != errno.EAGAIN:
                raise
            complete = False
    if complete:
        info.is_shared = mode == SEGMENT_SHARED


def any_one_counts(info: DcssblkDevInfo, mode: int, modify: Function) -> None:
    for segment in info.seg_list:
        try:
            modify(segment.segment_name, mode)
            info.is_shared = mode == SEGMENT_SHARED
        except OSError as refusal:
            if refusal.errno != errno.EAGAIN:
                raise


def silent(info: DcssblkDevInfo, mode: int, modify: Function) -> None:
    for segment in info.seg_list:
        try:
            modify(segment.segment_name, mode)
        except OSError:
            return
    info.is_shared = mode == SEGMENT_SHARED


BELIEFS = (("not-now-is-yes", flips_always), ("not-now-is-yes", flips_first),
           ("last-segment-decides", last_one_counts), ("one-segment-is-enough", any_one_counts),
           ("every-error-is-not-now", silent))


def switch(made: Machine, shared_store: Function, mode: int) -> None:
    shared_store(made.info, mode, partial(segment_modify_shared, made.guest.kernel))


def modes(made: Machine) -> str:
    """How each segment is loaded in truth."""
    loaded = [segment_by_name(made.guest.kernel, name) for name in NAMES]
    return ", ".join(f"{name} {'gone' if seg is None else 'own copy' if seg.do_nonshared else 'shared'}"
                     for name, seg in zip(NAMES, loaded, strict=True))


def play(others: tuple[str, ...], shared_store: Function) -> list[Step]:
    """Write 0 into shared, then 1, while others have these segments loaded; what the file says then.

    Whether the writer gets EAGAIN is the answer's choice, so it is not noted.
    """
    made = machine()
    for name in others:
        segment_load(made.guest.kernel, name, SEGMENT_SHARED)
    busy = f"{' and '.join(others)} in use by others" if others else "nobody else uses the segments"
    seen = []
    for text, mode in (("0", SEGMENT_EXCLUSIVE), ("1", SEGMENT_SHARED)):
        came = outcome(switch, made, shared_store, mode)
        truth = "" if others else f"; {modes(made)}"
        seen.append((f"{busy}; echo {text} > PART1/shared",
                     f"{'' if came in ('None', 'OSError EAGAIN') else f'{came}; '}"
                     f"the file shared says {int(bool(made.info.is_shared))}{truth}"))
    return seen


def purged(name: str, shared_store: Function) -> list[Step]:
    """The same while CP has purged a segment: the reload fails, and that is no matter of "not now"."""
    made = machine()
    made.vm.cp(f"PURGE NSS {name}")
    came = outcome(switch, made, shared_store, SEGMENT_EXCLUSIVE)
    return [(f"{name} was purged; echo 0 > PART1/shared", f"{came}; the file shared says "
             f"{int(bool(made.info.is_shared))}")]


WHOLE: list[Play] = [*(partial(play, others) for others in TRIALS),
                     *(partial(purged, name) for name in NAMES)]


def check_busy(answer: Answer, random: Random) -> None:
    """The file shared says 0 only when every segment was reloaded."""
    for others in TRIALS:
        judge_play(partial(play, others), seam(answer, "shared_store"), right, BELIEFS,
                   "The file shared does not say how the segments are loaded.", WHOLE)


def check_failure(answer: Answer, random: Random) -> None:
    """Any other error goes on to who wrote into the file."""
    for name in NAMES:
        judge_play(partial(purged, name), seam(answer, "shared_store"), right, BELIEFS,
                   "The reload failed for good. That is another matter than a segment in use.", WHOLE)
