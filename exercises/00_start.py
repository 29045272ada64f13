# %% intro [markdown]
# # Exercise 00: start
#
# **The question of this exercise: how can two programs see one byte change at the same moment, when nobody
# tells them?**
#
# You will *predict* who sees the change, and *build* the one function that makes it possible.
# You need [notebook 00](../notebooks/00_start.ipynb) and Python. It takes about 30 minutes.
#
# How it works: write your answer in the cell that begins with `# Your turn`, run it, then run the cell
# below it. That cell judges your answer and says why. Try as often as you like.
# `xiplab.hint("00.1")` offers help.

# %% setup
import errno

import numpy as np

import xiplab
from xiplab import MAP_SHARED, PAGE_SIZE, PROT_READ, SECTOR_SIZE
from xiplab.course.questions import stage

# %% machine [markdown]
# ## The machine
#
# A *segment* is a piece of memory that several virtual machines can have at the same time. Ours is called
# SHLIB, and a file system lies in it. A virtual machine with its own Linux is called a *guest*.
#
# - **LINUX1** and **LINUX2** have mounted the segment with the option `xip`, *execute in place*. They have
#   mapped the file `/mnt/lib/greeting`: its bytes look like a part of the program's own memory.
# - **LINUX3** has an ordinary disk with a copy of the same files. It reads the file through its *page cache*,
#   as Linux reads nearly everything: a page (4096 bytes) is copied from the disk into the guest's memory and
#   is kept there.

# %% machine-built
vm = stage.machine()
linux1 = stage.guest_in_place(vm, "LINUX1")
linux2 = stage.guest_in_place(vm, "LINUX2")
linux3 = stage.guest_with_disk(vm, "LINUX3")
text1 = linux1.mmap(linux1.open(stage.FILE), 0, PROT_READ, MAP_SHARED)
text2 = linux2.mmap(linux2.open(stage.FILE), 0, PROT_READ, MAP_SHARED)
fd3 = linux3.open(stage.FILE)
position = stage.image().index(text1[0:PAGE_SIZE])  # where the file begins in the segment
print(text1[0:5], text2[0:5], linux3.pread(fd3, 5, 0))

# %% task-00-1 [markdown]
# ## 00.1 Who sees the new byte? (predict, 2 points)
#
# Read the situation. *Before* you run anything, decide for each of these five places whether it shows the new
# byte at the end:
#
# | name | the place |
# |---|---|
# | `"segment"` | the memory of segment SHLIB itself |
# | `"LINUX1"` | LINUX1's mapping of the file |
# | `"LINUX2"` | LINUX2's mapping of the file |
# | `"LINUX3"` | what LINUX3 gets when it reads the file |
# | `"disk"` | LINUX3's disk |
#
# A *private* mapping is one whose stores nobody else shall see.

# %% situation-00-1
print(xiplab.show("00.1", 0))

# %% turn-00-1 [markdown]
# **Your turn.** Return the set of all places that show the new byte. To practise on a fresh situation, run
# `xiplab.show("00.1", 1)` in a cell of your own (or any other number), and put the number into the answer.

# %% q00-1
# Your turn: 00.1
SITUATION = 0


def places_with_the_new_byte():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q00-1-check
print(xiplab.check("00.1", __file__))

# %% task-00-2 [markdown]
# ## 00.2 Your own direct_access (build, 4 points)
#
# Why can a mapping lie on the segment at all? Because the segment's driver can answer one question:
# **where does this sector lie in memory?** The function that answers is called `direct_access`. An ordinary
# disk has none: its bytes lie nowhere in memory, so they have to be copied.
#
# - A *sector* is 512 bytes. Sector 0 begins at the segment's first byte.
# - A *page* is 4096 bytes. Only whole pages can be mapped.
# - An *address* (`kaddr`) counts the bytes of the guest's memory from 0. The segment lies somewhere in it,
#   from `start` to `end`. `end` is the address of its **last** byte.
# - A *page frame number* (`pfn`) counts the same memory in pages.
#
# Write `direct_access(bdev, sector)`. It returns `(kaddr, pfn)` of the page that begins with this sector. It
# raises `OSError` with one of these numbers, looked at in this order:
#
# | when | errno |
# |---|---|
# | the disk has no segment any more: `info` is None | `errno.ENODEV` |
# | the sector is not the first one of a page | `errno.EINVAL` |
# | the page does not lie wholly inside the segment | `errno.ERANGE` |
#
# To raise one: `raise OSError(errno.EINVAL, "what was wrong")`. `errno`, `PAGE_SIZE` and `SECTOR_SIZE` are
# there already. About 5 to 8 lines.

# %% q00-2
# Your turn: 00.2
def direct_access(bdev, sector):
    info = bdev.bd_disk.private_data  # None, or the segment: info.start, info.end
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q00-2-check
print(xiplab.check("00.2", __file__))

# %% after [markdown]
# ## What to take with you
#
# - With execute-in-place a file's page in memory *is* the storage. Several mappings of it are several names
#   of one piece of memory.
# - A page cache holds copies. A copy knows nothing of later changes of the storage.
# - All that the device does for this is to answer: this sector lies at that address.

# %% one-memory
print(np.shares_memory(text1.frame(0), text2.frame(0)))
