"""Question 02.5: a loaded segment is loaded in the other mode; what may go wrong, and what is then left."""

from __future__ import annotations

import errno
from functools import partial
from random import Random

from xiplab.course.experiments.segments import DIAG_64
from xiplab.course.experiments.your_extmem import modify_with
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
    segment_modify_shared,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.units import MiB

NAME = "SHLIB"
TEXT = b"A shared library"
WORDS = {SEGMENT_SHARED: "shared", SEGMENT_EXCLUSIVE: "exclusive"}


def trials() -> list[tuple[int, str, tuple[int, ...]]]:
    """(how it is loaded at first, what else is so, the modes that are asked for)."""
    s, x = SEGMENT_SHARED, SEGMENT_EXCLUSIVE
    return [(s, "", (x, s)), (x, "", (s, x)), (s, "", (s,)), (x, "", (x, s)), (s, "used twice", (x,)),
            (s, "used twice", (s,)), (s, "purged by CP", (x, s)), (x, "purged by CP", (x, s)),
            (s, "not loaded", (x,))]


def play(before: int, what: str, modes: tuple[int, ...], modify: Function) -> list[Step]:
    """Ask for these modes, one after the other. Before each the guest stores a letter, if it may."""
    vm = ZVM()
    vm.segment(NAME, 1 * MiB, "SR")
    vm.load(NAME, TEXT)
    guest = vm.logon("LINUX1")
    start = vm.segments[NAME].start
    for _ in range({"used twice": 2, "not loaded": 0}.get(what, 1)):
        segment_load(guest.kernel, NAME, before)
    if what == "purged by CP":
        vm.cp(f"PURGE NSS {NAME}")
    seen, told = [], noting(guest.kernel)
    for number, mode in enumerate(modes, 1):
        store_if_allowed(guest.kernel, start)
        told.clear()
        came = outcome(modify, guest.kernel, NAME, mode)
        words = f"loaded {WORDS[before]}{', ' if what else ''}{what}" if what != "not loaded" else what
        asked = ", then ".join(WORDS[m] for m in modes[:number])
        seen.append((f"{words}; it stores a J where it may; asked for {asked}",
                     f"{came + '; ' if came != 'None' else ''}CP was told: {', '.join(told) or 'nothing'}; "
                     f"{state_of(guest.kernel, start)}"))
    return seen


def noting(kernel: Kernel) -> list[str]:
    """What the guest tells CP of segments from now on, in words."""
    told: list[str] = []
    diagnose = kernel.diagnose
    assert diagnose is not None

    def noted(code: int, rx: int, ry: int) -> tuple[int, int, int]:
        told.append(DIAG_64.get(ry, "something else"))
        return diagnose(code, rx, ry)

    kernel.diagnose = noted
    return told


def store_if_allowed(kernel: Kernel, start: int) -> None:
    seg = segment_by_name(kernel, NAME)
    if seg is not None and kernel.memory.overlapping(start, start) and kernel.memory.range_of(start).writable:
        kernel.memory.view(start, 1)[0] = ord("J")


def state_of(kernel: Kernel, start: int) -> str:
    """What Linux believes, and what is so."""
    seg = segment_by_name(kernel, NAME)
    lies = kernel.memory.overlapping(start, start)
    believed = "not in the list" if seg is None else (
        f"in the list as {WORDS.get(seg.do_nonshared, seg.do_nonshared)}")
    if lies is None:
        return f"{believed}; no storage there"
    place = kernel.memory.range_of(start)
    text = bytes(kernel.memory.view(start, 1)).decode("latin-1")
    return f"{believed}; {'may be written' if place.writable else 'read only'}, begins with {text}"


def right(kernel: Kernel, name: str, mode: int) -> None:
    segment_modify_shared(kernel, name, mode)


def believing(*, same: bool = True, users: bool = True, purges: bool = True, destroys: bool = True,
              passes_on: bool = True, notes: bool = True) -> Function:
    """A function that leaves one thing out."""
    def modify(seg: DcssSegment | None, mode: int, purge: Function, load: Function,
               destroy: Function) -> None:
        if seg is None:
            raise OSError(errno.EINVAL, "not loaded")
        if same and seg.do_nonshared == mode:
            return
        if users and seg.ref_count != 1:
            raise OSError(errno.EAGAIN, "others use it")
        if purges:
            purge(seg)
        try:
            load(seg, mode)
        except OSError:
            if destroys:
                destroy(seg)
            if passes_on:
                raise
            return
        if notes:
            seg.do_nonshared = mode

    return partial(modify_with, modify)


BELIEFS = (("same-mode-loads-again", believing(same=False)),
           ("others-follow", believing(users=False)),
           ("load-replaces", believing(purges=False)),
           ("failed-load-changes-nothing", believing(destroys=False)),
           ("failure-needs-no-word", believing(passes_on=False)),
           ("cp-knows-the-mode", believing(notes=False)))


def check_modify(answer: Answer, random: Random) -> None:
    """From shared to exclusive and back, with other users, and when CP has purged the segment."""
    plays = [partial(play, *trial) for trial in trials()]
    yours = partial(modify_with, seam(answer, "modify_shared"))
    for game in plays:
        judge_play(game, yours, right, BELIEFS, "After this call things are not as they should be.", plays)
