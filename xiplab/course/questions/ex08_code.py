"""Questions 08.2 and 08.3: a few instructions of s390x, executed from a segment by two guests.

    the answer's text ─assemble─► segment PROGRAMS, where program `hello` begins ─► LINUX1, LINUX2

Around the answer's instructions stand some of ours: the first ones set its registers, the last one is
exit() with what it leaves in r2. What it works on lies behind, in the same page: it is part of the text,
and no guest may store there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from xiplab.course.experiments.execute import Execute
from xiplab.course.experiments.stage import action
from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.seam import seam

PROGRAM = "hello"
BUDGET = 5_000
EXIT = "svc 248"
LEFT_OVER = 77
"""What other registers hold when the answer's instructions begin."""


@cache
def place() -> int:
    """Where in the segment the program begins."""
    return Execute().entry(PROGRAM)


def source_of(asked: Any) -> str:
    """What the answer hands over, as text. Raises Wrong if it is none."""
    if not isinstance(asked, str) or not asked.strip():
        raise Wrong("Your function must return the instructions as a text.", got=repr(asked))
    return asked


def around(instructions: str, before: str, data: str) -> str:
    """The whole program."""
    others = "\n".join(f" lghi %r{number},{LEFT_OVER}" for number in (4, 5, 6))
    return f"{others}\n{before}\n{instructions}\n {EXIT}\n .balign 8\nxip_data:\n {data}\n"


def run(instructions: str, before: str, data: str, words: str) -> list[int]:
    """Let both guests run the instructions; r2 of each. Raises Wrong if one cannot, or stores."""
    machine = Execute()
    try:
        machine.assemble(place(), around(instructions, before, data))
    except OSError as failure:
        raise Wrong(f"The instructions cannot be assembled: {failure.strerror}.", given=words) from failure
    segment = machine.vm.segments["PROGRAMS"].mem.tobytes()
    found = []
    for guest in machine.guests:
        machine.start(guest, PROGRAM)
        machine.run(guest, BUDGET)
        end = machine.ended[guest]
        if end != "exit":
            belief = "text-can-be-stored" if "SIGSEGV" in end else ""
            raise Wrong(f"{guest}: your program ends with a signal: {end}.", given=words,
                        misconception=belief)
        if not all(page.shared for page in machine.pages(guest) if page.kind == "text"):
            raise Wrong(f"{guest} has a text page of its own.", given=words)
        found.append(machine.registers(guest)[2])
    if machine.vm.segments["PROGRAMS"].mem.tobytes() != segment:
        raise Wrong("Your program has changed the segment.", given=words, misconception="text-can-be-stored")
    return found


class Yours(Execute):
    """Two guests that run a learner's instructions, where program `hello` begins."""

    @action
    def use(self, function: Callable[[], str]) -> None:
        """Assemble what `function` returns, behind it the text “Hello”, and start it in both guests."""
        try:
            text = around(function(), "larl  %r2,xip_data", '.asciz "Hello"')
            self.assemble(self.entry(PROGRAM), text)
        except OSError as failure:
            self.said = f"{failure.strerror}."
            return
        for guest in self.guests:
            self.start(guest, PROGRAM)
        self.said = "Both guests have started your instructions. None has run."


# ---- 08.2: the sum of some numbers

def sum_of_numbers() -> str:
    """What the blocks make in their right order."""
    return """
        lghi  %r4,0
next:   ag    %r4,0(%r2)
        la    %r2,8(%r2)
        brctg %r3,next
        lgr   %r2,%r4
"""


def check_sum(answer: Answer, random: Random) -> None:
    """The sum of numbers that lie behind each other, in both guests."""
    instructions = source_of(seam(answer, "sum_of_numbers")())
    for count in (1, 2, random.randrange(3, 9)):
        numbers = [random.randrange(1, 1_000_000) for _ in range(count)]
        data = ".quad " + ", ".join(map(str, numbers))
        words = f"the numbers {', '.join(map(str, numbers))}"
        for got in run(instructions, f"larl %r2,xip_data\n        lghi %r3,{count}", data, words):
            if got != sum(numbers):
                raise Wrong("That is not the sum.", given=words, expected=str(sum(numbers)), got=str(got),
                            misconception=belief_of_sum(numbers, got))


def belief_of_sum(numbers: list[int], got: int) -> str:
    if got == sum(numbers) + LEFT_OVER:
        return "nothing-begins-as-zero"
    if got == numbers[0] * len(numbers) and len(numbers) > 1:
        return "address-moves-by-itself"
    if got in numbers and len(numbers) > 1:
        return "load-adds"
    return ""


# ---- 08.3: the length of a text

def length_of_text() -> str:
    """An answer: a count, which is the index, too."""
    return """
        lghi  %r4,0
next:   llgc  %r5,0(%r4,%r2)
        cghi  %r5,0
        je    end
        aghi  %r4,1
        j     next
end:    lgr   %r2,%r4
"""


def check_length(answer: Answer, random: Random) -> None:
    """How many bytes stand before the zero, in both guests."""
    judge_lengths(answer, random, (random.randrange(3, 12), random.randrange(12, 40)))


def check_empty(answer: Answer, random: Random) -> None:
    """A text of no byte, and bytes of all values."""
    judge_lengths(answer, random, (0, 1), lowest=0x80)


def judge_lengths(answer: Answer, random: Random, lengths: tuple[int, ...], lowest: int = 1) -> None:
    instructions = source_of(seam(answer, "length_of_text")())
    cases = [[random.randrange(lowest, 256) for _ in range(length)] for length in lengths]
    got = [run(instructions, "larl %r2,xip_data", f".byte {', '.join(map(str, [*text, 0, *[7] * 9]))}",
               f"a text of {len(text)} bytes") for text in cases]
    for text, both in zip(cases, got, strict=True):
        for number in both:
            if number != len(text):
                raise Wrong("That is not how many bytes stand before the zero.",
                            given=f"a text of {len(text)} bytes", expected=str(len(text)), got=shown(number),
                            misconception=belief_of_length([*zip(lengths, got, strict=True)]))


def shown(number: int) -> str:
    return str(number) if number < 1 << 32 else f"{number:#x}"


def belief_of_length(said: list[tuple[int, list[int]]]) -> str:
    """The misconception behind the numbers; empty if none is known."""
    first = said[0][1][0] - said[0][0]
    if all(number == length + 1 for length, both in said for number in both):
        return "zero-belongs-to-the-text"
    if first > 1000:
        return "address-is-a-length"
    return "a-load-is-a-byte" if first > 0 else ""


