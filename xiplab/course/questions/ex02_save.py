"""Question 02.3: a save of an unknown segment, after which nothing works any more (Q26)."""

from __future__ import annotations

from functools import partial
from random import Random

from xiplab.course.experiments.your_extmem import DcssLock, save_with
from xiplab.course.problem import Answer
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Step, judge_play, outcome
from xiplab.guest import ZVM
from xiplab.linux.arch.s390.extmem import SEGMENT_SHARED, DcssSegment, segment_load
from xiplab.units import MiB

NAME, UNKNOWN, REFUSED = "SHLIB", "NOSUCH", "SHLIB, and CP refuses"
EVENTS = ((NAME,), (UNKNOWN, NAME), (REFUSED, NAME), (NAME, UNKNOWN, UNKNOWN, NAME))
"""What is saved, one after the other. CP refuses when the guest's user may not give such commands."""


def play(names: tuple[str, ...], segment_save: Function) -> list[Step]:
    """Save these segments; the lock, what CP was told, and the number of the file in its spool."""
    vm = ZVM()
    vm.segment(NAME, 1 * MiB, "SW")
    vm.load(NAME, b"A shared library")
    guest = vm.logon("LINUX1")
    segment_load(guest.kernel, NAME, SEGMENT_SHARED)
    lock, seen = DcssLock(), []
    for number, name in enumerate(names, 1):
        guest.machine.privclass = "G" if name == REFUSED else "EG"
        told = len(lock.told)
        came = outcome(save_with, segment_save, guest.kernel, name.split(",")[0], lock)
        naked = f"; without the lock: {', '.join(sorted(set(lock.naked)))}" if lock.naked else ""
        seen.append((f"save {', then '.join(names[:number])}",
                     f"{came + '; ' if came != 'None' else ''}"
                     f"the lock is {'held' if lock.held else 'free'}{naked}; "
                     f"CP was told: {', '.join(lock.told[told:]) or 'nothing'}; "
                     f"{NAME} is file {vm.segments[NAME].spoolid}"))
    return seen


def right(name: str, lock: Function, unlock: Function, find: Function, commands: Function,
          cp: Function) -> None:
    """What segment_save does since 2.6.20."""
    lock()
    seg = find(name)
    if seg is not None:
        for command in commands(seg):
            if cp(command):
                break
    unlock()


def kept(name: str, lock: Function, unlock: Function, find: Function, commands: Function,
         cp: Function) -> None:
    """As until 2.6.19."""
    lock()
    seg = find(name)
    if seg is None:
        return
    for command in commands(seg):
        if cp(command):
            break
    unlock()


def tell(seg: DcssSegment | None, commands: Function, cp: Function) -> None:
    for command in [] if seg is None else commands(seg):
        if cp(command):
            break


def for_the_look_only(name: str, lock: Function, unlock: Function, find: Function, commands: Function,
                      cp: Function) -> None:
    lock()
    seg = find(name)
    unlock()
    tell(seg, commands, cp)


def look_before(name: str, lock: Function, unlock: Function, find: Function, commands: Function,
                cp: Function) -> None:
    seg = find(name)
    if seg is None:
        return
    lock()
    tell(seg, commands, cp)
    unlock()


def no_lock(name: str, lock: Function, unlock: Function, find: Function, commands: Function,
            cp: Function) -> None:
    tell(find(name), commands, cp)


def unlocks_twice(name: str, lock: Function, unlock: Function, find: Function, commands: Function,
                  cp: Function) -> None:
    lock()
    seg = find(name)
    if seg is None:
        unlock()
    tell(seg, commands, cp)
    unlock()


def kept_on_refusal(name: str, lock: Function, unlock: Function, find: Function, commands: Function,
                    cp: Function) -> None:
    lock()
    seg = find(name)
    if seg is not None:
        for command in commands(seg):
            if cp(command):
                return
    unlock()


def goes_on(name: str, lock: Function, unlock: Function, find: Function, commands: Function,
            cp: Function) -> None:
    lock()
    seg = find(name)
    if seg is not None:
        for command in commands(seg):
            cp(command)
    unlock()


def complains(name: str, lock: Function, unlock: Function, find: Function, commands: Function,
              cp: Function) -> None:
    lock()
    seg = find(name)
    if seg is None:
        unlock()
        raise OSError(2, "no such segment")
    tell(seg, commands, cp)
    unlock()


BELIEFS = (("return-lets-go", kept), ("return-lets-go", kept_on_refusal),
           ("lock-is-for-the-look", for_the_look_only), ("looking-needs-no-lock", look_before),
           ("looking-needs-no-lock", no_lock), ("unlock-does-no-harm", unlocks_twice),
           ("save-tells", complains),
           ("second-command-anyway", goes_on))


def check_save(answer: Answer, random: Random) -> None:
    """Known and unknown segments, one after the other."""
    plays = [partial(play, names) for names in EVENTS]
    for game in plays:
        judge_play(game, seam(answer, "segment_save"), right, BELIEFS,
                   "After this call the lock or the spool is not as it should be.", plays)
