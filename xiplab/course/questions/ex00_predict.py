"""Question 00.1: one byte changes; which places show the new one?

A situation has three parts, all drawn from its number; situation 0 is the simplest. What is
expected is seen by running the model, and the first place where a prediction differs from it names
the belief behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeAlias

from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.stage import FILE, SEGMENT, guest_in_place, guest_with_disk, image, machine
from xiplab.linux.include.mm import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE
from xiplab.units import PAGE_SIZE

PLACES = ("segment", "LINUX1", "LINUX2", "LINUX3", "disk")
Places: TypeAlias = frozenset[str]

SHARED, PRIVATE, STORED = "shared", "private", "private, stored"
OFFSET = 0
OTHER_OFFSET = 9
NEW_BYTE = ord("J")


@dataclass(frozen=True)
class Situation:
    """What was done before everybody looks.

    Attributes:
        change_on: "segment" or "disk": where the byte is changed.
        linux2: LINUX2's mapping: SHARED, PRIVATE, or STORED (private, with a store of its own).
        has_read: whether LINUX3 read the file before the change.
    """

    change_on: str = "segment"
    linux2: str = SHARED
    has_read: bool = True

    def lines(self) -> tuple[str, ...]:
        """The situation in words."""
        second = {SHARED: "Its mapping is shared.",
                  PRIVATE: "Its mapping is private, and it has stored nothing in it.",
                  STORED: "Its mapping is private, and it has stored one byte of its own, at another place "
                          "of the same page."}[self.linux2]
        third = "has read the file once." if self.has_read else "has not read the file yet."
        change = {"segment": "in the segment.", "disk": "on LINUX3's disk, by somebody outside LINUX3."}
        return ("LINUX1 and LINUX2 have mounted segment SHLIB with xip and mapped the file. Both have looked "
                "at its first byte.",
                f"LINUX2: {second}",
                f"LINUX3 has an ordinary disk with a copy of the same files, mounted without xip. It {third}",
                f"Now the first byte of the file is changed {change[self.change_on]}",
                "Then everybody looks again: LINUX1 and LINUX2 in their mappings, LINUX3 by reading the "
                "file.")


def situation(variant: int) -> Situation:
    """The situation with this number; the same one every time."""
    if variant == 0:
        return Situation()
    random = Random(f"00.1 situation {variant}")
    return Situation(random.choice(("segment", "disk")), random.choice((SHARED, PRIVATE, STORED)),
                     random.choice((True, False)))


def situation_lines(variant: int) -> tuple[str, ...]:
    return situation(variant).lines()


@cache
def places_with_new_byte(case: Situation) -> Places:
    """Run the model in this situation and look at each of the five places."""
    vm = machine()
    linux1, linux2 = guest_in_place(vm, "LINUX1"), guest_in_place(vm, "LINUX2")
    linux3 = guest_with_disk(vm, "LINUX3")
    text1 = linux1.mmap(linux1.open(FILE), 0, PROT_READ, MAP_SHARED)
    text2 = linux2.mmap(linux2.open(FILE), 0, *((PROT_READ, MAP_SHARED) if case.linux2 == SHARED
                                                else (PROT_READ | PROT_WRITE, MAP_PRIVATE)))
    content = text1[:PAGE_SIZE], text2[:PAGE_SIZE]
    if case.linux2 == STORED:
        text2[OTHER_OFFSET] = ord("!")
    fd3 = linux3.open(FILE)
    if case.has_read:
        linux3.pread(fd3, PAGE_SIZE, 0)
    position = image().index(content[0])
    disk = linux3.kernel.disks["sda"].private_data.platter
    (vm.segments[SEGMENT].mem if case.change_on == "segment" else disk)[position] = NEW_BYTE
    seen = {"segment": vm.segments[SEGMENT].mem[position], "LINUX1": text1[OFFSET], "LINUX2": text2[OFFSET],
            "LINUX3": linux3.pread(fd3, 1, OFFSET)[0], "disk": disk[position]}
    return frozenset(place for place, byte in seen.items() if byte == NEW_BYTE)


def check_prediction(answer: Answer, random: Random) -> None:
    """The learner's set of places is that of the model, for the situation the learner chose."""
    variant = answer.value("SITUATION")
    if type(variant) is not int or variant < 0:
        raise Wrong("SITUATION is the number of a situation: 0, 1, 2 and so on.", got=repr(variant))
    said = answer.call("places_with_the_new_byte")
    if not isinstance(said, set | list | tuple) or not all(place in PLACES for place in said):
        raise Wrong("Name the places as a set of their names.", expected=f"some of {', '.join(PLACES)}",
                    got=repr(said))
    case = situation(variant)
    truth = places_with_new_byte(case)
    for place in PLACES:
        if (place in said) != (place in truth):
            shows = "shows the new byte" if place in truth else "still shows the old byte"
            raise Wrong(f"Not yet. Look at {place}: it {shows}. Practise on another situation, too: "
                        f'xiplab.show("00.1", {variant + 1}).', given=f"situation {variant}",
                        got=", ".join(p for p in PLACES if p in said) or "no place",
                        misconception=belief_behind(case, place, frozenset(said)))


def belief_behind(case: Situation, place: str, said: Places) -> str:
    """The misconception that predicts `place` as the learner did; empty if none is known, as for the disk
    that was itself changed."""
    if case.change_on == "disk":
        if place == "LINUX3":
            return "cache-asks-again" if case.has_read else "cache-fills-at-mount"
        return "" if place == "disk" else "disk-follows"
    if place in ("LINUX1", "LINUX2") and place not in said:
        if case.linux2 == PRIVATE and "LINUX1" in said:
            return "private-copies-at-once"
        return "segment-per-guest" if "LINUX1" in said else "mapping-is-a-copy"
    return {"LINUX2": "private-keeps-following", "LINUX3": "cache-is-the-storage", "disk": "disk-follows"
            }.get(place, "")
