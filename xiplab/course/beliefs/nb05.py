"""Notebook 05: its predictions, and what people believe about holes, new blocks and two ways to a byte.

The evidence runs after the first code cell of notebook 05 (names: experiment, BlockMap, PAGE_SIZE).
"""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

PREDICTIONS = {
    "05.next": Prediction(
        "Page 0 of /holes lies in block 10 of the segment. In which block does page 5 lie?",
        {"a": Choice("In block 15: five pages on is five blocks on.",
                     "A file looks like one piece to a program, and a fresh disk often stores it so. But "
                     "each page has a pointer of its own. Look at the block map: i_block[5].",
                     "pages-lie-in-a-row"),
         "b": Choice("In block 5: page numbers are block numbers.",
                     "Pages are counted within the file, blocks within the segment. Block 5 belongs to the "
                     "inode table.", "page-is-block"),
         "c": Choice("That cannot be told from this: only the block map knows.",
                     "Each page has its own pointer, and the pointers are free to name any block.")},
        right="c"),
    "05.hole": Prediction(
        "Page 3 of /holes has no block. A program reads the page with read(). What does it get, and what "
        "happens on the segment?",
        {"a": Choice("An error: there is nothing to read.",
                     "get_xip_mem does raise an error, ENODATA. But it raises it to Linux's own read "
                     "function, which knows what a hole is. The program gets 4,096 zeros.",
                     "hole-is-an-error"),
         "b": Choice("4,096 zeros; the page gets a block for that, cleared.",
                     "A block of zeros would read the same, and cost a block. Reading asks with create 0, "
                     "and the line of free blocks has not moved.", "reading-allocates"),
         "c": Choice("4,096 zeros; nothing happens on the segment.",
                     "The read function clears the program's buffer and asks for no block.")},
        right="c"),
    "05.create": Prediction(
        "All free blocks of the segment are full of old bytes, 0xee. A program writes one letter to the "
        "start of page 3, a hole. What stands in the other 4,095 bytes of the page?",
        {"a": Choice("0xee: the block has not been written there.",
                     "Storage does keep old bytes, so a block must be cleared before anybody can see it. "
                     "Otherwise a program could read what others have deleted.", "new-block-shows-old-bytes"),
         "b": Choice("Zeros: the block was cleared first.",
                     "It is cleared before the file gets it, so no program ever sees the old bytes."),
         "c": Choice("Nothing: the page is one byte long now.",
                     "A block is all or nothing, and so is a page. What is short is the file, and this one "
                     "ends much later.", "block-of-one-byte")},
        right="b"),
    "05.far": Prediction(
        "The file ends with page 19. A program writes one letter to page 1,040. How many blocks does that "
        "take from the file system?",
        {"a": Choice("1,021: all pages up to there.",
                     "The file gets longer by 1,021 pages. But all of them except one are holes, and holes "
                     "have no blocks.", "pages-lie-in-a-row"),
         "b": Choice("1: one page is one block.",
                     "The page takes one block. The pointers that lead to it need room too: the slots of the "
                     "inode end long before page 1,040.", "map-costs-nothing"),
         "c": Choice("3: one for the page, two for the way to it.",
                     "Page 1,040 is behind two indirect blocks: i_block[13] leads to a block of pointers to "
                     "blocks of pointers.")},
        right="c"),
    "05.both": Prediction(
        "A program has read block 10 through the device, /dev/dcssblk0. Now another writes a letter to page "
        "0 of /holes, which lies in block 10. The first one reads the block again. What does it get?",
        {"a": Choice("The new letter: it is the same block.",
                     "The block is the same, the way to it is not. The device is read through a page cache, "
                     "which has kept a copy of the block.", "two-ways-agree"),
         "b": Choice("The old letter.",
                     "The write went straight to the segment. The copy in the device's page cache is as old "
                     "as before, and nothing connects the two."),
         "c": Choice("An error: the block has changed behind its back.",
                     "That would need somebody who compares. Nobody does: the copy simply stays.",
                     "somebody-compares")},
        right="b"),
    "05.fallback": Prediction(
        "LINUX2 has an ordinary disk. It mounts it with the option xip. What happens?",
        {"a": Choice("The mount fails: a disk has no direct_access.",
                     "That would be clear, and it is not so. ext2 drops the option, writes a warning into "
                     "the log, and goes on.", "xip-or-nothing"),
         "b": Choice("The mount works, with a warning and a page cache.",
                     "The choice is made once, at the mount. Every file then gets the table of operations "
                     "that has readpage."),
         "c": Choice("The mount works, with get_xip_mem on a copy of the disk.",
                     "get_xip_mem must answer with the frame of the storage itself. A disk has none, so no "
                     "file of this mount has a get_xip_mem.", "xip-on-a-copy")},
        right="b"),
}

MISCONCEPTIONS = (
    Misconception(
        "pages-lie-in-a-row",
        "The pages of a file lie in a row on the device, because they are in a row in the file.",
        "Each page has a pointer of its own in the block map, which may name any block, or none.",
        "Print the block of each page.",
        "print(experiment.blocks())"),
    Misconception(
        "hole-is-an-error",
        "Reading a hole is an error for the program.",
        "get_xip_mem raises ENODATA, and the read function turns that into zeros.",
        "Read page 3, then ask get_xip_mem for it.",
        "experiment.read(3); print(experiment.sentence())\n"
        "experiment.ask(3); print(experiment.sentence())"),
    Misconception(
        "reading-allocates",
        "A hole gets a block as soon as somebody reads it.",
        "Reading asks with create 0. Only writing, or a mapping that may be written, asks with create 1.",
        "Compare the free blocks before and after a read.",
        "before = experiment.free_blocks\n"
        "experiment.read(3); print(before, experiment.free_blocks)"),
    Misconception(
        "new-block-shows-old-bytes",
        "A new block holds what was in it before, until it is overwritten.",
        "A new block is cleared where it lies, before the file gets it.",
        "Fill the free blocks with 0xee, then write one letter to a hole.",
        "experiment.segment[30 * PAGE_SIZE:] = 0xEE\n"
        'experiment.write(3, "J"); print(experiment.linux1.pread(experiment.fd, 4, 3 * PAGE_SIZE))'),
    Misconception(
        "block-of-one-byte",
        "A write of one byte makes a block of one byte.",
        "Space is given in whole blocks of 4,096 bytes.",
        "Look at i_blocks, which counts units of 512 bytes.",
        'before = experiment.inode.i_blocks; experiment.write(3, "J")\n'
        "print((experiment.inode.i_blocks - before) * 512)"),
    Misconception(
        "map-costs-nothing",
        "A page costs one block, wherever it is in the file.",
        "Pages from number 12 on are found through indirect blocks, and those are blocks of the device too.",
        "Write to page 1,040 and count the free blocks.",
        'before = experiment.free_blocks; experiment.write(1040, "J")\n'
        "print(before - experiment.free_blocks)"),
    Misconception(
        "two-ways-agree",
        "Two ways to the same block always show the same bytes.",
        "One way may lead to the block, and the other to a copy of it, which a store does not reach.",
        "Read the block through the device, write the file, read the device again.",
        'device = experiment.linux1.open("/dev/dcssblk0"); print(experiment.linux1.pread(device, 4, 40960))\n'
        'experiment.write(0, "J"); print(experiment.linux1.pread(device, 4, 40960))'),
    Misconception(
        "somebody-compares",
        "Linux notices when a copy and its original differ.",
        "Nobody compares them. The rule that a file has one way only is there because nothing would notice.",
        "Read the block through the device after the file was written: no error.",
        'device = experiment.linux1.open("/dev/dcssblk0"); experiment.write(0, "J")\n'
        "print(experiment.linux1.pread(device, 4, 40960))"),
    Misconception(
        "xip-or-nothing",
        "A mount with xip fails where the device has no direct_access.",
        "ext2 drops the option with a warning and uses the page cache.",
        "Mount a disk with xip and read the kernel's log.",
        'linux2 = experiment.vm.logon("LINUX2"); linux2.add_disk("sda", bytes(experiment.segment))\n'
        'linux2.mount("/dev/sda", "/mnt", "ext2", "xip"); print(*linux2.dmesg, sep="\\n")'),
    Misconception(
        "xip-on-a-copy",
        "Without a device that fits, xip works on a copy.",
        "Files of such a mount have no get_xip_mem at all; they have readpage.",
        "Look at the operations of a file on an ordinary disk.",
        'linux2 = experiment.vm.logon("LINUX2"); linux2.add_disk("sda", bytes(experiment.segment))\n'
        'linux2.mount("/dev/sda", "/mnt", "ext2", "xip")\n'
        'print(linux2.task.files[linux2.open("/mnt/holes")].f_mapping.a_ops.get_xip_mem)'),
    Misconception(
        "slot-12-is-a-page",
        "Slot 12 of the inode names the block of page 12.",
        "The first 12 slots, 0 to 11, name blocks of the file. Slot 12 names a block of pointers.",
        "Look at the way to page 15.",
        "experiment.ask(15); print(experiment.slots(15), experiment.branch(15))"),
    Misconception(
        "slot-12-is-the-end",
        "A file ends with the slots of its inode; pages behind them are holes.",
        "Slot 12 leads to an indirect block with 1,024 more pointers. Look there before you call a page a "
        "hole.",
        "Ask for page 15 of /holes.",
        "experiment.ask(15); print(experiment.sentence())"),
    Misconception(
        "hole-is-block-zero",
        "A pointer of 0 leads to block 0.",
        "0 means that there is no block. Block 0 belongs to the super block and never to a file.",
        "Print the block of page 3, and what a read gets.",
        "print(experiment.blocks()[3]); experiment.read(3); print(experiment.sentence())"),
    Misconception(
        "write-takes-a-new-block",
        "Every write takes a new block.",
        "A page that has a block keeps it. Only a hole needs one.",
        "Write twice to the same page, and count the free blocks.",
        'experiment.write(3, "J"); before = experiment.free_blocks\n'
        'experiment.write(3, "K"); print(before - experiment.free_blocks)'),
    Misconception(
        "linked-before-cleared",
        "The order does not matter, as long as the block is clear in the end.",
        "From the moment in which its number is in the block map, programs can read the block. What fails "
        "later leaves it there.",
        "Ask after each line: what would a program read now?"),
    Misconception(
        "asking-is-no-creating",
        "Making blocks is for somebody else; get_xip_mem only looks.",
        "With create 1 the caller wants to write. The block map makes the block, if `create` is handed on.",
        "Ask for a hole with create 1.",
        "experiment.ask(3, create=True); print(experiment.sentence())"),
    Misconception(
        "zero-means-one",
        "Asking for 0 is a way to say: one, or as usual.",
        "A function may do anything with a number that nobody means. This one goes on until it can get no "
        "more.",
        "Say how many blocks one page needs."),
    Misconception(
        "more-is-safer",
        "Ask for more blocks than needed; what is not used does no harm.",
        "Blocks that are taken belong to the file, and others cannot have them.",
        "Count the free blocks before and after."),
    Misconception(
        "block-is-a-sector",
        "direct_access can be asked with the number of the block.",
        "direct_access counts in sectors of 512 bytes. A block of 4,096 bytes is 8 sectors.",
        "Multiply, then ask.",
        "experiment.ask(5); print(*(f'{mile.text}: {mile.result}' for mile in experiment.way), sep='\\n')"),
    Misconception(
        "caller-knows-nothing",
        "For a hole, returning nothing is enough.",
        "The caller unpacks two numbers. It knows holes only by the error ENODATA, here `NoData`.",
        "Raise NoData, and let the caller decide.",
        "experiment.ask(3); print(experiment.sentence())"),
    Misconception(
        "any-block-size-will-do",
        "In place works with blocks of any size.",
        "A page table maps frames of 4,096 bytes. A block of 1,024 bytes has no frame of its own.",
        "Mount a file system of small blocks with xip."),
    Misconception(
        "first-guess-is-the-truth",
        "The block size that a mount begins with is that of the file system.",
        "A mount begins with the logical block size of the device, at least 1,024, to read the super block. "
        "Only then it knows.",
        "Compare with what stands on the device."),
    Misconception(
        "only-pages-mount",
        "ext2 can only use blocks of 4,096 bytes.",
        "Through the page cache, blocks of 1,024 and 2,048 bytes are fine. Only in place a block must be a "
        "page.",
        "Ask first whether this mount uses xip."),
)
