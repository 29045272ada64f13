"""Notebook 04: its predictions, and what people believe about files, blocks and names.

The evidence runs after the notebook's first code cell (names: Ext2Bytes, experiment, debugfs).
"""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

PREDICTIONS = {
    "04.where": Prediction(
        "The file /lib/fragmented has 8 pages. The first one lies in block 21 of the disk. In which block "
        "does the second one lie?",
        {"a": Choice("In block 22: the bytes of a file lie one behind the other.",
                     "They do in the file, and often on the disk as well, because that is fast to read. "
                     "Nothing promises it. This file's slots say 21, 18, 23 and so on.",
                     "file-is-contiguous"),
         "b": Choice("In block 1: it is page 1 of the file.",
                     "Page 1 is a number within the file. The slots turn it into a number on the disk. "
                     "Block 1 of the disk has the group descriptors.", "page-is-block"),
         "c": Choice("That cannot be computed. It has to be read somewhere.",
                     "The inode has a slot for each of the first 12 pages. Slot 1 says 18.")},
        right="c"),
    "04.name": Prediction(
        "On the way to /lib/greeting, where is the name \"greeting\" written?",
        {"a": Choice("At the start of the file's first block.",
                     "There is \"Hello\": a file's blocks hold what was written into it, and nothing else.",
                     "name-is-in-the-file"),
         "b": Choice("In the file's inode, beside its size.",
                     "Everything else about the file is there. But a file can have several names, and then "
                     "one of them could not be there.", "name-is-in-the-inode"),
         "c": Choice("In a block of the directory /lib.",
                     "A directory is a file as well. Its content is a list of records: name, and number of "
                     "inode.")},
        right="c"),
    "04.holes": Prediction(
        "The file /holes is 20 pages long. Only its pages 0, 5 and 15 were ever written. How many blocks "
        "of the disk does it take?",
        {"a": Choice("20: one for each page.",
                     "So many it would take if zeros had been written. Where nothing was written, the slot "
                     "is 0 and there is no block.", "hole-takes-a-block"),
         "b": Choice("3: one for each page that was written.",
                     "Three blocks have data. But page 15 is behind the 12 direct slots, so a block of "
                     "pointers is needed to find it.", "pointers-cost-nothing"),
         "c": Choice("4: three with data, and one with pointers.",
                     "i_blocks says 32, and it counts in units of 512 bytes: 4 blocks."),
         "d": Choice("16: up to the last page that was written.",
                     "A file has no front part that must be complete. Each slot may be 0 on its own.",
                     "hole-takes-a-block")},
        right="c"),
    "04.symlink": Prediction(
        "/hello is a symbolic link: a file whose content is another name, \"bin/hello\". How many blocks "
        "does that content take?",
        {"a": Choice("One: a content needs a block.",
                     "A long link does. This one has 9 letters, and the inode has 60 bytes of slots that "
                     "it would not use.", "content-needs-a-block"),
         "b": Choice("None.",
                     "Up to 59 letters are stored in the slots themselves. This is called a fast symbolic "
                     "link."),
         "c": Choice("As many as the file that it names.",
                     "That is what a copy would need. The link only says where to go on.", "link-is-a-copy")},
        right="b"),
    "04.damage": Prediction(
        "You change slot 1 of /lib/greeting from 27 to 28, which is the block of the next page. Who notices?",
        {"a": Choice("The mount: it checks the file system.",
                     "It checks the superblock and the group descriptors. To look at every inode would "
                     "take far too long.", "mount-checks-everything"),
         "b": Choice("The read: the page does not belong there.",
                     "A block does not say whose it is. The driver follows the number and reads what it "
                     "finds.",
                     "blocks-know-their-file"),
         "c": Choice("Neither. Only e2fsck does, which looks at everything.",
                     "Block 28 is used twice, and block 27 not at all though its bit says so. That takes a "
                     "look at all inodes at once.")},
        right="c"),
}

MISCONCEPTIONS = (
    Misconception(
        "file-is-contiguous",
        "The bytes of a file lie one behind the other on the disk.",
        "Each page has its own slot with its own block number. Neighbours in the file may be far apart.",
        "Ask for the blocks of a file in file order.",
        'print(debugfs.blocks(experiment.image, "/lib/fragmented"))'),
    Misconception(
        "page-is-block",
        "Page 1 of a file is block 1 of the disk.",
        "Pages count within the file, blocks on the disk. The inode's slots translate.",
        "Compare a file's pages with its blocks.",
        'print(list(enumerate(debugfs.blocks(experiment.image, "/lib/greeting"))))'),
    Misconception(
        "name-is-in-the-file",
        "A file begins with its name.",
        "A file's blocks hold its content alone. The name stands in a directory.",
        "Look at the first bytes of the file's first block."),
    Misconception(
        "name-is-in-the-inode",
        "The inode knows the file's name.",
        "The inode has size, rights, times and block numbers. Names stand in directories, and there may be "
        "several.",
        "Print all fields of an inode.",
        'print(debugfs.stat(experiment.image, "/lib/greeting"))'),
    Misconception(
        "hole-takes-a-block",
        "A page of zeros takes a block like any other.",
        "A page that was never written has slot 0 and no block. Reading it gives zeros.",
        "Count the blocks that are not 0.",
        'print(debugfs.blocks(experiment.image, "/holes"))'),
    Misconception(
        "pointers-cost-nothing",
        "A file takes as many blocks as it has pages with data.",
        "Behind the twelfth page, blocks of pointers are needed as well.",
        "Ask for the indirect blocks of a file.",
        'print(debugfs.indirect_blocks(experiment.image, "/holes"))'),
    Misconception(
        "content-needs-a-block",
        "Whatever has a content has a block.",
        "A symbolic link of up to 59 letters is stored in the inode itself.",
        "Look at the bytes of the link's inode.",
        'print(debugfs.blocks(experiment.image, "/hello"), debugfs.cat(experiment.image, "/hello"))'),
    Misconception(
        "link-is-a-copy",
        "A symbolic link is a copy of the file.",
        "It holds the name of the file and nothing of its content.",
        "Compare the sizes of the link and of the file."),
    Misconception(
        "mount-checks-everything",
        "A file system that can be mounted is in order.",
        "A mount reads the superblock and the group descriptors. What is wrong elsewhere is met later, or "
        "never.",
        "Damage an inode and mount.",
        'experiment.look(18816); experiment.change("inode 20: i_block[1]", 28)\n'
        "print(experiment.driver())"),
    Misconception(
        "blocks-know-their-file",
        "A block knows to which file it belongs.",
        "It is 4,096 bytes of content. Only the slots of inodes say whose it is.",
        "Let two slots name one block, and read both pages."),
    Misconception(
        "indirect-block-is-data",
        "Slot 12 names the block of page 12.",
        "Slot 12 names an indirect block: a block full of numbers. The first of them is the block of page "
        "12.",
        "Compare slot 12 with the block of page 12.",
        'print(debugfs.stat(experiment.image, "/holes")["i_block"][12], '
        'debugfs.blocks(experiment.image, "/holes")[12:16])'),
    Misconception(
        "pointers-count-on",
        "Pointer 15 of the indirect block belongs to page 15.",
        "Each indirect block counts from 0. So subtract the pages that come before it: page 15 is pointer 3 "
        "behind the 12 slots.",
        "Look at page 15 of /holes.",
        'print(debugfs.blocks(experiment.image, "/holes")[15], experiment.roles()[14])'),
    Misconception(
        "pointers-begin-at-one",
        "The indirect block's first number is number 1.",
        "It is number 0, and lies at the block's first byte. Page 12 finds its block there.",
        "Count from 0: page 12 minus 12 is 0."),
    Misconception(
        "inodes-begin-at-zero",
        "The first inode of the table is inode 0.",
        "Inodes are counted from 1, because 0 stands for no inode. So inode 1 lies at the table's first "
        "byte.",
        "Subtract 1 before you compute.",
        'print([debugfs.stat(experiment.image, ino)["offset"] for ino in (1, 2, 3)])'),
    Misconception(
        "one-inode-table",
        "A disk has one table of inodes.",
        "Each group has its own, with s_inodes_per_group inodes. The group's descriptor says where it "
        "begins.",
        "Divide by s_inodes_per_group: the quotient is the group, the rest is the place in its table.",
        'print(debugfs.stats(experiment.image)["s_inodes_per_group"].value)'),
    Misconception(
        "inode-is-128-bytes",
        "An inode takes 128 bytes.",
        "It takes as many as s_inode_size says. 128 is the least; larger ones have room for attributes.",
        "Read s_inode_size, the two bytes at byte 88 of the superblock.",
        'print(debugfs.stats(experiment.image)["s_inode_size"].value)'),
    Misconception(
        "blocks-are-pages",
        "A block has 4,096 bytes.",
        "It has 1,024 shifted left by s_log_block_size. Our disk says 2; other disks say 0 or 1.",
        "Compute the block size from the superblock, and use it everywhere.",
        'print(1024 << debugfs.stats(experiment.image)["s_log_block_size"].value)'),
    Misconception(
        "descriptors-in-block-one",
        "The group descriptors are in block 1.",
        "They are in the block behind the superblock. With blocks of 1,024 bytes the superblock is block 1, "
        "so they are in block 2.",
        "Add 1 to s_first_data_block, the number at byte 20 of the superblock.",
        'print(debugfs.stats(experiment.image)["s_first_data_block"].value)'),
    Misconception(
        "block-number-is-a-place",
        "The number of a block is the place of its bytes.",
        "It counts blocks. Its first byte is that number times the block size.",
        "Multiply each block number before you look there.",
        "print(experiment.stops()[-1].start, experiment.stops()[-1].start // 4096)"),
    Misconception(
        "any-number-is-an-inode",
        "Whatever the number, there is an inode.",
        "A disk has s_inodes_count inodes, from 1 on. Any other number leads into somebody else's bytes.",
        "Refuse 0, and everything above s_inodes_count.",
        'print(debugfs.stats(experiment.image)["s_inodes_count"].value)'),
    Misconception(
        "place-is-bytes",
        "To find an inode is to return its bytes.",
        "The question is where it lies. Who knows the place can read its fields, and write them.",
        "Return the number of its first byte."),
    Misconception(
        "two-levels-are-one",
        "Slot 13 names a block full of data blocks, as slot 12 does.",
        "It has one level more: its numbers name indirect blocks, and only those name blocks of data.",
        "Go through two blocks of numbers: the quotient picks the first number, the rest the second one."),
    Misconception(
        "levels-turned-round",
        "The rest of the division picks in the first block of numbers, the quotient in the second.",
        "Neighbouring pages share the second block. So the quotient, which changes slowly, picks in the "
        "first.",
        "Divide by the numbers per block: the quotient first, then the rest."),
    Misconception(
        "hole-is-in-the-slots-only",
        "Only a slot can be 0.",
        "An indirect block's numbers can be 0 as well, on each level. Block 0 is no block of numbers: it has "
        "the superblock.",
        "Test each number before you look into the block that it names.",
        'print(debugfs.blocks(experiment.image, "/holes"))'),
    Misconception(
        "record-ends-with-its-name",
        "The next record of a directory begins where the name ends.",
        "It begins rec_len bytes behind this one. Records are padded, and a removed neighbour's bytes belong "
        "to the record before it.",
        "Go on by rec_len.",
        'print([(entry.offset, entry.rec_len, entry.name) for entry in debugfs.ls(experiment.image, '
        '"/lib")])'),
    Misconception(
        "name-fills-the-record",
        "A record's name is as long as its record, less 8 bytes.",
        "name_len says how long it is. The rest of rec_len is padding, or bytes of a removed record.",
        "Take name_len bytes of the name.",
        'print([(entry.rec_len - 8, len(entry.name)) for entry in debugfs.ls(experiment.image, "/lib")])'),
    Misconception(
        "removed-record-counts",
        "Where a name stands, there is a file.",
        "A record with inode 0 is free. Its name is still there, and means nothing.",
        "Test the inode's number before you believe the name."),
    Misconception(
        "provisional-size-is-real",
        "s_blocksize is the block size of the file system, from the start of the mount.",
        "It begins as the device's smallest block, only to read the superblock with. The disk's own size "
        "stands in the superblock.",
        "In place, compare the disk's block size with PAGE_SIZE.",
        'print(debugfs.stats(experiment.image)["s_log_block_size"].value)'),
    Misconception(
        "any-block-can-be-mapped",
        "A disk with small blocks can be mounted in place.",
        "A page table maps whole pages. Four blocks of 1,024 bytes need not lie in one page, so a block has "
        "to be a page.",
        "Keep the test, and mend what it compares."),
    Misconception(
        "every-mount-needs-pages",
        "A file system must have blocks of 4,096 bytes.",
        "Through the page cache any block size will do: the pieces are copied together. Only in place must a "
        "block be a page.",
        "Refuse only if xip is asked for."),
)
