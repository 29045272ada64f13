# ---
# jupyter:
#   xiplab:
#     minutes: 45
# ---

# %% [markdown] intro role="read-only"
# # Exercise 09: shortcomings
#
# **The question of this exercise: what must storage be like, so that programs can run from it in place?**
#
# You will *predict* what a flash chip answers while it is written, *build* a reader that gets along with an
# erase, *mend* a driver of Linux 2.6.25, and *measure* what a module costs. You need notebook
# [09](../notebooks/09_shortcomings.ipynb). It takes about 45 minutes.
#
# Write each answer in the cell that begins with `# Your turn`, run it, then run the cell with the check.
# `xiplab.hint("09.1")` offers help.

# %% setup role="read-only"
import xiplab
from xiplab.course.experiments.flash import Flash
from xiplab.course.experiments.highmem import Highmem
from xiplab.course.experiments.modules import Loading
from xiplab.course.experiments.order import Order
from xiplab.course.questions.ex09_measure import Meter
from xiplab.course.trial import after, driven
from xiplab.hw.nor import (
    READ_ARRAY,
    READ_STATUS,
    RESUME,
    SR_ERASE_SUSPENDED,
    SR_READY,
    SUSPEND,
)
from xiplab.widgets.flash import FlashView
from xiplab.widgets.highmem import HighmemView
from xiplab.widgets.modules import LoadingView
from xiplab.widgets.order import OrderView

# %% [markdown] machine role="read-only"
# ## The chip
#
# It is that of the notebook: blocks 0 to 7 hold a file system, and a program runs from it; blocks 8 to 15
# hold a log that is written. Its commands are numbers that are stored to the chip:
#
# | command | what the chip does then |
# |---|---|
# | `READ_ARRAY` | loads give the cells |
# | `READ_STATUS` | loads give the status |
# | `CLEAR_STATUS` | errors leave the status |
# | `PROGRAM_WORD`, then two bytes | programs them: ones become zeros |
# | `ERASE_BLOCK`, then `CONFIRM` | erases a block: about half a second |
# | `SUSPEND` | lets an erase pause, some microseconds later |
# | `RESUME` | lets it go on |
#
# Two bits of the status matter here. `SR_READY`: the chip does nothing. `SR_ERASE_SUSPENDED`: an erase
# pauses. A chip that erases takes no command but `READ_STATUS` and `SUSPEND`.

# %% [markdown] task-09-1 role="read-only"
# ## 09.1 What does the chip answer? (predict, 2 points)
#
# Read the situation. Then say three things:
#
# - the byte of the log, as the chip stores it: a number such as `0x5a`;
# - what the program sees of itself: `"code"` or `"status"`;
# - how the erase is: `"done"`, `"under way"` or `"waiting"`.

# %% situation-09-1 role="read-only"
xiplab.show("09.1", 0)

# %% [markdown] turn-09-1 role="read-only"
# **Your turn.** Return the three in this order. For a fresh situation run `xiplab.show("09.1", 1)`, or any
# other number, and put the number into the answer.

# %% q09-1 role="answer"
# Your turn: 09.1
SITUATION = 0


def what_there_is_to_see():
    ### BEGIN SOLUTION
    return 0x00, "status", "under way"
    ### END SOLUTION

# %% q09-1-check role="tests" points=2
xiplab.check("09.1")

# %% [markdown] task-09-2 role="read-only"
# ## 09.2 Erase a block (Parsons, 2 points)
#
# Why does writing to flash need a driver at all? Because every write is a conversation with the chip. Whoever
# leaves out a sentence leaves the chip in a state in which nobody can run from it.
#
# Put `erase_block` together. `adr` is the address of the block. `map_write(command, adr)` gives the chip a
# command, `map_read(adr)` reads what it answers there, and `sleep(us)` lets so many microseconds pass. In the
# end loads must give the cells again, and the function returns the status of this erase.

# %% blocks-09-2 role="read-only"
OrderView(Order("09.2"))

# %% [markdown] turn-09-2 role="read-only"
# **Your turn.** Some blocks do not belong. Return the letters of the others in their order, such as `"CADB"`.

# %% q09-2 role="answer"
# Your turn: 09.2
def order_of_erase_block():
    ### BEGIN SOLUTION
    return "CADIFHJ"
    ### END SOLUTION

# %% q09-2-check role="tests" points=2
xiplab.check("09.2")

# %% [markdown] task-09-3 role="read-only"
# ## 09.3 Read while it erases (build, 4 points)
#
# An erase takes half a second. Must everybody who calls read() wait so long? No: a driver can let the erase
# pause. Write `read_while_erasing`. It returns `n` bytes from address `adr` on, at once, and always the
# cells.
#
# 1. Let the erase pause, if there is one, and wait until the chip is ready.
# 2. Let loads give the cells, and copy: `map_copy_from(adr, n)` gives `n` bytes as the chip answers them.
# 3. If an erase pauses, let it go on, and give `READ_STATUS` for whoever waits for its end. If none does, let
#    the chip go on to give its cells.
#
# `map_write`, `map_read` and `sleep` are those of 09.2. Sleep 10 microseconds at a time.

# %% q09-3 role="answer"
# Your turn: 09.3
def read_while_erasing(adr, n, map_write, map_read, map_copy_from, sleep):
    ### BEGIN SOLUTION
    map_write(SUSPEND, adr)
    map_write(READ_STATUS, adr)
    while not map_read(adr) & SR_READY:
        sleep(10)
    suspended = map_read(adr) & SR_ERASE_SUSPENDED
    map_write(READ_ARRAY, adr)
    data = map_copy_from(adr, n)
    if suspended:
        map_write(RESUME, adr)
        map_write(READ_STATUS, adr)
    return data
    ### END SOLUTION

# %% [markdown] picture-09-3 role="read-only"
# Here the driver reads its log through your function. A byte was programmed, and block 9 is being erased. Are
# the commands those that you expect? Let time pass: does the erase come to its end?

# %% driven-09-3 role="read-only"
flash = driven(Flash(), plug=read_while_erasing)
FlashView(after(flash, ("program", 0x10, 0x4A), ("erase", 9), ("read", 0x10)))

# %% q09-3-check role="tests" points=4
xiplab.check("09.3")

# %% [markdown] task-09-4 role="read-only"
# ## 09.4 The ramdisk of 2.6.25 (debug, 3 points)
#
# A new driver for ramdisks came with Linux 2.6.25, and it could be mounted with `xip`. On machines with much
# memory, read() gave wrong bytes, without any error (Q24). Here is the part that takes a page for the disk
# and names its address. It returns `(kaddr, pfn)`: the kernel address and the frame.
#
# - `pfn` is the page's frame, or None if nobody has written the page yet.
# - `has_direct_access` says whether the disk can be mounted in place.
# - `alloc_page()` takes a frame of lowmem, `alloc_highpage()` one of highmem while there is one.
# - `kmap(pfn)` lends the frame an address, `page_address(pfn)` gives the one that it has, or 0.
#
# **Your turn.** Mend the function, and delete the line that raises. A disk that cannot be mounted in place
# must go on to use highmem: lowmem is scarce.

# %% q09-4 role="answer"
# Your turn: 09.4
def brd_page(pfn, has_direct_access, alloc_page, alloc_highpage, kmap, page_address):
    ### BEGIN SOLUTION
    if pfn is None:
        pfn = alloc_page() if has_direct_access else alloc_highpage()
    return page_address(pfn), pfn
    ### END SOLUTION
    if pfn is None:
        pfn = alloc_highpage()
    return page_address(pfn), pfn

# %% [markdown] picture-09-4 role="read-only"
# Here a guest has booted with your function behind its ramdisk, and has read a page. Read others; read more
# than eight.

# %% driven-09-4 role="read-only"
ramdisk = driven(Highmem(), plug=brd_page)
HighmemView(after(ramdisk, ("read", 3)))

# %% q09-4-check role="tests" points=3
xiplab.check("09.4")

# %% [markdown] task-09-5 role="read-only"
# ## 09.5 What does a module cost? (measure, 2 points)
#
# The file of a module lies in a segment that is mounted in place. Still it costs copies and memory to load
# it. How much? Write `cost_of_loading`. It loads the module once and returns two numbers: how many bytes
# were copied for it, and how many frames of the guest's own it has taken.
#
# - `insmod()` loads the module.
# - `bytes_copied()` says how many bytes the guest has copied since it was started.
# - `frames_in_use()` says how many frames of its own the guest has given out by now.

# %% q09-5 role="answer"
# Your turn: 09.5
def cost_of_loading(insmod, bytes_copied, frames_in_use):
    ### BEGIN SOLUTION
    before = bytes_copied(), frames_in_use()
    insmod()
    return bytes_copied() - before[0], frames_in_use() - before[1]
    ### END SOLUTION

# %% [markdown] picture-09-5 role="read-only"
# Your two numbers, for a guest that has done other things before. The picture below shows where such bytes
# go.

# %% driven-09-5 role="read-only"
meter = Meter(padding=0, name="LINUX1", cats=2)
print(meter.told(cost_of_loading))
LoadingView(after(Loading(), ("insmod", "LINUX1")))

# %% q09-5-check role="tests" points=2
xiplab.check("09.5")

# %% [markdown] after role="read-only"
# ## What to take with you
#
# - Programs in place reach storage by loads, and nobody is asked. So storage must answer every load with
#   what it holds, at all times.
# - Flash does not, while it is written. A driver can help those who call it, and no others.
# - The kernel needs an address of its own, for good, of every page that it copies from.
# - What must be patched cannot be shared: modules are copied, wherever their files lie.
