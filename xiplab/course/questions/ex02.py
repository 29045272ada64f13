"""Exercise 02, segments: who sees a store, who counts users, a lock that stays held, a limit, a reload."""

from __future__ import annotations

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions.ex02_load import check_load
from xiplab.course.questions.ex02_modify import check_modify
from xiplab.course.questions.ex02_place import check_places
from xiplab.course.questions.ex02_save import check_save
from xiplab.course.questions.ex02_store import check_prediction, situation_lines
from xiplab.linux.arch.s390.extmem import DcssSegment

EXTMEM = "xiplab.linux.arch.s390.extmem"

STORE = Question(
    id="02.1",
    title="Who sees the letter?",
    kind="predict",
    answer="who_sees_the_letter",
    lines="1 line",
    cases=(Case("the guests that see the J", check_prediction, points=2),),
    situation=situation_lines,
    hints=(
        Hint("Two questions first: has LINUX1 a copy, and may it store there at all?", 0.05),
        Hint("A copy comes from the first letter E, or from a load that is exclusive. Who has loaded "
             "exclusive may store; else the second letter must be W or N. LINUX3 shares what CP has under "
             "the name now.", 0.10),
        Hint("For type ER, loaded exclusive, then saved: LINUX1 has a copy and may store. LINUX2 has a copy "
             "of its own. The save makes a new file, and LINUX3 gets it. So: return {\"LINUX1\", "
             "\"LINUX3\"}.", 0.20)),
    notice="The first letter and the way to load decide who has which frames. The second letter decides who "
           "may store. Linux is asked in neither case: CP has written both into the tables.",
)

LOAD = Question(
    id="02.2",
    title="How many have it?",
    kind="parsons",
    answer="order_of_segment_load",
    lines="1 line",
    blocks=(
        Block("def segment_load(name, mode, find, load_new):"),
        Block("    seg = find(name)"),
        Block("    if seg is None:"),
        Block("        load_new(name, mode)"),
        Block("    elif seg.do_nonshared == mode:"),
        Block("        seg.ref_count += 1"),
        Block("    else:"),
        Block("        raise OSError(errno.EPERM, \"loaded in the other mode\")"),
        Block("    find(name).ref_count += 1", "first-load-counts-twice"),
        Block("        seg.do_nonshared = mode", "mode-is-a-flag"),
        Block("        raise OSError(errno.EPERM, \"loaded already\")", "once-is-enough")),
    prelude="import errno",
    masked={EXTMEM: ("segment_load", "_segment_load")},
    shows={DcssSegment: "ref_count= do_nonshared= start_addr end vm_segtype"},
    cases=(Case("loads and unloads in many orders", check_load, points=3),),
    hints=(
        Hint("There are three cases: not loaded, loaded in the same mode, loaded in the other mode.", 0.05),
        Hint("load_new counts its first user itself. Only a further user in the same mode has to be counted. "
             "For the other mode there is nothing that could be shared.", 0.10),
        Hint("The same for a taxi that people may share: taxi = waiting(street); if taxi is None: "
             "order(street); elif taxi.goes_to == my_town: taxi.guests += 1; else: and then the last block, "
             "which refuses", 0.20)),
    notice="The count decides when a segment is really let go of: at the last unload. dcssblk loads by this "
           "function, and so does everything else in the guest that wants the segment.",
    reference=f"{EXTMEM}:segment_load",
)

SAVE = Question(
    id="02.3",
    title="After that, nothing works",
    kind="debug",
    answer="segment_save",
    lines="2 or 3 lines to mend",
    masked={EXTMEM: ("segment_save",)},
    shows={DcssSegment: "ref_count do_nonshared start_addr end vm_segtype"},
    cases=(Case("known and unknown segments, one after the other", check_save, points=3),),
    hints=(
        Hint("Go through the function with a name that nobody has loaded. Which lines run, and which does "
             "not?", 0.05),
        Hint("Each way out of the function must pass unlock(), exactly once. And what reads the list of "
             "segments or acts on it stays between lock() and unlock().", 0.10),
        Hint("The same for a room with a key: take_key(); thing = look_for(name); if thing is not None: "
             "use(thing); and then, on every way: give_key_back(). An early return would carry the key "
             "away.", 0.20)),
    notice="This is Q26 of our list of real bugs. Until 2.6.19 the function returned with the lock held, and "
           "the next call that wanted the lock waited for ever. The fix came when the lock became a mutex in "
           "2.6.20: one way out, which lets go.",
    reference=f"{EXTMEM}:segment_save",
)

PLACE = Question(
    id="02.4",
    title="One page too many",
    kind="debug",
    answer="check_place",
    lines="1 line to mend",
    prelude="import errno",
    masked={EXTMEM: ("segment_load", "_segment_load", "segment_overlaps_others"),
            "xiplab.linux.arch.s390.vmem": ("vmem_add_mapping",)},
    cases=(Case("segments at the limit, in storage and beside others", check_places, points=3),),
    hidden=("other places",),
    hints=(
        Hint("Take a kernel that can address 4 pages: max_pfn is 4. Which numbers do its pages have?", 0.05),
        Hint("Pages are numbered from 0, so the last one has the number max_pfn - 1. The tests for storage "
             "and for other segments are right.", 0.10),
        Hint("The same for a house with seats 0 to seats - 1: if last_seat >= seats: the party does not "
             "fit. A test for last_seat > seats would put one guest on the floor.", 0.20)),
    notice="This is Q25 of our list of real bugs, in releases up to 2.6.19. A segment whose last page was "
           "the first one behind the limit passed. The loads and stores of that one page had no address in "
           "the kernel. In 2.6.20 the test moved to the code that adds the mapping.",
    reference="xiplab.linux.arch.s390.vmem:vmem_add_mapping",
)

MODIFY = Question(
    id="02.5",
    title="Shared, exclusive, shared",
    kind="build",
    answer="modify_shared",
    lines="10 to 12 lines",
    prelude="import errno",
    masked={EXTMEM: ("segment_modify_shared", "reload_segment", "rerequest_resource")},
    shows={DcssSegment: "ref_count do_nonshared= start_addr end vm_segtype"},
    cases=(Case("there and back, with other users, and after a purge", check_modify, points=4),),
    hints=(
        Hint("First the three cases in which nothing is touched, in the order of the text. What is left is "
             "let go of, loaded and noted.", 0.05),
        Hint("The load stands in a try. If it fails, destroy the segment and raise again what came: a line "
             "`raise` without a name does that. Note the mode only after the load.", 0.10),
        Hint("The same for a lodger who changes rooms: if nobody: raise Unknown; if lodger.room == room: "
             "return; if lodger.visitors: raise Later; leave(lodger); try: enter(lodger, room) "
             "except Full: forget(lodger); raise; and then: lodger.room = room", 0.20)),
    notice="Between the purge and the load the guest has nothing. So a failed load cannot be taken back, and "
           "the segment is gone. This is why dcssblk removes a device whose switch has failed.",
    reference=f"{EXTMEM}:segment_modify_shared",
)

QUESTIONS = (STORE, LOAD, SAVE, PLACE, MODIFY)
