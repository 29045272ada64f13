"""Question 03.1: a line is written into the driver's file add; what comes of it?

A situation is a catalogue of segments and a line, drawn from its number; situation 0 is the simplest.
What is expected is seen by writing that line in a guest of the model.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeAlias

from xiplab.course.experiments.devices import ROOT
from xiplab.course.problem import Answer, Wrong
from xiplab.guest import ZVM
from xiplab.linux.drivers.dcssblk_io import DcssblkDevInfo
from xiplab.units import PAGE_SHIFT, SECTOR_SIZE, MiB, page_count

Said: TypeAlias = str | tuple[int, str]
FIRST_MIB = 256
DISK = "dcssblk0"

ORDER, GAP, MIXED, EXCLUSIVE, TAKEN, UNKNOWN, COLON, LONG = range(8)
KINDS = (ORDER, ORDER, GAP, MIXED, EXCLUSIVE, TAKEN, UNKNOWN, COLON, LONG)


@dataclass(frozen=True)
class Segment:
    """A segment of the catalogue; `at` and `size` in MiB."""

    name: str
    at: int
    size: int
    type: str

    @property
    def pages(self) -> str:
        first = self.at * MiB >> PAGE_SHIFT
        return f"{first:X} to {first + page_count(self.size * MiB) - 1:X}"


@dataclass(frozen=True)
class Situation:
    """Segments, those that are a disk already, and the line that is written.

    Attributes:
        kind: what is special about it.
    """

    kind: int
    segments: tuple[Segment, ...]
    line: str
    taken: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        catalogue = [f"{s.name}: pages {s.pages} ({s.size} MiB), type {s.type}" for s in self.segments]
        before = f"{self.taken[0]} is a disk already." if self.taken else "No segment is a disk yet."
        return ("z/VM has these segments, all of them saved:", *catalogue, before,
                f'LINUX1 writes "{self.line}" into the driver\'s file add.')

    def segment(self, name: str) -> Segment:
        return next(segment for segment in self.segments if segment.name == name.upper())


def neighbours(sizes: list[int], types: list[str], gap: int = 0) -> tuple[Segment, ...]:
    """Segments PART1, PART2, ... one behind the other; `gap` MiB before the last one."""
    made, at = list[Segment](), FIRST_MIB
    for number, (size, type) in enumerate(zip(sizes, types, strict=True), 1):
        at += gap if number == len(sizes) else 0
        made.append(Segment(f"PART{number}", at, size, type))
        at += size
    return tuple(made)


def situation(variant: int) -> Situation:
    """The situation with this number; the same one every time."""
    if variant == 0:
        return Situation(ORDER, neighbours([1, 2], ["SW", "SW"]), "part2:part1")
    random = Random(f"03.1 situation {variant}")
    kind = random.choice(KINDS)
    sizes = [random.randrange(1, 4) for _ in range(random.choice((2, 3)))]
    same = random.choice(("SW", "SR", "EW"))
    types = {MIXED: ["SR"] + ["SW"] * (len(sizes) - 1), EXCLUSIVE: ["EN"] + ["EW"] * (len(sizes) - 1)}
    segments = neighbours(sizes, types.get(kind, [same] * len(sizes)), gap=int(kind == GAP))
    names = [segment.name.lower() for segment in segments]
    names = names[1:] + names[:1]
    line = ":".join(names)
    if kind == COLON:
        line += ":"
    if kind == LONG:
        line = line.replace(names[-1], f"{names[-1]}isover")
    if kind == UNKNOWN:
        line = line.replace(names[-1], "part9")
    return Situation(kind, segments, line, (segments[0].name,) if kind == TAKEN else ())


def situation_lines(variant: int) -> tuple[str, ...]:
    return situation(variant).lines()


@cache
def truth_of(case: Situation) -> Said:
    """Write the line in a guest: the errno's name, or the sectors and the segment at sector 0."""
    vm = ZVM()
    for segment in case.segments:
        vm.segment(segment.name, segment.size * MiB, segment.type, at=segment.at * MiB)
    guest = vm.logon("LINUX1")
    for name in case.taken:
        guest.echo(name, f"{ROOT}/add")
    before = set(guest.kernel.disks)
    try:
        guest.echo(case.line, f"{ROOT}/add")
    except OSError as refusal:
        return errno.errorcode[refusal.errno or 0]
    name, = set(guest.kernel.disks) - before
    disk = guest.kernel.disks[name]
    info: DcssblkDevInfo = disk.private_data
    return disk.capacity, next(s.segment_name for s in info.seg_list if s.start == info.start)


def check_prediction(answer: Answer, random: Random) -> None:
    """The learner's prediction is what the model does, in the situation that the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    said = answer.call("what_add_answers")
    if not is_prediction(said):
        raise Wrong("Return the name of an errno, or two values: how many sectors the disk has, and the name "
                    "of the segment at its sector 0.", got=repr(said))
    case = situation(variant)
    truth = truth_of(case)
    said = said.upper() if isinstance(said, str) else (said[0], said[1].upper())
    if said != truth:
        raise Wrong(f"Not yet. {where_to_look(said, truth)} Practise on another situation, too: "
                    f'xiplab.show("03.1", {variant + 1}).', given=f'situation {variant}: "{case.line}"',
                    got=repr(said), misconception=belief_behind(case, said, truth))


def is_prediction(said: object) -> bool:
    if isinstance(said, str):
        return True
    return isinstance(said, tuple | list) and [type(item) for item in said] == [int, str]


def where_to_look(said: Said, truth: Said) -> str:
    """A word on what differs, and not the answer."""
    if isinstance(truth, str):
        return "The driver refuses this line." if not isinstance(said, str) else (
            "The driver refuses this line, with another errno.")
    if isinstance(said, str):
        return "The driver does not refuse this line."
    return "The disk has another size." if said[0] != truth[0] else "Another segment lies at sector 0."


def belief_behind(case: Situation, said: Said, truth: Said) -> str:
    """The misconception that predicts what was said; empty if none is known."""
    if isinstance(truth, str):
        if isinstance(said, str):
            return "too-short-is-not-too-long" if case.kind in (COLON, LONG) and said == "EINVAL" else (
                "busy-means-taken" if case.kind == TAKEN and said == "EBUSY" else "")
        return {GAP: "gap-is-bridged", MIXED: "types-do-not-matter", TAKEN: "one-segment-two-disks",
                COLON: "too-short-is-not-too-long"}.get(case.kind, "")
    if isinstance(said, str):
        return {ORDER: "order-must-fit", EXCLUSIVE: "types-must-be-equal"}.get(case.kind, "")
    return belief_about_disk(case, said, truth)


def belief_about_disk(case: Situation, said: tuple[int, str], truth: tuple[int, str]) -> str:
    """The misconception behind a wrong size, or a wrong segment at sector 0."""
    given_first = case.segment(case.line.split(":")[0])
    if said == (truth[0], given_first.name):
        return "order-given-is-order-on-disk"
    sizes = {segment.size * MiB // SECTOR_SIZE for segment in case.segments}
    if said[0] in sizes:
        return "one-disk-for-each-segment"
    nbytes = truth[0] * SECTOR_SIZE
    return {page_count(nbytes): "sector-is-a-page", nbytes: "sector-is-a-byte"}.get(said[0], "")
