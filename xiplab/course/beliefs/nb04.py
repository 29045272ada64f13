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
)
