"""Notebook 00: its predictions, and what people believe about mappings, caches and direct_access.

The evidence runs in exercise 00's notebook after its first code cell (names: vm, linux1, linux2,
linux3, text1, text2, fd3, position).
"""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

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

_MAP_PRIVATE = ("mine = linux2.mmap(linux2.open(stage.FILE), 0, PROT_READ | xiplab.PROT_WRITE, "
                "xiplab.MAP_PRIVATE)")

MISCONCEPTIONS = (
    Misconception(
        "mapping-is-a-copy",
        "A mapping holds its own copy of the file, made when the file was mapped.",
        "With xip the mapped page is the segment's own frame. Nothing was copied, so nothing can be out of "
        "date.",
        "Change the byte and read it through the mapping, with no call in between.",
        'vm.segments["SHLIB"].mem[position] = ord("J")\n'
        "print(text1[0:5])\n"
        'print(np.shares_memory(text1.frame(0), vm.segments["SHLIB"].mem))'),
    Misconception(
        "segment-per-guest",
        "Each guest gets its own copy of a segment.",
        "Guests that load a segment share its frames. What LINUX1 and LINUX2 map is the same memory.",
        "Compare the frames behind the two mappings.",
        "print(text1[0:5], text2[0:5])\n"
        "print(np.shares_memory(text1.frame(0), text2.frame(0)))"),
    Misconception(
        "private-copies-at-once",
        "A private mapping copies the file when it is mapped.",
        "Private means: a copy is made at the first store, one page at a time. Until then it shows the "
        "storage itself.",
        "Look at the frame of a private mapping before and after a store.",
        f"{_MAP_PRIVATE}\n"
        'print(mine[0:5], np.shares_memory(mine.frame(0), vm.segments["SHLIB"].mem))\n'
        'mine[9] = 33; print(np.shares_memory(mine.frame(0), vm.segments["SHLIB"].mem))'),
    Misconception(
        "private-keeps-following",
        "A private mapping still shows the storage after a store of its own.",
        "That store copied the whole page for LINUX2. The mapping left the storage, with every byte of that "
        "page.",
        "Store one byte into a private mapping, then change another byte of the page in the segment.",
        f"{_MAP_PRIVATE}\n"
        'mine[9] = 33; vm.segments["SHLIB"].mem[position] = ord("J")\n'
        "print(mine[0:5], text1[0:5])"),
    Misconception(
        "cache-is-the-storage",
        "The page cache is a window on the storage, like a mapping with xip.",
        "The page cache holds copies in the guest's own frames. A change of the segment does not reach them.",
        "Compare the byte in the segment with the byte that LINUX3 reads.",
        'vm.segments["SHLIB"].mem[position] = ord("J")\n'
        "print(text1[0:5], linux3.pread(fd3, 5, 0))"),
    Misconception(
        "disk-follows",
        "All copies of a file change together.",
        "LINUX3's disk holds a copy of the file system, made before. Nothing connects it with the segment.",
        "Ask of each place: whose memory is it, and who writes there?"),
    Misconception(
        "cache-asks-again",
        "Every read asks the disk again.",
        "What has been read once stays in the page cache. Later reads are answered from there, whatever the "
        "disk holds by then.",
        "Ask of LINUX3: has it read the file before the change?"),
    Misconception(
        "cache-fills-at-mount",
        "The page cache has the file from the moment of the mount.",
        "A page comes into the cache when it is first read. LINUX3 had not read the file, so its first read "
        "got the new byte from the disk.",
        "Ask of LINUX3: has it read the file before the change?"),
    Misconception(
        "hands-out-bytes",
        "direct_access hands out the bytes of the sector, or a copy of them.",
        "It tells where the storage itself lies: an address inside the segment. A page table can point "
        "there; a copy would never change with the segment.",
        "Return two whole numbers, computed from `start` and the sector."),
    Misconception(
        "address-from-zero",
        "The address counts from the beginning of the segment.",
        "The kernel's address counts from 0 of the guest's storage, and the segment begins at `start`.",
        "Ask yourself: what is the address of sector 0?"),
    Misconception(
        "sector-is-a-page",
        "One sector is one page.",
        "A sector is always 512 bytes and a page 4096, so a page is 8 sectors.",
        "Turn the sector into bytes first, then add it to the address."),
    Misconception(
        "sector-is-a-byte",
        "A sector number counts bytes.",
        "Sectors are numbered one by one, and each has 512 bytes: sector 8 begins 4096 bytes behind the "
        "start.",
        "Turn the sector into bytes first, then add it to the address."),
    Misconception(
        "frame-from-segment",
        "Frames are numbered from the beginning of the segment.",
        "A page frame number counts the guest's pages from address 0: it is the address divided by 4096.",
        "Compute it from kaddr, not from the sector."),
    Misconception(
        "frame-is-not-bytes",
        "A page frame number is an address, or counts sectors.",
        "A page frame number counts pages of 4096 bytes: address 0x10003000 lies in frame 0x10003.",
        "Divide kaddr by the size of a page."),
    Misconception(
        "pair-turned-round",
        "The order of the two numbers does not matter.",
        "Whoever calls takes the first one as the address, the second one as the page frame number.",
        "Return (kaddr, pfn), in this order."),
    Misconception(
        "end-is-outside",
        "`end` is the first byte behind the segment.",
        "`end` is the segment's last byte: a segment of one page from 0x1000 on ends at 0x1fff. So the last "
        "page is allowed, the next one is not.",
        "Check the last page and the one after it by hand."),
    Misconception(
        "nobody-asks-behind-the-end",
        "Callers only ask for sectors that exist.",
        "A damaged file system can name any block. The driver is the last one who knows where the segment "
        "ends.",
        "Refuse a page that does not lie wholly inside the segment."),
    Misconception(
        "any-sector-will-do",
        "Any sector can be asked for; it is rounded to its page.",
        "Only the first sector of a page has a page frame of its own to hand out. Other sectors are refused "
        "with EINVAL.",
        "Refuse a sector that is not a multiple of 8."),
    Misconception(
        "always-a-segment",
        "There is always a segment behind the disk.",
        "Once the segment is removed, `private_data` is None. Somebody who still holds the disk must get "
        "ENODEV, before anything else is looked at.",
        "Check for None first."),
    Misconception(
        "errors-are-values",
        "An error is a value that is returned.",
        "In C it is: a negative number. Here an error is raised, so nobody can take it for an address.",
        "Write: raise OSError(errno.ERANGE, \"what was wrong\")."),
    Misconception(
        "any-error-will-do",
        "Which error is raised does not matter.",
        "Callers tell errors apart by their number, errno: ENODEV no segment, EINVAL not the start of a "
        "page, ERANGE behind the end.",
        "Raise OSError with the number that the task names."),
)
