"""Exercise 00, start: who sees a changed byte, and the one function that makes it so."""

from __future__ import annotations

from xiplab.course.problem import Case, Hint, Question
from xiplab.course.questions.ex00_build import check_addresses, check_mounted, check_refusals
from xiplab.course.questions.ex00_predict import check_prediction, situation_lines

PLACES = Question(
    id="00.1",
    title="Who sees the new byte?",
    kind="predict",
    answer="places_with_the_new_byte",
    lines="1 line",
    cases=(Case("the places with the new byte", check_prediction, points=2),),
    situation=situation_lines,
    hints=(
        Hint("Ask of each place: whose memory is it? Two names may be names of the same memory.", 0.05),
        Hint("With xip a mapping lies on the segment's own frames. A page cache, a disk, and a private page "
             "that was stored to are memory of their own.", 0.10),
        Hint("Go through the places one by one. The byte is changed in the segment: segment yes. LINUX1 maps "
             "the segment's frame: yes. LINUX2: does its page still lie on that frame? LINUX3 and its disk: "
             "does anything connect them with the segment? Then the same for a change of the disk.", 0.20)),
    notice="The places with the new byte are one piece of memory under several names. No place was informed, "
           "updated or synchronised.",
)

DIRECT_ACCESS = Question(
    id="00.2",
    title="Your own direct_access",
    kind="build",
    answer="direct_access",
    lines="5 to 8 lines",
    prelude="import errno\nPAGE_SIZE = 4096\nSECTOR_SIZE = 512",
    masked={"xiplab.linux.drivers.dcssblk_io": ("dcssblk_direct_access", "dcssblk_direct_access_run")},
    cases=(Case("the address and the frame number", check_addresses, points=1),
           Case("what must be refused", check_refusals, points=1),
           Case("a guest reads and maps a file through it", check_mounted, points=2)),
    hidden=("segments of other sizes and places", "the edges of the smallest segment"),
    hints=(
        Hint("Begin with what must be refused, in the order of the table. Then two lines are left: one for "
             "the address, one for the frame number.", 0.05),
        Hint("The sector's first byte lies sector * SECTOR_SIZE bytes behind `start`. The frame number is "
             "the address divided by PAGE_SIZE. For the end, ask where the page's last byte lies, and "
             "compare it with `end`.", 0.10),
        Hint("The same for a disk of single sectors, with no pages: "
             "if info is None: raise OSError(errno.ENODEV, \"no segment\"); "
             "address = info.start + sector * SECTOR_SIZE; "
             "if address + SECTOR_SIZE - 1 > info.end: raise OSError(errno.ERANGE, \"behind the end\"); "
             "return address, address // SECTOR_SIZE", 0.20)),
    notice="Your function touched no byte of the file. It only told where they lie, and read and mmap did "
           "the rest. That is all that a device must do for execute-in-place.",
    reference="xiplab.linux.drivers.dcssblk_io:dcssblk_direct_access",
)

QUESTIONS = (PLACES, DIRECT_ACCESS)
