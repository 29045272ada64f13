"""CP's spool: the saved segments that there are, by class.

    define    a class S skeleton
    save      a skeleton gets contents and becomes A (R if restricted); the A or R file that had
              the name becomes P while guests use it, else it is gone
    purge     S and unused files are gone, a used one becomes P
    release   a guest lets go; a P file goes with its last user
"""

from __future__ import annotations

from xiplab.hw.memory import AbsoluteStorage, Storage
from xiplab.units import PAGE_SHIFT
from xiplab.zvm.segment import PageRange, SavedSegment, copy_frames


class Spool:
    """The system data files of one z/VM system.

    Attributes:
        storage: where their frames are.
        files: in the order of their numbers.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.files: list[SavedSegment] = []
        self._next_spoolid = 1

    @property
    def saved(self) -> dict[str, SavedSegment]:
        """What guests can load: the class A and R files by name, at most one each."""
        return {file.name: file for file in self.files if file.class_ in "AR"}

    def skeleton(self, name: str) -> SavedSegment | None:
        """The class S file called `name`, if there is one."""
        return next((file for file in self.files if file.class_ == "S" and file.name == name), None)

    def define(self, name: str, ranges: tuple[PageRange, ...], *, restricted: bool = False,
               loadnshr: bool = False) -> SavedSegment:
        """Make a skeleton; one that has the name already is replaced."""
        if (old := self.skeleton(name)) is not None:
            self.delete(old)
        file = SavedSegment(self._next_spoolid, name, ranges, self.storage, restricted, loadnshr)
        self._next_spoolid += 1
        self.files.append(file)
        return file

    def save(self, skeleton: SavedSegment, memory: AbsoluteStorage | None) -> None:
        """Fill the skeleton's pages from `memory`; pages that are not in there are saved as zeros."""
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
        """A guest has let go of the segment."""
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
            first = max(pages.first, r.start >> PAGE_SHIFT)
            stop = min(pages.last + 1, (r.end + 1) >> PAGE_SHIFT)
            if first < stop:
                source = r.first + first - (r.start >> PAGE_SHIFT)
                copy_frames(file.storage, source, file.frames.start + first - file.first, stop - first)
