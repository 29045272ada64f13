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
# # What came after execute-in-place, and does your own computer do it?
#
# Linux 4.0 took execute-in-place out and put *DAX* in. The idea stayed, the code did not. See what was wrong,
# and then do without any model: run the first experiment of this course on your computer's own memory.
#
# **You will be able to** explain what DAX changed and why, map scattered storage as one array, and read from
# Linux's own counters what several processes share.
#
# **You need** notebooks 00 to 09. **Time:** 43 minutes.

# %% before [markdown]
# ## Before you start (3 minutes)
#
# Three questions about earlier notebooks. Answer each one aloud, then open it.
#
# <details><summary>Notebook 09: why must a device for execute-in-place have addresses for good?</summary>
# Nobody says when the address that direct_access gave out is no longer used. It has to hold until the device
# is released.
# </details>
#
# <details><summary>Notebook 08: which pages of a program get a frame of their own in each guest?</summary>
# Those that it stores into: data, after the first store, and stack and zeroed memory from the start. Its text
# stays in the segment.
# </details>
#
# <details><summary>Notebook 05: what does get_xip_mem answer for a hole?</summary>
# The error ENODATA, unless its third argument allows it to allocate a block.
# </details>

# %% words [markdown]
# ## Six words (3 minutes)
#
# | word | meaning here |
# |---|---|
# | **DAX** | *direct access*: what took the place of execute-in-place in Linux 4.0 |
# | **race** | two things at once, where the result depends on which one is first |
# | **truncate** | to make a file shorter. The blocks behind its new end become free |
# | **extent** | pages of a file that lie in a row on the storage, too |
# | **Rss** | the memory in a process's page table, shared or not |
# | **Pss** | the same, but a frame that four processes have counts as a quarter for each |

# %% build
from xiplab.course.experiments import after, own_computer
from xiplab.course.predict import predict, reveal
from xiplab.course.sentences import where_each_sentence_is_shown
from xiplab.host import code, native
from xiplab.host.native import PROT_EXEC, PROT_READ, Peer
from xiplab.host.sharing import bill
from xiplab.units import MiB
from xiplab.widgets.own_computer import OwnComputerView
from xiplab.widgets.plot import Line, Panel, Plot

experiment = own_computer.OwnComputer()
print(native.alone() or experiment)

# %% wrong [markdown]
# ## What was wrong (13 minutes)
#
# Two kernels look at the same image here. `"xip"` has the tables of Linux 3.6, `"dax"` those of Linux 4.1.
# Everything below the tables is the same.
#
# ### A race
#
# A page fault has two steps: Linux looks the block up, then it enters the frame into the page table.
# Something may happen in between.

# %% race-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("10.race", "skip")

# %% race-run
answer = reveal("10.race")
for era in after.ERAS:
    seen = after.race(era)
    print(f"{era}: the program", f"sees {seen}" if seen else "gets a signal, SIGBUS")
answer

# %% race-steps [markdown]
# This is a hole in the walls between programs: a reader sees a file that it may not open. It needs bad luck,
# and attackers have patience. Here are the steps, one by one, in the old kernel.

# %% race-watch
guest = after.boot("xip")
text = guest.mmap(guest.open(after.FILE))
fault = after.fault_in_steps("xip", text, page=2)

print(next(fault), "- in the page table:", text.pfn(2))
guest.truncate(after.FILE, 4096)
print("truncated to", guest.stat(after.FILE).st_size, "bytes")
print(next(fault), "- in the page table:", hex(text.pfn(2)))

# %% race-words [markdown]
# DAX looks at the size a second time, under a lock that truncate takes as well. One of the two always sees
# the other. Either the fault sees the new size, or truncate sees the new entry and removes it.

# %% race-check
assert after.race("xip") == b"a secret.", "the old kernel shows another file's bytes"
assert after.race("dax") == b"", "DAX sends a signal"

# %% time [markdown]
# ### A store that nobody sees
#
# Programs like `make` and backups trust a file's time of modification.

# %% time-predict
# Your turn: "a", "b" or "c", or "skip".
predict("10.time", "skip")

# %% time-run
answer = reveal("10.time")
for era in after.ERAS:
    print(f"{era}: the time follows the store: {after.store(era)}")
answer

# %% lookups [markdown]
# ### One question for each page
#
# The old operations ask for one page at a time. In 4.0, direct_access also gets a length. It answers how many
# bytes lie in a row. Here is one `read()` of a file of eight pages.

# %% lookups-run
for era in after.ERAS:
    print(era)
    for operation, times in sorted(after.read_file(era).items()):
        print(f"   {times} × {operation}")

# %% lookups-check
old, new = after.read_file("xip"), after.read_file("dax")

assert old["dcssblk_devops.direct_access"] == after.PAGES, "one question per page"
assert new["dcssblk_devops.direct_access_run"] == 1, "one question for all of them"
assert not any("get_xip_mem" in name for name in new), "get_xip_mem is gone"

assert after.load_hole("xip") == 1, "a load from a hole took a block"
assert after.load_hole("dax") == 0, "it takes none any more"

# %% changes [markdown]
# ### The list
#
# | execute-in-place | what came of it | DAX |
# |---|---|---|
# | the fault looks at the size once | a freed block stays mapped | looks again, under truncate's lock |
# | stores are not noticed | the file's time is wrong | pages are protected until the first store |
# | a load from a hole may allocate | reading fills the disk | only stores allocate |
# | one page for each question | slow for large files | direct_access has a length |
# | get_xip_mem, an operation of its own | hard to add to ext4 and XFS | `get_block`, which all have |
#
# And what is in a frame number? direct_access answered in three ways:
#
# | Linux | its answer | so a mapped page |
# |---|---|---|
# | 2.6.13 to 2.6.25 | an address | had to have a *struct page*, Linux's record of a frame |
# | 2.6.26 to 3.19 | an address and a frame number | needs no record: any memory will do |
# | from 4.0 | the same, and a length | later must have a record again, so that disks can read into it |
#
# The last line is why dcssblk was in danger: a segment has no such records. The limits of notebook 09 stayed.

# %% own [markdown]
# ## Your own computer (15 minutes)
#
# Now no model takes part. The segment is memory of this Python. Your computer's *MMU* is the part of the
# processor that goes through page tables. Linux on your computer fills those in.
#
# The file has twelve pages, in three places of the segment. Each *process* is another Python.

# %% own-predict
# Your turn: "a", "b", "c" or "skip".
predict("10.see", "skip")

# %% own-picture
OwnComputerView(experiment)

# %% own-run
answer = reveal("10.see")
experiment.reset()
experiment.store(0x000, ord("J"))
print(native.alone() or experiment)
answer

# %% own-check
seen = [row.sees[0] for row in experiment.rows()]

if not native.alone():
    assert bytes(seen) == b"JJH", "two see it, the third has a copy"
assert len(experiment.extents()) == 3, "twelve pages, three places"

# %% array [markdown]
# ### One array out of three places
#
# `native.map_file` does for this Python what those processes did. Using it takes three steps: **open** the
# file, **map** its extents, **look**.

# %% array-worked
for page, offset, pages in experiment.extents():
    print(f"{pages} pages from {page} on: at page {offset // 4096} of the storage")

way = native.gather if native.alone() else native.map_file
filp = own_computer.open_file(experiment.guest)     # open
array = way(filp)                                   # map
print(array[16380:16402].tobytes())                 # look

# %% array-words [markdown]
# The last line looks across the end of page 3. In the array, page 4 follows, wherever it lies.

# %% array-faded
# Your turn: gather copies. Put native.map_file in its place, and see the new byte.
filp = own_computer.open_file(experiment.guest)     # open
array = native.gather(filp)                         # map
experiment.store(0x001, ord("!"))
print(array[:5].tobytes())                          # look

# %% array-own
# Your turn: open the file, map it with writable=True, and store a byte into your array.
# Then look at experiment.storage().
print("skip")

# %% memory [markdown]
# ### What does it cost?
#
# Linux counts for each process. The file has 16 MiB now.

# %% memory-predict
# Your turn: "a", "b", "c" or "skip".
predict("10.pss", "skip")

# %% memory-run
answer = reveal("10.pss")
if not native.alone():
    large = own_computer.file_in_place(16 * MiB)
    in_place, copied = bill(large, 8), bill(large, 8, copied=True)
    for name, shares in (("in place", in_place), ("a copy each", copied)):
        rss, pss = shares[-1].rss >> 10, shares[-1].pss >> 10
        print(f"8 processes, {name:11}: Rss {rss:3} MiB, Pss {pss:3} MiB")
answer

# %% memory-words [markdown]
# Rss is the same in both lines, so it cannot tell sharing from copying. Pss can. In place it stays below
# 16 MiB, because this Python has the frames as well and is charged the rest.

# %% memory-plot
def line(name, shares, what):
    mib = [getattr(share, what) / 1024 for share in shares]
    return Line(name, [share.processes for share in shares], mib)


def plot():
    rss = [line("both ways", copied, "rss")]
    pss = [line("a copy each", copied, "pss"), line("in place", in_place, "pss")]
    return Plot([Panel("Rss: counted for each process", "processes", "MiB", rss),
                 Panel("Pss: divided among them", "processes", "MiB", pss)],
                "1 to 8 processes on a file of 16 MiB. Rss: one line for both ways, up to "
                "128 MiB. Pss: copies up to 128 MiB, in place below 16.")


None if native.alone() else plot()

# %% memory-check
if not native.alone():
    assert in_place[-1].rss == copied[-1].rss == 8 * 16 * 1024, "Rss: no difference"
    assert copied[-1].pss == 8 * 16 * 1024, "Pss: eight copies"
    assert in_place[-1].pss <= 16 * 1024, "Pss: one file"

# %% code [markdown]
# ### Execute, in place
#
# The last experiment takes the name at its word. The cell below lets another process of your computer
# **execute** a few bytes that lie in the segment. They are machine code of your own processor, and do nothing
# but return a number. A wrong byte would end that process, and nothing else.

# %% code-predict
# Your turn: "a", "b", "c" or "skip".
predict("10.code", "skip")

# %% code-run
answer = reveal("10.code")
if not code.unavailable():
    experiment.guest.pwrite(experiment.fd, code.returning(42), 0)
    with Peer(experiment.filp, PROT_READ | PROT_EXEC) as other:
        first = other.call(0)
        experiment.guest.pwrite(experiment.fd, code.returning(43), 0)
        second = other.call(0)
    assert (first, second) == (42, 43), "it executes what lies in storage"
print(code.unavailable() or f"The process returned {first} and then {second}.")
experiment.reset()
answer

# %% agree [markdown]
# ### Where model and computer agree, and where not
#
# They agree in what is shared, what is copied, and when a change shows. They differ in three things.
# Your computer takes nanoseconds where the model takes microseconds. The model counts every copy, and your
# computer only counts frames. And your computer's page tables belong to Linux: this Python asks with `mmap`.

# %% sentences [markdown]
# ## Where each sentence is shown (3 minutes)
#
# Linux came with a text on execute-in-place, Documentation/filesystems/xip.txt. Here is what each of its
# sentences says, in other words, and where this course shows it.

# %% sentences-run
where_each_sentence_is_shown()

# %% map [markdown]
# ## The whole way (3 minutes)
#
# ```
#   a byte of a program                                    00 who sees it?
#        │
#   page table ───────────────────── 07 mmap ───────────── 08 execute
#        │                              │                     │
#   xip_file_read, write, fault ──── 06 read-write            │
#        │                                                    │
#   get_xip_mem ──────────────────── 05                       │
#        │                                                    │
#   ext2: which block? ───────────── 04                       │
#        │                                                    │
#   direct_access: which frame? ──── 03 dcssblk               │
#        │                                                    │
#   a segment of z/VM ────────────── 02 ◄─────────────────────┘ the processor takes it from here
#        │
#   a frame                          01 without all this: copies
#                                    09 where it ends        10 what came after
# ```

# %% recall [markdown]
# ## Three questions to keep (3 minutes)
#
# <details><summary>Why is it not enough to check the size of the file before the look-up?</summary>
# The file can be cut off after that. The block is free then, and the page table is about to name its frame.
# The check has to be made again, when truncate cannot come between any more.
# </details>
#
# <details><summary>How can Linux notice a store, if stores go through the page table alone?</summary>
# By protecting the page. Then the first store is a page fault, and the fault is Linux's. Further stores are
# not noticed.
# </details>
#
# <details><summary>Eight processes map the same 16 MiB, and Rss says 128 MiB. Is that wrong?</summary>
# No. Each process has 16 MiB in its page table. Only the sum is of no use, because the frames are the same.
# Pss divides each frame among its users, so its sum is the memory that is taken.
# </details>

# %% contract [markdown]
# ## What stays
#
# The last contract is that of the whole course.

# %% contract-check
segment = experiment.guest.vm.segments["SHLIB"].mem
first_page = experiment.guest.mmap(experiment.fd).frame(0)
position = bytes(segment).index(b"Hello from this computer")

segment[position] = ord("J")
assert first_page[0] == ord("J"), "the guest's mapping is the segment"
assert experiment.storage()[0] == ord("J"), "so is what read() copies from"
if not native.alone():
    mine = native.map_file(experiment.filp)
    assert mine[0] == ord("J"), "and so is this computer's own mapping"
experiment.reset()

# %% next [markdown]
# **Now do** [exercise 10](../exercises/10_after.ipynb). **Before:** [notebook 09](09_shortcomings.ipynb)
# showed where execute-in-place ends. **Next:** this was the last one. In the
# [capstone](../exercises/11_capstone.ipynb), functions of your own run a program that nobody has copied.
