"""Recorded answers to exercise 10: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from xiplab.course.parsons import lettered
from xiplab.course.problem import question
from xiplab.course.questions.ex10_predict import Situation, situation


def function(id: str, head: str, body: str, before: str = "") -> str:
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return f"# Your turn: {id}\n{before}{head}\n{lines}\n"


def answers(number: int, sees: str, follows: bool, blocks: int) -> str:
    return function("10.1", "def what_happens():", f"return {sees!r}, {follows}, {blocks}",
                    f"SITUATION = {number}\n\n\n")


def first(era: str, event: str) -> int:
    """The number of a situation like this."""
    return next(number for number in range(200) if situation(number) == Situation(era, event))


def order(*blocks: int) -> str:
    """The blocks of 10.2 by their numbers in the question."""
    asked = question("10.2")
    letter_of = {block: letter for letter, block in lettered(asked).items()}
    return function("10.2", "def order():", f"return {''.join(letter_of[asked.blocks[n]] for n in blocks)!r}")


def frame(body: str) -> str:
    return function("10.3", "def frame_for_fault(pgoff, write, shared, may_write, get_xip_mem, zeros):", body)


def read(body: str) -> str:
    return function("10.4", "def dax_read(file, buf, count, pos):",
                    "start, end = pos, min(pos + count, file.i_size)\n" + body)


def memory(body: str) -> str:
    return function("10.5", "def memory_of(smaps, name):", body)


MENDED = """
try:
    return get_xip_mem(pgoff, False)
except OSError as failure:
    if failure.errno != errno.ENODATA:
        raise
if shared and write:
    return get_xip_mem(pgoff, True)
return zeros
"""
READ = """
while pos < end:
    page, offset = pos // PAGE_SIZE, pos % PAGE_SIZE
    block, pages = file.get_block(page)
    chunk = min(pages * PAGE_SIZE - offset, end - pos)
    if block == 0:
        buf.clear_user(chunk)
    else:
        address, usable = file.direct_access(block * 8, offset + chunk)
        buf.copy_to_user(file.span(address + offset, chunk))
    pos += chunk
return max(pos - start, 0)
"""
BY_PAGE = READ.replace("file.get_block(page)", "file.get_block(page)[0], 1")
COUNT = """
rss = pss = 0
ours = False
for line in smaps.splitlines():
    words = line.split()
    if not words[0].endswith(":"):
        ours = name in line
    elif ours and words[0] == "Rss:":
        rss += int(words[1])
    elif ours and words[0] == "Pss:":
        pss += int(words[1])
return rss, pss
"""

WRONG = {
    "10.1": [
        ("size-is-watched", answers(0, "SIGBUS", False, 1)),
        ("freed-is-gone", answers(0, "letter", False, 1)),
        ("stores-are-noticed", answers(0, "secret", True, 1)),
        ("a-load-changes-nothing", answers(0, "secret", False, 0)),
        ("dax-is-a-new-name", answers(first("dax", "taken"), "secret", False, 1)),
        ("dax-is-a-new-name", answers(first("dax", "nothing"), "letter", True, 1)),
        ("mapping-is-a-copy", answers(first("xip", "write"), "letter", False, 1)),
    ],
    "10.2": [
        ("one-look-is-enough", order(0, 1, 2, 3, 6, 5)),
        ("lock-can-go-early", order(0, 1, 2, 3, 4, 7)),
        ("an-error-lets-go", order(0, 1, 2, 3, 8, 5)),
    ],
    "10.3": [
        ("may-write-means-writes", frame(MENDED.replace("shared and write", "shared and may_write"))),
        ("private-store-needs-a-block", frame(MENDED.replace("shared and write", "write"))),
        ("zeros-can-be-stored-into", frame(MENDED.replace("shared and write", "False"))),
        ("every-failure-is-a-hole", frame(MENDED.replace("failure.errno != errno.ENODATA", "False"))),
    ],
    "10.4": [
        ("one-question-for-each-page", read(BY_PAGE)),
        ("run-is-as-long-from-anywhere", read(READ.replace("pages * PAGE_SIZE - "
                                                           "offset", "pages * PAGE_SIZE"))),
        ("copy-begins-with-the-page", read(READ.replace("address + offset", "address"))),
        ("block-zero-is-a-block", read(READ.replace("block == 0", "False"))),
        ("hole-is-skipped", read(READ.replace("buf.clear_user(chunk)", "pass"))),
        ("read-fills-the-buffer", read("end = pos + count\n" + READ)),
    ],
    "10.5": [
        ("rss-is-memory", memory(COUNT.replace("return rss, pss", "return rss, rss"))),
        ("rss-is-memory", memory(COUNT.replace("return rss, pss", "return pss, rss"))),
        ("size-is-memory", memory(COUNT.replace('"Rss:"', '"Size:"'))),
        ("every-mapping-counts", memory(COUNT.replace("ours = name in line", "ours = True"))),
        ("counters-begin-alike", memory(COUNT.replace('words[0] == "Rss:"', 'words[0].startswith("Rss")')
                                        .replace('words[0] == "Pss:"', 'words[0].startswith("Pss")'))),
    ],
}

RIGHT = {
    "10.1": [answers(first("dax", "cut"), "SIGBUS", True, 0),
             answers(first("xip", "write"), "new", False, 1)],
    "10.2": [order(0, 1, 2, 3, 4, 5), order(0, 1, 3, 4, 2, 5)],
    "10.3": [
        frame(MENDED),
        frame("""
try:
    return get_xip_mem(pgoff, write and shared)
except OSError as failure:
    if failure.errno == errno.ENODATA:
        return zeros
    raise
"""),
        frame("""
import contextlib
hole = True
try:
    frame = get_xip_mem(pgoff, 0)
    hole = False
except OSError as failure:
    if failure.errno not in (errno.ENODATA,): raise failure
if hole:
    frame = get_xip_mem(pgoff, 1) if write and shared else zeros
return frame
"""),
    ],
    "10.4": [
        read(READ),
        read("""
if pos >= end: return 0
while pos < end:
    page = pos // PAGE_SIZE
    block, pages = file.get_block(page)
    stop = min((page + pages) * PAGE_SIZE, end)
    if block:
        address = file.direct_access(block * 8, pages * PAGE_SIZE)[0]
        buf.copy_to_user(file.span(address + pos - page * PAGE_SIZE, stop - pos))
    else:
        buf.clear_user(stop - pos)
    pos = stop
return end - start
"""),
        read("""
def piece(at):
    page, offset = divmod(at, PAGE_SIZE)
    block, pages = file.get_block(page)
    n = min(pages * PAGE_SIZE - offset, end - at)
    if not block:
        return buf.clear_user(n)
    address, _ = file.direct_access(block * 8, pages * PAGE_SIZE)
    return buf.copy_to_user(file.span(address + offset, n))
while pos < end:
    pos += piece(pos)
return max(end - start, 0)
"""),
    ],
    "10.5": [
        memory(COUNT),
        memory("""
import re
parts = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps)
mine = [part for part in parts if name in part.partition("\\n")[0]]
def total(field):
    return sum(int(n) for part in mine for n in re.findall(rf"(?m)^{field}: +(\\d+) kB", part))
return total("Rss"), total("Pss")
"""),
        memory("""
sums, ours = {"Rss:": 0, "Pss:": 0}, False
for line in smaps.split("\\n"):
    first, _, rest = line.partition(" ")
    if "-" in first:
        ours = rest.rstrip().find(name) >= 0
    elif ours and first in sums:
        sums[first] += int(rest.split()[0])
return [sums["Rss:"], sums["Pss:"]]
"""),
    ],
}

SURVIVORS = {
    "10.4": ["max(pos - start, -1)"],       # pos is never before start
    # the block may be looked up before the first look at the size, or under the lock
    "10.2": ["FBACDG", "FACBDG"],
}
