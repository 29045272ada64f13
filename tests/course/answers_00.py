"""Recorded answers to exercise 00: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from xiplab.course.questions.ex00_predict import PLACES, PRIVATE, SHARED, STORED, Situation, situation


def direct_access(body: str) -> str:
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return ("# Your turn: 00.2\ndef direct_access(bdev, sector):\n    info = bdev.bd_disk.private_data\n"
            f"{lines}\n")


def places(number: int, *names: str) -> str:
    return (f"# Your turn: 00.1\nSITUATION = {number}\n\n\ndef places_with_the_new_byte():\n"
            f"    return {set(names) if names else 'set()'}\n")


NODEV = 'if info is None: raise OSError(errno.ENODEV, "gone")\n'
INVAL = 'if sector % 8: raise OSError(errno.EINVAL, "not a page")\n'
RANGE = 'if info.start + sector * 512 + 4095 > info.end: raise OSError(errno.ERANGE, "behind")\n'
CHECKS = NODEV + INVAL + RANGE

WRONG_DIRECT_ACCESS = [
    ("address-from-zero", CHECKS + "return sector * 512, sector // 8"),
    ("address-from-zero", CHECKS + "return sector * 512, (info.start + sector * 512) // 4096"),
    ("sector-is-a-page", CHECKS + "kaddr = info.start + sector * 4096\nreturn kaddr, kaddr // 4096"),
    ("sector-is-a-byte", CHECKS + "kaddr = info.start + sector\nreturn kaddr, kaddr // 4096"),
    ("frame-from-segment", CHECKS + "return info.start + sector * 512, sector // 8"),
    ("frame-is-not-bytes", CHECKS + "kaddr = info.start + sector * 512\nreturn kaddr, kaddr"),
    ("frame-is-not-bytes", CHECKS + "kaddr = info.start + sector * 512\nreturn kaddr, kaddr // 512"),
    ("pair-turned-round", CHECKS + "kaddr = info.start + sector * 512\nreturn kaddr // 4096, kaddr"),
    ("hands-out-bytes", CHECKS + "return bytes(4096)"),
    ("hands-out-bytes", CHECKS + "return bytes(4096), (info.start + sector * 512) // 4096"),
    ("hands-out-bytes", CHECKS + "copy = bytearray(4096)\nreturn id(copy), id(copy) // 4096"),
    ("end-is-outside", NODEV + INVAL + "if info.start + sector * 512 + 4096 > info.end: "
                       'raise OSError(errno.ERANGE, "x")\nkaddr = info.start + sector * 512\n'
                       "return kaddr, kaddr // 4096"),
    ("end-is-outside", NODEV + INVAL + "if info.start + sector * 512 > info.end + 1: "
                       'raise OSError(errno.ERANGE, "x")\nkaddr = info.start + sector * 512\n'
                       "return kaddr, kaddr // 4096"),
    ("nobody-asks-behind-the-end", NODEV + INVAL + "kaddr = info.start + sector * 512\n"
                                   "return kaddr, kaddr // 4096"),
    ("any-sector-will-do", NODEV + RANGE + "kaddr = info.start + sector // 8 * 4096\n"
                           "return kaddr, kaddr // 4096"),
    ("always-a-segment", INVAL + RANGE + "kaddr = info.start + sector * 512\nreturn kaddr, kaddr // 4096"),
    ("errors-are-values", "if info is None: return -errno.ENODEV\nif sector % 8: return -errno.EINVAL\n"
                          "if info.start + sector * 512 + 4095 > info.end: return -errno.ERANGE\n"
                          "kaddr = info.start + sector * 512\nreturn kaddr, kaddr // 4096"),
    ("errors-are-values", "if info is None or sector % 8: return None\n" + RANGE
                          + "kaddr = info.start + sector * 512\nreturn kaddr, kaddr // 4096"),
    ("any-error-will-do", CHECKS.replace("OSError(errno.EINVAL, ", "ValueError(")
                          + "kaddr = info.start + sector * 512\nreturn kaddr, kaddr // 4096"),
    ("any-error-will-do", CHECKS.replace("ERANGE", "EINVAL")
                          + "kaddr = info.start + sector * 512\nreturn kaddr, kaddr // 4096"),
    ("any-error-will-do", INVAL.replace("if ", "if info is not None and ", 1).replace("EINVAL", "ENODEV")
                          + NODEV + RANGE + "kaddr = info.start + sector * 512\nreturn kaddr, kaddr // 4096"),
]

RIGHT_DIRECT_ACCESS = [
    CHECKS + "kaddr = info.start + sector * 512\nreturn kaddr, kaddr // 4096",
    """
if info is None:
    raise OSError(errno.ENODEV, "no segment")
pgoff, rest = divmod(sector, PAGE_SIZE // SECTOR_SIZE)
if rest:
    raise OSError(errno.EINVAL, "rest")
if (pgoff + 1) * PAGE_SIZE - 1 > info.end - info.start:
    raise OSError(errno.ERANGE, "end")
return [info.start + pgoff * PAGE_SIZE, (info.start >> 12) + pgoff]
""",
    """
if not info: raise OSError(errno.ENODEV, "x")
if sector & 7: raise OSError(errno.EINVAL, "x")
frames = range(info.start // 4096, (info.end + 1) // 4096)
if sector // 8 >= len(frames):
    raise OSError(errno.ERANGE, "x")
pfn = frames[sector // 8]
return pfn * 4096, pfn
""",
    """
def fail(number):
    raise OSError(number, "direct_access")
first = info.start + (sector << 9) if info is not None else fail(errno.ENODEV)
first % 4096 == 0 or fail(errno.EINVAL)
last = first | 0xFFF
last <= info.end or fail(errno.ERANGE)
return first, first >> 12
""",
]


def first(case: Situation) -> int:
    """The number of a situation like this."""
    return next(number for number in range(500) if situation(number) == case)


STORED_IN, PRIVATE_ONLY = Situation("segment", STORED, True), Situation("segment", PRIVATE, True)
DISK_READ, DISK_UNREAD = Situation("disk", SHARED, True), Situation("disk", SHARED, False)

WRONG = {
    "00.1": [
        ("mapping-is-a-copy", places(0, "segment")),
        ("segment-per-guest", places(0, "segment", "LINUX1")),
        ("cache-is-the-storage", places(0, "segment", "LINUX1", "LINUX2", "LINUX3")),
        ("cache-is-the-storage", places(0, *PLACES)),
        ("disk-follows", places(0, "segment", "LINUX1", "LINUX2", "disk")),
        ("private-copies-at-once", places(first(PRIVATE_ONLY), "segment", "LINUX1")),
        ("private-keeps-following", places(first(STORED_IN), "segment", "LINUX1", "LINUX2")),
        ("cache-asks-again", places(first(DISK_READ), "disk", "LINUX3")),
        ("cache-fills-at-mount", places(first(DISK_UNREAD), "disk")),
        ("disk-follows", places(first(DISK_READ), "disk", "segment", "LINUX1", "LINUX2")),
    ],
    "00.2": [(misconception, direct_access(body)) for misconception, body in WRONG_DIRECT_ACCESS],
}
RIGHT = {"00.2": [direct_access(body) for body in RIGHT_DIRECT_ACCESS]}
