"""The guests and segments of notebook 02 with functions of the learner's in Linux' extmem.

    experiment = driven(YourExtmem(), use_modify_shared=modify_shared)      trial.py
    experiment.reload("LINUX1", "SHLIB", "exclusive")       modify_shared(seg, mode, purge, load, destroy)

    experiment = driven(YourExtmem(), use_segment_save=segment_save)
    experiment.save("LINUX1", "SHLIB")          segment_save(name, lock, unlock, find, commands, cp)

    placed(check_place)                         what a function says of five places for a segment
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from xiplab.course.experiments.segments import Segments
from xiplab.course.experiments.stage import action
from xiplab.course.experiments.words import refusal
from xiplab.course.trial import trial
from xiplab.linux.arch.s390.cpcmd import cpcmd
from xiplab.linux.arch.s390.extmem import (
    DcssSegment,
    dcss_diag_translate_rc,
    dcss_load,
    dcss_purge,
    destroy_segment,
    segment_by_name,
    segtype_string,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.units import Paddr, paddr_to_pfn

Function = Callable[..., Any]


def name_of(seg: DcssSegment) -> str:
    return seg.dcss_name.decode("cp037").rstrip()


def load_again(kernel: Kernel, seg: DcssSegment, mode: int) -> None:
    """Load a segment of the list in this mode. Raises OSError: what CP answers."""
    cc, start_addr, end = dcss_load(kernel, seg, mode)
    if cc > 1:
        raise dcss_diag_translate_rc(end, f"DCSS {name_of(seg)}")
    seg.start_addr, seg.end = Paddr(start_addr), Paddr(end)


def modify_with(modify_shared: Function, kernel: Kernel, name: str, mode: int) -> None:
    """Let `modify_shared(seg, mode, purge, load, destroy)` load a segment in the other mode."""
    modify_shared(segment_by_name(kernel, name), mode, partial(dcss_purge, kernel),
                  partial(load_again, kernel), partial(destroy_segment, kernel))


def commands_for(seg: DcssSegment) -> list[str]:
    """What CP is told to save a segment: DEFSEG, then SAVESEG."""
    ranges = "".join(f" {paddr_to_pfn(Paddr(start)):X}-{paddr_to_pfn(Paddr(end)):X} "
                     f"{segtype_string[start & 0xFF]}" for start, end in seg.range)
    return [f"DEFSEG {name_of(seg)}{ranges}", f"SAVESEG {name_of(seg)}"]


class DcssLock:
    """The lock of extmem's list. The model has one thread: who would wait for ever gets an error.

    Attributes:
        held: somebody has it. naked: what was done without it. told: the first words of what CP was told.
    """

    def __init__(self) -> None:
        self.held = False
        self.naked: list[str] = []
        self.told: list[str] = []

    def lock(self) -> None:
        """Raises OSError: EDEADLK if it is held."""
        if self.held:
            raise OSError(errno.EDEADLK, "dcss_lock is held: this call waits for ever")
        self.held = True

    def unlock(self) -> None:
        """Raises OSError: EPERM if it is not held."""
        if not self.held:
            raise OSError(errno.EPERM, "dcss_lock is let go, and was not held")
        self.held = False

    def guarded(self, what: str, function: Function) -> Function:
        """The function; a call without the lock is noted."""
        def called(*args: Any) -> Any:
            if not self.held:
                self.naked.append(what)
            return function(*args)

        return called


def save_with(segment_save: Function, kernel: Kernel, name: str, lock: DcssLock) -> None:
    """Let `segment_save(name, lock, unlock, find, commands, cp)` save a segment."""
    def cp(command: str) -> int:
        lock.told.append(command.split(maxsplit=1)[0])
        return cpcmd(kernel, command)[0]

    segment_save(name, lock.lock, lock.unlock, lock.guarded("find", partial(segment_by_name, kernel)),
                 commands_for, lock.guarded("cp", cp))


PLACES = ((0x10100, 0x101FF), (0x10300, 0x103FF), (0x10301, 0x10400), (0x10010, 0x1001F), (0x3F00, 0x3FFF))
STORAGE, LOADED, MAX_PFN = 0x4000, (0x10000, 0x100FF), 0x10400


def placed(check_place: Function) -> str:
    """What check_place(first, last, max_pfn, storage, loaded) says of five places for a segment."""
    function, loaded = trial(check_place), SimpleNamespace(first=LOADED[0], last=LOADED[1])
    lines = [f"in hex: storage {STORAGE:X} pages, loaded {LOADED[0]:X}-{LOADED[1]:X}, max_pfn {MAX_PFN:X}"]
    for first, last in PLACES:
        try:
            function(first, last, MAX_PFN, STORAGE, [loaded])
            said = "fits"
        except OSError as failure:
            if failure.errno == errno.ENOSYS:
                return str(failure.strerror)
            said = refusal(failure)
        lines.append(f"pages {first:X}-{last:X}: {said}")
    return "\n".join(lines)


class YourExtmem(Segments):
    """Guests whose Linux loads and saves segments by the learner's functions.

    Attributes:
        functions: by what they replace. locks: one for each guest.
    """

    def build(self) -> None:
        self.functions: dict[str, Function] = {}
        self.locks: dict[str, DcssLock] = {}
        super().build()

    @action
    def use_modify_shared(self, modify_shared: Function) -> None:
        """`reload` calls modify_shared(seg, mode, purge, load, destroy) from now on."""
        self.functions["modify_shared"] = modify_shared

    @action
    def use_segment_save(self, segment_save: Function) -> None:
        """`save` calls segment_save(name, lock, unlock, find, commands, cp) from now on."""
        self.functions["segment_save"] = segment_save

    @action
    def save_unknown(self, guest: str, name: str) -> str:
        """A guest asks to save a segment that it has not loaded."""
        def save() -> str:
            self.segment_save(self.guest(guest).kernel, name)
            return f"{guest} has asked to save {name}, which is not in its list."

        return self._answered(save)

    def modify_shared(self, kernel: Kernel, name: str, mode: int) -> None:
        if function := self.functions.get("modify_shared"):
            modify_with(function, kernel, name, mode)
        else:
            super().modify_shared(kernel, name, mode)

    def segment_save(self, kernel: Kernel, name: str) -> None:
        if function := self.functions.get("segment_save"):
            save_with(function, kernel, name, self.locks.setdefault(str(kernel), DcssLock()))
        else:
            super().segment_save(kernel, name)
