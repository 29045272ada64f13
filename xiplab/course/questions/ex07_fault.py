"""Question 07.3: the learner's own fault handler, which serves the faults of three tasks.

    load, store of a task ─► page fault ─► vm_ops.fault ─► the learner's function
                                                                   │ get_xip_mem, xip_sparse_page,
                             page tables of LINUX1  ◄──────────────┘ xip_unmap, vm_insert_mixed

The function is the same in a notebook, where it gets the model's objects, and in the judge, where it runs
in another process and gets stand-ins. What is expected comes from the model's own handler: both go through
the same steps, and what each task then sees is compared. A belief is a wrong handler; if it sees all that
the answer saw, it is named.
"""

from __future__ import annotations

import errno
from functools import cache
from random import Random
from typing import Any, TypeAlias

from xiplab.course.experiments.fault_handler import VM_FAULT_NOPAGE, VM_FAULT_SIGBUS, Function
from xiplab.course.experiments.mapping import PAGES, MapInPlace
from xiplab.course.problem import Answer, Wrong
from xiplab.course.questions.seam import seam
from xiplab.linux.include.fs import AddressSpace, File, Inode
from xiplab.linux.include.mm import (
    VM_MAYWRITE,
    VM_SHARED,
    VM_WRITE,
    MmStruct,
    VmAreaStruct,
    VmFault,
)
from xiplab.linux.mm.filemap_xip_eras import xip_file_fault_sigbus
from xiplab.units import PAGE_SIZE, page_count

Step: TypeAlias = tuple[Any, ...]
Scenario: TypeAlias = tuple[Step, ...]

SHOWS = {VmAreaStruct: "vm_start vm_end vm_pgoff vm_flags vm_mm vm_file",
         VmFault: "pgoff virtual_address write", File: "f_mapping f_inode",
         AddressSpace: "host i_mmap", Inode: "i_size", MmStruct: ""}
"""What an answer may see of the model's objects."""


def over_the_pipe(answer: Answer, name: str = "xip_file_fault") -> Function:
    """The answer's function, which must return the code that says what it did."""
    call = seam(answer, name)

    def function(vma: VmAreaStruct, vmf: VmFault, *functions: Function) -> Any:
        entered: list[int] = []
        result = call(vma, vmf, *(noting(each, entered) for each in functions))
        right = VM_FAULT_NOPAGE if entered else VM_FAULT_SIGBUS
        if type(result) is not int or result != right:
            did = "entered a frame" if entered else "entered no frame"
            raise Wrong(f"Your function {did} and must say so.", given=f"page {vmf.pgoff} of the file",
                        expected="VM_FAULT_NOPAGE" if entered else "VM_FAULT_SIGBUS", got=repr(result))
        return result

    return function


def noting(function: Function, entered: list[int]) -> Function:
    """The function; a frame that is entered is noted."""
    if function.__name__ != "vm_insert_mixed":
        return function

    def vm_insert_mixed(vma: VmAreaStruct, address: int, pfn: int) -> None:
        function(vma, address, pfn)
        entered.append(pfn)

    return vm_insert_mixed


# ---- what happens ----

THERE: tuple[Scenario, ...] = (
    (("load", "writer", 0), ("load", "reader", 0), ("load", "private", 2), ("store", "writer", 0, "B")),
    (("load", "reader", 3),),
    (("cut", 2 * PAGE_SIZE + 100), ("load", "reader", 2), ("cut", 2 * PAGE_SIZE), ("load", "writer", 2)),
    (("cut", 1), ("load", "private", 0), ("load", "reader", 2)),
)
HOLES: tuple[Scenario, ...] = (
    (("load", "reader", 1), ("load", "private", 1)),
    (("load", "writer", 1), ("load", "reader", 1)),
    (("store", "writer", 1, "J"), ("load", "reader", 1)),
    (("store", "private", 1, "J"), ("load", "reader", 1)),
    (("load", "reader", 1), ("store", "writer", 1, "J"), ("load", "reader", 1)),
    (("protect", "writer", "read"), ("load", "writer", 1), ("protect", "writer", "write"),
     ("store", "writer", 1, "J"), ("load", "reader", 1)),
)
FAILURES: tuple[Scenario, ...] = (
    (("fill", 0), ("load", "writer", 1), ("load", "reader", 1)),
    (("spoil",), ("load", "reader", 0), ("store", "private", 2, "J")),
)

WORDS = {
    "load": "{0} loads from page {1}",
    "store": "{0} stores “{2}” into page {1}",
    "cut": "the file is cut to {0} bytes",
    "fill": "the device is filled up",
    "spoil": "the device breaks: get_xip_mem answers EIO",
    "protect": "mprotect: {0} may {1}",
}


def story_of(*pages: str) -> bytes:
    """The content of a file; an empty word is a hole."""
    return b"".join(word.encode().ljust(PAGE_SIZE, b"." if word else b"\0") for word in pages)


def outcomes(function: Function, scenario: Scenario, story: bytes = MapInPlace.story) -> list[str]:
    """Serve the faults of a scenario by `function`; what there is to see after each step."""
    machine = type("Machine", (MapInPlace,), {"story": story})()
    machine.plug(function)
    seen = []
    for name, *args in scenario:
        if name == "cut":
            machine.guest.ftruncate(machine.fd, *args)
            seen.append("")
            continue
        getattr(machine, name)(*args)
        seen.append(f"{machine.sentence()} Free blocks: {machine.guest.statfs('/xip').f_bfree}."
                    if name in ("load", "store") else "")
    return seen


def model(vma: VmAreaStruct, vmf: VmFault, *_: Function) -> int:
    """The model's own handler."""
    xip_file_fault_sigbus(vma, vmf)
    return VM_FAULT_NOPAGE


@cache
def expected(scenario: Scenario, story: bytes) -> list[str]:
    return outcomes(model, scenario, story)


def judge_scenarios(answer: Answer, scenarios: tuple[Scenario, ...], story: bytes = MapInPlace.story) -> None:
    """In each scenario the tasks see what they see with the model's own handler."""
    function = over_the_pipe(answer)
    for scenario in scenarios:
        got = outcomes(function, scenario, story)
        for number, (right, mine) in enumerate(zip(expected(scenario, story), got, strict=True)):
            if right != mine:
                steps = "; ".join(WORDS[name].format(*args) for name, *args in scenario[:number + 1])
                raise Wrong("A task does not see what it should.", given=steps, expected=right, got=mine,
                            misconception=belief_behind(function))


# ---- what people believe ----

def believing(belief: str) -> Function:
    """A fault handler of somebody with one belief."""
    def function(vma: VmAreaStruct, vmf: VmFault, *functions: Function) -> int:
        look_up, sparse_page, unmap, enter = functions
        mapping = vma.vm_file.f_mapping  # type: ignore[union-attr]
        size = mapping.host.i_size  # type: ignore[union-attr]
        end = {"half-page-is-behind-the-end": size // PAGE_SIZE, "page-numbers-are-bytes": size,
               "behind-the-end-is-zeros": PAGES}.get(belief, page_count(size))
        if vmf.pgoff >= end:
            return VM_FAULT_SIGBUS
        try:
            found = look_up(mapping, vmf.pgoff, 0)
        except OSError as failure:
            if failure.errno != errno.ENODATA and belief != "every-error-is-a-hole":
                raise
            if belief == "hole-is-an-error":
                return VM_FAULT_SIGBUS
            if takes_block(belief, vma, vmf):
                found = look_up(mapping, vmf.pgoff, 1)
                if belief != "sparse-page-stays":
                    unmap(mapping, vmf.pgoff)
            else:
                found = sparse_page(), sparse_page()
        enter(vma, vmf.virtual_address, found[belief != "frame-is-not-bytes"])
        return VM_FAULT_NOPAGE

    return function


def takes_block(belief: str, vma: VmAreaStruct, vmf: VmFault) -> bool:
    """Whether somebody with this belief takes a block for a hole."""
    shared = bool(vma.vm_flags & VM_SHARED)
    return {"a-load-changes-nothing": shared and vmf.write,
            "sparse-page-takes-stores": False,
            "hole-takes-a-block": True,
            "may-not-now-is-never": shared and bool(vma.vm_flags & VM_WRITE),
            "private-needs-a-block": bool(vma.vm_flags & VM_MAYWRITE)}.get(belief, shared)


BELIEFS = ("hole-is-an-error", "behind-the-end-is-zeros", "half-page-is-behind-the-end",
           "page-numbers-are-bytes", "frame-is-not-bytes", "a-load-changes-nothing",
           "sparse-page-takes-stores", "may-not-now-is-never", "private-needs-a-block", "hole-takes-a-block",
           "sparse-page-stays", "every-error-is-a-hole")


def belief_behind(function: Function) -> str:
    """The misconception whose handler lets the tasks see what the answer's does; empty if none does."""
    said = [(scenario, outcomes(function, scenario)) for scenario in (*THERE, *HOLES, *FAILURES)]
    for belief in BELIEFS:
        if all(believed(belief, scenario) == got for scenario, got in said):
            return belief
    return ""


@cache
def believed(belief: str, scenario: Scenario) -> list[str]:
    return outcomes(believing(belief), scenario)


# ---- the checks ----

def check_there(answer: Answer, random: Random) -> None:
    """Pages with a block, and the end of the file."""
    judge_scenarios(answer, THERE)


def check_holes(answer: Answer, random: Random) -> None:
    """Holes: who gets a block, who gets zeros, and who must lose them."""
    judge_scenarios(answer, HOLES)


def check_failures(answer: Answer, random: Random) -> None:
    """No block left; a device that is broken."""
    judge_scenarios(answer, FAILURES)


def check_other_files(answer: Answer, random: Random) -> None:
    """As the visible checks, with other files and in another order."""
    for _ in range(4):
        words = [random.choice(("", "alpha", "beta")) for _ in range(random.randrange(1, PAGES))]
        steps: list[Step] = []
        for _ in range(8):
            task, page = random.choice(("writer", "reader", "private")), random.randrange(PAGES)
            store = task != "reader" and random.random() < 0.4
            steps.append(("store", task, page, "Z") if store else ("load", task, page))
        judge_scenarios(answer, (tuple(steps),), story_of(*words, "omega"))
