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
#     minutes: 25
# ---

# %% title [markdown]
# # Change one byte of storage: who sees it?
#
# A program can *map* a file. The file's bytes then look like the program's own memory.
# But which bytes are they: those of the storage, or a copy? Find out with one byte.
#
# **You will be able to** predict who sees a changed byte, tell a mapping of storage from a mapping of a
# copy, and say in one sentence what *execute-in-place* saves.
#
# **You need** Python. You need to know nothing of the inside of Linux. **Time:** 25 minutes.
#
# Run each cell with Shift+Enter, from the top. A cell that begins with `# Your turn` is yours to change.

# %% words [markdown]
# ## Seven words (3 minutes)
#
# | word | meaning here |
# |---|---|
# | **storage** | where a file's bytes stay when no program runs: a disk, or memory that keeps them |
# | **guest** | a computer made by software. One *z/VM* system runs many guests; ours all run Linux |
# | **segment** | a part of z/VM's memory with a name. Several guests can use it at once, as storage |
# | **page** | a piece of a file, or of a program's memory: 4,096 bytes |
# | **frame** | a piece of real memory that holds one page |
# | **page table** | a program's list that gives, for each of its pages, the number of a frame |
# | **page cache** | frames in which Linux keeps copies of file pages, so as not to ask the disk again |
#
# To *map* a file means that frame numbers come into the program's page table, each at the first touch of its
# page. From then on, each load of a byte goes through the table straight to a frame. Linux is not asked any
# more.

# %% machine [markdown]
# ## The machine (3 minutes)
#
# ```
#  LINUX1's program   LINUX2's program     LINUX3's program      each with a page table
#         │                  │                    │
#         │                  │              LINUX3's page cache   a copy
#         ▼                  ▼                    ⇡
#        segment SHLIB, one frame            disk sda             storage
# ```
#
# The file `/lib/greeting` lies on two storages: in the segment SHLIB, and on a disk of LINUX3.
# Three programs have mapped it, one in each guest.
#
# LINUX1 and LINUX2 use the segment with the option `xip`, which stands for *execute-in-place*.
# LINUX3 uses its disk in the usual way, through its page cache.
#
# This is a model, but not a drawing. Each layer of Linux that a byte passes is there, as Python that you can
# read. The bytes lie in real memory.

# %% build
import numpy as np

from xiplab.course.predict import predict, reveal
from xiplab.course.start import Experiment
from xiplab.host import native
from xiplab.tools.image import shipped_image
from xiplab.widgets.storage import StorageView

experiment = Experiment()
print(experiment)

# %% who [markdown]
# ## Who sees the byte? (6 minutes)
#
# Predict before you try. A wrong guess is worth more than none, because it tells you where to look.

# %% who-predict
# Your turn: put "a", "b", "c" or "d" in place of "skip", and run the cell.
predict("00.store", "skip")

# %% who-try [markdown]
# Now try it. Click a byte of the **segment**, type a letter, and press Enter.
# Without a mouse: press Tab until a byte of the segment has a frame. Move with the arrow keys, then type.
#
# - **●** marks a byte that has changed. It stays for three steps.
# - **≠** marks a byte that differs from the storage on its side.
# - **Step** lets one guest after the other load the byte. Follow the thick line.

# %% who-picture
StorageView(experiment)

# %% who-python [markdown]
# Whatever you do in the picture you can also write: *Show the Python for this* gives you the calls.
# The picture itself is drawn by one short file, which begins like this:

# %% who-source
print(*StorageView.source().splitlines()[:12], sep="\n")

# %% who-store [markdown]
# The next cell puts all bytes back and stores one. Watch the picture above while you run it.

# %% who-run
answer = reveal("00.store")
experiment.reset()
experiment.store(0x000, ord("J"))
print(experiment)
answer

# %% who-words [markdown]
# A picture can be wrong. The next lines stop with an error if what it shows is not so.
# `text1`, `text2` and `text3` are the three mappings. An index loads one byte, as the program would.

# %% who-check
assert experiment.segment[0] == ord("J"), "the segment holds the new byte"
assert experiment.platter[0] == ord("J"), "the disk holds it too"

assert experiment.text1[0] == ord("J"), "LINUX1's program sees it"
assert experiment.text2[0] == ord("J"), "LINUX2's program sees it"
assert experiment.text3[0] != ord("J"), "LINUX3's program does not"

# %% same [markdown]
# ### Equal bytes, or the same bytes?
#
# A good copy has equal bytes as well. LINUX1 and LINUX2 have more than that: they have the *same* bytes, one
# frame that stands in two page tables. NumPy can tell, because the frames are real memory.

# %% same-check
frame1, frame2, frame3 = experiment.text1.frame(), experiment.text2.frame(), experiment.text3.frame()

assert np.shares_memory(frame1, experiment.segment), "LINUX1's frame is the segment's own"
assert np.shares_memory(frame1, frame2), "and it is LINUX2's"
assert not np.shares_memory(frame3, experiment.platter), "LINUX3's frame is a copy"

# %% cost [markdown]
# ## What did it cost? (4 minutes)
#
# At the first touch of a mapped page, the page table has no frame for it yet. The machine tells Linux; this
# is a *page fault*. Linux finds a frame and enters its number, and the program goes on.
#
# Where does Linux find that frame?

# %% cost-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("00.cost", "skip")

# %% cost-run
answer = reveal("00.cost")
print(*experiment.counters(), sep="\n")
answer

# %% cost-check
in_place1, in_place2, cached = experiment.counters()

assert in_place1.copied == in_place2.copied == 0, "a mapping in place copies nothing"
assert in_place1.frames == in_place2.frames == 0, "and needs no frame of the guest"
assert (cached.copied, cached.frames) == (4096, 1), "the page cache holds one copy of the page"

# %% layers [markdown]
# ### The way down
#
# The layers of Linux call each other through tables of operations. Here are the calls of each guest's first
# touch: a table, a dot, the operation. The names are those of the real Linux, version 3.6.

# %% layers-run
for guest in experiment.guests:
    print(f"{guest.name}: {' → '.join(experiment.first_touch[guest])}")

# %% layers-words [markdown]
# In the first two lines stands `direct_access`. It asks the device: *in which frame does this block lie?*
# A segment can answer, because it is memory. A disk cannot.
#
# In the third line stands `readpage`. It has the disk copy the page into a new frame. Nothing connects that
# frame with the disk afterwards.

# %% change [markdown]
# ## Change it (5 minutes)
#
# Here is a guest of your own, LINUX4. It has a disk and a page cache, as LINUX3 has.
# `cat` reads a whole file.

# %% change-build
linux4 = experiment.vm.logon("LINUX4")
disk = linux4.add_disk("sda", shipped_image())
linux4.mount("/dev/sda", "/mnt", "ext2", "ro")
print(linux4.cat("/mnt/lib/greeting")[:5])

# %% change-predict
# Your turn: "a", "b", "c" or "skip".
predict("00.again", "skip")

# %% change-run
answer = reveal("00.again")
disk.private_data.platter[experiment.position] = ord("J")
second = linux4.cat("/mnt/lib/greeting")[:5]
print(second)
answer

# %% change-words [markdown]
# To see the new byte, LINUX4 must give up its copy. Ending the mount does that: the page cache of the
# mount goes with it.

# %% change-cure
linux4.umount("/mnt")
linux4.mount("/dev/sda", "/mnt", "ext2", "ro")
third = linux4.cat("/mnt/lib/greeting")[:5]
print(third)

assert second[1:] == third[1:]
assert second[0] != third[0] == ord("J")

# %% real [markdown]
# ## On your own computer (2 minutes)
#
# So far three guests were a model. The frames are not: they are memory of this Python process, and your
# computer's own hardware can put them into the page table of another process.
#
# The next cell starts a second Python. It maps the frames of `/lib/greeting` and waits. Then this Python
# stores a byte into the segment, and the second one tells what it sees.

# %% real-run
why_not = native.alone()
experiment.reset()
if why_not:
    print("Only the model runs here:", why_not)
else:
    with native.Peer(experiment.text1.vma.vm_file) as other:
        before = other.read(0, 5)
        experiment.store(0x000, ord("J"))
        after = other.read(0, 5)
    print("The other process saw", before, "and then", after)
    assert after[0] == ord("J") != before[0]

# %% real-words [markdown]
# Model and computer agree: one store, no message, no copy, and the other process sees it. They differ in
# speed: your computer's hardware goes through its page table in nanoseconds.

# %% recall [markdown]
# ## Three questions to keep (2 minutes)
#
# Answer each one aloud, then open it.
#
# <details><summary>Somebody changes a byte on LINUX3's disk. Does its program see it? Why?</summary>
# No. Its page table names a frame of the page cache, and that frame is a copy. Whoever changes the
# disk behind LINUX3's back leaves the copy as it is.
# </details>
#
# <details><summary>A hundred guests map the same page in place. How many frames hold it?</summary>
# One. Each guest adds a page table entry, not a frame. Through page caches it would be a hundred frames,
# and a hundred copies.
# </details>
#
# <details><summary>Why can a disk not answer direct_access?</summary>
# The question is in which frame a block lies. A disk's blocks lie in no frame: no address of memory leads to
# them. Their bytes have to be copied into a frame first.
# </details>
#
# And the sentence? *Execute-in-place saves the copy: it maps the storage itself, so there is one frame for
# all, and nothing that could be out of date.*

# %% contract [markdown]
# ## What the next notebooks rely on
#
# Each notebook ends with a contract: facts that the next one builds on, as lines that run.

# %% contract-check
experiment.reset()
for offset, value in ((0x000, 0x4A), (0x7FF, 0x00), (0xFFF, 0xFF)):
    before = experiment.text3[offset]
    experiment.store(offset, value)
    assert experiment.text1[offset] == experiment.text2[offset] == value, "in place: seen at once"
    assert experiment.text3[offset] == before, "page cache: the copy stays as it is"

assert [cost.faults for cost in experiment.counters()] == [1, 1, 1], "one fault each; stores cost none"
assert sum(cost.copied for cost in experiment.counters()) == 4096, "one copy in all, LINUX3's"
experiment.reset()

# %% next [markdown]
# **Next:** in [exercise 00](../exercises/00_start.ipynb) you write `direct_access` yourself, and a mount runs
# on it. [Notebook 01](01_copies.ipynb) asks why the page cache holds copies, what they cost, and what the
# ramdisk's trick was.
