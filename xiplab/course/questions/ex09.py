"""Exercise 09, shortcomings: memory without an address, flash that is written, modules that are copied."""

from __future__ import annotations

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions.ex09_flash import check_driver, check_erase, check_nothing, check_suspended
from xiplab.course.questions.ex09_highmem import check_for_good, check_pages, check_without
from xiplab.course.questions.ex09_measure import check_cost
from xiplab.course.questions.ex09_predict import check_prediction, situation_lines

COMMANDS = ("READ_ARRAY, READ_STATUS, CLEAR_STATUS = 0xFF, 0x70, 0x50\n"
            "PROGRAM_WORD, ERASE_BLOCK, CONFIRM = 0x40, 0x20, 0xD0\n"
            "SUSPEND, RESUME = 0xB0, 0xD0\nSR_READY, SR_ERASE_SUSPENDED = 0x80, 0x40")
DRIVER = "xiplab.linux.drivers.mtd.cfi_cmdset_0001"

CHIP = Question(
    id="09.1",
    title="What does the chip answer?",
    kind="predict",
    answer="what_there_is_to_see",
    lines="1 line",
    cases=(Case("the byte, the program, the erase", check_prediction, points=2),),
    situation=situation_lines,
    hints=(
        Hint("Three questions, one after the other. Which bits can programming change? What does a load from "
             "the chip give now? Was the erase allowed to begin?", 0.05),
        Hint("Programming is AND. A chip that erases gives its status everywhere, and goes on with it until "
             "it is told otherwise. A pointed chip is not written.", 0.10),
        Hint("Situation 0: 0xff AND 0xf0 AND 0x0f is the byte. The erase has just begun, so it is under way, "
             "and each load gives the status. Now the same with another mount.", 0.20)),
    notice="The byte lay in another block than the erase, and the program in a third one. It did not matter: "
           "a chip has one mode for all of its range.",
)

ERASE = Question(
    id="09.2",
    title="Erase a block",
    kind="parsons",
    answer="order_of_erase_block",
    lines="1 line",
    prelude=COMMANDS,
    masked={DRIVER: ("do_erase_oneblock",)},
    cases=(Case("the block, the chip's mode and the status", check_erase, points=2),),
    hidden=("other blocks",),
    blocks=(
        Block("def erase_block(adr, map_write, map_read, sleep):"),
        Block("    map_write(CLEAR_STATUS, adr)"),
        Block("    map_write(ERASE_BLOCK, adr)\n    map_write(CONFIRM, adr)"),
        Block("    while not map_read(adr) & SR_READY:\n        sleep(1000)"),
        Block("    status = map_read(adr)"),
        Block("    map_write(READ_ARRAY, adr)"),
        Block("    return status"),
        Block("    map_write(PROGRAM_WORD, adr)\n    map_write(0xFFFF, adr)", "program-replaces"),
        Block("    while map_read(adr) != 0xFFFF:\n        sleep(1000)", "blocks-are-apart"),
        Block("    sleep(1000)", "erase-needs-no-status")),
    hints=(
        Hint("Three parts: begin with a clean status; erase and wait; read the result and put the chip back. "
             "Two pairs of blocks stand for the same place.", 0.05),
        Hint("While the chip works, each read gives the status. So the loop looks at the status, not at the "
             "cells. READ_ARRAY is the last command, because behind it there is no status to read.", 0.10),
        Hint("In words: clear the status; command and confirm; as long as it is not ready, sleep; keep the "
             "status; array mode; return what was kept.", 0.20)),
    notice="do_erase_oneblock of Linux does the same, and more: it looks at the error bits, and tries three "
           "times. Between the second line and READ_ARRAY, no program can run from this chip.",
    reference="xiplab.linux.drivers.mtd.cfi_cmdset_0001:do_erase_oneblock",
)

READ = Question(
    id="09.3",
    title="Read while it erases",
    kind="build",
    answer="read_while_erasing",
    lines="9 to 11 lines",
    prelude=COMMANDS,
    masked={DRIVER: ("do_read_onechip", "_suspend_erase", "cfi_intelext_read", "put_chip")},
    cases=(Case("the erase is suspended, and goes on", check_suspended, points=2),
           Case("nothing to suspend", check_nothing, points=1),
           Case("read() of the log goes through your function", check_driver, points=1)),
    hidden=("other places and times",),
    hints=(
        Hint("Five steps: suspend, wait until the chip is ready, array mode, copy, resume. The table has the "
             "commands.", 0.05),
        Hint("To wait is to read the status until SR_READY is set, with a short sleep between. Keep the "
             "status: its bit SR_ERASE_SUSPENDED says whether there is something to resume.", 0.10),
        Hint("The same for somebody who shovels: say(STOP); while not ready(): sleep(10); paused = "
             "has_work(); look(); if paused: say(GO_ON)", 0.20)),
    notice="Linux does this in get_chip and put_chip. It helps whoever calls read(). A program that runs in "
           "place from this chip does not call: it loads, and while the erase goes on it gets the status.",
    reference="xiplab.linux.drivers.mtd.cfi_cmdset_0001:do_read_onechip",
)

HIGHMEM = Question(
    id="09.4",
    title="The ramdisk of 2.6.25",
    kind="debug",
    answer="brd_page",
    lines="change 1 to 3 lines",
    cases=(Case("every page is read and mapped", check_pages, points=1.5),
           Case("an address for good", check_for_good, points=1),
           Case("without direct_access", check_without, points=0.5)),
    hints=(
        Hint("Which of the two answers is wrong, the frame or the address? Look at the picture: what is the "
             "kernel's address of a page?", 0.05),
        Hint("A frame of highmem has no address, and a lent one must be given back. So the frame itself must "
             "be another one. But only a disk with direct_access needs that.", 0.10),
        Hint("The same for rooms: if room is None: room = take_room_with_a_bell() if somebody_will_ring else "
             "take_any_room(); return bell_of(room), room", 0.20)),
    notice="This is Q24. Linux 2.6.25 took pages for ramdisks from highmem, and its direct_access handed out "
           "addresses that they did not have. The fix was as short as yours: with execute-in-place "
           "configured, no highmem. s390 has none, so nobody met the bug where it was written.",
    reference="xiplab.linux.drivers.brd:brd_direct_access",
)

MODULE = Question(
    id="09.5",
    title="What does a module cost?",
    kind="measure",
    answer="cost_of_loading",
    lines="3 to 5 lines",
    masked={"xiplab.linux.kernel.module": ("insmod", "init_module")},
    cases=(Case("bytes copied, frames taken", check_cost, points=2),),
    hidden=("other files",),
    hints=(
        Hint("Record, do, count: the steps of the notebook. Here recording is to look at a counter.", 0.05),
        Hint("Both counters have moved before you come. So look at each twice, before and after, and "
             "subtract.", 0.10),
        Hint("The same for a taxi: before = meter(); drive(); return meter() - before", 0.20)),
    notice="Each byte of the file was copied twice, and the part that runs a third time, although the file "
           "lies in place. What stays is a frame of the kernel's own, because patched code cannot be shared.",
)

QUESTIONS = (CHIP, ERASE, READ, HIGHMEM, MODULE)
