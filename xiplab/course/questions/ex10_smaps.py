"""Question 10.5: what sharing costs, out of Linux's own counters.

The answer reads texts in the form of /proc/PID/smaps. Some are made up, so that every number is another
one. On Linux one is this process's own: it maps the same memory twice, which counts as two users.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from xiplab.course.problem import Answer, Wrong
from xiplab.units import KiB, MiB

SMAPS = Path("/proc/self/smaps")
NAME = "/memfd:segment"
OTHERS = ("/usr/lib/libc.so.6", "[heap]", "", "/memfd:other (deleted)", "[stack]")
FIELDS = ("Size", "KernelPageSize", "Rss", "Pss", "Pss_Dirty", "Shared_Clean", "Shared_Dirty",
          "Private_Clean", "Private_Dirty", "Referenced", "Anonymous", "Swap", "SwapPss")

Counters = dict[str, int]
Mappings = list[tuple[str, Counters]]


def made_up(random: Random) -> str:
    """A text with several mappings, two of them of the segment; all numbers differ."""
    numbers = iter(random.sample(range(10, 100_000), 100))
    names = [*random.sample(OTHERS, 3), f"{NAME} (deleted)", f"{NAME} (deleted)"]
    random.shuffle(names)
    start, parts = 0x7F0000000000, []
    for name in names:
        values = "\n".join(f"{field + ':':16}{next(numbers):8} kB" for field in FIELDS)
        head = f"{start:x}-{start + MiB:x} rw-s 00000000 00:01 {random.randrange(1, 99999)}"
        parts.append(f"{head:73}{name}".rstrip() + f"\n{values}\nTHPeligible:    0\nVmFlags: rd wr sh mr mw "
                                                   f"me ms\n")
        start += 2 * MiB
    return "".join(parts)


def of_this_process() -> str:
    """This process's own text, while it has mapped the same 256 KiB twice; empty where there is none."""
    if not SMAPS.exists() or not hasattr(os, "memfd_create"):
        return ""
    fd = os.memfd_create(NAME.partition(":")[2], os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, 256 * KiB)
        with mmap.mmap(fd, 256 * KiB) as one, mmap.mmap(fd, 256 * KiB) as two:
            one[:] = b"x" * len(one)
            two.find(b"y")
            return "".join(parts_of(SMAPS.read_text(encoding="ascii", errors="replace")))
    except OSError:
        return ""
    finally:
        os.close(fd)


def parts_of(text: str) -> Iterator[str]:
    """The parts on the segment, the heap and the stack; where libraries lie is nobody's business."""
    wanted = False
    for line in text.splitlines(keepends=True):
        if not line.split()[0].endswith(":"):
            wanted = line.rstrip().endswith(("[heap]", "[stack]")) or NAME in line
        if wanted:
            yield line


def mappings(text: str) -> Mappings:
    """The text as (what it maps, its counters)."""
    found: Mappings = []
    for line in text.splitlines():
        words = line.split()
        if words and not words[0].endswith(":"):
            found.append((" ".join(words[5:]), {}))
        elif len(words) == 3 and words[2] == "kB":
            found[-1][1][words[0].rstrip(":")] = int(words[1])
    return found


def total(text: str, field: str, name: str = NAME) -> int:
    """The sum of one counter over the mappings of `name`; of all mappings for the empty name."""
    return sum(counters.get(field, 0) for what, counters in mappings(text) if name in what)


def alike(text: str, field: str) -> int:
    """The sum of all counters whose name begins with this one."""
    return sum(value for what, counters in mappings(text) if NAME in what
               for key, value in counters.items() if key.startswith(field))


BELIEFS: tuple[tuple[str, Callable[[str], tuple[int, int]]], ...] = (
    ("rss-is-memory", lambda text: (total(text, "Rss"), total(text, "Rss"))),
    ("rss-is-memory", lambda text: (total(text, "Pss"), total(text, "Rss"))),
    ("size-is-memory", lambda text: (total(text, "Size"), total(text, "Pss"))),
    ("size-is-memory", lambda text: (total(text, "Size"), total(text, "Size"))),
    ("every-mapping-counts", lambda text: (total(text, "Rss", ""), total(text, "Pss", ""))),
    ("counters-begin-alike", lambda text: (alike(text, "Rss"), alike(text, "Pss"))),
)


def check_texts(answer: Answer, texts: list[str]) -> None:
    """Rss and Pss of the segment in each text. A belief is named if it makes all the numbers."""
    answers = [(text, answer.call("memory_of", text, NAME)) for text in texts]
    for text, got in answers:
        pair: Any = tuple(got) if isinstance(got, list) else got
        expected = total(text, "Rss"), total(text, "Pss")
        if pair != expected or [type(each) for each in pair] != [int, int]:
            beliefs = (name for name, predict in BELIEFS
                       if all(list(value) == list(predict(shown)) for shown, value in answers
                              if isinstance(value, list | tuple)))
            belief = next(beliefs, "") if isinstance(got, list | tuple) else ""
            users = sum(NAME in what for what, _ in mappings(text))
            raise Wrong("These are not the segment's Rss and Pss.",
                        given=f"{len(mappings(text))} mappings, {users} of them of {NAME}",
                        expected=str(expected), got=repr(got)[:80], misconception=belief)


def check_made_up(answer: Answer, random: Random) -> None:
    """Texts in which every number is another one."""
    check_texts(answer, [made_up(random) for _ in range(4)])


def check_real(answer: Answer, random: Random) -> None:
    """This computer's own counters, where it has them."""
    made = [made_up(random) for _ in range(2)]
    check_texts(answer, [of_this_process() or made_up(random), *made])
