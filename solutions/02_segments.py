# ---
# jupyter:
#   xiplab:
#     minutes: 42
# ---

# %% [markdown] intro role="read-only"
# # Exercise 02: segments
#
# **The question of this exercise: how does Linux keep account of segments that it shares with others, and
# what happens where the account is wrong?**
#
# You will *predict* who sees a store, *put in order* a load that counts its users, *mend* two bugs that Linux
# really had, and *build* the function that goes from shared to exclusive. You need
# [notebook 02](../notebooks/02_segments.ipynb). It takes about 42 minutes.
#
# Write your answer in the cell that begins with `# Your turn`, run it, then run the cell below it. Try as
# often as you like. `xiplab.hint("02.1")` offers help.

# %% setup role="read-only"
import errno

import xiplab
from xiplab.course.experiments.order import Order
from xiplab.course.experiments.your_extmem import YourExtmem, placed
from xiplab.course.trial import driven
from xiplab.widgets.order import OrderView
from xiplab.widgets.segments import SegmentsView

# %% [markdown] task-02-1 role="read-only"
# ## 02.1 Who sees the letter? (predict, 2 points)
#
# A segment has a type of two letters. The first one says who has the pages: **S** shared, **E** exclusive.
# The second one says what a guest may do: **R** read, **W** read and write, **N** read and write but never
# saved,
# **C** read, while CP itself may write. And a guest can load a segment *shared* or *exclusive*.
#
# Read the situation, and decide before you run anything.

# %% situation-02-1 role="read-only"
xiplab.show("02.1", 0)

# %% [markdown] turn-02-1 role="read-only"
# **Your turn.** Return the set of all guests that see a J at the start of their segment in the end, some of
# `"LINUX1"`, `"LINUX2"` and `"LINUX3"`. `set()` is the empty set. For a fresh situation run
# `xiplab.show("02.1", 1)` in a cell of your own, or any other number, and put the number into the answer.

# %% q02-1 role="answer"
# Your turn: 02.1
SITUATION = 0


def who_sees_the_letter():
    ### BEGIN SOLUTION
    return {"LINUX1", "LINUX2", "LINUX3"}
    ### END SOLUTION

# %% q02-1-check role="tests" points=2
xiplab.check("02.1")

# %% [markdown] task-02-2 role="read-only"
# ## 02.2 How many have it? (put in order, 3 points)
#
# In one guest, several parts of Linux may want the same segment. It is loaded once, and Linux counts its
# users. The last one who lets go gives it back to CP.
#
# | name | what it is |
# |---|---|
# | `mode` | 0 for shared, 1 for exclusive |
# | `find(name)` | the segment in Linux' list, or None |
# | `load_new(name, mode)` | asks CP for the segment and lists it; its first user is counted |
# | `seg.ref_count` | how many users are counted |
# | `seg.do_nonshared` | the mode in which it is loaded |
#
# A second user may want the segment in the other mode. Then there is nothing to share: EPERM. Put the blocks
# in order. Some do not belong. The picture helps: pick the blocks one after the other. Then return their
# letters.

# %% blocks-02-2 role="read-only"
OrderView(Order("02.2"))

# %% q02-2 role="answer"
# Your turn: 02.2
def order_of_segment_load():
    ### BEGIN SOLUTION
    return "DKIACEHF"
    ### END SOLUTION

# %% q02-2-check role="tests" points=3
xiplab.check("02.2")

# %% [markdown] task-02-3 role="read-only"
# ## 02.3 After that, nothing works (debug, 3 points)
#
# Linux' list of segments has a *lock*. Only who holds the lock may look at the list or change it. Everybody
# else who calls `lock()` waits until the holder calls `unlock()`.
#
# To save a segment, Linux looks for it in the list and tells CP two commands, DEFSEG and SAVESEG. If CP
# refuses the first one (`cp` returns another number than 0), the second one is not given. `segment_save` has
# no result: an unknown name is no error, it only does nothing.
#
# Until 2.6.19 a save of an unknown segment was the last thing that a guest did with segments. Every later
# call waited for ever.
#
# **Your turn.** Delete the line that raises `NotImplementedError`, and mend the lines below it.

# %% q02-3 role="answer"
# Your turn: 02.3
def segment_save(name, lock, unlock, find, commands, cp):
    ### BEGIN SOLUTION
    lock()
    seg = find(name)
    if seg is not None:
        for command in commands(seg):
            if cp(command):
                break
    unlock()
    return
    ### END SOLUTION
    lock()
    seg = find(name)
    if seg is None:
        return
    for command in commands(seg):
        if cp(command):
            break
    unlock()

# %% [markdown] see-02-3 role="read-only"
# See it at work: LINUX1 has asked to save a segment NOSUCH, which it does not have. Then it has saved SHLIB.
# Did a new file appear in CP's catalogue?

# %% picture-02-3 role="read-only"
saved = driven(YourExtmem(), use_segment_save=segment_save)
saved.load("LINUX1", "SHLIB")
saved.save_unknown("LINUX1", "NOSUCH")
saved.save("LINUX1", "SHLIB")
SegmentsView(saved)

# %% q02-3-check role="tests" points=3
xiplab.check("02.3")

# %% [markdown] task-02-4 role="read-only"
# ## 02.4 One page too many (debug, 3 points)
#
# Not every place in a guest's storage can take a segment. Before Linux asks CP, it looks at three things. All
# numbers are page numbers.
#
# | when | errno |
# |---|---|
# | a page of the segment lies behind the `max_pfn` pages that the kernel can address | `errno.ERANGE` |
# | it begins in the guest's own storage, which has the pages 0 to `storage` - 1 | `errno.ENOSPC` |
# | it shares a megabyte (256 pages) with a segment that is loaded | `errno.EBUSY` |
#
# `loaded` is a list of places; each has a `first` and a `last` page, as the segment has. The test for the
# limit is the one that Linux had until 2.6.19. It is wrong by one page.
#
# **Your turn.** Delete the line that raises `NotImplementedError`, and mend the lines below it.

# %% q02-4 role="answer"
# Your turn: 02.4
def check_place(first, last, max_pfn, storage, loaded):
    ### BEGIN SOLUTION
    if last >= max_pfn:
        raise OSError(errno.ERANGE, "the kernel cannot address it")
    if first < storage:
        raise OSError(errno.ENOSPC, "storage lies there")
    for other in loaded:
        if other.first // 256 <= last // 256 and first // 256 <= other.last // 256:
            raise OSError(errno.EBUSY, "a segment lies there")
    return
    ### END SOLUTION
    if last > max_pfn:
        raise OSError(errno.ERANGE, "the kernel cannot address it")
    if first < storage:
        raise OSError(errno.ENOSPC, "storage lies there")
    for other in loaded:
        if other.first // 256 <= last // 256 and first // 256 <= other.last // 256:
            raise OSError(errno.EBUSY, "a segment lies there")

# %% [markdown] see-02-4 role="read-only"
# Five places, as your function sees them. The kernel can address pages 0 to 103FF. Which of the five fit?

# %% placed-02-4 role="read-only"
print(placed(check_place))

# %% q02-4-check role="tests" points=3
xiplab.check("02.4")

# %% [markdown] task-02-5 role="read-only"
# ## 02.5 Shared, exclusive, shared (build, 4 points)
#
# Who wants to change a shared segment needs a copy. `modify_shared` loads a segment anew in the mode that is
# asked for. It gets the segment from Linux' list and three functions.
#
# 1. `seg` is None, because it is not loaded: `OSError` with `errno.EINVAL`.
# 2. It has the mode already (`seg.do_nonshared`): nothing to do.
# 3. It is not used exactly once (`seg.ref_count`): `errno.EAGAIN`, *try again*.
# 4. Else let go of it: `purge(seg)`. Then load it: `load(seg, mode)`. If the load raises an `OSError`, take
# the
#    segment from the list with `destroy(seg)`, and let the error go on to the caller.
# 5. After a load that has succeeded, note the mode in `seg.do_nonshared`.
#
# About 10 to 12 lines.

# %% q02-5 role="answer"
# Your turn: 02.5
def modify_shared(seg, mode, purge, load, destroy):
    ### BEGIN SOLUTION
    if seg is None:
        raise OSError(errno.EINVAL, "it is not loaded")
    if seg.do_nonshared == mode:
        return
    if seg.ref_count != 1:
        raise OSError(errno.EAGAIN, "others use it")
    purge(seg)
    try:
        load(seg, mode)
    except OSError:
        destroy(seg)
        raise
    seg.do_nonshared = mode
    ### END SOLUTION

# %% [markdown] see-02-5 role="read-only"
# See it at work: LINUX1 had loaded SHLIB shared, and your function has loaded it again, as a copy. Look at
# the frames, and at what CP was asked. Then press *Load it again*, with *shared*.

# %% picture-02-5 role="read-only"
changed = driven(YourExtmem(), use_modify_shared=modify_shared)
changed.load("LINUX1", "SHLIB")
changed.load("LINUX2", "SHLIB")
changed.reload("LINUX1", "SHLIB", "exclusive")
SegmentsView(changed)

# %% q02-5-check role="tests" points=4
xiplab.check("02.5")

# %% [markdown] after role="read-only"
# ## What to take with you
#
# - Frames are decided by the first letter and the way to load, rights by the second letter.
# - Linux counts the users of a segment. The last one who lets go ends it.
# - A lock is let go of on every way out, exactly once.
# - Between *let go* and *load* there is nothing. Who changes the mode must know what is left if it fails.
#
# **Back:** [notebook 02](../notebooks/02_segments.ipynb). **Next:**
# [notebook 03](../notebooks/03_dcssblk.ipynb).
