"""Question 07.2: take the sparse page out of every page table, put together from lines.

Tasks have mapped parts of a file with holes, each from another page on, and have touched all of it. The
answer takes the sparse page away for one page of the file. What is left in the page tables is compared
with what the model's own xip_unmap leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from xiplab.course.experiments.fault_handler import Function
from xiplab.course.experiments.mapping import MapInPlace
from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.ex07_fault import story_of
from xiplab.linux.fs.open import fget
from xiplab.linux.include.fs import O_RDWR, AddressSpace
from xiplab.linux.include.mm import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, VmAreaStruct
from xiplab.linux.mm.filemap_xip import xip_unmap
from xiplab.linux.mm.memory import follow_pfn, pte_clear
from xiplab.mapping import Mapping
from xiplab.process import Process
from xiplab.units import PAGE_SIZE, Pfn, Pgoff

Tables: TypeAlias = dict[str, tuple[str, ...]]
FILE_PAGES = 6


class Areas:
    """A file of six pages with holes, and areas that begin at other pages of it.

    Attributes:
        mapping: the file's address space. texts: the areas by name.
    """

    def __init__(self, random: Random) -> None:
        self.hole = random.randrange(1, FILE_PAGES - 1)
        words = ["" if page == self.hole or random.random() < 0.4 else f"page {page}"
                 for page in range(FILE_PAGES - 1)]
        self.machine = type("Machine", (MapInPlace,), {"story": story_of(*words, "last")})()
        starts = {"area 1": 0, "area 2": self.hole, "area 3": self.hole - 1, "area 4": self.hole + 1}
        self.texts = {name: self._map(name, start, random.randrange(1, FILE_PAGES - start + 1))
                      for name, start in starts.items()}
        self.mapping = fget(self.machine.guest.task, self.machine.fd).f_mapping
        copy = self.texts["area 3"]
        if len(copy) > PAGE_SIZE:
            copy[PAGE_SIZE] = ord("!")

    def _map(self, name: str, start: int, npages: int) -> Mapping:
        """An area that may not store, but for area 3, which is private; all its pages are touched."""
        task: Process = self.machine.tasks["private" if name == "area 3" else "reader"]
        private = name == "area 3"
        fd = task.open("/xip/story", O_RDWR if private else 0)
        text = task.mmap(fd, npages * PAGE_SIZE, PROT_READ | PROT_WRITE if private else PROT_READ,
                         MAP_PRIVATE if private else MAP_SHARED, start * PAGE_SIZE)
        for page in range(npages):
            text[page * PAGE_SIZE]
        return text

    def unmap(self, function: Function) -> None:
        """Let `function` take the sparse page away for the hole."""
        function(self.mapping, Pgoff(self.hole), self.machine.sparse_page, follow_pfn, pte_clear)

    def tables(self) -> Tables:
        """What each area's page table has, page by page of the area."""
        return {name: tuple(self._word(text.pfn(page)) for page in range(len(text) // PAGE_SIZE))
                for name, text in self.texts.items()}

    def _word(self, pfn: Pfn | None) -> str:
        if pfn is None:
            return "no entry"
        return "sparse page" if pfn == self.machine.sparse_page else f"frame {pfn:#x}"

    def shown(self) -> str:
        areas = [f"{name} shows {len(text) // PAGE_SIZE} pages from page {text.vma.vm_pgoff} on"
                 for name, text in self.texts.items()]
        return f"page {self.hole} got a block; " + ", ".join(areas)


def model(mapping: AddressSpace, pgoff: int, *_: Any) -> None:
    """The model's own."""
    xip_unmap(mapping, Pgoff(pgoff))


def believing(belief: str) -> Function:
    """xip_unmap of somebody with one belief."""
    def function(mapping: AddressSpace, pgoff: int, sparse_page: Pfn, find: Callable[..., Pfn | None],
                 clear: Callable[[VmAreaStruct, int], None]) -> None:
        for vma in mapping.i_mmap[:1] if belief == "one-mapping-is-enough" else mapping.i_mmap:
            first = 0 if belief == "pages-begin-at-the-mapping" else vma.vm_pgoff
            address = vma.vm_start + (pgoff - first) * PAGE_SIZE
            inside = vma.vm_start <= address < vma.vm_end
            there = find(vma.vm_mm, address)
            taken = belief == "unmap-takes-everything" and there is not None
            if inside and (there == sparse_page or taken):
                clear(vma, address)

    return function


BELIEFS = ("one-mapping-is-enough", "pages-begin-at-the-mapping", "unmap-takes-everything")


def left_by(function: Function, number: int) -> tuple[Areas, Tables]:
    """The areas of a situation, and what is in their page tables after `function`."""
    areas = Areas(Random(f"07.2 situation {number}"))
    areas.unmap(function)
    return areas, areas.tables()


def check_unmap(answer: Answer, random: Random) -> None:
    """Only the sparse page goes, wherever it stands for the page of the file."""
    judge_unmap(answer, [random.randrange(10_000) for _ in range(8)])


def judge_unmap(answer: Answer, numbers: list[int]) -> None:
    """In each situation the page tables are left as by the model."""
    def function(*args: Any) -> None:
        answer.call("xip_unmap", *args)

    said = [(number, *left_by(function, number)) for number in numbers]
    for number, areas, got in said:
        right = left_by(model, number)[1]
        for name in right:
            if right[name] != got[name]:
                raise Wrong(f"The page table of {name} is not as it should be.", given=areas.shown(),
                            expected=", ".join(right[name]), got=", ".join(got[name]),
                            misconception=belief_behind([(number, got) for number, _, got in said]))


def belief_behind(said: list[tuple[int, Tables]]) -> str:
    """The misconception that leaves the same page tables; empty if none does."""
    for belief in BELIEFS:
        if all(left_by(believing(belief), number)[1] == got for number, got in said):
            return belief
    return ""
