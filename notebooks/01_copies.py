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
# # Why does the page cache hold copies, and what do they cost?
#
# In notebook 00, LINUX3's page cache had an old copy, and nobody noticed. So why does Linux make copies
# at all? When do they come, when do they go, and who pays? And how did the old ramdisk of Linux do without
# one of them?
#
# **You will be able to** count the copies of a read, a write and a mapping, tell a dirty page from a stale
# one, explain the ramdisk's trick, and compute what page caches cost many guests.
#
# **You need** notebook [00](00_start.ipynb). **Time:** 44 minutes.

# %% before [markdown]
# ## Three questions from before (2 minutes)
#
# Answer each one aloud, then open it.
#
# <details><summary>A program has mapped a file. What stands in its page table, bytes or numbers?</summary>
# Numbers of frames. The bytes lie in the frames. So two page tables that name one frame show the same bytes.
# </details>
#
# <details><summary>LINUX3 read a file through its page cache. Then its disk changed. What does the next
# read give?</summary>
# The old bytes. They are in the page cache, so the disk is not asked.
# </details>
#
# <details><summary>Which question can a segment answer, and a disk cannot?</summary>
# <code>direct_access</code>: in which frame does this block lie? A disk's blocks lie in no frame.
# </details>

# %% words [markdown]
# ## Five words (2 minutes)
#
# | word | meaning here |
# |---|---|
# | **device** | whatever Linux uses as a disk. It takes and gives *blocks*; ours have 4,096 bytes |
# | **buffer** | a program's own memory, into which `read` puts bytes and from which `write` takes them |
# | **dirty** | a page of the page cache that is newer than the device |
# | **writeback** | the copy of a dirty page to the device (`msync`, `fsync`). After it the page is *clean* |
# | **ramdisk** | a device whose blocks lie in the computer's own memory |

# %% machine [markdown]
# ## The machine (2 minutes)
#
# ```
#   program    buffer               page table
#                ⇡ read, ⇣ write        │ names a frame
#   page cache  [frame]  [frame]  ◄─────┘
#                ⇡ read in, ⇣ writeback
#   device      block 0  block 1  block 2  block 3
# ```
#
# A device can be used as one long file, without a file system: `/dev/sda` begins with the first byte of the
# disk sda. So this notebook needs no files. Our device has four pages. Page 0 begins with “apple”, page 1
# with “bread”, page 2 with “cream”, page 3 with “dates”.
#
# Dashed arrows are copies. The line is none: a page table only names a frame.

# %% build
import numpy as np

from xiplab import Recording
from xiplab.course.experiments.copies import Disk, NewRamdisk, OldRamdisk
from xiplab.course.experiments.cost import by_guests, by_size, frames_of_a_page, measure
from xiplab.course.predict import predict, reveal
from xiplab.host import pagecache
from xiplab.linux.include.blkdev import BLKFLSBUF
from xiplab.units import KiB
from xiplab.widgets.copies import CopiesView
from xiplab.widgets.plot import Line, Panel, Plot

experiment = Disk()
print(experiment)

# %% read [markdown]
# ## Reading: how many copies? (6 minutes)
#
# A disk is slow, and memory is fast. So Linux keeps what it has read. The next program that wants the page
# gets it from the page cache.

# %% read-predict
# Your turn: put "a", "b", "c" or "d" in place of "skip", and run the cell.
predict("01.twice", "skip")

# %% read-try [markdown]
# Try it here. Choose a page by its row, then press **Read**. The buttons do what their names say, and every
# one is a call that you can write as well. *What the last action did* lists each copy and each frame.

# %% read-picture
CopiesView(experiment)

# %% read-run
answer = reveal("01.twice")
experiment.reset()
experiment.read(0)
experiment.read(0)
print(experiment.bill)
answer

# %% read-check
assert experiment.bill["disk to memory"] == 4096, "the disk was asked once"
assert experiment.bill["page cache to user"] == 2 * 4096, "but each read copies into the buffer"
assert experiment.frames()["page cache"] == 1, "and one frame keeps the page"

# %% map [markdown]
# ### And a mapping?
#
# A mapping saves the copy into the buffer, and only that one. Linux maps the *page cache's* frame into the
# program. NumPy can tell whether two arrays are the same memory.

# %% map-run
before = experiment.copied
experiment.touch(0)
experiment.touch(1)
print("copied for two pages that were touched:", experiment.copied - before)

# %% map-check
page = experiment.cache_page(0)
assert np.shares_memory(experiment.mapping().frame(0), page.frame), "the mapped frame is the page cache's"
assert not np.shares_memory(page.frame, experiment.storage(0)), "which is a copy of the disk's page"
assert experiment.copied - before == 4096, "page 0 was there already; page 1 had to be read in"

# %% write [markdown]
# ## Writing: who has the new bytes? (6 minutes)
#
# `write` copies from the program's buffer into the page cache, and returns. A store through a mapping does
# not even do that: it changes a byte of the frame.

# %% write-predict
# Your turn: "a", "b", "c" or "skip".
predict("01.dirty", "skip")

# %% write-run
answer = reveal("01.dirty")
experiment.reset()
experiment.store(1, "B")
experiment.read(1)
print(experiment)
answer

# %% write-words [markdown]
# Look at the picture above: page 1 is *dirty*. In the picture's other direction, a page can be *stale*:
# older than the device. Linux knows of the first and takes care of it. It cannot know of the second.
#
# The next cell does both. Watch the picture while you run it, line by line if you like.

# %% write-both
experiment.change(2, "cakes")
experiment.read(2)
experiment.change(2, "plums")
print(experiment)
experiment.sync()
print(experiment.sentence())

# %% write-check
dirty_then, stale_now = experiment.rows()[1], experiment.rows()[2]
assert (dirty_then.cache_word, dirty_then.device_word) == ("Bread", "Bread"), "writeback: one copy more"
assert not dirty_then.dirty, "the page is clean"
assert (stale_now.cache_word, stale_now.device_word) == ("cakes", "plums"), "stale, and msync does not help"

# %% evict [markdown]
# ### When copies go
#
# Frames are wanted by others, too. When memory is short, Linux takes frames back from the page cache. A
# clean page can go at once: the device has the same bytes. A dirty page is written first. A page that is in
# a page table stays, in our model.
#
# What is read after that comes from the device. So the stale page is cured, by luck.

# %% evict-run
experiment.unmap()
experiment.press()
print(experiment.sentence())
experiment.read(2)
print(experiment.sentence())

# %% evict-check
assert experiment.rows()[2].buffer == "plums", "read from the device again"
assert experiment.frames()["page cache"] == 1, "one page came back"

# %% memory [markdown]
# ## A disk that is memory already (5 minutes)
#
# Some devices are memory: a ramdisk, and z/VM's segments. Their blocks do lie in frames. Linux could use
# them as they are. Does it?

# %% memory-predict
# Your turn: "a", "b", "c" or "skip".
predict("01.memory", "skip")

# %% memory-picture
ramdisk = NewRamdisk()
CopiesView(ramdisk)

# %% memory-run
answer = reveal("01.memory")
ramdisk.reset()
ramdisk.touch(0)
print(ramdisk.path)
answer

# %% memory-check
cached, stored = ramdisk.cache_page(0).frame, ramdisk.storage(0)
assert bytes(cached) == bytes(stored), "the same bytes"
assert not np.shares_memory(cached, stored), "in two frames of one memory"

# %% memory-words [markdown]
# This is what execute-in-place is against. A *block device* is asked for blocks: copy them there, please. It
# is not asked where they lie. For a disk that is right. For memory it is a copy of the original, and both
# stay.

# %% trick [markdown]
# ## The ramdisk's trick (7 minutes)
#
# Up to version 2.6.24 Linux had another ramdisk driver, called *rd*. (The one above is its successor, *brd*.)
# When Linux starts, a boot image lies in memory, the *initrd*: a small disk with the first programs. The old
# driver makes a ramdisk of it, and needs no second copy. How?

# %% trick-predict
# Your turn: "a", "b", "c" or "skip".
predict("01.trick", "skip")

# %% trick-picture
old = OldRamdisk()
CopiesView(old)

# %% trick-run
answer = reveal("01.trick")
old.reset()
old.load()
print(*old.path, sep="\n")
answer

# %% trick-check
assert old.frames() == {"page cache": 4, "initrd": 0}, "the copy is the only instance"
before = old.copied
old.touch(0)
assert old.copied == before, "a mapping costs no copy: the page cache is the storage"

# %% trick-words [markdown]
# So the driver read the data into the page cache, kept a reference to the pages, and discarded the original.
# The page cache *is* the disk. But a page cache is a place from which pages go, when memory is short. What
# keeps these four?

# %% short-predict
# Your turn: "a", "b", "c" or "skip".
predict("01.short", "skip")

# %% short-run
answer = reveal("01.short")
old.unmap()
old.sync()
print(old.sentence())
old.press()
print(old.sentence())
answer

# %% short-check
assert old.frames()["page cache"] == 4
assert all(row.dirty for row in old.rows()), "dirty for ever"

# %% flush-words [markdown]
# One call can end it. `BLKFLSBUF` asks a device to forget what is cached. For the old ramdisk there is
# nothing else: the contents go, and the disk reads as zeros. As long as anybody else has the ramdisk open,
# such as a mounted file system, the driver refuses.
#
# A surprise: the driver counts itself. It holds its own ramdisk open, so that its pages are never let go.

# %% flush-run
other = old.guest.open("/dev/ram0")
try:
    old.guest.ioctl(old.fd, BLKFLSBUF)
except OSError as failure:
    print(failure.strerror)
old.guest.close(other)

old.flush()
old.read(0)
print(old.sentence())
assert old.rows()[0].buffer == "zeros"

# %% cost [markdown]
# ## What do copies cost? (6 minutes)
#
# The trick has a limit. A *file system* on the ramdisk does not use the device's page cache for files: each
# file has a page cache of its own. Here is one page of a file, mapped, in four settings.

# %% cost-table
for place, frames in frames_of_a_page().items():
    print(f"{place}: {frames}")

# %% cost-words [markdown]
# In the last line, the mount option `xip` did what neither ramdisk does alone: it mapped the device's own
# frame. *Execute-in-place goes the other way round: it keeps the storage, and leaves out the page cache.*
#
# Now many guests. They share a segment, and each maps the same file.

# %% cost-predict
# Your turn: "a", "b", "c" or "skip".
predict("01.guests", "skip")

# %% cost-run
answer = reveal("01.guests")
guests, sizes = by_guests(pages=16), by_size(guests=4)
print(*guests[-1], sep="\n")
answer

# %% cost-plot
def lines(costs, x, y, unit=1):
    """One line for the page cache, one for in place."""
    ways = zip(("page cache", "in place"), zip(*costs, strict=True), strict=True)
    return [Line(way, [getattr(cost, x) for cost in all], [getattr(cost, y) / unit for cost in all])
            for way, all in ways]


Plot([Panel("A file of 16 pages", "guests", "frames of the guests", lines(guests, "guests", "frames")),
      Panel("4 guests", "pages of the file", "KiB copied", lines(sizes, "pages", "copied", KiB))],
     "Through the page cache, frames grow with the number of guests and copies with the size of the file; "
     "in place, both stay near zero.")

# %% cost-check
assert all(cached.frames == cached.guests * cached.pages for cached, _ in guests + sizes)
assert all(in_place.frames == 0 for _, in_place in guests + sizes)

# %% cost-rest [markdown]
# *Near* zero? Open the numbers below the plot. From some size on, each guest copies one page even in place.
# It is none of the file's. A file of more than 12 pages needs a block that lists its other blocks. Linux
# reads that list through a cache, always. Notebook 04 opens such a list.

# %% cost-rest-check
in_place = {pages: measure(pages, 1, in_place=True).copied for pages in (1, 12, 13, 64)}
print(in_place)
assert in_place[12] == 0 != in_place[13]

# %% count [markdown]
# ## Your turn: count copies yourself (4 minutes)
#
# Everything above was counted by a `Recording`: it notes each copy while its block runs. Counting has
# three steps. Here they are done for a read.

# %% count-worked
machine = Disk()                                        # 1. make a machine with an empty page cache
with Recording() as recording:                          # 2. record what you want to count
    machine.guest.pread(machine.fd, 100, 0)
print(recording.bytes_by_what)                          # 3. read the bill

# %% count-gap-words [markdown]
# 100 bytes for the program, but a whole page for the page cache. Now a write of 100 bytes, and what is needed
# for the disk to have them. One line is missing: put a call in place of `...`.

# %% count-gap
# Your turn: `machine.guest.fsync(machine.fd)` or `machine.guest.close(machine.fd)`? Only one writes back.
machine = Disk()                                        # 1. make a machine with an empty page cache
with Recording() as recording:                          # 2. record what you want to count
    machine.guest.pwrite(machine.fd, b"x" * 100, 0)
    ...
print(recording.bytes_by_what)                          # 3. read the bill

# %% count-own-words [markdown]
# With the right line, the bill has three entries: the page is read in first, because only 100 bytes of it
# are new. Then write the whole function. It is right if no page costs nothing, and four pages cost four
# copies.

# %% count-own
def copied_by_touching(pages):
    """How many bytes Linux copies when a program touches so many pages of a new Disk's mapping."""
    # Your turn: the three steps. `machine.mapping()[4096 * page]` loads a byte.
    return "not written yet"


print("0 pages:", copied_by_touching(0), "  4 pages:", copied_by_touching(4))

# %% count-solution [markdown]
# <details><summary>One way to write it</summary>
#
# ```python
# def copied_by_touching(pages):
#     machine = Disk()                                    # 1. make a machine with an empty page cache
#     with Recording() as recording:                      # 2. record what you want to count
#         for page in range(pages):
#             machine.mapping()[4096 * page]
#     return recording.bytes_copied                       # 3. read the bill
# ```
#
# The missing line above was `machine.guest.fsync(machine.fd)`. To close a file writes nothing back.
# </details>

# %% real [markdown]
# ## On your own computer (2 minutes)
#
# Your computer has a page cache, too. The next cell makes a file of four pages and maps it. Then it stores a
# byte through the mapping, and reads the file through a descriptor.

# %% real-run
why_not = pagecache.unavailable()
if why_not:
    print("Only the model runs here:", why_not)
else:
    with pagecache.CachedFile() as file:
        file.text[0] = ord("J")
        print("read after the store, without msync:", file.read(1))
        assert file.read(1) == b"J"

# %% real-dirty [markdown]
# Mapping and descriptor meet in one page of the page cache, as in the model. Linux also shows how many pages
# of a mapping are dirty. What the next cell prints depends on your computer: a folder that lies in memory
# (*tmpfs*) does with its pages what the old ramdisk did. They stay dirty for ever.

# %% real-dirty-run tags=["nbval-ignore-output"] xiplab={"why": "shows the file system of this computer"}
if not why_not:
    with pagecache.CachedFile() as file:
        file.text[0] = ord("J")
        stored = file.dirty()
        file.sync()
        print("dirty after the store:", stored, "  after msync:", file.dirty())

# %% real-words [markdown]
# Model and computer agree in who sees what. They differ in when: a real Linux also writes back by itself,
# after some seconds, and reads some pages ahead before anybody asks for them. Our model waits until it is
# told.

# %% recall [markdown]
# ## Three questions to keep (2 minutes)
#
# <details><summary>A page is dirty. Another page is stale. Which of the two does Linux know of?</summary>
# The dirty one: it was changed through the page cache, and Linux has made a note. A stale page was changed on
# the device, behind its back.
# </details>
#
# <details><summary>Why did the old ramdisk keep its pages dirty?</summary>
# They were the only instance. A clean page may be dropped when memory is short; a dirty one must be written
# first, and its writepage made it dirty again.
# </details>
#
# <details><summary>A file system on a ramdisk: why two frames for each page?</summary>
# One is the ramdisk's storage. The other is in the file's page cache, filled by copying a block. With the
# mount option xip (and a device that has direct_access) the second one is left out.
# </details>

# %% contract [markdown]
# ## What the next notebooks rely on

# %% contract-check
for machine in (Disk(), NewRamdisk()):
    machine.read(0)
    machine.touch(0)
    assert machine.frames()["page cache"] == 1, "one page cache page for read and mapping"
    assert np.shares_memory(machine.mapping().frame(0), machine.cache_page(0).frame)
    assert not np.shares_memory(machine.cache_page(0).frame, machine.storage(0)), "and it is a copy"

through_cache, directly = (measure(4, 2, in_place=way) for way in (False, True))
assert (through_cache.frames, through_cache.copied) == (8, 8 * 4096), "pages × guests"
assert (directly.frames, directly.copied) == (0, 0), "in place: neither frames nor copies"

# %% next [markdown]
# **Now do** [exercise 01](../exercises/01_copies.ipynb). **Before:** [00](00_start.ipynb), who sees a changed
# byte. **Next:** notebook [02](02_segments.ipynb) asks what a segment is, and who may share or write it.
