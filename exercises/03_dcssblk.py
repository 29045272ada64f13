# %% intro [markdown]
# # Exercise 03: a segment as a disk
#
# **The question of this exercise: what must a driver do so that memory can be used as a disk, and what can
# go wrong in it?**
#
# You will *predict* what the driver answers, *put in order* its release, *mend* two bugs that Linux really
# had, and *build* the function that carries out a bio. You need
# [notebook 03](../notebooks/03_dcssblk.ipynb). It takes about 40 minutes.
#
# Write your answer in the cell that begins with `# Your turn`, run it, then run the cell below it. Try as
# often as you like. `xiplab.hint("03.1")` offers help.

# %% setup
import errno

import xiplab
from xiplab import PAGE_SIZE, SECTOR_SIZE
from xiplab.course.experiments.order import Order
from xiplab.course.experiments.your_driver import YourDriver
from xiplab.course.trial import driven
from xiplab.linux.arch.s390.extmem import SEGMENT_SHARED
from xiplab.linux.drivers.dcssblk_io import READ_ONLY_TYPES
from xiplab.linux.include.blkdev import WRITE
from xiplab.widgets.devices import DevicesView
from xiplab.widgets.order import OrderView

# %% task-03-1 [markdown]
# ## 03.1 What does add answer? (predict, 2 points)
#
# A line in the driver's file `add` makes a disk of one segment, or of several with a colon between their
# names. Read the situation, and decide before you run anything.
#
# - A page has 4,096 bytes, a *sector* 512, a MiB 256 pages.
# - Pages are numbered in hex: 10000 to 100FF are 256 pages.

# %% situation-03-1
print(xiplab.show("03.1", 0))

# %% turn-03-1 [markdown]
# **Your turn.** If there is a disk then, return two values: how many sectors it has, and the name of the
# segment that lies at its sector 0, such as `return 2048, "PART7"`. If the driver refuses the line, return
# the name of the errno, such as `return "EIO"`. For a fresh situation run `xiplab.show("03.1", 1)` in a cell
# of your own, or any other number, and put the number into the answer.

# %% q03-1
# Your turn: 03.1
SITUATION = 0


def what_add_answers():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q03-1-check
print(xiplab.check("03.1", __file__))

# %% task-03-2 [markdown]
# ## 03.2 The last one saves (put in order, 3 points)
#
# Who writes 1 into the file `save` while the disk is open has to wait: the save is *pending*. Nobody may save
# half of a change.
#
# Linux tells the driver of **every** close, by calling its function `release`. So the driver has to count. It
# has these fields, and one function of the kernel to call:
#
# | name | what it is |
# |---|---|
# | `info.use_count` | how often the disk is open; the one who is closing is still counted |
# | `info.save_pending` | whether a save is wanted |
# | `info.seg_list` | the segments of the disk; each has a `segment_name` |
# | `info.segment_name` | the name of the device: that of the first segment given |
# | `segment_save(name)` | saves one segment |
#
# Put the blocks in order. Some do not belong. The picture helps: pick the blocks one after the other. Then
# return their letters.

# %% blocks-03-2
print(OrderView(Order("03.2")))

# %% q03-2
# Your turn: 03.2
def order_of_release():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q03-2-check
print(xiplab.check("03.2", __file__))

# %% task-03-3 [markdown]
# ## 03.3 A byte short (debug, 4 points)
#
# In Linux 4.0 direct_access got a third argument, `size`: how many bytes the caller would like to have. The
# answer has a third value too: how many of them there really are. So one call can tell of many pages.
#
# dcssblk was changed for it, and got a bug. Below is the function with the bug. `info.start` is the address
# of the segment's first byte, `info.end` that of its **last** one. Once it is right:
#
# - a sector inside the disk gives `(kaddr, pfn, bytes)`. `bytes` is `size`, or less where the disk ends
#   before;
# - a sector behind the end raises `OSError` with `errno.ERANGE`.
#
# **Your turn.** Delete the line that raises `NotImplementedError`, and mend the lines below it.

# %% q03-3
# Your turn: 03.3
def direct_access(bdev, sector, size):
    # YOUR CODE HERE
    raise NotImplementedError()
    info = bdev.bd_disk.private_data
    device_size = info.end - info.start
    offset = sector * SECTOR_SIZE
    if offset > device_size:
        raise OSError(errno.ERANGE, f"sector {sector} lies behind the end")
    kaddr = info.start + offset
    return kaddr, kaddr // PAGE_SIZE, min(size, device_size - offset)

# %% see-03-3 [markdown]
# See it at work: the disk below has asked *your* function for sector 2040, the first one of the last page.
# Less than a page cannot be mapped, so Linux refuses it: ENXIO. Try sector 2048, too: press it, then
# *direct_access*.

# %% picture-03-3
ended = driven(YourDriver(), use_direct_access=direct_access)
ended.echo("part1", "add")
ended.open("dcssblk0")
ended.show("dcssblk0", 2040)
ended.direct_access("dcssblk0", 2040)
print(DevicesView(ended))

# %% q03-3-check
print(xiplab.check("03.3", __file__))

# %% task-03-4 [markdown]
# ## 03.4 Carry out a bio (build, 4 points)
#
# Most programs do not ask where a page lies. They send a *bio*: copy these sectors into these pieces of
# memory, or back. A bio is an order. Whoever sent it waits until the driver says that it is done.
#
# Write `make_request(bio, copy_pages, bio_endio)`. First it looks whether the bio can be carried out. It must
# be refused if one of these is true:
#
# - it does not lie on whole pages: `bio.bi_sector` is no multiple of 8, or `bio.bi_size` none of `PAGE_SIZE`;
# - its last sector lies behind the end: the disk has `disk.capacity` sectors;
# - it writes (`bio.bi_rw == WRITE`), the type is one of `READ_ONLY_TYPES`, and the disk is shared
#   (`info.is_shared`).
#
# To refuse it: `bio_endio(bio, errno.EIO)`. Else copy each piece in `bio.bi_io_vec` with
# `copy_pages(info, address, bvec.memory, bio.bi_rw)`. The first one goes to the address of `bio.bi_sector`,
# each further one behind the one before; it has `bvec.bv_len` bytes. Last, say that it is done:
# `bio_endio(bio, 0)`.
#
# `info` has `start`, `is_shared` and `segment_type`. About 8 to 12 lines.

# %% q03-4
# Your turn: 03.4
def make_request(bio, copy_pages, bio_endio):
    disk = bio.bi_bdev.bd_disk
    info = disk.private_data
    # YOUR CODE HERE
    raise NotImplementedError()

# %% see-03-4 [markdown]
# See it at work: a bio of two pieces has just asked your function for pages 1 and 2. The line below the
# picture says what came. *Read* and *Write* send bios of one piece. APPS has type SR. Try to write to it.
# Then close the disk, click on `shared`, open the disk, and try again.

# %% picture-03-4
sent = driven(YourDriver(), use_make_request=make_request)
sent.echo("apps", "add")
sent.open("dcssblk0")
sent.read_pages("dcssblk0", 8, 2)
print(DevicesView(sent))

# %% q03-4-check
print(xiplab.check("03.4", __file__))

# %% task-03-5 [markdown]
# ## 03.5 A file that does not tell the truth (debug, 4 points)
#
# `echo 0 > PART1/shared` loads each segment of the disk anew, as a copy that the guest has for itself. Then
# the file says 0, and the guest may store what it likes.
#
# But a segment can be in use by others in the same guest, too. Then it cannot be loaded anew:
# `segment_modify_shared` raises `OSError` with `errno.EAGAIN`, *try again*. The segment stays as it is. For a
# disk of two segments, each is asked by itself.
#
# The function below is like that of Linux 2.6.28. It lets EAGAIN pass, and then says what was wanted, not
# what is so. A guest that trusts it stores into everybody's segment. Mend it:
#
# - `info.is_shared` changes only if **every** segment was loaded anew;
# - any other error goes on to the caller, as now. For EAGAIN you may choose.
#
# **Your turn.** Delete the line that raises `NotImplementedError`, and mend the lines below it.

# %% q03-5
# Your turn: 03.5
def shared_store(info, mode, segment_modify_shared):
    # YOUR CODE HERE
    raise NotImplementedError()
    for segment in info.seg_list:
        try:
            segment_modify_shared(segment.segment_name, mode)
        except OSError as refusal:
            if refusal.errno != errno.EAGAIN:
                raise
    info.is_shared = mode == SEGMENT_SHARED

# %% see-03-5 [markdown]
# See it at work. Somebody else in LINUX1 has loaded PART1, so it cannot be loaded anew. Then 0 was written
# into `shared`. What does the file say now? Let LINUX2 store a K: does LINUX1 see it on its disk?

# %% picture-03-5
told = driven(YourDriver(), use_shared_store=shared_store)
told.echo("part1", "add")
told.another_user("PART1")
told.echo("0", "PART1/shared")
print(DevicesView(told))

# %% q03-5-check
print(xiplab.check("03.5", __file__))

# %% after [markdown]
# ## What to take with you
#
# - A disk over segments has no holes, and its sectors are in the order of the addresses.
# - A bio is an order: refused or carried out, it is completed exactly once. It copies.
# - direct_access tells a place and copies nothing. Its hardest part is the last page.
# - What a driver says about itself must be so. Who reads `shared` relies on it.
#
# **Back:** [notebook 03](../notebooks/03_dcssblk.ipynb). **Next:**
# [notebook 04](../notebooks/04_ext2.ipynb).
