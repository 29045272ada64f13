"""The capstone's program: a guest writes it, reads it back and executes it, carried by the learner.

One function stands in its table and the model's own in the others; in the last question all five are the
learner's. No frame of the page cache may be used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.seam import seam
from xiplab.course.questions.stage_11 import FIVE, GREETING, PROGRAM, Carried, Function
from xiplab.errors import ProgramInterruption, Signal
from xiplab.linux.drivers.dcssblk_io import dcssblk_direct_access
from xiplab.linux.fs.ext2.xip import ext2_get_xip_mem
from xiplab.linux.mm.filemap_xip import _xip_file_write, do_xip_mapping_read, xip_file_fault
from xiplab.units import PAGE_SIZE, MiB

MODELS: Mapping[str, Function] = {
    "direct_access": dcssblk_direct_access, "get_xip_mem": ext2_get_xip_mem,
    "xip_file_read": do_xip_mapping_read, "xip_file_write": _xip_file_write,
    "xip_file_fault": xip_file_fault}


def greeting_of(random: Random) -> bytes:
    """What the program is to say: nobody knows it before."""
    words = ("frame", "page", "block", "sector", "segment")
    return f"The {random.choice(words)} is {random.randrange(1000)}.\n".encode()


def check_program(answer: Answer, own: Mapping[str, Function], random: Random) -> Carried:
    """Mount, write a program, read it back, execute it in place; no frame of the page cache is used."""
    at, greeting = random.randrange(256, 1024) * MiB, greeting_of(random)
    machine = Carried(own, at)
    names = " and ".join(own) if len(own) < 3 else "your five functions"
    try:
        machine.mount()
        content = machine.install(greeting)
        same = machine.read(PROGRAM) == content
        ended = machine.run()
    except (OSError, Signal, ProgramInterruption, TypeError, ValueError) as failure:
        raise Wrong(f"The guest could not work with {names}: {failure}.") from failure
    if not same or greeting.ljust(len(GREETING)) not in content:
        raise Wrong(f"With {names} the guest reads other bytes of the program than it wrote.")
    if (ended.printed, ended.status) != (greeting.ljust(len(GREETING)), 1):
        raise Wrong("The program did not do what it should.", expected=f"{greeting!r}, exit status 1",
                    got=f"{ended.printed!r}, exit status {ended.status} {ended.why}")
    if machine.cached:
        raise Wrong("The page cache was used.", expected="0 frames", got=f"{machine.cached} frames")
    return machine


def program_on(name: str) -> Callable[[Answer, Random], None]:
    """The check that a program runs on one function of the learner's and four of the model's."""
    def check(answer: Answer, random: Random) -> None:
        machine = check_program(answer, {name: seam(answer, name)}, random)
        if not machine.called[name]:
            raise Wrong(f"Nobody called your {name}.")

    return check


# ---- 11.6

def check_counts(answer: Answer, random: Random) -> None:
    """In place no frame, on a disk as many as the pages that were looked at; another program read before."""
    for in_place in (True, False):
        machine = Carried({})
        machine.mount()
        machine.install(greeting_of(random))
        if not in_place:
            machine.move_to_a_disk()
            machine.guest.cat("/mnt/lib/greeting")
        before = machine.cached
        twin = executed_frames(in_place)
        where = "in place" if in_place else "on an ordinary disk"
        given = f"a program {where}; {before} frames of the page cache are in use before"
        got = answer.call("cached_by", machine.guest, PROGRAM)
        if type(got) is not int or got != twin:
            raise Wrong("That is not how many frames of the page cache the program took.", given=given,
                        expected=str(twin), got=repr(got),
                        misconception=belief_about_count(got, before, twin))


def executed_frames(in_place: bool) -> int:
    """How many frames of the page cache executing the program takes, on a machine of the model's own."""
    machine = Carried({})
    machine.mount()
    machine.install()
    if not in_place:
        machine.move_to_a_disk()
    before = machine.cached
    machine.run()
    return machine.cached - before


def belief_about_count(got: object, before: int, right: int) -> str:
    if got == before + right and before:
        return "what-is-there-was-taken"
    if got == -right or (got == 0 and right):
        return "look-after-the-run"
    if isinstance(got, int) and right and got == right * PAGE_SIZE:
        return "frame-is-not-bytes"
    return "all-frames-are-cache" if isinstance(got, int) else ""


def own_or_model(answer: Answer, name: str, missing: set[str]) -> Function:
    """The learner's function; the model's own in its place as soon as it turns out not to be there."""
    own, model = seam(answer, name), MODELS[name]

    def function(*args: object) -> Any:
        if name in missing:
            return model(*args)
        try:
            return own(*args)
        except AnswerRaised as failure:
            if failure.kind not in ("NotImplementedError", "KeyError"):
                raise
            missing.add(name)
            return model(*args)

    return function


def check_whole(answer: Answer, random: Random) -> None:
    """All five functions are the learner's, and their own measure says that nothing was cached."""
    missing: set[str] = set()
    machine = check_program(answer, {name: own_or_model(answer, name, missing) for name in FIVE}, random)
    not_called = [name for name in FIVE if not machine.called[name]]
    if missing or not_called:
        names = ", ".join(name for name in FIVE if name in missing or name in not_called)
        raise Wrong(f"The program runs, and not yet on five functions of yours: {names} was the model's own.",
                    expected="five functions of yours", got=f"{5 - len(missing)} of them")
    if answer.call("cached_by", machine.guest, PROGRAM) != 0:
        raise Wrong("Your own measure finds frames in the page cache, and there are none.")
