"""Exercise 04, ext2: from a name to a number, from a number to an inode, from an inode to a block."""

from __future__ import annotations

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions.ex04_blocksize import check_mounts, check_sizes
from xiplab.course.questions.ex04_directory import check_look_up
from xiplab.course.questions.ex04_predict import check_blocks, situation_lines
from xiplab.course.questions.ex04_way import (
    PRELUDE,
    check_direct,
    check_double,
    check_indirect,
    check_no_such_inode,
    check_places,
)

PAGES = Question(
    id="04.1",
    title="Where are these pages?",
    kind="predict",
    answer="blocks_of_the_pages",
    lines="1 line",
    cases=(Case("the blocks of four pages", check_blocks, points=2),),
    situation=situation_lines,
    hints=(
        Hint("Ask of each page first: is its number below 12? Then its slot has the number of its "
             "block.", 0.05),
        Hint("From page 12 on, the numbers come from the indirect block. Its first number, number 0, belongs "
             "to page 12.", 0.10),
        Hint("With other numbers: slots 7, 0, 9 and an indirect block 4, 0, 6. Page 1 is a hole, so 0. Page "
             "2 is in block 9. Page 14 is number 14 - 12 = 2 of the indirect block, so block 6.", 0.20)),
    notice="Neighbouring pages lie in blocks that have nothing to do with each other. Only the numbers in "
           "the inode and in the indirect block say where.",
)

FIND_ENTRY = Question(
    id="04.2",
    title="A name becomes a place",
    kind="parsons",
    answer="order",
    prelude=PRELUDE,
    cases=(Case("names, removed names and parts of names", check_look_up, points=3),),
    blocks=(
        Block("def find_entry(block, name):\n    place = 0"),
        Block("    while place < len(block):"),
        Block("        inode, rec_len = number(block, place), number(block, place + 4, 2)"),
        Block("        name_len = block[place + 6]"),
        Block("        if inode and block[place + 8:place + 8 + name_len] == name:\n            return "
              "place"),
        Block("        place += rec_len"),
        Block("    return -1"),
        Block("        if block[place + 8:place + 8 + name_len] == name:\n            return place",
              "removed-record-counts"),
        Block("        name_len = rec_len - 8", "name-fills-the-record"),
        Block("        place += 8 + name_len", "record-ends-with-its-name")),
    hints=(
        Hint("The lines that are further to the right belong into the loop. First a record is read, then it "
             "is compared, then the next one has its turn.", 0.05),
        Hint("Three lines are there in two forms. Ask of each: what if the record is free, if it is padded, "
             "if it has taken over a neighbour's bytes?", 0.10),
        Hint("The same for a row of parcels, each with a label: place = 0; while place < end: read the "
             "label: how long is the parcel, is there anything in it; if it is the one: return place; place "
             "+= length; return -1", 0.20)),
    notice="This is the loop of ext2_find_entry. A record with rec_len 0 would hold it for ever. So Linux "
           "looks at all records of a page before it believes the first one: ext2_check_page.",
    reference="xiplab.linux.fs.ext2.dir:ext2_check_page",
)

BLOCK_SIZE = Question(
    id="04.3",
    title="A mount that refused good disks",
    kind="debug",
    answer="block_size_of",
    lines="1 line to change",
    prelude="import errno",
    masked={"xiplab.linux.fs.ext2.super": ("block_size_of",)},
    cases=(Case("disks of all block sizes", check_sizes, points=2),
           Case("a ramdisk is mounted with it", check_mounts, points=1)),
    hints=(
        Hint("Which of the two sizes belongs to the disk, and which only to the moment?", 0.05),
        Hint("In place a block has to be a page. So the disk's block size has to be compared with PAGE_SIZE.",
             0.10),
        Hint("The same with a rule about apples: `if in_place and weight != last_weight` asks whether two "
             "apples are alike. `if in_place and weight != NEEDED` asks whether this one is right.", 0.20)),
    notice="This is bug Q14 of the kernel's history, from 2.6.13 to 2.6.24. Disks on dcssblk were not hit, "
           "because its smallest block is a page. The fix of 2.6.25 compares with PAGE_SIZE, as you do.",
    reference="xiplab.linux.fs.ext2.super:block_size_of",
)

INODE_PLACE = Question(
    id="04.4",
    title="Your own inode_place",
    kind="build",
    answer="inode_place",
    lines="7 lines",
    prelude=PRELUDE,
    masked={"xiplab.tools.filsys": ("inode_offset",), "xiplab.linux.fs.ext2.inode": ("ext2_get_inode",)},
    cases=(Case("inodes of disks of all shapes", check_places, points=3),
           Case("numbers that no inode has", check_no_such_inode, points=1)),
    hidden=("other numbers of inodes", "the edges of each group"),
    hints=(
        Hint("Three numbers are needed: how large is a block, in which block does the group's table begin, "
             "which inode of the table is it?", 0.05),
        Hint("Divide ino - 1 by s_inodes_per_group. The quotient is the group, the rest the place in its "
             "table. The group's descriptor begins 32 times the group behind the start of the "
             "descriptors.", 0.10),
        Hint("The same for books on shelves, counted from 1: shelf, index = divmod(book - 1, "
             "BOOKS_PER_SHELF); start = number(image, first_shelf + shelf * 8); return start * WIDTH + index "
             "* THICKNESS", 0.20)),
    notice="Nothing was searched. Inodes have a fixed size and numbers without gaps, so a place is computed. "
           "Names have neither, and so a directory has to be read from its start.",
    reference="xiplab.linux.fs.ext2.inode:ext2_get_inode",
)

BLOCK_OF = Question(
    id="04.5",
    title="Any page of any file",
    kind="extend",
    answer="block_of",
    lines="8 to 12 lines",
    prelude=PRELUDE,
    masked={"xiplab.tools.files": ("file_blocks",), "xiplab.tools.way": ("_to_block",),
            "xiplab.linux.fs.ext2.indirect": ("ext2_get_block", "ext2_block_to_path")},
    cases=(Case("pages with a slot of their own", check_direct, points=1),
           Case("pages behind one indirect block", check_indirect, points=1),
           Case("pages behind two", check_double, points=2)),
    hidden=("another disk", "a file without indirect blocks"),
    hints=(
        Hint("Subtract what is done with: first the 12 pages with slots of their own, then the pages of the "
             "single indirect block.", 0.05),
        Hint("Behind slot 13, divide by the numbers per block. The quotient picks a number in the first "
             "block, and that names the second block. The rest picks there. Each number may be 0.", 0.10),
        Hint("The same for a book of lists of lists: `chapter, line = divmod(n, LINES)`; `page = "
             "outer[chapter]`; `return page and inner[page][line]`. `page and ...` is 0 if page is "
             "0.", 0.20)),
    notice="Two looks reach a million pages, three a thousand million. A read in place pays for them once "
           "per run of blocks, and a mapped page only at its page fault.",
    reference="xiplab.linux.fs.ext2.indirect:ext2_block_to_path",
)

QUESTIONS = (PAGES, FIND_ENTRY, BLOCK_SIZE, INODE_PLACE, BLOCK_OF)
