"""A segment as a disk: what can be asked of it, as the driver's files and as sectors.

    /sys/devices/dcssblk/add, remove            text written there makes and removes a disk
    /sys/devices/dcssblk/APPS/shared, save      how its segments are loaded, and whether they are kept
    bio                                         copies whole pages between the disk and memory
    direct_access                               tells where a page of the disk lies, and copies nothing

`Devices` boots one z/VM with three segments that are neighbours: APPS (type SR), PART1 and PART2 (SW), of
1 MiB each. LINUX1 has an ordinary disk, sda, as well. LINUX2 has loaded the segments too.

    experiment = Devices()
    experiment.echo("part1", "add")                     as in a shell, below /sys/devices/dcssblk
    experiment.open("dcssblk0"), .close("dcssblk0")
    experiment.read("dcssblk0", 0)                      a bio: the page at sector 0, copied to memory
    experiment.write("dcssblk0", 0, "Hi")               a bio the other way
    experiment.direct_access("dcssblk0", 0)             the address is kept in `held`
    experiment.load()                                   what lies at that address now
    experiment.store("J")                               stored there, with no driver in between
    experiment.other("PART1", "K")                      LINUX2 stores into the segment

What Linux, the driver or the machine refuses is an answer, and `sentence()` says it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from xiplab.course.experiments.stage import Stage, action, looking
from xiplab.course.experiments.words import refusal
from xiplab.course.start import text_of
from xiplab.errors import ProgramInterruption
from xiplab.guest import ZVM, Guest
from xiplab.hw.nor import NorChip
from xiplab.linux.arch.s390.extmem import SEGMENT_SHARED, segment_load
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.dcssblk_io import DcssblkDevInfo
from xiplab.linux.drivers.mtd.physmap import physmap_flash_probe
from xiplab.linux.fs.block_dev import bdev_direct_access
from xiplab.linux.include.blkdev import READ, WRITE, BlockDevice, GenDisk
from xiplab.linux.include.fs import O_RDONLY, O_RDWR
from xiplab.linux.include.mtd import MtdInfo
from xiplab.trace import Recording
from xiplab.units import PAGE_SIZE, KiB, MiB, Paddr, Pfn, Sector, page_count, sector_to_bytes

ROOT = "/sys/devices/dcssblk"
SEGMENTS = (("APPS", "SR"), ("PART1", "SW"), ("PART2", "SW"))
SIZE = 1 * MiB
SHOWN = 16
"""So many bytes at the start of a page are shown, and may be written."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of LINUX1.

    Attributes:
        folder: of the driver's files, "" for a disk of another driver. openers: how often it is open.
    """

    name: str
    folder: str
    sectors: int
    read_only: bool
    openers: int
    direct_access: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What direct_access has answered: valid until the disk is released."""

    disk: str
    sector: int
    kaddr: int
    pfn: Pfn


@dataclass(frozen=True, slots=True)
class Copy:
    """A page that a bio has read into memory: a copy, taken then."""

    disk: str
    sector: int
    text: str


def flash_of(guest: Guest, at: int) -> MtdInfo:
    """A flash chip of 256 KiB at an address of the guest: an MTD, not a block device."""
    chip = NorChip(guest.vm.storage, 256 * KiB)
    return physmap_flash_probe(guest.kernel, "flash", Paddr(at), [chip])


@cache
def contents_of(name: str) -> bytes:
    """What a segment or disk holds at first: each page begins with its name and number."""
    return b"".join(f"{name} page {page}".encode().ljust(PAGE_SIZE) for page in range(page_count(SIZE)))


class Devices(Stage):
    """A guest with segments and a disk, and what it does with them.

    Attributes:
        vm: the z/VM. linux1: the guest. linux2: the other one, which has loaded the segments too.
        answer: what came of the last action. log: what Linux wrote into its log in it.
        copied: the bytes that bios have copied in it.
        held, copy: the last answer of direct_access, and the last page that a bio has read, if any.
        disk, sector: what is shown.
    """

    def build(self) -> None:
        self.vm = ZVM()
        for name, kind in SEGMENTS:
            self.vm.segment(name, SIZE, kind)
            self.vm.load(name, contents_of(name))
        self.linux1, self.linux2 = (self.vm.logon(name) for name in ("LINUX1", "LINUX2"))
        self.linux1.add_disk("sda", contents_of("sda"))
        for name, _ in SEGMENTS:
            segment_load(self.linux2.kernel, name, SEGMENT_SHARED)
        self.answer = "LINUX1 has one disk, sda. No segment is a disk yet."
        self.log: list[str] = []
        self.copied = 0
        self.held: Held | None = None
        self.copy: Copy | None = None
        self.disk, self.sector = "sda", 0
        self._files: dict[str, list[int]] = {}

    # ---- what a learner does ----

    @action
    def echo(self, text: str, file: str) -> str:
        """Write a line into one of the driver's files: "add", "remove", "APPS/shared", "APPS/save"."""

        def echo() -> str:
            before = set(self.linux1.kernel.disks)
            self.linux1.echo(text, f"{ROOT}/{file}")
            for name in set(self.linux1.kernel.disks) - before:
                self.added(name)
            return f"echo {text} > {file}: done."

        return self._answered(echo, f"echo {text} > {file}")

    def added(self, disk: str) -> None:
        """A disk has been added: it is shown."""
        self.disk, self.sector = disk, 0

    @action
    def open(self, disk: str) -> str:
        """A program opens the disk, for writing if that is allowed."""

        def open() -> str:
            flags = O_RDONLY if self.bdev(disk).bd_disk.policy else O_RDWR
            self._files.setdefault(disk, []).append(self.linux1.open(f"/dev/{disk}", flags))
            return f"{disk} is open{' for reading only' if flags == O_RDONLY else ''}."

        return self._answered(open, f"open {disk}")

    @action
    def close(self, disk: str) -> str:
        """The program closes the disk once; the last close releases it."""

        def close() -> str:
            if not self._files.get(disk):
                return f"Nobody has opened {disk}."
            self.linux1.close(self._files[disk].pop())
            openers = self.bdev(disk).bd_openers
            return f"{disk} is closed." + (f" It is still open {openers} times." if openers else
                                           " Nobody has it open now: the driver's release has run.")

        return self._answered(close, f"close {disk}")

    @action
    def read(self, disk: str, sector: int) -> str:
        """A bio of one page from the disk into memory."""

        def read() -> str:
            page = np.zeros(PAGE_SIZE, np.uint8)
            transfer(READ, self._opened(disk), sector, page)
            self.copy = Copy(disk, sector, text_of(bytes(page[:SHOWN])))
            return f"The driver has copied the page at sector {sector} of {disk} into memory."

        return self._answered(read, f"read {disk} sector {sector}")

    @action
    def write(self, disk: str, sector: int, letters: str) -> str:
        """A bio of one page from memory to the disk; the page begins with the letters."""

        def write() -> str:
            page = np.full(PAGE_SIZE, ord(" "), np.uint8)
            page[:SHOWN] = memoryview(letters.encode("latin-1", "replace")[:SHOWN].ljust(SHOWN))
            transfer(WRITE, self._opened(disk), sector, page)
            return f"The driver has copied a page from memory to sector {sector} of {disk}."

        return self._answered(write, f"write {disk} sector {sector}")

    @action
    def direct_access(self, disk: str, sector: int) -> str:
        """Ask where the page at this sector lies."""

        def ask() -> str:
            kaddr, pfn = bdev_direct_access(self.bdev(disk), Sector(sector))
            self.held = Held(disk, sector, kaddr, pfn)
            return f"Sector {sector} of {disk} lies at address {kaddr:#x}, in page frame {pfn:#x}."

        return self._answered(ask, f"direct_access {disk} sector {sector}")

    @action
    def load(self) -> str:
        """Load what lies at the address that is held."""
        return self._answered(lambda: f"There stands {text_of(bytes(self._at_held('load')))!r}.", "load")

    @action
    def store(self, letters: str) -> str:
        """Store letters at the address that is held: no driver, no bio."""

        def store() -> str:
            data = letters.encode("latin-1", "replace")[:SHOWN]
            self._at_held("store")[:len(data)] = data
            return f"{letters!r} is stored in the segment itself."

        return self._answered(store, "store")

    @action
    def other(self, segment: str, letters: str) -> str:
        """LINUX2, which has loaded the same segment, stores letters at its start."""

        def other() -> str:
            data = letters.encode("latin-1", "replace")[:SHOWN]
            start = self.vm.saved_segment(segment).start
            self.linux2.machine.memory.span(start, len(data), "store")[:] = data
            return f"LINUX2 has stored {letters!r} into {segment}."

        return self._answered(other, f"LINUX2 stores into {segment}")

    @looking
    def show(self, disk: str, sector: int = 0) -> None:
        """Show another disk, or another of its sectors."""
        self.bdev(disk)
        self.disk, self.sector = disk, sector

    def bdev(self, disk: str) -> BlockDevice:
        """The block device called so; OSError ENXIO if there is none."""
        return bdget(self.linux1.kernel, disk)

    def _opened(self, disk: str) -> BlockDevice:
        """A disk that a program has open; OSError EBADF for another one."""
        bdev = self.bdev(disk)
        if not bdev.bd_openers:
            raise OSError(errno.EBADF, f"{disk} is not open")
        return bdev

    def _at_held(self, access: str) -> memoryview:
        """The bytes at the held address; OSError ENXIO if it is not valid any more."""
        if self.held is None:
            raise OSError(errno.ENXIO, "no address is held: ask direct_access first")
        return self.linux1.kernel.memory.span(self.held.kaddr, SHOWN, access)

    def _answered(self, act: Callable[[], str], what: str) -> str:
        """Do it. What comes of it, or why it is refused, is the answer; what it changed is marked."""
        before, lines = self.state(), len(self.linux1.dmesg)
        with Recording([]) as recording:
            try:
                self.answer = act()
            except (OSError, ProgramInterruption) as failure:
                self.answer = f"{what}: {refusal(failure)}"
        self.copied = sum(nbytes for what, nbytes in recording.bytes_by_what.items() if "memory" in what)
        self.log = self.linux1.dmesg[lines:]
        if self.disk not in self.linux1.kernel.disks:
            self.disk, self.sector = "sda", 0
        for key, seen in self.state().items():
            if before.get(key) != seen:
                self.mark(key)
        return self.answer

    # ---- what there is to see ----

    def disks(self) -> list[Disk]:
        """LINUX1's disks."""
        return [self._disk(disk) for disk in self.linux1.kernel.disks.values()]

    def _disk(self, disk: GenDisk) -> Disk:
        folder = disk.private_data.segment_name if isinstance(disk.private_data, DcssblkDevInfo) else ""
        return Disk(disk.disk_name, folder, disk.capacity, disk.policy, self.bdev(disk.disk_name).bd_openers,
                    disk.fops.direct_access is not None)

    def file(self, name: str) -> str:
        """What one of the driver's files says: "APPS/shared"."""
        return self.linux1.cat(f"{ROOT}/{name}").decode().strip()

    def stored(self, disk: str, sector: int) -> str:
        """What the storage behind a disk has at the start of a sector, asked of nobody."""
        private = self.bdev(disk).bd_disk.private_data
        start = sector_to_bytes(Sector(sector))
        if isinstance(private, DcssblkDevInfo):
            if not 0 <= start <= private.end - private.start:
                return ""
            return text_of(bytes(self.linux1.kernel.memory.span(private.start + start, SHOWN)))
        return text_of(bytes(private.platter[start:start + SHOWN]))

    def held_text(self) -> str:
        """What lies at the held address; "" if it is not valid any more."""
        try:
            return text_of(bytes(self._at_held("load")))
        except (OSError, ProgramInterruption):
            return ""

    def state(self) -> dict[str, object]:
        """What is shown, by the key of its place in the picture."""
        seen: dict[str, object] = {f"disk:{disk.name}": disk for disk in self.disks()}
        for disk in self.disks():
            if disk.folder:
                seen |= {f"sysfs:{disk.folder}:{name}": self.file(f"{disk.folder}/{name}")
                         for name in ("shared", "save")}
        return seen | {"place:held": (self.held, self.held_text()), "place:copy": self.copy,
                       "place:storage": self.stored(self.disk, self.sector)}

    def sentence(self) -> str:
        return self.answer

    def __str__(self) -> str:
        lines = [f"{disk.name:9} {disk.sectors:5} sectors, {'read-only' if disk.read_only else 'writable'}, "
                 f"open {disk.openers} times, direct_access: {'yes' if disk.direct_access else 'no'}"
                 for disk in self.disks()]
        return "\n".join([*lines, self.sentence()])
