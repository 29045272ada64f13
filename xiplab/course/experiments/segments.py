"""Who shares a segment, and who may write it: CP's catalogue and two guests.

    CP and its catalogue               DEFSEG  SAVESEG  PURGE  QUERY NSS
         ▲ DIAGNOSE X'64'
    LINUX1      LINUX2                 segment_load, segment_unload, segment_save
      │            │
      ▼            ▼
    frames of the segment itself, or of a copy

`Segments` boots one z/VM with two guests and the saved segments SHLIB (type SR) and BOARD (SW), of
1 MiB each.

    experiment = Segments()
    experiment.cp("DEFSEG DATA 10200-102FF EW")       any CP command; CP's answer
    experiment.load("LINUX1", "SHLIB")                shared; or "exclusive", as a copy
    experiment.store("LINUX1", "SHLIB", "J")          the guest stores letters
    experiment.reload("LINUX1", "SHLIB", "exclusive") loaded the other way
    experiment.unload("LINUX1", "SHLIB")
    experiment.save("LINUX1", "SHLIB")                DEFSEG and SAVESEG of what the guest has loaded
    experiment.restart()                              z/VM ends and starts again from its spool
    experiment.catalogue(), .loaded("LINUX1")         what there is to see

What CP, Linux or the machine refuses is no error here but an answer: `sentence()` says it.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xiplab.course.experiments.stage import Stage, action
from xiplab.course.experiments.words import refusal
from xiplab.course.start import text_of
from xiplab.errors import ProgramInterruption
from xiplab.guest import ZVM, Guest
from xiplab.linux.arch.s390.extmem import (
    SEGMENT_EXCLUSIVE,
    SEGMENT_SHARED,
    segment_load,
    segment_modify_shared,
    segment_save,
    segment_unload,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.units import MiB, Pfn, pfn_to_paddr
from xiplab.zvm import diag64
from xiplab.zvm.machine import VirtualMachine
from xiplab.zvm.segment import SavedSegment

GUESTS = ("LINUX1", "LINUX2")
NEW_YEAR = 946_684_800_000_000_000
"""This z/VM's clock stands still, so that every run gives the same catalogue."""
SHOWN = 16
"""So many bytes at the start of a segment are shown, and may be stored into."""
MODES = {"shared": SEGMENT_SHARED, "exclusive": SEGMENT_EXCLUSIVE}
CONTENTS = {"SHLIB": b"A shared library", "BOARD": b"A notice board  "}

DIAG_64 = {diag64.LOADSHRX: "load shared", diag64.LOADNSRX: "load exclusive", diag64.PURGESEG: "purge",
           diag64.SEGEXTX: "query"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of CP's catalogue.

    Attributes:
        fileid: its number. pages: "10000-100FF". class_: S skeleton, A available, R restricted, P
            pending purge. frame: the first host frame of the contents; None for a skeleton.
        text: the first bytes that a guest would share now.
    """

    fileid: int
    name: str
    pages: str
    type: str
    class_: str
    users: tuple[str, ...]
    frame: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A segment in a guest.

    Attributes:
        page: its first page in the guest's storage. frame: the host frame on which that page lies.
        copy: the frame is the guest's own. writable: the guest may store into it.
    """

    fileid: int
    name: str
    type: str
    page: Pfn
    frame: int
    copy: bool
    writable: bool
    text: str


def mode_of(how: str) -> int:
    """The number that Linux has for "shared" and "exclusive"; OSError EINVAL for another word."""
    if how not in MODES:
        raise OSError(errno.EINVAL, f"{how!r}: a segment is loaded {' or '.join(MODES)}")
    return MODES[how]


def type_of(segment: SavedSegment) -> str:
    """SR; EW/EN for ranges of two types."""
    return "/".join(dict.fromkeys(str(pages.type) for pages in segment.ranges))


class Segments(Stage):
    """One z/VM with a catalogue of segments, and two guests.

    Attributes:
        vm: the z/VM. guests: by name.
        answer: what came of the last action. calls: what was asked of CP in it. taken: the host
            frames that it took, for copies and contents; less than 0 if it gave some back.
    """

    def build(self) -> None:
        self.vm = ZVM(clock=lambda: NEW_YEAR)
        self._logon()
        for name, kind in (("SHLIB", "SR"), ("BOARD", "SW")):
            self.vm.segment(name, 1 * MiB, kind)
            self.vm.load(name, CONTENTS[name])
        self.answer = "CP keeps two saved segments, SHLIB and BOARD. Neither guest has loaded one."
        self.taken = 0

    def _logon(self) -> None:
        self.calls: list[str] = []
        self.guests = {name: self.vm.logon(name) for name in GUESTS}
        for guest in self.guests.values():
            guest.kernel.diagnose = self._listening(guest.machine)

    def _listening(self, machine: VirtualMachine) -> Callable[[int, int, int], tuple[int, int, int]]:
        """The machine's DIAGNOSE, each call noted in words."""

        def diagnose(code: int, rx: int, ry: int) -> tuple[int, int, int]:
            asked = asked_of_cp(machine, code, rx, ry)
            cc, rx, ry = machine.diagnose(code, rx, ry)
            came = f"return code {ry}" if code == 0x08 else f"condition code {cc}"
            self.calls.append(f"{machine}: DIAGNOSE X'{code:02X}', {asked}: {came}")
            return cc, rx, ry

        return diagnose

    def guest(self, name: str) -> Guest:
        """The guest called `name`; OSError ENOENT if there is none."""
        if name not in self.guests:
            raise OSError(errno.ENOENT, f"{name!r} is not logged on; {' and '.join(GUESTS)} are")
        return self.guests[name]

    # ---- what a learner does ----

    @action
    def cp(self, command: str) -> str:
        """Give CP a command as MAINT, the user who maintains the system; CP's answer."""
        answer = self._answered(lambda: str(self.vm.cp(command)), f"MAINT: {command}")
        self.calls += answer.splitlines()
        return answer

    @action
    def load(self, guest: str, name: str, how: str = "shared") -> str:
        """A guest loads a segment, "shared" or "exclusive".

        Raises:
            OSError: ENOENT no such guest; EINVAL another `how`.
        """
        kernel, mode = self.guest(guest).kernel, mode_of(how)

        def load() -> str:
            segment_load(kernel, name, mode)
            return f"{guest} has loaded {name.upper()} {how}. {self._lies(guest, name)}"

        return self._answered(load)

    @action
    def reload(self, guest: str, name: str, how: str) -> str:
        """A guest loads a segment the other way. What it had stored and not saved is lost.

        Raises:
            OSError: ENOENT no such guest; EINVAL another `how`.
        """
        kernel, mode = self.guest(guest).kernel, mode_of(how)

        def reload() -> str:
            self.modify_shared(kernel, name, mode)
            return f"{guest} has loaded {name.upper()} again, {how}. {self._lies(guest, name)}"

        return self._answered(reload)

    def _lies(self, guest: str, name: str) -> str:
        here = self.found(guest, name)
        whose = f"{guest}'s own, a copy" if here.copy else "the segment's own"
        return f"Its page {here.page:X} lies on frame {here.frame:X}, which is {whose}."

    @action
    def unload(self, guest: str, name: str) -> str:
        """A guest lets go of a segment.

        Raises:
            OSError: ENOENT no such guest.
        """
        kernel = self.guest(guest).kernel

        def unload() -> str:
            here = self.found(guest, name)
            segment_unload(kernel, name)
            users = next((entry.users for entry in self.catalogue() if entry.fileid == here.fileid), ())
            return f"{guest} has let go of {here.name}. Who has it still: {', '.join(users) or 'nobody'}."

        return self._answered(unload)

    @action
    def store(self, guest: str, name: str, letters: str, offset: int = 0) -> str:
        """A guest stores letters into a segment that it has loaded.

        Raises:
            OSError: ENOENT no such guest; EFAULT outside the bytes that are shown.
        """
        machine = self.guest(guest).machine
        data = letters.encode("latin-1", "replace")
        if not 0 <= offset < offset + len(data) <= SHOWN:
            raise OSError(errno.EFAULT, f"store: letters {offset} to {offset + len(data)} of {SHOWN}")

        def store() -> str:
            here = self.found(guest, name)
            machine.memory.span(pfn_to_paddr(here.page) + offset, len(data), "store")[:] = data
            return f"{guest} has stored {letters!r} into {here.name}. {self._seen(guest, here)}"

        return self._answered(store)

    def _seen(self, guest: str, here: Loaded) -> str:
        """Who else sees what `guest` has stored."""
        if here.copy:
            return f"Only {guest} sees it: frame {here.frame:X} is its own."
        others = [user for user in GUESTS if user != guest
                  and any(there.frame == here.frame for there in self.loaded(user))]
        seen = f"{' and '.join(others)} sees it at once" if others else "Whoever loads it shared will see it"
        return f"{seen}: frame {here.frame:X} is the segment's own."

    @action
    def save(self, guest: str, name: str) -> str:
        """A guest saves what it has loaded, under the same name.

        Raises:
            OSError: ENOENT no such guest.
        """
        kernel = self.guest(guest).kernel

        def save() -> str:
            before = len(kernel.dmesg)
            self.segment_save(kernel, name)
            if len(kernel.dmesg) > before:
                return kernel.dmesg[-1]
            saved = self.vm.saved_segment(name)
            return f"{guest} has saved {saved}; it is file {saved.spoolid:04d} now."

        return self._answered(save)

    @action
    def restart(self) -> str:
        """z/VM shuts down and starts again from its spool; both guests boot."""

        def restart() -> str:
            with tempfile.TemporaryDirectory() as folder:
                spool = Path(folder, "spool")
                self.vm.shutdown(spool)
                self.vm = ZVM.ipl(spool)
            self.vm.clock = lambda: NEW_YEAR
            self._logon()
            return "z/VM has started again from its spool. No guest has loaded a segment yet."

        return self._answered(restart)

    def _answered(self, act: Callable[[], str], first: str = "") -> str:
        """Do it. What comes of it, or why it is refused, is the answer; what it changed is marked."""
        self.calls = [first] if first else []
        before, frames = self.state(), self.frames()
        try:
            self.answer = act()
        except (OSError, ProgramInterruption) as failure:
            words = refusal(failure)
            self.answer = words[0].upper() + words[1:]
        self.taken = self.frames() - frames
        for key, what in self.state().items():
            if before.get(key) != what:
                self.mark(key)
        return self.answer

    # ---- what of Linux it uses ----

    def modify_shared(self, kernel: Kernel, name: str, mode: int) -> None:
        segment_modify_shared(kernel, name, mode)

    def segment_save(self, kernel: Kernel, name: str) -> None:
        segment_save(kernel, name)

    # ---- what there is to see ----

    def frames(self) -> int:
        """Host frames in use: those of segments that guests can load, and of guests' copies."""
        copies = [attached.private for guest in self.guests.values()
                  for attached in guest.machine.attached.values()]
        return sum(map(len, [*(file.frames for file in self.vm.spool.files), *copies]))

    def state(self) -> dict[str, Entry | Loaded]:
        """All that is shown, by the key of its place in the picture."""
        entries: dict[str, Entry | Loaded] = {f"file:{entry.fileid}": entry for entry in self.catalogue()}
        return entries | {f"loaded:{guest}:{here.name}": here for guest in GUESTS
                          for here in self.loaded(guest)}

    def catalogue(self) -> list[Entry]:
        """CP's files in the order of their numbers."""
        return [Entry(file.spoolid, file.name, f"{file.first:X}-{file.last:X}", type_of(file), file.class_,
                      tuple(sorted(file.users)), file.frames.start if file.frames else None,
                      text_of(bytes(file.mem[:SHOWN])) if file.frames else "")
                for file in self.vm.spool.files]

    def loaded(self, guest: str) -> list[Loaded]:
        """What a guest has loaded."""
        machine = self.guest(guest).machine
        return [self._loaded(machine, name) for name in machine.attached]

    def _loaded(self, machine: VirtualMachine, name: str) -> Loaded:
        attached = machine.attached[name]
        segment = attached.segment
        place = machine.memory.range_of(segment.start)
        return Loaded(segment.spoolid, name, type_of(segment), segment.first, place.first,
                      place.first in attached.private, place.writable,
                      text_of(bytes(machine.memory.view(segment.start, SHOWN))))

    def found(self, guest: str, name: str) -> Loaded:
        """A segment in a guest; OSError ENXIO if it is not loaded there."""
        here = next((there for there in self.loaded(guest) if there.name == name.upper()), None)
        if here is None:
            raise OSError(errno.ENXIO, f"{guest} has not loaded {name}")
        return here

    def sentence(self) -> str:
        lines = self.answer.splitlines()
        return f"CP has answered with {len(lines)} lines." if len(lines) > 1 else self.answer

    def __str__(self) -> str:
        lines = [f"{entry.name:8} {entry.pages} {entry.type} class {entry.class_} {entry.text}".rstrip()
                 for entry in self.catalogue()]
        lines += [f"{guest}: {here.name} on frame {here.frame:X}, {'a copy' if here.copy else 'shared'}, "
                  f"{'may write' if here.writable else 'read only'}: {here.text}"
                  for guest in GUESTS for here in self.loaded(guest)]
        return "\n".join([*lines, self.sentence()])


def asked_of_cp(machine: VirtualMachine, code: int, rx: int, ry: int) -> str:
    """What a guest asks with a DIAGNOSE, in words."""
    if code == 0x08:
        return machine.memory.view(rx, ry & 0xFFFFFF).tobytes().decode("cp037")
    if ry == diag64.FINDSEGX:
        return "find: does CP know the newer calls?"
    block = machine.memory.view(rx, diag64.Qin64.dtype.itemsize)
    name = diag64.Qin64(block).qname if ry == diag64.SEGEXTX else block[:8]
    return f"{DIAG_64[ry]} {diag64.decode_name(bytes(name))}"
