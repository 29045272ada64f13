"""Exercise 03, dcssblk: segments become a disk, a bio copies, direct_access tells, a save waits."""

from __future__ import annotations

import numpy as np

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions.ex03_add import check_prediction, situation_lines
from xiplab.course.questions.ex03_bio import check_refusals, check_transfers
from xiplab.course.questions.ex03_end import check_mounted, check_sizes
from xiplab.course.questions.ex03_release import check_release
from xiplab.course.questions.ex03_shared import check_busy, check_failure
from xiplab.linux.drivers.dcssblk_io import DcssblkDevInfo, SegmentInfo
from xiplab.linux.include.blkdev import Bio, BioVec, BlockDevice, GenDisk

DISK_FIELDS = {BlockDevice: "bd_disk", GenDisk: "disk_name capacity private_data",
               SegmentInfo: "segment_name start end segment_type"}

ADD = Question(
    id="03.1",
    title="What does add answer?",
    kind="predict",
    answer="what_add_answers",
    lines="1 line",
    cases=(Case("what comes of the line", check_prediction, points=2),),
    situation=situation_lines,
    hints=(
        Hint("First ask whether the driver can load each name. Then look at the pages: is there a gap? "
             "Then at the types.", 0.05),
        Hint("A page has 8 sectors, a MiB has 2,048. The driver sorts the segments by address. Only EW and "
             "EN go together. A name has 1 to 8 letters, and an empty one is an error as well.", 0.10),
        Hint("For PART1 at pages 10000 to 100FF and PART2 at 10100 to 101FF, both SR, and the line "
             "\"part2:part1\": no name is missing, PART2 begins where PART1 ends, the types are equal. So: "
             "return 4096, \"PART1\".", 0.20)),
    notice="The order of the names decides one thing only: the name of the folder. Where the bytes lie was "
           "decided when the segments were defined.",
)

RELEASE = Question(
    id="03.2",
    title="The last one saves",
    kind="parsons",
    answer="order_of_release",
    lines="1 line",
    blocks=(
        Block("def release(info, segment_save):"),
        Block("    info.use_count -= 1"),
        Block("    if info.use_count == 0 and info.save_pending:"),
        Block("        for segment in info.seg_list:"),
        Block("            segment_save(segment.segment_name)"),
        Block("        info.save_pending = False"),
        Block("    if info.save_pending:", "any-close-is-the-release"),
        Block("        segment_save(info.segment_name)", "first-segment-is-the-device"),
        Block("    info.save_pending = False", "save-is-forgotten")),
    masked={"xiplab.linux.drivers.dcssblk_io": ("dcssblk_release", "save_all")},
    shows={**DISK_FIELDS, DcssblkDevInfo: "segment_name use_count= save_pending= seg_list"},
    cases=(Case("opened, closed and saved in many orders", check_release, points=3),),
    hints=(
        Hint("Begin with the count. Everything else asks how many are left.", 0.05),
        Hint("Two things must be so before anything is saved: nobody has it open any more, and somebody has "
             "asked for it. After the save the wish is fulfilled.", 0.10),
        Hint("The same for a shop that is cleaned when the last customer has gone: customers -= 1; "
             "if customers == 0 and cleaning_wanted: for room in rooms: clean(room); "
             "cleaning_wanted = False", 0.20)),
    notice="Whoever wrote 1 into the file save never learns whether the save succeeded: it happens later, in "
           "somebody else's close, and segment_save has no result.",
    reference="xiplab.linux.drivers.dcssblk_io:dcssblk_release",
)

END = Question(
    id="03.3",
    title="A byte short",
    kind="debug",
    answer="direct_access",
    lines="1 to 3 lines to mend",
    prelude="import errno\nPAGE_SIZE = 4096\nSECTOR_SIZE = 512",
    masked={"xiplab.linux.drivers.dcssblk_io": ("dcssblk_direct_access", "dcssblk_direct_access_run"),
            "xiplab.linux.drivers.dcssblk_eras": ("dcssblk_direct_access_4_0",)},
    shows={**DISK_FIELDS, DcssblkDevInfo: "segment_name start end is_shared segment_type seg_list"},
    cases=(Case("the first page, the last one, and behind the end", check_sizes, points=3),
           Case("a guest reads a file in the last page", check_mounted, points=1)),
    hidden=("disks of other sizes",),
    hints=(
        Hint("Take a disk of one page: start is 0, end is 4095. Go through the lines with these "
             "numbers.", 0.05),
        Hint("`end` is the address of the last byte, not of the first one behind it. Once the size is right, "
             "look again at the test for the end: which offset is the first one behind it?", 0.10),
        Hint("The same with pages of a book, from first to last: count = last - first + 1. "
             "If page - first >= count, the book has no such page. "
             "From page on, count - (page - first) pages are left.", 0.20)),
    notice="This is Q22 of our list of real bugs. Linux 4.0 counted so, and the last page had 4,095 bytes. "
           "When Linux later refused whatever is no whole number of pages, every address of a dcssblk disk "
           "was refused. The real fix, there by 4.15, is the + 1.",
    reference="xiplab.linux.drivers.dcssblk_io:dcssblk_direct_access",
)

BIO = Question(
    id="03.4",
    title="Carry out a bio",
    kind="build",
    answer="make_request",
    lines="8 to 12 lines",
    prelude="import errno\nPAGE_SIZE = 4096\nSECTOR_SIZE = 512\nREAD, WRITE = 0, 1\n"
            "READ_ONLY_TYPES = (2, 3, 6)",
    masked={"xiplab.linux.drivers.dcssblk_io": ("dcssblk_make_request", "acceptable")},
    shows={**DISK_FIELDS, DcssblkDevInfo: "segment_name start end is_shared segment_type seg_list",
           Bio: "bi_bdev bi_sector bi_size bi_rw bi_io_vec", BioVec: "memory bv_len bv_offset",
           np.ndarray: ""},
    cases=(Case("bios that are carried out", check_transfers, points=2),
           Case("bios that are refused", check_refusals, points=2)),
    hidden=("other pages and pieces",),
    hints=(
        Hint("Two parts: first all reasons to refuse, then a loop over the pieces. Each bio is completed "
             "exactly once, whatever happens.", 0.05),
        Hint("The last sector of the bio is what counts for the end: bi_sector and the sectors of bi_size "
             "together. A read-only type matters only while the disk is shared. In the loop the address "
             "moves on by the length of each piece.", 0.10),
        Hint("The same for a lorry that unloads crates in a row of rooms: if too_many or closed: "
             "return finished(lorry, REFUSED); room = first_room; for crate in lorry.crates: "
             "carry(crate, room); room += crate.size; then finished(lorry, 0)", 0.20)),
    notice="A bio with several pieces is one order: it goes to neighbouring sectors and comes from anywhere "
           "in memory. Both sides are memory here, and every byte is copied all the same.",
    reference="xiplab.linux.drivers.dcssblk_io:dcssblk_make_request",
)

SHARED = Question(
    id="03.5",
    title="A file that does not tell the truth",
    kind="debug",
    answer="shared_store",
    lines="3 to 5 lines to mend",
    prelude="import errno\nSEGMENT_SHARED, SEGMENT_EXCLUSIVE = 0, 1",
    masked={"xiplab.linux.drivers.dcssblk": ("dcssblk_shared_store", "modify_all", "set_access"),
            "xiplab.linux.drivers.dcssblk_eras": ("dcssblk_shared_store_2_6_27",
                                                  "dcssblk_shared_store_3_15")},
    shows={**DISK_FIELDS, DcssblkDevInfo: "segment_name is_shared= segment_type use_count seg_list"},
    cases=(Case("segments that others use", check_busy, points=3),
           Case("a reload that fails for good", check_failure, points=1)),
    hints=(
        Hint("Follow the function with one segment that answers EAGAIN. Which line runs next?", 0.05),
        Hint("Remember whether any segment was refused, and change is_shared only if none was. A second "
             "segment that was reloaded must not make the first one's refusal forgotten.", 0.10),
        Hint("The same for a class that shall move to another room: moved = True; for pupil in pupils: "
             "try: move(pupil) except Asleep: moved = False; and at the end: if moved: room = other", 0.20)),
    notice="This is Q16 of our list of real bugs. Linux 2.6.27 changed nothing when a segment was in use. "
           "Since 2.6.28, with several segments for a disk, the driver says 0 and makes the disk writable, "
           "while every store still reaches all guests. We know of no release that has mended it.",
    reference="xiplab.linux.drivers.dcssblk_eras:dcssblk_shared_store_2_6_27",
)

QUESTIONS = (ADD, RELEASE, END, BIO, SHARED)
