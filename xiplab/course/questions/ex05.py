"""Exercise 05, get_xip_mem: from a page to its frame, a block for a hole, and who may do without."""

from __future__ import annotations

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions import ex05_blocks, ex05_build, ex05_mount
from xiplab.course.questions.ex05_predict import check_prediction, situation_lines
from xiplab.course.questions.seam import NO_DATA
from xiplab.linux.include.fs import Inode

ERRORS = NO_DATA + "PAGE_SIZE = 4096\nSECTOR_SIZE = 512"

FRAMES = Question(
    id="05.1",
    title="Four answers from the block map",
    kind="predict",
    answer="four_answers",
    lines="1 line",
    cases=(Case("three frames, and the price of a write", check_prediction, points=2),),
    situation=situation_lines,
    hints=(
        Hint("Take the pages one by one. Is it below 12? Then its pointer is in the inode. From 12 on it is "
             "in the indirect block that slot 12 names.", 0.05),
        Hint("A pointer of 0 is a hole: get_xip_mem raises ENODATA, so you write None. Any other pointer is "
             "a block; block n lies n frames behind the segment's first one.", 0.10),
        Hint("For the write: one block for the page, and one for each indirect block on the way that is not "
             "there yet. With i_block[12] = 0, page 12 takes two blocks. Pages from 1,036 on are behind two "
             "indirect blocks.", 0.20)),
    notice="Nothing but the block map decides. Two numbers of a file's inode are as far from each other on "
           "the device as its allocator liked.",
)

NEW_BLOCK = Question(
    id="05.2",
    title="A block for a hole, in the right order",
    kind="parsons",
    answer="order_of_block_for",
    lines="1 line",
    shows={Inode: "i_ino"},
    blocks=(
        Block("def block_for(inode, page, create):"),
        Block("    block = find(inode, page)"),
        Block("    if block or not create:\n        return block"),
        Block("    block = take(inode)"),
        Block("    clear(inode, block)"),
        Block("    link(inode, page, block)"),
        Block("    return block"),
        Block("    if not create:\n        return 0", "write-takes-a-new-block"),
        Block("    if block:\n        return block", "reading-allocates"),
        Block("    clear(inode, page)", "page-is-block")),
    cases=(Case("no new block where none is needed", ex05_blocks.check_without_new_block, points=1),
           Case("a new block is clear before anybody can see it", ex05_blocks.check_new_block, points=1),
           Case("nothing is linked when a step fails", ex05_blocks.check_failures, points=1)),
    hints=(
        Hint("Begin with what needs no new block. Then ask of each step that is left: what would somebody "
             "see who looks into the file right now?", 0.05),
        Hint("From the moment in which the number is in the block map, every program can read the block. So "
             "that comes last.", 0.10),
        Hint("Find. Done if there is a block, or if none may be made. Take one. Make it fit to be seen. Put "
             "it into the block map. Return it.", 0.20)),
    notice="Clear, then link: if the machine stops between the two, a block is lost and no secret is told. "
           "Linux never gave such a block back (quirk Q12); the check that failed `clear` saw that, too.",
    reference="xiplab.linux.fs.ext2.indirect:ext2_get_blocks",
)

ZERO_BLOCKS = Question(
    id="05.3",
    title="One byte, and the disk is full",
    kind="debug",
    answer="block_of_page",
    lines="about 4 lines",
    prelude=ERRORS,
    given=ex05_blocks.GIVEN,
    shows={Inode: "i_ino"},
    masked={"xiplab.linux.fs.ext2.xip": ("_get_block",)},
    cases=(Case("pages that are there, and holes", ex05_blocks.check_finds, points=1),
           Case("a write takes what it needs", ex05_blocks.check_one_block, points=2)),
    hints=(
        Hint("Delete the line that raises, look at the picture, and write to page 3. How many blocks are "
             "free afterwards?", 0.05),
        Hint("Read what the third argument of ext2_get_blocks means. What does the function ask for?", 0.10),
        Hint("In another function: `first, count, new = ext2_get_blocks(inode, page, 16, True)` asks for "
             "up to 16 blocks in a row. How many blocks does one page need?", 0.20)),
    notice="The bug is Q13 of real Linux. Until 3.13 ext2 asked for 0 blocks here. It worked, because the "
           "allocator took 0 for 1. Then the allocator was tidied, and the first write filled the disk. The "
           "fix asks for one block, and asserts that nobody asks for none.",
    reference="xiplab.linux.fs.ext2.xip:_get_block",
)

GET_XIP_MEM = Question(
    id="05.4",
    title="Your own get_xip_mem",
    kind="build",
    answer="get_xip_mem",
    lines="5 to 7 lines",
    prelude=ERRORS,
    given=ex05_build.GIVEN,
    shows=ex05_build.SHOWS,
    masked=ex05_build.MASKED,
    cases=(Case("pages that have a block", ex05_build.check_stored, points=1),
           Case("holes, without and with create", ex05_build.check_holes, points=1),
           Case("a program reads, writes and maps through it", ex05_build.check_mounted, points=2)),
    hidden=("other files in other segments", "holes at other places"),
    hints=(
        Hint("Three parts: find the block, refuse a hole, ask the device.", 0.05),
        Hint("ext2_get_block gives two values; the first one is the block. direct_access counts in sectors, "
             "and a block has 8 of them.", 0.10),
        Hint("The same for a device whose blocks are sectors: "
             "`block, new = ext2_get_block(inode, page, create)`; "
             "`if not block: raise NoData(\"a hole\")`; "
             "`return disk.fops.direct_access(bdev, block)`", 0.20)),
    notice="Reading, writing and faults all came to your function, and to nothing else. Everything that "
           "execute-in-place does above it is the same for every file system.",
    reference="xiplab.linux.fs.ext2.xip:ext2_get_xip_mem",
)

BLOCK_SIZE = Question(
    id="05.5",
    title="A right file system is refused",
    kind="debug",
    answer="block_size_of",
    lines="about 4 lines",
    prelude=ERRORS,
    given=ex05_mount.GIVEN,
    shows=ex05_mount.SHOWS,
    masked={"xiplab.linux.fs.ext2.super": ("block_size_of",),
            "xiplab.linux.fs.ext2.super_eras": ("block_size_of_2_6_24",)},
    cases=(Case("blocks that are pages", ex05_mount.check_pages_in_place, points=1),
           Case("every mount ends as it should", ex05_mount.check_every_mount, points=2)),
    hints=(
        Hint("Delete the line that raises, and look at the table: which mount differs?", 0.05),
        Hint("`sb.s_blocksize` is what the mount began with: large enough for the device's logical blocks, "
             "before anybody had read the super block. Has it to do with frames?", 0.10),
        Hint("A page table maps whole frames. So one comparison decides, and it has the block size of the "
             "file system on one side and the size of a page on the other. The second one goes.", 0.20)),
    notice="The bug is Q14 of real Linux, 2.6.13 to 2.6.24. It compared with the block size that the mount "
           "had begun with, so a ramdisk could not carry a right file system in place. The fix in 2.6.25 "
           "dropped that comparison.",
    reference="xiplab.linux.fs.ext2.super:block_size_of",
)

QUESTIONS = (FRAMES, NEW_BLOCK, ZERO_BLOCKS, GET_XIP_MEM, BLOCK_SIZE)
