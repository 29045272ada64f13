# %% intro [markdown]
# # Exercise 10: what came after
#
# **The question of this exercise: Linux 4.0 threw execute-in-place away and kept its idea. What did it have
# to change, and does sharing pay on your own computer?**
#
# You will *predict* what two kernels do, *put* a page fault *in order* that cannot be raced, *mend* a load
# that takes blocks, *build* a read that asks once for many pages, and *measure* what shared memory costs. You
# need notebook [10](../notebooks/10_after.ipynb). It takes about 45 minutes.
#
# How it works: write your answer in the cell that begins with `# Your turn`, run it, then run the cells
# below it. Try as often as you like. `xiplab.hint("10.1")` offers help.

# %% setup
import errno

import numpy as np

import xiplab
from xiplab import PAGE_SIZE
from xiplab.course.experiments.order import Order
from xiplab.course.experiments.own_computer import SEGMENT_NAME, OwnComputer
from xiplab.course.trial import driven
from xiplab.host import native
from xiplab.widgets.order import OrderView
from xiplab.widgets.own_computer import OwnComputerView

# %% words [markdown]
# ## The words, once more
#
# - **DAX**, *direct access*, took the place of execute-in-place in Linux 4.0.
# - A *race* is two things at once, where the result depends on which one is first.
# - To *truncate* a file is to cut it off. The blocks behind its new end become free.
# - A *run* is pages of a file that lie in a row on the storage, too.
# - A *hole* is a page without a block. A load from it shows a *page of zeros*, which all holes share.

# %% task-10-1 [markdown]
# ## 10.1 Two kernels, one page fault (predict, 2 points)
#
# A page fault has two steps: Linux looks the page up, then it enters the frame into the page table. Here
# something happens between the two.

# %% situation-10-1
print(xiplab.show("10.1", 0))

# %% turn-10-1 [markdown]
# **Your turn.** Return the three answers, for instance `("letter", True, 2)`. To practise, run
# `xiplab.show("10.1", 1)` in a cell of your own, and put the number into the answer.

# %% q10-1
# Your turn: 10.1
SITUATION = 0


def what_happens():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q10-1-check
print(xiplab.check("10.1", __file__))

# %% task-10-2 [markdown]
# ## 10.2 A page fault that looks twice (put in order, 3 points)
#
# Why it matters: in 10.1 a program saw bytes that were not its own. DAX made that impossible with one lock
# and one more look. Another program may cut the file off after **any** line of your function. The check tries
# them all.
#
# - `file.pages()` says how many pages the file has now. `file.get_block(page)` says where a page lies.
# - `file.insert(page, block)` makes the entry in the page table.
# - `file.lock()` and `file.unlock()`: truncate needs the same lock, and waits while you have it. When it gets
#   it, it takes out of the page table what lies behind the new end.
#
# Three of the pieces are wrong and do not belong to it.

# %% blocks-10-2
print(OrderView(Order("10.2")))

# %% turn-10-2 [markdown]
# **Your turn.** Pick the pieces in their order, and return their letters. `xiplab.show("10.2")` shows them as
# text.

# %% q10-2
# Your turn: 10.2
def order():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q10-2-check
print(xiplab.check("10.2", __file__))

# %% task-10-3 [markdown]
# ## 10.3 A load that took blocks (mend, 4 points)
#
# Why it matters: a program maps a large sparse file, for loads and stores, and only looks at it. With
# execute-in-place the disk was full afterwards. This is the rule that chose the frame.
#
# - `write`: the access is a store. `may_write`: the mapping allows stores. `shared`: they shall reach the
#   file.
# - `get_xip_mem(pgoff, create)` returns the page's frame. For a hole it raises `ENODATA`, or with `create`
#   gives it a block.
# - `zeros` is the frame of the page of zeros. A store into a private mapping gets a copy of it, without you.
#
# **Your turn.** Mend the function, and delete the line that raises `NotImplementedError`. A load must never
# take a block. A store that shall reach the file needs one.

# %% q10-3
# Your turn: 10.3
def frame_for_fault(pgoff, write, shared, may_write, get_xip_mem, zeros):
    # YOUR CODE HERE
    raise NotImplementedError()
    try:
        return get_xip_mem(pgoff, False)
    except OSError as failure:
        if failure.errno != errno.ENODATA:
            raise
    if shared and may_write:
        return get_xip_mem(pgoff, True)
    return zeros

# %% q10-3-check
print(xiplab.check("10.3", __file__))

# %% task-10-4 [markdown]
# ## 10.4 One question for each run (extend, 4 points)
#
# Why it matters: `get_xip_mem` was asked for each page. A large file has many thousands of them, and often
# lies in one run. In 4.0, `direct_access` got a length.
#
# | what you have | what it does |
# |---|---|
# | `file.get_block(page)` | `(block, n)`: from this page on, n pages lie in a row, from this block on |
# | | if block is 0: n pages are a hole |
# | `file.direct_access(sector, nbytes)` | `(address, usable)` of a sector; a block has 8 sectors |
# | `file.span(address, n)` | n bytes of memory, to be copied |
# | `buf.copy_to_user(span)`, `buf.clear_user(n)` | as in exercise 06 |
#
# Write `dax_read(file, buf, count, pos)`. It copies the bytes from `start` to `end` and returns how many that
# were. It asks `direct_access` **once for each run**, and the check counts. About 10 to 12 lines.

# %% q10-4
# Your turn: 10.4
def dax_read(file, buf, count, pos):
    start, end = pos, min(pos + count, file.i_size)
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q10-4-check
print(xiplab.check("10.4", __file__))

# %% task-10-5 [markdown]
# ## 10.5 What does sharing cost? (measure, 3 points)
#
# Why it matters: now no model takes part. Linux writes a text about each process, `/proc/PID/smaps`. Each
# mapping has a first line, and below it counters in KiB:
#
# ```
# 7f12a000-7f12b000 rw-s 00000000 00:01 1042      /memfd:xiplab-storage (deleted)
# Size:                 48 kB
# Rss:                  48 kB
# Pss:                  16 kB
# Pss_Dirty:            16 kB
# ...
# ```
#
# `Rss` is what stands in the page table. `Pss` divides each frame among those who have it.
#
# Write `memory_of(smaps, name)`. It returns the pair `(Rss, Pss)`: the sums over all mappings with `name` in
# their first line. About 8 to 10 lines.

# %% q10-5
# Your turn: 10.5
def memory_of(smaps, name):
    # YOUR CODE HERE
    raise NotImplementedError()

# %% seen-10-5 [markdown]
# **See it.** These are real processes of your computer. Your function reads what Linux says of each, and the
# picture shows the two numbers. A copy is no part of the segment, so your function finds nothing there. Press
# *Attach* for one more process in place: whose Pss changes?

# %% picture-10-5
experiment = driven(OwnComputer(), count_with=memory_of)
print(OwnComputerView(experiment))

# %% q10-5-check
print(xiplab.check("10.5", __file__))

# %% after [markdown]
# ## What to take with you
#
# - A check counts only while nobody can change what was checked.
# - A page fault knows whether the access is a load or a store. The old rule did not ask.
# - Ask for as much as lies in a row, and copy it at once.
# - Shared memory is the same frames under several names. Where your computer allows it, NumPy says so of the
#   storage itself:

# %% one-memory
way = native.gather if native.unavailable() else native.map_file
array = way(experiment.filp)
segment = experiment.guest.vm.segments["SHLIB"].mem
first = experiment.guest.mmap(experiment.fd).frame(0)
print(bytes(array[:5]), SEGMENT_NAME, np.shares_memory(first, segment))
