"""Question 00.2: the learner's own direct_access, alone and under a mounted file system.

Alone it gets records of made-up devices. Mounted, it stands in the disk's table of operations: each
call of the file system goes through the pipe to the learner's process, and what comes back is an
address in the guest's storage, of this process. What is expected comes from dcssblk's own
function. A belief is a wrong function: if it predicts all that the answer said, it is named.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised
from xiplab.course.questions.stage import (
    DISK,
    FILE,
    SEGMENT,
    guest_in_place,
    guest_with_segment,
    image,
    machine,
)
from xiplab.course.worker import Record
from xiplab.errors import ProgramInterruption, Signal
from xiplab.guest import Guest
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.trace import Recording
from xiplab.units import PAGE_SECTORS, PAGE_SHIFT, PAGE_SIZE, SECTOR_SHIFT, SECTOR_SIZE, MiB, Paddr, Sector

Pair = tuple[int, int]


def device(start: int | None, npages: int = 1) -> Record:
    """What the answer sees of a device whose segment has `npages` pages; None: it has no segment."""
    info = None if start is None else Record(start=start, end=start + npages * PAGE_SIZE - 1)
    return Record(bd_disk=Record(disk_name=DISK, private_data=info))


def shown(bdev: Record, sector: int) -> str:
    info = bdev.bd_disk.private_data
    segment = "no segment (private_data is None)" if info is None else (
        f"segment at start={info.start:#x}, end={info.end:#x}")
    return f"sector {sector}, {segment}"


def address_of(start: int, sector: int) -> int:
    return start + sector * SECTOR_SIZE


def pair_at(kaddr: int) -> Pair:
    return kaddr, kaddr >> PAGE_SHIFT


def right_pair(start: int, sector: int) -> Pair:
    return pair_at(address_of(start, sector))


BELIEFS: tuple[tuple[str, Callable[[int, int], Pair]], ...] = (
    ("address-from-zero", lambda start, sector: pair_at(address_of(0, sector))),
    ("address-from-zero", lambda start, sector: (address_of(0, sector), right_pair(start, sector)[1])),
    ("sector-is-a-page", lambda start, sector: pair_at(start + sector * PAGE_SIZE)),
    ("sector-is-a-page", lambda start, sector: (address_of(start, sector), (start >> PAGE_SHIFT) + sector)),
    ("sector-is-a-byte", lambda start, sector: pair_at(start + sector)),
    ("frame-from-segment", lambda start, sector: (address_of(start, sector), sector // PAGE_SECTORS)),
    ("frame-is-not-bytes", lambda start, sector: (address_of(start, sector), address_of(start, sector))),
    ("frame-is-not-bytes", lambda start, sector: (address_of(start, sector),
                                                  address_of(start, sector) >> SECTOR_SHIFT)),
    ("frame-is-not-bytes", lambda start, sector: (address_of(start, sector), sector)),
    ("pair-turned-round", lambda start, sector: right_pair(start, sector)[::-1]),
)
"""Wrong functions of (start, sector), each with the misconception that it stands for."""


def as_pair(value: Any, bdev: Record, sector: int) -> Pair:
    """The answer's value as (kaddr, pfn). Raises Wrong for anything else."""
    if isinstance(value, bytes):
        raise Wrong("Your function returned bytes, not where they lie.", given=shown(bdev, sector),
                    got=f"{len(value)} bytes", misconception="hands-out-bytes")
    if not isinstance(value, tuple | list) or [type(item) for item in value] != [int, int]:
        belief = "hands-out-bytes" if isinstance(value, tuple | list) and any(
            isinstance(item, bytes | list) for item in value) else ""
        raise Wrong("Your function must return two whole numbers: (kaddr, pfn).", given=shown(bdev, sector),
                    got=repr(value), misconception=belief)
    return value[0], value[1]


def ask(answer: Answer, bdev: Record, sector: int) -> Pair:
    """Call the answer for a sector that it must not refuse."""
    try:
        return as_pair(answer.call("direct_access", bdev, sector), bdev, sector)
    except AnswerRaised as refusal:
        if refusal.errno is None:
            raise
        info = bdev.bd_disk.private_data
        is_last = sector * SECTOR_SIZE + PAGE_SIZE - 1 == info.end - info.start
        raise Wrong(f"Your function refused a page that lies inside the segment ({name_of(refusal)}).",
                    given=shown(bdev, sector), expected=two_numbers(right_pair(info.start, sector)),
                    got=str(refusal), misconception="end-is-outside" if is_last else "") from refusal


def two_numbers(pair: Pair) -> str:
    return f"kaddr {pair[0]:#x}, pfn {pair[1]:#x}"


def name_of(failure: AnswerRaised) -> str:
    return errno.errorcode.get(failure.errno or 0, failure.kind)


def judge_pairs(said: list[tuple[Record, int, Pair]]) -> None:
    """All pairs are right; if not, the first wrong one is shown and the belief behind all is named."""
    for bdev, sector, got in said:
        expected = right_pair(bdev.bd_disk.private_data.start, sector)
        if got != expected:
            raise Wrong("The address or the page frame number is not that of the sector.",
                        given=shown(bdev, sector), expected=two_numbers(expected), got=two_numbers(got),
                        misconception=belief_behind(said))


def belief_behind(said: list[tuple[Record, int, Pair]]) -> str:
    """The misconception that predicts every pair; empty if none does."""
    asked = [(bdev.bd_disk.private_data, sector, got) for bdev, sector, got in said]
    for misconception, predict in BELIEFS:
        if all(predict(info.start, sector) == got for info, sector, got in asked):
            return misconception
    outside = any(not info.start <= kaddr <= info.end for info, _, (kaddr, _) in asked)
    return "hands-out-bytes" if outside else ""


def check_addresses(answer: Answer, random: Random) -> None:
    """Right address and frame number, on made-up devices: the first page, the last one, others."""
    said = []
    for _ in range(6):
        start, npages = random.randrange(256, 4096) * MiB, random.randrange(3, 4096)
        for page in (random.randrange(1, npages - 1), 0, npages - 1):
            bdev, sector = device(start, npages), page * PAGE_SECTORS
            said.append((bdev, sector, ask(answer, bdev, sector)))
    judge_pairs(said)


def check_refusals(answer: Answer, random: Random) -> None:
    """ENODEV, EINVAL and ERANGE, in this order of checks."""
    start, npages = random.randrange(256, 4096) * MiB, random.randrange(3, 4096)
    bdev, nothing, behind = device(start, npages), device(None), npages * PAGE_SECTORS
    odd = random.randrange(1, PAGE_SECTORS)
    refuses(answer, nothing, 0, errno.ENODEV, "always-a-segment")
    inside = random.randrange(npages - 1) * PAGE_SECTORS
    refuses(answer, bdev, inside + odd, errno.EINVAL, "any-sector-will-do")
    refuses(answer, bdev, behind + PAGE_SECTORS * random.randrange(1, npages), errno.ERANGE,
            "nobody-asks-behind-the-end")
    refuses(answer, bdev, behind, errno.ERANGE, "end-is-outside")
    refuses(answer, nothing, odd, errno.ENODEV, "always-a-segment")
    refuses(answer, bdev, behind + odd, errno.EINVAL, "any-sector-will-do")


def refuses(answer: Answer, bdev: Record, sector: int, code: int, misconception: str) -> None:
    """The answer raises OSError with `code`; if it returns, `misconception` is named."""
    expected = f"OSError with errno {errno.errorcode[code]}"
    try:
        value = answer.call("direct_access", bdev, sector)
    except AnswerRaised as refusal:
        if refusal.errno == code:
            return
        if refusal.kind == "NotImplementedError":
            raise
        surprised = refusal.kind in ("AttributeError", "TypeError")
        got = f"OSError with errno {name_of(refusal)}" if refusal.errno else str(refusal)
        text = "Your function raised another error than the one asked for."
        if refusal.text == str(code):
            text = "Your OSError has no errno. It takes two values: OSError(errno.EINVAL, \"why\")."
        raise Wrong(text, given=shown(bdev, sector),
                    expected=expected, got=got, trace=tuple(refusal.trace),
                    misconception=misconception if surprised else "any-error-will-do") from refusal
    is_code = value is None or (type(value) is int and value <= 0)
    raise Wrong("Your function did not refuse this sector.", given=shown(bdev, sector), expected=expected,
                got=repr(value), misconception="errors-are-values" if is_code else misconception)


def check_mounted(answer: Answer, random: Random) -> None:
    """A guest mounts the segment with the answer as its direct_access, reads a file and maps it."""
    vm = machine(at=Paddr(random.randrange(256, 1024) * MiB))
    reference = guest_in_place(vm, "LINUX2").cat(FILE)
    linux1 = guest_with_segment(vm, "LINUX1")
    said: list[tuple[Record, int, Pair]] = []
    linux1.plug(DISK, direct_access=over_the_pipe(answer, said))
    try:
        use_in_place(linux1, reference, vm.segments[SEGMENT].mem, image().index(reference[:PAGE_SIZE]))
    except (Wrong, OSError, ProgramInterruption, Signal) as failure:
        judge_pairs(said)
        if isinstance(failure, Wrong):
            raise
        raise Wrong(f"The guest could not use the file: {failure}.") from failure
    if not said:
        raise Wrong("The guest never called your function.")


def over_the_pipe(answer: Answer, said: list[tuple[Record, int, Pair]]) -> Callable[..., Pair]:
    """A direct_access for the disk's table that asks the answer, and notes what it said."""
    def direct_access(bdev: BlockDevice, sector: Sector) -> Pair:
        info = bdev.bd_disk.private_data
        npages = (info.end + 1 - info.start) // PAGE_SIZE
        record = device(info.start, npages)
        try:
            pair = as_pair(answer.call("direct_access", record, sector), record, sector)
        except AnswerRaised as refusal:
            if refusal.errno is None:
                raise
            raise OSError(refusal.errno, f"{DISK}: your direct_access refused sector {sector}") from refusal
        said.append((record, sector, pair))
        return pair

    return direct_access


def use_in_place(guest: Guest, reference: bytes, storage: Any, position: int) -> None:
    """Mount, read and map; the bytes are right, they are the storage's own, and nothing was copied."""
    guest.mount(f"/dev/{DISK}", "/mnt", "ext2", "ro,xip")
    fd = guest.open(FILE)
    if guest.pread(fd, len(reference), 0) != reference:
        raise Wrong("The guest read other bytes than the file has.", misconception="hands-out-bytes")
    cached = guest.frames["page cache"]
    with Recording() as recording:
        text = guest.mmap(fd)
        text[0]
    if not np.shares_memory(text.frame(0), storage):
        raise Wrong("The guest's mapping does not lie on the segment: it shows a copy.",
                    expected="memory shared with the segment", got="a frame elsewhere",
                    misconception="hands-out-bytes")
    if recording.bytes_copied or guest.frames["page cache"] != cached:
        raise Wrong("Mapping the file copied bytes.", expected="0 bytes copied, 0 frames used",
                    got=f"{recording.bytes_copied} bytes copied", misconception="hands-out-bytes")
    storage[position] ^= 0x20
    if text[0] != storage[position]:
        raise Wrong("The segment's byte changed and the mapping still shows the old one.",
                    misconception="hands-out-bytes")
