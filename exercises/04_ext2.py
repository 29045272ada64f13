# %% intro [markdown]
# # Exercise 04: a file's bytes, on the disk itself
#
# **The question of this exercise: a disk is a row of bytes. How do you find one byte of one file in it, with
# nothing but arithmetic?**
#
# You will *predict* where pages lie, *put together* the look-up of a name, *mend* a mount that Linux had
# wrong for three years, and *build* the way from a number to an inode and from an inode to any of its blocks.
# You need notebook [04](../notebooks/04_ext2.ipynb). It takes about 45 minutes.
#
# How it works: write your answer in the cell that begins with `# Your turn`, run it, then run the cells
# below it. Try as often as you like. `xiplab.hint("04.1")` offers help.

# %% setup
import errno

import xiplab
from xiplab.course.experiments.order import Order
from xiplab.course.experiments.own_way import OwnWay
from xiplab.course.trial import driven
from xiplab.tools import debugfs
from xiplab.tools.image import shipped_image
from xiplab.widgets.ext2_bytes import Ext2BytesView
from xiplab.widgets.order import OrderView

image = shipped_image()


def number(image, place, length=4):
    """A number on the disk, least byte first."""
    return int.from_bytes(image[place:place + length], "little")


print(len(image), number(image, 1024 + 56, 2) == 0xEF53)  # the superblock's magic number

# %% words [markdown]
# ## The words, once more
#
# - A *block* is a piece of the disk, of 4,096 bytes on our disk. Blocks are numbered from 0.
# - An *inode* is the record about one file. It has 15 *slots*, numbers of 4 bytes, and they say where the
#   file's pages lie.
# - An *indirect block* is a block full of block numbers.
# - A *hole* is a page without a block. Its number is 0, and it reads as zeros.

# %% task-04-1 [markdown]
# ## 04.1 Where are these pages? (predict, 2 points)
#
# Everything you need is shown. Pages 0 to 11 have slots of their own, the pages behind them an indirect
# block.

# %% situation-04-1
print(xiplab.show("04.1", 0))

# %% turn-04-1 [markdown]
# **Your turn.** Return the list of blocks, in the order in which the pages are asked for, with 0 for a hole.
# To practise, run `xiplab.show("04.1", 1)` in a cell of your own, and put the number into the answer.

# %% q04-1
# Your turn: 04.1
SITUATION = 0


def blocks_of_the_pages():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q04-1-check
print(xiplab.check("04.1", __file__))

# %% task-04-2 [markdown]
# ## 04.2 A name becomes a place (put in order, 3 points)
#
# Why it matters: no file is opened without it. A directory is a file as well, and its blocks are full of
# *records*, one behind the other:
#
# | byte of the record | field | meaning |
# |---|---|---|
# | 0 to 3 | `inode` | the file's number. 0: this record is free |
# | 4 and 5 | `rec_len` | how many bytes the whole record takes |
# | 6 | `name_len` | how many of them are the name |
# | 7 | `file_type` | file, directory and so on |
# | 8 and on | `name` | the name, not padded, with no zero at its end |
#
# A removed name leaves no gap: the record before it takes its bytes over, so that `rec_len` grows. The first
# record of a block has none before it. It stays, with inode 0.
#
# The function `find_entry(block, name)` shall return the place of the record in its block, or -1 if there is
# no such name. `number(block, place, length=4)` reads a number. Three of the pieces below are wrong and do
# not belong to it.

# %% blocks-04-2
print(OrderView(Order("04.2")))

# %% turn-04-2 [markdown]
# **Your turn.** Pick the pieces in their order, and return their letters. `xiplab.show("04.2")` shows them as
# text.

# %% q04-2
# Your turn: 04.2
def order():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q04-2-check
print(xiplab.check("04.2", __file__))

# %% task-04-3 [markdown]
# ## 04.3 A mount that refused good disks (mend, 3 points)
#
# Why it matters: in place, a block must be a *page* of 4,096 bytes, because a page table maps whole pages. So
# ext2 tests that when a disk is mounted with `xip`. From 2.6.13 to 2.6.24 Linux tested the wrong number.
#
# - `sb.s_log_block_size` stands on the disk. The disk's blocks have 1,024 shifted left by it.
# - `sb.s_blocksize` is Linux's own note of the block size. When the function runs, the superblock has only
#   just been read, and the note still says what it was read with: the device's smallest block, at least 1,024
#   bytes. What the function returns will replace it.
#
# The function below is that of 2.6.24. A disk with good blocks of 4,096 bytes, on a device with sectors of
# 512 bytes, gets EINVAL.
#
# **Your turn.** Mend the function, and delete the line that raises `NotImplementedError`. Without `xip` every
# block size is welcome. With `xip`, a disk whose blocks are not pages must still get `EINVAL`.

# %% q04-3
# Your turn: 04.3
PAGE_SIZE = 4096


def block_size_of(sb, xip):
    # YOUR CODE HERE
    raise NotImplementedError()
    size = 1024 << sb.s_log_block_size
    if xip and size != sb.s_blocksize:
        raise OSError(errno.EINVAL, "unsupported blocksize for xip")
    return size

# %% q04-3-check
print(xiplab.check("04.3", __file__))

# %% task-04-4 [markdown]
# ## 04.4 Your own inode_place (build, 4 points)
#
# Why it matters: a directory gives a number, and all the rest is in the inode. Here are the numbers that lead
# to it. The superblock begins at byte 1,024 of every disk.
#
# | byte of the superblock | field | meaning |
# |---|---|---|
# | 0 | `s_inodes_count` | how many inodes there are. They are counted from 1 |
# | 20 | `s_first_data_block` | the block that the superblock is in |
# | 24 | `s_log_block_size` | a block has 1,024 bytes, shifted left by this |
# | 40 | `s_inodes_per_group` | each group of the disk has so many inodes |
# | 88, two bytes | `s_inode_size` | so many bytes has an inode |
#
# The block behind the superblock's begins with the *group descriptors*, 32 bytes each, from group 0 on. Byte
# 8 of a descriptor says in which block the group's inode table begins.
#
# Write `inode_place(image, ino)`. It returns the place of the inode's first byte in the image. A number that
# no inode has gets `OSError(errno.EINVAL, ...)`. `number(image, place, length=4)` reads a number.
# The disks of the check have blocks of several sizes, and some have several groups. About 7 lines.

# %% q04-4
# Your turn: 04.4
def inode_place(image, ino):
    superblock = 1024
    # YOUR CODE HERE
    raise NotImplementedError()

# %% seen-04-4 [markdown]
# **See it.** The picture goes where your function leads. Is the inode of `/lib/greeting` there? Change your
# answer, run it, and run the next cell again.

# %% picture-04-4
print(Ext2BytesView(driven(OwnWay(), use_inode_place=inode_place)))

# %% q04-4-check
print(xiplab.check("04.4", __file__))

# %% task-04-5 [markdown]
# ## 04.5 Any page of any file (extend, 4 points)
#
# Why it matters: this is what `ext2_get_block` does, and each read and each page fault in place asks it. The
# notebook went through one indirect block. Now go on.
#
# - Slots 0 to 11 name the blocks of pages 0 to 11.
# - Slot 12 names an indirect block. It holds `size // 4` numbers of 4 bytes, for the next pages.
# - Slot 13 names a block whose numbers name indirect blocks: a *double* indirect block.
# - A number 0 is a hole, **wherever** it stands. Then return 0, and look no further.
#
# Write `block_of(image, inode, page)`. `inode` is the place that your `inode_place` returns; the slots begin
# at its byte 40. The function returns the number of the block, or 0 for a hole. You need not think of slot
# 14, nor of pages that lie behind the end of the file. About 8 to 12 lines.

# %% q04-5
# Your turn: 04.5
def block_of(image, inode, page):
    size = 1024 << number(image, 1024 + 24)
    slots = [number(image, inode + 40 + 4 * slot) for slot in range(15)]
    # YOUR CODE HERE
    raise NotImplementedError()

# %% seen-04-5 [markdown]
# **See it.** The picture goes to the block that your function names. Follow other bytes, too: byte 61,443 of
# `/holes` lies behind an indirect block, and byte 5,000 in a hole.

# %% picture-04-5
print(Ext2BytesView(driven(OwnWay(), use_block_of=block_of)))

# %% q04-5-check
print(xiplab.check("04.5", __file__))

# %% after [markdown]
# ## What to take with you
#
# - From the superblock to a byte it is a handful of numbers, each at a place that another number names.
# - Nothing of it needs a copy of the file. This is why a file system can answer *where* a page is, and leave
#   the bytes where they lie.
# - A mount that tests the wrong number refuses good disks, or lets bad ones in.
#
# The course's `debugfs` reads the same disk without mounting it, as your functions do:

# %% compare
inode = debugfs.stat(image, "/lib/greeting")
print(inode["inode"], inode["offset"], debugfs.blocks(image, "/lib/greeting"))
