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
#     minutes: 43
# ---

# %% title [markdown]
# # From page to frame: what if there is nothing?
#
# A program wants page 5 of a file. Which frame holds it? And what if none does?
# On a mount with `xip`, one function of ext2 answers both questions: `get_xip_mem`.
#
# **You will be able to** follow a page of a file to its frame, predict what a hole gives and what it costs,
# write `get_xip_mem` yourself, and say why a file may have only one way to its bytes.
#
# **You need** notebooks 00, 03 and 04. **Time:** 43 minutes.

# %% before [markdown]
# ## Before you start (3 minutes)
#
# Three questions from earlier notebooks. Answer each one aloud, then open it.
#
# <details><summary>Notebook 04: how does an inode with 15 slots find a block of a long file?</summary>
# The first 12 slots name blocks of the file. The last three lead to indirect blocks, which hold nothing but
# block numbers.
# </details>
#
# <details><summary>Notebook 03: what does direct_access answer?</summary>
# The address of a sector in memory, and the number of the frame that it lies in.
# </details>
#
# <details><summary>Notebook 00: why did LINUX3 not see the changed byte?</summary>
# Its page table named a frame of the page cache, and that frame held a copy.
# </details>

# %% words [markdown]
# ## Five words (2 minutes)
#
# | word | meaning here |
# |---|---|
# | **block** | a piece of the device: 4,096 bytes, as long as a page and as a frame |
# | **block map** | the numbers in the inode and in indirect blocks that give each page its block |
# | **hole** | a page of a file without a block: its number in the block map is 0 |
# | **address space operations** | a table of functions: how a file's pages meet its storage |
# | **get_xip_mem** | the function in that table which says where a page lies |
#
# ```
#  page of the file ──block map──▶ block ──× 8──▶ sector ──direct_access──▶ address, frame
#                        └── 0: a hole
# ```
#
# `get_xip_mem` goes this way from left to right. It takes the file, the number of the page, and a third
# argument, `create`: may it give the page a block if there is none?

# %% machine [markdown]
# ## The machine (1 minute)
#
# LINUX1 has mounted the segment SHLIB with the option `xip`, this time to read *and* write.
# The file `/holes` has 20 pages. Only three of them were ever written.

# %% build
import errno
import os

from xiplab import PAGE_SIZE
from xiplab.course.experiments.block_map import BlockMap
from xiplab.course.predict import predict, reveal
from xiplab.errors import NoData
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.include.fs import AddressSpaceOperations
from xiplab.tools.mke2fs import mke2fs
from xiplab.widgets.block_map import BlockMapView

experiment = BlockMap()
print(experiment)

# %% there [markdown]
# ## A page that is there (6 minutes)

# %% there-predict
# Your turn: put "a", "b" or "c" in place of "skip", and run the cell.
predict("05.next", "skip")

# %% there-try [markdown]
# Now look. Click page 5 of the file, then page 15. Pages, slots, blocks and frames that belong together light
# up together when you point at them. Without a mouse: Tab to a panel, then use the arrow keys and Enter.
#
# - **○** marks a hole, **■** a block of our file, **+** what is new.
# - *The way of the last question* shows each step from the page to the frame.

# %% there-picture
BlockMapView(experiment)

# %% there-run
answer = reveal("05.next")
experiment.reset()
experiment.ask(15)
for mile in experiment.way:
    print("   " * mile.level + f"{mile.text}: {mile.result}")
answer

# %% there-words [markdown]
# Page 15 has no slot of its own in the inode. Slot 12 leads to an indirect block, and slot 3 in there has the
# number. Then it is arithmetic: a block is 8 sectors of 512 bytes. The device knows where its sectors lie.
#
# A picture can be wrong. These lines stop with an error if the answer is not the file's own storage.

# %% there-check
kmem, pfn = experiment.mapping.a_ops.get_xip_mem(experiment.mapping, 15, False)
block = experiment.blocks()[15]

assert pfn == experiment.frame_of(block) == kmem // PAGE_SIZE, "the frame of the block"
assert bytes(experiment.segment[block * PAGE_SIZE:][:7]) == b"page 15", "the segment's own bytes"
assert experiment.linux1.pread(experiment.fd, 7, 15 * PAGE_SIZE) == b"page 15", "and a program reads them"

# %% two [markdown]
# Why two answers, an address and a frame? `read` and `write` copy, so they need an address. A page table
# holds frame numbers. Neither can be derived from the other on every computer, so the device gives both.

# %% hole [markdown]
# ## A page that is not there (5 minutes)

# %% hole-predict
# Your turn: "a", "b", "c" or "skip".
predict("05.hole", "skip")

# %% hole-run
answer = reveal("05.hole")
experiment.reset()
free = experiment.free_blocks
experiment.read(3)
print(experiment)
experiment.ask(3)
print(experiment)
answer

# %% hole-words [markdown]
# `get_xip_mem` says: there is nothing. It says so with an error, ENODATA. What to make of it is for the
# caller to decide, and each caller knows best:
#
# - **read** clears the program's buffer;
# - **write** asks once more, with `create=1`;
# - a **page fault** maps one page of zeros for all holes, or asks with `create=1`. Notebook 07 tells when.

# %% hole-check
assert experiment.free_blocks == free, "reading took no block"
assert experiment.blocks()[3] == 0, "page 3 is still a hole"
assert experiment.cached == 0, "and no page cache was needed for the zeros"

# %% create [markdown]
# ## A new block (8 minutes)
#
# With `create` 1 a hole gets a block. But blocks are used again and again: what a deleted file left in them
# is still there. The next cell makes a second machine, and fills all its free blocks with the byte 0xee.

# %% create-predict
# Your turn: "a", "b", "c" or "skip".
predict("05.create", "skip")

# %% create-run
answer = reveal("05.create")
other = BlockMap()
other.segment[30 * PAGE_SIZE:] = 0xEE
other.write(3, "J")
page = other.linux1.pread(other.fd, PAGE_SIZE, 3 * PAGE_SIZE)
print(other)
print(f"{page[:4]}, and {page.count(0):,} zeros")
answer

# %% create-check
new = other.blocks()[3]

assert page == b"J" + bytes(PAGE_SIZE - 1), "no byte 0xee is left"
assert bytes(other.segment[new * PAGE_SIZE:][:PAGE_SIZE]) == page, "cleared in place, in the segment"
assert other.segment[(new + 1) * PAGE_SIZE] == 0xEE, "the next block is as it was"

# %% create-order [markdown]
# The order matters. The block is cleared *before* its number comes into the block map. Otherwise there would
# be a moment in which another program could read what somebody has deleted.
#
# Now far away. The 12 direct slots and the first indirect block reach to page 1,035.

# %% far-predict
# Your turn: "a", "b", "c" or "skip".
predict("05.far", "skip")

# %% far-run
answer = reveal("05.far")
before = other.free_blocks
other.write(1040, "J")
print(f"{before - other.free_blocks} blocks fewer; the file has {other.pages:,} pages")
print(f"slots {other.slots(1040)}, blocks {other.branch(1040)}")
answer

# %% far-check
assert other.slots(1035)[0] == 12, "page 1,035 is behind one indirect block"
assert other.slots(1036)[0] == 13, "page 1,036 is behind two"
assert sum(map(bool, other.blocks())) == 5, "five pages are stored, of more than a thousand"

# %% own [markdown]
# ## Write it yourself (7 minutes)
#
# Here is the whole function, complete. It has three parts, and each has a name.

# %% own-worked
def worked(mapping, pgoff, create):
    inode = mapping.host
    # Find the block
    block, _ = ext2_get_block(inode, pgoff, create)
    # Refuse a hole
    if not block:
        raise NoData(f"page {pgoff} is a hole")
    # Ask the device
    bdev = inode.i_sb.s_bdev
    sector = block * 8
    return bdev.bd_disk.fops.direct_access(bdev, sector)

# %% own-worked-compare
print(experiment.compare(worked))

# %% own-fade [markdown]
# The same with a gap. Find the block, refuse a hole, ask the device: what is missing?

# %% own-faded
# Your turn: put the right sector in place of 0.
def faded(mapping, pgoff, create):
    inode = mapping.host
    # Find the block
    block, _ = ext2_get_block(inode, pgoff, create)
    # Refuse a hole
    if not block:
        raise NoData(f"page {pgoff} is a hole")
    # Ask the device
    bdev = inode.i_sb.s_bdev
    sector = 0
    return bdev.bd_disk.fops.direct_access(bdev, sector)

# %% own-faded-compare
print(experiment.compare(faded))

# %% own-task [markdown]
# Now without help. Close the cells above in your mind, and write the three parts.

# %% own-mine
# Your turn: find the block, refuse a hole, ask the device.
def mine(mapping, pgoff, create):
    raise NotImplementedError

# %% own-mine-compare
print(experiment.compare(mine))

# %% own-use [markdown]
# A function that answers rightly can carry a whole file. On a machine of its own, `/holes` now asks
# `worked`. Put `mine` there as soon as yours is right: reading, writing and mapping all go through it.

# %% own-run
trial = BlockMap()
trial.plug(worked)
trial.write(3, "carried by my own function")
print(trial)
trial.read(3)
print(trial)
assert trial.blocks()[3] == 30

# %% both [markdown]
# ## One way only (4 minutes)
#
# The table of a file on an ordinary disk has `readpage` and `writepage`, which go through the page cache. A
# table with `get_xip_mem` must not have them. What would happen if there were two ways to one byte?
#
# There is a place to see it: the device itself. `/dev/dcssblk0` can be read like a file, and it has a page
# cache.

# %% both-predict
# Your turn: "a", "b", "c" or "skip".
predict("05.both", "skip")

# %% both-run
answer = reveal("05.both")
experiment.reset()
linux1 = experiment.linux1
device = linux1.open("/dev/dcssblk0")
position = experiment.blocks()[0] * PAGE_SIZE
before = linux1.pread(device, 5, position)
experiment.write(0, "J")
after = linux1.pread(device, 5, position)
print("device:", before, "and then", after)
print("file:  ", linux1.pread(experiment.fd, 5, 0))
answer

# %% both-words [markdown]
# Two ways, two answers, and no error. So the rule is: a file's table has one way or the other. Linux leaves
# it to the file system to keep the rule. The model's table refuses to be made:

# %% both-check
assert before == after != linux1.pread(experiment.fd, 5, 0), "the copy stayed as it was"
try:
    AddressSpaceOperations(name="both", readpage=print, get_xip_mem=worked)
except OSError as refused:
    print(f"{errno.errorcode[refused.errno]}: {refused.strerror}")

# %% fallback [markdown]
# ## And without direct_access? (3 minutes)

# %% fallback-predict
# Your turn: "a", "b", "c" or "skip".
predict("05.fallback", "skip")

# %% fallback-run
answer = reveal("05.fallback")
linux2 = experiment.vm.logon("LINUX2")
linux2.add_disk("sda", bytes(experiment.segment))
linux2.mount("/dev/sda", "/mnt", "ext2", "xip")
cached = linux2.task.files[linux2.open("/mnt/holes")].f_mapping.a_ops
print(next(line for line in linux2.dmesg if "xip" in line))
print(f"{cached}: readpage {cached.readpage is not None}, get_xip_mem {cached.get_xip_mem is not None}")
answer

# %% fallback-words [markdown]
# The mount decides, once. No read and no write ever asks again whether this file is in place. It calls the
# function in its table.
#
# A second condition has no fallback. A block must be as long as a page, because a page table can only map
# whole frames. With blocks of 1,024 bytes the mount is refused, if the device could do the rest.

# %% fallback-small
small = BlockMap()
small.linux1.close(small.fd)
small.linux1.umount("/mnt")
small.vm.load("SHLIB", mke2fs(len(small.segment), blocksize=1024))
try:
    small.linux1.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
except OSError as refused:
    print(errno.errorcode[refused.errno])

# %% real [markdown]
# ## On your own computer (2 minutes)
#
# Your own system has files with holes too. This one lies in memory. `st_blocks` counts units of 512 bytes, as
# `i_blocks` does.

# %% real-run
if hasattr(os, "memfd_create"):
    real = os.memfd_create("holes")
    os.ftruncate(real, 20 * PAGE_SIZE)
    print("st_blocks at first:", os.fstat(real).st_blocks)
    assert os.pread(real, PAGE_SIZE, 3 * PAGE_SIZE) == bytes(PAGE_SIZE)
    print("after a read:", os.fstat(real).st_blocks)
    os.pwrite(real, b"J", 3 * PAGE_SIZE)
    print("after a write of one byte:", os.fstat(real).st_blocks)
    os.close(real)
else:
    print("Only the model runs here: this system has no files in memory.")

# %% real-words [markdown]
# Model and computer agree: reading a hole costs nothing, and one byte costs a page. They differ in what is
# behind it: your file lies in the page cache itself, which is its only storage.

# %% recall [markdown]
# ## Three questions to keep (2 minutes)
#
# <details><summary>Who turns ENODATA into zeros?</summary>
# The read function. get_xip_mem only says that there is no block. The write function asks for one.
# </details>
#
# <details><summary>Why is a new block cleared before it comes into the block map?</summary>
# Because from then on programs can see it, through read and through every mapping. It may hold what somebody
# has deleted.
# </details>
#
# <details><summary>Why must a table with get_xip_mem have no readpage?</summary>
# readpage makes a copy in the page cache. Stores in place would not reach the copy, and stores to the copy
# would not reach the storage.
# </details>

# %% contract [markdown]
# ## What the next notebooks rely on
#
# Reading, writing and mapping ask `get_xip_mem` and nothing else. This is what they may believe:

# %% contract-ask
fresh = BlockMap()
get_xip_mem, mapping = fresh.mapping.a_ops.get_xip_mem, fresh.mapping



def answer_for(page):
    try:
        return get_xip_mem(mapping, page, False)
    except NoData:
        return "a hole"

# %% contract-check
for page, block in enumerate(fresh.blocks()):
    frame = fresh.frame_of(block)
    assert answer_for(page) == ((frame * PAGE_SIZE, frame) if block else "a hole"), "storage, or nothing"
assert get_xip_mem(mapping, 3, True) == answer_for(3), "after create it is there, to stay"
assert mapping.a_ops.readpage is mapping.a_ops.writepage is None, "there is one way only"

# %% next [markdown]
# **Now do** [exercise 05](../exercises/05_get_xip_mem.ipynb). **Back:** [notebook 04](04_ext2.ipynb) shows
# where the block map lies on the device. **Next:**
# [notebook 06](06_read_write.ipynb) reads and writes through `get_xip_mem`, with one copy and no page cache.
