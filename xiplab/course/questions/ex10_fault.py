"""Question 10.2: DAX's page fault in order. A truncate comes in at every place where it can.

The answer gets a file of the judge's, whose size another program changes after the first, the second,
the third ... operation. Truncate takes the same lock: while the fault holds it, truncate waits, and
afterwards it takes out of the page table what lies behind the new end.
"""

from __future__ import annotations

import errno
from random import Random

from xiplab.course.problem import Answer, Wrong
from xiplab.course.process import AnswerRaised

PRELUDE = "import errno"
PAGES, LEFT = 8, 2
OPERATIONS = 12


class SharedFile:
    """A file that is mapped, and that somebody else is about to cut off.

    Attributes:
        table: the page table: block by page. held: the fault has the lock.
    """

    def __init__(self, cut_after: int) -> None:
        self.size, self.table, self.held, self.cut = PAGES, dict[int, int](), False, False
        self.inserts = 0
        self._left = cut_after

    def pages(self) -> int:
        size = self.size
        self._pass()
        return size

    def get_block(self, page: int) -> int:
        block = 100 + page
        self._pass()
        return block

    def lock(self) -> None:
        if self.held:
            raise RuntimeError("the lock is held already: this would wait for ever")
        self.held = True
        self._pass()

    def unlock(self) -> None:
        if not self.held:
            raise RuntimeError("unlock without a lock")
        self.held = False
        self._pass()

    def insert(self, page: int, block: int) -> None:
        self.table[page] = block
        self.inserts += 1
        self._pass()

    def _pass(self) -> None:
        """An operation has ended; if it is time, the other program cuts the file off."""
        self._left -= 1
        if self._left <= 0 and not self.held and not self.cut:
            self.cut, self.size = True, LEFT
            self.table = {page: block for page, block in self.table.items() if page < LEFT}


SHOWS: dict[type, str] = {SharedFile: "pages get_block lock unlock insert"}


def check_fault(answer: Answer, random: Random) -> None:
    """A page inside, a page behind the end, and a truncate after each of the operations."""
    page = random.randrange(LEFT + 1, PAGES)
    for wanted, cut_after in ((page, 99), (0, 99), (PAGES, 99), *((page, n) for n in range(OPERATIONS))):
        file = SharedFile(cut_after)
        given = f"page {wanted} of a file of {PAGES} pages"
        if cut_after < OPERATIONS:
            given += f", which is cut off after {cut_after} operation{'' if cut_after == 1 else 's'}"
        one_fault(answer, file, wanted, given)


def one_fault(answer: Answer, file: SharedFile, page: int, given: str) -> None:
    """Nothing behind the end is in the page table, the lock is free, and a page inside is there."""
    refused = False
    try:
        answer.call("dax_fault", file, page)
    except AnswerRaised as failure:
        if failure.errno != errno.EFAULT:
            raise
        refused = True
    if file.held:
        raise Wrong("The lock is still held after the page fault. Everybody else waits for "
                    "ever.", given=given,
                    expected="unlocked", got="locked", misconception="an-error-lets-go")
    behind = [at for at in file.table if at >= file.size]
    if behind:
        raise Wrong("The page table holds a page that is behind the end of the file.", given=given,
                    expected="nothing behind the end", got=f"page {behind[0]} → block "
                                                           f"{file.table[behind[0]]}",
                    misconception="kernel-checks-twice")
    if refused and not file.cut and page < PAGES:
        raise Wrong("A page of the file was refused.", given=given, expected="it is in the page table",
                    got="SIGBUS")
    if not refused and (not file.inserts or page >= PAGES):
        expected = "SIGBUS" if page >= PAGES else f"page {page} → block {100 + page}"
        raise Wrong("The page fault ended, and nothing was done.", given=given, expected=expected,
                    got="nothing")
    if file.table.get(page, 100 + page) != 100 + page:
        raise Wrong("The page table names another block.", given=given, expected=f"block {100 + page}",
                    got=f"block {file.table[page]}")
