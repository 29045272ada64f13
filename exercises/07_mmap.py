# %% intro [markdown]
# # Exercise 07: mmap
#
# **The question of this exercise: a task touches a mapped page. Which frame must come into its page table,
# and what if the file changes just then?**
#
# You will *predict* what a touch brings, *build* the fault handler that brings it, *mend* two races of real
# kernels, and *count* what mappings cost. You need notebook [07](../notebooks/07_mmap.ipynb). It takes about
# 45 minutes.
#
# Write each answer in the cell that begins with `# Your turn`, run it, then run the cell with the check.
# `xiplab.hint("07.1")` offers help.

# %% setup
import errno

import xiplab
from xiplab import PAGE_SIZE
from xiplab.course.experiments.fault_handler import VM_FAULT_NOPAGE, VM_FAULT_SIGBUS
from xiplab.course.experiments.mapping import MapInPlace
from xiplab.course.experiments.order import Order
from xiplab.course.questions.ex07_measure import Counted
from xiplab.course.questions.ex07_race import Raced, cut
from xiplab.course.trial import after, driven
from xiplab.linux.include.mm import VM_SHARED
from xiplab.widgets.mapping import MapInPlaceView
from xiplab.widgets.order import OrderView

# %% machine [markdown]
# ## The machine
#
# It is that of the notebook. Three tasks of LINUX1 have mapped `/xip/story`, four pages each. Page 0 begins
# with “apple”, page 1 is a hole, page 2 begins with “cream”, and page 3 lies behind the end.
#
# - **writer** and **reader** have a *shared* mapping: a store of writer is a store into the file. reader has
#   opened the file for reading, so it can never store.
# - **private** has a *private* mapping: its stores stay in the task.

# %% task-07-1 [markdown]
# ## 07.1 Which frame comes into the page table? (predict, 2 points)
#
# Read the situation. For each touch, say in which of these it ends:
#
# | word | what is in the page table then |
# |---|---|
# | `"storage"` | the segment's own frame of the page |
# | `"sparse page"` | the frame of zeros that stands for all holes |
# | `"private copy"` | a frame of the task's own |
# | `"SIGBUS"` | nothing: the task gets this signal |

# %% situation-07-1
print(xiplab.show("07.1", 0))

# %% turn-07-1 [markdown]
# **Your turn.** Return a list of three words. For a fresh situation run `xiplab.show("07.1", 1)`, or any
# other number, and put the number into the answer.

# %% q07-1
# Your turn: 07.1
SITUATION = 0


def frames_after():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q07-1-check
print(xiplab.check("07.1", __file__))

# %% task-07-2 [markdown]
# ## 07.2 Take the sparse page out (Parsons, 2 points)
#
# Somebody writes into a hole, and the file system takes a block for it. Why is that not all? Because other
# tasks may have the sparse page there. As long as it stays in their page tables they see zeros, and the file
# is something else.
#
# Put `xip_unmap` together. It gets the file's `mapping`, the number `pgoff` of the page that got a block, the
# frame of the sparse page, and two functions of Linux:
#
# - `follow_pfn(mm, address)` gives the frame that a page table has at an address, or None.
# - `pte_clear(vma, address)` empties that entry.
#
# `mapping.i_mmap` lists the *areas* that show the file. An area goes from `vm_start` to before `vm_end`. Its
# first page is page `vm_pgoff` of the file.

# %% blocks-07-2
print(OrderView(Order("07.2")))

# %% turn-07-2 [markdown]
# **Your turn.** Some blocks do not belong. Return the letters of the others in their order, such as `"CADB"`.

# %% q07-2
# Your turn: 07.2
def order_of_xip_unmap():
    # YOUR CODE HERE
    raise NotImplementedError()

# %% q07-2-check
print(xiplab.check("07.2", __file__))

# %% task-07-3 [markdown]
# ## 07.3 Your own fault handler (build, 4 points)
#
# This function is where execute-in-place happens: whatever frame it names is what the program sees. Linux
# calls it for each touch that finds no entry.
#
# | the page | what to do |
# |---|---|
# | begins at or behind the end of the file, `mapping.host.i_size` bytes | return `VM_FAULT_SIGBUS` |
# | has a block | enter its frame |
# | is a hole, and the area has `VM_SHARED` | take a block, then call `xip_unmap`, then enter its frame |
# | is a hole otherwise | enter the sparse page |
#
# Linux has set `VM_SHARED` in `vma.vm_flags` only where stores may reach the file, now or later. After a
# frame was entered, return `VM_FAULT_NOPAGE`. You have four functions of Linux:
#
# - `get_xip_mem(mapping, pgoff, create)` gives `(kmem, pfn)`: the page's address and its frame. With
#   `create` 0 it raises `OSError` with `errno.ENODATA` for a hole; with 1 it takes a block. Any other error
#   is real. Let it pass: Linux then sends SIGBUS.
# - `xip_sparse_page()` gives the frame of the sparse page.
# - `xip_unmap(mapping, pgoff)` is what you have put together.
# - `vm_insert_mixed(vma, address, pfn)` enters a frame into the page table.
#
# The fault is `vmf`: the page of the file, `vmf.pgoff`, and the address, `vmf.virtual_address`.

# %% q07-3
# Your turn: 07.3
def xip_file_fault(vma, vmf, get_xip_mem, xip_sparse_page, xip_unmap, vm_insert_mixed):
    mapping = vma.vm_file.f_mapping
    # YOUR CODE HERE
    raise NotImplementedError()

# %% picture-07-3 [markdown]
# Here your function serves every fault. Run the cell again after each change of it. Click pages, store, write
# into the hole: does each page table get the frame that you expected?

# %% driven-07-3
experiment = driven(MapInPlace(), plug=xip_file_fault)
print(MapInPlaceView(after(experiment, ("load", "reader", 0), ("load", "reader", 1), ("load", "private", 2))))

# %% q07-3-check
print(xiplab.check("07.3", __file__))

# %% task-07-4 [markdown]
# ## 07.4 Two races, one lock (debug, 3 points)
#
# Linux runs on many processors. While your handler runs, another processor may write into the hole, or cut
# the file and give the block to another file. Both take a *lock* for it: whoever holds it, all others who
# want it wait. Here is a handler for `reader` that takes the lock, too, with `lock()` and `unlock()`. Still
# it brings the wrong page: zeros where “Hello” was written (Q6), and the secret of another file (Q7). Both
# bugs were in Linux for years.
#
# **Your turn.** Mend the function, and delete the line that raises. After a call of `lock()`, nobody changes
# the file until `unlock()`.

# %% q07-4
# Your turn: 07.4
def fault_with_lock(vma, vmf, get_xip_mem, xip_sparse_page, vm_insert_mixed, lock, unlock):
    mapping = vma.vm_file.f_mapping
    # YOUR CODE HERE
    raise NotImplementedError()
    if vmf.pgoff * PAGE_SIZE >= mapping.host.i_size:
        return VM_FAULT_SIGBUS
    try:
        _, pfn = get_xip_mem(mapping, vmf.pgoff, 0)
    except OSError as failure:
        if failure.errno != errno.ENODATA:
            raise
        pfn = xip_sparse_page()
    lock()
    vm_insert_mixed(vma, vmf.virtual_address, pfn)
    unlock()
    return VM_FAULT_NOPAGE

# %% picture-07-4 [markdown]
# The race as a picture. `reader` touches page 2; before the handler’s second call the file is cut, and its
# block goes to another file. What does `reader` have in its page table?

# %% driven-07-4
raced = driven(Raced(cut, at=1), plug=fault_with_lock)
print(MapInPlaceView(after(raced, ("load", "reader", 2))))

# %% q07-4-check
print(xiplab.check("07.4", __file__))

# %% task-07-5 [markdown]
# ## 07.5 What do mappings cost the guest? (measure, 2 points)
#
# With a page cache each mapped page takes a frame of the guest. And in place? Count it. Write
# `own_frames(areas, follow_pfn, in_segment)`: how many different frames of LINUX1's own memory are in the
# page tables of these areas?
#
# - An area goes from `vma.vm_start` to before `vma.vm_end`, in steps of `PAGE_SIZE`.
# - `follow_pfn(vma.vm_mm, address)` gives the frame that is there, or None.
# - `in_segment(pfn)` says whether a frame belongs to the segment, and not to LINUX1.

# %% q07-5
# Your turn: 07.5
def own_frames(areas, follow_pfn, in_segment):
    # YOUR CODE HERE
    raise NotImplementedError()

# %% picture-07-5 [markdown]
# Your number stands below the picture, which lists LINUX1's own frames. Touch more pages: does it follow?

# %% driven-07-5
counted = driven(Counted(), count=own_frames)
print(MapInPlaceView(after(counted, ("load", "reader", 1), ("load", "private", 1), ("store", "private", 0, "J"))))

# %% q07-5-check
print(xiplab.check("07.5", __file__))

# %% after [markdown]
# ## What to take with you
#
# - A fault in place names a frame. It copies nothing, and nobody is asked afterwards.
# - The sparse page stands for holes, until somebody fills one. Then it must leave every page table.
# - What was looked up before a lock may be false under it.
# - A mapping in place costs the guest one sparse page, and a frame for each private copy.
