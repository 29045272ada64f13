"""Recorded answers to exercise 06: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from xiplab.course.parsons import lettered
from xiplab.course.problem import question


def function(id: str, head: str, body: str, before: str = "") -> str:
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return f"# Your turn: {id}\n{before}{head}\n{lines}\n"


def answers(*said: int | str) -> str:
    return function("06.1", "def what_they_answer():", f"return {list(said)!r}", "SITUATION = 0\n\n\n")


def answers_to(number: int, *said: int | str) -> str:
    return answers(*said).replace("SITUATION = 0", f"SITUATION = {number}")


def order(*blocks: int) -> str:
    """The blocks of 06.2 by their numbers in the question."""
    asked = question("06.2")
    letter_of = {block: letter for letter, block in lettered(asked).items()}
    return function("06.2", "def order():", f"return {''.join(letter_of[asked.blocks[n]] for n in blocks)!r}")


def read(body: str) -> str:
    return function("06.3", "def xip_file_read(filp, buf, count, pos):",
                    "mapping, memory = filp.f_mapping, filp.f_mapping.kernel.memory\n"
                    "size, copied = mapping.host.i_size, 0\n" + body)


def mend(body: str) -> str:
    return function("06.4", "def write_in_place(filp, buf, count, pos):", body)


def write(body: str) -> str:
    return function("06.5", "def xip_file_write(filp, buf, count, pos):",
                    "mapping, memory = filp.f_mapping, filp.f_mapping.kernel.memory\n"
                    "inode, written = mapping.host, 0\n" + body)


READ = """
while pos < size and copied < count:
    page, offset = pos // PAGE_SIZE, pos % PAGE_SIZE
    chunk = min(PAGE_SIZE - offset, size - pos, count - copied)
    try:
        kmem, pfn = mapping.a_ops.get_xip_mem(mapping, page, False)
    except OSError as failure:
        if failure.errno != errno.ENODATA:
            if copied:
                break
            raise
        buf.clear_user(chunk)
    else:
        buf.copy_to_user(memory.span(kmem + offset, chunk))
    copied += chunk
    pos += chunk
return copied
"""
MENDED = """
mapping = filp.f_mapping
written = 0
while written < count:
    page, offset = pos // PAGE_SIZE, pos % PAGE_SIZE
    chunk = min(PAGE_SIZE - offset, count - written)
    kmem, pfn = mapping.a_ops.get_xip_mem(mapping, page, False)
    written += buf.copy_from_user(mapping.kernel.memory.span(kmem + offset, chunk, "store"))
    pos += chunk
return written
"""
WRITE = """
while written < count:
    page, offset = pos // PAGE_SIZE, pos % PAGE_SIZE
    chunk = min(PAGE_SIZE - offset, count - written)
    try:
        try:
            kmem, pfn = mapping.a_ops.get_xip_mem(mapping, page, False)
        except OSError as failure:
            if failure.errno != errno.ENODATA:
                raise
            kmem, pfn = mapping.a_ops.get_xip_mem(mapping, page, True)
    except OSError:
        if written:
            break
        raise
    written += buf.copy_from_user(memory.span(kmem + offset, chunk, "store"))
    pos += chunk
inode.i_size = max(inode.i_size, pos)
return written
"""
STOP = """            if copied:
                break
            raise
"""

WRONG = {
    "06.1": [
        ("read-fills-the-buffer", answers(2000, "ENODATA", 4096, "EINVAL")),
        ("end-is-an-error", answers("EINVAL", "ENODATA", 4096, "EINVAL")),
        ("nothing-costs-nothing", answers(216, 0, 4096, "EINVAL")),
        ("all-or-nothing", answers(216, "ENODATA", "ENOSPC", "EINVAL")),
        ("writes-always-fit", answers(216, "ENODATA", 8192, "EINVAL")),
        ("document-is-the-code", answers(216, "ENODATA", 4096, 1000)),
        ("table-has-every-call", answers_to(1, 703, "ENODATA", 703, "EINVAL")),
    ],
    "06.2": [
        ("buffers-begin-anew", order(0, 1, 7, 3, 4, 5, 6)),
        ("all-or-nothing", order(0, 1, 2, 8, 4, 5, 6)),
        ("short-read-goes-on", order(0, 1, 2, 3, 4, 9, 6)),
    ],
    "06.3": [
        ("read-fills-the-buffer", read("size = pos + count\n" + READ)),
        ("length-is-the-total", read(READ.replace("count - copied)", "count)"))),
        ("copy-begins-with-the-page", read(READ.replace("kmem + offset", "kmem"))),
        ("position-is-an-offset", read(READ.replace("kmem + offset", "kmem + pos"))),
        ("file-is-contiguous", read(READ.replace("PAGE_SIZE - offset, ", ""))),
        ("hole-is-an-error", read(READ.replace("if failure.errno != errno.ENODATA:", "if True:"))),
        ("hole-ends-the-read", read(READ.replace("buf.clear_user(chunk)", "break"))),
        ("hole-is-skipped", read(READ.replace("buf.clear_user(chunk)", "pass"))),
        ("reading-allocates", read(READ.replace("page, False", "page, True"))),
        ("every-failure-is-a-hole", read(READ.replace("if failure.errno != errno.ENODATA:", "if False:"))),
        ("all-or-nothing", read(READ.replace(STOP, "            raise\n"))),
        ("error-is-the-end", read(READ.replace(STOP, "            break\n"))),
        ("a-read-returns-bytes", read("return bytes(count)")),
    ],
    "06.4": [
        ("copy-begins-with-the-page", mend(MENDED.replace("kmem + offset", "kmem"))),
        ("position-is-an-offset", mend(MENDED.replace("kmem + offset", "kmem + pos"))),
        ("file-is-contiguous", mend(MENDED.replace("min(PAGE_SIZE - offset, count - written)", "count"))),
    ],
    "06.5": [
        ("copy-begins-with-the-page", write(WRITE.replace("kmem + offset", "kmem"))),
        ("position-is-an-offset", write(WRITE.replace("kmem + offset", "kmem + pos"))),
        ("file-is-contiguous", write(WRITE.replace("min(PAGE_SIZE - offset, count - written)", "count"))),
        ("hole-cannot-be-written", write(WRITE.replace("if failure.errno != errno.ENODATA:", "if True:"))),
        ("file-cannot-grow", write("count = min(count, max(inode.i_size - pos, 0))\n" + WRITE)),
        ("size-follows", write(WRITE.replace("inode.i_size = max(inode.i_size, pos)\n", ""))),
        ("size-is-where-the-write-ends", write(WRITE.replace("max(inode.i_size, pos)", "pos"))),
        ("all-or-nothing", write(WRITE.replace("        if written:\n            break\n", ""))),
        ("error-is-the-end", write(WRITE.replace("        if written:\n            break\n        raise\n",
                                                 "        break\n"))),
    ],
}

RIGHT = {
    "06.1": [answers_to(2, 216, "ENODATA", 4096, "EINVAL")],
    "06.2": [order(0, 1, 2, 3, 4, 5, 6)],
    "06.3": [
        read(READ),
        read("""
end = min(pos + count, size)
start = pos
for page in range(pos // PAGE_SIZE, (end + PAGE_SIZE - 1) // PAGE_SIZE if end > pos else 0):
    stop = min((page + 1) * PAGE_SIZE, end)
    try:
        kmem = mapping.a_ops.get_xip_mem(mapping, page, 0)[0]
        buf.copy_to_user(memory.span(kmem + pos % PAGE_SIZE, stop - pos))
    except OSError as failure:
        if failure.errno == errno.ENODATA: buf.clear_user(stop - pos)
        elif pos == start: raise
        else: break
    pos = stop
return max(pos - start, 0)
"""),
        read("""
def piece(at, most):
    n = min(PAGE_SIZE - at % PAGE_SIZE, most)
    try:
        kmem, _ = mapping.a_ops.get_xip_mem(mapping, at // PAGE_SIZE, False)
    except OSError as failure:
        if failure.errno == errno.ENODATA:
            return buf.clear_user(n)
        raise
    return buf.copy_to_user(memory.span(kmem + at % PAGE_SIZE, n))
count = max(min(count, size - pos), 0)
try:
    while copied < count:
        copied += piece(pos + copied, count - copied)
except OSError:
    if not copied: raise
return copied
"""),
    ],
    "06.4": [
        mend(MENDED),
        mend(MENDED.replace("span(kmem + offset, chunk", "span(kmem + pos % PAGE_SIZE, chunk")),
        mend(MENDED.replace("kmem, pfn = mapping", "kmem = offset + mapping").replace(
            "page, False)", "page, False)[0]").replace("kmem + offset", "kmem")),
    ],
    "06.5": [
        write(WRITE),
        write("""
def address(page):
    try:
        return mapping.a_ops.get_xip_mem(mapping, page, False)[0]
    except OSError as failure:
        if failure.errno == errno.ENODATA:
            return mapping.a_ops.get_xip_mem(mapping, page, True)[0]
        raise
try:
    while written < count:
        at = (pos + written) % PAGE_SIZE
        chunk = min(PAGE_SIZE - at, count - written)
        kmem = address((pos + written) // PAGE_SIZE)
        written += buf.copy_from_user(memory.span(kmem + at, chunk, "store"))
except OSError:
    if not written: raise
if written and pos + written > inode.i_size:
    inode.i_size = pos + written
return written
"""),
        write("""
failed = None
for page in range(pos // PAGE_SIZE, (pos + count - 1) // PAGE_SIZE + 1) if count else ():
    at = pos % PAGE_SIZE
    chunk = min(PAGE_SIZE - at, count - written)
    try:
        kmem, pfn = mapping.a_ops.get_xip_mem(mapping, page, True)
    except OSError as failure:
        failed = failure
        break
    buf.copy_from_user(memory.span(kmem + at, chunk, "store"))
    written, pos = written + chunk, pos + chunk
if failed is not None and written == 0:
    raise failed
if pos > inode.i_size:
    inode.i_size = pos
return written
"""),
    ],
}

SURVIVORS = {
    "06.4": ["page, True"],             # the pages are there: nothing is created
    "06.5": ["pos >= inode", "(mapping, page, True)\n            except", "if False:",
             "ENODATA:\n                    pass"],
}
"""Asked with create at once, or again after any error, get_xip_mem answers the same in the end."""
