"""Question 07.4: two races of Linux, run in every order.

While the learner's handler runs on one processor, another one does something that takes the same lock.
Every call that the handler makes is a chance for it; if the lock is held, it waits until it is free:

    handler      get_xip_mem ── xip_sparse_page ── lock ── vm_insert_mixed ── unlock
    other          ▲ 0            ▲ 1               ▲ 2      (waits)             ▲ 3

`race` runs the handler once for each place. Afterwards nobody may see what the file does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, TypeAlias

from xiplab.course.experiments.fault_handler import (
    VM_FAULT_NOPAGE,
    VM_FAULT_SIGBUS,
    Function,
    kernel_functions,
)
from xiplab.course.experiments.mapping import MapInPlace
from xiplab.course.experiments.stage import action
from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.ex07_fault import over_the_pipe
from xiplab.errors import NoData, Signal
from xiplab.linux.include.fs import O_CREAT, O_WRONLY
from xiplab.linux.include.mm import VmAreaStruct, VmFault
from xiplab.units import PAGE_SIZE, Pfn, page_count

Act: TypeAlias = Callable[[MapInPlace], Callable[[], None]]

PLACES = 8
"""A handler has no more calls than this that matter."""


@dataclass
class Other:
    """The other processor: what it does, and before which call of the handler.

    Attributes:
        at: the number of the call. act: what it does. held: the handler holds the lock.
        calls: how many calls the handler has made. done: it has acted.
    """

    at: int
    act: Callable[[], None]
    held: bool = False
    calls: int = 0
    done: bool = False

    def chance(self) -> None:
        """Act, if it is time and the lock is free."""
        if self.calls >= self.at and not self.held and not self.done:
            self.done = True
            self.act()
        self.calls += 1

    def before(self, function: Function) -> Function:
        """The function, with a chance before each call."""
        def call(*args: Any) -> Any:
            self.chance()
            return function(*args)

        call.__name__ = function.__name__
        return call

    def lock(self) -> None:
        self.chance()
        if self.held:
            raise Wrong("Your function takes the lock twice: it would wait for itself for ever.",
                        misconception="lock-frees-itself")
        self.held = True

    def unlock(self) -> None:
        if not self.held:
            raise Wrong("Your function gives the lock back and does not hold it.")
        self.held = False
        self.chance()


def racing(function: Function, other: Other) -> Function:
    """A learner's handler with a lock, and with the other processor between its calls."""
    def with_lock(vma: VmAreaStruct, vmf: VmFault, *_: Function) -> Any:
        look_up, sparse_page, _unmap, enter = (other.before(call) for call in kernel_functions(vma))
        return function(vma, vmf, look_up, sparse_page, enter, other.lock, other.unlock)

    return with_lock


def filled(machine: MapInPlace) -> Callable[[], None]:
    """Another program writes into the hole."""
    def act() -> None:
        machine.guest.pwrite(machine.fd, b"Hello", PAGE_SIZE)

    return act


def nothing(machine: MapInPlace) -> Callable[[], None]:
    """The other processor has nothing to do."""
    return lambda: None


def cut(machine: MapInPlace) -> Callable[[], None]:
    """The file is cut, and another file gets the block."""
    def act() -> None:
        machine.guest.ftruncate(machine.fd, 2 * PAGE_SIZE)
        fd = machine.guest.open("/xip/other", O_CREAT | O_WRONLY)
        machine.guest.write(fd, b"secret".ljust(PAGE_SIZE, b"."))

    return act


def touch(machine: MapInPlace, page: int) -> None:
    """`reader` loads from a page; a signal is no news here."""
    with suppress(Signal):
        machine.texts["reader"][page * PAGE_SIZE]


class Raced(MapInPlace):
    """The three tasks, a device with no block too many, and another processor.

    Attributes:
        processor: the other one. after: what it does. at: before which call of the handler.
    """

    def __init__(self, act: Act, at: int) -> None:
        self.after, self.at = act, at
        super().__init__()

    def build(self) -> None:
        super().build()
        self.fill(0 if self.after is cut else 1)
        self.processor = Other(self.at, self.after(self))
        self.said = "The device is full. Nobody has touched a page."

    @action
    def plug(self, function: Function) -> None:
        """Serve the faults by `function`, which has a lock, while the other processor does its part."""
        super().plug(racing(function, self.processor))


def race(function: Function, act: Act, page: int, at: int) -> Raced:
    """`reader` touches `page`, and the other processor acts before the handler's call number `at`."""
    machine = Raced(act, at)
    machine.plug(function)
    touch(machine, page)
    if not machine.processor.held and not machine.processor.done:
        machine.processor.act()
    if not machine.processor.held:
        touch(machine, page)
    return machine


def seen(machine: MapInPlace, page: int) -> str:
    """What `reader` has in its page table."""
    entry = machine.entries("reader")[page]
    return "no entry: SIGBUS" if entry.pfn is None else f"“{entry.shows}”"


def judge_race(answer: Answer, act: Act, page: int, what: str) -> None:
    """Whenever the other processor acts, `reader` sees afterwards what the file holds."""
    function = over_the_pipe(answer, "fault_with_lock")
    machine = Raced(act, 0)
    machine.processor.act()
    touch(machine, page)
    expected = seen(machine, page)
    for at in range(PLACES):
        machine = race(function, act, page, at)
        given = f"reader touches page {page}. {what} before call number {at + 1} of your function"
        if machine.processor.held:
            raise Wrong("Your function returned and still holds the lock: all others wait for ever.",
                        given=given, misconception="lock-frees-itself")
        if seen(machine, page) != expected:
            raise Wrong("Afterwards the task sees what is not in the file.", given=given,
                        expected=expected, got=seen(machine, page),
                        misconception=belief_behind(function))


# ---- what people believe ----

def before_the_lock(vma: VmAreaStruct, vmf: VmFault, look_up: Function, sparse_page: Function,
                    enter: Function, lock: Function, unlock: Function) -> int:
    """All is looked up before the lock is taken, as up to 2.6.26."""
    if behind_the_end(vma, vmf):
        return VM_FAULT_SIGBUS
    pfn = found(vma, vmf, look_up, sparse_page)
    lock()
    enter(vma, vmf.virtual_address, pfn)
    unlock()
    return VM_FAULT_NOPAGE


def holes_again(vma: VmAreaStruct, vmf: VmFault, look_up: Function, sparse_page: Function, enter: Function,
                lock: Function, unlock: Function) -> int:
    """Only a hole is looked up again under the lock, as from 2.6.27 to 3.19."""
    if behind_the_end(vma, vmf):
        return VM_FAULT_SIGBUS
    pfn = found(vma, vmf, look_up, sparse_page)
    lock()
    if pfn == vma.vm_mm.kernel.xip_sparse_page:
        pfn = found(vma, vmf, look_up, sparse_page)
    enter(vma, vmf.virtual_address, pfn)
    unlock()
    return VM_FAULT_NOPAGE


def size_before_the_lock(vma: VmAreaStruct, vmf: VmFault, look_up: Function, sparse_page: Function,
                         enter: Function, lock: Function, unlock: Function) -> int:
    """The page is looked up under the lock, the size of the file before."""
    if behind_the_end(vma, vmf):
        return VM_FAULT_SIGBUS
    lock()
    enter(vma, vmf.virtual_address, found(vma, vmf, look_up, sparse_page))
    unlock()
    return VM_FAULT_NOPAGE


def inserted_after(vma: VmAreaStruct, vmf: VmFault, look_up: Function, sparse_page: Function, enter: Function,
                   lock: Function, unlock: Function) -> int:
    """The lock is given back before the frame goes into the page table."""
    lock()
    if behind_the_end(vma, vmf):
        unlock()
        return VM_FAULT_SIGBUS
    pfn = found(vma, vmf, look_up, sparse_page)
    unlock()
    enter(vma, vmf.virtual_address, pfn)
    return VM_FAULT_NOPAGE


def behind_the_end(vma: VmAreaStruct, vmf: VmFault) -> bool:
    assert vma.vm_file is not None
    return vmf.pgoff >= page_count(vma.vm_file.f_inode.i_size)


def found(vma: VmAreaStruct, vmf: VmFault, look_up: Function, sparse_page: Function) -> Pfn:
    """The frame of the page, or the sparse page for a hole."""
    assert vma.vm_file is not None
    try:
        pfn: Pfn = look_up(vma.vm_file.f_mapping, vmf.pgoff, 0)[1]
    except NoData:
        pfn = sparse_page()
    return pfn


BELIEFS: tuple[tuple[str, Function], ...] = (
    ("looked-up-is-known", before_the_lock), ("looked-up-is-known", holes_again),
    ("kernel-checks-twice", size_before_the_lock), ("lock-is-for-looking", inserted_after))


def belief_behind(function: Function) -> str:
    """The misconception whose handler may leave the same in the page table, in both races."""
    got = [ends(function, act, page) for act, page in RACES]
    for belief, wrong in BELIEFS:
        if all(mine == believed(wrong, act, page) for mine, (act, page) in zip(got, RACES, strict=True)):
            return belief
    return ""


def ends(function: Function, act: Act, page: int) -> set[str]:
    """What `reader` may see at the end."""
    return {seen(race(function, act, page, at), page) for at in range(PLACES)}


@cache
def believed(wrong: Function, act: Act, page: int) -> set[str]:
    return ends(wrong, act, page)


RACES: tuple[tuple[Act, int], ...] = ((filled, 1), (cut, 2))


# ---- the checks ----

def check_filled(answer: Answer, random: Random) -> None:
    """Another program writes into the hole (Q6). If nobody does, the sparse page is entered."""
    quiet = race(over_the_pipe(answer, "fault_with_lock"), nothing, 1, PLACES)
    if quiet.entries("reader")[1].owner != "sparse" and not quiet.processor.held:
        raise Wrong("The page is a hole, and reader can never store: it needs no block.",
                    given="reader touches page 1. Nobody else does anything", expected="the sparse page",
                    got=seen(quiet, 1), misconception="hole-takes-a-block")
    judge_race(answer, filled, 1, "Another program writes “Hello” into the hole")


def check_cut(answer: Answer, random: Random) -> None:
    """The file is cut, and its block goes to another file (Q7)."""
    judge_race(answer, cut, 2, "The file is cut to two pages, and its block goes to another file")


def check_turned_away(answer: Answer, random: Random) -> None:
    """Behind the end, and with a broken device: SIGBUS, and the lock is free again."""
    function = over_the_pipe(answer, "fault_with_lock")
    for page, spoiled in ((3, False), (0, True), (2, True)):
        machine = MapInPlace()
        if spoiled:
            machine.spoil()
        other = Other(PLACES, lambda: None)
        machine.plug(racing(function, other))
        touch(machine, page)
        given = "the device is broken: get_xip_mem answers EIO" if spoiled else "page 3 is behind the end"
        if machine.entries("reader")[page].pfn is not None:
            raise Wrong("A task sees a page that it must not see.", given=given, expected="no entry: SIGBUS",
                        got=seen(machine, page),
                        misconception="every-error-is-a-hole" if spoiled else "behind-the-end-is-zeros")
        if other.held:
            raise Wrong("Your function returned and still holds the lock: all others wait for ever.",
                        given=given, misconception="lock-frees-itself")
