"""The capstone, exercise 11: what people believe about pieces of a request, counts and faults."""

from __future__ import annotations

from xiplab.course.problem import Misconception, Prediction

PREDICTIONS: dict[str, Prediction] = {}

MISCONCEPTIONS = (
    Misconception(
        "page-begins-at-the-position",
        "A piece lies at the start of its page.",
        "The first piece begins inside the page, at the position modulo 4,096. Only later pieces begin at "
        "its start.",
        "Add the offset to the address of the page."),
    Misconception(
        "piece-is-the-request",
        "Each piece may be as long as the request.",
        "A piece ends with its page, and with what is left of the request. Linux 2.6.26 to 2.6.29 forgot the "
        "second and wrote behind the program's buffer (quirk Q5).",
        "Take the smallest of the three ends."),
    Misconception(
        "one-page-is-enough",
        "A read gives what is in one page.",
        "A request may go over many pages, stored or not.",
        "Go on until the request or the file is at its end."),
    Misconception(
        "files-never-end",
        "What lies behind the end of a file can be read, since the block goes on.",
        "A read ends with the last byte of the file, wherever its block ends.",
        "Compare the position with i_size."),
    Misconception(
        "nobody-needs-the-count",
        "What a read or write returns does not matter.",
        "It is how a program learns how far the call came. It goes on from there.",
        "Return the number of bytes moved."),
    Misconception(
        "size-grows-by-itself",
        "Blocks make a file longer.",
        "The size is a number in the inode. Who writes behind it must set it, or nobody can read the bytes.",
        "Compare the position after the write with i_size."),
    Misconception(
        "write-sets-the-size",
        "A file ends where the last write ended.",
        "A write inside a file leaves its size alone. Only one that goes behind the end makes it longer.",
        "Set i_size only if the position is greater."),
    Misconception(
        "address-is-a-frame",
        "A page table holds addresses.",
        "It holds numbers of frames. The address of the frame is for copying.",
        "Hand the second value of get_xip_mem to vm_insert_mixed."),
    Misconception(
        "kernel-finds-the-frame",
        "A fault handler returns the frame, and the kernel maps it.",
        "This handler sets the entry itself, with vm_insert_mixed. Without that the same fault comes again.",
        "End with vm_insert_mixed."),
    Misconception(
        "zeros-are-enough",
        "A page of zeros can stand for a hole in every mapping.",
        "All holes share one page of zeros. A store that is to reach the file needs a block of its own.",
        "Ask stores_reach_the_file, and then get_xip_mem with create True."),
    Misconception(
        "what-is-there-was-taken",
        "The frames that are in use now are those that the program took.",
        "Others had frames before. What it took is the difference.",
        "Count before and after."),
    Misconception(
        "look-after-the-run",
        "One look is enough, if it is at the right moment.",
        "A difference needs two looks, and what happens must lie between them.",
        "Count, execute, count."),
    Misconception(
        "all-frames-are-cache",
        "Every frame of a guest holds a copy of a file.",
        "Page tables, stacks and private pages take frames, too. Copies of files are in the page cache.",
        "Count the frames of the page cache only."),
)
