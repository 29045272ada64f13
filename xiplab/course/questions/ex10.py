"""Exercise 10, after: what DAX changed and why, and what sharing costs on a real computer."""

from __future__ import annotations

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions import ex10_extents, ex10_fault, ex10_hole, ex10_smaps
from xiplab.course.questions.ex10_predict import check_answers, situation_lines

KERNELS = Question(
    id="10.1",
    title="Two kernels, one page fault",
    kind="predict",
    answer="what_happens",
    lines="1 line",
    cases=(Case("three answers", check_answers, points=2),),
    situation=situation_lines,
    hints=(
        Hint("Which kernel looks at the size a second time, notices a store, and keeps a hole a hole?", 0.05),
        Hint("A mapping shows its frame. What is in that frame at the end, and may the program still have "
             "it? The old kernel does not ask.", 0.10),
        Hint("A like case: Linux 3.6, and the freed block goes to a file full of “x”. The program sees “x”. "
             "With DAX it gets SIGBUS, because the page is behind the end when DAX looks again.", 0.20)),
    notice="Three answers, three reasons for DAX. The first one was a hole in the wall between programs "
           "(Q7).",
)

FAULT = Question(
    id="10.2",
    title="A page fault that looks twice",
    kind="parsons",
    answer="order",
    prelude=ex10_fault.PRELUDE,
    shows=ex10_fault.SHOWS,
    cases=(Case("a truncate at every place", ex10_fault.check_fault, points=3),),
    blocks=(
        Block("def dax_fault(file, page):\n    size = file.pages()"),
        Block("    if page >= size:\n        raise OSError(errno.EFAULT, \"SIGBUS\")"),
        Block("    block = file.get_block(page)"),
        Block("    file.lock()"),
        Block("    if page >= file.pages():\n        file.unlock()\n        raise OSError(errno.EFAULT, "
              "\"SIGBUS\")"),
        Block("    file.insert(page, block)\n    file.unlock()"),
        Block("    if page >= size:\n        file.unlock()\n        raise OSError(errno.EFAULT, \"SIGBUS\")",
              "one-look-is-enough"),
        Block("    file.unlock()\n    file.insert(page, block)", "lock-can-go-early"),
        Block("    if page >= file.pages():\n        raise OSError(errno.EFAULT, "
              "\"SIGBUS\")", "an-error-lets-go")),
    hints=(
        Hint("First without a lock: look at the size, look the block up. Then once more, with the "
             "lock.", 0.05),
        Hint("Truncate needs the lock, too. What you do between lock and unlock, it cannot disturb. Where "
             "must the second look and the entry be?", 0.10),
        Hint("The same at a door with a list of guests: read the list; get the badge; close the door; read "
             "the list again, and if the name is gone, open the door and send the guest away; hand over the "
             "badge; open the door", 0.20)),
    notice="Either the fault sees the new size, or truncate sees the new entry and removes it. So DAX closed "
           "the race that execute-in-place had from 2.6.23 to its end (Q7).",
    reference="xiplab.linux.fs.dax:dax_fault_steps",
)

HOLE = Question(
    id="10.3",
    title="A load that took blocks",
    kind="debug",
    answer="frame_for_fault",
    lines="1 line to change",
    prelude=ex10_hole.PRELUDE,
    masked={"xiplab.linux.mm.filemap_xip_eras": ("xip_file_fault_no_alloc",)},
    cases=(Case("loads", ex10_hole.check_loads, points=2),
           Case("stores", ex10_hole.check_stores, points=1),
           Case("data, and a page that cannot be read", ex10_hole.check_failures, points=1)),
    hints=(
        Hint("Which argument says what the program is doing now, and which what it might do one day?", 0.05),
        Hint("A block is needed when two things are so: the access is a store, and it must reach the "
             "file.", 0.10),
        Hint("The same in a library: `if member and may_borrow: fetch(book)` fetches books for everybody who "
             "looks at the list. `if member and borrows:` fetches those that are taken.", 0.20)),
    notice="This is Q10 of the kernel's history: every version of execute-in-place had it, and a program "
           "that only looked at a sparse file filled the disk. DAX allocates for stores alone. Then the "
           "first store has to take the page of zeros away.",
    reference="xiplab.linux.fs.dax:dax_fault_steps",
)

READ = Question(
    id="10.4",
    title="One question for each run",
    kind="extend",
    answer="dax_read",
    lines="10 to 12 lines",
    prelude=ex10_extents.PRELUDE,
    shows=ex10_extents.SHOWS,
    masked={"xiplab.linux.fs.dax": ("dax_io", "dax_do_io")},
    cases=(Case("files without holes", ex10_extents.check_data, points=1),
           Case("files with a hole", ex10_extents.check_holes, points=1),
           Case("the number of questions", ex10_extents.check_questions, points=2)),
    hidden=("other files",),
    hints=(
        Hint("The loop is that of exercise 06, with runs in place of pages.", 0.05),
        Hint("A run of n pages that you enter at byte `offset` of its first page has n * PAGE_SIZE - offset "
             "bytes for you. Ask direct_access for the run, from the first byte of its first page.", 0.10),
        Hint("The same for a train: while at < end: wagon, seat = divmod(at, SEATS); first, n = "
             "coupled(wagon, WANTED); here = min(n * SEATS - seat, end - at); place = find(first); "
             "take(place + seat, here); at += here", 0.20)),
    notice="With one extent for a whole file there is one question, whatever its length. This is why "
           "direct_access got a length in 4.0, and it is the road to pages of 2 MiB.",
    reference="xiplab.linux.fs.dax:dax_io",
)

MEMORY = Question(
    id="10.5",
    title="What does sharing cost?",
    kind="measure",
    answer="memory_of",
    lines="8 to 10 lines",
    cases=(Case("texts that are made up", ex10_smaps.check_made_up, points=2),
           Case("this computer's own text", ex10_smaps.check_real, points=1)),
    hidden=("other numbers",),
    hints=(
        Hint("A line whose first word does not end with a colon begins a new mapping. It says at its end "
             "what is mapped.", 0.05),
        Hint("Keep a variable that says whether the lines belong to a mapping you count. Set it at each "
             "first line. At the others, compare the first word with \"Rss:\" and \"Pss:\".", 0.10),
        Hint("The same for a bill by rooms: for line in bill.splitlines(): words = line.split(); if not "
             "words[0].endswith(\":\"): mine = room in line; elif mine and words[0] == \"Tea:\": tea += "
             "int(words[1])", 0.20)),
    notice="Two users of the same memory, in one process or in two, show the same: Rss counts it twice, Pss "
           "once. The sum of Pss over all processes is what the memory really holds.",
)

QUESTIONS = (KERNELS, FAULT, HOLE, READ, MEMORY)
