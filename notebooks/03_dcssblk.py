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
#     minutes: 42
# ---

# %% title [markdown]
# # How does a segment become a disk?
#
# In notebook 02 guests loaded segments. But programs do not know segments. They know files, files lie in a
# file system, and a file system lies on a disk. So something must make a segment look like a disk. And if
# it does so, how can a program still get at the segment itself, without copies?
#
# **You will be able to** make a disk of segments, change and save it, ask it where its bytes lie, and write
# the function that answers.
#
# **You need** notebook [02](02_segments.ipynb). **Time:** 42 minutes.

# %% recall [markdown]
# ## Three questions from before (2 minutes)
#
# Answer each one aloud, then open it.
#
# <details><summary>A guest has loaded a segment of type SR shared, and stores a byte there. What
# happens?</summary>
# A protection exception. The machine refuses the store, and nobody sees a change.
# </details>
#
# <details><summary>Why does Linux keep copies of a disk's pages in a page cache?</summary>
# Because the way to a disk takes so long. What was read once shall not be fetched again.
# </details>
#
# <details><summary>What was the answer of direct_access in notebook 00?</summary>
# In which frame a block of the storage lies. A disk cannot answer that.
# </details>

# %% words [markdown]
# ## Eight words (3 minutes)
#
# | word | meaning here |
# |---|---|
# | **disk** | for Linux: a row of sectors that can be read and written. Its full name is *block device* |
# | **sector** | 512 bytes of a disk; they are numbered from 0 |
# | **driver** | the part of Linux that knows one kind of disk. That for segments is called **dcssblk** |
# | **bio** | an order to a driver: copy these sectors into these frames, or back |
# | **address** | where a byte of memory is: a number that counts from the start of the guest's storage |
# | **release** | what a driver is told when the last program has closed the disk |
# | **errno** | the number by which Linux says why it refuses; each has a name, such as ENOENT |
# | **log** | lines in which Linux notes what it did, and why not |

# %% build
import errno
import os
from mmap import ACCESS_READ, mmap

from xiplab import ZVM, MiB
from xiplab.course.experiments.devices import ROOT, Devices, flash_of
from xiplab.course.predict import predict, reveal
from xiplab.host import probe
from xiplab.linux.drivers.dcssblk import dcssblk_direct_access
from xiplab.linux.drivers.mtd.mtdcore import mtd_point
from xiplab.linux.fs.block_dev import bdev_direct_access
from xiplab.tools.image import shipped_image
from xiplab.widgets.devices import DevicesView

experiment = Devices()

# %% make [markdown]
# ## Make a disk (7 minutes)
#
# z/VM has three segments here: APPS of type SR, then PART1 and PART2 of type SW. They lie one behind the
# other, 1 MiB each. LINUX1 has an ordinary disk as well, sda.
#
# The driver has files, below `/sys/devices/dcssblk`. They lie on no disk: to write into one is to tell the
# driver something. In a shell you would type `echo part1 > /sys/devices/dcssblk/add`.

# %% make-run
print(experiment.echo("part1", "add"))
print(*experiment.log, sep="\n")
for name in ("seglist", "shared", "save"):
    print(f"PART1/{name}:", experiment.file(f"PART1/{name}"))

disk = experiment.disks()[-1]
assert disk.name == "dcssblk0", "the disk's name in /dev"
assert disk.sectors == 1 * MiB // 512, "and how many sectors it has"

# %% make-words [markdown]
# `shared` says 1: the guest has loaded the segment shared. `save` says 0: no save is pending. We come back
# to both.

# %% add-predict
# Your turn: put "a", "b", "c" or "d" in place of "skip", and run the cell.
predict("03.add", "skip")

# %% add-run
answer = reveal("03.add")
experiment.reset()
print(experiment.echo("PART2:PART1", "add"))
disk = experiment.disks()[-1]
print(disk.name, disk.folder, disk.sectors)
print(experiment.stored("dcssblk0", 0), experiment.stored("dcssblk0", 2048), sep="| ")
answer

# %% refuse [markdown]
# ### Eight ways to be refused
#
# A good driver says no, and says why. Before you run the cell, guess the reason for each line. Then add a
# line of your own.

# %% refuse-run
experiment.reset()
for text in ("nosuch", "APPS:PART2", "APPS:PART1", "", "part1:", "averylongname",
             "part1", "part1"):
    print(experiment.echo(text, "add"))
experiment.open("dcssblk0")
print(experiment.echo("part1", "remove"))

# %% refuse-words [markdown]
# A name has 1 to 8 letters. Strangely, one that is too short is called *too long*: ENAMETOOLONG is what the
# real driver answers. EINVAL: there is a gap, or the types do not go together. EEXIST: PART1 is a disk
# already. EBUSY: somebody has it open.

# %% ask [markdown]
# ## Two ways to the bytes (9 minutes)
#
# ```
#    a program of LINUX1
#      │            │
#      │ bio        │ direct_access: "where is sector 0?"  →  an address
#      ▼            ▼
#    a frame      the segment's own frame
#    with a copy
# ```
#
# A bio is the way that every disk knows. It names sectors and a piece of memory, and the driver copies. A
# page is the least that dcssblk copies, so the first sector of a bio must be a multiple of 8.
#
# **direct_access** is the other way. It is an operation of the driver, and it copies nothing. It answers
# where a sector lies in memory, and the caller goes there by itself.

# %% copy-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("03.copy", "skip")

# %% copy-try [markdown]
# Try it in the picture:
#
# 1. Press *echo*: part1 becomes a disk. Then open dcssblk0.
# 2. Press *Read sector 0*. A bio copies the page. Then press *direct_access(0)*.
# 3. Let LINUX2 store into PART1, and compare the three lines under *The first bytes of a page*.
# 4. Choose sector 8, then sector 4, then 2048: click the number, and press *direct_access* each time.
#
# In the list of the driver's files a click on `shared` or `save` writes the other value.

# %% copy-picture
experiment.reset()
DevicesView(experiment)

# %% copy-run
answer = reveal("03.copy")
experiment.reset()
experiment.echo("part1", "add")
experiment.open("dcssblk0")
print(experiment.read("dcssblk0", 0), "Bytes copied:", experiment.copied)
print(experiment.direct_access("dcssblk0", 0), "Bytes copied:", experiment.copied)
print(experiment.other("PART1", "K"), "Bytes copied:", experiment.copied)
print("by the bio:    ", experiment.copy.text)
print("at the address:", experiment.held_text())
answer

# %% copy-check
assert experiment.copy.text.startswith("PART1"), "the copy is as old as the bio"
assert experiment.held_text().startswith("KART1"), "the address names the segment"

kernel = experiment.linux1.kernel
bdev = experiment.bdev("dcssblk0")
kaddr, pfn = bdev_direct_access(bdev, 8)
assert bytes(kernel.memory.view(kaddr, 12)) == b"PART1 page 1", "sector 8: the second page"
assert pfn == kaddr // 4096, "a frame number counts pages, an address counts bytes"
print(type(bdev).__name__, bdev)
print(f"sector 8: address {int(kaddr):#x}, frame {pfn:#x}")

# %% copy-words [markdown]
# So the call has two arguments. In the kernel's C they are a `struct block_device` and a `sector_t`. A
# reference to the block device says which disk, and a sector number says which block of it. The answer is
# an address that the processor can use at once for loads and stores.
#
# What does the operation *not* do? It does not ask whether you want to read or to write.

# %% rights
experiment.reset()
experiment.echo("apps", "add")
experiment.open("dcssblk0")
print(experiment.direct_access("dcssblk0", 0))
print(experiment.write("dcssblk0", 0, "J"))
print(experiment.store("J"))

# %% rights-words [markdown]
# APPS has type SR. A bio that writes is refused by the driver: EIO, and a line in the log. The address is
# given all the same. Only the machine protects the page, and whoever maps it must take care of the rest.

# %% contract-words [markdown]
# ## Until when? (5 minutes)
#
# An address is only a number. You can note it on a sheet of paper. But what does the driver promise about
# it?

# %% release-predict
# Your turn: "a", "b", "c" or "skip".
predict("03.release", "skip")

# %% release-run
answer = reveal("03.release")
experiment.reset()
experiment.echo("part1", "add")
experiment.open("dcssblk0")
experiment.open("dcssblk0")
print(experiment.direct_access("dcssblk0", 0))
for _ in range(2):
    print(experiment.close("dcssblk0"))
    print(experiment.load())
answer

# %% release-words [markdown]
# After the first close the address still holds, because the disk was open twice. The second close is the
# last one. Then the driver's release runs, and the promise ends.
#
# The promise in one line: **direct_access gives a reference that the processor can use, and it remains
# valid until the release.** A mounted file system keeps the disk open, so it can rely on its addresses.
#
# ### And sectors that are not there?

# %% limits
experiment.reset()
experiment.echo("part1", "add")
experiment.open("dcssblk0")
for sector in (0, 8, 4, 2040, 2048, 10_000):
    print(experiment.direct_access("dcssblk0", sector))

# %% change [markdown]
# ## shared and save (5 minutes)
#
# How do you change what lies on a disk that many guests read? Notebook 02 gave the plan: take a copy,
# change it, save it under the old name. The driver has a file for each step.
#
# - `echo 0 > APPS/shared` loads the segment again, as a copy that may be written.
# - `echo 1 > APPS/save` saves it.

# %% save-predict
# Your turn: "a", "b", "c" or "skip".
predict("03.save", "skip")

# %% save-run
answer = reveal("03.save")
experiment.reset()
experiment.echo("apps", "add")
print(experiment.echo("0", "APPS/shared"))
experiment.open("dcssblk0")
experiment.write("dcssblk0", 0, "A new version")
print(experiment.echo("1", "APPS/save"), *experiment.log)
print("LINUX1 reads:       ", experiment.stored("dcssblk0", 0))
print("a new guest gets:   ", bytes(experiment.vm.segments["APPS"].mem[:13]).decode())
print(experiment.close("dcssblk0"), *experiment.log)
print("a new guest gets:   ", bytes(experiment.vm.segments["APPS"].mem[:13]).decode())
answer

# %% save-words [markdown]
# Now `echo 1 > APPS/shared` would bring the saved version, shared again. While the disk is open, `shared`
# answers EBUSY: the bytes would be exchanged under the program's hands.

# %% none [markdown]
# ## A disk that has no direct_access (3 minutes)
#
# The operation is optional. In Linux 3.6 only three drivers had it; dcssblk was the first. Each driver has
# a table of its operations, and where it has none, the table says so.

# %% none-table
experiment.reset()
experiment.echo("part1", "add")
for disk in experiment.linux1.kernel.disks.values():
    found = disk.fops.direct_access
    print(f"{disk.disk_name:9} {disk.fops.name:16}", found.__name__ if found else None)

# %% none-predict
# Your turn: "a", "b", "c" or "skip".
predict("03.none", "skip")

# %% none-run
answer = reveal("03.none")
linux9 = ZVM().logon("LINUX9")
linux9.add_disk("sda", shipped_image())
linux9.mount("/dev/sda", "/mnt", "ext2", "ro,xip")
print(*linux9.dmesg, sep="\n")
linux9.cat("/mnt/etc/motd")
print("frames of the page cache:", linux9.frames["page cache"])
answer

# %% own [markdown]
# ## Your own direct_access (4 minutes)
#
# Whoever fills the place in the table is asked. The function below does it in four steps: **device, page,
# limit, place**. It also prints what it was asked, so that you can watch a file system at work.

# %% worked
def watched(bdev, sector):
    """The same answers as dcssblk's own function, and a line for each."""
    info = bdev.bd_disk.private_data               # device: which segment?
    if sector % 8:                                 # page: does one begin here?
        raise OSError(errno.EINVAL, f"sector {sector} is not the start of a page")
    kaddr = info.start + sector * 512
    if kaddr + 4095 > info.end:                    # limit: is all of it inside?
        raise OSError(errno.ERANGE, f"sector {sector} is behind the end")
    print(f"  asked for sector {sector:3}: address {kaddr:#x}")
    return kaddr, kaddr // 4096                    # place: address and frame number

# %% worked-guest
def motd_through(direct_access):
    """Put a direct_access into the table, mount a file system on it, read a file."""
    vm = ZVM()
    vm.segment("SHLIB", size=2 * MiB, type="SR")
    vm.load("SHLIB", shipped_image())
    guest = vm.logon("LINUX1")
    guest.echo("shlib", f"{ROOT}/add")
    guest.plug("dcssblk0", direct_access=direct_access)
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    return guest.cat("/mnt/etc/motd")


print(motd_through(watched).decode())

# %% faded-words [markdown]
# The file's one page was asked for once. Here is the function again with a gap. Its last step gives the
# same address for every sector. Mend it.

# %% faded
def place(bdev, sector):
    info = bdev.bd_disk.private_data               # device
    if sector % 8:                                 # page
        raise OSError(errno.EINVAL, f"sector {sector} is not the start of a page")
    kaddr = info.start                             # Your turn: something is missing
    if kaddr + 4095 > info.end:                    # limit
        raise OSError(errno.ERANGE, f"sector {sector} is behind the end")
    return kaddr, kaddr // 4096                    # place


motd = motd_through(place)
print("It works." if motd.startswith(b"This file") else "Not yet: another page came.")

# %% task-words [markdown]
# Now from the start, with the same four steps, and without looking. The next cell compares your answers
# with the driver's own.

# %% task
def direct_access(bdev, sector):
    """Your turn: device, page, limit, place."""
    return 0, 0

# %% task-check
def answer_of(function, sector):
    """What a direct_access answers: two numbers, or the name of an errno."""
    try:
        return tuple(int(number) for number in function(bdev, sector))
    except OSError as refusal:
        return errno.errorcode[refusal.errno]


experiment.reset()
experiment.echo("part1", "add")
bdev = experiment.bdev("dcssblk0")
same = [answer_of(direct_access, sector) == answer_of(dcssblk_direct_access, sector)
        for sector in (0, 8, 2040, 4, 2048)]
print(f"{sum(same)} of {len(same)} answers are the driver's.")

# %% task-answer [markdown]
# <details><summary>One way to do it</summary>
#
# The function `watched` above without its line `print`. The driver's own is in the file
# `xiplab/linux/drivers/dcssblk_io.py`; type `dcssblk_direct_access??` into a cell of your own to read it.
# </details>

# %% mtd [markdown]
# ### An alternative: memory technology devices
#
# Flash memory is no block device in Linux, but a *memory technology device*, MTD. It has an operation like
# direct_access, called `point`. Notebook 09 is about flash; here is just the call.

# %% mtd-run
vm = ZVM()
guest = vm.logon("LINUX1")
flash = flash_of(guest, at=0x8000000)
length, address, physical = mtd_point(flash, 4096, 4096)
print(f"{length} bytes from {address:#x} on")

# %% real [markdown]
# ## On your own computer (1 minute)
#
# Real disks are for administrators, but a file shows the same two ways. `os.pread` copies, as a bio does. A
# mapping gives the place.

# %% real-run
if why_not := probe.files():
    print("Only the model runs here:", why_not)
else:
    with probe.file_of(b"PART1 page 0") as file:
        copy = os.pread(file.fileno(), 12, 0)
        place_of_it = mmap(file.fileno(), 4096, access=ACCESS_READ)
        os.pwrite(file.fileno(), b"K", 0)
    print("the copy:", copy, " at the address:", place_of_it[:12])
    assert copy.startswith(b"P")
    assert place_of_it[:1] == b"K"

# %% real-words [markdown]
# Model and computer agree: the copy stays old, the place does not. They differ in what the place is. On
# your computer it is a frame of the page cache, in the model it is the storage itself.

# %% recall-end [markdown]
# ## Three questions to keep (2 minutes)
#
# <details><summary>What does direct_access return, and for how long is it good?</summary>
# The address of the page that holds a sector, and the number of its frame. Until the release, that is
# until the last opener has closed the disk.
# </details>
#
# <details><summary>Both sides of a bio are memory. Why is it slower than direct_access all the
# same?</summary>
# It copies every byte. direct_access computes one address, whatever is done with the page afterwards.
# </details>
#
# <details><summary>A disk is open, and somebody writes 1 into its file save. When is it saved, and by
# whom?</summary>
# At the last close, by the driver's release.
# </details>

# %% contract [markdown]
# ## What the next notebooks rely on (1 minute)
#
# The contract of this layer, as lines that run.

# %% contract-check
experiment.reset()
experiment.echo("part1:part2", "add")
experiment.open("dcssblk0")
bdev = experiment.bdev("dcssblk0")
for page in (0, 1, 255, 256, 511):
    kaddr, pfn = bdev_direct_access(bdev, page * 8)
    there = bytes(experiment.linux1.kernel.memory.view(kaddr, 16)).decode()
    assert there == experiment.stored("dcssblk0", page * 8), "it leads to the page"
    assert pfn * 4096 == kaddr, "and the frame number says the same"
    assert kaddr == 0x10100000 + page * 4096, "pages lie one behind the other"

experiment.close("dcssblk0")
assert "ENXIO" in experiment.direct_access("dcssblk0", 0), "no promise to who has not opened"
experiment.reset()

# %% next [markdown]
# **Now do** [exercise 03](../exercises/03_dcssblk.ipynb). **Back:** [notebook 02](02_segments.ipynb).
# **Next:** [notebook 04](04_ext2.ipynb) looks for a file's bytes on such a disk.
