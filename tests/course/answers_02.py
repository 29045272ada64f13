"""Recorded answers to exercise 02: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from xiplab.course.parsons import lettered
from xiplab.course.problem import question
from xiplab.course.questions.ex02_store import BELIEFS, belief_behind, seen_by, situation, truth_of


def body(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip("\n").splitlines()) + "\n"


# ---- 02.1

def who(belief: str) -> str:
    """What somebody with this belief says, in the first situation where no other belief says the same."""
    def shows(number: int) -> bool:
        case = situation(number)
        said = seen_by(case, belief)
        return said != truth_of(case) and belief_behind(case, said) == belief

    number = next(number for number in range(1000) if shows(number))
    said = sorted(seen_by(situation(number), belief))
    return (f"# Your turn: 02.1\nSITUATION = {number}\n\n\ndef who_sees_the_letter():\n"
            f"    return set({said})\n")


WRONG_STORE = [(belief, who(belief)) for belief in BELIEFS]


# ---- 02.2

def load(*lines: str) -> str:
    """The answer whose blocks are these."""
    letters = {block.text: letter for letter, block in lettered(question("02.2")).items()}
    order = "".join(letters[line] for line in lines)
    return f'# Your turn: 02.2\ndef order_of_segment_load():\n    return "{order}"\n'


HEAD = "def segment_load(name, mode, find, load_new):"
FIND = "    seg = find(name)"
NONE = "    if seg is None:"
NEW = "        load_new(name, mode)"
SAME = "    elif seg.do_nonshared == mode:"
COUNT = "        seg.ref_count += 1"
ELSE = "    else:"
REFUSE = '        raise OSError(errno.EPERM, "loaded in the other mode")'

WRONG_LOAD = [
    ("first-load-counts-twice", load(HEAD, FIND, NONE, NEW, "    find(name).ref_count += 1")),
    ("mode-is-a-flag", load(HEAD, FIND, NONE, NEW, ELSE, "        seg.do_nonshared = mode", COUNT)),
    ("once-is-enough", load(HEAD, FIND, NONE, NEW, ELSE,
                            '        raise OSError(errno.EPERM, "loaded already")')),
    ("loaded-needs-no-count", load(HEAD, FIND, NONE, NEW)),
    ("mode-does-not-matter", load(HEAD, FIND, NONE, NEW, ELSE, COUNT)),
]


# ---- 02.3

def save(text: str) -> str:
    return "# Your turn: 02.3\ndef segment_save(name, lock, unlock, find, commands, cp):\n" + body(text)


TELL = "for command in commands(seg):\n    if cp(command):\n        break\n"
IF_THERE = """if seg is not None:
    for command in commands(seg):
        if cp(command):
            break
"""

WRONG_SAVE = [
    ("return-lets-go", save("lock()\nseg = find(name)\nif seg is None:\n    return\n" + TELL + "unlock()")),
    ("return-lets-go", save("lock()\nseg = find(name)\n" + IF_THERE.replace("break", "return") + "unlock()")),
    ("lock-is-for-the-look", save("lock()\nseg = find(name)\nunlock()\n" + IF_THERE)),
    ("looking-needs-no-lock",
     save("seg = find(name)\nif seg is None:\n    return\nlock()\n" + TELL + "unlock()")),
    ("looking-needs-no-lock", save("seg = find(name)\n" + IF_THERE)),
    ("unlock-does-no-harm", save("lock()\nseg = find(name)\nif seg is None:\n    unlock()\n"
                                 + IF_THERE + "unlock()")),
    ("save-tells", save("import errno\nlock()\nseg = find(name)\nif seg is None:\n    unlock()\n"
                        "    raise OSError(errno.ENOENT, name)\n" + TELL + "unlock()")),
    ("second-command-anyway", save("lock()\nseg = find(name)\nif seg is not None:\n"
                                   "    for command in commands(seg):\n        cp(command)\nunlock()")),
]
RIGHT_SAVE = [
    save("lock()\ntry:\n    seg = find(name)\n    if seg is None:\n        return\n"
         "    first, second = commands(seg)\n    if cp(first) == 0:\n        cp(second)\n"
         "finally:\n    unlock()"),
    save("lock()\nseg = find(name)\nif seg is None:\n    unlock()\n    return\n" + TELL + "unlock()"),
    save("lock()\nseg = find(name)\nany(cp(command) for command in (commands(seg) if seg else []))\n"
         "unlock()"),
]


# ---- 02.4

def place(text: str) -> str:
    return "# Your turn: 02.4\ndef check_place(first, last, max_pfn, storage, loaded):\n" + body(text)


def limit(test: str) -> str:
    return f'if {test}:\n    raise OSError(errno.ERANGE, "behind the limit")\n'


MEETS = "other.first // 256 <= last // 256 and first // 256 <= other.last // 256"
STORED = 'if first < storage:\n    raise OSError(errno.ENOSPC, "storage")\n'
LOADED = f'for other in loaded:\n    if {MEETS}:\n        raise OSError(errno.EBUSY, "a segment")\n'

WRONG_PLACE = [
    ("limit-is-the-last", place(limit("last > max_pfn") + STORED + LOADED)),
    ("start-is-enough", place(limit("first >= max_pfn") + STORED + LOADED)),
    ("one-page-to-be-safe", place(limit("last + 1 >= max_pfn") + STORED + LOADED)),
    ("megabytes-can-be-shared", place(limit("last >= max_pfn") + (STORED + LOADED).replace(" // 256", ""))),
    ("any-error-will-do", place(limit("last >= max_pfn") + STORED + LOADED.replace("EBUSY", "ENOSPC"))),
]
RIGHT_PLACE = [
    place(limit("not last < max_pfn") + STORED + LOADED),
    place(LOADED + STORED + limit("last + 1 > max_pfn")),
    place("mine = set(range(first >> 8, (last >> 8) + 1))\nif last not in range(max_pfn):\n"
          "    raise OSError(errno.ERANGE, 'no address')\nif first in range(storage):\n"
          "    raise OSError(errno.ENOSPC, 'storage')\nfor p in loaded:\n"
          "    if mine & set(range(p.first >> 8, (p.last >> 8) + 1)):\n"
          "        raise OSError(errno.EBUSY, 'taken')"),
]


# ---- 02.5

def modify(text: str) -> str:
    return "# Your turn: 02.5\ndef modify_shared(seg, mode, purge, load, destroy):\n" + body(text)


UNKNOWN = 'if seg is None:\n    raise OSError(errno.EINVAL, "not loaded")\n'
SAME_MODE = "if seg.do_nonshared == mode:\n    return\n"
USED = 'if seg.ref_count != 1:\n    raise OSError(errno.EAGAIN, "others use it")\n'
PURGE = "purge(seg)\n"
LOAD = "try:\n    load(seg, mode)\nexcept OSError:\n    destroy(seg)\n    raise\n"
NOTE = "seg.do_nonshared = mode\n"

WRONG_MODIFY = [
    ("same-mode-loads-again", modify(UNKNOWN + USED + PURGE + LOAD + NOTE)),
    ("others-follow", modify(UNKNOWN + SAME_MODE + PURGE + LOAD + NOTE)),
    ("load-replaces", modify(UNKNOWN + SAME_MODE + USED + LOAD + NOTE)),
    ("failed-load-changes-nothing", modify(UNKNOWN + SAME_MODE + USED + PURGE + "load(seg, mode)\n" + NOTE)),
    ("failure-needs-no-word", modify(UNKNOWN + SAME_MODE + USED + PURGE + LOAD.replace("raise", "return")
                                     + NOTE)),
    ("cp-knows-the-mode", modify(UNKNOWN + SAME_MODE + USED + PURGE + LOAD)),
]
RIGHT_MODIFY = [
    modify("if not seg:\n    raise OSError(errno.EINVAL, 'x')\nif seg.do_nonshared != mode:\n"
           "    if seg.ref_count > 1:\n        raise OSError(errno.EAGAIN, 'x')\n    purge(seg)\n"
           "    try:\n        load(seg, mode)\n    except OSError as failure:\n        destroy(seg)\n"
           "        raise failure\n    seg.do_nonshared = mode"),
    modify(UNKNOWN + SAME_MODE + USED + PURGE + "loaded = False\ntry:\n    load(seg, mode)\n"
           "    loaded = True\nfinally:\n    if not loaded:\n        destroy(seg)\n" + NOTE),
    modify(UNKNOWN + SAME_MODE + USED + PURGE + "before = seg.do_nonshared\n" + NOTE
           + LOAD.replace("    destroy(seg)", "    seg.do_nonshared = before\n    destroy(seg)")),
]

WRONG = {"02.1": WRONG_STORE, "02.2": WRONG_LOAD, "02.3": WRONG_SAVE, "02.4": WRONG_PLACE,
         "02.5": WRONG_MODIFY}
RIGHT = {"02.3": RIGHT_SAVE, "02.4": RIGHT_PLACE, "02.5": RIGHT_MODIFY}
