# %% intro [markdown]
# # Exercise 06: read and write in place
#
# **The question of this exercise: a program asks for 5,000 bytes. Who decides how many it gets, and who
# carries them?**
#
# You will *predict* what calls answer, *put together* the loop that makes one read out of several buffers,
# *build* the read and the write of a file in place, and *mend* a write that landed in the wrong place.
# You need notebook [06](../notebooks/06_read_write.ipynb). It takes about 45 minutes.
#
# How it works: write your answer in the cell that begins with `# Your turn`, run it, then run the cells
# below it. Try as often as you like. `xiplab.hint("06.1")` offers help.

# %% setup
import errno

import xiplab
from xiplab import PAGE_SIZE
from xiplab.course.experiments.order import Order
from xiplab.course.experiments.read_write import ReadWrite
from xiplab.course.trial import driven
from xiplab.widgets.order import OrderView
from xiplab.widgets.read_write import ReadWriteView

# %% words [markdown]
# ## The words, once more
#
# - A *page* is 4,096 bytes of a file. A *hole* is a page without a block; it reads as zeros.
# - `get_xip_mem(mapping, page, create)` says where a page of a file lies in memory. For a hole it raises
#   `OSError` with `errno.ENODATA`, unless `create` is true: then the page gets a block, full of zeros.
# - A call answers how many bytes it moved. Fewer than were asked for is a *short* answer, and no error.
# - If not a single byte could be moved, the answer is the error.

# %% task-06-1 [markdown]
# ## 06.1 What do these calls answer? (predict, 2 points)
#
# The file is that of the notebook: three pages, the middle one is a hole.

# %% situation-06-1
print(xiplab.show("06.1", 0))

# %% turn-06-1 [markdown]
# **Your turn.** Return a list of the four answers. Each is a number of bytes, or the name of an error, such
# as `"EINVAL"`. To practise, run `xiplab.show("06.1", 1)` in a cell of your own, and put the number into the
# answer.

# %% q06-1
# Your turn: 06.1
SITUATION = 0


def what_they_answer():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q06-1-check
print(xiplab.check("06.1", __file__))

# %% task-06-2 [markdown]
# ## 06.2 Several buffers, one read (put in order, 3 points)
#
# Why it matters: `readv` fills several buffers by one call. A file in place has no `readv` of its own. Linux
# makes it out of `read`, with the loop that you put together now.
#
# - `read(buf, length, pos)` reads into one buffer. It may come short, and it may raise an `OSError`.
# - `buffers` is a list of pairs: a buffer and its length.
# - Together the buffers are one piece of the file, without gaps.
# - An error counts only if nothing has been read before it.
#
# Three of the pieces are wrong and do not belong to it.

# %% blocks-06-2
print(OrderView(Order("06.2")))

# %% turn-06-2 [markdown]
# **Your turn.** Pick the pieces in their order, and return their letters. `xiplab.show("06.2")` shows them as
# text.

# %% q06-2
# Your turn: 06.2
def order():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q06-2-check
print(xiplab.check("06.2", __file__))

# %% task-06-3 [markdown]
# ## 06.3 Your own xip_file_read (build, 5 points)
#
# Why it matters: every `read` of a file in place ends here. There is one copy, from the storage to the
# program, and this function makes it. For each page it does three things: **find the piece, find the frame,
# copy**.
#
# Write `xip_file_read(filp, buf, count, pos)`: up to `count` bytes from `pos` on go into the program's
# buffer.
#
# | what you have | what it does |
# |---|---|
# | `size` | the length of the file. A read stops there, without an error |
# | `mapping.a_ops.get_xip_mem(mapping, page, False)` | answers `(kmem, pfn)`, address and frame of the page |
# | `memory.span(address, n)` | n bytes of storage, to be copied. A piece must not leave its page |
# | `buf.copy_to_user(span)` | copies them to the buffer, behind what is there already |
# | `buf.clear_user(n)` | stores n zeros there instead |
#
# A hole reads as zeros. After any other error, answer what is copied so far; if that is nothing, raise the
# error. The function returns how many bytes it copied. About 10 to 12 lines.

# %% q06-3
# Your turn: 06.3
def xip_file_read(filp, buf, count, pos):
    mapping, memory = filp.f_mapping, filp.f_mapping.kernel.memory
    size, copied = mapping.host.i_size, 0
    # YOUR CODE HERE
    raise NotImplementedError()

# %% seen-06-3 [markdown]
# **See it.** On the left your function reads, on the right the page cache does. Do both get the same bytes?
# Where does the number of copied bytes differ, and why?

# %% picture-06-3
experiment = driven(ReadWrite(), plug_read=xip_file_read)
experiment.get("read", 9000, 4000)
print(ReadWriteView(experiment))

# %% q06-3-check
print(xiplab.check("06.3", __file__))

# %% task-06-4 [markdown]
# ## 06.4 A write that landed elsewhere (mend, 3 points)
#
# Why it matters: here is a write in place, for files without holes. Linux 2.6.24-rc1 had this bug in it, and
# four more test versions after that. `"store"` says that bytes will be stored; `copy_from_user` answers how
# many came.
#
# **Your turn.** Mend the function, and delete the line that raises `NotImplementedError`.

# %% q06-4
# Your turn: 06.4
def write_in_place(filp, buf, count, pos):
    # YOUR CODE HERE
    raise NotImplementedError()
    mapping, memory, written = filp.f_mapping, filp.f_mapping.kernel.memory, 0
    while written < count:
        page, offset = pos // PAGE_SIZE, pos % PAGE_SIZE
        chunk = min(PAGE_SIZE - offset, count - written)
        kmem, _ = mapping.a_ops.get_xip_mem(mapping, page, False)
        written += buf.copy_from_user(memory.span(kmem, chunk, "store"))
        pos += chunk
    return written

# %% seen-06-4 [markdown]
# **See it.** “Hello” is to be written to byte 7. Look at what the storage holds in place, and on the other
# side.

# %% picture-06-4
experiment = driven(ReadWrite(), plug_write=write_in_place)
experiment.put("write", "Hello", 7)
print(ReadWriteView(experiment))

# %% q06-4-check
print(xiplab.check("06.4", __file__))

# %% task-06-5 [markdown]
# ## 06.5 Your own xip_file_write (build, 5 points)
#
# Why it matters: real files have holes, real disks get full, and files grow. Begin with the loop of 06.4, and
# add what it lacks:
#
# - **A hole** has no place to write to. Ask `get_xip_mem` again, with `True` as its third argument. Then the
#   page gets a block.
# - **An error**, `ENOSPC` on a full disk or any other, ends the loop. If something is written already, answer
#   how much. If nothing is, raise the error.
# - **The size**, `inode.i_size`, is a number. If the write ends behind it, set it. It never shrinks.
#
# Write `xip_file_write(filp, buf, count, pos)`; it returns how many bytes it wrote. About 12 lines. What
# Linux does before, the limits and the rights, is done by the caller here.

# %% q06-5
# Your turn: 06.5
def xip_file_write(filp, buf, count, pos):
    mapping, memory = filp.f_mapping, filp.f_mapping.kernel.memory
    inode, written = mapping.host, 0
    # YOUR CODE HERE
    raise NotImplementedError()

# %% seen-06-5 [markdown]
# **See it.** One block of the disk is free, and 5,000 bytes are to be written behind the end. Press *Reset*
# and try others: into the hole at byte 4,100, over the end at byte 12,280.

# %% picture-06-5
experiment = driven(ReadWrite(), plug_write=xip_file_write)
experiment.fill(1)
experiment.put("write", "x" * 5000, 12288)
print(ReadWriteView(experiment))

# %% q06-5-check
print(xiplab.check("06.5", __file__))

# %% after [markdown]
# ## What to take with you
#
# - In place, read and write are one loop: find the piece, find the frame, copy once.
# - A hole is an answer, not a failure: zeros for a reader, a new block for a writer.
# - What is done counts. The error comes with the next call.
#
# Your two functions never asked for a frame of their own, and never for a page cache.

# %% nothing-cached
experiment = ReadWrite()
experiment.get("read", 12288, 0)
print(experiment.outcomes["in place"].frames, experiment.outcomes["page cache"].frames)
