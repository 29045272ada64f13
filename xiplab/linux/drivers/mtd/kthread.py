"""Threads that sleep while flash works, and the simulated time that passes meanwhile.

The model has one thread. So what may sleep is a generator: each `yield us` is a sleep of that many
microseconds, `yield UNTIL_WOKEN` one that only a wake_up ends. There are two ways to run it:

    run(kernel, work)      now, to its end; while it sleeps, time passes and the others go on
    start(kernel, work)    to its first sleep; it goes on whenever time passes later

pass_time() is the experiment's own sleep. A sleep in `run` that nobody is left to end is EDEADLK.

Kernel: none (kernel/sched, kernel/kthread.c, kernel/timer.c)
"""

from __future__ import annotations

import errno
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from xiplab.hw.nor import NorChip
from xiplab.linux.include.kernel import Kernel

T = TypeVar("T")
Work: TypeAlias = Generator[float | None, None, T]

UNTIL_WOKEN = None


@dataclass(eq=False)
class Thread:
    """A started thread that sleeps; wake_at is None until somebody wakes it."""

    work: Work[None]
    wake_at: float | None


@dataclass(eq=False)
class FlashTime:
    """The simulated time of one kernel, in microseconds, and who sleeps in it."""

    chips: list[NorChip] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    now_us: float = 0.0


def flash_time(kernel: Kernel) -> FlashTime:
    time: FlashTime = kernel.statics.setdefault("flash time", FlashTime())
    return time


def wake_up(kernel: Kernel) -> None:
    """Everybody who waits to be woken looks again, the next time somebody sleeps."""
    time = flash_time(kernel)
    for thread in time.threads:
        if thread.wake_at is None:
            thread.wake_at = time.now_us


def pass_time(kernel: Kernel, us: float) -> None:
    """Sleep `us` microseconds: the chips work, and threads go on whose sleep is over."""
    time = flash_time(kernel)
    end = time.now_us + us
    while due := [t for t in time.threads if t.wake_at is not None and t.wake_at <= end]:
        thread = min(due, key=lambda t: t.wake_at or 0.0)
        _advance(time, thread.wake_at or 0.0)
        _step(time, thread)
    _advance(time, end)


def _advance(time: FlashTime, until: float) -> None:
    for chip in time.chips:
        chip.advance(until - time.now_us)
    time.now_us = until


def _step(time: FlashTime, thread: Thread) -> None:
    """Let the thread run to its next sleep."""
    try:
        us = next(thread.work)
    except StopIteration:
        time.threads.remove(thread)
    else:
        thread.wake_at = None if us is None else time.now_us + us


def start(kernel: Kernel, work: Work[None]) -> None:
    """Start a thread; returns at its first sleep."""
    time = flash_time(kernel)
    thread = Thread(work, time.now_us)
    time.threads.append(thread)
    _step(time, thread)


def run(kernel: Kernel, work: Work[T]) -> T:
    """Do `work` to its end; returns what it returns.

    Raises:
        OSError: EDEADLK if it waits for something that nobody is left to do; else what it raises.
    """
    try:
        while True:
            us = next(work)
            pass_time(kernel, _until_next_wake(kernel) if us is None else us)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        pass_time(kernel, 0)


def _until_next_wake(kernel: Kernel) -> float:
    time = flash_time(kernel)
    wakes = [thread.wake_at for thread in time.threads if thread.wake_at is not None]
    if not wakes:
        raise OSError(errno.EDEADLK, f"{kernel}: the caller would sleep for ever: what it waits for is held, "
                                     "and nobody is left to give it back (a pointed flash chip?)")
    return max(min(wakes) - time.now_us, 0.0)
