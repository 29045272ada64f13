"""What the passes know of an image, and what they found wrong with it.

Kernel: none; e2fsprogs e2fsck/e2fsck.h `e2fsck_t` and problem.c
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xiplab.tools.block_walk import Claims
from xiplab.tools.filsys import Bools, Filsys, Ints

LIMIT = 100


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        pass_number: the pass of e2fsck that looks for it, 0 to 5.
        what: the object, for example "inode 12". why: what is wrong with it.
    """

    pass_number: int
    what: str
    why: str

    def __str__(self) -> str:
        return f"pass {self.pass_number}: {self.what}: {self.why}"


@dataclass
class Entries:
    """The records of all directories that lead to an inode, in their order there.

    Attributes:
        directory: the inode of the directory. index: place among the records of the first block,
            free ones included; at least 2 in the other blocks.
        offset: byte of the image where the record starts. ino, file_type: what the record says.
        name: the bytes of the name.
    """

    directory: Ints
    index: Ints
    offset: Ints
    ino: Ints
    file_type: Ints
    name: NDArray[np.object_]

    def __getitem__(self, chosen: Bools) -> Entries:
        return Entries(self.directory[chosen], self.index[chosen], self.offset[chosen], self.ino[chosen],
                       self.file_type[chosen], self.name[chosen])


@dataclass
class Context:
    """The state of one check. Arrays over inodes are indexed by inode number; number 0 is unused.

    Attributes:
        inodes: copy of all inode tables. in_use, is_dir: after pass 1.
        claims: the blocks of all files. block_used: also those of metadata, after pass 1.
        entries: after pass 2, without those that pass 2 rejects.
        parent: of a directory, the directory that names it, or 0; after pass 2.
    """

    fs: Filsys
    problems: list[Problem] = field(default_factory=list)
    inodes: NDArray[np.void] = field(init=False)
    in_use: Bools = field(init=False)
    is_dir: Bools = field(init=False)
    claims: Claims = field(init=False)
    block_used: Bools = field(init=False)
    entries: Entries = field(init=False)
    parent: Ints = field(init=False)

    def report(self, pass_number: int, faults: Bools | Ints, what: Callable[[int], str],
               why: Callable[[int], str]) -> None:
        """Note a problem for each index in `faults` (or each True), as `what` and `why` word it."""
        numbers = np.flatnonzero(faults) if faults.dtype == np.bool_ else faults
        self.problems += [Problem(pass_number, what(number), why(number))
                          for number in numbers[:LIMIT].tolist()]
        if numbers.size > LIMIT:
            self.problems.append(Problem(pass_number, what(int(numbers[LIMIT])),
                                         f"and {numbers.size - LIMIT} more of this kind"))


def an_inode(ino: int) -> str:
    return f"inode {ino}"


def a_group(group: int) -> str:
    return f"group {group}"


def a_block(block: int) -> str:
    return f"block {block}"
