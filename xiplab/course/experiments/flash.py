"""Notebook 09, second part: a program runs from a flash chip, and somebody writes to the same chip.

    erase blocks   0 .. 7                     8 .. 15
                   partition mtd0             partition mtd1
                   /dev/mtdblock0: ext2       /dev/mtd1: a log that is written
                   /lib/text, mapped

`Flash` boots a guest with one NOR chip. A program has mapped a file of its first partition; a log is
kept in the second one.

    experiment = Flash()
    experiment.program(0x10, 0x0F)      program a byte of the log: old AND new
    experiment.erase(9)                 start to erase a block of the log: takes half a second
    experiment.wait(600)                milliseconds pass
    experiment.read(0x10)               read() of the log: the driver suspends an erase meanwhile
    experiment.plug(function)           whose function serves read(); flash_reader.py
    experiment.mount("pointed")         how the file system uses the chip: one of MOUNTS
    experiment.sees(), .cells(), .log_cells()
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import cast

from xiplab.course.experiments.flash_reader import Function, read_operation
from xiplab.course.experiments.stage import Stage, action
from xiplab.guest import ZVM, Guest
from xiplab.hw import nor
from xiplab.hw.nor import NorChip
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.mtd.kthread import pass_time
from xiplab.linux.drivers.mtd.mtdblock_ro import mtdblock_ro_devops, mtdblock_ro_devops_unpointed
from xiplab.linux.drivers.mtd.mtdcore import mtd_erase, mtd_table
from xiplab.linux.include.fs import O_RDWR
from xiplab.linux.include.mtd import MTD_ERASE_DONE, MTD_ERASE_FAILED, EraseInfo, MtdInfo
from xiplab.mapping import Mapping
from xiplab.ondisk import Bytes
from xiplab.tools.mke2fs import mke2fs
from xiplab.trace import Recording
from xiplab.units import KiB

BLOCK = 32 * KiB
BLOCKS, FIRST_LOG_BLOCK = 16, 8
LOG = FIRST_LOG_BLOCK * BLOCK
TEXT = b"A program that runs from flash, page %d.  "
FILE = "/mnt/lib/text"
SHOWN = 16

MOUNTS = {
    "in place": ("ro,xip", mtdblock_ro_devops_unpointed),
    "pointed": ("ro,xip", mtdblock_ro_devops),
    "page cache": ("ro", mtdblock_ro_devops),
}
"""How the file system uses the chip: options of the mount, and the disk's table."""

COMMANDS = {nor.READ_ARRAY: "read array", nor.READ_STATUS: "read status", nor.CLEAR_STATUS: "clear status",
            nor.PROGRAM_BUFFER: "program", nor.ERASE_BLOCK: "erase", nor.SUSPEND: "suspend",
            nor.RESUME: "resume"}

STATUS_BITS = {nor.SR_READY: "ready", nor.SR_ERASE_SUSPENDED: "erase suspended",
               nor.SR_ERASE_ERROR: "erase error", nor.SR_PROGRAM_ERROR: "program error",
               nor.SR_PROGRAM_SUSPENDED: "program suspended", nor.SR_LOCKED: "locked"}


@cache
def image() -> Bytes:
    pages = b"".join((TEXT % number * 128)[:4096] for number in range(2))
    return mke2fs(LOG, tree={"lib": {"text": pages}})


def commands(cycles: Iterable[tuple[int, int]]) -> Iterator[tuple[int, str]]:
    """Each bus cycle (address, value) in words: commands, and what belongs to them."""
    expected: list[str] = []
    for address, value in cycles:
        code = value & 0xFF
        if expected:
            kind = expected.pop()
            yield address, kind if kind == "confirm" else f"{kind} {value:#06x}"
            expected += ["confirm", *["word"] * (value + 1)] if kind == "words - 1:" else []
        else:
            yield address, COMMANDS.get(code, f"command {code:#04x}")
            expected = {nor.PROGRAM_BUFFER: ["words - 1:"], nor.ERASE_BLOCK: ["confirm"]}.get(code, [])


class Flash(Stage):
    """One guest, one chip, a program that runs from it, and a log that is written.

    Attributes:
        guest: LINUX1. chip: the flash chip. log: its second partition. text: the program's mapping.
        how: the mount's name in MOUNTS. cycles: bus cycles of the last action, as (address, command).
        erasing: the last erase that was asked for.
    """

    guest: Guest
    chip: NorChip
    log: MtdInfo
    text: Mapping
    how: str
    fd: int
    cycles: list[tuple[int, str]]
    erasing: EraseInfo | None
    said: str

    def build(self) -> None:
        self.guest = ZVM().logon("LINUX1")
        self.chip = self.guest.add_flash(image().tobytes(), BLOCKS * BLOCK, BLOCK)
        self.log = mtd_table(self.guest.kernel)[1]
        self.erasing, self.cycles = None, []
        self.fd = self.guest.open("/dev/mtd1", O_RDWR)
        self._mount("in place")
        self.said = "The program reads the file. Nobody writes to the chip."

    # ---- what a learner does ----

    @action
    def mount(self, how: str) -> None:
        """Mount the file system in another way: "in place", "pointed" or "page cache".

        Raises:
            OSError: EINVAL for a way that is none of MOUNTS.
        """
        if how not in MOUNTS:
            raise OSError(errno.EINVAL, f"mount {how!r}: not one of {', '.join(MOUNTS)}")
        self.text.close()
        self.guest.umount("/mnt")
        pass_time(self.guest.kernel, 0)
        self._mount(how)
        self.said = {"in place": "The page table names the chip's own frames. Nobody told the chip.",
                     "pointed": "The page table names the chip's own frames, and the chip is pointed: "
                                "whoever wants to write has to wait.",
                     "page cache": "The program has a copy of the page."}[how]

    @action
    def program(self, offset: int, value: int) -> None:
        """write() one byte to the log: each bit that is 0 in `value` becomes 0; no bit becomes 1.

        Raises:
            OSError: EFAULT for an offset outside the log; EINVAL for a value that is no byte.
        """
        before = self._log_byte(offset)
        if not 0 <= value <= 0xFF:
            raise OSError(errno.EINVAL, f"program: {value:#x} does not fit into a byte (0xff)")
        try:
            with Recording() as recording:
                self.guest.pwrite(self.fd, bytes([value]), offset)
        except OSError as failure:
            if failure.errno != errno.EDEADLK:
                raise
            self.said = ("The writer sleeps: the chip is pointed until the file system is unmounted. "
                         "Nothing is programmed.")
        else:
            after = self._log_byte(offset)
            self.said = (f"Byte {offset:#x} of the log was {before:#04x}. Programming {value:#04x} leaves "
                         f"{before:#04x} AND {value:#04x} = {after:#04x}.")
        self._note(recording, LOG + offset)

    @action
    def erase(self, block: int) -> None:
        """Ask for an erase of block `block`, which must belong to the log; it goes on as time passes.

        Raises:
            OSError: EINVAL for a block that is not the log's.
        """
        if not FIRST_LOG_BLOCK <= block < BLOCKS:
            raise OSError(errno.EINVAL, f"erase: block {block} is not one of the log's ({FIRST_LOG_BLOCK} to "
                                        f"{BLOCKS - 1})")
        self.erasing = EraseInfo((block - FIRST_LOG_BLOCK) * BLOCK, BLOCK)
        with Recording() as recording:
            mtd_erase(self.log, self.erasing)
        self._note(recording, block * BLOCK)
        self.said = (f"The chip erases block {block}. Every read of the chip gives its status now."
                     if self.chip.running else
                     f"Whoever erases block {block} sleeps: the chip is pointed until the unmount.")

    @action
    def wait(self, ms: int) -> None:
        """Let `ms` milliseconds pass."""
        with Recording() as recording:
            pass_time(self.guest.kernel, 1000.0 * ms)
        self._note(recording, None)
        self.said = f"{ms} ms later the chip {self.doing()}."

    @action
    def read(self, offset: int) -> None:
        """read() one byte of the log through the driver.

        Raises:
            OSError: EFAULT for an offset outside the log.
        """
        cells = self._log_byte(offset)
        with Recording() as recording:
            data = self.guest.pread(self.fd, 1, offset)
        self._note(recording, None)
        suspended = any(command == "suspend" for _, command in self.cycles)
        self.said = (f"read() of byte {offset:#x} gives {data[0]:#04x}"
                     f"{', which is right' if data[0] == cells else ', which is wrong'}. "
                     + ("The driver suspended the erase for it, and let it go on." if suspended else
                        "The chip had nothing else to do."))

    @action
    def plug(self, function: Function) -> None:
        """Let `function` serve read() of the log, in place of the driver's own (flash_reader.py)."""
        self.log.ops = replace(self.log.ops, name="log_ops (plugged)", read=read_operation(function))
        self.said = "Another function reads the log now. Nobody writes to the chip."

    def _mount(self, how: str) -> None:
        self.how = how
        options, table = MOUNTS[how]
        bdget(self.guest.kernel, "mtdblock0").bd_disk.fops = table
        self.guest.mount("/dev/mtdblock0", "/mnt", "ext2", options)
        fd = self.guest.open(FILE)
        self.text = self.guest.mmap(fd)
        self.guest.close(fd)
        self.text[0]

    def _note(self, recording: Recording, address: int | None) -> None:
        """Keep the bus cycles of an action, and mark the block that it was about."""
        seen = [(cast(int, event.fields["address"]), cast(int, event.fields["value"]))
                for event in recording.events if event.name == "flash cycle"]
        self.cycles = list(commands(seen))
        if address is not None:
            self.mark(f"block:{address // BLOCK}")
            self.mark(f"byte:{address:#x}")

    def doing(self) -> str:
        """What the chip does, in words."""
        if self.chip.running is not None:
            return "is still busy"
        if self.erasing is not None and self.erasing.state not in (MTD_ERASE_DONE, MTD_ERASE_FAILED):
            return "is idle, and who wants to erase it still sleeps"
        if self.chip.mode == "status":
            return "is ready. It still gives its status, because nobody has told it to give cells again"
        return "is ready and gives its cells"

    # ---- what there is to see ----

    @property
    def position(self) -> int:
        """Where the file's first page begins in the chip, in bytes."""
        return int(image().tobytes().index(TEXT % 0))

    def sees(self) -> bytes:
        """The file's first bytes, as the program loads them from its mapping now."""
        return self.text[:SHOWN]

    def cells(self) -> bytes:
        """The same bytes as the chip stores them."""
        return self.chip.cells[self.position:][:SHOWN].tobytes()

    def log_cells(self, offset: int = 0) -> bytes:
        """Bytes of the log as the chip stores them."""
        return self.chip.cells[LOG + offset:][:SHOWN].tobytes()

    def _log_byte(self, offset: int) -> int:
        if not 0 <= offset < self.log.size:
            raise OSError(errno.EFAULT, f"byte {offset:#x} is outside the log ({self.log.size:#x} bytes)")
        return int(self.chip.cells[LOG + offset])

    def chip_status(self) -> str:
        """The status register in words."""
        bits = [name for bit, name in STATUS_BITS.items() if self.chip.status & bit]
        return f"{self.chip.status:#04x}: {', '.join(bits) or 'busy'}"

    def sentence(self) -> str:
        seen = self.sees()
        tail = (f" The program loads {seen[:4].hex(' ')}: status, not its code." if seen != self.cells() else
                " The program sees its code.")
        return self.said + tail
