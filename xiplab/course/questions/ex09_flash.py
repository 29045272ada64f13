"""Questions 09.2 and 09.3: bus cycles to a flash chip. Erase a block; read while another one is erased.

The answer gets four functions for the bus, and the chip stays here. Time is the chip's own, in
microseconds: it passes when the answer sleeps. A belief is a wrong function; if all that can be seen
after it is what the answer left, it is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, TypeAlias

import numpy as np

from xiplab.course.experiments.flash import Flash
from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.seam import seam
from xiplab.hw.memory import Storage
from xiplab.hw.nor import (
    CLEAR_STATUS,
    CONFIRM,
    ERASE_BLOCK,
    READ_ARRAY,
    READ_STATUS,
    RESUME,
    SR_ERASE_SUSPENDED,
    SR_READY,
    SUSPEND,
    NorChip,
)
from xiplab.units import KiB, MiB

Function: TypeAlias = Callable[..., Any]

SIZE, BLOCK = 512 * KiB, 64 * KiB
PATIENCE_US = 5_000_000.0
CYCLES = 5_000
QUICK_US = 5_000.0
"""A read may take so long. An erase takes a hundred times that."""


class Bench:
    """A chip on a bench, and the functions for its bus.

    Attributes:
        chip: its cells hold numbers that a seed gives. slept: microseconds. cycles: bus cycles.
    """

    def __init__(self, seed: int) -> None:
        self.chip = NorChip(Storage(1 * MiB), SIZE, BLOCK)
        numbers = np.random.default_rng(seed).integers(0, 256, SIZE, np.uint8)
        self.chip.burn(0, numbers.tobytes())
        self.slept, self.cycles = 0.0, 0

    def map_write(self, command: int, adr: int) -> None:
        self._cycle()
        self.chip.write(adr, command & 0xFFFF)

    def map_read(self, adr: int) -> int:
        self._cycle()
        return self.chip.read(adr)

    def map_copy_from(self, adr: int, n: int) -> bytes:
        self._cycle()
        return self.chip.window[adr:adr + n].tobytes()

    def sleep(self, us: float) -> None:
        if not us > 0:
            raise Wrong("Your function sleeps for no time at all.", got=repr(us))
        self.slept += us
        if self.slept > PATIENCE_US:
            raise Wrong("Your function waits, and what it waits for does not happen.",
                        given=f"the chip is in {self.chip.mode} mode",
                        got=f"{self.slept / 1e6:.0f} seconds asleep",
                        misconception="blocks-are-apart")
        self.chip.advance(us)

    def _cycle(self) -> None:
        self.cycles += 1
        if self.cycles > CYCLES:
            raise Wrong("Your function asks the chip over and over.", got=f"{self.cycles:,} bus cycles in "
                        f"{self.slept:,.0f} us", misconception="flash-makes-wait" if self.slept else "")

    def cells(self, adr: int, n: int) -> bytes:
        """What is stored there, whatever the chip answers."""
        return self.chip.cells[adr:adr + n].tobytes()

    def start_erase(self, block: int, left_us: float) -> None:
        """Begin an erase that has `left_us` microseconds to go."""
        self.chip.write(block * BLOCK, ERASE_BLOCK)
        self.chip.write(block * BLOCK, CONFIRM)
        self.chip.advance(self.chip.erase_us - left_us)


# ---- 09.2: erase a block

@dataclass(frozen=True)
class Erase:
    """A situation: the block, and what is the matter with the chip."""

    seed: int
    block: int
    locked: bool = False
    old_error: bool = False

    def __str__(self) -> str:
        locked = ", which is locked" if self.locked else ""
        error = ", and an error of an earlier command is still in the status" if self.old_error else ""
        return f"block {self.block}{locked}{error}"

    def bench(self) -> Bench:
        bench = Bench(self.seed)
        if self.old_error:
            bench.chip.locked.add(7)
            bench.start_erase(7, 0.0)
            bench.chip.locked.discard(7)
        if self.locked:
            bench.chip.locked.add(self.block)
        return bench


def erase_block(adr: int, map_write: Function, map_read: Function, sleep: Function) -> int:
    """What the blocks make in their right order."""
    map_write(CLEAR_STATUS, adr)
    map_write(ERASE_BLOCK, adr)
    map_write(CONFIRM, adr)
    while not map_read(adr) & SR_READY:
        sleep(1000)
    status: int = map_read(adr)
    map_write(READ_ARRAY, adr)
    return status


def erased_by(function: Function, case: Erase) -> tuple[Any, Bench]:
    bench = case.bench()
    return function(case.block * BLOCK, bench.map_write, bench.map_read, bench.sleep), bench


def check_erase(answer: Answer, random: Random) -> None:
    """The block is erased, the status is told, and loads give the cells again."""
    function = seam(answer, "erase_block")
    for locked, old_error in ((False, False), (True, False), (False, True)):
        case = Erase(random.randrange(1000), random.randrange(6), locked, old_error)
        said, bench = erased_by(function, case)
        right, model = erased_by(erase_block, case)
        if (bench.chip.cells != model.chip.cells).any():
            raise Wrong("The chip's cells are not as they should be.", given=str(case),
                        expected="nothing erased" if locked else "this block erased, the others as before",
                        misconception="program-replaces")
        if bench.chip.mode != "array" or bench.chip.running is not None:
            raise Wrong("Afterwards loads do not give the cells.", given=str(case), expected="array mode",
                        got=f"{bench.chip.mode} mode", misconception="chip-goes-back-by-itself")
        if said != right:
            raise Wrong("That is not the status of this erase.", given=str(case), expected=f"{right:#06x}",
                        got=f"{said:#06x}" if type(said) is int else repr(said),
                        misconception="old-errors-go-by-themselves" if old_error else
                        "chip-goes-back-by-itself")


# ---- 09.3: read while it erases

@dataclass(frozen=True)
class Reading:
    """A situation: n bytes from adr on, and what the chip does. left_us: of the erase; None for none."""

    seed: int
    adr: int
    n: int
    left_us: float | None
    mode: int = READ_ARRAY

    def __str__(self) -> str:
        busy = "the chip has nothing to do" if self.left_us is None else (
            f"an erase has {self.left_us:g} us to go")
        if self.left_us is None and self.mode != READ_ARRAY:
            busy += " and gives its status"
        return f"{self.n} bytes from {self.adr:#x} on, {busy}"

    def bench(self) -> Bench:
        bench = Bench(self.seed)
        bench.chip.write(0, self.mode)
        if self.left_us is not None:
            bench.start_erase(7, self.left_us)
        return bench


@dataclass(frozen=True)
class Seen:
    """What can be seen after a read: of the bytes, of the time, of the chip, and of the erase in the end."""

    data: str
    quick: bool
    chip: str
    erased: bool



def seen_after(function: Function, case: Reading) -> Seen:
    """Run a reader, and look at what it leaves."""
    bench = case.bench()
    right = bench.cells(case.adr, case.n)
    said = function(case.adr, case.n, bench.map_write, bench.map_read, bench.map_copy_from, bench.sleep)
    busy = bench.chip.running is not None
    suspended = bool(bench.chip.suspended)
    state = "erasing" if busy else "suspended for ever" if suspended else f"{bench.chip.mode} mode"
    quick = bench.slept <= QUICK_US
    bench.chip.advance(bench.chip.erase_us)
    erased = bool((bench.chip.cells[7 * BLOCK:] == 0xFF).all())
    is_status = type(said) is bytes and said[:2] in (b"\x00\x00", b"\x00\x80", b"\x00\xc0")
    data = "the cells" if said == right else "the status" if is_status else "something else"
    return Seen(data, quick, state, erased)


def read_while_erasing(adr: int, n: int, map_write: Function, map_read: Function, map_copy_from: Function,
                       sleep: Function) -> Any:
    """The model of an answer: suspend, read, resume what was suspended."""
    return read_believing("")(adr, n, map_write, map_read, map_copy_from, sleep)


def read_believing(belief: str) -> Function:
    """A reader with one belief."""
    def function(adr: int, n: int, map_write: Function, map_read: Function, map_copy_from: Function,
                 sleep: Function) -> Any:
        if belief == "blocks-are-apart":
            return map_copy_from(adr, n)
        if belief != "flash-makes-wait":
            map_write(SUSPEND, adr)
        map_write(READ_STATUS, adr)
        while belief != "suspend-is-at-once" and not map_read(adr) & SR_READY:
            sleep(1000 if belief == "flash-makes-wait" else 10)
        suspended = map_read(adr) & SR_ERASE_SUSPENDED
        if belief != "chip-goes-back-by-itself":
            map_write(READ_ARRAY, adr)
        data = map_copy_from(adr, n)
        if (suspended and belief != "erase-goes-on-by-itself") or belief == "erase-was-suspended":
            map_write(RESUME, adr)
            map_write(READ_STATUS, adr)
        return data

    return function


BELIEFS = ("blocks-are-apart", "flash-makes-wait", "suspend-is-at-once", "chip-goes-back-by-itself",
           "erase-goes-on-by-itself", "erase-was-suspended")


def cases_of(left: tuple[float | None, ...]) -> tuple[Reading, ...]:
    """Situations; without an erase the chip is in array mode, then in status mode."""
    random = Random(f"09.3 {left}")
    modes = (READ_ARRAY, READ_STATUS) if None in left else (READ_ARRAY,)
    return tuple(Reading(random.randrange(1000), 2 * random.randrange(7 * BLOCK // 2 - 64),
                         random.randrange(8, 64), us, mode) for us in left for mode in modes)


UNDER_WAY = cases_of((300_000.0, 1_000.0))
NOTHING = cases_of((None,) * 3)
LAST_MOMENT = cases_of((8.0, 3.0))


def check_suspended(answer: Answer, random: Random) -> None:
    """An erase is under way: it is suspended and goes on."""
    judge_reads(answer, UNDER_WAY)


def check_nothing(answer: Answer, random: Random) -> None:
    """No erase, or one that is over before it can be suspended."""
    judge_reads(answer, NOTHING + LAST_MOMENT)


def judge_reads(answer: Answer, cases: tuple[Reading, ...]) -> None:
    """In each situation the reader leaves what the model leaves."""
    function = seam(answer, "read_while_erasing")
    for case in cases:
        right, got = seen_after(read_while_erasing, case), seen_after(function, case)
        if got != right:
            raise Wrong(difference(right, got), given=str(case), expected=told(right), got=told(got),
                        misconception=belief_behind(function))


def difference(right: Seen, got: Seen) -> str:
    if got.data != right.data:
        return "Your function gave other bytes than the chip stores."
    if got.quick != right.quick:
        return "The bytes are right, and whoever reads had to wait for the whole erase."
    if got.erased != right.erased:
        return "The bytes are right, but the erase never comes to its end."
    return "The bytes are right, but the chip is not left as it should be."


def told(seen: Seen) -> str:
    return f"{seen.data}, {'at once' if seen.quick else 'after the erase'}; then the chip: {seen.chip}"


def belief_behind(function: Function) -> str:
    """The misconception whose reader leaves the same in all situations; empty if none does."""
    said = left_behind(function)
    return next((belief for belief in BELIEFS if believed(belief) == said), "")


def left_behind(function: Function) -> list[Seen | str]:
    """What a reader leaves in every situation, or what is said of it."""
    found: list[Seen | str] = []
    for case in UNDER_WAY + NOTHING + LAST_MOMENT:
        try:
            found.append(seen_after(function, case))
        except Wrong as wrong:
            found.append(wrong.text)
    return found


@cache
def believed(belief: str) -> list[Seen | str]:
    return left_behind(read_believing(belief))


def check_driver(answer: Answer, random: Random) -> None:
    """read() of the log goes through the answer, while the driver erases and while it does not."""
    flash = Flash()
    flash.plug(seam(answer, "read_while_erasing"))
    for offset in (0x10, 0x20):
        value = random.randrange(256)
        flash.program(offset, value)
        for erasing in (False, True):
            if erasing:
                flash.erase(9)
            data = flash.guest.pread(flash.fd, 1, offset)
            if data != flash.log_cells(offset)[:1]:
                raise Wrong("read() of the log gave another byte than the log has.", given=flash.doing(),
                            expected=f"{value:#04x}", got=f"{data[0]:#04x}" if data else "nothing",
                            misconception=belief_behind(seam(answer, "read_while_erasing")))
        flash.wait(2_000)
        if flash.chip.running is not None or flash.chip.suspended:
            raise Wrong("The driver's erase never comes to its end.", misconception="erase-goes-on-by-itself")


