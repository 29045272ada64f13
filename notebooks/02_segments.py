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
#     minutes: 40
# ---

# %% title [markdown]
# # What is a shared segment, and who may write it?
#
# In notebook 00 two guests saw the same byte, because both used one segment. Where does a segment come
# from? Who decides that two guests share it? And what if one of them writes?
#
# **You will be able to** make a segment, load it shared or as a copy, tell from its type who may write, and
# bring out a new version that disturbs nobody.
#
# **You need** notebook [01](01_copies.ipynb). **Time:** 40 minutes.

# %% recall [markdown]
# ## Three questions from before (2 minutes)
#
# Answer each one aloud, then open it.
#
# <details><summary>A file on a ramdisk was read through the page cache. How often do its bytes lie in
# memory, and what did the old ramdisk do about that?</summary>
# Twice: in the ramdisk and in the page cache. The old ramdisk kept only what was in the page cache.
# </details>
#
# <details><summary>Two guests have mapped the same page in place. How many frames hold it?</summary>
# One. Its number stands in two page tables.
# </details>
#
# <details><summary>Ten guests read the same file from ten disks, each through its page cache. What does
# that cost in frames?</summary>
# Ten frames for each page of the file: one copy in each guest.
# </details>

# %% words [markdown]
# ## Seven words (3 minutes)
#
# | word | meaning here |
# |---|---|
# | **CP** | the *control program*: the part of z/VM that makes guests and gives them storage |
# | **DCSS** | *discontiguous saved segment*, the full name of a segment: pages that CP keeps under a name |
# | **catalogue** | CP's list of all segments |
# | **spool** | CP's place on disk, where the contents of saved segments outlive a shutdown |
# | **to load** | to make a segment's pages part of a guest's storage |
# | **shared**, **exclusive** | two ways to load: on the segment's own frames, or on a copy |
# | **type** | two letters that say who has the pages, and what a guest may do with them |
#
# Why all this? One s390 computer can run hundreds of Linux guests. Each has the same programs and
# libraries, and each keeps a copy of its own in memory. z/VM has segments, which guests can share. So
# execute-in-place was first written for them: so that many guests share one copy of programs and libraries.

# %% build
import mmap

from xiplab import ZVM, KiB, MiB
from xiplab.course.experiments.protection import store_into_protected_page
from xiplab.course.experiments.segments import Segments
from xiplab.course.predict import predict, reveal
from xiplab.errors import ProgramInterruption
from xiplab.host import probe
from xiplab.linux.arch.s390 import extmem
from xiplab.widgets.segments import SegmentsView
from xiplab.zvm.diag64 import FINDSEGX, PURGESEG, encode_name

experiment = Segments()
print(experiment)

# %% hundred-words [markdown]
# How much does sharing save? Here are 30 guests with a library of 16 MiB. A machine that shares is beside
# one that does not. We count the frames that the library takes in all.

# %% hundred
def frames_of(guests, how):
    """The frames that one library takes when so many guests have loaded it."""
    vm = ZVM()
    vm.segment("LIBC", size=16 * MiB, type="SR")
    machines = [vm.logon(f"LINUX{n}", storage=2 * MiB) for n in range(guests)]
    before = vm.storage.used
    for machine in machines:
        extmem.segment_load(machine.kernel, "LIBC", how)
    return 16 * MiB // (4 * KiB) + vm.storage.used - before


for guests in (1, 3, 30):
    shared = frames_of(guests, extmem.SEGMENT_SHARED)
    copied = frames_of(guests, extmem.SEGMENT_EXCLUSIVE)
    print(f"{guests:2} guests: shared {shared:7,} frames, each with a copy {copied:7,}")

# %% hundred-check
assert shared == frames_of(1, extmem.SEGMENT_SHARED), "more guests, not one frame more"
assert copied == 31 * shared, "the original, and 30 copies"

# %% make [markdown]
# ## Make a segment (6 minutes)
#
# Two commands make a segment. DEFSEG says its name, its pages and its type. SAVESEG gives it contents: what
# the user who gives the command has at these addresses. Our commands come from MAINT, the user who
# maintains the system. MAINT has nothing there, so the contents are zeros.
#
# Page numbers are in base 16, as CP writes them. In base 16, the size of a page ends in three zeros, so the
# address of a page is its number with three zeros behind it.

# %% make-hex
print(f"a page has {4096:X} bytes; page {0x10200:X} begins at address {0x10200 * 4096:X}")

# %% make-predict
# Your turn: put "a", "b" or "c" in place of "skip", and run the cell.
predict("02.skeleton", "skip")

# %% make-run
answer = reveal("02.skeleton")
experiment.reset()
print(experiment.cp("DEFSEG DATA 10200-102FF SW"))
print(experiment.load("LINUX1", "DATA"))
answer

# %% make-words [markdown]
# ENOENT is Linux' number for *there is no such thing*. In the catalogue the new line has class S, for
# *skeleton*. Class A means *available*. Save it and look again.

# %% make-save
print(experiment.cp("SAVESEG DATA"))
print(experiment.cp("QUERY NSS MAP"))

assert experiment.load("LINUX1", "DATA").startswith("LINUX1 has loaded DATA")

# %% make-classes [markdown]
# The class says who can have a segment. **S** is a skeleton and **A** is available to all. **R** is
# restricted: only guests that z/VM's directory allows may load it. **P** comes later in this notebook.

# %% make-restricted
experiment.cp("DEFSEG SECRET 10300-103FF SR RSTD")
experiment.cp("SAVESEG SECRET")
print(experiment.catalogue()[-1].class_, experiment.load("LINUX1", "SECRET"))

assert experiment.load("LINUX1", "SECRET").startswith("EIO"), "restricted, and not allowed to LINUX1"

# %% load [markdown]
# ## Load it: shared, or a copy (6 minutes)
#
# ```
#   LINUX1's storage        LINUX2's storage
#   page 10000              page 10000            the same number in both
#        │                       │
#        ▼                       ▼
#   frame 8000              frame 8000            shared: one frame, that of the segment
#                           frame 8200            exclusive: a copy, taken at the load
# ```
#
# A guest takes page 10000 for real memory. It is not: CP has a table for each guest, and there stands the
# frame. So two guests can have the same frame at the same address, and neither notices.

# %% load-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("02.frames", "skip")

# %% load-run
answer = reveal("02.frames")
experiment.reset()
for guest in ("LINUX1", "LINUX2"):
    print(experiment.load(guest, "SHLIB"), "Frames taken:", experiment.taken)
print(experiment.reload("LINUX2", "SHLIB", "exclusive"))
print("Frames taken:", experiment.taken)
answer

# %% load-check
one, two = experiment.found("LINUX1", "SHLIB"), experiment.found("LINUX2", "SHLIB")
segment = experiment.catalogue()[0]

assert one.page == two.page, "both guests have it at the same address"
assert one.frame == segment.frame, "LINUX1 has the segment's own frame"
assert two.frame != segment.frame, "LINUX2 has a copy"
assert two.text == one.text, "until somebody stores, the copy is as good"

# %% write [markdown]
# ## Who may write? (9 minutes)
#
# Now the type. Its first letter says who has the pages: **S** shared, **E** exclusive. Its second letter
# says what a guest may do: **R** read, **W** read and write, **N** read and write but never saved, **C**
# read, while CP itself may write.

# %% write-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("02.store", "skip")

# %% write-try [markdown]
# Try it in the picture. Let both guests load SHLIB shared, choose LINUX1 and SHLIB, and press *Store*. Then
# do the same with BOARD, whose type is SW. Then load SHLIB exclusive in one guest, and store there.
#
# - **⇄** marks the segment's own frame, **‖** a copy, **⊘** what a guest may only read.
# - **●** marks what has changed. It stays for three steps.
# - *Ask CP* takes any command: try QUERY NSS MAP, or define and save a segment of your own.
# - Point at a frame, or go to it with the Tab key: all places that name the same frame light up.

# %% write-picture
SegmentsView(experiment)

# %% write-run
answer = reveal("02.store")
experiment.reset()
experiment.load("LINUX1", "SHLIB")
experiment.load("LINUX2", "SHLIB")
print(experiment.store("LINUX1", "SHLIB", "J"))
answer

# %% write-words [markdown]
# A *protection exception* is how the machine refuses a store. No part of Linux was asked. CP has marked the
# page as protected in its table, the hardware reads that mark at every store, and the store does not
# happen. Here is the same store without the picture around it.

# %% write-bare
storage = experiment.guests["LINUX1"].machine.memory
try:
    storage.span(0x10000000, 1, "store")[:] = b"J"
except ProgramInterruption as interruption:
    print(interruption)

assert bytes(storage.span(0x10000000, 1)) == b"A", "a load is allowed; the A is there"

# %% types [markdown]
# ### All seven types
#
# The next cell makes a segment of each type. LINUX1 and LINUX2 load it shared, and LINUX1 stores a letter.
# Linux gives each type a number. Look at the last bit of the numbers: what does it say?

# %% types-run
print("type  number  LINUX1 may write  LINUX2 sees it  the frame is")
for kind in ("SW", "EW", "SR", "ER", "SN", "EN", "SC"):
    experiment.reset()
    experiment.cp(f"DEFSEG DATA 10200-102FF {kind}")
    experiment.cp("SAVESEG DATA")
    experiment.load("LINUX1", "DATA")
    experiment.load("LINUX2", "DATA")
    experiment.store("LINUX1", "DATA", "J")
    one, two = experiment.found("LINUX1", "DATA"), experiment.found("LINUX2", "DATA")
    number = extmem.segment_type(experiment.guests["LINUX1"].kernel, "DATA")
    print(f"{kind:6}{number:<8}{'yes' if one.writable else 'no':18}"
          f"{'yes' if two.text[0] == 'J' else 'no':16}"
          f"{'a copy' if one.copy else 'shared'}")

# %% types-words [markdown]
# The last bit is 1 for the exclusive types. With those each guest has a copy even if it asks for the
# segment shared. A guest that loads *exclusive* may write its copy whatever the second letter is: what it
# does there is nobody else's business.
#
# Two letters are not in that table yet. With **C**, CP itself may store, and all guests see it. With **N**,
# nothing is ever saved: who loads the segment first finds zeros.

# %% types-more
experiment.vm.store("DATA", 0, b"CP was here")
print("SC:", experiment.found("LINUX1", "DATA").text, experiment.found("LINUX2", "DATA").text)

experiment.reset()
experiment.cp("DEFSEG DATA 10200-102FF SN")
experiment.cp("SAVESEG DATA")
experiment.load("LINUX1", "DATA")
experiment.store("LINUX1", "DATA", "Not for long")
experiment.save("LINUX1", "DATA")
print("SN before a restart:", experiment.found("LINUX1", "DATA").text)
experiment.restart()
experiment.load("LINUX1", "DATA")
print("SN after it:        ", experiment.found("LINUX1", "DATA").text)

# %% steps [markdown]
# ### Five steps
#
# Every experiment with a segment has the same five steps: **define, save, load, store, look**. Here they
# are for a library, which nobody may change.

# %% worked
library = Segments()
library.cp("DEFSEG TOOLS 10200-102FF SR")              # define
library.cp("SAVESEG TOOLS")                            # save
library.load("LINUX1", "TOOLS")                        # load, in both guests
library.load("LINUX2", "TOOLS")
print(library.store("LINUX1", "TOOLS", "J"))           # store
print(repr(library.found("LINUX2", "TOOLS").text))     # look

# %% faded-words [markdown]
# Now a place for messages: what LINUX1 writes, LINUX2 shall read. One thing is missing. Which type does it
# need?

# %% faded
# Your turn: change the type until LINUX2 sees the letter.
kind = "SR"

messages = Segments()
messages.cp(f"DEFSEG NOTES 10200-102FF {kind}")        # define
messages.cp("SAVESEG NOTES")                           # save
messages.load("LINUX1", "NOTES")                       # load, in both guests
messages.load("LINUX2", "NOTES")
messages.store("LINUX1", "NOTES", "J")                 # store
letter = messages.found("LINUX2", "NOTES").text[0]     # look
print("LINUX2 sees it." if letter == "J" else "Not yet.")

# %% keep [markdown]
# ## Keep it, and replace it (6 minutes)
#
# A store reaches frames. CP's spool on disk does not hear of it. To keep a change, a guest gives the two
# commands DEFSEG and SAVESEG again: a new file with the old name, filled from that guest's storage.
#
# What about those who still use the old one?

# %% keep-predict
# Your turn: "a", "b", "c" or "skip".
predict("02.save", "skip")

# %% keep-run
answer = reveal("02.save")
experiment.reset()
experiment.load("LINUX2", "SHLIB")
experiment.load("LINUX1", "SHLIB", "exclusive")
experiment.store("LINUX1", "SHLIB", "B")
experiment.save("LINUX1", "SHLIB")
print(experiment)
answer

# %% keep-words [markdown]
# There are two files called SHLIB now. The old one has class P, for *pending purge*: it waits for its last
# user. CP's command PURGE does the same, without a new version. Let LINUX2 go over to the new one.

# %% keep-follow
for line in (experiment.unload("LINUX2", "SHLIB"), experiment.load("LINUX2", "SHLIB")):
    print(line)
print([(entry.name, entry.class_, entry.text) for entry in experiment.catalogue()])

assert experiment.found("LINUX2", "SHLIB").text[0] == "B"

# %% restart-predict
# Your turn: "a", "b", "c" or "skip".
predict("02.restart", "skip")

# %% restart-run
answer = reveal("02.restart")
experiment.reset()
experiment.load("LINUX1", "BOARD")
experiment.load("LINUX2", "BOARD")
print(experiment.store("LINUX1", "BOARD", "Hi!"))
print(experiment.restart())
print([(entry.name, entry.text) for entry in experiment.catalogue()])
answer

# %% task-words [markdown]
# ### Your own: a new version
#
# Write the function `new_version`. It shall put letters at the start of SHLIB, so that they outlive a
# restart. LINUX2 has the old version loaded and must not be disturbed. You know the steps: load, store,
# save.

# %% task
def new_version(machine, letters):
    """Bring out a SHLIB that begins with `letters`."""
    # Your turn: two or three lines in place of pass
    pass


trial = Segments()
trial.load("LINUX2", "SHLIB")
new_version(trial, "Version two")
undisturbed = trial.found("LINUX2", "SHLIB").text == "A shared library"
print("LINUX2 was left in peace:", undisturbed)
trial.restart()
print("The new version is there after a restart:",
      any(entry.text.startswith("Version two") for entry in trial.catalogue()))

# %% task-answer [markdown]
# <details><summary>One way to do it</summary>
#
# ```python
# machine.load("LINUX1", "SHLIB", "exclusive")
# machine.store("LINUX1", "SHLIB", letters)
# machine.save("LINUX1", "SHLIB")
# ```
#
# Without *exclusive* the store would be refused, and the old text would be saved again.
# </details>

# %% wire [markdown]
# ## How a guest asks (3 minutes)
#
# Linux in a guest is a program like others to CP. It asks with an instruction, DIAGNOSE. The number X'64'
# means that it is about segments. A register holds the address of a name, another one what to do.
#
# Names travel in **EBCDIC**, the alphabet of these computers since 1964, eight bytes long. Python calls it
# `cp037`. The same name in your computer's alphabet, ASCII, looks quite different.

# %% wire-run
name = encode_name("shlib")
print("EBCDIC", name.hex(" "))
print("ASCII ", b"SHLIB   ".hex(" "))

machine = experiment.guests["LINUX1"].machine
machine.memory.view(0x1000, 8)[:] = memoryview(name)
condition, first, last = machine.diagnose(0x64, 0x1000, FINDSEGX)
print(f"condition code {condition}, from {first:X} to {last:X}")

# %% wire-words [markdown]
# Condition code 1 says: the segment exists, and this guest has not loaded it. The addresses come back in
# the registers. The picture above lists each such call of the last action.
#
# In Linux the file `extmem.c` makes these calls, with five functions: `segment_type`, `segment_load`,
# `segment_unload`, `segment_save` and `segment_modify_shared`. You have used all of them. The picture's
# buttons call them, and so does the disk driver of the next notebook.

# %% real [markdown]
# ## On your own computer (2 minutes)
#
# Your computer shares memory as well. A file of one page is mapped three times, in ways that match three of
# the types. Then a second Python stores into a page that it may only read.

# %% real-run
if why_not := probe.files() or probe.processes():
    print("Only the model runs here:", why_not)
else:
    with probe.file_of(b"A shared library") as file:
        readers = mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ)   # as SR
        writers = mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_WRITE)  # as SW
        own = mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_COPY)       # as exclusive
        writers[0:1], own[0:1] = b"J", b"X"
        print(readers[0:16], writers[0:16], own[0:16])
    print("A store into a protected page:", store_into_protected_page())
    assert readers[0:1] == writers[0:1] == b"J", "the reader sees the writer's store"
    assert own[0:1] == b"X", "the copy is apart"

# %% real-words [markdown]
# Model and computer agree. The readers see what the writer stored, the copy stays apart, and the hardware
# refuses the store. They differ in what comes next. z/VM's guest gets a protection exception. Your system
# ends the program with a signal, which is its name for the same thing. And your system makes the copy of a
# page at the first store. So does the real z/VM; our model copies all pages at the load.

# %% recall-end [markdown]
# ## Three questions to keep (2 minutes)
#
# <details><summary>A guest has loaded a segment of type SR shared. How can it change a byte of
# it?</summary>
# It cannot. It can load the segment exclusive, change its copy, and save that as a new version.
# </details>
#
# <details><summary>What is the difference between class A and class P?</summary>
# Both have contents. A file of class A can be loaded by anybody. A file of class P can no longer be loaded.
# It is there only for those who have it.
# </details>
#
# <details><summary>Two guests share a segment of type SW. Why is that as risky as a shared disk?</summary>
# Each sees the other's stores at once, also half of a change. Nothing tells them whose turn it is.
# </details>

# %% contract [markdown]
# ## What the next notebooks rely on (1 minute)
#
# The contract of this layer, as lines that run.

# %% contract-check
experiment.reset()
experiment.load("LINUX1", "SHLIB")
experiment.load("LINUX2", "SHLIB")
place = experiment.found("LINUX1", "SHLIB")
assert place.frame == experiment.found("LINUX2", "SHLIB").frame, "shared: one frame"
assert not place.writable, "SR: nobody writes"
assert experiment.taken == 0, "and no frame is taken"

experiment.reload("LINUX2", "SHLIB", "exclusive")
experiment.store("LINUX2", "SHLIB", "J")
assert place.text == experiment.found("LINUX1", "SHLIB").text, "exclusive: nobody else sees"

condition, *_ = machine.diagnose(0x64, 0x1000, PURGESEG)
assert condition == 1, "purge: this LINUX1 had not loaded it"
experiment.reset()

# %% next [markdown]
# **Now do** [exercise 02](../exercises/02_segments.ipynb). **Back:** [notebook 01](01_copies.ipynb).
# **Next:** [notebook 03](03_dcssblk.ipynb) makes a disk of a segment, so that a file system can lie there.
