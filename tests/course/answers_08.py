"""Recorded answers to exercise 08: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from xiplab.course.parsons import lettered
from xiplab.course.problem import question
from xiplab.course.questions.ex08_code import length_of_text
from xiplab.course.questions.ex08_predict import END, SITUATIONS, STORED, Situation


def indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.strip("\n").splitlines())


# ---- 08.1

def areas(case: Situation, *names: str) -> str:
    number = SITUATIONS.index(case)
    said = set(names) if names else "set()"
    return f"SITUATION = {number}\n\n\ndef shared_areas():\n    return {said}\n"


COUNTED, CACHED = Situation(), Situation("counter", False, END)
BEGUN, LOADED = Situation("counter", True, "start"), Situation("jump", True, "loaded")
WRONG_AREAS = [
    ("segment-per-guest", areas(COUNTED)),
    ("private-store-reaches-the-file", areas(COUNTED, "text", "rodata", "data")),
    ("private-store-reaches-the-file", areas(Situation("jump", True, STORED), "text", "data")),
    ("in-place-needs-no-memory", areas(COUNTED, "text", "rodata", "bss")),
    ("exec-loads-the-program", areas(BEGUN, "text")),
    ("cache-is-shared-by-guests", areas(CACHED, "text", "rodata")),
    ("private-copies-at-once", areas(LOADED, "text")),
]

# ---- 08.2

def order(*parts: str) -> str:
    """An order of blocks, each named by a part of it."""
    blocks = lettered(question("08.2"))
    letters = [next(letter for letter, block in blocks.items() if part in block.text) for part in parts]
    return f"def order_of_sum():\n    return {''.join(letters)!r}\n"


DEF, ZERO, ADD, STEP, COUNT, LAST = "def ", "lghi  %r4", "ag    %r4", "la    %r2", "brctg", "lgr   %r2"
WRONG_ORDERS = [
    ("load-adds", order(DEF, ZERO, "lg    %r4", STEP, COUNT, LAST)),
    ("address-moves-by-itself", order(DEF, ZERO, ADD, COUNT, LAST)),
    ("address-moves-by-itself", order(DEF, ZERO, ADD, "lghi  %r2,8", COUNT, LAST)),
    ("nothing-begins-as-zero", order(DEF, ADD, STEP, COUNT, LAST)),
]

# ---- 08.3

def text(instructions: str) -> str:
    return f'def length_of_text():\n    return """{instructions}"""\n'


def changed(old: str, new: str) -> str:
    assert old in length_of_text()
    return length_of_text().replace(old, new)


WRONG_LENGTHS = [
    ("zero-belongs-to-the-text", changed("lgr   %r2,%r4", "aghi  %r4,1\n        lgr   %r2,%r4")),
    ("zero-belongs-to-the-text", "\n        lghi %r4,0\nnext:   llgc %r5,0(%r4,%r2)\n        aghi %r4,1\n"
                                 "        cghi %r5,0\n        jne next\n        lgr %r2,%r4\n"),
    ("address-is-a-length", changed("lgr   %r2,%r4", "agr   %r2,%r4")),
    ("address-is-a-length", "\nnext:   llgc %r5,0(%r2)\n        cghi %r5,0\n        je end\n"
                            "        la %r2,1(%r2)\n        j next\nend:    la %r2,0(%r2)\n"),
    ("a-load-is-a-byte", changed("llgc", "lg  ")),
    ("text-can-be-stored", changed("aghi  %r4,1", "aghi  %r4,1\n        stc   %r4,0(%r2)")),
]
RIGHT_LENGTHS = [
    "\n        lgr %r4,%r2\nnext:   llgc %r5,0(%r2)\n        cghi %r5,0\n        je end\n"
    "        la %r2,1(%r2)\n        j next\nend:    sgr %r2,%r4\n",
    "\n        lghi %r4,-1\nnext:   aghi %r4,1\n        llgc %r5,0(%r4,%r2)\n        cghi %r5,0\n"
    "        jne next\n        lgr %r2,%r4\n",
    "\n        lgr %r3,%r2\n        j   test\nmore:   aghi %r3,1\ntest:   cli 0(%r3),0\n        jne more\n"
    "        sgr %r3,%r2\n        lgr %r2,%r3\n",
]

# ---- 08.4

def pad(body: str) -> str:
    return ("def padzero(mm, bss, follow_pfn, clear_frame, clear_user):\n    offset = bss % PAGE_SIZE\n"
            f"{indented(body)}\n")


WRONG_PADS = [
    ("frame-of-a-task-is-its-own", "if offset:\n    clear_frame(follow_pfn(mm, bss), offset, "
                                   "PAGE_SIZE - offset)"),
    ("bss-takes-whole-pages", "if offset:\n    clear_user(mm, bss - offset, PAGE_SIZE)"),
    ("a-page-is-always-begun", "clear_user(mm, bss, PAGE_SIZE - offset)"),
    ("bytes-up-to-the-offset", "if offset:\n    clear_user(mm, bss, min(offset, PAGE_SIZE - offset))"),
    ("file-ends-in-zeros", "return"),
]
RIGHT_PADS = [
    "clear_user(mm, bss, -bss % PAGE_SIZE)",
    "end = (bss + PAGE_SIZE - 1) // PAGE_SIZE * PAGE_SIZE\nif end > bss:\n    clear_user(mm, bss, end - bss)",
    "end = bss - offset + PAGE_SIZE\nif not offset:\n    return\nfor address in range(bss, end, 512):\n"
    "    clear_user(mm, address, min(512, end - address))",
]

# ---- 08.5

def bill(body: str) -> str:
    return f"def once_and_each(frames_in_use):\n{indented(body)}\n"


WRONG_BILLS = [
    ("in-place-needs-no-memory", "return frames_in_use(1), 0"),
    ("the-first-pays-what-all-pay", "return 0, frames_in_use(1)"),
    ("all-divide-everything", "return 0, frames_in_use(2) // 2"),
    ("two-guests-are-one", "one = frames_in_use(1)\nreturn one, frames_in_use(2) - one"),
]
RIGHT_BILLS = [
    "one, two = frames_in_use(1), frames_in_use(2)\nreturn 2 * one - two, two - one",
    "each = (frames_in_use(4) - frames_in_use(1)) // 3\nreturn frames_in_use(4) - 4 * each, each",
]

WRONG = {
    "08.1": WRONG_AREAS,
    "08.2": WRONG_ORDERS,
    "08.3": [(misconception, text(body)) for misconception, body in WRONG_LENGTHS],
    "08.4": [(misconception, pad(body)) for misconception, body in WRONG_PADS],
    "08.5": [(misconception, bill(body)) for misconception, body in WRONG_BILLS],
}
RIGHT = {
    "08.3": [text(body) for body in RIGHT_LENGTHS],
    "08.4": [pad(body) for body in RIGHT_PADS],
    "08.5": [bill(body) for body in RIGHT_BILLS],
}
