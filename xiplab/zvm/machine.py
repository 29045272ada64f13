"""A virtual machine as CP sees it: its storage, the segments it has loaded, its DIAGNOSE calls.

    0 ........ RAM ........|                |== SHLIB ==|          |== WORK ==|
                                             frames of the           shared: the segment's frames;
                                             segment itself          exclusive: frames of its own
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from xiplab.errors import PROTECTION, SPECIFICATION, ProgramInterruption
from xiplab.hw.memory import AbsoluteStorage
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, GiB, Paddr, offset_in_page, pfn_to_paddr
from xiplab.zvm import diag64
from xiplab.zvm.diag64 import (
    RC_BAD_BLOCK,
    RC_NAMESAVE,
    RC_NOT_FOUND,
    RC_OUTSIDE_STORAGE,
    RC_OVERLAY,
    RC_PAGING_ERROR,
    Qin64,
    Qout64,
    Qout64Old,
    decode_name,
)
from xiplab.zvm.segment import SavedSegment
from xiplab.zvm.spool import Spool

CP_RESPONSE_WANTED = 0x40000000
"""Bit of Ry in DIAGNOSE X'08': store the response over the command."""


NEW_LINE = "\x85"
"""What ends a line in EBCDIC: X'15'."""


class CpResponse(str):
    """What CP answered to a command: its text, and `rc`, 0 or the number of the error message."""

    __slots__ = ("rc",)
    rc: int

    def __new__(cls, text: str, rc: int = 0) -> CpResponse:
        response = super().__new__(cls, text)
        response.rc = rc
        return response


@dataclass
class Attached:
    """A segment that a guest has loaded.

    Attributes:
        private: the guest's own frames for all its pages; empty if none is its own.
        starts: where its storage ranges begin.
    """

    segment: SavedSegment
    private: range
    starts: list[Paddr]


@dataclass(eq=False)
class VirtualMachine:
    """A guest.

    Attributes:
        memory: its absolute storage, RAM at 0 and the loaded segments.
        ram: the host frames of its RAM.
        maximum: the storage it may have at most; exclusive loads must lie below (LOADNSHR apart).
        privclass: the CP privilege classes of its user.
        namesave: the restricted segments that its directory entry allows.
        extended: it has the DIAGNOSE X'64' subcodes of z/VM 5.4.
        attached: what it has loaded, by name.
        console: responses of CP that it did not ask to have in storage.
        ended: called once at logoff, while storage is still there: what runs in the machine ends.
    """

    userid: str
    memory: AbsoluteStorage
    spool: Spool
    execute: Callable[[str, str], CpResponse]
    ram: range
    maximum: int = 512 * GiB
    privclass: str = "EG"
    namesave: frozenset[str] = frozenset()
    extended: bool = True
    attached: dict[str, Attached] = field(default_factory=dict)
    console: list[str] = field(default_factory=list)
    ended: Callable[[], None] | None = None

    def load(self, segment: SavedSegment, exclusive: bool) -> None:
        """Attach the segment's pages, on its frames or on copies; see SavedSegment.runs.

        Raises:
            OSError: EBUSY addresses in use, ENOMEM, with nothing attached.
        """
        if (taken := self.memory.overlapping(segment.start, segment.end)) is not None:
            raise OSError(errno.EBUSY, f"{segment}: {taken.name} is in {self}'s storage there")
        runs = segment.runs(exclusive)
        if any(run.writable and not run.private for run in runs):
            segment.preserve()
        private = range(0)
        if any(run.private for run in runs):
            first = self.memory.storage.allocate(segment.npages)
            private = range(first, first + segment.npages)
            segment.copy_private(first)
        for run in runs:
            frames = private if run.private else segment.frames
            self.memory.attach(pfn_to_paddr(run.first), frames[run.first - segment.first], run.npages,
                               writable=run.writable, name=segment.name)
        segment.users.add(self.userid)
        self.attached[segment.name] = Attached(segment, private, [pfn_to_paddr(r.first) for r in runs])

    def purge(self, name: str) -> None:
        """Let go of a loaded segment."""
        attached = self.attached.pop(name)
        for start in attached.starts:
            self.memory.detach(start)
        if attached.private:
            self.memory.storage.free(attached.private.start, len(attached.private))
        self.spool.release(attached.segment, self.userid)

    def refusal(self, segment: SavedSegment, exclusive: bool, old: bool) -> int:
        """0, or the return code with which CP refuses the load."""
        if segment.restricted and segment.name not in self.namesave:
            return RC_NAMESAVE
        if old and segment.end >= 2 * GiB:
            return RC_OUTSIDE_STORAGE
        if exclusive and segment.end >= self.maximum and not segment.loadnshr:
            return RC_OUTSIDE_STORAGE
        ram_end = (len(self.ram) << PAGE_SHIFT) - 1
        return RC_OVERLAY if segment.start <= ram_end else 0

    def diagnose(self, code: int, rx: int, ry: int) -> tuple[int, int, int]:
        """DIAGNOSE with registers Rx, Ry; returns the condition code and both registers after it.

        Differs: X'08' has two more registers on the machine, which give the response a place of
            its own; here the response replaces the command, and Rx becomes its length.
        Raises:
            ProgramInterruption: ADDRESSING for a block outside storage; SPECIFICATION for an
                unknown code.
        """
        if code == 0x64:
            return self.diagnose_64(rx, ry)
        if code == 0x08:
            return self.diagnose_08(rx, ry)
        raise ProgramInterruption(SPECIFICATION, code, "fetch", f"DIAGNOSE X'{code:X}' is not known")

    def diagnose_64(self, rx: int, ry: int) -> tuple[int, int, int]:
        """Find, load or purge a saved segment; see diag64."""
        old = ry <= diag64.SEGEXT
        if not old and not self.extended:
            return 3, rx, ry
        if ry in (diag64.SEGEXT, diag64.SEGEXTX):
            return self._query(rx, ry)
        name = decode_name(self.memory.view(rx, 8).tobytes())
        if ry in (diag64.FINDSEG, diag64.FINDSEGX):
            return self._find(name, rx)
        if ry == diag64.PURGESEG:
            return self._purge(name, rx, ry)
        if ry in (diag64.LOADSHR, diag64.LOADNOLY, diag64.LOADSHRX):
            return self._load(name, rx, exclusive=False, old=old, overlay=ry != diag64.LOADNOLY)
        if ry in (diag64.LOADNSR, diag64.LOADNSRX):
            return self._load(name, rx, exclusive=True, old=old)
        return 3, rx, ry

    def _known(self, name: str) -> SavedSegment | None:
        """What this guest means by `name`: what it has loaded, else what it could load."""
        if name in self.attached:
            return self.attached[name].segment
        return self.spool.saved.get(name)

    def _find(self, name: str, rx: int) -> tuple[int, int, int]:
        segment = self._known(name)
        if segment is None:
            return 2, rx, RC_NOT_FOUND
        return int(name not in self.attached), segment.start, segment.end

    def _load(self, name: str, rx: int, *, exclusive: bool, old: bool, overlay: bool = True
              ) -> tuple[int, int, int]:
        """Load the newest copy. Loaded segments in the way are purged, or forbid it (LOADNOLY).

        Differs: CP also puts a segment over the guest's own storage; here that is refused.
        """
        segment = self.spool.saved.get(name)
        if segment is None:
            return 2, rx, RC_NOT_FOUND
        if rc := self.refusal(segment, exclusive, old):
            return 2, rx, rc
        in_the_way = [other.segment for other in self.attached.values() if other.segment.name == name
                      or (other.segment.start <= segment.end and segment.start <= other.segment.end)]
        if not overlay and any(other.name != name for other in in_the_way):
            return 2, rx, RC_OVERLAY
        for other in in_the_way:
            self.purge(other.name)
        try:
            self.load(segment, exclusive)
        except OSError:
            return 2, rx, RC_PAGING_ERROR
        return 0, segment.start, segment.end

    def _purge(self, name: str, rx: int, ry: int) -> tuple[int, int, int]:
        if name in self.attached:
            self.purge(name)
            return 0, rx, ry
        return (1, rx, ry) if name in self.spool.saved else (2, rx, RC_NOT_FOUND)

    def _query(self, rx: int, ry: int) -> tuple[int, int, int]:
        """The extended query: type and ranges go to the block that the guest names."""
        qin = Qin64(self._block(rx, Qin64.dtype.itemsize, store=False))
        form: type[Qout64] | type[Qout64Old] = Qout64 if ry == diag64.SEGEXTX else Qout64Old
        if qin.qopcode != diag64.FINDSEGA or qin.qoutlen < form.dtype.itemsize:
            return 2, rx, RC_BAD_BLOCK
        name = decode_name(qin.qname.tobytes())
        cc, _, rc = self._find(name, rx)
        segment = self._known(name)
        if segment is None:
            return cc, rx, rc
        if form is Qout64Old and segment.end >= 2 * GiB:
            return 2, rx, RC_OUTSIDE_STORAGE
        qout = form(self._block(qin.qoutptr, form.dtype.itemsize, store=True))
        fill_answer(qout, segment)
        return cc, rx, 0

    def diagnose_08(self, rx: int, ry: int) -> tuple[int, int, int]:
        """Run a CP command that lies in storage in EBCDIC; condition code 1: the response was cut."""
        length = ry & 0xFFFFFF
        if not length:
            return 0, rx, 0
        command = self._block(rx, length, store=False).tobytes().decode("cp037")
        response = self.execute(command, self.userid)
        if not ry & CP_RESPONSE_WANTED:
            self.console += response.splitlines()
            return 0, rx, response.rc
        text = response.replace("\n", NEW_LINE).encode("cp037", "replace")
        room = self._block(rx, PAGE_SIZE - offset_in_page(rx), store=True)
        stored = min(len(text), len(room))
        room[:stored] = memoryview(text)[:stored]
        return int(stored < len(text)), stored, response.rc

    def _block(self, address: int, nbytes: int, *, store: bool) -> Bytes:
        """A parameter block in the guest's storage."""
        if store and not self.memory.range_of(address, nbytes, "store").writable:
            raise ProgramInterruption(PROTECTION, address, "store")
        return self.memory.view(address, nbytes)

    def logoff(self) -> None:
        """Let go of all segments, and of the RAM."""
        if self.ended is not None:
            self.ended()
        for name in list(self.attached):
            self.purge(name)
        self.memory.detach(Paddr(0))
        self.memory.storage.free(self.ram.start, len(self.ram))

    def __str__(self) -> str:
        return self.userid


def fill_answer(qout: Qout64 | Qout64Old, segment: SavedSegment) -> None:
    """Write the answer to an extended query."""
    qout.segstart, qout.segend = segment.start, segment.end
    qout.segcnt = len(segment.ranges)
    qout.segrcnt = min(len(segment.ranges), diag64.MAX_RANGES)
    for index, pages in enumerate(segment.ranges[:diag64.MAX_RANGES]):
        qout.range[index] = (pages.first << PAGE_SHIFT | pages.type.code, pages.last << PAGE_SHIFT)
