# ---
# jupyter:
#   xiplab:
#     minutes: 40
# ---

# %% [markdown] intro role="read-only"
# # Exercise 01: copies
#
# **The question of this exercise: which copies does the page cache make, when do they go again, and what
# happens if the copy is all there is?**
#
# You will *count* copies, *put in order* a read, *mend* a disk that forgets, *build* the function that gives
# frames back, and *measure* how many frames a page has. You need [notebook 01](../notebooks/01_copies.ipynb).
# It takes about 40 minutes.
#
# Write your answer in the cell that begins with `# Your turn`, run it, then run the cell below it. Try as
# often as you like. `xiplab.hint("01.1")` offers help.

# %% setup role="read-only"
import xiplab
from xiplab.course.experiments.order import Order
from xiplab.course.experiments.places import counted
from xiplab.course.experiments.your_cache import YourDisk, YourRamdisk
from xiplab.course.trial import driven
from xiplab.widgets.copies import CopiesView
from xiplab.widgets.order import OrderView

# %% [markdown] task-01-1 role="read-only"
# ## 01.1 What is copied, what is kept? (predict, 2 points)
#
# The disk of notebook 01 has four pages. A program reads it, writes it, and has mapped it. Read the
# situation, and count before you run anything.
#
# - A page is copied when it comes from the disk into the page cache, and when it is written back.
# - A page is *dirty* while the page cache's bytes are newer than the disk's.

# %% situation-01-1 role="read-only"
xiplab.show("01.1", 0)

# %% [markdown] turn-01-1 role="read-only"
# **Your turn.** Return three numbers: how many pages were copied between disk and page cache, how many frames
# the page cache has at the end, and how many of them are dirty. For a fresh situation run
# `xiplab.show("01.1", 1)` in a cell of your own, or any other number, and put the number into the answer.

# %% q01-1 role="answer"
# Your turn: 01.1
SITUATION = 0


def what_is_counted():
    ### BEGIN SOLUTION
    return 2, 2, 1
    ### END SOLUTION

# %% q01-1-check role="tests" points=2
xiplab.check("01.1")

# %% [markdown] task-01-2 role="read-only"
# ## 01.2 A read through the page cache (put in order, 3 points)
#
# A program reads one page. Linux looks into the page cache first. In the end, the program's buffer gets a
# copy. These functions do the parts:
#
# | name | what it does |
# |---|---|
# | `find_page(mapping, index)` | gives the page from the page cache, or None |
# | `add_page(mapping, index)` | takes an empty frame for the page |
# | `read_page(page)` | fills the frame from the disk |
# | `copy_to_user(page)` | copies the page into the program's buffer |
#
# Put the blocks in order. Some do not belong. The picture helps: pick the blocks one after the other. Then
# return their letters.

# %% blocks-01-2 role="read-only"
OrderView(Order("01.2"))

# %% q01-2 role="answer"
# Your turn: 01.2
def order_of_cached_read():
    ### BEGIN SOLUTION
    return "EGFADH"
    ### END SOLUTION

# %% q01-2-check role="tests" points=3
xiplab.check("01.2")

# %% [markdown] task-01-3 role="read-only"
# ## 01.3 A disk that forgets (debug, 3 points)
#
# The old ramdisk of Linux used its page cache as the disk itself. No other place has the bytes. So its pages
# must never be taken away, not even when memory is short.
#
# When Linux wants a frame back, or somebody calls msync, it does this with a dirty page:
#
# 1. it clears the flag: `page.dirty = False`;
# 2. it calls the device's function `writepage(page)`, which shall write the bytes to their place;
# 3. if the page is clean then, the frame may be given to others.
#
# Until 2.6.24-rc3 the ramdisk lost pages in this way. They came back as zeros. The function below ends as it
# did there: it finds nothing to write, and calls the page clean.
#
# **Your turn.** Delete the line that raises `NotImplementedError`, and mend the lines below it.

# %% q01-3 role="answer"
# Your turn: 01.3
def writepage(page):
    ### BEGIN SOLUTION
    page.uptodate = True
    page.dirty = True
    return
    ### END SOLUTION
    page.uptodate = True
    page.dirty = False

# %% [markdown] see-01-3 role="read-only"
# See it at work: the boot image was loaded into the ramdisk, and then memory was short. Are the pages still
# there? Try *msync* as well.

# %% picture-01-3 role="read-only"
ramdisk = driven(YourRamdisk(), use_writepage=writepage)
ramdisk.load()
ramdisk.press()
CopiesView(ramdisk)

# %% q01-3-check role="tests" points=3
xiplab.check("01.3")

# %% [markdown] task-01-4 role="read-only"
# ## 01.4 Memory is short (build, 4 points)
#
# Other programs need frames, so the page cache must give some back. Which ones?
#
# Write `shrink(pages, wanted, writepage, drop)`. It goes through `pages`, the oldest first, and returns how
# many frames it has given back. `drop(page)` gives one back; `writepage(page)` writes a dirty page to its
# device.
#
# - It stops when `wanted` frames are given back.
# - A page that is mapped stays: a page table names its frame. `page.mapcount` says how often.
# - A dirty page (`page.dirty`) is written first. A page that is dirty even then stays.
#
# About 8 to 11 lines.

# %% q01-4 role="answer"
# Your turn: 01.4
def shrink(pages, wanted, writepage, drop):
    ### BEGIN SOLUTION
    freed = 0
    for page in pages:
        if freed == wanted:
            break
        if page.mapcount:
            continue
        if page.dirty:
            writepage(page)
        if page.dirty:
            continue
        drop(page)
        freed += 1
    return freed
    ### END SOLUTION

# %% [markdown] see-01-4 role="read-only"
# See it at work: page 0 was clean, page 1 mapped, page 2 dirty. Then memory was short, and your function was
# asked for four frames. What is left, and what does the disk hold now? *Undo* shows how it was before.

# %% picture-01-4 role="read-only"
disk = driven(YourDisk(), use_shrink=shrink)
disk.read(0)
disk.touch(1)
disk.write(2, "plums")
disk.press()
CopiesView(disk)

# %% q01-4-check role="tests" points=4
xiplab.check("01.4")

# %% [markdown] task-01-5 role="read-only"
# ## 01.5 How many are they? (measure, 3 points)
#
# A page can be seen at many places: in a mapping, in a page cache, in a program's buffer, on a ramdisk, in a
# segment. Some of these places are the same frame under several names, others hold copies.
#
# Write `different_frames(places, shares_memory, same_bytes)`. It returns how many different frames the places
# are. `shares_memory(a, b)` says whether two places are the same memory, `same_bytes(a, b)` whether they hold
# the same bytes now. You need only one of them. The places come in any order. About 4 to 6 lines.

# %% q01-5 role="answer"
# Your turn: 01.5
def different_frames(places, shares_memory, same_bytes):
    ### BEGIN SOLUTION
    different = []
    for place in places:
        if not any(shares_memory(place, other) for other in different):
            different.append(place)
    return len(different)
    ### END SOLUTION

# %% [markdown] see-01-5 role="read-only"
# This is what your function says of five settings. Are the numbers those that notebook 01 has told you?

# %% counted-01-5 role="read-only"
print(counted(different_frames))

# %% q01-5-check role="tests" points=3
xiplab.check("01.5")

# %% [markdown] after role="read-only"
# ## What to take with you
#
# - The first read of a page costs two copies, each further one costs one. A mapping
#   costs none, once the page is there.
# - A copy can be dropped, if it is clean and nobody has mapped it. A dirty page is written first.
# - Where the page cache is the storage, its pages must stay dirty for ever.
# - Equal bytes are not the same memory. In place there is one frame, whatever the number of names.
#
# **Back:** [notebook 01](../notebooks/01_copies.ipynb). **Next:**
# [notebook 02](../notebooks/02_segments.ipynb).
