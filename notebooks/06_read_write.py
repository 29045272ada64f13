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
#     minutes: 45
# ---

# %% title [markdown]
# # Reading and writing in place: where do the bytes go?
#
# A file in place can be mapped with no copy. But many programs never map a file: they call `read` and
# `write`. What is left of execute-in-place for them? And what does a call answer when it gets only half
# of the way?
#
# **You will be able to** follow a call through the layers on both sides, predict its copies and its answer,
# say what is safe on the storage and when, and write the loop of a read in place yourself.
#
# **You need** notebooks [00](00_start.ipynb), [01](01_copies.ipynb) and [05](05_get_xip_mem.ipynb).
# **Time:** 45 minutes.

# %% before [markdown]
# ## Three questions from before (2 minutes)
#
# <details><summary>Which question does get_xip_mem answer, and what if there is a hole?</summary>
# Where does page n of this file lie: its address, and its frame. For a hole it raises ENODATA, or takes a
# block first if it is asked to create.
# </details>
#
# <details><summary>How many copies does a second read of a cached page cost?</summary>
# One: from the page cache into the program's buffer. The device is not asked.
# </details>
#
# <details><summary>Why can the owner of a page cache be wrong about the device?</summary>
# It holds copies. Whoever changes the device behind its back leaves the copies as they are: stale.
# </details>

# %% words [markdown]
# ## Six words (2 minutes)
#
# | word | meaning here |
# |---|---|
# | **offset** | where in the file a call begins, counted in bytes |
# | **hole** | a page of a file behind which there is no block. It reads as zeros |
# | **get_xip_mem** | a file system's answer to: where does page n of this file lie? |
# | **table of operations** | the functions that an open file has: which one is its `read`, its `write`, ... |
# | **errno** | the number of an error, with a name: `ENOSPC` is “no space left” |
# | **trace** | the list of all functions that a call went through, with what each one answered |

# %% machine [markdown]
# ## The machine (2 minutes)
#
# LINUX1 has mounted two segments that hold the same image. On `/xip` it uses the option `xip`; on
# `/cache` it does not. That is the only difference. The file `story` has three pages, and page 1 is a hole.
#
# ```
#   program's buffer             program's buffer
#         ⇡ one copy                   ⇡ a copy
#         │                       page cache
#         │                            ⇡ a copy
#   segment XIP                  segment CACHE
#     /xip/story                   /cache/story
# ```

# %% build
import numpy as np

from xiplab import O_DIRECT, O_RDWR, O_SYNC, O_WRONLY
from xiplab.course.experiments import latency
from xiplab.course.experiments.read_write import SIDES, ReadWrite
from xiplab.course.predict import predict, reveal
from xiplab.host import calls
from xiplab.linux.fs.ext2.file import ext2_file_operations, ext2_xip_file_operations
from xiplab.linux.mm.filemap_xip_eras import xip_file_sendfile
from xiplab.units import PAGE_SIZE, KiB
from xiplab.widgets.plot import Line, Panel, Plot
from xiplab.widgets.read_write import ReadWriteView

experiment = ReadWrite()
print(experiment)

# %% read [markdown]
# ## Reading in place (6 minutes)

# %% read-predict
# Your turn: put "a", "b" or "c" in place of "skip", and run the cell.
predict("06.copies", "skip")

# %% read-try [markdown]
# Try it. **Get** makes the same call on both sides and draws the two traces, one step per line. Go through
# them with **Back** and **Next**: the counters show what had been copied until then. With **Put** you
# write. `readv` and `writev` use two buffers; try them later.

# %% read-picture
ReadWriteView(experiment)

# %% read-run
answer = reveal("06.copies")
experiment.reset()
experiment.get("read", 4096, 0)
print(experiment)
answer

# %% read-check
directly, cached = experiment.outcomes["in place"], experiment.outcomes["page cache"]
assert (directly.copied, directly.frames) == (4096, 0), "straight from the storage, and nothing is kept"
assert (cached.copied, cached.frames) == (8192, 1), "into a frame first, and the frame stays"
assert directly.data == cached.data, "the program cannot tell"

# %% read-hole [markdown]
# Now read 8,192 bytes: a page of data, and the hole. In place, `get_xip_mem` answers `ENODATA` for page 1.
# That is no error for a reader. The function `xip_file_read` knows it, and puts zeros into the buffer.

# %% read-hole-run
experiment.get("read", 8192, 0)
print(*experiment.outcomes["in place"].steps, sep="\n")
assert experiment.outcomes["in place"].data[4096:] == bytes(4096)
assert experiment.place("in place", 4096).block == 0, "a read leaves the hole a hole"

# %% write [markdown]
# ## Writing in place (6 minutes)

# %% write-predict
# Your turn: "a", "b", "c" or "skip".
predict("06.durable", "skip")

# %% write-run
answer = reveal("06.durable")
experiment.reset()
experiment.put("write", "Hello", 0)
for side in SIDES:
    print(side, experiment.place(side, 0))
answer

# %% write-check
segment = experiment.vm.segments["XIP"].mem
block = experiment.place("in place", 0).block
assert bytes(segment[block * PAGE_SIZE:][:5]) == b"Hello", "the storage itself holds it"
assert experiment.place("page cache", 0).dirty, "here the page cache holds it, and is dirty"
assert experiment.outcomes["in place"].copied == 5, "one copy, of five bytes"

# %% write-hole [markdown]
# ### A write into the hole
#
# A hole has no place to write to. So `xip_file_write` asks twice: *where is page 1?* `ENODATA`. *Create it,
# please.* The file system takes a free block and fills it with zeros. Then the write goes on as before.

# %% write-hole-run
experiment.put("write", "Hello", 4100)
print(*experiment.outcomes["in place"].steps, sep="\n")
assert experiment.place("in place", 4100).stored.startswith("Hello")

# %% write-sync [markdown]
# The trace shows one copy more: the map of free blocks was read into a cache. What *describes* a file goes
# through caches on both sides: its size, the list of its blocks, the map of free ones. `fsync` writes them
# back. Only the file's own bytes are in place.
#
# A surprise: with `O_SYNC` a program asks that each write be safe before it returns. `xip_file_write` does
# not look at it. The bytes are safe anyway; a new block's place in the list is not.

# %% write-sync-check
inode = experiment.filp("in place").f_inode
fd = experiment.guest.open("/xip/story", O_WRONLY | O_SYNC)
experiment.guest.pwrite(fd, b"safe?", 8192)
assert inode.i_dirty, "the inode waits to be written, O_SYNC or not"
experiment.fsync()
assert not inode.i_dirty

# %% names [markdown]
# ## What the text says, and what the code has (6 minutes)
#
# The kernel's own document on execute-in-place, `xip.txt`, lists operations for files in place: aio_read and
# aio_write, readv and writev, sendfile. *readv* fills several buffers by one call. *aio* starts a read and
# collects the answer later. *sendfile* moves bytes from one file to another.

# %% names-predict
# Your turn: "a", "b", "c" or "skip".
predict("06.list", "skip")

# %% names-run
answer = reveal("06.list")
experiment.reset()
for how in ("aio_read", "readv", "sendfile"):
    experiment.get(how, 5000, 0)
    print(f"{how:10}", experiment.results())
answer

# %% names-tables [markdown]
# Here are the tables themselves, as ext2 in Linux 3.6 has them. `do_sync_read` stands on the page cache's
# side. It makes a plain read out of an aio_read: start it, and wait.

# %% names-tables-run
for name in ("read", "write", "aio_read", "aio_write", "mmap", "splice_read"):
    pair = (getattr(table, name) for table in (ext2_xip_file_operations, ext2_file_operations))
    print(f"{name:12}", *(f"{operation.__name__ if operation else '–':25}" for operation in pair))

# %% names-change [markdown]
# A table is only a table. Give the open file the operations that `xip.txt` describes: `aio_read`, and
# around it `do_sync_read`. Nothing else changes, and aio works. This is how each layer of the kernel can be
# exchanged.

# %% names-change-run
experiment.as_described()
experiment.get("aio_read", 5000, 0)
print("aio_read", experiment.results())
experiment.get("read", 5000, 0)
print("read   ", *(step.name for step in experiment.outcomes["in place"].steps[:3]), sep=" → ")
assert experiment.outcomes["in place"].steps[0].name == "do_sync_read"

# %% names-sendfile [markdown]
# `sendfile` went the other way. Until 2.6.22 files in place had one of their own, which handed out pages
# where they lie. Then the call answered EINVAL, and since 2.6.31 Linux reads into pages of its own and
# copies on: the answer is right, the idea is lost.

# %% names-sendfile-run
pages = list(xip_file_sendfile(experiment.filp("in place"), 0, 4096))
assert np.shares_memory(np.frombuffer(pages[0], np.uint8), experiment.vm.segments["XIP"].mem), "no copy"
experiment.get("sendfile", 4096, 0)
print("sendfile of one page copies", experiment.outcomes["in place"].copied, "bytes")
assert experiment.outcomes["in place"].copied == 2 * 4096

# %% parts [markdown]
# ## When a call gets half of the way (6 minutes)
#
# `read` and `write` answer how many bytes they moved. It may be fewer than were asked for.

# %% parts-predict
# Your turn: "a", "b", "c" or "skip".
predict("06.partial", "skip")

# %% parts-run
answer = reveal("06.partial")
experiment.reset()
experiment.fill(1)
for text, offset in (("x" * 5000, 12288), ("x", 16384)):
    experiment.put("write", text, offset)
    print(experiment.sentence())
answer

# %% parts-check
assert experiment.size("in place") == 12288 + 4096, "the file has grown by what was written"
assert experiment.free("in place") == 0

# %% parts-read [markdown]
# A read comes short at the end of the file: ask for 100 bytes when 8 are left, and 8 come. At the end itself
# the answer is 0, and 0 means: the end.

# %% parts-read-run
experiment.reset()
for offset in (12280, 12288):
    experiment.get("read", 100, offset)
    print(experiment.sentence())

# %% buffer-predict
# Your turn: "a", "b", "c" or "skip".
predict("06.buffer", "skip")

# %% buffer-run
answer = reveal("06.buffer")
for side, (read, written) in experiment.broken_buffer(8192, usable=5000).items():
    print(f"{side:10}  read: {read}   write: {written}")
answer

# %% edges [markdown]
# ## Edges (4 minutes)
#
# Here is a surprise that was in Linux from 2.6.26 to 3.19.

# %% edges-predict
# Your turn: "a", "b", "c" or "skip".
predict("06.nothing", "skip")

# %% edges-run
answer = reveal("06.nothing")
experiment.reset()
experiment.get("read", 0, 4096)
print(experiment.sentence())
answer

# %% edges-rules [markdown]
# The rules around a write are the same on both sides, because both call one function for them. A file
# opened with `O_APPEND` is written at its end, whatever the offset. `RLIMIT_FSIZE` cuts a write short. And
# who writes to a program file that lends its owner's rights (*setuid*) takes these rights away from it.

# %% edges-rules-run
experiment.put("append", "The end", 0)
print(experiment.sentence(), experiment.size("in place"))
experiment.limit(100)
for text, offset in (("0123456789", 95), ("x", 100)):
    experiment.put("write", text, offset)
    print(experiment.sentence())

# %% edges-suid-run
experiment.reset()
guest = experiment.guest
guest.chmod("/xip/story", 0o4777)
editor = guest.process("editor")
editor.setuid(1000)
editor.pwrite(editor.open("/xip/story", O_WRONLY), b"x", 0)
print(oct(guest.stat("/xip/story").st_mode))
assert not guest.stat("/xip/story").st_mode & 0o4000, "the right is gone"

# %% edges-direct [markdown]
# `O_DIRECT` asks for transfers past the page cache. A file in place has none to pass. Opening it so is
# allowed, and changes nothing: the read is the same.

# %% edges-direct-run
fd = guest.open("/xip/story", O_RDWR | O_DIRECT)
print(guest.pread(fd, 7, 0))

# %% edges-switch [markdown]
# A surprise: a file that is open already cannot be switched to it. `open` is content with `get_xip_mem`, and
# `fcntl` asks for an operation called `direct_IO`, which files in place do not have. On the other side our
# model has none either, so even `open` refuses. Real ext2 has one there, which moves whole sectors.

# %% edges-switch-run
F_SETFL = 4                                             # fcntl: change the flags of an open file
for what, call in {
        "fcntl, in place": lambda: guest.fcntl(experiment.fds["in place"], F_SETFL, O_DIRECT),
        "open, page cache": lambda: guest.open("/cache/story", O_RDWR | O_DIRECT)}.items():
    try:
        print(what, call())
    except OSError as failure:
        print(what, "-", failure)

# %% speed [markdown]
# ## How long does it take? (3 minutes)
#
# The next cell reads the same file in three ways, in sizes from 1 KiB to 1 MiB, and draws the times. They are
# times of this model on your computer, so yours differ from anybody's. Look at the shape.

# %% speed-plot tags=["nbval-ignore-output"] xiplab={"why": "times differ; the next cell asserts the shape"}
times = latency.measure()
sizes = [size // KiB for size in latency.SIZES]
Plot([Panel("One read", "KiB", "microseconds", log=True,
            lines=[Line(path, sizes, [taken * 1e6 for taken in times[path]]) for path in latency.PATHS])],
     "For large sizes the first read through the page cache takes longest, and a read in place least.")

# %% speed-check
first, directly, again = (times[path][-1] for path in latency.PATHS)
assert directly < again < first, "1 MiB: in place, then cached, then read in first"

# %% speed-words [markdown]
# For a small read all three are alike where the page is cached: there is one copy, and the way to it
# counts. For large ones the page cache goes page by page, with two copies at the first time. In place a
# stretch of neighbouring frames is copied at once.

# %% yours [markdown]
# ## Your turn: the loop of a read (4 minutes)
#
# `xip_file_read` does three things for each page: find the piece, find the frame, copy. The first of them is
# arithmetic. Here is the piece of a read of 5,000 bytes at 4,000 that lies in the first page.

# %% yours-worked
pos, count = 4000, 5000
page, offset = pos // PAGE_SIZE, pos % PAGE_SIZE        # 1. find the piece: which page, where in it,
chunk = min(PAGE_SIZE - offset, count)                  #    and how much of it
print("page", page, "from byte", offset, "chunk", chunk)

# %% yours-gap-words [markdown]
# Now a loop over all pieces. One line is missing: after each piece, go on to the next one.

# %% yours-gap
# Your turn: put the missing line in place of `break`. Both pos and count change by chunk.
pos, count = 4000, 5000
while count:
    page, offset = pos // PAGE_SIZE, pos % PAGE_SIZE    # 1. find the piece
    chunk = min(PAGE_SIZE - offset, count)
    print("page", page, "from byte", offset, "chunk", chunk)
    break

# %% yours-own-words [markdown]
# And now the whole read, for `story`, which has a hole. `get_xip_mem(mapping, page, False)` gives
# `(kmem, pfn)`, or raises an `OSError` for a hole. `memory.span(kmem + offset, chunk)` is the storage itself.

# %% yours-own
mapping, memory = experiment.filp("in place").f_mapping, experiment.guest.kernel.memory
get_xip_mem = mapping.a_ops.get_xip_mem


def read_in_place(pos, count):
    # Your turn. 1. find the piece  2. find the frame (a hole: OSError)  3. copy, and go on
    return b""


right = experiment.guest.pread(experiment.fds["in place"], 5000, 4000)
print("right" if read_in_place(4000, 5000) == right else "not yet")

# %% yours-solution [markdown]
# <details><summary>One way to write it</summary>
#
# ```python
# def read_in_place(pos, count):
#     data = b""
#     while count:
#         page, offset = pos // PAGE_SIZE, pos % PAGE_SIZE      # 1. find the piece
#         chunk = min(PAGE_SIZE - offset, count)
#         try:
#             kmem, pfn = get_xip_mem(mapping, page, False)     # 2. find the frame
#             data += bytes(memory.span(kmem + offset, chunk))  # 3. copy, and go on
#         except OSError:
#             data += bytes(chunk)
#         pos, count = pos + chunk, count - chunk
#     return data
# ```
#
# The missing line above was `pos, count = pos + chunk, count - chunk`. Compare with `do_xip_mapping_read` in
# `xiplab/linux/mm/filemap_xip.py`. It also stops at the end of the file.
# </details>

# %% real [markdown]
# ## On your own computer (2 minutes)
#
# The same calls, on a file of your own with a hole in the middle. A full pipe plays the full disk: it takes
# what fits, and says how much.

# %% real-run
why_not = calls.unavailable()
print(*([f"Only the model runs here: {why_not}"] if why_not else calls.try_all()), sep="\n")

# %% real-words [markdown]
# Model and computer agree: holes read as zeros, reads come short at the end, and a write answers what it did.
# They differ in the quirk above: your kernel answers 0 for a read of nothing.

# %% recall [markdown]
# ## Three questions to keep (2 minutes)
#
# <details><summary>Which copy does a read in place save, and which not?</summary>
# It saves the one from the device into the page cache. The one into the program's buffer stays: that is what
# read is for. Only a mapping saves both.
# </details>
#
# <details><summary>After a write in place, what still needs an fsync?</summary>
# What describes the file: its size, its list of blocks, the map of free blocks. The bytes themselves are in
# the storage.
# </details>
#
# <details><summary>write() answered 4,096 of 5,000. What should a program do?</summary>
# Call again with the rest. If the obstacle is still there, that call gets the error.
# </details>

# %% contract [markdown]
# ## What the next notebooks rely on

# %% contract-check
machine = ReadWrite()
machine.get("read", 12288, 0)
here, there = (machine.outcomes[side] for side in SIDES)
assert here.data == there.data, "the same bytes"
assert here.frames == 0 < there.frames, "without a frame"
machine.put("write", "J", 0)
assert machine.place("in place", 0).stored[0] == "J" != machine.place("page cache", 0).stored[0]
a_ops = machine.filp("in place").f_mapping.a_ops
assert a_ops.get_xip_mem, "in place there is get_xip_mem"
assert not a_ops.readpage, "so there is no readpage"
assert not a_ops.writepage, "and no writepage"

# %% next [markdown]
# **Now do** [exercise 06](../exercises/06_read_write.ipynb). **Before:** [05](05_get_xip_mem.ipynb), from a
# page of a file to its frame. **Next:** [07](07_mmap.ipynb) maps files in place: faults, the
# sparse page, private copies, and two races.
