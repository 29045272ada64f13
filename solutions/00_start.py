# ---
# jupyter:
#   xiplab:
#     minutes: 30
# ---

# %% [markdown] intro role="read-only"
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

# %% setup role="read-only"
import errno

import numpy as np

import xiplab
from xiplab import MAP_SHARED, PAGE_SIZE, PROT_READ, SECTOR_SIZE
from xiplab.course.questions import stage

# %% [markdown] machine role="read-only"
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

# %% machine-built role="read-only"
vm = stage.machine()
linux1 = stage.guest_in_place(vm, "LINUX1")
linux2 = stage.guest_in_place(vm, "LINUX2")
linux3 = stage.guest_with_disk(vm, "LINUX3")
text1 = linux1.mmap(linux1.open(stage.FILE), 0, PROT_READ, MAP_SHARED)
text2 = linux2.mmap(linux2.open(stage.FILE), 0, PROT_READ, MAP_SHARED)
fd3 = linux3.open(stage.FILE)
position = stage.image().index(text1[0:PAGE_SIZE])  # where the file begins in the segment
text1[0:5], text2[0:5], linux3.pread(fd3, 5, 0)

# %% [markdown] task-00-1 role="read-only"
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

# %% situation-00-1 role="read-only"
xiplab.show("00.1", 0)

# %% [markdown] turn-00-1 role="read-only"
# **Your turn.** Return the set of all places that show the new byte. To practise on a fresh situation, run
# `xiplab.show("00.1", 1)` in a cell of your own (or any other number), and put the number into the answer.

# %% q00-1 role="answer"
# Your turn: 00.1
SITUATION = 0


def places_with_the_new_byte():
    ### BEGIN SOLUTION
    return {"segment", "LINUX1", "LINUX2"}
    ### END SOLUTION

# %% q00-1-check role="tests" points=2
xiplab.check("00.1")

# %% [markdown] task-00-2 role="read-only"
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

# %% q00-2 role="answer"
# Your turn: 00.2
def direct_access(bdev, sector):
    info = bdev.bd_disk.private_data  # None, or the segment: info.start, info.end
    ### BEGIN SOLUTION
    if info is None:
        raise OSError(errno.ENODEV, "no segment behind the disk")
    if sector * SECTOR_SIZE % PAGE_SIZE:
        raise OSError(errno.EINVAL, f"sector {sector} does not begin a page")
    kaddr = info.start + sector * SECTOR_SIZE
    if kaddr + PAGE_SIZE - 1 > info.end:
        raise OSError(errno.ERANGE, f"sector {sector} lies behind the end")
    return kaddr, kaddr // PAGE_SIZE
    ### END SOLUTION

# %% q00-2-check role="tests" points=4
xiplab.check("00.2")

# %% [markdown] after role="read-only"
# ## What to take with you
#
# - With execute-in-place a file's page in memory *is* the storage. Several mappings of it are several names
#   of one piece of memory.
# - A page cache holds copies. A copy knows nothing of later changes of the storage.
# - All that the device does for this is to answer: this sector lies at that address.

# %% one-memory role="read-only"
np.shares_memory(text1.frame(0), text2.frame(0))
