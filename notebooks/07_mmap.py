# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   language_info:
#     name: python
#   xiplab:
#     minutes: 44
# ---

# %% title [markdown]
# # Mapping in place: whose frame is in the page table?
#
# With execute-in-place the storage itself is mapped into programs. That is simple as long as every page of
# the file has a block, nobody stores, and the file stays as long as it is. And if not?
#
# **You will be able to** say which frame a touch brings into a page table, predict who sees a store, find out
# what a mapping shows after a hole was filled or the file was cut, and step through two races of Linux.
#
# **You need** notebooks [00](00_start.ipynb), [01](01_copies.ipynb) and [06](06_read_write.ipynb).
# **Time:** 44 minutes.

# %% before [markdown]
# ## Three questions from before (2 minutes)
#
# <details><summary>A read in place comes to a hole. What does the program get?</summary>
# Zeros. get_xip_mem answers ENODATA, and the read puts zeros into the buffer. The hole stays a hole.
# </details>
#
# <details><summary>A write in place comes to a hole. What happens first?</summary>
# The file system takes a free block, fills it with zeros, and get_xip_mem gives its frame.
# </details>
#
# <details><summary>Two guests map one page of a segment in place. How many frames, how many copies?</summary>
# One frame, the segment's. No copy.
# </details>

# %% words [markdown]
# ## Seven words (2 minutes)
#
# | word | meaning here |
# |---|---|
# | **task** | a running program with a page table of its own |
# | **entry** | a line of a page table: the frame of one page, and whether a store is allowed |
# | **fault** | what the machine does when there is no entry, or a store is not allowed: it asks Linux |
# | **shared mapping** | stores through it are stores into the file |
# | **private mapping** | stores through it stay in the task |
# | **sparse page** | one frame full of zeros, which stands for all holes of all files in place |
# | **signal** | how Linux ends a task that it cannot help: SIGBUS, no such page; SIGSEGV, not allowed |

# %% machine [markdown]
# ## The machine (3 minutes)
#
# Three tasks of LINUX1 have mapped the file `/xip/story`, four pages each. The file has three. Page 0 begins
# with “apple”, page 2 with “cream”; page 1 is a hole.
#
# ```
#   writer                    reader                     private
#   shared, open for          shared, open for           private
#   writing                   reading
#      │                         │                          │
#      └────────────┬────────────┴───────────┬──────────────┘
#             page 0, page 2            the hole?       a store of private?
#                   ▼                        ▼                  ▼
#          frames of segment DATA      sparse page       a frame of its own
# ```
#
# The next picture shows the three page tables on the left and the frames on the right. Click a page of a
# task: the task loads from it. Point at a frame: everything that names it lights up.

# %% build
import numpy as np

from xiplab.course.experiments.mapping import PAGES, MapInPlace, touch_through_page_cache
from xiplab.course.predict import predict, reveal
from xiplab.host import faults
from xiplab.units import PAGE_SIZE
from xiplab.widgets.mapping import MapInPlaceView

experiment = MapInPlace()
MapInPlaceView(experiment)

# %% touch [markdown]
# ## The first touch (3 minutes)
#
# To map a file puts nothing into the page table. The first touch of a page finds no entry: a fault. Linux
# asks the file for the page. For a file in place this is `xip_file_fault`, and it asks `get_xip_mem`, as a
# read does.

# %% touch-run
experiment.reset()
for task in ("writer", "reader", "private"):
    experiment.load(task, 0)
print(experiment)
print(*experiment.path, sep="\n")

# %% touch-check
frames = [experiment.texts[task].frame(0) for task in ("writer", "reader", "private")]
segment = experiment.vm.segments["DATA"].mem
assert all(np.shares_memory(frame, segment) for frame in frames), "the storage itself is mapped"
assert len({experiment.entries(task)[0].pfn for task in ("writer", "reader", "private")}) == 1, "one frame"
assert experiment.copied == 0, "and nothing was copied"

# %% touch-end [markdown]
# Page 3 can be mapped, but the file does not have it. Only a touch finds out.

# %% touch-end-run
experiment.load("writer", 3)
print(experiment.sentence())

# %% hole [markdown]
# ## The hole (6 minutes)
#
# Behind page 1 there is no block, so there is no frame of storage either. For `reader`, Linux has one frame
# of zeros ready: the *sparse page*. It is an ordinary frame of LINUX1, and the only one that
# execute-in-place ever needs.

# %% hole-run
experiment.load("reader", 1)
experiment.load("private", 1)
print(experiment)
assert experiment.guest.frames["sparse page"] == 1, "one for both, and for all files in place"

# %% hole-predict
# Your turn: put "a", "b" or "c" in place of "skip", and run the cell.
predict("07.hole", "skip")

# %% hole-writer
answer = reveal("07.hole")
experiment.reset()
free = experiment.guest.statfs("/xip").f_bfree
experiment.load("writer", 1)
print(experiment.sentence())
print("free blocks before:", free, "  after:", experiment.guest.statfs("/xip").f_bfree)
answer

# %% hole-full [markdown]
# A load that takes a block can fail where no block is left. Then a program that only *looks* at a file dies.

# %% hole-full-run
experiment.reset()
experiment.fill(0)
experiment.load("writer", 1)
print(experiment.sentence())
experiment.load("reader", 1)
print(experiment.sentence())

# %% filled [markdown]
# ### When the hole is filled
#
# The sparse page must not stay where a block has come. Here `reader` has it in its page table when another
# program writes into the hole. The call `mincore` says which pages are there: 1 for each that is.

# %% filled-predict
# Your turn: "a", "b", "c" or "skip".
predict("07.filled", "skip")

# %% filled-run
answer = reveal("07.filled")
experiment.reset()
experiment.load("reader", 1)
print("mincore before the write:", experiment.mincore("reader"))
experiment.write(1, "Hello")
print("mincore after the write: ", experiment.mincore("reader"))
experiment.load("reader", 1)
print(experiment.sentence())
answer

# %% private [markdown]
# ## Shared and private stores (5 minutes)
#
# A store of `writer` goes into the segment. Everybody who has the frame sees it, at once. A store of
# `private` must not leave the task.

# %% private-predict
# Your turn: "a", "b", "c" or "skip".
predict("07.private", "skip")

# %% private-run
answer = reveal("07.private")
experiment.reset()
experiment.store("private", 0, "J")
print(*experiment.path, sep="\n")
experiment.load("reader", 0)
print(experiment)
answer

# %% private-words [markdown]
# Two faults: the first entered the segment's frame, read-only. The store did not pass, and the second fault
# copied the page. Since then `private` has left the file: what `writer` stores, it does not see any more.

# %% private-check
experiment.store("writer", 0, "B")
entries = {task: experiment.entries(task)[0] for task in ("writer", "reader", "private")}
print({task: entry.shows for task, entry in entries.items()})
assert entries["writer"].pfn == entries["reader"].pfn != entries["private"].pfn
assert experiment.entries("private")[2].pfn is None, "only one page was copied"

# %% sync [markdown]
# With a page cache, a store makes a page dirty, and `msync` copies it to the device. In place there is
# nothing to copy: the store was a store into the device. What is left for `msync` is the inode and other
# metadata.

# %% sync-run
print("msync of writer copies", experiment.msync("writer"), "bytes; the second time",
      experiment.msync("writer"))
frame = experiment.frame_of(0)
start = experiment.block_of(frame) * PAGE_SIZE
segment = experiment.vm.segments["DATA"].mem
assert bytes(segment[start:start + 5]) == b"Bpple", "the segment itself holds the store"

# %% cut [markdown]
# ## The file is cut (3 minutes)

# %% cut-predict
# Your turn: "a", "b", "c" or "skip".
predict("07.cut", "skip")

# %% cut-run
answer = reveal("07.cut")
experiment.reset()
experiment.load("reader", 2)
print(experiment.sentence())
experiment.truncate(2)
experiment.load("reader", 2)
print(experiment.sentence())
answer

# %% cut-words [markdown]
# The fault handler compares the page with the size of the file, before it asks anybody. Truncate first
# makes the size smaller, then empties the entries, then frees the blocks. Whoever comes late is turned
# away. Or not?

# %% race [markdown]
# ## Two races (7 minutes)
#
# Linux runs on many processors at once. Between two steps of a fault, another processor can cut the file. In
# the model one thing happens at a time; so we step. **Begin a fault** stops the fault handler after it has
# looked the page up. Do something else. Then **Finish the fault**.

# %% race-predict
# Your turn: "a", "b", "c" or "skip".
predict("07.race", "skip")

# %% race-run
answer = reveal("07.race")
experiment.reset()
experiment.fill(0)
experiment.begin("reader", 2, kernel="3.6")
experiment.truncate(2)
experiment.other("secret")
experiment.finish()
print(experiment.sentence())
answer

# %% race-check
entry = experiment.entries("reader")[2]
assert (entry.owner, entry.shows) == ("lost", "secret"), "a page of somebody else's file, in a page table"
experiment.load("reader", 2)
assert "secret" in experiment.sentence(), "and it stays there: no fault, no check"

# %% race-words [markdown]
# This race was in Linux from 2.6.23 to 3.19, and it ended only with execute-in-place itself: no lock is
# held over both steps. Its successor DAX looks at the size again, under a lock that truncate takes too. Run
# the same steps with its fault handler.

# %% race-dax
experiment.reset()
experiment.fill(0)
experiment.begin("reader", 2, kernel="DAX")
experiment.truncate(2)
experiment.other("secret")
experiment.finish()
print(experiment.sentence())
assert experiment.entries("reader")[2].pfn is None

# %% zeros [markdown]
# The other race is about the sparse page. A fault has found the hole, and pauses. A write fills the hole,
# looks for sparse pages to take out, and finds none. Then the fault enters one. Up to Linux 2.6.26 it
# stayed: zeros over real data, for as long as the task lived.

# %% zeros-run
for kernel in ("2.6.26", "3.6"):
    experiment.reset()
    experiment.begin("reader", 1, kernel=kernel)
    experiment.write(1, "Hello")
    experiment.finish()
    print(f"{kernel:7}", experiment.sentence())

# %% zeros-words [markdown]
# Linux 2.6.27 mended it: before the sparse page goes in, the page is looked up once more.

# %% rules [markdown]
# ## What a task may do, and two surprises (5 minutes)
#
# `mprotect` changes what a task may do with its mapping, within what the file's open mode allows. An entry
# that forbids a store makes the store fault, and the fault handler sends SIGSEGV.

# %% rules-run
experiment.reset()
experiment.load("writer", 0)
for allowed in ("read", "write"):
    experiment.protect("writer", allowed)
    experiment.store("writer", 0, "J")
    print(experiment.sentence())

# %% rules-reader
try:
    experiment.protect("reader", "write")
except OSError as failure:
    print(type(failure).__name__)
assert not experiment.entries("reader")[0].writable

# %% grown [markdown]
# The last page of a file may be in use only in part. A store behind the end, but within that page, is no
# error: the frame is there. It is not in the file either. The surprise comes when the file grows.

# %% grown-run
experiment.reset()
experiment.guest.ftruncate(experiment.fd, 8192 + 100)
experiment.texts["writer"][8192 + 200] = ord("!")
print("read behind the end: ", experiment.guest.pread(experiment.fd, 1, 8192 + 200))
experiment.guest.ftruncate(experiment.fd, 8192 + 300)
print("read after it has grown:", experiment.guest.pread(experiment.fd, 1, 8192 + 200))

# %% broken [markdown]
# And what if the device breaks? A read would answer EIO. A fault cannot answer: it must end in a frame or
# in a signal. In place, Linux takes any failed look-up for a lack of memory, and kills the task.

# %% broken-run
experiment.reset()
experiment.load("reader", 0)
experiment.spoil()
for page in (2, 0):
    experiment.load("reader", page)
    print(experiment.sentence())

# %% broken-words [markdown]
# Page 0 still works: its frame is in the page table, and the device is not asked any more.
#
# Behind a page cache the same failure ends in SIGBUS, which a task can catch. Here LINUX2 has mapped the file
# through its page cache, from a disk: first one that works, then one whose sectors cannot be read.

# %% broken-cached
for broken in (False, True):
    print("LINUX2 touches page 0:", touch_through_page_cache(broken))

# %% yours [markdown]
# ## Your turn: whose frame is it? (4 minutes)
#
# The picture names the owner of each frame. It finds out in three steps. Here they are for `reader`, page 1.

# %% yours-worked
experiment.reset()
experiment.load("reader", 1)
pfn = experiment.texts["reader"].pfn(1)                 # 1. ask the page table
is_sparse = pfn == experiment.sparse_page               # 2. compare with the sparse page,
is_storage = pfn == experiment.frame_of(1)              #    and with the file's own frame
print("sparse page" if is_sparse else "storage" if is_storage else "something else")  # 3. say whose it is

# %% yours-gap
# Your turn: the same for private, page 0, after a store. Which of the two comparisons is missing?
experiment.store("private", 0, "J")
pfn = experiment.texts["private"].pfn(0)                # 1. ask the page table
is_sparse = pfn == experiment.sparse_page               # 2. compare with the sparse page,
is_storage = ...                                        #    and with the file's own frame
print("sparse page" if is_sparse else "storage" if is_storage is True else "something else")  # 3. say whose

# %% yours-own
def owner(task, page):
    """ "nothing", "sparse page", "storage" or "something else"."""
    # Your turn. 1. ask the page table  2. compare  3. say whose it is
    return "not written yet"


print([owner("private", page) for page in range(PAGES)])

# %% yours-solution [markdown]
# <details><summary>One way to write it, and what it gives</summary>
#
# ```python
# def owner(task, page):
#     pfn = experiment.texts[task].pfn(page)                 # 1. ask the page table
#     if pfn is None:
#         return "nothing"
#     if pfn == experiment.sparse_page:                      # 2. compare
#         return "sparse page"                               # 3. say whose it is
#     return "storage" if pfn == experiment.frame_of(page) else "something else"
# ```
#
# It gives: something else, nothing, nothing, nothing. Something else is the private copy.
# The missing comparison was `pfn == experiment.frame_of(0)`, and it is False.
# </details>

# %% real [markdown]
# ## On your own computer (2 minutes)
#
# The same on your computer: a file with a hole, mapped twice. What ends in a signal runs in a process of its
# own, so that this one survives.

# %% real-run
why_not = faults.unavailable()
print(*([f"Only the model runs here: {why_not}"] if why_not else faults.try_all()), sep="\n")

# %% real-words [markdown]
# Model and computer agree in what each mapping shows. They differ in where it comes from: your computer's
# mappings show its page cache, unless the file lies on a device with DAX. Notebook 10 comes back to that.

# %% recall [markdown]
# ## Three questions to keep (2 minutes)
#
# <details><summary>Which frames can a fault in place enter? Name all three.</summary>
# The segment's own frame of the page; the sparse page for a hole that the task can never write; and, after a
# store into a private mapping, a frame of the task's own with a copy.
# </details>
#
# <details><summary>Why does the write into a hole look through all mappings?</summary>
# Some of them may show the sparse page there. It has to go, so that the next touch finds the block.
# </details>
#
# <details><summary>What does the fault handler check only once, and what can happen after it?</summary>
# The size of the file. A truncate after that can free the block, and the freed block comes into the page
# table.
# </details>

# %% contract [markdown]
# ## What the next notebooks rely on

# %% contract-check
machine = MapInPlace()
before = machine.guest.frames["page cache"]
for task in ("writer", "reader", "private"):
    for page in (0, 2):
        machine.load(task, page)
        assert machine.entries(task)[page].pfn == machine.frame_of(page), "the storage's own frame"
assert machine.copied == 0 == machine.guest.frames["page cache"] - before, "no copy, no frame"
machine.store("writer", 2, "J")
assert machine.entries("reader")[2].shows == machine.entries("private")[2].shows == "Jream", "seen at once"
machine.store("private", 2, "K")
assert machine.entries("writer")[2].shows == "Jream", "a private store stays private"

# %% next [markdown]
# **Now do** [exercise 07](../exercises/07_mmap.ipynb). **Before:** [06](06_read_write.ipynb), reading and
# writing in place. **Next:** [08](08_execute.ipynb) runs a program from mapped pages, in many guests.
