"""The control program of z/VM: commands, saved segments and virtual machines.

    vm = ControlProgram()
    vm.cp("DEFSEG SHLIB 10000-10FFF SR")
    vm.cp("SAVESEG SHLIB")                      # or both: vm.segment("SHLIB", 16 * MiB)
    vm.load("SHLIB", "disk.img")
    linux1 = vm.virtual_machine("LINUX1")       # linux1.memory, linux1.diagnose
    vm.shutdown("spool"); vm = ControlProgram.ipl("spool")

`cp` never raises for what a command says: it answers with a text and a return code, as CP does. The
commands are in command.py. The other methods are calls of ours and raise OSError.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Self

import numpy as np

from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SIZE, GiB, MiB, Paddr, paddr_to_pfn, page_count
from xiplab.zvm.command import execute
from xiplab.zvm.machine import CpResponse, VirtualMachine
from xiplab.zvm.segment import SavedSegment, is_name, read_sparse
from xiplab.zvm.spool import Spool
from xiplab.zvm.spooldump import read_spool, write_spool

FIRST_ADDRESS = 0x10000000
"""Where `segment` puts the first one if no address is given."""


class ControlProgram:
    """One z/VM system.

    Attributes:
        storage: the machine's frames. spool: the saved segments and skeletons.
        machines: the virtual machines by userid.
        clock: nanoseconds since 1970, for the dates of saved segments.
    """

    def __init__(self, storage: Storage | None = None, clock: Callable[[], int] = time.time_ns) -> None:
        self.storage = Storage(256 * GiB) if storage is None else storage
        self.spool = Spool(self.storage)
        self.machines: dict[str, VirtualMachine] = {}
        self.clock = clock

    @property
    def segments(self) -> dict[str, SavedSegment]:
        """The saved segments by name."""
        return self.spool.saved

    def cp(self, command: str, user: str = "MAINT") -> CpResponse:
        """Run a CP command as `user`; the answer has the text and a return code (`rc`).

        A user without a virtual machine has all privilege classes and storage that is all zero.
        """
        userid = str(user).upper()
        return execute(self.spool, str(command), userid, self.machines.get(userid), self.clock())

    def virtual_machine(self, userid: str, storage: int = 64 * MiB, **attributes: Any) -> VirtualMachine:
        """Create a guest with `storage` bytes of RAM at 0; `attributes` are those of VirtualMachine.

        Raises:
            OSError: EINVAL for a bad userid, a size that is no multiple of 1 MiB, or an unknown
                attribute; EEXIST if the user is logged on; ENOMEM.
        """
        userid = str(userid).upper()
        if not is_name(userid):
            raise OSError(errno.EINVAL, f"{userid!r} is no userid: 1 to 8 letters and digits")
        if userid in self.machines:
            raise OSError(errno.EEXIST, f"{userid} is logged on")
        if not isinstance(storage, int) or storage < MiB or storage % MiB:
            raise OSError(errno.EINVAL, f"{userid}: storage of {storage} bytes is no multiple of 1 MiB")
        known = {field.name for field in fields(VirtualMachine)}
        if unknown := attributes.keys() - known:
            raise OSError(errno.EINVAL, f"{userid}: no attribute called {', '.join(sorted(unknown))}")
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
        machine = self.machines.pop(str(userid).upper(), None)
        if machine is None:
            raise OSError(errno.ENOENT, f"{userid} is not logged on")
        machine.logoff()

    def segment(self, name: str, size: int, type: str = "SR", at: int | None = None) -> SavedSegment:
        """Define and save a segment of zeros: DEFSEG and SAVESEG.

        Args:
            size: bytes, a multiple of the page size.
            at: address of its first byte; None for the next free megabyte.
        Raises:
            OSError: EINVAL for what CP refuses.
        """
        start = self._free_address() if at is None else at
        if not isinstance(size, int) or not isinstance(start, int) or size < 1 or (size | start) % PAGE_SIZE:
            raise OSError(errno.EINVAL, f"{name}: {size} bytes at {start} are no whole pages")
        first, last = paddr_to_pfn(start), paddr_to_pfn(start + size) - 1
        for command in (f"DEFSEG {name} {first:X}-{last:X} {type}", f"SAVESEG {name}"):
            response = self.cp(command)
            if response.rc:
                raise OSError(errno.EINVAL, f"{command}: {response}")
        return self.saved_segment(name)

    def _free_address(self) -> int:
        end = max([FIRST_ADDRESS, *(file.end + 1 for file in self.spool.files)])
        return (end + MiB - 1) // MiB * MiB

    def saved_segment(self, name: str) -> SavedSegment:
        """The saved segment called `name`; OSError ENOENT if there is none."""
        segment = self.segments.get(str(name).upper())
        if segment is None:
            raise OSError(errno.ENOENT, f"{name}: no saved segment has this name")
        return segment

    def load(self, name: str, image: bytes | str | os.PathLike[str] | Bytes) -> SavedSegment:
        """Put an image into a saved segment's own frames; it counts as saved. The rest is zero.

        Raises:
            OSError: ENOENT no such saved segment; EFBIG the image is larger than the segment;
                EINVAL for pages that are never saved (SN, EN); what reading the file gives.
        """
        segment = self.saved_segment(name)
        if not all(pages.type.saved for pages in segment.ranges):
            raise OSError(errno.EINVAL, f"{name}: SN and EN pages are not saved, an image would not last")
        if isinstance(image, str | os.PathLike):
            with open(image, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                self._clear_for(segment, size)
                read_sparse(file, 0, segment.mem.data[:size])
        else:
            contents = np.frombuffer(image, np.uint8)
            self._clear_for(segment, len(contents))
            segment.mem[:len(contents)].data[:] = contents.data
        segment.commit()
        return segment

    def _clear_for(self, segment: SavedSegment, size: int) -> None:
        if size > segment.size:
            raise OSError(errno.EFBIG, f"{segment}: an image of {size} bytes, the segment has {segment.size}")
        self.storage.erase(segment.frames.start, segment.npages)

    def store(self, name: str, offset: int, contents: bytes) -> None:
        """CP stores into the shared copy of an SC segment; all guests see it, none can do it.

        It lasts as long as anybody has the segment loaded, unless it is saved.

        Raises:
            OSError: ENOENT no such saved segment; EPERM a page that CP may not write; EFBIG past
                the end of the segment.
        """
        segment = self.saved_segment(name)
        end = offset + len(contents)
        if not 0 <= offset <= end <= segment.size:
            raise OSError(errno.EFBIG, f"{name}: bytes {offset} to {end}, the segment has {segment.size}")
        if not all(pages.type.cp_writes for pages in segment.ranges):
            raise OSError(errno.EPERM, f"{name}: CP writes only into SC pages")
        segment.preserve()
        segment.mem[offset:end].data[:] = contents

    def shutdown(self, path: str | os.PathLike[str]) -> None:
        """Write all that is saved to a file and end the system with its guests.

        Raises:
            OSError: what writing gives; the system goes on then.
        """
        write_spool(self.spool, path)
        for userid in list(self.machines):
            self.logoff(userid)
        for file in list(self.spool.files):
            self.spool.delete(file)

    @classmethod
    def ipl(cls, path: str | os.PathLike[str], storage: Storage | None = None) -> Self:
        """Start a system from what `shutdown` wrote.

        Raises:
            OSError: EINVAL for a file that is none or is damaged; ENOMEM; what reading gives.
        """
        system = cls(storage)
        read_spool(system.spool, path)
        return system
