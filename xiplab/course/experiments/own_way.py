"""Exercise 04: the way of notebook 04, gone by functions of the learner's own.

    experiment = driven(OwnWay(), use_inode_place=inode_place)      (xiplab.course.trial)
    experiment.use_inode_place(inode_place)     where an inode begins: the learner's, from now on
    experiment.use_block_of(block_of)           which block holds a page: the same

What the learner has not written is the model's. Where a function leads, there the picture goes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import TypeAlias

from xiplab.course.experiments.ext2_bytes import Ext2Bytes
from xiplab.course.experiments.stage import action
from xiplab.course.experiments.words import refusal
from xiplab.linux.fs.ext2.ext2_fs import EXT2_GOOD_OLD_INODE_SIZE
from xiplab.tools import debugfs
from xiplab.tools.filsys import Filsys
from xiplab.tools.way import Stop, byte_name
from xiplab.units import PAGE_SIZE

InodePlace: TypeAlias = Callable[[bytes, int], int]
BlockOf: TypeAlias = Callable[[bytes, int, int], int]


class OwnWay(Ext2Bytes):
    """The way to a byte in two stops, inode and block, each found by a function.

    Attributes:
        inode_place: where an inode begins in the image. block_of: which block holds a page. None: the
            model's.
    """

    def build(self) -> None:
        super().build()
        self.inode_place: InodePlace | None = None
        self.block_of: BlockOf | None = None

    @action
    def use_inode_place(self, function: InodePlace) -> None:
        """Let this function say where an inode begins, and go the whole way."""
        self.inode_place = function
        self._go()

    @action
    def use_block_of(self, function: BlockOf) -> None:
        """Let this function say which block holds a page, and go the whole way."""
        self.block_of = function
        self._go()

    @action
    def follow(self, path: str, position: int = 0) -> None:
        """Go the way to another byte."""
        super().follow(path, position)
        self._go()

    def _go(self) -> None:
        """All stops, and a word on the end if it is not the byte."""
        self.taken = 0
        for _ in self.stops():
            self.step()
        if self.taken < 2:
            self.step()

    def way(self) -> tuple[list[Stop], str]:
        """The stops up to where the functions lead; what they raise ends the way."""
        stops: list[Stop] = []
        try:
            for stop in self._own_way():
                stops.append(stop)
        except OSError as failure:
            return stops, f"The way ends here: {refusal(failure)}"
        return stops, "This is the end of the way."

    def _own_way(self) -> Iterator[Stop]:
        fs, data = Filsys(self.image), self.image.tobytes()
        ino = debugfs.namei(self.image, self.path)
        place = self.inode_place(data, ino) if self.inode_place else fs.inode_offset(ino)
        there = self._inode_at(fs, place)
        leads = f"there is inode {there}" if there else f"no inode begins there: {self._role(place)}"
        yield Stop(place, 2, f"inode {there}: i_mode" if there else "data",
                   f"{self._whose('inode_place')}: inode {ino} begins at byte {place:,}", leads)
        if not there:
            raise OSError(errno.ENOENT, "what lies there is no inode")
        page, offset = divmod(self.position, PAGE_SIZE)
        blocks = debugfs.blocks(self.image, there)
        if page >= len(blocks):
            raise OSError(errno.ENXIO, f"page {page} is behind the end of inode {there}")
        block = self.block_of(data, place, page) if self.block_of else blocks[page]
        yield self._byte_stop(fs, page, block, offset)

    def _inode_at(self, fs: Filsys, place: int) -> int:
        """The number of the inode that begins at this place, 0 if none does."""
        if type(place) is not int or not 0 <= place <= len(self.image) - EXT2_GOOD_OLD_INODE_SIZE:
            raise OSError(errno.EFAULT, f"{self._whose('inode_place')} says {place!r}: no place in the image")
        return next((ino for ino in range(1, fs.inodes_count + 1) if fs.inode_offset(ino) == place), 0)

    def _byte_stop(self, fs: Filsys, page: int, block: int, offset: int) -> Stop:
        """The byte in the block that is said to hold the page."""
        whose = self._whose("block_of")
        if type(block) is not int or not 0 <= block < fs.blocks_count:
            raise OSError(errno.EFAULT, f"{whose} says {block!r}: no block of the image")
        if not block:
            return Stop(0, 1, "data", f"{whose}: page {page} is a hole", "it reads as zeros")
        start = block * PAGE_SIZE + offset
        return Stop(start, 1, "data", f"{whose}: page {page} is in block {block}",
                    f"{self._role(start)}; byte {offset:,} is {byte_name(fs, start)}")

    def _whose(self, name: str) -> str:
        return f"your {name}" if getattr(self, name) else name

    def _role(self, place: int) -> str:
        return f"block {place // PAGE_SIZE} is {self.roles()[place // PAGE_SIZE]}"
