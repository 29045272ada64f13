"""The disk and the old ramdisk of notebook 01 with functions of the learner's in the page cache.

    experiment = driven(YourDisk(), use_shrink=shrink)          trial.py
    experiment.store(1, "B"); experiment.press()                memory is short: shrink(...) is called

    experiment = driven(YourRamdisk(), use_writepage=writepage)
    experiment.load(); experiment.press()                       the ramdisk's pages go through writepage(page)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from xiplab.course.experiments.copies import PAGES, Disk, OldRamdisk
from xiplab.course.experiments.stage import action
from xiplab.errors import KernelBug
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import delete_from_page_cache, write_one_page

Function = Callable[..., Any]


def shrink_with(shrink: Function, pages: Sequence[Page], wanted: int) -> Any:
    """Let `shrink(pages, wanted, writepage, drop)` give up to `wanted` of the frames back."""
    return shrink(list(pages), wanted, write_one_page, delete_from_page_cache)


class YourDisk(Disk):
    """A disk whose page cache is shrunk by the learner's function.

    Attributes:
        shrink: what is called when memory is short; it gets the pages. trouble: what went wrong in it.
    """

    def build(self) -> None:
        self.shrink: Callable[[list[Page]], Any] | None = None
        self.trouble = ""
        super().build()

    @action
    def use_shrink(self, shrink: Function) -> None:
        """When memory is short, shrink(pages, wanted, writepage, drop) is called from now on."""
        self.shrink = partial(shrink_with, shrink, wanted=PAGES)

    @action
    def press(self) -> None:
        """Other programs need memory; what the function does wrong is said."""
        self.trouble = ""
        super().press()
        self.said = self.trouble or self.said

    def reclaim(self) -> None:
        if self.shrink is None:
            super().reclaim()
            return
        pages = [page for number in range(PAGES) if (page := self.cache_page(number)) is not None]
        try:
            self.shrink(pages)
        except OSError as failure:
            self.trouble = f"{failure.strerror}."
        except KernelBug as failure:
            self.trouble = f"The kernel stops: {failure}."


class YourRamdisk(OldRamdisk):
    """The old ramdisk, whose writepage is the learner's function."""

    @action
    def use_writepage(self, writepage: Function) -> None:
        """Pages of the ramdisk are written by writepage(page) from now on."""
        use_writepage(self, writepage)


def use_writepage(ramdisk: OldRamdisk, writepage: Function) -> None:
    """The ramdisk's table of address space operations has this writepage from now on."""
    aops = ramdisk.disk.queue.queuedata
    ramdisk.disk.queue.queuedata = changed = replace(aops, name=f"{aops.name} (plugged)", writepage=writepage)
    filp = ramdisk.guest.task.files[ramdisk.fd]
    assert filp is not None
    filp.f_mapping.a_ops = changed
