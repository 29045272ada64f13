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
# # Running a program from the segment, in many guests: what is shared, what is copied?
#
# The name is *execute*-in-place. So let us execute. Programs for the processor s390x lie in a segment, and
# two guests run them at once. Which frames do the guests share, and for which does each of them pay?
#
# **You will be able to** follow a program instruction by instruction, say whose each of its frames is, change
# its instructions for all guests at once, and read a memory bill.
#
# **You need** notebooks [02](02_segments.ipynb) and [07](07_mmap.ipynb).
# **Time:** 45 minutes.

# %% before [markdown]
# ## Three questions from before (2 minutes)
#
# <details><summary>Notebook 07: a task stores into a private mapping in place. What happens?</summary>
# A fault. Linux copies the page into a frame of the task's own, and the store goes there. The file keeps its
# bytes.
# </details>
#
# <details><summary>Notebook 06: what does a read in place copy, and where from?</summary>
# Only the bytes that were asked for, from the storage into the program's buffer. There is no copy between
# the two.
# </details>
#
# <details><summary>Notebook 02: two guests load a segment of type SR. How many copies are there?</summary>
# None. Both have the segment's frames in their storage, and neither may store there.
# </details>

# %% words [markdown]
# ## Nine words (3 minutes)
#
# | word | meaning here |
# |---|---|
# | **text** | the instructions of a program |
# | **rodata** | its constants: read, never stored |
# | **data** | variables that begin with a value. The value stands in the file |
# | **bss** | variables that begin as zero. The file has nothing for them |
# | **stack** | arguments, and the variables of a function while it runs |
# | **register** | a place for a number in the processor. There are sixteen, r0 to r15 |
# | **exec** | the system call that gives a task a program |
# | **to disassemble** | to write bytes down as the instructions that they are |
# | **page table frame** | a frame that holds a part of a page table; each task needs some |
#
# The first five are *areas* of a program: ranges of its addresses, each of one kind.

# %% machine [markdown]
# ## The machine (3 minutes)
#
# Segment PROGRAMS holds an ext2 file system with small programs. LINUX1 and LINUX2 have mounted it with the
# option `xip`. Both have started the program `counter`, which adds one to three variables and writes them.
#
# ```
#   page table of LINUX1          segment PROGRAMS          page table of LINUX2
#     text, rodata ────────────►    text, rodata    ◄──────────── text, rodata
#     data ───► own frame  ◄─ copy ── data ── copy ─►  own frame ◄─── data
#     stack ──► own frame                              own frame ◄── stack
# ```
#
# In the picture, **Execute** lets a program run its next instruction. Point at a row of instructions: the
# frame that holds it lights up in the page tables of both guests, and so do its bytes in the segment.

# %% build
import numpy as np

from xiplab.course.experiments.bill import GUESTS, PRIVATE, memory_bill
from xiplab.course.experiments.execute import Execute
from xiplab.course.predict import predict, reveal
from xiplab.host import code, emulator, native
from xiplab.hw.asm import disassemble
from xiplab.linux.fs.open import fget
from xiplab.linux.include.mm import PROT_EXEC, PROT_READ
from xiplab.units import offset_in_page
from xiplab.widgets.bill import plot
from xiplab.widgets.execute import ExecuteView

experiment = Execute()
ExecuteView(experiment)

# %% start [markdown]
# ## Before the first instruction (4 minutes)
#
# `counter` has been started in both guests, and has not run yet. Answer before you look at the page tables.

# %% start-predict
# Your turn: put "a", "b" or "c" in place of "skip", and run the cell.
predict("08.start", "skip")

# %% start-run
answer = reveal("08.start")
experiment.reset()
print(*experiment.programs["LINUX1"].maps(), "", experiment, sep="\n")
answer

# %% start-words [markdown]
# The first list is what exec has made: areas, with the part of the file that belongs to each. It is a plan.
# The second list is the page table: what is there. Two pages are, and Linux has stored into both of them.
# No instruction of the program is in memory that LINUX1 owns, and none will be.

# %% step [markdown]
# ## Instruction by instruction (5 minutes)
#
# The processor fetches an instruction from the frame that the page table names. For the first one there is
# no entry: a fault, as for any other page of a mapped file. Then the instruction is executed from storage.

# %% step-run
for _ in range(7):
    experiment.execute("LINUX1")
    print(experiment.sentence())

# %% step-next
for instruction in experiment.ahead("LINUX1"):
    print(instruction)

# %% step-words [markdown]
# Left the address, then the bytes, then what they mean. Watch the registers in the picture as you go on.
# When the program calls `exit`, it is stopped there, so that its memory can still be seen.

# %% step-end
for guest in ("LINUX1", "LINUX2"):
    experiment.run(guest)
    print(experiment.sentence())
print(experiment)

# %% step-check
segment = experiment.vm.segments["PROGRAMS"].mem
for guest in ("LINUX1", "LINUX2"):
    memory = experiment.guests[guest].kernel.memory
    for page in experiment.pages(guest):
        in_place = page.kind in ("text", "rodata")
        assert np.shares_memory(memory.frame(page.pfn), segment) == in_place

# %% step-own [markdown]
# Text and rodata are frames of the segment: the same number in both guests is the same frame. Data, bss and
# stack are each guest's own. There, the same number means nothing, because each guest counts its own
# frames. So both programs count to the same numbers and do not disturb each other.

# %% data [markdown]
# ## The first store into data (4 minutes)
#
# The data of `counter` had been copied before we could look: bss begins in the same page, and Linux cleared
# it. To see the copy being made, take a program without bss. `jump` has two instructions: the first puts the
# address of its data into r1. The second jumps there, which is a mistake that we come back to.
#
# Put other instructions behind the first: load the variable, add 1, store it, exit.

# %% data-assemble
experiment.reset()
after_first = experiment.entry("jump") + 6
experiment.assemble(after_first, """
        lg   %r3,0(%r1)         # load the variable
        aghi %r3,1              # add 1
        stg  %r3,0(%r1)         # store it
        svc  248                # exit
""")
print(experiment.sentence())

# %% data-load
experiment.start("LINUX1", "jump")
experiment.execute("LINUX1", 2)
print(experiment)

# %% data-store
experiment.execute("LINUX1", 2)
print(experiment)

# %% data-check
data = next(page for page in experiment.pages("LINUX1") if page.kind == "data")
assert (data.shared, data.writable) == (False, True), "after the store: a copy of LINUX1's own"
print(dict(experiment.faults["LINUX1"]))

# %% data-words [markdown]
# The load came to the segment's own frame. The store met a read-only entry: a fault, a copy of the page, and
# the instruction was tried again. Text is never stored to, so it is never copied.

# %% library [markdown]
# ## A library at two addresses (4 minutes)
#
# A *shared library* is text that many programs use. It is the reason why execute-in-place was written. Each
# program may have it at another address. `greet` and `shout` both use `libgreet.so`.

# %% library-predict
# Your turn: "a", "b", "c" or "skip".
predict("08.library", "skip")

# %% library-run
answer = reveal("08.library")
experiment.reset()
experiment.start("LINUX1", "greet Ann Bob")
experiment.start("LINUX2", "shout Eve")
experiment.next_line("LINUX1")
experiment.next_line("LINUX2")
print(experiment)
answer

# %% library-check
one, two = (next(page for page in experiment.pages(guest)
                 if (page.kind, page.file) == ("text", "libgreet.so")) for guest in ("LINUX1", "LINUX2"))
print(f"LINUX1 {one.vaddr:#x}, LINUX2 {two.vaddr:#x}, frames {one.pfn:#x} and {two.pfn:#x}")
assert one.vaddr != two.vaddr
assert one.pfn == two.pfn

# %% library-words [markdown]
# Whatever depends on the address is in the library's data, and each program has its own page of that.

# %% patch [markdown]
# ## A changed instruction (4 minutes)
#
# The library has a function that gives the sign at the end of a greeting. Here it is, disassembled from the
# frame that LINUX1 has in its page table.

# %% patch-look
frame = experiment.guests["LINUX1"].kernel.memory.frame(one.pfn)
start = offset_in_page(experiment.sign())
print(*disassemble(frame[start:start + 6], one.vaddr + start), sep="\n")
assert frame[start + 3] == ord(".") == 0x2e, "the sign is a byte of the first instruction"

# %% patch-predict
# Your turn: "a", "b", "c" or "skip".
predict("08.patch", "skip")

# %% patch-run
answer = reveal("08.patch")
experiment.reset()
for guest in ("LINUX1", "LINUX2"):
    experiment.start(guest, "greet Ann Bob")
    experiment.next_line(guest)
experiment.patch(experiment.sign() + 3, ord("!"))
for guest in ("LINUX1", "LINUX2"):
    experiment.next_line(guest)
    print(experiment.sentence())
answer

# %% patch-words [markdown]
# Type another value into the bytes in the picture and start `greet` again. No guest may store into this
# segment: it is of type SR. The picture does what an administrator could do, and changes storage itself.

# %% wrong [markdown]
# ## Programs that go wrong (3 minutes)
#
# What if the bytes are nonsense? A processor does not mind what it executes. Three programs go wrong on
# purpose: `loop` never ends, `jump` executes its data, and `wild` stores where nothing is mapped.

# %% wrong-run
experiment.reset()
for program in ("loop", "jump", "wild"):
    experiment.start("LINUX1", program)
    experiment.run("LINUX1")
    print(experiment.sentence())
experiment.run("LINUX2")
print(experiment.sentence())

# %% wrong-words [markdown]
# Each ends with a signal, and only that program. LINUX2 has not noticed. An entry of the page table also says
# whether instructions may be fetched from its page: that stops `jump`. Linux on s390 has used this since
# version 4.11. A program may use so many instructions, its *budget*. Real Linux limits processor time, with
# the same signal SIGXCPU.

# %% yours [markdown]
# ## Your turn: write into the segment (5 minutes)
#
# To run instructions of your own takes three steps. First, a question mark for the library's sign.

# %% yours-worked
experiment.reset()
place = experiment.sign()                               # 1. find the place in the segment
experiment.assemble(place, "lghi %r2,'?'")              # 2. assemble the instructions there
experiment.start("LINUX2", "shout Eve")                 # 3. run a program that comes there
experiment.run("LINUX2")
print(experiment.output("LINUX2").strip())

# %% yours-gap
# Your turn: let hello end with status 7, at its first instruction. Which place? For now it is the library's.
place = experiment.sign()                               # 1. find the place in the segment
experiment.assemble(place, "lghi %r2,7; svc 248")       # 2. assemble the instructions there
experiment.start("LINUX1", "hello")                     # 3. run a program that comes there
experiment.run("LINUX1")
print(experiment.sentence())

# %% yours-own
def times(a, b):
    """Let the program `loop` end in LINUX1, with a times b as its status."""
    # Your turn. 1. find the place  2. assemble: lghi, mghi (multiply), svc 248  3. run
    return "not written yet"


experiment.reset()
print(times(6, 7))

# %% yours-solution [markdown]
# <details><summary>What to write, and what it gives</summary>
#
# The missing place is `experiment.entry("hello")`. Then LINUX1 calls exit() with 7.
#
# ```python
# def times(a, b):
#     place = experiment.entry("loop")                                  # 1. find the place
#     experiment.assemble(place, f"lghi %r2,{a}; mghi %r2,{b}; svc 248")  # 2. assemble
#     experiment.start("LINUX1", "loop")                                # 3. run
#     experiment.run("LINUX1")
#     return experiment.registers("LINUX1")[2]
# ```
#
# It gives 42: the processor has multiplied.
# </details>

# %% bill [markdown]
# ## The memory bill (4 minutes)
#
# Now 1, 2, 8 and 64 guests. Each runs `counter` and `greet`, once in place and once through the page cache.
# Every frame in use is counted once, for what it holds.

# %% bill-predict
# Your turn: "a", "b", "c" or "skip".
predict("08.bill", "skip")

# %% bill-run
answer = reveal("08.bill")
bills = [memory_bill(guests, in_place=in_place, commands=("counter", "greet Ann"))
         for guests in GUESTS for in_place in (True, False)]
for bill in bills:
    way = "in place" if bill.in_place else "cached"
    print(f"{bill.guests:2} guests, {way:8} {bill.total:5} frames, text {bill.frames['text']:3}")
answer

# %% bill-plot
plot(bills)

# %% bill-check
in_place, cached = bills[-2:]
alone = bills[0]
assert in_place.frames["text"] == alone.frames["text"], "64 guests, the text of one"
assert cached.frames["text"] == 64 * alone.frames["text"]
assert all(in_place.frames[kind] == cached.frames[kind] for kind in PRIVATE), "no change in what is stored to"
assert 0.7 < in_place.total / cached.total < 0.8
print(f"page tables: {in_place.frames['page tables'] / in_place.total:.0%} of all frames in place")

# %% bill-words [markdown]
# Text and rodata in place are divided by more and more guests, until their bars cannot be seen. What a
# program stores to, and its page tables, each guest pays for. Some *cache* stays even in place: blocks of
# the file system itself, such as inodes. Our programs are tiny: each of their files has one page of text.
# However large a library is, in place its text costs nothing per guest.

# %% real [markdown]
# ## On your own computer (2 minutes)
#
# Your computer can do it, too. The cell stores a few bytes of *its* machine code into the segment: a function
# that returns a number and does nothing else. Another process maps the frame and executes them there, in
# place. Then your computer's Linux says how much of that page the process has for itself.

# %% real-run
experiment.reset()
guest, place = experiment.guests["LINUX1"], experiment.entry("loop")
if why_not := code.unavailable():
    print("Only the model runs here:", why_not)
else:
    filp = fget(guest.task, guest.open("/mnt/bin/loop"))
    with native.Peer(filp, PROT_READ | PROT_EXEC) as other:
        for number in (42, 43):
            for at, byte in enumerate(code.returning(number)):
                experiment.patch(place + at, byte)
            returned, memory = other.call(offset_in_page(place)), other.memory()
            print("returned", returned, "with", memory["Private"], "KiB of its own")

# %% real-words [markdown]
# One process stored, the other executed what was stored, and no byte of it was copied. In this, model and
# machine agree. They differ in the instructions themselves: an s390x program means nothing to most computers,
# so the model brings a processor that understands it. Is that processor right? If *qemu* is installed, a
# program that understands s390x too, it runs the same bytes. It is asked after a change in the library.

# %% real-qemu tags=["nbval-ignore-output"] xiplab={"why": "qemu is not on every computer; the cell asserts"}
experiment.reset()
experiment.patch(experiment.sign() + 3, ord("!"))
experiment.start("LINUX1", "greet Ann Bob")
experiment.run("LINUX1")
files = {path: experiment.guests["LINUX1"].cat(path) for path in emulator.files_of("greet")}
if why_not := emulator.unavailable():
    print("Only the model runs here:", why_not)
else:
    written, _ = emulator.run(files, "greet Ann Bob")
    print("qemu has written:", *written.decode().splitlines(), sep="\n")
    assert written.decode() == experiment.output("LINUX1"), "both processors do the same"

# %% recall [markdown]
# ## Three questions to keep (2 minutes)
#
# <details><summary>Which frames of a program in place are the segment's, and which are the guest's?</summary>
# Text and rodata are the segment's, and data until the first store. Data after that, bss, stack and page
# tables are the guest's.
# </details>
#
# <details><summary>Why can one frame hold a library's text for programs that have it at different addresses?
# </summary>
# The instructions name distances, not addresses. What depends on the address lies in data, which is private.
# </details>
#
# <details><summary>A byte of text changes in the segment. Who executes the new one, and when?</summary>
# Every program of every guest, the next time it comes there. There is no other copy that could be executed.
# </details>

# %% contract [markdown]
# ## What the next notebooks rely on

# %% contract-check
machine = Execute()
for guest in ("LINUX1", "LINUX2"):
    machine.run(guest)
    for page in machine.pages(guest):
        assert page.shared == (page.kind in ("text", "rodata")), "one text for all; stores stay at home"
        assert not (page.shared and page.writable), "a program cannot change what is shared"
machine.assemble(machine.entry("hello"), "lghi %r2,5; svc 248")
for guest in ("LINUX1", "LINUX2"):
    machine.start(guest, "hello")
    machine.run(guest)
    assert machine.registers(guest)[2] == 5, "all execute what is in the segment now"

# %% next [markdown]
# **Now do** [exercise 08](../exercises/08_execute.ipynb). **Before:** [07](07_mmap.ipynb), mapping in place.
# **Next:** [09](09_shortcomings.ipynb), where
# execute-in-place ends.
