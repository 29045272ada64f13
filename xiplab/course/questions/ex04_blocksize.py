"""Question 04.3: a mount that refused good disks, as Linux did up to 2.6.24 (Q14).

The mended function is asked about made-up superblocks first. Then it stands in ext2's own mount, for a
ramdisk whose sectors are smaller than a page.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from itertools import product
from random import Random

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.ramdisk import DISK, guest_with_ramdisk
from xiplab.course.worker import Record
from xiplab.linux.fs.ext2.ext2 import EXT2_SB
from xiplab.linux.fs.ext2.ext2_fs import BLOCK_SIZE
from xiplab.linux.fs.ext2.super import ext2_fill_super
from xiplab.linux.fs.ext2.xip import ext2_use_xip
from xiplab.linux.include.fs import FileSystemType, SuperBlock
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, MiB

LOGS = (0, 1, 2)
REFUSED = "your block_size_of refused the disk"


def on_disk(log: int, provisional: int) -> Record:
    """What the answer sees of a superblock."""
    return Record(s_log_block_size=log, s_blocksize=provisional)


def shown(log: int, provisional: int, xip: bool) -> str:
    option = "with" if xip else "without"
    return f"s_log_block_size {log}, so far s_blocksize is {provisional}, {option} xip"


def is_fit(log: int, xip: bool) -> bool:
    """Whether a disk can be mounted: in place, a block has to be a page."""
    return not xip or BLOCK_SIZE << log == PAGE_SIZE


def belief_behind(log: int, provisional: int, xip: bool, accepted: bool) -> str:
    """The misconception behind an answer that is wrong here."""
    if accepted:
        return "any-block-can-be-mapped" if provisional != BLOCK_SIZE << log else "provisional-size-is-real"
    return "provisional-size-is-real" if xip else "every-mount-needs-pages"


def check_sizes(answer: Answer, random: Random) -> None:
    """All block sizes, with all provisional ones, with and without xip."""
    cases = list(product(LOGS, (1024, 2048, 4096), (False, True)))
    cases.sort(key=lambda case: (case[2], not is_fit(case[0], case[2]), case[1] == BLOCK_SIZE << case[0]))
    for log, provisional, xip in cases:
        size = BLOCK_SIZE << log
        expected = str(size) if is_fit(log, xip) else "OSError with errno EINVAL"
        given = shown(log, provisional, xip)
        try:
            got = answer.call("block_size_of", on_disk(log, provisional), xip)
        except AnswerRaised as refusal:
            if refusal.errno is None:
                raise
            if is_fit(log, xip):
                raise Wrong("Your function refused a disk that is in order.", given=given, expected=expected,
                            got=str(refusal), misconception=belief_behind(log, provisional, xip, False)
                            ) from refusal
            if refusal.errno != errno.EINVAL:
                raise Wrong("Your function raised another error than the one asked for.", given=given,
                            expected=expected, got=str(refusal), misconception="any-error-will-do"
                            ) from refusal
            continue
        if not is_fit(log, xip):
            raise Wrong("Your function lets this disk be mounted in place.", given=given, expected=expected,
                        got=repr(got), misconception=belief_behind(log, provisional, xip, True))
        if got != size or type(got) is not int:
            raise Wrong("That is not the block size of this disk.", given=given, expected=expected,
                        got=repr(got), misconception="provisional-size-is-real" if got == provisional else "")


def check_mounts(answer: Answer, random: Random) -> None:
    """A ramdisk with sectors of 512 bytes is mounted, with and without xip, by the answer."""
    for blocksize, options in ((PAGE_SIZE, ""), (PAGE_SIZE, "xip"), (BLOCK_SIZE, "")):
        given = f"mount a ramdisk, blocks of {blocksize} bytes, options {options!r}"
        try:
            sb = mounted(answer, blocksize, options)
        except OSError as failure:
            refused = REFUSED in str(failure) and not options
            raise Wrong("The mount does not work with your function.", given=given, got=str(failure),
                        misconception="every-mount-needs-pages" if refused else "provisional-size-is-real"
                        ) from failure
        if ext2_use_xip(sb) != (options == "xip"):
            raise Wrong("The disk is mounted, but not as it was asked for.", given=given)


def mounted(answer: Answer, blocksize: int, options: str) -> SuperBlock:
    """Mount a fresh ramdisk; the answer says how large its blocks are."""
    guest = guest_with_ramdisk(mke2fs(MiB // 2, blocksize=blocksize))
    fill_super = partial(ext2_fill_super, size_of=over_the_pipe(answer))
    guest.kernel.filesystems["ext2"] = FileSystemType("ext2", fill_super)
    guest.mount(f"/dev/{DISK}", "/mnt", "ext2", options)
    return guest.kernel.super_blocks[-1]


def over_the_pipe(answer: Answer) -> Callable[[SuperBlock, bool], int]:
    """A function for ext2's mount that asks the answer."""
    def size_of(sb: SuperBlock, silent: bool) -> int:
        record = on_disk(EXT2_SB(sb).s_es.s_log_block_size, sb.s_blocksize)
        try:
            size: int = answer.call("block_size_of", record, ext2_use_xip(sb))
        except AnswerRaised as refusal:
            if refusal.errno is None:
                raise
            raise OSError(refusal.errno, REFUSED) from refusal
        return size

    return size_of
