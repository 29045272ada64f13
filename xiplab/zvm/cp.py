"""The control program of z/VM: commands, saved segments and virtual machines.

    vm = ControlProgram()
    vm.cp("DEFSEG SHLIB 10000-10FFF SR")
    vm.cp("SAVESEG SHLIB")                      # or vm.segment("SHLIB", 16 * MiB)
    vm.load("SHLIB", "disk.img")
    linux1 = vm.virtual_machine("LINUX1")       # linux1.memory, linux1.diagnose

`cp` never raises for what a command says: it answers with a text and a return code, as CP does.
The other methods are calls of ours and raise OSError.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.ondisk import Bytes
from xiplab.units import GiB, MiB, Paddr, Pfn, page_count
from xiplab.zvm.machine import CpResponse, VirtualMachine
from xiplab.zvm.segment import SEGMENT_TYPES, PageRange, SavedSegment, data_extents
from xiplab.zvm.spool import Spool

MAX_PAGE = 0x7FFFFFF
"""The highest page of a segment: addresses below 512 GiB."""
MAX_SEGMENT = 2047 * MiB
FIRST_ADDRESS = 0x10000000
"""Where `segment` puts the first one if no address is given."""

MAP_HEAD = "FILE FILENAME FILETYPE MINSIZE BEGPAG ENDPAG TYPE CL #USERS PARMREGS VMGROUP"


class CommandError(Exception):
    """A command that CP refuses; becomes the response."""

    def __init__(self, message: str, rc: int) -> None:
        super().__init__(message)
        self.rc = rc


def invalid_operand(operand: str) -> CommandError:
    return CommandError(f"HCPCFC026E Operand missing or invalid: {operand}".rstrip(": "), 26)


def is_segment_name(name: str) -> bool:
    return 1 <= len(name) <= 8 and all(c.isascii() and (c.isalnum() or c in "$#@_-+:") for c in name)


def parse_range(pages: str, type_name: str) -> PageRange:
    """Two operands of DEFSEG: "10000-10FFF" (or one page) and "SR"."""
    first, _, last = pages.partition("-")
    if type_name not in SEGMENT_TYPES:
        raise invalid_operand(type_name)
    try:
        begin, end = Pfn(int(first, 16)), Pfn(int(last or first, 16))
    except ValueError:
        raise invalid_operand(pages) from None
    if not 0 <= begin <= end <= MAX_PAGE:
        raise invalid_operand(pages)
    return PageRange(begin, end, SEGMENT_TYPES[type_name])


def map_line(file: SavedSegment) -> Iterable[str]:
    """A file's lines in QUERY NSS MAP: the first with its number, name and users, the others without."""
    head, tail = f"{file.spoolid:04d} {file.name:<8} {'DCSS':<8} {'N/A':<7}", f"{len(file.users):05d}"
    for pages in file.ranges:
        yield (f"{head} {pages.first:05X}  {pages.last:05X}  {pages.type.name}   {file.class_}  "
               f"{tail}  N/A      N/A").rstrip()
        head, tail = " " * len(head), " " * len(tail)


class ControlProgram:
    """One z/VM system.

    Attributes:
        storage: the machine's frames. spool: the saved segments and skeletons.
        machines: the virtual machines by userid.
    """

    def __init__(self, storage: Storage | None = None) -> None:
        self.storage = Storage(256 * GiB) if storage is None else storage
        self.spool = Spool(self.storage)
        self.machines: dict[str, VirtualMachine] = {}

    @property
    def segments(self) -> dict[str, SavedSegment]:
        """The saved segments by name."""
        return self.spool.saved

    def virtual_machine(self, userid: str, storage: int = 64 * MiB, **attributes: Any) -> VirtualMachine:
        """Create a guest with `storage` bytes of RAM at 0; `attributes` are those of VirtualMachine.

        Raises:
            OSError: EINVAL for a bad userid or for less than 1 MiB or no multiple of it; EEXIST if
                the user is logged on; ENOMEM.
        """
        userid = userid.upper()
        if not is_segment_name(userid):
            raise OSError(errno.EINVAL, f"{userid!r} is no userid: 1 to 8 letters and digits")
        if userid in self.machines:
            raise OSError(errno.EEXIST, f"{userid} is logged on")
        if storage < MiB or storage % MiB:
            raise OSError(errno.EINVAL, f"{userid}: storage of {storage} bytes is no multiple of 1 MiB")
        npages = page_count(storage)
        first = self.storage.allocate(npages)
        memory = AbsoluteStorage(self.storage)
        memory.attach(Paddr(0), first, npages, writable=True, name=userid)
        machine = VirtualMachine(userid, memory, self.spool, self.cp, range(first, first + npages),
                                 **attributes)
        self.machines[userid] = machine
        return machine

    def logoff(self, userid: str) -> None:
        """End a guest. Its RAM and its private copies are gone.

        Raises:
            OSError: ENOENT for a user that is not logged on.
        """
        if userid.upper() not in self.machines:
            raise OSError(errno.ENOENT, f"{userid} is not logged on")
        self.machines.pop(userid.upper()).logoff()

    def segment(self, name: str, size: int, type: str = "SR", at: int | None = None) -> SavedSegment:
        """Define and save a segment of zeros: DEFSEG and SAVESEG.

        Args:
            size: bytes, a multiple of the page size.
            at: address of its first byte; None for the next free megabyte.
        Raises:
            OSError: EINVAL for what DEFSEG refuses.
        """
        start = self._free_address() if at is None else at
        if size < 1 or size % 4096 or start % 4096:
            raise OSError(errno.EINVAL, f"{name}: {size} bytes at {start:#x} are no whole pages")
        response = self.cp(f"DEFSEG {name} {start >> 12:X}-{(start + size >> 12) - 1:X} {type}")
        if response.rc:
            raise OSError(errno.EINVAL, f"{name}: {response}")
        self.cp(f"SAVESEG {name}")
        return self.segments[name.upper()]

    def _free_address(self) -> int:
        end = max((file.end + 1 for file in self.spool.files), default=FIRST_ADDRESS)
        return (max(end, FIRST_ADDRESS) + MiB - 1) // MiB * MiB

    def load(self, name: str, image: bytes | str | os.PathLike[str] | Bytes) -> SavedSegment:
        """Put an image into a saved segment's own frames; it counts as saved. The rest is zero.

        Raises:
            OSError: ENOENT no such saved segment; EFBIG the image is larger than the segment;
                EINVAL for pages that are never saved (SN, EN); what reading the file gives.
        """
        segment = self.segments.get(name.upper())
        if segment is None:
            raise OSError(errno.ENOENT, f"{name}: no saved segment has this name")
        if not all(pages.type.saved for pages in segment.ranges):
            raise OSError(errno.EINVAL, f"{name}: SN and EN pages are not saved, an image would not last")
        if isinstance(image, str | os.PathLike):
            self._load_file(segment, image)
        else:
            contents = np.frombuffer(image, np.uint8)
            self._clear_for(segment, len(contents))
            segment.mem[:len(contents)].data[:] = contents.data
        segment.commit()
        return segment

    def _load_file(self, segment: SavedSegment, path: str | os.PathLike[str]) -> None:
        with open(path, "rb", buffering=0) as image:
            size = os.fstat(image.fileno()).st_size
            self._clear_for(segment, size)
            contents = segment.mem.data
            for start, end in data_extents(image.fileno(), 0, size):
                image.seek(start)
                image.readinto(contents[start:end])

    def _clear_for(self, segment: SavedSegment, size: int) -> None:
        if size > segment.size:
            raise OSError(errno.EFBIG, f"{segment}: an image of {size} bytes, the segment has {segment.size}")
        self.storage.erase(segment.frames.start, segment.npages)

    def cp(self, command: str, user: str = "MAINT") -> CpResponse:
        """Run a CP command as `user`; the answer has the text and a return code (`rc`)."""
        words = str(command).upper().split()
        if not words:
            return CpResponse("")
        run = next((run for verb, least, run in COMMANDS
                    if verb.startswith(words[0]) and len(words[0]) >= least), None)
        machine = self.machines.get(user.upper())
        if run is None or (machine is not None and "E" not in machine.privclass):
            return CpResponse(f"HCPCMD001E Unknown CP command: {words[0]}", 1)
        try:
            return CpResponse(run(self, words[1:], machine))
        except CommandError as refusal:
            return CpResponse(str(refusal), refusal.rc)

    def _defseg(self, operands: list[str], machine: VirtualMachine | None) -> str:
        """DEFSEG name pages type [pages type ...] [RSTD] [LOADNSHR]"""
        if len(operands) < 3:
            raise invalid_operand(" ".join(operands[2:]))
        name, *rest = operands
        if not is_segment_name(name):
            raise invalid_operand(name)
        options = set()
        while rest and rest[-1] in ("RSTD", "LOADNSHR"):
            options.add(rest.pop())
        if not rest or len(rest) % 2:
            raise invalid_operand(rest[-1] if rest else "")
        ranges = tuple(parse_range(*pair) for pair in zip(rest[::2], rest[1::2], strict=True))
        check_ranges(ranges)
        has_sc = any(pages.type.cp_writes for pages in ranges)
        if "LOADNSHR" in options and ("RSTD" in options or has_sc):
            raise invalid_operand("LOADNSHR")
        file = self.spool.define(name, ranges, restricted="RSTD" in options, loadnshr="LOADNSHR" in options)
        return f"HCPNSD440I Saved segment {name} was successfully defined in fileid {file.spoolid:04d}."

    def _saveseg(self, operands: list[str], machine: VirtualMachine | None) -> str:
        """SAVESEG name"""
        if len(operands) != 1:
            raise invalid_operand(" ".join(operands[1:]))
        skeleton = self.spool.skeleton(operands[0])
        if skeleton is None:
            raise CommandError(f"HCPNSS044E {operands[0]} does not exist", 44)
        self.spool.save(skeleton, machine.memory if machine else None)
        return (f"HCPNSS440I Saved segment {skeleton.name} was successfully saved in fileid "
                f"{skeleton.spoolid:04d}.")

    def _purge(self, operands: list[str], machine: VirtualMachine | None) -> str:
        """PURGE NSS ALL, PURGE NSS [NAME] name, PURGE NSS fileid"""
        files = self._selected(operands)
        for file in files:
            self.spool.purge(file)
        if not files:
            return "NO FILES PURGED"
        return f"{len(files):04d} FILE{'S' if len(files) > 1 else ' '} PURGED"

    def _query(self, operands: list[str], machine: VirtualMachine | None) -> str:
        """QUERY NSS [ALL | NAME name | fileid] [MAP]"""
        if operands[-1:] == ["MAP"]:
            operands = operands[:-1]
        files = self._selected(operands if len(operands) > 1 else [*operands, "ALL"])
        if not files:
            return "NO NSS FILES"
        return "\n".join([MAP_HEAD, *(line for file in files for line in map_line(file))])

    def _selected(self, operands: list[str]) -> list[SavedSegment]:
        """The files that "NSS ..." means; P files are only listed, not selected by name again."""
        if len(operands) < 2 or operands[0] != "NSS":
            raise invalid_operand(" ".join(operands[:1]))
        choice = operands[2:] if operands[1] == "NAME" else operands[1:]
        if len(choice) != 1:
            raise invalid_operand(" ".join(choice[1:]))
        if operands[1] != "NAME" and choice[0].isdecimal():
            return [file for file in self.spool.files if file.spoolid == int(choice[0])]
        return [file for file in self.spool.files if choice[0] in ("ALL", file.name)]


def check_ranges(ranges: tuple[PageRange, ...]) -> None:
    """Ranges must be in order, apart, at most 2047 MiB from first to last, and one megabyte of them
    must be all shared or all exclusive."""
    for before, after in pairwise(ranges):
        same_megabyte = before.last >> 8 == after.first >> 8
        if after.first <= before.last or (same_megabyte and before.type.exclusive != after.type.exclusive):
            raise invalid_operand(f"{after.first:X}-{after.last:X}")
    if (ranges[-1].last - ranges[0].first + 1) << 12 > MAX_SEGMENT:
        raise invalid_operand(f"{ranges[0].first:X}-{ranges[-1].last:X}")


Command = Callable[[ControlProgram, list[str], VirtualMachine | None], str]
COMMANDS: tuple[tuple[str, int, Command], ...] = (
    ("DEFSEG", 6, ControlProgram._defseg),
    ("SAVESEG", 7, ControlProgram._saveseg),
    ("PURGE", 3, ControlProgram._purge),
    ("QUERY", 1, ControlProgram._query),
)
"""Each command, the shortest form of its name, and what runs it. All need privilege class E."""
