"""Recorded answers to exercise 09: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from collections.abc import Callable

from xiplab.course.parsons import lettered
from xiplab.course.problem import question
from xiplab.course.questions.ex09_predict import Outcome, Situation, outcome, situation


def indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.strip("\n").splitlines())


# ---- 09.1

def seen(number: int, said: Outcome) -> str:
    return f"SITUATION = {number}\n\n\ndef what_there_is_to_see():\n    return {said!r}\n"


def instead(change: Callable[[Outcome], Outcome], fits: Callable[[Situation], bool]) -> str:
    """The first situation that fits, and what somebody says who is wrong in one of the three."""
    number = next(number for number in range(500) if fits(situation(number)))
    return seen(number, change(outcome(situation(number))))


WRONG_LOOKS = [
    ("program-replaces", seen(0, (0x0F, "status", "under way"))),
    ("programming-sets-bits", seen(0, (0xFF, "status", "under way"))),
    ("blocks-are-apart", seen(0, (0x00, "code", "under way"))),
    ("flash-makes-wait", seen(0, (0x00, "status", "waiting"))),
    ("chip-goes-back-by-itself", instead(lambda right: (right[0], "code", right[2]),
                                         lambda case: case.how == "in place" and case.ms > 1)),
    ("point-is-only-an-address", instead(lambda right: (right[0], "status", right[2]),
                                         lambda case: case.how == "pointed")),
    ("point-is-only-an-address", instead(lambda right: (right[0], right[1], "done"),
                                         lambda case: case.how == "pointed" and case.ms > 1)),
    ("cache-asks-again", instead(lambda right: (right[0], "status", right[2]),
                                 lambda case: case.how == "page cache" and case.ms == 1)),
]

# ---- 09.2

ONCE = "    sleep(1000)"


def order(*parts: str) -> str:
    """An order of blocks, each named by a part of it."""
    blocks = lettered(question("09.2"))
    letters = [next(letter for letter, block in blocks.items() if block.text.startswith(part)
               or (part != ONCE and part in block.text)) for part in parts]
    return f"def order_of_erase_block():\n    return {''.join(letters)!r}\n"


DEF, CLEAR, ERASE, POLL = "def ", "CLEAR_STATUS", "ERASE_BLOCK", "SR_READY"
STATUS, ARRAY, RETURN = "status =", "READ_ARRAY", "return status"
WRONG_ORDERS = [
    ("program-replaces", order(DEF, CLEAR, "PROGRAM_WORD", POLL, STATUS, ARRAY, RETURN)),
    ("blocks-are-apart", order(DEF, CLEAR, ERASE, "!= 0xFFFF", STATUS, ARRAY, RETURN)),
    ("erase-needs-no-status", order(DEF, CLEAR, ERASE, ONCE, STATUS, ARRAY, RETURN)),
    ("chip-goes-back-by-itself", order(DEF, CLEAR, ERASE, POLL, STATUS, RETURN)),
    ("chip-goes-back-by-itself", order(DEF, CLEAR, ERASE, POLL, ARRAY, STATUS, RETURN)),
    ("old-errors-go-by-themselves", order(DEF, ERASE, POLL, STATUS, ARRAY, RETURN)),
]

# ---- 09.3

def reader(body: str) -> str:
    return ("def read_while_erasing(adr, n, map_write, map_read, map_copy_from, sleep):\n"
            f"{indented(body)}\n")


SUSPEND = "map_write(SUSPEND, adr)\nmap_write(READ_STATUS, adr)\n"
WAIT = "while not map_read(adr) & SR_READY:\n    sleep(10)\n"
KEEP = "suspended = map_read(adr) & SR_ERASE_SUSPENDED\n"
COPY = "map_write(READ_ARRAY, adr)\ndata = map_copy_from(adr, n)\n"
RESUME = "map_write(RESUME, adr)\nmap_write(READ_STATUS, adr)\n"
IF_SUSPENDED = "if suspended:\n" + indented(RESUME) + "\n"
DATA = "return data"

WRONG_READERS = [
    ("blocks-are-apart", "return map_copy_from(adr, n)"),
    ("flash-makes-wait", "map_write(READ_STATUS, adr)\n" + WAIT.replace("10", "1000") + COPY + DATA),
    ("suspend-is-at-once", SUSPEND + KEEP + COPY + IF_SUSPENDED + DATA),
    ("chip-goes-back-by-itself", SUSPEND + WAIT + KEEP + "data = map_copy_from(adr, n)\n" + IF_SUSPENDED
     + DATA),
    ("erase-goes-on-by-itself", SUSPEND + WAIT + COPY + DATA),
    ("erase-was-suspended", SUSPEND + WAIT + COPY + RESUME + DATA),
]
RIGHT_READERS = [
    """
map_write(SUSPEND, adr)
map_write(READ_STATUS, adr)
status = map_read(adr)
while status & SR_READY == 0:
    sleep(5)
    status = map_read(adr)
map_write(READ_ARRAY, adr)
data = map_copy_from(adr, n)
if status & SR_ERASE_SUSPENDED:
    map_write(RESUME, adr)
    map_write(READ_STATUS, adr)
return data
""",
    """
map_write(READ_STATUS, 0)
busy = not map_read(0) & SR_READY
if busy:
    map_write(SUSPEND, 0)
    while not map_read(0) & SR_READY:
        sleep(2)
paused = map_read(0) & SR_ERASE_SUSPENDED
map_write(READ_ARRAY, 0)
try:
    return map_copy_from(adr, n)
finally:
    if paused:
        map_write(RESUME, 0)
        map_write(READ_STATUS, 0)
""",
    """
def status():
    map_write(READ_STATUS, adr)
    return map_read(adr)
map_write(SUSPEND, adr)
while status() & SR_READY != SR_READY:
    sleep(20)
resume = status() & SR_ERASE_SUSPENDED == SR_ERASE_SUSPENDED
map_write(READ_ARRAY, adr)
parts = [map_copy_from(adr + done, min(16, n - done)) for done in range(0, n, 16)]
if resume:
    map_write(RESUME, adr)
    status()
return b"".join(parts)
""",
]

# ---- 09.4

def page(body: str) -> str:
    return ("def brd_page(pfn, has_direct_access, alloc_page, alloc_highpage, kmap, page_address):\n"
            f"{indented(body)}\n")


CHOOSE = "if pfn is None:\n    pfn = alloc_page() if has_direct_access else alloc_highpage()\n"
WRONG_PAGES = [
    ("kernel-reaches-all", "if pfn is None:\n    pfn = alloc_highpage()\nreturn page_address(pfn), pfn"),
    ("kmap-gives-back", "if pfn is None:\n    pfn = alloc_highpage()\nreturn kmap(pfn), pfn"),
    ("frame-is-enough", "if pfn is None:\n    pfn = alloc_highpage()\nreturn pfn * 4096, pfn"),
    ("lowmem-is-plenty", "if pfn is None:\n    pfn = alloc_page()\nreturn page_address(pfn), pfn"),
    ("each-call-is-a-page", CHOOSE.replace("if pfn is None:\n    ", "") + "return page_address(pfn), pfn"),
]
RIGHT_PAGES = [
    CHOOSE + "return kmap(pfn) if has_direct_access else 0, pfn",
    "take = alloc_page if has_direct_access else alloc_highpage\npfn = take() if pfn is None else pfn\n"
    "return [page_address(pfn), pfn]",
]

# ---- 09.5

def cost(body: str) -> str:
    return f"def cost_of_loading(insmod, bytes_copied, frames_in_use):\n{indented(body)}\n"


LOOK = "copied, frames = bytes_copied(), frames_in_use()\ninsmod()\n"
WRONG_COSTS = [
    ("module-in-place", "return 0, 0"),
    ("module-in-place", "insmod()\nreturn 0, 0"),
    ("counters-begin-at-zero", "insmod()\nreturn bytes_copied(), frames_in_use()"),
    ("copies-keep-their-memory", LOOK + "copied = bytes_copied() - copied\n"
     "return copied, -(-copied // 4096)"),
]
RIGHT_COSTS = [
    LOOK + "return bytes_copied() - copied, frames_in_use() - frames",
    "looks = [bytes_copied(), frames_in_use()]\ninsmod()\n"
    "return [now - before for now, before in zip([bytes_copied(), frames_in_use()], looks)]",
]

WRONG = {
    "09.1": WRONG_LOOKS,
    "09.2": WRONG_ORDERS,
    "09.3": [(misconception, reader(body)) for misconception, body in WRONG_READERS],
    "09.4": [(misconception, page(body)) for misconception, body in WRONG_PAGES],
    "09.5": [(misconception, cost(body)) for misconception, body in WRONG_COSTS],
}
RIGHT = {
    "09.3": [reader(body) for body in RIGHT_READERS],
    "09.4": [page(body) for body in RIGHT_PAGES],
    "09.5": [cost(body) for body in RIGHT_COSTS],
}
NAMES = {"SUSPEND": "RESUME", "RESUME": "SUSPEND", "READ_ARRAY": "READ_STATUS", "READ_STATUS": "READ_ARRAY",
         "SR_READY": "SR_ERASE_SUSPENDED", "SR_ERASE_SUSPENDED": "SR_READY", "alloc_page": "alloc_highpage",
         "alloc_highpage": "alloc_page", "bytes_copied": "frames_in_use", "frames_in_use": "bytes_copied"}
SURVIVORS = {"09.3": ["sleep(9)", "sleep(11)", "map_write(RESUME, adr)\n        pass",
                      "map_write(RESUME, adr)\n        map_write(READ_ARRAY, adr)"]}
"""Nobody minds a microsecond. Behind RESUME this chip gives its status anyway, and takes no READ_ARRAY."""
