"""Question 07.5: count the frames that mappings in place cost a guest.

The answer gets the areas of three tasks and may ask for the frame at an address. What is expected comes from
LINUX1's own list of the frames that it has given out.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random

from xiplab.course.experiments.fault_handler import Function
from xiplab.course.experiments.mapping import PAGES, TASKS, MapInPlace
from xiplab.course.experiments.stage import action
from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.ex07_fault import story_of
from xiplab.errors import Signal
from xiplab.linux.include.mm import VmAreaStruct
from xiplab.linux.mm.memory import follow_pfn
from xiplab.units import PAGE_SHIFT, PAGE_SIZE


class Counted(MapInPlace):
    """The three tasks, and somebody who counts frames."""

    counting: Function | None = None

    def build(self) -> None:
        super().build()
        self.counting = None

    @action
    def count(self, function: Function) -> None:
        """Let `function` count."""
        self.counting = function

    def sentence(self) -> str:
        if self.counting is None:
            return self.said
        try:
            number = self.counting(areas_of(self), follow_pfn, in_segment(self))
        except OSError as failure:
            return f"{self.said} {failure.strerror}."
        return f"{self.said} own_frames says {number}; LINUX1 has given {own_frames(self)}."


def own_frames(machine: MapInPlace) -> int:
    """What the guest has given out for private copies, and the sparse page where it is mapped."""
    is_mapped = any(entry.owner == "sparse" for task in TASKS for entry in machine.entries(task))
    return machine.guest.frames["anonymous"] + is_mapped


def in_segment(machine: MapInPlace) -> Function:
    """Whether a frame is one of segment DATA."""
    segment = machine.vm.segments["DATA"]
    first, npages = segment.start >> PAGE_SHIFT, len(segment.mem) // PAGE_SIZE

    def in_segment(pfn: int) -> bool:
        return first <= pfn < first + npages

    return in_segment


def areas_of(machine: MapInPlace) -> list[VmAreaStruct]:
    return [machine.texts[task].vma for task in TASKS]


def used(random: Random) -> MapInPlace:
    """Three tasks that have touched some pages of a file with holes; two have touched the first one."""
    words = [random.choice(("", "alpha", "beta")) for _ in range(PAGES - 2)]
    machine: MapInPlace = type("Machine", (MapInPlace,), {"story": story_of("", *words, "omega")})()
    for task in ("reader", "private"):
        machine.texts[task][0]
    for _ in range(random.randrange(4, 10)):
        task = random.choice(TASKS)
        page = random.randrange(1 if task == "writer" else 0, PAGES)
        with suppress(Signal):
            if task == "private" and random.random() < 0.7:
                machine.texts[task][page * PAGE_SIZE] = ord("J")
            else:
                machine.texts[task][page * PAGE_SIZE]
    return machine


def believing(belief: str, machine: MapInPlace) -> int:
    """The number of somebody with one belief."""
    entries = [entry.pfn for task in TASKS for entry in machine.entries(task)]
    present = [pfn for pfn in entries if pfn is not None]
    own = [pfn for pfn in present if not in_segment(machine)(pfn)]
    return {"mapped-is-present": len(entries), "every-entry-is-a-frame": len(own),
            "mapping-is-a-copy": len(present), "storage-is-memory-of-the-guest": len(set(present))}[belief]


BELIEFS = ("mapped-is-present", "every-entry-is-a-frame", "mapping-is-a-copy",
           "storage-is-memory-of-the-guest")




def check_counted(answer: Answer, random: Random) -> None:
    """The number is the one that the guest's own list of frames says."""
    machines = [used(random) for _ in range(8)]
    said = [answer.call("own_frames", areas_of(machine), follow_pfn, in_segment(machine))
            for machine in machines]
    for machine, got in zip(machines, said, strict=True):
        if type(got) is not int:
            raise Wrong("Your function must return a whole number.", got=repr(got))
        if got != own_frames(machine):
            tables = "; ".join(str(machine).splitlines()[:len(TASKS)])
            raise Wrong("LINUX1 has given another number of frames for these mappings.", given=tables,
                        expected=str(own_frames(machine)), got=str(got),
                        misconception=belief_behind(machines, said))


def belief_behind(machines: list[MapInPlace], said: list[int]) -> str:
    """The misconception that counts as the answer did; empty if none does."""
    for belief in BELIEFS:
        if all(believing(belief, machine) == got for machine, got in zip(machines, said, strict=True)):
            return belief
    return ""
