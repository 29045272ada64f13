"""Recorded answers to exercise 04: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from xiplab.course.parsons import lettered
from xiplab.course.problem import question


def function(id: str, head: str, body: str, before: str = "") -> str:
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return f"# Your turn: {id}\n{before}{head}\n{lines}\n"


def blocks(*numbers: int) -> str:
    return function("04.1", "def blocks_of_the_pages():", f"return {list(numbers)}", "SITUATION = 0\n\n\n")


def order(*blocks: int) -> str:
    """The blocks of 04.2 by their numbers in the question."""
    letter_of = {block: letter for letter, block in lettered(question("04.2")).items()}
    letters = "".join(letter_of[question("04.2").blocks[number]] for number in blocks)
    return function("04.2", "def order():", f"return {letters!r}")


def block_size_of(body: str) -> str:
    return function("04.3", "def block_size_of(sb, xip):", body, "PAGE_SIZE = 4096\n\n\n")


def inode_place(body: str) -> str:
    return function("04.4", "def inode_place(image, ino):", "superblock = 1024\n" + body)


def block_of(body: str) -> str:
    return function("04.5", "def block_of(image, inode, page):",
                    "size = 1024 << number(image, 1024 + 24)\n"
                    "slots = [number(image, inode + 40 + 4 * slot) for slot in range(15)]\n" + body)


REFUSE = 'if not 1 <= ino <= number(image, superblock): raise OSError(errno.EINVAL, "no such inode")\n'
SIZE = "size = 1024 << number(image, superblock + 24)\n"
GROUP = "group, index = divmod(ino - 1, number(image, superblock + 40))\n"
DESCRIPTOR = "descriptor = (number(image, superblock + 20) + 1) * size + group * 32\n"
END = "return number(image, descriptor + 8) * size + index * number(image, superblock + 88, 2)"
PLACE = REFUSE + SIZE + GROUP + DESCRIPTOR + END

DIRECT = "if page < 12: return slots[page]\npage -= 12\ncount = size // 4\n"
SINGLE = ("if page < count: return number(image, slots[12] * size + 4 * page) if slots[12] else 0\n"
          "page -= count\n")
DOUBLE = ("middle = number(image, slots[13] * size + 4 * (page // count)) if slots[13] else 0\n"
          "return number(image, middle * size + 4 * (page % count)) if middle else 0")

MENDED = ('size = 1024 << sb.s_log_block_size\nif xip and size != PAGE_SIZE:\n'
          '    raise OSError(errno.EINVAL, "x")\nreturn size')

WRONG = {
    "04.1": [
        ("file-is-contiguous", blocks(56, 61, 66, 69)),
        ("page-is-block", blocks(2, 7, 12, 15)),
        ("hole-takes-a-block", blocks(162, 211, 94, 135)),
        ("indirect-block-is-data", blocks(0, 211, 235, 0)),
        ("pointers-count-on", blocks(0, 211, 0, 0)),
        ("pointers-begin-at-one", blocks(0, 211, 94, 86)),
    ],
    "04.2": [
        ("removed-record-counts", order(0, 1, 2, 3, 7, 5, 6)),
        ("name-fills-the-record", order(0, 1, 2, 8, 4, 5, 6)),
        ("record-ends-with-its-name", order(0, 1, 2, 3, 4, 9, 6)),
        ("record-ends-with-its-name", order(0, 1, 3, 2, 4, 9, 6)),
    ],
    "04.3": [
        ("provisional-size-is-real", block_size_of(MENDED.replace("PAGE_SIZE", "sb.s_blocksize"))),
        ("provisional-size-is-real", block_size_of(MENDED.replace("size !=", "sb.s_blocksize !="))),
        ("provisional-size-is-real", block_size_of(MENDED.replace("return size", "return sb.s_blocksize"))),
        ("any-block-can-be-mapped", block_size_of("return 1024 << sb.s_log_block_size")),
        ("any-block-can-be-mapped", block_size_of(MENDED.replace("!=", ">"))),
        ("every-mount-needs-pages", block_size_of(MENDED.replace("xip and ", ""))),
        ("any-error-will-do", block_size_of(MENDED.replace('OSError(errno.EINVAL, "x")', "OSError(5, 'x')"))),
    ],
    "04.4": [
        ("inodes-begin-at-zero", inode_place(PLACE.replace("ino - 1", "ino"))),
        ("one-inode-table", inode_place(REFUSE + SIZE + "group, index = 0, ino - 1\n" + DESCRIPTOR + END)),
        ("inode-is-128-bytes", inode_place(PLACE.replace("number(image, superblock + 88, 2)", "128"))),
        ("blocks-are-pages", inode_place(PLACE.replace(SIZE, "size = 4096\n"))),
        ("descriptors-in-block-one", inode_place(PLACE.replace("(number(image, superblock + 20) + 1)", "1"))),
        ("block-number-is-a-place", inode_place(PLACE.replace("descriptor + 8) * size", "descriptor + 8)"))),
        ("any-number-is-an-inode", inode_place(PLACE.replace(REFUSE, ""))),
        ("any-number-is-an-inode", inode_place(PLACE.replace("1 <= ino", "0 <= ino"))),
        ("any-error-will-do", inode_place(PLACE.replace('OSError(errno.EINVAL, "no such inode")',
                                                        'KeyError("x")'))),
        ("place-is-bytes", inode_place(PLACE.replace("return ", "start = ")
                                       + "\nreturn image[start:][:128]")),
    ],
    "04.5": [
        ("indirect-block-is-data", block_of("return slots[page] if page < 15 else 0")),
        ("indirect-block-is-data", block_of("if page < 12: return slots[page]\n"
                                            "return slots[12] if page < 268 else slots[13]")),
        ("pointers-count-on", block_of("count = size // 4\nif page < 12: return slots[page]\n" + SINGLE
                                       + DOUBLE)),
        ("pointers-count-on", block_of((DIRECT + SINGLE + DOUBLE).replace("page -= count\n", ""))),
        ("two-levels-are-one", block_of(DIRECT + SINGLE
                                        + "return number(image, slots[13] * size + 4 * page)")),
        ("levels-turned-round", block_of(DIRECT + SINGLE + DOUBLE.replace("//", "¤").replace("%", "//")
                                         .replace("¤", "%"))),
        ("hole-is-in-the-slots-only", block_of(DIRECT + SINGLE + DOUBLE.replace(" if middle else 0", ""))),
    ],
}

RIGHT = {
    "04.2": [order(0, 1, 2, 3, 4, 5, 6), order(0, 1, 3, 2, 4, 5, 6)],
    "04.3": [
        block_size_of(MENDED),
        block_size_of("if xip and sb.s_log_block_size != 2: raise OSError(errno.EINVAL, 'x')\n"
                      "return 2 ** (10 + sb.s_log_block_size)"),
        block_size_of("import os\nsizes = [1024, 2048, 4096]\nsize = sizes[sb.s_log_block_size]\n"
                      "if not xip or size == PAGE_SIZE: return size\n"
                      "raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))"),
    ],
    "04.4": [
        inode_place(PLACE),
        inode_place("""
count, first, log, per_group = (number(image, 1024 + at) for at in (0, 20, 24, 40))
if ino < 1 or ino > count: raise OSError(errno.EINVAL, "x")
block = 1 << (10 + log)
tables = [number(image, (first + 1) * block + 32 * g + 8) for g in range((count - 1) // per_group + 1)]
return tables[(ino - 1) // per_group] * block + (ino - 1) % per_group * number(image, 1112, 2)
"""),
        inode_place("""
import struct
if not 0 < ino < number(image, superblock) + 1: raise OSError(errno.EINVAL, "x")
size, group = 1024 << image[superblock + 24], 0
while ino > number(image, superblock + 40):
    ino, group = ino - number(image, superblock + 40), group + 1
table, = struct.unpack_from("<I", image, max(2048, size) + 32 * group + 8)
return table * size + (ino - 1) * number(image, superblock + 88, 2)
"""),
    ],
    "04.5": [
        block_of(DIRECT + SINGLE + DOUBLE),
        block_of("""
count = size // 4
def follow(block, index):
    return number(image, block * size + 4 * index) if block else 0
if page < 12: return slots[page]
if page < 12 + count: return follow(slots[12], page - 12)
row, column = divmod(page - 12 - count, count)
return follow(follow(slots[13], row), column)
"""),
        block_of("""
import struct
def numbers(block):
    if not block: return (0,) * (size // 4)
    return struct.unpack_from(f"<{size // 4}I", image, block * size)
reach = slots[:12]
if page >= 12: reach += numbers(slots[12])
if page >= len(reach):
    for block in numbers(slots[13]):
        reach += numbers(block)
        if page < len(reach): break
return reach[page]
"""),
    ],
}

SURVIVORS = {
    "04.2": ["BHCEGAI"],            # the name's length may be read before the other two numbers
    "04.4": ["+ 88, 3)"],           # the third byte belongs to s_block_group_nr, which is 0 here
    "04.5": ["range(16)", "range(14)"],     # slot 14 is not needed
}
