# ---
# jupyter:
#   xiplab:
#     minutes: 45
# ---

# %% [markdown] intro role="read-only"
# # Exercise 05: get_xip_mem
#
# **The question of this exercise: how does a page of a file become a frame, and what if there is none?**
#
# You will *predict* what the block map answers, put the making of a block *in order*, *mend* two bugs that
# real Linux had, and *build* the function that carries a whole file. You need
# [notebook 05](../notebooks/05_get_xip_mem.ipynb). It takes about 45 minutes.
#
# How it works: write your answer in the cell that begins with `# Your turn`, run it, then run the cells
# below it. The picture shows what your function does; the last cell judges it and says why. Try as often as
# you like. `xiplab.hint("05.1")` offers help.

# %% setup role="read-only"
import errno

import xiplab
from xiplab import PAGE_SIZE, SECTOR_SIZE
from xiplab.course.experiments.block_map import BlockMap
from xiplab.course.experiments.order import Order
from xiplab.course.questions.ex05_mount import blocksize_on_disk, uses_xip
from xiplab.course.questions.stage_05 import ext2_get_blocks_3_13 as ext2_get_blocks
from xiplab.course.questions.stage_05 import mounts, through
from xiplab.course.trial import driven
from xiplab.errors import NoData
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.widgets.block_map import BlockMapView
from xiplab.widgets.order import OrderView

# %% [markdown] words role="read-only"
# ## The words again
#
# A **block** is a piece of the device, 4,096 bytes, as long as a page and as a frame. The **block map**
# gives each page of a file its block: slots 0 to 11 of the inode name blocks, slot 12 names an **indirect
# block** of 1,024 more pointers, slot 13 an indirect block of indirect blocks. A pointer of 0 is a **hole**.
#
# ```
#  page of the file ──block map──▶ block ──× 8──▶ sector ──direct_access──▶ address, frame
#                        └── 0: a hole, ENODATA
# ```

# %% [markdown] task-05-1 role="read-only"
# ## 05.1 Four answers from the block map (predict, 2 points)
#
# Why it matters: who can read a block map can say where any byte of a file lies, with a pencil.
#
# Read the situation. Three pages are asked for with `create` 0: give the number of the frame for each, or
# `None` if the answer is ENODATA. Then a program writes one byte to a page: say how many blocks the file
# system has fewer afterwards.

# %% situation-05-1 role="read-only"
xiplab.show("05.1", 0)

# %% [markdown] turn-05-1 role="read-only"
# **Your turn.** Return the four values, in the order of the questions, such as `0x10007, None, 0x1000a, 1`.
# To practise on a fresh situation, run `xiplab.show("05.1", 1)` in a cell of your own (or any other number),
# and put the number into the answer.

# %% q05-1 role="answer"
# Your turn: 05.1
SITUATION = 0


def four_answers():
    ### BEGIN SOLUTION
    return None, 0x10014, 0x10012, 3
    ### END SOLUTION

# %% q05-1-check role="tests" points=2
xiplab.check("05.1")

# %% [markdown] task-05-2 role="read-only"
# ## 05.2 A block for a hole, in the right order (Parsons, 3 points)
#
# Why it matters: free blocks are full of what others have deleted. If a program could read one before it is
# cleared, it would read other people's files.
#
# Put the blocks of `block_for` in order. It returns the block of a page. If there is none, and `create` says
# so, it makes one. Four functions do the work:
#
# | function | what it does |
# |---|---|
# | `find(inode, page)` | the number in the block map: a block, or 0 |
# | `take(inode)` | takes a free block, full of old bytes, and returns its number |
# | `clear(inode, block)` | fills a block with zeros, where it lies |
# | `link(inode, page, block)` | stores the number in the block map: from now on programs see the block |
#
# `take` and `clear` can fail; the error then goes to the caller by itself. Pick blocks below: click them, or
# use Tab, the arrow keys and Enter. The same list stands in `xiplab.show("05.2")`. Some blocks do not
# belong.

# %% blocks-05-2 role="read-only"
OrderView(Order("05.2"))

# %% q05-2 role="answer"
# Your turn: 05.2
def order_of_block_for():
    ### BEGIN SOLUTION
    return "DBEHFIC"
    ### END SOLUTION

# %% q05-2-check role="tests" points=3
xiplab.check("05.2")

# %% [markdown] task-05-3 role="read-only"
# ## 05.3 One byte, and the disk is full (debug, 3 points)
#
# Why it matters: this bug was in Linux for eight years, and nobody saw it. Then somebody tidied up another
# file.
#
# `block_of_page(inode, pgoff, create)` is the first half of `get_xip_mem`. It asks the block map and refuses
# a hole. The block map answers with three values:
#
# `ext2_get_blocks(inode, pgoff, maxblocks, create)` gives `(block, count, new)`: where block `pgoff` of the
# file is, or 0; how many blocks in a row there are, at most `maxblocks`; and whether they are new.
#
# **Mend the function.** The learners of today get what Linux 3.13 had. First delete the line that raises,
# run the cell, and write to page 3 in the picture below. What happens to the free blocks? Then change what
# must be changed.

# %% q05-3 role="answer"
# Your turn: 05.3
def block_of_page(inode, pgoff, create):
    ### BEGIN SOLUTION
    block, _, _ = ext2_get_blocks(inode, pgoff, 1, create)
    if not block:
        raise NoData(f"page {pgoff} is a hole")
    return block
    ### END SOLUTION
    block, _, _ = ext2_get_blocks(inode, pgoff, 0, create)
    if not block:
        raise NoData(f"page {pgoff} is a hole")
    return block

# %% [markdown] look-05-3-words role="read-only"
# The picture asks your function for each page. Run its cell again after each change of yours. A page that
# your function puts at a wrong place is marked with **!**.

# %% look-05-3 role="read-only"
BlockMapView(driven(BlockMap(), plug=through(block_of_page)))

# %% q05-3-check role="tests" points=3
xiplab.check("05.3")

# %% [markdown] task-05-4 role="read-only"
# ## 05.4 Your own get_xip_mem (build, 4 points)
#
# Why it matters: this is all that a file system must do for execute-in-place. Every read, write and fault of
# a file comes here.
#
# Write `get_xip_mem(mapping, pgoff, create)`. It returns the address and the frame of page `pgoff`, as the
# device's `direct_access` gives them. It raises `NoData("...")` for a hole. What there is:
#
# | name | what it is |
# |---|---|
# | `mapping.host` | the inode of the file |
# | `ext2_get_block(inode, pgoff, create)` | gives `(block, new)`, block 0 for a hole; `create`: make one |
# | `inode.i_sb.s_bdev` | the device, `bdev` |
# | `bdev.bd_disk.fops.direct_access(bdev, sector)` | gives `(kmem, pfn)`: the address and the frame |
#
# Three parts: **find the block**, **refuse a hole**, **ask the device**. `PAGE_SIZE`, `SECTOR_SIZE` and
# `NoData` are there already. About 5 to 7 lines.

# %% q05-4 role="answer"
# Your turn: 05.4
def get_xip_mem(mapping, pgoff, create):
    inode = mapping.host
    ### BEGIN SOLUTION
    block, _ = ext2_get_block(inode, pgoff, create)
    if not block:
        raise NoData(f"page {pgoff} is a hole")
    bdev = inode.i_sb.s_bdev
    sector = block * (PAGE_SIZE // SECTOR_SIZE)
    return bdev.bd_disk.fops.direct_access(bdev, sector)
    ### END SOLUTION

# %% [markdown] look-05-4-words role="read-only"
# Here the file `/holes` asks your function. Each page is drawn where your function says that it lies. Click
# page 5 and page 15, then write to page 3. Run the cell again after each change of yours.

# %% look-05-4 role="read-only"
BlockMapView(driven(BlockMap(), plug=get_xip_mem))

# %% q05-4-check role="tests" points=4
xiplab.check("05.4")

# %% [markdown] task-05-5 role="read-only"
# ## 05.5 A right file system is refused (debug, 3 points)
#
# Why it matters: whether a file is read in place or through the page cache is decided here, once, at the
# mount. No read ever asks again.
#
# A mount first drops the option `xip` if the device has no `direct_access`. Then it calls `block_size_of(sb,
# silent)`, which returns the block size of the file system, or refuses the mount with `OSError(errno.EINVAL,
# ...)`. Only blocks that are pages can be mapped in place. Without `xip`, smaller blocks are fine.
#
# | name | what it is |
# |---|---|
# | `blocksize_on_disk(sb)` | the block size of the file system, as its super block says |
# | `sb.s_blocksize` | the block size that this mount began with, before it had read the super block |
# | `uses_xip(sb)` | whether this mount is to be in place |
#
# **Mend the function.** It is what Linux had from 2.6.13 to 2.6.24. Delete the line that raises, run the
# cell, and look at the table below: which mount ends otherwise?

# %% q05-5 role="answer"
# Your turn: 05.5
def block_size_of(sb, silent):
    ### BEGIN SOLUTION
    blocksize = blocksize_on_disk(sb)
    if uses_xip(sb) and blocksize != PAGE_SIZE:
        raise OSError(errno.EINVAL, "unsupported blocksize for xip")
    return blocksize
    ### END SOLUTION
    blocksize = blocksize_on_disk(sb)
    if uses_xip(sb) and (blocksize != PAGE_SIZE or blocksize != sb.s_blocksize):
        raise OSError(errno.EINVAL, "unsupported blocksize for xip")
    return blocksize

# %% look-05-5 role="read-only"
mounts(block_size_of)

# %% q05-5-check role="tests" points=3
xiplab.check("05.5")

# %% [markdown] after role="read-only"
# ## What to take with you
#
# - A page becomes a block by the block map, a block becomes a frame by the device. Nothing else takes part.
# - A hole is an error only for those who ask. With `create` it gets a block: taken, cleared, then linked.
# - A file has one way to its bytes. The mount decides which, and a block must be a page for the way in place.
#
# The table of a file in place names no other way:

# %% one-way role="read-only"
table = driven(BlockMap(), plug=get_xip_mem).mapping.a_ops
print(f"readpage: {table.readpage}, writepage: {table.writepage}")
