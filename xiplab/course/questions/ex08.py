"""Exercise 08, execute: what programs in place share, a few instructions of one, and what it all costs."""

from __future__ import annotations

from xiplab.course.problem import Block, Case, Hint, Question
from xiplab.course.questions.ex08_code import check_empty, check_length, check_sum
from xiplab.course.questions.ex08_measure import check_bill
from xiplab.course.questions.ex08_padzero import check_cleared, check_others
from xiplab.course.questions.ex08_predict import check_prediction, situation_lines
from xiplab.linux.include.mm import MmStruct

AREAS = Question(
    id="08.1",
    title="Which areas do two guests share?",
    kind="predict",
    answer="shared_areas",
    lines="1 line",
    cases=(Case("the areas on the same frames", check_prediction, points=2),),
    situation=situation_lines,
    hints=(
        Hint("Ask of each area: is a page of it in the page table already? And has anybody stored into it, "
             "the program or Linux?", 0.05),
        Hint("Before the first instruction, only pages are there into which Linux has stored. Later, what is "
             "only fetched or loaded is the segment's frame; what was stored to is a copy; bss and stack are "
             "never in the file. A page cache is each guest's own.", 0.10),
        Hint("Situation 0. text and rodata were fetched and loaded: one frame for both. data was stored to: "
             "a copy in each guest. bss and stack: memory of each guest. Now the same with another "
             "situation.", 0.20)),
    notice="The same page of data can be shared and not: it is the segment's frame until the first store. "
           "That is what a private mapping in place means.",
)

SUM = Question(
    id="08.2",
    title="Add some numbers",
    kind="parsons",
    answer="order_of_sum",
    lines="1 line",
    cases=(Case("the sum, in both guests", check_sum, points=2),),
    hidden=("other numbers",),
    blocks=(
        Block('def sum_of_numbers():\n    return """'),
        Block("        lghi  %r4,0"),
        Block("next:   ag    %r4,0(%r2)"),
        Block("        la    %r2,8(%r2)"),
        Block("        brctg %r3,next"),
        Block('        lgr   %r2,%r4\n"""'),
        Block("next:   lg    %r4,0(%r2)", "load-adds"),
        Block("        lghi  %r2,8", "address-moves-by-itself")),
    hints=(
        Hint("A loop: before it the sum is zero; in it a number is added, the address goes on, the count "
             "goes down; behind it the sum goes to r2.", 0.05),
        Hint("ag adds a number from memory to a register, lg replaces the register. la can add a constant to "
             "an address.", 0.10),
        Hint("In words: sum = 0; next: sum += number at r2; r2 += 8; r3 -= 1, back to next if it is not 0; "
             "r2 = sum.", 0.20)),
    notice="brctg counts down and jumps, in one instruction. It holds the distance to its target, not the "
           "address: that is why text can be shared by programs that have it at different addresses.",
    reference="xiplab.hw.asm:assemble",
)

LENGTH = Question(
    id="08.3",
    title="How long is a text?",
    kind="build",
    answer="length_of_text",
    lines="6 to 8 lines",
    cases=(Case("texts, in both guests", check_length, points=2),
           Case("no byte at all, and bytes of all values", check_empty, points=1)),
    hidden=("other texts",),
    hints=(
        Hint("A loop with a count in a register: load a byte, leave the loop if it is zero, add 1 to the "
             "count, go on.", 0.05),
        Hint("llgc %r5,0(%r4,%r2) loads the byte at r2 + r4. cghi compares with a number, je jumps if it was "
             "equal, j always. In the end the count goes to r2: lgr.", 0.10),
        Hint("The same for the sum of bytes up to a 255: lghi %r4,0 / next: llgc %r5,0(%r2) / cghi %r5,255 / "
             "je end / agr %r4,%r5 / la %r2,1(%r2) / j next / end: lgr %r2,%r4", 0.20)),
    notice="Two guests have just executed your instructions from one frame, and none of them has a copy. "
           "They were written once, into the segment.",
    reference="xiplab.hw.asm:assemble",
)

PADZERO = Question(
    id="08.4",
    title="Zeros for one, zeros for all",
    kind="debug",
    answer="padzero",
    lines="change 2 lines",
    prelude="PAGE_SIZE = 4096",
    masked={"xiplab.linux.fs.binfmt_elf": ("padzero", "set_brk")},
    shows={MmStruct: ""},
    cases=(Case("what the task sees", check_cleared, points=1.5),
           Case("what the others see", check_others, points=1.5)),
    hints=(
        Hint("What does the page table name before the first store: a copy, or the segment's own frame? Who "
             "else has that frame?", 0.05),
        Hint("A store at an address of the task goes through its page table: the page is read-only, a fault "
             "copies it, and the store goes to the copy. A store into the frame itself asks nobody.", 0.10),
        Hint("The same for a note on a shared page: instead of write_on(page_of(reader, line), text) say "
             "reader.write(line, text), who takes a copy first.", 0.20)),
    notice="Linux clears with clear_user, at the task's address, and the page is copied by a fault. So a "
           "program with bss has a page of its own before its first instruction, as you saw in notebook 08.",
    reference="xiplab.linux.fs.binfmt_elf:padzero",
)

BILL = Question(
    id="08.5",
    title="Take the bill apart",
    kind="measure",
    answer="once_and_each",
    lines="3 lines",
    cases=(Case("paid once, paid by each", check_bill, points=2),),
    hints=(
        Hint("Two unknown numbers need two bills.", 0.05),
        Hint("A second guest adds what each guest pays, and nothing else. What is left of the bill of one is "
             "paid once.", 0.10),
        Hint("The same for a taxi: each = fare(2) - fare(1); once = fare(1) - each; return once, "
             "each", 0.20)),
    notice="In place, the programs and the segment's part of the file system are paid once. Through the page "
           "cache hardly anything is: each guest has copies of all. What each guest stores to it pays in any "
           "case.",
)

QUESTIONS = (AREAS, SUM, LENGTH, PADZERO, BILL)
