"""CP's spool: the saved segments that there are, by class.

    define    a class S skeleton
    save      a skeleton gets contents and becomes A (R if restricted); the A or R file that had
              the name becomes P while guests use it, else it is gone
    purge     S and unused files are gone, a used one becomes P
    release   a guest lets go; a P file goes with its last user
"""

from __future__ import annotations

import errno
from itertools import chain

from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.units import paddr_to_pfn
from xiplab.zvm.segment import PageRange, SavedSegment, copy_frames

MAX_SPOOLID = 9999


class Spool:
    """The system data files of one z/VM system.

    Attributes:
        storage: where their frames are.
        files: in the order of their numbers.
        next_spoolid: the number of the next one.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.files: list[SavedSegment] = []
        self.next_spoolid = 1

    @property
    def saved(self) -> dict[str, SavedSegment]:
        """What guests can load: the class A and R files by name, at most one each."""
        return {file.name: file for file in self.files if file.class_ in "AR"}

    def skeleton(self, name: str) -> SavedSegment | None:
        """The class S file called `name`, if there is one."""
        return next((file for file in self.files if file.class_ == "S" and file.name == name), None)

    def define(self, name: str, ranges: tuple[PageRange, ...], *, restricted: bool, loadnshr: bool,
               originid: str, created: int) -> SavedSegment:
        """Make a skeleton; one that has the name already is replaced.

        Raises:
            OSError: ENOSPC if all 9999 numbers are taken.
        """
        if (old := self.skeleton(name)) is not None:
            self.delete(old)
        file = SavedSegment(self.take_spoolid(), name, ranges, self.storage, restricted, loadnshr,
                            originid, created)
        self.files.append(file)
        return file

    def take_spoolid(self) -> int:
        """The next free number; after 9999 comes 1."""
        taken = {file.spoolid for file in self.files}
        for spoolid in chain(range(self.next_spoolid, MAX_SPOOLID + 1), range(1, self.next_spoolid)):
            if spoolid not in taken:
                self.next_spoolid = spoolid + 1
                return spoolid
        raise OSError(errno.ENOSPC, f"all {MAX_SPOOLID} file numbers are taken")

    def save(self, skeleton: SavedSegment, memory: AbsoluteStorage | None) -> None:
        """Fill the skeleton's pages from `memory`; pages that are not in there are saved as zeros.

        Raises:
            OSError: ENOMEM; the skeleton stays one.
        """
        skeleton.take_frames()
        if memory is not None:
            copy_from_guest(skeleton, memory)
        if (old := self.saved.get(skeleton.name)) is not None:
            self.purge(old)
        skeleton.class_ = "R" if skeleton.restricted else "A"

    def purge(self, file: SavedSegment) -> None:
        """Delete the file, or let it wait for its last user."""
        if file.users:
            file.class_ = "P"
        else:
            self.delete(file)

    def release(self, file: SavedSegment, userid: str) -> None:
        """A guest has let go of the segment. What nobody has loaded is as it was saved."""
        file.users.discard(userid)
        if file.users:
            return
        if file.class_ == "P":
            self.delete(file)
        else:
            file.discard_changes()

    def delete(self, file: SavedSegment) -> None:
        self.files.remove(file)
        file.free_frames()


def copy_from_guest(file: SavedSegment, memory: AbsoluteStorage) -> None:
    """Copy a guest's present contents of the segment's addresses, as far as a save keeps them."""
    for pages in file.ranges:
        for r in memory.ranges if pages.type.saved else ():
            first = max(pages.first, paddr_to_pfn(r.start))
            stop = min(pages.last + 1, paddr_to_pfn(r.end + 1))
            if first < stop:
                source = r.first + first - paddr_to_pfn(r.start)
                copy_frames(file.storage, source, file.frames.start + first - file.first, stop - first)
