"""Recorded answers to exercise 05: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from xiplab.course.parsons import lettered
from xiplab.course.problem import question
from xiplab.course.questions.ex05_predict import Said, Situation, situation

SEVERAL = 200


def indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.strip("\n").splitlines()) + "\n"


# ---- 05.1

def said(number: int, values: Said | list[int | None]) -> str:
    return (f"# Your turn: 05.1\nSITUATION = {number}\n\n\ndef four_answers():\n"
            f"    return {', '.join(map(repr, values))}\n")


def number_with(condition: str) -> int:
    """The number of a situation of this kind, behind 0."""
    def fits(case: Situation) -> bool:
        pages = [page for page, frame in zip(case.asked, case.right[:3], strict=True) if frame is not None]
        return {"behind": any(page >= 12 for page in pages), "cost 1": case.right[3] == 1,
                "cost 2": case.right[3] == 2, "cost 3": case.right[3] == 3}[condition]

    return next(number for number in range(1, SEVERAL) if fits(situation(number)))


def changed(number: int, place: int, value: int | None) -> str:
    """The right answers with one of them exchanged."""
    values = list(situation(number).right)
    values[place] = value
    return said(number, values)


def place_of(number: int, *, hole: bool = False, behind: bool = False) -> int:
    """Which of the three questions is for such a page."""
    case = situation(number)
    return next(n for n, page in enumerate(case.asked)
                if (case.right[n] is None) == hole and (page >= 12) == behind)


ZERO, BEHIND, TWO = situation(0), number_with("behind"), number_with("cost 2")
NEAR = place_of(0)
SLOT_12 = place_of(BEHIND, behind=True)

# ---- 05.2


def order(*texts: str) -> str:
    """An answer to 05.2: blocks, each named by a part of it."""
    blocks = lettered(question("05.2"))
    letters = [next(letter for letter, block in blocks.items() if text in block.text) for text in texts]
    return f"# Your turn: 05.2\ndef order_of_block_for():\n    return {''.join(letters)!r}\n"


HEAD = ("def block_for", "find(inode, page)")
DONE = "if block or not create"
MAKE = ("take(inode)", "clear(inode, block)", "link(inode, page, block)")
END = "    return block"


def end(*texts: str) -> str:
    """The same with the plain `return block` at the end; other blocks have that line inside."""
    blocks = lettered(question("05.2"))
    last = next(letter for letter, block in blocks.items() if block.text == END)
    return order(*texts).replace("'\n", f"{last}'\n")


# ---- 05.3, 05.4, 05.5


def block_of_page(body: str) -> str:
    return f"# Your turn: 05.3\ndef block_of_page(inode, pgoff, create):\n{indented(body)}"


def get_xip_mem(body: str) -> str:
    return ("# Your turn: 05.4\ndef get_xip_mem(mapping, pgoff, create):\n    inode = mapping.host\n"
            f"{indented(body)}")


def block_size_of(condition: str, number: str = "errno.EINVAL", value: str = "size") -> str:
    return ("# Your turn: 05.5\ndef block_size_of(sb, silent):\n    size = blocksize_on_disk(sb)\n"
            f"    if {condition}:\n        raise OSError({number}, 'xip')\n    return {value}\n")


MAP = "block, _, _ = ext2_get_blocks(inode, pgoff, {}, {})\n"
HOLE = 'if not block: raise NoData("a hole")\n'
FIND = "block = ext2_get_block(inode, pgoff, create)[0]\n"
DEVICE = "bdev = inode.i_sb.s_bdev\n"
ASK = DEVICE + "return bdev.bd_disk.fops.direct_access(bdev, {})\n"

WRONG = {
    "05.1": [
        ("pages-lie-in-a-row", changed(0, NEAR, ZERO.first_frame + ZERO.slots[0] + ZERO.asked[NEAR])),
        ("page-is-block", changed(0, NEAR, ZERO.first_frame + ZERO.asked[NEAR])),
        ("frame-from-segment", changed(0, NEAR, (ZERO.right[NEAR] or 0) - ZERO.first_frame)),
        ("hole-is-block-zero", changed(0, place_of(0, hole=True), ZERO.first_frame)),
        ("slot-12-is-a-page", changed(BEHIND, SLOT_12,
                                      situation(BEHIND).first_frame + situation(BEHIND).slots[12])),
        ("slot-12-is-the-end", changed(BEHIND, SLOT_12, None)),
        ("map-costs-nothing", changed(TWO, 3, 1)),
        ("map-costs-nothing", changed(0, 3, 1)),
        ("pages-lie-in-a-row", changed(0, 3, ZERO.written - 14)),
        ("reading-allocates", changed(0, 3, 0)),
    ],
    "05.2": [
        ("linked-before-cleared", end(*HEAD, DONE, MAKE[0], MAKE[2], MAKE[1])),
        ("new-block-shows-old-bytes", end(*HEAD, DONE, MAKE[0], MAKE[2])),
        ("write-takes-a-new-block", end(*HEAD, "if not create", *MAKE)),
        ("reading-allocates", end(*HEAD, "    if block:\n", *MAKE)),
        ("page-is-block", end(*HEAD, DONE, MAKE[0], "clear(inode, page)", MAKE[2])),
    ],
    "05.3": [
        ("zero-means-one", block_of_page(MAP.format(0, "create") + HOLE + "return block")),
        ("more-is-safer", block_of_page(MAP.format(8, "create") + HOLE + "return block")),
        ("asking-is-no-creating", block_of_page(MAP.format(1, False) + HOLE + "return block")),
        ("reading-allocates", block_of_page(MAP.format(1, True) + HOLE + "return block")),
        ("hole-is-block-zero", block_of_page(MAP.format(1, "create") + "return block")),
        ("page-is-block", block_of_page(MAP.format(1, "create") + HOLE + "return pgoff")),
    ],
    "05.4": [
        ("block-is-a-sector", get_xip_mem(FIND + HOLE + ASK.format("block"))),
        ("sector-is-a-byte", get_xip_mem(FIND + HOLE + ASK.format("block * PAGE_SIZE"))),
        ("page-is-block", get_xip_mem(FIND + HOLE + ASK.format("pgoff * 8"))),
        ("pages-lie-in-a-row", get_xip_mem(
            FIND + HOLE + "block = ext2_get_block(inode, 0, False)[0] + pgoff\n" + ASK.format("block * 8"))),
        ("pair-turned-round", get_xip_mem(
            FIND + HOLE + DEVICE + "kmem, pfn = bdev.bd_disk.fops.direct_access(bdev, block * 8)\n"
            "return pfn, kmem")),
        ("hole-is-block-zero", get_xip_mem(FIND + ASK.format("block * 8"))),
        ("reading-allocates", get_xip_mem(FIND.replace("create", "True") + HOLE + ASK.format("block * 8"))),
        ("asking-is-no-creating", get_xip_mem(FIND.replace("create", "False") + HOLE
                                              + ASK.format("block * 8"))),
        ("caller-knows-nothing", get_xip_mem(FIND + "if not block: return None\n" + ASK.format("block * 8"))),
        ("any-error-will-do", get_xip_mem(FIND + 'if not block: raise OSError(errno.ENOENT, "x")\n'
                                          + ASK.format("block * 8"))),
    ],
    "05.5": [
        ("first-guess-is-the-truth", block_size_of("uses_xip(sb) and (size != PAGE_SIZE or "
                                                   "size != sb.s_blocksize)")),
        ("first-guess-is-the-truth", block_size_of("uses_xip(sb) and size != sb.s_blocksize")),
        ("first-guess-is-the-truth", block_size_of("uses_xip(sb) and size != PAGE_SIZE",
                                                   value="sb.s_blocksize")),
        ("any-block-size-will-do", block_size_of("False")),
        ("only-pages-mount", block_size_of("size != PAGE_SIZE")),
        ("xip-or-nothing", block_size_of("uses_xip(sb)")),
        ("any-error-will-do", block_size_of("uses_xip(sb) and size != PAGE_SIZE", "errno.ENODEV")),
    ],
}

RIGHT = {
    "05.1": [said(number, situation(number).right) for number in (0, 1, 2, BEHIND, TWO)],
    "05.2": [end(*HEAD, DONE, *MAKE)],
    "05.3": [block_of_page("block = ext2_get_blocks(inode, pgoff, maxblocks=1, create=create)[0]\n"
                           "if block == 0:\n    raise OSError(errno.ENODATA, 'a hole')\nreturn block")],
    "05.4": [
        get_xip_mem("block, _ = ext2_get_block(inode, pgoff, create)\n" + HOLE + ASK.format("block << 3")),
        get_xip_mem("block = ext2_get_block(inode, pgoff, False)[0]\n"
                    "if not block and create:\n    block = ext2_get_block(inode, pgoff, True)[0]\n"
                    "if block:\n    device = inode.i_sb.s_bdev\n"
                    "    return device.bd_disk.fops.direct_access(device, block * PAGE_SIZE // SECTOR_SIZE)\n"
                    "raise NoData(f'{pgoff}')"),
        get_xip_mem(FIND + "if block < 1:\n    raise OSError(errno.ENODATA, 'hole')\n" + DEVICE
                    + "kmem, pfn = bdev.bd_disk.fops.direct_access(bdev, 8 * block)\nreturn [kmem, pfn]"),
        "def ask(bdev, block):\n    return bdev.bd_disk.fops.direct_access(bdev, block * 8)\n\n\n"
        + get_xip_mem(FIND + HOLE + "return ask(inode.i_sb.s_bdev, block)"),
    ],
    "05.5": [block_size_of("uses_xip(sb) and size < PAGE_SIZE"),
             block_size_of("not (size == PAGE_SIZE or not uses_xip(sb))")],
}
