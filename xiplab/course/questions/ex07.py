"""Exercise 07, mmap: which frame a fault brings into a page table, and what may happen meanwhile."""

from __future__ import annotations

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions.ex07_fault import SHOWS, check_failures, check_holes, check_there
from xiplab.course.questions.ex07_measure import check_counted
from xiplab.course.questions.ex07_predict import check_prediction, situation_lines
from xiplab.course.questions.ex07_race import check_cut, check_filled, check_turned_away
from xiplab.course.questions.ex07_unmap import check_unmap

PRELUDE = "import errno\nPAGE_SIZE = 4096\nVM_SHARED = 0x8\nVM_FAULT_SIGBUS = 0x2\nVM_FAULT_NOPAGE = 0x100"
FAULTS = {"xiplab.linux.mm.filemap_xip": ("xip_file_fault", "_allocate_for_fault"),
          "xiplab.linux.mm.filemap_xip_eras": ("xip_file_fault_sigbus", "fault_steps", "fault_steps_dax",
                                               "_checked_lookup", "_insert")}

FRAMES = Question(
    id="07.1",
    title="Which frame comes into the page table?",
    kind="predict",
    answer="frames_after",
    lines="1 line",
    cases=(Case("the frame after each touch", check_prediction, points=2),),
    situation=situation_lines,
    hints=(
        Hint("Ask of each touch, in this order: does the file have the page? Does the page have a block? Who "
             "touches it, and may that task ever store?", 0.05),
        Hint("Behind the end there is nothing. A page with a block is the storage's own frame. A hole is the "
             "sparse page, but for a shared mapping that may store. A private store is a copy.", 0.10),
        Hint("Situation 0. Touch 1: page 0 has a block, and it is only loaded: storage. Touch 2: page 1 is a "
             "hole, and reader may never store: sparse page. Touch 3: the mapping is private, and it stores: "
             "private copy. Now the same with another situation.", 0.20)),
    notice="Four answers are all there are. Three of them are frames, and only the private copy was copied.",
)

UNMAP = Question(
    id="07.2",
    title="Take the sparse page out",
    kind="parsons",
    answer="order_of_xip_unmap",
    lines="1 line",
    prelude=PRELUDE,
    masked={"xiplab.linux.mm.filemap_xip": ("xip_unmap",)},
    shows=SHOWS,
    cases=(Case("what is left in the page tables", check_unmap, points=2),),
    hidden=("other files and areas",),
    blocks=(
        Block("def xip_unmap(mapping, pgoff, sparse_page, follow_pfn, pte_clear):"),
        Block("    for vma in mapping.i_mmap:"),
        Block("        address = vma.vm_start + (pgoff - vma.vm_pgoff) * PAGE_SIZE"),
        Block("        if vma.vm_start <= address < vma.vm_end:"),
        Block("            if follow_pfn(vma.vm_mm, address) == sparse_page:"),
        Block("                pte_clear(vma, address)"),
        Block("    for vma in mapping.i_mmap[:1]:", "one-mapping-is-enough"),
        Block("        address = vma.vm_start + pgoff * PAGE_SIZE", "pages-begin-at-the-mapping"),
        Block("            if follow_pfn(vma.vm_mm, address) is not None:", "unmap-takes-everything")),
    hints=(
        Hint("The indentation of the lines tells the order nearly alone. Then there are two lines for some "
             "places. Only one of them can be right.", 0.05),
        Hint("Each area shows a part of the file. Its first page is page vma.vm_pgoff of the file, not page "
             "0. And an entry may hold something else than the sparse page.", 0.10),
        Hint("In words: for every area of the file; where would the page lie in it; if that is inside the "
             "area; if the sparse page is mapped there; clear that entry.", 0.20)),
    notice="Nothing is entered here. The next touch of each task faults, and finds the block by itself. "
           "Nonlinear areas, which could show pages in any order, were missed by Linux up to 3.6 (Q9).",
    reference="xiplab.linux.mm.filemap_xip:xip_unmap",
)

FAULT = Question(
    id="07.3",
    title="Your own fault handler",
    kind="build",
    answer="xip_file_fault",
    lines="10 to 12 lines",
    prelude=PRELUDE,
    masked=FAULTS,
    shows=SHOWS,
    cases=(Case("pages with a block, and the end of the file", check_there, points=1),
           Case("holes", check_holes, points=2),
           Case("a full device, and a broken one", check_failures, points=1)),
    hidden=("other files and other orders",),
    hints=(
        Hint("Begin with the end of the file: a page number times PAGE_SIZE, against i_size. Then ask "
             "get_xip_mem, without create. Only ENODATA means hole.", 0.05),
        Hint("For a hole there are two ways. Shared: ask again with create, then take the sparse page out of "
             "all mappings. Else: the sparse page. All ways but SIGBUS end at the same "
             "vm_insert_mixed.", 0.10),
        Hint("The same for a read, with no page table: if pos >= mapping.host.i_size: return 0; "
             "try: kmem, pfn = get_xip_mem(mapping, pos // PAGE_SIZE, 0); "
             "except OSError as failure: if failure.errno != errno.ENODATA: raise; clear_user(to, n); "
             "else: copy_to_user(to, kmem, n); return n", 0.20)),
    notice="Your function names a frame and copies nothing. Linux 3.6 does it in the same steps, with one "
           "difference: there a failed look-up counts as a lack of memory, and the task is killed (Q27). "
           "Yours ends in SIGBUS, as up to 2.6.22.",
    reference="xiplab.linux.mm.filemap_xip:xip_file_fault",
)

RACES = Question(
    id="07.4",
    title="Two races, one lock",
    kind="debug",
    answer="fault_with_lock",
    lines="change about 6 lines",
    prelude=PRELUDE,
    masked=FAULTS,
    shows=SHOWS,
    cases=(Case("a write fills the hole meanwhile", check_filled, points=1),
           Case("the file is cut meanwhile", check_cut, points=1.5),
           Case("who is turned away gives the lock back", check_turned_away, points=0.5)),
    hints=(
        Hint("What the handler knows, it has found out before it held the lock. Go through its lines: which "
             "of them must nobody disturb?", 0.05),
        Hint("A fact that was found before the lock may be false under it. So the size and the frame must be "
             "looked up under the lock, and the lock is held until the frame is in the page table. Each way "
             "out gives it back.", 0.10),
        Hint("The same for a drawer that others empty and fill: lock(); try: if drawer.closed: return None; "
             "thing = drawer.look(); desk.put(thing); return thing; finally: unlock()", 0.20)),
    notice="Two bugs of real kernels. A write that fills the hole (Q6) was mended in 2.6.27: the hole is "
           "looked up again under a lock. A truncate (Q7) could bring another file's block into a page table "
           "from 2.6.23 to 3.19. Nobody mended it in place: DAX, which came after, checks the size again "
           "under a lock.",
    reference="xiplab.linux.mm.filemap_xip_eras:fault_steps_dax",
)

MEASURE = Question(
    id="07.5",
    title="What do mappings cost the guest?",
    kind="measure",
    answer="own_frames",
    lines="5 to 8 lines",
    prelude=PRELUDE,
    shows=SHOWS,
    cases=(Case("frames of the guest's own", check_counted, points=2),),
    hidden=("other files and touches",),
    hints=(
        Hint("Go through the areas, and through the pages of each, from vm_start to before vm_end. Ask "
             "follow_pfn for each address.", 0.05),
        Hint("Three entries do not count: those that are not there, those of the segment, and those whose "
             "frame you have counted before.", 0.10),
        Hint("The same for the blocks of some files: blocks = set(); for file in files: "
             "for page in range(0, file.size, PAGE_SIZE): block = find(file, page); "
             "if block is not None and block not in reserved: blocks.add(block); return len(blocks)", 0.20)),
    notice="Linux counts like this for /proc/PID/smaps. With execute-in-place the number does not grow with "
           "the file and not with the tasks that only look at it: one sparse page, and one frame for each "
           "private store into a new page.",
)

QUESTIONS = (FRAMES, UNMAP, FAULT, RACES, MEASURE)
