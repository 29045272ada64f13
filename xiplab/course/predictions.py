"""The predictions that the notebooks ask for: texts alone. `predict.py` stores and explains them.

The id begins with the notebook's number. Each wrong choice is a belief that many people hold; its
`why` says what makes it tempting, and what in the notebook contradicts it, in under 60 words.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """An answer to choose, and why it is right or tempting.

    Attributes:
        misconception: the belief behind a wrong answer, by its id in catalogue.py.
    """

    text: str
    why: str
    misconception: str = ""


@dataclass(frozen=True)
class Prediction:
    """A question asked before a cell is run.

    Attributes:
        choices: by their letters. right: the letter of the right one.
    """

    question: str
    choices: dict[str, Choice]
    right: str


PREDICTIONS = {
    "00.store": Prediction(
        "You change one byte in the segment, and the same byte on LINUX3's disk. Nobody reads the file "
        "again. Which programs see the new byte at once?",
        {"a": Choice("All three: a mapping shows the file, and the file has changed.",
                     "A mapping shows memory, and Linux chose which memory. LINUX3's mapping shows a copy. "
                     "Its disk holds the new byte and its program the old one: look at the sign ≠.",
                     "cache-is-the-storage"),
         "b": Choice("None: a program has to read the file again.",
                     "That is true of a program that has read the file into a variable. These programs have "
                     "mapped it: each load goes to memory anew. LINUX1 and LINUX2 show the new byte.",
                     "mapping-is-a-copy"),
         "c": Choice("LINUX1 and LINUX2, but not LINUX3.",
                     "LINUX1 and LINUX2 have mapped the storage itself. LINUX3 has mapped a copy of it."),
         "d": Choice("Only LINUX1: each guest has memory of its own.",
                     "Each guest does have memory of its own. The segment is the exception: two page tables "
                     "name the same frame. Compare the frame numbers in the picture.",
                     "segment-per-guest")},
        right="c"),
    "00.cost": Prediction(
        "Each of the three programs has touched the page (4,096 bytes) once. How many bytes of the file had "
        "to be copied for that, in all three guests together?",
        {"a": Choice("12,288: one copy for each program.",
                     "So it would be with three disks and three page caches. But two of the guests map the "
                     "storage itself: their lines say 0.", "mapping-is-a-copy"),
         "b": Choice("4,096: one copy, for LINUX3.",
                     "LINUX3's page cache took one copy. For the others a page table entry was enough."),
         "c": Choice("0: to map a file is to copy nothing.",
                     "Mapping saves one copy, that from the page cache into the program. It does not save "
                     "the other one, from the disk into the page cache: LINUX3's line says 4096.",
                     "cache-is-the-storage"),
         "d": Choice("16 MiB: a guest loads the segment as a whole.",
                     "The word is misleading. To load a segment makes its addresses valid in a guest; no "
                     "byte moves. The lines of LINUX1 and LINUX2 say 0.", "segment-per-guest")},
        right="b"),
    "00.again": Prediction(
        "You change the byte on LINUX4's disk. Then LINUX4 reads the whole file once more, from its start. "
        "Which byte comes first?",
        {"a": Choice("The new one: reading a file reads the disk.",
                     "Reading asks the page cache first. The copy is there, so the disk is not asked. That "
                     "is what a page cache is for.", "cache-asks-again"),
         "b": Choice("The old one: the copy is still in the page cache.",
                     "The page cache belongs to the file, not to the program that has read it."),
         "c": Choice("The new one: the page cache shows what the disk holds.",
                     "It looks so as long as nobody else writes to the disk. But the page cache holds a "
                     "copy, in frames of LINUX4's own, and nothing tells it of the change.",
                     "cache-is-the-storage")},
        right="b"),
}
