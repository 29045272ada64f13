"""Question 05.5: which block sizes will do? The mount asks the learner's function.

Every mount is tried twice, once with the answer and once with ext2's own function. A wrong function of
what the answer can see, which predicts all that it said, is the belief that is named.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.stage_05 import DEVICES, mount
from xiplab.linux.fs.ext2.ext2 import EXT2_SB
from xiplab.linux.fs.ext2.xip import ext2_use_xip
from xiplab.linux.include.fs import SuperBlock
from xiplab.units import PAGE_SIZE

BLOCK_SIZES = (1024, 2048, 4096)
Outcome: TypeAlias = tuple[str, int, str]


def blocksize_on_disk(sb: SuperBlock) -> int:
    """The block size that the super block on the device says."""
    return int(1024 << EXT2_SB(sb).s_es.s_log_block_size)


def uses_xip(sb: SuperBlock) -> bool:
    """Whether this mount is to be in place: it was asked for, and the device has direct_access."""
    return ext2_use_xip(sb)


SHOWS: dict[type, str] = {SuperBlock: "s_blocksize"}
GIVEN: dict[str, Callable[..., object]] = {"blocksize_on_disk": blocksize_on_disk, "uses_xip": uses_xip}

Refuses: TypeAlias = Callable[[bool, int, int], bool]
"""Whether a mount is refused: (in place, block size on the device, the one the mount began with)."""

BELIEFS: tuple[tuple[str, Refuses], ...] = (
    ("any-block-size-will-do", lambda xip, size, provisional: False),
    ("first-guess-is-the-truth", lambda xip, size, provisional: xip and (
        size != PAGE_SIZE or size != provisional)),
    ("first-guess-is-the-truth", lambda xip, size, provisional: xip and size != provisional),
    ("first-guess-is-the-truth", lambda xip, size, provisional: xip and provisional != PAGE_SIZE),
    ("only-pages-mount", lambda xip, size, provisional: size != PAGE_SIZE),
    ("only-pages-mount", lambda xip, size, provisional: size != PAGE_SIZE or size != provisional),
    ("xip-or-nothing", lambda xip, size, provisional: xip),
)


def tried(answer: Answer, device: str, blocksize: int, options: str, seen: list[tuple[bool, int, int, bool]]
          ) -> str:
    """Mount through the answer's function; what it saw and whether it refused is noted."""
    def size_of(sb: SuperBlock, silent: bool) -> int:
        xip, size, provisional = uses_xip(sb), blocksize_on_disk(sb), sb.s_blocksize
        try:
            value: Any = answer.call("block_size_of", sb, silent)
        except AnswerRaised as refusal:
            if refusal.errno is None:
                raise
            seen.append((xip, size, provisional, True))
            raise OSError(refusal.errno, f"your block_size_of: {refusal.text}") from refusal
        seen.append((xip, size, provisional, False))
        if type(value) is not int or value != size:
            raise Wrong("Your function must return the block size of the file system.",
                        given=described(device, blocksize, options), expected=str(size), got=repr(value),
                        misconception="first-guess-is-the-truth" if value == provisional else "")
        return value

    return mount(device, blocksize, options, size_of)


def described(device: str, blocksize: int, options: str) -> str:
    kinds = {"segment": "a segment (direct_access, sectors read in pages)",
             "ramdisk": "a ramdisk (direct_access, logical blocks of 512 bytes)",
             "disk": "a disk (no direct_access)"}
    return f"{kinds[device]}, file system of {blocksize:,}-byte blocks, {options or 'without xip'}"


def check_mounts(answer: Answer, mounts: list[Outcome]) -> None:
    """Each mount ends as with ext2's own function."""
    seen: list[tuple[bool, int, int, bool]] = []
    results = [(case, tried(answer, *case, seen), mount(*case)) for case in mounts]
    for case, got, expected in results:
        if got != expected:
            code = got not in ("EINVAL", "in place", "page cache")
            raise Wrong("This mount ends otherwise with ext2's own function.", given=described(*case),
                        expected=expected, got=got,
                        misconception="any-error-will-do" if code else belief_behind(seen))


def belief_behind(seen: list[tuple[bool, int, int, bool]]) -> str:
    """The misconception that predicts each refusal; empty if none does."""
    return next((name for name, refuses in BELIEFS
                 if all(refuses(facts[0], facts[1], facts[2]) == facts[3] for facts in seen)), "")


EVERY = [(device, size, options) for device in DEVICES for size in BLOCK_SIZES for options in ("xip", "")]


def check_pages_in_place(answer: Answer, random: Random) -> None:
    """Blocks that are pages: in place wherever the device can, and in the page cache elsewhere."""
    check_mounts(answer, [case for case in EVERY if case[1] == PAGE_SIZE])


def check_every_mount(answer: Answer, random: Random) -> None:
    """Three devices, three block sizes, with xip and without."""
    mounts = list(EVERY)
    random.shuffle(mounts)
    check_mounts(answer, mounts)


