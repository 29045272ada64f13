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
# # Where does execute-in-place end?
#
# The text that came with execute-in-place has a last part, called *Shortcomings*. It has three sentences.
# Each one names a place where storage cannot simply be mapped. See why, with one machine for each sentence.
#
# **You will be able to** predict what a mapping of a busy flash chip shows, explain why direct_access needs
# memory with a lasting address, and count what loading a module copies.
#
# **You need** notebooks 00 to 08. **Time:** 45 minutes.

# %% before [markdown]
# ## Before you start (3 minutes)
#
# Three questions about earlier notebooks. Answer each one aloud, then open it.
#
# <details><summary>Notebook 08: a program's data lies in the segment. When does a guest get a copy?
# </summary>
# At the first store into a page. Data is mapped privately: until the store, the page is the segment's own
# frame. The store copies that one page.
# </details>
#
# <details><summary>Notebook 07: who is asked when a program loads from a page that it has touched before?
# </summary>
# Nobody. The page table has the frame, and the hardware goes there. Linux and the driver do not take part.
# </details>
#
# <details><summary>Notebook 05: what are the two answers of get_xip_mem, and who needs which?</summary>
# A kernel address and a frame number. read() and write() copy through the address. A page fault puts the
# frame into the page table.
# </details>

# %% words [markdown]
# ## Seven words (4 minutes)
#
# | word | meaning here |
# |---|---|
# | **kernel address** | where Linux itself finds a frame. Programs do not need it: they have page tables |
# | **lowmem** | frames that have a kernel address for good |
# | **highmem** | frames that have none. A machine with 32-bit addresses has more memory than addresses |
# | **kmap slot** | a kernel address lent to a frame of highmem. `kmap` takes one, `kunmap` gives it back |
# | **NOR flash** | a chip that keeps its bytes without power and can be read like memory |
# | **erase block** | the part of a flash chip that is erased at once: all its bits become 1 |
# | **module** | a piece of the kernel that is loaded later, from a file |
#
# The next cell builds three machines, one for each sentence.

# %% build
import numpy as np

from xiplab import Recording
from xiplab.course.experiments.flash import LOG, Flash
from xiplab.course.experiments.highmem import PAGES, SLOTS, Highmem
from xiplab.course.experiments.modules import FILE, Loading
from xiplab.course.predict import predict, reveal
from xiplab.widgets.flash import FlashView
from xiplab.widgets.highmem import HighmemView
from xiplab.widgets.modules import LoadingView

ramdisk, flash, loading = Highmem(), Flash(), Loading()
print(ramdisk, flash, loading, sep="\n")

# %% highmem [markdown]
# ## Addressable at all times (10 minutes)
#
# > This implementation is limited to storage devices that are cpu addressable at all times
# > (no highmem or such).
#
# Here is a ramdisk whose pages lie in highmem. Linux 2.6.25 had such a driver for a short time.
# A file of twelve pages lies on it. It is mounted with `xip`, and a program has mapped it.
#
# ```
#  program ──► page table ──► frame               needs the frame
#  read()  ──► kernel address ──► frame ──► copy  needs the address
# ```

# %% highmem-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("09.address", "skip")

# %% highmem-picture
HighmemView(ramdisk)

# %% highmem-try [markdown]
# A click on a page calls `read()` for it. *Load* loads from the mapping. The next cell does both for page 3.

# %% highmem-run
answer = reveal("09.address")
ramdisk.reset()
ramdisk.read(3)
print(ramdisk)
ramdisk.load(3)
print(ramdisk)
answer

# %% highmem-check
reading, loaded = ramdisk.outcomes

assert loaded.right, "the mapping shows the file"
assert not reading.right, "read() gives other bytes"
assert not reading.error, "and nobody says so"
assert ramdisk.address(3) == 0, "because the frame has no kernel address"

# %% slots [markdown]
# ### Lend it an address?
#
# A frame of highmem can get a kmap slot. This machine has eight. So a second driver takes one, whenever
# direct_access asks for a page:
#
# ```
# def direct_access_with_kmap(bdev, sector):
#     _, pfn = brd_direct_access(bdev, sector)
#     return kmap(bdev.bd_disk.kernel, pfn), pfn
# ```

# %% slots-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("09.slots", "skip")

# %% slots-run
answer = reveal("09.slots")
ramdisk.driver("kmap")
for page in range(PAGES):
    ramdisk.read(page)
    outcome = ramdisk.outcomes[-1]
    print(f"page {page:2}: {outcome.error or outcome.data.decode()}")
answer

# %% slots-check
right = [outcome.right for outcome in ramdisk.outcomes]

assert right == [True] * SLOTS + [False] * (PAGES - SLOTS), "as many pages as kmap slots"
assert None not in ramdisk.slots(), "and every kmap slot is taken for good"

# %% slots-words [markdown]
# `EDEADLK` is the model's way to say: here Linux would sleep, and nobody is left to wake it.
#
# The driver cannot give a kmap slot back. direct_access has no second half, so nobody says when the address
# is no longer in use. Its promise holds until the device is released. Only memory with a kernel address
# *for good* can keep it.
#
# s390 has no highmem: there every frame has its own address as kernel address. A segment gets one when it is
# loaded. That is why segments were the first storage for execute-in-place.

# %% lowmem-run
ramdisk.driver("lowmem")
for page in range(PAGES):
    ramdisk.read(page)

assert all(outcome.right for outcome in ramdisk.outcomes), "lowmem: all pages, no kmap slot"
assert ramdisk.slots() == [None] * SLOTS
print(ramdisk)

# %% flash [markdown]
# ## Flash that is written (15 minutes)
#
# > It works well on rom/ram, but enhancements are needed to make it work with flash in read+write mode.
#
# A NOR flash chip can be read like memory, at every address. So a file system on it can be mounted in place.
# Here blocks 0 to 7 hold one, and a program runs from it. Blocks 8 to 15 hold a log that is written.
#
# Writing needs commands. A command is a number that is stored to the chip; the chip then works on its own.

# %% flash-picture
FlashView(flash)

# %% and [markdown]
# ### Programming
#
# To *program* means to make ones into zeros. An erased byte is 0xff.

# %% and-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("09.and", "skip")

# %% and-run
answer = reveal("09.and")
flash.reset()
flash.program(0x000, 0xF0)
flash.program(0x000, 0x0F)
print(f"The byte holds {flash.log_cells()[0]:#04x}.")
answer

# %% and-check
for value in (0x00, 0x5A, 0xFF):
    before = flash.log_cells()[0]
    flash.program(0x000, value)
    assert flash.log_cells()[0] == before & value, "programming is AND"

flash.erase(LOG // 0x8000)
flash.wait(600)
assert set(flash.log_cells()) == {0xFF}, "an erase makes all bits of the block 1"

# %% busy [markdown]
# ### While the chip is busy
#
# A chip that programs or erases is *busy*. It has a *status*: a byte that says whether it is done.
# The program from block 1 goes on running meanwhile.

# %% busy-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("09.busy", "skip")

# %% busy-run
answer = reveal("09.busy")
flash.reset()
print("before:", flash.sees())
flash.erase(9)
print("busy:  ", flash.sees())
flash.wait(600)
print("done:  ", flash.sees())
answer

# %% busy-words [markdown]
# The bytes `00 80` are the status: bit 0x80 says that the chip is ready. Even then it goes on giving its
# status, until it gets the command *read array*.
#
# A program would take these bytes for its code, and crash. No fault, no error, no call: a load through a page
# table asks nobody. Linux cannot even notice.

# %% busy-check
assert flash.cells() != flash.sees(), "the mapping does not show the cells"
assert flash.sees() == bytes.fromhex("0080") * 8, "it shows the status: ready"
assert flash.cells().startswith(b"A program"), "the cells themselves are whole"

# %% driver [markdown]
# ### The driver's way out
#
# A reader who *calls* can be helped. `read()` of the log goes through the flash driver. The driver suspends
# the erase, reads, and lets it go on. Here are its commands.

# %% driver-run
flash.reset()
flash.program(0x010, 0x4A)
flash.erase(9)
flash.read(0x010)
print(flash)
print(" → ".join(command for _, command in flash.cycles))

# %% driver-check
assert [command for _, command in flash.cycles][:1] == ["suspend"]
assert flash.chip.running is not None, "the erase goes on"
assert flash.sees() != flash.cells(), "and the mapping is as wrong as before"

# %% pointed [markdown]
# ### Point: a promise with an end
#
# The text names an alternative to direct_access: *memory technology devices*, which is Linux's name for
# flash. Their `point` is like direct_access with an end. From point to unpoint, the flash driver promises
# that loads give the cells. A mount in place can point the whole chip until it is unmounted.

# %% pointed-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("09.pointed", "skip")

# %% pointed-run
answer = reveal("09.pointed")
flash.reset()
flash.mount("pointed")
flash.erase(9)
flash.wait(60_000)
print(flash)
answer

# %% pointed-check
assert flash.sees() == flash.cells(), "the program sees its code, a minute later"
assert flash.chip.running is None, "and nothing was erased"

flash.mount("page cache")
flash.wait(1)
assert flash.chip.running is not None, "after the unmount the erase begins"
assert flash.sees() == flash.cells(), "a copy in the page cache stays whole"

# %% pointed-words [markdown]
# So there are three ways, and each gives something up.
#
# | mount | the program | the writer | copies |
# |---|---|---|---|
# | in place | sees the status | writes | none |
# | in place, pointed | sees its code | waits | none |
# | page cache | sees its code | writes | one of each page |
#
# In place *and* written: for that, whoever writes would have to stop every program first. These are the
# *enhancements* of the sentence. Linux has some for its own code in flash, and none for programs.

# %% modules [markdown]
# ## The kernel and its modules (8 minutes)
#
# > Putting the Linux kernel and/or its modules on a xip filesystem does not mean they are not copied.
#
# The kernel itself is loaded before any file system exists. A module comes later. The program `insmod` reads
# its file and hands it to the kernel. Here the file lies in a segment that two guests have mounted in place.

# %% modules-predict
# Your turn: "a", "b", "c" or "skip".
predict("09.insmod", "skip")

# %% modules-picture
LoadingView(loading)

# %% modules-run
answer = reveal("09.insmod")
loading.reset()
loading.insmod("LINUX1")
for what, nbytes in loading.copies["LINUX1"].items():
    print(f"{what:18} {nbytes:5,} bytes")
answer

# %% modules-check
assert len(loading.copies["LINUX1"]) == 3, "three copies"
frames = loading.guests["LINUX1"].frames
assert frames["vmalloc"] == 1, "into a frame of the kernel's own"

segment = loading.vm.segments["MODULES"].mem
running = loading.code("LINUX1")
assert not np.shares_memory(running, segment), "what runs is not the segment"
assert np.shares_memory(loading.file_code(), segment), "though the file lies there"

# %% patch [markdown]
# ### Why not run it where it lies?
#
# To *patch* code means to fill in its addresses, once it is known where the code will lie. In the picture,
# patched bytes have the mark ≠.

# %% patch-predict
# Your turn: "a", "b", "c" or "skip".
predict("09.patch", "skip")

# %% patch-run
answer = reveal("09.patch")
loading.insmod("LINUX2")
print("file:  ", bytes(loading.file_code()[-6:]).hex(" "))
for name in ("LINUX1", "LINUX2"):
    print(f"{name}:", bytes(loading.code(name)[-6:]).hex(" "))
answer

# %% patch-check
stored = loading.file_code()
code1, code2 = loading.code("LINUX1"), loading.code("LINUX2")

assert (stored != code1).any(), "LINUX1's kernel has patched it"
assert (stored != code2).any(), "LINUX2's kernel, too"
assert (code1 != code2).any(), "and not in the same way"

# %% patch-words [markdown]
# The last instruction jumps to `printk` in the kernel. It holds the distance from here to there, and the two
# kernels have put the module at different addresses. One frame cannot hold both distances.
#
# Programs avoid this: their text is made so that nothing in it must be patched. That is what made sharing
# possible in notebook 08.

# %% count [markdown]
# ## Count copies yourself (3 minutes)
#
# Counting has three steps, each time: **record**, **do**, **count**. Here they are for a mapping.

# %% count-worked
guest = loading.guests["LINUX1"]

with Recording() as recording:              # record
    mapping = guest.mmap(guest.open(FILE))  # do
    mapping[0]
print(f"mapped: {recording.bytes_copied} bytes copied")   # count

# %% count-faded
# Your turn: put guest.cat(FILE), which reads the whole file, in place of None.
with Recording() as recording:              # record
    None                                    # do
print(f"read: {recording.bytes_copied} bytes copied")        # count

# %% count-own
# Your turn: record, do and count loading.insmod("LINUX1"). First loading.rmmod("LINUX1") takes the
# module away again.
print("loaded:", "skip")

# %% real [markdown]
# ### On your own computer
#
# A computer with Linux lists its modules, with the memory of each. All of it is memory of the kernel's own,
# whatever file system the files lie on.

# %% real-run tags=["nbval-ignore-output"] xiplab={"why": "the modules of the computer that runs this"}
try:
    with open("/proc/modules") as lines:
        sizes = [int(line.split()[1]) for line in lines]
    print(f"{len(sizes)} modules, {sum(sizes):,} bytes of memory")
except OSError:
    print("This computer does not tell about its modules.")

# %% recall [markdown]
# ## Three questions to keep (2 minutes)
#
# <details><summary>Why does direct_access have to answer with two numbers?</summary>
# The frame goes into page tables, the kernel address is for the kernel's own copying. Neither follows from
# the other: a frame of highmem has no kernel address at all.
# </details>
#
# <details><summary>Why does a disk driver get by with waiting, and flash in place does not?</summary>
# A driver can make those wait who call it. A program that runs in place calls nobody. It loads, and the chip
# answers with whatever its mode is.
# </details>
#
# <details><summary>A module's file is mapped in place by a program. Is that of any use to the kernel?
# </summary>
# No. The kernel loads a module by copying, and patches the copy. The mapping shows the file as it is stored,
# with zeros where addresses belong.
# </details>

# %% contract [markdown]
# ## What the next notebook relies on
#
# Storage for execute-in-place needs three properties. Each shortcoming lacks one.

# %% contract-check
ramdisk.driver("lowmem")
ramdisk.read(11)
assert ramdisk.address(11) != 0, "1: an address for good"
assert ramdisk.outcomes[-1].right

flash.reset()
assert flash.sees() == flash.cells(), "2: loads give what is stored ..."
flash.erase(9)
assert flash.sees() != flash.cells(), "... at all times, which flash does not"

assert loading.patched("LINUX1") != [], "3: bytes that all can use as they are"

# %% next [markdown]
# **Now do** [exercise 09](../exercises/09_shortcomings.ipynb). **Before:** [notebook 08](08_execute.ipynb)
# ran programs from a segment. **Next:**
# [notebook 10](10_after.ipynb) asks what came after execute-in-place, and runs the experiment on your own
# computer's memory.
