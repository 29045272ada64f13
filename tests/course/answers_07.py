"""Recorded answers to exercise 07: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from collections.abc import Callable

from xiplab.course.parsons import lettered
from xiplab.course.problem import question
from xiplab.course.questions.ex07_predict import Situation, Touch, frames_after, situation


def indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.strip("\n").splitlines())


# ---- 07.1

def frames(number: int, *words: str) -> str:
    return f"SITUATION = {number}\n\n\ndef frames_after():\n    return {list(words)}\n"


def first(fits: Callable[[Situation, Touch, str], bool]) -> tuple[int, int]:
    """The first situation with a touch that fits, and which touch; those before it may be right."""
    for number in range(500):
        case = situation(number)
        for place, (touch, word) in enumerate(zip(case.touches, frames_after(case), strict=True)):
            if fits(case, touch, word):
                return number, place
    raise LookupError("no such situation")


def said_instead(word: str, fits: Callable[[Situation, Touch, str], bool]) -> str:
    """All right but one touch."""
    number, place = first(fits)
    words = list(frames_after(situation(number)))
    words[place] = word
    return frames(number, *words)


WRONG_FRAMES = [
    ("hole-is-an-error", frames(0, "storage", "SIGBUS", "private copy")),
    ("hole-takes-a-block", frames(0, "storage", "storage", "private copy")),
    ("private-store-reaches-the-file", frames(0, "storage", "sparse page", "storage")),
    ("mapping-is-a-copy", frames(0, "private copy", "sparse page", "private copy")),
    ("a-load-changes-nothing", said_instead("sparse page", lambda case, touch, word: case.before == ""
                                            and touch == Touch("writer", 1) and word == "storage")),
    ("sparse-page-takes-stores", said_instead("sparse page", lambda case, touch, word: case.before == ""
                                              and touch == Touch("writer", 1, True))),
    ("sparse-page-stays", said_instead("sparse page", lambda case, touch, word: case.before == "filled"
                                       and touch == Touch("reader", 1))),
    ("mapped-pages-survive-truncate", said_instead("storage", lambda case, touch, word: case.before == "cut"
                                                   and touch == Touch("reader", 2))),
    ("behind-the-end-is-zeros", said_instead("sparse page", lambda case, touch, word: word == "SIGBUS")),
    ("private-copies-at-once", said_instead("private copy", lambda case, touch, word: word == "storage"
                                            and touch == Touch("private", 0))),
]

# ---- 07.2

def order(*parts: str) -> str:
    """An order of blocks, each named by a part of it."""
    blocks = lettered(question("07.2"))
    letters = [next(letter for letter, block in blocks.items() if part in block.text) for part in parts]
    return f"def order_of_xip_unmap():\n    return {''.join(letters)!r}\n"


DEF, LOOP, ADDRESS, INSIDE, SPARSE, CLEAR = ("def ", "i_mmap:", "vma.vm_pgoff", "<= address", "== sparse",
                                             "pte_clear(vma, ")
WRONG_ORDERS = [
    ("one-mapping-is-enough", order(DEF, "i_mmap[:1]", ADDRESS, INSIDE, SPARSE, CLEAR)),
    ("pages-begin-at-the-mapping", order(DEF, LOOP, "vm_start + pgoff", INSIDE, SPARSE, CLEAR)),
    ("unmap-takes-everything", order(DEF, LOOP, ADDRESS, INSIDE, "is not None", CLEAR)),
]

# ---- 07.3

def fault(body: str) -> str:
    return ("def xip_file_fault(vma, vmf, get_xip_mem, xip_sparse_page, xip_unmap, vm_insert_mixed):\n"
            f"    mapping = vma.vm_file.f_mapping\n{indented(body)}\n")


PASSED_ON = "    if failure.errno != errno.ENODATA:\n        raise\n"
END = "if vmf.pgoff * PAGE_SIZE >= mapping.host.i_size:\n    return VM_FAULT_SIGBUS\n"
LOOK = """
try:
    kmem, pfn = get_xip_mem(mapping, vmf.pgoff, 0)
except OSError as failure:
    if failure.errno != errno.ENODATA:
        raise
"""
HOLE = """
    if vma.vm_flags & VM_SHARED:
        kmem, pfn = get_xip_mem(mapping, vmf.pgoff, 1)
        xip_unmap(mapping, vmf.pgoff)
    else:
        pfn = xip_sparse_page()
"""
ENTER = "vm_insert_mixed(vma, vmf.virtual_address, pfn)\nreturn VM_FAULT_NOPAGE\n"
FAULT = END + LOOK.lstrip("\n") + HOLE.lstrip("\n") + ENTER


def changed(old: str, new: str, body: str = FAULT) -> str:
    assert old in body
    return body.replace(old, new)


WRONG_FAULTS = [
    ("page-numbers-are-bytes", changed("vmf.pgoff * PAGE_SIZE", "vmf.pgoff")),
    ("half-page-is-behind-the-end", changed("vmf.pgoff * PAGE_SIZE >= mapping.host.i_size",
                                            "vmf.pgoff >= mapping.host.i_size // PAGE_SIZE")),
    ("behind-the-end-is-zeros", changed(END, "")),
    ("frame-is-not-bytes", changed("virtual_address, pfn)", "virtual_address, kmem)",
                                   changed("pfn = xip_sparse_page()", "kmem = xip_sparse_page()"))),
    ("hole-is-an-error", changed(HOLE, "    return VM_FAULT_SIGBUS\n", END + LOOK + HOLE + ENTER)),
    ("hole-is-an-error", END + "kmem, pfn = get_xip_mem(mapping, vmf.pgoff, 0)\n" + ENTER),
    ("a-load-changes-nothing", changed("vma.vm_flags & VM_SHARED", "vma.vm_flags & VM_SHARED and vmf.write")),
    ("sparse-page-takes-stores", changed(HOLE, "    pfn = xip_sparse_page()\n", END + LOOK + HOLE + ENTER)),
    ("private-needs-a-block", changed("vma.vm_flags & VM_SHARED", "vma.vm_flags & 0x20")),
    ("may-not-now-is-never", changed("vma.vm_flags & VM_SHARED", "vma.vm_flags & 0xA == 0xA")),
    ("hole-takes-a-block", changed("vma.vm_flags & VM_SHARED", "True")),
    ("sparse-page-stays", changed("        xip_unmap(mapping, vmf.pgoff)\n", "")),
    ("every-error-is-a-hole", changed(PASSED_ON, "")),
]
RIGHT_FAULTS = [
    """
last = (mapping.host.i_size - 1) // PAGE_SIZE
if vmf.pgoff > last:
    return VM_FAULT_SIGBUS
try:
    pfn = get_xip_mem(mapping, vmf.pgoff, False)[1]
except OSError as hole:
    if hole.errno != errno.ENODATA:
        return VM_FAULT_SIGBUS
    pfn = None
if pfn is None and vma.vm_flags & VM_SHARED:
    pfn = get_xip_mem(mapping, vmf.pgoff, True)[1]
    xip_unmap(mapping, vmf.pgoff)
elif pfn is None:
    pfn = xip_sparse_page()
vm_insert_mixed(vma, vmf.virtual_address, pfn)
return VM_FAULT_NOPAGE
""",
    """
npages = -(-mapping.host.i_size // PAGE_SIZE)
if not vmf.pgoff < npages:
    return VM_FAULT_SIGBUS
def frame(create):
    try:
        return get_xip_mem(mapping, vmf.pgoff, create)[1]
    except OSError as failure:
        if create or failure.errno != errno.ENODATA:
            raise
found = frame(0)
if found is None:
    if vma.vm_flags & VM_SHARED == VM_SHARED:
        found = frame(1)
        xip_unmap(mapping, vmf.pgoff)
    else:
        found = xip_sparse_page()
vm_insert_mixed(vma, vmf.virtual_address, found)
return VM_FAULT_NOPAGE
""",
    """
inode = vma.vm_file.f_inode
if vmf.pgoff << 12 >= inode.i_size:
    raise OSError(errno.EFAULT, "behind the end")
try:
    kmem, pfn = get_xip_mem(inode and mapping, vmf.pgoff, 0)
    vm_insert_mixed(vma, vmf.virtual_address, pfn)
    return VM_FAULT_NOPAGE
except OSError as failure:
    if failure.errno != errno.ENODATA:
        return VM_FAULT_SIGBUS
if not vma.vm_flags & VM_SHARED:
    vm_insert_mixed(vma, vmf.virtual_address, xip_sparse_page())
    return VM_FAULT_NOPAGE
kmem, pfn = get_xip_mem(mapping, vmf.pgoff, 1)
xip_unmap(mapping, vmf.pgoff)
vm_insert_mixed(vma, vmf.virtual_address, pfn)
return VM_FAULT_NOPAGE
""",
]

# ---- 07.4

def locked(body: str) -> str:
    return ("def fault_with_lock(vma, vmf, get_xip_mem, xip_sparse_page, vm_insert_mixed, lock, unlock):\n"
            f"    mapping = vma.vm_file.f_mapping\n{indented(body)}\n")


FIND = LOOK.lstrip("\n") + "    pfn = xip_sparse_page()\n"
INSERT = "vm_insert_mixed(vma, vmf.virtual_address, pfn)\n"
RETURN = "return VM_FAULT_NOPAGE\n"


def tried(body: str) -> str:
    """The lock is taken before the lines and given back in any case."""
    return f"lock()\ntry:\n{indented(body)}\nfinally:\n    unlock()\n"


WRONG_RACES = [
    ("looked-up-is-known", END + FIND + "lock()\n" + INSERT + "unlock()\n" + RETURN),
    ("looked-up-is-known", END + FIND + tried("if pfn == xip_sparse_page():\n" + indented(FIND) + "\n"
                                              + INSERT) + RETURN),
    ("kernel-checks-twice", END + tried(FIND + INSERT + RETURN)),
    ("lock-is-for-looking", tried(END + FIND) + INSERT + RETURN),
    ("lock-frees-itself", "lock()\n" + END + FIND + INSERT + RETURN),
    ("lock-frees-itself", "lock()\n" + END + FIND + INSERT + "unlock()\n" + RETURN),
    ("hole-takes-a-block", tried(END + FIND.replace("pgoff, 0", "pgoff, 1") + INSERT + RETURN)),
    ("every-error-is-a-hole", tried(END + changed(PASSED_ON, "", FIND) + INSERT + RETURN)),
]
RIGHT_RACES = [
    tried(END + FIND + INSERT + RETURN),
    """
lock()
if vmf.pgoff * PAGE_SIZE >= mapping.host.i_size:
    unlock()
    return VM_FAULT_SIGBUS
try:
    kmem, pfn = get_xip_mem(mapping, vmf.pgoff, 0)
except OSError as failure:
    if failure.errno != errno.ENODATA:
        unlock()
        return VM_FAULT_SIGBUS
    pfn = xip_sparse_page()
vm_insert_mixed(vma, vmf.virtual_address, pfn)
unlock()
return VM_FAULT_NOPAGE
""",
    END + FIND + tried(END + FIND + INSERT) + RETURN,
]

# ---- 07.5

def count(body: str) -> str:
    return f"def own_frames(areas, follow_pfn, in_segment):\n{indented(body)}\n"


EACH = """
frames = set()
for vma in areas:
    for address in range(vma.vm_start, vma.vm_end, PAGE_SIZE):
        pfn = follow_pfn(vma.vm_mm, address)
"""
WRONG_COUNTS = [
    ("mapped-is-present", "return sum((vma.vm_end - vma.vm_start) // PAGE_SIZE for vma in areas)"),
    ("every-entry-is-a-frame", EACH.replace("set()", "[]") + "        if pfn is not None and not "
     "in_segment(pfn):\n            frames.append(pfn)\nreturn len(frames)"),
    ("mapping-is-a-copy", EACH.replace("set()", "[]") + "        if pfn is not None:\n"
     "            frames.append(pfn)\nreturn len(frames)"),
    ("storage-is-memory-of-the-guest", EACH + "        if pfn is not None:\n            frames.add(pfn)\n"
     "return len(frames)"),
]
RIGHT_COUNTS = [
    """
found = {follow_pfn(vma.vm_mm, address) for vma in areas
         for address in range(vma.vm_start, vma.vm_end, PAGE_SIZE)}
return len([pfn for pfn in found if pfn is not None and not in_segment(pfn)])
""",
]

WRONG = {
    "07.1": WRONG_FRAMES,
    "07.2": WRONG_ORDERS,
    "07.3": [(misconception, fault(body)) for misconception, body in WRONG_FAULTS],
    "07.4": [(misconception, locked(body)) for misconception, body in WRONG_RACES],
    "07.5": [(misconception, count(body)) for misconception, body in WRONG_COUNTS],
}
RIGHT = {
    "07.3": [fault(body) for body in RIGHT_FAULTS],
    "07.4": [locked(body) for body in RIGHT_RACES],
    "07.5": [count(body) for body in RIGHT_COUNTS],
}
NAMES = {"VM_FAULT_SIGBUS": "VM_FAULT_NOPAGE", "VM_FAULT_NOPAGE": "VM_FAULT_SIGBUS", "ENODATA": "EIO",
         "vm_start": "vm_end", "vm_end": "vm_start"}
SURVIVORS = {"07.3": ["get_xip_mem(mapping, vmf.pgoff, 2)"]}
"""Any `create` but 0 takes a block."""
