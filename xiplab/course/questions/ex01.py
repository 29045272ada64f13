"""Exercise 01, copies: what the page cache copies and keeps, and what the old ramdisk did about it."""

from __future__ import annotations

import numpy as np

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions.ex01_count import check_prediction, situation_lines
from xiplab.course.questions.ex01_places import check_places
from xiplab.course.questions.ex01_ramdisk import check_writepage
from xiplab.course.questions.ex01_read import check_read
from xiplab.course.questions.ex01_shrink import check_disk, check_ramdisk
from xiplab.linux.include.fs import AddressSpace
from xiplab.linux.include.mm import Page

COUNT = Question(
    id="01.1",
    title="What is copied, what is kept?",
    kind="predict",
    answer="what_is_counted",
    lines="1 line",
    cases=(Case("three numbers", check_prediction, points=2),),
    situation=situation_lines,
    hints=(
        Hint("Draw two boxes, page 0 and page 1 of the page cache. For each line ask: is the page there "
             "already?", 0.05),
        Hint("A page is copied in when it is wanted and not there, and out when a dirty page is written. To "
             "write a whole page needs no old bytes. Reading and mapping use the same page.", 0.10),
        Hint("For “stores a byte into page 0 of its mapping, calls msync, reads page 1”: page 0 is copied in "
             "and becomes dirty; msync copies it out, and it is clean; page 1 is copied in. So: "
             "return 3, 2, 0.", 0.20)),
    notice="Reading a page for the second time copies nothing from the disk. That is what the page cache is "
           "for. What a mapping costs is the same as a read, without the copy into the program's buffer.",
)

READ = Question(
    id="01.2",
    title="A read through the page cache",
    kind="parsons",
    answer="order_of_cached_read",
    lines="1 line",
    blocks=(
        Block("def cached_read(mapping, index, find_page, add_page, read_page, copy_to_user):"),
        Block("    page = find_page(mapping, index)"),
        Block("    if page is None:"),
        Block("        page = add_page(mapping, index)"),
        Block("        read_page(page)"),
        Block("    copy_to_user(page)"),
        Block("        copy_to_user(page)", "second-read-is-free"),
        Block("    read_page(page)", "cache-asks-again"),
        Block("    page = add_page(mapping, index)", "each-read-takes-a-frame")),
    masked={"xiplab.linux.mm.filemap": ("do_generic_file_read", "read_cache_page")},
    shows={AddressSpace: "", Page: "index uptodate dirty"},
    cases=(Case("pages read for the first time and again", check_read, points=3),),
    hints=(
        Hint("First look whether the page is there. Two blocks are only for a page that is not.", 0.05),
        Hint("A new frame is empty: it must be read from the disk before anything is copied out of it. The "
             "copy for the program is the last thing, and it is made every time.", 0.10),
        Hint("The same for a library: book = on_shelf(title); if book is None: book = order(title); "
             "wait_for(book); and then, in both cases: copy_pages_of(book)", 0.20)),
    notice="Two copies for the first read, one for each further read. A mapping saves the last line, and no "
           "other. Execute-in-place saves them all.",
    reference="xiplab.linux.mm.filemap:do_generic_file_read",
)

RAMDISK = Question(
    id="01.3",
    title="A disk that forgets",
    kind="debug",
    answer="writepage",
    lines="1 line to mend",
    masked={"xiplab.linux.drivers.rd": ("ramdisk_writepage", "ramdisk_set_page_dirty")},
    shows={Page: "dirty= uptodate= index mapcount"},
    cases=(Case("the ramdisk when memory is short, and when it is written", check_writepage, points=3),),
    hints=(
        Hint("Ask what Linux does with a clean page when memory is short, and where the bytes are "
             "then.", 0.05),
        Hint("Linux clears the flag `dirty` before it calls writepage. If the page must not go, it has to be "
             "dirty again afterwards. An error is no way: whoever calls msync would get it.", 0.10),
        Hint("The same for a waiter who clears tables that are marked as free: a guest who wants to stay "
             "does not quarrel with him, and does not look whether the mark is there. He sets it: "
             "table.taken = True", 0.20)),
    notice="The bug is real; it has no number in our list. Until 2.6.24-rc3 the buffer layer could find the "
           "buffers of such a page clean, and then called the page clean as well. The real fix was a "
           "function releasepage that refuses. Then the driver was replaced by brd, whose pages are its own.",
    reference="xiplab.linux.drivers.rd:ramdisk_writepage",
)

SHRINK = Question(
    id="01.4",
    title="Memory is short",
    kind="build",
    answer="shrink",
    lines="8 to 11 lines",
    masked={"xiplab.linux.mm.filemap": ("shrink_page_cache",)},
    shows={Page: "dirty mapcount index uptodate"},
    cases=(Case("clean, dirty and mapped pages of a disk", check_disk, points=3),
           Case("pages that stay dirty", check_ramdisk, points=1)),
    hidden=("other orders of the pages",),
    hints=(
        Hint("Go through the pages one by one. Three kinds stay; the rest is dropped and counted.", 0.05),
        Hint("Stop when enough are freed. Leave a mapped page. Write a dirty one, and then look at its flag "
             "again: if it is still dirty, leave it. Count only what was dropped.", 0.10),
        Hint("The same for a shelf that needs room: got = 0; for jar in jars: if got == wanted: break; "
             "if jar.in_use: continue; if jar.full: empty(jar); if jar.full: continue; throw_away(jar); "
             "got += 1; and at the end: return got", 0.20)),
    notice="Here the copies go again, and this is why a copy in the page cache is a promise of nothing. In "
           "place there is nothing to shrink: the frame is the storage.",
    reference="xiplab.linux.mm.filemap:shrink_page_cache",
)

PLACES = Question(
    id="01.5",
    title="How many are they?",
    kind="measure",
    answer="different_frames",
    lines="4 to 6 lines",
    shows={np.ndarray: ""},
    cases=(Case("a page in five settings", check_places, points=3),),
    hidden=("other orders of the places",),
    hints=(
        Hint("Equal bytes may lie in two frames. Only one of the two functions that you get tells them "
             "apart.", 0.05),
        Hint("Keep a list of those that you have met and that are different. A place that shares memory with "
             "one of them is an old friend.", 0.10),
        Hint("The same for people who write under several names: met = []; for name in names: "
             "if not any(same_person(name, other) for other in met): met.append(name); and then: "
             "return len(met)", 0.20)),
    notice="On a disk the page lies in three places, on the ramdisk brd in two, and in place in one, "
           "whatever the number of guests. LINUX3, which has a disk of its own, and a private page are the "
           "exceptions.",
)

QUESTIONS = (COUNT, READ, RAMDISK, SHRINK, PLACES)
