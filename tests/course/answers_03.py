"""Recorded answers to exercise 03: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from xiplab.course.parsons import lettered
from xiplab.course.problem import question
from xiplab.course.questions.ex03_add import EXCLUSIVE, GAP, LONG, MIXED, ORDER, TAKEN, situation


def body(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip("\n").splitlines()) + "\n"


# ---- 03.1

def first(kind: int) -> int:
    """The number of a situation of this kind."""
    return next(number for number in range(500) if situation(number).kind == kind)


def add(kind: int, said: object) -> str:
    return (f"# Your turn: 03.1\nSITUATION = {first(kind)}\n\n\ndef what_add_answers():\n"
            f"    return {said!r}\n")


WRONG_ADD = [
    ("order-must-fit", add(ORDER, "EINVAL")),
    ("order-given-is-order-on-disk", add(ORDER, (6144, "PART2"))),
    ("one-disk-for-each-segment", add(ORDER, (2048, "PART1"))),
    ("one-disk-for-each-segment", add(ORDER, (4096, "PART2"))),
    ("sector-is-a-page", add(ORDER, (768, "PART1"))),
    ("sector-is-a-byte", add(ORDER, (3 << 20, "PART1"))),
    ("gap-is-bridged", add(GAP, (4096, "PART1"))),
    ("types-do-not-matter", add(MIXED, (4096, "PART1"))),
    ("types-must-be-equal", add(EXCLUSIVE, "EINVAL")),
    ("one-segment-two-disks", add(TAKEN, (4096, "PART1"))),
    ("busy-means-taken", add(TAKEN, "EBUSY")),
    ("too-short-is-not-too-long", add(LONG, "EINVAL")),
]


# ---- 03.2

def release(*lines: str) -> str:
    """The answer whose blocks are these, named by a part of their text; each the first that fits."""
    letters = {block.text: letter for letter, block in lettered(question("03.2")).items()}
    order = "".join(next(letter for text, letter in letters.items() if text == line) for line in lines)
    return f'# Your turn: 03.2\ndef order_of_release():\n    return "{order}"\n'


HEAD = "def release(info, segment_save):"
COUNT = "    info.use_count -= 1"
ASK = "    if info.use_count == 0 and info.save_pending:"
EACH = "        for segment in info.seg_list:"
SAVE = "            segment_save(segment.segment_name)"
CLEAR = "        info.save_pending = False"

WRONG_RELEASE = [
    ("any-close-is-the-release", release(HEAD, COUNT, "    if info.save_pending:", EACH, SAVE, CLEAR)),
    ("first-segment-is-the-device",
     release(HEAD, COUNT, ASK, "        segment_save(info.segment_name)", CLEAR)),
    ("save-is-forgotten", release(HEAD, COUNT, ASK, EACH, SAVE, "    info.save_pending = False")),
    ("counted-too-late", release(HEAD, ASK, EACH, SAVE, CLEAR, COUNT)),
    ("save-stays-pending", release(HEAD, COUNT, ASK, EACH, SAVE)),
]
RIGHT_RELEASE = [release(HEAD, COUNT, ASK, CLEAR, EACH, SAVE)]


# ---- 03.3

def sized(text: str) -> str:
    return "# Your turn: 03.3\ndef direct_access(bdev, sector, size):\n" + body(text)


INFO = "info = bdev.bd_disk.private_data\noffset = sector * SECTOR_SIZE\nkaddr = info.start + offset\n"
BEHIND = 'if offset >= device_size:\n    raise OSError(errno.ERANGE, "behind the end")\n'
MENDED = "device_size = info.end - info.start + 1\n"
SHORT = "device_size = info.end - info.start\n"
ANSWER = "return kaddr, kaddr // PAGE_SIZE, min(size, device_size - offset)"

WRONG_SIZED = [
    ("end-minus-start", sized(INFO + SHORT + BEHIND + ANSWER)),
    ("size-is-granted", sized(INFO + MENDED + BEHIND + "return kaddr, kaddr // PAGE_SIZE, size")),
    ("whole-pages-mend-it", sized(INFO + SHORT + BEHIND + "return kaddr, kaddr // PAGE_SIZE, "
                                  "min(size, (device_size - offset) // PAGE_SIZE * PAGE_SIZE)")),
    ("whole-pages-mend-it", sized(INFO + SHORT + BEHIND.replace("offset >=", "offset + PAGE_SIZE >=")
                                  + ANSWER)),
    ("nothing-is-an-answer", sized(INFO + MENDED + BEHIND.replace(">=", ">") + ANSWER)),
    ("nobody-asks-behind-the-end", sized(INFO + MENDED + ANSWER)),
]
RIGHT_SIZED = [
    sized(INFO + SHORT + BEHIND.replace(">=", ">") + ANSWER.replace("device_size - offset",
                                                                    "device_size - offset + 1")),
    sized(INFO + "behind = info.end + 1\nif kaddr >= behind:\n    raise OSError(errno.ERANGE, 'no')\n"
          "return kaddr, kaddr >> 12, min(size, behind - kaddr)"),
    sized(INFO + "left = len(range(kaddr, info.end + 1))\nif not left:\n"
          "    raise OSError(errno.ERANGE, 'no')\nreturn [kaddr, kaddr // 4096, min(left, size)]"),
    sized("disk = bdev.bd_disk\nleft = (disk.capacity - sector) * 512\nif left <= 0:\n"
          "    raise OSError(errno.ERANGE, 'no')\nkaddr = disk.private_data.start + sector * 512\n"
          "return kaddr, kaddr // PAGE_SIZE, left if left < size else size"),
]


# ---- 03.4

def bio(text: str) -> str:
    return "# Your turn: 03.4\ndef make_request(bio, copy_pages, bio_endio):\n" + body(text)


DISK = "disk = bio.bi_bdev.bd_disk\ninfo = disk.private_data\n"
ODD = "bio.bi_sector % 8 or bio.bi_size % PAGE_SIZE"
END = "bio.bi_sector + bio.bi_size // SECTOR_SIZE > disk.capacity"
KEPT = "info.is_shared and info.segment_type in READ_ONLY_TYPES and bio.bi_rw == WRITE"
REFUSE = "    return bio_endio(bio, errno.EIO)\n"
LOOP = """
address = info.start + bio.bi_sector * SECTOR_SIZE
for bvec in bio.bi_io_vec:
    copy_pages(info, address, bvec.memory, bio.bi_rw)
    address += bvec.bv_len
"""
DONE = "bio_endio(bio, 0)\n"


def refusing(*reasons: str) -> str:
    return DISK + f"if {' or '.join(reasons)}:\n" + REFUSE


WRONG_BIO = [
    ("each-piece-at-the-start",
     bio(refusing(ODD, END, KEPT) + LOOP.replace("    address += bvec.bv_len\n", "") + DONE)),
    ("bio-is-done-piece-by-piece", bio(refusing(ODD, END, KEPT) + LOOP + "    bio_endio(bio)\n")),
    ("refused-means-ignored", bio(refusing(ODD, END, KEPT).replace("bio_endio(bio, errno.EIO)", "None")
                                  + LOOP + DONE)),
    ("bio-errors-are-raised", bio(refusing(ODD, END, KEPT).replace(
        "return bio_endio(bio, errno.EIO)", "raise OSError(errno.EIO, 'refused')") + LOOP + DONE)),
    ("copied-is-completed", bio(refusing(ODD, END, KEPT) + LOOP)),
    ("any-sector-will-do", bio(refusing(END, KEPT) + LOOP + DONE)),
    ("nobody-asks-behind-the-end", bio(refusing(ODD, KEPT) + LOOP + DONE)),
    ("end-is-outside", bio(refusing(ODD, END.replace(">", ">="), KEPT) + LOOP + DONE)),
    ("machine-will-protect", bio(refusing(ODD, END) + LOOP + DONE)),
    ("type-alone-decides", bio(refusing(ODD, END, KEPT.replace("info.is_shared and ", "")) + LOOP + DONE)),
]
RIGHT_BIO = [
    bio(DISK + "first, size = bio.bi_sector, bio.bi_size\n"
        "good = first % 8 == 0 and size % 4096 == 0 and first + size // 512 <= disk.capacity\n"
        "if info.is_shared and info.segment_type in READ_ONLY_TYPES:\n    good = good and bio.bi_rw == READ\n"
        "if not good:\n    bio_endio(bio, errno.EIO)\n    return\n" + LOOP + "bio_endio(bio)"),
    bio(DISK + f"for reason in ({ODD}, {END}, {KEPT}):\n    if reason:\n        return bio_endio(bio, 5)\n"
        "done = 0\nfor bvec in bio.bi_io_vec:\n"
        "    copy_pages(info, info.start + bio.bi_sector * 512 + done, bvec.memory, bio.bi_rw)\n"
        "    done += bvec.bv_len\nbio_endio(bio, 0)"),
    bio(DISK + "address = info.start + (bio.bi_sector << 9)\n"
        "if address % 4096 or address + bio.bi_size - 1 > info.end or bio.bi_size & 4095:\n" + REFUSE
        + "if bio.bi_rw == WRITE and info.is_shared and info.segment_type in (2, 3, 6):\n" + REFUSE
        + "pieces = list(bio.bi_io_vec)\nwhile pieces:\n    piece = pieces.pop(0)\n"
        "    copy_pages(info, address, piece.memory, bio.bi_rw)\n    address = address + piece.bv_len\n"
        "bio_endio(bio)"),
]


# ---- 03.5

def shared(text: str) -> str:
    return "# Your turn: 03.5\ndef shared_store(info, mode, segment_modify_shared):\n" + body(text)


FLIP = "info.is_shared = mode == SEGMENT_SHARED\n"


def each(before: str, after: str, caught: str = "OSError as refusal", on_success: str = "") -> str:
    return (f"{before}for segment in info.seg_list:\n    try:\n"
            f"        segment_modify_shared(segment.segment_name, mode)\n{on_success}    except {caught}:\n"
            f"{after}")


PASS_ON = "        if refusal.errno != errno.EAGAIN:\n            raise\n"
REMEMBER = "        complete = False\n"

WRONG_SHARED = [
    ("not-now-is-yes", shared(each("", PASS_ON) + FLIP)),
    ("not-now-is-yes", shared(each(FLIP, PASS_ON))),
    ("last-segment-decides", shared(each("complete = True\n", PASS_ON + REMEMBER,
                                         on_success="        complete = True\n")
                                    + "if complete:\n    " + FLIP)),
    ("one-segment-is-enough", shared(each("", PASS_ON, on_success="        " + FLIP))),
    ("every-error-is-not-now", shared(each("complete = True\n", REMEMBER, caught="OSError")
                                      + "if complete:\n    " + FLIP)),
]
RIGHT_SHARED = [
    shared("for segment in info.seg_list:\n    segment_modify_shared(segment.segment_name, mode)\n" + FLIP),
    shared(each("refused = 0\n", PASS_ON + "        refused += 1\n") + "if refused:\n"
           "    raise OSError(errno.EAGAIN, 'in use')\n" + FLIP),
    shared(each("", PASS_ON + "        return\n") + FLIP),
    shared("before = info.is_shared\n" + each(FLIP, PASS_ON + "        info.is_shared = before\n").replace(
        "raise", "info.is_shared = before\n            raise")),
]

WRONG = {"03.1": WRONG_ADD, "03.2": WRONG_RELEASE, "03.3": WRONG_SIZED, "03.4": WRONG_BIO,
         "03.5": WRONG_SHARED}
RIGHT = {"03.2": RIGHT_RELEASE, "03.3": RIGHT_SIZED, "03.4": RIGHT_BIO, "03.5": RIGHT_SHARED}
