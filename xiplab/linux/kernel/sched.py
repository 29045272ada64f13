"""Who runs when: programs in turn, a quantum of instructions each, always in the same order.

A quantum and a budget are numbers of instructions, so a run is the same each time.

Kernel: v3.6 kernel/sched/core.c, kernel/signal.c (the default action of fatal signals)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from xiplab.errors import SIGXCPU, Signal
from xiplab.linux.arch.s390.entry import resume
from xiplab.linux.include.sched import Task
from xiplab.linux.kernel.task import do_exit

QUANTUM = 100_000
BUDGET = 1_000_000_000
"""Instructions that a program may use unless its caller says otherwise: some seconds."""


def schedule(tasks: Iterable[Task], budget: int = BUDGET, quantum: int = QUANTUM) -> None:
    """Run the tasks' programs in turn until all have ended. Tasks of several guests may be mixed.

    Args:
        budget: instructions that each of them may use; one that needs more ends with SIGXCPU.
        quantum: instructions until the next one's turn.
    """
    queue = deque((task, budget) for task in tasks)
    while queue:
        task, left = queue.popleft()
        turn = min(left, quantum)
        if task.ended or not resume(task, turn):
            end_by_signal(task)
        elif left > turn:
            queue.append((task, left - turn))
        else:
            task.fatal = Signal(SIGXCPU, task.regs.psw_addr, f"{budget} instructions are used up")
            end_by_signal(task)


def end_by_signal(task: Task) -> None:
    """A fatal signal ends the task. Handlers are not modelled."""
    if task.fatal is not None and not task.ended:
        task.kernel.printk(f"{task}: {task.fatal}")
        do_exit(task, task.fatal.signo)


def exit_status(task: Task) -> int:
    """What an ended task gave to exit(), or minus the number of the signal that ended it."""
    signo = task.exit_code & 0x7F
    return -signo if signo else task.exit_code >> 8
