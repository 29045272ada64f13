# ---
# jupyter:
#   xiplab:
#     minutes: 45
# ---

# %% [markdown] intro role="read-only"
# # Exercise 08: execute
#
# **The question of this exercise: many guests execute one program from one segment. What do they share, and
# what does each of them pay?**
#
# You will *predict* which frames two guests share, *build* a few instructions that both execute, *mend* a
# function that clears too much, and *measure* the bill. You need notebook
# [08](../notebooks/08_execute.ipynb). It takes about 45 minutes.
#
# Write each answer in the cell that begins with `# Your turn`, run it, then run the cell with the check.
# `xiplab.hint("08.1")` offers help.

# %% setup role="read-only"
import xiplab
from xiplab import PAGE_SIZE
from xiplab.course.experiments.order import Order
from xiplab.course.questions.ex08_code import Yours
from xiplab.course.questions.ex08_measure import told_of
from xiplab.course.questions.ex08_padzero import Padded
from xiplab.course.trial import after, driven
from xiplab.widgets.execute import ExecuteView
from xiplab.widgets.mapping import MapInPlaceView
from xiplab.widgets.order import OrderView

# %% [markdown] task-08-1 role="read-only"
# ## 08.1 Which areas do two guests share? (predict, 2 points)
#
# Two guests run the same program. Read the situation. For which of these areas do both page tables have a
# page on the *same* frame?
#
# | name | the area |
# |---|---|
# | `"text"` | instructions |
# | `"rodata"` | constants |
# | `"data"` | variables that begin with a value; the value stands in the file |
# | `"bss"` | variables that begin as zero |
# | `"stack"` | arguments and local variables |

# %% situation-08-1 role="read-only"
xiplab.show("08.1", 0)

# %% [markdown] turn-08-1 role="read-only"
# **Your turn.** Return the set of these names; the empty set is `set()`. For a fresh situation run
# `xiplab.show("08.1", 1)`, or any other number, and put the number into the answer.

# %% q08-1 role="answer"
# Your turn: 08.1
SITUATION = 0


def shared_areas():
    ### BEGIN SOLUTION
    return {"text", "rodata"}
    ### END SOLUTION

# %% q08-1-check role="tests" points=2
xiplab.check("08.1")

# %% [markdown] instructions role="read-only"
# ## Nine instructions
#
# A processor of s390x has sixteen registers, `%r0` to `%r15`, of eight bytes each. In memory, `0(%r4,%r2)` is
# the place at the address r4 + r2 + 0.
#
# | instruction | what it does |
# |---|---|
# | `lghi %r4,0` | r4 = 0 |
# | `lgr %r2,%r4` | r2 = r4 |
# | `lg %r4,0(%r2)` | r4 = the eight bytes at the address in r2 |
# | `llgc %r5,0(%r4,%r2)` | r5 = the one byte at r4 + r2 |
# | `ag %r4,0(%r2)` | r4 = r4 + the eight bytes at the address in r2 |
# | `aghi %r4,1` and `la %r2,8(%r2)` | r4 = r4 + 1, r2 = r2 + 8 |
# | `cghi %r5,0`, then `je end` | compare r5 with 0; jump to `end` if they are equal |
# | `j next` | jump to the line that begins with `next:` |
# | `brctg %r3,next` | r3 = r3 - 1; jump to `next` if r3 is not 0 |

# %% [markdown] task-08-2 role="read-only"
# ## 08.2 Add some numbers (Parsons, 2 points)
#
# Why write instructions by hand? Because then nothing is between you and the segment: these bytes, in this
# frame, are what both guests execute.
#
# The numbers have eight bytes each. The address of the first one is in r2, and how many there are in r3: one
# at least. In the end the sum must be in r2. Behind your last line both guests call exit().

# %% blocks-08-2 role="read-only"
OrderView(Order("08.2"))

# %% [markdown] turn-08-2 role="read-only"
# **Your turn.** Some blocks do not belong. Return the letters of the others in their order, such as `"CADB"`.

# %% q08-2 role="answer"
# Your turn: 08.2
def order_of_sum():
    ### BEGIN SOLUTION
    return "CAHDBE"
    ### END SOLUTION

# %% q08-2-check role="tests" points=2
xiplab.check("08.2")

# %% [markdown] task-08-3 role="read-only"
# ## 08.3 How long is a text? (build, 3 points)
#
# A text lies in the segment, and behind its last byte a zero. Its address is in r2. Write instructions that
# leave in r2 how many bytes stand before the zero. Return them as one text, a line for each instruction. A
# label such as `next:` stands at the beginning of its line.
#
# The instructions and the text lie in one frame of the segment, the same for all guests. So there is no place
# where you could store anything: use registers.

# %% q08-3 role="answer"
# Your turn: 08.3
def length_of_text():
    ### BEGIN SOLUTION
    return """
        lghi  %r4,0
next:   llgc  %r5,0(%r4,%r2)
        cghi  %r5,0
        je    end
        aghi  %r4,1
        j     next
end:    lgr   %r2,%r4
"""
    ### END SOLUTION

# %% [markdown] picture-08-3 role="read-only"
# Here your instructions lie in the segment, behind them the text “Hello”, and both guests have run them for a
# while. Execute the next ones. Whose frame holds them? What does exit() get?

# %% driven-08-3 role="read-only"
yours = driven(Yours(), use=length_of_text)
ExecuteView(after(yours, ("execute", "LINUX1", 9), ("execute", "LINUX2", 6)))

# %% q08-3-check role="tests" points=3
xiplab.check("08.3")

# %% [markdown] task-08-4 role="read-only"
# ## 08.4 Zeros for one, zeros for all (debug, 3 points)
#
# bss begins where data ends, in the middle of a page as a rule. The rest of that page comes from the file: it
# holds whatever follows there. So exec has to clear it, from the first byte of bss to the end of the page.
#
# This function does so, and programs work. But after the first start of a program, all guests find zeros
# where the file had bytes: its writable page was cleared *in the segment*. It gets the address at which bss
# begins, and
#
# - `follow_pfn(mm, address)`: the frame that the task has at an address;
# - `clear_frame(pfn, offset, n)`: writes n zeros into a frame, from byte `offset` on;
# - `clear_user(mm, address, n)`: stores n zeros at an address of the task, as the task itself would.
#
# **Your turn.** Mend the function, and delete the line that raises.

# %% q08-4 role="answer"
# Your turn: 08.4
def padzero(mm, bss, follow_pfn, clear_frame, clear_user):
    offset = bss % PAGE_SIZE
    ### BEGIN SOLUTION
    if offset:
        clear_user(mm, bss, PAGE_SIZE - offset)
    ### END SOLUTION
    if offset:
        clear_frame(follow_pfn(mm, bss), offset, PAGE_SIZE - offset)

# %% [markdown] picture-08-4 role="read-only"
# The task `private` has a file mapped as exec maps data: privately. Its bss begins at byte 3 of page 0, so
# your function has left it three letters. Whose frame is in its page table now? What do `writer` and the
# file show?

# %% driven-08-4 role="read-only"
padded = driven(Padded(), use=padzero)
MapInPlaceView(after(padded, ("load", "writer", 0), ("clear", 3)))

# %% q08-4-check role="tests" points=3
xiplab.check("08.4")

# %% [markdown] task-08-5 role="read-only"
# ## 08.5 Take the bill apart (measure, 2 points)
#
# So many guests run the same programs: so many frames are in use. Some frames are paid once, however many
# guests there are. The others each guest pays anew. Write `once_and_each(frames_in_use)`. It finds out both
# numbers.
#
# `frames_in_use(guests)` boots 1 to 4 guests, lets them run the programs, and counts.

# %% q08-5 role="answer"
# Your turn: 08.5
def once_and_each(frames_in_use):
    ### BEGIN SOLUTION
    each = frames_in_use(2) - frames_in_use(1)
    return frames_in_use(1) - each, each
    ### END SOLUTION

# %% [markdown] picture-08-5 role="read-only"
# Your numbers, for the programs of notebook 08, in place and through the page cache.

# %% driven-08-5 role="read-only"
print("in place:", told_of(once_and_each, in_place=True))
print("cached:  ", told_of(once_and_each, in_place=False))

# %% q08-5-check role="tests" points=2
xiplab.check("08.5")

# %% [markdown] after role="read-only"
# ## What to take with you
#
# - What is only fetched and loaded is the segment's frame, for all guests. What is stored to is each guest's
#   own.
# - exec stores before the program does. If it stored into frames instead of addresses, it would store for
#   all.
# - The text of a program is paid once. Stacks, variables and page tables are paid by each.
