"""Notebook 07: what people expect of mappings in place."""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

_NEW = "experiment = MapInPlace()\n"

MISCONCEPTIONS = (
    Misconception(
        "a-load-changes-nothing",
        "A load never changes a file.",
        "A shared mapping that may be written gets a block for a hole at the first touch, even if that touch "
        "is a load.",
        "Count the free blocks before and after a load by writer.",
        f'{_NEW}before = experiment.guest.statfs("/xip").f_bfree\n'
        'experiment.load("writer", 1); print(before, experiment.guest.statfs("/xip").f_bfree)'),
    Misconception(
        "sparse-page-stays",
        "Who has mapped the zeros of a hole keeps seeing zeros.",
        "When the hole gets a block, Linux takes the sparse page out of every page table. The next touch "
        "faults, and finds the block.",
        "Load the hole as reader, write to it, and load again.",
        f'{_NEW}experiment.load("reader", 1); experiment.write(1, "Hello")\n'
        'experiment.load("reader", 1); print(experiment.sentence())'),
    Misconception(
        "private-store-reaches-the-file",
        "A store into a private mapping changes the file, only later.",
        "It never does. The first store copies the page into a frame of the task's own. The file never hears "
        "of it.",
        "Store as private and look at the file.",
        f'{_NEW}experiment.store("private", 0, "J")\n'
        'print(experiment)'),
    Misconception(
        "private-page-is-zeros",
        "A private copy begins as an empty page.",
        "It begins as a copy of what the mapping showed: 4,096 bytes of the file.",
        "Store one letter as private and look at the rest of the word.",
        f'{_NEW}experiment.store("private", 0, "J")\n'
        'print(experiment.entries("private")[0].shows)'),
    Misconception(
        "mapped-pages-survive-truncate",
        "What is mapped stays mapped, even if the file is cut.",
        "Truncate takes the pages out of every page table. The next touch faults, and behind the end there "
        "is only SIGBUS.",
        "Load page 2, cut the file to two pages, load again.",
        f'{_NEW}experiment.load("reader", 2); experiment.truncate(2)\n'
        'experiment.load("reader", 2); print(experiment.sentence())'),
    Misconception(
        "behind-the-end-is-zeros",
        "Behind the end of a file a mapping shows zeros.",
        "Only up to the end of the last page. A page that lies behind the end as a whole is SIGBUS.",
        "Load page 3 of a file of three pages.",
        f'{_NEW}experiment.load("reader", 3); print(experiment.sentence())'),
    Misconception(
        "kernel-checks-twice",
        "Between two steps of the kernel nothing can happen, or the kernel would notice.",
        "Another processor can do anything there, unless a lock forbids it. The fault in place takes no lock "
        "that truncate takes.",
        "Begin a fault, truncate, finish.",
        f'{_NEW}experiment.begin("reader", 2); experiment.truncate(2)\n'
        "experiment.finish(); print(experiment.sentence())"),
    Misconception(
        "sparse-page-takes-stores",
        "A store into a hole goes to the sparse page.",
        "The sparse page stands for all holes of all files. A store into it would be seen everywhere. A "
        "shared store finds a block, a private one a copy.",
        "Store into the hole as writer, and look who has which frame.",
        f'{_NEW}experiment.load("reader", 1); experiment.store("writer", 1, "J")\n'
        'print(experiment)'),
    Misconception(
        "half-page-is-behind-the-end",
        "A page that the file fills only in part lies behind its end.",
        "The page that holds the last byte belongs to the file, all 4,096 bytes of it can be mapped. Only "
        "whole pages behind it are SIGBUS.",
        "Cut the file to 8,292 bytes and load page 2.",
        f'{_NEW}experiment.guest.ftruncate(experiment.fd, 8292)\n'
        'experiment.load("reader", 2); print(experiment.sentence())'),
    Misconception(
        "page-numbers-are-bytes",
        "The page number can be compared with the size of the file.",
        "i_size counts bytes, pgoff counts pages. Page pgoff begins at byte pgoff * PAGE_SIZE.",
        "Multiply before you compare.",
        f'{_NEW}print(experiment.guest.fstat(experiment.fd).st_size, experiment.size)'),
    Misconception(
        "private-needs-a-block",
        "A private mapping that may be written needs a block for a hole.",
        "Its stores never reach the file. Until the first store it shows the sparse page, after it a copy.",
        "Test whether the mapping is shared. Load the hole as private, and count free blocks.",
        f'{_NEW}before = experiment.guest.statfs("/xip").f_bfree\n'
        'experiment.load("private", 1); print(before, experiment.guest.statfs("/xip").f_bfree)'),
    Misconception(
        "may-not-now-is-never",
        "Whoever may not store now needs no block.",
        "mprotect can allow stores later, and no fault comes then for a page that is in the page table. What "
        "counts is whether the mapping is shared.",
        "Forbid stores to writer, and load the hole.",
        f'{_NEW}experiment.protect("writer", "read"); experiment.load("writer", 1)\n'
        'print(experiment.sentence())'),
    Misconception(
        "every-error-is-a-hole",
        "If get_xip_mem fails, the page is a hole.",
        "Only ENODATA means hole. EIO means that nobody knows what is there, and zeros would be a lie.",
        "Compare failure.errno with errno.ENODATA, and let everything else pass.",
        f'{_NEW}experiment.spoil(); experiment.load("reader", 0)\n'
        'print(experiment.sentence())'),
    Misconception(
        "one-mapping-is-enough",
        "The sparse page has to leave one page table only.",
        "Each task that touched the hole has it in a page table of its own. All of them must lose it.",
        "Go through all of mapping.i_mmap.",
        f'{_NEW}experiment.load("reader", 1); experiment.load("private", 1)\n'
        'print(experiment)'),
    Misconception(
        "pages-begin-at-the-mapping",
        "Page n of the file lies n pages behind the start of a mapping.",
        "A mapping may begin with any page of the file: vm_pgoff says with which.",
        "Subtract vma.vm_pgoff.",
        f'{_NEW}vma = experiment.texts["reader"].vma\n'
        'print(vma.vm_pgoff, hex(vma.vm_start), hex(vma.address_of(2)))'),
    Misconception(
        "unmap-takes-everything",
        "When a hole gets a block, every entry for the page must go.",
        "Only the sparse page is out of date. A private copy holds what its task has stored: to clear it "
        "would lose that.",
        "Compare the frame with the sparse page.",
        f'{_NEW}experiment.store("private", 1, "J"); experiment.write(1, "Hello")\n'
        'print(experiment)'),
    Misconception(
        "looked-up-is-known",
        "What was looked up stays true until it is used.",
        "Only under a lock that the others take, too. Before it, another processor may fill the hole, or cut "
        "the file, at any time.",
        "Look up again after you have the lock.",
        f'{_NEW}experiment.begin("reader", 1, kernel="2.6.26"); experiment.write(1, "Hello")\n'
        'experiment.finish(); print(experiment.sentence())'),
    Misconception(
        "lock-is-for-looking",
        "A lock is needed while one looks, not while one uses what was found.",
        "Between the unlock and the page table the frame may change its owner. The lock must cover both.",
        "Give the lock back after vm_insert_mixed.",
        f'{_NEW}experiment.begin("reader", 2); experiment.truncate(2); experiment.finish()\n'
        'print(experiment.sentence())'),
    Misconception(
        "lock-frees-itself",
        "A lock is given back when the function returns.",
        "It stays taken until somebody gives it back. All others wait, for ever.",
        "Give it back on every way out: try and finally do that."),
    Misconception(
        "mapped-is-present",
        "Every page of a mapping takes a frame.",
        "mmap takes none. A page gets its entry at the first touch.",
        "Leave out the addresses for which follow_pfn gives None.",
        f'{_NEW}print(experiment)\nexperiment.load("reader", 0); print(experiment)'),
    Misconception(
        "every-entry-is-a-frame",
        "Two entries are two frames.",
        "Many entries can name one frame. The sparse page is in many page tables, and is one frame.",
        "Collect the frames in a set.",
        f'{_NEW}experiment.load("reader", 1); experiment.load("private", 1)\n'
        'print(experiment.guest.frames["sparse page"])'),
    Misconception(
        "storage-is-memory-of-the-guest",
        "A mapped frame of the segment is memory that the guest has given.",
        "It belongs to the segment, and is there once for all guests. A guest that maps it gives no frame.",
        "Leave out frames of the segment.",
        f'{_NEW}experiment.load("writer", 0)\nprint(dict(experiment.guest.frames))'),
)

PREDICTIONS = {
    "07.hole": Prediction(
        "Page 1 of the file is a hole. The task writer, which may store, only loads from it. What happens?",
        {"a": Choice("SIGBUS: there is no storage behind the page.",
                     "There is none, but a hole is no error: it reads as zeros. SIGBUS comes behind the end "
                     "of the file.", "hole-is-an-error"),
         "b": Choice("It sees zeros: a page of zeros is mapped, and the file does not change.",
                     "So it is for reader, which can never store. The mapping of writer can, and a store "
                     "would have to find a block. Look at the column “block”.", "a-load-changes-nothing"),
         "c": Choice("It sees zeros: Linux takes a block for the page, although it is only loaded.",
                     "A shared mapping that may be written gets its block at the first touch. So the later "
                     "store needs no help any more.")},
        right="c"),
    "07.filled": Prediction(
        "The task reader has loaded from the hole, and its page table names the sparse page. Then another "
        "program writes “Hello” there. What does reader see at its next load?",
        {"a": Choice("Zeros: its page table names the sparse page, and nobody touches that.",
                     "If nobody touched the page table, it would be so. And for three years there was a race "
                     "that had just this end. But the write cleans up behind itself.", "sparse-page-stays"),
         "b": Choice("“Hello”: the entry was taken out, and the load faults anew.",
                     "The write looks through all mappings of the file, and takes the sparse page out. The "
                     "next touch finds the block."),
         "c": Choice("“Hello”: the write puts the new frame into the page table of reader.",
                     "The right bytes, but less work was done. Linux only empties the entry; the frame comes "
                     "in when somebody touches the page. mincore shows 0 until then.", "sparse-page-stays")},
        right="b"),
    "07.private": Prediction(
        "The task private stores a “J” into page 0, which begins with “apple”. What do private and the file "
        "show then?",
        {"a": Choice("Jpple and Jpple: in place, a store goes to the storage.",
                     "It does for writer, whose mapping is shared. A private mapping is a promise: no store "
                     "leaves the task.", "private-store-reaches-the-file"),
         "b": Choice("Jpple and apple.",
                     "Copy on write: the fault copies the page, and the store goes to the copy."),
         "c": Choice("J, and zeros behind it; and apple.",
                     "The copy has all the 4,096 bytes of the page, not only the one that was stored.",
                     "private-page-is-zeros")},
        right="b"),
    "07.cut": Prediction(
        "The task reader has loaded from page 2 (“cream”). Another program cuts the file to two pages. The "
        "task loads from page 2 again. What does it see?",
        {"a": Choice("cream: the page is in its page table.",
                     "Truncate has emptied that entry, in every task. A page that is not the file's any more "
                     "must not be seen.", "mapped-pages-survive-truncate"),
         "b": Choice("Zeros: there is nothing behind the end.",
                     "Within the last page it is so. A whole page behind the end has nothing that could be "
                     "mapped.", "behind-the-end-is-zeros"),
         "c": Choice("Nothing: it gets the signal SIGBUS.",
                     "The touch faults, and the fault handler finds page 2 behind the end of the file.")},
        right="c"),
    "07.race": Prediction(
        "The device is full. The fault of reader has looked up page 2 and pauses. The file is cut to two "
        "pages, and a new file takes the free block for its “secret”. Then the fault goes on, in Linux 3.6. "
        "What does reader see?",
        {"a": Choice("Nothing: SIGBUS, as before.",
                     "It would be right. The size was checked, once, before the pause. Nobody checks it "
                     "again.", "kernel-checks-twice"),
         "b": Choice("cream: the old bytes.",
                     "Its page table names the frame where “cream” was. But the frame is storage, and "
                     "somebody else's now: there lies the new file.", "mapped-pages-survive-truncate"),
         "c": Choice("secret: another file.",
                     "The handler enters the frame that it has found. It does not know that this frame "
                     "belongs to another file by now.")},
        right="c"),
}
