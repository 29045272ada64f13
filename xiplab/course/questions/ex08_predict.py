"""Question 08.1: two guests run one program; which of its areas lie on the same frames for both?

A situation is drawn from its number; situation 0 is the simplest. What is expected is seen by running the
model: the frames of both programs are compared by where they lie in the machine's storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeAlias

from xiplab.course.experiments.bill import boot, exit_stops, kind_of, machine, run_to_exit
from xiplab.course.experiments.execute import Execute
from xiplab.course.problem import Answer, Wrong
from xiplab.guest import Guest
from xiplab.linux.mm.memory import mapped_pages
from xiplab.process import Process

AREAS = ("text", "rodata", "data", "bss", "stack")
Areas: TypeAlias = frozenset[str]
START, END, LOADED, STORED = "start", "end", "loaded", "stored"


@dataclass(frozen=True)
class Situation:
    """The program in both guests, how its file system is mounted, and how far it has come."""

    program: str = "counter"
    in_place: bool = True
    moment: str = END


SITUATIONS = (
    Situation(), Situation("counter", True, START), Situation("jump", True, LOADED),
    Situation("jump", True, STORED), Situation("counter", False, END), Situation("hello", True, END),
    Situation("hello", False, END), Situation("hello", True, START))


def situation(variant: int) -> Situation:
    """The situation with this number; the same one every time."""
    if variant < len(SITUATIONS):
        return SITUATIONS[variant]
    return Random(f"08.1 situation {variant}").choice(SITUATIONS)


def situation_lines(variant: int) -> tuple[str, ...]:
    """The situation in words."""
    case = situation(variant)
    way = "in place" if case.in_place else "without xip, so that they are read through the page cache"
    program = {"counter": "counter adds 1 to variables in data and in bss.",
               "jump": "jump has one page of text and one of data, and no bss.",
               "hello": "hello has constants and no variables of its own."}[case.program]
    moment = {START: "No instruction has run.", END: "Both have run until they call exit().",
              LOADED: "Both have loaded a variable of data, and have stored nothing.",
              STORED: "Both have loaded a variable of data. Then LINUX1 has stored into it."}[case.moment]
    return (f"LINUX1 and LINUX2 have mounted the programs of one segment {way}.",
            f"Both have started {case.program}. {program}", moment)


@cache
def shared_areas(case: Situation) -> Areas:
    """Run the model: the areas of which both page tables have a page, on the same frame."""
    if case.program == "jump":
        experiment = loaded_and_stored(case.moment == STORED)
        guests = experiment.guests
        programs = experiment.programs
    else:
        vm = machine()
        guests = {name: boot(vm, name, case.in_place) for name in ("LINUX1", "LINUX2")}
        programs = {name: begun(guest, case) for name, guest in guests.items()}
    frames = {name: frames_of(guests[name], programs[name]) for name in guests}
    return frozenset(kind for kind in AREAS if frames["LINUX1"].get(kind, set())
                     & frames["LINUX2"].get(kind, set()))


def begun(guest: Guest, case: Situation) -> Process:
    with exit_stops(guest):
        return guest.start(case.program) if case.moment == START else run_to_exit(guest, case.program)


def loaded_and_stored(stored: bool) -> Execute:
    """Both guests run jump with other instructions: the variable is loaded, and stored by LINUX1."""
    experiment = Execute()
    experiment.assemble(experiment.entry("jump") + 6, "lg %r3,0(%r1); stg %r3,0(%r1); svc 248")
    for name in experiment.guests:
        experiment.start(name, "jump")
        experiment.execute(name, 3 if stored and name == "LINUX1" else 2)
    return experiment


def frames_of(guest: Guest, program: Process) -> dict[str, set[int]]:
    """Where the frames of each area lie in the machine's storage."""
    found: dict[str, set[int]] = {}
    mm = program.task.mm
    for vma in mm.mmap:
        for _, entry in mapped_pages(mm, vma.vm_start, vma.vm_end):
            found.setdefault(kind_of(mm, vma), set()).add(guest.kernel.memory.host_offset(entry & ~0xFFF))
    return found


def check_prediction(answer: Answer, random: Random) -> None:
    """The learner's set of areas is that of the model, for the situation the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    said = answer.call("shared_areas")
    if not isinstance(said, set | list | tuple) or not all(area in AREAS for area in said):
        raise Wrong("Name the areas as a set of their names.", expected=f"some of {', '.join(AREAS)}",
                    got=repr(said))
    case = situation(variant)
    truth = shared_areas(case)
    for area in AREAS:
        if (area in said) != (area in truth):
            shared = "one frame for both" if area in truth else "no frame that both have"
            raise Wrong(f"Not yet. Look at {area}: there is {shared}. Practise on another situation, too: "
                        f'xiplab.show("08.1", {variant + 1}).', given=f"situation {variant}",
                        got=", ".join(a for a in AREAS if a in said) or "no area",
                        misconception=belief_behind(case, area, area in truth))


def belief_behind(case: Situation, area: str, is_shared: bool) -> str:
    """The misconception that goes wrong on this area; empty if none is known."""
    if is_shared:
        return "private-copies-at-once" if area == "data" else "segment-per-guest"
    if case.moment == START:
        return "exec-loads-the-program"
    if area in ("bss", "stack"):
        return "in-place-needs-no-memory"
    if not case.in_place:
        return "cache-is-shared-by-guests"
    return "private-store-reaches-the-file" if area == "data" else ""
