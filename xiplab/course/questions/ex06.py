"""Exercise 06, read-write: what calls answer, and the learner's own read and write in place."""

from __future__ import annotations

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions import ex06_read, ex06_write
from xiplab.course.questions.ex06_bench import PRELUDE, SHOWS, Buffer
from xiplab.course.questions.ex06_predict import check_answers, situation_lines
from xiplab.course.questions.ex06_vector import check_readv

MASKED = {"xiplab.linux.mm.filemap_xip": ("do_xip_mapping_read", "xip_file_read", "_read_by_runs",
                                          "_xip_file_write", "xip_file_write", "_write_by_runs")}

ANSWERS = Question(
    id="06.1",
    title="What do these calls answer?",
    kind="predict",
    answer="what_they_answer",
    lines="1 line",
    cases=(Case("the answers to four calls", check_answers, points=2),),
    situation=situation_lines,
    hints=(
        Hint("A read stops at the end of the file. A write stops where there is no block. Both say how far "
             "they came.", 0.05),
        Hint("Ask of each call: can a part of it be done? Then the answer is that part. If not a byte can be "
             "moved, the answer is the error.", 0.10),
        Hint("Other calls on the same file: a read of 5,000 bytes at 12,000 answers 288; a write of 5,000 "
             "bytes at 8,000 with no free block, when page 2 is there and page 3 is not, answers "
             "4,288.", 0.20)),
    notice="A short answer is no error. Programs that forget it work for years, until a disk is full.",
)

READV = Question(
    id="06.2",
    title="Several buffers, one read",
    kind="parsons",
    answer="order",
    prelude=PRELUDE,
    shows={Buffer: ""},
    cases=(Case("whole, short and failing reads", check_readv, points=3),),
    blocks=(
        Block("def readv(read, buffers, pos):\n    total = 0"),
        Block("    for buf, length in buffers:"),
        Block("        try:\n            n = read(buf, length, pos + total)"),
        Block("        except OSError:\n            if total:\n                break\n            raise"),
        Block("        total += n"),
        Block("        if n < length:\n            break"),
        Block("    return total"),
        Block("        try:\n            n = read(buf, length, pos)", "buffers-begin-anew"),
        Block("        except OSError:\n            raise", "all-or-nothing"),
        Block("        if n == 0 and length:\n            break", "short-read-goes-on")),
    hints=(
        Hint("Inside the loop come the read, what to do if it fails, the sum, and when to stop.", 0.05),
        Hint("Two buffers are one piece of the file. So the second read goes on where the first one ended, "
             "and if that came short there is no second one.", 0.10),
        Hint("The same for a list of jars to be filled from a barrel: total = 0; for each jar: pour, from "
             "where the barrel stands now; if the tap breaks, keep what is in the jars; add; if the jar is "
             "not full, the barrel is empty: stop", 0.20)),
    notice="xip.txt says that files in place have a readv of their own. They have none, and need none: this "
           "loop over read is Linux's, for every file without one. Their text was never corrected (Q1).",
    reference="xiplab.linux.fs.read_write:do_loop_readv_writev",
)

READ = Question(
    id="06.3",
    title="Your own xip_file_read",
    kind="build",
    answer="xip_file_read",
    lines="10 to 12 lines",
    prelude=PRELUDE,
    masked=MASKED,
    shows=SHOWS,
    cases=(Case("pages of data, and the end of the file", ex06_read.check_data, points=2),
           Case("holes", ex06_read.check_holes, points=1),
           Case("a page that cannot be read", ex06_read.check_failures, points=1),
           Case("a guest reads through it", ex06_read.check_mounted, points=1)),
    hidden=("other files and positions",),
    hints=(
        Hint("Three steps for each page: find the piece (which page, where in it, how much), find the frame, "
             "copy. The piece ends at the first of three ends: page, file, request.", 0.05),
        Hint("Put get_xip_mem into try. Is the errno ENODATA, then clear_user takes the place of the copy. "
             "For any other error: leave the loop if something is copied, else raise it again.", 0.10),
        Hint("The same for a tape with blank parts: while at < end and done < count: n = min(part_end - at, "
             "end - at, count - done); try: place = find(at) except OSError as e: if e.errno != "
             "errno.ENODATA: ...; blank(n) else: copy(place, n); at += n; done += n", 0.20)),
    notice="One copy, from the segment to the program, and no frame taken. Linux 2.6.26 to 2.6.29 took the "
           "whole length for what is left, and stored behind the program's buffer (Q5).",
    reference="xiplab.linux.mm.filemap_xip:do_xip_mapping_read",
)

MEND = Question(
    id="06.4",
    title="A write that landed elsewhere",
    kind="debug",
    answer=ex06_write.MENDED,
    lines="1 line to change",
    prelude=PRELUDE,
    masked=MASKED,
    shows=SHOWS,
    cases=(Case("writes at the start of a page", ex06_write.check_aligned, points=1),
           Case("writes in the middle of a page", ex06_write.check_unaligned, points=2)),
    hints=(
        Hint("Four numbers are computed for each piece. Which of them is not used where the bytes go?", 0.05),
        Hint("kmem is the address of the page's first byte. The piece begins `offset` bytes behind "
             "it.", 0.10),
        Hint("The same for a street: house 12 begins at street[12]. Room 3 of it is not at street[12], but 3 "
             "rooms further: street[12] + 3.", 0.20)),
    notice="This is bug Q4 of the kernel's history: 2.6.24-rc1 to rc4 copied to the page instead of the page "
           "plus the offset. The fix came with rc5, so no release had it. Whole pages had worked in every "
           "test.",
    reference="xiplab.linux.mm.filemap_xip_eras:xip_file_write_2_6_24rc4",
)

WRITE = Question(
    id="06.5",
    title="Your own xip_file_write",
    kind="build",
    answer="xip_file_write",
    lines="12 lines",
    prelude=PRELUDE,
    masked=MASKED,
    shows=SHOWS,
    cases=(Case("pages that are there", ex06_write.check_data, points=1),
           Case("holes, and the end of the file", ex06_write.check_growing, points=2),
           Case("a full disk", ex06_write.check_full, points=1),
           Case("a guest writes through it", ex06_write.check_mounted, points=1)),
    hidden=("other files and positions",),
    hints=(
        Hint("The loop is that of 06.4. Two things are new inside it, a hole and an error, and one behind "
             "it: the size.", 0.05),
        Hint("If get_xip_mem raises ENODATA, ask it again with True. Whatever else is raised, there or the "
             "second time: leave the loop if something is written, else raise it again.", 0.10),
        Hint("The same for a shelf: try: try: place = find(n) except OSError as e: if e.errno != "
             "errno.ENODATA: raise; place = build(n) except OSError: if done: break; raise. At the end: if "
             "at > length: length = at", 0.20)),
    notice="The bytes are in storage when your function returns: no fsync is needed for them. Linux does one "
           "thing more at a hole: whoever had mapped its page of zeros gets the new page instead "
           "(xip_unmap).",
    reference="xiplab.linux.mm.filemap_xip:_xip_file_write",
)

QUESTIONS = (ANSWERS, READV, READ, MEND, WRITE)
